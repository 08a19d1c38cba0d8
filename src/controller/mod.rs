//! Kubernetes I/O around the pure core: watch, reconcile, observe, execute, publish.
//!
//! The traits [`Store`], [`Cloud`](crate::zenlayer::Cloud) and [`Clock`] are its only way to the
//! world.

mod authors;
mod clock;
mod execute;
mod gate;
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

use crate::{lifecycle::Defaults, telemetry::Metrics, zenlayer::Cloud};

pub use clock::{Clock, SystemClock};
pub use gate::GatedCloud;
pub use kube_store::{KubeStore, slot_name};
pub use lanes::Lanes;
pub use offers::OfferCache;
pub use orders::{Counted, OrderLedger, Orders};
pub use reconcile::reconcile;
pub use run::{GRACE, RunError, Settings, run};
pub use store::{Store, StoreError};

/// What every pass works with.
pub struct Context {
    pub cloud: Arc<dyn Cloud>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub defaults: Defaults,
    pub metrics: Metrics,
    pub lanes: Lanes,
    pub offers: OfferCache,
    pub orders: Orders,
}
