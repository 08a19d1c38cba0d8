//! What Argo CD is given: the snippet for its ConfigMap is the folder in the layout that Argo CD keeps its
//! own in, and that has a fixture for each phase. The scripts themselves are run by
//! `tests/cluster/status_contract.rs`, in Argo CD's engine.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value;
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::{documents, read};

const FOLDER: &str = "deploy/argocd/resource_customizations/vm.zenlayer.com/VmInstance";
const SNIPPET: &str = "deploy/argocd/argocd-cm.yaml";
const ACTIONS: [&str; 4] = ["suspend", "resume", "retry", "release"];

fn indented(path: &str, spaces: usize) -> String {
    let line = |line: &str| match line {
        "" => "\n".to_owned(),
        line => format!("{}{line}\n", " ".repeat(spaces)),
    };
    read(&format!("{FOLDER}/{path}")).lines().map(line).collect()
}

fn snippet() -> String {
    let mut text = format!(
        "# The health of VmInstances and the actions of their menu, for the ConfigMap of Argo CD:\n\
         #   kubectl -n argocd patch configmap argocd-cm --type merge --patch-file argocd-cm.yaml\n\
         # Generated from the folder beside it: UPDATE_DOCS=1 cargo test --test packaging argocd.\n\
         data:\n  \
           resource.customizations.health.vm.zenlayer.com_VmInstance: |\n{}  \
           resource.customizations.actions.vm.zenlayer.com_VmInstance: |\n    \
             discovery.lua: |\n{}    \
             definitions:\n",
        indented("health.lua", 4),
        indented("actions/discovery.lua", 6)
    );
    for action in ACTIONS {
        let script = indented(&format!("actions/{action}/action.lua"), 10);
        text += &format!("      - name: {action}\n        action.lua: |\n{script}");
    }
    text
}

#[test]
fn the_snippet_holds_the_scripts_of_the_folder() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(SNIPPET);
    let expected = snippet();
    if std::fs::read_to_string(&path).unwrap_or_default() != expected {
        let update = std::env::var_os("UPDATE_DOCS").is_some();
        assert!(update, "run UPDATE_DOCS=1 cargo test --test packaging argocd");
        std::fs::write(path, expected).unwrap();
    }
}

#[test]
fn every_phase_has_a_fixture_and_each_fixture_is_a_status_that_the_operator_can_read() {
    let tests = documents(&format!("{FOLDER}/health_test.yaml")).remove(0);
    let mut phases: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for test in tests["tests"].as_array().unwrap() {
        let path = test["inputPath"].as_str().unwrap();
        let fixture: Value = documents(&format!("{FOLDER}/{path}")).remove(0);
        let object: VmInstance = serde_json::from_value(fixture.clone()).unwrap();
        let status = object.status.unwrap();
        assert!(status.unreadable.is_empty(), "{path}: {:?}", status.unreadable);
        let written = serde_json::to_value(&status).unwrap();
        assert_eq!(written, fixture["status"], "{path}: a field that no status has");
        let health = test["healthStatus"]["status"].as_str().unwrap().to_owned();
        phases.entry(status.phase.unwrap().as_str()).or_default().insert(health);
    }
    let known: BTreeSet<_> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
    assert_eq!(phases.keys().copied().collect::<BTreeSet<_>>(), known);
    // Nothing of a spec that was carried out as far as it goes holds up an Application.
    for phase in ["InSync", "Scheduled", "Suspended", "Drifted"] {
        assert!(phases[phase].contains("Healthy"), "{phase}: {:?}", phases[phase]);
    }
    assert_eq!(phases["Failed"], ["Degraded".to_owned()].into());
}

#[test]
fn every_action_is_tested() {
    let tests = documents(&format!("{FOLDER}/actions/action_test.yaml")).remove(0);
    let tested = tests["actionTests"].as_array().unwrap().iter();
    let tested: BTreeSet<_> = tested.map(|test| test["action"].as_str().unwrap()).collect();
    assert_eq!(tested, ACTIONS.into());
    let offered = tests["discoveryTests"].as_array().unwrap().iter();
    let offered: BTreeSet<_> = offered
        .flat_map(|test| test["result"].as_array().unwrap())
        .map(|action| action["name"].as_str().unwrap())
        .collect();
    assert_eq!(offered, ACTIONS.into());
}
