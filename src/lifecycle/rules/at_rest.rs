//! No call is in flight: who may act, whether anything is to be done, and what other people do.

use crate::{
    api::{ChangeKind, ChangeState, HistoryOutcome, ManagementPolicy},
    lifecycle::{
        Decision, PlanStage, PlanView, Situation,
        facts::Facts,
        refusal, report,
        rules::{
            ordering::{adopted, call},
            permits::*,
        },
    },
};
use zenlayer::InstanceTypeId;

/// Within one margin after an effect was seen, a read that contradicts it is lag, not news.
pub fn read_contradicts_what_was_seen(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let plan = facts.plan();
    let closed = &facts.observed.slot()?.record.closed;
    let contradicts =
        closed.iter().any(|one| facts.may_lag(one.until) && !one.agrees(instance, &plan));
    contradicts.then(|| Decision::report(Situation::ReadLags))
}

pub fn instance_is_in_sync(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let current =
        facts.observed.type_status().is_none_or(|status| status.current == facts.desired.type_id);
    let in_sync =
        instance.type_id == facts.desired.type_id && current && facts.plan() == PlanView::None;
    in_sync.then(|| Decision::report(Situation::InSync))
}

/// A plan of this object's own that was not taken back after all is followed again.
pub fn own_plan_is_resumed(facts: &Facts) -> Option<Decision> {
    let entry = facts.memory.open_order().filter(|entry| facts.plan().is_to(&entry.to))?;
    let change = entry.resumed(ChangeState::Observed, &facts.desired.timing);
    Some(Decision::report(Situation::Resumed { change }))
}

/// Somebody else has ordered what is declared: it is followed like an order of this object, to the
/// same end.
pub fn plan_is_to_the_declared_type(facts: &Facts) -> Option<Decision> {
    match facts.plan() {
        PlanView::Open { to: Some(to), stage } if to == facts.desired.type_id => {
            Some(Decision::report(match adopted(facts, &to) {
                Some(change) => Situation::Adopted { change, stage },
                None => Situation::ReadsStale,
            }))
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
    if !asked || !facts.desired.may_mutate() {
        return None;
    }
    cancel(facts, &to)
}

/// Takes the scheduled change to this type back, unless something stands in the way of that.
pub fn cancel(facts: &Facts, planned: &InstanceTypeId) -> Option<Decision> {
    let current = &facts.observed.instance()?.type_id;
    let kind = ChangeKind::CancelDowngrade;
    let unanswered = || {
        let outcome = HistoryOutcome::Unverified;
        let last = facts.memory.came_to_nothing(facts.desired, kind, outcome)?;
        Some(once_more(facts, last))
    };
    Some(
        call_is_held_back(facts)
            .or_else(|| refusal::of_call_stands(facts, kind, planned, current))
            .or_else(unanswered)
            .unwrap_or_else(|| call(facts, kind, planned, current)),
    )
}

pub fn plan_is_foreign(facts: &Facts) -> Option<Decision> {
    match facts.plan() {
        PlanView::None => None,
        PlanView::Open { to, stage } => {
            Some(Decision::report(Situation::ForeignPlan { to, stage }))
        }
    }
}

pub fn policy_forbids_changes(facts: &Facts) -> Option<Decision> {
    if facts.observed.instance()?.type_id == facts.desired.type_id {
        return None;
    }
    match (facts.desired.policy, facts.desired.suspend) {
        (ManagementPolicy::Observe, _) => {
            Some(Decision::report(Situation::DriftObserved { hindrance: hindrance(facts) }))
        }
        (ManagementPolicy::Enforce, true) => {
            Some(Decision::report(Situation::Suspended { hindrance: hindrance(facts) }))
        }
        (ManagementPolicy::Enforce, false) => None,
    }
}

/// What would be told if changes were allowed, where nothing would be ordered then, either.
fn hindrance(facts: &Facts) -> Option<String> {
    let held_back = refusal_stands(facts)
        .or_else(|| change_was_ordered_before(facts))
        .or_else(|| instance_state_forbids_changes(facts))?;
    let allowed = matches!(held_back.situation, Situation::Rearmed { .. });
    let told = report::of(facts.desired, facts.observed.instance(), &held_back.situation);
    (!allowed).then_some(told.message)
}

/// The last refusal of a call from this type to the declared one, whichever call it was.
pub fn refusal_stands(facts: &Facts) -> Option<Decision> {
    let refusal =
        refusal::standing(facts.desired, facts.memory, &facts.observed.secret, facts.now)?;
    let call = refusal.call.as_ref()?;
    let same = call.from == facts.observed.instance()?.type_id && call.to == facts.desired.type_id;
    same.then(|| Decision::report(Situation::Refused { refusal: refusal.clone() }))
}
