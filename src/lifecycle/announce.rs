//! Events: one for each thing that happened, derived from the step between two statuses.

use super::{Event, Situation};
use crate::api::{Reason, VmInstanceStatus};

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
    let note = after
        .conditions
        .iter()
        .find(|one| one.type_ == "Ready")
        .map(|one| one.message.clone())
        .unwrap_or_default();
    let event = |warning, reason| vec![Event { warning, reason, note: note.clone() }];
    match situation {
        Situation::Accepted { .. } if moved => event(false, "ChangeOrdered"),
        Situation::EffectSeen { adopted: true, .. } => event(true, "ChangeAdopted"),
        Situation::EffectSeen { stage: None, .. } | Situation::Completed { .. } => {
            event(false, "ChangeCompleted")
        }
        Situation::Released { .. } | Situation::Rearmed { .. } => event(false, "ChangeReleased"),
        _ if !moved => Vec::new(),
        Situation::EffectSeen { .. } | Situation::Progressing { .. } => match after.phase {
            Some(crate::api::Phase::Scheduled) => event(false, "ChangeScheduled"),
            _ => Vec::new(),
        },
        Situation::OutcomeUnknown { .. } => event(true, Reason::OutcomeUnknown.as_str()),
        _ => match after.phase {
            Some(crate::api::Phase::Failed) => event(true, failed_reason(after)),
            _ => Vec::new(),
        },
    }
}

fn failed_reason(after: &VmInstanceStatus) -> &'static str {
    ready_reason(after).and_then(Reason::parse).map_or("Failed", Reason::as_str)
}
