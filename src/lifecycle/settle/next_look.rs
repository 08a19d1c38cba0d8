//! When to look again, if nothing wakes the object before.

use std::time::Duration;

use jiff::Timestamp;

use super::AT_ONCE;
use crate::{
    api::ChangeKind,
    lifecycle::{Desired, NextLook, PlanStage, Refusal, Severity, Situation, backoff::spread_over},
};

/// When to look again, if nothing wakes the object before.
pub(super) fn next_look(
    desired: &Desired,
    situation: &Situation,
    restoring: Option<Timestamp>,
    now: Timestamp,
) -> NextLook {
    let look = usual(desired, situation, now);
    let since = restoring.filter(|_| desired.may_mutate() && !rests_with_the_machine(situation));
    match (look, since.map(|since| growing(desired, since, now))) {
        // A machine that was stopped for a change is not left alone for long.
        (NextLook::After(usual), Some(NextLook::After(soon))) => NextLook::After(usual.min(soon)),
        _ => look,
    }
}

/// A look sooner than usual would start nothing, either.
fn rests_with_the_machine(situation: &Situation) -> bool {
    match situation {
        Situation::Reverted { entry } => entry.kind == ChangeKind::Start,
        Situation::Refused { refusal } => {
            refusal.call.as_ref().is_some_and(|call| call.kind == ChangeKind::Start)
        }
        Situation::DuplicateClaim { .. }
        | Situation::HeldElsewhere { .. }
        | Situation::ClockSkewed { .. } => true,
        _ => false,
    }
}

/// Pauses that grow with the age of what is looked at.
fn growing(desired: &Desired, since: Timestamp, now: Timestamp) -> NextLook {
    let (first, longest) = desired.timing.poll;
    let age = now.duration_since(since).unsigned_abs();
    NextLook::After((age / 5).clamp(first, longest))
}

/// At this moment, and not later than any object is looked at.
fn at(desired: &Desired, time: Timestamp, now: Timestamp) -> NextLook {
    let left = time.duration_since(now);
    let left = if left.is_negative() { Duration::ZERO } else { left.unsigned_abs() };
    let pause = spread_over(left, &desired.object.uid);
    NextLook::After(pause.clamp(desired.timing.poll.0, desired.timing.drift))
}

fn usual(desired: &Desired, situation: &Situation, now: Timestamp) -> NextLook {
    let (first, longest) = desired.timing.poll;
    let at_rest = NextLook::After(spread_over(desired.timing.drift, &desired.object.uid));
    let until = |refusal: Option<&Refusal>| match refusal.and_then(|one| one.retry_after) {
        Some(time) => at(desired, time, now),
        None => at_rest,
    };
    match situation {
        Situation::ReadFailed { severity: Severity::Passing, .. }
        | Situation::OrdersUnknown { .. } => NextLook::Backoff,
        Situation::ReadFailed { severity: Severity::Terminal, refusal, .. } => {
            until(refusal.as_ref())
        }
        Situation::Refused { refusal } => until(Some(refusal)),
        Situation::OrderLimitReached { until, .. } => match until {
            Some(time) => at(desired, *time, now),
            None => NextLook::Backoff,
        },
        Situation::OutcomeUnknown { change }
        | Situation::Accepted { change }
        | Situation::EffectSeen {
            change,
            stage: Some(PlanStage::Running | PlanStage::Unknown),
            ..
        }
        | Situation::Progressing {
            change,
            stage: None | Some(PlanStage::Running | PlanStage::Unknown),
        } => growing(desired, change.started_at, now),
        Situation::EffectSeen { change, stage: None, .. } | Situation::Completed { change }
            if change.kind == ChangeKind::Modify && change.to == desired.type_id =>
        {
            at_rest
        }
        // A plan that is not wanted any more is cancelled next.
        Situation::EffectSeen { change, stage: Some(PlanStage::Scheduled), .. }
            if change.to != desired.type_id =>
        {
            NextLook::After(AT_ONCE)
        }
        Situation::GivenBack
        | Situation::Calling { .. }
        | Situation::Unverified { asks: false, .. }
        | Situation::EffectSeen { stage: None, .. }
        | Situation::Completed { .. }
        | Situation::Undone { .. }
        | Situation::Released { .. }
        | Situation::GivenUp { .. }
        | Situation::Resumed { .. }
        | Situation::Restored
        | Situation::Rearmed { .. } => NextLook::After(AT_ONCE),
        Situation::ReadLags | Situation::ReadsStale => NextLook::After(first),
        Situation::HeldElsewhere { .. }
        | Situation::ForeignPlan { stage: PlanStage::Running | PlanStage::Unknown, .. }
        | Situation::ForeignPlanToTarget { stage: PlanStage::Running | PlanStage::Unknown }
        | Situation::InstanceBusy { .. } => NextLook::After(longest),
        Situation::SecretUnusable { .. }
        | Situation::Unusable { .. }
        | Situation::InstanceGone { .. }
        | Situation::DuplicateClaim { .. }
        | Situation::Unverified { asks: true, .. }
        | Situation::EffectSeen { stage: Some(PlanStage::Scheduled), .. }
        | Situation::Progressing { stage: Some(PlanStage::Scheduled), .. }
        | Situation::ForeignPlan { stage: PlanStage::Scheduled, .. }
        | Situation::ForeignPlanToTarget { stage: PlanStage::Scheduled }
        | Situation::Overdue { .. }
        | Situation::NotInEffect { .. }
        | Situation::InSync
        | Situation::UnwantedPlan { .. }
        | Situation::DriftObserved { .. }
        | Situation::Suspended { .. }
        | Situation::Reverted { .. }
        | Situation::InstanceUnusable { .. }
        | Situation::ClockSkewed { .. } => at_rest,
    }
}
