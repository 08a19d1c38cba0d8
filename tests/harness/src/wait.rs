//! Waits for a condition with a deadline, never for a time.

use std::time::{Duration, Instant};

/// Repeats `look` until it gives a value. The failure says what was waited for, and what was seen
/// last.
pub async fn eventually<T, F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + limit;
    loop {
        match look().await {
            Ok(value) => return value,
            Err(seen) if Instant::now() > deadline => {
                panic!("waited {} s for {what}; seen last: {seen}", limit.as_secs())
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
