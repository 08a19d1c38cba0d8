//! What a situation looks like to a person: phase, readiness, reason and message, in one place.

mod at_rest;
mod in_flight;

use jiff::Timestamp;

use self::{at_rest::*, in_flight::*};
use super::{Desired, Severity, Situation, decision::Report};
use crate::{
    api::{Phase, Reason},
    zenlayer::Instance,
};

/// The report of a situation whose effect, if any, has been carried out.
pub fn of(desired: &Desired, instance: Option<&Instance>, situation: &Situation) -> Report {
    let id = &desired.instance_id;
    let want = &desired.type_id;
    match situation {
        Situation::Unusable { reason, problem } | Situation::SecretUnusable { reason, problem } => {
            match reason {
                Reason::KubernetesUnavailable => waiting(*reason, problem.clone()),
                _ => failed(*reason, problem.clone()),
            }
        }
        Situation::ReadFailed { reason, problem, severity, .. } => match severity {
            Severity::Passing => waiting(*reason, problem.clone()),
            Severity::Terminal => failed(*reason, problem.clone()),
        },
        Situation::InstanceGone { .. } => gone(id),

        Situation::GivenBack | Situation::Submitting => submitting(want),
        Situation::OutcomeUnknown { change } => outcome_unknown(change),
        Situation::Unverified { change, asks: true } => asks_a_person(change),
        Situation::Unverified { change, asks: false } => may_be_repeated(change),
        Situation::Accepted { change } => moving(want, instance, change, None),
        Situation::EffectSeen { change, stage: None, .. } if change.to == *want => complete(change),
        Situation::EffectSeen { change, stage, .. } | Situation::Progressing { change, stage } => {
            moving(want, instance, change, *stage)
        }
        Situation::Overdue { change } => overdue(change),
        Situation::Completed { change } if change.to == *want => complete(change),
        Situation::Completed { change } => complete_and_not_wanted(change, want),
        Situation::Undone { change } if change.to == *want => undone(change),
        Situation::Undone { change } => undone_and_not_wanted(change, want),
        Situation::Released { change } => released(change),

        Situation::DuplicateClaim { owner } => duplicate(id, owner.as_deref()),
        Situation::HeldElsewhere { holder } => held_elsewhere(desired, holder),
        Situation::ForeignPlanToTarget { stage } => foreign_plan_to_target(id, want, *stage),
        Situation::ForeignPlan { to, stage } => foreign_plan(id, to.as_ref(), *stage),
        Situation::ReadLags => read_lags(id),
        Situation::ReadsStale => reads_stale(id),
        Situation::InSync => in_sync(format!("instance {id} is of type {want}")),
        Situation::DriftObserved => drift_observed(instance, want),
        Situation::Suspended => suspended(instance, want),
        Situation::Refused { refusal } => failed(refusal.reason, refusal.message.clone()),
        Situation::Reverted { entry } => reverted(entry),
        Situation::Rearmed { id } => rearmed(id),
        Situation::InstanceBusy { state } => busy(id, state),
        Situation::InstanceUnusable { state } => unusable(id, state),
        Situation::ClockSkewed { seconds } => clock_skewed(*seconds, desired.timing.skew_limit),
    }
}

fn report(phase: Phase, ready: bool, reason: Reason, message: String) -> Report {
    Report { phase, ready, reason, message }
}

fn waiting(reason: Reason, message: String) -> Report {
    report(Phase::Waiting, false, reason, message)
}

fn failed(reason: Reason, message: String) -> Report {
    report(Phase::Failed, false, reason, message)
}

fn in_sync(message: String) -> Report {
    report(Phase::InSync, true, Reason::InSync, message)
}

/// Times, as messages show them.
fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
