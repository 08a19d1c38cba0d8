//! What holds back a call, whichever it is: the second list.

use zenlayer::with_causes;

use super::looking::needs;
use crate::lifecycle::{
    Desired,
    decision::Decision,
    facts::Facts,
    invalid_status::InvalidStatus,
    read::Read,
    situation::{HeldBack, Looking, Others},
    standing::Standing,
};

/// What holds back every call that changes the type.
pub fn call_is_held_back(facts: &Facts) -> Option<Decision> {
    const PERMITS: &[fn(&Facts) -> Option<Decision>] = &[
        status_is_readable,
        object_is_served_twice,
        a_request_may_still_take_effect,
        lane_is_taken,
        reads_for_a_call_are_needed,
        clock_is_skewed,
        reads_are_stale,
    ];
    PERMITS.iter().find_map(|permit| permit(facts))
}

/// What holds back a start: it rests on the instance alone.
pub fn start_is_held_back(facts: &Facts) -> Option<Decision> {
    const PERMITS: &[fn(&Facts) -> Option<Decision>] =
        &[status_is_readable, reads_for_a_call_are_needed, clock_is_skewed, instance_is_stale];
    PERMITS.iter().find_map(|permit| permit(facts))
}

/// What cannot be read may be what keeps a call from being made twice.
fn status_is_readable(facts: &Facts) -> Option<Decision> {
    let error = facts.memory.unreadable.as_ref()?;
    Some(status_is_invalid(facts.desired, error))
}

/// A part of the status cannot be read.
pub fn status_is_invalid(desired: &Desired, error: &InvalidStatus) -> Decision {
    let problem = format!(
        "{}; look at the provider's orders, then correct the field with kubectl edit vminstance {} \
         --subresource=status",
        with_causes(error),
        desired.object.name
    );
    Decision::report(Looking::InvalidStatus { problem })
}

/// Two operators may not know of each other's objects, and would each order for their own.
pub fn object_is_served_twice(facts: &Facts) -> Option<Decision> {
    let by = facts.observed.served_by.clone();
    (!by.is_empty()).then(|| Decision::report(HeldBack::ServedTwice { by }))
}

/// While a call of either lane may still take effect, nothing else is sent.
fn a_request_may_still_take_effect(facts: &Facts) -> Option<Decision> {
    let slot = facts.observed.slot()?;
    slot.record.is_open().then(|| Decision::report(Others::HeldElsewhere { holder: None }))
}

/// A change of the type that another object looks after, or that is not followed, keeps its lane.
fn lane_is_taken(facts: &Facts) -> Option<Decision> {
    match &facts.change {
        Standing::HeldElsewhere(holder) => {
            Some(Decision::report(Others::HeldElsewhere { holder: Some(holder.clone()) }))
        }
        Standing::Idle
        | Standing::InFlight(_)
        | Standing::Unrecorded(_)
        | Standing::WithoutIntent(_)
        | Standing::Ended(_)
        | Standing::Unreadable => None,
    }
}

/// A call rests on reads of its own, made together.
fn reads_for_a_call_are_needed(facts: &Facts) -> Option<Decision> {
    (!facts.observed.for_a_call).then(|| needs(&[Read::ForACall]))?
}

/// A call is signed only while our clock is near the provider's: further away, the fence would say
/// nothing.
fn clock_is_skewed(facts: &Facts) -> Option<Decision> {
    let skew = facts.observed.skews().max_by_key(|skew| skew.unsigned_abs())?;
    (skew.unsigned_abs() > facts.desired.timing.skew_limit)
        .then(|| Decision::report(HeldBack::ClockSkewed { seconds: skew.as_secs() }))
}

/// The reads of a call are complete and have just been made.
fn reads_are_stale(facts: &Facts) -> Option<Decision> {
    let complete = facts.seen().is_some() && facts.observed.slot().is_some();
    stale(facts, facts.observed.read_at().filter(|_| complete))
}

fn instance_is_stale(facts: &Facts) -> Option<Decision> {
    stale(facts, facts.observed.instance_read_at())
}

fn stale(facts: &Facts, read_at: Option<jiff::Timestamp>) -> Option<Decision> {
    let fresh = read_at.is_some_and(|at| {
        let age = facts.now.duration_since(at);
        !age.is_negative() && age.unsigned_abs() <= facts.desired.timing.freshness
    });
    (!fresh).then(|| Decision::report(Looking::TooOld))
}
