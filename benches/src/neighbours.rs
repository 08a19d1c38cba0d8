//! Edits of one tenant beside others in trouble: a credential that is answered 429 for ever, and a
//! namespace of objects that all fail. The same edits without them come first and last.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use harness::simulator::KEY_ID;
use serde_json::json;

use crate::{
    edits::{self, Latencies},
    program::{Program, Wanted},
    provider::Tail,
    report::Report,
    say, span,
    stage::{FLEET, Machine, SECRET, Stage, World, key, names},
    stats::{number, percentile},
};

/// The namespaces of the neighbours, and the prefixes of their objects.
const THROTTLED: &str = "throttled";
const FAILING: &str = "failing";

#[derive(Debug, Args)]
pub struct Options {
    /// Objects in sync beside the neighbours; those that are edited are among them.
    #[arg(long, default_value_t = 500)]
    objects: usize,
    /// How many of them are edited, one after another.
    #[arg(long, default_value_t = 200)]
    edits: usize,
    /// Objects whose credential is always answered 429.
    #[arg(long, default_value_t = 500)]
    throttled: usize,
    /// Objects that fail: every other one names no machine, the others have no Secret.
    #[arg(long, default_value_t = 5000)]
    failing: usize,
    /// How long the neighbours have been there before the first edit.
    #[arg(long, value_parser = span, default_value = "30s")]
    settle: Duration,
    /// The pause between looks at an object at rest.
    #[arg(long, value_parser = span, default_value = "60s")]
    drift: Duration,
    /// The program's own limit for calls to the provider, for each credential.
    #[arg(long, default_value_t = 1000)]
    requests_per_second: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Neighbour {
    None,
    Throttled,
    Failing,
}

pub async fn run(program: &Program, options: &Options) -> Result<Report> {
    let mut report = Report::new("An edit beside neighbours in trouble", program)?;
    let Options { objects, edits, throttled, failing, drift, requests_per_second, .. } = options;
    ensure!(edits <= objects, "{edits} edits need as many objects: there are {objects}");
    report.note(
        "set",
        format!(
            "{edits} edits among {objects} objects, drift every {} s, {requests_per_second} requests/s for \
             each credential",
            drift.as_secs()
        ),
    );
    let phases = [
        ("no neighbours".to_owned(), Neighbour::None),
        (format!("{throttled} objects whose credential gets 429"), Neighbour::Throttled),
        (format!("{failing} objects that fail"), Neighbour::Failing),
        ("no neighbours, again".to_owned(), Neighbour::None),
    ];
    let mut rows = vec![[edits::head("beside"), vec!["p99 of that without".to_owned()]].concat()];
    let mut first = None;
    for (name, neighbour) in phases {
        say(&name);
        let Latencies { received, .. } = measure(program, options, neighbour).await?;
        let p99 = percentile(&received, 99.0).unwrap_or_default();
        let ratio = number(p99 / *first.get_or_insert(p99));
        rows.push([edits::row(&name, &received), vec![ratio]].concat());
    }
    report.table(&rows);
    report.finish()
}

async fn measure(program: &Program, options: &Options, beside: Neighbour) -> Result<Latencies> {
    let fleet = || names("vm", options.objects);
    let mut world = World::of(options.objects, Duration::from_secs(2));
    let machine = |id| Machine { id, prepaid: false };
    world.machines.extend(names(THROTTLED, options.throttled).map(machine));
    world.keys = vec![key(1), key(2)];
    let stage = Stage::start(program, &world).await?;
    stage.declare(FLEET, fleet(), SECRET).await?;
    let wanted = Wanted {
        drift: Some(options.drift),
        requests_per_second: Some(options.requests_per_second),
        ..Wanted::default()
    };
    let limit = Duration::from_secs(240);
    let mut tail = Tail::start(&stage.sim).await?;
    let mut subject = stage.subject(program, &wanted)?;
    stage.all_looked_at(&mut subject, &mut tail, fleet(), limit).await?;
    stage.in_sync(FLEET, limit).await;
    match beside {
        Neighbour::None => {}
        Neighbour::Throttled => throttle(&stage, options.throttled).await?,
        Neighbour::Failing => fail(&stage, options.failing).await?,
    }
    tokio::time::sleep(options.settle).await;
    let step = (options.objects / options.edits).max(1);
    let edited = fleet().step_by(step).take(options.edits);
    edits::make(&stage, &mut subject, FLEET, edited).await
}

/// Machines whose every call is answered 429, for ever, and their objects.
async fn throttle(stage: &Stage, count: usize) -> Result<()> {
    stage.namespace(THROTTLED).await?;
    stage.secret(THROTTLED, SECRET, &key(1)).await?;
    let refuse = async |id: String| {
        let code = "REQUEST_LIMIT_EXCEEDED";
        let fault = json!({ "instance": id, "kind": "error", "code": code, "times": "always" });
        stage.sim.fault(fault).await;
        anyhow::Ok(())
    };
    let faults = stream::iter(names(THROTTLED, count)).map(refuse).buffer_unordered(8);
    faults.try_collect::<()>().await?;
    stage.declare(THROTTLED, names(THROTTLED, count), SECRET).await?;
    Ok(())
}

/// Objects of machines that do not exist, and objects without their Secret.
async fn fail(stage: &Stage, count: usize) -> Result<()> {
    debug_assert_ne!(key(2), KEY_ID, "the neighbours have a credential of their own");
    stage.namespace(FAILING).await?;
    stage.secret(FAILING, SECRET, &key(2)).await?;
    let half = count / 2;
    stage.declare(FAILING, names("no-machine", count - half), SECRET).await?;
    stage.declare(FAILING, names("no-secret", half), "not-there").await?;
    Ok(())
}
