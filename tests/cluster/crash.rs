//! The operator is killed, or frozen, at the worst moments. Each time one order stands in the
//! ledger, and the object comes to its right end.

use std::time::Duration;

use serde_json::json;
use zenlayer_vm_operator::api::{ChangeState, HistoryOutcome, Phase};

use crate::stage::{
    LIMIT, ONE_POSTPAID, ONE_PREPAID, Rules, Stage, message, shown, slow_simulation,
};
use harness::eventually;

/// The operator's side of short times: a fence of 8 s.
const SHORT: &[&str] = &["--testing-signature-life", "6s", "--testing-settle-margin", "2s"];
/// The simulator's side.
const SIM_SHORT: &[&str] = &["--signature-life", "6"];

async fn stage(instances: &str) -> Stage {
    Stage::with(instances, &Rules::of_deploy(), SIM_SHORT).await
}

#[tokio::test]
async fn killed_between_intent_and_call_a_postpaid_change_is_made_once_after_the_fence() {
    let stage = stage(ONE_POSTPAID).await;
    let mut first = stage.operator_on_a_wire(SHORT);
    let call = first.wire().hold("before-call");
    first.ready().await;
    stage.declare("c.2c4g").await;
    call.reached().await;
    let intent = stage.get("vm-1").await.status.unwrap().change.unwrap();
    assert_eq!(intent.state, ChangeState::Submitting);
    first.process.kill();
    assert!(stage.sim.calls("ModifyInstanceType", "vm-1").await.is_empty());

    let second = stage.operator(SHORT);
    let unknown = stage
        .until(&second, "vm-1", "is of unknown outcome", |object| {
            shown(object, "Ready") == "False OutcomeUnknown"
        })
        .await;
    assert_eq!(unknown.status.as_ref().unwrap().phase, Some(Phase::Submitting));
    let object = stage.until_phase(&second, "vm-1", Phase::InSync).await;
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    let status = object.status.unwrap();
    assert_eq!(status.order_number.as_deref(), orders[0]["orderNumber"].as_str());
    let outcomes: Vec<_> = status.history.iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [HistoryOutcome::Unverified, HistoryOutcome::Completed]);
    // Not repeated before the fence.
    let ordered: jiff::Timestamp = orders[0]["at"].as_str().unwrap().parse().unwrap();
    assert!(ordered > intent.fence.unwrap().0, "{ordered}");
}

#[tokio::test]
async fn killed_between_intent_and_call_a_prepaid_change_waits_for_a_person() {
    let stage = stage(ONE_PREPAID).await;
    let mut first = stage.operator_on_a_wire(SHORT);
    let call = first.wire().hold("before-call");
    first.ready().await;
    stage.declare("c.2c4g").await;
    call.reached().await;
    first.process.kill();

    let second = stage.operator(SHORT);
    let object = stage.until_phase(&second, "vm-1", Phase::Failed).await;
    assert_eq!(shown(&object, "Ready"), "False OutcomeUnverified");
    let id = object.status.as_ref().unwrap().change.as_ref().unwrap().id.clone();
    assert!(message(&object).contains(&format!("vm.zenlayer.com/release={id}")));
    assert!(stage.sim.orders("vm-1").await.is_empty());
    let release = json!({ "metadata": { "annotations": { "vm.zenlayer.com/release": id } } });
    stage.patch("vm-1", release).await;
    let object = stage.until_phase(&second, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.orders("vm-1").await.len(), 1);
    assert_eq!(object.status.unwrap().handled.release, Some(id));
}

#[tokio::test]
async fn killed_between_call_and_record_the_order_is_adopted_after_the_fence() {
    let stage = stage(ONE_PREPAID).await;
    let mut first = stage.operator_on_a_wire(SHORT);
    let answer = first.wire().hold("after-call");
    first.ready().await;
    stage.declare("c.2c4g").await;
    answer.reached().await;
    first.process.kill();
    assert_eq!(stage.sim.orders("vm-1").await.len(), 1);

    let second = stage.operator(SHORT);
    let object = stage.until_phase(&second, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.calls("ModifyInstanceType", "vm-1").await, ["OK"]);
    let status = object.status.clone().unwrap();
    // The number was in the answer that nobody recorded.
    assert_eq!(status.order_number, None);
    assert!(message(&object).contains("order number unknown"), "{}", message(&object));
    assert_eq!(status.history[0].outcome, HistoryOutcome::Completed);
}

#[tokio::test]
async fn killed_while_the_change_runs_the_next_process_follows_it() {
    let world = slow_simulation("5s", ONE_POSTPAID);
    let stage = Stage::of_world(&world, &Rules::of_deploy(), SIM_SHORT).await;
    let mut first = stage.operator(SHORT);
    first.ready().await;
    stage.declare("c.2c4g").await;
    let changing = stage
        .until(&first, "vm-1", "is ordered", |object| {
            object.status.as_ref().is_some_and(|status| status.order_number.is_some())
        })
        .await;
    first.process.kill();
    let world = stage.sim.get("instances").await;
    assert_eq!(world["instances"][0]["type"], "c.1c2g", "the change still runs: {world}");
    let order = changing.status.unwrap().order_number;

    let second = stage.operator(SHORT);
    let object = stage.until_phase(&second, "vm-1", Phase::InSync).await;
    assert_eq!(object.status.unwrap().order_number, order);
    assert_eq!(stage.sim.calls("ModifyInstanceType", "vm-1").await, ["OK"]);
}

#[tokio::test]
async fn a_frozen_process_that_wakes_after_the_fence_is_refused_as_expired() {
    let stage = stage(ONE_POSTPAID).await;
    // It wakes with the answer to its intent, and sends next. Of a window of 5 s nothing would be left
    // then, and it would not send at all: as safe, and not what is shown here.
    // Nor would a leader whose term is over: here nothing but the fence is in the way.
    let alone = ["--testing-send-window", "1h", "--leader-elect=false"];
    let first = stage.operator_on_a_wire(&[SHORT, &alone].concat());
    let written = first.wire().hold("after-intent-modify");
    first.ready().await;
    stage.declare("c.2c4g").await;
    written.reached().await;
    let intent = stage.get("vm-1").await.status.unwrap().change.unwrap();
    first.process.freeze().await;
    written.release();

    let second = stage.operator(SHORT);
    stage.patch("vm-1", json!({ "spec": { "instanceTypeId": "c.4c8g" } })).await;
    let object = stage.until_phase(&second, "vm-1", Phase::InSync).await;
    assert_eq!(object.status.as_ref().unwrap().instance.as_ref().unwrap().type_id, "c.4c8g");
    let now = jiff::Timestamp::now();
    assert!(now > intent.fence.unwrap().0, "the fence has passed");

    first.process.thaw();
    let calls = eventually("the first process's call", LIMIT, async || {
        let calls = stage.sim.calls("ModifyInstanceType", "vm-1").await;
        if calls.len() == 2 { Ok(calls) } else { Err(format!("{calls:?}")) }
    })
    .await;
    assert_eq!(calls, ["OK", "AUTHFAILURE_SIGNATURE_EXPIRED"]);
    // What it learned does not reach the object: the change is not its own any more.
    eventually("the first process's audit line", Duration::from_secs(20), async || {
        let log = first.process.log();
        if log.contains("answer=\"refused\"") { Ok(()) } else { Err(log) }
    })
    .await;
    let object = stage.until_phase(&second, "vm-1", Phase::InSync).await;
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(orders[0]["to"], "c.4c8g");
    assert_eq!(object.status.unwrap().order_number.as_deref(), orders[0]["orderNumber"].as_str());
}

/// A slot that was taken, and no intent, is no reason to wait for oneself.
#[tokio::test]
async fn killed_at_every_effect_of_a_cancellation_the_scheduled_change_is_taken_back_once() {
    use crate::crowd::{QUICK, crowd, declare, effects, rest};
    let _permit = harness::permit::heavy().await;
    let points = effects("canceldowngrade");
    let names: Vec<&str> = points.iter().map(String::as_str).collect();
    let prepaid = |name: &str| {
        format!(
            "  - {{ id: {name}, type: c.4c8g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true \
             }}\n"
        )
    };
    let instances: Vec<_> = names.iter().map(|name| (*name, prepaid(name))).collect();
    let stage = crowd(&instances, QUICK).await;
    let mut first = stage.operator_on_a_wire(&[SHORT, &["--concurrency", "64"]].concat());
    first.ready().await;
    for name in &names {
        declare(&stage, name, "c.2c4g", json!({})).await;
    }
    for name in &names {
        stage.until_phase(&first, name, Phase::Scheduled).await;
    }
    let mut held = Vec::new();
    for name in &names {
        held.push(first.wire().hold(&format!("{name}.{name}")));
        stage.patch(name, json!({ "spec": { "instanceTypeId": "c.4c8g" } })).await;
    }
    for hold in &held {
        hold.reached().await;
    }
    first.process.kill();
    let second = stage.operator(SHORT);
    for name in &names {
        stage.until_phase(&second, name, Phase::InSync).await;
    }
    for (name, cost) in names.iter().zip(rest(&stage, &second, &names).await) {
        assert_eq!((cost.modify.len(), cost.cancel.len()), (1, 1), "{name}: {cost:?}");
    }
}
