//! Moments of the provider's time, as milliseconds since the start and as the product has them.

use jiff::{SignedDuration, Timestamp};

/// The moment at which every run begins.
pub fn start() -> Timestamp {
    Timestamp::from_second(1_772_409_600).expect("a moment in 2026")
}

/// A moment of the provider's time.
pub fn at(millis: i64) -> Timestamp {
    start() + SignedDuration::from_millis(millis)
}

/// Milliseconds since the start.
pub fn since_start(time: Timestamp) -> i64 {
    time.as_millisecond() - start().as_millisecond()
}
