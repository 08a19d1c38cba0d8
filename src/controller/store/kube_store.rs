//! [`Store`] on the kube client. Every write names the version it was decided from.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Secret, events::v1::Event as KubeEvent},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use moka::future::Cache;
use serde_json::json;
use zenlayer::{InstanceId, with_causes};

use super::{
    Age, Claims, Credential, KeptSlot, SlotCache, Store, StoreError, credential,
    leases::{MANAGED_BY, lease_of, slot_name, slot_of},
    slots::kept_slot,
};
use crate::{
    api::{POWER_FINALIZER, VmInstance, VmInstanceStatus},
    controller::connect::FIELD_MANAGER,
    lifecycle::{Counted, Event, ObjectKey, SecretState, Slot, SlotRecord},
};

/// Longest note that the API server takes, in bytes.
const NOTE_LIMIT: usize = 1024;
/// How many Secrets are kept.
const MOST_SECRETS: u64 = 10_000;
/// Who publishes the events.
const REPORTER: &str = "vm.zenlayer.com/vm-operator";

pub struct KubeStore {
    client: Client,
    leases: Api<Lease>,
    slot_namespace: String,
    claims: Claims,
    slots: SlotCache,
    /// By namespace and name.
    secrets: Cache<(String, String), Arc<Secret>>,
    /// Which process publishes the events.
    identity: String,
}

/// Why no slot can be written.
#[derive(Debug, thiserror::Error)]
pub enum SlotsError {
    #[error("namespace {0} does not exist: create it, or name another one with --slot-namespace")]
    NoNamespace(String),
    #[error(
        "cannot create a Lease in namespace {namespace} (nothing was written): {problem}; check the \
         API server, the credential for it, and the ServiceAccount's Role in that namespace"
    )]
    Refused { namespace: String, problem: String },
}

impl KubeStore {
    /// `client` has short time limits and no retry: a repeated create or update would hide a
    /// conflict. A Secret is kept for `secret_life`.
    pub fn new(
        client: Client,
        slot_namespace: &str,
        claims: Claims,
        slots: SlotCache,
        secret_life: Duration,
        identity: String,
    ) -> Self {
        Self {
            slots,
            leases: Api::namespaced(client.clone(), slot_namespace),
            slot_namespace: slot_namespace.to_owned(),
            claims,
            secrets: Cache::builder().max_capacity(MOST_SECRETS).time_to_live(secret_life).build(),
            identity,
            client,
        }
    }

    /// Says what is missing in the namespace of the slots, before an order would need one. Nothing is
    /// written: the API server only tries.
    pub async fn check_slots(&self) -> Result<(), SlotsError> {
        let name = Some("zvm-slot-".to_owned());
        let metadata = ObjectMeta { generate_name: name, ..ObjectMeta::default() };
        let lease = Lease { metadata, spec: None };
        let dry = PostParams { dry_run: true, ..params() };
        let namespace = self.slot_namespace.clone();
        match self.leases.create(&dry, &lease).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                Err(SlotsError::NoNamespace(namespace))
            }
            Err(error) => Err(SlotsError::Refused { namespace, problem: problem(&error) }),
        }
    }

    /// Creates or replaces a Lease at the version that was read; gives the new version.
    async fn swap(&self, lease: Lease) -> Result<Option<String>, StoreError> {
        let params = params();
        let name = lease.metadata.name.as_deref().unwrap_or_default();
        let known = lease.metadata.resource_version.is_some();
        let written = if known {
            self.leases.replace(name, &params, &lease).await
        } else {
            self.leases.create(&params, &lease).await
        };
        match written.map_err(failure) {
            Ok(lease) => Ok(lease.metadata.resource_version),
            // Deleted between the read and the write: as good as a conflict.
            Err(StoreError::Gone) if known => Err(StoreError::Conflict),
            Err(StoreError::Gone) => Err(StoreError::Failed(format!(
                "namespace {} does not exist: create it, or start the operator with \
                 --slot-namespace",
                self.slot_namespace
            ))),
            Err(error) => Err(error),
        }
    }

    fn objects(&self, namespace: &str) -> Api<VmInstance> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// Every write names the operator as the owner of what it writes.
fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

fn failure(error: kube::Error) -> StoreError {
    match error {
        kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() => {
            StoreError::Conflict
        }
        kube::Error::Api(status) if status.is_not_found() => StoreError::Gone,
        other => StoreError::Failed(problem(&other)),
    }
}

/// The API server's own words, or the error with its causes.
pub fn problem(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    with_causes(error)
}

#[async_trait]
impl Store for KubeStore {
    async fn secret(
        &self,
        object: &ObjectKey,
        name: &str,
        age: Age,
    ) -> (SecretState, Option<Credential>) {
        let key = (object.namespace.clone(), name.to_owned());
        if age == Age::Anew {
            self.secrets.invalidate(&key).await;
        }
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &object.namespace);
        let read = async { api.get(name).await.map(Arc::new).map_err(failure) };
        // Many objects name one Secret: they share one read. A failure is not kept.
        match self.secrets.try_get_with(key, read).await.map_err(|error| error.as_ref().clone()) {
            Ok(secret) => credential::of_secret(&secret, &object.uid),
            Err(StoreError::Gone) => (SecretState::NotFound, None),
            Err(error) => (SecretState::Unreadable { problem: error.to_string() }, None),
        }
    }

    async fn slot(&self, instance: &InstanceId, age: Age) -> Result<Slot, StoreError> {
        if age == Age::Kept
            && let Some(known) = self.slots.slot(instance)
        {
            return known;
        }
        match self.leases.get_opt(&slot_name(instance)).await.map_err(failure)? {
            Some(lease) => {
                let slot = slot_of(&lease)?;
                self.slots.is(instance, &slot);
                Ok(slot)
            }
            None => Ok(Slot::default()),
        }
    }

    async fn write_slot(
        &self,
        instance: &InstanceId,
        read: &Slot,
        record: SlotRecord,
    ) -> Result<Slot, StoreError> {
        let lease = lease_of(instance, read.version.clone(), &record)?;
        let written = self.swap(lease).await;
        // Whatever is known is older than what is there, or may be.
        let version = written.inspect_err(|_| self.slots.doubt(instance))?;
        let slot = Slot { version, record };
        self.slots.is(instance, &slot);
        Ok(slot)
    }

    async fn slots(&self) -> Result<Vec<KeptSlot>, StoreError> {
        if let Some(known) = self.slots.all() {
            return Ok(known);
        }
        let (label, value) = MANAGED_BY;
        let ours = ListParams::default().labels(&format!("{label}={value}"));
        let leases = self.leases.list(&ours).await.map_err(failure)?;
        Ok(leases.items.iter().filter_map(kept_slot).collect())
    }

    async fn orders(&self) -> Result<Vec<Counted>, StoreError> {
        if let Some(known) = self.slots.orders() {
            return Ok(known);
        }
        let slots = self.slots().await?;
        Ok(slots.iter().flat_map(|kept| kept.slot.record.orders()).cloned().collect())
    }

    async fn delete_slot(&self, kept: &KeptSlot) -> Result<(), StoreError> {
        let resource_version = kept.slot.version.clone();
        let preconditions = Some(Preconditions { resource_version, uid: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        let deleted = self.leases.delete(&slot_name(&kept.instance), &params).await;
        deleted.map(|_| ()).map_err(failure).inspect_err(|_| self.slots.doubt(&kept.instance))
    }

    async fn write_status(
        &self,
        object: &VmInstance,
        status: &VmInstanceStatus,
    ) -> Result<Arc<VmInstance>, StoreError> {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let mut written = object.clone();
        written.status = Some(status.clone());
        // An empty list would be read as "forget all owners of fields".
        written.metadata.managed_fields = None;
        let params = params();
        self.objects(namespace)
            .replace_status(name, &params, &written)
            .await
            .map(Arc::new)
            .map_err(failure)
    }

    async fn set_finalizer(
        &self,
        object: &VmInstance,
        set: bool,
    ) -> Result<Arc<VmInstance>, StoreError> {
        let meta = &object.metadata;
        let mut finalizers = meta.finalizers.clone().unwrap_or_default();
        finalizers.retain(|name| name != POWER_FINALIZER);
        if set {
            finalizers.push(POWER_FINALIZER.to_owned());
        }
        let patch = Patch::Merge(json!({
            "metadata": { "resourceVersion": meta.resource_version, "finalizers": finalizers },
        }));
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let name = meta.name.as_deref().unwrap_or_default();
        let patched = self.objects(namespace).patch(name, &params, &patch).await;
        patched.map(Arc::new).map_err(failure)
    }

    async fn object(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<VmInstance>>, StoreError> {
        let found = self.objects(namespace).get_opt(name).await.map_err(failure)?;
        Ok(found.map(Arc::new))
    }

    fn claims(&self, instance: &InstanceId) -> Vec<Arc<VmInstance>> {
        self.claims.of(instance)
    }

    /// Each event is an object of its own. A series would keep the first note, and the notes of two
    /// changes differ by what matters most: the types and the order number.
    async fn publish_event(&self, object: &VmInstance, event: &Event) {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let made = KubeEvent {
            metadata: ObjectMeta { generate_name: Some(format!("{name}-")), ..Default::default() },
            type_: Some(if event.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(event.reason.to_owned()),
            note: Some(event.note[..event.note.floor_char_boundary(NOTE_LIMIT)].to_owned()),
            action: Some("Resize".to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some(REPORTER.to_owned()),
            reporting_instance: Some(self.identity.clone()),
            regarding: Some(object.object_ref(&())),
            ..Default::default()
        };
        let api: Api<KubeEvent> = Api::namespaced(self.client.clone(), namespace);
        if let Err(error) = api.create(&params(), &made).await {
            let problem = problem(&error);
            tracing::warn!(%problem, reason = event.reason, "cannot publish an event");
        }
    }
}
