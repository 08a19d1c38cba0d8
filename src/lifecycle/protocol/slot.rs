//! The slot of a machine: a lane for each of the two things that calls change, and what the machine is
//! brought back to. It is a record in a Lease, written by compare-and-swap alone, and it outlives the
//! object that took it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    change_id::ChangeId,
    lane::{Expectation, Holding, HoldingState, Lane, LaneName},
    ledger::{Counted, Orders},
};
use crate::lifecycle::ObjectKey;

/// A slot as it was read, with the version that a write must name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slot {
    /// resourceVersion of the Lease; `None`: there is no Lease.
    pub version: Option<String>,
    pub record: SlotRecord,
}

/// What stands in the slot.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotRecord {
    /// The form of this record; one that lacks it was written by something else.
    form: Form,
    /// Modify and Cancel.
    #[serde(default, rename = "type")]
    type_lane: Lane,
    /// Stop and Start.
    #[serde(default, rename = "power")]
    power_lane: Lane,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restore: Option<Restore>,
    /// The orders of the last hour.
    #[serde(default, skip_serializing_if = "Orders::is_empty")]
    orders: Orders,
}

/// What later versions of this record have in common with this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Form {
    #[default]
    #[serde(rename = "lanes")]
    Lanes,
}

/// What a machine is brought back to. It belongs to the machine, not to the object that stopped it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// The power state that was found, as the provider writes it.
    pub power_state: String,
    pub stopped_by: ChangeId,
    /// Who stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectKey>,
    pub since: Timestamp,
}

impl SlotRecord {
    pub fn lane(&self, name: LaneName) -> &Lane {
        match name {
            LaneName::Type => &self.type_lane,
            LaneName::Power => &self.power_lane,
        }
    }

    fn with(&self, name: LaneName, lane: Lane) -> Self {
        match name {
            LaneName::Type => Self { type_lane: lane, ..self.clone() },
            LaneName::Power => Self { power_lane: lane, ..self.clone() },
        }
    }

    /// What the machine is brought back to.
    pub fn restore(&self) -> Option<&Restore> {
        self.restore.as_ref()
    }

    /// Whether a request of either lane may still take effect: nothing else is sent then.
    pub fn is_open(&self) -> bool {
        LaneName::ALL.iter().any(|name| self.lane(*name).is_open())
    }

    /// The lane that this change holds.
    pub fn lane_of(&self, change: &ChangeId) -> Option<LaneName> {
        let holds = |name: &&LaneName| {
            self.lane(**name).holding().is_some_and(|holding| holding.change == *change)
        };
        LaneName::ALL.iter().find(holds).copied()
    }

    /// The lane that this change holds, if this process took it.
    pub fn lane_taken_by(&self, process: &str, change: &ChangeId) -> Option<LaneName> {
        let name = self.lane_of(change)?;
        let taken_by = self.lane(name).holding().and_then(|holding| holding.taken_by.as_deref());
        (taken_by == Some(process)).then_some(name)
    }

    /// The same, with the process that takes this lane.
    pub fn taken_by(&self, process: &str, name: LaneName) -> Self {
        self.with(name, self.lane(name).taken_by(process))
    }

    /// The orders that were made of this machine within the last hour, or may yet have been.
    pub fn orders(&self) -> impl Iterator<Item = &Counted> {
        self.orders.iter()
    }

    /// The stop whose place the next order takes.
    pub fn place(&self) -> Option<&ChangeId> {
        self.restore.as_ref().map(|restore| &restore.stopped_by)
    }

    /// Taken for a call, which is counted from then on; with `restore`, what the machine is brought back to
    /// is written in the same write. `None`: the lane is taken, or another request may still take effect.
    pub fn taken(&self, holding: Holding, restore: Option<Restore>) -> Option<Self> {
        if self.is_open() {
            return None;
        }
        let name = LaneName::of(holding.kind);
        let orders = self.orders.with(&holding, self.place());
        let lane = self.lane(name).free()?.take(holding);
        let restore = restore.or_else(|| self.restore.clone());
        Some(Self { restore, orders, ..self.with(name, lane) })
    }

    /// The holder's call was accepted, or nobody can tell any more.
    pub fn answered(&self, change: &ChangeId, state: HoldingState) -> Option<Self> {
        let name = self.lane_of(change)?;
        Some(self.with(name, self.lane(name).accepted(change, state)?))
    }

    /// The effect of the holder's call was seen. A change that holds nothing any more is closed all the
    /// same where its lane is free, so that reads which lag behind are not taken for news.
    pub fn closed(&self, expects: Expectation) -> Option<Self> {
        let name = LaneName::of(expects.kind);
        let lane = self.lane(name);
        let change = expects.change.clone();
        let closed = lane.closed(&change, expects.clone()).or_else(|| lane.expecting(expects))?;
        Some(self.with(name, closed))
    }

    /// The holder's call was not made, was refused, or can no longer take effect. A stop takes what the
    /// machine is brought back to along. One that was never answered counts no longer.
    pub fn given_back(&self, change: &ChangeId) -> Option<Self> {
        let name = self.lane_of(change)?;
        let restore = self.restore.clone().filter(|restore| restore.stopped_by != *change);
        let orders = if self.lane(name).is_open() {
            self.orders.without(change, restore.as_ref().map(|restore| &restore.stopped_by))
        } else {
            self.orders.clone()
        };
        Some(Self { restore, orders, ..self.with(name, self.lane(name).given_back(change)?) })
    }

    /// The machine runs again, or is left as it is. A stop that no order has followed counts no longer.
    pub fn restored(&self) -> Self {
        let orders = match self.place() {
            Some(stop) => self.orders.without(stop, None),
            None => self.orders.clone(),
        };
        Self { restore: None, orders, ..self.clone() }
    }

    /// Whether it says nothing any more but what reads must agree with for a while.
    pub fn is_free(&self) -> bool {
        self.restore.is_none() && LaneName::ALL.iter().all(|name| self.lane(*name).free().is_some())
    }

    /// Whether it counts for a limit of orders.
    pub fn counts(&self, now: Timestamp) -> bool {
        self.orders.iter().any(|order| order.is_recent(now))
    }
}
