//! What the world says, gathered before anything is decided. Failures are values in here.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use zenlayer::{Instance, InstanceState, Offer, ReadError, Reading, TypeStatus};

use super::{
    Memory,
    invalid_status::InvalidStatus,
    object_key::ObjectKey,
    plan::PlanView,
    prices::Prices,
    protocol::{Change, Held, Known, LaneName, OrderCount, Restore, Slot},
    selection::Peer,
};
use crate::api::{ChangeState, Phase, Reason, VmInstanceStatus};

/// Everything that a decision rests on. What was not asked for is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// What the status remembers.
    pub memory: Result<Memory, InvalidStatus>,
    /// The status speaks of the spec as it is, and of an object at rest.
    pub status_is_current: bool,
    pub secret: SecretState,
    pub claim: Claim,
    /// For how long this process has known what it knows.
    pub since: Since,
    pub instance: Option<Result<Reading<Option<Instance>>, ReadError>>,
    pub plan: Option<Result<Reading<Option<TypeStatus>>, ReadError>>,
    /// The text says why it could not be read.
    pub slot: Option<Result<Slot, String>>,
    /// It was read past every cache, after the object was.
    pub slot_is_anew: bool,
    /// The objects that hold the lanes of the slot, where they are others than this one.
    pub holders: Holders,
    /// How many orders were made within the last hour.
    pub orders: Option<Result<OrderCount, String>>,
    /// The types on offer in the instance's zone for its charge type.
    pub catalogue: Option<Result<Vec<Offer>, ReadError>>,
    /// List prices, for an instance that is not known to be billed afterwards.
    pub prices: Option<Prices>,
    /// Whether instance and plan were read for a call: anew, and together.
    pub for_a_call: bool,
    /// The credential has no call left before that long.
    pub quota: Option<Duration>,
    /// Reads of the credential fail: nothing is read before that long.
    pub trouble: Option<Trouble>,
    /// The account of the credential is refused: nothing is ordered before that long.
    pub account: Option<Trouble>,
    /// How often a paid call of the credential was refused in a row for a reason of its account.
    pub refused_in_a_row: u32,
    /// The operators of the cluster that serve this object, where there are several.
    pub served_by: Vec<Peer>,
}

/// Whether a status speaks of this generation of the spec, and of an object at rest.
pub fn speaks_of_rest(status: &VmInstanceStatus, generation: i64) -> bool {
    let rests = match status.phase {
        Some(Phase::InSync | Phase::Drifted | Phase::Suspended) => true,
        Some(
            Phase::Pending
            | Phase::Waiting
            | Phase::Submitting
            | Phase::Changing
            | Phase::Scheduled
            | Phase::Failed,
        )
        | None => false,
    };
    rests && status.observed_generation == Some(generation)
}

/// Durations by the monotonic clock of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Since {
    /// The records of the lanes are as they are.
    pub lanes: PerLane<Known>,
    /// The spec is as it is.
    pub spec: Duration,
    /// The instance was found missing for the first time.
    pub missing: Option<Duration>,
    /// The two reads show different types.
    pub disagree: Option<Duration>,
    /// Nothing shows the change of the type whose effect was seen before.
    pub undone: Option<Duration>,
    /// The plan of an object at rest has not been read for long.
    pub plan_is_due: bool,
}

/// One value for each lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerLane<T> {
    pub of_type: T,
    pub of_power: T,
}

impl<T: Copy> PerLane<T> {
    pub fn of(&self, lane: LaneName) -> T {
        match lane {
            LaneName::Type => self.of_type,
            LaneName::Power => self.of_power,
        }
    }
}

/// What is known of the objects that hold the lanes.
pub type Holders = PerLane<Holder>;

/// What is known of an object that holds a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Holder {
    /// It looks after its change itself; so it is assumed where it could not be asked.
    #[default]
    Counts,
    /// It is gone, is being deleted, or has not been able to read the instance for a while.
    DoesNotCount,
}

/// Trouble of a credential that all its objects share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    pub problem: String,
    /// Whether a person has to act; else it passes.
    pub person: bool,
    pub again_in: Duration,
}

/// What is known of the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretState {
    /// Complete; a digest of its data, and whether its requests expire (an access key's do).
    Usable {
        digest: String,
        expires_requests: bool,
    },
    NotFound,
    /// What is missing, and the remedy.
    Incomplete {
        problem: String,
    },
    /// It is not a Secret that the operator may use: why, and the remedy.
    WrongType {
        problem: String,
    },
    /// The Kubernetes API did not hand it out.
    Unreadable {
        problem: String,
    },
}

impl SecretState {
    /// Digest of the credential, where there is one.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Self::Usable { digest, .. } => Some(digest),
            Self::NotFound
            | Self::Incomplete { .. }
            | Self::WrongType { .. }
            | Self::Unreadable { .. } => None,
        }
    }

    pub fn expires_requests(&self) -> bool {
        match self {
            Self::Usable { expires_requests, .. } => *expires_requests,
            Self::NotFound
            | Self::Incomplete { .. }
            | Self::WrongType { .. }
            | Self::Unreadable { .. } => false,
        }
    }
}

/// Whether this object owns its instance among all objects that name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    Owner,
    /// An older object owns it.
    Duplicate {
        /// Its name and what it does, only where it is in the same namespace.
        owner: Option<Owner>,
        /// This object is so young that the older one may be about to be deleted.
        young: bool,
    },
}

/// The object that owns the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub name: String,
    /// Why it changes nothing itself, if it does not.
    pub passive: Option<&'static str>,
}

impl Observed {
    /// The provider's clock: the earliest `Date` of the reads, so that a moment that is past by it was
    /// past for every one of them.
    pub fn provider_now(&self) -> Option<Timestamp> {
        let instance = self.instance.as_ref()?.as_ref().ok()?.date?;
        match &self.plan {
            None => Some(instance),
            Some(plan) => Some(instance.min(plan.as_ref().ok()?.date?)),
        }
    }

    /// How far our clock was from the provider's at each read, in that direction.
    pub fn skews(&self) -> impl Iterator<Item = SignedDuration> {
        let skew = |sent: Timestamp, date: Option<Timestamp>| Some(sent.duration_since(date?));
        let instance = self.instance.as_ref().and_then(|read| read.as_ref().ok());
        let plan = self.plan.as_ref().and_then(|read| read.as_ref().ok());
        let instance = instance.and_then(|reading| skew(reading.sent_at, reading.date));
        let plan = plan.and_then(|reading| skew(reading.sent_at, reading.date));
        instance.into_iter().chain(plan)
    }

    /// When the first of the reads that a call rests on was sent; `None` while one is missing.
    pub fn read_at(&self) -> Option<Timestamp> {
        let instance = self.instance.as_ref()?.as_ref().ok()?.sent_at;
        let plan = self.plan.as_ref()?.as_ref().ok()?.sent_at;
        Some(instance.min(plan))
    }

    /// When the instance was read.
    pub fn instance_read_at(&self) -> Option<Timestamp> {
        Some(self.instance.as_ref()?.as_ref().ok()?.sent_at)
    }

    /// Whether the provider answered that there is no such instance.
    pub fn is_missing(&self) -> bool {
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

    /// Whether the effect of the remembered change was seen before, and neither read shows it now.
    pub fn shows_nothing_of_its_change(&self) -> bool {
        let change = self.memory.as_ref().ok().and_then(|memory| memory.change.as_ref());
        let was_seen = |one: &&Change| one.state == ChangeState::Observed || one.seen_at.is_some();
        let Some(change) = change.filter(was_seen) else { return false };
        let (Some(instance), Some(status)) = (self.instance(), self.type_status()) else {
            return false;
        };
        instance.type_id != change.to
            && status.current != change.to
            && !PlanView::of(status).is_to(&change.to)
    }

    /// The slot, where it was read.
    pub fn slot(&self) -> Option<&Slot> {
        self.slot.as_ref()?.as_ref().ok()
    }

    /// What the machine is brought back to: by the slot, or, where that was not read, by the status.
    pub fn restore(&self) -> Option<&Restore> {
        match self.slot() {
            Some(slot) => slot.record.restore(),
            None => self.memory.as_ref().ok()?.restore.as_ref(),
        }
    }

    /// Whether the machine is seen to be off.
    pub fn is_stopped(&self) -> bool {
        self.instance().is_some_and(|one| one.state == InstanceState::Stopped)
    }

    /// Whether the machine is seen to run.
    pub fn runs(&self) -> bool {
        self.instance().is_some_and(|one| one.state == InstanceState::Running)
    }

    /// The object that has to look after the change of a lane, if it is another one than `me`.
    pub fn held_elsewhere(&self, lane: LaneName, me: &ObjectKey) -> Option<&ObjectKey> {
        let Held::By(holding) = self.slot()?.record.lane(lane).held() else { return None };
        let other = holding.object.uid != me.uid && self.holders.of(lane) == Holder::Counts;
        other.then_some(&holding.object)
    }
}

impl SecretState {
    /// Why no call can be made with it, as a condition reason.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Usable { .. } => None,
            Self::NotFound => Some(Reason::SecretNotFound),
            Self::Incomplete { .. } => Some(Reason::SecretIncomplete),
            Self::WrongType { .. } => Some(Reason::SecretTypeRefused),
            Self::Unreadable { .. } => Some(Reason::KubernetesUnavailable),
        }
    }
}
