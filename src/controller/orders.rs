//! The trail of paid calls within the last hour, over all objects: what the order limit counts.
//! It is kept in a Lease, so that a restart does not forget it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{Context, store::StoreError};
use crate::lifecycle::{Change, ChangeId, Desired, OrderCount};

/// How often a write is tried again when somebody else wrote in between.
const TRIES: usize = 5;

/// What the limit looks back on.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A paid call that was accepted, or may yet be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    pub change: ChangeId,
    pub at: Timestamp,
}

/// The trail as it was read, with the version that a write must name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderLedger {
    pub version: Option<String>,
    pub record: Vec<Counted>,
}

impl OrderCount {
    pub fn of(record: &[Counted], now: Timestamp) -> Self {
        let recent = || record.iter().filter(move |one| is_recent(one, now));
        Self {
            within_the_hour: u32::try_from(recent().count()).unwrap_or(u32::MAX),
            oldest_ends: recent().map(|one| one.at).min().and_then(|at| at.checked_add(HOUR).ok()),
        }
    }
}

fn is_recent(one: &Counted, now: Timestamp) -> bool {
    now.duration_since(one.at) < HOUR
}

/// Takes turns within this process; compare-and-swap does between processes.
#[derive(Default)]
pub struct Orders(Mutex<()>);

impl Orders {
    /// Counts a call before it is made. Fails with `Conflict` once the limit is reached.
    pub async fn reserve(
        &self,
        ctx: &Context,
        desired: &Desired,
        change: &Change,
    ) -> Result<(), StoreError> {
        let now = ctx.clock.now();
        let limit = desired.max_orders_per_hour;
        self.update(ctx, |record| {
            record.retain(|one| is_recent(one, now));
            if OrderCount::of(record, now).within_the_hour >= limit {
                return Err(StoreError::Conflict);
            }
            record.push(Counted { change: change.id.clone(), at: change.started_at });
            Ok(())
        })
        .await
    }

    /// Uncounts a call that was not accepted. What cannot be written only counts for an hour.
    pub async fn give_back(&self, ctx: &Context, change: &Change) {
        if change.kind != crate::api::ChangeKind::Modify {
            return;
        }
        let written = self.update(ctx, |record| {
            record.retain(|one| one.change != change.id);
            Ok(())
        });
        if let Err(error) = written.await {
            tracing::warn!(%error, change = %change.id, "cannot uncount a call");
        }
    }

    async fn update(
        &self,
        ctx: &Context,
        change: impl Fn(&mut Vec<Counted>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _turn = self.0.lock().await;
        for _ in 0..TRIES {
            let read = ctx.store.orders().await?;
            let mut record = read.record.clone();
            change(&mut record)?;
            match ctx.store.write_orders(&read, record).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}
