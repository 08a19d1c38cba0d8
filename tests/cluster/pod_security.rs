//! `deploy/` applied for real: what is missing before it, what it lets run, and who may do what.

use std::path::Path;

use serde_json::{Value, json};
use zenlayer_vm_operator::api::Phase;

use crate::stage::{LIMIT, ONE_POSTPAID, Stage, simulation};
use harness::{ControlPlane, Operator, operator::OperatorOptions, root};

const NAMESPACE: &str = "zenlayer-vm-operator";
/// Prints each object with its version.
const VERSIONS: &str = "jsonpath={range .items[*]}{.kind} {.metadata.name} \
                        {.metadata.resourceVersion}{\"\\n\"}{end}";

/// The Pod that the Deployment asks for.
fn pod_of_the_deployment(plane: &ControlPlane) -> Value {
    let get = ["get", "deployment", "vm-operator", "--namespace", NAMESPACE, "-o", "json"];
    let deployment: Value = serde_json::from_str(&plane.kubectl_ok(&get)).unwrap();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "vm-operator", "namespace": NAMESPACE },
        "spec": deployment["spec"]["template"]["spec"],
    })
}

fn dry_create(plane: &ControlPlane, pod: &Value) -> (bool, String) {
    plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &pod.to_string())
}

/// The Pod passes the restricted level, and without any one of these settings it does not.
pub fn passes_the_restricted_level(plane: &ControlPlane) {
    let level = "jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}";
    assert_eq!(plane.kubectl_ok(&["get", "namespace", NAMESPACE, "-o", level]), "restricted");
    let pod = pod_of_the_deployment(plane);
    let (accepted, text) = dry_create(plane, &pod);
    assert!(accepted, "{text}");
    let container = "/spec/containers/0/securityContext";
    for (parent, setting, words) in [
        ("/spec/securityContext", "runAsNonRoot", "runAsNonRoot != true"),
        ("/spec/securityContext", "seccompProfile", "seccompProfile"),
        (container, "allowPrivilegeEscalation", "allowPrivilegeEscalation != false"),
        (container, "capabilities", "unrestricted capabilities"),
    ] {
        let mut weaker = pod.clone();
        let removed =
            weaker.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().remove(setting);
        assert!(removed.is_some(), "{setting} is not set");
        let (accepted, text) = dry_create(plane, &weaker);
        assert!(!accepted && text.contains("violates PodSecurity"), "{setting}: {text}");
        assert!(text.contains(words), "{setting}: {text}");
        println!("without {setting:<25} | {}", text.trim());
    }
    // Beyond what the level asks for.
    assert_eq!(pod.pointer(container).unwrap()["readOnlyRootFilesystem"], true);
    assert_eq!(pod["spec"]["securityContext"]["runAsUser"], 65532);
}

fn documents(text: &str) -> Vec<Value> {
    let mut all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.sort_by_key(|one| (one["kind"].to_string(), one["metadata"]["name"].to_string()));
    all
}

/// The operator ends with this when the CRD is not there.
async fn says_that_the_crd_is_missing(plane: &ControlPlane) {
    let mut operator = Operator::start(&OperatorOptions {
        kubeconfig: plane.kubeconfig(),
        endpoint: "http://127.0.0.1:9",
        slot_namespace: "default",
        watch_namespace: None,
        arguments: Vec::new(),
        wired: false,
    });
    let ended = operator.process.wait(LIMIT).unwrap();
    let log = operator.process.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!((ended.code(), lines.len()), (Some(1), 1), "{log}");
    assert!(lines[0].contains("apply the CRD first (kubectl apply -k deploy/kustomize"), "{log}");
    println!("{}", lines[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deploy_is_applied_for_real_and_its_pod_passes_the_restricted_level() {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(&[]).unwrap()));
    says_that_the_crd_is_missing(plane).await;
    let path = |name: &str| root().join(name).display().to_string();
    let (base, install) = (path("deploy/kustomize"), path("deploy/install.yaml"));
    plane.kubectl_ok(&["apply", "--server-side", "-k", &base]);
    passes_the_restricted_level(plane);

    // The one file says the same as the base, so applying it changes nothing.
    let rendered = plane.kubectl_ok(&["kustomize", &base]);
    let file = std::fs::read_to_string(Path::new(&install)).unwrap();
    assert_eq!(documents(&file), documents(&rendered), "deploy/install.yaml is not current");
    let versions = ["get", "crd,deployment,clusterrole,role,namespace", "--all-namespaces"];
    let versions = [&versions[..], &["-l", "app.kubernetes.io/name=zenlayer-vm-operator"]].concat();
    let versions = [&versions[..], &["-o", VERSIONS]].concat();
    let before = plane.kubectl_ok(&versions);
    assert!(before.contains("Deployment vm-operator "), "{before}");
    plane.kubectl_ok(&["apply", "--server-side", "-f", &install]);
    assert_eq!(plane.kubectl_ok(&versions), before);

    // The ServiceAccount, as it is bound there, can do its work.
    let established = ["wait", "--for=condition=Established", "--timeout=300s"];
    plane.kubectl_ok(&[&established[..], &["crd/vminstances.vm.zenlayer.com"]].concat());
    let stage = Stage::on(plane, NAMESPACE, &simulation(ONE_POSTPAID), &[]).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let log = operator.process.log();
    assert!(!log.contains("forbidden"), "{log}");
}
