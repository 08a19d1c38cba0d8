//! What a situation looks like to a person: phase, readiness, reason and message, in one place.

use jiff::Timestamp;

use super::{Change, Desired, PlanStage, Severity, Situation, decision::Report};
use crate::{
    api::{Phase, Reason},
    zenlayer::{Instance, InstanceTypeId},
};

/// Times of a day, as messages show them.
fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn order(change: &Change) -> String {
    match &change.order_number {
        Some(number) => format!("order {number}"),
        None => "order number unknown".to_owned(),
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
        Situation::ReadFailed { reason, problem, severity: Severity::Passing, .. } => {
            waiting(*reason, problem.clone())
        }
        Situation::ReadFailed { reason, problem, severity: Severity::Terminal, .. } => {
            failed(*reason, problem.clone())
        }
        Situation::InstanceGone { .. } => failed(
            Reason::InstanceNotFound,
            format!(
                "the provider knows no instance {id}: correct spec.instanceId by a new object, or delete this one"
            ),
        ),
        Situation::DuplicateClaim { .. }
        | Situation::HeldElsewhere { .. }
        | Situation::ForeignPlan { .. }
        | Situation::ForeignPlanToTarget { .. } => others(desired, situation),
        Situation::GivenBack
        | Situation::Submitting
        | Situation::OutcomeUnknown { .. }
        | Situation::Unverified { .. }
        | Situation::Accepted { .. }
        | Situation::EffectSeen { .. }
        | Situation::Progressing { .. }
        | Situation::Overdue { .. }
        | Situation::Completed { .. }
        | Situation::Undone { .. }
        | Situation::Released { .. } => in_flight(want, instance, situation),
        Situation::Rearmed { id } => {
            waiting(Reason::ReadsDisagree, format!("change {id} may be ordered again"))
        }
        Situation::ReadLags => waiting(
            Reason::ReadsDisagree,
            format!(
                "a read of instance {id} contradicts the change that was just seen; looking again"
            ),
        ),
        Situation::ReadsStale => waiting(
            Reason::ReadsDisagree,
            format!("the reads of instance {id} disagree or are too old; looking again"),
        ),
        Situation::InSync => {
            report(Phase::InSync, true, Reason::InSync, format!("instance {id} is of type {want}"))
        }
        Situation::DriftObserved => report(
            Phase::Drifted,
            true,
            Reason::DriftObserved,
            format!(
                "{}; managementPolicy is Observe, so it is not changed",
                differs(instance, want)
            ),
        ),
        Situation::Suspended => report(
            Phase::Suspended,
            true,
            Reason::Suspended,
            format!("{}; suspended, so it is not changed", differs(instance, want)),
        ),
        Situation::Refused { refusal } => failed(refusal.reason, refusal.message.clone()),
        Situation::Reverted { entry } => failed(
            Reason::Reverted,
            format!(
                "{} to {} was ordered once (change {}) and the instance is of type {} again; to \
                 order it again set the annotation vm.zenlayer.com/release={}",
                entry.from, entry.to, entry.id, entry.from, entry.id
            ),
        ),
        Situation::InstanceBusy { state } => waiting(
            Reason::InstanceBusy,
            format!("instance {id} is {state}; a change needs RUNNING or STOPPED"),
        ),
        Situation::InstanceUnusable { state } => failed(
            match state {
                crate::zenlayer::InstanceState::CreateFailed => Reason::InstanceUnusable,
                _ => Reason::InstanceRecycled,
            },
            format!(
                "instance {id} is {state}: restore it in the provider's console, or delete this object"
            ),
        ),
        Situation::ClockSkewed { seconds } => failed(
            Reason::ClockSkewed,
            format!(
                "the operator's clock is {seconds} s from the provider's (limit {} s): synchronise \
                 the clock of its node; no change is ordered until then",
                desired.timing.skew_limit.as_secs()
            ),
        ),
    }
}

fn differs(instance: Option<&Instance>, want: &InstanceTypeId) -> String {
    match instance {
        Some(instance) => {
            format!("instance {} is of type {}, {want} is declared", instance.id, instance.type_id)
        }
        None => format!("{want} is declared"),
    }
}

fn stage_words(stage: PlanStage) -> &'static str {
    match stage {
        PlanStage::Running => "running",
        PlanStage::Scheduled => "scheduled for the next billing cycle",
        PlanStage::Unknown => "in a state that this version does not know",
    }
}

/// Situations in which another party acts on the instance.
fn others(desired: &Desired, situation: &Situation) -> Report {
    let id = &desired.instance_id;
    match situation {
        Situation::DuplicateClaim { owner } => failed(
            Reason::DuplicateClaim,
            match owner {
                Some(owner) => format!(
                    "VmInstance {owner} claims instance {id} and is older: delete one of the two"
                ),
                None => format!(
                    "an older VmInstance in another namespace claims instance {id}: delete one of \
                     the two"
                ),
            },
        ),
        Situation::HeldElsewhere { holder } => waiting(
            Reason::ChangeHeldElsewhere,
            if holder.namespace == desired.object.namespace {
                format!("a change of instance {id} by VmInstance {} is not settled", holder.name)
            } else {
                format!("a change of instance {id} by another VmInstance is not settled")
            },
        ),
        Situation::ForeignPlanToTarget { stage: PlanStage::Scheduled } => report(
            Phase::Scheduled,
            true,
            Reason::ChangeScheduled,
            format!(
                "a change of instance {id} to {} that this object did not order is scheduled for \
                 the next billing cycle",
                desired.type_id
            ),
        ),
        Situation::ForeignPlanToTarget { stage } => report(
            Phase::Changing,
            false,
            Reason::ChangeInProgress,
            format!(
                "a change of instance {id} to {} that this object did not order is {}",
                desired.type_id,
                stage_words(*stage)
            ),
        ),
        Situation::ForeignPlan { to, stage } => waiting(
            Reason::ForeignPlan,
            format!(
                "a change of instance {id} to {} that this object did not order is {}: wait for it, \
                 or cancel it in the provider's console",
                to.as_ref().map_or("an unknown type", InstanceTypeId::as_str),
                stage_words(*stage)
            ),
        ),
        _ => waiting(Reason::ReadsDisagree, format!("looking at instance {id} again")),
    }
}

/// Situations of a change of this object.
fn in_flight(want: &InstanceTypeId, instance: Option<&Instance>, situation: &Situation) -> Report {
    match situation {
        Situation::OutcomeUnknown { change } => report(
            Phase::Submitting,
            false,
            Reason::OutcomeUnknown,
            format!(
                "resizing {} to {}: no answer to the call of {} is known; it is settled by what the \
                 provider shows after {}, and never repeated before",
                change.from,
                change.to,
                clock(change.started_at),
                change.fence.map_or_else(|| "a person's decision".to_owned(), clock),
            ),
        ),
        Situation::Unverified { change, asks: true } => failed(
            Reason::OutcomeUnverified,
            format!(
                "resizing {} to {}: no answer to the call of {} is known, and nothing shows that it \
                 took effect; look at the provider's orders, then set the annotation \
                 vm.zenlayer.com/release={}",
                change.from,
                change.to,
                clock(change.started_at),
                change.id
            ),
        ),
        Situation::Unverified { change, asks: false } => waiting(
            Reason::OutcomeUnverified,
            format!(
                "resizing {} to {}: the call of {} did not take effect; it may be made again",
                change.from,
                change.to,
                clock(change.started_at)
            ),
        ),
        Situation::Accepted { change }
        | Situation::EffectSeen { change, .. }
        | Situation::Progressing { change, .. } => moving(want, instance, situation, change),
        Situation::Overdue { change } => failed(
            Reason::ChangeOverdue,
            format!(
                "resizing {} to {} since {}, {}: no effect seen in time; ask the provider, or give \
                 it up with the annotation vm.zenlayer.com/release={}",
                change.from,
                change.to,
                clock(change.started_at),
                order(change),
                change.id
            ),
        ),
        Situation::Completed { change } if change.to == *want => {
            report(Phase::InSync, true, Reason::InSync, done(change))
        }
        Situation::Completed { change } => waiting(
            Reason::ChangeInProgress,
            format!("{}; {want} is declared by now", done(change)),
        ),
        Situation::Undone { change } if change.to != *want => waiting(
            Reason::ChangeInProgress,
            format!(
                "the change of {} to {} ({}) was seen and is gone again; {want} is declared by now",
                change.from,
                change.to,
                order(change)
            ),
        ),
        Situation::Undone { change } => failed(
            Reason::Reverted,
            format!(
                "the change of {} to {} ({}) was seen and is gone again; to order it again set the \
                 annotation vm.zenlayer.com/release={}",
                change.from,
                change.to,
                order(change),
                change.id
            ),
        ),
        Situation::Released { change } => {
            waiting(Reason::ReadsDisagree, format!("change {} was released by a person", change.id))
        }
        _ => report(
            Phase::Submitting,
            false,
            Reason::Submitting,
            format!("resizing to {want}: the call is about to be made"),
        ),
    }
}

fn done(change: &Change) -> String {
    format!("resized {} to {}, {}", change.from, change.to, order(change))
}

/// A change that the provider carries out, or that waits for its billing cycle.
fn moving(
    want: &InstanceTypeId,
    instance: Option<&Instance>,
    situation: &Situation,
    change: &Change,
) -> Report {
    let stage = match situation {
        Situation::EffectSeen { stage, .. } | Situation::Progressing { stage, .. } => *stage,
        _ => None,
    };
    let since = format!(
        "resizing {} to {} since {}, {}",
        change.from,
        change.to,
        clock(change.started_at),
        order(change)
    );
    match (situation, stage) {
        (Situation::EffectSeen { .. }, None) if change.to == *want => {
            report(Phase::InSync, true, Reason::InSync, done(change))
        }
        (_, Some(PlanStage::Scheduled)) if change.to == *want => report(
            Phase::Scheduled,
            true,
            Reason::ChangeScheduled,
            format!(
                "{since}; it takes effect at the next billing cycle{}",
                instance
                    .and_then(|instance| instance.expires_at)
                    .map(|time| format!(", {}", clock(time)))
                    .unwrap_or_default()
            ),
        ),
        (_, Some(PlanStage::Scheduled)) => waiting(
            Reason::ForeignPlan,
            format!(
                "{since}; it is scheduled for the next billing cycle, and {want} is declared by \
                 now: cancel it in the provider's console, or declare {} again",
                change.to
            ),
        ),
        _ => report(Phase::Changing, false, Reason::ChangeInProgress, since),
    }
}
