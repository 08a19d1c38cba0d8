//! No call is in flight: who may act, whether anything is to be done, and what other people do.

use zenlayer::InstanceTypeId;

use super::{
    looking::reads_disagree,
    ordering::{adopted, call, edit_is_too_young, name_is_taken},
    permits::call_is_held_back,
};
use crate::{
    api::{ChangeKind, ManagementPolicy},
    lifecycle::{
        backoff,
        decision::Decision,
        ended::Ended,
        facts::Facts,
        observed::Claim,
        plan::{PlanStage, PlanView},
        refusal,
        situation::{AtRest, HeldBack, Looking, Others, Situation, TypeChange},
        standing::Standing,
        time::{after, is_within},
    },
};

/// Nothing new is asked for by an object that is being deleted.
pub fn object_is_being_deleted(facts: &Facts) -> Option<Decision> {
    facts.desired.deleted_at.map(|_| Decision::report(Others::BeingDeleted))
}

/// Of several objects that name one instance, the oldest one acts.
pub fn older_object_owns_the_instance(facts: &Facts) -> Option<Decision> {
    match &facts.observed.claim {
        Claim::Owner => None,
        Claim::Duplicate { owner, young } => {
            Some(Decision::report(Others::DuplicateClaim { owner: owner.clone(), young: *young }))
        }
    }
}

/// A change that another object looks after is waited for.
pub fn slot_is_held_elsewhere(facts: &Facts) -> Option<Decision> {
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

/// The machine is of the declared type, and no change is pending.
pub fn instance_is_in_sync(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let current =
        facts.observed.type_status().is_none_or(|status| status.current == facts.desired.type_id);
    let in_sync =
        instance.type_id == facts.desired.type_id && current && facts.plan() == PlanView::None;
    in_sync.then(|| Decision::report(AtRest::InSync))
}

/// A plan of this object's own that was not taken back after all is followed again.
pub fn own_plan_is_resumed(facts: &Facts) -> Option<Decision> {
    let entry = facts.memory.open_order().filter(|entry| facts.plan().is_to(&entry.to))?;
    let change = entry.resumed(crate::api::ChangeState::Observed, &facts.desired.timing);
    Some(Decision::report(TypeChange::Resumed { change }))
}

/// Somebody else has ordered what is declared: it is followed like an order of this object, to the
/// same end.
pub fn plan_is_to_the_declared_type(facts: &Facts) -> Option<Decision> {
    match facts.plan() {
        PlanView::Open { to: Some(to), stage } if to == facts.desired.type_id => {
            let change = adopted(facts, &to)?;
            if name_is_taken(facts, &change.id) {
                return Some(Decision::report(Looking::TooOld));
            }
            Some(Decision::report(TypeChange::Adopted { change, stage }))
        }
        PlanView::Open { .. } | PlanView::None => None,
    }
}

/// A plan that this object did not order is cancelled only by a person's word, once.
pub fn person_cancels_a_foreign_plan(facts: &Facts) -> Option<Decision> {
    let PlanView::Open { to: Some(to), stage: PlanStage::Scheduled } = facts.plan() else {
        return None;
    };
    let asked = facts.desired.cancel_plan.as_deref() == Some(to.as_str())
        && facts.memory.handled.cancel_plan != facts.desired.cancel_plan;
    if !asked || !facts.desired.may_order() {
        return None;
    }
    cancel(facts, &to)
}

/// Takes the scheduled change to this type back, unless something stands in the way of that.
pub fn cancel(facts: &Facts, planned: &InstanceTypeId) -> Option<Decision> {
    let current = &facts.observed.instance()?.type_id;
    let kind = ChangeKind::CancelDowngrade;
    Some(
        older_object_owns_the_instance(facts)
            .or_else(|| edit_is_too_young(facts))
            .or_else(|| refusal::stands(facts, kind, planned, current))
            .or_else(|| answers_were_lost(facts, kind))
            .or_else(|| reads_disagree(facts))
            .or_else(|| call_is_held_back(facts))
            .unwrap_or_else(|| call(facts, kind, planned, current)),
    )
}

/// A plan of somebody else's is waited for.
pub fn plan_is_foreign(facts: &Facts) -> Option<Decision> {
    match facts.plan() {
        PlanView::None => None,
        PlanView::Open { to, stage } => Some(Decision::report(Others::ForeignPlan { to, stage })),
    }
}

/// The spec may say that nothing is to be changed.
pub fn policy_forbids_changes(facts: &Facts) -> Option<Decision> {
    if facts.observed.instance()?.type_id == facts.desired.type_id {
        return None;
    }
    let hindrance = || hindrance(facts).map(Box::new);
    match (facts.desired.policy, facts.desired.suspend) {
        (ManagementPolicy::Observe, _) => {
            Some(Decision::report(AtRest::Drift { hindrance: hindrance() }))
        }
        (ManagementPolicy::Enforce, true) => {
            Some(Decision::report(AtRest::Suspended { hindrance: hindrance() }))
        }
        (ManagementPolicy::Enforce, false) => None,
    }
}

/// What would hold the change back if it were allowed, where nothing would be ordered then, either.
fn hindrance(facts: &Facts) -> Option<Situation> {
    let held_back = refusal_stands(facts)
        .or_else(|| change_was_ordered_before(facts))
        .or_else(|| instance_state_forbids_changes(facts))?;
    let allowed =
        matches!(held_back.situation, Situation::TypeChange(TypeChange::OrderedOnceMore { .. }));
    (!allowed).then_some(held_back.situation)
}

/// A call from this type to the declared one was refused, and what the refusal rests on is as it was.
pub fn refusal_stands(facts: &Facts) -> Option<Decision> {
    let from = &facts.observed.instance()?.type_id;
    let to = &facts.desired.type_id;
    [ChangeKind::Modify, ChangeKind::Stop]
        .into_iter()
        .find_map(|kind| refusal::stands(facts, kind, from, to))
}

/// One change is ordered at most once for one target; a person may allow it again.
pub fn change_was_ordered_before(facts: &Facts) -> Option<Decision> {
    let from = &facts.observed.instance()?.type_id;
    let entry = facts.memory.ordered_before(facts.desired, ChangeKind::Modify, from)?;
    Some(once_more(facts, entry))
}

/// A call that is not made again by itself; a person may allow it.
fn once_more(facts: &Facts, entry: &Ended) -> Decision {
    Decision::report(if facts.releases(&entry.id) {
        TypeChange::OrderedOnceMore { id: entry.id.clone() }
    } else {
        TypeChange::Reverted { entry: entry.clone() }
    })
}

/// The answers to several calls in a row were lost: the next one waits, longer and longer.
pub fn answers_to_the_change_were_lost(facts: &Facts) -> Option<Decision> {
    answers_were_lost(facts, ChangeKind::Modify)
}

fn answers_were_lost(facts: &Facts, kind: ChangeKind) -> Option<Decision> {
    let (tries, last) = facts.memory.without_effect(facts.desired, kind)?;
    let pause = backoff::before_another_call(tries);
    let until = after(last, pause);
    is_within(facts.now, last, pause)
        .then(|| Decision::report(HeldBack::AnswersLost { kind, tries, until }))
}

/// A change needs an instance that is at rest.
pub fn instance_state_forbids_changes(facts: &Facts) -> Option<Decision> {
    use zenlayer::InstanceState::*;
    let state = facts.observed.instance()?.state.clone();
    match state {
        Running | Stopped => None,
        CreateFailed | Recycle | Recycling | Releasing => {
            Some(Decision::report(HeldBack::InstanceUnusable { state }))
        }
        Pending | Deploying | Booting | Stopping | Reboot | Rebuilding | Imaging | Other(_) => {
            Some(Decision::report(HeldBack::InstanceBusy { state }))
        }
    }
}
