//! What a scenario cost: calls that the simulator saw, and writes that the API server's audit log
//! holds. And whether it has come to rest: further passes cost nothing but reads.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use zenlayer_vm_operator::api::{
    Change, ChangeKind, ChangeState, HistoryEntry, HistoryOutcome, Phase, VmInstance,
};

use crate::stage::{LIMIT, Rules, Stage, slow_simulation};
use harness::{Operator, eventually, table};

/// Calls that change an instance, in the order in which they are counted.
const MUTATIONS: [&str; 4] =
    ["ModifyInstanceType", "CancelInstanceDowngrade", "StopInstances", "StartInstances"];
/// The read of all machines, which goes on for ever.
const INSTANCE: &str = "DescribeInstances";
/// The read of an instance's plan.
const PLAN: &str = "DescribeInstanceTypeStatus";

/// The actions that are still called at rest.
pub type Reads = &'static [&'static str];
/// Of an object that nothing is to be done about.
pub const LOOKED_AT: Reads = &[INSTANCE];
/// Of one with a plan, or that would be changed if nothing stood in the way.
pub const FOLLOWED: Reads = &[INSTANCE, PLAN];
/// Further reads of all machines after which a scenario is believed to be at rest.
const LOOKS: u64 = 4;
/// The pause between two of them, as the operators of these tests are started.
const LOOK: Duration = Duration::from_secs(1);

/// Reads that are kept for five minutes.
const KEPT: [&str; 2] = ["DescribeZoneInstanceConfigInfos", "InquiryPriceCreateInstance"];

/// What was counted so far, over all objects of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    calls: BTreeMap<String, u64>,
    writes: usize,
}

/// What a scenario is to have cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Paid calls, accepted or not.
    pub paid: u64,
    pub cancels: u64,
    /// Lists of the types on offer that were read.
    pub catalogues: u64,
    /// List prices that were read.
    pub prices: u64,
    pub writes: usize,
}

impl Tally {
    pub async fn of(stage: &Stage) -> Self {
        let log = stage.sim.get("requests").await;
        let counts = log["counts"].as_object().unwrap().iter();
        let sum =
            |codes: &Value| codes.as_object().unwrap().values().filter_map(Value::as_u64).sum();
        let calls = counts.map(|(action, codes)| (action.clone(), sum(codes))).collect();
        Self { calls, writes: status_writes(stage) }
    }

    /// Calls that changed an instance, and status writes.
    pub fn changes(&self) -> ([u64; 4], usize) {
        (MUTATIONS.map(|action| self.count(action)), self.writes)
    }

    fn count(&self, action: &str) -> u64 {
        self.calls.get(action).copied().unwrap_or(0)
    }
}

/// Writes of the status of any object of this stage that the API server accepted.
fn status_writes(stage: &Stage) -> usize {
    let is_write = |line: &Value| {
        line["objectRef"]["resource"] == "vminstances"
            && line["objectRef"]["subresource"] == "status"
            && line["objectRef"]["namespace"] == stage.namespace.as_str()
            && line["verb"] == "update"
            && line["responseStatus"]["code"] == 200
    };
    stage.plane.audit_log_with(&stage.namespace).iter().filter(|line| is_write(line)).count()
}

/// The calls that changed this instance, oldest first, each with what it asked for and the code of
/// its answer: `ModifyInstanceType c.2c4g OK`.
pub async fn mutations(stage: &Stage, instance: &str) -> Vec<String> {
    let log = stage.sim.get("requests").await;
    let requests = log["requests"].as_array().unwrap().iter();
    let of_instance = requests.filter(|one| one["instance"] == instance);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    of_instance
        .filter(|one| MUTATIONS.iter().any(|action| one["action"] == *action))
        .map(|one| {
            let to = text(&one["body"]["instanceTypeId"]);
            let parts = [text(&one["action"]), to, text(&one["code"])];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

/// The scenario is over: it cost what it should, and further looks at its machines change nothing, call
/// nothing, write nothing, and make no other reads than these: of machines one for each look, of plans one
/// for each pass.
pub async fn comes_to_rest(
    stage: &Stage,
    operator: &Operator,
    scenario: &str,
    reads: Reads,
    expected: Cost,
) {
    let objects = async || -> Vec<VmInstance> {
        stage.objects().list(&Default::default()).await.unwrap().items
    };
    let first = objects().await;
    let (began, since) = (operator.passes().await, Instant::now());
    let before = Tally::of(stage).await;
    let count_of_objects = first.len() as f64;
    let all_looks = before.count(INSTANCE) + LOOKS;
    let after = eventually("further reads of all machines", LIMIT, async || {
        let now = Tally::of(stage).await;
        let count = |action: &&&str| now.count(action) > before.count(action);
        let done = now.count(INSTANCE) >= all_looks && reads.iter().all(|one| count(&one));
        // At rest too, each object is looked at now and then.
        let passed = operator.passes().await >= began + count_of_objects;
        if done && passed { Ok(now) } else { Err(format!("{now:?} after {before:?}")) }
    })
    .await;
    let made = operator.passes().await - began;
    let looks = since.elapsed().as_secs_f64() / LOOK.as_secs_f64() + 2.0;
    assert_eq!(shown(&first), shown(&objects().await), "{scenario}: an object was written");
    assert_eq!(before.writes, after.writes, "{scenario}: a status was written");
    for action in after.calls.keys() {
        let further = after.count(action) - before.count(action);
        let most = match (action.as_str(), reads.contains(&action.as_str())) {
            (INSTANCE, _) => (looks + made) * count_of_objects,
            (_, true) => made + count_of_objects,
            (_, false) => 0.0,
        };
        assert!(further as f64 <= most, "{scenario}: {further} further {action} in {made} passes");
    }
    let [paid, cancels, stops, starts] = MUTATIONS.map(|action| after.count(action));
    let [catalogues, prices] = KEPT.map(|action| after.count(action));
    let cost = Cost { paid, cancels, catalogues, prices, writes: after.writes };
    let [instance, plan] = [INSTANCE, PLAN].map(|action| after.count(action));
    // A pass reads the plan once, and once more for a call.
    let all = operator.passes().await;
    assert!(plan as f64 <= 2.0 * all, "{scenario}: {plan} reads of plans in {all} passes");
    let cells = [paid, cancels, instance, plan, catalogues, prices, after.writes as u64];
    let head = ["PAID", "CANCEL", "INSTANCE", "PLAN", "CATALOGUE", "PRICE", "STATUS WRITES"];
    table::show(scenario, &[head.map(str::to_owned), cells.map(|count| count.to_string())]);
    assert_eq!((cost, stops, starts), (expected, 0, 0), "{scenario}");
}

/// Objects with their versions, as a failure shows them.
fn shown(all: &[VmInstance]) -> String {
    let one = |object: &VmInstance| {
        let status = serde_json::to_string_pretty(&object.status).unwrap();
        format!("{:?} {status}", object.metadata.resource_version)
    };
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// What a person writes with kubectl, as `key=value`.
pub fn annotate(stage: &Stage, name: &str, annotation: &str) {
    stage.kubectl(&["annotate", "--overwrite", "zvm", name, annotation]);
}

/// The declared type is another one from now on.
pub async fn declare_instead(stage: &Stage, name: &str, type_id: &str) {
    stage.patch(name, json!({ "spec": { "instanceTypeId": type_id } })).await;
}

/// Waits until a change to this type is seen to run.
pub async fn until_it_runs(stage: &Stage, operator: &Operator, name: &str, to: &str) -> VmInstance {
    let what = format!("is seen to change to {to}");
    stage
        .until(operator, name, &what, |object| {
            let change = object.status.as_ref().and_then(|status| status.change.as_deref());
            let runs = |change: &Change| change.state == ChangeState::Observed && change.to == to;
            phase(object) == Some(Phase::Changing) && change.is_some_and(runs)
        })
        .await
}

/// How long a change takes in [`slow`]: until a test steps the clock by so much. Less than the skew
/// that the operator bears, three times over.
pub const CHANGE: i64 = 60;

/// A simulation in which a change waits for a step of the clock.
pub fn slow(instances: &str) -> String {
    slow_simulation(&format!("{CHANGE}s"), instances)
}

/// A stage with [`slow`].
pub async fn slow_stage(instances: &str) -> Stage {
    Stage::of_world(&slow(instances), &Rules::of_deploy(), &[]).await
}

/// Lets the change to this type run and end.
pub async fn change_runs_and_ends(
    stage: &Stage,
    operator: &Operator,
    name: &str,
    to: &str,
) -> VmInstance {
    until_it_runs(stage, operator, name, to).await;
    stage.sim.advance(CHANGE).await;
    until_in_sync(stage, operator, name).await
}

/// Waits until it is of the declared type, with no change in flight.
pub async fn until_in_sync(stage: &Stage, operator: &Operator, name: &str) -> VmInstance {
    stage.until(operator, name, "is in sync", is_in_sync).await
}

pub fn is_in_sync(object: &VmInstance) -> bool {
    phase(object) == Some(Phase::InSync)
        && object.status.as_ref().is_some_and(|status| status.change.is_none())
}

pub fn phase(object: &VmInstance) -> Option<Phase> {
    object.status.as_ref().and_then(|status| status.phase)
}

/// Kind, target and outcome of each ended change, oldest first.
pub fn history(object: &VmInstance) -> Vec<(ChangeKind, String, HistoryOutcome)> {
    let history = object.status.as_ref().map(|status| status.history.as_slice());
    let entry = |entry: &HistoryEntry| (entry.kind, entry.to.clone(), entry.outcome);
    history.unwrap_or_default().iter().map(entry).collect()
}
