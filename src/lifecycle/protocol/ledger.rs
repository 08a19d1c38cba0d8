//! How many orders are allowed within an hour: over all objects, in one namespace, and for one object.
//! A bad commit may change hundreds of objects, and two tools may fight over one; the limits give a
//! person time to notice.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use serde_json::Value;

use super::{change_id::ChangeId, lane::Holding};
use crate::{api::ChangeKind, lifecycle::ObjectKey};

/// What the limits look back on.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A paid call that was accepted, or may yet be. A stop that precedes one is counted in its place, so that
/// no machine is stopped for an order that may not be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    pub change: ChangeId,
    pub at: Timestamp,
    pub object: ObjectKey,
}

impl Counted {
    pub fn is_recent(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) < HOUR
    }
}

/// The orders of one machine, kept in its slot. Each write that takes a lane, gives it back or ends what the
/// machine is brought back to sees to them, too: they cost no write of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Orders(Vec<Counted>);

impl Orders {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Counted> {
        self.0.iter()
    }

    /// With the call of this holding, if that counts. An order takes the place of the stop before it, and a
    /// start gives that back.
    pub fn with(&self, holding: &Holding, place: Option<&ChangeId>) -> Self {
        let mut orders = self.0.clone();
        orders.retain(|one| one.is_recent(holding.started_at));
        match holding.kind {
            ChangeKind::Modify | ChangeKind::Stop => {
                orders.retain(|one| Some(&one.change) != place && one.change != holding.change);
                let (change, at) = (holding.change.clone(), holding.started_at);
                orders.push(Counted { change, at, object: holding.object.clone() });
            }
            ChangeKind::Start => orders.retain(|one| Some(&one.change) != place),
            ChangeKind::CancelDowngrade => {}
        }
        Self(orders)
    }

    /// Without a call that certainly did nothing: the place of the stop before it stays taken.
    pub fn without(&self, change: &ChangeId, place: Option<&ChangeId>) -> Self {
        let mut orders = self.0.clone();
        match (place, orders.iter_mut().find(|one| one.change == *change)) {
            (Some(place), Some(counted)) => counted.change = place.clone(),
            _ => orders.retain(|one| one.change != *change),
        }
        Self(orders)
    }
}

impl<'de> Deserialize<'de> for Orders {
    /// What this version cannot read does not count, and keeps nothing else from being read.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = match Value::deserialize(deserializer)? {
            Value::Array(entries) => entries,
            _ => Vec::new(),
        };
        let read = |entry: Value| Counted::deserialize(entry).ok();
        Ok(Self(entries.into_iter().filter_map(read).collect()))
    }
}

/// How many are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderLimits {
    pub all: u32,
    pub namespace: u32,
    pub object: u32,
}

/// Which of the limits is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    All,
    Namespace,
    Object,
}

/// How much of each limit is used, from the point of view of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderCount {
    pub all: Used,
    pub namespace: Used,
    pub object: Used,
}

/// How much of one limit is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Calls that were accepted, or may yet be, within the last hour.
    pub count: u32,
    /// When the oldest of them is an hour old.
    pub oldest_ends: Option<Timestamp>,
}

impl Used {
    fn of<'a>(counted: impl Iterator<Item = &'a Counted> + Clone) -> Self {
        let oldest = counted.clone().map(|one| one.at).min();
        Self {
            count: u32::try_from(counted.count()).unwrap_or(u32::MAX),
            oldest_ends: oldest.and_then(|at| at.checked_add(HOUR).ok()),
        }
    }
}

impl OrderCount {
    /// Counts all but what is reserved for the change that this machine was stopped for.
    pub fn of<'a>(
        orders: impl IntoIterator<Item = &'a Counted, IntoIter: Clone>,
        me: &ObjectKey,
        reserved: Option<&ChangeId>,
        now: Timestamp,
    ) -> Self {
        let recent = orders
            .into_iter()
            .filter(|one| Some(&one.change) != reserved)
            .filter(|one| one.is_recent(now));
        Self {
            all: Used::of(recent.clone()),
            namespace: Used::of(recent.clone().filter(|one| one.object.namespace == me.namespace)),
            object: Used::of(recent.filter(|one| one.object.uid == me.uid)),
        }
    }

    /// The first limit that allows no further order, how many it allows, and when it allows one again.
    pub fn reached(&self, limits: &OrderLimits) -> Option<(Limit, u32, Option<Timestamp>)> {
        [
            (Limit::Object, self.object, limits.object),
            (Limit::Namespace, self.namespace, limits.namespace),
            (Limit::All, self.all, limits.all),
        ]
        .into_iter()
        .find(|(_, used, limit)| used.count >= *limit)
        .map(|(which, used, limit)| (which, limit, used.oldest_ends))
    }
}
