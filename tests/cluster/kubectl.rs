//! What a person sees with kubectl: columns, categories, explanations, waits, events.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use zenlayer_vm_operator::api::Phase;

use crate::stage::{LIMIT, ONE_POSTPAID, ONE_PREPAID, Rules, Stage, shown, slow_simulation};
use harness::{Operator, eventually};

/// A machine for each thing that a table can show.
const FOUR: &str = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-2, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-3, type: s.1c1g, chargeType: POSTPAID }
  - { id: vm-4, type: c.2c4g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }
";

/// Header and rows of a kubectl table; a row is a map from header to cell.
fn table(text: &str) -> (Vec<String>, Vec<BTreeMap<String, String>>) {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let names: Vec<&str> = header.split_whitespace().collect();
    let starts: Vec<usize> = names.iter().map(|name| header.find(name).unwrap()).collect();
    let cell = |line: &str, index: usize| {
        let end = starts.get(index + 1).copied().unwrap_or(line.len()).min(line.len());
        line.get(starts[index].min(end)..end).unwrap_or_default().trim().to_owned()
    };
    let rows = lines.map(|line| {
        let cells =
            names.iter().enumerate().map(|(index, name)| ((*name).to_owned(), cell(line, index)));
        cells.collect()
    });
    let rows = rows.collect();
    (names.iter().map(ToString::to_string).collect(), rows)
}

#[tokio::test]
async fn the_columns_show_an_object_in_sync_one_changing_one_failed_and_one_scheduled() {
    // A change takes 100 s: within the skew that the operator bears, so the clock can be stepped.
    let world = slow_simulation("100s", FOUR);
    let stage = Stage::of_world(&world, &Rules::of_deploy(), &[]).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    let declare = async |name: &str, type_id: &str, phase| {
        stage.create(name, json!({ "instanceId": name, "instanceTypeId": type_id })).await;
        stage.until_phase(&operator, name, phase).await
    };
    declare("vm-1", "c.2c4g", Phase::Changing).await;
    stage.sim.advance(100).await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    declare("vm-2", "c.4c8g", Phase::Changing).await;
    declare("vm-3", "c.1c2g", Phase::Failed).await;
    let scheduled = declare("vm-4", "c.1c2g", Phase::Scheduled).await;
    let effective = scheduled.status.unwrap().change.unwrap().effective_at.unwrap().0.to_string();

    let narrow = ["NAME", "CURRENT", "DESIRED", "PHASE", "READY", "REASON", "ORDER", "AGE"];
    let text = stage.kubectl(&["get", "zvm"]);
    println!("{text}");
    assert_eq!(table(&text).0, narrow, "{text}");
    let text = stage.kubectl(&["get", "zvm", "-o", "wide"]);
    println!("{text}");
    let (names, rows) = table(&text);
    let wide = [&narrow[..], &["INSTANCE", "STATE", "CHARGE", "ZONE", "EFFECTIVE"]].concat();
    assert_eq!(names, wide, "{text}");
    let order = async |id: &str| match stage.sim.orders(id).await.as_slice() {
        [] => String::new(),
        [order] => order["orderNumber"].as_str().unwrap().to_owned(),
        more => panic!("{more:?}"),
    };
    let expected = [
        ["vm-1", "c.2c4g", "c.2c4g", "InSync", "True", "POSTPAID", "", "InSync"],
        ["vm-2", "c.1c2g", "c.4c8g", "Changing", "False", "POSTPAID", "", "ChangeInProgress"],
        ["vm-3", "s.1c1g", "c.1c2g", "Failed", "False", "POSTPAID", "", "InstanceTypeUnsupported"],
        ["vm-4", "c.2c4g", "c.1c2g", "Scheduled", "True", "PREPAID", &effective, "ChangeScheduled"],
    ];
    assert_eq!(rows.len(), expected.len(), "{text}");
    for (row, [id, current, desired, phase, ready, charge, effective, reason]) in
        rows.iter().zip(expected)
    {
        let age = &row["AGE"];
        assert!(age.ends_with('s') || age.ends_with('m'), "{age:?} in {text}");
        let order = order(id).await;
        let wanted = [
            ("NAME", id),
            ("INSTANCE", id),
            ("CURRENT", current),
            ("DESIRED", desired),
            ("PHASE", phase),
            ("ORDER", &order),
            ("READY", ready),
            ("STATE", "RUNNING"),
            ("CHARGE", charge),
            ("ZONE", "FRA-A"),
            ("EFFECTIVE", effective),
            ("REASON", reason),
        ];
        for (column, value) in wanted {
            assert_eq!(row[column], value, "{column} of {id} in\n{text}");
        }
    }
    let of_category = stage.kubectl(&["get", "zenlayer", "-o", "name"]);
    let names: Vec<&str> = of_category.lines().collect();
    let all = ["vm-1", "vm-2", "vm-3", "vm-4"];
    let all = all.map(|name| format!("vminstance.vm.zenlayer.com/{name}"));
    assert_eq!(names, all);
}

#[tokio::test]
async fn explain_describes_every_field_of_the_spec() {
    let stage = Stage::given(ONE_POSTPAID).await;
    // The API server publishes the schema a moment after it serves the type.
    let text = eventually("the schema", LIMIT, async || {
        let output = stage.plane.kubectl(&["explain", "zvm.spec"]);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(text) } else { Err(text) }
    })
    .await;
    for words in [
        "GROUP:      vm.zenlayer.com",
        "instanceId\t<string> -required-",
        "instanceTypeId\t<string> -required-",
        "credentials\t<Object>",
        "managementPolicy\t<string>",
        "enum: Enforce, Observe",
        "suspend\t<boolean>",
        "Id of the virtual machine",
        "never changed",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let told = [
        ("spec.credentials.secretRef.name", "Name of the Secret"),
        ("spec.managementPolicy", "- `\"Observe\"`: The machine is never changed"),
        ("spec.prepaidDowngrade", "which is Schedule unless it is set"),
        ("status.phase", "- `\"Scheduled\"`: The change takes effect at the next billing cycle."),
        ("status.history.endedAt", "When it ended."),
    ];
    for (field, words) in told {
        let text = stage.kubectl(&["explain", &format!("zvm.{field}")]);
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(line.contains(words), "{field}: no {words:?} in {text}");
    }
}

/// Every path of the published schema below this one that nobody can look up.
fn undescribed(path: &str, schema: &Value, found: &mut Vec<String>) {
    if schema["description"].as_str().is_none_or(str::is_empty) {
        found.push(path.to_owned());
    }
    let children = schema["properties"].as_object().into_iter().flatten();
    for (name, child) in children.filter(|(name, _)| path != "." || *name != "metadata") {
        undescribed(&format!("{path}{name}."), child, found);
    }
    let items = &schema["items"];
    if items["properties"].is_object() {
        undescribed(path, items, found);
    }
}

#[tokio::test]
async fn explain_has_a_description_of_every_field() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let name = "com.zenlayer.vm.v1alpha1.VmInstance";
    let document = eventually("the schema", LIMIT, async || {
        let path = "/openapi/v3/apis/vm.zenlayer.com/v1alpha1";
        let output = stage.plane.kubectl(&["get", "--raw", path]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let known = document["components"]["schemas"][name].is_object();
        known.then_some(document).ok_or_else(|| "it is not published yet".to_owned())
    })
    .await;
    let mut found = Vec::new();
    undescribed(".", &document["components"]["schemas"][name], &mut found);
    // Kubernetes' own fields.
    found.retain(|path| ![".apiVersion.", ".kind."].contains(&path.as_str()));
    assert!(found.is_empty(), "{found:?}");
    let fields = stage.kubectl(&["explain", "vminstance", "--recursive"]);
    assert!(fields.contains("pendingDecision\t<Object>"), "{fields}");
}

#[tokio::test]
async fn objects_are_selected_by_instance_and_by_phase() {
    let stage = Stage::given(ONE_POSTPAID).await;
    stage.declare("c.2c4g").await;
    let selected = |field: &str| {
        stage.kubectl(&["get", "zvm", "-o", "name", "--field-selector", field]).lines().count()
    };
    for (field, count) in [
        ("spec.instanceId=vm-1", 1),
        ("spec.instanceId=vm-2", 0),
        ("status.phase=Pending", 1),
        ("status.phase!=Pending", 0),
    ] {
        assert_eq!(selected(field), count, "{field}");
    }
}

/// `kubectl wait --for=condition=Ready`: whether it succeeded, and what it printed.
fn wait_for_ready(stage: &Stage, seconds: u32) -> (bool, String) {
    let timeout = format!("--timeout={seconds}s");
    let namespace = ["--namespace", &stage.namespace];
    let arguments = ["wait", "--for=condition=Ready", &timeout, "zvm/vm-1"];
    stage.plane.kubectl_with(&[&namespace[..], &arguments].concat(), "")
}

async fn waits_for_each_generation(instances: &str) {
    let stage = Stage::given(instances).await;
    let operator = stage.operator_on_a_wire(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    let (ready, text) = wait_for_ready(&stage, 600);
    assert!(ready, "{text}");
    let before = stage.get("vm-1").await;
    assert_eq!(before.status.as_ref().unwrap().phase, Some(Phase::InSync));
    assert_eq!(stage.sim.orders("vm-1").await.len(), 1);

    // Nobody has looked at the new spec, so the old condition still says True.
    operator.process.freeze().await;
    let call = operator.wire().hold("before-call");
    stage.patch("vm-1", json!({ "spec": { "instanceTypeId": "c.4c8g" } })).await;
    assert_eq!(shown(&stage.get("vm-1").await, "Ready"), "True InSync");
    let (ready, text) = wait_for_ready(&stage, 1);
    assert!(!ready && text.contains("timed out"), "early: {text}");

    // The operator has seen it and is about to order.
    operator.process.thaw();
    call.reached().await;
    let (ready, text) = wait_for_ready(&stage, 1);
    assert!(!ready && text.contains("timed out"), "early: {text}");
    call.release();
    let (ready, text) = wait_for_ready(&stage, 600);
    assert!(ready, "{text}");
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 2, "{orders:?}");
    let status = stage.get("vm-1").await.status.unwrap();
    assert_eq!(status.instance.unwrap().type_id, "c.4c8g");
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_for_ready_succeeds_for_each_postpaid_change_and_never_early() {
    waits_for_each_generation(ONE_POSTPAID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_for_ready_succeeds_for_each_prepaid_upgrade_and_never_early() {
    waits_for_each_generation(ONE_PREPAID).await;
}

/// The events once there are so many, and after further passes still no more.
async fn events(stage: &Stage, operator: &Operator, count: usize) -> Vec<(String, String)> {
    eventually("the events", Duration::from_secs(20), async || {
        let events = stage.events().await;
        if events.len() >= count {
            Ok(())
        } else {
            Err(format!("{events:?}; {}", operator.process.tail()))
        }
    })
    .await;
    operator.further_passes(3.0).await;
    stage.events().await
}

#[tokio::test]
async fn describe_shows_one_event_for_each_thing_that_happened() {
    let instances =
        format!("{ONE_POSTPAID}  - {{ id: vm-3, type: s.1c1g, chargeType: POSTPAID }}\n");
    let stage = Stage::given(&instances).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    stage.patch("vm-1", json!({ "spec": { "instanceTypeId": "c.4c8g" } })).await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let orders = stage.sim.orders("vm-1").await;
    let number = |index: usize| orders[index]["orderNumber"].as_str().unwrap();
    let told = events(&stage, &operator, 4).await;
    let expected = [
        ("ChangeOrdered", "resizing c.1c2g to c.2c4g", number(0)),
        ("ChangeCompleted", "resized c.1c2g to c.2c4g", number(0)),
        ("ChangeOrdered", "resizing c.2c4g to c.4c8g", number(1)),
        ("ChangeCompleted", "resized c.2c4g to c.4c8g", number(1)),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((reason, note), (wanted, start, number)) in told.iter().zip(expected) {
        assert_eq!(reason, wanted, "{told:#?}");
        assert!(note.starts_with(start) && note.contains(number), "{told:#?}");
    }
    let text = stage.kubectl(&["describe", "zvm", "vm-1"]);
    for (reason, note) in &told {
        assert!(text.contains(reason) && text.contains(note), "no {reason} in {text}");
    }

    stage.create("vm-3", json!({ "instanceId": "vm-3", "instanceTypeId": "c.1c2g" })).await;
    stage.until_phase(&operator, "vm-3", Phase::Failed).await;
    let told = events(&stage, &operator, 5).await;
    assert_eq!(told.len(), 5, "{told:#?}");
    assert_eq!(told[4].0, "InstanceTypeUnsupported");
    let text = stage.kubectl(&["describe", "zvm", "vm-3"]);
    assert!(text.contains("Warning") && text.contains(&told[4].1), "{text}");
}
