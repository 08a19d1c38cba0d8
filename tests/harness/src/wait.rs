//! Waits for a condition with a deadline, never for a time.

use std::time::{Duration, Instant};

use crate::load;

/// Waits shorter than this are not worth a look at the load.
const SHORT: Duration = Duration::from_secs(2);

/// The end of a wait. Time counts as on an idle machine: where everything takes three times as long, so
/// may this. No gap between two looks ends it alone: a machine that stood still has shown nothing.
pub struct Deadline {
    limit: Duration,
    started: Instant,
    looked: Instant,
    spent: Duration,
}

impl Deadline {
    pub fn after(limit: Duration) -> Self {
        let now = Instant::now();
        Self { limit, started: now, looked: now, spent: Duration::ZERO }
    }

    pub fn passed(&mut self) -> bool {
        let now = Instant::now();
        let slowness = if now - self.started < SHORT { 1.0 } else { load::factor() };
        self.spend(now, slowness)
    }

    fn spend(&mut self, now: Instant, slowness: f64) -> bool {
        self.spent += (now - self.looked).div_f64(slowness).min(self.limit / 4);
        self.looked = now;
        self.spent >= self.limit
    }

    /// How long the wait was, for the message of a failure.
    pub fn waited(&self) -> String {
        let (seconds, limit) = (self.started.elapsed().as_secs(), self.limit.as_secs());
        format!("{seconds} s (on an idle machine at most {limit} s)")
    }
}

/// Repeats `look` until it gives a value. The failure says what was waited for, and what was seen
/// last.
pub async fn eventually<T, F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let mut deadline = Deadline::after(limit);
    loop {
        match look().await {
            Ok(value) => return value,
            Err(seen) if deadline.passed() => {
                panic!("waited {} for {what}; seen last: {seen}", deadline.waited())
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The seconds after which the limit has passed, where each second is of this slowness.
    fn passes_after(limit: u32, slowness: impl Fn(u32) -> f64) -> Option<u32> {
        let mut deadline = Deadline::after(limit * SECOND);
        let start = deadline.started;
        (1..=1000).find(|second| deadline.spend(start + *second * SECOND, slowness(*second)))
    }

    #[test]
    fn time_on_a_loaded_machine_counts_for_less_and_only_while_it_is_loaded() {
        for (name, slowness, expected) in [
            ("idle", &(|_| 1.0) as &dyn Fn(u32) -> f64, 30),
            ("loaded", &|_| 2.0, 60),
            ("loaded for 40 s", &|second| if second <= 40 { 4.0 } else { 1.0 }, 60),
            ("loaded at the end", &|second| if second > 20 { 8.0 } else { 1.0 }, 100),
        ] {
            assert_eq!(passes_after(30, slowness), Some(expected), "{name}");
        }
    }

    #[test]
    fn a_machine_that_stood_still_is_looked_at_again() {
        let mut deadline = Deadline::after(30 * SECOND);
        let start = deadline.started;
        assert!(!deadline.spend(start + 500 * SECOND, 1.0));
        let passed = (501..).find(|second| deadline.spend(start + *second * SECOND, 1.0));
        assert_eq!(passed, Some(523), "a quarter of 30 s, and 23 s");
    }

    #[tokio::test]
    #[should_panic(expected = "for a thing that never comes; seen last: nothing")]
    async fn what_never_comes_fails_with_what_was_seen() {
        eventually("a thing that never comes", Duration::ZERO, async || {
            Err::<(), _>("nothing".to_owned())
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_there_is_given_though_the_limit_is_over() {
        assert_eq!(eventually("a thing", Duration::ZERO, async || Ok(7)).await, 7);
    }
}
