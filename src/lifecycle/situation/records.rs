//! What a process left behind that ended between two writes.

use super::told::{AT_ONCE, Memo, NextLook, Scene, Told};
use crate::{
    api::{HistoryOutcome, Reason},
    lifecycle::protocol::Change,
};

#[derive(Debug, Clone, PartialEq)]
pub enum Records {
    /// A lane that held an ended change is free again.
    Freed,
    /// A lane is taken, and its intent may be about to be written.
    BeingMade,
    /// The call of a lane without an intent is certainly not made.
    Withdrawn { change: Change },
    /// An intent has no record any more.
    Unrecorded { change: Change, paid: bool },
    /// An answer that only the status knew is in the slot, too.
    AnswerKept,
}

impl Records {
    pub fn settles_the_type(&self) -> bool {
        match self {
            Self::Freed
            | Self::BeingMade
            | Self::Withdrawn { .. }
            | Self::Unrecorded { .. }
            | Self::AnswerKept => false,
        }
    }

    pub fn told(&self, scene: &Scene) -> Told {
        let id = &scene.desired.instance_id;
        let again = format!("instance {id} is read again");
        match self {
            Self::Freed | Self::AnswerKept => Told::quiet(Reason::ReadAgain, again, AT_ONCE),
            Self::BeingMade => {
                let look = NextLook::After(scene.desired.timing.send_window);
                Told::quiet(Reason::Submitting, "a call is being made".to_owned(), look)
            }
            Self::Withdrawn { change } => Told::waiting(
                Reason::Submitting,
                format!(
                    "the call of {} was not made; {again}",
                    super::words::clock(change.started_at)
                ),
                AT_ONCE,
            )
            .remember(Memo::AskAgain(change.clone()))
            .remember(Memo::Withdrawn(change.id.clone())),
            Self::Unrecorded { change, paid } => {
                let outcome =
                    if *paid { HistoryOutcome::Unrecorded } else { HistoryOutcome::Unverified };
                let message = format!(
                    "the record of the call of {} is gone: it counts as made; {again}",
                    super::words::clock(change.started_at)
                );
                Told::waiting(Reason::OutcomeUnknown, message, AT_ONCE)
                    .remember(Memo::End(change.clone(), outcome))
            }
        }
    }
}
