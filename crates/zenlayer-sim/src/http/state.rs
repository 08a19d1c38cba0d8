//! The state file. A new one is written beside it, brought to the disk, and renamed into its
//! place, so that a killed simulator leaves the old one or the new one, never half of one.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    clock::Clock,
    fault::Faults,
    service::{LAST_EPOCH, Snapshot},
    settings::Problem,
    shared::Shared,
};
use crate::world::World;

/// Counts incompatible changes of the file.
const FORMAT: u32 = 1;

/// A state file, or a snapshot. It holds no secret.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Saved {
    format: u32,
    epoch: u64,
    clock: Clock,
    faults: Faults,
    world: World,
}

impl From<Snapshot> for Saved {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { epoch, clock, faults, world } = snapshot;
        Self { format: FORMAT, epoch, clock, faults, world }
    }
}

impl Saved {
    /// Reads and checks all of it. A refusal names the field.
    pub fn read(text: &[u8]) -> Result<Snapshot, String> {
        Self::of_this_format(text)?;
        let Self { format: _, epoch, clock, faults, world } = read(text)?;
        if epoch >= LAST_EPOCH {
            return Err(format!("epoch is {epoch}: write a number below {LAST_EPOCH}"));
        }
        let inside = |part: &'static str| {
            move |(field, problem): Problem| format!("{part}.{field} {problem}")
        };
        clock.check().map_err(inside("clock"))?;
        faults.check().map_err(inside("faults"))?;
        world.check().map_err(inside("world"))?;
        Ok(Snapshot { epoch, clock, faults, world })
    }

    /// Another format may have other fields, so it is looked at before all else.
    fn of_this_format(text: &[u8]) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format } = read(text)?;
        if format == FORMAT {
            return Ok(());
        }
        Err(format!("format is {format}, and this version reads {FORMAT}"))
    }
}

/// JSON with the place of what is wrong.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        let place = if place == "." { String::new() } else { format!("{place}: ") };
        format!("{place}{}", error.inner())
    })?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Why a state file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(
        "cannot use the state file {path} of --state: {problem}; move the file away to start from --config"
    )]
    Read { path: PathBuf, problem: String },
    #[error(
        "cannot write the state file {path} of --state: {source}; choose a folder that can be written"
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
    Saved::read(&bytes).map(Some).map_err(failed)
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
