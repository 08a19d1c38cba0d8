//! What is generated or shipped is current, and holds nothing that it should not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod argocd;
mod crd_rules;
mod docs;
mod image;
mod links;
mod metrics;
mod monitoring;
mod reference;
mod security;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value;
use zenlayer_vm_operator::{api, controller::GRACE};

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_crd_in_crds_is_what_the_types_say() {
    let current = api::crd_yaml().unwrap();
    assert_eq!(read("crds/vminstances.vm.zenlayer.com.yaml"), current, "run `make generate`");
}

#[test]
fn a_new_object_is_never_mistaken_for_one_that_was_looked_at() {
    let crd = serde_json::to_value(api::crd().unwrap()).unwrap();
    let status = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
    assert_eq!(status["default"]["observedGeneration"], -1);
}

#[test]
fn install_yaml_holds_every_object_of_the_kustomize_base() {
    let by_name = |documents: Vec<Value>| -> BTreeMap<String, Value> {
        let named = |one: Value| (format!("{} {}", one["kind"], one["metadata"]["name"]), one);
        documents.into_iter().map(named).collect()
    };
    let mut base = documents("crds/vminstances.vm.zenlayer.com.yaml");
    let kustomization = &documents("deploy/kustomize/base/kustomization.yaml")[0];
    let files = kustomization["resources"].as_array().unwrap().iter().filter_map(Value::as_str);
    for file in files.filter(|file| file.ends_with(".yaml")) {
        base.extend(documents(&format!("deploy/kustomize/base/{file}")));
    }
    base.extend(documents("deploy/kustomize/overlays/cluster-wide/rbac.yaml"));
    let tag = kustomization["images"][0]["newTag"].as_str().unwrap();
    for document in &mut base {
        // Kustomize writes the tag.
        if let Some(image) = document.pointer_mut("/spec/template/spec/containers/0/image") {
            *image = format!("{}:{tag}", image.as_str().unwrap()).into();
        }
    }
    let (installed, base) = (by_name(documents("deploy/install.yaml")), by_name(base));
    let differing: BTreeSet<&String> = installed
        .keys()
        .chain(base.keys())
        .filter(|name| installed.get(*name) != base.get(*name))
        .collect();
    assert!(differing.is_empty(), "{differing:?} differ: run `make generate`");
}

/// One namespace at a time, or all at once: what is granted there is the same.
#[test]
fn the_role_for_one_namespace_grants_what_the_cluster_role_does() {
    let all = &documents("deploy/kustomize/overlays/cluster-wide/rbac.yaml")[0];
    let one = &documents("deploy/kustomize/namespace-access/rbac.yaml")[0];
    assert_eq!((&all["kind"], &one["kind"]), (&"ClusterRole".into(), &"Role".into()));
    assert_eq!(all["rules"], one["rules"]);
    assert!(!all["rules"].as_array().unwrap().is_empty());
}

#[test]
fn the_chart_holds_the_crd_of_the_types() {
    let current = api::crd_yaml().unwrap();
    let file = read("deploy/helm/vm-operator/files/vminstances.vm.zenlayer.com.yaml");
    assert_eq!(file, current, "run `make generate`");
}

#[test]
fn no_tool_deletes_the_crd_with_the_operator() {
    let crd = &documents("crds/vminstances.vm.zenlayer.com.yaml")[0]["metadata"];
    let namespace = &documents("deploy/kustomize/base/namespace.yaml")[0]["metadata"];
    for kept in [crd, namespace] {
        assert_eq!(kept["labels"]["vm.zenlayer.com/uninstall"], "keep");
        let told = &kept["annotations"];
        assert_eq!(told["argocd.argoproj.io/sync-options"], "Prune=false,Delete=false");
        assert_eq!(told["kustomize.toolkit.fluxcd.io/prune"], "disabled");
    }
    assert_eq!(crd["annotations"]["helm.sh/resource-policy"], "keep");
}

#[test]
fn the_chart_takes_no_shorter_grace_than_a_call_needs() {
    let schema: Value =
        serde_json::from_str(&read("deploy/helm/vm-operator/values.schema.json")).unwrap();
    let least = schema["properties"]["terminationGracePeriodSeconds"]["minimum"].as_u64().unwrap();
    assert!(least >= GRACE.as_secs() + 3, "{least}");
}

#[test]
fn one_process_stands_by_whatever_is_updated_or_drained() {
    let deployment = &documents("deploy/kustomize/base/deployment.yaml")[0]["spec"];
    assert_eq!(deployment["replicas"], 2);
    assert_eq!(deployment["strategy"]["type"], "RollingUpdate");
    assert_eq!(deployment["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    let budget = &documents("deploy/kustomize/base/pod-disruption-budget.yaml")[0]["spec"];
    assert_eq!(budget["maxUnavailable"], 1);
    assert_eq!(budget["selector"], deployment["selector"]);
    let pod = &deployment["template"];
    assert_eq!(budget["selector"]["matchLabels"], pod["metadata"]["labels"]);
    let spread = &pod["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["labelSelector"], deployment["selector"]);
    // Passes end, and then the lease is released.
    let given = pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(given >= GRACE.as_secs() + 3, "{given}");
    // Who leads is told by the name of its Pod.
    let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    assert!(env.iter().any(|one| one["name"] == "POD_NAME"), "{env:?}");
}

#[test]
fn the_version_is_the_same_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let kustomization = &documents("deploy/kustomize/base/kustomization.yaml")[0];
    assert_eq!(kustomization["images"][0]["newTag"], version);
    let chart = &documents("deploy/helm/vm-operator/Chart.yaml")[0];
    assert_eq!((&chart["version"], &chart["appVersion"]), (&version.into(), &version.into()));
    assert!(read("deploy/Dockerfile").contains(&format!("zenlayer-vm-operator:{version}")));
}

#[test]
fn every_example_is_yaml_of_a_known_kind() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
    let mut kinds = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "simulator.yaml" {
            continue;
        }
        for document in documents(&format!("deploy/examples/{name}")) {
            kinds.insert(document["kind"].as_str().unwrap_or_else(|| panic!("{name}")).to_owned());
        }
    }
    let expected = ["Application", "Kustomization", "Secret", "VmInstance"];
    assert!(kinds.iter().eq(expected), "{kinds:?}");
}
