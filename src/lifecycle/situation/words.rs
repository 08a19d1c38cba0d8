//! Words that several situations share.

use jiff::Timestamp;
use zenlayer::{InstanceTypeId, OrderNumber};

use super::Scene;
use crate::{
    api::{ChangeKind, DecisionKind, PendingDecision, RELEASE_ANNOTATION, Reason},
    lifecycle::{
        plan::PlanStage,
        protocol::{Change, ChangeId},
    },
};

/// A moment, as messages show it.
pub fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub fn order(number: Option<&OrderNumber>) -> String {
    match number {
        Some(number) => format!("order {number}"),
        None => "order number unknown".to_owned(),
    }
}

/// What is declared, where that is no longer what an older change was for.
pub fn now_declared(want: &InstanceTypeId) -> String {
    format!("spec.instanceTypeId is now {want}")
}

pub fn differs(scene: &Scene) -> String {
    let want = &scene.desired.type_id;
    match scene.instance {
        Some(instance) => format!(
            "instance {} is of type {}, spec.instanceTypeId is {want}",
            instance.id, instance.type_id
        ),
        None => format!("spec.instanceTypeId is {want}"),
    }
}

pub fn stage(stage: PlanStage) -> &'static str {
    match stage {
        PlanStage::Running => "running",
        PlanStage::Scheduled => "scheduled for the next billing cycle",
        PlanStage::Unknown => "in a state that this version does not know",
    }
}

pub fn release(id: &ChangeId) -> String {
    format!("{RELEASE_ANNOTATION}={id}")
}

/// A person is asked whether to stop waiting for a change.
pub fn whether_to_release(change: &Change) -> PendingDecision {
    PendingDecision {
        kind: DecisionKind::ReleaseChange,
        change_id: Some(change.id.to_string()),
        annotation: release(&change.id),
        message:
            "The operator stops waiting for this change; what is still missing then is ordered \
                  again."
                .to_owned(),
    }
}

/// What is known of the order that a person may have made once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstOrder {
    Paid,
    /// Somebody else ordered it.
    Foreign,
    /// Nobody knows how it ended.
    Unknown,
}

/// A person is asked whether to order a change once more.
pub fn whether_to_order_again(id: &ChangeId, first: FirstOrder) -> PendingDecision {
    let message = match first {
        FirstOrder::Paid => "The change is ordered, and paid for, once more.",
        FirstOrder::Foreign => "The change is ordered.",
        FirstOrder::Unknown => {
            "The change is ordered once more; if the first order was accepted, it is paid for twice."
        }
    };
    PendingDecision {
        kind: DecisionKind::OrderAgain,
        change_id: Some(id.to_string()),
        annotation: release(id),
        message: message.to_owned(),
    }
}

/// What a call is for, as the start of a sentence.
pub fn purpose(change: &Change) -> String {
    let Change { kind, from, to, .. } = change;
    match kind {
        ChangeKind::Modify if change.adopted => {
            format!("following a change from {from} to {to} that this object did not order")
        }
        ChangeKind::Modify => format!("resizing {from} to {to}"),
        ChangeKind::CancelDowngrade => format!("cancelling the scheduled change to {from}"),
        ChangeKind::Stop => format!("stopping the instance to resize {from} to {to}"),
        ChangeKind::Start => "starting the instance that was stopped for a change".to_owned(),
    }
}

/// The same, since when, and with the order where there is one to name.
pub fn since(change: &Change) -> String {
    let ordered = match change.kind {
        ChangeKind::Modify if change.adopted => String::new(),
        ChangeKind::Modify => format!(", {}", order(change.order_number.as_ref())),
        ChangeKind::CancelDowngrade | ChangeKind::Stop | ChangeKind::Start => String::new(),
    };
    format!("{} since {}{ordered}", purpose(change), clock(change.started_at))
}

/// What a call has done, once it is complete.
pub fn done(
    kind: ChangeKind,
    (from, to): (&InstanceTypeId, &InstanceTypeId),
    adopted: bool,
    number: Option<&OrderNumber>,
) -> String {
    match kind {
        ChangeKind::Modify if adopted => {
            format!("resized {from} to {to}, which this object did not order")
        }
        ChangeKind::Modify => format!("resized {from} to {to}, {}", order(number)),
        ChangeKind::CancelDowngrade => {
            format!("the scheduled change to {from} is cancelled, the instance stays of type {to}")
        }
        ChangeKind::Stop => "the instance is stopped".to_owned(),
        ChangeKind::Start => "the instance is started again".to_owned(),
    }
}

pub fn in_progress(kind: ChangeKind) -> Reason {
    match kind {
        ChangeKind::Modify => Reason::ChangeInProgress,
        ChangeKind::CancelDowngrade => Reason::CancelInProgress,
        ChangeKind::Stop => Reason::StopInProgress,
        ChangeKind::Start => Reason::StartInProgress,
    }
}
