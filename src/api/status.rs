//! The status of a `VmInstance`: what was observed, what is remembered, and what it means.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::choices::choices;

/// Observed state of a VmInstance. Written by the operator alone.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", remote = "Self")]
pub struct VmInstanceStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for the state of this object; the conditions say more.
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
    /// The change of the type in flight, or its cancellation, or what it led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Box<Change>>,
    /// The stop or start in flight, and what the machine is brought back to.
    #[serde(default, skip_serializing_if = "Power::is_empty")]
    pub power: Power,
    /// The last call that certainly was not made although it had been recorded: its record can no longer
    /// be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// The last terminal refusal of the provider: no call is made while it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Box<Refusal>>,
    /// What a person is asked to decide; absent while nothing waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_decision: Option<Box<PendingDecision>>,
    /// Annotations that were acted on; each is acted on once for each value.
    #[serde(default, skip_serializing_if = "Handled::is_empty")]
    pub handled: Handled,
    /// The last changes, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<HistoryEntry>,
    /// Ready and InSync always; Reconciling and Stalled only while they are True. Ready: the operator
    /// has done all that this spec lets it do. InSync: the machine is of the declared type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Parts that this version cannot read and must not lose, as they were found.
    #[serde(skip)]
    pub unreadable: Map<String, Value>,
}

impl VmInstanceStatus {
    /// The changes in flight.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        [&self.change, &self.power.change].into_iter().filter_map(Option::as_deref)
    }
}

choices! {
    /// Where a VmInstance stands.
    pub enum Phase {
        /// Not looked at yet.
        Pending,
        /// The machine is of the declared type.
        InSync,
        /// The type differs, and the policy is to observe only.
        Drifted,
        /// The operator cannot act now and will look again by itself.
        Waiting,
        /// A call is being made, or its outcome is unknown.
        Submitting,
        /// The provider accepted the change and is carrying it out.
        Changing,
        /// The change takes effect at the next billing cycle.
        Scheduled,
        /// The type differs, and the object is suspended.
        Suspended,
        /// It needs attention; the message says what to do, and whether it is tried again.
        Failed,
    }
}

/// The machine as the provider's DescribeInstances showed it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedInstance {
    /// Instance type in effect.
    pub type_id: String,
    /// Power and life-cycle state as the provider writes it, such as RUNNING or STOPPED.
    pub state: String,
    /// How the machine is billed, as the provider writes it: PREPAID or POSTPAID.
    pub charge_type: String,
    /// Zone of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    /// Name of the machine at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_count: Option<i64>,
    /// Memory in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<i64>,
    /// Outbound bandwidth in Mbps; 0 is no cap below that of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_mbps: Option<i64>,
    /// End of the current PREPAID cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When a field above was last seen to differ from before.
    pub observed_at: Time,
    /// Since when it could not be read; absent while it is read at every look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_since: Option<Time>,
}

/// The declared type, and since when.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The declared type.
    pub type_id: String,
    /// Generation of the spec in which the declared type became this one.
    pub since_generation: i64,
}

choices! {
    /// Which call is made.
    pub enum ChangeKind {
        /// ModifyInstanceType: the paid one.
        Modify,
        /// CancelInstanceDowngrade: takes back a change that waits for the next billing cycle.
        CancelDowngrade,
        /// StopInstances, never forced: the first step of strategy StopFirst.
        Stop,
        /// StartInstances: brings back a machine that was stopped for a change.
        Start,
    }
}

choices! {
    /// Which way a PREPAID change goes, by list price.
    pub enum Direction {
        /// To a higher list price: charged and in effect at once.
        Upgrade,
        /// To a lower list price: in effect at the next billing cycle.
        Downgrade,
        /// The prices are equal or could not be read: either ending is accepted.
        Unknown: other,
    }
}

/// The lane of the power state.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Power {
    /// The stop or start in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Box<Change>>,
    /// What the machine is brought back to; absent unless it was stopped for a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
}

impl Power {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a machine is brought back to.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// The power state that was found: RUNNING.
    pub power_state: String,
    /// Id of the stop.
    pub stopped_by: String,
    /// When the stop was decided.
    pub since: Time,
}

choices! {
    /// How far the change in flight has come.
    pub enum ChangeState {
        /// The intent is written; the call may be in flight, or its outcome is unknown.
        Submitting,
        /// The provider accepted the call; its effect has not been seen yet.
        Accepted,
        /// The effect has been seen; it goes on, or waits for the next billing cycle.
        Observed,
        /// No answer came, and nothing shows that the call took effect.
        Unverified,
    }
}

/// The change in flight.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Name of this change; it is the value of the annotation vm.zenlayer.com/release.
    pub id: String,
    /// Which call it is.
    pub kind: ChangeKind,
    /// Instance type before. Of a cancellation: the planned type that is taken back.
    pub from: String,
    /// Instance type after. Of a cancellation: the type that stays.
    pub to: String,
    /// Generation of the spec in which its target was declared.
    pub target_generation: i64,
    /// How far it has come.
    pub state: ChangeState,
    /// Somebody else ordered it: it is followed, and never cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Which way a PREPAID change goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Cores of the new type by the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_count: Option<i64>,
    /// Memory of the new type by the catalogue, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<i64>,
    /// When it was decided; also the signed timestamp of the call.
    pub started_at: Time,
    /// Until then the call can take effect unseen. Absent for a bearer token, which has no fence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Time>,
    /// When the provider's acceptance was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Time>,
    /// When its effect was read while its answer was not known. Such a call was made: should the effect
    /// be gone again, a person decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Time>,
    /// When the new type took effect, or when a scheduled change will, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Time>,
    /// When a change that is still running counts as overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
}

/// A refused call, with all that the refusal rests on.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The provider's error code; absent when its edge or this operator refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The reason shown in the conditions.
    pub reason: String,
    /// The provider's text, and the remedy.
    pub message: String,
    /// The call that was refused.
    pub kind: ChangeKind,
    /// Type of the machine when the call was refused.
    pub from: String,
    /// Type that was asked for.
    pub to: String,
    /// Digest of what was seen of the machine, and of the policies that denied the change, if any did;
    /// with another one, the refusal no longer counts.
    pub instance: String,
    /// Digest of the credential in use; with another one, the refusal no longer counts.
    pub credential: String,
    /// How often the call was refused in a row.
    pub attempts: i64,
    /// The provider's request id of the refused call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// When the call is made again without a change by anybody; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Time>,
}

/// What a person is asked to decide.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingDecision {
    /// What is to be decided.
    pub kind: DecisionKind,
    /// The change that it is about; absent if this object did not order it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_id: Option<String>,
    /// The annotation that gives the answer, as `kubectl annotate` takes it: NAME=VALUE.
    pub annotation: String,
    /// What setting the annotation does, in one sentence.
    pub message: String,
}

choices! {
    /// What a person is asked to decide.
    pub enum DecisionKind {
        /// Whether to stop waiting for a change: its outcome is unknown, or it does not come to its end.
        ReleaseChange,
        /// Whether to order a change once more: it was changed back outside this object, or nobody knows how
        /// it ended.
        OrderAgain,
        /// Whether to cancel a scheduled change that this object did not order.
        CancelPlan,
    }
}

/// Annotations that were acted on, by their value.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Handled {
    /// Last value of vm.zenlayer.com/requested-at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<String>,
    /// Last value of vm.zenlayer.com/release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Last value of vm.zenlayer.com/cancel-plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_plan: Option<String>,
}

impl Handled {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

choices! {
    /// How a change ended.
    pub enum HistoryOutcome {
        /// Done: the machine is as the call was to make it.
        Completed,
        /// Accepted for the next billing cycle, and about to be taken back.
        Scheduled,
        /// Taken back before it took effect.
        Cancelled,
        /// The machine did not get there in time.
        Overdue,
        /// The target type was seen, or announced, and it was changed back outside this object.
        Reverted,
        /// No answer came and nothing showed afterwards that the call took effect.
        Unverified,
        /// The machine is gone.
        InstanceGone,
        /// It was released by a user.
        Released,
        /// Its record in the slot is gone: it counts as ordered.
        Unrecorded,
        /// A later version of the operator knows how it ended: it counts as ordered.
        Unknown: other,
    }
}

/// A change that ended.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Name of the change.
    pub id: String,
    /// Which call it was.
    pub kind: ChangeKind,
    /// Instance type before. Of a cancellation: the planned type that was taken back.
    pub from: String,
    /// Instance type after. Of a cancellation: the type that stays.
    pub to: String,
    /// Somebody else ordered it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Generation of the spec in which its target was declared.
    pub target_generation: i64,
    /// The provider's order number, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
    /// The provider's request id, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// When the call was decided.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Time,
    /// How it ended.
    pub outcome: HistoryOutcome,
}
