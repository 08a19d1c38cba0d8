//! How other tools read the status, in every phase: objects of a real API server, judged by
//! kstatus, by Flux's rules for conditions, by `kubectl wait`, and by the Argo CD health script in
//! Argo CD's own engine.

use std::{
    io::{BufRead, Write},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use zenlayer_vm_operator::api::Phase;

use crate::stage::{Rules, Stage, shown, slow_simulation};
use harness::{ControlPlane, root, scripts::printed, table};

/// Phase, Ready, InSync, kstatus, Argo CD.
const CONTRACT: &[(&str, &str, &str, &str, &str)] = &[
    ("Pending", "absent", "absent", "InProgress", "Progressing"),
    ("InSync", "True InSync", "True", "Current", "Healthy"),
    ("Scheduled", "True ChangeScheduled", "False", "Current", "Healthy"),
    ("Changing", "False ChangeInProgress", "False", "InProgress", "Progressing"),
    ("Submitting", "False Submitting", "False", "InProgress", "Progressing"),
    ("Waiting", "False InstanceBusy", "False", "InProgress", "Progressing"),
    ("Failed", "False InstanceTypeUnsupported", "False", "Failed", "Degraded"),
    ("Suspended", "True Suspended", "False", "Current", "Healthy"),
    ("Drifted", "True DriftObserved", "False", "Current", "Healthy"),
];

const INSTANCES: &str = "  - { id: in-sync, type: c.2c4g, chargeType: POSTPAID }
  - { id: scheduled, type: c.4c8g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }
  - { id: changing, type: c.1c2g, chargeType: POSTPAID }
  - { id: submitting, type: c.1c2g, chargeType: POSTPAID }
  - { id: waiting, type: c.1c2g, chargeType: POSTPAID, state: IMAGING }
  - { id: failed, type: s.1c1g, chargeType: POSTPAID }
  - { id: suspended, type: c.1c2g, chargeType: POSTPAID }
  - { id: drifted, type: c.1c2g, chargeType: POSTPAID }
  - { id: pending, type: c.1c2g, chargeType: POSTPAID }
";

/// One object in each phase, as the API server gives it out.
async fn fixtures(stage: &Stage) -> Vec<Value> {
    let operator = stage.operator_on_a_wire(&[]);
    operator.ready().await;
    let declare = async |name: &str, extra: Value| {
        let mut spec = json!({ "instanceId": name, "instanceTypeId": "c.2c4g" });
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        stage.create(name, spec).await;
    };
    declare("in-sync", json!({})).await;
    declare("scheduled", json!({})).await;
    declare("changing", json!({})).await;
    declare("waiting", json!({})).await;
    declare("failed", json!({})).await;
    declare("suspended", json!({ "suspend": true })).await;
    declare("drifted", json!({ "managementPolicy": "Observe" })).await;
    for (name, phase) in [
        ("in-sync", Phase::InSync),
        ("scheduled", Phase::Scheduled),
        ("changing", Phase::Changing),
        ("waiting", Phase::Waiting),
        ("failed", Phase::Failed),
        ("suspended", Phase::Suspended),
        ("drifted", Phase::Drifted),
    ] {
        stage.until_phase(&operator, name, phase).await;
    }
    let call = operator.wire().hold("before-call");
    declare("submitting", json!({})).await;
    call.reached().await;
    drop(operator);
    // Nobody is there to look at this one.
    declare("pending", json!({})).await;
    let plane = ControlPlane::shared();
    let list = plane.kubectl_ok(&["get", "zvm", "-n", &stage.namespace, "-o", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let phases: Vec<&str> = CONTRACT.iter().map(|row| row.0).collect();
    let mut items = list["items"].as_array().unwrap().clone();
    items.sort_by_key(|item| phases.iter().position(|phase| item["status"]["phase"] == *phase));
    items
}

/// Health and actions for Argo CD, in the layout in which it keeps its own.
const CUSTOMIZATION: &str = "deploy/argocd/resource_customizations/vm.zenlayer.com/VmInstance";

/// The program that reads a status as the other tools do.
fn status_checks() -> Command {
    let [binary] = printed("hack/build-status-checks.sh", ["STATUS_CHECKS"]);
    Command::new(binary)
}

/// What the other tools say.
fn judged(fixtures: &[Value]) -> Vec<Value> {
    let mut child = status_checks()
        .arg(root().join(CUSTOMIZATION).join("health.lua"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(fixtures).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "status-checks failed; see above");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn every_phase_is_read_as_the_contract_says_by_kstatus_flux_argo_cd_and_kubectl() {
    let world = slow_simulation("1h", INSTANCES);
    let stage = Stage::of_world(&world, &Rules::of_deploy(), &[]).await;
    let fixtures = fixtures(&stage).await;
    let verdicts = judged(&fixtures);
    assert_eq!(fixtures.len(), CONTRACT.len());
    let mut rows =
        vec![["PHASE", "READY", "INSYNC", "KSTATUS", "ARGO CD", "WAIT"].map(str::to_owned)];
    for ((fixture, verdict), row) in fixtures.iter().zip(&verdicts).zip(CONTRACT) {
        let (phase, ready, in_sync, kstatus, argo) = *row;
        let name = fixture["metadata"]["name"].as_str().unwrap();
        assert_eq!(fixture["status"]["phase"], phase, "{name}: {}", fixture["status"]);
        let object = serde_json::from_value(fixture.clone()).unwrap();
        assert_eq!(shown(&object, "Ready"), ready, "{name}");
        assert!(shown(&object, "InSync").starts_with(in_sync), "{name}");
        assert_eq!(verdict["kstatus"], kstatus, "{name}: {verdict}");
        // Flux's rules are for objects that somebody has looked at.
        if phase != "Pending" {
            assert_eq!(verdict["fluxFailures"], "", "{name}");
        }
        assert_eq!(verdict["argoHealth"], argo, "{name}: {verdict}");
        let wait = ["wait", "-n", &stage.namespace, &format!("zvm/{name}")];
        // What is met is met at once, only not on every machine within a second.
        let timeout = if ready.starts_with("True") { "--timeout=300s" } else { "--timeout=1s" };
        let wait = [&wait[..], &["--for=condition=Ready", timeout]].concat();
        let waited = ControlPlane::shared().kubectl(&wait).status.success();
        assert_eq!(waited, ready.starts_with("True"), "kubectl wait for {name}");
        let waited = if waited { "met" } else { "not met" };
        rows.push([phase, ready, in_sync, kstatus, argo, waited].map(str::to_owned));
    }
    table::show("How other tools read each phase", &rows);
}

#[test]
fn health_and_actions_are_as_their_tests_say_in_argo_cds_own_engine_and_so_is_the_snippet() {
    let ran = status_checks()
        .arg("customization")
        .arg(root().join(CUSTOMIZATION))
        .arg(root().join("deploy/argocd/argocd-cm.yaml"))
        .output()
        .unwrap();
    let (said, faults) = (ran.stdout.lines(), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{faults}");
    let lines: Vec<_> = said.map_while(Result::ok).collect();
    let count = |kind: &str| lines.iter().filter(|line| line.starts_with(kind)).count();
    let counts = (count("health "), count("discovery "), count("action "), count("snippet "));
    assert!(counts >= (12, 7, 5, 1), "some test was not run: {lines:?}");
}
