//! Two replicas: how long nothing acts after the leader was stopped, or killed. The first replica is
//! ready, and so leads, before the second one is started.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    program::{Program, Wanted},
    provider::{Tail, ordered},
    report::Report,
    say,
    stage::{FLEET, SECOND, SECRET, Stage, World, names},
    stats::spread,
    subject::between,
};

#[derive(Debug, Args)]
pub struct Options {
    /// Objects in sync.
    #[arg(long, default_value_t = 200)]
    objects: usize,
    /// How often each end is played.
    #[arg(long, default_value_t = 3)]
    times: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum End {
    Stop,
    Kill,
}

pub async fn run(program: &Program, options: &Options) -> Result<Report> {
    let mut report = Report::new("Takeover", program)?;
    if !program.elects_a_leader() {
        report.text(
            "Not measured: this program elects no leader (its help has no `--leader-elect`). What is \
             measured once it does: the time from the leader's SIGTERM, or SIGKILL, to the first paid call \
             of the other replica for an object that is edited at that moment.",
        );
        return report.finish();
    }
    report.note(
        "set",
        format!("two replicas, {} objects, each end {} times", options.objects, options.times),
    );
    let mut rows =
        vec![["the leader is", "times", "next paid call after, s"].map(str::to_owned).to_vec()];
    for (name, end) in [("stopped (SIGTERM)", End::Stop), ("killed (SIGKILL)", End::Kill)] {
        let mut samples = Vec::new();
        for _ in 0..options.times {
            say(&format!("the leader is {name}"));
            samples.push(measure(program, options, end).await?.as_secs_f64());
        }
        rows.push(vec![name.to_owned(), options.times.to_string(), spread(&samples)]);
    }
    report.table(&rows);
    report.finish()
}

async fn measure(program: &Program, options: &Options, end: End) -> Result<Duration> {
    let fleet = || names("vm", options.objects);
    let limit = Duration::from_secs(240);
    let stage = Stage::start(program, &World::of(options.objects, Duration::from_secs(2))).await?;
    stage.declare(FLEET, fleet(), SECRET).await?;
    let wanted =
        Wanted { requests_per_second: Some(1000), leader_election: true, ..Wanted::default() };
    let mut tail = Tail::start(&stage.sim).await?;
    let mut leader = stage.subject(program, &wanted)?;
    stage.all_looked_at(&mut leader, &mut tail, fleet(), limit).await?;
    stage.in_sync(FLEET, limit).await;
    let mut candidate = stage.subject(program, &wanted)?;
    candidate.ready().await;
    // It has listed what it watches.
    tokio::time::sleep(Duration::from_secs(5)).await;

    let ended = jiff::Timestamp::now();
    leader.process.signal(if end == End::Stop { libc::SIGTERM } else { libc::SIGKILL });
    leader.process.wait(Duration::from_secs(40)).map_err(anyhow::Error::msg)?;
    let name = "vm-00000";
    stage.edit(FLEET, name, SECOND).await?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(call) = ordered(&stage.sim, name, ended).await? {
            return Ok(between(ended, call.at));
        }
        if candidate.process.ended().is_some() || Instant::now() > deadline {
            bail!("nobody took over; {}", candidate.process.tail());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
