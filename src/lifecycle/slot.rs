//! The slot: what only one change of an instance can hold, whoever asks for it (design section 4).
//!
//! It is a record in a Lease of the operator's namespace, written by compare-and-swap alone, and
//! it outlives the object that took it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Change, ChangeId, ObjectKey, Size, Timing, time::after};
use crate::api::{ChangeKind, ChangeState};
use zenlayer::{Instance, InstanceState, InstanceTypeId, OrderNumber, RequestId};

/// A slot as it was read, with the version that a write must name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slot {
    /// resourceVersion of the Lease; `None`: there is no Lease yet.
    pub version: Option<String>,
    pub record: SlotRecord,
}

/// What stands in the slot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlotRecord {
    /// The change that holds the slot; absent: the slot is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holding: Option<Holding>,
    /// A change whose outcome a person has to settle, set aside while the machine that was stopped
    /// for it is started again. It holds the slot once more after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<Holding>,
    /// What reads must agree with until its margin ends: one for the type, one for the power
    /// state. They stay while a later change holds the slot, so that giving the slot back restores
    /// them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<Expectation>,
    /// The change that gave the slot back last, because its call was not sent or was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<ChangeId>,
    /// What the machine is brought back to; kept here too, so that it outlives the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<SlotRestore>,
}

/// What the machine is brought back to, as the slot keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlotRestore {
    pub power_state: String,
    pub stopped_by: ChangeId,
    pub since: Timestamp,
}

/// The change that holds a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Holding {
    pub change: ChangeId,
    #[serde(default = "modify")]
    pub kind: ChangeKind,
    pub object: ObjectKey,
    pub from: InstanceTypeId,
    pub to: InstanceTypeId,
    pub target_generation: i64,
    pub started_at: Timestamp,
    /// Absent for a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Timestamp>,
    pub state: HoldingState,
}

/// Whether the request can still land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields, tag = "is")]
pub enum HoldingState {
    /// The request may still land.
    Open,
    /// The provider accepted it; what it said is kept here too, so that a crash before the status
    /// is written loses nothing.
    Accepted {
        at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order_number: Option<OrderNumber>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
}

/// What the last change led to; a read that contradicts it before `until` lags behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    pub change: ChangeId,
    #[serde(default = "modify")]
    pub kind: ChangeKind,
    pub from: InstanceTypeId,
    pub to: InstanceTypeId,
    /// By the provider's clock.
    pub until: Timestamp,
}

/// Records of the first version carry no kind: there was one.
fn modify() -> ChangeKind {
    ChangeKind::Modify
}

/// What a call changes; expectations about one say nothing about the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    Type,
    Power,
}

impl Aspect {
    pub fn of(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Modify | ChangeKind::CancelDowngrade => Self::Type,
            ChangeKind::Stop | ChangeKind::Start => Self::Power,
        }
    }
}

impl Expectation {
    /// Whether a read agrees with what the call led to.
    pub fn agrees(&self, instance: &Instance, plan: &super::PlanView) -> bool {
        match self.kind {
            ChangeKind::Modify => instance.type_id == self.to || plan.is_to(&self.to),
            ChangeKind::CancelDowngrade => {
                instance.type_id == self.to && *plan == super::PlanView::None
            }
            ChangeKind::Stop | ChangeKind::Start => leads_to(self.kind, &instance.state),
        }
    }
}

/// Whether a power state is one that a stop or a start leads to or passes through.
pub fn leads_to(kind: ChangeKind, state: &InstanceState) -> bool {
    match kind {
        ChangeKind::Stop => matches!(state, InstanceState::Stopping | InstanceState::Stopped),
        ChangeKind::Start => matches!(state, InstanceState::Booting | InstanceState::Running),
        ChangeKind::Modify | ChangeKind::CancelDowngrade => false,
    }
}

impl SlotRecord {
    /// Taken by `holding`; earlier expectations stay, and so does the word that an earlier change is
    /// over, until its object has read it. A change that held the slot is set aside.
    pub fn taken(&self, holding: Holding) -> Self {
        Self {
            set_aside: self.holding.clone().or_else(|| self.set_aside.clone()),
            holding: Some(holding),
            ..self.clone()
        }
    }

    /// Given back: the call was not sent, or refused. A stop that did nothing leaves nothing to bring
    /// back.
    pub fn given_back(&self, change: &ChangeId) -> Self {
        let restore = self.restore.clone().filter(|restore| restore.stopped_by != *change);
        Self { returned: Some(change.clone()), restore, ..self.freed() }
    }

    /// Closed: the effect was seen, and reads must agree with it for one margin.
    pub fn closed(&self, expectation: Expectation) -> Self {
        let aspect = Aspect::of(expectation.kind);
        let mut closed = self.closed.clone();
        closed.retain(|old| Aspect::of(old.kind) != aspect);
        closed.push(expectation);
        Self { closed, ..self.freed() }
    }

    fn freed(&self) -> Self {
        Self { holding: self.set_aside.clone(), set_aside: None, returned: None, ..self.clone() }
    }

    /// With what the machine is brought back to, or without.
    pub fn restoring(&self, restore: Option<SlotRestore>) -> Self {
        Self { restore, ..self.clone() }
    }

    /// The holder's call was accepted.
    pub fn accepted(
        &self,
        at: Timestamp,
        order_number: Option<OrderNumber>,
        request_id: Option<RequestId>,
    ) -> Self {
        let holding = self.holding.clone().map(|holding| Holding {
            state: HoldingState::Accepted { at, order_number, request_id },
            ..holding
        });
        Self { holding, ..self.clone() }
    }
}

impl Change {
    /// The change that holds a slot, as far as the slot knows it.
    pub fn from_slot(holding: &Holding, timing: &Timing) -> Self {
        let (state, submitted_at, order_number, request_id) = match &holding.state {
            HoldingState::Open => (ChangeState::Submitting, None, None, None),
            HoldingState::Accepted { at, order_number, request_id } => {
                (ChangeState::Accepted, Some(*at), order_number.clone(), request_id.clone())
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
            power_state: None,
            size: Size::default(),
            started_at: holding.started_at,
            fence: holding.fence,
            submitted_at,
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
            state: HoldingState::Open,
        }
    }
}
