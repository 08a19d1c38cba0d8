//! Slots, statuses and objects that somebody has edited, or that another version wrote: no panic, a
//! clear reason, and nothing lost.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use zenlayer::InstanceId;
use zenlayer_vm_operator::{
    api::{HistoryOutcome, Phase},
    controller::slot_name,
};

use crate::stage::{
    LIMIT, ONE_POSTPAID, Rules, Stage, grant_in_new_namespace, message, shown, simulation,
};
use harness::{ControlPlane, Operator, eventually, root};

fn no_panic(operator: &Operator) {
    let log = operator.process.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Creates the slot's Lease of `vm-1` by hand.
async fn lease(stage: &Stage, annotations: Value) {
    let name = slot_name(&InstanceId::new("vm-1").unwrap());
    let lease: Lease = serde_json::from_value(json!({
        "metadata": { "name": name, "annotations": annotations }
    }))
    .unwrap();
    let _ = stage.slots().delete(&name, &DeleteParams::default()).await;
    stage.slots().create(&PostParams::default(), &lease).await.unwrap();
}

#[tokio::test]
async fn a_slot_that_cannot_be_read_holds_every_call_back_until_it_is_mended() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let slot = "vm.zenlayer.com/slot";
    let unreadable = ("False KubernetesUnavailable", "delete the Lease");
    let newer = ("False InvalidStatus", "run that version until the change is complete");
    let rows = [
        ("no record", json!({}), "has no annotation vm.zenlayer.com/slot", unreadable),
        ("no JSON", json!({ slot: "{" }), "annotation vm.zenlayer.com/slot of Lease", unreadable),
        ("another form", json!({ slot: r#"{"step":1}"# }), "missing field `form`", unreadable),
        (
            "a holder of another version",
            json!({ slot: r#"{"form":"lanes","type":{"holding":{"kind":"Sideways"}}}"# }),
            "another version of the operator has a change of instance vm-1 in progress",
            newer,
        ),
        (
            "a bad type",
            json!({ slot: r#"{"form":"lanes","power":{"expects":{"change":"a","kind":"Stop","from":"","to":"b","until":"2026-01-01T00:00:00Z"}}}"# }),
            "another version of the operator has a change of instance vm-1 in progress",
            newer,
        ),
    ];
    lease(&stage, rows[0].1.clone()).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    for (name, annotations, words, (ready, remedy)) in rows {
        lease(&stage, annotations).await;
        // Each failure in a row makes the pause longer: a changed object is looked at once.
        let now = json!({ "metadata": { "annotations": { "vm.zenlayer.com/release": name } } });
        stage.patch("vm-1", now).await;
        let object = stage
            .until(&operator, "vm-1", name, |object| {
                object.status.as_ref().is_some_and(|status| !status.conditions.is_empty())
                    && message(object).contains(words)
            })
            .await;
        assert_eq!(shown(&object, "Ready"), ready, "{name}");
        assert!(message(&object).contains(remedy), "{}", message(&object));
        println!("{name:<28} | {}", message(&object));
    }
    assert!(stage.sim.calls("ModifyInstanceType", "vm-1").await.is_empty());
    // A field that a later version adds holds nothing back.
    lease(&stage, json!({ slot: r#"{"form":"lanes","type":{"later":1},"later":{}}"# })).await;
    stage
        .patch(
            "vm-1",
            json!({ "metadata": { "annotations": { "vm.zenlayer.com/release": null } } }),
        )
        .await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.orders("vm-1").await.len(), 1);
    no_panic(&operator);
}

async fn patch_status(stage: &Stage, patch: Value) {
    let patch = Patch::Merge(json!({ "status": patch }));
    stage.objects().patch_status("vm-1", &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_status_edited_by_hand_is_reported_and_its_memory_kept() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&["--testing-poll", "400ms"]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    let before = stage.until_phase(&operator, "vm-1", Phase::InSync).await.status.unwrap();
    let entry = |from: &str| {
        json!({ "history": [{
            "id": "a", "kind": "Modify", "from": from, "to": "c.2c4g", "targetGeneration": 1, "outcome": "Completed",
            "startedAt": "2026-01-01T00:00:00Z", "endedAt": "2026-01-01T00:00:00Z",
        }] })
    };
    let rows = [
        ("an empty type in the history", entry(""), "status.history.from is not valid"),
        (
            "an over-long order number",
            json!({ "orderNumber": "9".repeat(200) }),
            "status.orderNumber is not valid",
        ),
        (
            "a type that is none as target",
            json!({ "target": { "typeId": ".", "sinceGeneration": 1 } }),
            "status.target.typeId is not valid",
        ),
    ];
    let kept = json!({
        "history": before.history, "orderNumber": before.order_number,
        "target": before.target, "refusal": before.refusal,
    });
    for (name, patch, words) in rows {
        patch_status(&stage, patch.clone()).await;
        let object = stage
            .until(&operator, "vm-1", name, |object| {
                shown(object, "Ready") == "False InvalidStatus" && message(object).contains(words)
            })
            .await;
        assert_eq!(shown(&object, "Stalled"), "True InvalidStatus");
        println!("{name:<32} | {}", message(&object));
        operator.further_passes(2.0).await;
        let status = serde_json::to_value(stage.get("vm-1").await.status.unwrap()).unwrap();
        let edited = patch.as_object().unwrap().iter().next().unwrap();
        assert_eq!(&status[edited.0], edited.1, "{name}: what is not understood is kept");
        let number = before.order_number.as_deref().unwrap();
        if edited.0 != "orderNumber" {
            assert_eq!(status["orderNumber"], number, "{name}");
        }
        if edited.0 != "history" {
            let outcome = &status["history"][0]["outcome"];
            assert_eq!(outcome, &json!(HistoryOutcome::Completed), "{name}");
        }
        patch_status(&stage, kept.clone()).await;
        stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    }
    assert_eq!(stage.sim.calls("ModifyInstanceType", "vm-1").await, ["OK"]);
    no_panic(&operator);
}

/// As after a roll-back: only what a change rests on must be readable.
#[tokio::test]
async fn a_refusal_for_a_reason_of_a_later_version_holds_nothing_back() {
    let stage = Stage::given(ONE_POSTPAID).await;
    stage.declare("c.2c4g").await;
    let refusal = json!({
        "reason": "Whim", "message": "m", "kind": "Modify", "from": "c.1c2g", "to": "c.2c4g",
        "instance": "0", "credential": "0", "attempts": 1,
    });
    patch_status(&stage, json!({ "refusal": refusal })).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.orders("vm-1").await.len(), 1);
}

/// The CRD as an older version may have left it: without the rules and the enumerations.
fn older_crd() -> String {
    fn relax(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for rule in
                    ["x-kubernetes-validations", "enum", "maxLength", "minLength", "pattern"]
                {
                    map.remove(rule);
                }
                map.values_mut().for_each(relax);
            }
            Value::Array(items) => items.iter_mut().for_each(relax),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let path = root().join("crds/vminstances.vm.zenlayer.com.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let mut crd: Value = serde_saphyr::from_str(&text).unwrap();
    relax(crd.pointer_mut("/spec/versions/0/schema").unwrap());
    crd.to_string()
}

#[tokio::test]
async fn an_object_that_an_older_schema_let_in_harms_nobody_else() {
    // A control plane of its own: the schema is one for all.
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(&[]).unwrap()));
    let (applied, text) = plane.kubectl_with(&["apply", "--server-side", "-f", "-"], &older_crd());
    assert!(applied, "{text}");
    let established = ["wait", "--for=condition=Established", "--timeout=300s"];
    plane.kubectl_ok(&[&established[..], &["crd/vminstances.vm.zenlayer.com"]].concat());
    let namespace = grant_in_new_namespace(plane, &Rules::of_deploy()).await;
    let stage = Stage::on(plane, &namespace, &simulation(ONE_POSTPAID), &[]).await;
    let apply = |name: &str, spec: Value| {
        let object = json!({
            "apiVersion": "vm.zenlayer.com/v1alpha1", "kind": "VmInstance",
            "metadata": { "name": name, "namespace": stage.namespace }, "spec": spec,
        });
        let arguments = ["apply", "-f", "-"];
        let (applied, text) = plane.kubectl_with(&arguments, &object.to_string());
        assert!(applied, "{text}");
    };
    // One that cannot even be read stands there before the operator starts.
    let unreadable = json!({ "instanceId": "vm-1", "instanceTypeId": "c.4c8g", "managementPolicy": "Sometimes" });
    apply("unreadable", unreadable.clone());
    apply("bad-id", json!({ "instanceId": "no id", "instanceTypeId": "c.2c4g" }));
    let mut operator = stage.operator(&[]);
    operator.ready().await;
    let object = stage
        .until(&operator, "bad-id", "is invalid", |object| {
            shown(object, "Ready") == "False InvalidSpec"
        })
        .await;
    assert!(message(&object).contains("spec.instanceId is not valid"), "{}", message(&object));
    assert_eq!(shown(&object, "Stalled"), "True InvalidSpec");
    println!("{}", message(&object));

    // The others are served.
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let told = async |count: usize| {
        eventually("the events about it", LIMIT, async || {
            let mut events = stage.events().await;
            events.retain(|(_, note)| note.contains("cannot read the object"));
            if events.len() >= count { Ok(events) } else { Err(format!("{events:?}")) }
        })
        .await
    };
    let (reason, note) = told(1).await.remove(0);
    assert_eq!(reason, "InvalidSpec");
    println!("{note}");
    assert!(
        note.contains("Expected one of Enforce, Observe") && note.contains("correct the object")
    );

    // One that is edited while the operator runs keeps all that its status remembers.
    let before = stage.get("vm-1").await.status.unwrap();
    apply("vm-1", unreadable);
    told(2).await;
    apply(
        "vm-1",
        json!({ "instanceId": "vm-1", "instanceTypeId": "c.1c2g", "managementPolicy": "Enforce" }),
    );
    let after = stage.until_phase(&operator, "vm-1", Phase::InSync).await.status.unwrap();
    assert_eq!(after.history[0], before.history[0]);
    assert_eq!(stage.sim.orders("vm-1").await.len(), 2);
    no_panic(&operator);
    assert!(operator.process.ended().is_none());
}
