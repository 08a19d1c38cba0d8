//! One call from its intent to its end.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    change_id::ChangeId,
    lane::{Holding, HoldingState, LaneName},
};
use crate::{
    api::{self, ChangeKind, ChangeState, Direction},
    lifecycle::{
        ObjectKey, Timing,
        invalid_status::{InvalidStatus, type_id},
        time::{after, whole_seconds},
    },
};
use zenlayer::{InstanceTypeId, Mutation, OrderNumber, RequestId};

/// The call in flight, or the change that it led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub id: ChangeId,
    pub kind: ChangeKind,
    /// Instance type before; of a cancellation, the planned type that is taken back.
    pub from: InstanceTypeId,
    /// Instance type after; of a cancellation, the type that stays.
    pub to: InstanceTypeId,
    pub target_generation: i64,
    pub state: ChangeState,
    /// Somebody else ordered it.
    pub adopted: bool,
    pub direction: Option<Direction>,
    /// Cores and GiB of the new type by the catalogue.
    pub size: Size,
    pub started_at: Timestamp,
    pub fence: Option<Timestamp>,
    pub submitted_at: Option<Timestamp>,
    /// When its effect was read while its answer was not known.
    pub seen_at: Option<Timestamp>,
    pub effective_at: Option<Timestamp>,
    pub deadline: Option<Timestamp>,
    pub order_number: Option<OrderNumber>,
    pub request_id: Option<RequestId>,
}

/// What a type should show once it is in effect, as far as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Cores.
    pub cpu_count: Option<i64>,
    pub memory_gib: Option<i64>,
}

impl Size {
    /// Whether nothing that is known of both contradicts.
    pub fn agrees(&self, cpu_count: Option<i64>, memory_gib: Option<i64>) -> bool {
        let same = |known: Option<i64>, shown: Option<i64>| match (known, shown) {
            (Some(known), Some(shown)) => known == shown,
            _ => true,
        };
        same(self.cpu_count, cpu_count) && same(self.memory_gib, memory_gib)
    }
}

impl Change {
    /// The call that this change makes.
    pub fn mutation(&self) -> Mutation {
        match self.kind {
            ChangeKind::Modify => Mutation::Modify { to: self.to.clone() },
            ChangeKind::CancelDowngrade => Mutation::CancelDowngrade,
            ChangeKind::Stop => Mutation::Stop,
            ChangeKind::Start => Mutation::Start,
        }
    }

    pub fn lane(&self) -> LaneName {
        LaneName::of(self.kind)
    }

    /// The change that holds a lane, as far as the slot knows it.
    pub fn from_slot(holding: &Holding, timing: &Timing) -> Self {
        let (state, submitted_at, order_number, request_id) = match &holding.state {
            HoldingState::Open => (ChangeState::Submitting, None, None, None),
            HoldingState::Unverified => (ChangeState::Unverified, None, None, None),
            HoldingState::Accepted { at, order_number, request_id } => {
                let at = Some(whole_seconds(*at));
                (ChangeState::Accepted, at, order_number.clone(), request_id.clone())
            }
        };
        Self {
            id: holding.change.clone(),
            kind: holding.kind,
            from: holding.from.clone(),
            to: holding.to.clone(),
            target_generation: holding.target_generation,
            state,
            adopted: false,
            direction: None,
            size: Size::default(),
            started_at: holding.started_at,
            fence: holding.fence,
            submitted_at,
            seen_at: None,
            effective_at: None,
            deadline: Some(after(holding.started_at, timing.limit(holding.kind))),
            order_number,
            request_id,
        }
    }

    /// What the slot keeps of it while its answer is open.
    pub fn holding(&self, object: ObjectKey) -> Holding {
        Holding {
            change: self.id.clone(),
            kind: self.kind,
            object,
            from: self.from.clone(),
            to: self.to.clone(),
            target_generation: self.target_generation,
            started_at: self.started_at,
            fence: self.fence,
            taken_by: None,
            state: HoldingState::Open,
        }
    }

    /// Whether its answer is still open.
    pub fn is_unanswered(&self) -> bool {
        match self.state {
            ChangeState::Submitting | ChangeState::Unverified => true,
            ChangeState::Accepted | ChangeState::Observed => false,
        }
    }

    pub fn from_api(field: &'static str, change: &api::Change) -> Result<Self, InvalidStatus> {
        let api::Change {
            id,
            kind,
            from,
            to,
            target_generation,
            state,
            adopted,
            direction,
            cpu_count,
            memory_gib,
            started_at,
            fence,
            submitted_at,
            seen_at,
            effective_at,
            deadline,
        } = change;
        let time = |time: &Option<Time>| time.as_ref().map(|time| time.0);
        Ok(Self {
            id: ChangeId(id.clone()),
            kind: *kind,
            from: type_id(field, from)?,
            to: type_id(field, to)?,
            target_generation: *target_generation,
            state: *state,
            adopted: *adopted,
            direction: *direction,
            size: Size { cpu_count: *cpu_count, memory_gib: *memory_gib },
            started_at: started_at.0,
            fence: time(fence),
            submitted_at: time(submitted_at),
            seen_at: time(seen_at),
            effective_at: time(effective_at),
            deadline: time(deadline),
            order_number: None,
            request_id: None,
        })
    }

    pub fn to_api(&self) -> api::Change {
        let time = |time: Option<Timestamp>| time.map(Time);
        api::Change {
            id: self.id.0.clone(),
            kind: self.kind,
            from: self.from.to_string(),
            to: self.to.to_string(),
            target_generation: self.target_generation,
            state: self.state,
            adopted: self.adopted,
            direction: self.direction,
            cpu_count: self.size.cpu_count,
            memory_gib: self.size.memory_gib,
            started_at: Time(self.started_at),
            fence: time(self.fence),
            submitted_at: time(self.submitted_at),
            seen_at: time(self.seen_at),
            effective_at: time(self.effective_at),
            deadline: time(self.deadline),
        }
    }
}
