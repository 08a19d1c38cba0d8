//! What the object asks for, validated once.

use super::{ObjectKey, Timing, protocol::OrderLimits, time::after};

use crate::api::{
    CANCEL_PLAN_ANNOTATION, ManagementPolicy, POWER_FINALIZER, PrepaidDowngrade, PrepaidUpgrade,
    RELEASE_ANNOTATION, REQUESTED_AT_ANNOTATION, Strategy, VmInstance,
};
use std::time::Duration;

use jiff::Timestamp;
use zenlayer::{InstanceId, InstanceTypeId, InvalidId};

/// What the operator's options say about every object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    pub timing: Timing,
    pub prepaid_upgrade: PrepaidUpgrade,
    pub prepaid_downgrade: PrepaidDowngrade,
    /// Accepted paid calls within an hour, after which none is made.
    pub orders: OrderLimits,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            prepaid_upgrade: PrepaidUpgrade::Allow,
            prepaid_downgrade: PrepaidDowngrade::Schedule,
            orders: OrderLimits { all: 100, namespace: 50, object: 4 },
        }
    }
}

/// The spec, the annotations that a person set, and the operator's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    pub object: ObjectKey,
    pub generation: i64,
    pub instance_id: InstanceId,
    pub type_id: InstanceTypeId,
    pub secret_name: String,
    pub policy: ManagementPolicy,
    pub suspend: bool,
    pub prepaid_upgrade: PrepaidUpgrade,
    pub prepaid_downgrade: PrepaidDowngrade,
    pub strategy: Strategy,
    /// Value of the release annotation.
    pub release: Option<String>,
    /// Value of the requested-at annotation.
    pub requested_at: Option<String>,
    /// Value of the cancel-plan annotation.
    pub cancel_plan: Option<String>,
    pub orders: OrderLimits,
    pub timing: Timing,
    /// Since when the object is being deleted.
    pub deleted_at: Option<Timestamp>,
    /// Whether the finalizer is set that keeps the object until its machine runs again.
    pub has_finalizer: bool,
}

/// Why an object cannot be acted on at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpec {
    #[error("spec.{field} is not valid")]
    Id { field: &'static str, source: InvalidId },
    #[error("metadata.{0} is missing")]
    Metadata(&'static str),
}

impl Desired {
    pub fn from_object(object: &VmInstance, defaults: &Defaults) -> Result<Self, InvalidSpec> {
        let meta = &object.metadata;
        let part =
            |value: &Option<String>, field| value.clone().ok_or(InvalidSpec::Metadata(field));
        let annotation = |key: &str| {
            meta.annotations
                .as_ref()
                .and_then(|all| all.get(key))
                .filter(|v| !v.is_empty())
                .cloned()
        };
        let spec = &object.spec;
        Ok(Self {
            object: ObjectKey {
                namespace: part(&meta.namespace, "namespace")?,
                name: part(&meta.name, "name")?,
                uid: part(&meta.uid, "uid")?,
            },
            generation: meta.generation.unwrap_or(0),
            instance_id: InstanceId::new(spec.instance_id.clone())
                .map_err(|source| InvalidSpec::Id { field: "instanceId", source })?,
            type_id: InstanceTypeId::new(spec.instance_type_id.clone())
                .map_err(|source| InvalidSpec::Id { field: "instanceTypeId", source })?,
            secret_name: spec.credentials.secret_ref.name.clone(),
            policy: spec.management_policy,
            suspend: spec.suspend,
            release: annotation(RELEASE_ANNOTATION),
            requested_at: annotation(REQUESTED_AT_ANNOTATION),
            cancel_plan: annotation(CANCEL_PLAN_ANNOTATION),
            prepaid_upgrade: spec.prepaid_upgrade.unwrap_or(defaults.prepaid_upgrade),
            prepaid_downgrade: spec.prepaid_downgrade.unwrap_or(defaults.prepaid_downgrade),
            strategy: spec.strategy,
            orders: defaults.orders,
            timing: defaults.timing.clone(),
            deleted_at: meta.deletion_timestamp.as_ref().map(|time| time.0),
            has_finalizer: has_finalizer(object),
        })
    }

    /// Whether this spec lets the operator change the machine at all.
    pub fn allows_changes(&self) -> bool {
        match self.policy {
            ManagementPolicy::Enforce => !self.suspend,
            ManagementPolicy::Observe => false,
        }
    }

    /// Whether the object has been kept from being deleted for as long as it may be, and this process has
    /// known of it for long enough to start its machine.
    pub fn is_kept_too_long(&self, now: Timestamp, known: Duration) -> bool {
        let Timing { restore_bound, power_deadline, .. } = self.timing;
        let over = self.deleted_at.is_some_and(|time| now > after(time, restore_bound));
        self.has_finalizer && over && known >= power_deadline.saturating_mul(2).min(restore_bound)
    }

    /// Whether a change of the type may be asked for: never by an object that is being deleted.
    pub fn may_order(&self) -> bool {
        self.allows_changes() && self.deleted_at.is_none()
    }
}

fn has_finalizer(object: &VmInstance) -> bool {
    object.metadata.finalizers.iter().flatten().any(|name| name == POWER_FINALIZER)
}

/// How long an object that is being deleted, and whose spec cannot be read, is still kept for its machine;
/// `None`: it is not.
pub fn kept_for(object: &VmInstance, timing: &Timing, now: Timestamp) -> Option<Duration> {
    let deleted = object.metadata.deletion_timestamp.as_ref().filter(|_| has_finalizer(object))?;
    let passed = Duration::try_from(now.duration_since(deleted.0)).unwrap_or_default();
    Some(timing.restore_bound.saturating_sub(passed))
}
