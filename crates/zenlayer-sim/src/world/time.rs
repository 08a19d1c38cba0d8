//! Sums of time, and how long the months of the account are.

use jiff::{SignedDuration, Timestamp};

/// A month is 30 days (the console guide).
pub const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A moment and a duration; the end of time stands for all that is later.
pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

/// The length of a PREPAID cycle of so many months.
pub(super) fn cycle(months: i64) -> SignedDuration {
    SignedDuration::from_secs(MONTH.as_secs().saturating_mul(months))
}
