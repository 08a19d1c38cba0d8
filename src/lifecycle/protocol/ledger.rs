//! How many orders are allowed within an hour: over all objects, in one namespace, and for one object.
//! A bad commit may change hundreds of objects, and two tools may fight over one; the limits give a
//! person time to notice.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::change_id::ChangeId;
use crate::lifecycle::ObjectKey;

/// What the limits look back on.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A paid call that was accepted, or may yet be. A stop that precedes one is counted in its place.
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
    pub fn of(
        record: &[Counted],
        me: &ObjectKey,
        reserved: Option<&ChangeId>,
        now: Timestamp,
    ) -> Self {
        let recent = record
            .iter()
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
