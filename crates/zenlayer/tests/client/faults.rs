//! The client against every fault of the simulator, as a process: its verdict, and how many
//! requests reached the service. Prints the table (`--nocapture`).

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use zenlayer::{
    Answer, Call, Client, ClientOptions, Cloud, Found, InstanceId, InstanceIds, Mutation, ReadError,
};
use zenlayer_sim::http::CODES;

use crate::{
    given::{given_call, given_modify, given_mutations, given_options, id},
    roots::{client_of_today, simulation, simulator_key},
};
use harness::{Simulator, eventually};

const LIMIT: Duration = Duration::from_secs(60);

/// A fault, and what is expected of the client.
struct Row {
    name: String,
    fault: Value,
    write: &'static str,
    /// Orders in the simulator's ledger at the end.
    orders: usize,
    read: &'static str,
    /// Requests of the read.
    tries: usize,
}

/// What the client concludes: never more than what it knows.
fn verdict_of_write(answer: &Answer) -> &'static str {
    match answer {
        Answer::NotSent { .. } => "not sent",
        Answer::Refused(_) => "refused",
        Answer::Accepted { .. } => "accepted",
        Answer::Unknown { .. } => "unknown",
    }
}

async fn write(client: &Client, instance: &InstanceId) -> Answer {
    mutate(client, instance, given_modify()).await
}

async fn mutate(client: &Client, instance: &InstanceId, mutation: Mutation) -> Answer {
    let call =
        Call { signed_at: Timestamp::now(), instance_id: instance.clone(), ..given_call(mutation) };
    client.mutate(&simulator_key(), &call).await
}

async fn read(client: &Client, instance: &InstanceId) -> &'static str {
    let asked = InstanceIds::one(instance.clone());
    match client.describe_instances(&simulator_key(), &asked).await {
        Ok(reading) => match &reading.value[instance] {
            Found::Present(_) => "read",
            Found::Missing => "gone",
            Found::Odd { .. } => "not understood",
        },
        Err(ReadError::Malformed { .. }) => "not understood",
        Err(ReadError::Api { .. }) => "read failed",
        Err(ReadError::Transport { .. }) => "no answer",
    }
}

/// The rows of the error codes. A 4xx with a code is a refusal, unless the code itself tells of
/// trouble inside the service.
fn codes() -> impl Iterator<Item = Row> {
    CODES.iter().map(|(code, status)| {
        let trouble = *status >= 500 || *code == "INVALID_OPERATION_TIMEOUT";
        let passing = *status >= 500 || *status == 429;
        let not_found = ["INVALID_INSTANCE_NOT_FOUND", "OPERATION_FAILED_RESOURCE_NOT_FOUND"];
        Row {
            name: format!("error {code}"),
            fault: json!({ "kind": "error", "code": code }),
            write: if trouble { "unknown" } else { "refused" },
            orders: 0,
            read: if not_found.contains(code) { "gone" } else { "read failed" },
            tries: if passing { 3 } else { 1 },
        }
    })
}

/// The other kinds.
fn kinds() -> Vec<Row> {
    let row = |name: &str, fault: Value, (write, orders), (read, tries)| Row {
        name: name.to_owned(),
        fault,
        write,
        orders,
        read,
        tries,
    };
    let page = |page: &str| json!({ "kind": "page", "page": page });
    let body = |status: u16, body: &str| json!({ "kind": "body", "status": status, "body": body });
    let set =
        |path: &str, value: Value| json!({ "kind": "setField", "path": path, "value": value });
    let limited = json!({ "kind": "error", "code": "REQUEST_LIMIT_EXCEEDED", "retryAfter": 1 });
    let effect_and_page = json!({ "kind": "page", "page": "badGateway", "effect": true });
    vec![
        row(
            "none",
            json!({ "kind": "extraFields", "action": "DescribeZones" }),
            ("accepted", 1),
            ("read", 1),
        ),
        row(
            "error that nobody knows",
            json!({ "kind": "error", "code": "NEW", "status": 400 }),
            ("refused", 0),
            ("read failed", 1),
        ),
        row("error with Retry-After", limited, ("refused", 0), ("read failed", 3)),
        row(
            "registrationLag",
            json!({ "kind": "registrationLag", "seconds": 1 }),
            ("accepted", 1),
            ("read", 1),
        ),
        row("failsSilently", json!({ "kind": "failsSilently" }), ("accepted", 1), ("read", 1)),
        row("page internalError", page("internalError"), ("unknown", 0), ("read failed", 3)),
        row("page badGateway", page("badGateway"), ("unknown", 0), ("read failed", 3)),
        row("page badGateway, with effect", effect_and_page, ("unknown", 1), ("read failed", 3)),
        row("page unavailable", page("unavailable"), ("unknown", 0), ("read failed", 3)),
        row("page challenge", page("challenge"), ("refused", 0), ("read failed", 1)),
        row("page blocked", page("blocked"), ("refused", 0), ("read failed", 1)),
        row("body {} with 200", body(200, "{}"), ("unknown", 0), ("not understood", 1)),
        row("body in HTML with 404", body(404, "<html>"), ("unknown", 0), ("read failed", 1)),
        row(
            "nullResponse",
            json!({ "kind": "nullResponse" }),
            ("unknown", 1),
            ("not understood", 1),
        ),
        row(
            "missingResponse",
            json!({ "kind": "missingResponse" }),
            ("unknown", 1),
            ("not understood", 1),
        ),
        row(
            "successWithCode",
            json!({ "kind": "successWithCode" }),
            ("unknown", 1),
            ("not understood", 1),
        ),
        row(
            "contentType",
            json!({ "kind": "contentType", "value": "text/plain" }),
            ("accepted", 1),
            ("read", 1),
        ),
        row(
            "setField state",
            set("dataSet.*.instanceStatus", json!("RESIZING")),
            ("accepted", 1),
            ("read", 1),
        ),
        row(
            "setField id",
            set("dataSet.*.instanceId", json!("other")),
            ("accepted", 1),
            ("not understood", 1),
        ),
        row(
            "setField type",
            set("dataSet.*.instanceType", json!(7)),
            ("accepted", 1),
            ("not understood", 1),
        ),
        row("setField order", set("orderNumber", json!({})), ("accepted", 1), ("read", 1)),
        row(
            "removeField",
            json!({ "kind": "removeField", "path": "dataSet" }),
            ("accepted", 1),
            ("not understood", 1),
        ),
        row(
            "removeField order",
            json!({ "kind": "removeField", "path": "orderNumber" }),
            ("accepted", 1),
            ("read", 1),
        ),
        row("extraFields", json!({ "kind": "extraFields" }), ("accepted", 1), ("read", 1)),
        row(
            "truncatedBody",
            json!({ "kind": "truncatedBody", "bytes": 9 }),
            ("unknown", 1),
            ("no answer", 3),
        ),
        row(
            "overlongBody",
            json!({ "kind": "overlongBody", "bytes": 200_000 }),
            ("unknown", 1),
            ("not understood", 1),
        ),
        row(
            "slowBody within the limit",
            json!({ "kind": "slowBody", "seconds": 0.2 }),
            ("accepted", 1),
            ("read", 1),
        ),
        row(
            "slowBody",
            json!({ "kind": "slowBody", "seconds": 15 }),
            ("unknown", 1),
            ("no answer", 3),
        ),
        row(
            "delayAnswer within the limit",
            json!({ "kind": "delayAnswer", "seconds": 0.2 }),
            ("accepted", 1),
            ("read", 1),
        ),
        row(
            "delayAnswer",
            json!({ "kind": "delayAnswer", "seconds": 15 }),
            ("unknown", 1),
            ("no answer", 3),
        ),
        row(
            "lateRequest within the limit",
            json!({ "kind": "lateRequest", "seconds": 0.2 }),
            ("accepted", 1),
            ("read", 1),
        ),
        row(
            "lateRequest",
            json!({ "kind": "lateRequest", "seconds": 15 }),
            ("unknown", 1),
            ("no answer", 3),
        ),
        row("dropBefore", json!({ "kind": "dropBefore" }), ("unknown", 0), ("no answer", 3)),
        row("dropAfter", json!({ "kind": "dropAfter" }), ("unknown", 1), ("no answer", 3)),
        row(
            "clockSkew ahead",
            json!({ "kind": "clockSkew", "seconds": 400 }),
            ("refused", 0),
            ("read failed", 1),
        ),
        row(
            "clockSkew behind",
            json!({ "kind": "clockSkew", "seconds": -400 }),
            ("refused", 0),
            ("read failed", 1),
        ),
        row(
            "clockSkew within the life",
            json!({ "kind": "clockSkew", "seconds": 200 }),
            ("accepted", 1),
            ("read", 1),
        ),
        row(
            "dateSkew",
            json!({ "kind": "dateSkew", "seconds": 9999 }),
            ("accepted", 1),
            ("read", 1),
        ),
        row("dateMissing", json!({ "kind": "dateMissing" }), ("accepted", 1), ("read", 1)),
    ]
}

/// Where the answer is to come too late, the client gives up in time; a busy machine is no fault.
fn limits(fault: &Value) -> ClientOptions {
    let late = fault["seconds"].as_f64().is_some_and(|seconds| seconds >= 5.0);
    match fault["kind"].as_str() {
        Some("slowBody" | "delayAnswer" | "lateRequest") if late => ClientOptions {
            try_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(10),
            ..given_options()
        },
        _ => given_options(),
    }
}

/// Plays one row on an instance of its own.
async fn play(sim: &Simulator, row: &Row, instance: &str) -> String {
    let client = client_of_today(&sim.endpoint(), limits(&row.fault));
    let mut fault = row.fault.clone();
    fault["times"] = json!("always");
    if fault.get("action").is_none() {
        fault["instance"] = json!(instance);
    }
    sim.fault(fault).await;
    let vm = id(instance);
    let answer = write(&client, &vm).await;
    let verdict = verdict_of_write(&answer);
    let seen = read(&client, &vm).await;
    let (writes, reads) = eventually(&row.name, LIMIT, async || {
        let writes = sim.calls("ModifyInstanceType", instance).await.len();
        let reads = sim.calls("DescribeInstances", instance).await.len();
        if writes > 0 && reads >= row.tries {
            Ok((writes, reads))
        } else {
            Err(format!("{writes} writes and {reads} reads"))
        }
    })
    .await;
    let orders = sim.orders(instance).await.len();
    let line =
        format!("{:<58} {verdict:<9} {writes:>8} {orders:>7}  {seen:<14} {reads:>8}", row.name);
    assert_eq!(verdict, row.write, "{line}: {answer:?}");
    assert_eq!((writes, orders), (1, row.orders), "{line}: {answer:?}");
    assert_eq!((seen, reads), (row.read, row.tries), "{line}");
    line
}

fn header() -> String {
    format!(
        "{:<58} {:<9} {:>8} {:>7}  {:<14} {:>8}",
        "fault", "write", "requests", "orders", "read", "requests"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_of_the_simulator_has_its_verdict_and_no_write_is_sent_twice() {
    let rows: Vec<Row> = kinds().into_iter().chain(codes()).collect();
    let instances: String = (0..rows.len())
        .map(|n| format!("  - {{ id: vm-{n}, type: c.1c2g, chargeType: POSTPAID }}\n"))
        .collect();
    // Without compression, so that a body that is too long is only that.
    let file = simulation(&instances) + "transport: { gzip: false }\n";
    let sim = Simulator::start(&file, &[]).await;
    let played =
        rows.iter().enumerate().map(async |(n, row)| play(&sim, row, &format!("vm-{n}")).await);
    let lines: Vec<String> = stream::iter(played).buffered(12).collect().await;
    println!("{}\n{}", header(), lines.join("\n"));
    // Also long after: nothing was sent again.
    for (n, row) in rows.iter().enumerate() {
        let writes = sim.calls("ModifyInstanceType", &format!("vm-{n}")).await.len();
        assert_eq!(writes, 1, "{}", row.name);
    }
}

/// The faults after which a careless client sends again, for every mutation.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_mutation_of_any_kind_is_sent_twice() {
    let faults = [
        ("unknown", json!({ "kind": "dropBefore" })),
        ("unknown", json!({ "kind": "dropAfter" })),
        ("unknown", json!({ "kind": "page", "page": "unavailable" })),
        ("unknown", json!({ "kind": "page", "page": "badGateway", "effect": true })),
        ("unknown", json!({ "kind": "truncatedBody" })),
        ("unknown", json!({ "kind": "delayAnswer", "seconds": 15 })),
        ("unknown", json!({ "kind": "error", "code": "REQUEST_TIMED_OUT" })),
        ("refused", json!({ "kind": "error", "code": "REQUEST_LIMIT_EXCEEDED", "retryAfter": 0 })),
    ];
    let rows: Vec<_> = given_mutations()
        .into_iter()
        .flat_map(|mutation| faults.iter().map(move |fault| (mutation.clone(), fault.clone())))
        .collect();
    // Each call is allowed: it is the fault alone that is in the way.
    let instances: String = rows
        .iter()
        .enumerate()
        .map(|(n, (mutation, _))| match mutation {
            Mutation::CancelDowngrade => {
                format!("  - {{ id: vm-{n}, type: c.4c8g, chargeType: PREPAID, expiresIn: 20d }}\n")
            }
            Mutation::Start => format!(
                "  - {{ id: vm-{n}, type: c.1c2g, chargeType: POSTPAID, state: STOPPED }}\n"
            ),
            Mutation::Modify { .. } | Mutation::Stop | Mutation::Reboot => {
                format!("  - {{ id: vm-{n}, type: c.1c2g, chargeType: POSTPAID }}\n")
            }
        })
        .collect();
    let sim = Simulator::start(&simulation(&instances), &[]).await;
    let played = rows.iter().enumerate().map(async |(n, (mutation, (expected, fault)))| {
        let (instance, row) = (format!("vm-{n}"), format!("{mutation} {fault}"));
        let client = client_of_today(&sim.endpoint(), limits(fault));
        if *mutation == Mutation::CancelDowngrade {
            let patient = client_of_today(&sim.endpoint(), given_options());
            let scheduled = write(&patient, &id(&instance)).await;
            assert_eq!(verdict_of_write(&scheduled), "accepted", "{row}: {scheduled:?}");
        }
        let mut rule = fault.clone();
        rule["instance"] = json!(instance);
        sim.fault(rule).await;
        let answer = mutate(&client, &id(&instance), mutation.clone()).await;
        assert_eq!(verdict_of_write(&answer), *expected, "{row}: {answer:?}");
        let calls = eventually(&row, LIMIT, async || {
            let calls = sim.calls(mutation.action(), &instance).await;
            if calls.is_empty() { Err("nothing arrived".to_owned()) } else { Ok(calls) }
        })
        .await;
        assert_eq!(calls.len(), 1, "{row}: {calls:?}");
    });
    let played = stream::iter(played).buffer_unordered(8).count().await;
    assert_eq!(played, 40);
}

/// The kinds of the table are all that the simulator has (and `refuseConnections`, below).
#[test]
fn no_kind_of_fault_is_left_out() {
    let output =
        std::process::Command::new(harness::binary("zenlayer-sim")).arg("schema").output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut kinds_there = BTreeSet::new();
    collect_kinds(&schema, &mut kinds_there);
    let mut played: BTreeSet<String> = kinds()
        .into_iter()
        .chain(codes())
        .map(|row| row.fault["kind"].as_str().unwrap().to_owned())
        .collect();
    played.insert("refuseConnections".to_owned());
    assert_eq!(played, kinds_there);
}

/// The constants of the `kind` tag, wherever the schema keeps them.
fn collect_kinds(schema: &Value, kinds: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            let kind = object.get("properties").and_then(|it| it["kind"]["const"].as_str());
            kinds.extend(kind.map(str::to_owned));
            object.values().for_each(|value| collect_kinds(value, kinds));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_kinds(value, kinds)),
        _ => {}
    }
}

/// While the listener is closed, nothing can leave.
#[tokio::test]
async fn a_refused_connection_is_not_sent() {
    let instances = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }\n\
                     \x20 - { id: vm-2, type: c.1c2g, chargeType: POSTPAID }\n";
    let sim = Simulator::start(&simulation(instances), &[]).await;
    let client = client_of_today(&sim.endpoint(), given_options());
    let fault = json!({ "kind": "refuseConnections", "seconds": 5, "instance": "vm-1" });
    sim.fault(fault).await;
    let first = write(&client, &id("vm-1")).await;
    assert_eq!(verdict_of_write(&first), "unknown", "it was on its way: {first:?}");
    let second = write(&client, &id("vm-2")).await;
    assert_eq!(verdict_of_write(&second), "not sent", "{second:?}");
    let third =
        eventually("the listener", LIMIT, async || match write(&client, &id("vm-2")).await {
            Answer::NotSent { cause } => Err(cause),
            answer => Ok(answer),
        })
        .await;
    assert_eq!(verdict_of_write(&third), "accepted", "{third:?}");
    assert_eq!(sim.calls("ModifyInstanceType", "vm-2").await, ["OK"]);
    assert!(sim.orders("vm-1").await.is_empty());
}

/// The fence: what is delivered after the signature's life has no effect, and is not signed again.
#[tokio::test]
async fn a_write_that_is_delivered_after_its_signatures_life_is_refused() {
    let instances = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }\n";
    let sim = Simulator::start(&simulation(instances), &["--signature-life", "5"]).await;
    sim.fault(json!({ "kind": "lateRequest", "seconds": 15, "action": "ModifyInstanceType" }))
        .await;
    let options = ClientOptions { total_timeout: Duration::from_secs(8), ..given_options() };
    let answer = write(&client_of_today(&sim.endpoint(), options), &id("vm-1")).await;
    assert_eq!(verdict_of_write(&answer), "unknown", "{answer:?}");
    let codes = eventually("the late request", LIMIT, async || {
        let codes = sim.calls("ModifyInstanceType", "vm-1").await;
        if codes.is_empty() { Err("nothing arrived".to_owned()) } else { Ok(codes) }
    })
    .await;
    assert_eq!(codes, ["AUTHFAILURE_SIGNATURE_EXPIRED"]);
    assert!(sim.orders("vm-1").await.is_empty());
}

/// The rate limit of the service, with and without Retry-After: a read waits and succeeds.
#[tokio::test]
async fn a_read_gets_through_the_rate_limit_of_the_service() {
    for retry_after in ["", ", retryAfter: 1"] {
        let limit =
            format!("transport: {{ rateLimit: {{ perSecond: 2, burst: 1{retry_after} }} }}\n");
        let file = simulation("  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }\n") + &limit;
        let sim = Simulator::start(&file, &[]).await;
        let options = ClientOptions { retry_pause: Duration::from_millis(400), ..given_options() };
        let client = client_of_today(&sim.endpoint(), options);
        for round in 0..3 {
            assert_eq!(read(&client, &id("vm-1")).await, "read", "round {round}{retry_after}");
        }
        let codes = sim.calls("DescribeInstances", "vm-1").await;
        assert!(codes.contains(&"REQUEST_LIMIT_EXCEEDED".to_owned()), "{codes:?}");
    }
}
