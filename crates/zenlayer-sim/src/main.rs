//! `zenlayer-sim`: the provider's API, simulated, on a port of this machine.

mod logging;
mod printing;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result, anyhow};
use clap::{Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use logging::{LogFormat, init_logging};
use printing::{complain, print};
use tokio::signal::unix::{SignalKind, signal};
use zenlayer_sim::{
    config::Config,
    describe,
    http::{
        CONTROL_HELP, Certificate, ClockMode, Settings, Shared, acceptor, bind, keep, load, serve,
    },
};

/// Simulates the vm API of Zenlayer Cloud, to test programs that call it.
///
/// Point a client at the address that `serve` prints, over plain HTTP, with an access key from the
/// simulation file. No request leaves this machine.
#[derive(Debug, Parser)]
#[command(name = "zenlayer-sim", version, about, after_help = START)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const START: &str = "\
Start here:
  zenlayer-sim example > sim.yaml         # a file to change
  zenlayer-sim check sim.yaml
  zenlayer-sim serve --config sim.yaml    # http://127.0.0.1:18080";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API at /api/v2/vm and the control API at /control.
    #[command(after_long_help = CONTROL_HELP)]
    Serve(Box<ServeArgs>),
    /// Check a simulation file and count what is in it.
    Check {
        /// The simulation file (YAML).
        file: PathBuf,
    },
    /// Print a simulation file that shows the possible settings.
    Example,
    /// Print the JSON Schema of simulation files, for use in an editor.
    Schema,
    /// List the kinds of faults, how to write them, and the error codes of the API.
    Faults,
    /// List the paths of the control API.
    Control,
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// The simulation file (YAML); `zenlayer-sim example` prints one.
    #[arg(long)]
    config: PathBuf,
    /// Address to listen on; port 0 picks a free port.
    #[arg(long, default_value = "127.0.0.1:18080")]
    listen: SocketAddr,
    /// Write the address to this file as soon as the simulator listens.
    #[arg(long)]
    address_file: Option<PathBuf>,
    /// Address to listen on with TLS; without it there is no TLS.
    #[arg(long)]
    tls_listen: Option<SocketAddr>,
    /// Write the address of --tls-listen to this file as soon as the simulator listens.
    #[arg(long, requires = "tls_listen")]
    tls_address_file: Option<PathBuf>,
    /// Write the certificate authority, made anew at each start, to this file (PEM): clients must
    /// trust it.
    #[arg(long, requires = "tls_listen", conflicts_with_all = ["tls_cert", "tls_key"])]
    tls_ca_file: Option<PathBuf>,
    /// Another host name or IP address for the certificate that is made at the start; may be
    /// repeated.
    #[arg(long, requires = "tls_listen", conflicts_with_all = ["tls_cert", "tls_key"])]
    tls_name: Vec<String>,
    /// Use this certificate chain (PEM, leaf certificate first) instead of making one.
    #[arg(long, requires_all = ["tls_listen", "tls_key"])]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert (PEM).
    #[arg(long, requires_all = ["tls_listen", "tls_cert"])]
    tls_key: Option<PathBuf>,
    /// Keep the simulation in this file, so that it survives a restart. Once the file exists,
    /// instances, faults and the clock are read from it instead of from --config.
    #[arg(long)]
    state: Option<PathBuf>,
    /// How the simulated clock runs; scaled needs --time-scale.
    #[arg(long, value_enum)]
    clock: Option<ClockArg>,
    /// How many seconds pass on the simulated clock in one real second, such as 3600.
    #[arg(long, allow_negative_numbers = true)]
    time_scale: Option<f64>,
    /// Time at which the simulation starts, such as 2026-01-01T00:00:00Z; without it, now.
    #[arg(long)]
    start_time: Option<jiff::Timestamp>,
    /// How many seconds the timestamp of a signed call may differ from the simulated clock.
    #[arg(long)]
    signature_life: Option<u32>,
    /// Format of the log on standard error: one line for each call.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Which log lines to print, in the syntax of RUST_LOG.
    #[arg(long, default_value = "info")]
    log_filter: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ClockArg {
    Wall,
    Scaled,
    Stepped,
}

impl From<ClockArg> for ClockMode {
    fn from(argument: ClockArg) -> Self {
        match argument {
            ClockArg::Wall => Self::Wall,
            ClockArg::Scaled => Self::Scaled,
            ClockArg::Stepped => Self::Stepped,
        }
    }
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => start(&args),
        Command::Check { file } => check(&file),
        Command::Example => print(describe::EXAMPLE),
        Command::Schema => schema(),
        Command::Faults => print(&describe::faults()),
        Command::Control => print(CONTROL_HELP),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn schema() -> Result<()> {
    print(&format!("{}\n", describe::schema()?))
}

fn check(file: &Path) -> Result<()> {
    let config = Config::load(file)?;
    print(&format!(
        "{}: {} instances, {} credentials, {} faults\n",
        file.display(),
        config.instances.len(),
        config.credentials.len(),
        config.faults.len(),
    ))
}

/// The file's settings, with the flags over them.
fn settings(args: &ServeArgs, config: &Config) -> Result<Settings> {
    let mut settings = config.settings();
    let clock = &mut settings.clock;
    if let Some(mode) = args.clock {
        clock.mode = mode.into();
        clock.scale = clock.scale.filter(|_| clock.mode == ClockMode::Scaled);
    }
    if args.time_scale.is_some() {
        if args.clock.is_none() {
            clock.mode = ClockMode::Scaled;
        }
        clock.scale = args.time_scale;
    }
    clock.start = args.start_time.or(clock.start);
    clock.check().map_err(|(_, problem)| anyhow!("--time-scale {problem}"))?;
    if let Some(seconds) = args.signature_life {
        settings.transport.signature_life = SignedDuration::from_secs(seconds.into());
        let checked = settings.transport.check();
        checked.map_err(|(_, problem)| anyhow!("--signature-life {problem}"))?;
    }
    Ok(settings)
}

fn start(args: &ServeArgs) -> Result<()> {
    init_logging(args.log_format, &args.log_filter)?;
    let config = Config::load(&args.config)?;
    let settings = settings(args, &config)?;
    let saved = args.state.as_deref().map(load).transpose()?.flatten();
    if saved.is_some() {
        tracing::info!("continuing from the state file: instances of --config are not used");
    }
    let world = |now| config.world(now);
    let shared = Arc::new(Shared::new(settings, saved, args.state.is_some(), world));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(args, shared))
}

async fn run(args: &ServeArgs, shared: Arc<Shared>) -> Result<()> {
    let listener = bind("--listen", args.listen).await?;
    let address = listener.local_addr()?;
    let tls = match args.tls_listen {
        None => None,
        Some(wanted) => {
            let acceptor = acceptor(&certificate(args), wanted)?;
            Some((bind("--tls-listen", wanted).await?, acceptor))
        }
    };
    let tls_address = tls.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?;
    if let (Some(file), Some(address)) = (&args.tls_address_file, tls_address) {
        announce(file, address)?;
    }
    if let Some(file) = &args.address_file {
        announce(file, address)?;
    }
    let mut listens = format!("zenlayer-sim listens on http://{address}\n");
    if let Some(address) = tls_address {
        listens.push_str(&format!("zenlayer-sim listens on https://{address}\n"));
    }
    if let Err(error) = print(&listens) {
        // It serves all the same.
        tracing::warn!("{error:#}");
    }
    let secure = async {
        match tls {
            Some((listener, acceptor)) => serve(listener, Some(acceptor), shared.clone()).await,
            None => std::future::pending().await,
        }
    };
    let state = async {
        match &args.state {
            Some(path) => keep(path.clone(), shared.clone()).await,
            None => std::future::pending().await,
        }
    };
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        served = serve(listener, None, shared.clone()) => served?,
        served = secure => served?,
        kept = state => kept?,
        stopped = tokio::signal::ctrl_c() => stopped?,
        _ = terminated.recv() => {}
    }
    Ok(())
}

fn certificate(args: &ServeArgs) -> Certificate {
    match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => {
            Certificate::Files { certificate: certificate.clone(), key: key.clone() }
        }
        _ => Certificate::Own { ca_file: args.tls_ca_file.clone(), names: args.tls_name.clone() },
    }
}

/// Renamed into place, so that a reader never sees half of it.
fn announce(file: &Path, address: SocketAddr) -> Result<()> {
    let partial = file.with_extension("partial");
    std::fs::write(&partial, address.to_string())
        .and_then(|()| std::fs::rename(&partial, file))
        .with_context(|| format!("cannot write the address to {}", file.display()))
}
