//! The nouns of the later stages: Decision, Outcome, Verdict.

use jiff::Timestamp;
use zenlayer::{Answer, ChargeType};

use super::{
    observed::Trouble,
    protocol::{Change, ChangeId, Restore, Slot, SlotRecord},
    situation::{Event, NextLook, Situation},
};
use crate::api::{ChangeKind, VmInstanceStatus};

/// What to do, and what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub action: Action,
    pub situation: Situation,
}

impl Decision {
    /// Nothing is done; this is what is told.
    pub fn report(situation: impl Into<Situation>) -> Self {
        Self { action: Action::Nothing, situation: situation.into() }
    }

    pub fn of(action: Action, situation: impl Into<Situation>) -> Self {
        Self { action, situation: situation.into() }
    }
}

/// The one effect of a pass. Status and events follow from it and are not counted.
#[allow(clippy::large_enum_variant, reason = "one is made in a pass, and it is not copied")]
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Only report.
    Nothing,
    /// Take a lane of the slot, write the intent, make the call.
    Call(Order),
    /// Write this over the slot that was read.
    WriteSlot { slot: Slot, record: SlotRecord },
    /// Keep the object from being deleted, or let it go.
    SetFinalizer(bool),
}

/// A call that is about to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub change: Change,
    /// The slot that was read.
    pub slot: Slot,
    /// The slot with the lane taken.
    pub taken: SlotRecord,
    /// What the machine is brought back to from this call on.
    pub restore: Option<Restore>,
}

/// What became of the action.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// There was none, or it was done as decided.
    Done,
    /// Somebody else wrote first; nothing was sent.
    LostRace,
    /// The Kubernetes API failed; nothing was sent.
    StoreFailed { problem: String },
    /// The call was tried.
    Answered { answer: Answer },
}

/// What to publish, and when to look again.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub status: VmInstanceStatus,
    /// The intent that this answers: the write is repeated until it is done, while the status still
    /// holds that intent, and must not happen otherwise.
    pub answers: Option<ChangeId>,
    pub events: Vec<Event>,
    pub next_look: NextLook,
    /// The account of the credential was refused: what its other objects wait for.
    pub account: Option<Trouble>,
}

/// Whether an unverified call may be made again without a person: never without a fence; a paid one
/// only where the machine is known to be billed afterwards.
pub fn may_repeat_unverified(
    kind: ChangeKind,
    charge_type: &ChargeType,
    fence: Option<Timestamp>,
) -> bool {
    let harmless = match (kind, charge_type) {
        (ChangeKind::Modify, ChargeType::Postpaid) => true,
        (ChangeKind::Modify, ChargeType::Prepaid | ChargeType::Other(_)) => false,
        (ChangeKind::CancelDowngrade | ChangeKind::Stop | ChangeKind::Start, _) => true,
    };
    harmless && (fence.is_some() || kind != ChangeKind::Modify)
}
