//! Orders, amounts, balance, stock, and the ends of cycles.

use serde_json::json;
use zenlayer_sim::world::OrderOutcome;

use super::given::{Cloud, DAY, given, given_behaviour, given_from, given_setup, given_with};

fn amount(cloud: &Cloud) -> String {
    cloud.orders().last().unwrap().amount.normalize().to_string()
}

#[test]
fn a_prepaid_upgrade_costs_the_difference_for_the_rest_of_the_cycle() {
    // c.4c8g costs 56 a month, c.8c16g 112; so much of the cycle is left.
    let rows = [(0, "28"), (5 * DAY, "18.67"), (DAY + 3600, "26.06"), (15 * DAY - 1, "0")];
    for (passed, expected) in rows {
        let mut cloud = given();
        cloud.step(passed);
        cloud.order("pre", "c.8c16g");
        assert_eq!(amount(&cloud), expected, "after {passed} s");
    }
    let mut cloud = given();
    cloud.order("pre", "c.8c16g");
    assert_eq!((cloud.balance().as_str(), cloud.paid()), ("972", vec!["pre Order 28".to_owned()]));
}

#[test]
fn what_is_paid_is_the_price_after_the_discount_of_the_zone() {
    let mut cloud = given();
    let add = json!({ "add": { "id": "lab-pre", "type": "c.1c2g", "chargeType": "PREPAID", "zone": "LAB-A", "expiresIn": "30d" } });
    cloud.console(add).unwrap();
    // 100 in this zone, less 14, of which half is paid.
    cloud.order("lab-pre", "c.4c8g");
    assert_eq!(amount(&cloud), "43");
}

#[test]
fn downgrades_and_postpaid_changes_cost_nothing_at_once_and_nothing_is_given_back() {
    for (id, to) in [("pre", "c.2c4g"), ("post", "c.8c16g"), ("post", "c.1c2g")] {
        let mut cloud = given();
        cloud.order(id, to);
        assert_eq!((amount(&cloud).as_str(), cloud.balance().as_str()), ("0", "1000"), "{id} {to}");
    }
}

#[test]
fn a_renewal_is_charged_at_the_price_of_the_type_that_it_is_for() {
    let mut cloud = given();
    cloud.step(45 * DAY);
    assert_eq!(cloud.paid(), ["pre Renewal 56", "pre Renewal 56"]);
    let mut cloud = given();
    cloud.order("pre", "c.2c4g");
    cloud.step(15 * DAY);
    assert_eq!(cloud.paid(), ["pre Renewal 28"]);
    let more = "  - { id: year, type: c.1c2g, chargeType: PREPAID, autoRenew: true, period: 12 }\n";
    let mut cloud = given_with(more);
    cloud.console(json!({ "topUp": { "amount": "100000" } })).unwrap();
    cloud.step(360 * DAY);
    assert!(cloud.paid().contains(&"year Renewal 168".to_owned()), "{:?}", cloud.paid());
    assert_eq!(cloud.item("year")["expiredTime"], "2027-12-22T00:00:00Z");
}

#[test]
fn postpaid_use_is_charged_by_the_hour_at_the_price_of_the_type() {
    let mut cloud = given();
    // 0.26 an hour for ten hours, then 0.52.
    cloud.step(10 * 3600 - 30);
    cloud.order("post", "c.4c8g");
    cloud.step(30);
    cloud.step(10 * 3600);
    cloud.console(json!({ "remove": { "id": "post" } })).unwrap();
    let charges = cloud.world.books().charges.iter().filter(|one| one.instance_id == "post");
    let amounts: Vec<String> = charges.map(|one| one.amount.normalize().to_string()).collect();
    assert_eq!(amounts, ["2.6", "5.2"]);
    // In the bin nothing is used.
    cloud.step(29 * DAY + 4 * 3600);
    let charged = cloud.world.books().charges.iter().any(|one| one.instance_id == "bin");
    assert!(!charged);
}

#[test]
fn an_upgrade_that_the_balance_does_not_cover_is_refused_and_nothing_is_ordered() {
    let mut cloud = given();
    cloud.console(json!({ "topUp": { "amount": "-972.01" } })).unwrap();
    assert_eq!(cloud.modify("pre", "c.8c16g"), "403 OPERATION_FAILED_INSUFFICIENT_BALANCE");
    assert!(cloud.orders().is_empty());
    cloud.console(json!({ "topUp": { "amount": "0.01" } })).unwrap();
    assert_eq!(cloud.modify("pre", "c.8c16g"), "200");
    assert_eq!(cloud.balance(), "0");
}

#[test]
fn machines_are_taken_with_the_order_and_given_back_with_the_old_type() {
    let left = |cloud: &Cloud| cloud.world.books().stock["LAB-A"]["c.8c16g"];
    let mut cloud = given();
    cloud.order("lab", "c.8c16g");
    assert_eq!(left(&cloud), 0);
    let add = json!({ "add": { "id": "lab-2", "type": "c.1c2g", "chargeType": "POSTPAID", "zone": "LAB-A" } });
    cloud.console(add).unwrap();
    assert_eq!(cloud.modify("lab-2", "c.8c16g"), "400 RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT");
    cloud.step(30);
    cloud.order("lab", "c.1c2g");
    assert_eq!(left(&cloud), 0, "as long as the change runs");
    cloud.step(30);
    assert_eq!(left(&cloud), 1);
    // A plan that ends otherwise gives its machine back too.
    cloud.order("lab", "c.8c16g");
    cloud.console(json!({ "dropPlan": { "id": "lab" } })).unwrap();
    assert_eq!(left(&cloud), 1);
    cloud.order("lab", "c.8c16g");
    cloud.step(30);
    cloud.console(json!({ "remove": { "id": "lab" } })).unwrap();
    assert_eq!(left(&cloud), 1);
}

#[test]
fn an_upgrade_is_paid_at_once_with_the_next_cycle_or_in_the_console() {
    let mut cloud = given_behaviour("payment: nextCycle");
    cloud.order("pre", "c.8c16g");
    cloud.step(15 * DAY - 1);
    assert_eq!(cloud.paid(), [""; 0]);
    cloud.step(1);
    assert_eq!(cloud.paid(), ["pre Owed 28", "pre Renewal 112"]);

    let mut cloud = given_behaviour("payment: inConsole");
    let number = cloud.order("pre", "c.8c16g");
    cloud.step(3600);
    assert_eq!(cloud.plan("pre"), "c.4c8g > c.8c16g Enable");
    assert_eq!(cloud.modify("pre", "c.2c4g"), "403 OPERATION_DENIED_INSTANCE_EXIST_PLAN");
    assert_eq!(cloud.balance(), "1000");
    cloud.console(json!({ "pay": { "orderNumber": number } })).unwrap();
    assert_eq!(cloud.plan("pre"), "c.4c8g > c.8c16g Processing");
    assert_eq!(cloud.paid(), ["pre Order 28"]);
    assert!(cloud.console(json!({ "pay": { "orderNumber": number } })).is_err(), "twice");
    cloud.step(30);
    assert_eq!(cloud.plan("pre"), "c.8c16g > null Enable");
}

/// A PREPAID instance that nobody renews, with a downgrade scheduled.
fn given_expiring(expiry: &str) -> Cloud {
    let mut cloud = given_behaviour(&format!("expiry: {expiry}"));
    cloud.console(json!({ "change": { "id": "pre", "change": { "autoRenew": false } } })).unwrap();
    cloud.order("pre", "c.2c4g");
    cloud.step(15 * DAY - 1);
    assert_eq!(cloud.plan("pre"), "c.4c8g > c.2c4g WaitToEnable");
    cloud.step(1);
    cloud
}

#[test]
fn without_renewal_the_instance_is_recycled_or_the_downgrade_lands_or_waits() {
    let rows = [
        ("recycled", "RECYCLING", "c.4c8g > null Enable", OrderOutcome::Lost),
        ("downgradeLands", "RUNNING", "c.2c4g > null Enable", OrderOutcome::Landed),
        ("downgradeWaits", "RUNNING", "c.4c8g > c.2c4g WaitToEnable", OrderOutcome::Open),
    ];
    for (expiry, state, plan, outcome) in rows {
        let mut cloud = given_expiring(expiry);
        assert_eq!(cloud.state("pre"), state, "{expiry}");
        cloud.step(DAY);
        assert_eq!(cloud.plan("pre"), plan, "{expiry}");
        assert_eq!(cloud.orders()[0].outcome, outcome, "{expiry}");
        assert_eq!(cloud.paid(), [""; 0], "{expiry}");
    }
}

#[test]
fn a_renewal_that_the_balance_does_not_cover_does_not_happen() {
    let mut cloud = given();
    cloud.console(json!({ "topUp": { "amount": "-999" } })).unwrap();
    cloud.step(15 * DAY);
    assert_eq!(cloud.state("pre"), "RECYCLING");
    assert_eq!(cloud.paid(), [""; 0]);
}

#[test]
fn what_costs_nothing_is_never_refused_for_money() {
    let mut setup = given_setup(
        "  - { id: free, type: c.1c2g, chargeType: PREPAID, zone: OLD-A, expiresIn: 1d, autoRenew: true }\n",
    );
    setup.zones[0] = serde_json::from_value(json!({ "id": "OLD-A", "discount": 0 })).unwrap();
    setup.balance = (-1000).into();
    let mut cloud = given_from(&setup);
    // An upgrade of no price, a downgrade, and POSTPAID both ways.
    let changes = [("free", "c.2c4g"), ("pre", "c.2c4g"), ("post", "c.4c8g"), ("old", "c.2c4g")];
    for (id, to) in changes {
        assert_eq!(cloud.modify(id, to), "200", "{id} {to}");
    }
    // A renewal of no price; the other one is not paid.
    cloud.step(16 * DAY);
    assert_eq!((cloud.state("free").as_str(), cloud.state("pre").as_str()), ("RUNNING", "RECYCLE"));
    assert_eq!(cloud.item("free")["instanceType"], "c.2c4g");
    let mut cloud = given_from(&setup);
    assert_eq!(cloud.modify("pre", "c.8c16g"), "403 OPERATION_FAILED_INSUFFICIENT_BALANCE");
    assert!(cloud.orders().is_empty());
}
