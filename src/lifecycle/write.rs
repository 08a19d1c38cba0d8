//! The status as it is written: all that the operator owns, derived in one place.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use zenlayer::Instance;

use super::{
    Desired, Memory, Observed,
    ended::Ended,
    memory::restore_to_api,
    protocol::{Held, LaneName, Slot},
    situation::Told,
    time::{after, whole_seconds},
};
use crate::api::{
    ConditionType, ObservedInstance, Phase, Power, Reason, Target, VmInstanceStatus, condition,
};

/// All of the status that the operator owns, written on every pass.
pub fn write(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    memory: Memory,
    told: &Told,
    now: Timestamp,
) -> VmInstanceStatus {
    let Memory {
        target,
        change,
        power,
        restore,
        withdrawn,
        refusal,
        handled,
        history,
        order_number,
        request_id,
        unreadable: _,
    } = memory;
    let mut status = VmInstanceStatus {
        observed_generation: Some(desired.generation),
        phase: Some(told.phase),
        order_number: order_number.map(String::from),
        request_id: request_id.map(String::from),
        instance: instance(desired, before, observed, now),
        target: target.map(|target| Target {
            type_id: target.type_id.into(),
            since_generation: target.since_generation,
        }),
        change: change.as_ref().map(|change| Box::new(change.to_api())),
        power: Power {
            change: power.as_ref().map(|change| Box::new(change.to_api())),
            restore: restore.as_ref().map(restore_to_api),
        },
        withdrawn: withdrawn.map(|id| id.0),
        refusal: refusal.as_ref().map(|refusal| Box::new(refusal.to_api())),
        pending_decision: told.asks.clone().map(Box::new),
        handled,
        history: history.iter().map(Ended::to_api).collect(),
        conditions: Vec::new(),
        unreadable: before.unreadable.clone(),
    };
    let in_sync = in_sync(&status, desired, now);
    conditions(&mut status, before, told, in_sync, desired.generation, now);
    status
}

/// Whether the machine could not be read in this pass, whatever the reason. One that waits for its turn is
/// no such pass.
fn unread(observed: &Observed) -> bool {
    let unreadable = |slot: &Slot| {
        LaneName::ALL.iter().any(|lane| slot.record.lane(*lane).held() == Held::Unreadable)
    };
    match (&observed.instance, &observed.slot) {
        (Some(read), _) => read.is_err(),
        (None, Some(Err(_))) => true,
        (None, slot) => {
            observed.trouble.is_some()
                || observed.secret.reason().is_some()
                || slot.iter().flatten().any(unreadable)
        }
    }
}

/// What is known of a machine that is not read in this pass.
pub fn not_read(before: &VmInstanceStatus, now: Timestamp) -> Option<ObservedInstance> {
    before.instance.as_ref().map(|known| unread_since(known, now))
}

/// Whether the machine is of the declared type. Nobody knows once it could not be read for three looks,
/// or is not there.
pub fn in_sync(status: &VmInstanceStatus, desired: &Desired, now: Timestamp) -> Option<bool> {
    let instance = status.instance.as_ref()?;
    let old = instance
        .unread_since
        .as_ref()
        .is_some_and(|since| now >= after(since.0, 2 * desired.timing.drift));
    (!old).then(|| instance.type_id == desired.type_id.as_str())
}

fn instance(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    now: Timestamp,
) -> Option<ObservedInstance> {
    let known = before.instance.as_ref();
    if let Some(instance) = observed.instance() {
        // The read may be older than this pass.
        let read = observed.instance_read_at().map_or(now, |sent| sent.min(now));
        return Some(observed_instance(instance, known, read));
    }
    let known = known?;
    if observed.is_missing() {
        let since = after(now, std::time::Duration::ZERO);
        let long_ago = 2 * desired.timing.drift;
        let missing =
            observed.since.missing.is_some_and(|missing| missing >= desired.timing.poll.0);
        let since = if missing { before_by(since, long_ago) } else { since };
        return Some(unread_since(known, since));
    }
    if unread(observed) {
        return Some(unread_since(known, now));
    }
    Some(known.clone())
}

fn before_by(time: Timestamp, by: std::time::Duration) -> Timestamp {
    jiff::SignedDuration::try_from(by).ok().and_then(|by| time.checked_sub(by).ok()).unwrap_or(time)
}

fn unread_since(known: &ObservedInstance, since: Timestamp) -> ObservedInstance {
    let since = known.unread_since.clone().unwrap_or(Time(whole_seconds(since)));
    ObservedInstance { unread_since: Some(since), ..known.clone() }
}

/// The instance as it was read; the time moves only with another field.
fn observed_instance(
    instance: &Instance,
    before: Option<&ObservedInstance>,
    read: Timestamp,
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
        observed_at: Time(whole_seconds(read)),
        unread_since: None,
    };
    let Some(before) = before else { return seen };
    let as_before = ObservedInstance { observed_at: before.observed_at.clone(), ..seen.clone() };
    let was_read = ObservedInstance { unread_since: None, ..before.clone() };
    if as_before == was_read { as_before } else { seen }
}

/// Ready, InSync, and whichever of Reconciling and Stalled is true. The only place that derives
/// them.
pub fn conditions(
    status: &mut VmInstanceStatus,
    before: &VmInstanceStatus,
    told: &Told,
    in_sync: Option<bool>,
    generation: i64,
    now: Timestamp,
) {
    let Told { phase, ready, reason, message, .. } = told;
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
    let extra = match phase {
        Phase::Failed => Some(ConditionType::Stalled),
        Phase::Waiting | Phase::Submitting | Phase::Changing | Phase::Pending => {
            Some(ConditionType::Reconciling)
        }
        Phase::InSync | Phase::Drifted | Phase::Scheduled | Phase::Suspended => None,
    };
    if let Some(type_) = extra {
        add(type_, "True", *reason, message);
    }
    status.observed_generation = Some(generation);
    status.phase = Some(*phase);
    // What another writer added stays.
    *status = status.beside_others(before);
}
