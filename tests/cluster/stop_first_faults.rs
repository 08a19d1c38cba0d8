//! StopFirst under faults: the process is killed at every effect of the sequence, and each of its calls
//! goes wrong once. The machine ends in the power state that it had, with one order.

use futures::future::join_all;
use serde_json::{Value, json};
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::{
    crowd::{Cost, QUICK, SHORT, crowd, declare, postpaid, power, rest},
    stage::{Stage, shown},
    stop_first::{annotate, later, until_another_stop, until_restored},
};
use harness::{Operator, table, wire::Select};

/// Where a process is killed.
struct Point {
    /// Also of the instance.
    name: String,
    /// What is held; `harness::wire` says which names there are.
    held: String,
    /// Which of the three calls it belongs to.
    call: usize,
    /// What goes wrong before.
    fault: Option<Value>,
}

const CALLS: [(&str, &str, &str); 3] = [
    ("stop", "StopInstances", "OPERATION_DENIED_INSTANCE_NOT_RUNNING"),
    ("modify", "ModifyInstanceType", "UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
    ("start", "StartInstances", "OPERATION_DENIED_INSTANCE_NOT_STOPPED"),
];

/// Each effect of the sequence: slot, intent, call, answer, status, for each of the three calls.
fn effects() -> Vec<Point> {
    let mut points = Vec::new();
    let mut at = |held: String, call| {
        points.push(Point { name: held.clone(), held, call, fault: None });
    };
    for (call, (kind, ..)) in CALLS.iter().enumerate() {
        crate::crowd::effects(kind).into_iter().for_each(|effect| at(effect, call));
        at(format!("after-publish-{kind}-ended"), call);
    }
    at("before-forget".to_owned(), 2);
    at("after-forget".to_owned(), 2);
    for (call, (kind, action, code)) in CALLS.iter().enumerate() {
        for held in ["before-return", "after-return"] {
            let fault = json!({ "action": action, "kind": "error", "code": code });
            let name = format!("{held}-{kind}");
            points.push(Point { name, held: held.to_owned(), call, fault: Some(fault) });
        }
    }
    points
}

/// Brings an instance to each point. Those with the longest way start first, so that nothing is held
/// for long: a pass ends after 150 s, whatever it waits for.
async fn bring_to(stage: &Stage, operator: &Operator, points: &[Point]) {
    let of_call = |call: usize| points.iter().filter(move |point| point.call == call);
    let mut held = Vec::new();
    for call in [2, 1, 0] {
        for Point { name, held: point, fault, .. } in of_call(call) {
            if let Some(fault) = fault {
                let mut fault = fault.clone();
                fault["instance"] = name.as_str().into();
                stage.sim.fault(fault).await;
            }
            held.push(operator.wire().hold(&format!("{point}.{name}")));
            declare(stage, name, "c.2c4g", json!({ "strategy": "StopFirst" })).await;
        }
        // The next ones have one call less to go.
        if let Some(first) = of_call(call).next().filter(|_| call > 0) {
            let stopped = Select::named("publish-stop-ended").instance(&first.name);
            operator.wire().answered(&stopped, 1).await;
        }
    }
    for hold in &held {
        hold.reached().await;
    }
}

/// All objects are in one namespace, and some of them order twice.
const MANY: &[&str] =
    &["--max-orders-per-hour", "500", "--max-orders-per-namespace-per-hour", "500"];

/// One process carries an instance to each point and is killed once. The next one finds the spec
/// as it was, or with this edit. Gives power state and orders at the kill, and the cost.
async fn killed_at_every_effect(
    edit: Option<Value>,
) -> (Stage, Vec<(String, String, usize, Cost)>) {
    let _permit = harness::permit::heavy().await;
    let points = effects();
    let names: Vec<&str> = points.iter().map(|point| point.name.as_str()).collect();
    let instances: Vec<_> = names.iter().map(|name| (*name, postpaid(name))).collect();
    let stage = crowd(&instances, QUICK).await;
    // A pass that is held takes the place of another one.
    let mut first = stage.operator_on_a_wire(&[SHORT, MANY, &["--concurrency", "64"]].concat());
    first.ready().await;
    bring_to(&stage, &first, &points).await;
    first.process.kill();
    let mut at_the_kill = Vec::new();
    for name in &names {
        at_the_kill.push((power(&stage, name).await, stage.sim.orders(name).await.len()));
        if let Some(edit) = &edit {
            stage.patch(name, json!({ "spec": edit })).await;
        }
    }
    let second = stage.operator(&[SHORT, MANY].concat());
    for name in &names {
        until_restored(&stage, &second, name).await;
    }
    let costs = rest(&stage, &second, &names).await;
    let found = names.iter().zip(at_the_kill).zip(costs);
    let ends = found
        .map(|((name, (power, orders)), cost)| ((*name).to_owned(), power, orders, cost))
        .collect();
    (stage, ends)
}

#[tokio::test]
async fn killed_at_every_effect_the_machine_runs_again_and_one_order_stands() {
    let (stage, ends) = killed_at_every_effect(None).await;
    let head = ["KILLED", "POWER", "ORDERS", "AT THE END", "ORDERS", "STOPS", "STARTS", "WRITES"];
    let mut rows = vec![head.map(str::to_owned)];
    for (name, before, orders, cost) in &ends {
        let state = power(&stage, name).await;
        let ordered = stage.sim.orders(name).await.len();
        rows.push([
            name.clone(),
            before.clone(),
            orders.to_string(),
            state.clone(),
            ordered.to_string(),
            accepted(&cost.stop),
            accepted(&cost.start),
            cost.status_writes.to_string(),
        ]);
        assert_eq!(ordered, 1, "{name}: {cost:?}");
        assert_eq!(state, "RUNNING", "{name}: {cost:?}");
        let made = [&cost.modify, &cost.stop, &cost.start].map(|calls| done(calls));
        assert_eq!(made, [1, 1, 1], "{name}: {cost:?}");
        assert!(cost.status_writes <= 24, "{name}: {cost:?}");
    }
    table::show("StopFirst, killed at every effect", &rows);
    assert!(ends.len() >= 12);
}

/// The spec wants neither the change nor the strategy any more when the next process starts.
#[tokio::test]
async fn killed_at_every_effect_and_set_back_the_machine_runs_again_with_the_type_that_it_had() {
    let edit = json!({ "instanceTypeId": "c.1c2g", "strategy": null });
    let (stage, ends) = killed_at_every_effect(Some(edit)).await;
    for (name, before, orders, cost) in &ends {
        assert_eq!(power(&stage, name).await, "RUNNING", "{name}: {cost:?}");
        // What was ordered by then is taken back by a second order; nothing else is.
        assert_eq!(stage.sim.orders(name).await.len(), 2 * orders, "{name}: {cost:?}");
        let stopped = usize::from(before == "STOPPED" || *orders == 1);
        assert_eq!([&cost.stop, &cost.start].map(|calls| done(calls)), [stopped; 2], "{name}");
    }
}

/// How one call of the sequence goes wrong, once.
struct Row {
    name: String,
    fault: Value,
    /// Nothing but a person's word makes the operator go on.
    asks: bool,
}

/// Each call that changes the instance, refused in every way.
fn refused_calls() -> Vec<Row> {
    let mut rows = Vec::new();
    for (kind, action, busy) in CALLS {
        let stop_or_modify = kind != "start";
        let ways = [
            ("busy", json!({ "kind": "error", "code": busy }), false),
            ("limited", json!({ "kind": "error", "code": "REQUEST_LIMIT_EXCEEDED" }), false),
            (
                "terminal",
                json!({ "kind": "error", "code": "INVALID_PARAMETER_VALUE" }),
                stop_or_modify,
            ),
            (
                "unknown",
                json!({ "kind": "error", "code": "NEVER_HEARD_OF", "status": 400 }),
                stop_or_modify,
            ),
            ("reset", json!({ "kind": "dropBefore" }), false),
            ("lost", json!({ "kind": "dropAfter" }), false),
            ("failed", json!({ "kind": "page", "page": "badGateway" }), false),
            ("done-502", json!({ "kind": "page", "page": "badGateway", "effect": true }), false),
        ];
        for (way, mut fault, asks) in ways {
            fault["action"] = action.into();
            rows.push(Row { name: format!("{kind}-{way}"), fault, asks });
        }
    }
    rows
}

/// Reads of the sequence that fail, or are refused.
fn refused_reads() -> Vec<Row> {
    let mut rows = Vec::new();
    for (action, short, nths) in [
        ("DescribeInstances", "look", [1, 2, 4, 6, 8]),
        ("DescribeInstanceTypeStatus", "plan", [1, 2, 3, 5, 7]),
    ] {
        for nth in nths {
            // Three times, because the client repeats a read that fails.
            let fault = json!({
                "kind": "error", "code": "SERVICE_TEMPORARY_UNAVAILABLE", "action": action,
                "nth": nth, "times": 3,
            });
            rows.push(Row { name: format!("{short}-{nth}-down"), fault, asks: false });
        }
        let fault = json!({
            "kind": "error", "code": "NEVER_HEARD_OF", "status": 400, "action": action, "nth": 5,
        });
        rows.push(Row { name: format!("{short}-5-unknown"), fault, asks: true });
    }
    rows
}

#[tokio::test]
async fn with_each_call_refused_once_the_machine_runs_again_and_one_order_stands() {
    refused_once("StopFirst, each call refused once", &refused_calls()).await;
}

#[tokio::test]
async fn with_each_read_refused_once_the_machine_runs_again_and_one_order_stands() {
    refused_once("StopFirst, each read refused once", &refused_reads()).await;
}

/// Their machine was stopped, and runs again without its change before a person says a word.
const STOPPED_TWICE: [&str; 2] = ["modify-terminal", "modify-unknown"];

async fn refused_once(title: &str, rows: &[Row]) {
    let _permit = harness::permit::heavy().await;
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let instances: Vec<_> = names.iter().map(|name| (*name, postpaid(name))).collect();
    let stage = crowd(&instances, QUICK).await;
    for Row { name, fault, .. } in rows {
        let mut fault = fault.clone();
        fault["instance"] = name.as_str().into();
        stage.sim.fault(fault).await;
    }
    let mut operator = stage.operator(SHORT);
    operator.ready().await;
    for name in &names {
        declare(&stage, name, "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    }
    let asked = rows.iter().map(|row| a_person_is_asked(&stage, &operator, row));
    let asked: Vec<String> = join_all(asked).await;
    // A machine that ran again without its change is not stopped once more in the same minute.
    let twice: Vec<&str> =
        names.iter().copied().filter(|name| STOPPED_TWICE.contains(name)).collect();
    for name in &twice {
        until_another_stop(&stage, &operator, name).await;
        assert_eq!(power(&stage, name).await, "RUNNING", "{name}");
    }
    if !twice.is_empty() {
        for name in names.iter().filter(|name| !twice.contains(name)) {
            until_restored(&stage, &operator, name).await;
        }
        operator.process.kill();
        operator = later(&stage, SHORT).await;
    }
    for name in &names {
        until_restored(&stage, &operator, name).await;
    }
    let costs = rest(&stage, &operator, &names).await;
    let mut table = vec![
        ["REFUSED ONCE", "A PERSON IS ASKED", "AT THE END", "ORDERS", "STOPS", "STARTS", "WRITES"]
            .map(str::to_owned),
    ];
    for ((name, cost), asked) in names.iter().zip(&costs).zip(asked) {
        let state = power(&stage, name).await;
        let ordered = stage.sim.orders(name).await.len();
        table.push([
            (*name).to_owned(),
            asked,
            state.clone(),
            ordered.to_string(),
            accepted(&cost.stop),
            accepted(&cost.start),
            cost.status_writes.to_string(),
        ]);
        assert_eq!(ordered, 1, "{name}: {cost:?}");
        assert_eq!(state, "RUNNING", "{name}: {cost:?}");
    }
    table::show(title, &table);
    for (name, Cost { stop, start, .. }) in names.iter().zip(&costs) {
        let twice = usize::from(twice.contains(name));
        assert!(done(stop) <= 1 + twice && done(start) <= 1 + twice, "{name}: {stop:?} {start:?}");
    }
}

/// Waits until nothing but a person's word makes the operator go on, and gives it. Tells the reason.
async fn a_person_is_asked(stage: &Stage, operator: &Operator, row: &Row) -> String {
    let Row { name, asks, .. } = row;
    if !asks {
        return String::new();
    }
    // A refused read says nothing of the machine; else it runs, whatever was refused.
    let of_a_read = name.contains("-5-");
    let failed = |object: &VmInstance| {
        let status = object.status.as_ref().unwrap();
        status.phase == Some(Phase::Failed) && (of_a_read || status.power.restore.is_none())
    };
    let object = stage.until(operator, name, "has failed, and runs", failed).await;
    let reason = if name.ends_with("-unknown") { "RefusedByProvider" } else { "RequestInvalid" };
    assert_eq!(shown(&object, "Ready"), format!("False {reason}"), "{name}");
    if !of_a_read {
        assert_eq!(power(stage, name).await, "RUNNING", "{name}");
    }
    annotate(stage, name, "requested-at", "2026-01-01T00:00:00Z").await;
    reason.to_owned()
}

/// How many of these calls were accepted.
fn done(calls: &[String]) -> usize {
    calls.iter().filter(|code| *code == "OK").count()
}

/// The same, and how many were made.
fn accepted(calls: &[String]) -> String {
    let done = done(calls);
    if done == calls.len() { done.to_string() } else { format!("{done} of {}", calls.len()) }
}

/// A read that is refused for good while the machine is off is made again all the same.
#[tokio::test]
async fn one_read_that_is_refused_for_good_leaves_no_machine_stopped() {
    let codes = [
        ("permission", "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
        ("signature", "AUTHFAILURE_SIGNATURE_FAILURE"),
        ("parameter", "INVALID_PARAMETER_VALUE"),
    ];
    let instances: Vec<_> = codes.iter().map(|(name, _)| (*name, postpaid(name))).collect();
    let stage = crowd(&instances, QUICK).await;
    let operator = stage.operator_on_a_wire(SHORT);
    operator.ready().await;
    let mut held = Vec::new();
    for (name, _) in codes {
        held.push(operator.wire().hold(&format!("after-publish-stop-ended.{name}")));
        declare(&stage, name, "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    }
    for ((name, code), hold) in codes.iter().zip(&held) {
        hold.reached().await;
        let fault = json!({
            "action": "DescribeInstances", "kind": "error", "code": code, "instance": name,
        });
        stage.sim.fault(fault).await;
        hold.release();
    }
    for (name, _) in codes {
        until_restored(&stage, &operator, name).await;
        assert_eq!(power(&stage, name).await, "RUNNING", "{name}");
        assert_eq!(stage.sim.orders(name).await.len(), 1, "{name}");
    }
}

/// The stop is refused, because a person was faster; the process dies before it writes that down.
#[tokio::test]
async fn a_machine_that_a_person_stopped_stays_stopped_where_our_stop_was_refused() {
    let stage = crowd(&[("a", postpaid("a"))], QUICK).await;
    let mut first = stage.operator_on_a_wire(SHORT);
    first.ready().await;
    let stop = first.wire().hold("before-call-stop.a");
    declare(&stage, "a", "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    stop.reached().await;
    let returned = first.wire().hold("after-return.a");
    stage.sim.change_instance("a", json!({ "state": "STOPPED" })).await;
    stop.release();
    returned.reached().await;
    first.process.kill();
    let second = stage.operator(SHORT);
    until_restored(&stage, &second, "a").await;
    let cost = rest(&stage, &second, &["a"]).await.remove(0);
    assert_eq!((done(&cost.stop), done(&cost.start)), (0, 0), "{cost:?}");
    assert_eq!(power(&stage, "a").await, "STOPPED");
}

/// The start beside a change that turned out to wait for its cycle: its slot was taken, and no
/// intent left.
#[tokio::test]
async fn killed_between_slot_and_intent_of_a_start_beside_a_scheduled_change_the_machine_runs_again()
 {
    let machine =
        "  - { id: a, type: c.4c8g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }\n";
    let stage = crowd(&[("a", machine.to_owned())], QUICK).await;
    let unknown = json!({
        "action": "InquiryPriceCreateInstance", "kind": "error", "code": "INVALID_ZONE_NOT_FOUND",
        "times": "always",
    });
    stage.sim.fault(unknown).await;
    let mut first = stage.operator_on_a_wire(SHORT);
    first.ready().await;
    let taken = first.wire().hold("after-slot-start.a");
    declare(&stage, "a", "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    taken.reached().await;
    first.process.kill();
    let second = stage.operator(SHORT);
    let runs = |object: &VmInstance| {
        let status = object.status.as_ref().unwrap();
        status.phase == Some(Phase::Scheduled) && status.power.restore.is_none()
    };
    stage.until(&second, "a", "runs, and is scheduled", runs).await;
    let cost = rest(&stage, &second, &["a"]).await.remove(0);
    assert_eq!((done(&cost.modify), done(&cost.start)), (1, 1), "{cost:?}");
    assert_eq!(power(&stage, "a").await, "RUNNING");
}
