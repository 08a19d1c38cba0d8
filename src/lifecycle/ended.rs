//! A change that ended, as the history keeps it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use zenlayer::{InstanceTypeId, OrderNumber, RequestId};

use super::{
    Timing,
    invalid_status::{InvalidStatus, optional, type_id},
    protocol::{Change, ChangeId, LaneName, Size},
    time::after,
};
use crate::api::{self, ChangeKind, ChangeState, HistoryOutcome};

/// A change that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub id: ChangeId,
    pub kind: ChangeKind,
    pub from: InstanceTypeId,
    pub to: InstanceTypeId,
    /// Somebody else ordered it.
    pub adopted: bool,
    pub target_generation: i64,
    pub order_number: Option<OrderNumber>,
    pub request_id: Option<RequestId>,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub outcome: HistoryOutcome,
}

impl Ended {
    /// Whether it is a call of the type that is made at most once for one target.
    pub fn stands_in_the_way(&self) -> bool {
        LaneName::of(self.kind) == LaneName::Type && self.counts_as_ordered()
    }

    /// Whether it may have been paid for, and so stands in the way of the same change for the same
    /// target. An instance that was gone and is back may show an older type for a while.
    pub fn counts_as_ordered(&self) -> bool {
        match self.outcome {
            HistoryOutcome::Completed
            | HistoryOutcome::Scheduled
            | HistoryOutcome::Cancelled
            | HistoryOutcome::Overdue
            | HistoryOutcome::Reverted
            | HistoryOutcome::InstanceGone
            | HistoryOutcome::Unrecorded
            | HistoryOutcome::Unknown => true,
            HistoryOutcome::Unverified | HistoryOutcome::Released => false,
        }
    }

    /// The change as it was before it was put into the history.
    pub fn resumed(&self, state: ChangeState, timing: &Timing) -> Change {
        Change {
            id: self.id.clone(),
            kind: self.kind,
            from: self.from.clone(),
            to: self.to.clone(),
            target_generation: self.target_generation,
            state,
            adopted: false,
            direction: None,
            size: Size::default(),
            started_at: self.started_at,
            fence: None,
            submitted_at: None,
            seen_at: None,
            effective_at: None,
            deadline: Some(after(self.ended_at, timing.limit(self.kind))),
            order_number: self.order_number.clone(),
            request_id: self.request_id.clone(),
        }
    }

    pub fn from_api(entry: &api::HistoryEntry) -> Result<Self, InvalidStatus> {
        Ok(Self {
            id: ChangeId(entry.id.clone()),
            kind: entry.kind,
            from: type_id("history.from", &entry.from)?,
            to: type_id("history.to", &entry.to)?,
            adopted: entry.adopted,
            target_generation: entry.target_generation,
            order_number: optional(
                "history.orderNumber",
                entry.order_number.as_ref(),
                OrderNumber::new,
            )?,
            request_id: optional("history.requestId", entry.request_id.as_ref(), RequestId::new)?,
            started_at: entry.started_at.0,
            ended_at: entry.ended_at.0,
            outcome: entry.outcome,
        })
    }

    pub fn to_api(&self) -> api::HistoryEntry {
        api::HistoryEntry {
            id: self.id.0.clone(),
            kind: self.kind,
            from: self.from.to_string(),
            to: self.to.to_string(),
            adopted: self.adopted,
            target_generation: self.target_generation,
            order_number: self.order_number.as_ref().map(ToString::to_string),
            request_id: self.request_id.as_ref().map(ToString::to_string),
            started_at: Time(self.started_at),
            ended_at: Time(self.ended_at),
            outcome: self.outcome,
        }
    }
}
