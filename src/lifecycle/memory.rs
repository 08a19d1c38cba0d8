//! What only the status can remember: the change in flight, the target, the last refusal, history.
//! Read from the status and written back to it; conditions are never read.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Change, ChangeId, Desired, Size, Timing,
    invalid_status::{InvalidStatus, optional, type_id},
    time::after,
};
use crate::api::{
    self, ChangeKind, ChangeState, Handled, HistoryOutcome, Reason, VmInstanceStatus,
};
use zenlayer::{InstanceTypeId, OrderNumber, RequestId};

/// How many ended changes are kept; orders of the current target are kept beyond it.
pub const HISTORY_LIMIT: usize = 10;

/// The declared type and the generation in which it became that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub type_id: InstanceTypeId,
    pub since_generation: i64,
}

/// A terminal refusal and all that it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Option<String>,
    pub reason: Reason,
    pub message: String,
    /// The call that was refused; `None` when a read was refused.
    pub call: Option<RefusedCall>,
    pub generation: i64,
    pub secret_version: String,
    pub request_id: Option<RequestId>,
    pub retry_after: Option<Timestamp>,
}

/// A call that was refused, or that was not even made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCall {
    pub kind: ChangeKind,
    pub from: InstanceTypeId,
    pub to: InstanceTypeId,
}

/// What a machine is brought back to, and since when it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// The state that was found, verbatim.
    pub power_state: String,
    pub stopped_by: ChangeId,
    pub since: Timestamp,
}

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

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    pub target: Option<Target>,
    pub change: Option<Change>,
    pub restore: Option<Restore>,
    pub refusal: Option<Refusal>,
    pub handled: Handled,
    pub history: Vec<Ended>,
    pub order_number: Option<OrderNumber>,
    pub request_id: Option<RequestId>,
}

impl Memory {
    pub fn from_status(status: &VmInstanceStatus) -> Result<Self, InvalidStatus> {
        let order_number = optional("orderNumber", status.order_number.as_ref(), OrderNumber::new)?;
        let request_id = optional("requestId", status.request_id.as_ref(), RequestId::new)?;
        let change = match &status.change {
            Some(change) if change.kind == ChangeKind::Modify => Some(Change {
                order_number: order_number.clone(),
                request_id: request_id.clone(),
                ..Change::from_api(change)?
            }),
            Some(change) => Some(Change::from_api(change)?),
            None => None,
        };
        let target = match &status.target {
            Some(target) => Some(Target {
                type_id: type_id("target.typeId", &target.type_id)?,
                since_generation: target.since_generation,
            }),
            None => None,
        };
        Ok(Self {
            target,
            change,
            restore: status.restore.as_ref().map(Restore::from_api),
            refusal: status.refusal.as_ref().map(Refusal::from_api).transpose()?,
            handled: status.handled.clone(),
            history: status.history.iter().map(Ended::from_api).collect::<Result<_, _>>()?,
            order_number,
            request_id,
        })
    }

    /// Puts a change that ended into the history. Orders of the current target stay, because they
    /// are what keeps a change from being ordered twice; attempts that ordered nothing go, or they
    /// would fill the list.
    pub fn end(&mut self, change: &Change, outcome: HistoryOutcome, now: Timestamp) {
        self.change = None;
        // What somebody else ordered is not ordered on top, and never followed as an own one. Only
        // what a person released leaves no trace.
        let outcome = match outcome {
            HistoryOutcome::Released if change.adopted => return,
            HistoryOutcome::Completed => outcome,
            _ if change.adopted => HistoryOutcome::Reverted,
            _ => outcome,
        };
        self.history.retain(|entry| entry.id != change.id);
        self.history.push(Ended {
            id: change.id.clone(),
            kind: change.kind,
            from: change.from.clone(),
            to: change.to.clone(),
            adopted: change.adopted,
            target_generation: change.target_generation,
            order_number: change.order_number.clone(),
            request_id: change.request_id.clone(),
            started_at: change.started_at,
            ended_at: now,
            outcome,
        });
        let current = self.target.as_ref().map(|target| target.since_generation);
        while self.history.len() > HISTORY_LIMIT {
            let oldest = self.history.iter().position(|entry| {
                Some(entry.target_generation) != current || !entry.counts_as_ordered()
            });
            let Some(oldest) = oldest else { break };
            self.history.remove(oldest);
        }
    }

    /// The last change that this object ordered, if it was set aside while its plan was open.
    pub fn open_order(&self) -> Option<&Ended> {
        let last = self.history.iter().rev().find(|entry| entry.kind == ChangeKind::Modify)?;
        match last.outcome {
            HistoryOutcome::Scheduled | HistoryOutcome::Overdue | HistoryOutcome::InstanceGone => {
                Some(last)
            }
            HistoryOutcome::Completed
            | HistoryOutcome::Cancelled
            | HistoryOutcome::Reverted
            | HistoryOutcome::Unverified
            | HistoryOutcome::Released
            | HistoryOutcome::Unused => None,
        }
    }

    /// The call that stands in the way of another one of its kind from this type to the declared
    /// one: it may have been paid for, or was made as often as is done without a person.
    pub fn made_before(
        &self,
        desired: &Desired,
        kind: ChangeKind,
        from: &InstanceTypeId,
    ) -> Option<&Ended> {
        let target = self.target_for(&desired.type_id, desired.generation);
        let ordered = self.history.iter().rev().find(|entry| {
            entry.counts_as_ordered()
                && entry.kind == kind
                && entry.target_generation == target.since_generation
                && entry.from == *from
                && entry.to == target.type_id
        });
        ordered.or_else(|| self.came_to_nothing(desired, kind, HistoryOutcome::Unverified))
    }

    /// The last of as many calls of one kind as are made for one target without a person.
    pub fn came_to_nothing(
        &self,
        desired: &Desired,
        kind: ChangeKind,
        outcome: HistoryOutcome,
    ) -> Option<&Ended> {
        const TRIES: usize = 3;
        let target = self.target_for(&desired.type_id, desired.generation);
        let mut tried = self.history.iter().rev().filter(|entry| {
            entry.kind == kind
                && entry.outcome == outcome
                && entry.target_generation == target.since_generation
        });
        let last = tried.next()?;
        (tried.count() + 1 >= TRIES).then_some(last)
    }

    /// Remembers a refused call. A start that is refused does not push out what the change was
    /// refused for.
    pub fn refuse(&mut self, refusal: &Refusal) {
        let of_a_call = self.refusal.as_ref().filter(|old| old.call.is_some());
        let stands = of_a_call.is_some_and(|old| !old.is_of(ChangeKind::Start));
        if !(stands && refusal.is_of(ChangeKind::Start)) {
            self.refusal = Some(refusal.clone());
        }
    }

    /// The target of this declared type: the remembered one while the type is the same.
    pub fn target_for(&self, type_id: &InstanceTypeId, generation: i64) -> Target {
        match &self.target {
            Some(target) if target.type_id == *type_id => target.clone(),
            _ => Target { type_id: type_id.clone(), since_generation: generation },
        }
    }
}

impl Restore {
    fn from_api(restore: &api::Restore) -> Self {
        let api::Restore { power_state, stopped_by, since } = restore;
        Self {
            power_state: power_state.clone(),
            stopped_by: ChangeId(stopped_by.clone()),
            since: since.0,
        }
    }

    pub fn to_api(&self) -> api::Restore {
        api::Restore {
            power_state: self.power_state.clone(),
            stopped_by: self.stopped_by.0.clone(),
            since: Time(self.since),
        }
    }
}

impl Refusal {
    pub fn is_of(&self, kind: ChangeKind) -> bool {
        self.call.as_ref().is_some_and(|call| call.kind == kind)
    }

    fn from_api(refusal: &api::Refusal) -> Result<Self, InvalidStatus> {
        let call = match (&refusal.from, &refusal.to) {
            (Some(from), Some(to)) => Some(RefusedCall {
                kind: refusal.kind.unwrap_or(ChangeKind::Modify),
                from: type_id("refusal.from", from)?,
                to: type_id("refusal.to", to)?,
            }),
            _ => None,
        };
        Ok(Self {
            code: refusal.code.clone(),
            reason: Reason::parse(&refusal.reason)
                .ok_or_else(|| InvalidStatus::Reason(refusal.reason.clone()))?,
            message: refusal.message.clone(),
            call,
            generation: refusal.generation,
            secret_version: refusal.secret_version.clone(),
            request_id: optional("refusal.requestId", refusal.request_id.as_ref(), RequestId::new)?,
            retry_after: refusal.retry_after.as_ref().map(|time| time.0),
        })
    }

    pub fn to_api(&self) -> api::Refusal {
        api::Refusal {
            code: self.code.clone(),
            reason: self.reason.as_str().to_owned(),
            message: self.message.clone(),
            kind: self.call.as_ref().map(|call| call.kind),
            from: self.call.as_ref().map(|call| call.from.to_string()),
            to: self.call.as_ref().map(|call| call.to.to_string()),
            generation: self.generation,
            secret_version: self.secret_version.clone(),
            request_id: self.request_id.as_ref().map(ToString::to_string),
            retry_after: self.retry_after.map(Time),
        }
    }
}

impl Ended {
    /// Whether it may have been paid for, and so stands in the way of the same change for the same
    /// target. An instance that was gone and is back may show an older type for a while.
    pub fn counts_as_ordered(&self) -> bool {
        match self.outcome {
            HistoryOutcome::Completed
            | HistoryOutcome::Scheduled
            | HistoryOutcome::Cancelled
            | HistoryOutcome::Overdue
            | HistoryOutcome::Reverted
            | HistoryOutcome::InstanceGone => true,
            HistoryOutcome::Unverified | HistoryOutcome::Released | HistoryOutcome::Unused => false,
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
            power_state: None,
            size: Size::default(),
            started_at: self.started_at,
            fence: None,
            submitted_at: None,
            effective_at: None,
            deadline: Some(after(self.ended_at, timing.limit(self.kind))),
            order_number: self.order_number.clone(),
            request_id: self.request_id.clone(),
        }
    }

    fn from_api(entry: &api::HistoryEntry) -> Result<Self, InvalidStatus> {
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
