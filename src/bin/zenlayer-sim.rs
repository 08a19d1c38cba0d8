//! `zenlayer-sim`: the provider's API, simulated, on a port of this machine.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Parser, Subcommand};
use zenlayer_vm_operator::{
    sim::{
        config::Config,
        http::{Shared, bind, serve},
    },
    telemetry::{LogFormat, init_logging},
};

/// A simulation of the Zenlayer Cloud vm API.
#[derive(Debug, Parser)]
#[command(name = "zenlayer-sim", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API at /api/v2/vm, and the control API at /control.
    #[command(after_long_help = CONTROL_HELP)]
    Serve(ServeArgs),
    /// Check a simulation file and say what is in it.
    Check {
        /// The YAML file.
        file: PathBuf,
    },
}

const CONTROL_HELP: &str = "\
Control API (JSON; no authorisation, so keep it on loopback):
  GET    /control/ledger          orders that were accepted
  GET    /control/instances       instances with their plans
  PATCH  /control/instances/ID    {\"type\": …, \"state\": …} or {\"remove\": true}, as a person in the console
  GET    /control/clock           the service's clock
  POST   /control/clock           {\"advanceSeconds\": 3600}
  GET    /control/requests        calls with their codes, and counts by action and code
  GET    /control/faults          faults that still apply
  POST   /control/faults          {\"action\": \"ModifyInstanceType\", \"times\": 1, \"kind\": \"dropAfter\"}
                                  kinds: delayAnswer (seconds), error (status, code),
                                  body (status, body), dropBefore, dropAfter
  DELETE /control/faults          forget them";

#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// The YAML file with instances and credentials; see deploy/examples/simulator.yaml.
    #[arg(long)]
    config: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:18080")]
    listen: SocketAddr,
    /// File that gets the address once the simulator listens.
    #[arg(long)]
    address_file: Option<PathBuf>,
    /// How far a signed timestamp may lie from the service's clock, in seconds.
    #[arg(long, default_value_t = 300)]
    signature_life: u64,
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Filter in the syntax of RUST_LOG.
    #[arg(long, default_value = "info")]
    log_filter: String,
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => start(&args),
        Command::Check { file } => check(&file),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

fn check(file: &Path) -> Result<(), AnyError> {
    let config = Config::load(file)?;
    println!(
        "{}: {} instances, {} credentials, changes take {:#}",
        file.display(),
        config.instances.len(),
        config.credentials.len(),
        config.processing_time
    );
    Ok(())
}

fn start(args: &ServeArgs) -> Result<(), AnyError> {
    init_logging(args.log_format, &args.log_filter)?;
    let config = Config::load(&args.config)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = bind(args.listen).await?;
        let address = listener.local_addr()?;
        if let Some(file) = &args.address_file {
            // Renamed into place, so that a reader never sees half of it.
            let partial = file.with_extension("partial");
            std::fs::write(&partial, address.to_string())?;
            std::fs::rename(&partial, file)?;
        }
        println!("zenlayer-sim listens on http://{address}");
        let life = Duration::from_secs(args.signature_life);
        let shared = Arc::new(Shared::new(&config, life));
        tokio::select! {
            () = serve(listener, shared) => {}
            stopped = tokio::signal::ctrl_c() => stopped?,
        }
        Ok(())
    })
}
