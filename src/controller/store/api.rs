//! The trait, and what its calls give.

use std::sync::Arc;

use async_trait::async_trait;
use zenlayer::InstanceId;

use super::Credential;
use crate::{
    api::{VmInstance, VmInstanceStatus},
    lifecycle::{Counted, Event, ObjectKey, SecretState, Slot, SlotRecord},
};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first: nothing was written.
    #[error("somebody else wrote first")]
    Conflict,
    #[error("the object does not exist any more")]
    Gone,
    /// The call failed, or nobody knows whether it did.
    #[error("{0}")]
    Failed(String),
}

/// A slot among all others.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptSlot {
    pub instance: InstanceId,
    pub slot: Slot,
}

/// How old what is read may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// As it was within the last minute, or as a watch shows it.
    Kept,
    /// As it is now.
    Anew,
}

#[async_trait]
pub trait Store: Send + Sync {
    /// The Secret of an object: what can be said of it, and the credential if it is usable. The digest
    /// of its data is salted with the object's uid.
    async fn secret(
        &self,
        object: &ObjectKey,
        name: &str,
        age: Age,
    ) -> (SecretState, Option<Credential>);

    /// The slot of an instance. One that was kept may be older than the object: a write that rests on it
    /// fails then, and nothing else may rest on what it does not hold.
    async fn slot(&self, instance: &InstanceId, age: Age) -> Result<Slot, StoreError>;

    /// Compare-and-swap: fails with `Conflict` unless the slot is still at `read`'s version.
    async fn write_slot(
        &self,
        instance: &InstanceId,
        read: &Slot,
        record: SlotRecord,
    ) -> Result<Slot, StoreError>;

    /// Every slot that can be read.
    async fn slots(&self) -> Result<Vec<KeptSlot>, StoreError>;

    /// Deletes a slot unless it was written since.
    async fn delete_slot(&self, kept: &KeptSlot) -> Result<(), StoreError>;

    /// The orders in all slots, as they are known: a limit may be passed by what others write in the
    /// moment.
    async fn orders(&self) -> Result<Vec<Counted>, StoreError>;

    /// Writes the status if the object is still at its resourceVersion; gives the written object.
    async fn write_status(
        &self,
        object: &VmInstance,
        status: &VmInstanceStatus,
    ) -> Result<Arc<VmInstance>, StoreError>;

    /// Sets or removes the finalizer of the power state, if the object is still at its
    /// resourceVersion.
    async fn set_finalizer(
        &self,
        object: &VmInstance,
        set: bool,
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
