//! What the status remembers: what a pass starts from, and what it adds.

use jiff::Timestamp;

use crate::{
    api::{ChangeKind, ChangeState, HistoryOutcome, VmInstanceStatus},
    lifecycle::{
        Change, ChangeId, Desired, Memory, Observed, Refusal, Situation, Standing, refusal,
        time::whole_seconds,
    },
};

/// The memory that this pass starts from: the change as status and slot show it together, the
/// target of the declared type, the one-shot annotations, and a refusal only while it stands.
pub(super) fn remembered(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    now: Timestamp,
) -> Memory {
    let mut memory = observed.memory.clone().unwrap_or_default();
    memory.restore = observed.restore();
    match observed.standing(&desired.object, &desired.timing) {
        Standing::InFlight(change) => {
            if memory.change.as_ref().is_some_and(|old| old.id != change.id) {
                displace(&mut memory, change.kind, now);
            }
            if change.kind == ChangeKind::Modify {
                memory.order_number.clone_from(&change.order_number);
                memory.request_id.clone_from(&change.request_id);
            }
            memory.change = Some(change);
        }
        Standing::GivenBack(change) => {
            memory.change = None;
            // What a person asked for was not done.
            ask_again(&mut memory, &change);
            // A stop that was not made, or refused, leaves nothing to bring back; the slot knows.
            let kept = observed.slot().is_some_and(|slot| slot.record.restore.is_some());
            if !kept && memory.restore.as_ref().is_some_and(|one| one.stopped_by == change.id) {
                memory.restore = None;
            }
        }
        Standing::Idle | Standing::HeldElsewhere(_) => {}
    }
    let stands =
        refusal::standing(desired, &memory, &observed.secret, now).is_some_and(|refusal| {
            // The power state that this operator restores is no news about the machine.
            let restoring = memory.restore.is_some();
            refusal.call.is_none() || !instance_changed(before, observed, restoring)
        });
    if !stands {
        memory.refusal = None;
    }
    memory.target = Some(memory.target_for(&desired.type_id, desired.generation));
    // Taken off and set once more, it asks once more: its value is a type, and types come again.
    if desired.cancel_plan.is_none() {
        memory.handled.cancel_plan = None;
    }
    if desired.requested_at.is_some() {
        memory.handled.requested_at.clone_from(&desired.requested_at);
    }
    memory
}

/// A cancellation that a person asked for was not made: the word still stands.
fn ask_again(memory: &mut Memory, change: &Change) {
    let asked = memory.handled.cancel_plan.as_deref() == Some(change.from.as_str());
    if change.kind == ChangeKind::CancelDowngrade && asked {
        memory.handled.cancel_plan = None;
    }
}

/// Makes room for another call. What it displaces is not over: it waits in the history, or holds the
/// slot once more after this call.
pub(super) fn displace(memory: &mut Memory, by: ChangeKind, now: Timestamp) {
    if let Some(displaced) = memory.change.take()
        && displaced.kind == ChangeKind::Modify
        && displaced.state == ChangeState::Observed
    {
        let outcome = match by {
            ChangeKind::CancelDowngrade => HistoryOutcome::Scheduled,
            ChangeKind::Modify | ChangeKind::Stop | ChangeKind::Start => HistoryOutcome::Overdue,
        };
        memory.end(&displaced, outcome, whole_seconds(now));
    }
}

/// Whether the instance differs from when it was last read in what a refusal may depend on.
fn instance_changed(before: &VmInstanceStatus, observed: &Observed, restoring: bool) -> bool {
    let (Some(before), Some(now)) = (&before.instance, observed.instance()) else { return false };
    before.type_id != now.type_id.as_str()
        || before.state != now.state.as_str() && !restoring
        || before.charge_type != now.charge_type.as_str()
        || before.zone_id != now.zone_id
        || before.cpu_count != now.cpu_count
        || before.memory_gib != now.memory_gib
        || before.bandwidth_mbps.is_some() && before.bandwidth_mbps != now.bandwidth_out
}

/// What the status must remember of the situation. `stood` is the refusal that was remembered
/// before; one that ended with a change of the instance is not put back.
pub(super) fn remember(
    memory: &mut Memory,
    situation: &Situation,
    stood: Option<&Refusal>,
    now: Timestamp,
) {
    let now = whole_seconds(now);
    let release = |memory: &mut Memory, id: &ChangeId| {
        memory.handled.release = Some(id.0.clone());
    };
    match situation {
        Situation::EffectSeen { change, stage, .. } => {
            memory.change = Some(Change { state: ChangeState::Observed, ..change.clone() });
            if stage.is_none() {
                complete(memory, change, now);
            }
        }
        Situation::Unverified { change, asks: true } => {
            memory.change = Some(Change { state: ChangeState::Unverified, ..change.clone() });
        }
        Situation::Unverified { change, asks: false } => {
            ask_again(memory, change);
            memory.end(change, HistoryOutcome::Unverified, now);
        }
        Situation::Completed { change } => complete(memory, change, now),
        Situation::GivenUp { change } => memory.end(change, HistoryOutcome::Overdue, now),
        Situation::Adopted { change, .. } => {
            memory.change = Some(change.clone());
            memory.order_number = None;
            memory.request_id = None;
        }
        Situation::LetGo { .. } => memory.change = None,
        Situation::Resumed { change } => {
            memory.history.retain(|entry| entry.id != change.id);
            memory.order_number.clone_from(&change.order_number);
            memory.request_id.clone_from(&change.request_id);
            memory.change = Some(change.clone());
        }
        Situation::Restored => memory.restore = None,
        Situation::Refused { refusal } if stood != Some(refusal) => memory.refuse(refusal),
        Situation::Undone { change } => memory.end(change, HistoryOutcome::Reverted, now),
        Situation::InstanceGone { ended: Some(change) } => {
            memory.end(change, HistoryOutcome::InstanceGone, now);
        }
        Situation::Released { change } => {
            memory.end(change, HistoryOutcome::Released, now);
            release(memory, &change.id);
        }
        Situation::Rearmed { id } => {
            for entry in memory.history.iter_mut().filter(|entry| entry.id == *id) {
                entry.outcome = HistoryOutcome::Released;
            }
            release(memory, id);
        }
        // A block that passes by itself does not push out what a call was refused for.
        Situation::ReadFailed { refusal: Some(refusal), .. } => {
            let call_stands = memory.refusal.as_ref().is_some_and(|old| old.call.is_some());
            if !call_stands || refusal.retry_after.is_none() {
                memory.refusal = Some(refusal.clone());
            }
        }
        _ => {}
    }
}

/// A call has done what it was to do. A cancellation ends the change that it took back, too.
fn complete(memory: &mut Memory, change: &Change, now: Timestamp) {
    if change.kind == ChangeKind::CancelDowngrade {
        let taken_back = memory.history.iter_mut().rev().find(|entry| {
            entry.kind == ChangeKind::Modify
                && entry.outcome == HistoryOutcome::Scheduled
                && entry.to == change.from
        });
        if let Some(entry) = taken_back {
            entry.outcome = HistoryOutcome::Cancelled;
        }
    }
    memory.end(change, HistoryOutcome::Completed, now);
}
