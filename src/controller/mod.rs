//! Kubernetes I/O around the pure core: watch, reconcile, observe, execute, publish.
//!
//! The traits [`Store`], [`Cloud`](zenlayer::Cloud) and [`Clock`] are its only way to the
//! world.

mod clock;
mod connect;
mod context;
mod execute;
mod field_managers;
mod kube_store;
mod observe;
mod offers;
mod order_turns;
mod orders;
mod publish;
mod reconcile;
mod rotation;
mod run;
mod store;
mod unreadable;

pub use clock::{Clock, SystemClock};
pub use connect::{ConnectError, Connections, FIELD_MANAGER};
pub use context::Context;
pub use kube_store::{KubeStore, SlotsError, slot_name};
pub use reconcile::reconcile;
pub use run::{GRACE, RunError, Settings, run};
pub use store::{Counted, OrderLedger, Store, StoreError};
