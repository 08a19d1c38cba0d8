//! Kubernetes as the controller sees it: in production the kube client, in a simulation a table.

mod api;
mod credential;
mod kube_store;
mod leases;

pub use api::{KeptSlot, OrderLedger, Store, StoreError};
pub use credential::{Credential, Scope};
pub use kube_store::{KubeStore, SlotsError, problem};
pub use leases::slot_name;
