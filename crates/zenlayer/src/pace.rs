//! The rate limit of one credential: a token bucket that slows down when the provider says so.
//! Pure: `now` is a time since some fixed moment, and waiting is the caller's.
//!
//! A bucket of its own, because the rate changes: 429 halves it, and it recovers additively.

use std::{num::NonZeroU32, time::Duration};

/// How long the full rate takes to come back from nothing.
const RECOVERY: f64 = 60.0;
/// The slowest rate, as a part of the full one.
const SLOWEST: f64 = 1.0 / 32.0;
/// Answers to calls that were in flight together slow down once.
const ONE_EVENT: Duration = Duration::from_secs(1);
/// The longest `Retry-After` that is obeyed; the provider has never been seen to send one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Calls a second: a finite number above 0, such as 5 or 0.1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// `None`: it is not a finite number above 0.
    pub fn per_second(calls: f64) -> Option<Self> {
        (calls.is_finite() && calls > 0.0).then_some(Self(calls))
    }

    /// Calls a second.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<NonZeroU32> for Rate {
    fn from(calls: NonZeroU32) -> Self {
        Self(f64::from(calls.get()))
    }
}

/// A token bucket: calls a second and their bursts. `now` is always the time since one fixed moment,
/// and never goes back.
#[derive(Debug, Clone)]
pub struct Pace {
    full: f64,
    burst: f64,
    rate: f64,
    /// Below zero: calls that wait for their turn.
    tokens: f64,
    /// Up to when `tokens` is counted; in the future during a pause.
    counted: Duration,
    slowed: Option<Duration>,
}

impl Pace {
    /// A full bucket.
    pub fn new(rate: impl Into<Rate>, burst: NonZeroU32) -> Self {
        let (full, burst) = (rate.into().get(), f64::from(burst.get()));
        Self { full, burst, rate: full, tokens: burst, counted: Duration::ZERO, slowed: None }
    }

    /// Takes the next turn and says how long it is off.
    pub fn take(&mut self, now: Duration) -> Duration {
        self.count(now);
        self.tokens -= 1.0;
        let pause = self.counted.saturating_sub(now);
        let turn = (-self.tokens).max(0.0) / self.rate;
        pause.saturating_add(Duration::try_from_secs_f64(turn).unwrap_or(Duration::MAX))
    }

    /// How long it takes until so many turns are there at once, if nobody takes one before. More than
    /// the burst never are: so many are enough.
    pub fn wait(&mut self, calls: u32, now: Duration) -> Duration {
        self.count(now);
        let pause = self.counted.saturating_sub(now);
        let lacking = f64::from(calls).min(self.burst) - self.tokens;
        let wait = Duration::try_from_secs_f64(lacking.max(0.0) / self.rate);
        pause.saturating_add(wait.unwrap_or(Duration::MAX))
    }

    /// Takes so many turns, whether they are there or not.
    pub fn spend(&mut self, calls: u32, now: Duration) {
        self.count(now);
        self.tokens -= f64::from(calls);
    }

    /// Gives turns back that were not used.
    pub fn give_back(&mut self, calls: u32) {
        self.tokens = (self.tokens + f64::from(calls)).min(self.burst);
    }

    /// Calls a second, as things are.
    pub fn rate(&mut self, now: Duration) -> f64 {
        self.count(now);
        self.rate
    }

    /// The provider said 429, and perhaps for how long. The rate is halved, down to a 32nd, and takes
    /// a minute to come back in full; no turn comes before `retry_after` has passed, nor is one of
    /// more than 30 s obeyed.
    pub fn throttled(&mut self, now: Duration, retry_after: Option<Duration>) {
        self.count(now);
        if self.slowed.is_none_or(|before| now.saturating_sub(before) >= ONE_EVENT) {
            self.rate = (self.rate / 2.0).max(self.full * SLOWEST);
            self.slowed = Some(now);
        }
        self.tokens = self.tokens.min(0.0);
        let pause = retry_after.unwrap_or_default().min(LONGEST_PAUSE);
        self.counted = self.counted.max(now.saturating_add(pause));
    }

    /// Whether nothing is lost when this is forgotten and made anew.
    pub fn is_idle(&self, now: Duration) -> bool {
        let mut then = self.clone();
        then.count(now);
        then.tokens >= then.burst && then.rate >= then.full
    }

    fn count(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.counted).as_secs_f64();
        self.counted = self.counted.max(now);
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        self.rate = (self.rate + passed * self.full / RECOVERY).min(self.full);
    }
}
