//! The real helm. It is built once, by `hack/build-helm.sh`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{proxies, scripts::printed};

/// A command that keeps its own files below this folder, and reads none of the user's.
pub fn command(folder: &Path) -> Command {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let binary = FOUND.get_or_init(|| {
        let [binary] = printed("hack/build-helm.sh", ["HELM"]);
        binary
    });
    let mut command = Command::new(binary);
    proxies::keep_out(&mut command);
    for (name, part) in [
        ("HELM_CACHE_HOME", "helm/cache"),
        ("HELM_CONFIG_HOME", "helm/config"),
        ("HELM_DATA_HOME", "helm/data"),
    ] {
        command.env(name, folder.join(part));
    }
    command
}
