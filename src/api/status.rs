//! The status of a `VmInstance`: what was observed, what is remembered, and what it means.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Observed state of a VmInstance. Written by the operator alone.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmInstanceStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for where the object stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Order number of the current or most recent change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
    /// The provider's request id of the current or most recent change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The machine as it was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<ObservedInstance>,
    /// When the declared type last changed; the same change is ordered at most once per target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The change in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// The last terminal refusal of the provider: no call is made while it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// One-shot annotations that were acted on.
    #[serde(default, skip_serializing_if = "Handled::is_empty")]
    pub handled: Handled,
    /// The last changes, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub history: Vec<HistoryEntry>,
    /// Ready and InSync always; Reconciling and Stalled only while True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Where a VmInstance stands.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
pub enum Phase {
    /// Not looked at yet.
    Pending,
    /// The machine is of the declared type.
    InSync,
    /// The type differs, and the policy is to observe only.
    Drifted,
    /// The operator cannot act now and will look again by itself.
    Waiting,
    /// A paid call is being made, or its outcome is unknown.
    Submitting,
    /// The provider accepted the change and is carrying it out.
    Changing,
    /// The change takes effect at the next billing cycle.
    Scheduled,
    /// The type differs, and the object is suspended.
    Suspended,
    /// Nothing happens until the spec, the Secret, the machine or a person changes something.
    Failed,
}

/// The machine as the provider's DescribeInstances showed it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedInstance {
    /// Instance type in effect.
    pub type_id: String,
    /// Power and life-cycle state, verbatim.
    pub state: String,
    /// PREPAID or POSTPAID, verbatim.
    pub charge_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_count: Option<i64>,
    /// Memory in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<i64>,
    /// End of the current PREPAID cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When a field above was last seen to differ from before.
    pub observed_at: Time,
}

/// The declared type, and since when.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub type_id: String,
    /// Generation of the spec in which the declared type became this one.
    pub since_generation: i64,
}

/// What is changed.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum ChangeKind {
    /// The instance type, with ModifyInstanceType.
    Modify,
}

/// How far the change in flight has come.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum ChangeState {
    /// The intent is written; the call may be in flight, or its outcome is unknown.
    Submitting,
    /// The provider accepted the call; its effect has not been seen yet.
    Accepted,
    /// The effect has been seen; the change runs or waits for the next billing cycle.
    Observed,
    /// No answer came, and nothing shows that the call took effect.
    Unverified,
}

/// The change in flight.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Names this change; the release annotation takes it.
    pub id: String,
    pub kind: ChangeKind,
    pub from: String,
    pub to: String,
    /// The target generation that it was ordered for.
    pub target_generation: i64,
    pub state: ChangeState,
    /// When it was decided; also the signed timestamp of the call.
    pub started_at: Time,
    /// Until then the call can take effect unseen. Absent for a bearer token, which has no fence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Time>,
    /// When the provider's acceptance was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Time>,
    /// When a scheduled change takes effect, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Time>,
    /// When a change that is still running counts as overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
}

/// A terminal refusal, with all that it depends on.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The provider's error code; absent when its edge refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The reason shown in the conditions.
    pub reason: String,
    /// The provider's text.
    pub message: String,
    /// Type of the machine when the call was refused; absent when a read was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Type that was asked for; absent when a read was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub generation: i64,
    /// resourceVersion of the Secret in use.
    pub secret_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// When the call may be made again without anybody's doing; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Time>,
}

/// One-shot annotations that were acted on, by value.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Handled {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

impl Handled {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a change ended.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
pub enum HistoryOutcome {
    /// The machine is of the target type.
    Completed,
    /// The target type was seen, or announced, and is gone again.
    Reverted,
    /// No answer came and nothing showed afterwards that the call took effect.
    Unverified,
    /// The machine is gone.
    InstanceGone,
    /// A person gave it free.
    Released,
}

/// A change that ended.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    pub id: String,
    pub from: String,
    pub to: String,
    pub target_generation: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    pub started_at: Time,
    pub ended_at: Time,
    pub outcome: HistoryOutcome,
}
