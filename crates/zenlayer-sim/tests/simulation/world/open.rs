//! The switches: each answer that can be given to a question that the documents leave open.

use jiff::SignedDuration;
use serde_json::{Value, json};
use zenlayer_sim::world::{Effect, OrderOutcome};

use super::given::{Cloud, DAY, given, given_behaviour, given_with};

fn modify_with(cloud: &mut Cloud, effect: Effect, id: &str, to: &str) -> Result<Value, String> {
    let body = json!({ "instanceId": id, "instanceTypeId": to });
    cloud.call_with(effect, "ModifyInstanceType", &body)
}

#[test]
fn no_plan_is_spelled_as_it_was_set() {
    let rows = [
        ("", "c.2c4g > null Enable"),
        ("noPlanTarget: empty", "c.2c4g > empty Enable"),
        ("noPlanTarget: absent", "c.2c4g > absent Enable"),
        ("noPlanTarget: current", "c.2c4g > c.2c4g Enable"),
        ("noPlanStatus: disable", "c.2c4g > null Disable"),
        ("noPlanStatus: disableForPostpaid", "c.2c4g > null Disable"),
        ("noPlanStatus: \"null\", noPlanTarget: absent", "c.2c4g > absent null"),
        ("noPlanStatus: empty", "c.2c4g > null empty"),
        ("noPlanStatus: absent", "c.2c4g > null absent"),
    ];
    for (switches, expected) in rows {
        let mut cloud = given_behaviour(switches);
        assert_eq!(cloud.plan("post"), expected, "{switches}");
        cloud.order("post", "c.4c8g");
        assert_eq!(cloud.plan("post"), "c.2c4g > c.4c8g Processing", "{switches}");
        cloud.step(30);
        assert_eq!(cloud.plan("post"), expected.replace("c.2c4g", "c.4c8g"), "{switches}");
    }
    let mut cloud = given_behaviour("noPlanStatus: disableForPostpaid");
    assert_eq!(cloud.plan("pre"), "c.4c8g > null Enable");
}

#[test]
fn the_sample_with_enable_before_the_effect_can_be_played_at_both_ends() {
    let mut cloud = given_behaviour("enableAtStart: 10s, enableAtEnd: 5s");
    cloud.order("post", "c.4c8g");
    let shown = [
        (0, "Enable"),
        (9, "Enable"),
        (10, "Processing"),
        (24, "Processing"),
        (25, "Enable"),
        (29, "Enable"),
    ];
    let mut passed = 0;
    for (at, status) in shown {
        cloud.step(at - passed);
        passed = at;
        assert_eq!(cloud.plan("post"), format!("c.2c4g > c.4c8g {status}"), "after {at} s");
    }
    cloud.step(1);
    assert_eq!(cloud.plan("post"), "c.4c8g > null Enable");
}

#[test]
fn the_guest_lives_reboots_stops_or_needs_a_reboot() {
    // States after 0, 10, 20 and 30 s, then cores.
    let rows = [
        ("live", ["RUNNING"; 4], 4),
        ("reboots", ["REBOOT", "REBOOT", "REBOOT", "RUNNING"], 4),
        ("stopsAndStarts", ["STOPPING", "STOPPED", "BOOTING", "RUNNING"], 4),
        ("needsReboot", ["RUNNING"; 4], 2),
    ];
    for (guest, states, cores) in rows {
        let mut cloud = given_behaviour(&format!("guest: {guest}"));
        cloud.order("post", "c.4c8g");
        for (index, state) in states.iter().enumerate() {
            cloud.step(if index == 0 { 0 } else { 10 });
            assert_eq!(cloud.state("post"), *state, "{guest} {index}");
        }
        let item = cloud.item("post");
        assert_eq!(
            (&item["instanceType"], &item["cpuCount"]),
            (&json!("c.4c8g"), &json!(cores)),
            "{guest}"
        );
        cloud.step(1000);
        assert_eq!(cloud.state("post"), "RUNNING", "{guest}");
    }
}

#[test]
fn a_guest_that_needs_a_reboot_shows_its_size_after_one() {
    let mut cloud = given_behaviour("guest: needsReboot");
    cloud.order("post", "c.4c8g");
    cloud.step(30);
    assert_eq!(cloud.item("post")["memory"], 4);
    cloud.ok("RebootInstances", json!({ "instanceIds": ["post"] }));
    assert_eq!(cloud.item("post")["memory"], 4);
    cloud.step(15);
    assert_eq!(cloud.item("post")["memory"], 8);
    // One that is off has nothing to reboot.
    cloud.order("off", "g.4c16g");
    cloud.step(30);
    assert_eq!(cloud.item("off")["memory"], 16);
}

#[test]
fn a_stopped_instance_stays_stopped_whatever_the_guest_would_do() {
    for guest in ["live", "reboots", "stopsAndStarts", "needsReboot"] {
        let mut cloud = given_behaviour(&format!("guest: {guest}"));
        cloud.order("off", "g.4c16g");
        assert_eq!(cloud.state("off"), "STOPPED", "{guest}");
        cloud.step(30);
        assert_eq!(cloud.state("off"), "STOPPED", "{guest}");
        assert_eq!(cloud.plan("off"), "g.4c16g > null Enable", "{guest}");
    }
}

#[test]
fn a_change_that_fails_is_seen_as_it_was_set() {
    let rows = [
        ("vanishes", "c.2c4g > null Enable", OrderOutcome::Failed, "200"),
        ("showsEnable", "c.2c4g > c.4c8g Enable", OrderOutcome::Failed, "200"),
        ("showsDisable", "c.2c4g > c.4c8g Disable", OrderOutcome::Failed, "200"),
        (
            "hangs",
            "c.2c4g > c.4c8g Processing",
            OrderOutcome::Open,
            "403 OPERATION_DENIED_INSTANCE_PLAN_PROCESSING",
        ),
    ];
    for (failed, plan, outcome, again) in rows {
        let mut cloud = given_behaviour(&format!("failedChange: {failed}"));
        modify_with(&mut cloud, Effect::FailsSilently, "post", "c.4c8g").unwrap();
        assert_eq!(cloud.plan("post"), "c.2c4g > c.4c8g Processing", "{failed}");
        cloud.step(DAY);
        assert_eq!(cloud.plan("post"), plan, "{failed}");
        assert_eq!(cloud.orders()[0].outcome, outcome, "{failed}");
        assert_eq!(cloud.modify("post", "c.4c8g"), again, "{failed}");
    }
}

#[test]
fn accepted_calls_that_fail_silently_have_no_effect() {
    let mut cloud = given();
    cloud.order("pre", "c.2c4g");
    let fails = Effect::FailsSilently;
    for (action, body) in [
        ("CancelInstanceDowngrade", json!({ "instanceId": "pre" })),
        ("StopInstances", json!({ "instanceIds": ["post"] })),
        ("RebootInstances", json!({ "instanceIds": ["post"] })),
        ("StartInstances", json!({ "instanceIds": ["off"] })),
    ] {
        assert_eq!(cloud.call_with(fails, action, &body), Ok(json!({})), "{action}");
    }
    assert_eq!(cloud.plan("pre"), "c.4c8g > c.2c4g WaitToEnable");
    assert_eq!((cloud.state("post"), cloud.state("off")), ("RUNNING".into(), "STOPPED".into()));
    // A scheduled change fails when its time comes.
    cloud.cancel("pre");
    modify_with(&mut cloud, fails, "pre", "c.1c2g").unwrap();
    cloud.step(16 * DAY);
    assert_eq!(cloud.plan("pre"), "c.4c8g > null Enable");
}

#[test]
fn an_accepted_call_can_register_later() {
    let mut cloud = given();
    let lag = Effect::After(SignedDuration::from_secs(100));
    modify_with(&mut cloud, lag, "post", "c.4c8g").unwrap();
    assert_eq!(cloud.orders().len(), 1);
    cloud.step(99);
    assert_eq!(cloud.plan("post"), "c.2c4g > null Enable");
    cloud.step(1);
    assert_eq!(cloud.plan("post"), "c.2c4g > c.4c8g Processing");
    // A stop that comes late finds whatever is there by then.
    let body = json!({ "instanceIds": ["off"] });
    cloud.ok("StartInstances", body.clone());
    cloud.step(10);
    assert_eq!(cloud.call_with(lag, "StopInstances", &body), Ok(json!({})));
    cloud.ok("StopInstances", body.clone());
    cloud.step(10);
    cloud.ok("StartInstances", body);
    cloud.step(89);
    assert_eq!(cloud.state("off"), "RUNNING");
    cloud.step(1);
    assert_eq!(cloud.state("off"), "STOPPING");
}

#[test]
fn a_late_cancel_hits_the_plan_that_is_there_by_then() {
    let mut cloud = given();
    cloud.order("pre", "c.2c4g");
    let lag = Effect::After(SignedDuration::from_secs(100));
    cloud.call_with(lag, "CancelInstanceDowngrade", &json!({ "instanceId": "pre" })).unwrap();
    assert_eq!(cloud.cancel("pre"), "200");
    cloud.order("pre", "c.1c2g");
    cloud.step(100);
    assert_eq!(cloud.plan("pre"), "c.4c8g > null Enable");
    assert_eq!(cloud.orders()[1].outcome, OrderOutcome::Cancelled);
}

#[test]
fn two_calls_before_registration_make_two_orders_and_the_later_one_stays() {
    let mut cloud = given_behaviour("registrationLag: { ModifyInstanceType: 5s }");
    cloud.order("post", "c.4c8g");
    cloud.order("post", "c.8c16g");
    cloud.step(5);
    assert_eq!(cloud.plan("post"), "c.2c4g > c.8c16g Processing");
    cloud.step(30);
    assert_eq!(cloud.plan("post"), "c.8c16g > null Enable");
    let outcomes: Vec<_> = cloud.orders().iter().map(|order| order.outcome).collect();
    assert_eq!(outcomes, [OrderOutcome::Lost, OrderOutcome::Landed]);
}

#[test]
fn each_read_lags_as_it_was_set() {
    let mut cloud =
        given_behaviour("readLag: { DescribeInstances: 20s, DescribeInstanceTypeStatus: 5s }");
    cloud.order("post", "c.4c8g");
    assert_eq!(cloud.plan("post"), "c.2c4g > null Enable", "nothing yet");
    cloud.step(5);
    assert_eq!(cloud.plan("post"), "c.2c4g > c.4c8g Processing");
    cloud.step(29);
    assert_eq!(cloud.plan("post"), "c.2c4g > c.4c8g Processing");
    cloud.step(1);
    assert_eq!(cloud.plan("post"), "c.4c8g > null Enable");
    assert_eq!(cloud.item("post")["instanceType"], "c.2c4g");
    cloud.step(14);
    assert_eq!(cloud.item("post")["instanceType"], "c.2c4g");
    cloud.step(1);
    assert_eq!(cloud.item("post")["instanceType"], "c.4c8g");
    // A check looks at what is, not at what is shown; so do reads without a lag.
    cloud.ok("StopInstances", json!({ "instanceIds": ["post"] }));
    assert_eq!(
        (cloud.state("post").as_str(), &cloud.item("post")["instanceStatus"]),
        ("STOPPING", &json!("RUNNING"))
    );
    assert_eq!(cloud.modify("post", "c.8c16g"), "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS");
}

#[test]
fn a_lag_that_spans_several_changes_shows_each_of_them() {
    let mut cloud = given_behaviour("readLag: { DescribeInstancesStatus: 25s }");
    cloud.ok("StopInstances", json!({ "instanceIds": ["post"] }));
    cloud.step(10);
    cloud.ok("StartInstances", json!({ "instanceIds": ["post"] }));
    let shown = [(14, "RUNNING"), (1, "STOPPING"), (9, "STOPPING"), (1, "BOOTING"), (9, "BOOTING")];
    for (seconds, state) in shown {
        cloud.step(seconds);
        assert_eq!(cloud.state("post"), state);
    }
    cloud.step(1);
    assert_eq!(cloud.state("post"), "RUNNING");
}

#[test]
fn lagging_reads_show_what_is_gone_and_do_not_show_what_is_new() {
    let mut cloud = given_behaviour("readLag: { DescribeInstances: 20s }");
    cloud.console(json!({ "remove": { "id": "post" } })).unwrap();
    cloud
        .console(json!({ "add": { "id": "new", "type": "c.1c2g", "chargeType": "POSTPAID" } }))
        .unwrap();
    let seen = |cloud: &mut Cloud| {
        let found = cloud.found(json!({}));
        ["post", "new"].map(|id| found.contains(&id.to_owned()))
    };
    cloud.step(19);
    assert_eq!(seen(&mut cloud), [true, false]);
    cloud.step(1);
    assert_eq!(seen(&mut cloud), [false, true]);
}

#[test]
fn a_second_change_to_the_same_target_is_answered_as_it_was_set() {
    let rows = [
        (
            "refused",
            "403 OPERATION_DENIED_INSTANCE_PLAN_PROCESSING",
            "403 OPERATION_DENIED_INSTANCE_EXIST_PLAN",
            2,
        ),
        (
            "notChanged",
            "400 INVALID_INSTANCE_TYPE_NOT_CHANGED",
            "400 INVALID_INSTANCE_TYPE_NOT_CHANGED",
            2,
        ),
        ("orderedAgain", "200", "200", 4),
    ];
    for (switch, running, scheduled, orders) in rows {
        let mut cloud = given_behaviour(&format!("sameTargetInFlight: {switch}"));
        cloud.order("post", "c.4c8g");
        assert_eq!(cloud.modify("post", "c.4c8g"), running, "{switch}");
        assert_eq!(
            cloud.modify("post", "c.8c16g"),
            "403 OPERATION_DENIED_INSTANCE_PLAN_PROCESSING"
        );
        cloud.order("pre", "c.2c4g");
        assert_eq!(cloud.modify("pre", "c.2c4g"), scheduled, "{switch}");
        assert_eq!(cloud.orders().len(), orders, "{switch}");
    }
}

#[test]
fn an_equal_list_price_is_an_upgrade_a_downgrade_or_refused() {
    // 4 cores with 8 GiB and 9 cores with 4 GiB cost 56 a month each.
    let more = "models: [{ id: c.9c4g, series: c, cpuCount: 9, memory: 4, bandwidthLimit: -1, \
                monthlyPrice: 56, hourlyPrice: 0.5 }]\n";
    let rows = [
        ("upgrade", "200", "c.4c8g > c.9c4g Processing"),
        ("downgrade", "200", "c.4c8g > c.9c4g WaitToEnable"),
        ("refused", "400 OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED", "c.4c8g > null Enable"),
    ];
    for (switch, code, plan) in rows {
        let mut cloud = given_with(&format!("{more}behaviour: {{ equalPrice: {switch} }}\n"));
        assert_eq!(cloud.modify("pre", "c.9c4g"), code, "{switch}");
        assert_eq!(cloud.plan("pre"), plan, "{switch}");
        assert_eq!(cloud.balance(), "1000", "{switch}");
        // POSTPAID knows no downgrade.
        assert_eq!(cloud.modify("post", "c.9c4g"), "200", "{switch}");
        assert_eq!(cloud.plan("post"), "c.2c4g > c.9c4g Processing", "{switch}");
    }
}

#[test]
fn a_scheduled_change_begins_before_or_after_the_end_of_the_cycle() {
    for (switch, before, after) in [("1h", 15 * DAY + 3599, 1), ("-1h", 15 * DAY - 3601, 1)] {
        let mut cloud = given_behaviour(&format!("downgradeDelay: {switch}"));
        cloud.order("pre", "c.2c4g");
        cloud.step(before);
        assert_eq!(cloud.plan("pre"), "c.4c8g > c.2c4g WaitToEnable", "{switch}");
        cloud.step(after);
        assert_eq!(cloud.plan("pre"), "c.4c8g > c.2c4g Processing", "{switch}");
    }
}

#[test]
fn bandwidth_above_the_limit_is_kept_lowered_or_refused() {
    let rows = [
        ("kept", "200", 600),
        ("lowered", "200", 500),
        ("refused", "400 OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED", 600),
    ];
    for (switch, code, bandwidth) in rows {
        let mut cloud = given_behaviour(&format!("bandwidthAboveLimit: {switch}"));
        cloud
            .console(json!({ "change": { "id": "post", "change": { "bandwidth": 600 } } }))
            .unwrap();
        assert_eq!(cloud.modify("post", "c.1c2g"), code, "{switch}");
        cloud.step(30);
        assert_eq!(cloud.item("post")["internetMaxBandwidthOut"], bandwidth, "{switch}");
        // Within the limit all are alike.
        assert_eq!(cloud.modify("lab", "c.4c8g"), if switch == "refused" { code } else { "200" });
        assert_eq!(cloud.modify("off", "g.4c16g"), "200", "{switch}");
    }
}

#[test]
fn the_order_number_is_given_as_it_was_set() {
    let rows = [
        ("shown", json!({ "orderNumber": "260000000000000001" })),
        ("\"null\"", json!({ "orderNumber": null })),
        ("empty", json!({ "orderNumber": "" })),
        ("absent", json!({})),
    ];
    for (switch, expected) in rows {
        let mut cloud = given_behaviour(&format!("orderNumber: {switch}"));
        let body = json!({ "instanceId": "post", "instanceTypeId": "c.4c8g" });
        assert_eq!(cloud.ok("ModifyInstanceType", body), expected, "{switch}");
        assert_eq!(cloud.orders().len(), 1);
    }
}

#[test]
fn optional_fields_without_a_value_are_null_or_absent() {
    for (switch, shown) in [("\"null\"", Some(&Value::Null)), ("absent", None)] {
        let mut cloud = given_behaviour(&format!("optionalFields: {switch}"));
        let item = cloud.item("post");
        for field in ["period", "expiredTime", "trafficPackageSize", "keyId"] {
            assert_eq!(item.get(field), shown, "{switch} {field}");
        }
        for field in ["systemDisk", "dataDisks", "nic", "tags"] {
            assert!(!item[field].is_null(), "{switch} {field}");
        }
    }
}

#[test]
fn unknown_ids_are_left_out_or_not_found() {
    let body = json!({ "instanceIds": ["nobody", "post"] });
    for action in ["DescribeInstances", "DescribeInstancesStatus"] {
        let page = given().ok(action, body.clone());
        assert_eq!(
            (&page["totalCount"], page["dataSet"].as_array().unwrap().len()),
            (&json!(1), 1)
        );
        let code = given_behaviour("unknownIds: notFound").code(action, body.clone());
        assert_eq!(code, "404 INVALID_INSTANCE_NOT_FOUND", "{action}");
    }
}

#[test]
fn undocumented_codes_are_those_that_were_set() {
    let codes = "codes: { lowBalance: { status: 402, code: A }, outOfStock: { status: 409, code: B }, \
                 tooManyItems: { status: 413, code: C }, pageTooLarge: { status: 414, code: D }, \
                 malformedBody: { status: 415, code: E }, notChanged: { status: 403, code: INVALID_INSTANCE_TYPE_NOT_CHANGED }, \
                 downgradeNotExist: { status: 404, code: OPERATION_DENIED_DOWNGRADE_NOT_EXIST }, \
                 equalPrice: { status: 418, code: F }, bandwidth: { status: 419, code: G } }, \
                 equalPrice: refused, bandwidthAboveLimit: refused";
    let more = format!(
        "models: [{{ id: c.9c4g, series: c, cpuCount: 9, memory: 4, bandwidthLimit: 50, \
         monthlyPrice: 56, hourlyPrice: 0.5 }}, {{ id: c.8c6g, series: c, cpuCount: 9, memory: 4, \
         bandwidthLimit: -1, monthlyPrice: 56, hourlyPrice: 0.5 }}]\nbehaviour: {{ {codes} }}\n"
    );
    let mut cloud = given_with(&more);
    cloud.console(json!({ "topUp": { "amount": "-999" } })).unwrap();
    assert_eq!(cloud.modify("pre", "m.16c128g"), "402 A");
    assert_eq!(cloud.modify("lab", "c.2c4g"), "409 B");
    let ids: Vec<String> = (0..101).map(|id| id.to_string()).collect();
    assert_eq!(cloud.code("DescribeInstances", json!({ "instanceIds": ids })), "413 C");
    assert_eq!(cloud.code("DescribeInstances", json!({ "pageSize": 1001 })), "414 D");
    assert_eq!(cloud.code("DescribeInstances", json!("x")), "415 E");
    assert_eq!(cloud.modify("post", "c.2c4g"), "403 INVALID_INSTANCE_TYPE_NOT_CHANGED");
    assert_eq!(cloud.cancel("pre"), "404 OPERATION_DENIED_DOWNGRADE_NOT_EXIST");
    assert_eq!(cloud.modify("pre", "c.8c6g"), "418 F");
    assert_eq!(cloud.modify("pre", "c.9c4g"), "419 G");
}

#[test]
fn the_instance_count_of_a_price_is_demanded_if_it_was_set_so() {
    let body = json!({
        "zoneId": "SAO-A", "instanceType": "c.1c2g", "instanceChargeType": "POSTPAID",
        "internetChargeType": "ByBandwidth", "systemDisk": { "diskSize": 40, "diskCategory": "SSD" },
    });
    let mut cloud = given_behaviour("priceNeedsCount: true");
    assert_eq!(cloud.code("InquiryPriceCreateInstance", body.clone()), "400 MISSING_PARAMETER");
    assert_eq!(given().code("InquiryPriceCreateInstance", body), "200");
}
