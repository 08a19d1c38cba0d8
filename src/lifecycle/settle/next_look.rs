//! When to look again, if nothing wakes the object before.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::ChangeKind,
    lifecycle::{
        Change, Desired, NextLook, PlanStage, Refusal, Severity, Situation, backoff::spread_over,
    },
};

/// Pause before a pass that only goes on where this one ended.
pub(super) const AT_ONCE: Duration = Duration::from_secs(1);

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
        (NextLook::After(usual), Some(soon)) => NextLook::After(usual.min(soon)),
        (NextLook::Backoff, Some(soon)) => NextLook::After(soon),
        _ => look,
    }
}

/// A look sooner than usual would start nothing, either.
fn rests_with_the_machine(situation: &Situation) -> bool {
    match situation {
        Situation::Reverted { entry } => entry.kind == ChangeKind::Start,
        Situation::Refused { refusal } => refusal.is_of(ChangeKind::Start),
        // A request with a token can land at any time; nothing is sent beside it.
        Situation::Unverified { change, asks: true } => change.fence.is_none(),
        Situation::DuplicateClaim { .. }
        | Situation::InstanceUnusable { .. }
        | Situation::HeldElsewhere { .. }
        | Situation::ClockSkewed { .. } => true,
        _ => false,
    }
}

/// Pauses that grow with the age of what is looked at.
fn growing(desired: &Desired, since: Timestamp, now: Timestamp) -> Duration {
    let (first, longest) = desired.timing.poll;
    let age = now.duration_since(since).unsigned_abs();
    (age / 5).clamp(first, longest)
}

/// At this moment, and not later than any object is looked at.
fn at(desired: &Desired, time: Timestamp, now: Timestamp) -> NextLook {
    let left = time.duration_since(now);
    let left = if left.is_negative() { Duration::ZERO } else { left.unsigned_abs() };
    let pause = spread_over(left, &desired.object.uid);
    NextLook::After(pause.clamp(desired.timing.poll.0, desired.timing.drift))
}

/// As often as any object is looked at.
fn at_rest(desired: &Desired) -> NextLook {
    NextLook::After(spread_over(desired.timing.drift, &desired.object.uid))
}

/// Once the effect of a call was seen.
fn seen(desired: &Desired, change: &Change, stage: Option<PlanStage>, now: Timestamp) -> NextLook {
    let wanted = change.to == desired.type_id;
    match stage {
        Some(PlanStage::Running | PlanStage::Unknown) => {
            NextLook::After(growing(desired, change.started_at, now))
        }
        Some(PlanStage::Scheduled) if wanted => at_rest(desired),
        None if wanted && change.kind == ChangeKind::Modify => at_rest(desired),
        // The next step is taken at once: a plan that is not wanted any more is cancelled.
        Some(PlanStage::Scheduled) | None => NextLook::After(AT_ONCE),
    }
}

fn usual(desired: &Desired, situation: &Situation, now: Timestamp) -> NextLook {
    let timing = &desired.timing;
    let at_rest = at_rest(desired);
    let until = |refusal: Option<&Refusal>| match refusal.and_then(|one| one.retry_after) {
        Some(time) => at(desired, time, now),
        None => at_rest,
    };
    match situation {
        // Nobody knows how long it takes.
        Situation::ReadFailed { severity: Severity::Passing, .. }
        | Situation::OrdersUnknown { .. }
        | Situation::ReadsStale
        | Situation::HeldElsewhere { .. }
        | Situation::ForeignPlan { stage: PlanStage::Running | PlanStage::Unknown, .. }
        | Situation::InstanceBusy { .. } => NextLook::Backoff,
        Situation::ReadFailed { severity: Severity::Terminal, refusal, .. } => {
            until(refusal.as_ref())
        }
        Situation::Refused { refusal } => until(Some(refusal)),
        Situation::OrderLimitReached { until, .. } => match until {
            Some(time) => at(desired, *time, now),
            None => NextLook::Backoff,
        },
        Situation::OutcomeUnknown { change } | Situation::Accepted { change } => {
            NextLook::After(growing(desired, change.started_at, now))
        }
        Situation::Adopted { change, stage } => seen(desired, change, Some(*stage), now),
        Situation::EffectSeen { change, stage, .. } => seen(desired, change, *stage, now),
        Situation::Completed { change } => seen(desired, change, None, now),
        Situation::Progressing { stage: Some(PlanStage::Scheduled), .. } => at_rest,
        Situation::Progressing { change, .. } => {
            NextLook::After(growing(desired, change.started_at, now))
        }
        Situation::GivenBack
        | Situation::Calling { .. }
        | Situation::Unverified { asks: false, .. }
        | Situation::Undone { .. }
        | Situation::LetGo { .. }
        | Situation::Released { .. }
        | Situation::GivenUp { .. }
        | Situation::Resumed { .. }
        | Situation::Restored
        | Situation::Rearmed { .. } => NextLook::After(AT_ONCE),
        Situation::ReadLags => NextLook::After(timing.poll.0),
        Situation::SecretUnusable { .. }
        | Situation::Unusable { .. }
        | Situation::InstanceGone { .. }
        | Situation::DuplicateClaim { .. }
        | Situation::Unverified { asks: true, .. }
        | Situation::ForeignPlan { stage: PlanStage::Scheduled, .. }
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
