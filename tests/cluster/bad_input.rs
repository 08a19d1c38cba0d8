//! Secrets that are missing or wrong, and clocks that disagree: a clear reason, no hopeless call,
//! and no help needed once the fault is mended.

use serde_json::{Value, json};
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::stage::{LIMIT, ONE_POSTPAID, Rules, Stage, message, shown, slow_simulation};
use harness::{
    Operator, eventually,
    simulator::{KEY_ID, KEY_PASSWORD},
};

/// All calls that the simulator has seen.
async fn calls(stage: &Stage) -> usize {
    stage.sim.get("requests").await["requests"].as_array().map_or(0, Vec::len)
}

/// Waits for a reason of Ready, then sees that further passes make no call and write nothing.
async fn rests(stage: &Stage, operator: &Operator, reason: &str, words: &[&str]) -> VmInstance {
    let wanted = format!("False {reason}");
    let what = format!("shows {reason} and {words:?}");
    let says = |object: &VmInstance| {
        let told = || words.iter().all(|word| message(object).contains(word));
        shown(object, "Ready") == wanted && told()
    };
    let object = stage.until(operator, "vm-1", &what, says).await;
    assert_eq!(object.status.as_ref().unwrap().phase, Some(Phase::Failed), "{object:?}");
    let before = calls(stage).await;
    for _ in 0..3 {
        touched(stage, operator).await;
    }
    assert_eq!(calls(stage).await, before, "hopeless calls after {reason}");
    let after = stage.get("vm-1").await;
    assert_eq!(after.status, object.status);
    object
}

/// Has the object looked at, whenever its next look is.
async fn touched(stage: &Stage, operator: &Operator) {
    let touch = json!({ "vm.zenlayer.com/release": jiff::Timestamp::now().to_string() });
    let before = operator.passes().await;
    stage.patch("vm-1", json!({ "metadata": { "annotations": touch } })).await;
    operator.passes_beyond(before + 1.0).await;
}

/// An object that names the Secret `mine`, which is not there yet.
async fn given_object_of_a_secret() -> (Stage, Operator) {
    let stage = Stage::given(ONE_POSTPAID).await;
    // A refused read is made again after half a minute.
    let operator = stage.operator_at_its_own_pace(&["--testing-drift", "200ms"]);
    operator.ready().await;
    let spec = json!({
        "instanceId": "vm-1", "instanceTypeId": "c.2c4g",
        "credentials": { "secretRef": { "name": "mine" } },
    });
    stage.create("vm-1", spec).await;
    (stage, operator)
}

#[tokio::test]
async fn a_secret_that_is_missing_or_wrong_costs_no_call_and_goes_on_once_mended() {
    let (stage, operator) = given_object_of_a_secret().await;
    // Secret, reason, words of the message, calls that it may cost. Where two rows in a row have one reason,
    // the words tell them apart, or their messages are the same.
    type Row = (&'static str, Option<Value>, &'static str, &'static [&'static str], usize);
    let key =
        |id: &str, password: &str| json!({ "accessKeyId": id, "accessKeyPassword": password });
    let rows: [Row; 10] = [
        ("missing", None, "SecretNotFound", &["Secret mine does not exist", "accessKeyId"], 0),
        ("empty", Some(json!({})), "SecretIncomplete", &["none of the keys", "token"], 0),
        (
            "no password",
            Some(json!({ "accessKeyId": KEY_ID })),
            "SecretIncomplete",
            &["Secret mine", "accessKeyPassword is missing or empty: add it"],
            0,
        ),
        (
            "an empty password",
            Some(key(KEY_ID, "")),
            "SecretIncomplete",
            &["accessKeyPassword is missing or empty"],
            0,
        ),
        (
            "no id",
            Some(json!({ "accessKeyPassword": KEY_PASSWORD })),
            "SecretIncomplete",
            &["accessKeyId is missing or empty: add it"],
            0,
        ),
        (
            "both kinds",
            Some(json!({
                "accessKeyId": KEY_ID, "accessKeyPassword": KEY_PASSWORD, "token": "sim-token-0001"
            })),
            "SecretIncomplete",
            &["keep the first two, or the last"],
            0,
        ),
        (
            "a space in the password",
            Some(key(KEY_ID, "two sentinelWords90b3")),
            "SecretIncomplete",
            &["accessKeyPassword holds a space"],
            0,
        ),
        (
            "a wrong id",
            Some(key("AKIDWRONG0000000001", KEY_PASSWORD)),
            "CredentialsRejected",
            &[
                "AUTHFAILURE_SIGNATURE_FAILURE",
                "access key is not valid",
                "correct the key or token in the Secret",
            ],
            1,
        ),
        (
            "a wrong password",
            Some(key(KEY_ID, "wrongPassword5d21c")),
            "CredentialsRejected",
            &[
                "AUTHFAILURE_SIGNATURE_FAILURE",
                "does not verify",
                "correct the key or token in the Secret",
            ],
            1,
        ),
        (
            "a wrong token",
            Some(json!({ "token": "wrongToken88be02" })),
            "CredentialsRejected",
            &["AUTHFAILURE_INVALID_AUTHORIZATION"],
            1,
        ),
    ];
    for (name, secret, reason, words, cost) in rows {
        let before = calls(&stage).await;
        if let Some(data) = secret {
            stage.secret("mine", data).await;
            // The one before may have had the same reason.
            touched(&stage, &operator).await;
        }
        eventually("the calls that it costs", LIMIT, async || match calls(&stage).await - before {
            made if made >= cost => Ok(()),
            made => Err(made.to_string()),
        })
        .await;
        let object = rests(&stage, &operator, reason, words).await;
        assert_eq!(calls(&stage).await - before, cost, "calls for {name}");
        println!("{name:<24} | {cost} calls | {reason}: {}", message(&object));
    }
    stage.credentials("mine").await;
    touched(&stage, &operator).await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.orders("vm-1").await.len(), 1);
}

/// A user who may write VmInstances, and read no Secret, names one after another.
#[tokio::test]
async fn a_secret_that_was_made_for_something_else_is_never_sent_to_the_provider() {
    const STOLEN: &str = "sentinelStolen7c1d0";
    let (stage, operator) = given_object_of_a_secret().await;
    let key = || json!({ "accessKeyId": KEY_ID, "accessKeyPassword": KEY_PASSWORD });
    let with = |name: &str| {
        let mut data = key();
        data[name] = json!(STOLEN);
        data
    };
    let token = || json!({ "token": STOLEN });
    let account = "kubernetes.io/service-account-token";
    let another = &["was made for something else", "vm.zenlayer.com/credentials"][..];
    let keys = &["other keys than accessKeyId and accessKeyPassword", "with the type"][..];
    let rows = [
        ("the token of a ServiceAccount", Some(account), token(), another),
        ("another type", Some("example.com/vault"), key(), another),
        ("no type, a token", None, token(), keys),
        ("no type, a key and a token", None, with("token"), keys),
        ("no type, a key and more", None, with("note"), keys),
    ];
    for (name, type_, data, words) in rows {
        stage.secret_of_type("mine", type_, data).await;
        touched(&stage, &operator).await;
        let object = rests(&stage, &operator, "SecretTypeRefused", words).await;
        println!("{name:<30} | {}", message(&object));
    }
    assert_eq!(calls(&stage).await, 0, "nothing was sent");
    stage.secret_of_type("mine", None, key()).await;
    touched(&stage, &operator).await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let said = [stage.sim.process.log(), operator.process.log()].concat();
    assert!(!said.contains(STOLEN), "{said}");
}

#[tokio::test]
async fn clocks_that_are_far_apart_allow_no_paid_call_in_either_direction() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&["--testing-poll", "400ms"]);
    operator.ready().await;
    // Beyond 240 s a call is not signed; beyond 300 s not even a read is accepted.
    for seconds in [250, -250, 400, -400] {
        stage.sim.skew(seconds).await;
        if seconds == 250 {
            stage.declare("c.2c4g").await;
        } else {
            operator.further_passes(2.0).await;
        }
        let what = format!("is {seconds} s away");
        let object = stage
            .until(&operator, "vm-1", &what, |object| shown(object, "Ready") == "False ClockSkewed")
            .await;
        assert_eq!(shown(&object, "Stalled"), "True ClockSkewed");
        assert!(message(&object).contains("synchronise the clock"), "{}", message(&object));
        println!("{seconds:>4} s | {}", message(&object));
        operator.further_passes(2.0).await;
        assert!(stage.sim.calls("ModifyInstanceType", "vm-1").await.is_empty());
    }
    stage.sim.forget_faults().await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.calls("ModifyInstanceType", "vm-1").await, ["OK"]);
}

/// Values that must appear nowhere but in the Secrets.
const PASSWORD: &str = "sentinelPassword7f3a91";
const TOKEN: &str = "sentinelToken5be204";

#[tokio::test]
async fn no_secret_reaches_a_log_an_event_a_status_or_a_metric() {
    let instances = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-2, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-3, type: c.1c2g, chargeType: POSTPAID }
";
    let world = slow_simulation("1s", instances)
        .replace(KEY_PASSWORD, PASSWORD)
        .replace("sim-token-0001", TOKEN);
    let stage = Stage::of_world(&world, &Rules::of_deploy(), &[]).await;
    stage.secret("key", json!({ "accessKeyId": KEY_ID, "accessKeyPassword": PASSWORD })).await;
    stage.secret("token", json!({ "token": TOKEN })).await;
    // Right values where they are wrong: the one in the other's place, and one with a space.
    stage.secret("wrong", json!({ "token": format!("{PASSWORD} {TOKEN}") })).await;
    let operator = stage.operator(&["--log-filter", "trace"]);
    operator.ready().await;
    for (name, secret) in [("vm-1", "key"), ("vm-2", "token"), ("vm-3", "wrong")] {
        let spec = json!({
            "instanceId": name, "instanceTypeId": "c.2c4g",
            "credentials": { "secretRef": { "name": secret } },
        });
        stage.create(name, spec).await;
    }
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    stage.until_phase(&operator, "vm-2", Phase::InSync).await;
    stage.until_phase(&operator, "vm-3", Phase::Failed).await;
    let events = eventually("the events", LIMIT, async || {
        let events = stage.events().await;
        if events.len() == 5 { Ok(events) } else { Err(format!("{events:?}")) }
    })
    .await;
    let objects = stage.objects().list(&Default::default()).await.unwrap();
    let slots = stage.slots().list(&Default::default()).await.unwrap();
    let places = [
        ("the operator's log", operator.process.log()),
        ("the simulator's log", stage.sim.process.log()),
        ("the simulator's request log", stage.sim.get("requests").await.to_string()),
        ("the events", format!("{events:?}")),
        ("the objects", serde_json::to_string(&objects).unwrap()),
        ("the slots", serde_json::to_string(&slots).unwrap()),
        ("the metrics", operator.get("metrics").await.unwrap().1),
    ];
    for (place, text) in places {
        assert!(!text.is_empty(), "{place} is empty");
        for secret in [PASSWORD, TOKEN] {
            let lines: Vec<&str> = text.lines().filter(|line| line.contains(secret)).collect();
            assert!(lines.is_empty(), "{place} shows {secret}: {lines:#?}");
        }
    }
}

/// A node that starts with a wrong clock, and is put right.
#[tokio::test]
async fn what_a_clock_far_ahead_wrote_down_does_not_outlive_it() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let mut first = stage.operator(&["--testing-clock-ahead", "48h"]);
    first.ready().await;
    stage.declare("c.2c4g").await;
    let object = stage.until_phase(&first, "vm-1", Phase::Failed).await;
    assert_eq!(shown(&object, "Ready"), "False ClockSkewed");
    first.process.kill();
    let second = stage.operator(&[]);
    second.ready().await;
    stage.until_phase(&second, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.orders("vm-1").await.len(), 1);
}
