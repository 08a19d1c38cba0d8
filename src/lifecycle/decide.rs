//! `decide`: what the world allows now. Pure: the same arguments give the same decision.

use jiff::Timestamp;

use super::{
    Desired, Observed,
    decision::{Action, Decision},
    facts::Facts,
    rules::{
        first_that_applies, object_is_kept_too_long, status_is_invalid, what_follows_the_type,
    },
    situation::{Looking, Situation},
};

/// The first rule that applies decides. Where nothing is left to do about the type, a machine that was
/// stopped for it is started first, and the object is no longer kept from being deleted. Where nothing
/// can be done at all, it is not kept for ever.
pub fn decide(desired: &Desired, observed: &Observed, now: Timestamp) -> Decision {
    let memory = match &observed.memory {
        Ok(memory) => memory,
        Err(error) => {
            let over = desired.is_kept_too_long(now, observed.since.spec);
            let action = if over { Action::SetFinalizer(false) } else { Action::Nothing };
            return Decision { action, ..status_is_invalid(desired, error) };
        }
    };
    let facts = Facts::new(desired, observed, memory, now);
    let decision = first_that_applies(&facts);
    let reads_on = matches!(decision.situation, Situation::Looking(Looking::Needs(_)));
    if decision.action != Action::Nothing || reads_on {
        return decision;
    }
    let settled = decision.situation.settles_the_type();
    let next = if settled { what_follows_the_type(&facts) } else { None };
    next.or_else(|| object_is_kept_too_long(&facts)).unwrap_or(decision)
}
