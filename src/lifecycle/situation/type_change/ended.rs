//! What is told of a change that is complete, does not come to its end, or was changed back.

use super::super::{
    at_rest::passive,
    told::{AT_ONCE, Memo, Scene, Told, Worth},
    words::{
        FirstOrder, done, now_declared, order, release, since, whether_to_order_again,
        whether_to_release,
    },
};
use crate::{
    api::{ChangeKind, HistoryOutcome, Phase, Reason},
    lifecycle::{ended::Ended, protocol::Change},
};

/// What a person can do about a change that does not come to its end. To stop waiting for an order
/// means to order it again, where it is still wanted.
fn ways_out(scene: &Scene, change: &Change) -> String {
    let annotation = format!("the annotation {}", release(&change.id));
    let is_of_type = scene.instance.is_some_and(|one| one.type_id == change.to);
    match change.kind {
        ChangeKind::Modify if !is_of_type => format!(
            "ask the provider about the order; to stop waiting for it, set {annotation}: the change is \
             then ordered again, unless the provider shows it as pending; to stop here, first set \
             spec.instanceTypeId to {}",
            change.from
        ),
        ChangeKind::Modify | ChangeKind::Stop | ChangeKind::Start => {
            format!("ask the provider; to accept the current state, set {annotation}")
        }
        ChangeKind::CancelDowngrade => {
            format!("ask the provider; to cancel it once more, set {annotation}")
        }
    }
}

pub fn stuck(scene: &Scene, change: &Change, reason: Reason, what: &str) -> Told {
    let message = format!(
        "{}: {what}; the operator keeps watching it; {}",
        since(change),
        ways_out(scene, change)
    );
    Told::failed(reason, message, scene.at_rest())
        .asks(whether_to_release(change))
        .remember(Memo::Change(change.clone()))
}

pub fn completed(scene: &Scene, change: &Change) -> Told {
    let want = &scene.desired.type_id;
    let number = change.order_number.as_ref();
    let done = done(change.kind, (&change.from, &change.to), change.adopted, number);
    let told = if change.to == *want {
        let look = if change.kind == ChangeKind::Modify { scene.at_rest() } else { AT_ONCE };
        Told::ready(Phase::InSync, Reason::InSync, done, look)
    } else {
        let message = format!("{done}; {}", now_declared(want));
        Told::waiting(Reason::ChangeInProgress, message, AT_ONCE)
    };
    let event = match change.kind {
        ChangeKind::Modify => "ChangeCompleted",
        ChangeKind::CancelDowngrade => "ChangeCancelled",
        ChangeKind::Stop => "InstanceStopped",
        ChangeKind::Start => "InstanceStarted",
    };
    told.event(Worth::Always(false, event))
        .remember(Memo::End(change.clone(), HistoryOutcome::Completed))
}

/// The effect of a change was seen, and is gone again.
pub fn undone(scene: &Scene, change: &Change) -> Told {
    let want = &scene.desired.type_id;
    let Change { from, to, .. } = change;
    let (what, again) = if change.adopted {
        (format!("a change from {from} to {to} that this object did not order"), "order it,")
    } else {
        let order = order(change.order_number.as_ref());
        (format!("the change from {from} to {to} ({order})"), "order it again, and pay again,")
    };
    let end = Memo::End(change.clone(), HistoryOutcome::Reverted);
    if change.to != *want {
        let message =
            format!("{what} was changed back outside this object; {}", now_declared(want));
        return Told::waiting(Reason::ChangeInProgress, message, AT_ONCE).remember(end);
    }
    let annotation = release(&change.id);
    let message = format!(
        "{what} was changed back outside this object; to {again} set the annotation {annotation}"
    );
    Told::failed(Reason::Reverted, message, AT_ONCE)
        .asks(whether_to_order_again(&change.id, first_order(change.adopted, None)))
        .remember(end)
}

/// An order that was made once for this declaration is not made again.
pub fn reverted(scene: &Scene, entry: &Ended) -> Told {
    let Ended { from, to, id, .. } = entry;
    let again = format!("set the annotation {}", release(id));
    let (reason, message) = match entry.outcome {
        HistoryOutcome::Unrecorded | HistoryOutcome::Unknown => (
            Reason::OutcomeUnverified,
            format!(
                "it is not known how the change from {from} to {to} (change {id}) ended, and the \
                 instance is of type {from}; check the orders in the provider's console; to order it \
                 again, {again}"
            ),
        ),
        _ if entry.adopted => (
            Reason::Reverted,
            format!(
                "a change from {from} to {to} that this object did not order was seen, and the \
                 instance is of type {from}; to order it, {again}"
            ),
        ),
        _ => (
            Reason::Reverted,
            format!(
                "the change from {from} to {to} was ordered once (change {id}), and it was changed back \
                 outside this object; to order it again, and pay again, {again}"
            ),
        ),
    };
    let first = first_order(entry.adopted, Some(entry.outcome));
    Told::failed(reason, message, scene.at_rest()).asks(whether_to_order_again(id, first))
}

fn first_order(adopted: bool, outcome: Option<HistoryOutcome>) -> FirstOrder {
    match outcome {
        Some(HistoryOutcome::Unrecorded | HistoryOutcome::Unknown) => FirstOrder::Unknown,
        _ if adopted => FirstOrder::Foreign,
        _ => FirstOrder::Paid,
    }
}

pub fn unwanted(scene: &Scene, change: &Change) -> Told {
    let message = format!(
        "a change to {} ({}) is scheduled, and {}",
        change.to,
        order(change.order_number.as_ref()),
        now_declared(&scene.desired.type_id)
    );
    if scene.desired.deleted_at.is_some() {
        let message = format!("{message}; the VmInstance is being deleted, so it is not cancelled");
        return Told::waiting(Reason::BeingDeleted, message, scene.at_rest());
    }
    let (phase, reason, why) = passive(scene.desired);
    Told::ready(phase, reason, format!("{message}; {why}, so it is not cancelled"), scene.at_rest())
}
