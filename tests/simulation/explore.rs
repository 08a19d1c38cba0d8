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
    world::World,
};

/// Steps of a long run, unless SIMULATION_STEPS says otherwise.
const STEPS: u64 = 400;
/// Runs, unless SIMULATION_RUNS says otherwise.
const RUNS: u64 = 600;

/// What one run led to.
struct Finished {
    broken: Vec<Broken>,
    coverage: Coverage,
    recovery: Recovery,
    steps: u64,
    story: Vec<String>,
}

/// One run from its seed to its rest.
fn finish(seed: u64, most_steps: u64, metrics: &Metrics, told: bool) -> Finished {
    let mut rng = Rng::new(seed);
    let nature = Nature::draw(&mut rng, most_steps);
    let steps = nature.steps;
    let world = World::new(nature, rng.fork(), told);
    let mut run = Run::new(world, rng, metrics);
    if told {
        let nature = format!("{:?}", run.world.nature);
        run.world.tell(|| nature);
    }
    run.set_the_stage();
    while run.steps < steps && run.step(i64::MAX) {}
    run.be_calm();
    let fresh = quiet::fresh(&run, metrics);
    let recovery = run.until_recovered(&fresh);
    Finished {
        broken: run.world.ledger.broken.clone(),
        coverage: run.world.coverage,
        recovery,
        steps: run.steps,
        story: run.world.story.take().unwrap_or_default(),
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// The runs that broke one law in one way.
#[derive(Default)]
struct Kind {
    count: u64,
    first: u64,
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
            kind.count += 1;
            if kind.count == 1 || seed < kind.first {
                kind.first = seed;
                kind.detail = format!("{:.0} s: {}", broken.at as f64 / 1000.0, broken.detail);
            }
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
                let Kind { count, first, detail } = found;
                println!("    {count:>6}  {kind} (first seed {first}: {detail})");
            }
        }
    }
}

fn explore(first: u64, runs: u64, steps: u64) -> Tally {
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
                    let finished = finish(seed, steps, &metrics, false);
                    tally.lock().unwrap().add(seed, &finished);
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

#[test]
fn production_keeps_the_laws_whatever_happens() {
    let steps = setting("SIMULATION_STEPS").unwrap_or(STEPS);
    let started = Instant::now();
    if let Some(seed) = setting("SIMULATION_SEED") {
        let finished = finish(seed, steps, &Metrics::default(), true);
        for line in &finished.story {
            println!("{line}");
        }
        return;
    }
    let runs = setting("SIMULATION_RUNS").unwrap_or(RUNS);
    let tally = explore(1, runs, steps);
    tally.print(runs, started);
}
