//! Strategy StopFirst: the machine is stopped gracefully, changed and started again, and whatever
//! happens on the way it ends in the power state that it had.

use serde_json::{Value, json};
use zenlayer_vm_operator::api::{ChangeKind, HistoryOutcome, Phase, VmInstance};

use crate::{
    crowd::{Cost, QUICK, SHORT, SIM_SHORT, crowd, declare, postpaid, power, rest},
    harness::{Operator, eventually},
    stage::{LIMIT, ONE_POSTPAID, Rules, Stage, message, shown, simulation},
};

/// A stage with these instances, and further fields of the simulation.
async fn stage(instances: &str, fields: &str) -> Stage {
    let world =
        format!("{}{fields}", simulation(instances).replacen("processingTime: 1s\n", "", 1));
    Stage::of_world(&world, &Rules::of_deploy(), SIM_SHORT).await
}

async fn stop_first(stage: &Stage, type_id: &str) -> VmInstance {
    let spec = json!({ "instanceId": "vm-1", "instanceTypeId": type_id, "strategy": "StopFirst" });
    stage.create("vm-1", spec).await
}

/// Kind and outcome of each change that ended.
fn history(object: &VmInstance) -> Vec<(ChangeKind, HistoryOutcome)> {
    let history = object.status.iter().flat_map(|status| &status.history);
    history.map(|entry| (entry.kind, entry.outcome)).collect()
}

async fn until_reason(stage: &Stage, operator: &Operator, ready: &str) -> VmInstance {
    stage.until(operator, "vm-1", ready, |object| shown(object, "Ready") == ready).await
}

async fn annotate(stage: &Stage, name: &str, annotation: &str, value: &str) {
    let key = format!("vm.zenlayer.com/{annotation}");
    stage.patch(name, json!({ "metadata": { "annotations": { key: value } } })).await;
}

const DONE: [(ChangeKind, HistoryOutcome); 3] = [
    (ChangeKind::Stop, HistoryOutcome::Completed),
    (ChangeKind::Modify, HistoryOutcome::Completed),
    (ChangeKind::Start, HistoryOutcome::Completed),
];

#[tokio::test]
async fn a_running_machine_is_stopped_changed_and_started_again_with_one_order() {
    let stage = stage(ONE_POSTPAID, QUICK).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    stop_first(&stage, "c.2c4g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    assert_eq!(history(&object), DONE);
    let status = object.status.clone().unwrap();
    assert_eq!(status.restore, None);
    assert_eq!(status.instance.unwrap().state, "RUNNING");
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(status.order_number.as_deref(), orders[0]["orderNumber"].as_str());
    let cost = rest(&stage, &operator, &["vm-1"]).await.remove(0);
    assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(1), ok(1), ok(1)));
    // At most five for each call (intent, answer, effect, end, and what follows), and one for the
    // order that it comes to rest in.
    assert!((9..=16).contains(&cost.status_writes), "{cost:?}");
    assert!(cost.plans <= 30, "{cost:?}");
    // The guest is asked, never forced.
    let log = stage.sim.get("requests?action=StopInstances").await;
    assert_eq!(log["requests"][0]["body"]["forceShutdown"], json!(false), "{log}");
    let mut told: Vec<String> = stage.events().await.into_iter().map(|event| event.0).collect();
    told.dedup();
    for reason in ["StopRequested", "InstanceStopped", "ChangeOrdered", "ChangeCompleted"] {
        assert_eq!(told.iter().filter(|one| *one == reason).count(), 1, "{reason}: {told:?}");
    }
    for reason in ["StartRequested", "InstanceStarted"] {
        assert_eq!(told.iter().filter(|one| *one == reason).count(), 1, "{reason}: {told:?}");
    }
}

/// So many accepted calls.
fn ok(count: usize) -> &'static [String] {
    static OK: std::sync::LazyLock<Vec<String>> =
        std::sync::LazyLock::new(|| vec!["OK".to_owned(); 9]);
    &OK[..count]
}

#[tokio::test]
async fn a_machine_that_was_off_and_a_downgrade_that_waits_lead_to_no_stop() {
    let instances = "  - { id: off, type: c.1c2g, chargeType: POSTPAID, state: STOPPED }
  - { id: waits, type: c.4c8g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }\n";
    let stage = stage(instances, QUICK).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    for name in ["off", "waits"] {
        let spec =
            json!({ "instanceId": name, "instanceTypeId": "c.2c4g", "strategy": "StopFirst" });
        stage.create(name, spec).await;
    }
    let off = stage.until_phase(&operator, "off", Phase::InSync).await;
    assert_eq!(off.status.unwrap().instance.unwrap().state, "STOPPED");
    let waits = stage.until_phase(&operator, "waits", Phase::Scheduled).await;
    assert_eq!(shown(&waits, "Ready"), "True ChangeScheduled");
    for (name, cost) in
        ["off", "waits"].iter().zip(rest(&stage, &operator, &["off", "waits"]).await)
    {
        assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(1), ok(0), ok(0)), "{name}");
        assert!(cost.status_writes <= 5, "{name}: {cost:?}");
    }
    assert_eq!(power(&stage, "off").await, "STOPPED");
    assert_eq!(power(&stage, "waits").await, "RUNNING");
}

#[tokio::test]
async fn a_guest_that_ignores_the_stop_fails_the_change_until_a_person_asks_again() {
    let slow = QUICK.replace("stop: 1s", "stop: 3s");
    let ignored = format!("{slow}behaviour: {{ gracefulStop: ignored }}\n");
    let stage = stage(ONE_POSTPAID, &ignored).await;
    let operator = stage.operator(&[SHORT, &["--power-deadline", "6s"]].concat());
    operator.ready().await;
    stop_first(&stage, "c.2c4g").await;
    let object = until_reason(&stage, &operator, "False ChangeOverdue").await;
    assert_eq!(object.status.as_ref().unwrap().phase, Some(Phase::Failed));
    assert_eq!(history(&object), [(ChangeKind::Stop, HistoryOutcome::Overdue)]);
    let id = object.status.as_ref().unwrap().history[0].id.clone();
    let remedy = format!("vm.zenlayer.com/release={id}");
    assert!(message(&object).contains(&remedy), "{}", message(&object));
    let object = stage
        .until(&operator, "vm-1", "runs", |object| {
            let status = object.status.as_ref().unwrap();
            status.restore.is_none() && status.phase == Some(Phase::Failed)
        })
        .await;
    assert_eq!(object.status.unwrap().instance.unwrap().state, "RUNNING");
    let cost = rest(&stage, &operator, &["vm-1"]).await.remove(0);
    assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(0), ok(1), ok(0)));
    assert!(cost.status_writes <= 8, "{cost:?}");
    assert_eq!(power(&stage, "vm-1").await, "RUNNING");

    let obeyed = json!({ "gracefulStop": "obeyed" });
    stage.sim.put("behaviour", obeyed).await;
    annotate(&stage, "vm-1", "release", &id).await;
    let object = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    assert_eq!(object.status.as_ref().unwrap().handled.release, Some(id));
    assert_eq!(history(&object)[1..], DONE);
    let cost = rest(&stage, &operator, &["vm-1"]).await.remove(0);
    assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(1), ok(2), ok(1)));
}

/// A stop that lands after it was given up counts: the machine is found stopped, and goes on.
#[tokio::test]
async fn a_stop_that_comes_to_its_end_after_its_deadline_leaves_no_machine_stopped() {
    let hangs = format!("{QUICK}behaviour: {{ gracefulStop: hangs }}\n");
    let stage = stage(ONE_POSTPAID, &hangs).await;
    let operator = stage.operator(&[SHORT, &["--power-deadline", "3s"]].concat());
    operator.ready().await;
    stop_first(&stage, "c.2c4g").await;
    let object = stage
        .until(&operator, "vm-1", "is given up", |object| {
            history(object) == [(ChangeKind::Stop, HistoryOutcome::Overdue)]
        })
        .await;
    assert!(object.status.unwrap().restore.is_some(), "a late stop would count");
    stage.patch("vm-1", json!({ "spec": { "instanceTypeId": "c.1c2g" } })).await;
    stage.until(&operator, "vm-1", "is looked at", |_| true).await;
    stage.sim.change_instance("vm-1", json!({ "state": "STOPPED" })).await;
    let restored = |object: &VmInstance| {
        let status = object.status.as_ref().unwrap();
        status.phase == Some(Phase::InSync) && status.restore.is_none()
    };
    stage.until(&operator, "vm-1", "runs again", restored).await;
    let cost = rest(&stage, &operator, &["vm-1"]).await.remove(0);
    assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(0), ok(1), ok(1)));
    assert_eq!(power(&stage, "vm-1").await, "RUNNING");
}

#[tokio::test]
async fn a_spec_that_changes_while_the_machine_is_stopped_leaves_it_running() {
    let names = ["no-strategy", "back", "third", "suspended", "observed"];
    let stage = crowd(&names.map(|name| (name, postpaid(name))), QUICK).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    for name in names {
        operator.close_gate(&format!("after-publish-stop-ended.{name}"));
        declare(&stage, name, "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    }
    for name in names {
        operator.reaches_gate(&format!("after-publish-stop-ended.{name}")).await;
        assert_eq!(power(&stage, name).await, "STOPPED", "{name}");
    }
    let edits = [
        json!({ "strategy": null }),
        json!({ "instanceTypeId": "c.1c2g" }),
        json!({ "instanceTypeId": "c.4c8g" }),
        json!({ "suspend": true }),
        json!({ "managementPolicy": "Observe" }),
    ];
    for (name, edit) in names.iter().zip(edits) {
        stage.patch(name, json!({ "spec": edit })).await;
        operator.open_gate(&format!("after-publish-stop-ended.{name}"));
    }
    for name in ["no-strategy", "back", "third"] {
        stage.until_phase(&operator, name, Phase::InSync).await;
    }
    // Nobody may touch these: they say so, and go on once they are let.
    for (name, phase) in [("suspended", Phase::Suspended), ("observed", Phase::Drifted)] {
        let object = stage.until_phase(&operator, name, phase).await;
        let words = "it was stopped for a change and stays stopped until changes are allowed again";
        assert!(message(&object).contains(words), "{}", message(&object));
    }
    let expected = [(ok(1), "RUNNING"), (ok(0), "RUNNING"), (ok(1), "RUNNING")];
    let held = [(ok(0), "STOPPED"), (ok(0), "STOPPED")];
    let costs = rest(&stage, &operator, &names).await;
    for ((name, cost), (modify, state)) in
        names.iter().zip(&costs).zip(expected.iter().chain(&held))
    {
        assert_eq!((&*cost.modify, &*cost.stop), (*modify, ok(1)), "{name}");
        assert_eq!(&*cost.start, ok(usize::from(*state == "RUNNING")), "{name}");
        assert_eq!(power(&stage, name).await, *state, "{name}");
    }
    stage.patch("suspended", json!({ "spec": { "suspend": false } })).await;
    stage.patch("observed", json!({ "spec": { "managementPolicy": "Enforce" } })).await;
    for name in ["suspended", "observed"] {
        stage.until_phase(&operator, name, Phase::InSync).await;
        assert_eq!(power(&stage, name).await, "RUNNING", "{name}");
    }
    for cost in rest(&stage, &operator, &["suspended", "observed"]).await {
        assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(1), ok(1), ok(1)));
    }
}

/// Each effect of the sequence, as gates of the operator (see `controller/gate.rs`).
fn effects() -> Vec<String> {
    let mut gates = Vec::new();
    for kind in ["stop", "modify", "start"] {
        for (side, effect) in [
            ("before", "slot"),
            ("after", "slot"),
            ("before", "call"),
            ("after", "call"),
            ("after", "answer"),
        ] {
            gates.push(format!("{side}-{effect}-{kind}"));
        }
        gates.push(format!("after-publish-{kind}-accepted"));
        gates.push(format!("before-close-{kind}"));
        gates.push(format!("after-close-{kind}"));
        gates.push(format!("after-publish-{kind}-ended"));
    }
    gates.extend(["before-forget", "after-forget"].map(str::to_owned));
    gates
}

/// In sync, with nothing left to bring the machine back to.
async fn until_restored(stage: &Stage, operator: &Operator, name: &str) -> VmInstance {
    let restored = |object: &VmInstance| {
        let status = object.status.as_ref().unwrap();
        status.phase == Some(Phase::InSync) && status.restore.is_none()
    };
    stage.until(operator, name, "is in sync and runs", restored).await
}

/// One process carries an instance to each point and is killed once. The next one finds the spec
/// as it was, or with this edit. Gives name, power state and orders at the kill, and the cost.
async fn killed_at_every_effect(
    stage: &Stage,
    names: &[&str],
    edit: Option<Value>,
) -> Vec<(String, usize, Cost)> {
    let mut first = stage.operator(SHORT);
    first.ready().await;
    for name in names {
        first.close_gate(&format!("{name}.{name}"));
        declare(stage, name, "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    }
    for name in names {
        first.reaches_gate(&format!("{name}.{name}")).await;
    }
    first.process.kill();
    let mut at_the_kill = Vec::new();
    for name in names {
        at_the_kill.push((power(stage, name).await, stage.sim.orders(name).await.len()));
        if let Some(edit) = &edit {
            stage.patch(name, json!({ "spec": edit })).await;
        }
    }
    let second = stage.operator(SHORT);
    for name in names {
        until_restored(stage, &second, name).await;
    }
    let costs = rest(stage, &second, names).await;
    let found = at_the_kill.into_iter().zip(costs);
    found.map(|((power, orders), cost)| (power, orders, cost)).collect()
}

#[tokio::test]
async fn killed_at_every_effect_the_machine_runs_again_and_one_order_stands() {
    let points = effects();
    let names: Vec<&str> = points.iter().map(String::as_str).collect();
    assert!(names.len() >= 12);
    let instances: Vec<_> = names.iter().map(|name| (*name, postpaid(name))).collect();
    let stage = crowd(&instances, QUICK).await;
    let ends = killed_at_every_effect(&stage, &names, None).await;
    let head = ["KILLED", "POWER", "ORDERS", "AT THE END", "ORDERS", "STOPS", "STARTS", "WRITES"];
    let mut rows = vec![head.map(str::to_owned)];
    for (name, (before, orders, cost)) in names.iter().zip(ends) {
        let state = power(&stage, name).await;
        let ordered = stage.sim.orders(name).await.len();
        rows.push([
            (*name).to_owned(),
            before,
            orders.to_string(),
            state.clone(),
            ordered.to_string(),
            accepted(&cost.stop),
            accepted(&cost.start),
            cost.status_writes.to_string(),
        ]);
        assert_eq!(ordered, 1, "{name}: {cost:?}");
        assert_eq!(state, "RUNNING", "{name}: {cost:?}");
        assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(1), ok(1), ok(1)), "{name}");
        assert!(cost.status_writes <= 24, "{name}: {cost:?}");
    }
    crate::harness::table::show("StopFirst, killed at every effect", &rows);
}

/// The spec wants neither the change nor the strategy any more when the next process starts.
#[tokio::test]
async fn killed_at_every_effect_and_set_back_the_machine_runs_again_with_the_type_that_it_had() {
    let points = effects();
    let names: Vec<&str> = points.iter().map(String::as_str).collect();
    let instances: Vec<_> = names.iter().map(|name| (*name, postpaid(name))).collect();
    let stage = crowd(&instances, QUICK).await;
    let edit = json!({ "instanceTypeId": "c.1c2g", "strategy": null });
    let ends = killed_at_every_effect(&stage, &names, Some(edit)).await;
    for (name, (before, orders, cost)) in names.iter().zip(ends) {
        assert_eq!(power(&stage, name).await, "RUNNING", "{name}: {cost:?}");
        // What was ordered by then is taken back by a second order; nothing else is.
        assert_eq!(stage.sim.orders(name).await.len(), 2 * orders, "{name}: {cost:?}");
        let stopped = usize::from(before == "STOPPED" || orders == 1);
        assert_eq!((&*cost.stop, &*cost.start), (ok(stopped), ok(stopped)), "{name}: {cost:?}");
    }
}

/// What is to be brought back outlives the object: the slot remembers it.
#[tokio::test]
async fn an_object_made_anew_while_the_machine_is_stopped_brings_it_back() {
    let names = ["same-spec", "no-change"];
    let stage = crowd(&names.map(|name| (name, postpaid(name))), QUICK).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    for name in names {
        operator.close_gate(&format!("after-publish-stop-ended.{name}"));
        declare(&stage, name, "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    }
    for name in names {
        operator.reaches_gate(&format!("after-publish-stop-ended.{name}")).await;
        stage.objects().delete(name, &Default::default()).await.unwrap();
        operator.open_gate(&format!("after-publish-stop-ended.{name}"));
        assert_eq!(power(&stage, name).await, "STOPPED", "{name}");
    }
    declare(&stage, "same-spec", "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    declare(&stage, "no-change", "c.1c2g", json!({})).await;
    for (name, orders) in names.iter().zip([1, 0]) {
        until_restored(&stage, &operator, name).await;
        let cost = rest(&stage, &operator, &[name]).await.remove(0);
        assert_eq!(
            (&*cost.modify, &*cost.stop, &*cost.start),
            (ok(orders), ok(1), ok(1)),
            "{name}"
        );
        assert_eq!(power(&stage, name).await, "RUNNING", "{name}");
    }
}

/// The provider accepts the stop, and nothing comes of it.
#[tokio::test]
async fn a_stop_that_is_accepted_and_never_begins_is_told_until_a_person_gives_it_up() {
    let stage = stage(ONE_POSTPAID, QUICK).await;
    stage.sim.fault(json!({ "action": "StopInstances", "kind": "failsSilently" })).await;
    let operator = stage.operator(&[SHORT, &["--power-deadline", "6s"]].concat());
    operator.ready().await;
    stop_first(&stage, "c.2c4g").await;
    let object = until_reason(&stage, &operator, "False ChangeNotInEffect").await;
    assert!(message(&object).contains("it is still RUNNING"), "{}", message(&object));
    let object = until_reason(&stage, &operator, "False ChangeOverdue").await;
    assert_eq!(object.status.as_ref().unwrap().phase, Some(Phase::Failed));
    let cost = rest(&stage, &operator, &["vm-1"]).await.remove(0);
    assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(0), ok(1), ok(0)));
    let id = object.status.unwrap().change.unwrap().id;
    annotate(&stage, "vm-1", "release", &id).await;
    until_restored(&stage, &operator, "vm-1").await;
    let cost = rest(&stage, &operator, &["vm-1"]).await.remove(0);
    assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(1), ok(2), ok(1)));
}

/// How one call of the sequence goes wrong, once.
struct Row {
    name: String,
    fault: Value,
    /// Nothing but a person's word makes the operator go on.
    asks: bool,
}

/// Each call of the sequence, each refused in every way.
fn refusals() -> Vec<Row> {
    let mut rows = Vec::new();
    for (action, busy) in [
        ("StopInstances", "OPERATION_DENIED_INSTANCE_NOT_RUNNING"),
        ("ModifyInstanceType", "UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("StartInstances", "OPERATION_DENIED_INSTANCE_NOT_STOPPED"),
    ] {
        let stop_or_modify = action != "StartInstances";
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
            let action = action.trim_end_matches("Instances").trim_end_matches("InstanceType");
            rows.push(Row { name: format!("{}-{way}", action.to_lowercase()), fault, asks });
        }
    }
    for (action, short, nths) in [
        ("DescribeInstances", "look", &[1, 2, 3, 4, 5, 6, 8, 10][..]),
        ("DescribeInstanceTypeStatus", "plan", &[1, 2, 3, 4, 5, 6, 7]),
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
    let rows = refusals();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let instances: Vec<_> = names.iter().map(|name| (*name, postpaid(name))).collect();
    let stage = crowd(&instances, QUICK).await;
    for Row { name, fault, .. } in &rows {
        let mut fault = fault.clone();
        fault["instance"] = name.as_str().into();
        stage.sim.fault(fault).await;
    }
    let operator = stage.operator(SHORT);
    operator.ready().await;
    for name in &names {
        declare(&stage, name, "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    }
    let mut shown_while_asking = Vec::new();
    for Row { name, asks, .. } in &rows {
        if !asks {
            shown_while_asking.push(String::new());
            continue;
        }
        let object = stage.until_phase(&operator, name, Phase::Failed).await;
        // A refused read says nothing of the machine; else it runs, whatever was refused.
        if !name.ends_with("-5-unknown") {
            eventually(&format!("{name} runs"), LIMIT, async || {
                let state = power(&stage, name).await;
                if state == "RUNNING" { Ok(()) } else { Err(state) }
            })
            .await;
            let failed = |object: &VmInstance| {
                let status = object.status.as_ref().unwrap();
                status.restore.is_none() && status.phase == Some(Phase::Failed)
            };
            let object = stage.until(&operator, name, "has failed and runs", failed).await;
            let reason =
                if name.ends_with("-unknown") { "RefusedByProvider" } else { "RequestInvalid" };
            assert_eq!(shown(&object, "Ready"), format!("False {reason}"), "{name}");
        }
        shown_while_asking.push(shown(&object, "Ready"));
        annotate(&stage, name, "retry-at", "2026-01-01T00:00:00Z").await;
        // A machine that was stopped in vain is not stopped again without a person.
        if name.starts_with("modify-") {
            let object = until_stop_is_refused(&stage, &operator, name).await;
            let stop = &object.status.unwrap().history[0].id;
            annotate(&stage, name, "release", stop).await;
        }
    }
    for name in &names {
        until_restored(&stage, &operator, name).await;
    }
    let costs = rest(&stage, &operator, &names).await;
    let mut table = vec![
        ["REFUSED ONCE", "A PERSON IS ASKED", "AT THE END", "ORDERS", "STOPS", "STARTS", "WRITES"]
            .map(str::to_owned),
    ];
    for ((name, cost), asked) in names.iter().zip(&costs).zip(shown_while_asking) {
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
    crate::harness::table::show("StopFirst, each call refused once", &table);
    for (name, Cost { stop, start, .. }) in names.iter().zip(&costs) {
        let done = |calls: &[String]| calls.iter().filter(|code| *code == "OK").count();
        let twice = usize::from(["modify-terminal", "modify-unknown"].contains(name));
        assert!(done(stop) <= 1 + twice && done(start) <= 1 + twice, "{name}: {stop:?} {start:?}");
    }
}

async fn until_stop_is_refused(stage: &Stage, operator: &Operator, name: &str) -> VmInstance {
    stage
        .until(operator, name, "asks before it stops again", |object| {
            shown(object, "Ready") == "False Reverted"
        })
        .await
}

/// How many calls were made, and how many of them were accepted.
fn accepted(calls: &[String]) -> String {
    let done = calls.iter().filter(|code| *code == "OK").count();
    if done == calls.len() { done.to_string() } else { format!("{done} of {}", calls.len()) }
}
