//! The time limits of the protocol and of the looks.

use std::time::Duration;

use crate::api::ChangeKind;

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// How far a signed timestamp may lie from the provider's clock: 300 s, by its page on signatures.
    pub signature_life: Duration,
    /// Longest time from the provider's signature check to an effect that every read shows.
    pub margin: Duration,
    /// How long after the decision a paid call may still be sent.
    pub send_window: Duration,
    /// How old the reads may be that a paid call rests on.
    pub freshness: Duration,
    /// Largest distance between our clock and the provider's at which a call is signed.
    pub skew_limit: Duration,
    /// How long an accepted change may take.
    pub change_deadline: Duration,
    /// How long a graceful stop, or a start, may take.
    pub power_deadline: Duration,
    /// First and longest pause between looks at a change in flight.
    pub poll: (Duration, Duration),
    /// For how long an accepted POSTPAID order is young: followed by the type of its machine alone.
    pub young: Duration,
    /// Pause between looks at an object that is at rest.
    pub drift: Duration,
    /// Pause between looks at the Secret of an object whose credential is unusable.
    pub secret: Duration,
    /// Pause before a call that was refused with an unknown code is made again.
    pub slow_retry: Duration,
    /// Longest pause before a call that was refused for a reason of the account is made again.
    pub account_retry: Duration,
    /// How long after the edit that asks for it a paid call is made, at the earliest.
    pub order_delay: Duration,
    /// Pause between looks at the plan of an object in sync.
    pub plan: Duration,
    /// How long a machine that was stopped for a change keeps its object from being deleted.
    pub restore_bound: Duration,
}

/// How long a leader leads without a word, and how often it says one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// After so long without a change of the lease another process may take it.
    pub lease: Duration,
    /// After so long without a renewal the leader stops by itself.
    pub renew: Duration,
    /// Pause between two attempts to take or to renew it.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self::new(Duration::from_secs(300), Duration::from_secs(300))
    }
}

impl Timing {
    /// The limits that follow from the signature's life and the settle margin.
    pub fn new(signature_life: Duration, margin: Duration) -> Self {
        Self {
            signature_life,
            margin,
            send_window: Duration::from_secs(5),
            freshness: Duration::from_secs(5),
            skew_limit: signature_life * 4 / 5,
            change_deadline: Duration::from_secs(30 * 60),
            power_deadline: Duration::from_secs(5 * 60),
            poll: (Duration::from_secs(5), Duration::from_secs(30)),
            young: Duration::from_secs(60),
            drift: Duration::from_secs(5 * 60),
            secret: Duration::from_secs(60),
            slow_retry: Duration::from_secs(30 * 60),
            account_retry: Duration::from_secs(6 * 3600),
            order_delay: Duration::from_secs(2),
            plan: Duration::from_secs(3600),
            restore_bound: Duration::from_secs(3600),
        }
    }

    /// How long our own clock has to run before a request can no longer take effect unseen.
    pub fn fence(&self) -> Duration {
        self.signature_life.saturating_add(self.margin)
    }

    /// How long a call of this kind may take to its end.
    pub fn limit(&self, kind: ChangeKind) -> Duration {
        match kind {
            ChangeKind::Modify | ChangeKind::CancelDowngrade => self.change_deadline,
            ChangeKind::Stop | ChangeKind::Start => self.power_deadline,
        }
    }
}
