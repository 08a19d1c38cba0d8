//! The call in flight: settled, followed, or given to a person. None of these rules orders
//! anything, but for the cancellation of a scheduled change that the spec does not want any more.

use crate::{
    api::{ChangeKind, ChangeState},
    lifecycle::{
        Change, Decision, PlanStage, PlanView, Situation, Standing,
        decision::may_repeat_unverified,
        facts::Facts,
        rules::at_rest::cancel,
        slot::{Aspect, leads_to},
        time::after,
    },
};
use zenlayer::{Instance, InstanceState, PlanState, TypeStatus};

pub fn slot_was_given_back(facts: &Facts) -> Option<Decision> {
    matches!(facts.standing, Standing::GivenBack(_)).then(|| Decision::report(Situation::GivenBack))
}

/// A person may release a change whose outcome stays unknown, or that does not come to its end. A
/// request that can still land is never released.
pub fn person_releases_the_change(facts: &Facts) -> Option<Decision> {
    let change = facts.change()?;
    if !facts.releases(&change.id) {
        return None;
    }
    let settled_by_nobody = match change.state {
        ChangeState::Unverified => true,
        ChangeState::Submitting => change.fence.is_none(),
        ChangeState::Accepted => facts.is_overdue(change) || is_past_grace(facts, change),
        ChangeState::Observed => facts.is_overdue(change),
    };
    settled_by_nobody.then(|| Decision {
        action: facts.return_slot(change),
        situation: Situation::Released { change: change.clone() },
    })
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
        ChangeKind::Stop | ChangeKind::Start => {
            let there = match instance.state {
                InstanceState::Stopped | InstanceState::Running => None,
                _ => Some(PlanStage::Running),
            };
            leads_to(change.kind, &instance.state).then_some(there)
        }
    }
}

/// What is not yet as a finished change leaves it.
fn unfinished(facts: &Facts, change: &Change, instance: &Instance) -> Option<String> {
    if change.kind != ChangeKind::Modify {
        return None;
    }
    if !change.size.agrees(instance.cpu_count, instance.memory_gib) {
        let shown = |value: Option<i64>| value.map_or("?".to_owned(), |value| value.to_string());
        return Some(format!(
            "the instance shows {} cores and {} GiB, and {} has {} and {}: it may need a restart",
            shown(instance.cpu_count),
            shown(instance.memory_gib),
            change.to,
            shown(change.size.cpu_count),
            shown(change.size.memory_gib)
        ));
    }
    let back = match (&instance.state, &change.power_state) {
        (InstanceState::Running, _) => true,
        (InstanceState::Stopped, before) => {
            facts.restore.is_some() || *before != Some(InstanceState::Running)
        }
        _ => false,
    };
    (!back).then(|| match &change.power_state {
        Some(before) => format!("the instance is {}, and was {before} before", instance.state),
        None => format!("the instance is {}", instance.state),
    })
}

/// The outcome of the call is unknown: never repeated, never settled before the fence.
pub fn outcome_is_unknown(facts: &Facts) -> Option<Decision> {
    let change = facts.change()?;
    let asked = match change.state {
        ChangeState::Submitting => false,
        ChangeState::Unverified => true,
        ChangeState::Accepted | ChangeState::Observed => return None,
    };
    let (instance, status) = facts.seen()?;
    let unknown = || Decision::report(Situation::OutcomeUnknown { change: change.clone() });
    let unverified = |asks| Situation::Unverified { change: change.clone(), asks };
    if change.fence.is_none() {
        return Some(Decision::report(unverified(true)));
    }
    if !facts.is_past_fence(change) {
        return Some(unknown());
    }
    if let Some(stage) = effect(instance, status, change) {
        return Some(effect_is_seen(facts, change, stage, true));
    }
    // Accepted, then, and not in effect yet, or never.
    if shows_enable(status, change) {
        return Some(effect_is_seen(facts, change, Some(PlanStage::Running), true));
    }
    if !asked && shows_in_one_read(instance, status, change) {
        return Some(unknown());
    }
    if may_repeat_unverified(change.kind, &instance.charge_type, change.fence) {
        return Some(Decision { action: facts.return_slot(change), situation: unverified(false) });
    }
    Some(Decision::report(unverified(true)))
}

/// Without a plan, one of the two reads shows the target and the other one does not.
fn shows_in_one_read(instance: &Instance, status: &TypeStatus, change: &Change) -> bool {
    match change.kind {
        ChangeKind::Modify | ChangeKind::CancelDowngrade => {
            PlanView::of(status) == PlanView::None
                && (instance.type_id == change.to) != (status.current == change.to)
        }
        ChangeKind::Stop | ChangeKind::Start => false,
    }
}

/// The effect shows for the first time: the slot closes.
fn effect_is_seen(
    facts: &Facts,
    change: &Change,
    stage: Option<PlanStage>,
    adopted: bool,
) -> Decision {
    let unfinished = stage.is_none()
        && facts.observed.instance().is_some_and(|one| unfinished(facts, change, one).is_some());
    let stage = if unfinished { Some(PlanStage::Running) } else { stage };
    let situation = Situation::EffectSeen { change: change.clone(), stage, adopted };
    Decision { action: facts.close_slot(change), situation }
}

/// Long enough after the acceptance for every read to show the effect.
fn is_past_grace(facts: &Facts, change: &Change) -> bool {
    let accepted = change.submitted_at.unwrap_or(change.started_at);
    facts.has_passed(after(accepted, facts.desired.timing.margin))
}

/// An accepted call holds its slot until its effect is seen.
pub fn accepted_call_shows(facts: &Facts) -> Option<Decision> {
    let change = facts.change().filter(|change| change.state == ChangeState::Accepted)?;
    let (instance, status) = facts.seen()?;
    if let Some(stage) = effect(instance, status, change) {
        return Some(effect_is_seen(facts, change, stage, false));
    }
    let change = change.clone();
    // Nobody has to settle a stop or a start: its state is there to be read.
    let power = Aspect::of(change.kind) == Aspect::Power;
    if power && is_past_grace(facts, &change) {
        let action = facts.return_slot(&change);
        return Some(Decision { action, situation: Situation::GivenUp { change } });
    }
    Some(Decision::report(if facts.is_overdue(&change) && !power {
        Situation::Overdue { change }
    } else if PlanView::of(status) == PlanView::None && is_past_grace(facts, &change) {
        let problem =
            format!("no change is pending at the provider, and {}", still_of(instance, status));
        Situation::NotInEffect { change, problem }
    } else {
        Situation::Accepted { change }
    }))
}

/// What somebody else ordered is followed only while it is what is declared.
pub fn adopted_change_is_unwanted(facts: &Facts) -> Option<Decision> {
    let change = facts.change().filter(|change| change.adopted)?;
    let unwanted = change.to != facts.desired.type_id;
    unwanted.then(|| Decision::report(Situation::LetGo { change: change.clone() }))
}

/// A change that waits for the next billing cycle is taken back before another one is ordered.
pub fn scheduled_change_is_unwanted(facts: &Facts) -> Option<Decision> {
    let change = facts.change().filter(|change| change.state == ChangeState::Observed)?;
    let (_, status) = facts.seen()?;
    let waits = matches!(
        PlanView::of(status),
        PlanView::Open { to: Some(to), stage: PlanStage::Scheduled } if to == change.to
    );
    let unwanted = change.kind == ChangeKind::Modify && change.to != facts.desired.type_id;
    if !(waits && unwanted) {
        return None;
    }
    if !facts.desired.may_mutate() {
        return Some(Decision::report(Situation::UnwantedPlan { change: change.clone() }));
    }
    cancel(facts, &change.to)
}

/// The effect was seen before: it goes on, is complete, or is gone again. Within one margin, and
/// while the two reads disagree, a read that contradicts it lags.
pub fn observed_change_goes_on(facts: &Facts) -> Option<Decision> {
    let change = facts.change().filter(|change| change.state == ChangeState::Observed)?.clone();
    if matches!(change.kind, ChangeKind::Stop | ChangeKind::Start) {
        return None;
    }
    let (instance, status) = facts.seen()?;
    let overdue = facts.is_overdue(&change);
    let lags = facts.expects(&change) || instance.type_id != status.current;
    Some(Decision::report(match effect(instance, status, &change) {
        Some(None) => match unfinished(facts, &change, instance) {
            None => Situation::Completed { change },
            Some(problem) if overdue => Situation::NotInEffect { change, problem },
            Some(_) => Situation::Progressing { change, stage: Some(PlanStage::Running) },
        },
        // The cycle that it waits for should have begun.
        Some(Some(PlanStage::Scheduled)) if overdue && change.effective_at.is_some() => {
            Situation::Overdue { change }
        }
        Some(stage @ Some(PlanStage::Scheduled)) => Situation::Progressing { change, stage },
        // As in the documented sample: it is about to be in effect, or has failed without a word.
        None if shows_enable(status, &change) && change.to == facts.desired.type_id => {
            if overdue {
                let problem =
                    format!("the provider shows it as enabled, and {}", still_of(instance, status));
                Situation::NotInEffect { change, problem }
            } else {
                Situation::Progressing { change, stage: None }
            }
        }
        None if !lags => Situation::Undone { change },
        _ if overdue => Situation::Overdue { change },
        Some(stage) => Situation::Progressing { change, stage },
        None => Situation::Progressing { change, stage: None },
    }))
}

fn still_of(instance: &Instance, status: &TypeStatus) -> String {
    if instance.type_id == status.current {
        return format!("the instance is still of type {}", status.current);
    }
    format!("one read shows the type {}, the other one {}", instance.type_id, status.current)
}

/// Enable, with the target of the change beside another current type.
fn shows_enable(status: &TypeStatus, change: &Change) -> bool {
    change.kind == ChangeKind::Modify
        && status.state == Some(PlanState::Enable)
        && status.target.as_ref() == Some(&change.to)
        && status.current != change.to
}

/// A stop or a start has begun: it is there, on its way, or not coming to its end.
pub fn observed_power_change_goes_on(facts: &Facts) -> Option<Decision> {
    let change = facts.change().filter(|change| change.state == ChangeState::Observed)?.clone();
    let (instance, status) = facts.seen()?;
    Some(Decision::report(match effect(instance, status, &change) {
        Some(None) => Situation::Completed { change },
        _ if facts.is_overdue(&change) => Situation::GivenUp { change },
        Some(stage) => Situation::Progressing { change, stage },
        None if facts.expects(&change) => Situation::Progressing { change, stage: None },
        // A guest may refuse a graceful stop, or fail to boot.
        None => Situation::GivenUp { change },
    }))
}
