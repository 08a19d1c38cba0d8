//! Objects in sync: what they cost while nothing happens, and what a start costs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Result;
use clap::Args;

use crate::{
    audit::{Audit, counted},
    program::{Program, Wanted},
    provider::{self, Tail},
    report::Report,
    say, span,
    stage::{FLEET, SECRET, Stage, World, names},
    stats::{Spread, number, spread},
    subject::Subject,
};

#[derive(Debug, Args)]
pub struct Options {
    /// How many objects; several numbers are measured one after another, each in a world of its own.
    #[arg(long, value_delimiter = ',', default_value = "500,2000")]
    objects: Vec<usize>,
    /// How long the fleet at rest is watched.
    #[arg(long, default_value_t = 5)]
    minutes: u32,
    /// How often the program is started again.
    #[arg(long, default_value_t = 3)]
    starts: u32,
    /// The pause between looks at an object at rest.
    #[arg(long, value_parser = span, default_value = "60s")]
    drift: Duration,
    /// The program's own limit for calls to the provider; the simulator has none here.
    #[arg(long, default_value_t = 1000)]
    requests_per_second: u32,
}

/// What was measured with one number of objects; each list holds one entry a minute, or a start.
#[derive(Default)]
struct Measured {
    objects: usize,
    first: Duration,
    first_peak: f64,
    processor: Vec<f64>,
    memory: Vec<f64>,
    reads: Vec<BTreeMap<String, u64>>,
    asked: Vec<BTreeMap<String, usize>>,
    starts: Vec<f64>,
    start_peaks: Vec<f64>,
    start_memory: Vec<f64>,
    start_asked: Vec<BTreeMap<String, usize>>,
    start_writes: Vec<f64>,
    stops: Vec<f64>,
}

/// Long enough for anything here; reached only by a failure.
fn limit(objects: usize) -> Duration {
    Duration::from_secs(180)
        + Duration::from_millis(60) * u32::try_from(objects).unwrap_or(u32::MAX)
}

pub async fn run(program: &Program, options: &Options) -> Result<Report> {
    let mut report = Report::new("A fleet in sync", program)?;
    let drift = options.drift.as_secs();
    report.note(
        "set",
        format!(
            "drift every {drift} s, {} requests/s of its own, {} min at rest, {} further starts",
            options.requests_per_second, options.minutes, options.starts
        ),
    );
    let mut all = Vec::new();
    for objects in &options.objects {
        all.push(measure(program, options, *objects).await?);
    }
    report.table(&figures(&all, options.drift));
    report.text(
        "Median (least–most) of the minutes, or of the further starts. MB are 1,000,000 bytes.",
    );
    report.table(&detail("at rest, to the provider, calls a drift cycle", &all, |one| {
        per_cycle(&one.reads, options.drift)
    }));
    report.table(&detail("at rest, to Kubernetes, requests a minute", &all, |one| {
        medians(&one.asked)
    }));
    report.table(&detail("a further start, to Kubernetes, requests", &all, |one| {
        medians(&one.start_asked)
    }));
    report.finish()
}

async fn measure(program: &Program, options: &Options, objects: usize) -> Result<Measured> {
    let wanted = Wanted {
        drift: Some(options.drift),
        requests_per_second: Some(options.requests_per_second),
        ..Wanted::default()
    };
    let fleet = || names("vm", objects);
    let stage = Stage::start(program, &World::of(objects, Duration::from_secs(5))).await?;
    stage.declare(FLEET, fleet(), SECRET).await?;
    let mut audit = stage.audit();
    let mut tail = Tail::start(&stage.sim).await?;
    let mut measured = Measured { objects, ..Measured::default() };

    let mut subject = stage.subject(program, &wanted)?;
    let looked = stage.all_looked_at(&mut subject, &mut tail, fleet(), limit(objects));
    measured.first = looked.await?;
    say(&format!("first start: all looked at after {:.1} s", measured.first.as_secs_f64()));
    stage.in_sync(FLEET, limit(objects)).await;
    measured.first_peak = subject.usage.memory()?.peak;
    // The first cycle after the first look may still differ from all later ones.
    tokio::time::sleep(options.drift).await;
    audit.skip()?;
    for minute in 1..=options.minutes {
        measured.minute(&stage, &subject, &mut audit).await?;
        say(&format!("{minute} of {} minutes at rest", options.minutes));
    }
    for _ in 0..options.starts {
        measured.stops.push(subject.stop()?.as_secs_f64());
        audit.skip()?;
        let mut tail = Tail::start(&stage.sim).await?;
        subject = stage.subject(program, &wanted)?;
        let looked = stage.all_looked_at(&mut subject, &mut tail, fleet(), limit(objects)).await?;
        say(&format!("a further start: all looked at after {:.1} s", looked.as_secs_f64()));
        measured.start(&subject, looked, &mut audit).await?;
    }
    Ok(measured)
}

impl Measured {
    /// One minute at rest.
    async fn minute(&mut self, stage: &Stage, subject: &Subject, audit: &mut Audit) -> Result<()> {
        let reads = provider::counts(&stage.sim).await?;
        let processor = subject.usage.processor()?;
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.processor.push(subject.usage.processor()? - processor);
        self.memory.push(subject.usage.memory()?.now);
        self.reads.push(provider::added(&reads, &provider::counts(&stage.sim).await?));
        self.asked.push(counted(&audit.next()?));
        Ok(())
    }

    /// One further start, once all was looked at. What it still has to do is waited for a while.
    async fn start(
        &mut self,
        subject: &Subject,
        looked: Duration,
        audit: &mut Audit,
    ) -> Result<()> {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let memory = subject.usage.memory()?;
        self.starts.push(looked.as_secs_f64());
        self.start_peaks.push(memory.peak);
        self.start_memory.push(memory.now);
        let asked = audit.next()?;
        #[allow(clippy::cast_precision_loss, reason = "requests are few")]
        self.start_writes.push(asked.iter().filter(|one| one.writes()).count() as f64);
        self.start_asked.push(counted(&asked));
        Ok(())
    }
}

/// The table of all figures, one column for each number of objects.
fn figures(all: &[Measured], drift: Duration) -> Vec<Vec<String>> {
    let row = |name: &str, of: &dyn Fn(&Measured) -> String| {
        [name.to_owned()].into_iter().chain(all.iter().map(of)).collect::<Vec<_>>()
    };
    let total = |one: &Measured| {
        let cycles = per_cycle(&one.reads, drift);
        number(cycles.values().map(|spread| spread.median).sum())
    };
    let mut rows = vec![
        head("objects", all),
        row("cloud reads per drift cycle", &total),
        row("the least possible: objects / 100", &|one| number_of(one.objects.div_ceil(100))),
        row("idle CPU, s per minute", &|one| spread(&one.processor)),
        row("RSS at rest, MB", &|one| spread(&one.memory)),
        row("RSS, most of the first start, MB", &|one| number(one.first_peak)),
        row("RSS, most of a further start, MB", &|one| spread(&one.start_peaks)),
        row("RSS 10 s after a further start, MB", &|one| spread(&one.start_memory)),
        row("first start: all looked at after, s", &|one| number(one.first.as_secs_f64())),
        row("further start: all looked at after, s", &|one| spread(&one.starts)),
        row("further start: writes to Kubernetes", &|one| spread(&one.start_writes)),
        row("clean stop, s", &|one| spread(&one.stops)),
    ];
    if let Some(bytes) = bytes_per_object(all) {
        rows.push(bytes);
    }
    rows
}

/// How much each further object adds to the memory, from one number of objects to the next.
fn bytes_per_object(all: &[Measured]) -> Option<Vec<String>> {
    if all.len() < 2 {
        return None;
    }
    let mut row = vec!["RSS, bytes per further object".to_owned(), String::new()];
    for pair in all.windows(2) {
        let [less, more] = pair else { continue };
        let median = |one: &Measured| Spread::of(&one.memory).map_or(0.0, |spread| spread.median);
        #[allow(clippy::cast_precision_loss, reason = "objects are few")]
        let further = more.objects as f64 - less.objects as f64;
        row.push(number((median(more) - median(less)) * 1e6 / further));
    }
    Some(row)
}

fn head(name: &str, all: &[Measured]) -> Vec<String> {
    let numbers = all.iter().map(|one| number_of(one.objects));
    [name.to_owned()].into_iter().chain(numbers).collect()
}

fn number_of(count: usize) -> String {
    #[allow(clippy::cast_precision_loss, reason = "counts are small")]
    number(count as f64)
}

/// A table of what was counted by name, one column for each number of objects.
fn detail(
    name: &str,
    all: &[Measured],
    of: impl Fn(&Measured) -> BTreeMap<String, Spread>,
) -> Vec<Vec<String>> {
    let columns: Vec<BTreeMap<String, Spread>> = all.iter().map(of).collect();
    let kinds: BTreeSet<&String> = columns.iter().flat_map(BTreeMap::keys).collect();
    let mut rows = vec![head(name, all)];
    for kind in &kinds {
        let cell = |column: &BTreeMap<String, Spread>| {
            column.get(*kind).map_or_else(|| "0".to_owned(), Spread::to_string)
        };
        rows.push([(*kind).clone()].into_iter().chain(columns.iter().map(cell)).collect());
    }
    if kinds.is_empty() {
        rows.push([vec!["none".to_owned()], vec!["0".to_owned(); all.len()]].concat());
    }
    rows
}

/// For each name, the spread of its counts; where it was not counted, it was 0.
fn medians<N: Copy + Default + TryInto<u32>>(
    counts: &[BTreeMap<String, N>],
) -> BTreeMap<String, Spread> {
    let names: BTreeSet<&String> = counts.iter().flat_map(BTreeMap::keys).collect();
    let of = |name: &String| {
        let samples: Vec<f64> = counts
            .iter()
            .map(|one| one.get(name).copied().unwrap_or_default())
            .map(|count| f64::from(count.try_into().unwrap_or(u32::MAX)))
            .collect();
        Spread::of(&samples).map(|spread| (name.clone(), spread))
    };
    names.into_iter().filter_map(of).collect()
}

/// Counts of minutes as counts of drift cycles.
fn per_cycle(minutes: &[BTreeMap<String, u64>], drift: Duration) -> BTreeMap<String, Spread> {
    let cycles = drift.as_secs_f64() / 60.0;
    let mut spreads = medians(minutes);
    for Spread { median, least, most } in spreads.values_mut() {
        for value in [median, least, most] {
            *value *= cycles;
        }
    }
    spreads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_counted_in_a_minute_was_zero_times() {
        let minute = |pairs: &[(&str, u64)]| {
            pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let minutes = [minute(&[("a", 4), ("b", 2)]), minute(&[("a", 8)]), minute(&[("a", 6)])];
        let spreads = per_cycle(&minutes, Duration::from_secs(30));
        assert_eq!(spreads["a"], Spread { median: 3.0, least: 2.0, most: 4.0 });
        assert_eq!(spreads["b"], Spread { median: 0.0, least: 0.0, most: 1.0 });
    }

    #[test]
    fn memory_of_a_further_object_is_the_slope() {
        let of = |objects, memory| Measured { objects, memory: vec![memory], ..Default::default() };
        let row = bytes_per_object(&[of(500, 20.0), of(2000, 26.0)]).unwrap();
        assert_eq!(row[2], "4,000");
    }
}
