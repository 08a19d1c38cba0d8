//! Folders that go with this process, however it ends.

use std::{
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

/// Removes a folder once this process is gone, however it ends: what a static holds is never
/// dropped. A shell waits for the end of a pipe that only this process has.
pub fn swept_after_us(folder: &Path) -> io::Result<()> {
    const SWEEP: &str = "cat; for i in 1 2 3 4 5 6 7 8 9; do rm -rf \"$1\"; [ -e \"$1\" ] || exit 0; \
                         sleep 0.2; done";
    let mut command = Command::new("sh");
    command.args(["-c", SWEEP, "sweep"]).arg(folder);
    // A group of its own: Ctrl-C at a terminal must not end it before it has swept.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut sweeper = command.spawn()?;
    std::mem::forget(sweeper.stdin.take());
    Ok(())
}
