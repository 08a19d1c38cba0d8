//! A bad commit changes 500 objects at once: the order limit holds, says so on each of them, and
//! is not forgotten by a restart. A person raises it, and the rest go on.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use serde_json::json;
use zenlayer_vm_operator::api::{Phase, Strategy, VmInstance};

use crate::{
    lab::Lab,
    stage::{ONE_POSTPAID, Rules, Stage, message, shown, simulation},
};
use harness::{Operator, eventually, table};

const OBJECTS: usize = 500;
const LIMIT: usize = 100;
/// Reached only by a failure.
const LONG: Duration = Duration::from_secs(240);

fn name(index: usize) -> String {
    format!("vm-{index:03}")
}

fn operator(stage: &Stage, limit: usize) -> Operator {
    let limit = limit.to_string();
    let pace = ["--requests-per-second", "1000", "--testing-poll", "10s"];
    // All of them are in one namespace, and its own limit is not what is shown here.
    let limits = ["--max-orders-per-hour", &limit, "--max-orders-per-namespace-per-hour", "500"];
    stage.operator(&[&pace[..], &limits].concat())
}

async fn all(stage: &Stage) -> Vec<VmInstance> {
    stage.objects().list(&Default::default()).await.unwrap().items
}

/// Waits until so many objects show this reason.
async fn until_shown(stage: &Stage, operator: &Operator, count: usize, ready: &str) {
    eventually(&format!("{count} objects show {ready}"), LONG, async || {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for object in all(stage).await {
            let current = object.status.as_ref().unwrap().observed_generation;
            if current == object.metadata.generation {
                *seen.entry(shown(&object, "Ready")).or_default() += 1;
            }
        }
        if seen.get(ready) == Some(&count) {
            return Ok(());
        }
        // Not too often: each answer is some megabytes.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        Err(format!("{seen:?}\n{}", operator.process.tail()))
    })
    .await;
}

async fn orders(stage: &Stage) -> BTreeMap<String, usize> {
    let ledger = stage.sim.get("ledger").await;
    let mut orders = BTreeMap::new();
    for order in ledger["orders"].as_array().unwrap() {
        *orders.entry(order["instanceId"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    orders
}

async fn events_of(stage: &Stage, reason: &str) -> usize {
    stage.events().await.iter().filter(|(of, _)| of == reason).count()
}

struct Row<'a> {
    operator: &'a Operator,
    started: Instant,
    what: &'a str,
}

/// What one process did, for the table.
async fn row(stage: &Stage, row: Row<'_>) -> [String; 6] {
    let Row { operator, started, what } = row;
    let count = async |metric: &str| format!("{:.0}", operator.metric(metric).await + 0.0);
    [
        what.to_owned(),
        format!("{:.1} s", started.elapsed().as_secs_f64()),
        orders(stage).await.len().to_string(),
        count("zenlayer_vm_paid_calls_total").await,
        count("zenlayer_vm_status_writes_total").await,
        count("zenlayer_vm_orders_held_back_total").await,
    ]
}

#[tokio::test]
async fn a_bad_commit_to_500_objects_is_held_at_the_limit_over_a_restart_until_it_is_raised() {
    let _permit = harness::permit::heavy().await;
    let instance =
        |index| format!("  - {{ id: {}, type: c.1c2g, chargeType: POSTPAID }}\n", name(index));
    let instances: String = (0..OBJECTS).map(instance).collect();
    let stage = Stage::of_world(&simulation(&instances), &Rules::of_deploy(), &[]).await;
    let head = ["PROCESS", "TIME", "ORDERS", "PAID CALLS", "STATUS WRITES", "HELD BACK"];
    let mut rows = vec![head.map(str::to_owned)];

    let mut first = operator(&stage, LIMIT);
    first.ready().await;
    let started = Instant::now();
    stream::iter(0..OBJECTS)
        .for_each_concurrent(16, async |index| {
            let id = name(index);
            stage.create(&id, json!({ "instanceId": id, "instanceTypeId": "c.1c2g" })).await;
        })
        .await;
    until_shown(&stage, &first, OBJECTS, "True InSync").await;
    rows.push(row(&stage, Row { operator: &first, started, what: "500 objects in sync" }).await);

    let started = Instant::now();
    stream::iter(0..OBJECTS)
        .for_each_concurrent(16, async |index| {
            stage.patch(&name(index), json!({ "spec": { "instanceTypeId": "c.2c4g" } })).await;
        })
        .await;
    until_shown(&stage, &first, OBJECTS - LIMIT, "False OrderLimitReached").await;
    until_shown(&stage, &first, LIMIT, "True InSync").await;
    rows.push(row(&stage, Row { operator: &first, started, what: "limit 100" }).await);
    assert_eq!(orders(&stage).await.len(), LIMIT);
    for object in all(&stage).await.iter().filter(|one| shown(one, "InSync") != "True InSync") {
        let text = message(object);
        assert_eq!(object.status.as_ref().unwrap().phase, Some(Phase::Waiting), "{text}");
        for words in [
            "the limit of 100 orders per hour",
            "--max-orders-per-hour",
            "the next order is possible after 20",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }
    let held = OBJECTS - LIMIT;
    eventually("an event on each", LONG, async || {
        let told = events_of(&stage, "OrderLimitReached").await;
        if told == held { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
    assert_eq!(first.metric("zenlayer_vm_orders_within_the_hour").await, 100.0);
    assert_eq!(first.metric("zenlayer_vm_max_orders_per_hour").await, 100.0);
    assert_eq!(first.metric("zenlayer_vm_orders_held_back_total").await, 400.0);

    // A restart forgets nothing: each object is looked at again, and none is ordered.
    first.process.kill();
    let mut second = operator(&stage, LIMIT);
    let started = Instant::now();
    second.ready().await;
    eventually("a pass over each object", LONG, async || {
        let passes = second.metric("zenlayer_vm_reconciles_total").await;
        if passes >= 500.0 { Ok(()) } else { Err(passes.to_string()) }
    })
    .await;
    rows.push(row(&stage, Row { operator: &second, started, what: "restarted" }).await);
    assert_eq!(second.metric("zenlayer_vm_paid_calls_total").await, 0.0);
    assert_eq!(second.metric("zenlayer_vm_status_writes_total").await, 0.0);
    assert_eq!(second.metric("zenlayer_vm_orders_within_the_hour").await, 100.0);
    assert_eq!(events_of(&stage, "OrderLimitReached").await, held, "told again after a restart");

    second.process.kill();
    let third = operator(&stage, 1000);
    let started = Instant::now();
    third.ready().await;
    until_shown(&stage, &third, OBJECTS, "True InSync").await;
    rows.push(row(&stage, Row { operator: &third, started, what: "limit 1000" }).await);
    let orders = orders(&stage).await;
    assert_eq!(orders.len(), OBJECTS);
    assert!(orders.values().all(|count| *count == 1), "{orders:?}");
    assert_eq!(third.metric("zenlayer_vm_paid_calls_total").await, 400.0);
    table::show("A bad commit changes 500 objects", &rows);
}

/// How an operator is started after its objects were restored from a backup (`docs/howto.md`).
#[tokio::test]
async fn with_a_limit_of_0_nothing_is_ordered_until_it_is_raised() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let mut first = stage.operator(&["--max-orders-per-hour", "0"]);
    stage.declare("c.2c4g").await;
    let object = stage.until_phase(&first, "vm-1", Phase::Waiting).await;
    assert_eq!(shown(&object, "Ready"), "False NamespaceOrderLimitReached");
    first.further_passes(2.0).await;
    assert!(stage.sim.calls("ModifyInstanceType", "vm-1").await.is_empty());
    first.process.kill();
    let second = stage.operator(&[]);
    stage.until_phase(&second, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.orders("vm-1").await.len(), 1);
}

/// A machine is only stopped for a change that may be ordered then. Under virtual time.
#[tokio::test]
async fn a_machine_is_not_stopped_for_an_order_that_the_limit_holds_back() {
    const MACHINES: usize = 7;
    let mut lab = Lab::limited(MACHINES, 2).await;
    let names: Vec<String> = (0..MACHINES).map(|index| format!("vm-{index}")).collect();
    for name in &names {
        lab.store.edit(name, |object| object.spec.strategy = Strategy::StopFirst);
    }
    lab.pass_time(Duration::from_secs(50 * 60)).await;
    let phases = |lab: &Lab| {
        let mut seen: HashMap<Phase, usize> = HashMap::new();
        for name in &names {
            let status = lab.store.get(name).status.unwrap();
            *seen.entry(status.phase.unwrap()).or_default() += 1;
        }
        seen
    };
    assert_eq!(phases(&lab), HashMap::from([(Phase::InSync, 2), (Phase::Waiting, 5)]));
    let count = |lab: &Lab, action: &str| -> usize {
        names.iter().map(|name| lab.calls_of(name, action)).sum()
    };
    for action in ["ModifyInstanceType", "StopInstances", "StartInstances"] {
        assert_eq!(count(&lab, action), 2, "{action}");
    }
    // Each hour lets two more go on, each stopped once.
    lab.pass_time(Duration::from_secs(4 * 3600)).await;
    assert_eq!(phases(&lab), HashMap::from([(Phase::InSync, MACHINES)]));
    for action in ["ModifyInstanceType", "StopInstances", "StartInstances"] {
        assert_eq!(count(&lab, action), MACHINES, "{action}");
    }
}
