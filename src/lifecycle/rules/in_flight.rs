//! The change of the type in flight: settled, followed, or given to a person. None of these rules orders
//! anything, but for the cancellation of a scheduled change that the spec does not want any more.

use zenlayer::{ChargeType, Instance, PlanState, TypeStatus};

use super::at_rest::cancel;
use crate::{
    api::{ChangeKind, ChangeState},
    lifecycle::{
        decision::{Decision, may_repeat_unverified},
        facts::Facts,
        plan::{PlanStage, PlanView},
        protocol::{Change, HoldingState},
        situation::{Looking, Problem, TypeChange},
        time::{after, whole_seconds},
    },
};

/// A person may release a change whose outcome stays unknown, or that does not come to its end. A
/// request that can still take effect is never released.
pub fn person_releases_the_change(facts: &Facts) -> Option<Decision> {
    let change = facts.type_change()?;
    if !facts.releases(&change.id) {
        return None;
    }
    let settled_by_nobody = match change.state {
        ChangeState::Submitting => false,
        ChangeState::Unverified => true,
        ChangeState::Accepted => facts.is_overdue(change) || is_past_grace(facts, change),
        ChangeState::Observed => facts.is_overdue(change),
    };
    settled_by_nobody.then(|| Decision::report(TypeChange::Released { change: change.clone() }))
}

/// A change of an instance that is gone is over, once its request cannot take effect any more. Its lane
/// closes as if the effect had been seen: should the instance come back, nothing is ordered again.
pub fn instance_is_gone(facts: &Facts) -> Option<Decision> {
    if !facts.observed.is_missing() {
        return None;
    }
    // A stop that ends takes what the machine is brought back to along, so one empty answer ends none.
    let missing = facts.observed.since.missing.unwrap_or_default();
    let gone = missing >= facts.desired.timing.margin;
    let over = |change: &&Change| !change.is_unanswered() || facts.is_past_fence(change);
    let power = facts.power_change().filter(|_| gone).filter(over).cloned();
    let Some(change) = facts.type_change().cloned() else {
        return Some(Decision::report(Looking::InstanceGone { ended: None, power }));
    };
    if change.is_unanswered() && !facts.is_past_fence(&change) {
        return Some(may_still_land(facts, &change));
    }
    let action = facts.close(&change);
    Some(Decision::of(action, Looking::InstanceGone { ended: Some(change), power }))
}

/// The first minute of an accepted POSTPAID order is followed by the type of the machine alone, which is
/// read together with that of others: its plan says no more than that it goes on.
pub fn accepted_order_is_young(facts: &Facts) -> Option<Decision> {
    let change = facts.type_change().filter(|change| change.state == ChangeState::Accepted)?;
    let instance = facts.observed.instance()?;
    let age = change.submitted_at.map(|at| facts.now.duration_since(at).unsigned_abs());
    let young = age.is_some_and(|age| age < facts.desired.timing.young);
    let goes_on = change.kind == ChangeKind::Modify
        && instance.charge_type == ChargeType::Postpaid
        && instance.type_id == change.from
        && change.to == facts.desired.type_id;
    let asked = facts.observed.plan.is_some();
    (young && goes_on && !asked).then(|| goes_on_as_told(facts, change))
}

/// How the effect of this call shows, and what is still to come of it; `None`: it does not show.
/// Both reads must agree, or one of them lags.
fn effect(instance: &Instance, status: &TypeStatus, change: &Change) -> Option<Option<PlanStage>> {
    let plan = PlanView::of(status);
    let is_of_type = instance.type_id == change.to && status.current == change.to;
    match change.kind {
        ChangeKind::Modify => match &plan {
            PlanView::Open { stage, .. } if plan.is_to(&change.to) => Some(Some(*stage)),
            // The type is there, and beside it stands a plan that says nothing.
            PlanView::Open { to: None, .. } if is_of_type => Some(Some(PlanStage::Unknown)),
            PlanView::Open { .. } => None,
            PlanView::None => is_of_type.then_some(None),
        },
        ChangeKind::CancelDowngrade => (plan == PlanView::None && is_of_type).then_some(None),
        ChangeKind::Stop | ChangeKind::Start => None,
    }
}

/// What is not yet as a finished change leaves it.
fn unfinished(change: &Change, instance: &Instance) -> Option<Problem> {
    let agrees = change.size.agrees(instance.cpu_count, instance.memory_gib);
    (change.kind == ChangeKind::Modify && !agrees).then_some(Problem::Size {
        shown: (instance.cpu_count, instance.memory_gib),
        expected: (change.size.cpu_count, change.size.memory_gib),
    })
}

/// The outcome of the call is unknown: never repeated, never settled before the fence.
pub fn outcome_is_unknown(facts: &Facts) -> Option<Decision> {
    let change = facts.type_change()?;
    let asked = match change.state {
        ChangeState::Submitting => false,
        ChangeState::Unverified => true,
        ChangeState::Accepted | ChangeState::Observed => return None,
    };
    let (instance, status) = facts.seen()?;
    let shown = effect(instance, status, change);
    if !facts.is_past_fence(change) {
        let change = if shown.is_some() && !asked { &was_made(facts, change) } else { change };
        return Some(may_still_land(facts, change));
    }
    if let Some(stage) = shown {
        return Some(effect_is_seen(facts, change, stage, true));
    }
    // Accepted, then, and not in effect yet, or never.
    if shows_enable(status, change) {
        return Some(effect_is_seen(facts, change, Some(PlanStage::Running), true));
    }
    if !asked && shows_in_one_read(instance, status, change) && !facts.is_overdue(change) {
        return Some(Decision::report(TypeChange::Unknown { change: change.clone() }));
    }
    if change.seen_at.is_some() {
        return Some(what_was_seen_does_not_show(facts, change));
    }
    if may_repeat_unverified(change.kind, &instance.charge_type, change.fence) {
        return Some(Decision::report(TypeChange::NotMade { change: change.clone() }));
    }
    Some(a_person_is_asked(facts, change))
}

/// An order whose effect shows was made, whatever shows later; unless reads may lag behind an earlier
/// change. A cancellation is made again where it is still needed.
fn was_made(facts: &Facts, change: &Change) -> Change {
    let shows = change.kind == ChangeKind::Modify && facts.lagging(change.lane()).is_none();
    let now = shows.then(|| whole_seconds(facts.now));
    Change { seen_at: change.seen_at.or(now), ..change.clone() }
}

/// An effect that was seen before the fence is never ordered again without a person.
fn what_was_seen_does_not_show(facts: &Facts, change: &Change) -> Decision {
    let asked = change.state == ChangeState::Unverified;
    let once = facts.observed.shows_nothing_of_its_change();
    if is_gone_again(facts) {
        Decision::report(TypeChange::Undone { change: change.clone() })
    } else if !asked && (once || !facts.is_overdue(change)) {
        Decision::report(TypeChange::Unknown { change: change.clone() })
    } else {
        a_person_is_asked(facts, change)
    }
}

/// Both reads show nothing of an effect that was seen before, and not for the first time: one answer that
/// does not show it is none.
fn is_gone_again(facts: &Facts) -> bool {
    facts.observed.shows_nothing_of_its_change()
        && facts.observed.since.undone.unwrap_or_default() >= facts.desired.timing.poll.0
}

/// A request that may still take effect is waited for. One that never expires is waited for as long as
/// any other one, and nothing that shows then proves that it was this one.
fn may_still_land(facts: &Facts, change: &Change) -> Decision {
    let asked = change.state == ChangeState::Unverified;
    if asked || facts.is_past_own_time(change) {
        return a_person_is_asked(facts, change);
    }
    Decision::report(TypeChange::Unknown { change: change.clone() })
}

fn a_person_is_asked(facts: &Facts, change: &Change) -> Decision {
    let state = HoldingState::Unverified;
    let action = facts.write_slot(|record| record.answered(&change.id, state));
    Decision::of(action, TypeChange::Unverified { change: change.clone() })
}

/// Without a plan, one of the two reads shows the target and the other one does not.
fn shows_in_one_read(instance: &Instance, status: &TypeStatus, change: &Change) -> bool {
    PlanView::of(status) == PlanView::None
        && (instance.type_id == change.to) != (status.current == change.to)
}

/// The effect shows for the first time: the lane closes.
fn effect_is_seen(
    facts: &Facts,
    change: &Change,
    stage: Option<PlanStage>,
    adopted: bool,
) -> Decision {
    let instance = facts.observed.instance();
    let unfinished = instance.is_some_and(|one| unfinished(change, one).is_some());
    let stage = if stage.is_none() && unfinished { Some(PlanStage::Running) } else { stage };
    let situation = TypeChange::EffectSeen { change: change.clone(), stage, adopted };
    Decision::of(facts.close(change), situation)
}

/// Long enough after the acceptance for every read to show the effect.
fn is_past_grace(facts: &Facts, change: &Change) -> bool {
    let accepted = change.submitted_at.unwrap_or(change.started_at);
    facts.is_past(change.lane(), after(accepted, facts.desired.timing.margin))
}

/// The provider carries it out, as far as known.
fn goes_on_as_told(facts: &Facts, change: &Change) -> Decision {
    let known = facts.memory.change.as_ref().filter(|known| known.id == change.id);
    let told = known.is_some_and(|known| known.state == ChangeState::Accepted);
    let change = change.clone();
    Decision::report(if told {
        TypeChange::Accepted { change }
    } else {
        TypeChange::Ordered { change }
    })
}

/// An accepted call holds its lane until its effect is seen.
pub fn accepted_call_shows(facts: &Facts) -> Option<Decision> {
    let change = facts.type_change().filter(|change| change.state == ChangeState::Accepted)?;
    let (instance, status) = facts.seen()?;
    if let Some(stage) = effect(instance, status, change) {
        return Some(effect_is_seen(facts, change, stage, false));
    }
    let not_in_effect = PlanView::of(status) == PlanView::None && is_past_grace(facts, change);
    if !facts.is_overdue(change) && !not_in_effect {
        return Some(goes_on_as_told(facts, change));
    }
    let change = change.clone();
    Some(Decision::report(if facts.is_overdue(&change) {
        TypeChange::Overdue { change }
    } else {
        TypeChange::NotInEffect { change, problem: still_of(instance, status) }
    }))
}

/// What somebody else ordered is followed only while it is what is declared.
pub fn adopted_change_is_unwanted(facts: &Facts) -> Option<Decision> {
    let change = facts.type_change().filter(|change| change.adopted)?;
    let unwanted = change.to != facts.desired.type_id;
    unwanted.then(|| Decision::report(TypeChange::NoLongerFollowed { change: change.clone() }))
}

/// A change that waits for the next billing cycle is taken back before another one is ordered.
pub fn scheduled_change_is_unwanted(facts: &Facts) -> Option<Decision> {
    let change = facts.type_change().filter(|change| change.state == ChangeState::Observed)?;
    let (_, status) = facts.seen()?;
    let waits = matches!(
        PlanView::of(status),
        PlanView::Open { to: Some(to), stage: PlanStage::Scheduled } if to == change.to
    );
    let unwanted = change.kind == ChangeKind::Modify && change.to != facts.desired.type_id;
    if !(waits && unwanted) {
        return None;
    }
    if !facts.desired.may_order() {
        return Some(Decision::report(TypeChange::Unwanted { change: change.clone() }));
    }
    cancel(facts, &change.to)
}

/// The effect was seen before: it goes on, is complete, or is gone again. Within one margin, and
/// while the two reads disagree, a read that contradicts it lags.
pub fn observed_change_goes_on(facts: &Facts) -> Option<Decision> {
    let change =
        facts.type_change().filter(|change| change.state == ChangeState::Observed)?.clone();
    let (instance, status) = facts.seen()?;
    let overdue = facts.is_overdue(&change);
    let once = facts.observed.shows_nothing_of_its_change() && !is_gone_again(facts);
    let lags = facts.expects(&change) || instance.type_id != status.current || once;
    Some(Decision::report(match effect(instance, status, &change) {
        Some(None) => match unfinished(&change, instance) {
            None => TypeChange::Completed { change },
            Some(problem) if overdue => TypeChange::NotInEffect { change, problem },
            Some(_) => TypeChange::Progressing { change, stage: Some(PlanStage::Running) },
        },
        // The cycle that it waits for should have begun.
        Some(Some(PlanStage::Scheduled)) if overdue && change.effective_at.is_some() => {
            TypeChange::Overdue { change }
        }
        Some(stage @ Some(PlanStage::Scheduled)) => TypeChange::Progressing { change, stage },
        // As in the documented sample: it is about to be in effect, or has failed without a word.
        None if shows_enable(status, &change) && change.to == facts.desired.type_id => {
            if overdue {
                TypeChange::NotInEffect {
                    change,
                    problem: Problem::Enabled(status.current.clone()),
                }
            } else {
                TypeChange::Progressing { change, stage: None }
            }
        }
        None if !lags => TypeChange::Undone { change },
        _ if overdue => TypeChange::Overdue { change },
        Some(stage) => TypeChange::Progressing { change, stage },
        None => TypeChange::Progressing { change, stage: None },
    }))
}

fn still_of(instance: &Instance, status: &TypeStatus) -> Problem {
    if instance.type_id == status.current {
        return Problem::StillOfType(status.current.clone());
    }
    Problem::TwoTypes(instance.type_id.clone(), status.current.clone())
}

/// Enable, with the target of the change beside another current type.
fn shows_enable(status: &TypeStatus, change: &Change) -> bool {
    change.kind == ChangeKind::Modify
        && status.state == Some(PlanState::Enable)
        && status.target.as_ref() == Some(&change.to)
        && status.current != change.to
}
