//! The scripts in `hack/` that provide tools.

use std::{
    io::BufRead,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::root;

/// Runs such a script (its progress goes to the terminal), and gives the paths that it prints as KEY=PATH.
pub fn printed<const N: usize>(script: &str, keys: [&str; N]) -> [PathBuf; N] {
    let ran = Command::new(root().join(script)).stderr(Stdio::inherit()).output();
    let output = ran.unwrap_or_else(|error| panic!("{script} cannot be run: {error}"));
    assert!(output.status.success(), "{script} failed; see above");
    keys.map(|key| {
        let line = output.stdout.lines().map_while(Result::ok).find_map(|line| {
            line.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')).map(PathBuf::from)
        });
        line.unwrap_or_else(|| panic!("{script} printed no {key}"))
    })
}
