//! The trail of paid calls within the last hour, over all objects: what the order limit counts.
//! It is kept in a Lease, so that a restart does not forget it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::{
    Clock,
    store::{Counted, Store, StoreError},
};
use crate::{
    api::ChangeKind,
    lifecycle::{Change, ChangeId, Desired, OrderCount, Restore},
    telemetry::Metrics,
};

/// How often a write is tried again when somebody else wrote in between.
const TRIES: usize = 5;

/// What the limit looks back on.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

impl OrderCount {
    /// Counts all but what is reserved for the change that this machine was stopped for.
    pub fn of(record: &[Counted], reserved: Option<&ChangeId>, now: Timestamp) -> Self {
        let others = || record.iter().filter(move |one| Some(&one.change) != reserved);
        let recent = || others().filter(move |one| is_recent(one, now));
        Self {
            within_the_hour: u32::try_from(recent().count()).unwrap_or(u32::MAX),
            oldest_ends: recent().map(|one| one.at).min().and_then(|at| at.checked_add(HOUR).ok()),
        }
    }
}

fn is_recent(one: &Counted, now: Timestamp) -> bool {
    now.duration_since(one.at) < HOUR
}

/// What is paid for, and the stop that precedes it.
fn counts(kind: ChangeKind) -> bool {
    match kind {
        ChangeKind::Modify | ChangeKind::Stop => true,
        ChangeKind::CancelDowngrade | ChangeKind::Start => false,
    }
}

/// Takes turns within this process; compare-and-swap does between processes.
pub struct Orders {
    turn: Mutex<()>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Orders {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self { turn: Mutex::default(), store, clock, metrics }
    }

    /// Counts a paid call before it is made. One that the machine is stopped for is counted before
    /// the stop already, and takes that place. Fails with `Conflict` once the limit is reached.
    pub async fn reserve(
        &self,
        desired: &Desired,
        change: &Change,
        restore: Option<&Restore>,
    ) -> Result<(), StoreError> {
        if !counts(change.kind) {
            return Ok(());
        }
        let now = self.clock.now();
        let limit = desired.max_orders_per_hour;
        let place = restore.map(|restore| &restore.stopped_by);
        self.update(|record| {
            record.retain(|one| is_recent(one, now));
            if OrderCount::of(record, place, now).within_the_hour >= limit {
                return Err(StoreError::Conflict);
            }
            record.retain(|one| Some(&one.change) != place);
            record.push(Counted { change: change.id.clone(), at: change.started_at });
            Ok(())
        })
        .await
    }

    /// Uncounts a call that was not accepted; the place of a stopped machine stays taken. What cannot
    /// be written only counts for an hour.
    pub async fn give_back(&self, change: &Change, restore: Option<&Restore>) {
        if !counts(change.kind) {
            return;
        }
        let place = restore.map(|restore| &restore.stopped_by).filter(|stop| **stop != change.id);
        self.uncount(&change.id, place).await;
    }

    /// Nothing is ordered for this stop any more.
    pub async fn give_up(&self, stop: &ChangeId) {
        self.uncount(stop, None).await;
    }

    async fn uncount(&self, change: &ChangeId, place: Option<&ChangeId>) {
        let written = self.update(|record| {
            match (place, record.iter_mut().find(|one| one.change == *change)) {
                (Some(place), Some(counted)) => counted.change = place.clone(),
                _ => record.retain(|one| one.change != *change),
            }
            Ok(())
        });
        if let Err(error) = written.await {
            tracing::warn!(%error, %change, "cannot uncount a call");
        }
    }

    async fn update(
        &self,
        change: impl Fn(&mut Vec<Counted>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        for _ in 0..TRIES {
            let read = self.store.orders().await?;
            let mut record = read.record.clone();
            change(&mut record)?;
            if record == read.record {
                return Ok(());
            }
            let count = OrderCount::of(&record, None, self.clock.now()).within_the_hour;
            match self.store.write_orders(&read, record).await {
                Ok(()) => {
                    self.metrics.orders_within_the_hour(count);
                    return Ok(());
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}
