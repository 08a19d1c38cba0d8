//! Somebody else changes the machine: corrected, reported, or left alone, as the spec says.

use serde_json::json;
use zenlayer_vm_operator::api::{HistoryOutcome, Phase};

use crate::{
    stage::{Stage, message, shown},
    tally::{
        Cost, LOOKED_AT, annotate, change_runs_and_ends, comes_to_rest, history, mutations,
        slow_stage,
    },
};

const TWO: &str = "  - { id: vm-1, type: c.2c4g, chargeType: POSTPAID }
  - { id: vm-2, type: c.2c4g, chargeType: POSTPAID }
";
/// How long reads may lag behind an effect that was seen.
const MARGIN: [&str; 2] = ["--testing-settle-margin", "2s"];
const ORDER: &str = "ModifyInstanceType c.2c4g OK";

/// What somebody does in the console, without an order.
async fn becomes(stage: &Stage, id: &str, type_id: &str) {
    stage.sim.change_instance(id, json!({ "type": type_id })).await;
}

#[tokio::test]
async fn a_drift_is_corrected_once_and_a_second_one_is_a_persons_decision() {
    let stage = slow_stage("  - { id: vm-1, type: c.2c4g, chargeType: POSTPAID }\n").await;
    let operator = stage.operator(&MARGIN);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    becomes(&stage, "vm-1", "c.1c2g").await;
    change_runs_and_ends(&stage, &operator, "vm-1", "c.2c4g").await;
    assert_eq!(mutations(&stage, "vm-1").await, [ORDER]);
    let cost = Cost { paid: 1, catalogues: 1, writes: 5, ..Cost::default() };
    comes_to_rest(&stage, &operator, "drift, corrected", LOOKED_AT, cost).await;

    becomes(&stage, "vm-1", "c.1c2g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::Failed).await;
    assert_eq!(shown(&object, "Ready"), "False Reverted");
    assert_eq!(shown(&object, "Stalled"), "True Reverted");
    let id = object.status.as_ref().unwrap().history[0].id.clone();
    let release = format!("vm.zenlayer.com/release={id}");
    assert!(message(&object).contains(&release), "{}", message(&object));
    let cost = Cost { writes: 6, ..cost };
    comes_to_rest(&stage, &operator, "drift again, reverted", LOOKED_AT, cost).await;

    // To suspend and to resume is no person's word for a further order.
    stage.patch("vm-1", json!({ "spec": { "suspend": true } })).await;
    stage.until_phase(&operator, "vm-1", Phase::Suspended).await;
    stage.patch("vm-1", json!({ "spec": { "suspend": false } })).await;
    let object = stage.until_phase(&operator, "vm-1", Phase::Failed).await;
    assert_eq!(shown(&object, "Ready"), "False Reverted");
    assert_eq!(mutations(&stage, "vm-1").await, [ORDER]);

    annotate(&stage, "vm-1", &release);
    let object = change_runs_and_ends(&stage, &operator, "vm-1", "c.2c4g").await;
    assert_eq!(mutations(&stage, "vm-1").await, [ORDER, ORDER]);
    assert_eq!(object.status.as_ref().unwrap().handled.release.as_deref(), Some(id.as_str()));
    let outcomes: Vec<_> = history(&object).into_iter().map(|one| one.2).collect();
    assert_eq!(outcomes, [HistoryOutcome::Released, HistoryOutcome::Completed]);
    let cost = Cost { paid: 2, writes: 13, ..cost };
    comes_to_rest(&stage, &operator, "drift, released", LOOKED_AT, cost).await;

    // The word was for one order.
    becomes(&stage, "vm-1", "c.1c2g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::Failed).await;
    assert_eq!(shown(&object, "Ready"), "False Reverted");
    let cost = Cost { writes: 14, ..cost };
    comes_to_rest(&stage, &operator, "drift a third time", LOOKED_AT, cost).await;
}

#[tokio::test]
async fn an_observed_machine_and_a_suspended_one_are_reported_and_never_changed() {
    let stage = slow_stage(TWO).await;
    let operator = stage.operator(&MARGIN);
    operator.ready().await;
    let spec = |name: &str| json!({ "instanceId": name, "instanceTypeId": "c.2c4g" });
    let mut observed = spec("vm-1");
    observed["managementPolicy"] = json!("Observe");
    let mut suspended = spec("vm-2");
    suspended["suspend"] = json!(true);
    stage.create("vm-1", observed).await;
    stage.create("vm-2", suspended).await;
    for name in ["vm-1", "vm-2"] {
        stage.until_phase(&operator, name, Phase::InSync).await;
        becomes(&stage, name, "c.1c2g").await;
    }
    let drifted = stage.until_phase(&operator, "vm-1", Phase::Drifted).await;
    assert_eq!(shown(&drifted, "Ready"), "True DriftObserved");
    let suspended = stage.until_phase(&operator, "vm-2", Phase::Suspended).await;
    assert_eq!(shown(&suspended, "Ready"), "True Suspended");
    for (object, would) in [
        (&drifted, "with Enforce it would be resized"),
        (&suspended, "without suspend it would be resized"),
    ] {
        assert_eq!(shown(object, "InSync"), "False TypeDiffers");
        let text = message(object);
        for part in ["is of type c.1c2g, spec.instanceTypeId is c.2c4g", would] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
    }
    let cost = Cost { writes: 4, ..Cost::default() };
    comes_to_rest(&stage, &operator, "drift, observed and suspended", LOOKED_AT, cost).await;

    stage.patch("vm-1", json!({ "spec": { "managementPolicy": "Enforce" } })).await;
    change_runs_and_ends(&stage, &operator, "vm-1", "c.2c4g").await;
    stage.patch("vm-2", json!({ "spec": { "suspend": false } })).await;
    change_runs_and_ends(&stage, &operator, "vm-2", "c.2c4g").await;
    for name in ["vm-1", "vm-2"] {
        assert_eq!(mutations(&stage, name).await, [ORDER], "{name}");
    }
    let cost = Cost { paid: 2, catalogues: 1, writes: 12, ..Cost::default() };
    comes_to_rest(&stage, &operator, "drift, enforced again", LOOKED_AT, cost).await;
}
