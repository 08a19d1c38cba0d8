//! What the object asks for, validated once.

use std::time::Duration;

use crate::api::{
    CANCEL_PLAN_ANNOTATION, ChangeKind, ManagementPolicy, PrepaidDowngrade, PrepaidUpgrade,
    RELEASE_ANNOTATION, REQUESTED_AT_ANNOTATION, Strategy, VmInstance,
};
use zenlayer::{InstanceId, InstanceTypeId, InvalidId};

/// The time limits of the protocol (design section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// How far a signed timestamp may lie from the provider's clock (fact sheet 2.1: 300 s).
    pub signature_life: Duration,
    /// Longest time from the provider's signature check to an effect that every read shows.
    pub margin: Duration,
    /// How long after the decision a paid call may still be sent.
    pub send_window: Duration,
    /// How old the reads may be that a paid call rests on.
    pub freshness: Duration,
    /// Largest distance between our clock and the provider's at which a call is signed.
    pub skew_limit: Duration,
    /// How long an accepted change may take.
    pub change_deadline: Duration,
    /// How long a graceful stop, or a start, may take.
    pub power_deadline: Duration,
    /// First and longest pause between looks at a change in flight.
    pub poll: (Duration, Duration),
    /// Pause between looks at an object that is at rest.
    pub drift: Duration,
    /// Pause between looks at the Secret of an object whose credential is unusable.
    pub secret: Duration,
    /// Pause before a call that was refused with an unknown code is made again.
    pub slow_retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self::new(Duration::from_secs(300), Duration::from_secs(300))
    }
}

impl Timing {
    /// The limits that follow from the signature's life and the settle margin.
    pub fn new(signature_life: Duration, margin: Duration) -> Self {
        Self {
            signature_life,
            margin,
            send_window: Duration::from_secs(5),
            freshness: Duration::from_secs(5),
            skew_limit: signature_life * 4 / 5,
            change_deadline: Duration::from_secs(30 * 60),
            power_deadline: Duration::from_secs(5 * 60),
            poll: (Duration::from_secs(5), Duration::from_secs(30)),
            drift: Duration::from_secs(5 * 60),
            secret: Duration::from_secs(60),
            slow_retry: Duration::from_secs(30 * 60),
        }
    }

    /// How long a call of this kind may take to its end.
    pub fn limit(&self, kind: ChangeKind) -> Duration {
        match kind {
            ChangeKind::Modify | ChangeKind::CancelDowngrade => self.change_deadline,
            ChangeKind::Stop | ChangeKind::Start => self.power_deadline,
        }
    }
}

/// What the operator's options say about every object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    pub timing: Timing,
    pub prepaid_upgrade: PrepaidUpgrade,
    pub prepaid_downgrade: PrepaidDowngrade,
    /// Accepted paid calls within an hour, over all objects, after which none is made.
    pub max_orders_per_hour: u32,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            prepaid_upgrade: PrepaidUpgrade::Allow,
            prepaid_downgrade: PrepaidDowngrade::Schedule,
            max_orders_per_hour: 100,
        }
    }
}

/// What tells one object from every other, also from a later one of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectKey {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
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
    pub max_orders_per_hour: u32,
    pub timing: Timing,
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
            max_orders_per_hour: defaults.max_orders_per_hour,
            timing: defaults.timing.clone(),
        })
    }

    /// Whether this spec lets the operator change the machine at all.
    pub fn may_mutate(&self) -> bool {
        match self.policy {
            ManagementPolicy::Enforce => !self.suspend,
            ManagementPolicy::Observe => false,
        }
    }
}
