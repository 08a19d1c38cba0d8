//! [`Store`] on the kube client. Every write names the version it was decided from.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use aws_lc_rs::digest;
use jiff::Timestamp;
use k8s_openapi::api::{
    coordination::v1::{Lease, LeaseSpec},
    core::v1::Secret,
    events::v1::Event as KubeEvent,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, PostParams},
    runtime::reflector,
};
use secrecy::SecretString;
use serde::{Serialize, de::DeserializeOwned};

use super::connect::FIELD_MANAGER;
use super::store::{Counted, OrderLedger, Store, StoreError};
use crate::{
    api::{VmInstance, VmInstanceStatus},
    lifecycle::{Event, SecretState, Slot, SlotRecord},
};
use zenlayer::with_causes;
use zenlayer::{Credentials, InstanceId};

/// Holds the slot's record, as JSON.
const SLOT_ANNOTATION: &str = "vm.zenlayer.com/slot";
/// Holds the trail of paid calls, as JSON.
const ORDERS_ANNOTATION: &str = "vm.zenlayer.com/orders";
/// The Lease of that trail.
const ORDERS_LEASE: &str = "zvm-orders";
/// Longest note that the API server takes, in bytes.
const NOTE_LIMIT: usize = 1024;
/// Who publishes the events.
const REPORTER: &str = "vm.zenlayer.com/vm-operator";
/// Says which instance a slot belongs to; its name is a hash.
const INSTANCE_ANNOTATION: &str = "vm.zenlayer.com/instance-id";

pub struct KubeStore {
    client: Client,
    leases: Api<Lease>,
    operator_namespace: String,
    cache: reflector::Store<VmInstance>,
    /// Which process publishes the events.
    identity: String,
}

/// Why no slot can be written.
#[derive(Debug, thiserror::Error)]
pub enum SlotsError {
    #[error(
        "namespace {0} does not exist: create it, or name another one with --operator-namespace"
    )]
    NoNamespace(String),
    #[error(
        "cannot create a Lease in namespace {namespace} (nothing was written): {problem}; check the \
         API server, the credential for it, and the ServiceAccount's Role in that namespace"
    )]
    Refused { namespace: String, problem: String },
}

impl KubeStore {
    /// `client` has short time limits and no retry: a repeated create or update would hide a
    /// conflict.
    pub fn new(
        client: Client,
        operator_namespace: &str,
        cache: reflector::Store<VmInstance>,
        identity: String,
    ) -> Self {
        Self {
            leases: Api::namespaced(client.clone(), operator_namespace),
            operator_namespace: operator_namespace.to_owned(),
            cache,
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
        let namespace = self.operator_namespace.clone();
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
                 --operator-namespace",
                self.operator_namespace
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

/// The name of an instance's slot: ids are case-sensitive and may hold `_`, names may not.
pub fn slot_name(instance: &InstanceId) -> String {
    let hash = digest::digest(&digest::SHA256, instance.as_str().as_bytes());
    let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("zvm-slot-{hex}")
}

/// The JSON that an annotation of a Lease holds.
fn record_of<T: DeserializeOwned>(lease: &Lease, annotation: &str) -> Result<T, StoreError> {
    let name = lease.metadata.name.as_deref().unwrap_or_default();
    let text = lease.metadata.annotations.as_ref().and_then(|all| all.get(annotation));
    let text = text.ok_or_else(|| {
        StoreError::Failed(format!(
            "Lease {name} has no annotation {annotation}: if a person removed it, and no change is \
             in flight, delete the Lease"
        ))
    })?;
    serde_json::from_str(text).map_err(|error| {
        StoreError::Failed(format!(
            "annotation {annotation} of Lease {name}: {error}; if another version wrote it, run \
             that one; if a person did, and no change is in flight, delete the Lease"
        ))
    })
}

/// A Lease that holds a record in an annotation. `note` is for people.
fn lease_of(
    name: String,
    version: Option<String>,
    (annotation, record): (&str, &impl Serialize),
    note: Option<(&str, String)>,
) -> Result<Lease, StoreError> {
    let text =
        serde_json::to_string(record).map_err(|error| StoreError::Failed(error.to_string()))?;
    let mut annotations = BTreeMap::from([(annotation.to_owned(), text)]);
    annotations.extend(note.map(|(key, value)| (key.to_owned(), value)));
    let labels =
        BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "vm-operator".to_owned())]);
    Ok(Lease {
        metadata: ObjectMeta {
            name: Some(name),
            resource_version: version,
            annotations: Some(annotations),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec::default()),
    })
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
pub(super) fn problem(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    with_causes(error)
}

/// The credential in a Secret: an access key, or a bearer token.
fn credentials(data: &BTreeMap<String, String>) -> Result<Credentials, String> {
    let value = |key: &str| data.get(key).filter(|value| !value.is_empty());
    match (value("accessKeyId"), value("accessKeyPassword"), value("token")) {
        (Some(id), Some(password), None) => Ok(Credentials::AccessKey {
            id: id.clone(),
            password: SecretString::from(password.clone()),
        }),
        (None, None, Some(token)) => Ok(Credentials::Token(SecretString::from(token.clone()))),
        (Some(_), None, _) => Err("the key accessKeyPassword is missing or empty: add it".into()),
        (None, Some(_), _) => Err("the key accessKeyId is missing or empty: add it".into()),
        (None, None, None) => Err(
            "it has none of the keys accessKeyId, accessKeyPassword and token: add the first two, \
             or the last"
                .into(),
        ),
        (Some(_), Some(_), Some(_)) => {
            Err("it has accessKeyId, accessKeyPassword and token: keep the first two, or the last"
                .into())
        }
    }
}

/// The values as text, without the line end that `echo | base64` leaves behind.
fn texts(secret: &Secret) -> Result<BTreeMap<String, String>, String> {
    let mut texts = BTreeMap::new();
    for (key, value) in secret.data.iter().flatten() {
        if !matches!(key.as_str(), "accessKeyId" | "accessKeyPassword" | "token") {
            continue;
        }
        let text = std::str::from_utf8(&value.0).map_err(|_| format!("{key} is not UTF-8 text"))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!("{key} holds a space or a control character: remove it"));
        }
        texts.insert(key.clone(), text.to_owned());
    }
    Ok(texts)
}

#[async_trait]
impl Store for KubeStore {
    async fn secret(&self, namespace: &str, name: &str) -> (SecretState, Option<Credentials>) {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = match api.get(name).await.map_err(failure) {
            Ok(secret) => secret,
            Err(StoreError::Gone) => return (SecretState::NotFound, None),
            Err(error) => {
                return (SecretState::Unreadable { problem: error.to_string() }, None);
            }
        };
        let version = secret.metadata.resource_version.clone().unwrap_or_default();
        match texts(&secret).and_then(|texts| credentials(&texts)) {
            Ok(found) => {
                let expires_requests = found.expires_requests();
                (SecretState::Usable { version, expires_requests }, Some(found))
            }
            Err(problem) => (SecretState::Incomplete { version, problem }, None),
        }
    }

    async fn slot(&self, instance: &InstanceId) -> Result<Slot, StoreError> {
        match self.leases.get_opt(&slot_name(instance)).await.map_err(failure)? {
            Some(lease) => Ok(Slot {
                record: record_of(&lease, SLOT_ANNOTATION)?,
                version: lease.metadata.resource_version,
            }),
            None => Ok(Slot::default()),
        }
    }

    async fn write_slot(
        &self,
        instance: &InstanceId,
        read: &Slot,
        record: SlotRecord,
    ) -> Result<Slot, StoreError> {
        let note = (INSTANCE_ANNOTATION, instance.to_string());
        let mut lease = lease_of(
            slot_name(instance),
            read.version.clone(),
            (SLOT_ANNOTATION, &record),
            Some(note),
        )?;
        if let Some(spec) = &mut lease.spec {
            // For people; the record is what counts.
            spec.holder_identity = record.holding.as_ref().map(|held| held.change.to_string());
        }
        let version = self.swap(lease).await?;
        Ok(Slot { version, record })
    }

    async fn orders(&self) -> Result<OrderLedger, StoreError> {
        match self.leases.get_opt(ORDERS_LEASE).await.map_err(failure)? {
            Some(lease) => Ok(OrderLedger {
                record: record_of(&lease, ORDERS_ANNOTATION)?,
                version: lease.metadata.resource_version,
            }),
            None => Ok(OrderLedger::default()),
        }
    }

    async fn write_orders(
        &self,
        read: &OrderLedger,
        record: Vec<Counted>,
    ) -> Result<(), StoreError> {
        let part = (ORDERS_ANNOTATION, &record);
        let lease = lease_of(ORDERS_LEASE.to_owned(), read.version.clone(), part, None)?;
        self.swap(lease).await.map(|_| ())
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

    async fn object(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<VmInstance>>, StoreError> {
        let found = self.objects(namespace).get_opt(name).await.map_err(failure)?;
        Ok(found.map(Arc::new))
    }

    fn claims(&self, instance: &InstanceId) -> Vec<Arc<VmInstance>> {
        let mut claims = self.cache.state();
        claims.retain(|object| object.spec.instance_id == instance.as_str());
        claims
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
