//! Runs by seed: one with its story, or thousands with what they broke.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use zenlayer_vm_operator::telemetry::Metrics;

use crate::{
    coverage::{ALL, Coverage},
    laws::LAWS,
    ledger::Broken,
    nature::{MINUTE, Nature},
    quiet::{self, Recovery},
    rng::Rng,
    run::Run,
    world::{Story, World},
};

/// Steps of a long run, unless SIMULATION_STEPS says otherwise.
const STEPS: u64 = 400;
/// Runs, unless SIMULATION_RUNS says otherwise.
const RUNS: u64 = 600;
/// How many seeds of one kind are shown.
const SHOWN: usize = 8;

/// What one run led to.
struct Finished {
    broken: Vec<Broken>,
    coverage: Coverage,
    recovery: Recovery,
    steps: u64,
    story: Vec<String>,
}

/// Which run: its seed, how long it is at most, and, where it is cut short, how long it is.
#[derive(Clone, Copy)]
struct Which {
    seed: u64,
    most_steps: u64,
    cut: Option<u64>,
}

/// One run from its seed to its rest.
fn finish(which: Which, metrics: &Metrics, story: Option<Story>) -> Finished {
    let mut rng = Rng::new(which.seed);
    let nature = Nature::draw(&mut rng, which.most_steps);
    let steps = which.cut.unwrap_or(nature.steps).min(nature.steps);
    let world = World::new(nature, rng.fork(), story);
    let mut run = Run::new(world, rng, metrics);
    let nature = format!("{:?}", run.world.nature);
    run.world.tell(|| nature);
    run.set_the_stage();
    while run.world.steps < steps && run.step(i64::MAX) {}
    run.be_calm();
    let fresh = quiet::fresh(&run, metrics);
    let recovery = run.until_recovered(&fresh);
    Finished {
        broken: run.world.ledger.broken.clone(),
        coverage: run.world.coverage,
        recovery,
        steps: run.world.steps,
        story: run.world.story.take().unwrap_or_default().lines,
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// The runs that broke one law in one way.
#[derive(Default)]
struct Kind {
    /// The seeds.
    seeds: Vec<u64>,
    /// The one that broke it after the fewest steps.
    shortest: (u64, u64),
    detail: String,
}

#[derive(Default)]
struct Tally {
    kinds: BTreeMap<(String, String), Kind>,
    coverage: Vec<u64>,
    slowest: Recovery,
    slowest_seeds: (u64, u64),
    steps: u64,
}

impl Tally {
    fn add(&mut self, seed: u64, finished: &Finished) {
        self.coverage.resize(ALL.len(), 0);
        for (count, (seen, _)) in self.coverage.iter_mut().zip(ALL) {
            *count += u64::from(finished.coverage.has(*seen));
        }
        for broken in &finished.broken {
            let key = (broken.law.to_owned(), broken.kind.clone());
            let kind = self.kinds.entry(key).or_default();
            if kind.seeds.is_empty() || (broken.steps, seed) < kind.shortest {
                kind.shortest = (broken.steps, seed);
                kind.detail = format!("{:.0} s: {}", broken.at as f64 / 1000.0, broken.detail);
            }
            kind.seeds.push(seed);
        }
        self.steps += finished.steps;
        if finished.broken.is_empty() {
            let Recovery { passes, millis } = finished.recovery;
            if passes > self.slowest.passes {
                (self.slowest.passes, self.slowest_seeds.0) = (passes, seed);
            }
            if millis > self.slowest.millis {
                (self.slowest.millis, self.slowest_seeds.1) = (millis, seed);
            }
        }
    }

    fn print(&self, runs: u64, started: Instant) {
        let elapsed = started.elapsed().as_secs_f64();
        println!(
            "{runs} runs, {:.0} a second, {} steps each",
            runs as f64 / elapsed,
            self.steps / runs.max(1)
        );
        println!(
            "slowest recovery: {} passes (seed {}), {} virtual minutes (seed {})",
            self.slowest.passes,
            self.slowest_seeds.0,
            self.slowest.millis / MINUTE,
            self.slowest_seeds.1
        );
        for ((_, text), count) in ALL.iter().zip(&self.coverage) {
            println!("{count:>8}  {text}");
        }
        for (law, sentence) in LAWS {
            println!("{law}: {sentence}");
            for ((_, kind), found) in self.kinds.iter().filter(|((of, _), _)| of == law) {
                let Kind { seeds, shortest, detail } = found;
                let mut seeds = seeds.clone();
                seeds.sort_unstable();
                let (count, first) = (seeds.len(), &seeds[..seeds.len().min(SHOWN)]);
                println!(
                    "{count:>8}  {kind}: seeds {first:?}, {} breaks it in {} steps, {detail}",
                    shortest.1, shortest.0
                );
            }
        }
    }
}

fn explore(first: u64, runs: u64, most_steps: u64) -> Tally {
    let metrics = Metrics::default();
    let next = AtomicU64::new(first);
    let tally = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + runs {
                        break;
                    }
                    let which = Which { seed, most_steps, cut: None };
                    let finished = finish(which, &metrics, None);
                    tally.lock().unwrap().add(seed, &finished);
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

#[test]
fn production_keeps_the_laws_whatever_happens() {
    let most_steps = setting("SIMULATION_STEPS").unwrap_or(STEPS);
    let started = Instant::now();
    if let Some(seed) = setting("SIMULATION_SEED") {
        let whole = std::env::var("SIMULATION_STORY").is_ok_and(|story| story == "whole");
        let story = Story { whole, ..Story::default() };
        let which = Which { seed, most_steps, cut: setting("SIMULATION_CUT") };
        let finished = finish(which, &Metrics::default(), Some(story));
        for line in &finished.story {
            println!("{line}");
        }
        return;
    }
    let runs = setting("SIMULATION_RUNS").unwrap_or(RUNS);
    let first = setting("SIMULATION_FIRST").unwrap_or(1);
    let tally = explore(first, runs, most_steps);
    tally.print(runs, started);
}
