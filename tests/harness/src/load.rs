//! How much slower this machine is now than an idle one, measured by a fixed piece of work. Deadlines of
//! tests are stretched by it: they bound failures, and a machine that builds something else beside is no
//! failure.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hasher},
    hint::black_box,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// What the work takes on an idle machine of 2024, with and without optimization.
const IDLE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 25 } else { 6 });
/// No machine counts as slower than that.
const MOST: f64 = 10.0;
/// A measurement is repeated after this time, while somebody waits. It costs less than a hundredth of
/// one core.
const FRESH: Duration = Duration::from_secs(3);
/// The slowest of the last few counts: a short piece of work may by chance meet nobody.
const KEPT: usize = 3;

struct Load {
    samples: VecDeque<f64>,
    /// When the last measurement began.
    begun: Option<Instant>,
    measuring: bool,
}

static LOAD: Mutex<Load> =
    Mutex::new(Load { samples: VecDeque::new(), begun: None, measuring: false });

/// How many times slower than an idle machine this one was lately: 1 to `MOST`. Never waits; measures in
/// the background when the last result is old.
pub fn factor() -> f64 {
    let mut load = load();
    if !load.measuring && load.begun.is_none_or(|begun| begun.elapsed() > FRESH) {
        load.measuring = true;
        load.begun = Some(Instant::now());
        thread::spawn(|| {
            let slowness = slowness(work());
            self::load().learn(slowness);
        });
    }
    load.slowest()
}

fn load() -> MutexGuard<'static, Load> {
    LOAD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    fn learn(&mut self, slowness: f64) {
        self.samples.push_back(slowness);
        if self.samples.len() > KEPT {
            self.samples.pop_front();
        }
        self.measuring = false;
    }

    /// A measurement that runs for long says so before it ends.
    fn slowest(&self) -> f64 {
        let running = self.begun.filter(|_| self.measuring).map(|begun| slowness(begun.elapsed()));
        self.samples.iter().copied().chain(running).fold(1.0, f64::max)
    }
}

fn slowness(took: Duration) -> f64 {
    (took.as_secs_f64() / IDLE.as_secs_f64()).clamp(1.0, MOST)
}

/// What tests do: they compute, and they start processes and wait for them.
fn work() -> Duration {
    let started = Instant::now();
    let mut hasher = DefaultHasher::new();
    for _ in 0..1000 {
        hasher.write(black_box(&[7; 4096]));
    }
    black_box(hasher.finish());
    for _ in 0..4 {
        let mut command = Command::new("true");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Where there is no such program, the time that it takes to find that out counts.
        let _ = command.status();
    }
    started.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_counts_as_one_to_ten_times_slower_than_an_idle_one() {
        for (took, expected) in [(IDLE / 4, 1.0), (IDLE, 1.0), (IDLE * 3, 3.0), (IDLE * 99, 10.0)] {
            assert!((slowness(took) - expected).abs() < 1e-9, "{took:?}");
        }
        assert!(work() > Duration::ZERO);
    }

    #[test]
    fn the_slowest_of_the_last_three_measurements_counts() {
        let mut load = Load { samples: VecDeque::new(), begun: None, measuring: false };
        let mut seen = Vec::new();
        for slowness in [1.0, 4.0, 2.0, 1.0, 1.0] {
            load.learn(slowness);
            seen.push(load.slowest());
        }
        assert_eq!(seen, [1.0, 4.0, 4.0, 4.0, 2.0]);
        load.begun = Instant::now().checked_sub(IDLE * 99);
        load.measuring = true;
        assert!((load.slowest() - MOST).abs() < 1e-9, "one that runs counts already");
    }

    #[test]
    fn a_measurement_is_made_while_somebody_asks() {
        let mut deadline = crate::wait::Deadline::after(Duration::from_secs(20));
        factor();
        while load().samples.is_empty() {
            assert!(!deadline.passed(), "nothing was measured");
            thread::sleep(Duration::from_millis(5));
        }
        assert!((1.0..=MOST).contains(&factor()));
    }
}
