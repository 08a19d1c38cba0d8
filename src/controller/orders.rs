//! The trail of paid calls within the last hour, over all objects: what the order limits count. It is
//! kept in a Lease, so that a restart does not forget it.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{
    Clock,
    store::{Store, StoreError},
};
use crate::{
    api::ChangeKind,
    lifecycle::{ChangeId, Counted, Desired, Order, OrderCount, SlotRecord},
    telemetry::Metrics,
};

/// How often a write is tried again when somebody else wrote in between.
const TRIES: usize = 5;

/// What is paid for, and the stop that precedes it.
fn counts(kind: ChangeKind) -> bool {
    match kind {
        ChangeKind::Modify | ChangeKind::Stop => true,
        ChangeKind::CancelDowngrade | ChangeKind::Start => false,
    }
}

/// The stop whose place an order takes, or whose place a start gives back.
fn place(order: &Order) -> Option<&ChangeId> {
    let restore = order.restore.as_ref()?;
    (restore.stopped_by != order.change.id).then_some(&restore.stopped_by)
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
    /// the stop already, and takes that place. Fails with `Conflict` once a limit is reached.
    pub async fn reserve(&self, desired: &Desired, order: &Order) -> Result<(), StoreError> {
        if order.change.kind == ChangeKind::Start {
            self.uncount(place(order), None).await;
        }
        if !counts(order.change.kind) {
            return Ok(());
        }
        let me = &desired.object;
        let place = place(order);
        let now = self.clock.now();
        self.update(|record| {
            // The answer to the write that counts it was lost.
            if record.iter().any(|one| one.change == order.change.id) {
                return Ok(());
            }
            record.retain(|one| one.is_recent(now));
            let count = OrderCount::of(record, me, place, now);
            if count.reached(&desired.orders).is_some() {
                return Err(StoreError::Conflict);
            }
            record.retain(|one| Some(&one.change) != place);
            let (change, at) = (order.change.id.clone(), order.change.started_at);
            record.push(Counted { change, at, object: me.clone() });
            Ok(())
        })
        .await
    }

    /// Uncounts a call that was not accepted; the place of a stopped machine stays taken. What cannot
    /// be written only counts for an hour.
    pub async fn give_back(&self, order: &Order) {
        if counts(order.change.kind) {
            self.uncount(Some(&order.change.id), place(order)).await;
        }
    }

    /// A machine that was stopped for an order is as it was, and so is the count: if an order was made, it
    /// has taken the place of the stop.
    pub async fn nothing_follows(&self, before: &SlotRecord, after: &SlotRecord) {
        if let (Some(restore), None) = (before.restore(), after.restore()) {
            self.uncount(Some(&restore.stopped_by), None).await;
        }
    }

    async fn uncount(&self, change: Option<&ChangeId>, place: Option<&ChangeId>) {
        let Some(change) = change else { return };
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
            let count = u32::try_from(record.len()).unwrap_or(u32::MAX);
            match self.store.write_orders(&read, record).await {
                Ok(()) => {
                    self.metrics.orders_within_the_hour(count);
                    return Ok(());
                }
                Err(StoreError::Conflict) => {}
                // It may have landed: the next read tells.
                Err(error @ StoreError::Failed(_)) => {
                    let written = self.store.orders().await?.record;
                    let mut again = written.clone();
                    if change(&mut again).is_ok() && again == written {
                        return Ok(());
                    }
                    return Err(error);
                }
                Err(error @ StoreError::Gone) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}
