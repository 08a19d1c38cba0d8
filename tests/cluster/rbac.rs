//! The operator lives with the RBAC of `deploy/`, and with not one verb less.

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::DeleteParams;
use serde_json::json;
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::{
    crowd::{SHORT, SIM_SHORT},
    stage::{LIMIT, ONE_POSTPAID, Rules, Stage, message, shown},
};
use harness::{Operator, eventually};

/// Takes one verb out of every rule for a resource.
fn without(rules: &[PolicyRule], resource: &str, verb: &str) -> Vec<PolicyRule> {
    let mut rules = rules.to_vec();
    for rule in &mut rules {
        if rule.resources.iter().flatten().any(|one| one == resource) {
            rule.verbs.retain(|one| one != verb);
        }
    }
    rules.retain(|rule| !rule.verbs.is_empty());
    rules
}

/// Every (resource, verb) of the rules.
fn grants(rules: &Rules) -> BTreeSet<(String, String)> {
    let pairs = rules.cluster.iter().chain(&rules.slots).flat_map(|rule| {
        let resources = rule.resources.iter().flatten();
        resources.flat_map(|one| rule.verbs.iter().map(move |verb| (one.clone(), verb.clone())))
    });
    pairs.collect()
}

/// Waits until the operator has met a refusal of the API server, and gives its line.
async fn refused(operator: &Operator, words: &str) -> String {
    eventually(&format!("a refusal with {words:?}"), Duration::from_secs(30), async || {
        let log = operator.process.log();
        let line = log.lines().find(|line| line.contains("is forbidden") && line.contains(words));
        line.map(str::to_owned).ok_or(log.clone())
    })
    .await
}

async fn no_call_and_no_status(stage: &Stage) -> String {
    let status = stage.get("vm-1").await.status.unwrap_or_default();
    assert_eq!(status.observed_generation, Some(-1), "{status:?}");
    assert!(stage.sim.calls("ModifyInstanceType", "vm-1").await.is_empty());
    "no call is made, and the status is never written".to_owned()
}

/// Declares a resize and waits for a Ready condition.
async fn reports(stage: &Stage, operator: &Operator, reason: &str, words: &str) -> String {
    stage.declare("c.2c4g").await;
    let object = stage
        .until(operator, "vm-1", reason, |object| {
            shown(object, "Ready") == format!("False {reason}")
        })
        .await;
    assert!(message(&object).contains(words), "{}", message(&object));
    assert!(stage.sim.calls("ModifyInstanceType", "vm-1").await.is_empty());
    format!("Ready is False, {reason}: {}", message(&object))
}

/// An object is deleted while its call is out; another one claims the instance. Gives the second
/// one once its follower has looked at the slot of the first.
async fn orphan(
    stage: &Stage,
    operator: &Operator,
    test: impl Fn(&VmInstance) -> bool,
) -> VmInstance {
    let answer = operator.wire().hold("after-call");
    stage.declare("c.2c4g").await;
    answer.reached().await;
    stage.objects().delete("vm-1", &DeleteParams::default()).await.unwrap();
    let spec = json!({ "instanceId": "vm-1", "instanceTypeId": "c.4c8g" });
    stage.create("heir", spec).await;
    answer.release();
    eventually("the first change's end", LIMIT, async || {
        let world = stage.sim.get("instances").await;
        let type_id = world["instances"][0]["type"].as_str().unwrap_or_default().to_owned();
        if type_id == "c.1c2g" { Err(type_id) } else { Ok(()) }
    })
    .await;
    operator.further_passes(2.0).await;
    stage.until(operator, "heir", "has looked at the slot", test).await
}

/// What fails without this verb. Each wait is for something that never comes with the whole RBAC.
async fn what_fails(resource: &str, verb: &str) -> String {
    let all = Rules::of_deploy();
    let rules = Rules {
        cluster: without(&all.cluster, resource, verb),
        slots: without(&all.slots, resource, verb),
    };
    let stage = Stage::with(ONE_POSTPAID, &rules, SIM_SHORT).await;
    let swept = [SHORT, &["--testing-sweep", "1s"]].concat();
    let mut operator = match (resource, verb) {
        ("vminstances", "get") => stage.operator_on_a_wire(SHORT),
        ("leases", "delete") => stage.operator(&swept),
        _ => stage.operator(SHORT),
    };
    match (resource, verb) {
        ("vminstances", "list") => {
            let ended = operator.process.wait(LIMIT).unwrap();
            let log = operator.process.log();
            let line = log.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
            assert!(!ended.success() && line.contains("the ServiceAccount's RBAC"), "{log}");
            format!("the operator does not start: {line}")
        }
        ("vminstances", "watch") => {
            refused(&operator, "cannot watch resource").await;
            stage.declare("c.2c4g").await;
            let failures = async || operator.metric("zenlayer_vm_watch_failures_total").await;
            let wanted = failures().await + 2.0;
            eventually("further tries", LIMIT, async || {
                let now = failures().await;
                if now >= wanted { Ok(()) } else { Err(format!("{now} of {wanted}")) }
            })
            .await;
            assert_eq!(operator.get("readyz").await.unwrap().0, 503);
            no_call_and_no_status(&stage).await
        }
        ("vminstances", "get") => {
            let heir = orphan(&stage, &operator, |object| {
                shown(object, "Ready") == "False ChangeHeldElsewhere"
            });
            let heir = heir.await;
            operator.further_passes(2.0).await;
            let after = stage.get("heir").await;
            assert_eq!(shown(&after, "Ready"), "False ChangeHeldElsewhere");
            format!("a slot whose object is gone is never taken over: {}", message(&heir))
        }
        ("vminstances", "patch") => {
            let spec = json!({
                "instanceId": "vm-1", "instanceTypeId": "c.2c4g", "strategy": "StopFirst",
            });
            stage.create("vm-1", spec).await;
            refused(&operator, "cannot patch resource \"vminstances\"").await;
            operator.further_passes(2.0).await;
            assert!(stage.sim.calls("StopInstances", "vm-1").await.is_empty());
            let object = stage.get("vm-1").await;
            assert!(object.metadata.finalizers.is_none(), "{object:?}");
            format!("no machine is stopped for its change: {}", message(&object))
        }
        ("vminstances/status", "update") => {
            stage.declare("c.2c4g").await;
            refused(&operator, "cannot update resource").await;
            no_call_and_no_status(&stage).await
        }
        ("secrets", "get") => {
            reports(&stage, &operator, "KubernetesUnavailable", "cannot read Secret").await
        }
        ("events", "create") => {
            stage.declare("c.2c4g").await;
            stage.until_phase(&operator, "vm-1", Phase::InSync).await;
            refused(&operator, "cannot create resource \"events\"").await;
            assert!(stage.events().await.is_empty());
            "the resize has no event".to_owned()
        }
        ("leases", "get") => {
            stage.declare("c.2c4g").await;
            let line = refused(&operator, "cannot get resource \"leases\"").await;
            assert_eq!(operator.metric("zenlayer_vm_leader").await, 0.0);
            no_call_and_no_status(&stage).await;
            format!("the operator cannot lead: {line}")
        }
        ("leases", "create") => {
            stage.declare("c.2c4g").await;
            refused(&operator, "cannot create resource \"leases\"").await;
            assert!(stage.slots().list(&Default::default()).await.unwrap().items.is_empty());
            assert!(stage.sim.calls("ModifyInstanceType", "vm-1").await.is_empty());
            "no slot can be taken, so no call is made".to_owned()
        }
        ("leases", "update") => {
            stage.declare("c.2c4g").await;
            refused(&operator, "cannot update resource \"leases\"").await;
            operator.further_passes(2.0).await;
            assert_eq!(stage.sim.orders("vm-1").await.len(), 1);
            let phase = stage.get("vm-1").await.status.unwrap().phase;
            assert_ne!(phase, Some(Phase::InSync), "the slot cannot have been closed");
            format!("the slot is never closed, and the object stays {phase:?}")
        }
        ("leases", "list") => {
            let told = reports(&stage, &operator, "KubernetesUnavailable", "cannot list resource");
            let told = told.await;
            format!("the orders of the hour are not known, so none is made: {told}")
        }
        ("leases", "watch") => {
            stage.declare("c.2c4g").await;
            stage.until_phase(&operator, "vm-1", Phase::InSync).await;
            let line = refused(&operator, &format!("cannot {verb} resource \"leases\"")).await;
            format!("each slot is read by itself: {line}")
        }
        ("leases", "delete") => {
            // What was ordered counts for an hour, and its slot is kept for that.
            let code = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
            stage.sim.refuses("ModifyInstanceType", "vm-1", code).await;
            stage.declare("c.2c4g").await;
            stage.until_phase(&operator, "vm-1", Phase::Failed).await;
            refused(&operator, "cannot delete resource \"leases\"").await;
            let slots = stage.slots().list(&Default::default()).await.unwrap().items;
            assert_eq!(slots.len(), 2, "the slot and the leader: {slots:?}");
            "a slot that says nothing any more is never deleted".to_owned()
        }
        other => panic!("{other:?} is granted, and no test knows what it is for"),
    }
}

#[tokio::test]
async fn a_resize_with_its_events_succeeds_with_the_rbac_of_deploy() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let events = eventually("both events", LIMIT, async || {
        let events = stage.events().await;
        if events.len() == 2 {
            Ok(events)
        } else {
            Err(format!("{events:?}; {}", operator.process.tail()))
        }
    })
    .await;
    assert_eq!(events[0].0, "ChangeOrdered");
    assert_eq!(events[1].0, "ChangeCompleted");
    assert!(!operator.process.log().contains("forbidden"), "{}", operator.process.log());
}

#[tokio::test]
async fn a_slot_whose_object_is_gone_is_taken_over() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator_on_a_wire(&[]);
    operator.ready().await;
    let heir = orphan(&stage, &operator, |object| shown(object, "Ready") == "True InSync").await;
    assert_eq!(heir.status.unwrap().instance.unwrap().type_id, "c.4c8g");
    let orders = stage.sim.orders("vm-1").await;
    let to: Vec<&str> = orders.iter().filter_map(|order| order["to"].as_str()).collect();
    assert_eq!(to, ["c.2c4g", "c.4c8g"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_one_verb_something_fails() {
    let _permit = harness::permit::heavy().await;
    let grants = grants(&Rules::of_deploy());
    let count = grants.len();
    let mut rows: Vec<(String, String)> = futures::stream::iter(grants)
        .map(|(resource, verb)| {
            tokio::spawn(async move {
                (format!("{resource}: {verb}"), what_fails(&resource, &verb).await)
            })
        })
        .buffer_unordered(5)
        .map(|row| row.unwrap())
        .collect()
        .await;
    rows.sort();
    let mut table = String::new();
    for (removed, failure) in &rows {
        writeln!(table, "{removed:<28} | {failure}").unwrap();
    }
    println!("{table}");
    assert!(count > 0 && rows.len() == count, "{table}");
}
