//! What a situation looks like to a person: phase, readiness, reason and message, in one place.

mod held_back;
mod in_flight;
mod others;
mod words;

use std::time::Duration;

use self::words::{failed, report, waiting};

use jiff::Timestamp;

use super::{
    ChangeId, Desired, Ended, PlanStage, Severity, Situation, decision::Report, time::after,
};
use crate::api::{
    CANCEL_PLAN_ANNOTATION, DecisionKind, HistoryOutcome, ManagementPolicy, PendingDecision, Phase,
    RELEASE_ANNOTATION, Reason,
};
use zenlayer::{Instance, InstanceState, InstanceTypeId};

/// The report of a situation whose effect, if any, has been carried out.
pub fn of(desired: &Desired, instance: Option<&Instance>, situation: &Situation) -> Report {
    let id = &desired.instance_id;
    let want = &desired.type_id;
    match situation {
        Situation::Unusable { .. }
        | Situation::SecretUnusable { .. }
        | Situation::ReadFailed { .. }
        | Situation::InstanceGone { .. } => unseen(desired, situation),
        Situation::DuplicateClaim { .. }
        | Situation::HeldElsewhere { .. }
        | Situation::ForeignPlan { .. } => others::of(desired, situation),
        Situation::GivenBack
        | Situation::Calling { .. }
        | Situation::OutcomeUnknown { .. }
        | Situation::Unverified { .. }
        | Situation::Accepted { .. }
        | Situation::Adopted { .. }
        | Situation::LetGo { .. }
        | Situation::EffectSeen { .. }
        | Situation::Progressing { .. }
        | Situation::Overdue { .. }
        | Situation::NotInEffect { .. }
        | Situation::Completed { .. }
        | Situation::Undone { .. }
        | Situation::GivenUp { .. }
        | Situation::Resumed { .. }
        | Situation::Released { .. } => in_flight::of(want, instance, situation),
        Situation::Restored => waiting(
            Reason::ReadsDisagree,
            format!("instance {id} runs again after it was stopped for a change"),
        ),
        Situation::Rearmed { id } => waiting(
            Reason::ReadsDisagree,
            format!("change {id} was released by a user and is made again"),
        ),
        Situation::ReadLags => waiting(
            Reason::ReadsDisagree,
            format!(
                "a read of instance {id} contradicts the change that was just seen; it is read again"
            ),
        ),
        Situation::ReadsStale => waiting(
            Reason::ReadsDisagree,
            format!(
                "two reads of instance {id} disagree, or are too old to act on; it is read again"
            ),
        ),
        Situation::InSync => {
            report(Phase::InSync, true, Reason::InSync, format!("instance {id} is of type {want}"))
        }
        Situation::DriftObserved { .. }
        | Situation::Suspended { .. }
        | Situation::Refused { .. }
        | Situation::Reverted { .. }
        | Situation::InstanceBusy { .. }
        | Situation::InstanceUnusable { .. }
        | Situation::UnwantedPlan { .. }
        | Situation::OrderLimitReached { .. }
        | Situation::OrdersUnknown { .. }
        | Situation::ClockSkewed { .. } => held_back::of(desired, instance, situation),
    }
}

/// What could not be looked at, or is not there.
fn unseen(desired: &Desired, situation: &Situation) -> Report {
    let id = &desired.instance_id;
    match situation {
        Situation::Unusable { reason, problem } | Situation::SecretUnusable { reason, problem } => {
            match reason {
                Reason::KubernetesUnavailable => waiting(*reason, problem.clone()),
                _ => failed(*reason, problem.clone()),
            }
        }
        Situation::ReadFailed { reason, problem, severity: Severity::Passing, .. } => {
            waiting(*reason, problem.clone())
        }
        Situation::ReadFailed { reason, problem, severity: Severity::Terminal, .. } => {
            failed(*reason, problem.clone())
        }
        Situation::InstanceGone { .. } => failed(
            Reason::InstanceNotFound,
            format!(
                "the provider knows no instance {id}: spec.instanceId cannot be changed, so delete this \
                 VmInstance and create one with the right id"
            ),
        ),
        _ => waiting(Reason::ReadsDisagree, format!("instance {id} is read again")),
    }
}

/// In sync, as told once the change to this type was complete, for as long as nothing else was done.
pub fn of_the_last_change(want: &InstanceTypeId, history: &[Ended], report: Report) -> Report {
    let mut changes = history.iter().rev().filter(|entry| in_flight::changes_type(entry.kind));
    match changes.next() {
        Some(last) if last.outcome == HistoryOutcome::Completed && last.to == *want => {
            let number = last.order_number.as_ref();
            let message = in_flight::done(last.kind, (&last.from, &last.to), last.adopted, number);
            Report { message, ..report }
        }
        _ => report,
    }
}

/// The report of a scheduled change on the last day before it takes effect.
pub fn of_a_cycle_that_ends_soon(
    instance: Option<&Instance>,
    report: Report,
    now: Timestamp,
) -> Report {
    const SOON: Duration = Duration::from_hours(24);
    let ends = instance.and_then(|instance| instance.expires_at);
    match ends {
        Some(end) if report.phase == Phase::Scheduled && after(now, SOON) >= end => Report {
            message: format!(
                "{}; warning: the cycle ends within a day, after that it cannot be taken back",
                report.message
            ),
            ..report
        },
        _ => report,
    }
}

/// The report while the machine is stopped for a change: it is not in sync before it runs again.
pub fn of_a_stopped_machine(
    desired: &Desired,
    instance: Option<&Instance>,
    report: Report,
) -> Report {
    let stopped = instance.is_some_and(|one| one.state == InstanceState::Stopped);
    match report.phase {
        _ if !stopped => report,
        Phase::InSync if !desired.may_mutate() => {
            let (phase, reason) = match desired.policy {
                ManagementPolicy::Observe => (Phase::Drifted, Reason::DriftObserved),
                ManagementPolicy::Enforce => (Phase::Suspended, Reason::Suspended),
            };
            let message = format!(
                "{}; the operator stopped it for a change and starts it again once changes are allowed",
                report.message
            );
            Report { phase, ready: true, reason, message }
        }
        Phase::InSync => Report {
            phase: Phase::Changing,
            ready: false,
            reason: Reason::StartInProgress,
            message: format!("{}; it is being started again", report.message),
        },
        Phase::Suspended | Phase::Drifted => Report {
            message: format!(
                "{}; the operator stopped it for a change and starts it again once changes are allowed",
                report.message
            ),
            ..report
        },
        _ if !desired.may_mutate() || report.reason == Reason::StopInProgress => report,
        _ => Report {
            message: format!(
                "{}; the operator stopped the machine for this change",
                report.message
            ),
            ..report
        },
    }
}

/// What a person is asked in this situation.
pub fn asked(desired: &Desired, situation: &Situation) -> Option<PendingDecision> {
    let decision = |kind, id: Option<&ChangeId>, annotation, message: &str| {
        let change_id = id.map(ToString::to_string);
        Some(PendingDecision { kind, change_id, annotation, message: message.to_owned() })
    };
    let release = |id: &ChangeId| format!("{RELEASE_ANNOTATION}={id}");
    match situation {
        Situation::Unverified { change, asks: true }
        | Situation::Overdue { change }
        | Situation::NotInEffect { change, .. } => decision(
            DecisionKind::ReleaseChange,
            Some(&change.id),
            release(&change.id),
            "The operator stops waiting for this change; what is still missing then is ordered again.",
        ),
        Situation::Undone { change } if change.to == desired.type_id => decision(
            DecisionKind::OrderAgain,
            Some(&change.id),
            release(&change.id),
            "The change is ordered, and paid for, once more.",
        ),
        Situation::Reverted { entry } => decision(
            DecisionKind::OrderAgain,
            Some(&entry.id),
            release(&entry.id),
            "The change is ordered, and paid for, once more.",
        ),
        Situation::ForeignPlan { to: Some(to), stage: PlanStage::Scheduled }
            if desired.may_mutate() =>
        {
            decision(
                DecisionKind::CancelPlan,
                None,
                format!("{CANCEL_PLAN_ANNOTATION}={to}"),
                "The scheduled change that this object did not order is cancelled.",
            )
        }
        _ => None,
    }
}
