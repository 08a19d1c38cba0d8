//! From a patch of an object to ModifyInstanceType received, beside objects that are idle.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use crate::{
    edits,
    program::{Program, Wanted},
    provider::Tail,
    report::Report,
    say, span,
    stage::{FLEET, SECRET, Stage, World, names},
};

#[derive(Debug, Args)]
pub struct Options {
    /// Objects in sync. Those that are edited are among them.
    #[arg(long, value_delimiter = ',', default_value = "2000")]
    objects: Vec<usize>,
    /// How many of them are edited, one after another.
    #[arg(long, default_value_t = 300)]
    edits: usize,
    /// The pause between looks at an object at rest.
    #[arg(long, value_parser = span, default_value = "60s")]
    drift: Duration,
    /// The program's own limit for calls to the provider; the simulator has none here.
    #[arg(long, default_value_t = 1000)]
    requests_per_second: u32,
}

pub async fn run(program: &Program, options: &Options) -> Result<Report> {
    let mut report = Report::new("From a patch to ModifyInstanceType received", program)?;
    let Options { objects, edits, drift, requests_per_second } = options;
    report.note(
        "set",
        format!(
            "{edits} edits, drift every {} s, {requests_per_second} requests/s of its own, no order delay",
            drift.as_secs()
        ),
    );
    let mut rows = vec![edits::head("objects")];
    for objects in objects {
        ensure!(edits <= objects, "{edits} edits need as many objects: there are {objects}");
        let latencies = measure(program, options, *objects).await?;
        rows.push(edits::row(&format!("{objects}, call received"), &latencies.received));
        rows.push(edits::row(&format!("{objects}, patch answered"), &latencies.answered));
    }
    report.table(&rows);
    report.finish()
}

async fn measure(program: &Program, options: &Options, objects: usize) -> Result<edits::Latencies> {
    let fleet = || names("vm", objects);
    let limit = Duration::from_secs(180 + objects as u64 / 10);
    let stage = Stage::start(program, &World::of(objects, Duration::from_secs(2))).await?;
    stage.declare(FLEET, fleet(), SECRET).await?;
    let wanted = Wanted {
        drift: Some(options.drift),
        requests_per_second: Some(options.requests_per_second),
        ..Wanted::default()
    };
    let mut tail = Tail::start(&stage.sim).await?;
    let mut subject = stage.subject(program, &wanted)?;
    stage.all_looked_at(&mut subject, &mut tail, fleet(), limit).await?;
    stage.in_sync(FLEET, limit).await;
    say("all in sync; editing");
    // Spread over the whole list.
    let step = objects / options.edits;
    let edited = fleet().step_by(step.max(1)).take(options.edits);
    edits::make(&stage, &mut subject, FLEET, edited).await
}
