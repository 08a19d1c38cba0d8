//! Kubernetes I/O around the pure core: watch, reconcile, observe, execute, publish.
//!
//! The traits [`Store`], [`Cloud`](zenlayer::Cloud) and [`Clock`] are its only way to the
//! world.

mod authors;
mod clock;
mod execute;
mod guard;
mod kube_store;
mod lanes;
mod observe;
mod offers;
mod orders;
mod publish;
mod reconcile;
mod rotation;
mod run;
mod store;

use std::sync::Arc;

use crate::{lifecycle::Defaults, telemetry::Metrics};
use zenlayer::Cloud;

pub use clock::{Clock, SystemClock};
pub use kube_store::{KubeStore, slot_name};
pub use orders::{Counted, OrderLedger};
pub use reconcile::reconcile;
pub use run::{GRACE, RunError, Settings, run};
pub use store::{Store, StoreError};

/// What every pass works with: the ways to the world, and what passes share.
pub struct Context {
    pub cloud: Arc<dyn Cloud>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub defaults: Defaults,
    pub metrics: Metrics,
    lanes: lanes::Lanes,
    offers: offers::OfferCache,
    orders: orders::Orders,
    secrets: Arc<rotation::Versions>,
}

impl Context {
    pub fn new(
        cloud: Arc<dyn Cloud>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        defaults: Defaults,
        metrics: Metrics,
    ) -> Self {
        metrics.order_limit(defaults.max_orders_per_hour);
        let (lanes, offers, orders, secrets) = Default::default();
        Self { cloud, store, clock, defaults, metrics, lanes, offers, orders, secrets }
    }
}
