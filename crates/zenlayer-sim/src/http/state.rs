//! The state file. A new one is written beside it, brought to the disk, and renamed into its
//! place, so that a killed simulator leaves the old one or the new one, never half of one.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{service::Snapshot, shared::Shared};

/// Counts incompatible changes of the file.
const FORMAT: u32 = 1;

/// A state file. It holds no secret.
#[derive(Serialize, Deserialize)]
pub struct Saved {
    format: u32,
    #[serde(flatten)]
    pub snapshot: Snapshot,
}

impl From<Snapshot> for Saved {
    fn from(snapshot: Snapshot) -> Self {
        Self { format: FORMAT, snapshot }
    }
}

impl Saved {
    /// The snapshot, if this simulator can read it.
    pub fn checked(self) -> Result<Snapshot, String> {
        let Self { format, snapshot } = self;
        if format == FORMAT {
            return Ok(snapshot);
        }
        Err(format!("format is {format}, this simulator reads {FORMAT}"))
    }
}

/// Why a state file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("read the state file {path} of --state: {problem}; move it away to start anew")]
    Read { path: PathBuf, problem: String },
    #[error(
        "write the state file {path} of --state: {source}; choose a folder that can be written"
    )]
    Write { path: PathBuf, source: io::Error },
}

/// Reads a state file; there is none before the first start.
pub fn load(path: &Path) -> Result<Option<Snapshot>, StateError> {
    let failed = |problem: String| StateError::Read { path: path.to_owned(), problem };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    let saved: Saved = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    saved.checked().map(Some).map_err(failed)
}

/// Keeps a state file current until it cannot be written. Calls that come while it is written
/// share the next writing.
pub async fn keep(path: PathBuf, shared: Arc<Shared>) -> Result<(), StateError> {
    let mut changes = shared.changed.subscribe();
    loop {
        changes.mark_unchanged();
        let (generation, bytes) = {
            let service = shared.lock();
            let saved = Saved::from(service.snapshot());
            (service.generation, serde_json::to_vec(&saved).map_err(io::Error::other))
        };
        let target = path.clone();
        let written = tokio::task::spawn_blocking(move || replace(&target, &bytes?)).await;
        written
            .map_err(io::Error::other)
            .flatten()
            .map_err(|source| StateError::Write { path: path.clone(), source })?;
        shared.saved.send_replace(generation);
        if changes.changed().await.is_err() {
            return Ok(());
        }
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    // The rename itself is on the disk once the folder is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
