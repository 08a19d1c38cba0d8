//! `VmInstance`: the declaration that one existing virtual machine should be of one instance type.

// Each printcolumn(…) has a name and a path of its own; the lint sees one attribute repeated.
#![allow(clippy::duplicated_attributes)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{VmInstanceStatus, choices::choices};

/// One-shot: its value is the id of a change whose slot a person gives free, or whose order a
/// person allows again after the world undid it.
pub const RELEASE_ANNOTATION: &str = "vm.zenlayer.com/release";
/// One-shot: a new value lets a terminally refused call be made again.
pub const REQUESTED_AT_ANNOTATION: &str = "vm.zenlayer.com/requested-at";

/// One-shot: its value is the instance type of a plan that this object did not order and that is
/// cancelled now.
pub const CANCEL_PLAN_ANNOTATION: &str = "vm.zenlayer.com/cancel-plan";

/// Keeps the object until the machine that was stopped for its change runs again.
pub const POWER_FINALIZER: &str = "vm.zenlayer.com/power";

/// The desired instance type of one existing Zenlayer virtual machine.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "vm.zenlayer.com",
    version = "v1alpha1",
    kind = "VmInstance",
    plural = "vminstances",
    singular = "vminstance",
    shortname = "zvm",
    category = "zenlayer",
    namespaced,
    status = "VmInstanceStatus",
    doc = "VmInstance resizes one existing Zenlayer Cloud virtual machine in place. Deleting it never touches the machine.",
    selectable = ".spec.instanceId",
    selectable = ".status.phase",
    printcolumn(name = "Current", type_ = "string", json_path = ".status.instance.typeId"),
    printcolumn(name = "Desired", type_ = "string", json_path = ".spec.instanceTypeId"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Order", type_ = "string", json_path = ".status.orderNumber"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Instance", type_ = "string", json_path = ".spec.instanceId", priority = 1),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.instance.state",
        priority = 1
    ),
    printcolumn(
        name = "Charge",
        type_ = "string",
        json_path = ".status.instance.chargeType",
        priority = 1
    ),
    printcolumn(
        name = "Zone",
        type_ = "string",
        json_path = ".status.instance.zoneId",
        priority = 1
    ),
    printcolumn(
        name = "Effective",
        type_ = "string",
        json_path = ".status.change.effectiveAt",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct VmInstanceSpec {
    /// Id of the virtual machine, as the provider's DescribeInstances shows it: 1 to 64 letters, digits,
    /// '-' or '_'. Immutable.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9_-]+$')").message(
            "instanceId must be 1 to 64 letters, digits, '-' or '_': copy it from the provider's console or DescribeInstances"
        ),
        validation = Rule::new("self == oldSelf").message(
            "instanceId cannot be changed: delete this VmInstance (the machine is not touched) and create one with the right id"
        )
    )]
    pub instance_id: String,

    /// Instance type that the machine should have, such as c.2c4g: a value of instanceType in the
    /// provider's DescribeZoneInstanceConfigInfos; 1 to 64 letters, digits, '.', '-' or '_'.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')").message(
        "instanceTypeId must be 1 to 64 letters, digits, '.', '-' or '_' and start with a letter or a digit: name a type of the provider, such as c.2c4g"
    ))]
    pub instance_type_id: String,

    /// Where the credential of the provider is found.
    #[serde(default)]
    pub credentials: CredentialsRef,

    /// What the operator may do to the machine. Default: Enforce.
    #[serde(default)]
    pub management_policy: ManagementPolicy,

    /// While true, the machine is observed and never changed. Default: false.
    #[serde(default)]
    pub suspend: bool,

    /// Whether a machine that is billed in advance (PREPAID) may be changed to a type of a higher list
    /// price, which is charged at once for the rest of the cycle. Default: the operator's option
    /// --prepaid-upgrade, which is Allow unless it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepaid_upgrade: Option<PrepaidUpgrade>,

    /// Whether a machine that is billed in advance (PREPAID) may be changed to a type of a lower list
    /// price, which takes effect at the next billing cycle. Default: the operator's option
    /// --prepaid-downgrade, which is Schedule unless it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepaid_downgrade: Option<PrepaidDowngrade>,

    /// How the change is made. Default: InPlace.
    #[serde(default)]
    pub strategy: Strategy,
}

/// Reference to the credential.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema, Default)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsRef {
    /// The Secret, in the namespace of the VmInstance. Its type is vm.zenlayer.com/credentials, with the
    /// keys accessKeyId and accessKeyPassword, or token; or Opaque, with these two keys and no others.
    #[serde(default)]
    pub secret_ref: SecretRef,
}

/// Name of a Secret in the namespace of the object that refers to it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret: 1 to 253 lower-case letters, digits, '-' or '.'. Default:
    /// zenlayer-credentials.
    #[serde(default = "default_secret_name")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message(
        "name must be that of a Secret in this namespace: 1 to 253 lower-case letters, digits, '-' or '.', with a letter or a digit at both ends"
    ))]
    pub name: String,
}

impl Default for SecretRef {
    fn default() -> Self {
        Self { name: default_secret_name() }
    }
}

fn default_secret_name() -> String {
    "zenlayer-credentials".to_owned()
}

choices! {
    /// What the operator may do to the machine.
    #[derive(Default)]
    pub enum ManagementPolicy {
        /// A machine of another type is changed to the declared one; each declaration is ordered once.
        #[default]
        Enforce,
        /// The machine is never changed; a difference is reported.
        Observe,
    }
}

choices! {
    /// What to do about a PREPAID change to a type of a higher list price.
    #[derive(clap::ValueEnum)]
    pub enum PrepaidUpgrade {
        /// It is ordered, and the difference is charged at once.
        Allow,
        /// It is not ordered.
        Deny,
    }
}

choices! {
    /// What to do about a PREPAID change to a type of a lower list price.
    #[derive(clap::ValueEnum)]
    pub enum PrepaidDowngrade {
        /// It is ordered, and takes effect at the next billing cycle.
        Schedule,
        /// It is not ordered.
        Deny,
    }
}

choices! {
    /// How a change is made.
    #[derive(Default)]
    pub enum Strategy {
        /// The type is changed and the power state is left alone. The provider does not say whether
        /// a running machine restarts.
        #[default]
        InPlace,
        /// A running machine is shut down gracefully, changed, and started again.
        StopFirst,
    }
}
