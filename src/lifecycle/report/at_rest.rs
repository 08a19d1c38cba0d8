//! Reports about an instance on which no change of this object is in flight.

use std::time::Duration;

use super::{failed, report, waiting};
use crate::{
    api::{Phase, Reason},
    lifecycle::{ChangeId, Desired, Ended, ObjectKey, PlanStage, decision::Report},
    zenlayer::{Instance, InstanceId, InstanceState, InstanceTypeId},
};

pub(super) fn gone(id: &InstanceId) -> Report {
    failed(
        Reason::InstanceNotFound,
        format!(
            "the provider knows no instance {id}: correct spec.instanceId by a new object, or \
             delete this one"
        ),
    )
}

// ---- Other parties ----

pub(super) fn duplicate(id: &InstanceId, owner: Option<&str>) -> Report {
    let owner = match owner {
        Some(owner) => format!("VmInstance {owner} claims instance {id} and is older"),
        None => format!("an older VmInstance in another namespace claims instance {id}"),
    };
    failed(Reason::DuplicateClaim, format!("{owner}: delete one of the two"))
}

pub(super) fn held_elsewhere(desired: &Desired, holder: &ObjectKey) -> Report {
    let who = if holder.namespace == desired.object.namespace {
        format!("VmInstance {}", holder.name)
    } else {
        "another VmInstance".to_owned()
    };
    let id = &desired.instance_id;
    let message = format!("a change of instance {id} by {who} is not settled");
    waiting(Reason::ChangeHeldElsewhere, message)
}

fn foreign(id: &InstanceId, to: &str, stage: PlanStage) -> String {
    let stage = match stage {
        PlanStage::Running => "running",
        PlanStage::Scheduled => "scheduled for the next billing cycle",
        PlanStage::Unknown => "in a state that this version does not know",
    };
    format!("a change of instance {id} to {to} that this object did not order is {stage}")
}

pub(super) fn foreign_plan_to_target(
    id: &InstanceId,
    want: &InstanceTypeId,
    stage: PlanStage,
) -> Report {
    let message = foreign(id, want.as_str(), stage);
    match stage {
        PlanStage::Scheduled => report(Phase::Scheduled, true, Reason::ChangeScheduled, message),
        PlanStage::Running | PlanStage::Unknown => {
            report(Phase::Changing, false, Reason::ChangeInProgress, message)
        }
    }
}

pub(super) fn foreign_plan(
    id: &InstanceId,
    to: Option<&InstanceTypeId>,
    stage: PlanStage,
) -> Report {
    let to = to.map_or("an unknown type", InstanceTypeId::as_str);
    let message = foreign(id, to, stage);
    let message = format!("{message}: wait for it, or cancel it in the provider's console");
    waiting(Reason::ForeignPlan, message)
}

// ---- The reads ----

pub(super) fn read_lags(id: &InstanceId) -> Report {
    waiting(
        Reason::ReadsDisagree,
        format!("a read of instance {id} contradicts the change that was just seen; looking again"),
    )
}

pub(super) fn reads_stale(id: &InstanceId) -> Report {
    waiting(
        Reason::ReadsDisagree,
        format!("the reads of instance {id} disagree or are too old; looking again"),
    )
}

pub(super) fn clock_skewed(seconds: i64, limit: Duration) -> Report {
    failed(
        Reason::ClockSkewed,
        format!(
            "the operator's clock is {seconds} s from the provider's (limit {} s): synchronise \
             the clock of its node; no change is ordered until then",
            limit.as_secs()
        ),
    )
}

// ---- What holds a change back ----

fn differs(instance: Option<&Instance>, want: &InstanceTypeId) -> String {
    match instance {
        Some(instance) => {
            format!("instance {} is of type {}, {want} is declared", instance.id, instance.type_id)
        }
        None => format!("{want} is declared"),
    }
}

pub(super) fn drift_observed(instance: Option<&Instance>, want: &InstanceTypeId) -> Report {
    let differs = differs(instance, want);
    let message = format!("{differs}; managementPolicy is Observe, so it is not changed");
    report(Phase::Drifted, true, Reason::DriftObserved, message)
}

pub(super) fn suspended(instance: Option<&Instance>, want: &InstanceTypeId) -> Report {
    let message = format!("{}; suspended, so it is not changed", differs(instance, want));
    report(Phase::Suspended, true, Reason::Suspended, message)
}

pub(super) fn reverted(entry: &Ended) -> Report {
    failed(
        Reason::Reverted,
        format!(
            "{} to {} was ordered once (change {}) and the instance is of type {} again; to order \
             it again set the annotation vm.zenlayer.com/release={}",
            entry.from, entry.to, entry.id, entry.from, entry.id
        ),
    )
}

pub(super) fn rearmed(id: &ChangeId) -> Report {
    waiting(Reason::ReadsDisagree, format!("change {id} may be ordered again"))
}

pub(super) fn busy(id: &InstanceId, state: &InstanceState) -> Report {
    waiting(
        Reason::InstanceBusy,
        format!("instance {id} is {state}; a change needs RUNNING or STOPPED"),
    )
}

pub(super) fn unusable(id: &InstanceId, state: &InstanceState) -> Report {
    let reason = match state {
        InstanceState::CreateFailed => Reason::InstanceUnusable,
        _ => Reason::InstanceRecycled,
    };
    failed(
        reason,
        format!(
            "instance {id} is {state}: restore it in the provider's console, or delete this object"
        ),
    )
}
