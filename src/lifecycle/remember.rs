//! What the status remembers: what a pass starts from, and what it adds.

use jiff::Timestamp;

use super::{
    Desired, Memory, Observed,
    decision::Order,
    protocol::{Change, LaneName},
    refusal,
    situation::Memo,
    standing::Standing,
    time::whole_seconds,
};
use crate::api::{ChangeKind, ChangeState, HistoryOutcome};

/// The memory that this pass starts from: the changes as status and slot show them together, the
/// target of the declared type, the one-shot annotations, and a refusal only while it stands.
pub fn remembered(desired: &Desired, observed: &Observed, now: Timestamp) -> Memory {
    let mut memory = observed.memory.clone().unwrap_or_default();
    memory.restore = observed.restore().cloned();
    for lane in LaneName::ALL {
        let standing = Standing::of(lane, observed, &memory, &desired.object, &desired.timing);
        if let Standing::InFlight(change) = standing {
            if memory.in_lane(lane).is_some_and(|old| old.id != change.id) {
                make_room(&mut memory, change.kind, now);
            }
            if change.kind == ChangeKind::Modify {
                memory.order_number.clone_from(&change.order_number);
                memory.request_id.clone_from(&change.request_id);
            }
            memory.set_lane(lane, Some(change));
        }
    }
    if refusal::standing(desired, &memory, observed, now).is_none() {
        memory.refusal = kept_for_its_attempts(desired, observed, &memory);
    }
    memory.target = Some(memory.target_for(&desired.type_id, desired.generation));
    // Taken off and set once more, it asks once more: its value is a type, and types come again.
    if desired.cancel_plan.is_none() {
        memory.handled.cancel_plan = None;
    }
    memory
}

/// A refusal whose pause is over no longer stands; how often it came in a row is still known.
fn kept_for_its_attempts(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
) -> Option<super::memory::Refusal> {
    let refusal = memory.refusal.as_ref()?;
    let same_credential =
        observed.secret.digest().is_none_or(|digest| digest == refusal.credential);
    let same_target = refusal.to == desired.type_id;
    let asked_again = refusal::is_asked_again(desired, memory);
    (same_credential && same_target && !asked_again && refusal.retry_after.is_some())
        .then(|| refusal.clone())
}

/// Makes room for another call in the lane of the type: a scheduled change that is about to be
/// cancelled waits in the history. A call of the other lane needs none.
fn make_room(memory: &mut Memory, by: ChangeKind, now: Timestamp) {
    if LaneName::of(by) == LaneName::Power {
        return;
    }
    let Some(change) = memory.change.take() else { return };
    if change.kind != ChangeKind::Modify {
        return;
    }
    let outcome = match (change.state, by) {
        (ChangeState::Observed, ChangeKind::CancelDowngrade) => HistoryOutcome::Scheduled,
        (ChangeState::Observed, _) => HistoryOutcome::Overdue,
        // Its record is gone, or another change could not hold the lane.
        (ChangeState::Submitting | ChangeState::Accepted | ChangeState::Unverified, _) => {
            HistoryOutcome::Unrecorded
        }
    };
    memory.end(&change, outcome, whole_seconds(now));
}

/// A call is tried once for each word of a person.
pub fn tried(memory: &mut Memory, desired: &Desired) {
    if desired.requested_at.is_some() {
        memory.handled.requested_at.clone_from(&desired.requested_at);
    }
}

/// Puts a call into its lane.
pub fn begin(memory: &mut Memory, desired: &Desired, order: &Order, now: Timestamp) {
    let change = &order.change;
    make_room(memory, change.kind, now);
    if change.kind == ChangeKind::Modify {
        memory.order_number = None;
        memory.request_id = None;
    }
    let cancels_a_foreign_plan = change.kind == ChangeKind::CancelDowngrade
        && desired.cancel_plan.as_deref() == Some(change.from.as_str());
    if cancels_a_foreign_plan {
        memory.handled.cancel_plan.clone_from(&desired.cancel_plan);
    }
    // What a person asked for is tried.
    tried(memory, desired);
    memory.restore.clone_from(&order.restore);
    memory.set_lane(change.lane(), Some(change.clone()));
}

/// A call that certainly did nothing leaves the memory as it was before: what it took the place of goes
/// on, and what a person asked for is still to be done.
pub fn leave(memory: &mut Memory, untouched: Memory, change: &Change) {
    let target = memory.target.clone();
    *memory = Memory { target, withdrawn: Some(change.id.clone()), ..untouched };
}

/// A cancellation that a person asked for was not made: the word still stands.
fn ask_again(memory: &mut Memory, change: &Change) {
    let asked = memory.handled.cancel_plan.as_deref() == Some(change.from.as_str());
    if change.kind == ChangeKind::CancelDowngrade && asked {
        memory.handled.cancel_plan = None;
    }
}

/// What a situation adds.
pub fn apply(memory: &mut Memory, memo: &Memo, now: Timestamp) {
    let now = whole_seconds(now);
    match memo {
        Memo::Change(change) => memory.set_lane(change.lane(), Some(change.clone())),
        Memo::End(change, outcome) => end(memory, change, *outcome, now),
        Memo::Drop(lane) => memory.set_lane(*lane, None),
        Memo::Withdrawn(id) => {
            for lane in LaneName::ALL {
                if memory.in_lane(lane).is_some_and(|change| change.id == *id) {
                    memory.set_lane(lane, None);
                }
            }
            memory.withdrawn = Some(id.clone());
        }
        Memo::Resumed(change) => {
            memory.history.retain(|entry| entry.id != change.id);
            memory.order_number.clone_from(&change.order_number);
            memory.request_id.clone_from(&change.request_id);
            memory.change = Some(change.clone());
        }
        Memo::Released(id) => {
            for entry in memory.history.iter_mut().filter(|entry| entry.id == *id) {
                entry.outcome = HistoryOutcome::Released;
            }
        }
        Memo::ReleaseHandled(id) => memory.handled.release = Some(id.0.clone()),
        Memo::AskAgain(change) => ask_again(memory, change),
        Memo::Refused(refusal) => remember_refusal(memory, refusal),
        Memo::LeftAsItIs => {
            memory.restore = None;
            memory.power = None;
        }
        Memo::Numbers(change) => {
            memory.order_number.clone_from(&change.order_number);
            memory.request_id.clone_from(&change.request_id);
        }
    }
}

/// A start that is refused does not push out what the change was refused for.
fn remember_refusal(memory: &mut Memory, refusal: &super::memory::Refusal) {
    let stands = memory.refusal.as_ref().is_some_and(|old| old.kind != ChangeKind::Start);
    if !(stands && refusal.kind == ChangeKind::Start) {
        memory.refusal = Some(refusal.clone());
    }
}

/// A call that is complete has done what it was to do. A cancellation ends the change that it took back,
/// too.
fn end(memory: &mut Memory, change: &Change, outcome: HistoryOutcome, now: Timestamp) {
    let completed = outcome == HistoryOutcome::Completed;
    if completed && change.kind == ChangeKind::CancelDowngrade {
        let taken_back = memory.history.iter_mut().rev().find(|entry| {
            entry.kind == ChangeKind::Modify
                && entry.outcome == HistoryOutcome::Scheduled
                && entry.to == change.from
        });
        if let Some(entry) = taken_back {
            entry.outcome = HistoryOutcome::Cancelled;
        }
    }
    let change = &if outcome == HistoryOutcome::Reverted {
        of_the_target(memory, change)
    } else {
        change.clone()
    };
    memory.end(change, outcome, now);
}

/// A change to the declared type that is gone again counts for the declaration as it is now, whichever one
/// it was ordered for: it is not ordered again without a word.
fn of_the_target(memory: &Memory, change: &Change) -> Change {
    let target = memory
        .target
        .as_ref()
        .filter(|target| change.kind == ChangeKind::Modify && target.type_id == change.to);
    let target_generation =
        target.map_or(change.target_generation, |target| target.since_generation);
    Change { target_generation, ..change.clone() }
}
