//! The slot: what only one change of an instance can hold, whoever asks for it (design section 4).
//!
//! It is a record in a Lease of the operator's namespace, written by compare-and-swap alone, and
//! it outlives the object that took it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ChangeId, ObjectKey};
use crate::zenlayer::{InstanceTypeId, OrderNumber, RequestId};

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
    /// What reads must agree with until its margin ends. It stays while a later change holds the
    /// slot, so that giving the slot back restores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Expectation>,
    /// The change that gave the slot back last, because its call was not sent or was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<ChangeId>,
}

/// The change that holds a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Holding {
    pub change: ChangeId,
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
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "is")]
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
    pub from: InstanceTypeId,
    pub to: InstanceTypeId,
    /// By the provider's clock.
    pub until: Timestamp,
}

impl SlotRecord {
    /// Taken by `holding`; the earlier expectation stays, and so does the word that an earlier
    /// change is over, until its object has read it.
    pub fn taken(&self, holding: Holding) -> Self {
        Self { holding: Some(holding), ..self.clone() }
    }

    /// Given back: the call was not sent, refused, or ended without an effect to expect.
    pub fn given_back(&self, change: &ChangeId) -> Self {
        Self { holding: None, closed: self.closed.clone(), returned: Some(change.clone()) }
    }

    /// Closed: the effect was seen, and reads must agree with it for one margin.
    pub fn closed(expectation: Expectation) -> Self {
        Self { holding: None, closed: Some(expectation), returned: None }
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
