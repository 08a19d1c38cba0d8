//! When an object is looked at again, if nothing wakes it before.

use jiff::Timestamp;

use super::AT_ONCE;
use crate::lifecycle::{Desired, NextLook, PlanStage, Severity, Situation, backoff::spread_over};

/// When to look again, if nothing wakes the object before.
pub(super) fn next_look(desired: &Desired, situation: &Situation, now: Timestamp) -> NextLook {
    let timing = &desired.timing;
    let at_rest = NextLook::After(spread_over(timing.drift, &desired.object.uid));
    let growing = |since: Timestamp| {
        let age = now.duration_since(since).unsigned_abs();
        NextLook::After((age / 5).clamp(timing.poll.0, timing.poll.1))
    };
    match situation {
        Situation::SecretUnusable { .. } => NextLook::After(timing.secret),
        Situation::ReadFailed { severity: Severity::Passing, .. } => NextLook::Backoff,
        Situation::ReadFailed { severity: Severity::Terminal, .. } | Situation::Refused { .. } => {
            NextLook::After(timing.secret)
        }
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
            if change.to == desired.type_id =>
        {
            at_rest
        }
        Situation::GivenBack
        | Situation::Submitting
        | Situation::Unverified { asks: false, .. }
        | Situation::EffectSeen { stage: None, .. }
        | Situation::Completed { .. }
        | Situation::Undone { .. }
        | Situation::Released { .. }
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
        | Situation::InSync
        | Situation::DriftObserved
        | Situation::Suspended
        | Situation::Reverted { .. }
        | Situation::InstanceUnusable { .. }
        | Situation::ClockSkewed { .. } => at_rest,
    }
}
