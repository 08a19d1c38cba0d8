//! The measured program as a running process.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use harness::{Process, control_plane::free_port, eventually};
use jiff::Timestamp;

use crate::{
    program::{Addresses, Program, Wanted},
    usage::Usage,
};

/// How long a start may take. A program that lists 30,000 objects first takes a while.
const READY: Duration = Duration::from_secs(120);
/// How long a clean stop may take: a Pod is given no longer.
const STOP: Duration = Duration::from_secs(40);

pub struct Subject {
    pub process: Process,
    pub usage: Usage,
    /// When the process was started.
    pub started: Timestamp,
    probe: String,
}

impl Subject {
    pub fn start(
        program: &Program,
        wanted: &Wanted,
        kubeconfig: &Path,
        endpoint: &str,
        log: &Path,
    ) -> Result<Self> {
        let addresses = Addresses { kubeconfig, endpoint, port: free_port(), probes: free_port() };
        let command = program.command(wanted, &addresses);
        let probe = format!("http://127.0.0.1:{}/readyz", program.probe_port(&addresses));
        let started = Timestamp::now();
        let process = Process::start("the measured program", command, log)
            .context("start the measured program")?;
        let usage = Usage::of(process.id());
        Ok(Self { process, usage, started, probe })
    }

    /// Waits until it says that it is ready, and gives the time since its start.
    pub async fn ready(&mut self) -> Duration {
        eventually("the measured program's /readyz", READY, async || {
            match reqwest::get(&self.probe).await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(format!("{}; {}", answer.status(), self.process.tail())),
                Err(_) => Err(self.process.tail()),
            }
        })
        .await;
        since(self.started)
    }

    /// Asks it to end, waits for that, and gives the time that it took.
    pub fn stop(mut self) -> Result<Duration> {
        let asked = Timestamp::now();
        self.process.signal(libc::SIGTERM);
        self.process.wait(STOP).map_err(anyhow::Error::msg)?;
        Ok(since(asked))
    }
}

/// The time that has passed since a moment; nothing for a moment to come.
pub fn since(then: Timestamp) -> Duration {
    between(then, Timestamp::now())
}

/// The time between two moments; nothing if they are the other way round.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
