//! The API server is away from any moment between slot and record, or the operator is told to end while
//! its call has no answer yet. What was ordered is what the status says.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use futures::future::join_all;
use zenlayer_vm_operator::api::{HistoryOutcome, Phase, VmInstance};

use crate::{
    crowd::{QUICK, crowd_with, declare, postpaid, prepaid},
    stage::{LIMIT, Rules, Stage, message},
};
use harness::{
    Operator, eventually, table,
    wire::{Fault, Hold, Select},
};

/// Where the API server goes away, and what has happened by then.
const POINTS: [(&str, &str); 7] = [
    ("after-slot-modify", "the slot was taken"),
    ("after-intent-modify", "the intent was written"),
    ("after-call-modify", "the call was sent"),
    ("before-answer-modify", "the slot is not updated yet"),
    ("after-answer-modify", "the slot is updated"),
    ("before-publish-modify-accepted", "the status is not written yet"),
    ("after-publish-modify-accepted", "the status is written"),
];
/// How long it is away.
const AWAY: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(90)];
/// How soon after that everything has come to its end: the watch is begun anew every 10 s.
const SOON: Duration = Duration::from_secs(20);
/// One machine of each charge type.
const NAMES: [&str; 2] = ["prepaid", "postpaid"];
/// How long the provider takes for an answer, and how long the operator waits for it: less than it is
/// given to end.
const SLOW_ANSWER: Duration = Duration::from_secs(28);
const ANSWER_LIMIT: &str = "45s";
/// How long after its decision a call may be sent.
const SEND_WINDOW: Duration = Duration::from_secs(5);
const MODIFY: &str = "ModifyInstanceType";

type Row = [String; 8];

const HEAD: [&str; 8] = [
    "FROM THE MOMENT",
    "AWAY",
    "CHARGE TYPE",
    "CALLS",
    "ORDERS",
    "ORDER (LEDGER)",
    "ORDER (STATUS)",
    "IN SYNC AFTER",
];

/// With the fence of production: an answer is kept for ten minutes.
async fn stage() -> Stage {
    let instances = [(NAMES[0], prepaid(NAMES[0])), (NAMES[1], postpaid(NAMES[1]))];
    crowd_with(&instances, QUICK, &[]).await
}

/// Waits until this much time has gone by.
async fn gone_by(time: Duration) {
    let started = Instant::now();
    eventually("the end of an outage", 2 * time, async || {
        if started.elapsed() >= time { Ok(()) } else { Err(format!("{:?}", started.elapsed())) }
    })
    .await;
}

/// What each machine has cost once its object is in sync, since this moment. One call, one order, and the
/// status names it.
async fn in_sync(stage: &Stage, operator: &Operator, what: &str, away: &str) -> Vec<Row> {
    let since = Instant::now();
    let mut rows = Vec::new();
    for name in NAMES {
        let object = eventually(&format!("{name} is in sync ({what}, {away})"), SOON, async || {
            let object = stage.get(name).await;
            let status = object.status.as_ref();
            let in_sync = status.is_some_and(|status| status.phase == Some(Phase::InSync));
            if in_sync {
                Ok(object)
            } else {
                Err(format!("{status:?}\n{}", operator.process.tail()))
            }
        })
        .await;
        let took = since.elapsed();
        let calls = stage.sim.calls("ModifyInstanceType", name).await;
        let orders = stage.sim.orders(name).await;
        let ledger: Vec<&str> =
            orders.iter().filter_map(|order| order["orderNumber"].as_str()).collect();
        let status = object.status.unwrap();
        let told = status.order_number.unwrap_or_default();
        assert_eq!(ledger, [told.as_str()], "{what}, {away}, {name}");
        assert_eq!(calls, ["OK"], "{what}, {away}, {name}");
        let outcomes: Vec<_> = status.history.iter().map(|entry| entry.outcome).collect();
        assert_eq!(outcomes, [HistoryOutcome::Completed], "{what}, {away}, {name}");
        rows.push([
            what.to_owned(),
            away.to_owned(),
            name.to_uppercase(),
            calls.len().to_string(),
            ledger.len().to_string(),
            ledger.join(" "),
            told,
            format!("{:.1} s", took.as_secs_f64()),
        ]);
    }
    rows
}

async fn both_declared(stage: &Stage) {
    for name in NAMES {
        declare(stage, name, "c.2c4g", serde_json::json!({})).await;
    }
}

/// The API server is away from this point on.
async fn away(point: &str, what: &str, time: Duration) -> Vec<Row> {
    let stage = stage().await;
    let operator = stage.operator_on_a_wire(&[]);
    let held: Vec<Hold> =
        NAMES.iter().map(|name| operator.wire().hold(&format!("{point}.{name}"))).collect();
    operator.ready().await;
    both_declared(&stage).await;
    for hold in &held {
        hold.reached().await;
    }
    let kubernetes = &operator.wire().kubernetes;
    kubernetes.refuse_connections().await;
    held.iter().for_each(Hold::release);
    gone_by(time).await;
    kubernetes.accept_connections();
    in_sync(&stage, &operator, what, &format!("{} s", time.as_secs())).await
}

/// SIGTERM while the provider takes long for its answer: it is waited for, and written down.
async fn told_to_end() -> Vec<Row> {
    let stage = stage().await;
    let mut operator = stage.operator_on_a_wire(&["--testing-answer-limit", ANSWER_LIMIT]);
    let slow = operator.wire().fault(Select::named("call-modify"), Fault::DelayAnswer(SLOW_ANSWER));
    operator.ready().await;
    both_declared(&stage).await;
    slow.happened(NAMES.len()).await;
    operator.process.signal(libc::SIGTERM);
    let told = Instant::now();
    let ended = RefCell::new(&mut operator.process);
    let status = eventually("the end of the operator", LIMIT, async || {
        let mut process = ended.borrow_mut();
        process.ended().ok_or_else(|| process.tail())
    })
    .await;
    assert!(status.success(), "{status}; {}", operator.process.tail());
    assert!(told.elapsed() >= SLOW_ANSWER / 2, "it did not wait: {:?}", told.elapsed());
    // It is in the status before anybody else looks.
    for name in NAMES {
        let orders = stage.sim.orders(name).await;
        let number = stage.get(name).await.status.unwrap().order_number;
        assert_eq!(number.as_deref(), orders[0]["orderNumber"].as_str(), "{name}");
    }
    let second = stage.operator(&[]);
    in_sync(&stage, &second, "SIGTERM in a call of 28 s", "-").await
}

#[tokio::test]
async fn what_was_ordered_while_the_api_server_is_away_or_the_operator_ends_is_what_the_status_says()
 {
    let cases = AWAY.iter().flat_map(|time| POINTS.map(|(point, what)| (point, what, *time)));
    let outages = join_all(cases.map(|(point, what, time)| away(point, what, time)));
    let (outages, end) = futures::join!(outages, told_to_end());
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(outages.into_iter().flatten().chain(end));
    table::show("The API server is away, or the operator ends", &rows);
}

/// The provider refuses a call whose signature is old, so one that could not be sent in time is not sent.
#[tokio::test]
async fn a_slot_that_is_written_too_late_for_its_call_is_given_back_and_said() {
    let world = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }\n";
    let stage = Stage::with(world, &Rules::of_deploy(), &[]).await;
    let operator = stage.operator_on_a_wire(&[]);
    let slot = operator.wire().hold("after-slot-modify");
    operator.ready().await;
    stage.declare("c.2c4g").await;
    slot.reached().await;
    let held = Instant::now();
    eventually("the window of the call to be over", LIMIT, async || {
        let passed = held.elapsed();
        if passed > SEND_WINDOW { Ok(()) } else { Err(format!("{passed:?}")) }
    })
    .await;
    assert_eq!(stage.sim.calls(MODIFY, "vm-1").await, [""; 0]);
    slot.release();
    let late = |object: &VmInstance| {
        object.status.is_some() && message(object).contains("written too late")
    };
    stage.until(&operator, "vm-1", "says that it was too late", late).await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.calls(MODIFY, "vm-1").await, ["OK"]);
}
