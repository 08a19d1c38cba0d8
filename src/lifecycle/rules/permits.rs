//! What holds back every call, whoever asks for it.

use zenlayer::InstanceState;

use crate::{
    api::ChangeKind,
    lifecycle::{Claim, Decision, Ended, Situation, Standing, facts::Facts},
};

pub fn older_object_owns_the_instance(facts: &Facts) -> Option<Decision> {
    match &facts.observed.claim {
        Claim::Owner => None,
        Claim::Duplicate { owner } => {
            Some(Decision::report(Situation::DuplicateClaim { owner: owner.clone() }))
        }
    }
}

pub fn slot_is_held_elsewhere(facts: &Facts) -> Option<Decision> {
    match &facts.standing {
        Standing::HeldElsewhere(holder) => {
            Some(Decision::report(Situation::HeldElsewhere { holder: holder.clone() }))
        }
        Standing::Idle | Standing::InFlight(_) | Standing::GivenBack(_) => None,
    }
}

/// Two reads of one pass that show different types say nothing about either.
pub fn reads_disagree(facts: &Facts) -> Option<Decision> {
    let (instance, status) = facts.seen()?;
    (instance.type_id != status.current).then(|| Decision::report(Situation::ReadsStale))
}

/// One change is ordered at most once for one target; a person may allow it again.
pub fn change_was_ordered_before(facts: &Facts) -> Option<Decision> {
    ordered_before(facts, ChangeKind::Modify)
}

/// The same for any call that is made on the way from the type in effect to the declared one.
pub fn ordered_before(facts: &Facts, kind: ChangeKind) -> Option<Decision> {
    let from = &facts.observed.instance()?.type_id;
    Some(once_more(facts, facts.memory.made_before(facts.desired, kind, from)?))
}

/// A call that is not made again by itself; a person may allow it.
pub fn once_more(facts: &Facts, entry: &Ended) -> Decision {
    Decision::report(if facts.releases(&entry.id) {
        Situation::Rearmed { id: entry.id.clone() }
    } else {
        Situation::Reverted { entry: entry.clone() }
    })
}

pub fn instance_state_forbids_changes(facts: &Facts) -> Option<Decision> {
    let state = facts.observed.instance()?.state.clone();
    match state {
        InstanceState::Running | InstanceState::Stopped => None,
        InstanceState::CreateFailed
        | InstanceState::Recycle
        | InstanceState::Recycling
        | InstanceState::Releasing => Some(Decision::report(Situation::InstanceUnusable { state })),
        InstanceState::Pending
        | InstanceState::Deploying
        | InstanceState::Booting
        | InstanceState::Stopping
        | InstanceState::Reboot
        | InstanceState::Rebuilding
        | InstanceState::Imaging
        | InstanceState::Other(_) => Some(Decision::report(Situation::InstanceBusy { state })),
    }
}

/// A call is signed only while our clock is near the provider's: further away, the fence would say
/// nothing.
pub fn clock_is_skewed(facts: &Facts) -> Option<Decision> {
    let skews = facts.observed.dates().map(|date| facts.observed.began_at.duration_since(date));
    let skew = skews.max_by_key(|skew| skew.unsigned_abs())?;
    (skew.unsigned_abs() > facts.desired.timing.skew_limit)
        .then(|| Decision::report(Situation::ClockSkewed { seconds: skew.as_secs() }))
}

/// A call rests on reads that are complete and have just been made.
pub fn reads_are_stale(facts: &Facts) -> Option<Decision> {
    let age = facts.now.duration_since(facts.observed.began_at);
    let fresh = !age.is_negative() && age.unsigned_abs() <= facts.desired.timing.freshness;
    let complete = facts.seen().is_some() && facts.observed.slot().is_some();
    (!fresh || !complete).then(|| Decision::report(Situation::ReadsStale))
}

/// A change that was seen has closed its slot; by now another one may hold it.
fn slot_is_held_by_another_change(facts: &Facts) -> Option<Decision> {
    let held = facts.observed.slot()?.record.holding.as_ref()?;
    let ours = facts.change().is_some_and(|change| change.id == held.change);
    (!ours).then(|| Decision::report(Situation::HeldElsewhere { holder: held.object.clone() }))
}

/// What holds back every call, also one that no rule of the list stands before.
pub fn call_is_held_back(facts: &Facts) -> Option<Decision> {
    let allowed = facts.desired.may_mutate();
    older_object_owns_the_instance(facts)
        .or_else(|| slot_is_held_elsewhere(facts))
        .or_else(|| slot_is_held_by_another_change(facts))
        .or_else(|| (!allowed).then(|| Decision::report(Situation::Suspended { hindrance: None })))
        .or_else(|| reads_disagree(facts))
        .or_else(|| clock_is_skewed(facts))
        .or_else(|| reads_are_stale(facts))
}
