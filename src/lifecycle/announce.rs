//! Events: one for each thing that happened, derived from the step between two statuses.

use super::{Change, Event, Situation};
use crate::api::{ChangeKind, ChangeState, Reason, VmInstance, VmInstanceStatus};

fn requested(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Modify => "ChangeOrdered",
        ChangeKind::CancelDowngrade => "CancelRequested",
        ChangeKind::Stop => "StopRequested",
        ChangeKind::Start => "StartRequested",
    }
}

fn done(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Modify => "ChangeCompleted",
        ChangeKind::CancelDowngrade => "ChangeCancelled",
        ChangeKind::Stop => "InstanceStopped",
        ChangeKind::Start => "InstanceStarted",
    }
}

fn ready_reason(status: &VmInstanceStatus) -> Option<&str> {
    status.conditions.iter().find(|one| one.type_ == "Ready").map(|one| one.reason.as_str())
}

/// What is worth telling of the step from `before` to `after`. A pass that changes neither phase
/// nor reason tells nothing.
pub fn events(
    before: &VmInstanceStatus,
    after: &VmInstanceStatus,
    situation: &Situation,
) -> Vec<Event> {
    let moved = before.phase != after.phase || ready_reason(before) != ready_reason(after);
    // All conditions tell the same.
    let note = after.conditions.first().map(|one| one.message.clone()).unwrap_or_default();
    let event = |warning, reason| vec![Event { warning, reason, note: note.clone() }];
    match situation {
        Situation::Accepted { change } if is_newly_accepted(before, change) => {
            event(false, requested(change.kind))
        }
        Situation::EffectSeen { adopted: true, .. } => event(true, "ChangeAdopted"),
        Situation::EffectSeen { stage: None, change, .. } | Situation::Completed { change } => {
            event(false, done(change.kind))
        }
        Situation::GivenUp { .. } => event(true, "PowerChangeGivenUp"),
        Situation::Released { .. } | Situation::Rearmed { .. } => event(false, "ChangeReleased"),
        _ if !moved => Vec::new(),
        Situation::EffectSeen { .. } | Situation::Progressing { .. } => match after.phase {
            Some(crate::api::Phase::Scheduled) => event(false, "ChangeScheduled"),
            _ => Vec::new(),
        },
        Situation::OutcomeUnknown { .. } => event(true, Reason::OutcomeUnknown.as_str()),
        // It stood before, and was told; a read that failed in between is no news of it.
        Situation::Refused { refusal } if before.refusal == Some(refusal.to_api()) => Vec::new(),
        _ => match after.phase {
            Some(crate::api::Phase::Failed) => event(true, failed_reason(after)),
            Some(crate::api::Phase::Waiting)
                if matches!(situation, Situation::OrderLimitReached { .. }) =>
            {
                event(true, Reason::OrderLimitReached.as_str())
            }
            _ => Vec::new(),
        },
    }
}

fn is_newly_accepted(before: &VmInstanceStatus, change: &Change) -> bool {
    let known = before.change.as_ref().filter(|known| known.id == change.id.0);
    known.is_none_or(|known| known.state == ChangeState::Submitting)
}

fn failed_reason(after: &VmInstanceStatus) -> &'static str {
    ready_reason(after).and_then(Reason::parse).map_or("Failed", Reason::as_str)
}

/// What is to be told of an object that is deleted while a call of it is in flight, or while the
/// machine is stopped for a change.
pub fn farewell(object: &VmInstance) -> Option<Event> {
    let status = object.status.as_ref()?;
    let stopped = status.restore.as_ref().map(|_| {
        "the operator stopped the machine for a change and leaves it stopped: start it yourself if it is \
         to run"
    });
    let changing = status.change.as_ref().map(|change| match change.kind {
        ChangeKind::Modify => format!(
            "the change from {} to {} ({}) continues by itself",
            change.from,
            change.to,
            match &status.order_number {
                Some(number) => format!("order {number}"),
                None => "order number unknown".to_owned(),
            }
        ),
        ChangeKind::CancelDowngrade => {
            format!("the cancellation of the change to {} continues by itself", change.from)
        }
        ChangeKind::Stop => "the stop continues by itself".to_owned(),
        ChangeKind::Start => "the start continues by itself".to_owned(),
    });
    let left: Vec<_> = changing.into_iter().chain(stopped.map(str::to_owned)).collect();
    if left.is_empty() {
        return None;
    }
    let note = format!(
        "deleted while instance {} is being changed: {}; a new VmInstance for this instance follows it",
        object.spec.instance_id,
        left.join("; ")
    );
    Some(Event { warning: true, reason: "ChangeLeftRunning", note })
}
