//! The status as it is written: all that the operator owns, derived in one place.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    api::{ConditionType, ObservedInstance, Phase, Reason, Target, VmInstanceStatus, condition},
    lifecycle::{
        Change, Desired, Ended, Memory, Observed, Refusal, Restore, decision::Report,
        time::whole_seconds,
    },
};
use zenlayer::Instance;

/// All of the status that the operator owns, written on every pass.
pub(super) fn write(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    memory: Memory,
    report: &Report,
    now: Timestamp,
) -> VmInstanceStatus {
    let instance = observed.instance();
    let Memory { target, change, restore, refusal, handled, history, order_number, request_id } =
        memory;
    let mut change = change;
    if let (Some(change), Phase::Scheduled) = (&mut change, report.phase) {
        change.effective_at = instance.and_then(|instance| instance.expires_at);
    }
    let mut status = VmInstanceStatus {
        observed_generation: Some(desired.generation),
        phase: Some(report.phase),
        order_number: order_number.map(String::from),
        request_id: request_id.map(String::from),
        instance: instance
            .map(|instance| observed_instance(instance, before.instance.as_ref(), now))
            .or_else(|| before.instance.clone()),
        target: target.map(|target| Target {
            type_id: target.type_id.into(),
            since_generation: target.since_generation,
        }),
        change: change.as_ref().map(Change::to_api),
        restore: restore.as_ref().map(Restore::to_api),
        refusal: refusal.as_ref().map(Refusal::to_api),
        pending_decision: None,
        handled,
        history: history.iter().map(Ended::to_api).collect(),
        conditions: Vec::new(),
    };
    let in_sync = if observed.is_gone() { None } else { in_sync(&status, desired) };
    conditions(&mut status, before, report, in_sync, desired.generation, now);
    status
}

/// Whether the machine, as it was last read, is of the declared type.
pub(super) fn in_sync(status: &VmInstanceStatus, desired: &Desired) -> Option<bool> {
    status.instance.as_ref().map(|instance| instance.type_id == desired.type_id.as_str())
}

fn observed_instance(
    instance: &Instance,
    before: Option<&ObservedInstance>,
    now: Timestamp,
) -> ObservedInstance {
    let seen = ObservedInstance {
        type_id: instance.type_id.to_string(),
        state: instance.state.to_string(),
        charge_type: instance.charge_type.to_string(),
        zone_id: instance.zone_id.clone(),
        name: instance.name.clone(),
        cpu_count: instance.cpu_count,
        memory_gib: instance.memory_gib,
        bandwidth_mbps: instance.bandwidth_out,
        expires_at: instance.expires_at.map(Time),
        observed_at: Time(whole_seconds(now)),
    };
    match before {
        Some(before)
            if *before
                == (ObservedInstance {
                    observed_at: before.observed_at.clone(),
                    ..seen.clone()
                }) =>
        {
            before.clone()
        }
        _ => seen,
    }
}

/// Ready, InSync, and whichever of Reconciling and Stalled is true. The only place that derives
/// them.
pub(super) fn conditions(
    status: &mut VmInstanceStatus,
    before: &VmInstanceStatus,
    report: &Report,
    in_sync: Option<bool>,
    generation: i64,
    now: Timestamp,
) {
    let Report { phase, ready, reason, message } = report;
    let now = whole_seconds(now);
    status.conditions.clear();
    let mut add = |type_, value: &str, reason, message: &str| {
        let made = condition(&before.conditions, type_, value, reason, message, generation, now);
        status.conditions.push(made);
    };
    add(ConditionType::Ready, if *ready { "True" } else { "False" }, *reason, message);
    match in_sync {
        Some(true) => add(ConditionType::InSync, "True", Reason::InSync, message),
        Some(false) => add(ConditionType::InSync, "False", Reason::TypeDiffers, message),
        None => add(ConditionType::InSync, "Unknown", Reason::NotObserved, message),
    }
    status.observed_generation = Some(generation);
    status.phase = Some(*phase);
    let extra = match phase {
        Phase::Failed => Some(ConditionType::Stalled),
        Phase::Waiting | Phase::Submitting | Phase::Changing | Phase::Pending => {
            Some(ConditionType::Reconciling)
        }
        Phase::InSync | Phase::Drifted | Phase::Scheduled | Phase::Suspended => None,
    };
    if let Some(type_) = extra {
        let made = condition(&before.conditions, type_, "True", *reason, message, generation, now);
        status.conditions.push(made);
    }
    // What another writer added stays.
    let foreign = |one: &&Condition| ConditionType::parse(&one.type_).is_none();
    status.conditions.extend(before.conditions.iter().filter(foreign).cloned());
}
