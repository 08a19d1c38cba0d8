//! Counts the objects and what is known of the cloud, for a scrape: one look at the cache, no label that
//! names an object.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Context, store::Claims};
use crate::{
    api::{
        Change, ChangeKind, ChangeState, ConditionType, DecisionKind, Phase, Reason, VmInstance,
        VmInstanceStatus,
    },
    telemetry::{OTHER, Oldest, Snapshot},
};

/// An object that has no such thing yet.
const NONE: &str = "none";

/// Has the objects counted at each scrape, while this process leads.
pub fn count_objects(ctx: &Arc<Context>, claims: Claims) {
    let weak: Weak<Context> = Arc::downgrade(ctx);
    ctx.metrics.counts(move || {
        let ctx = weak.upgrade()?;
        let now = ctx.clock.monotonic();
        ctx.leadership.serves(now).then(|| {
            let mut counted = census(&claims.cache.state(), ctx.clock.now());
            counted.inventory = ctx.inventory.age(now);
            counted.rate = ctx.limiter.lowest_rate(now);
            counted.waiting = ctx.limiter.waiting(now);
            counted.skew = ctx.inventory.skew();
            counted.overlapping_operators = ctx.neighbours.all().len() as u64;
            counted
        })
    });
}

/// The objects in numbers.
fn census(objects: &[Arc<VmInstance>], now: Timestamp) -> Snapshot {
    let mut counted = Snapshot::default();
    for kind in DecisionKind::ALL {
        counted.decisions.insert([("kind", kind.as_str())], 0);
    }
    for kind in ChangeKind::ALL {
        for state in ChangeState::ALL {
            counted.changes.insert(labels_of(*kind, *state), Oldest::default());
        }
    }
    let nothing = VmInstanceStatus::default();
    for object in objects {
        count(&mut counted, object.status.as_ref().unwrap_or(&nothing), now);
    }
    counted
}

fn count(counted: &mut Snapshot, status: &VmInstanceStatus, now: Timestamp) {
    let phase = status.phase.unwrap_or(Phase::Pending).as_str();
    let ready = status.conditions.iter().find(|one| one.type_ == ConditionType::Ready.as_str());
    let reason =
        ready.map_or(NONE, |ready| Reason::parse(&ready.reason).map_or(OTHER, Reason::as_str));
    *counted.objects.entry([("phase", phase), ("reason", reason)]).or_default() += 1;
    for one in &status.conditions {
        // Those of others would be labels without a bound.
        let Some(type_) = ConditionType::parse(&one.type_) else { continue };
        let status = ["True", "False", "Unknown"].into_iter().find(|known| *known == one.status);
        let labels = [("condition", type_.as_str()), ("status", status.unwrap_or(OTHER))];
        let oldest = counted.conditions.entry(labels).or_default();
        oldest.add(age(&one.last_transition_time, now));
    }
    for change in status.changes() {
        let Change { kind, state, started_at, .. } = change;
        counted.changes.entry(labels_of(*kind, *state)).or_default().add(age(started_at, now));
    }
    if let Some(decision) = &status.pending_decision {
        *counted.decisions.entry([("kind", decision.kind.as_str())]).or_default() += 1;
    }
    if let Some(restore) = &status.power.restore {
        counted.machines_off.add(age(&restore.since, now));
    }
}

fn labels_of(kind: ChangeKind, state: ChangeState) -> [(&'static str, &'static str); 2] {
    [("kind", kind.as_str()), ("state", state.as_str())]
}

/// 0 of a moment that has not come: another process's clock may be ahead.
fn age(since: &Time, now: Timestamp) -> Duration {
    let age = now.duration_since(since.0);
    if age.is_negative() { Duration::ZERO } else { age.unsigned_abs() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(status: serde_json::Value) -> Arc<VmInstance> {
        let spec = json!({ "instanceId": "vm-1", "instanceTypeId": "c.2c4g" });
        let mut object = VmInstance::new("vm-1", serde_json::from_value(spec).unwrap());
        object.status = Some(serde_json::from_value(status).unwrap());
        Arc::new(object)
    }

    fn ready(reason: &str, since: &str) -> serde_json::Value {
        json!({
            "type": "Ready", "status": "False", "reason": reason, "message": "",
            "lastTransitionTime": since,
        })
    }

    #[test]
    fn objects_are_counted_by_phase_and_reason_and_the_oldest_of_each_kind_tells_its_age() {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let change = json!({
            "id": "c-1", "kind": "Modify", "from": "a", "to": "b", "targetGeneration": 1,
            "state": "Accepted", "startedAt": "2026-01-01T00:30:00Z",
        });
        let decision = json!({
            "kind": "ReleaseChange", "annotation": "vm.zenlayer.com/release=c-1", "message": "",
        });
        let objects = [
            object(json!({
                "phase": "Changing", "change": change, "pendingDecision": decision,
                "conditions": [ready("ChangeInProgress", "2026-01-01T00:10:00Z")],
                "power": { "restore": {
                    "powerState": "RUNNING", "stoppedBy": "s-1", "since": "2026-01-01T00:59:00Z",
                } },
            })),
            object(json!({
                "phase": "Changing",
                "conditions": [ready("ChangeInProgress", "2026-01-01T00:50:00Z")],
            })),
            object(json!({ "phase": "Pending" })),
        ];
        let counted = census(&objects, now);
        let in_progress = [("phase", "Changing"), ("reason", "ChangeInProgress")];
        let pending = [("phase", "Pending"), ("reason", NONE)];
        assert_eq!(counted.objects, [(in_progress, 2), (pending, 1)].into());
        let not_ready = counted.conditions[&[("condition", "Ready"), ("status", "False")]];
        assert_eq!((not_ready.count, not_ready.age.as_secs()), (2, 3000));
        let modify = counted.changes[&[("kind", "Modify"), ("state", "Accepted")]];
        assert_eq!((modify.count, modify.age.as_secs()), (1, 1800));
        assert_eq!(counted.changes[&[("kind", "Stop"), ("state", "Accepted")]].count, 0);
        assert_eq!(counted.decisions[&[("kind", "ReleaseChange")]], 1);
        assert_eq!((counted.machines_off.count, counted.machines_off.age.as_secs()), (1, 60));
    }

    #[test]
    fn whatever_stands_in_the_statuses_there_are_no_more_labels_than_names_that_are_known() {
        let now = Timestamp::UNIX_EPOCH;
        let objects: Vec<_> = (0..1000)
            .map(|number| {
                let mut foreign = ready(&format!("Reason{number}"), "2026-01-01T00:00:00Z");
                foreign["type"] = json!(format!("example.com/Type{number}"));
                let ours = ready(&format!("Reason{number}"), "2026-01-01T00:00:00Z");
                let mut odd = ready("InSync", "2026-01-01T00:00:00Z");
                odd["type"] = json!("InSync");
                odd["status"] = json!(format!("Status{number}"));
                object(json!({ "phase": "Failed", "conditions": [ours, odd, foreign] }))
            })
            .collect();
        let counted = census(&objects, now);
        assert_eq!(counted.objects, [([("phase", "Failed"), ("reason", OTHER)], 1000)].into());
        let conditions: Vec<_> = counted.conditions.keys().collect();
        let ready = [("condition", "Ready"), ("status", "False")];
        assert_eq!(conditions, [&[("condition", "InSync"), ("status", OTHER)], &ready]);
        assert_eq!(counted.conditions[&ready].age, Duration::ZERO, "a moment that is to come");
    }
}
