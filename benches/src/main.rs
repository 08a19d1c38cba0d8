//! `benches/run`: measures the operator from outside, as a process, against a real kube-apiserver and
//! the simulated cloud. One subcommand for each bench; each prints Markdown. It uses no module of the
//! operator, so that any build of it, and the yardstick, can be measured.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `fleet`, `latency`, `changes`, `calls`, `neighbours`, `takeover` | the benches |
//! | `program`, `subject` | what is measured: its flags, its process |
//! | `stage` | control plane, simulator, objects |
//! | `edits` | changes of `spec.instanceTypeId`, one by one, with their latency |
//! | `audit`, `provider`, `usage` | what is read: the audit log, the simulator's log, /proc |
//! | `machine`, `stats`, `report` | what is printed |

mod audit;
mod calls;
mod changes;
mod edits;
mod fleet;
mod latency;
mod machine;
mod neighbours;
mod program;
mod provider;
mod report;
mod stage;
mod stats;
mod subject;
mod takeover;
mod usage;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::{
    program::{Kind, Program},
    report::Report,
};

/// Measures the operator, or the yardstick, from outside. Markdown goes to standard output, progress
/// to standard error.
#[derive(Debug, Parser)]
#[command(name = "benches/run")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
    #[command(flatten)]
    measured: Measured,
}

/// What is measured.
#[derive(Debug, Args)]
pub struct Measured {
    /// The operator, or the yardstick in Go that is built from `benches/yardstick`.
    #[arg(long, global = true, value_enum, default_value = "operator")]
    kind: Kind,
    /// Another program of that kind than the one that was built with this one.
    #[arg(long, global = true, value_name = "PATH")]
    operator: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Objects in sync: reads per drift cycle, idle CPU, memory, cold starts, Kubernetes requests.
    Fleet(fleet::Options),
    /// From a patch to ModifyInstanceType received, beside idle objects.
    Latency(latency::Options),
    /// Many changes at once under a request quota, and an edit in the middle of them.
    Changes(changes::Options),
    /// Every call of one change, to Kubernetes and to the provider, in order.
    Calls(calls::Options),
    /// An edit beside a credential that is throttled for ever, and beside failing objects.
    Neighbours(neighbours::Options),
    /// How long nothing acts after the leader was stopped, or killed.
    Takeover(takeover::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli).await {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<Report> {
    let Measured { kind, operator } = &cli.measured;
    let program = Program::find(*kind, operator.as_deref())?;
    match &cli.bench {
        Bench::Fleet(options) => fleet::run(&program, options).await,
        Bench::Latency(options) => latency::run(&program, options).await,
        Bench::Changes(options) => changes::run(&program, options).await,
        Bench::Calls(options) => calls::run(&program, options).await,
        Bench::Neighbours(options) => neighbours::run(&program, options).await,
        Bench::Takeover(options) => takeover::run(&program, options).await,
    }
}

/// A span of time such as 60s or 5m.
fn span(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|error| format!("{error}; write it as 60s or 5m"))?;
    Duration::try_from(span).map_err(|_| "it must not be negative".to_owned())
}

/// Says how far a bench is.
fn say(text: &str) {
    eprintln!("bench: {text}");
}
