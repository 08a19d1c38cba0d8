//! Arithmetic on moments that never panics.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A moment after another one; the far end of time if there is none.
pub fn after(start: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait)
        .ok()
        .and_then(|wait| start.checked_add(wait).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Whether `pause` after `last` has not passed yet. What lies further ahead than any pause was reckoned by
/// a clock that was wrong.
pub fn is_within(now: Timestamp, last: Timestamp, pause: Duration) -> bool {
    now < after(last, pause) && last <= after(now, pause)
}

/// A status holds whole seconds; comparing with what it gives back needs the same here.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
