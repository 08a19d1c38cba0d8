//! When a request can no longer take effect, and when reads can no longer lag: by the provider's clock,
//! and by our own, which nobody can set. A `Date` that is wrong ends no wait early, and neither does a
//! clock of ours.

use std::time::Duration;

use jiff::Timestamp;

/// For how long this process has known something, by its own monotonic clock. What another process
/// wrote counts from when this one first saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Known(pub Duration);

/// What tells that a moment has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The provider's clock: the earliest `Date` of the reads, less its `Age`.
    pub date: Option<Timestamp>,
    pub known: Known,
    /// How far a signed timestamp may lie from the provider's clock.
    pub signature_life: Duration,
}

impl Witness {
    /// Whether `moment` of the provider's time has passed, and `wait` of our own. Without a `Date`, one
    /// signature's life more of our own has to pass: both clocks may have been off by that much.
    pub fn has_passed(&self, moment: Timestamp, wait: Duration) -> bool {
        match self.date {
            Some(date) => date > moment && self.known.0 >= wait,
            None => self.known.0 >= wait.saturating_add(self.signature_life),
        }
    }
}
