//! Rules that hold while no change of this object is in flight: who may act, and what holds a
//! change back.

use super::{Facts, report};
use crate::{
    api::ManagementPolicy,
    lifecycle::{Claim, Decision, PlanView, Situation, Standing, refusal},
    zenlayer::InstanceState,
};

// ---- Who may act on the instance ----

pub(super) fn older_object_owns_the_instance(facts: &Facts) -> Option<Decision> {
    match &facts.observed.claim {
        Claim::Owner => None,
        Claim::Duplicate { owner } => {
            Some(report(Situation::DuplicateClaim { owner: owner.clone() }))
        }
    }
}

pub(super) fn slot_is_held_elsewhere(facts: &Facts) -> Option<Decision> {
    match &facts.standing {
        Standing::HeldElsewhere(holder) => {
            Some(report(Situation::HeldElsewhere { holder: holder.clone() }))
        }
        Standing::Idle | Standing::InFlight(_) | Standing::GivenBack(_) => None,
    }
}

// ---- What the reads say ----

pub(super) fn read_contradicts_what_was_seen(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let closed = facts.observed.slot()?.record.closed.as_ref()?;
    if !facts.may_lag(closed.until) {
        return None;
    }
    let plan = facts.observed.type_status().map_or(PlanView::None, PlanView::of);
    let agrees = instance.type_id == closed.to || plan.is_to(&closed.to);
    (!agrees).then(|| report(Situation::ReadLags))
}

pub(super) fn instance_is_in_sync(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let status = facts.observed.type_status();
    let plan = status.map_or(PlanView::None, PlanView::of);
    let current = status.is_none_or(|status| status.current == facts.desired.type_id);
    let in_sync = instance.type_id == facts.desired.type_id && current && plan == PlanView::None;
    in_sync.then(|| report(Situation::InSync))
}

/// Two reads of one pass that show different types say nothing about either.
pub(super) fn reads_disagree(facts: &Facts) -> Option<Decision> {
    let (instance, status) = facts.seen()?;
    (instance.type_id != status.current).then(|| report(Situation::ReadsStale))
}

// ---- What holds a change back ----

pub(super) fn policy_forbids_changes(facts: &Facts) -> Option<Decision> {
    if facts.observed.instance()?.type_id == facts.desired.type_id {
        return None;
    }
    match (facts.desired.policy, facts.desired.suspend) {
        (ManagementPolicy::Observe, _) => Some(report(Situation::DriftObserved)),
        (ManagementPolicy::Enforce, true) => Some(report(Situation::Suspended)),
        (ManagementPolicy::Enforce, false) => None,
    }
}

/// A plan that no change of this object stands for is somebody else's: never cancelled here.
pub(super) fn plan_is_open(facts: &Facts) -> Option<Decision> {
    match PlanView::of(facts.observed.type_status()?) {
        PlanView::None => None,
        PlanView::Open { to: Some(to), stage } if to == facts.desired.type_id => {
            Some(report(Situation::ForeignPlanToTarget { stage }))
        }
        PlanView::Open { to, stage } => Some(report(Situation::ForeignPlan { to, stage })),
    }
}

pub(super) fn refusal_stands(facts: &Facts) -> Option<Decision> {
    let refusal =
        refusal::standing(facts.desired, facts.memory, &facts.observed.secret, facts.now)?;
    let (from, to) = refusal.call.as_ref()?;
    let same = *from == facts.observed.instance()?.type_id && *to == facts.desired.type_id;
    same.then(|| report(Situation::Refused { refusal: refusal.clone() }))
}

/// One change is ordered at most once for one target; a person may allow it again.
pub(super) fn target_was_ordered_before(facts: &Facts) -> Option<Decision> {
    let from = &facts.observed.instance()?.type_id;
    let target = facts.memory.target_for(&facts.desired.type_id, facts.desired.generation);
    let entry = facts.memory.history.iter().rev().find(|entry| {
        entry.counts_as_ordered()
            && entry.target_generation == target.since_generation
            && entry.from == *from
            && entry.to == target.type_id
    })?;
    Some(report(if facts.releases(&entry.id) {
        Situation::Rearmed { id: entry.id.clone() }
    } else {
        Situation::Reverted { entry: entry.clone() }
    }))
}

pub(super) fn instance_state_forbids_changes(facts: &Facts) -> Option<Decision> {
    let state = facts.observed.instance()?.state.clone();
    match state {
        InstanceState::Running | InstanceState::Stopped => None,
        InstanceState::CreateFailed
        | InstanceState::Recycle
        | InstanceState::Recycling
        | InstanceState::Releasing => Some(report(Situation::InstanceUnusable { state })),
        InstanceState::Pending
        | InstanceState::Deploying
        | InstanceState::Booting
        | InstanceState::Stopping
        | InstanceState::Reboot
        | InstanceState::Rebuilding
        | InstanceState::Imaging
        | InstanceState::Other(_) => Some(report(Situation::InstanceBusy { state })),
    }
}

/// A paid call is signed only while our clock is near the provider's: further away, the fence
/// would say nothing.
pub(super) fn clock_is_skewed(facts: &Facts) -> Option<Decision> {
    let skews = facts.observed.dates().map(|date| facts.observed.began_at.duration_since(date));
    let skew = skews.max_by_key(|skew| skew.unsigned_abs())?;
    (skew.unsigned_abs() > facts.desired.timing.skew_limit)
        .then(|| report(Situation::ClockSkewed { seconds: skew.as_secs() }))
}

/// A paid call rests on reads that are complete and have just been made.
pub(super) fn reads_are_stale(facts: &Facts) -> Option<Decision> {
    let age = facts.now.duration_since(facts.observed.began_at);
    let fresh = !age.is_negative() && age.unsigned_abs() <= facts.desired.timing.freshness;
    let complete = facts.seen().is_some() && facts.observed.slot().is_some();
    (!fresh || !complete).then(|| report(Situation::ReadsStale))
}

/// A change is named by its second. One that ended within this very second keeps its name, or an
/// answer to it could be taken for an answer to the next one.
pub(super) fn name_is_taken(facts: &Facts) -> Option<Decision> {
    let id = facts.next_id();
    let record = facts.slot().record;
    let taken = facts.memory.history.iter().any(|entry| entry.id == id)
        || record.returned.as_ref() == Some(&id)
        || record.closed.is_some_and(|closed| closed.change == id);
    taken.then(|| report(Situation::ReadsStale))
}
