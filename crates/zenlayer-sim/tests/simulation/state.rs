//! State files and snapshots: all of what comes in is checked before anything changes.

use std::process::Command;

use harness::binary;
use serde_json::{Value, json};

use crate::stage::{Stage, file};

/// A simulator in the middle of everything: a change that runs, one that is scheduled, one that is
/// not registered yet, charges, stock, rules of faults, and a past for a read that lags.
async fn busy() -> Stage {
    let more = "balance: 500\nzones: [{ id: LAB-A, stock: { c.4c8g: 3 } }]\n\
                behaviour: { readLag: { DescribeInstances: 100s } }\n\
                faults: [{ kind: dateMissing, nth: 90 }, { kind: dropAfter, nth: 91 }]\n";
    let stage = Stage::with("", more).await;
    let modify = async |id: &str, to: &str| {
        let body = json!({ "instanceId": id, "instanceTypeId": to });
        assert_eq!(stage.call("ModifyInstanceType", body).await.verdict(), "200 OK", "{id} {to}");
    };
    let lab = json!({ "id": "vm-3", "type": "c.2c4g", "chargeType": "PREPAID", "zone": "LAB-A" });
    stage.does("POST", "instances", lab).await;
    let late = json!({ "id": "vm-4", "type": "c.1c2g", "chargeType": "POSTPAID" });
    stage.does("POST", "instances", late).await;
    modify("vm-3", "c.4c8g").await;
    stage.step(40).await;
    stage.fault(json!({ "kind": "registrationLag", "seconds": 1000, "instance": "vm-4" })).await;
    modify("vm-4", "c.2c4g").await;
    modify("vm-1", "c.2c4g").await;
    modify("vm-2", "c.1c2g").await;
    stage.does("POST", "balance", json!({ "topUp": "7.5" })).await;
    stage
}

/// A place in a snapshot, what is put there (null: it is taken away), and what the refusal says.
type Row = (&'static str, Value, &'static [&'static str]);

fn changed(snapshot: &Value, path: &str, value: &Value) -> Value {
    let mut snapshot = snapshot.clone();
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = snapshot.pointer_mut(parent).unwrap_or_else(|| panic!("{path}: no such place"));
    match parent {
        Value::Object(fields) if value.is_null() => drop(fields.remove(name).expect(name)),
        Value::Object(fields) => drop(fields.insert(name.to_owned(), value.clone())),
        Value::Array(items) if value.is_null() => drop(items.remove(name.parse().unwrap())),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value.clone(),
        other => panic!("{path} lies in {other}"),
    }
    snapshot
}

fn head_rows() -> Vec<Row> {
    vec![
        ("/format", json!(2), &["format", "is 2", "this version reads 1"]),
        ("/color", json!("red"), &["color"]),
        ("/epoch", json!(u64::MAX), &["epoch", "18446744073709551615", "write"]),
        ("/epoch", json!(1 << 24), &["epoch", "16777216", "write"]),
        ("/epoch", json!(-1), &["epoch"]),
        ("/epoch", Value::Null, &["epoch"]),
        ("/world", Value::Null, &["world"]),
        ("/clock/mode", json!("fast"), &["clock.mode", "fast"]),
        ("/clock/scale", json!(1e308), &["clock.scale", "1e308"]),
        ("/clock/scale", json!(3), &["clock.scale", "must be 1", "stepped"]),
        (
            "/clock",
            json!({ "mode": "scaled", "scale": 0, "wall": "2026-01-01T00:00:00Z", "service": "2026-01-01T00:00:00Z" }),
            &["clock.scale", "0"],
        ),
        ("/clock/service", json!("tomorrow"), &["clock.service"]),
        ("/clock/zone", json!("UTC"), &["clock", "zone"]),
        (
            "/faults/rules/0/fault/nth",
            json!(0),
            &["faults.rules[0].fault", "nth", "must be at least 1"],
        ),
        ("/faults/rules/0/fault/kind", json!("explode"), &["faults.rules[0].fault", "explode"]),
        ("/faults/rules/1/id", json!(1), &["faults.rules[1].id", "1", "twice"]),
        ("/faults/nextId", json!(1), &["faults.nextId", "2"]),
        ("/faults/nextId", json!(u64::MAX), &["faults.nextId", "18446744073709551615"]),
        ("/faults/rules/0/played", json!(9), &["faults.rules[0].played", "matched"]),
        ("/faults/rules/0/matched", json!(u64::MAX), &["faults.rules[0].matched"]),
    ]
}

fn rules_rows() -> Vec<Row> {
    vec![
        ("/world/color", json!("red"), &["world", "color"]),
        ("/world/now", json!(7), &["world.now"]),
        ("/world/rules/processingTime", json!("-1s"), &["world.rules.processingTime", "4s"]),
        ("/world/rules/durations/boot", json!("-1s"), &["world.rules.durations.boot"]),
        ("/world/rules/durations/nap", json!("1s"), &["world.rules.durations", "nap"]),
        ("/world/rules/behaviour/guest", json!("dies"), &["world.rules.behaviour.guest", "dies"]),
        (
            "/world/rules/behaviour/readLag/DescribeInstances",
            json!("-1s"),
            &["world.rules.behaviour.readLag.DescribeInstances"],
        ),
        (
            "/world/rules/behaviour/codes/lowBalance/status",
            json!(20),
            &["world.rules.behaviour.codes.lowBalance", "400 to 599"],
        ),
        (
            "/world/rules/catalogue/models/c.1c2g/id",
            json!("c.1c3g"),
            &["world.rules.catalogue.models.c.1c2g.id", "c.1c3g"],
        ),
        (
            "/world/rules/catalogue/models/c.1c2g/monthlyPrice",
            json!("-1"),
            &["world.rules.catalogue.models.c.1c2g.monthlyPrice", "negative"],
        ),
        (
            "/world/rules/catalogue/zones/LAB-A/id",
            json!("X-1"),
            &["world.rules.catalogue.zones.LAB-A.id", "X-1"],
        ),
        (
            "/world/rules/catalogue/zones/LAB-A/discount",
            json!("101"),
            &["world.rules.catalogue.zones.LAB-A.discount", "percentage"],
        ),
    ]
}

fn books_rows() -> Vec<Row> {
    vec![
        ("/world/books/balance", json!("1e30"), &["world.books.balance"]),
        ("/world/books/balance", json!("1"), &["world.books.balance", "opening", "charges"]),
        ("/world/books/opening", json!("0.00001"), &["world.books.opening", "digits"]),
        ("/world/books/toppedUp", json!("1000000000000000000000"), &["world.books.toppedUp"]),
        ("/world/books/charges/0/amount", json!("-1"), &["world.books.charges[0].amount"]),
        ("/world/books/charges/0/amount", json!("x"), &["world.books.charges[0].amount"]),
        (
            "/world/books/charges/0/reason",
            json!({ "order": "260000000000000009" }),
            &["world.books.charges[0].reason", "260000000000000009"],
        ),
        (
            "/world/books/orders/1/orderNumber",
            json!("7"),
            &["world.books.orders[1].orderNumber", "260000000000000002"],
        ),
        ("/world/books/orders/1/to", json!("x.1c1g"), &["world.books.orders[1].to", "x.1c1g"]),
        ("/world/books/orders/1/amount", json!("-1"), &["world.books.orders[1].amount"]),
        ("/world/books/orders/1/outcome", json!("landed"), &["world.books.orders[1].outcome"]),
        ("/world/books/orders/0/outcome", json!("open"), &["world.books.orders[0].outcome"]),
        ("/world/books/stock/X-1", json!({}), &["world.books.stock", "X-1"]),
        ("/world/books/stock/LAB-A/x.1c1g", json!(1), &["world.books.stock.LAB-A", "x.1c1g"]),
    ]
}

fn instance_rows() -> Vec<Row> {
    const SCHEDULED: &str = "2026-01-21T00:00:00Z";
    vec![
        ("/world/instances/vm-1/id", json!("vm-9"), &["world.instances.vm-1.id", "vm-9"]),
        ("/world/instances/vm-1/type", json!("x"), &["world.instances.vm-1.type", "\"x\""]),
        ("/world/instances/vm-1/zone", json!("X-1"), &["world.instances.vm-1.zone", "X-1"]),
        ("/world/instances/vm-1/state", json!("GONE"), &["world.instances.vm-1.state", "GONE"]),
        ("/world/instances/vm-1/color", json!("red"), &["world.instances.vm-1", "color"]),
        // A cycle of no months would be renewed for ever.
        ("/world/instances/vm-2/period", json!(0), &["world.instances.vm-2.period", "1 to 120"]),
        ("/world/instances/vm-2/expiresAt", Value::Null, &["world.instances.vm-2.expiresAt"]),
        ("/world/instances/vm-1/expiresAt", json!(SCHEDULED), &["world.instances.vm-1.expiresAt"]),
        ("/world/instances/vm-1/meteredTo", Value::Null, &["world.instances.vm-1.meteredTo"]),
        ("/world/instances/vm-2/meteredTo", json!(SCHEDULED), &["world.instances.vm-2.meteredTo"]),
        ("/world/instances/vm-2/owed", json!("-1"), &["world.instances.vm-2.owed"]),
        (
            "/world/instances/vm-1/plan/orderNumber",
            json!("260000000000000009"),
            &["world.instances.vm-1.plan", "260000000000000009"],
        ),
        ("/world/instances/vm-1/plan/to", json!("c.8c16g"), &["world.instances.vm-1.plan.to"]),
        ("/world/instances/vm-1/plan/mood", json!("good"), &["world.instances.vm-1.plan", "mood"]),
        (
            "/world/instances/vm-4/pending/0/work/orderNumber",
            json!("260000000000000001"),
            &["world.instances.vm-4.pending[0]", "vm-3"],
        ),
        (
            "/world/instances/vm-3/details/internetChargeType",
            json!("ByTrafficPackage"),
            &["world.instances.vm-3.details.trafficPackageSize"],
        ),
        (
            "/world/past/vm-1/0/instance/type",
            json!("x"),
            &["world.past.vm-1[0].instance.type", "\"x\""],
        ),
        ("/world/past/vm-1/0/until", json!("soon"), &["world.past.vm-1[0].until"]),
        // What is due, and never in the agenda, would never happen.
        ("/world/agenda", json!([]), &["world.agenda", "vm-1"]),
        ("/world/agenda/0", json!(["2026-01-01T00:00:00Z", "vm-7"]), &["world.agenda"]),
    ]
}

#[tokio::test]
async fn a_snapshot_is_put_back_as_it_was_taken() {
    let (stage, other) = (busy().await, Stage::given().await);
    let snapshot = stage.shows("snapshot").await;
    for stage in [&stage, &other] {
        stage.does("PUT", "snapshot", snapshot.clone()).await;
        for part in ["instances", "ledger", "clock", "behaviour", "faults"] {
            assert_eq!(stage.shows(part).await, stage.shows(part).await, "{part}");
        }
        assert_eq!(stage.shows("snapshot").await, snapshot);
    }
}

#[tokio::test]
async fn each_part_of_a_bad_snapshot_is_refused_by_its_name_and_nothing_changes() {
    let stage = busy().await;
    let snapshot = stage.shows("snapshot").await;
    let rows = [head_rows(), rules_rows(), books_rows(), instance_rows()].concat();
    let mut missing = Vec::new();
    for (path, value, words) in rows {
        let body = changed(&snapshot, path, &value);
        let answer = stage.control("PUT", "snapshot", body).await;
        let text = answer.json()["error"].as_str().unwrap_or("no error").to_owned();
        if answer.status != 400 {
            missing.push(format!("{path} {value}: {}", answer.status));
            stage.does("PUT", "snapshot", snapshot.clone()).await;
        }
        for word in words.iter().filter(|word| !text.contains(**word)) {
            missing.push(format!("{path} {value}: {word} is missing in {text}"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert_eq!(stage.shows("snapshot").await, snapshot, "nothing has changed");
}

/// A file of a state of [`busy`], with this change.
async fn started(path: &str, value: &Value) -> (i32, String) {
    let folder = tempfile::TempDir::new().unwrap();
    let (config, state) = (folder.path().join("sim.yaml"), folder.path().join("state.json"));
    std::fs::write(&config, file("", "")).unwrap();
    let snapshot = busy().await.shows("snapshot").await;
    std::fs::write(&state, changed(&snapshot, path, value).to_string()).unwrap();
    let mut command = Command::new(binary("zenlayer-sim"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&config);
    // A state that is taken is seen to be taken: the address cannot be written.
    command.args(["--address-file", "/nowhere/address", "--state"]).arg(&state);
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (ended.status.code().unwrap(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[tokio::test]
async fn a_start_from_a_bad_state_file_names_the_field_and_the_remedy() {
    let (code, errors) = started("/epoch", &json!(5)).await;
    assert!(code == 1 && errors.contains("/nowhere/address"), "a good one: {errors}");
    for (path, value, field) in [
        ("/epoch", json!(u64::MAX), "epoch"),
        ("/clock/scale", json!(1e308), "clock.scale"),
        ("/world/instances/vm-2/period", json!(0), "world.instances.vm-2.period"),
        ("/world/books/balance", json!("1"), "world.books.balance"),
    ] {
        let (code, errors) = started(path, &value).await;
        let last = errors.lines().last().unwrap_or_default();
        assert_eq!(code, 1, "{path}: {errors}");
        for part in ["error: cannot use the state file", "--state", field, "move the file away"] {
            assert!(last.contains(part), "{path}: {part} is missing in {errors}");
        }
    }
}
