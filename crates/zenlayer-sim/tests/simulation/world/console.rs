//! What a person does outside the API.

use serde_json::{Value, json};
use zenlayer_sim::world::OrderOutcome;

use super::given::{Cloud, DAY, given, given_behaviour};

fn change(cloud: &mut Cloud, id: &str, change: Value) -> Result<Value, String> {
    cloud.console(json!({ "change": { "id": id, "change": change } }))
}

#[test]
fn a_person_changes_type_state_bandwidth_renewal_expiry_and_name() {
    let mut cloud = given();
    let all = json!({
        "type": "c.8c16g", "state": "STOPPED", "bandwidth": 7, "autoRenew": false,
        "expiresAt": "2026-02-01T00:00:00Z", "name": "renamed",
    });
    let shown = change(&mut cloud, "pre", all).unwrap();
    assert_eq!((&shown["type"], &shown["plan"]), (&json!("c.8c16g"), &json!({ "status": "none" })));
    let item = cloud.item("pre");
    let expected = json!(["c.8c16g", 8, "STOPPED", 7, false, "2026-02-01T00:00:00Z", "renamed"]);
    let fields = [
        "instanceType",
        "cpuCount",
        "instanceStatus",
        "internetMaxBandwidthOut",
        "autoRenew",
        "expiredTime",
        "instanceName",
    ];
    assert_eq!(json!(fields.map(|field| item[field].clone())), expected);
    assert!(cloud.orders().is_empty());
    // An empty change changes nothing.
    let before = cloud.world.clone();
    change(&mut cloud, "pre", json!({})).unwrap();
    assert_eq!(cloud.world, before);
}

#[test]
fn a_moved_expiry_moves_the_scheduled_downgrade() {
    let mut cloud = given();
    cloud.order("pre", "c.2c4g");
    change(&mut cloud, "pre", json!({ "expiresAt": "2026-01-03T00:00:00Z" })).unwrap();
    cloud.step(2 * DAY);
    assert_eq!(cloud.plan("pre"), "c.4c8g > c.2c4g Processing");
}

#[test]
fn a_person_orders_and_drops_a_change() {
    let mut cloud = given();
    let order = cloud.console(json!({ "order": { "id": "pre", "type": "c.2c4g" } })).unwrap();
    assert_eq!((&order["requestId"], &order["kind"]), (&json!("console"), &json!("nextCycle")));
    assert_eq!(cloud.plan("pre"), "c.4c8g > c.2c4g WaitToEnable");
    assert_eq!(cloud.modify("pre", "c.8c16g"), "403 OPERATION_DENIED_INSTANCE_EXIST_PLAN");
    cloud.console(json!({ "dropPlan": { "id": "pre" } })).unwrap();
    assert_eq!(cloud.plan("pre"), "c.4c8g > null Enable");
    assert_eq!(cloud.orders()[0].outcome, OrderOutcome::Cancelled);
    // The guest of a change that was dropped is brought up again.
    let mut cloud = given_behaviour("guest: reboots");
    cloud.order("post", "c.4c8g");
    cloud.console(json!({ "dropPlan": { "id": "post" } })).unwrap();
    assert_eq!(cloud.state("post"), "RUNNING");
}

#[test]
fn a_person_adds_removes_recycles_and_restores() {
    let mut cloud = given();
    let add = json!({ "add": { "id": "new", "type": "c.1c2g", "chargeType": "PREPAID", "autoRenew": true } });
    assert_eq!(cloud.console(add.clone()).unwrap()["expiresAt"], "2026-01-31T00:00:00Z");
    assert_eq!(
        cloud.console(add),
        Err("an instance with the id \"new\" exists already".to_owned())
    );
    cloud.console(json!({ "recycle": { "id": "new" } })).unwrap();
    assert!(cloud.console(json!({ "recycle": { "id": "new" } })).is_err());
    cloud.step(5);
    cloud.console(json!({ "restore": { "id": "new" } })).unwrap();
    assert_eq!(cloud.state("new"), "STOPPED");
    assert!(cloud.console(json!({ "restore": { "id": "new" } })).is_err());
    cloud.step(8 * DAY);
    assert_eq!(cloud.state("new"), "STOPPED", "the bin lets go of it");
    assert_eq!(cloud.console(json!({ "remove": { "id": "new" } })), Ok(json!({})));
    assert_eq!(cloud.state("new"), "gone");
}

#[test]
fn a_restored_instance_whose_cycle_is_over_pays_for_a_new_one() {
    let mut cloud = given();
    change(&mut cloud, "pre", json!({ "autoRenew": false })).unwrap();
    cloud.step(16 * DAY);
    assert_eq!(cloud.state("pre"), "RECYCLE");
    cloud.console(json!({ "topUp": { "amount": "-2000" } })).unwrap();
    let refused = cloud.console(json!({ "restore": { "id": "pre" } })).unwrap_err();
    assert!(refused.contains("the balance does not cover a new cycle"), "{refused}");
    cloud.console(json!({ "topUp": { "amount": "2000" } })).unwrap();
    cloud.console(json!({ "restore": { "id": "pre" } })).unwrap();
    assert_eq!(cloud.item("pre")["expiredTime"], "2026-02-16T00:00:00Z");
    assert_eq!(cloud.paid(), ["pre Renewal 56"]);
}

#[test]
fn a_person_sets_stock_and_switches() {
    let mut cloud = given();
    let stock =
        |left: Value| json!({ "stock": { "zone": "FRA-A", "type": "c.4c8g", "left": left } });
    cloud.console(stock(json!(0))).unwrap();
    assert_eq!(cloud.modify("post", "c.4c8g"), "400 RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT");
    cloud.console(stock(Value::Null)).unwrap();
    assert_eq!(cloud.modify("post", "c.4c8g"), "200");
    let shown = cloud.console(json!({ "behaviour": { "noPlanTarget": "empty" } })).unwrap();
    assert_eq!((&shown["noPlanTarget"], &shown["guest"]), (&json!("empty"), &json!("live")));
    assert_eq!(cloud.plan("off"), "g.2c8g > empty Enable");
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason_and_changes_nothing() {
    let rows = [
        (json!({ "remove": { "id": "nobody" } }), "instance \"nobody\" does not exist"),
        (
            json!({ "change": { "id": "post", "change": { "type": "c.3c3g" } } }),
            "type \"c.3c3g\" does not exist",
        ),
        (
            json!({ "change": { "id": "post", "change": { "expiresAt": "2030-01-01T00:00:00Z" } } }),
            "instance post is POSTPAID and has no expiry",
        ),
        (
            json!({ "change": { "id": "pre", "change": { "expiresAt": "2020-01-01T00:00:00Z" } } }),
            "step the clock instead",
        ),
        (
            json!({ "order": { "id": "nobody", "type": "c.1c2g" } }),
            "instance \"nobody\" does not exist",
        ),
        (json!({ "order": { "id": "post", "type": "c.2c4g" } }), "is the current one"),
        (json!({ "pay": { "orderNumber": "7" } }), "order \"7\" does not exist"),
        (json!({ "restore": { "id": "post" } }), "instance post is not in the recycle bin"),
        (json!({ "stock": { "zone": "X-1", "type": "c.1c2g", "left": 1 } }), "zone \"X-1\""),
        (
            json!({ "add": { "id": "x", "type": "c.3c3g", "chargeType": "PREPAID" } }),
            "type \"c.3c3g\" is not one of",
        ),
        (json!({ "topUp": { "amount": "79228162514264337593543950335" } }), "is beyond"),
        (json!({ "topUp": { "amount": "0.00001" } }), "more than 4 digits"),
        (json!({ "behaviour": { "readLag": { "DescribeAll": "1s" } } }), "is not one of"),
    ];
    let mut cloud = given();
    let before = cloud.world.clone();
    for (change, reason) in rows {
        let refused = cloud.console(change.clone()).expect_err(&change.to_string());
        assert!(refused.contains(reason), "{change}: {refused}");
        assert_eq!(cloud.world, before, "{change}");
    }
}
