//! `vm-operator`: parse, wire, shut down.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use zenlayer::{Client, with_causes};
use zenlayer_vm_operator::{
    api,
    config::{Cli, Command, RunArgs},
    controller::{
        Candidate, Clock, Connections, Context, Election, GRACE, KubeStore, ObjectCache, SWEEP,
        Settings, SlotCache, SystemClock, check, run,
    },
    telemetry::{self, Metrics, WatchHealth},
};

fn main() -> ExitCode {
    // kube, reqwest and the signatures share this one provider.
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    debug_assert!(installed.is_ok(), "nothing was installed before");
    let result = match Cli::parse().command {
        Command::Crds => api::crd_yaml().map(|yaml| print!("{yaml}")).map_err(Into::into),
        Command::Run(args) => start(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn start(args: &RunArgs) -> Result<(), AnyError> {
    telemetry::init_logging(args.log_format, &args.log_filter)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(operate(args))
}

async fn operate(args: &RunArgs) -> Result<(), AnyError> {
    let endpoint = args.endpoint()?;
    let defaults = args.defaults()?;
    let (selection, times) = (args.selection()?, args.lease_times()?);
    let client_options = args.client_options()?;
    let listener = telemetry::bind(args.http_listen)?;
    let health = WatchHealth::default();
    let metrics = Metrics::of(health.clone());
    let Connections { watches, slots: slot_watch, calls } =
        Connections::open(&health, args.testing.testing_answer_limit).await?;

    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %endpoint,
        slot_namespace = args.slot_namespace,
        serves = %selection,
        leader_elect = args.leader_elect,
        "starting"
    );
    let (objects, slots) = (ObjectCache::default(), SlotCache::default());
    let identity = std::env::var("POD_NAME").unwrap_or_else(|_| "vm-operator".to_owned());
    let (namespace, claims) = (&args.slot_namespace, objects.claims());
    let (known, life, name) = (slots.clone(), defaults.timing.secret, identity.clone());
    let store = KubeStore::new(calls.clone(), namespace, claims, known, life, name);
    let clock = SystemClock::ahead_by(args.testing.testing_clock_ahead.unwrap_or_default());
    let cloud = Client::with_clock(endpoint, client_options, move || clock.now())?;
    let counted = metrics.clone();
    let cloud = cloud.observed_by(move |exchange| counted.exchanged(exchange));
    let clock = Arc::new(clock);
    let (cloud, store) = (Arc::new(cloud), Arc::new(store));
    let rate = args.requests_per_second;
    let ctx = Context::new(cloud, store.clone(), clock.clone(), defaults, metrics.clone(), rate);
    let candidate = Candidate {
        namespace: args.slot_namespace.clone(),
        pod: identity,
        process: ctx.process.clone(),
        selection: selection.clone(),
        times,
    };
    let settings = Settings {
        slot_namespace: args.slot_namespace.clone(),
        selection,
        concurrency: args.concurrency,
        grace: args.testing.testing_grace.unwrap_or(GRACE),
        sweep: args.testing.testing_sweep.unwrap_or(SWEEP),
    };
    let (known, elect) = (health.clone(), args.leader_elect);
    let work = async move {
        check(&watches, &settings).await?;
        store.check_slots().await?;
        let election = elect.then(|| Election::begin(calls, candidate, clock));
        let ctx = election.iter().fold(ctx, Context::elected_by);
        let caches = (objects, slots);
        let all_ended =
            run((watches, slot_watch), settings, ctx, caches, known, stop_signal()).await;
        // Whoever leads next begins at once, so it is not told while something goes on here.
        if let Some(election) = election.filter(|_| all_ended) {
            election.end().await;
        }
        Ok::<(), AnyError>(())
    };
    // An API server that is silent from the start must not look like a process that is stuck.
    tokio::select! {
        ended = work => ended?,
        served = telemetry::serve(listener, metrics, health) => served?,
    }
    tracing::info!("stopped");
    Ok(())
}

/// Resolves on SIGTERM or SIGINT.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::error!(%error, "cannot listen for SIGTERM");
            std::future::pending::<()>().await;
        }
    }
}
