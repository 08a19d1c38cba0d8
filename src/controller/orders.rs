//! The paid calls within the last hour, over all objects: what the order limits count. Each slot holds
//! those of its machine, so that a restart forgets none and no write is made for them alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::store::{Store, StoreError};
use crate::{
    api::ChangeKind,
    lifecycle::{ChangeId, Counted, Desired, Order, OrderCount},
};

/// Counts what the slots hold, and what this process is about to write into them.
pub struct Orders {
    store: Arc<dyn Store>,
    /// Calls whose slot is being taken.
    coming: Mutex<HashMap<ChangeId, Counted>>,
}

/// The place of a call among the orders of the hour, until its slot has been written, or was not.
pub struct Place<'a> {
    orders: &'a Orders,
    change: ChangeId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.orders.lock().remove(&self.change);
    }
}

impl Orders {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, coming: Mutex::default() }
    }

    /// How much of each limit is used.
    pub async fn count(
        &self,
        desired: &Desired,
        reserved: Option<&ChangeId>,
        now: Timestamp,
    ) -> Result<OrderCount, StoreError> {
        let orders = self.store.orders().await?;
        let coming = self.lock();
        Ok(count(&orders, &coming, desired, reserved, now))
    }

    /// Holds a place for a call that counts, before its slot is taken. Fails with `Conflict` once a limit is
    /// reached: others were faster.
    pub async fn reserve(
        &self,
        desired: &Desired,
        order: &Order,
        now: Timestamp,
    ) -> Result<Place<'_>, StoreError> {
        let change = &order.change;
        if matches!(change.kind, ChangeKind::Modify | ChangeKind::Stop) {
            let orders = self.store.orders().await?;
            let mut coming = self.lock();
            let reserved = order.slot.record.place();
            let count = count(&orders, &coming, desired, reserved, now);
            if count.reached(&desired.orders).is_some() {
                return Err(StoreError::Conflict);
            }
            let (id, at) = (change.id.clone(), change.started_at);
            let counted = Counted { change: id.clone(), at, object: desired.object.clone() };
            coming.insert(id, counted);
        }
        Ok(Place { orders: self, change: change.id.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChangeId, Counted>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(
    orders: &[Counted],
    coming: &HashMap<ChangeId, Counted>,
    desired: &Desired,
    reserved: Option<&ChangeId>,
    now: Timestamp,
) -> OrderCount {
    // What a slot holds already has come.
    let held: std::collections::HashSet<_> = orders.iter().map(|one| &one.change).collect();
    let coming = coming.values().filter(|one| !held.contains(&one.change));
    OrderCount::of(orders.iter().chain(coming), &desired.object, reserved, now)
}
