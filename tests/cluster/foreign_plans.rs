//! Plans that this object did not order: a person made them in the console.

use serde_json::json;
use zenlayer_vm_operator::api::{CANCEL_PLAN_ANNOTATION, ChangeKind, Phase};

use crate::{
    stage::{LIMIT, Stage, message, shown},
    tally::{
        CHANGE, Cost, FOLLOWED, LOOKED_AT, annotate, comes_to_rest, history, mutations, slow_stage,
        until_in_sync,
    },
};
use harness::eventually;

async fn ordered_in_the_console(stage: &Stage, id: &str, type_id: &str) {
    stage.sim.post("console", json!({ "order": { "id": id, "type": type_id } })).await;
}

fn prepaid(id: &str, type_id: &str, expires_in: &str) -> String {
    format!(
        "  - {{ id: {id}, type: {type_id}, chargeType: PREPAID, expiresIn: {expires_in}, \
         autoRenew: true }}\n"
    )
}

/// How often an event says that this annotation, set with kubectl, was acted on.
async fn acted_on(stage: &Stage, value: &str) -> usize {
    let note = format!("{CANCEL_PLAN_ANNOTATION}={value}, set by kubectl-annotate, was acted on");
    let events = stage.events().await;
    events.iter().filter(|(reason, told)| reason == "AnnotationHandled" && *told == note).count()
}

#[tokio::test]
async fn a_plan_to_the_declared_type_is_adopted_without_a_call() {
    let machines = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }\n".to_owned()
        + &prepaid("vm-2", "c.2c4g", "100s");
    let stage = slow_stage(&machines).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    ordered_in_the_console(&stage, "vm-1", "c.2c4g").await;
    ordered_in_the_console(&stage, "vm-2", "c.1c2g").await;
    for (name, type_id) in [("vm-1", "c.2c4g"), ("vm-2", "c.1c2g")] {
        stage.create(name, json!({ "instanceId": name, "instanceTypeId": type_id })).await;
    }
    let running = stage.until_phase(&operator, "vm-1", Phase::Changing).await;
    assert_eq!(shown(&running, "Ready"), "False ChangeInProgress");
    let scheduled = stage.until_phase(&operator, "vm-2", Phase::Scheduled).await;
    assert_eq!(shown(&scheduled, "Ready"), "True ChangeScheduled");
    for object in [&running, &scheduled] {
        assert!(message(object).contains("that this object did not order"), "{}", message(object));
    }
    stage.sim.advance(CHANGE).await;
    until_in_sync(&stage, &operator, "vm-1").await;
    // To the end of the cycle, and through the change that then runs.
    stage.sim.advance(40).await;
    stage.until_phase(&operator, "vm-2", Phase::Changing).await;
    stage.sim.advance(CHANGE).await;
    let object = until_in_sync(&stage, &operator, "vm-2").await;
    assert_eq!(shown(&object, "InSync"), "True InSync");
    let cost = Cost { catalogues: 1, writes: 5, ..Cost::default() };
    comes_to_rest(&stage, &operator, "plans to the declared type", LOOKED_AT, cost).await;
}

#[tokio::test]
async fn a_plan_to_another_type_is_cancelled_by_a_persons_word_alone_and_the_change_goes_on() {
    let stage = slow_stage(&prepaid("vm-1", "c.4c8g", "20d")).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    ordered_in_the_console(&stage, "vm-1", "c.1c2g").await;
    stage.declare("c.2c4g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::Waiting).await;
    assert_eq!(shown(&object, "Ready"), "False ForeignPlan");
    let text = message(&object);
    assert!(
        text.contains("to cancel it, set the annotation vm.zenlayer.com/cancel-plan=c.1c2g"),
        "{text}"
    );
    let cost = Cost { writes: 1, ..Cost::default() };
    comes_to_rest(&stage, &operator, "a plan to another type", FOLLOWED, cost).await;

    // Not the plan that is there.
    annotate(&stage, "vm-1", "vm.zenlayer.com/cancel-plan=c.8c16g");
    comes_to_rest(&stage, &operator, "the annotation names another plan", FOLLOWED, cost).await;
    assert_eq!(acted_on(&stage, "c.8c16g").await, 0);

    annotate(&stage, "vm-1", "vm.zenlayer.com/cancel-plan=c.1c2g");
    let object = stage.until_phase(&operator, "vm-1", Phase::Scheduled).await;
    let calls = ["CancelInstanceDowngrade OK", "ModifyInstanceType c.2c4g OK"];
    assert_eq!(mutations(&stage, "vm-1").await, calls);
    let status = object.status.as_ref().unwrap();
    assert_eq!(status.handled.cancel_plan.as_deref(), Some("c.1c2g"));
    assert_eq!(status.change.as_ref().unwrap().to, "c.2c4g");
    let orders = stage.sim.orders("vm-1").await;
    let outcomes: Vec<_> = orders.iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["cancelled", "open"]);
    eventually("the event of the annotation", LIMIT, async || {
        let told = acted_on(&stage, "c.1c2g").await;
        if told == 1 { Ok(()) } else { Err(format!("{:?}", stage.events().await)) }
    })
    .await;
    let cost = Cost { paid: 1, cancels: 1, catalogues: 1, prices: 2, writes: 7 };
    comes_to_rest(&stage, &operator, "the annotation names the plan", FOLLOWED, cost).await;
}

#[tokio::test]
async fn a_plan_away_from_the_declared_type_is_told_and_cancelled_once() {
    let stage = slow_stage(&prepaid("vm-1", "c.4c8g", "20d")).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    ordered_in_the_console(&stage, "vm-1", "c.1c2g").await;
    stage.declare("c.4c8g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::Waiting).await;
    assert_eq!(shown(&object, "Ready"), "False ForeignPlan");
    assert_eq!(shown(&object, "InSync"), "True InSync");
    let cost = Cost { writes: 1, ..Cost::default() };
    comes_to_rest(&stage, &operator, "a plan away from the declared type", FOLLOWED, cost).await;

    annotate(&stage, "vm-1", "vm.zenlayer.com/cancel-plan=c.1c2g");
    let object = until_in_sync(&stage, &operator, "vm-1").await;
    let kinds: Vec<_> = history(&object).into_iter().map(|one| one.0).collect();
    assert_eq!(kinds, [ChangeKind::CancelDowngrade]);
    let cost = Cost { cancels: 1, writes: 4, ..Cost::default() };
    comes_to_rest(&stage, &operator, "the plan is cancelled", LOOKED_AT, cost).await;

    // The same word does not cancel a later plan to the same type.
    ordered_in_the_console(&stage, "vm-1", "c.1c2g").await;
    comes_to_rest(&stage, &operator, "a later plan to that type", LOOKED_AT, cost).await;
    assert_eq!(mutations(&stage, "vm-1").await, ["CancelInstanceDowngrade OK"]);
}

/// What a person asked for is done though the process is killed at any effect, or the request lost.
#[tokio::test]
async fn killed_at_every_effect_a_plan_is_cancelled_as_a_person_asked() {
    use crate::crowd::{Cost, QUICK, SHORT, crowd, declare, effects};
    let _permit = harness::permit::heavy().await;
    let points = effects("canceldowngrade");
    let names: Vec<&str> = points.iter().map(String::as_str).chain(["lost"]).collect();
    let instances: Vec<_> =
        names.iter().map(|name| (*name, prepaid(name, "c.4c8g", "20d"))).collect();
    let stage = crowd(&instances, QUICK).await;
    for name in &names {
        ordered_in_the_console(&stage, name, "c.2c4g").await;
    }
    let lost =
        json!({ "action": "CancelInstanceDowngrade", "kind": "dropBefore", "instance": "lost" });
    stage.sim.fault(lost).await;
    let mut first = stage.operator_on_a_wire(&[SHORT, &["--concurrency", "64"]].concat());
    first.ready().await;
    for name in &names {
        declare(&stage, name, "c.4c8g", json!({})).await;
    }
    for name in &names {
        stage.until_phase(&first, name, Phase::Waiting).await;
    }
    let hold = |point: &String| first.wire().hold(&format!("{point}.{point}"));
    let held: Vec<_> = points.iter().map(hold).collect();
    for name in &names {
        let asked = json!({ CANCEL_PLAN_ANNOTATION: "c.2c4g" });
        stage.patch(name, json!({ "metadata": { "annotations": asked } })).await;
    }
    for hold in &held {
        hold.reached().await;
    }
    eventually("a lost request", LIMIT, async || {
        let calls = stage.sim.calls("CancelInstanceDowngrade", "lost").await;
        if calls.is_empty() { Err(first.process.tail()) } else { Ok(()) }
    })
    .await;
    first.process.kill();
    let second = stage.operator(SHORT);
    for name in &names {
        stage.until_phase(&second, name, Phase::InSync).await;
        let cost = Cost::of(&stage, name).await;
        let done = cost.cancel.iter().filter(|code| *code == "OK").count();
        assert_eq!((done, cost.modify.len()), (1, 0), "{name}: {cost:?}");
    }
}
