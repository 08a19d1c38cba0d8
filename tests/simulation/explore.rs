//! Runs by seed: thousands of them with what they broke, or one with its story.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use zenlayer_vm_operator::telemetry::Metrics;

use harness::rng::Rng;

use crate::{
    coverage::{ALL, Coverage, RARE},
    laws::LAWS,
    ledger::Broken,
    nature::{MINUTE, Nature, TROUBLES},
    quiet::{self, Recovery},
    run::Run,
    shell::Contexts,
    world::{Story, World},
};

/// Steps of a long run, unless SIMULATION_STEPS says otherwise.
const STEPS: u64 = 400;
/// The first seed, unless SIMULATION_FIRST says otherwise.
const FIRST: u64 = 1;
/// Runs, unless SIMULATION_RUNS says otherwise.
const RUNS: u64 = 5000;
/// How many seeds of one kind are shown.
const SHOWN: usize = 8;

/// Which run.
#[derive(Clone, Copy)]
struct Which {
    seed: u64,
    /// How long it is at most.
    most_steps: u64,
    /// Made shorter: so many steps before all trouble ends.
    cut: Option<u64>,
    /// Made simpler: a bit for each kind of trouble that is left out.
    without: u64,
}

/// What one run led to.
struct Finished {
    broken: Vec<Broken>,
    coverage: Coverage,
    recovery: Option<Recovery>,
    /// Steps before all trouble ended, and in all.
    troubled: u64,
    steps: u64,
    story: Vec<String>,
}

/// One run from its seed to its rest.
fn finish(which: Which, metrics: &Metrics, story: Option<Story>) -> Finished {
    let mut rng = Rng::new(which.seed);
    let mut nature = Nature::draw(&mut rng, which.most_steps);
    for (index, (_, leave_out)) in TROUBLES.iter().enumerate() {
        if which.without & (1 << index) != 0 {
            leave_out(&mut nature);
        }
    }
    let steps = which.cut.unwrap_or(nature.steps).min(nature.steps);
    let world = World::new(nature, rng.fork(), story);
    let contexts = Contexts::default();
    let mut run = Run::new(world, rng, &contexts, metrics);
    let nature = format!("{:?}", run.world.nature);
    run.world.tell(|| nature);
    run.set_the_stage();
    while run.world.steps < steps && run.step(i64::MAX) {}
    let troubled = run.world.steps;
    run.be_calm();
    let fresh = quiet::fresh(&run, metrics);
    let recovery = run.until_recovered(&fresh);
    Finished {
        broken: run.world.ledger.broken.clone(),
        coverage: run.world.coverage,
        recovery,
        troubled,
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
    seeds: Vec<u64>,
    /// The one that broke it after the fewest steps.
    shortest: (u64, u64),
    detail: String,
}

#[derive(Default)]
struct Tally {
    kinds: BTreeMap<(&'static str, String), Kind>,
    coverage: Vec<u64>,
    slowest: Recovery,
    slowest_seeds: (u64, u64),
    steps: u64,
    most_steps: u64,
}

impl Tally {
    fn add(&mut self, seed: u64, finished: &Finished) {
        self.coverage.resize(ALL.len(), 0);
        for (count, (seen, _)) in self.coverage.iter_mut().zip(ALL) {
            *count += u64::from(finished.coverage.has(*seen));
        }
        for broken in &finished.broken {
            let kind = self.kinds.entry((broken.law, broken.kind.clone())).or_default();
            let steps = broken.steps.min(finished.troubled);
            if kind.seeds.is_empty() || (steps, seed) < kind.shortest {
                kind.shortest = (steps, seed);
                kind.detail = format!("{:.0} s: {}", broken.at as f64 / 1000.0, broken.detail);
            }
            kind.seeds.push(seed);
        }
        self.steps += finished.steps;
        if let Some(Recovery { passes, millis }) = finished.recovery {
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
                    "{count:>8}  {kind}: seeds {first:?}, {} in {} steps, {detail}",
                    shortest.1, shortest.0
                );
            }
        }
    }

    /// What must not be: each with a short story.
    fn faults(&self) -> String {
        let told = self.kinds.iter().map(|((law, kind), found)| {
            let which = Which {
                seed: found.shortest.1,
                most_steps: self.most_steps,
                cut: None,
                without: 0,
            };
            format!("{law} {kind}:\n{}", shortened(which, law, kind))
        });
        told.collect::<Vec<_>>().join("\n\n")
    }
}

/// The story of this breach, of a run that is as simple and as short as it was easy to make it.
fn shortened(which: Which, law: &str, kind: &str) -> String {
    let metrics = Metrics::default();
    let breach = |which: Which| {
        let finished = finish(which, &metrics, None);
        let broken = finished.broken.into_iter().find(|one| one.law == law && one.kind == kind);
        broken.map(|broken| (broken, finished.troubled))
    };
    let Some((_, mut steps)) = breach(which) else { return "it does not happen again".to_owned() };
    let mut best = which;
    for index in 0..TROUBLES.len() {
        let simpler = Which { without: best.without | 1 << index, ..best };
        if let Some((_, troubled)) = breach(simpler) {
            (best, steps) = (simpler, troubled);
        }
    }
    for part in [2, 4, 8, 16, 32] {
        while let shorter = steps - (steps / part).max(1)
            && shorter > 0
            && breach(Which { cut: Some(shorter), ..best }).is_some()
        {
            (best.cut, steps) = (Some(shorter), shorter);
        }
    }
    let story = finish(best, &metrics, Some(Story::default())).story;
    let end = story.iter().position(|line| line.contains(&format!("!! {law} {kind}")));
    let told = &story[..end.map_or(story.len(), |end| end + 1)];
    format!("{}\n{}", repeated(best), told.join("\n"))
}

/// The settings that repeat this run.
fn repeated(which: Which) -> String {
    let Which { seed, most_steps, cut, without } = which;
    let cut = cut.map_or(String::new(), |cut| format!(" SIMULATION_CUT={cut}"));
    let world = std::env::var("SIMULATION_WORLD").ok();
    let world = world.map_or(String::new(), |world| format!(" SIMULATION_WORLD={world}"));
    format!(
        "SIMULATION_SEED={seed} SIMULATION_STEPS={most_steps} SIMULATION_WITHOUT={without}{cut}{world} \
         cargo test --test simulation production_keeps -- --nocapture"
    )
}

fn explore(seeds: &[u64], most_steps: u64) -> Tally {
    let metrics = Metrics::default();
    let next = AtomicU64::new(0);
    let tally = Mutex::new(Tally { most_steps, ..Tally::default() });
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mine = || usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok();
                while let Some(seed) = mine().and_then(|index| seeds.get(index)) {
                    let which = Which { seed: *seed, most_steps, cut: None, without: 0 };
                    let finished = finish(which, &metrics, None);
                    tally.lock().unwrap().add(*seed, &finished);
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

/// The runs that both tests look at. `make test` names seeds of its own for each version of the files, so that
/// a run that breaks a law can be repeated; `make explore` makes others.
fn explored() -> &'static Tally {
    static TALLY: OnceLock<Tally> = OnceLock::new();
    TALLY.get_or_init(|| {
        let started = Instant::now();
        let runs = setting("SIMULATION_RUNS").unwrap_or(RUNS);
        let first = setting("SIMULATION_FIRST").unwrap_or(FIRST);
        let most_steps = setting("SIMULATION_STEPS").unwrap_or(STEPS);
        println!("seeds from {first} on");
        let seeds: Vec<u64> = (first..first + runs).collect();
        let tally = explore(&seeds, most_steps);
        tally.print(seeds.len() as u64, started);
        tally
    })
}

/// One run with its story, where the settings name its seed.
fn told() -> Option<Vec<String>> {
    let seed = setting("SIMULATION_SEED")?;
    let whole = std::env::var("SIMULATION_STORY").is_ok_and(|story| story == "whole");
    let which = Which {
        seed,
        most_steps: setting("SIMULATION_STEPS").unwrap_or(STEPS),
        cut: setting("SIMULATION_CUT"),
        without: setting("SIMULATION_WITHOUT").unwrap_or(0),
    };
    let story = Story { whole, ..Story::default() };
    Some(finish(which, &Metrics::default(), Some(story)).story)
}

/// How many runs it takes until a law is broken, by the first seeds in their order.
fn find(most: u64) {
    let metrics = Metrics::default();
    let most_steps = setting("SIMULATION_STEPS").unwrap_or(STEPS);
    let first = setting("SIMULATION_FIRST").unwrap_or(FIRST);
    // Only this law.
    let law = std::env::var("SIMULATION_LAW").ok();
    let started = Instant::now();
    for runs in 1..=most {
        let seed = first + runs - 1;
        let which = Which { seed, most_steps, cut: None, without: 0 };
        let broken = finish(which, &metrics, None).broken;
        if let Some(broken) =
            broken.iter().find(|one| law.as_ref().is_none_or(|law| law == one.law))
        {
            let Broken { law, kind, .. } = broken;
            return println!("found: {law} {kind} | {runs} runs");
        }
        if started.elapsed().as_secs() > setting("SIMULATION_SECONDS").unwrap_or(u64::MAX) {
            return println!("found: nothing in {runs} runs");
        }
    }
    println!("found: nothing in {most} runs");
}

#[test]
fn production_keeps_the_laws_whatever_happens() {
    if let Some(story) = told() {
        return println!("{}", story.join("\n"));
    }
    if let Some(most) = setting("SIMULATION_FIND") {
        return find(most);
    }
    let faults = explored().faults();
    assert!(faults.is_empty(), "{faults}");
}

/// A simulation that never loses an answer proves nothing about lost answers.
#[test]
fn the_runs_go_through_every_kind_of_trouble() {
    if ["SIMULATION_SEED", "SIMULATION_RUNS", "SIMULATION_STEPS", "SIMULATION_FIND"]
        .iter()
        .any(|&name| setting(name).is_some())
    {
        return;
    }
    let counts = ALL.iter().zip(&explored().coverage);
    let missing: Vec<_> = counts
        .filter(|((seen, _), count)| **count == 0 && !RARE.contains(seen))
        .map(|((_, text), _)| text)
        .collect();
    assert!(missing.is_empty(), "no run had {missing:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let which = Which { seed: 7, most_steps: STEPS, cut: None, without: 0 };
    let story = || {
        let whole = Story { whole: true, ..Story::default() };
        finish(which, &Metrics::default(), Some(whole)).story
    };
    assert_eq!(story(), story());
}
