//! One line for each call: JSON for machines, text for people.

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

/// Starts logging to standard error. `filter` has the syntax of `RUST_LOG`.
pub fn init_logging(format: LogFormat, filter: &str) -> Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        anyhow!("--log-filter {filter:?}: {error}; write for example info, or info,hyper=debug")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // It would be written to standard error with a panic if nobody reads that any more.
        .log_internal_errors(false)
        .with_target(false);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    started.map_err(|error| anyhow!("cannot start logging: {error}"))
}
