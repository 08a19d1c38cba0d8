//! A change is done when the machine shows it, not when the provider says so: size, plan and power
//! state have to agree, and what does not come in time is told and never ordered again.

use serde_json::{Value, json};
use zenlayer_vm_operator::api::{HistoryOutcome, Phase, VmInstance};

use crate::{
    crowd::{Cost, QUICK, SHORT, crowd, declare, postpaid, power, rest},
    stage::{LIMIT, Stage, message, shown},
};
use harness::{Operator, eventually};

async fn until_ready(stage: &Stage, operator: &Operator, name: &str, ready: &str) -> VmInstance {
    stage.until(operator, name, ready, |object| shown(object, "Ready") == ready).await
}

/// One accepted order, and never a second one.
fn assert_one_order(name: &str, cost: &Cost) {
    assert_eq!(cost.modify, ["OK"], "{name}: {cost:?}");
    assert!(cost.stop.is_empty() && cost.start.is_empty(), "{name}: {cost:?}");
}

#[tokio::test]
async fn a_guest_that_needs_a_restart_is_not_in_sync_before_it_shows_its_new_size() {
    let names = ["in-time", "too-late"];
    let fields = format!("{QUICK}behaviour: {{ guest: needsReboot }}\n");
    let stage = crowd(&names.map(|name| (name, postpaid(name))), &fields).await;
    let operator = stage.operator(&[SHORT, &["--change-deadline", "17s"]].concat());
    operator.ready().await;
    for name in names {
        declare(&stage, name, "c.2c4g", json!({})).await;
    }
    let new_type = |object: &VmInstance| {
        let instance = object.status.as_ref().unwrap().instance.as_ref().unwrap();
        instance.type_id == "c.2c4g" && instance.cpu_count == Some(1)
    };
    for name in names {
        let object = stage.until(&operator, name, "has its new type", new_type).await;
        assert_eq!(object.status.as_ref().unwrap().phase, Some(Phase::Changing), "{name}");
        assert_eq!(shown(&object, "Ready"), "False ChangeInProgress");
    }
    let restart = json!({ "state": "REBOOT", "settles": true });
    stage.sim.change_instance("in-time", restart.clone()).await;
    let object = stage.until_phase(&operator, "in-time", Phase::InSync).await;
    assert_eq!(object.status.unwrap().instance.unwrap().cpu_count, Some(2));

    let object = until_ready(&stage, &operator, "too-late", "False ChangeNotInEffect").await;
    assert_eq!(object.status.as_ref().unwrap().phase, Some(Phase::Failed));
    let words = "the instance shows 1 CPU and 2 GiB, and c.2c4g has 2 CPU and 4 GiB";
    assert!(message(&object).contains(words), "{}", message(&object));
    for (name, cost) in names.iter().zip(rest(&stage, &operator, &names).await) {
        assert_one_order(name, &cost);
        assert!(cost.status_writes <= 7, "{name}: {cost:?}");
    }
    // A person restarts it; the operator never does.
    stage.sim.change_instance("too-late", restart).await;
    let object = stage.until_phase(&operator, "too-late", Phase::InSync).await;
    assert_eq!(object.status.unwrap().history[0].outcome, HistoryOutcome::Completed);
    let cost = rest(&stage, &operator, &["too-late"]).await.remove(0);
    assert_one_order("too-late", &cost);
    assert_eq!(power(&stage, "too-late").await, "RUNNING");
}

#[tokio::test]
async fn an_accepted_change_that_fails_without_a_word_is_told_and_not_ordered_again() {
    let names = ["never-seen", "released"];
    let fields = format!(
        "{}behaviour: {{ failedChange: showsEnable }}\n",
        QUICK.replace("processingTime: 1s", "processingTime: 0s")
    );
    let stage = crowd(&names.map(|name| (name, postpaid(name))), &fields).await;
    for name in names {
        let fault =
            json!({ "action": "ModifyInstanceType", "instance": name, "kind": "failsSilently" });
        stage.sim.fault(fault).await;
    }
    let operator = stage.operator(SHORT);
    operator.ready().await;
    for name in names {
        declare(&stage, name, "c.2c4g", json!({})).await;
    }
    let mut id = String::new();
    for name in names {
        let object = until_ready(&stage, &operator, name, "False ChangeNotInEffect").await;
        assert_eq!(object.status.as_ref().unwrap().phase, Some(Phase::Failed), "{name}");
        let words =
            "no change is pending at the provider, and the instance is still of type c.1c2g";
        assert!(message(&object).contains(words), "{}", message(&object));
        id = object.status.unwrap().change.unwrap().id;
        assert!(message(&stage.get(name).await).contains(&format!("release={id}")));
    }
    for (name, cost) in names.iter().zip(rest(&stage, &operator, &names).await) {
        assert_one_order(name, &cost);
        assert!(cost.status_writes <= 4, "{name}: {cost:?}");
    }
    // An effect that shows later is the change's own.
    stage.sim.change_instance("never-seen", json!({ "type": "c.2c4g" })).await;
    let object = stage.until_phase(&operator, "never-seen", Phase::InSync).await;
    let status = object.status.clone().unwrap();
    assert_eq!(status.history[0].outcome, HistoryOutcome::Completed);
    assert!(message(&object).starts_with("resized c.1c2g to c.2c4g, order "), "{object:?}");
    // A person's word orders it once more.
    let release = json!({ "metadata": { "annotations": { "vm.zenlayer.com/release": id } } });
    stage.patch("released", release).await;
    stage.until_phase(&operator, "released", Phase::InSync).await;
    let costs = rest(&stage, &operator, &names).await;
    assert_one_order("never-seen", &costs[0]);
    assert_eq!(costs[1].modify, ["OK", "OK"]);
}

/// The change was seen to run, and then the status is as before: with the target beside it, or
/// without.
#[tokio::test]
async fn a_change_that_comes_to_nothing_after_it_was_seen_to_run_is_not_ordered_again() {
    for (failed, ready) in
        [("showsEnable", "False ChangeNotInEffect"), ("vanishes", "False Reverted")]
    {
        let fields = format!(
            "{}behaviour: {{ failedChange: {failed} }}\n",
            QUICK.replace("processingTime: 1s", "processingTime: 4s")
        );
        let stage = crowd(&[("vm-1", postpaid("vm-1"))], &fields).await;
        stage.sim.fault(json!({ "action": "ModifyInstanceType", "kind": "failsSilently" })).await;
        let operator = stage.operator(&[SHORT, &["--change-deadline", "17s"]].concat());
        operator.ready().await;
        declare(&stage, "vm-1", "c.2c4g", json!({})).await;
        let object = stage.until_phase(&operator, "vm-1", Phase::Failed).await;
        assert_eq!(shown(&object, "Ready"), ready, "{failed}: {}", message(&object));
        let cost = rest(&stage, &operator, &["vm-1"]).await.remove(0);
        assert_one_order(failed, &cost);
        stage.sim.change_instance("vm-1", json!({ "type": "c.2c4g" })).await;
        stage.until_phase(&operator, "vm-1", Phase::InSync).await;
        assert_one_order(failed, &rest(&stage, &operator, &["vm-1"]).await[0]);
    }
}

/// `modifiedInstanceTypeStatus` has this value from now on, or is missing.
fn status_is(name: &str, value: Option<Value>) -> Value {
    let mut fault = json!({
        "action": "DescribeInstanceTypeStatus", "instance": name, "times": "always",
        "kind": "removeField", "path": "modifiedInstanceTypeStatus",
    });
    if let Some(value) = value {
        fault["kind"] = "setField".into();
        fault["value"] = value;
    }
    fault
}

#[tokio::test]
async fn every_spelling_of_no_plan_lets_each_change_through_once() {
    let states = [
        ("enable", Some(json!("Enable"))),
        ("disable", Some(json!("Disable"))),
        ("no-value", Some(Value::Null)),
        ("empty", Some(json!(""))),
        ("absent", None),
    ];
    let names: Vec<&str> = states.iter().map(|state| state.0).collect();
    let instances: Vec<_> = names.iter().map(|name| (*name, postpaid(name))).collect();
    let stage = crowd(&instances, QUICK).await;
    for (name, state) in &states {
        stage.sim.fault(status_is(name, state.clone())).await;
    }
    let operator = stage.operator(SHORT);
    operator.ready().await;
    let rounds =
        [("null", "c.2c4g"), ("empty", "c.4c8g"), ("absent", "c.8c16g"), ("current", "c.1c2g")];
    for (round, (target, type_id)) in rounds.iter().enumerate() {
        stage.sim.put("behaviour", json!({ "noPlanTarget": target })).await;
        for name in &names {
            if round == 0 {
                declare(&stage, name, type_id, json!({})).await;
            } else {
                stage.patch(name, json!({ "spec": { "instanceTypeId": type_id } })).await;
            }
        }
        for name in &names {
            stage.until_phase(&operator, name, Phase::InSync).await;
        }
        for (name, cost) in names.iter().zip(Cost::of_all(&stage, &names).await) {
            assert_eq!(cost.modify, vec!["OK"; round + 1], "target {target}, status {name}");
        }
    }
    for (name, cost) in names.iter().zip(rest(&stage, &operator, &names).await) {
        assert_eq!(cost.modify.len(), rounds.len(), "{name}");
        assert!(cost.status_writes <= 5 * rounds.len(), "{name}: {cost:?}");
    }
}

#[tokio::test]
async fn a_plan_of_an_unknown_kind_is_never_success() {
    let values = ["Halfway", "enable", "ENABLED", "Failed"];
    let names = ["halfway", "lower-case", "upper-case", "failed"];
    // Long enough for the plan to be seen first, and gone while its state is still unknown.
    let fields = QUICK.replace("processingTime: 1s", "processingTime: 4s");
    let stage = crowd(&names.map(|name| (name, postpaid(name))), &fields).await;
    let operator = stage.operator_on_a_wire(&[SHORT, &["--change-deadline", "17s"]].concat());
    operator.ready().await;
    // It begins to be shown once the order stands.
    let mut held = Vec::new();
    for name in names {
        held.push(operator.wire().hold(&format!("after-publish-modify-accepted.{name}")));
        declare(&stage, name, "c.2c4g", json!({})).await;
    }
    for ((name, value), hold) in names.iter().zip(values).zip(&held) {
        hold.reached().await;
        stage.sim.fault(status_is(name, Some(json!(value)))).await;
        hold.release();
    }
    for name in names {
        let object = until_ready(&stage, &operator, name, "False ChangeOverdue").await;
        let status = object.status.as_ref().unwrap();
        assert_eq!(status.phase, Some(Phase::Failed), "{name}");
        assert_eq!(status.instance.as_ref().unwrap().type_id, "c.2c4g", "{name}");
        assert!(status.history.is_empty(), "{name}");
    }
    for (name, cost) in names.iter().zip(rest(&stage, &operator, &names).await) {
        assert_one_order(name, &cost);
    }
    stage.sim.delete("faults").await;
    for name in names {
        stage.until_phase(&operator, name, Phase::InSync).await;
    }
    for (name, cost) in names.iter().zip(rest(&stage, &operator, &names).await) {
        assert_one_order(name, &cost);
        assert!(cost.status_writes <= 8, "{name}: {cost:?}");
    }
}

#[tokio::test]
async fn a_change_that_is_overdue_is_told_looked_at_seldom_and_never_ordered_again() {
    let busy = "  - { id: busy, type: c.1c2g, chargeType: POSTPAID, state: IMAGING }\n";
    let instances = [("overdue", postpaid("overdue")), ("busy", busy.to_owned())];
    let fields = QUICK.replace("processingTime: 1s", "processingTime: 1h");
    let stage = crowd(&instances, &fields).await;
    let flags = ["--change-deadline", "17s", "--testing-poll", "500ms", "--testing-drift", "1h"];
    let operator = stage.operator(&[SHORT, &flags].concat());
    operator.ready().await;
    declare(&stage, "overdue", "c.2c4g", json!({})).await;
    let object = until_ready(&stage, &operator, "overdue", "False ChangeOverdue").await;
    let status = object.status.as_ref().unwrap();
    assert_eq!(status.phase, Some(Phase::Failed));
    let number = status.order_number.clone().unwrap();
    assert!(message(&object).contains(&number) && message(&object).contains("release="));
    let before = Cost::of(&stage, "overdue").await;
    // While an instance that is busy is looked at again and again, this one is not.
    declare(&stage, "busy", "c.2c4g", json!({})).await;
    eventually("five looks at the other one", LIMIT, async || {
        let looks = Cost::of(&stage, "busy").await.looks;
        if looks >= 5 { Ok(()) } else { Err(looks.to_string()) }
    })
    .await;
    let after = Cost::of(&stage, "overdue").await;
    assert_eq!(before, after);
    assert_one_order("overdue", &after);

    // It comes to its end after all.
    stage.sim.post("console", json!({ "dropPlan": { "id": "overdue" } })).await;
    stage.sim.change_instance("overdue", json!({ "type": "c.2c4g" })).await;
    let awake = json!({ "metadata": { "annotations": { "vm.zenlayer.com/release": "nothing" } } });
    stage.patch("overdue", awake).await;
    let object = stage.until_phase(&operator, "overdue", Phase::InSync).await;
    assert_eq!(object.status.unwrap().order_number, Some(number));
    assert_one_order("overdue", &Cost::of(&stage, "overdue").await);
}
