//! What has to be read before anything can be decided. The rules say so themselves, at the place in
//! their order where they need it; the controller only fetches.

use jiff::Timestamp;

use super::{
    Desired, Observed,
    decide::decide,
    read::Read,
    situation::{Looking, Situation},
};

/// What is to be read next; nothing, if all is known that a decision takes.
pub fn needs(desired: &Desired, observed: &Observed, now: Timestamp) -> &'static [Read] {
    match decide(desired, observed, now).situation {
        Situation::Looking(Looking::Needs(reads)) => reads,
        _ => &[],
    }
}
