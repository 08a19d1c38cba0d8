//! What only the status can remember: the changes in flight, the target, the last refusal, history.
//! Read from the status and written back to it; conditions are never read.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use zenlayer::{InstanceTypeId, OrderNumber, RequestId};

use super::{
    Desired,
    ended::Ended,
    invalid_status::{InvalidStatus, optional, type_id},
    protocol::{Change, ChangeId, LaneName, Restore},
};
use crate::api::{self, ChangeKind, Handled, HistoryOutcome, Reason, VmInstanceStatus};

/// How many ended changes are kept, whatever they were.
const HISTORY_KEPT: usize = 10;
/// How many are kept at most: those that were ordered for the current target stay beyond the first
/// limit. Less than what the schema allows.
const HISTORY_LIMIT: usize = 24;

/// Parts of the status that a change in flight can be followed without; nothing new is asked for while one
/// of them cannot be read.
const WITHOUT_IT_A_CHANGE_IS_FOLLOWED: &[&str] = &["target", "handled", "history"];

/// The declared type and the generation in which it became that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub type_id: InstanceTypeId,
    pub since_generation: i64,
}

/// A refused call and all that the refusal rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Option<String>,
    pub reason: Reason,
    pub message: String,
    pub kind: ChangeKind,
    pub from: InstanceTypeId,
    pub to: InstanceTypeId,
    /// Digest of what was seen of the machine.
    pub instance: String,
    /// Digest of the credential.
    pub credential: String,
    pub attempts: u32,
    pub request_id: Option<RequestId>,
    pub retry_after: Option<Timestamp>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    pub target: Option<Target>,
    /// The lane of the type.
    pub change: Option<Change>,
    /// The lane of the power state.
    pub power: Option<Change>,
    /// What the machine is brought back to, as the slot had it.
    pub restore: Option<Restore>,
    /// The last call whose record was taken back before it was made.
    pub withdrawn: Option<ChangeId>,
    pub refusal: Option<Refusal>,
    pub handled: Handled,
    pub history: Vec<Ended>,
    pub order_number: Option<OrderNumber>,
    pub request_id: Option<RequestId>,
    /// What cannot be read, and may hold what keeps a change from being ordered twice.
    pub unreadable: Option<InvalidStatus>,
}

impl Memory {
    pub fn from_status(status: &VmInstanceStatus) -> Result<Self, InvalidStatus> {
        let part = |name: &&String| !WITHOUT_IT_A_CHANGE_IS_FOLLOWED.contains(&name.as_str());
        if let Some(part) = status.unreadable.keys().find(part) {
            return Err(InvalidStatus::Part(part.clone()));
        }
        let order_number = optional("orderNumber", status.order_number.as_ref(), OrderNumber::new)?;
        let request_id = optional("requestId", status.request_id.as_ref(), RequestId::new)?;
        let change = match &status.change {
            Some(change) if change.kind == ChangeKind::Modify => Some(Change {
                order_number: order_number.clone(),
                request_id: request_id.clone(),
                ..Change::from_api("change", change)?
            }),
            Some(change) => Some(Change::from_api("change", change)?),
            None => None,
        };
        let power = status.power.change.as_ref();
        let power = power.map(|change| Change::from_api("power.change", change)).transpose()?;
        let in_its_lane = |change: &Option<Change>, lane| {
            change.as_ref().is_none_or(|change| change.lane() == lane)
        };
        if !in_its_lane(&change, LaneName::Type) || !in_its_lane(&power, LaneName::Power) {
            return Err(InvalidStatus::Kind);
        }
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
            power,
            restore: status.power.restore.as_ref().map(restore_from_api),
            withdrawn: status.withdrawn.clone().map(ChangeId),
            // A refusal that cannot be read is one that is found out again.
            refusal: status.refusal.as_deref().and_then(Refusal::from_api),
            handled: status.handled.clone(),
            history: status.history.iter().map(Ended::from_api).collect::<Result<_, _>>()?,
            order_number,
            request_id,
            unreadable: status.unreadable.keys().next().cloned().map(InvalidStatus::Part),
        })
    }

    /// The change in flight in a lane.
    pub fn in_lane(&self, lane: LaneName) -> Option<&Change> {
        match lane {
            LaneName::Type => self.change.as_ref(),
            LaneName::Power => self.power.as_ref(),
        }
    }

    pub fn set_lane(&mut self, lane: LaneName, change: Option<Change>) {
        match lane {
            LaneName::Type => self.change = change,
            LaneName::Power => self.power = change,
        }
    }

    /// Puts a change that ended into the history. Orders of the current target stay, because they are
    /// what keeps a change from being ordered twice; of those, one for each pair of types.
    pub fn end(&mut self, change: &Change, outcome: HistoryOutcome, now: Timestamp) {
        self.set_lane(change.lane(), None);
        // What somebody else ordered is not ordered on top, and never followed as an own one. Only
        // what a person released leaves no trace.
        let outcome = match outcome {
            HistoryOutcome::Released if change.adopted => return,
            HistoryOutcome::Completed => outcome,
            _ if change.adopted => HistoryOutcome::Reverted,
            _ => outcome,
        };
        let entry = Ended {
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
        };
        // How often a machine was stopped or started is counted, so those all stay for a while. What
        // somebody else ordered never takes the place of what was paid for here.
        let replaced = |old: &Ended| {
            old.id == entry.id
                || (old.adopted || !entry.adopted)
                    && old.stands_in_the_way()
                    && entry.stands_in_the_way()
                    && (old.kind, &old.from, &old.to, old.target_generation)
                        == (entry.kind, &entry.from, &entry.to, entry.target_generation)
        };
        self.history.retain(|old| !replaced(old));
        self.history.push(entry);
        self.forget();
    }

    fn forget(&mut self) {
        let current = self.target.as_ref().map(|target| target.since_generation);
        let stays =
            |entry: &Ended| Some(entry.target_generation) == current && entry.stands_in_the_way();
        while self.history.len() > HISTORY_KEPT {
            // What has just been added is known for one pass at least.
            let older = &self.history[..self.history.len() - 1];
            let oldest = older.iter().position(|entry| !stays(entry));
            match oldest {
                Some(oldest) => self.history.remove(oldest),
                None if self.history.len() > HISTORY_LIMIT => self.history.remove(0),
                None => break,
            };
        }
    }

    /// Whether a change of this name has ended, or was taken back before its call.
    pub fn has_ended(&self, id: &ChangeId) -> bool {
        self.withdrawn.as_ref() == Some(id) || self.history.iter().any(|entry| entry.id == *id)
    }

    /// The last change that this object ordered, if it was left while its plan was open.
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
            | HistoryOutcome::Unrecorded
            | HistoryOutcome::Unknown => None,
        }
    }

    /// The order that stands in the way of another one of its kind from this type to the declared one:
    /// it may have been paid for. Where there are more of them than can be kept, the last one stands for
    /// all, so that none has to be forgotten.
    pub fn ordered_before(
        &self,
        desired: &Desired,
        kind: ChangeKind,
        from: &InstanceTypeId,
    ) -> Option<&Ended> {
        let target = self.target_for(&desired.type_id, desired.generation);
        let counts = |entry: &&Ended| {
            entry.stands_in_the_way() && entry.target_generation == target.since_generation
        };
        let counted = self.history.iter().rev().filter(counts);
        if counted.clone().count() + 2 > HISTORY_LIMIT {
            return counted.clone().find(|entry| entry.kind == kind);
        }
        counted
            .clone()
            .find(|entry| entry.kind == kind && entry.from == *from && entry.to == target.type_id)
    }

    /// How many calls of this kind came to an end for the current target without an effect, and when
    /// the last one did. A single stop whose answer was lost is none: the machine has run all the time.
    pub fn without_effect(&self, desired: &Desired, kind: ChangeKind) -> Option<(u32, Timestamp)> {
        let target = self.target_for(&desired.type_id, desired.generation);
        let lost = |entry: &Ended| entry.outcome == HistoryOutcome::Unverified;
        let counts = |entry: &Ended| match kind {
            ChangeKind::Modify | ChangeKind::CancelDowngrade => lost(entry),
            // A machine that was stopped, and runs again without its change, was stopped for nothing.
            ChangeKind::Stop => true,
            // One that is complete was needed.
            ChangeKind::Start => entry.outcome != HistoryOutcome::Completed,
        };
        let of_target = |entry: &Ended| {
            entry.kind == kind && entry.target_generation == target.since_generation
        };
        let tried = self.history.iter().rev().filter(|entry| of_target(entry) && counts(entry));
        let tried: Vec<&Ended> = tried.collect();
        let last = *tried.first()?;
        let at_once = kind == ChangeKind::Stop && tried.len() == 1 && lost(last);
        let tries = u32::try_from(tried.len()).unwrap_or(u32::MAX);
        (!at_once).then_some((tries, last.ended_at))
    }

    /// The target of this declared type: the remembered one while the type is the same.
    pub fn target_for(&self, type_id: &InstanceTypeId, generation: i64) -> Target {
        match &self.target {
            Some(target) if target.type_id == *type_id => target.clone(),
            _ => Target { type_id: type_id.clone(), since_generation: generation },
        }
    }
}

fn restore_from_api(restore: &api::Restore) -> Restore {
    let api::Restore { power_state, stopped_by, since } = restore;
    Restore {
        power_state: power_state.clone(),
        stopped_by: ChangeId(stopped_by.clone()),
        object: None,
        since: since.0,
    }
}

pub fn restore_to_api(restore: &Restore) -> api::Restore {
    api::Restore {
        power_state: restore.power_state.clone(),
        stopped_by: restore.stopped_by.0.clone(),
        since: Time(restore.since),
    }
}

impl Refusal {
    fn from_api(refusal: &api::Refusal) -> Option<Self> {
        Some(Self {
            code: refusal.code.clone(),
            reason: Reason::parse(&refusal.reason)?,
            message: refusal.message.clone(),
            kind: refusal.kind,
            from: InstanceTypeId::new(&*refusal.from).ok()?,
            to: InstanceTypeId::new(&*refusal.to).ok()?,
            instance: refusal.instance.clone(),
            credential: refusal.credential.clone(),
            attempts: u32::try_from(refusal.attempts).ok()?,
            request_id: refusal.request_id.clone().map(RequestId::new).transpose().ok()?,
            retry_after: refusal.retry_after.as_ref().map(|time| time.0),
        })
    }

    pub fn to_api(&self) -> api::Refusal {
        api::Refusal {
            code: self.code.clone(),
            reason: self.reason.as_str().to_owned(),
            message: self.message.clone(),
            kind: self.kind,
            from: self.from.to_string(),
            to: self.to.to_string(),
            instance: self.instance.clone(),
            credential: self.credential.clone(),
            attempts: self.attempts.into(),
            request_id: self.request_id.as_ref().map(ToString::to_string),
            retry_after: self.retry_after.map(Time),
        }
    }
}
