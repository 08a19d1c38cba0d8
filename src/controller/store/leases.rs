//! The Leases in which slots and the trail of paid calls are kept, as JSON in an annotation.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::ObjectMeta;
use serde::{Serialize, de::DeserializeOwned};
use zenlayer::InstanceId;

use super::StoreError;

/// Holds the slot's record.
pub const SLOT_ANNOTATION: &str = "vm.zenlayer.com/slot";
/// Says which instance a slot belongs to; its name is a hash.
pub const INSTANCE_ANNOTATION: &str = "vm.zenlayer.com/instance-id";
const SLOT_PREFIX: &str = "zvm-slot-";
/// Every Lease of the operator bears it.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "vm-operator");

/// The name of an instance's slot: ids are case-sensitive and may hold `_`, names may not.
pub fn slot_name(instance: &InstanceId) -> String {
    let hash = digest::digest(&digest::SHA256, instance.as_str().as_bytes());
    let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{SLOT_PREFIX}{hex}")
}

/// Whether a Lease is a slot.
pub fn is_slot(lease: &Lease) -> bool {
    lease.metadata.name.as_ref().is_some_and(|name| name.starts_with(SLOT_PREFIX))
}

/// The JSON that an annotation of a Lease holds.
pub fn record_of<T: DeserializeOwned>(lease: &Lease, annotation: &str) -> Result<T, StoreError> {
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
pub fn lease_of(
    name: String,
    version: Option<String>,
    (annotation, record): (&str, &impl Serialize),
    note: Option<(&str, String)>,
) -> Result<Lease, StoreError> {
    let text =
        serde_json::to_string(record).map_err(|error| StoreError::Failed(error.to_string()))?;
    let mut annotations = BTreeMap::from([(annotation.to_owned(), text)]);
    annotations.extend(note.map(|(key, value)| (key.to_owned(), value)));
    let labels = BTreeMap::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())]);
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
