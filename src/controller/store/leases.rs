//! The Leases in which slots are kept, as JSON in an annotation.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::ObjectMeta;
use zenlayer::InstanceId;

use super::StoreError;
use crate::lifecycle::{LaneName, Slot, SlotRecord};

/// Holds the slot's record.
const SLOT_ANNOTATION: &str = "vm.zenlayer.com/slot";
/// Says which instance a slot belongs to; its name is a hash.
const INSTANCE_ANNOTATION: &str = "vm.zenlayer.com/instance-id";
const SLOT_PREFIX: &str = "zvm-slot-";
/// Every Lease of the operator bears it.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "vm-operator");

/// The name of an instance's slot: ids are case-sensitive and may hold `_`, names may not.
pub fn slot_name(instance: &InstanceId) -> String {
    format!("{SLOT_PREFIX}{}", short_hash(instance.as_str(), 16))
}

/// So many bytes of a hash, in hexadecimal, for a name.
pub fn short_hash(text: &str, bytes: usize) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a Lease is a slot.
pub fn is_slot(lease: &Lease) -> bool {
    lease.metadata.name.as_ref().is_some_and(|name| name.starts_with(SLOT_PREFIX))
}

/// The instance that a slot belongs to.
pub fn instance_of(lease: &Lease) -> Option<InstanceId> {
    let id = lease.metadata.annotations.as_ref()?.get(INSTANCE_ANNOTATION)?;
    InstanceId::new(id.clone()).ok()
}

/// The slot that a Lease holds.
pub fn slot_of(lease: &Lease) -> Result<Slot, StoreError> {
    let name = lease.metadata.name.as_deref().unwrap_or_default();
    let text = lease.metadata.annotations.as_ref().and_then(|all| all.get(SLOT_ANNOTATION));
    let text = text.ok_or_else(|| {
        StoreError::Failed(format!(
            "Lease {name} has no annotation {SLOT_ANNOTATION}: if a person removed it, and no change is \
             in flight, delete the Lease"
        ))
    })?;
    let record = serde_json::from_str(text).map_err(|error| {
        StoreError::Failed(format!(
            "annotation {SLOT_ANNOTATION} of Lease {name}: {error}; if another version wrote it, run \
             that one; if a person did, and no change is in flight, delete the Lease"
        ))
    })?;
    Ok(Slot { version: lease.metadata.resource_version.clone(), record })
}

/// The Lease that holds a slot.
pub fn lease_of(
    instance: &InstanceId,
    version: Option<String>,
    record: &SlotRecord,
) -> Result<Lease, StoreError> {
    let text =
        serde_json::to_string(record).map_err(|error| StoreError::Failed(error.to_string()))?;
    let annotations = BTreeMap::from([
        (SLOT_ANNOTATION.to_owned(), text),
        (INSTANCE_ANNOTATION.to_owned(), instance.to_string()),
    ]);
    let labels = BTreeMap::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())]);
    let spec = LeaseSpec { holder_identity: holders(record), ..LeaseSpec::default() };
    Ok(Lease {
        metadata: ObjectMeta {
            name: Some(slot_name(instance)),
            resource_version: version,
            annotations: Some(annotations),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
    })
}

/// The changes that hold the lanes, for people; the record is what counts.
fn holders(record: &SlotRecord) -> Option<String> {
    let holder = |lane| record.lane(lane).holding().map(|holding| holding.change.to_string());
    let names: Vec<String> = LaneName::ALL.into_iter().filter_map(holder).collect();
    (!names.is_empty()).then(|| names.join(","))
}
