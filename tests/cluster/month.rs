//! The month passes: a PREPAID downgrade under a clock that the test steps.

use serde_json::json;
use zenlayer_vm_operator::api::Phase;

use crate::{
    stage::{Rules, Stage, message, shown},
    tally::{
        CHANGE, Cost, LOOKED_AT, Tally, comes_to_rest, declare_instead, mutations, slow,
        until_in_sync,
    },
};

const DAY: i64 = 24 * 60 * 60;

/// 30 days before the end of its cycle. The simulator's signatures live for longer than that,
/// because the operator's clock stays behind when the simulator's is stepped.
async fn stage() -> Stage {
    let machine =
        "  - { id: vm-1, type: c.2c4g, chargeType: PREPAID, expiresIn: 30d, autoRenew: true }\n";
    let arguments = ["--clock", "stepped", "--signature-life", "8640000"];
    Stage::of_world(&slow(machine), &Rules::of_deploy(), &arguments).await
}

#[tokio::test]
async fn a_downgrade_waits_through_the_month_and_is_in_sync_after_it() {
    let stage = stage().await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.1c2g").await;
    let scheduled = stage.until_phase(&operator, "vm-1", Phase::Scheduled).await;
    let effective = scheduled.status.as_ref().unwrap().change.clone().unwrap().effective_at;
    let quiet = Tally::of(&stage).await;
    let mut days = 0;
    for step in [1, 14, 14] {
        stage.sim.advance(step * DAY).await;
        days += step;
        operator.further_passes(2.0).await;
        let object = stage.get("vm-1").await;
        let versions = (&object.metadata.resource_version, &scheduled.metadata.resource_version);
        assert_eq!(versions.0, versions.1, "written after {days} days");
    }
    assert_eq!(Tally::of(&stage).await.changes(), quiet.changes());

    stage.sim.advance(DAY).await;
    let object = stage.until_phase(&operator, "vm-1", Phase::Changing).await;
    assert_eq!(shown(&object, "Ready"), "False ChangeInProgress");
    stage.sim.advance(CHANGE).await;
    let object = until_in_sync(&stage, &operator, "vm-1").await;
    let status = object.status.unwrap();
    let order = stage.sim.orders("vm-1").await.remove(0);
    assert_eq!(order["outcome"], "landed");
    assert_eq!(status.order_number.as_deref(), order["orderNumber"].as_str());
    let instance = status.instance.unwrap();
    assert_eq!((instance.type_id.as_str(), instance.cpu_count), ("c.1c2g", Some(1)));
    // The next cycle was bought at the price of the new type, and nothing else was paid.
    assert!(instance.expires_at.unwrap().0 > effective.unwrap().0);
    let ledger = stage.sim.get("ledger").await;
    let charges = ledger["charges"].as_array().unwrap();
    assert_eq!(charges.len(), 1, "{ledger}");
    assert_eq!((&charges[0]["reason"], &charges[0]["amount"]), (&json!("renewal"), &json!("14")));
    let cost = Cost { paid: 1, catalogues: 1, prices: 2, writes: 5, ..Cost::default() };
    comes_to_rest(&stage, &operator, "a downgrade through the month", LOOKED_AT, cost).await;
}

#[tokio::test]
async fn a_downgrade_can_be_taken_back_on_the_day_before() {
    let stage = stage().await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.1c2g").await;
    let scheduled = stage.until_phase(&operator, "vm-1", Phase::Scheduled).await;
    drop(operator);

    // A call is made only while both clocks agree, so the next process lives 29 days later.
    stage.sim.advance(29 * DAY).await;
    let operator = stage.operator(&["--testing-clock-ahead", "696h"]);
    operator.ready().await;
    let warned = "warning: the cycle ends within a day";
    assert!(!message(&scheduled).contains(warned), "{}", message(&scheduled));
    let last_day = stage
        .until(&operator, "vm-1", "warns of the last day", |object| {
            message(object).contains(warned)
        })
        .await;
    assert_eq!(shown(&last_day, "Ready"), "True ChangeScheduled");
    declare_instead(&stage, "vm-1", "c.2c4g").await;
    until_in_sync(&stage, &operator, "vm-1").await;
    let calls = ["ModifyInstanceType c.1c2g OK", "CancelInstanceDowngrade OK"];
    assert_eq!(mutations(&stage, "vm-1").await, calls);

    // The cycle ends, and nothing comes of the order.
    stage.sim.advance(DAY + CHANGE).await;
    operator.further_passes(2.0).await;
    let object = until_in_sync(&stage, &operator, "vm-1").await;
    let instance = object.status.unwrap().instance.unwrap();
    assert_eq!((instance.type_id.as_str(), instance.state.as_str()), ("c.2c4g", "RUNNING"));
    let ledger = stage.sim.get("ledger").await;
    assert_eq!(ledger["orders"][0]["outcome"], "cancelled", "{ledger}");
    assert_eq!(ledger["charges"][0]["amount"], "28", "{ledger}");
    // The warning and the end of the new cycle are written down, too.
    let cost = Cost { paid: 1, cancels: 1, catalogues: 1, prices: 2, writes: 8 };
    comes_to_rest(&stage, &operator, "a downgrade taken back", LOOKED_AT, cost).await;
}
