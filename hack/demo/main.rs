//! `make demo`: a real kube-apiserver, the simulator and the operator as processes of their own;
//! three machines are resized, as they would be for a user with kubectl.
//!
//! It ends by itself: status 0 if all three came to their right end. With `KEEP=1` it stays up.

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use harness::{ControlPlane, Operator, Process, Simulator, operator::OperatorOptions, root, table};
use serde_json::Value;

const NAMESPACE: &str = "zenlayer-vm-operator";
/// Far more than a change takes here; reached only by a failure.
const LIMIT: Duration = Duration::from_secs(120);

/// What each object of `deploy/examples/vminstances.yaml` must come to.
const EXPECTED: [(&str, &str, bool); 3] = [
    ("demo-postpaid", "InSync", true),
    ("demo-prepaid", "InSync", true),
    ("demo-series", "Failed", false),
];

#[tokio::main]
async fn main() -> ExitCode {
    let started = Instant::now();
    step(1, "etcd and kube-apiserver");
    let plane = match ControlPlane::start(&[]) {
        Ok(plane) => plane,
        Err(problem) => {
            eprintln!("error: the control plane did not start: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let demo = Demo::set_up(plane).await;
    let watch = demo.resize();
    let closed = demo.settle().await;
    drop(watch);
    let right = closed.is_ok() && demo.closing_table().await;
    if let Err(problem) = &closed {
        eprintln!("error: {problem}\n{}", demo.operator.process.tail());
    }
    println!("\n{} in {} s", verdict(right), started.elapsed().as_secs());
    if right && std::env::var("KEEP").is_ok_and(|keep| keep == "1") {
        demo.keep().await;
    }
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn step(number: u8, what: &str) {
    println!("\n[{number}/5] {what}");
}

fn verdict(right: bool) -> &'static str {
    if right { "demo: as it should be," } else { "demo: NOT as it should be," }
}

struct Demo {
    plane: ControlPlane,
    sim: Simulator,
    operator: Operator,
    before: Vec<Value>,
}

impl Demo {
    async fn set_up(plane: ControlPlane) -> Self {
        step(2, "the operator's CRD, namespace, ServiceAccount and RBAC");
        kubectl(&plane, &["apply", "-k", "deploy/kustomize"]);
        kubectl(
            &plane,
            &["wait", "--for=condition=Established", "crd/vminstances.vm.zenlayer.com"],
        );
        step(3, "the simulated cloud, and the operator with the token of its ServiceAccount");
        let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
        let file = root().join("deploy/examples/simulator.yaml");
        let sim = Simulator::start_file(&file, &[], folder).await;
        println!("zenlayer-sim serves {}", sim.endpoint());
        let token = plane.service_account_token(NAMESPACE, "vm-operator").await;
        let kubeconfig = plane.kubeconfig_for("vm-operator", &token);
        let operator = Operator::start(&OperatorOptions {
            kubeconfig: &kubeconfig,
            endpoint: &sim.endpoint(),
            slot_namespace: NAMESPACE,
            watch_namespace: None,
            arguments: Vec::new(),
            wired: false,
        });
        operator.ready().await;
        println!("vm-operator is ready");
        let before = instances(&sim).await;
        Self { plane, sim, operator, before }
    }

    /// Declares the three types, and shows what happens from then on.
    fn resize(&self) -> Process {
        step(4, "for three machines, another type is declared; the provider will refuse the third");
        kubectl(&self.plane, &["apply", "-f", "deploy/examples/secret.yaml"]);
        kubectl(&self.plane, &["apply", "-f", "deploy/examples/vminstances.yaml"]);
        println!("$ kubectl get zvm -w");
        let command = self.plane.kubectl_command(&["get", "zvm", "-w"]);
        Process::attached("kubectl get -w", command).expect("kubectl can be run")
    }

    async fn settle(&self) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let objects = self.objects();
            let settled = EXPECTED.iter().all(|(name, phase, _)| {
                let object = objects.iter().find(|one| one["metadata"]["name"] == *name);
                object.is_some_and(|object| object["status"]["phase"] == *phase)
            });
            if settled {
                // The watch prints what this loop has seen.
                tokio::time::sleep(Duration::from_millis(300)).await;
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("the objects did not settle in {} s", LIMIT.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn objects(&self) -> Vec<Value> {
        let output = self.plane.kubectl_ok(&["get", "zvm", "-o", "json"]);
        let list: Value = serde_json::from_str(&output).unwrap_or_default();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Status and ledger, side by side. Whether all is as it should be.
    async fn closing_table(&self) -> bool {
        step(5, "what the status says, and what the provider's ledger says");
        let objects = self.objects();
        let after = instances(&self.sim).await;
        let mut rows = vec![
            ["NAME", "PHASE", "BEFORE", "AFTER", "ORDER (STATUS)", "ORDER (LEDGER)", "CALLS"]
                .map(str::to_owned),
        ];
        let mut right = true;
        let mut reasons = Vec::new();
        for (name, phase, ordered) in EXPECTED {
            let object = objects.iter().find(|one| one["metadata"]["name"] == name);
            let status = object.map(|object| object["status"].clone()).unwrap_or_default();
            let orders = self.sim.orders(name).await;
            let ledger: Vec<String> =
                orders.iter().map(|order| text(&order["orderNumber"])).collect();
            let calls = self.sim.calls("ModifyInstanceType", name).await.len();
            let number = text(&status["orderNumber"]);
            right &= status["phase"] == phase && calls == 1;
            right &= if ordered { ledger == [number.clone()] } else { ledger.is_empty() };
            if !ordered {
                reasons.push(format!("{name}: {}", ready_message(&status)));
            }
            rows.push([
                name.to_owned(),
                text(&status["phase"]),
                type_of(&self.before, name),
                type_of(&after, name),
                number,
                if ledger.is_empty() { "-".to_owned() } else { ledger.join(" ") },
                calls.to_string(),
            ]);
        }
        println!("{}", table::aligned(&rows));
        println!();
        reasons.iter().for_each(|reason| println!("{reason}"));
        right
    }

    /// Stays up until Ctrl-C.
    async fn keep(&self) {
        let kubeconfig = std::path::absolute("target/demo.kubeconfig").unwrap_or_default();
        if let Err(error) = linked(self.plane.kubeconfig(), &kubeconfig) {
            eprintln!("error: cannot write {}: {error}", kubeconfig.display());
        }
        let kubeconfig = kubeconfig.display();
        println!(
            "\nIt stays up until Ctrl-C. In another terminal:\n\n  \
             export KUBECONFIG={kubeconfig}\n  \
             kubectl get zvm -o wide\n  \
             kubectl patch zvm demo-postpaid --type merge -p '{{\"spec\":{{\"instanceTypeId\":\"c.4c8g\"}}}}'\n  \
             kubectl describe zvm demo-postpaid\n  \
             curl {sim}/control/ledger\n  \
             curl {operator}/metrics\n",
            sim = self.sim.endpoint(),
            operator = self.operator.url(),
        );
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("error: cannot listen for Ctrl-C: {error}");
        }
    }
}

/// A place that is the same for each run, as long as this one is up.
fn linked(kubeconfig: &Path, place: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all("target")?;
    if place.is_symlink() {
        std::fs::remove_file(place)?;
    }
    std::os::unix::fs::symlink(kubeconfig, place)
}

/// Runs kubectl as a user would, with the command shown.
fn kubectl(plane: &ControlPlane, arguments: &[&str]) {
    println!("$ kubectl {}", arguments.join(" "));
    let status = plane.kubectl_command(arguments).current_dir(root()).status();
    let status = status.expect("kubectl can be run");
    assert!(status.success(), "kubectl {arguments:?} failed; its message stands above");
}

async fn instances(sim: &Simulator) -> Vec<Value> {
    sim.get("instances").await["instances"].as_array().cloned().unwrap_or_default()
}

fn type_of(instances: &[Value], id: &str) -> String {
    instances.iter().find(|one| one["id"] == id).map_or_else(String::new, |one| text(&one["type"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn ready_message(status: &Value) -> String {
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().find(|one| one["type"] == "Ready");
    ready.map_or_else(String::new, |ready| {
        format!("{}: {}", text(&ready["reason"]), text(&ready["message"]))
    })
}
