//! The Helm chart, rendered by the real helm: it says the same as kustomize and the one file, and each value
//! does what its description says.

use std::{collections::BTreeMap, process::Command};

use harness::{control_plane::binaries, helm, root};
use serde_json::Value;

/// What Helm's own conventions add.
const OF_HELM: [&str; 4] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];
const ONE_TEAM: &[&str] = &["--set", "watchNamespaces={team-a}"];
const TEAMS: &[&str] = &["--set", "watchNamespaces={team-a,team-b}"];

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.current_dir(root()).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn render(values: &[&str]) -> Result<String, String> {
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = helm::command(folder.path());
    command.args(["template", "vm-operator", "deploy/helm/vm-operator"]);
    run(command.args(["--namespace", "zenlayer-vm-operator"]).args(values))
}

type Objects = BTreeMap<String, Value>;

/// By kind, namespace and name.
fn objects(text: &str) -> Objects {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let named = |mut object: Value| {
        without_helm(&mut object);
        let meta = &object["metadata"];
        let of = |name: &str| meta[name].as_str().unwrap_or("-").to_owned();
        let kind = object["kind"].as_str().unwrap().to_owned();
        (format!("{kind} {} {}", of("namespace"), of("name")), object)
    };
    all.into_iter().filter(|one| !one.is_null()).map(named).collect()
}

fn without_helm(value: &mut Value) {
    match value {
        Value::Object(map) => {
            OF_HELM.iter().for_each(|name| drop(map.remove(*name)));
            map.values_mut().for_each(without_helm);
        }
        Value::Array(items) => items.iter_mut().for_each(without_helm),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn kustomized(folder: &str) -> Objects {
    objects(&run(Command::new(&binaries().kubectl).args(["kustomize", folder])).unwrap())
}

/// Objects that are not the same.
fn differing(one: &Objects, other: &Objects) -> Vec<String> {
    let all = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
    all.filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

#[test]
fn the_chart_kustomize_and_the_one_file_say_the_same() {
    let file = objects(&std::fs::read_to_string(root().join("deploy/install.yaml")).unwrap());
    let base = kustomized("deploy/kustomize");
    assert!(base.len() > 10, "{base:?}");
    assert_eq!(differing(&file, &base), [""; 0], "run `make generate`");
    // Helm makes no namespace of its own.
    let namespace = ["Namespace - zenlayer-vm-operator"];
    assert_eq!(differing(&objects(&render(&[]).unwrap()), &base), namespace);
    let teams = kustomized("deploy/kustomize/overlays/namespaced");
    assert_eq!(differing(&objects(&render(TEAMS).unwrap()), &teams), namespace);
    assert!(!teams.keys().any(|name| name == "ClusterRole - zenlayer-vm-operator"));
}

#[test]
fn the_monitors_of_chart_and_kustomize_say_the_same() {
    let values = ["serviceMonitor", "podMonitor"].map(|one| format!("metrics.{one}.enabled=true"));
    let chart = objects(&render(&["--set", &values[0], "--set", &values[1]]).unwrap());
    for (kind, file) in [("ServiceMonitor", "service-monitor"), ("PodMonitor", "pod-monitor")] {
        let path = format!("deploy/kustomize/components/{file}/{file}.yaml");
        let one = objects(&std::fs::read_to_string(root().join(path)).unwrap());
        let name = format!("{kind} zenlayer-vm-operator vm-operator");
        assert!(chart.contains_key(&name) && one.get(&name) == chart.get(&name), "{name}");
        assert!(!objects(&render(&[]).unwrap()).contains_key(&name), "off by default");
    }
}

const DEPLOYMENT: &str = "Deployment zenlayer-vm-operator vm-operator";
const CRD: &str = "CustomResourceDefinition - vminstances.vm.zenlayer.com";
const POLICY: &str = "NetworkPolicy zenlayer-vm-operator vm-operator";

#[test]
fn each_value_does_what_it_says() {
    // Values, object, pointer into it, and what is there; nothing: it is absent.
    type Row<'a> = (&'a str, &'a str, &'a str, Option<&'a str>);
    let keep = "/metadata/annotations/helm.sh~1resource-policy";
    let spec = |path: &str| format!("/spec/template/spec{path}");
    let (image, class) = (spec("/containers/0/image"), spec("/priorityClassName"));
    let (slots, extra) = (spec("/containers/0/env/0/value"), spec("/containers/0/args/1"));
    let rows: [Row<'_>; 15] = [
        ("crds.install=true", CRD, keep, Some("keep")),
        ("crds.keep=false", CRD, keep, None),
        ("crds.install=false", CRD, "/kind", None),
        ("image.tag=v9", DEPLOYMENT, &image, Some("zenlayer-vm-operator:v9")),
        ("priorityClassName=high", DEPLOYMENT, &class, Some("high")),
        ("replicas=2", DEPLOYMENT, &class, None),
        ("slotNamespace=slots", DEPLOYMENT, &slots, Some("slots")),
        ("slotNamespace=slots", "Role slots vm-operator-slots", "/kind", Some("Role")),
        ("extraArgs={--order-delay=0s}", DEPLOYMENT, &extra, Some("--order-delay=0s")),
        ("networkPolicy.enabled=false", POLICY, "/kind", None),
        (
            "podDisruptionBudget.enabled=false",
            "PodDisruptionBudget zenlayer-vm-operator vm-operator",
            "/kind",
            None,
        ),
        (
            "serviceAccount.name=own",
            DEPLOYMENT,
            "/spec/template/spec/serviceAccountName",
            Some("own"),
        ),
        ("rbac.userRoles.create=false", "ClusterRole - zenlayer-vm-operator-editor", "/kind", None),
        (
            "rbac.userRoles.aggregate=false",
            "ClusterRole - zenlayer-vm-operator-editor",
            "/metadata/labels/rbac.authorization.k8s.io~1aggregate-to-edit",
            None,
        ),
        (
            "metrics.service.enabled=false",
            "Service zenlayer-vm-operator vm-operator-metrics",
            "/kind",
            None,
        ),
    ];
    for (value, object, pointer, expected) in rows {
        let rendered = objects(&render(&["--set", value]).unwrap());
        let found = rendered.get(object).and_then(|one| one.pointer(pointer));
        assert_eq!(found.and_then(Value::as_str), expected, "{value}: {object} {pointer}");
    }
}

#[test]
fn a_namespace_that_is_served_is_the_only_one_with_a_right_to_secrets() {
    for (name, object) in objects(&render(ONE_TEAM).unwrap()) {
        let rules = object["rules"].as_array().cloned().unwrap_or_default();
        let secrets = rules.iter().any(|rule| rule["resources"].to_string().contains("secrets"));
        assert_eq!(secrets, name == "Role team-a zenlayer-vm-operator", "{name}");
    }
}

#[test]
fn a_value_that_is_wrong_is_refused_before_anything_is_applied() {
    for (value, words) in [
        ("watchNamespaces=team-a", "watchNamespaces"),
        ("watchNamespaces={Team}", "watchNamespaces"),
        ("replica=3", "replica"),
        ("image.digest=abc", "digest"),
        ("terminationGracePeriodSeconds=10", "terminationGracePeriodSeconds"),
        ("networkPolicy.egressPorts={70000}", "egressPorts"),
        ("crds.keep=yes", "keep"),
    ] {
        let problem = render(&["--set", value]).expect_err(value);
        assert!(problem.contains(words), "{value}: {problem}");
    }
    let values = "metrics.serviceMonitor.enabled=true,metrics.service.enabled=false";
    assert!(render(&["--set", values]).unwrap_err().contains("metrics.service.enabled=true"));
}

#[test]
fn two_releases_share_no_name_and_select_no_pod_of_each_other() {
    let folder = tempfile::TempDir::new().unwrap();
    let other = |name: &str| {
        let mut command = helm::command(folder.path());
        command.args(["template", name, "deploy/helm/vm-operator", "--namespace", "one"]);
        run(command.args(["--set", "crds.install=false"])).unwrap()
    };
    let (one, two) = (other("one"), other("two"));
    let shared: Vec<_> = {
        let two = objects(&two);
        objects(&one).into_keys().filter(|name| two.contains_key(name)).collect()
    };
    assert_eq!(shared, [""; 0]);
    assert!(one.contains("app.kubernetes.io/instance: one") && !two.contains("instance: one"));
}
