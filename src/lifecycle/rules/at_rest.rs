//! No call is in flight: who may act, whether anything is to be done, and what other people do.

use crate::{
    api::{ChangeKind, ChangeState, HistoryOutcome, ManagementPolicy},
    lifecycle::{
        Claim, Decision, Ended, PlanStage, PlanView, Situation, Standing,
        decide::{Facts, report},
        refusal, report,
        rules::ordering::{adopted, call_is_held_back, instance_state_forbids_changes},
    },
};
use zenlayer::InstanceTypeId;

pub fn older_object_owns_the_instance(facts: &Facts) -> Option<Decision> {
    match &facts.observed.claim {
        Claim::Owner => None,
        Claim::Duplicate { owner } => {
            Some(report(Situation::DuplicateClaim { owner: owner.clone() }))
        }
    }
}

pub fn slot_is_held_elsewhere(facts: &Facts) -> Option<Decision> {
    match &facts.standing {
        Standing::HeldElsewhere(holder) => {
            Some(report(Situation::HeldElsewhere { holder: holder.clone() }))
        }
        Standing::Idle | Standing::InFlight(_) | Standing::GivenBack(_) => None,
    }
}

/// Within one margin after an effect was seen, a read that contradicts it is lag, not news.
pub fn read_contradicts_what_was_seen(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let plan = facts.plan();
    let closed = &facts.observed.slot()?.record.closed;
    let contradicts =
        closed.iter().any(|one| facts.may_lag(one.until) && !one.agrees(instance, &plan));
    contradicts.then(|| report(Situation::ReadLags))
}

pub fn instance_is_in_sync(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let current =
        facts.observed.type_status().is_none_or(|status| status.current == facts.desired.type_id);
    let in_sync =
        instance.type_id == facts.desired.type_id && current && facts.plan() == PlanView::None;
    in_sync.then(|| report(Situation::InSync))
}

/// Two reads of one pass that show different types say nothing about either.
pub fn reads_disagree(facts: &Facts) -> Option<Decision> {
    let (instance, status) = facts.seen()?;
    (instance.type_id != status.current).then(|| report(Situation::ReadsStale))
}

/// A plan of this object's own that was not taken back after all is followed again.
pub fn own_plan_is_resumed(facts: &Facts) -> Option<Decision> {
    let entry = facts.memory.open_order().filter(|entry| facts.plan().is_to(&entry.to))?;
    let change = entry.resumed(ChangeState::Observed, &facts.desired.timing);
    Some(report(Situation::Resumed { change }))
}

/// Somebody else has ordered what is declared: it is followed like an order of this object, to the
/// same end.
pub fn plan_is_to_the_declared_type(facts: &Facts) -> Option<Decision> {
    match facts.plan() {
        PlanView::Open { to: Some(to), stage } if to == facts.desired.type_id => {
            Some(report(match adopted(facts, &to) {
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
            .unwrap_or_else(|| facts.call(kind, planned, current)),
    )
}

pub fn plan_is_foreign(facts: &Facts) -> Option<Decision> {
    match facts.plan() {
        PlanView::None => None,
        PlanView::Open { to, stage } => Some(report(Situation::ForeignPlan { to, stage })),
    }
}

pub fn policy_forbids_changes(facts: &Facts) -> Option<Decision> {
    if facts.observed.instance()?.type_id == facts.desired.type_id {
        return None;
    }
    match (facts.desired.policy, facts.desired.suspend) {
        (ManagementPolicy::Observe, _) => {
            Some(report(Situation::DriftObserved { hindrance: hindrance(facts) }))
        }
        (ManagementPolicy::Enforce, true) => {
            Some(report(Situation::Suspended { hindrance: hindrance(facts) }))
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
    same.then(|| report(Situation::Refused { refusal: refusal.clone() }))
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
    report(if facts.releases(&entry.id) {
        Situation::Rearmed { id: entry.id.clone() }
    } else {
        Situation::Reverted { entry: entry.clone() }
    })
}
