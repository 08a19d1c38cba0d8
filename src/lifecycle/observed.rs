//! What the world says, gathered before anything is decided. Failures are values in here.

use jiff::Timestamp;

use super::{
    Change, Memory, ObjectKey, Restore, Slot, SlotRecord, Timing, invalid_status::InvalidStatus,
    prices::Prices,
};
use crate::api::{ChangeKind, ChangeState, Reason};
use zenlayer::{Instance, InstanceState, Offer, ReadError, Reading, TypeStatus};

/// Everything that a decision rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// What the status remembers.
    pub memory: Result<Memory, InvalidStatus>,
    pub secret: SecretState,
    /// When the first of the cloud reads began, by our clock.
    pub began_at: Timestamp,
    pub instance: Option<Result<Reading<Option<Instance>>, ReadError>>,
    /// Read only when a change is in flight or might be made.
    pub plan: Option<Result<Reading<Option<TypeStatus>>, ReadError>>,
    /// Read under the same condition. The text says why it could not be read.
    pub slot: Option<Result<Slot, String>>,
    /// Whether the object that holds the slot, if it is another one, still exists.
    pub holder_exists: bool,
    pub claim: Claim,
    /// The types on offer in the instance's zone for its charge type. Read only when a change might
    /// be ordered; where it cannot be read, the provider decides.
    pub catalogue: Option<Vec<Offer>>,
    /// List prices of the type in effect and of the declared one, for a PREPAID instance. Read
    /// under the same condition.
    pub prices: Prices,
    /// Paid calls of all objects within the last hour. Read under the same condition.
    pub orders: Option<Result<OrderCount, String>>,
}

/// How much of the hour's limit is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderCount {
    /// Calls that were accepted, or may yet be, within the last hour.
    pub within_the_hour: u32,
    /// When the oldest of them is an hour old.
    pub oldest_ends: Option<Timestamp>,
}

/// What is known of the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretState {
    /// Complete; the resourceVersion, and whether its requests expire (an access key's do).
    Usable {
        version: String,
        expires_requests: bool,
    },
    NotFound,
    /// What is missing, and the remedy.
    Incomplete {
        version: String,
        problem: String,
    },
    /// The Kubernetes API did not hand it out.
    Unreadable {
        problem: String,
    },
}

impl SecretState {
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Usable { version, .. } | Self::Incomplete { version, .. } => Some(version),
            Self::NotFound | Self::Unreadable { .. } => None,
        }
    }
}

/// Whether this object owns its instance among all objects that name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    Owner,
    /// An older object owns it; its name only where it is in the same namespace.
    Duplicate {
        owner: Option<String>,
    },
}

/// Where the change in flight stands once the status and the slot are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No change of ours, and the slot is free (or was not looked at).
    Idle,
    /// A change in flight: from the status, from the slot, or from both.
    InFlight(Change),
    /// The status holds an intent whose slot was given back: the call was not sent, or refused.
    GivenBack(Change),
    /// The slot is held by a change of another object that exists.
    HeldElsewhere(ObjectKey),
}

impl Observed {
    /// Reads status and slot together. The slot wins: it is written first and outlives the object.
    pub fn standing(&self, me: &ObjectKey, timing: &Timing) -> Standing {
        let remembered = self.memory.as_ref().ok().and_then(|memory| memory.change.as_ref());
        let Some(record) = self.slot().map(|slot| &slot.record) else {
            return remembered.map_or(Standing::Idle, |change| Standing::InFlight(change.clone()));
        };
        // A call beside a change that was seen took the slot and left no intent: its process ended in
        // between. It is settled first, or the object would wait for itself.
        let beside = |change: &Change| {
            record.holding.as_ref().is_some_and(|held| {
                held.object.uid == me.uid
                    && held.change != change.id
                    && held.kind != ChangeKind::Modify
            })
        };
        let of_status = remembered
            .filter(|change| change.state != ChangeState::Observed || !beside(change))
            .and_then(|change| standing_in_slot(change, record, timing));
        if let Some(standing) = of_status {
            return standing;
        }
        match &record.holding {
            None => Standing::Idle,
            Some(held) if held.object.uid == me.uid => {
                Standing::InFlight(Change::from_slot(held, timing))
            }
            // The object that ordered it is gone: whoever owns the instance now follows the change
            // to its end. It was not ordered for a target of this object.
            Some(held) if !self.holder_exists && self.claim == Claim::Owner => {
                let change = Change::from_slot(held, timing);
                Standing::InFlight(Change { target_generation: 0, ..change })
            }
            Some(held) => Standing::HeldElsewhere(held.object.clone()),
        }
    }

    /// The provider's clock: the earliest `Date` of the reads, so that a fence passed by it was
    /// passed by every one of them.
    pub fn provider_now(&self) -> Option<Timestamp> {
        let instance = self.instance.as_ref()?.as_ref().ok()?.date?;
        match &self.plan {
            None => Some(instance),
            Some(plan) => Some(instance.min(plan.as_ref().ok()?.date?)),
        }
    }

    /// Every `Date` that the reads carried.
    pub fn dates(&self) -> impl Iterator<Item = Timestamp> {
        let instance = self.instance.as_ref().and_then(|read| read.as_ref().ok()?.date);
        let plan = self.plan.as_ref().and_then(|read| read.as_ref().ok()?.date);
        instance.into_iter().chain(plan)
    }

    /// Whether the provider answered that there is no such instance.
    pub fn is_gone(&self) -> bool {
        matches!(&self.instance, Some(Ok(reading)) if reading.value.is_none())
    }

    /// The instance, where it was read and exists.
    pub fn instance(&self) -> Option<&Instance> {
        self.instance.as_ref()?.as_ref().ok()?.value.as_ref()
    }

    /// The plan that the provider shows, where it was read.
    pub fn type_status(&self) -> Option<&TypeStatus> {
        self.plan.as_ref()?.as_ref().ok()?.value.as_ref()
    }

    /// What the machine is brought back to: by the status, or, for the owner, by a slot that
    /// outlived an object.
    pub fn restore(&self) -> Option<Restore> {
        let remembered = self.memory.as_ref().ok().and_then(|memory| memory.restore.clone());
        remembered.or_else(|| {
            let owned = self.claim == Claim::Owner;
            let kept = self.slot().filter(|_| owned)?.record.restore.as_ref()?;
            Some(Restore {
                power_state: kept.power_state.clone(),
                stopped_by: kept.stopped_by.clone(),
                since: kept.since,
            })
        })
    }

    /// Whether the machine is seen to be off.
    pub fn is_stopped(&self) -> bool {
        self.instance().is_some_and(|one| one.state == InstanceState::Stopped)
    }

    /// The slot, where it was read.
    pub fn slot(&self) -> Option<&Slot> {
        self.slot.as_ref()?.as_ref().ok()
    }
}

/// What the slot says of the change that the status holds; nothing, where another change holds it
/// and no word of this one is left.
fn standing_in_slot(change: &Change, record: &SlotRecord, timing: &Timing) -> Option<Standing> {
    let held = record.holding.as_ref().filter(|held| held.change == change.id);
    let closed = record.closed.iter().any(|closed| closed.change == change.id);
    if let Some(held) = held {
        return Some(Standing::InFlight(merged(change, &Change::from_slot(held, timing))));
    }
    if record.returned.as_ref() == Some(&change.id) {
        return Some(Standing::GivenBack(change.clone()));
    }
    // An observed change has closed its slot; another one may hold it by now.
    if closed || change.state == ChangeState::Observed {
        return Some(Standing::InFlight(Change { state: ChangeState::Observed, ..change.clone() }));
    }
    record.holding.is_none().then(|| Standing::InFlight(change.clone()))
}

/// The status knows times that the slot does not; the slot knows an answer that the status may
/// have missed.
fn merged(remembered: &Change, held: &Change) -> Change {
    match held.state {
        ChangeState::Accepted if remembered.state != ChangeState::Observed => Change {
            state: ChangeState::Accepted,
            submitted_at: remembered.submitted_at.or(held.submitted_at),
            order_number: held.order_number.clone(),
            request_id: held.request_id.clone(),
            ..remembered.clone()
        },
        _ => remembered.clone(),
    }
}

impl SecretState {
    /// Why no call can be made with it, as a condition reason.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Usable { .. } => None,
            Self::NotFound => Some(Reason::SecretNotFound),
            Self::Incomplete { .. } => Some(Reason::SecretIncomplete),
            Self::Unreadable { .. } => Some(Reason::KubernetesUnavailable),
        }
    }
}
