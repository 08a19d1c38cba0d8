//! Changes of type, from the call to the end.

use serde_json::json;
use zenlayer_sim::world::{OrderKind, OrderOutcome};

use super::given::{DAY, given, given_behaviour};

#[test]
fn a_postpaid_change_runs_and_is_in_effect_at_once_either_way() {
    for to in ["c.4c8g", "c.1c2g"] {
        let mut cloud = given();
        let number = cloud.order("post", to);
        assert_eq!(cloud.plan("post"), format!("c.2c4g > {to} Processing"));
        assert_eq!(cloud.state("post"), "RUNNING");
        cloud.step(29);
        assert_eq!(cloud.plan("post"), format!("c.2c4g > {to} Processing"));
        cloud.step(1);
        assert_eq!(cloud.plan("post"), format!("{to} > null Enable"));
        let order = &cloud.orders()[0];
        assert_eq!(
            (order.order_number.as_str(), order.kind),
            (number.as_str(), OrderKind::Immediate)
        );
        assert_eq!(order.outcome, OrderOutcome::Landed);
    }
}

#[test]
fn a_prepaid_upgrade_is_in_effect_at_once() {
    let mut cloud = given();
    cloud.order("pre", "c.8c16g");
    assert_eq!(cloud.plan("pre"), "c.4c8g > c.8c16g Processing");
    cloud.step(30);
    assert_eq!(cloud.plan("pre"), "c.8c16g > null Enable");
    assert_eq!(cloud.item("pre")["cpuCount"], 8);
}

#[test]
fn a_prepaid_downgrade_waits_for_the_end_of_the_cycle_and_lands_with_the_renewal() {
    let mut cloud = given();
    cloud.order("pre", "c.2c4g");
    cloud.step(15 * DAY - 1);
    assert_eq!(cloud.plan("pre"), "c.4c8g > c.2c4g WaitToEnable");
    assert_eq!(cloud.item("pre")["expiredTime"], "2026-01-16T00:00:00Z");
    cloud.step(1);
    assert_eq!(cloud.plan("pre"), "c.4c8g > c.2c4g Processing");
    assert_eq!(cloud.item("pre")["expiredTime"], "2026-02-15T00:00:00Z");
    assert_eq!(cloud.cancel("pre"), "403 OPERATION_DENIED_DOWNGRADE_NOT_EXIST");
    cloud.step(30);
    assert_eq!(cloud.plan("pre"), "c.2c4g > null Enable");
    assert_eq!(cloud.orders()[0].kind, OrderKind::NextCycle);
}

#[test]
fn a_cancelled_downgrade_never_lands_and_the_model_stays() {
    let mut cloud = given();
    cloud.console(json!({ "topUp": { "amount": "100000" } })).unwrap();
    cloud.order("pre", "c.2c4g");
    assert_eq!(cloud.ok("CancelInstanceDowngrade", json!({ "instanceId": "pre" })), json!({}));
    assert_eq!(cloud.plan("pre"), "c.4c8g > null Enable");
    cloud.step(100 * DAY);
    assert_eq!(cloud.plan("pre"), "c.4c8g > null Enable");
    assert_eq!(cloud.orders()[0].outcome, OrderOutcome::Cancelled);
    // A further one can be ordered.
    assert_eq!(cloud.modify("pre", "c.1c2g"), "200");
}

#[test]
fn changes_across_series_are_those_that_were_set() {
    let rows = [
        ("crossSeries: [[c, g]]", "post", "g.2c8g", "200"),
        (
            "crossSeries: [[c, g]]",
            "post",
            "m.2c16g",
            "400 OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED",
        ),
        (
            "crossSeries: [[c, g]]",
            "off",
            "c.2c4g",
            "400 OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED",
        ),
        ("crossSeries: [[s, c]]", "small", "c.1c2g", "200"),
        ("crossSeries: []", "post", "g.2c8g", "400 OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"),
        ("crossSeries: []", "post", "c.64c128g", "200"),
        ("", "post", "m.2c16g", "200"),
        ("", "off", "c.2c4g", "200"),
        ("", "small", "s.2c2g", "200"),
    ];
    for (switches, id, to, expected) in rows {
        assert_eq!(given_behaviour(switches).modify(id, to), expected, "{switches} {id} {to}");
    }
}

#[test]
fn a_month_passes_in_one_step() {
    let mut cloud = given();
    cloud.order("pre", "c.2c4g");
    cloud.order("post", "c.4c8g");
    cloud.ok("StopInstances", json!({ "instanceIds": ["lab"] }));
    cloud.step(30 * DAY);
    assert_eq!(cloud.plan("pre"), "c.2c4g > null Enable");
    assert_eq!(cloud.plan("post"), "c.4c8g > null Enable");
    assert_eq!(cloud.state("lab"), "STOPPED");
}

#[test]
fn the_next_event_says_when_something_is_due() {
    let mut cloud = given();
    cloud.order("post", "c.4c8g");
    assert_eq!(cloud.world.next_event().unwrap().duration_since(cloud.now).as_secs(), 30);
    cloud.step(30);
    let next = cloud.world.next_event().unwrap().duration_since(cloud.now).as_secs();
    assert_eq!(next, 15 * DAY - 30);
}

#[test]
fn a_moment_before_the_last_one_counts_as_the_last_one() {
    let mut cloud = given();
    cloud.step(1000);
    cloud.now -= jiff::SignedDuration::from_secs(500);
    cloud.order("post", "c.4c8g");
    assert_eq!(cloud.orders()[0].at.as_second(), super::given::START + 1000);
}
