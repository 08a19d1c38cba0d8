//! What has to be read before anything can be decided. The rules say so themselves, at the place in
//! their order where they need it; the controller only fetches.

use jiff::Timestamp;

use super::{
    Desired, Observed,
    decide::decide,
    situation::{Looking, Situation},
};

/// Something that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Read {
    Instance,
    Plan,
    Slot,
    /// How many orders were made within the last hour.
    Orders,
    /// The types on offer.
    Catalogue,
    /// The list prices of the type in effect and of the declared one.
    Prices,
    /// Instance, plan and slot once more, for a call: now, and together.
    ForACall,
}

/// What is to be read next; nothing, if all is known that a decision takes.
pub fn needs(desired: &Desired, observed: &Observed, now: Timestamp) -> &'static [Read] {
    match decide(desired, observed, now).situation {
        Situation::Looking(Looking::Needs(reads)) => reads,
        _ => &[],
    }
}
