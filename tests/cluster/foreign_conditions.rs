//! Conditions that others write into a status stay, whatever the operator writes beside them.

use kube::api::{Patch, PatchParams};
use serde_json::json;
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::stage::{ONE_POSTPAID, Stage, shown};

/// Writes a condition as another controller does: by server-side apply, of that condition alone.
async fn apply(stage: &Stage, type_: &str) {
    let params = PatchParams::apply(type_).force();
    let patch = json!({
        "apiVersion": "vm.zenlayer.com/v1alpha1", "kind": "VmInstance",
        "metadata": { "name": "vm-1" },
        "status": { "conditions": [{
            "type": type_, "status": "True", "reason": "Theirs", "message": "written by another",
            "lastTransitionTime": "2026-03-02T10:00:00Z",
        }] },
    });
    stage.objects().patch_status("vm-1", &params, &Patch::Apply(patch)).await.unwrap();
}

/// In sync, with the order of the ledger and with each of these conditions.
async fn in_sync_beside(stage: &Stage, object: &VmInstance, others: &[&str]) {
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    let status = object.status.as_ref().unwrap();
    assert_eq!(status.order_number.as_deref(), orders[0]["orderNumber"].as_str());
    for type_ in others {
        assert_eq!(shown(object, type_), "True Theirs", "{type_}: {status:?}");
    }
    assert_eq!(shown(object, "Ready"), "True InSync");
    assert_eq!(status.conditions.len(), others.len() + 2, "{status:?}");
}

#[tokio::test]
async fn a_condition_of_another_stays_when_it_is_written_while_a_call_has_no_answer() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator_on_a_wire(&[]);
    let answer = operator.wire().hold("after-call-modify");
    operator.ready().await;
    stage.declare("c.2c4g").await;
    answer.reached().await;
    // The version from which the answer would be written is old by now.
    apply(&stage, "Backup").await;
    answer.release();
    let object = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    in_sync_beside(&stage, &object, &["Backup"]).await;
    // At rest, and over a change of the spec, too.
    apply(&stage, "Audit").await;
    let suspend = stage.patch("vm-1", json!({ "spec": { "suspend": true } })).await;
    assert!(suspend.metadata.generation > object.metadata.generation);
    let object = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    in_sync_beside(&stage, &object, &["Backup", "Audit"]).await;
}

/// The intent is written, its answer is lost, and it is taken back: beside what has come since.
#[tokio::test]
async fn a_condition_of_another_stays_when_an_intent_is_taken_back() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator_on_a_wire(&[]);
    let written = operator.wire().hold("after-intent-modify");
    operator.ready().await;
    stage.declare("c.2c4g").await;
    written.reached().await;
    apply(&stage, "Backup").await;
    let taken_back = operator.wire().hold("after-withdraw");
    operator.wire().kubernetes.cut_connections();
    written.release();
    taken_back.reached().await;
    let object = stage.get("vm-1").await;
    let status = object.status.as_ref().unwrap();
    assert!(status.change.is_none() && status.withdrawn.is_some(), "{status:?}");
    assert_eq!(shown(&object, "Backup"), "True Theirs");
    taken_back.release();
    let object = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    in_sync_beside(&stage, &object, &["Backup"]).await;
}
