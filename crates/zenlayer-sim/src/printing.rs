//! What goes to standard output and standard error. A reader that goes away, as in
//! `zenlayer-sim schema | head -1`, has read enough: that is no error.

use std::io::{self, Write};

use anyhow::{Context, Result};

/// Writes to standard output.
pub fn print(text: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes an error to standard error. When that fails, the exit status is all that is left to tell.
pub fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "error: {error:#}");
}
