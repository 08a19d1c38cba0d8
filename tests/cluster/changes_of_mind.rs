//! People who change their mind: before, while and after a change is ordered.

use serde_json::json;
use zenlayer_vm_operator::api::{ChangeKind, ChangeState, HistoryOutcome, Phase};

use crate::{
    stage::{LIMIT, ONE_POSTPAID, Rules, Stage, shown, slow_simulation},
    tally::{
        CHANGE, Cost, FOLLOWED, LOOKED_AT, change_runs_and_ends, comes_to_rest, declare_instead,
        history, mutations, phase, slow_stage, until_in_sync, until_it_runs,
    },
};
use harness::eventually;

fn prepaid(type_id: &str) -> String {
    format!(
        "  - {{ id: vm-1, type: {type_id}, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }}\n"
    )
}

#[tokio::test]
async fn a_scheduled_change_is_cancelled_when_the_spec_goes_back() {
    let stage = slow_stage(&prepaid("c.2c4g")).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.1c2g").await;
    stage.until_phase(&operator, "vm-1", Phase::Scheduled).await;
    declare_instead(&stage, "vm-1", "c.2c4g").await;
    let object = until_in_sync(&stage, &operator, "vm-1").await;
    assert_eq!(shown(&object, "Ready"), "True InSync");
    let calls = ["ModifyInstanceType c.1c2g OK", "CancelInstanceDowngrade OK"];
    assert_eq!(mutations(&stage, "vm-1").await, calls);
    let ended = [
        (ChangeKind::Modify, "c.1c2g".to_owned(), HistoryOutcome::Cancelled),
        (ChangeKind::CancelDowngrade, "c.2c4g".to_owned(), HistoryOutcome::Completed),
    ];
    assert_eq!(history(&object), ended);
    assert_eq!(stage.sim.orders("vm-1").await[0]["outcome"], "cancelled");
    let cost = Cost { paid: 1, cancels: 1, catalogues: 1, prices: 2, writes: 6 };
    comes_to_rest(&stage, &operator, "back while scheduled", LOOKED_AT, cost).await;
}

#[tokio::test]
async fn a_third_type_is_ordered_only_once_the_scheduled_one_is_seen_to_be_gone() {
    let stage = slow_stage(&prepaid("c.4c8g")).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::Scheduled).await;
    declare_instead(&stage, "vm-1", "c.1c2g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::Scheduled).await;
    let change = object.status.as_ref().unwrap().change.clone().unwrap();
    assert_eq!((change.to.as_str(), change.effective_at.is_some()), ("c.1c2g", true));
    let calls = [
        "ModifyInstanceType c.2c4g OK",
        "CancelInstanceDowngrade OK",
        "ModifyInstanceType c.1c2g OK",
    ];
    assert_eq!(mutations(&stage, "vm-1").await, calls);
    // One effect a pass: a whole look lies between the cancellation and the order, which then
    // rests on a look of its own.
    let log = stage.sim.get("requests").await;
    let actions = log["requests"].as_array().unwrap().iter().map(|one| one["action"].as_str());
    let actions: Vec<&str> = actions.flatten().collect();
    let cancel = actions.iter().position(|one| *one == "CancelInstanceDowngrade").unwrap();
    let after: Vec<&str> =
        actions[cancel..].iter().copied().take_while(|one| *one != "ModifyInstanceType").collect();
    for read in ["DescribeInstances", "DescribeInstanceTypeStatus"] {
        let looks = after.iter().filter(|one| **one == read).count();
        assert!(looks >= 2, "{read}: {after:?}");
    }
    let ended = [
        (ChangeKind::Modify, "c.2c4g".to_owned(), HistoryOutcome::Cancelled),
        (ChangeKind::CancelDowngrade, "c.4c8g".to_owned(), HistoryOutcome::Completed),
    ];
    assert_eq!(history(&object), ended);
    let cost = Cost { paid: 2, cancels: 1, catalogues: 1, prices: 3, writes: 9 };
    comes_to_rest(&stage, &operator, "a third type while scheduled", FOLLOWED, cost).await;
}

#[tokio::test]
async fn a_change_that_runs_ends_before_the_next_one_is_ordered() {
    let stage = slow_stage(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    until_it_runs(&stage, &operator, "vm-1", "c.2c4g").await;
    declare_instead(&stage, "vm-1", "c.4c8g").await;
    until_it_runs(&stage, &operator, "vm-1", "c.2c4g").await;
    operator.further_passes(3.0).await;
    assert_eq!(mutations(&stage, "vm-1").await, ["ModifyInstanceType c.2c4g OK"]);
    stage.sim.advance(CHANGE).await;
    change_runs_and_ends(&stage, &operator, "vm-1", "c.4c8g").await;
    let calls = ["ModifyInstanceType c.2c4g OK", "ModifyInstanceType c.4c8g OK"];
    assert_eq!(mutations(&stage, "vm-1").await, calls);
    let cost = Cost { paid: 2, catalogues: 1, writes: 9, ..Cost::default() };
    comes_to_rest(&stage, &operator, "another type while changing", LOOKED_AT, cost).await;
}

#[tokio::test]
async fn edits_while_the_call_is_on_its_way_order_the_last_type_only() {
    let stage = slow_stage(ONE_POSTPAID).await;
    let operator = stage.operator_on_a_wire(&[]);
    operator.ready().await;
    let call = operator.wire().hold("before-call");
    stage.declare("c.2c4g").await;
    call.reached().await;
    // The intent is open: a -> b, and by now a and then c.
    declare_instead(&stage, "vm-1", "c.1c2g").await;
    declare_instead(&stage, "vm-1", "c.4c8g").await;
    call.release();
    until_it_runs(&stage, &operator, "vm-1", "c.2c4g").await;
    stage.sim.advance(CHANGE).await;
    let object = change_runs_and_ends(&stage, &operator, "vm-1", "c.4c8g").await;
    let calls = ["ModifyInstanceType c.2c4g OK", "ModifyInstanceType c.4c8g OK"];
    assert_eq!(mutations(&stage, "vm-1").await, calls);
    let numbers: Vec<_> =
        object.status.unwrap().history.into_iter().map(|one| one.order_number).collect();
    assert!(numbers.iter().all(Option::is_some), "{numbers:?}");
    let cost = Cost { paid: 2, catalogues: 1, writes: 8, ..Cost::default() };
    comes_to_rest(&stage, &operator, "a-b-a-c while the call is open", LOOKED_AT, cost).await;
}

#[tokio::test]
async fn edits_that_nobody_saw_order_the_last_type_only() {
    let stage = slow_stage(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.1c2g").await;
    until_in_sync(&stage, &operator, "vm-1").await;
    operator.process.freeze().await;
    for type_id in ["c.2c4g", "c.1c2g", "c.4c8g"] {
        declare_instead(&stage, "vm-1", type_id).await;
    }
    operator.process.thaw();
    change_runs_and_ends(&stage, &operator, "vm-1", "c.4c8g").await;
    assert_eq!(mutations(&stage, "vm-1").await, ["ModifyInstanceType c.4c8g OK"]);
    let cost = Cost { paid: 1, catalogues: 1, writes: 5, ..Cost::default() };
    comes_to_rest(&stage, &operator, "a-b-a-c at once", LOOKED_AT, cost).await;
}

#[tokio::test]
async fn a_new_type_waits_until_a_lost_answer_is_settled() {
    let short = ["--testing-signature-life", "6s", "--testing-settle-margin", "2s"];
    let world = slow_simulation("0s", ONE_POSTPAID);
    let stage = Stage::of_world(&world, &Rules::of_deploy(), &["--signature-life", "6"]).await;
    let operator = stage.operator(&short);
    operator.ready().await;
    stage.sim.fault(json!({ "action": "ModifyInstanceType", "kind": "dropAfter" })).await;
    stage.declare("c.2c4g").await;
    let object = stage
        .until(&operator, "vm-1", "has no answer", |object| {
            shown(object, "Ready") == "False OutcomeUnknown"
        })
        .await;
    let intent = object.status.unwrap().change.unwrap();
    assert_eq!(intent.state, ChangeState::Submitting);
    declare_instead(&stage, "vm-1", "c.4c8g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::Submitting).await;
    assert_eq!(object.status.unwrap().change.unwrap().id, intent.id);
    let object = until_in_sync(&stage, &operator, "vm-1").await;
    let orders = stage.sim.orders("vm-1").await;
    let targets: Vec<_> = orders.iter().map(|one| one["to"].as_str().unwrap()).collect();
    assert_eq!(targets, ["c.2c4g", "c.4c8g"]);
    let second: jiff::Timestamp = orders[1]["at"].as_str().unwrap().parse().unwrap();
    assert!(second > intent.fence.unwrap().0, "ordered at {second}, within the fence");
    let outcomes: Vec<_> = history(&object).into_iter().map(|one| (one.1, one.2)).collect();
    let completed = |to: &str| (to.to_owned(), HistoryOutcome::Completed);
    assert_eq!(outcomes, [completed("c.2c4g"), completed("c.4c8g")]);
    assert_eq!(phase(&object), Some(Phase::InSync));
    let cost = Cost { paid: 2, catalogues: 1, writes: 7, ..Cost::default() };
    comes_to_rest(&stage, &operator, "a new type after a lost answer", LOOKED_AT, cost).await;
    // What was adopted is told once.
    eventually("the event of the adoption", LIMIT, async || {
        let events = stage.events().await;
        let adopted = events.iter().filter(|event| event.0 == "OutcomeSettled").count();
        if adopted == 1 { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
}
