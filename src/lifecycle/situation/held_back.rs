//! A change is to be made, and something holds it back.

use std::time::Duration;

use jiff::Timestamp;
use zenlayer::InstanceState;

use super::{
    told::{NextLook, Scene, Told, Worth},
    words::{clock, differs},
};
use crate::{
    api::{ChangeKind, Reason},
    lifecycle::{protocol::Limit, selection::Peer},
};

#[derive(Debug, Clone, PartialEq)]
pub enum HeldBack {
    InstanceBusy {
        state: InstanceState,
    },
    InstanceUnusable {
        state: InstanceState,
    },
    /// Ours is so many seconds ahead of the provider's.
    ClockSkewed {
        seconds: i64,
    },
    /// These operators of the cluster serve the object.
    ServedTwice {
        by: Vec<Peer>,
    },
    /// An edit may be taken back at once.
    EditIsYoung {
        again_in: Duration,
    },
    OrderLimit {
        which: Limit,
        limit: u32,
        until: Option<Timestamp>,
    },
    /// How many were ordered could not be read.
    OrdersUnknown {
        problem: String,
    },
    /// The answers to so many calls in a row were lost.
    AnswersLost {
        kind: ChangeKind,
        tries: u32,
        until: Timestamp,
    },
    /// The machine was stopped so often, and ran again without its change.
    DoesNotStop {
        tries: u32,
        until: Timestamp,
    },
}

impl HeldBack {
    pub fn settles_the_type(&self) -> bool {
        match self {
            Self::InstanceUnusable { .. } | Self::ServedTwice { .. } => true,
            Self::InstanceBusy { .. }
            | Self::ClockSkewed { .. }
            | Self::EditIsYoung { .. }
            | Self::OrderLimit { .. }
            | Self::OrdersUnknown { .. }
            | Self::AnswersLost { .. }
            | Self::DoesNotStop { .. } => false,
        }
    }

    pub fn told(&self, scene: &Scene) -> Told {
        let id = &scene.desired.instance_id;
        match self {
            Self::InstanceBusy { state } => Told::waiting(
                Reason::InstanceBusy,
                format!(
                    "instance {id} is {state}; a change is possible while it is RUNNING or STOPPED"
                ),
                NextLook::Backoff,
            ),
            Self::InstanceUnusable { state } => unusable(scene, state),
            Self::ClockSkewed { seconds } => Told::failed(
                Reason::ClockSkewed,
                format!(
                    "the operator's clock is {} s {} the provider's (the limit is {} s): synchronise \
                     the clock of its node; no change is ordered until then",
                    seconds.unsigned_abs(),
                    if *seconds < 0 { "behind" } else { "ahead of" },
                    scene.desired.timing.skew_limit.as_secs()
                ),
                scene.at_rest(),
            ),
            Self::ServedTwice { by } => served_twice(scene, by),
            Self::EditIsYoung { again_in } => Told::waiting(
                Reason::Submitting,
                format!("{}; the change is ordered in a moment (--order-delay)", differs(scene)),
                scene.after(*again_in),
            )
            .not_written(),
            Self::OrderLimit { which, limit, until } => {
                over_the_limit(scene, *which, *limit, *until)
            }
            Self::OrdersUnknown { problem } => Told::waiting(
                Reason::KubernetesUnavailable,
                format!(
                    "cannot read how many changes were ordered within the last hour: {problem}"
                ),
                NextLook::Backoff,
            ),
            Self::AnswersLost { kind, tries, until } => {
                let what = match kind {
                    ChangeKind::CancelDowngrade => "cancel the scheduled change",
                    ChangeKind::Modify | ChangeKind::Stop | ChangeKind::Start => {
                        "resize the instance"
                    }
                };
                Told::waiting(
                    Reason::AnswersLost,
                    format!(
                        "{tries} calls to {what} were made and their answers were lost, and nothing \
                         shows that one took effect; the next one is made after {}",
                        clock(*until)
                    ),
                    scene.at(*until),
                )
            }
            Self::DoesNotStop { tries, until } => Told::waiting(
                Reason::StopInProgress,
                format!(
                    "the instance was shut down for this change {}, and it runs without the change; \
                     it is shut down again after {}; to resize it without a shutdown, set \
                     spec.strategy to InPlace",
                    if *tries == 1 { "once".to_owned() } else { format!("{tries} times") },
                    clock(*until)
                ),
                scene.at(*until),
            ),
        }
    }
}

/// It ends with the other operator's lease, or with a label or an option that somebody changes. What an
/// operator selects may name the namespaces of others, so that is in its log alone.
fn served_twice(scene: &Scene, by: &[Peer]) -> Told {
    // Each of them writes the same.
    let operators: Vec<&str> = by.iter().map(|peer| peer.holder.as_str()).collect();
    let message = format!(
        "{}; nothing is ordered while several operators serve this object: {} (the log of each says \
         what it serves); give them selections without a common object (--watch-namespaces, \
         --selector), or stop all but one",
        differs(scene),
        operators.join(", ")
    );
    let reason = Reason::ServedTwice;
    Told::waiting(reason, message, scene.at_rest()).event(Worth::News(true, reason.as_str()))
}

fn unusable(scene: &Scene, state: &InstanceState) -> Told {
    let id = &scene.desired.instance_id;
    let (reason, message) = match state {
        InstanceState::CreateFailed => (
            Reason::InstanceUnusable,
            format!(
                "the creation of instance {id} has failed ({state}): ask the provider, or delete this \
                 VmInstance"
            ),
        ),
        _ => (
            Reason::InstanceRecycled,
            format!(
                "instance {id} is {state}: restore it in the provider's console, or delete this \
                 VmInstance"
            ),
        ),
    };
    Told::failed(reason, message, scene.at_rest())
}

fn over_the_limit(scene: &Scene, which: Limit, limit: u32, until: Option<Timestamp>) -> Told {
    let (reason, what, option) = match which {
        Limit::All => (Reason::OrderLimitReached, "", "--max-orders-per-hour"),
        Limit::Namespace => (
            Reason::NamespaceOrderLimitReached,
            " for this namespace",
            "--max-orders-per-namespace-per-hour",
        ),
        Limit::Object => (
            Reason::ObjectOrderLimitReached,
            " for one VmInstance",
            "--max-orders-per-object-per-hour",
        ),
    };
    let next = until
        .map(|time| format!("; the next order is possible after {}", clock(time)))
        .unwrap_or_default();
    let message = format!(
        "{}; the limit of {limit} orders per hour{what} ({option}) is reached{next}",
        differs(scene)
    );
    let look = until.map_or(NextLook::Backoff, |time| scene.at(time));
    Told::waiting(reason, message, look).event(Worth::News(true, reason.as_str()))
}
