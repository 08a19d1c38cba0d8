//! Kubernetes as the controller sees it: in production the kube client, in a simulation a table.

mod api;
mod claims;
mod credential;
mod kube_store;
mod leases;
mod slots;

pub use api::{Age, KeptSlot, Store, StoreError};
pub use claims::{Claims, ObjectCache};
pub use credential::{Credential, SECRET_TYPE, Scope};
pub use kube_store::{KubeStore, SlotsError, problem};
pub use leases::{MANAGED_BY, short_hash, slot_name};
pub use slots::SlotCache;
