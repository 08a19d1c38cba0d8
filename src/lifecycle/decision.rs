//! The nouns of the later stages: Action and Situation (a Decision), Outcome, Verdict.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Change, ChangeId, Ended, ObjectKey, PlanStage, Refusal, Restore, SlotRecord, slot::Slot,
};
use crate::api::{ChangeKind, Phase, Reason, VmInstanceStatus};
use zenlayer::{Answer, ChargeType, InstanceState, InstanceTypeId};

/// What to do, and what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub action: Action,
    pub situation: Situation,
}

impl Decision {
    /// Nothing is done; this is what is told.
    pub fn report(situation: Situation) -> Self {
        Self { action: Action::Nothing, situation }
    }
}

/// The one effect of a pass. Status and events follow from it and are not counted.
#[allow(clippy::large_enum_variant, reason = "one is made in a pass, and it is not copied")]
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Only report.
    Nothing,
    /// Take the slot, write the intent, make the call. With `restore`, the machine is brought back
    /// to that, whatever becomes of the call.
    Call { change: Change, slot: Slot, restore: Option<Restore> },
    /// Write this over the slot that was read.
    WriteSlot { slot: Slot, record: SlotRecord },
}

/// Where the object stands: the one input of phase, reason and message.
#[derive(Debug, Clone, PartialEq)]
pub enum Situation {
    /// Neither spec nor status can be acted on.
    Unusable {
        reason: Reason,
        problem: String,
    },
    SecretUnusable {
        reason: Reason,
        problem: String,
    },
    /// A read of the cloud, or of the slot, failed.
    ReadFailed {
        reason: Reason,
        problem: String,
        severity: Severity,
        refusal: Option<Refusal>,
    },
    InstanceGone {
        ended: Option<Change>,
    },
    DuplicateClaim {
        owner: Option<String>,
    },
    HeldElsewhere {
        holder: ObjectKey,
    },
    /// An intent whose call was not sent, or refused, before anybody wrote that down.
    GivenBack,
    /// The call is about to be made.
    Calling {
        change: Change,
    },
    OutcomeUnknown {
        change: Change,
    },
    /// Nothing shows that the call took effect. With `asks` a person decides, else it is over.
    Unverified {
        change: Change,
        asks: bool,
    },
    /// Accepted, effect not seen.
    Accepted {
        change: Change,
    },
    /// The effect was seen for the first time; the slot closes.
    EffectSeen {
        change: Change,
        stage: Option<PlanStage>,
        adopted: bool,
    },
    /// The effect was seen before; the plan is still open, or reads lag.
    Progressing {
        change: Change,
        stage: Option<PlanStage>,
    },
    Overdue {
        change: Change,
    },
    /// No plan is pending, and the machine is not as the change was to make it.
    NotInEffect {
        change: Change,
        problem: String,
    },
    Completed {
        change: Change,
    },
    Undone {
        change: Change,
    },
    /// The stop did not come to its end in time, and holds no slot any more.
    GivenUp {
        change: Change,
    },
    /// A plan that this object ordered earlier is followed again.
    Resumed {
        change: Change,
    },
    /// The machine runs again; there is nothing left to bring it back to.
    Restored,
    /// A person gave the change free.
    Released {
        change: Change,
    },
    /// A person allows an order again that the world undid.
    Rearmed {
        id: ChangeId,
    },
    /// A read contradicts what was seen less than one margin ago.
    ReadLags,
    InSync,
    /// Somebody else has ordered what is declared: followed from now on.
    Adopted {
        change: Change,
        stage: PlanStage,
    },
    /// An adopted change is not wanted any more. It is somebody else's, and goes on without us.
    LetGo {
        change: Change,
    },
    ForeignPlan {
        to: Option<InstanceTypeId>,
        stage: PlanStage,
    },
    /// What would hold the change back if it were allowed, if anything.
    DriftObserved {
        hindrance: Option<String>,
    },
    Suspended {
        hindrance: Option<String>,
    },
    Refused {
        refusal: Refusal,
    },
    /// Ordered once for this target, and the world undid it.
    Reverted {
        entry: Ended,
    },
    InstanceBusy {
        state: InstanceState,
    },
    InstanceUnusable {
        state: InstanceState,
    },
    ClockSkewed {
        seconds: i64,
    },
    /// A scheduled change of this object that its spec does not want any more, and that may not be
    /// taken back.
    UnwantedPlan {
        change: Change,
    },
    /// As many changes were ordered within an hour as may be.
    OrderLimitReached {
        limit: u32,
        until: Option<Timestamp>,
    },
    /// How many were ordered could not be read.
    OrdersUnknown {
        problem: String,
    },
    /// The reads are too old to act on.
    ReadsStale,
}

/// How hopeless a failed read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It will pass.
    Passing,
    /// No further call until something changes.
    Terminal,
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
    /// The intent that this answers: the write may be repeated on conflict while the status still
    /// holds it, and must not happen otherwise.
    pub answers: Option<ChangeId>,
    pub events: Vec<Event>,
    pub next_look: NextLook,
}

/// When to look again, if nothing wakes the object before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLook {
    After(Duration),
    /// After a pause that grows with each failure in a row.
    Backoff,
    /// Only once the object changes.
    OnChange,
}

/// Something that happened once and that a person may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub warning: bool,
    pub reason: &'static str,
    pub note: String,
}

/// The report that settle derives from a situation, before it becomes conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub phase: Phase,
    pub ready: bool,
    pub reason: Reason,
    pub message: String,
}

/// Whether an unverified call may be made again without a person. Never without a fence; a paid
/// one only for POSTPAID.
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
    harmless && fence.is_some()
}
