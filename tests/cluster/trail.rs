//! The trail of what the operator did: one audit line for each call that changes something, one
//! event for each thing that happened, and a history that does not grow for ever.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::events::v1::Event;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use zenlayer_vm_operator::api::{HistoryOutcome, Phase, VmInstance};

use crate::{
    lab::Lab,
    stage::{LIMIT, Stage, message, shown},
};
use harness::{Operator, eventually, table};

const INSTANCES: &str =
    "  - { id: vm-1, type: c.1c2g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }
  - { id: vm-2, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-3, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-4, type: c.4c8g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }
";

/// The audit lines of a log, without colours.
fn audit_lines(operator: &Operator) -> Vec<String> {
    let log = operator.process.log();
    log.lines().filter(|line| line.contains("audit=true")).map(str::to_owned).collect()
}

/// The value of a field of a line; quotes are taken off.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let start = line.find(&format!(" {name}="))? + name.len() + 2;
    let rest = &line[start..];
    match rest.strip_prefix('"') {
        Some(rest) => rest.split('"').next(),
        None => rest.split(' ').next(),
    }
}

/// Sets a field of the spec, as this manager.
async fn patch_as(stage: &Stage, manager: &str, name: &str, patch: Value) {
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..Default::default() };
    stage.objects().patch(name, &params, &Patch::Merge(patch)).await.unwrap();
}

/// Calls that change something, by action and instance, as the simulator saw them.
async fn mutating_calls(stage: &Stage) -> Vec<(String, String)> {
    let log = stage.sim.get("requests").await;
    let changes =
        ["ModifyInstanceType", "CancelInstanceDowngrade", "StopInstances", "StartInstances"];
    let requests = log["requests"].as_array().unwrap().iter();
    requests
        .filter(|one| changes.contains(&one["action"].as_str().unwrap()))
        .map(|one| ["action", "instance"].map(|key| one[key].as_str().unwrap().to_owned()))
        .map(|[action, instance]| (action, instance))
        .collect()
}

#[tokio::test]
async fn each_call_that_changes_something_leaves_one_audit_line_with_who_declared_it() {
    let stage = Stage::given(INSTANCES).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    for (name, extra) in [
        ("vm-1", json!({})),
        ("vm-2", json!({ "strategy": "StopFirst" })),
        ("vm-3", json!({})),
        ("vm-4", json!({})),
    ] {
        let current = if name == "vm-4" { "c.4c8g" } else { "c.1c2g" };
        let mut spec = json!({ "instanceId": name, "instanceTypeId": current });
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        stage.create(name, spec).await;
        stage.until_phase(&operator, name, Phase::InSync).await;
    }
    let refused = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
    let fault = json!({ "action": "ModifyInstanceType", "instance": "vm-3", "kind": "error", "code": refused });
    stage.sim.fault(fault).await;
    for (name, manager) in [("vm-1", "alice"), ("vm-2", "bob"), ("vm-3", "carol"), ("vm-4", "dave")]
    {
        patch_as(&stage, manager, name, json!({ "spec": { "instanceTypeId": "c.2c4g" } })).await;
    }
    let prepaid = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    stage.until_phase(&operator, "vm-2", Phase::InSync).await;
    stage.until_phase(&operator, "vm-3", Phase::Failed).await;
    stage.until_phase(&operator, "vm-4", Phase::Scheduled).await;
    patch_as(&stage, "erin", "vm-4", json!({ "spec": { "instanceTypeId": "c.4c8g" } })).await;
    stage.until_phase(&operator, "vm-4", Phase::InSync).await;
    operator.further_passes(4.0).await;

    let lines = audit_lines(&operator);
    let mut told: Vec<(String, String)> = lines
        .iter()
        .map(|line| ["call", "instance"].map(|name| field(line, name).unwrap().to_owned()))
        .map(|[call, instance]| (call, instance))
        .collect();
    let mut made = mutating_calls(&stage).await;
    told.sort();
    made.sort();
    assert_eq!(told, made, "one line for each call: {lines:#?}");
    assert_eq!(made.len(), 7, "{made:?}");

    let of = |call: &str, instance: &str| {
        let found = lines.iter().find(|line| {
            field(line, "call") == Some(call) && field(line, "instance") == Some(instance)
        });
        found.unwrap_or_else(|| panic!("{call} {instance}: {lines:#?}"))
    };
    let line = of("ModifyInstanceType", "vm-1");
    let status = prepaid.status.unwrap();
    let expected = [
        ("object", format!("{}/vm-1", stage.namespace)),
        ("declared_by", "alice".to_owned()),
        ("from", "c.1c2g".to_owned()),
        ("to", "c.2c4g".to_owned()),
        ("answer", "accepted".to_owned()),
        ("order_number", status.order_number.unwrap()),
        ("request_id", status.request_id.unwrap()),
        ("change", status.history[0].id.clone()),
    ];
    for (name, value) in expected {
        assert_eq!(field(line, name), Some(value.as_str()), "{name} of {line}");
    }
    let price = |name: &str| field(line, name).unwrap().parse::<f64>().unwrap();
    assert!(price("monthly_price_from") < price("monthly_price_to"), "{line}");

    let line = of("ModifyInstanceType", "vm-3");
    assert_eq!(field(line, "answer"), Some("refused"));
    assert_eq!(field(line, "declared_by"), Some("carol"));
    assert!(field(line, "request_id").unwrap().starts_with('T'), "{line}");
    assert!(line.contains(refused), "{line}");
    for call in ["StopInstances", "ModifyInstanceType", "StartInstances"] {
        assert_eq!(field(of(call, "vm-2"), "declared_by"), Some("bob"), "{call}");
    }
    let cancel = of("CancelInstanceDowngrade", "vm-4");
    assert_eq!(field(cancel, "declared_by"), Some("erin"));
    assert_eq!((field(cancel, "from"), field(cancel, "to")), (Some("c.2c4g"), Some("c.4c8g")));
    let mut rows = vec![
        ["CALL", "INSTANCE", "DECLARED BY", "ANSWER", "FROM", "TO", "ORDER"].map(str::to_owned),
    ];
    for line in &lines {
        let names = ["call", "instance", "declared_by", "answer", "from", "to", "order_number"];
        rows.push(names.map(|name| field(line, name).unwrap_or("-").to_owned()));
    }
    table::show("The audit lines of one test", &rows);
}

/// Reasons of all events about an object, with their counts.
async fn told(stage: &Stage, name: &str) -> BTreeMap<String, usize> {
    let events: Api<Event> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let mut told = BTreeMap::new();
    for event in events.list(&Default::default()).await.unwrap().items {
        if event.regarding.as_ref().is_some_and(|about| about.name.as_deref() == Some(name)) {
            *told.entry(event.reason.unwrap()).or_default() += 1;
        }
    }
    told
}

async fn until_told(stage: &Stage, name: &str, expected: &[(&str, usize)]) {
    let expected: BTreeMap<String, usize> =
        expected.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
    eventually(&format!("the events of {name}"), LIMIT, async || {
        let told = told(stage, name).await;
        if told == expected { Ok(()) } else { Err(format!("{told:?}, not {expected:?}")) }
    })
    .await;
}

#[tokio::test]
async fn each_thing_that_happens_is_told_once_and_annotations_name_their_manager() {
    let stage = Stage::given(INSTANCES).await;
    let operator = stage.operator(&["--testing-poll", "300ms"]);
    operator.ready().await;
    let refused = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
    let fault = json!({ "action": "ModifyInstanceType", "instance": "vm-3", "kind": "error", "code": refused });
    stage.sim.fault(fault.clone()).await;
    for name in ["vm-2", "vm-3"] {
        stage.create(name, json!({ "instanceId": name, "instanceTypeId": "c.2c4g" })).await;
    }
    stage.until_phase(&operator, "vm-2", Phase::InSync).await;
    let failed = stage.until_phase(&operator, "vm-3", Phase::Failed).await;
    assert!(message(&failed).contains(refused));
    let completed = [("ChangeOrdered", 1), ("ChangeCompleted", 1)];
    until_told(&stage, "vm-2", &completed).await;
    until_told(&stage, "vm-3", &[("InstanceTypeUnsupported", 1)]).await;

    // Nothing happens: nothing is told, and nothing is written.
    let version = stage.get("vm-3").await.metadata.resource_version;
    operator.further_passes(10.0).await;
    until_told(&stage, "vm-2", &completed).await;
    until_told(&stage, "vm-3", &[("InstanceTypeUnsupported", 1)]).await;
    assert_eq!(stage.get("vm-3").await.metadata.resource_version, version);

    // Refused once more by a person's word, then it works.
    stage.sim.fault(fault).await;
    let again = |value: &str| json!({ "metadata": { "annotations": { "vm.zenlayer.com/requested-at": value } } });
    patch_as(&stage, "grace", "vm-3", again("first")).await;
    until_told(&stage, "vm-3", &[("InstanceTypeUnsupported", 1), ("AnnotationHandled", 1)]).await;
    assert_eq!(shown(&stage.get("vm-3").await, "Ready"), "False InstanceTypeUnsupported");
    patch_as(&stage, "heidi", "vm-3", again("second")).await;
    stage.until_phase(&operator, "vm-3", Phase::InSync).await;
    let all = [
        ("InstanceTypeUnsupported", 1),
        ("AnnotationHandled", 2),
        ("ChangeOrdered", 1),
        ("ChangeCompleted", 1),
    ];
    until_told(&stage, "vm-3", &all).await;
    let events = stage.events().await;
    for (value, manager) in [("first", "grace"), ("second", "heidi")] {
        let note = format!("vm.zenlayer.com/requested-at={value}, set by {manager}, was acted on");
        assert!(events.iter().any(|(_, told)| *told == note), "{events:#?}");
    }
    assert_eq!(stage.sim.calls("ModifyInstanceType", "vm-3").await, [refused, refused, "OK"]);
    operator.further_passes(6.0).await;
    until_told(&stage, "vm-3", &all).await;
}

#[tokio::test]
async fn the_history_keeps_the_last_ten_changes_and_an_object_at_rest_is_written_once_an_hour() {
    let mut lab = Lab::given(1).await;
    lab.pass_time(Duration::from_secs(600)).await;
    let types = ["c.4c8g", "c.2c4g"];
    for turn in 0..14 {
        lab.store.edit("vm-0", |object| {
            object.spec.instance_type_id = types[turn % 2].to_owned();
            object.metadata.generation = Some(2 + i64::try_from(turn).unwrap());
        });
        lab.wake("vm-0");
        lab.pass_time(Duration::from_secs(600)).await;
        assert_eq!(shown(&lab.store.get("vm-0"), "Ready"), "True InSync", "turn {turn}");
    }
    let status = lab.store.get("vm-0").status.unwrap();
    assert_eq!(lab.calls_of("vm-0", "ModifyInstanceType"), 15);
    assert_eq!(status.history.len(), 10);
    let generations: Vec<i64> = status.history.iter().map(|one| one.target_generation).collect();
    assert_eq!(generations, (6..=15).collect::<Vec<i64>>());
    assert!(status.history.iter().all(|one| one.outcome == HistoryOutcome::Completed));
    lab.count_anew();
    lab.pass_time(Duration::from_secs(24 * 3600)).await;
    // Its machine is read, and there is nothing to look at and nothing to say.
    assert!(lab.calls_of("vm-0", "DescribeInstances") > 0);
    assert_eq!(lab.calls_of("vm-0", "DescribeInstanceTypeStatus"), 0);
    assert_eq!(lab.writes_of("vm-0"), 0);
    let after = lab.store.get("vm-0").status.unwrap();
    assert_eq!(after, status);
}

#[tokio::test]
async fn a_refusal_that_stands_is_told_once_through_outages() {
    use crate::crowd::{QUICK, SHORT, crowd, declare, postpaid};
    let stage = crowd(&[("a", postpaid("a"))], QUICK).await;
    let refused = json!({
        "action": "ModifyInstanceType", "kind": "error", "code": "INVALID_PARAMETER_VALUE",
    });
    stage.sim.fault(refused).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    declare(&stage, "a", "c.2c4g", json!({})).await;
    stage.until_phase(&operator, "a", Phase::Failed).await;
    for _ in 0..3 {
        // Three times, because the client repeats a read that fails.
        let down = json!({
            "action": "DescribeInstances", "kind": "error",
            "code": "SERVICE_TEMPORARY_UNAVAILABLE", "times": 3,
        });
        stage.sim.fault(down).await;
        stage.until_phase(&operator, "a", Phase::Waiting).await;
        stage.until_phase(&operator, "a", Phase::Failed).await;
    }
    let told = stage.events().await;
    let told = told.iter().filter(|(reason, _)| reason == "RequestInvalid").count();
    assert_eq!(told, 1);
}

/// Each failure has a request id of its own. Nothing is to be done, so the object stays Ready; after
/// three looks nobody knows any more whether it is in sync.
#[tokio::test]
async fn an_outage_is_written_down_once() {
    use crate::crowd::{Cost, QUICK, SHORT, crowd, declare, postpaid};
    let stage = crowd(&[("a", postpaid("a"))], QUICK).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    declare(&stage, "a", "c.1c2g", json!({})).await;
    stage.until_phase(&operator, "a", Phase::InSync).await;
    let down = json!({
        "action": "DescribeInstances", "kind": "error", "code": "SERVICE_TEMPORARY_UNAVAILABLE",
        "times": "always",
    });
    stage.sim.fault(down).await;
    let unknown = |object: &VmInstance| shown(object, "InSync") == "Unknown NotObserved";
    let object = stage.until(&operator, "a", "is not known", unknown).await;
    assert_eq!(shown(&object, "Ready"), "True InSync");
    assert_eq!(object.status.as_ref().unwrap().phase, Some(Phase::InSync));
    let text = message(&object);
    for words in ["instance a is of type c.1c2g; not read since 20", "SERVICE_TEMPORARY_UNAVAIL"] {
        assert!(text.contains(words), "{text}");
    }
    let before = Cost::of(&stage, "a").await;
    eventually("two further failures", LIMIT, async || {
        // Each failure in a row makes the pause longer, whoever looks.
        let touched = json!({ "vm.zenlayer.com/release": jiff::Timestamp::now().to_string() });
        let passes = operator.passes().await;
        stage.patch("a", json!({ "metadata": { "annotations": touched } })).await;
        operator.passes_beyond(passes + 1.0).await;
        let looks = Cost::of(&stage, "a").await.looks;
        // The client makes three of each.
        if looks >= before.looks + 6 { Ok(()) } else { Err(looks.to_string()) }
    })
    .await;
    assert_eq!(Cost::of(&stage, "a").await.status_writes, before.status_writes);
    stage.sim.forget_faults().await;
    let known = |object: &VmInstance| shown(object, "InSync") == "True InSync";
    let object = stage.until(&operator, "a", "is known again", known).await;
    assert_eq!(message(&object), "instance a is of type c.1c2g");
}
