//! Each way to install it, on an empty control plane: what it grants is what is used, the Pod passes the
//! restricted level, and uninstalling keeps the CRD, the objects and the slots.

use std::{collections::BTreeSet, path::Path};

use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::{
    audit::{Seen, granted, rights},
    crowd::{SHORT, SIM_SHORT},
    pod_security::passes_the_restricted_level,
    stage::{LIMIT, Stage, slow_simulation},
};
use harness::{ControlPlane, Operator, eventually, root};

const NAMESPACE: &str = "zenlayer-vm-operator";
const RESTRICTED: &str = "pod-security.kubernetes.io/enforce=restricted";
const KEPT: &str = "vm.zenlayer.com/uninstall!=keep";
const TEAMS: &str = "watchNamespaces={team-a,team-b}";

#[derive(Clone, Copy)]
enum Way {
    Helm,
    HelmForTeams,
    Kustomize,
    KustomizeForTeams,
    OneFile,
}

const CHART: &str = "deploy/helm/vm-operator";

/// Runs a command that `docs/install.md` shows.
fn helm(plane: &ControlPlane, arguments: &[&str]) {
    shown("helm", arguments);
    plane.helm_ok(arguments);
}

fn kubectl(plane: &ControlPlane, arguments: &[&str]) {
    shown("kubectl", arguments);
    plane.kubectl_ok(arguments);
}

fn shown(program: &str, arguments: &[&str]) {
    let line = format!("$ {program} {}\n", arguments.join(" "));
    let page = std::fs::read_to_string(root().join("docs/install.md")).unwrap();
    assert!(page.replace('\'', "").contains(&line), "docs/install.md does not show {line}");
}

/// The command that installs a chart, and brings it up to date.
fn upgrade(chart: &str) -> [&str; 6] {
    ["upgrade", "--install", "vm-operator", chart, "--namespace", NAMESPACE]
}

impl Way {
    /// The namespaces that are served; none: all.
    fn teams(self) -> &'static [&'static str] {
        match self {
            Self::HelmForTeams | Self::KustomizeForTeams => &["team-a", "team-b"],
            Self::Helm | Self::Kustomize | Self::OneFile => &[],
        }
    }

    fn prepare(self, plane: &ControlPlane) {
        for team in self.teams() {
            plane.kubectl_ok(&["create", "namespace", team]);
        }
        if let Self::Helm | Self::HelmForTeams = self {
            kubectl(plane, &["create", "namespace", NAMESPACE]);
            kubectl(plane, &["label", "namespace", NAMESPACE, RESTRICTED]);
        }
    }

    /// Also what brings an older one up to date.
    fn install(self, plane: &ControlPlane) {
        match self {
            Self::Helm => helm(plane, &upgrade(CHART)),
            Self::HelmForTeams => helm(plane, &[&upgrade(CHART)[..], &["--set", TEAMS]].concat()),
            Self::Kustomize | Self::KustomizeForTeams | Self::OneFile => {
                kubectl(plane, &[&["apply", "--server-side"], &self.files()[..]].concat());
            }
        }
        let crd = "crd/vminstances.vm.zenlayer.com";
        plane.kubectl_ok(&["wait", "--for=condition=Established", "--timeout=300s", crd]);
    }

    fn files(self) -> [&'static str; 2] {
        match self {
            Self::Kustomize => ["-k", "deploy/kustomize"],
            Self::KustomizeForTeams => ["-k", "deploy/kustomize/overlays/namespaced"],
            Self::OneFile => ["-f", "deploy/install.yaml"],
            Self::Helm | Self::HelmForTeams => unreachable!("helm has a chart"),
        }
    }

    fn uninstall(self, plane: &ControlPlane) {
        match self {
            Self::Helm | Self::HelmForTeams => {
                helm(plane, &["uninstall", "vm-operator", "--namespace", NAMESPACE]);
            }
            Self::Kustomize | Self::KustomizeForTeams | Self::OneFile => {
                let [flag, file] = self.files();
                let delete = ["delete", flag, file, "-l", KEPT];
                shown("kubectl", &delete);
                // A namespace would not go here: it would be waited for until the test is ended.
                plane.kubectl_ok(&[&delete[..], &["--timeout=60s"]].concat());
            }
        }
    }
}

/// One of each kind of work, so that every right is used: a change for which the machine is stopped, one that
/// is refused, and one whose object is deleted while it goes on.
async fn all_work(stage: &Stage, operator: &Operator) {
    let refused = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
    stage.sim.refuses("ModifyInstanceType", "vm-2", refused).await;
    for (name, strategy) in [("vm-1", "StopFirst"), ("vm-2", "InPlace"), ("vm-3", "InPlace")] {
        let spec = json!({ "instanceId": name, "instanceTypeId": "c.2c4g", "strategy": strategy });
        stage.create(name, spec).await;
    }
    let changing = |object: &VmInstance| object.status.as_ref().unwrap().change.is_some();
    stage.until(operator, "vm-3", "is being changed", changing).await;
    stage.objects().delete("vm-3", &DeleteParams::default()).await.unwrap();
    stage.until_phase(operator, "vm-2", Phase::Failed).await;
    stage.until_phase(operator, "vm-1", Phase::InSync).await;
}

/// Waits until all that is granted was used.
async fn compare(plane: &ControlPlane, rules: &[(String, PolicyRule)]) -> String {
    let account = format!("system:serviceaccount:{NAMESPACE}:vm-operator");
    let rules: Vec<PolicyRule> = rules.iter().map(|(_, rule)| rule.clone()).collect();
    let granted = rights(&rules);
    eventually("that every right is used", LIMIT, async || {
        let mut seen = Seen::default();
        plane.audit_log_with(&account).iter().for_each(|line| seen.add(line, |one| one == account));
        seen.against(&granted)
    })
    .await
}

fn names(plane: &ControlPlane, kinds: &str) -> BTreeSet<String> {
    let name = "jsonpath={range .items[*]}{.kind} {.metadata.name}{\"\\n\"}{end}";
    let text = plane.kubectl_ok(&["get", kinds, "--all-namespaces", "-o", name]);
    text.lines().map(str::to_owned).collect()
}

/// The value of a variable of the operator's container.
fn variable(plane: &ControlPlane, name: &str) -> Option<String> {
    let get = ["get", "deployment", "vm-operator", "--namespace", NAMESPACE, "-o", "json"];
    let deployment: Value = serde_json::from_str(&plane.kubectl_ok(&get)).unwrap();
    let env = deployment.pointer("/spec/template/spec/containers/0/env").unwrap();
    let found = env.as_array().unwrap().iter().find(|one| one["name"] == name)?;
    found["value"].as_str().map(str::to_owned)
}

fn may(plane: &ControlPlane, namespace: &str, what: &str) -> bool {
    let account = format!("system:serviceaccount:{NAMESPACE}:vm-operator");
    let ask = ["auth", "can-i", "get", what, "--namespace", namespace, "--as", &account];
    plane.kubectl(&ask).status.success()
}

/// The built-in roles get these by a controller that the test has not; here they are bound by themselves.
fn people_may_do_what_their_role_says(plane: &ControlPlane) {
    let roles = ["viewer", "editor", "admin"];
    for role in roles {
        let name = format!("zenlayer-vm-operator-{role}");
        let (bound, user) = (format!("--clusterrole={name}"), format!("--user={role}"));
        let namespace = ["--namespace", "default"];
        let create = ["create", "rolebinding", role, &bound, &user];
        plane.kubectl_ok(&[&create[..], &namespace].concat());
        let built_in = match role {
            "viewer" => "view",
            "editor" => "edit",
            _ => "admin",
        };
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{built_in}=true");
        let found = plane.kubectl_ok(&["get", "clusterroles", "-l", &label, "-o", "name"]);
        assert!(found.lines().any(|one| one.ends_with(&name)), "{found}");
    }
    for (verb, resource, who) in [
        ("list", "vminstances", [true; 3]),
        ("create", "vminstances", [false, true, true]),
        ("deletecollection", "vminstances", [false, true, true]),
        ("update", "vminstances --subresource=status", [false, false, true]),
        ("get", "secrets", [false; 3]),
        ("get", "leases", [false; 3]),
    ] {
        for (role, may) in roles.into_iter().zip(who) {
            let what: Vec<&str> = resource.split(' ').collect();
            let ask = [&["auth", "can-i", verb], &what[..], &["-n", "default", "--as", role]];
            assert_eq!(
                plane.kubectl(&ask.concat()).status.success(),
                may,
                "{role}: {verb} {what:?}"
            );
        }
    }
}

async fn works_and_is_uninstalled(way: Way) {
    let _permit = harness::permit::heavy().await;
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(&[]).unwrap()));
    way.prepare(plane);
    way.install(plane);
    passes_the_restricted_level(plane);
    people_may_do_what_their_role_says(plane);

    let teams = way.teams();
    let serves = variable(plane, "WATCH_NAMESPACES");
    assert_eq!(serves.as_deref().unwrap_or_default(), teams.join(","));
    let home = teams.first().copied().unwrap_or("default").to_owned();
    let machines: String = ["vm-1", "vm-2", "vm-3"]
        .map(|name| format!("  - {{ id: {name}, type: c.1c2g, chargeType: POSTPAID }}\n"))
        .concat();
    let world = slow_simulation("4s", &machines);
    let stage = Stage::within(plane, NAMESPACE, (home, serves), &world, SIM_SHORT).await;
    let mut operator = stage.operator(&[SHORT, &["--testing-sweep", "1s"]].concat());
    operator.ready().await;
    all_work(&stage, &operator).await;
    let rules = granted(plane, NAMESPACE, "vm-operator");
    println!("{}", compare(plane, &rules).await);
    // Secrets of other namespaces, its own included, are none of its business.
    for namespace in ["kube-system", NAMESPACE] {
        assert_eq!(may(plane, namespace, "secrets"), teams.is_empty(), "{namespace}");
        assert_eq!(may(plane, namespace, "leases"), namespace == NAMESPACE, "{namespace}");
    }
    for team in teams {
        assert!(may(plane, team, "secrets") && !may(plane, team, "leases"), "{team}");
    }
    operator.process.kill();

    let kept = names(plane, "crd,vminstances,leases,secrets");
    assert!(kept.iter().any(|one| one.starts_with("Lease zvm-slot-")), "{kept:?}");
    way.uninstall(plane);
    let left = names(plane, "crd,vminstances,leases,secrets");
    // Helm's own record of the release is a Secret.
    let release = |one: &String| one.starts_with("Secret sh.helm.release");
    let kept: BTreeSet<String> = kept.into_iter().filter(|one| !release(one)).collect();
    assert_eq!(left, kept);
    let rest = names(plane, "deployment,networkpolicy,poddisruptionbudget,service,serviceaccount");
    assert!(!rest.iter().any(|one| one.contains("vm-operator")), "{rest:?}");
    assert!(granted(plane, NAMESPACE, "vm-operator").is_empty());
    way.install(plane);
    assert_eq!(names(plane, "crd,vminstances,leases,secrets").len(), way.count(kept.len()));
}

impl Way {
    /// After it is installed once more.
    fn count(self, kept: usize) -> usize {
        match self {
            Self::Helm | Self::HelmForTeams => kept + 1,
            Self::Kustomize | Self::KustomizeForTeams | Self::OneFile => kept,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_grants_what_is_used_and_leaves_crd_objects_and_slots_behind() {
    works_and_is_uninstalled(Way::Helm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_for_a_list_of_namespaces_grants_roles_alone() {
    works_and_is_uninstalled(Way::HelmForTeams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kustomize_base_grants_what_is_used_and_leaves_crd_objects_and_slots_behind() {
    works_and_is_uninstalled(Way::Kustomize).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kustomize_overlay_for_a_list_of_namespaces_grants_roles_alone() {
    works_and_is_uninstalled(Way::KustomizeForTeams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_file_grants_what_is_used_and_leaves_crd_objects_and_slots_behind() {
    works_and_is_uninstalled(Way::OneFile).await;
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copied(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_the_chart_brings_the_crd_up_to_date_and_a_rollback_keeps_the_objects() {
    let _permit = harness::permit::heavy().await;
    let plane = ControlPlane::start(&[]).unwrap();
    Way::Helm.prepare(&plane);
    let folder = tempfile::TempDir::new().unwrap();
    let older = folder.path().join("vm-operator");
    copied(&root().join("deploy/helm/vm-operator"), &older);
    let file = older.join("files/vminstances.vm.zenlayer.com.yaml");
    let crd = std::fs::read_to_string(&file).unwrap();
    assert!(crd.contains("    - zvm\n"));
    std::fs::write(&file, crd.replace("    - zvm\n", "    - older\n")).unwrap();
    // Somebody has applied the CRD by hand.
    plane.kubectl_ok(&["apply", "--server-side", "-k", "crds"]);
    let older = older.display().to_string();
    let problem = plane.helm(&upgrade(&older)).unwrap_err();
    assert!(problem.contains("exists and cannot be imported"), "{problem}");
    plane.helm_ok(&[&upgrade(&older)[..], &["--take-ownership", "--force-conflicts"]].concat());
    let short = || {
        let name = "jsonpath={.spec.names.shortNames[0]}";
        plane.kubectl_ok(&["get", "crd", "vminstances.vm.zenlayer.com", "-o", name])
    };
    assert_eq!(short(), "older");
    let crd = "crd/vminstances.vm.zenlayer.com";
    plane.kubectl_ok(&["wait", "--for=condition=Established", "--timeout=300s", crd]);
    plane.kubectl_ok(&["apply", "-f", "deploy/examples/vminstances.yaml"]);
    let objects = || {
        let uid = "jsonpath={.items[*].metadata.uid}";
        plane.kubectl_ok(&["get", "vminstances", "--all-namespaces", "-o", uid])
    };
    let before = objects();
    Way::Helm.install(&plane);
    assert_eq!((short().as_str(), objects()), ("zvm", before.clone()));
    helm(&plane, &["rollback", "vm-operator", "--namespace", NAMESPACE]);
    assert_eq!((short().as_str(), objects()), ("older", before));
}
