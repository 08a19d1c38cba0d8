//! The control API.

use serde_json::{Value, json};

use crate::stage::Stage;

#[tokio::test]
async fn the_console_changes_and_removes_instances() {
    let stage = Stage::given().await;
    let changed = stage
        .does("PATCH", "instances/vm-1", json!({ "type": "c.4c8g", "state": "STOPPED" }))
        .await;
    assert_eq!((&changed["type"], &changed["state"]), (&json!("c.4c8g"), &json!("STOPPED")));
    let item = stage.look().await.json()["response"]["dataSet"][0].clone();
    assert_eq!(
        (&item["instanceType"], &item["instanceStatus"]),
        (&json!("c.4c8g"), &json!("STOPPED"))
    );
    let table = [
        ("an unknown type", "vm-1", json!({ "type": "x.1c1g" }), 400),
        ("an unknown field", "vm-1", json!({ "color": "red" }), 400),
        ("an unknown instance", "vm-9", json!({ "state": "RUNNING" }), 404),
    ];
    for (name, id, change, status) in table {
        let answer = stage.control("PATCH", &format!("instances/{id}"), change).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    stage.does("PATCH", "instances/vm-1", json!({ "remove": true })).await;
    let ids = stage.shows("instances").await;
    let ids: Vec<&Value> =
        ids["instances"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["vm-2"]);
}

#[tokio::test]
async fn instances_are_added_and_taken_away() {
    let stage = Stage::given().await;
    let setup = json!({ "id": "vm-3", "type": "g.2c8g", "chargeType": "PREPAID", "zone": "HKG-A" });
    let added = stage.does("POST", "instances", setup.clone()).await;
    assert_eq!((&added["id"], &added["zone"]), (&json!("vm-3"), &json!("HKG-A")));
    let found = stage.call("DescribeInstances", json!({ "instanceIds": ["vm-3"] })).await.json();
    assert_eq!(found["response"]["dataSet"][0]["memory"], 8);
    let table = [
        ("there already", setup, "vm-3"),
        ("an unknown type", json!({ "id": "a", "type": "x", "chargeType": "PREPAID" }), "type"),
        ("no charge type", json!({ "id": "a", "type": "c.1c2g" }), "chargeType"),
        ("an unknown field", json!({ "id": "a", "color": "red" }), "color"),
    ];
    for (name, setup, field) in table {
        let answer = stage.control("POST", "instances", setup).await;
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.text().contains(field), "{name}: {}", answer.text());
    }
    stage.does("DELETE", "instances/vm-3", Value::Null).await;
    assert_eq!(stage.control("DELETE", "instances/vm-3", Value::Null).await.status, 404);
}

#[tokio::test]
async fn the_balance_is_shown_topped_up_and_charged() {
    let stage = Stage::with("", "balance: 5\n").await;
    assert_eq!(stage.shows("balance").await["balance"], "5");
    let upgrade = json!({ "instanceId": "vm-2", "instanceTypeId": "c.4c8g" });
    let refused = stage.call("ModifyInstanceType", upgrade.clone()).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    stage.does("POST", "balance", json!({ "topUp": "100.25" })).await;
    assert_eq!(stage.shows("balance").await["balance"], "105.25");
    assert_eq!(stage.call("ModifyInstanceType", upgrade).await.verdict(), "200 OK");
    let ledger = stage.shows("ledger").await;
    let amount = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let charged = amount(&ledger["charges"][0]["amount"]);
    assert!(charged > 0.0, "{ledger}");
    assert!((amount(&ledger["balance"]) + charged - 105.25).abs() < 1e-9, "{ledger}");
    assert_eq!(stage.control("POST", "balance", json!({ "topUp": "much" })).await.status, 400);
}

#[tokio::test]
async fn a_person_orders_recycles_and_restores_in_the_console() {
    let stage = Stage::given().await;
    let order = json!({ "order": { "id": "vm-1", "type": "c.2c4g" } });
    let ordered = stage.does("POST", "console", order).await;
    assert_eq!(ordered["requestId"], "console");
    stage.does("POST", "console", json!({ "dropPlan": { "id": "vm-1" } })).await;
    assert_eq!(stage.shows("plans").await["plans"], json!([]));
    stage.does("POST", "console", json!({ "recycle": { "id": "vm-1" } })).await;
    stage.does("POST", "clock", json!({ "toNextEvent": true })).await;
    let refused = stage.send(&stage.modify()).await;
    assert_eq!(refused.verdict(), "400 UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE");
    stage.does("POST", "console", json!({ "restore": { "id": "vm-1" } })).await;
    assert_eq!(stage.send(&stage.modify()).await.verdict(), "200 OK");
    for change in [json!({ "explode": {} }), json!({ "restore": { "id": "vm-9" } })] {
        assert_eq!(stage.control("POST", "console", change).await.status, 400);
    }
}

#[tokio::test]
async fn open_questions_are_played_otherwise_while_it_runs() {
    let stage = Stage::given().await;
    let mut behaviour = stage.shows("behaviour").await;
    assert_eq!(behaviour["noPlanStatus"], "enable");
    behaviour["noPlanStatus"] = "disable".into();
    stage.does("PUT", "behaviour", behaviour).await;
    let status = stage.call("DescribeInstanceTypeStatus", json!({ "instanceId": "vm-1" })).await;
    assert_eq!(status.json()["response"]["modifiedInstanceTypeStatus"], "Disable");
    let unknown = stage.control("PUT", "behaviour", json!({ "color": "red" })).await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn the_clock_steps_to_what_is_due_next() {
    let stage = Stage::given().await;
    stage.send(&stage.modify()).await;
    let due = stage.shows("clock").await["nextEvent"].clone();
    assert_eq!(due, "2026-01-01T00:00:30Z");
    let stepped = stage.does("POST", "clock", json!({ "toNextEvent": true })).await;
    assert_eq!(stepped["now"], due);
    assert_eq!(stage.shows("plans").await["plans"], json!([]));
}

#[tokio::test]
async fn plans_and_orders_are_shown() {
    let stage = Stage::given().await;
    assert_eq!(stage.shows("plans").await["plans"], json!([]));
    let number = stage.send(&stage.modify()).await.json()["response"]["orderNumber"].clone();
    let plans = stage.shows("plans").await;
    assert_eq!(plans["plans"][0]["instanceId"], "vm-1");
    let orders = stage.shows("ledger").await["orders"].clone();
    assert_eq!(orders[0]["orderNumber"], number);
    assert_eq!(orders[0]["instanceId"], "vm-1");
    stage.step(31).await;
    assert_eq!(stage.shows("plans").await["plans"], json!([]));
}

#[tokio::test]
async fn a_stepped_clock_moves_by_steps_only_and_a_month_passes_in_one() {
    let stage = Stage::given().await;
    let start = stage.shows("clock").await;
    assert_eq!(start["mode"], "stepped");
    assert_eq!(start["now"], "2026-01-01T00:00:00Z");
    let body = json!({ "instanceId": "vm-2", "instanceTypeId": "c.1c2g" });
    assert_eq!(stage.call("ModifyInstanceType", body).await.verdict(), "200 OK");
    let to = json!({ "advanceTo": "2026-02-01T00:00:00Z" });
    assert_eq!(stage.does("POST", "clock", to).await["now"], "2026-02-01T00:00:00Z");
    let item = stage.call("DescribeInstances", json!({ "instanceIds": ["vm-2"] })).await.json();
    assert_eq!(item["response"]["dataSet"][0]["instanceType"], "c.1c2g");
}

#[tokio::test]
async fn a_clock_can_be_set_to_run_otherwise_and_never_runs_back() {
    let stage = Stage::given().await;
    let now = async |stage: &Stage| -> jiff::Timestamp {
        stage.shows("clock").await["now"].as_str().unwrap().parse().unwrap()
    };
    let faster = stage.does("POST", "clock", json!({ "mode": "scaled", "scale": 1e6 })).await;
    assert_eq!(faster["mode"], "scaled");
    let first = now(&stage).await;
    harness::eventually("a day", std::time::Duration::from_secs(20), async || {
        let passed = now(&stage).await.duration_since(first);
        if passed.as_hours() >= 24 { Ok(()) } else { Err(format!("{passed:#}")) }
    })
    .await;
    stage.does("POST", "clock", json!({ "mode": "stepped" })).await;
    let halted = now(&stage).await;
    assert_eq!(now(&stage).await, halted);
    let table = [
        ("back", json!({ "advanceSeconds": -1 })),
        ("to the past", json!({ "advanceTo": "2020-01-01T00:00:00Z" })),
        ("too far", json!({ "advanceSeconds": i64::MAX })),
        ("two at once", json!({ "advanceSeconds": 1, "mode": "wall" })),
        ("nothing", json!({})),
        ("no scale", json!({ "mode": "scaled" })),
        ("a scale that halts", json!({ "mode": "scaled", "scale": 0 })),
        ("a scale that runs back", json!({ "mode": "scaled", "scale": -1 })),
        ("a scale beyond all bounds", json!({ "mode": "scaled", "scale": 1e308 })),
        ("an unknown field", json!({ "seconds": 1 })),
    ];
    for (name, change) in table {
        let answer = stage.control("POST", "clock", change).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
    }
    assert_eq!(now(&stage).await, halted);
}

#[tokio::test]
async fn the_request_log_counts_calls_and_holds_no_secret() {
    let stage = Stage::with("  - { name: robot, token: very-secret-token }\n", "").await;
    stage.look().await;
    stage.send(&stage.request("DescribeZones", json!({})).bearer("very-secret-token")).await;
    let body =
        json!({ "instanceId": "vm-1", "password": "pass-word-1", "tags": [{ "apiToken": "t-1" }] });
    stage.call("RebootInstances", body).await;
    stage.fault(json!({ "kind": "dropAfter", "action": "ModifyInstanceType" })).await;
    let authorization = stage.modify().signed_authorization();
    stage.try_send(&stage.modify()).await.unwrap_err();
    let log = stage.shows("requests").await;
    let requests = log["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[0]["credential"], harness::simulator::KEY_ID);
    assert_eq!(requests[1]["credential"], "robot");
    assert_eq!(requests[3]["faults"], json!(["dropAfter"]));
    assert_eq!((&requests[3]["status"], &requests[3]["code"]), (&json!(0), &json!("OK")));
    assert_eq!(log["counts"]["DescribeInstances"]["OK"], 1);
    let text = log.to_string();
    let secrets = ["very-secret", "pass-word-1", "t-1", "simSecret", "Signature=", &authorization];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} stands in {text}");
    }
    let chosen = stage.shows("requests?action=ModifyInstanceType&instance=vm-1&limit=5").await;
    assert_eq!(chosen["requests"].as_array().unwrap().len(), 1);
    stage.does("DELETE", "requests", Value::Null).await;
    assert_eq!(stage.shows("requests").await, json!({ "counts": {}, "requests": [] }));
}

/// Whatever a client sends, the counts and the entries stay as small as they are.
#[tokio::test]
async fn the_request_log_is_bounded_whatever_names_codes_and_ids_come() {
    let stage = Stage::given().await;
    for index in 0..30 {
        stage.call(&format!("Describe{index}"), json!({})).await;
    }
    let counts = stage.shows("requests").await["counts"].clone();
    let unauthorized = json!({ "AUTHFAILURE_UNAUTHORIZED_OPERATION": 30 });
    assert_eq!(counts, json!({ "unknown action": unauthorized }));
    // Single calls still show what was asked for.
    let named = stage.shows("requests?action=Describe7").await;
    assert_eq!(named["requests"].as_array().unwrap().len(), 1);
    let request = stage.request("DescribeZones", json!({}));
    let decide = |code: String| {
        let fault = json!({ "kind": "error", "code": code });
        stage.shared.lock().faults.add(serde_json::from_value(fault).unwrap());
        let arrival = zenlayer_sim::http::Arrival::new(headers(&request), request.body.clone());
        let play = stage.shared.arrive(&arrival);
        stage.shared.decide(&arrival, &play);
    };
    (0..400).for_each(|index| decide(format!("CODE_{index}")));
    (0..7).for_each(|_| decide("CODE_0".to_owned()));
    let counts = stage.shows("requests").await["counts"]["DescribeZones"].clone();
    let codes = counts.as_object().unwrap();
    assert_eq!(codes.len(), 257, "256 codes, and all others together");
    let total: u64 = codes.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((total, &codes["CODE_0"], &codes["other codes"]), (407, &json!(8), &json!(144)));
    let body = json!({ "instanceId": "v".repeat(100_000), "instanceTypeId": "c.2c4g" });
    stage.call("ModifyInstanceType", body).await;
    let last = stage.shows("requests?limit=1").await["requests"][0].clone();
    assert_eq!(last["instance"].as_str().unwrap().len(), 256);
}

fn headers(request: &crate::caller::Request) -> hyper::HeaderMap {
    let text = String::from_utf8(request.bytes()).unwrap();
    let lines = text.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

#[tokio::test]
async fn faults_are_listed_removed_and_forgotten() {
    let stage = Stage::with("", "faults:\n  - { kind: dateMissing, times: always }\n").await;
    let added = stage.does("POST", "faults", json!({ "kind": "dropAfter", "nth": 9 })).await;
    stage.look().await;
    let listed = stage.shows("faults").await["faults"].clone();
    assert_eq!(listed[0]["kind"], "dateMissing");
    assert_eq!((&listed[0]["matched"], &listed[0]["played"]), (&json!(1), &json!(1)));
    assert_eq!((&listed[1]["id"], &listed[1]["played"]), (&added["id"], &json!(0)));
    stage.does("DELETE", &format!("faults/{}", added["id"]), Value::Null).await;
    assert_eq!(stage.shows("faults").await["faults"].as_array().unwrap().len(), 1);
    assert_eq!(stage.control("DELETE", "faults/99", Value::Null).await.status, 404);
    stage.does("DELETE", "faults", Value::Null).await;
    assert_eq!(stage.shows("faults").await["faults"], json!([]));
}

#[tokio::test]
async fn credentials_come_go_and_change_while_it_runs_and_never_show_secrets() {
    let stage = Stage::given().await;
    let key = json!({ "name": "second", "accessKeyId": "AK2", "accessKeyPassword": "pw2" });
    stage.does("POST", "credentials", key.clone()).await;
    let second = || {
        let request = stage.request("DescribeInstances", json!({}));
        request.with(|one| (one.key_id, one.secret) = ("AK2".into(), "pw2".into()))
    };
    assert_eq!(stage.send(&second()).await.status, 200);
    let listed = stage.shows("credentials").await;
    assert_eq!(listed["credentials"][1]["accessKeyId"], "AK2");
    assert!(!listed.to_string().contains("pw2") && !listed.to_string().contains("simSecret"));
    let permissions = json!({ "permissions": ["DescribeZones"] });
    stage.does("PATCH", "credentials/second", permissions).await;
    assert_eq!(stage.send(&second()).await.verdict(), "401 AUTHFAILURE_UNAUTHORIZED_OPERATION");
    stage.does("PATCH", "credentials/second", json!({ "revoked": true })).await;
    assert_eq!(stage.send(&second()).await.verdict(), "401 AUTHFAILURE_SIGNATURE_FAILURE");
    stage.does("DELETE", "credentials/second", Value::Null).await;
    let table = [
        (
            "the name of another",
            "POST",
            "credentials",
            json!({ "name": harness::simulator::KEY_ID, "token": "x" }),
            400,
        ),
        ("neither key nor token", "POST", "credentials", json!({ "name": "x" }), 400),
        (
            "an unknown action",
            "PATCH",
            &format!("credentials/{}", harness::simulator::KEY_ID),
            json!({ "permissions": ["Fly"] }),
            400,
        ),
        ("an unknown name", "PATCH", "credentials/second", json!({ "revoked": true }), 404),
        ("gone", "DELETE", "credentials/second", Value::Null, 404),
    ];
    for (name, method, path, body, status) in table {
        let answer = stage.control(method, path, body).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_rate_limit_is_set_while_it_runs() {
    let stage = Stage::given().await;
    stage.does("PUT", "rate-limit", json!({ "perSecond": 1, "burst": 1 })).await;
    assert_eq!((stage.look().await.status, stage.look().await.status), (200, 429));
    stage.does("PUT", "rate-limit", Value::Null).await;
    assert_eq!(stage.look().await.status, 200);
    let answer = stage.control("PUT", "rate-limit", json!({ "perSecond": 0, "burst": 1 })).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_snapshot_brings_world_clock_and_faults_back() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "dateMissing", "nth": 100 })).await;
    stage.send(&stage.modify()).await;
    let snapshot = stage.shows("snapshot").await;
    assert!(!snapshot.to_string().contains("simSecret"));
    let before = (stage.shows("ledger").await, stage.shows("instances").await);
    stage.does("DELETE", "faults", Value::Null).await;
    stage.does("PATCH", "instances/vm-2", json!({ "remove": true })).await;
    stage.step(1_000_000).await;
    stage.does("PUT", "snapshot", snapshot.clone()).await;
    assert_eq!((stage.shows("ledger").await, stage.shows("instances").await), before);
    assert_eq!(stage.shows("clock").await["now"], "2026-01-01T00:00:00Z");
    assert_eq!(stage.shows("faults").await["faults"][0]["nth"], 100);
    let mut future = snapshot;
    future["format"] = 2.into();
    let refused = stage.control("PUT", "snapshot", future).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("format"), "{}", refused.text());
}

#[tokio::test]
async fn the_control_api_lists_its_own_paths() {
    let stage = Stage::given().await;
    let help = stage.control("GET", "", Value::Null).await;
    assert_eq!(help.status, 404, "a trailing slash is another path");
    let unknown = stage.control("GET", "ponies", Value::Null).await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("GET /control"));
    for line in zenlayer_sim::http::CONTROL_HELP.lines() {
        let mut words = line.split_whitespace();
        let method = words.next().filter(|word| word.chars().all(|one| one.is_ascii_uppercase()));
        let (Some(method), Some(path)) = (method, words.next()) else { continue };
        let Some(path) = path.strip_prefix("/control/") else { continue };
        let path = path.trim_end_matches(';').replace("ID", "vm-1").replace("NAME", "x");
        if method == "GET" {
            assert_eq!(stage.control("GET", &path, Value::Null).await.status, 200, "{line}");
        } else {
            let answer = stage.control(method, &path, json!({ "none": 1 })).await;
            let routed = !answer.text().contains("no such path") && answer.status != 405;
            assert!(routed, "{line}: {}", answer.text());
        }
    }
}
