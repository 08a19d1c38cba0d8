//! Many instances side by side under one operator, and what each of them has cost.
//!
//! Each has an object and a credential of its own: orders of one credential take turns, and share one
//! rate limit.

use serde_json::{Value, json};
use zenlayer_vm_operator::api::VmInstance;

use crate::stage::{LIMIT, Rules, Stage};
use harness::{Operator, eventually, simulator::KEY_PASSWORD};

/// The operator's side of short times: a fence of 8 s.
pub const SHORT: &[&str] = &[
    "--testing-signature-life",
    "6s",
    "--testing-settle-margin",
    "2s",
    "--log-filter",
    "warn,vm_operator=info,zenlayer_vm_operator=info",
];
/// The simulator's side.
pub const SIM_SHORT: &[&str] = &["--signature-life", "6"];

/// The points at every effect of a call of this kind, in their order: slot, intent, call, answer, status,
/// and the slot once more.
pub fn effects(kind: &str) -> Vec<String> {
    let call = ["before-slot", "after-slot", "after-intent", "before-call", "after-call"];
    let answer = ["after-answer", "before-publish", "after-publish"];
    let end = ["before-close", "after-close"];
    let point = |effect: &&str| match effect.ends_with("publish") {
        true => format!("{effect}-{kind}-accepted"),
        false => format!("{effect}-{kind}"),
    };
    [&call[..], &answer, &end].concat().iter().map(point).collect()
}

/// Short times of everything that the simulator does by itself.
pub const QUICK: &str =
    "processingTime: 1s\ndurations: { stop: 1s, boot: 1s, reboot: 1s, imaging: 1s }\n";

/// A running POSTPAID instance of type c.1c2g.
pub fn postpaid(name: &str) -> String {
    format!("  - {{ id: {name}, type: c.1c2g, chargeType: POSTPAID }}\n")
}

/// A PREPAID one.
pub fn prepaid(name: &str) -> String {
    format!(
        "  - {{ id: {name}, type: c.1c2g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }}\n"
    )
}

fn key(index: usize) -> String {
    format!("AKIDSIM{index:013}")
}

/// A stage with these instances (name, YAML list item), a Secret `key-NAME` for each, and further
/// fields of the simulation.
pub async fn crowd(instances: &[(&str, String)], fields: &str) -> Stage {
    crowd_with(instances, fields, SIM_SHORT).await
}

/// The same, with these arguments of the simulator.
pub async fn crowd_with(
    instances: &[(&str, String)],
    fields: &str,
    sim_arguments: &[&str],
) -> Stage {
    let mut world = "credentials:\n".to_owned();
    for index in 0..instances.len() {
        world +=
            &format!("  - accessKeyId: {}\n    accessKeyPassword: {KEY_PASSWORD}\n", key(index));
    }
    world += "instances:\n";
    world.extend(instances.iter().map(|(_, item)| item.as_str()));
    world += fields;
    let stage = Stage::of_world(&world, &Rules::of_deploy(), sim_arguments).await;
    for (index, (name, _)) in instances.iter().enumerate() {
        let data = json!({ "accessKeyId": key(index), "accessKeyPassword": KEY_PASSWORD });
        stage.secret(&format!("key-{name}"), data).await;
    }
    stage
}

/// Declares an instance of the crowd by an object of the same name; `more` are further fields of
/// its spec.
pub async fn declare(stage: &Stage, name: &str, type_id: &str, more: Value) -> VmInstance {
    let mut spec = json!({
        "instanceId": name, "instanceTypeId": type_id,
        "credentials": { "secretRef": { "name": format!("key-{name}") } },
    });
    let more = more.as_object().expect("fields of a spec").clone();
    spec.as_object_mut().expect("a spec").extend(more);
    stage.create(name, spec).await
}

/// What one object has cost: the calls at the provider by the code of their answer, and the writes
/// of its status at the API server.
#[derive(Debug, PartialEq)]
pub struct Cost {
    pub modify: Vec<String>,
    pub cancel: Vec<String>,
    pub stop: Vec<String>,
    pub start: Vec<String>,
    /// DescribeInstances.
    pub looks: usize,
    /// DescribeInstanceTypeStatus.
    pub plans: usize,
    pub status_writes: usize,
}

impl Cost {
    pub async fn of(stage: &Stage, name: &str) -> Self {
        Self::of_all(stage, &[name]).await.remove(0)
    }

    /// One for each name, from one reading of the logs.
    pub async fn of_all(stage: &Stage, names: &[&str]) -> Vec<Self> {
        let log = stage.sim.get("requests").await;
        let requests = log["requests"].as_array().expect("a log is a list");
        let audit = stage.plane.audit_log_with(&stage.namespace);
        let cost = |name: &&str| {
            let codes = |action: &str| -> Vec<String> {
                let of = |one: &&Value| one["action"] == action && one["instance"] == *name;
                let code = |one: &Value| one["code"].as_str().unwrap_or_default().to_owned();
                requests.iter().filter(of).map(code).collect()
            };
            let written = |line: &&Value| {
                let object = &line["objectRef"];
                object["resource"] == "vminstances"
                    && object["subresource"] == "status"
                    && object["namespace"] == stage.namespace.as_str()
                    && object["name"] == *name
                    && line["responseStatus"]["code"] == 200
            };
            Self {
                modify: codes("ModifyInstanceType"),
                cancel: codes("CancelInstanceDowngrade"),
                stop: codes("StopInstances"),
                start: codes("StartInstances"),
                looks: requests.iter().filter(|one| shows(one, name)).count(),
                plans: codes("DescribeInstanceTypeStatus").len(),
                status_writes: audit.iter().filter(written).count(),
            }
        };
        names.iter().map(cost).collect()
    }

    /// Calls that change the instance, and writes: what another pass at rest has none of.
    fn effects(&self) -> (Vec<&Vec<String>>, usize) {
        let calls = vec![&self.modify, &self.cancel, &self.stop, &self.start];
        (calls, self.status_writes)
    }
}

/// Proves that each of these objects is at rest: after a pass in which the last word is said, two
/// further looks at it lead to no call and to no write. Gives what each has cost.
pub async fn rest(stage: &Stage, operator: &Operator, names: &[&str]) -> Vec<Cost> {
    looked_at_again(stage, operator, names).await;
    let before = Cost::of_all(stage, names).await;
    looked_at_again(stage, operator, names).await;
    let after = Cost::of_all(stage, names).await;
    for ((name, before), after) in names.iter().zip(&before).zip(&after) {
        assert_eq!(before.effects(), after.effects(), "{name} is not at rest");
    }
    after
}

/// Whether this is a read of the machine, alone or among others.
fn shows(request: &Value, name: &str) -> bool {
    let ids = request["body"]["instanceIds"].as_array().into_iter().flatten();
    request["action"] == "DescribeInstances" && ids.into_iter().any(|id| id == name)
}

/// Waits until the machine of each of these objects was read three times more.
async fn looked_at_again(stage: &Stage, operator: &Operator, names: &[&str]) {
    let looks = async |name: &str| {
        let log = stage.sim.get("requests?action=DescribeInstances").await;
        let requests = log["requests"].as_array().expect("a log is a list").iter();
        requests.filter(|one| shows(one, name)).count()
    };
    let mut before = Vec::new();
    for name in names {
        before.push(looks(name).await);
    }
    for (name, before) in names.iter().zip(before) {
        eventually(&format!("further looks at {name}"), LIMIT, async || {
            let now = looks(name).await;
            if now >= before + 3 { Ok(()) } else { Err(operator.process.tail()) }
        })
        .await;
    }
}

/// State of an instance by the provider.
pub async fn power(stage: &Stage, name: &str) -> String {
    let world = stage.sim.get("instances").await;
    let instances = world["instances"].as_array().expect("a list").iter();
    let mut found = instances.filter(|one| one["id"] == name);
    found.next().and_then(|one| one["state"].as_str()).unwrap_or("gone").to_owned()
}
