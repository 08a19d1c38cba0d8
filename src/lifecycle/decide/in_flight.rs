//! Rules about the change in flight.

use super::{Facts, report};
use crate::{
    api::ChangeState,
    lifecycle::{
        Change, Decision, PlanStage, PlanView, Situation, Standing, decision::may_repeat_unverified,
    },
    zenlayer::{Instance, TypeStatus},
};

pub(super) fn slot_was_given_back(facts: &Facts) -> Option<Decision> {
    matches!(facts.standing, Standing::GivenBack(_)).then(|| report(Situation::GivenBack))
}

/// A person may release a change whose outcome stays unknown, or that is overdue. A request that
/// can still land is never released.
pub(super) fn person_releases_the_change(facts: &Facts) -> Option<Decision> {
    let change = facts.change()?;
    if !facts.releases(&change.id) {
        return None;
    }
    let settled_by_nobody = match change.state {
        ChangeState::Unverified => true,
        ChangeState::Submitting => change.fence.is_none(),
        ChangeState::Accepted | ChangeState::Observed => facts.is_overdue(change),
    };
    settled_by_nobody.then(|| Decision {
        action: facts.return_slot(change),
        situation: Situation::Released { change: change.clone() },
    })
}

/// How the effect of this change shows: as a plan to its target, or as the current type with no
/// plan to another one. Both reads must agree, or one of them lags.
fn effect(instance: &Instance, status: &TypeStatus, change: &Change) -> Option<Option<PlanStage>> {
    let plan = PlanView::of(status);
    match &plan {
        PlanView::Open { stage, .. } if plan.is_to(&change.to) => Some(Some(*stage)),
        PlanView::Open { .. } => None,
        PlanView::None => {
            (instance.type_id == change.to && status.current == change.to).then_some(None)
        }
    }
}

/// Without a plan, one of the two reads shows the target and the other one does not.
fn shows_in_one_read(instance: &Instance, status: &TypeStatus, change: &Change) -> bool {
    PlanView::of(status) == PlanView::None
        && (instance.type_id == change.to) != (status.current == change.to)
}

/// The outcome of the call is unknown: never repeated, never settled before the fence.
pub(super) fn outcome_is_unknown(facts: &Facts) -> Option<Decision> {
    let change = facts.change()?;
    let asked = match change.state {
        ChangeState::Submitting => false,
        ChangeState::Unverified => true,
        ChangeState::Accepted | ChangeState::Observed => return None,
    };
    let (instance, status) = facts.seen()?;
    let unknown = || report(Situation::OutcomeUnknown { change: change.clone() });
    let unverified = |asks| Situation::Unverified { change: change.clone(), asks };
    if change.fence.is_none() {
        return Some(report(unverified(true)));
    }
    if !facts.is_past_fence(change) {
        return Some(unknown());
    }
    if let Some(stage) = effect(instance, status, change) {
        let situation = Situation::EffectSeen { change: change.clone(), stage, adopted: true };
        return Some(Decision { action: facts.close_slot(change), situation });
    }
    if !asked && shows_in_one_read(instance, status, change) {
        return Some(unknown());
    }
    if may_repeat_unverified(&instance.charge_type, change.fence) {
        return Some(Decision { action: facts.return_slot(change), situation: unverified(false) });
    }
    Some(report(unverified(true)))
}

/// An accepted call holds its slot until its effect is seen.
pub(super) fn accepted_change_shows(facts: &Facts) -> Option<Decision> {
    let change = facts.change().filter(|change| change.state == ChangeState::Accepted)?.clone();
    let (instance, status) = facts.seen()?;
    if let Some(stage) = effect(instance, status, &change) {
        let action = facts.close_slot(&change);
        return Some(Decision {
            action,
            situation: Situation::EffectSeen { change, stage, adopted: false },
        });
    }
    Some(report(if facts.is_overdue(&change) {
        Situation::Overdue { change }
    } else {
        Situation::Accepted { change }
    }))
}

/// The effect was seen before: it goes on, is complete, or is gone again. Within one margin, and
/// while the two reads disagree, a read that contradicts it lags.
pub(super) fn observed_change_goes_on(facts: &Facts) -> Option<Decision> {
    let change = facts.change().filter(|change| change.state == ChangeState::Observed)?.clone();
    let (instance, status) = facts.seen()?;
    let lags = facts.expects(&change) || instance.type_id != status.current;
    let stage = match effect(instance, status, &change) {
        Some(None) => return Some(report(Situation::Completed { change })),
        None if !lags => return Some(report(Situation::Undone { change })),
        None => None,
        Some(stage) => stage,
    };
    let overdue = match stage {
        Some(PlanStage::Scheduled) => false,
        Some(PlanStage::Running | PlanStage::Unknown) | None => facts.is_overdue(&change),
    };
    Some(report(if overdue {
        Situation::Overdue { change }
    } else {
        Situation::Progressing { change, stage }
    }))
}
