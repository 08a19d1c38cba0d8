//! Every kind of fault, as a client sees it, and whether the call took effect; then the rules.

use std::time::Duration;

use serde_json::{Value, json};
use zenlayer_sim::http::CODES;

use crate::{
    caller::{Answer, Request},
    stage::Stage,
};
use harness::eventually;

const LIMIT: Duration = Duration::from_secs(20);

/// How a client sees the end of a call.
fn seen(answer: &std::io::Result<Answer>) -> String {
    match answer {
        Ok(answer) => {
            let length = answer.header("content-length").unwrap_or_default();
            let whole = length == answer.body.len().to_string();
            let kind = answer.header("content-type").unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default();
            format!("{} {kind}{}", answer.verdict(), if whole { "" } else { " cut" })
        }
        Err(error) => format!("{:?}", error.kind()),
    }
}

#[tokio::test]
async fn every_kind_ends_a_call_as_it_says() {
    let json = "application/json";
    // The kind, what the client sees, and how many orders there are afterwards.
    let table = [
        (
            "a code",
            json!({ "kind": "error", "code": "STOCK_INSUFFICIENT" }),
            format!("400 STOCK_INSUFFICIENT {json}"),
            0,
        ),
        (
            "a code after the effect",
            json!({ "kind": "error", "code": "REQUEST_TIMED_OUT", "effect": true }),
            format!("503 REQUEST_TIMED_OUT {json}"),
            1,
        ),
        (
            "a code of another status",
            json!({ "kind": "error", "code": "INVALID_INSTANCE_TYPE_NOT_CHANGED", "status": 403 }),
            format!("403 INVALID_INSTANCE_TYPE_NOT_CHANGED {json}"),
            0,
        ),
        (
            "a code that nobody knows",
            json!({ "kind": "error", "code": "NEW_CODE" }),
            format!("400 NEW_CODE {json}"),
            0,
        ),
        (
            "500 page",
            json!({ "kind": "page", "page": "internalError" }),
            "500 no code text/html".into(),
            0,
        ),
        (
            "502 page",
            json!({ "kind": "page", "page": "badGateway" }),
            "502 no code text/html".into(),
            0,
        ),
        (
            "502 page after the effect",
            json!({ "kind": "page", "page": "badGateway", "effect": true }),
            "502 no code text/html".into(),
            1,
        ),
        (
            "503 page",
            json!({ "kind": "page", "page": "unavailable" }),
            "503 no code text/html".into(),
            0,
        ),
        (
            "challenge",
            json!({ "kind": "page", "page": "challenge" }),
            "403 no code text/html".into(),
            0,
        ),
        (
            "451 page",
            json!({ "kind": "page", "page": "blocked" }),
            "451 no code text/html".into(),
            0,
        ),
        (
            "any body",
            json!({ "kind": "body", "status": 200, "body": "{}" }),
            format!("200 no code {json}"),
            0,
        ),
        ("null response", json!({ "kind": "nullResponse" }), format!("200 no code {json}"), 1),
        (
            "missing response",
            json!({ "kind": "missingResponse" }),
            format!("200 no code {json}"),
            1,
        ),
        (
            "200 with a code",
            json!({ "kind": "successWithCode" }),
            format!("200 INTERNAL_SERVER_ERROR {json}"),
            1,
        ),
        (
            "wrong content type",
            json!({ "kind": "contentType", "value": "text/plain" }),
            "200 OK text/plain".into(),
            1,
        ),
        ("extra fields", json!({ "kind": "extraFields" }), format!("200 OK {json}"), 1),
        (
            "set a field",
            json!({ "kind": "setField", "path": "orderNumber", "value": null }),
            format!("200 OK {json}"),
            1,
        ),
        (
            "remove a field",
            json!({ "kind": "removeField", "path": "orderNumber" }),
            format!("200 OK {json}"),
            1,
        ),
        (
            "truncated",
            json!({ "kind": "truncatedBody", "bytes": 10 }),
            format!("200 no code {json} cut"),
            1,
        ),
        (
            "truncated at once",
            json!({ "kind": "truncatedBody" }),
            format!("200 no code {json} cut"),
            1,
        ),
        (
            "over-long",
            json!({ "kind": "overlongBody", "bytes": 3_000_000 }),
            format!("200 OK {json}"),
            1,
        ),
        ("slow", json!({ "kind": "slowBody", "seconds": 0.2 }), format!("200 OK {json}"), 1),
        ("delayed", json!({ "kind": "delayAnswer", "seconds": 0.1 }), format!("200 OK {json}"), 1),
        ("reset before", json!({ "kind": "dropBefore" }), "ConnectionReset".into(), 0),
        ("reset after", json!({ "kind": "dropAfter" }), "ConnectionReset".into(), 1),
        (
            "refused",
            json!({ "kind": "refuseConnections", "seconds": 0.1 }),
            "ConnectionReset".into(),
            0,
        ),
        ("lag", json!({ "kind": "registrationLag", "seconds": 10 }), format!("200 OK {json}"), 1),
        ("silent failure", json!({ "kind": "failsSilently" }), format!("200 OK {json}"), 1),
        (
            "clock ahead",
            json!({ "kind": "clockSkew", "seconds": 301 }),
            format!("401 AUTHFAILURE_SIGNATURE_EXPIRED {json}"),
            0,
        ),
        (
            "clock behind",
            json!({ "kind": "clockSkew", "seconds": -301 }),
            format!("401 AUTHFAILURE_SIGNATURE_EXPIRED {json}"),
            0,
        ),
        (
            "date ahead",
            json!({ "kind": "dateSkew", "seconds": 86400 }),
            format!("200 OK {json}"),
            1,
        ),
        ("no date", json!({ "kind": "dateMissing" }), format!("200 OK {json}"), 1),
        (
            "late, not at all",
            json!({ "kind": "lateRequest", "seconds": 0 }),
            format!("200 OK {json}"),
            1,
        ),
    ];
    for (name, fault, expected, orders) in table {
        let stage = Stage::given().await;
        stage.fault(fault).await;
        let answer = stage.try_send(&stage.modify()).await;
        assert_eq!(seen(&answer), expected, "{name}");
        // Around refused connections the listener is closed, or is just being closed.
        let (ledger, faults) = eventually("the control API", LIMIT, async || {
            Ok::<_, String>((stage.try_shows("ledger").await?, stage.try_shows("faults").await?))
        })
        .await;
        assert_eq!(ledger["orders"].as_array().unwrap().len(), orders, "{name}");
        assert_eq!(faults["faults"], json!([]), "{name} is used up");
    }
}

#[tokio::test]
async fn every_code_of_the_api_can_be_played_with_its_status() {
    let stage = Stage::given().await;
    for (code, status) in CODES {
        stage.fault(json!({ "action": "ModifyInstanceType", "kind": "error", "code": code })).await;
        let answer = stage.send(&stage.modify()).await;
        assert_eq!(answer.verdict(), format!("{status} {code}"));
        assert_eq!(answer.header("retry-after"), None, "{code}");
    }
    stage
        .fault(json!({ "kind": "error", "code": "REQUEST_LIMIT_EXCEEDED", "retryAfter": 3 }))
        .await;
    let limited = stage.send(&stage.modify()).await;
    assert_eq!(limited.verdict(), "429 REQUEST_LIMIT_EXCEEDED");
    assert_eq!(limited.header("retry-after"), Some("3"));
    assert_eq!(stage.orders().await, 0);
}

#[tokio::test]
async fn a_challenge_carries_its_header() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "page", "page": "challenge" })).await;
    let answer = stage.look().await;
    assert_eq!(answer.header("cf-mitigated"), Some("challenge"));
    assert!(answer.text().starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn answers_can_hold_values_and_fields_that_nobody_knows() {
    let stage = Stage::given().await;
    stage
        .fault(json!({
            "kind": "setField", "path": "dataSet.*.instanceStatus", "value": "HIBERNATED",
        }))
        .await;
    let all = stage.call("DescribeInstances", json!({})).await.json();
    for item in all["response"]["dataSet"].as_array().unwrap() {
        assert_eq!(item["instanceStatus"], "HIBERNATED");
    }
    stage.fault(json!({ "kind": "setField", "path": "dataSet.1.memory", "value": "much" })).await;
    let all = stage.call("DescribeInstances", json!({})).await.json();
    assert_eq!(all["response"]["dataSet"][0]["memory"], 2);
    assert_eq!(all["response"]["dataSet"][1]["memory"], "much");
    stage.fault(json!({ "kind": "removeField", "path": "dataSet.*.nic" })).await;
    let all = stage.call("DescribeInstances", json!({})).await.json();
    assert!(all["response"]["dataSet"][0].get("nic").is_none());
    stage.fault(json!({ "kind": "extraFields" })).await;
    let all = stage.call("DescribeInstances", json!({})).await.json();
    for place in [&all, &all["response"], &all["response"]["dataSet"][0]["systemDisk"]] {
        assert!(place["fieldOfTheFuture"].is_object(), "{all}");
    }
}

#[tokio::test]
async fn an_over_long_body_has_the_length_that_it_promises() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "overlongBody", "bytes": 5_000_000 })).await;
    let answer = stage.look().await;
    assert_eq!(answer.body.len(), 5_000_000);
    assert_eq!(answer.json()["response"]["totalCount"], 1);
}

#[tokio::test]
async fn a_truncated_body_ends_short_of_its_length() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "truncatedBody", "bytes": 7 })).await;
    let answer = stage.look().await;
    assert_eq!(answer.text(), "{\"reque");
    assert!(answer.header("content-length").unwrap().parse::<usize>().unwrap() > 100);
}

#[tokio::test]
async fn a_delayed_answer_comes_after_the_effect() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "delayAnswer", "seconds": 15 })).await;
    let (address, bytes) = (stage.address, stage.modify().bytes());
    let waiting = tokio::spawn(async move { crate::caller::send(address, &bytes).await });
    eventually("the effect", LIMIT, async || match stage.orders().await {
        1 => Ok(()),
        other => Err(format!("{other} orders")),
    })
    .await;
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn a_late_request_is_decided_after_its_delay_also_when_the_client_has_gone() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "lateRequest", "seconds": 200 })).await;
    let (address, bytes) = (stage.address, stage.modify().bytes());
    let waiting = tokio::spawn(async move { crate::caller::send(address, &bytes).await });
    eventually("the request has arrived", LIMIT, async || used_up(&stage).await).await;
    waiting.abort();
    stage.step(199).await;
    assert_eq!(stage.orders().await, 0);
    stage.step(1).await;
    eventually("the late effect", LIMIT, async || match stage.orders().await {
        1 => Ok(()),
        other => Err(format!("{other} orders")),
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_later_than_its_signatures_life_is_refused() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "lateRequest", "seconds": 301 })).await;
    let (address, bytes) = (stage.address, stage.modify().bytes());
    let waiting = tokio::spawn(async move { crate::caller::send(address, &bytes).await });
    eventually("the request has arrived", LIMIT, async || used_up(&stage).await).await;
    stage.step(301).await;
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.verdict(), "401 AUTHFAILURE_SIGNATURE_EXPIRED");
    assert_eq!(stage.orders().await, 0);
}

async fn used_up(stage: &Stage) -> Result<(), String> {
    let faults = stage.shows("faults").await;
    if faults["faults"] == json!([]) { Ok(()) } else { Err(faults.to_string()) }
}

#[tokio::test]
async fn refused_connections_are_refused_by_the_operating_system_and_come_back() {
    let stage = Stage::given().await;
    stage.does("POST", "connections", json!({ "refuseSeconds": 1.5 })).await;
    let refused = eventually("a refused connection", LIMIT, async || {
        match tokio::net::TcpStream::connect(stage.address).await {
            Ok(_) => Err("it is accepted".to_owned()),
            Err(error) => Ok(error.kind()),
        }
    });
    assert_eq!(refused.await, std::io::ErrorKind::ConnectionRefused);
    let back = eventually("an answer", LIMIT, async || {
        stage.try_send(&stage.modify()).await.map_err(|error| error.to_string())
    });
    assert_eq!(back.await.verdict(), "200 OK");
}

#[tokio::test]
async fn the_date_header_can_be_skewed_apart_from_the_service_and_be_missing() {
    let stage = Stage::given().await;
    let modify = |fault: Value| async {
        stage.fault(fault).await;
        stage.look().await
    };
    let skewed = modify(json!({ "kind": "dateSkew", "seconds": 400 })).await;
    assert_eq!(skewed.status, 200);
    assert_eq!(skewed.header("date"), Some("Thu, 01 Jan 2026 00:06:40 GMT"));
    let service = modify(json!({ "kind": "clockSkew", "seconds": -400 })).await;
    assert_eq!(service.status, 401);
    assert_eq!(service.header("date"), Some("Wed, 31 Dec 2025 23:53:20 GMT"));
    assert_eq!(modify(json!({ "kind": "dateMissing" })).await.header("date"), None);
}

#[tokio::test]
async fn a_lagging_change_shows_only_after_its_lag() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "registrationLag", "seconds": 60 })).await;
    assert_eq!(stage.send(&stage.modify()).await.verdict(), "200 OK");
    assert_eq!(type_status(&stage).await, "Enable");
    stage.step(61).await;
    assert_eq!(type_status(&stage).await, "Processing");
    stage.step(31).await;
    assert_eq!(type_status(&stage).await, "Enable");
    assert_eq!(type_of(&stage).await, "c.2c4g");
}

#[tokio::test]
async fn a_change_can_fail_without_a_word() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "failsSilently" })).await;
    assert_eq!(stage.send(&stage.modify()).await.verdict(), "200 OK");
    stage.step(3600).await;
    assert_eq!(type_of(&stage).await, "c.1c2g");
    assert_eq!(stage.orders().await, 1);
}

async fn type_status(stage: &Stage) -> String {
    let answer = stage.call("DescribeInstanceTypeStatus", json!({ "instanceId": "vm-1" })).await;
    let status = &answer.json()["response"]["modifiedInstanceTypeStatus"];
    status.as_str().unwrap_or("none").to_owned()
}

async fn type_of(stage: &Stage) -> String {
    let answer = stage.look().await.json();
    answer["response"]["dataSet"][0]["instanceType"].as_str().unwrap().to_owned()
}

/// Plays a rule for ten calls and says for which it was played.
async fn played(rule: Value) -> Vec<usize> {
    let stage = Stage::given().await;
    let mut rule = rule;
    rule["kind"] = "error".into();
    rule["code"] = "STOCK_INSUFFICIENT".into();
    stage.fault(rule).await;
    let mut played = Vec::new();
    for call in 1..=10 {
        if stage.look().await.status == 400 {
            played.push(call);
        }
    }
    played
}

#[tokio::test]
async fn a_rule_chooses_calls_by_number_times_and_chance() {
    let table = [
        ("once", json!({}), vec![1]),
        ("three times", json!({ "times": 3 }), vec![1, 2, 3]),
        ("the fourth", json!({ "nth": 4 }), vec![4]),
        ("from the fourth on, twice", json!({ "nth": 4, "times": 2 }), vec![4, 5]),
        ("every one", json!({ "times": "always" }), (1..=10).collect()),
        ("surely", json!({ "probability": 1, "times": "always" }), (1..=10).collect()),
        ("never", json!({ "probability": 0, "times": "always" }), vec![]),
        ("another action", json!({ "action": "DescribeZones", "times": "always" }), vec![]),
        ("this action", json!({ "action": "DescribeInstances" }), vec![1]),
        ("this instance", json!({ "instance": "vm-1", "times": 2 }), vec![1, 2]),
        ("another instance", json!({ "instance": "vm-2", "times": "always" }), vec![]),
    ];
    for (name, rule, expected) in table {
        assert_eq!(played(rule).await, expected, "{name}");
    }
    let half = |seed: u64| json!({ "probability": 0.5, "seed": seed, "times": "always" });
    let first = played(half(1)).await;
    assert!((1..10).contains(&first.len()), "{first:?}");
    assert_eq!(first, played(half(1)).await);
    assert_ne!(first, played(half(2)).await);
}

#[tokio::test]
async fn each_step_of_a_call_plays_the_first_rule_that_matches() {
    let stage = Stage::given().await;
    // Two of one step come one after the other, as written.
    stage.fault(json!({ "kind": "error", "code": "STOCK_INSUFFICIENT" })).await;
    stage.fault(json!({ "kind": "error", "code": "MISSING_PARAMETER" })).await;
    // Another step is played beside them.
    stage.fault(json!({ "kind": "dateMissing", "times": 2 })).await;
    for code in ["STOCK_INSUFFICIENT", "MISSING_PARAMETER"] {
        let answer = stage.look().await;
        assert_eq!(answer.json()["code"], code);
        assert_eq!(answer.header("date"), None);
    }
    let third = stage.look().await;
    assert_eq!((third.status, third.header("date").is_some()), (200, true));
}

#[tokio::test]
async fn the_draws_of_one_rule_do_not_move_those_of_another() {
    let alone = played(json!({ "probability": 0.5, "seed": 3, "times": "always" })).await;
    let stage = Stage::given().await;
    let rule = |kind: &str| json!({ "kind": kind, "probability": 0.5, "seed": 9, "times": "always", "path": "x" });
    stage.fault(rule("removeField")).await;
    let code = json!({
        "kind": "error", "code": "STOCK_INSUFFICIENT", "probability": 0.5, "seed": 3,
        "times": "always",
    });
    stage.fault(code).await;
    let mut played = Vec::new();
    for call in 1..=10 {
        if stage.look().await.status == 400 {
            played.push(call);
        }
    }
    assert_eq!(played, alone);
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_refused_by_name() {
    let stage = Stage::given().await;
    let table = [
        ("no kind", json!({ "times": 1 }), "kind"),
        ("an unknown kind", json!({ "kind": "explode" }), "explode"),
        ("an unknown field", json!({ "kind": "dropAfter", "second": 1 }), "second"),
        ("a field of another kind", json!({ "kind": "dropAfter", "seconds": 1 }), "seconds"),
        ("a missing field", json!({ "kind": "delayAnswer" }), "seconds"),
        ("an unknown action", json!({ "kind": "dropAfter", "action": "Modify" }), "action"),
        ("no calls", json!({ "kind": "dropAfter", "times": 0 }), "times"),
        ("other words", json!({ "kind": "dropAfter", "times": "often" }), "times"),
        ("call zero", json!({ "kind": "dropAfter", "nth": 0 }), "nth"),
        ("more than sure", json!({ "kind": "dropAfter", "probability": 1.5 }), "probability"),
        ("no status", json!({ "kind": "body", "status": 99, "body": "" }), "status"),
        ("negative time", json!({ "kind": "delayAnswer", "seconds": -1 }), "seconds"),
    ];
    for (name, rule, field) in table {
        let answer = stage.control("POST", "faults", rule).await;
        assert_eq!(answer.status, 400, "{name}");
        let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(field), "{name}: {error}");
    }
    assert_eq!(stage.shows("faults").await["faults"], json!([]));
}

/// The request of a caller that is refused by a fault needs no signature at all.
#[tokio::test]
async fn a_fault_before_the_effect_does_not_ask_who_calls() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "page", "page": "badGateway" })).await;
    let stranger = Request::new("DescribeInstances", "{}", 0);
    assert_eq!(stage.send(&stranger).await.status, 502);
}
