//! States, and how they follow each other.

use serde_json::json;

use super::given::{DAY, given, given_behaviour, given_with};

#[test]
fn start_stop_and_reboot_pass_through_their_states() {
    let rows = [
        ("StartInstances", "off", "BOOTING", 10, "RUNNING"),
        ("StopInstances", "post", "STOPPING", 10, "STOPPED"),
        ("RebootInstances", "post", "REBOOT", 15, "RUNNING"),
    ];
    for (action, id, passing, seconds, end) in rows {
        let mut cloud = given();
        assert_eq!(cloud.ok(action, json!({ "instanceIds": [id] })), json!({}));
        assert_eq!(cloud.state(id), passing, "{action}");
        cloud.step(seconds - 1);
        assert_eq!(cloud.state(id), passing, "{action}");
        cloud.step(1);
        assert_eq!(cloud.state(id), end, "{action}");
        cloud.step(DAY);
        assert_eq!(cloud.state(id), end, "{action}");
    }
}

#[test]
fn the_times_of_the_states_are_those_that_were_set() {
    let mut cloud = given_with("durations: { stop: 1m, boot: 2m, reboot: 3m }\n");
    cloud.ok("StopInstances", json!({ "instanceIds": ["post"] }));
    cloud.ok("StartInstances", json!({ "instanceIds": ["off"] }));
    cloud.ok("RebootInstances", json!({ "instanceIds": ["lab"] }));
    for (seconds, states) in [
        (59, ["STOPPING", "BOOTING", "REBOOT"]),
        (1, ["STOPPED", "BOOTING", "REBOOT"]),
        (60, ["STOPPED", "RUNNING", "REBOOT"]),
        (60, ["STOPPED", "RUNNING", "RUNNING"]),
    ] {
        cloud.step(seconds);
        assert_eq!(["post", "off", "lab"].map(|id| cloud.state(id)), states);
    }
}

#[test]
fn passing_states_follow_each_other_when_they_settle_and_stay_otherwise() {
    let rows: &[(&str, &[(i64, &str)])] = &[
        ("PENDING", &[(5, "DEPLOYING"), (30, "RUNNING")]),
        ("DEPLOYING", &[(30, "RUNNING")]),
        ("CREATE_FAILED", &[(DAY, "CREATE_FAILED")]),
        ("RUNNING", &[(DAY, "RUNNING")]),
        ("STOPPED", &[(DAY, "STOPPED")]),
        ("BOOTING", &[(10, "RUNNING")]),
        ("STOPPING", &[(10, "STOPPED")]),
        ("REBOOT", &[(15, "RUNNING")]),
        ("REBUILDING", &[(60, "RUNNING")]),
        ("IMAGING", &[(60, "RUNNING")]),
        ("RECYCLING", &[(5, "RECYCLE"), (7 * DAY, "RELEASING"), (10, "gone")]),
        ("RECYCLE", &[(7 * DAY, "RELEASING"), (10, "gone")]),
        ("RELEASING", &[(10, "gone")]),
    ];
    for (state, then) in rows {
        let mut cloud = given();
        let settles = json!({ "state": state, "settles": true });
        cloud.console(json!({ "change": { "id": "post", "change": settles } })).unwrap();
        let stays = json!({ "state": state });
        cloud.console(json!({ "change": { "id": "off", "change": stays } })).unwrap();
        assert_eq!(cloud.state("post"), *state);
        for (seconds, next) in *then {
            cloud.step(*seconds);
            assert_eq!(cloud.state("post"), *next, "from {state}");
        }
        assert_eq!(cloud.state("off"), *state);
    }
}

#[test]
fn a_graceful_stop_is_obeyed_ignored_or_hangs_and_a_forced_one_works() {
    for (switch, soon, late) in [
        ("obeyed", "STOPPED", "STOPPED"),
        ("ignored", "RUNNING", "RUNNING"),
        ("hangs", "STOPPING", "STOPPING"),
    ] {
        let mut cloud = given_behaviour(&format!("gracefulStop: {switch}"));
        cloud.ok("StopInstances", json!({ "instanceIds": ["post"], "forceShutdown": false }));
        cloud.ok("StopInstances", json!({ "instanceIds": ["lab"], "forceShutdown": true }));
        cloud.ok("StopInstances", json!({ "instanceIds": ["old"] }));
        assert_eq!(cloud.state("post"), "STOPPING", "{switch}");
        cloud.step(10);
        assert_eq!(["post", "lab", "old"].map(|id| cloud.state(id)), [soon, "STOPPED", "STOPPED"]);
        cloud.step(DAY);
        assert_eq!(cloud.state("post"), late, "{switch}");
    }
}

#[test]
fn a_stopped_instance_reboots_only_if_it_was_set_so() {
    let mut cloud = given_behaviour("rebootFromStopped: true");
    assert_eq!(cloud.code("RebootInstances", json!({ "instanceIds": ["off"] })), "200");
    cloud.step(15);
    assert_eq!(cloud.state("off"), "RUNNING");
}

#[test]
fn a_batch_with_a_bad_id_does_all_nothing_or_what_it_can() {
    let rows = [
        ("allOrNothing", "404 INVALID_INSTANCE_NOT_FOUND", "RUNNING"),
        ("partialRefused", "404 INVALID_INSTANCE_NOT_FOUND", "STOPPING"),
        ("partialAccepted", "200", "STOPPING"),
    ];
    for (switch, code, state) in rows {
        let mut cloud = given_behaviour(&format!("batch: {switch}"));
        let ids = json!({ "instanceIds": ["post", "nobody", "bin", "post"] });
        assert_eq!(cloud.code("StopInstances", ids), code, "{switch}");
        assert_eq!(cloud.state("post"), state, "{switch}");
    }
}

#[test]
fn a_batch_acts_on_each_of_its_ids() {
    let mut cloud = given();
    cloud.ok("StopInstances", json!({ "instanceIds": ["post", "pre", "lab"] }));
    assert_eq!(
        ["post", "pre", "lab", "small"].map(|id| cloud.state(id)),
        ["STOPPING", "STOPPING", "STOPPING", "RUNNING"]
    );
}

#[test]
fn a_power_action_during_a_change_decides_over_the_state() {
    let mut cloud = given_behaviour("guest: stopsAndStarts");
    cloud.order("post", "c.4c8g");
    cloud.step(10);
    // The change has stopped the guest; somebody starts it.
    cloud.ok("StartInstances", json!({ "instanceIds": ["post"] }));
    cloud.step(10);
    assert_eq!(cloud.state("post"), "RUNNING");
    cloud.ok("StopInstances", json!({ "instanceIds": ["post"] }));
    cloud.step(10);
    assert_eq!(
        (cloud.state("post").as_str(), cloud.plan("post").as_str()),
        ("STOPPED", "c.4c8g > null Enable")
    );
}

#[test]
fn recycling_ends_a_plan_and_the_bin_empties_itself() {
    let mut cloud = given();
    cloud.order("pre", "c.2c4g");
    cloud.console(json!({ "recycle": { "id": "pre" } })).unwrap();
    assert_eq!(cloud.state("pre"), "RECYCLING");
    cloud.step(5);
    let item = cloud.item("pre");
    assert_eq!((&item["instanceStatus"], &item["autoRenew"]), (&json!("RECYCLE"), &json!(false)));
    assert_eq!(cloud.plan("pre"), "c.4c8g > null Enable");
    cloud.step(7 * DAY);
    assert_eq!(cloud.state("pre"), "RELEASING");
    cloud.step(10);
    assert_eq!(cloud.state("pre"), "gone");
    assert_eq!(cloud.modify("pre", "c.8c16g"), "404 INVALID_INSTANCE_NOT_FOUND");
}
