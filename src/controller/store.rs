//! Kubernetes as the reconcile sees it. In production the kube client; in a simulation, a table.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    api::{VmInstance, VmInstanceStatus},
    lifecycle::{ChangeId, Event, SecretState, Slot, SlotRecord},
};
use zenlayer::{Credentials, InstanceId};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first.
    #[error("somebody else wrote first")]
    Conflict,
    #[error("the object does not exist any more")]
    Gone,
    /// The call failed, or nobody knows whether it did.
    #[error("{0}")]
    Failed(String),
}

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

#[async_trait]
pub trait Store: Send + Sync {
    /// One Secret by name: what can be said of it, and the credential if it is usable.
    async fn secret(&self, namespace: &str, name: &str) -> (SecretState, Option<Credentials>);

    /// The slot of an instance, read past every cache.
    async fn slot(&self, instance: &InstanceId) -> Result<Slot, StoreError>;

    /// Compare-and-swap: fails with `Conflict` unless the slot is still at `read`'s version.
    async fn write_slot(
        &self,
        instance: &InstanceId,
        read: &Slot,
        record: SlotRecord,
    ) -> Result<Slot, StoreError>;

    /// The trail of paid calls, read past every cache.
    async fn orders(&self) -> Result<OrderLedger, StoreError>;

    /// Compare-and-swap: fails with `Conflict` unless the trail is still at `read`'s version.
    async fn write_orders(
        &self,
        read: &OrderLedger,
        record: Vec<Counted>,
    ) -> Result<(), StoreError>;

    /// Writes the status if the object is still at its resourceVersion; gives the written object.
    async fn write_status(
        &self,
        object: &VmInstance,
        status: &VmInstanceStatus,
    ) -> Result<Arc<VmInstance>, StoreError>;

    /// One object, read past every cache.
    async fn object(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<VmInstance>>, StoreError>;

    /// Every watched object that names this instance, from the cache.
    fn claims(&self, instance: &InstanceId) -> Vec<Arc<VmInstance>>;

    /// Best effort: a failed event is logged and fails nothing.
    async fn publish_event(&self, object: &VmInstance, event: &Event);
}
