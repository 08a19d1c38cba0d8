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
    restoring: bool,
    now: Timestamp,
) -> NextLook {
    let timing = &desired.timing;
    let look = usual(desired, situation, now);
    match look {
        // A machine that was stopped for a change is not left alone for long.
        NextLook::After(pause) if restoring => NextLook::After(pause.min(timing.poll.0)),
        NextLook::After(_) | NextLook::Backoff | NextLook::OnChange => look,
    }
}

fn usual(desired: &Desired, situation: &Situation, now: Timestamp) -> NextLook {
    let timing = &desired.timing;
    let at_rest = NextLook::After(spread_over(timing.drift, &desired.object.uid));
    let growing = |since: Timestamp| {
        let age = now.duration_since(since).unsigned_abs();
        NextLook::After((age / 5).clamp(timing.poll.0, timing.poll.1))
    };
    let wait = |time: Timestamp| {
        let left = time.duration_since(now);
        let left = if left.is_negative() { Duration::ZERO } else { left.unsigned_abs() };
        spread_over(left, &desired.object.uid).clamp(timing.poll.0, timing.drift)
    };
    let until = |refusal: Option<&Refusal>| match refusal.and_then(|one| one.retry_after) {
        Some(time) => NextLook::After(wait(time)),
        None => at_rest,
    };
    match situation {
        Situation::ReadFailed { severity: Severity::Passing, .. }
        | Situation::OrdersUnknown { .. } => NextLook::Backoff,
        // A changed Secret wakes the object.
        Situation::SecretUnusable { .. } => at_rest,
        Situation::ReadFailed { severity: Severity::Terminal, refusal, .. } => {
            until(refusal.as_ref())
        }
        Situation::Refused { refusal } => until(Some(refusal)),
        Situation::OrderLimitReached { until, .. } => match until {
            Some(time) => NextLook::After(wait(*time)),
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
        } => growing(change.started_at),
        Situation::EffectSeen { change, stage: None, .. } | Situation::Completed { change }
            if change.kind == ChangeKind::Modify && change.to == desired.type_id =>
        {
            at_rest
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
        Situation::ReadLags | Situation::ReadsStale => NextLook::After(timing.poll.0),
        Situation::HeldElsewhere { .. }
        | Situation::ForeignPlan { stage: PlanStage::Running | PlanStage::Unknown, .. }
        | Situation::ForeignPlanToTarget { stage: PlanStage::Running | PlanStage::Unknown }
        | Situation::InstanceBusy { .. } => NextLook::After(timing.poll.1),
        Situation::Unusable { .. }
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
        | Situation::DriftObserved
        | Situation::Suspended
        | Situation::Reverted { .. }
        | Situation::InstanceUnusable { .. }
        | Situation::ClockSkewed { .. } => at_rest,
    }
}
