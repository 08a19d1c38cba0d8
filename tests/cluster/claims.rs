//! Two objects that claim one machine, and objects that are deleted while their change is in
//! flight: the machine gets one order, and somebody follows it to its end.

use std::time::Duration;

use serde_json::{Value, json};
use zenlayer_vm_operator::api::{HistoryOutcome, Phase, VmInstance};

use crate::{
    lab::Lab,
    stage::{LIMIT, ONE_POSTPAID, Rules, Stage, message, shown, slow_simulation},
    tally::{Cost, LOOKED_AT, Tally, comes_to_rest},
};
use harness::{Operator, eventually};

const MODIFY: &str = "ModifyInstanceType";
/// A fence of 8 s.
const SHORT: &[&str] = &["--testing-signature-life", "6s", "--testing-settle-margin", "2s"];

fn claim(type_id: &str) -> Value {
    json!({ "instanceId": "vm-1", "instanceTypeId": type_id })
}

/// A second older than what is created next: the API server counts whole seconds.
pub async fn older(stage: &Stage, name: &str, spec: Value) -> VmInstance {
    let object = stage.create(name, spec).await;
    let created = object.metadata.creation_timestamp.as_ref().unwrap().0;
    eventually("another second", LIMIT, async || {
        let now = jiff::Timestamp::now();
        if now.as_second() > created.as_second() { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    object
}

/// Once the look after the end of a change is over, further passes write nothing, and call nothing that changes the machine.
async fn rests(stage: &Stage, operator: &Operator, names: &[&str]) {
    operator.further_passes(4.0).await;
    let version = async |name: &str| stage.get(name).await.metadata.resource_version;
    let calls = stage.sim.calls(MODIFY, "vm-1").await;
    let mut before = Vec::new();
    for name in names {
        before.push(version(name).await);
    }
    operator.further_passes(4.0).await;
    for (name, before) in names.iter().zip(before) {
        assert_eq!(version(name).await, before, "{name} was written again");
    }
    assert_eq!(stage.sim.calls(MODIFY, "vm-1").await, calls);
}

/// Waits for one event of this reason, and gives its note.
async fn event(stage: &Stage, reason: &str) -> String {
    eventually(reason, LIMIT, async || {
        let events = stage.events().await;
        let notes: Vec<&String> =
            events.iter().filter(|(of, _)| of == reason).map(|(_, note)| note).collect();
        match notes.as_slice() {
            [note] => Ok((*note).clone()),
            _ => Err(format!("{events:?}")),
        }
    })
    .await
}

/// Waits until it is told that another object owns its machine. In its first minute that one may be about to
/// go, so it waits without a call for a person.
pub async fn stalls_as_the_younger(stage: &Stage, operator: &Operator, name: &str) -> VmInstance {
    let waits = |object: &VmInstance| {
        let phase = object.status.as_ref().and_then(|status| status.phase);
        phase == Some(Phase::Waiting) && shown(object, "Ready") == "False DuplicateClaim"
    };
    let object = stage.until(operator, name, "waits for the older one", waits).await;
    let created = object.metadata.creation_timestamp.unwrap().0;
    eventually("the end of its first minute", Duration::from_secs(90), async || {
        let age = jiff::Timestamp::now().duration_since(created).as_secs();
        if age > 60 { Ok(()) } else { Err(format!("it is {age} s old")) }
    })
    .await;
    let object = stage.until_phase(operator, name, Phase::Failed).await;
    assert_eq!(shown(&object, "Stalled"), "True DuplicateClaim");
    object
}

#[tokio::test]
async fn of_two_objects_the_older_owns_the_machine_and_the_younger_takes_over_once_it_is_gone() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    older(&stage, "older", claim("c.2c4g")).await;
    stage.until_phase(&operator, "older", Phase::InSync).await;
    stage.create("younger", claim("c.4c8g")).await;
    let younger = stalls_as_the_younger(&stage, &operator, "younger").await;
    let text = message(&younger);
    assert!(text.contains("VmInstance older also names instance vm-1 and is older"), "{text}");
    assert_eq!(stage.sim.calls(MODIFY, "vm-1").await, ["OK"]);
    rests(&stage, &operator, &["older", "younger"]).await;
    stage.objects().delete("older", &Default::default()).await.unwrap();
    let younger = stage.until_phase(&operator, "younger", Phase::InSync).await;
    assert_eq!(younger.status.unwrap().instance.unwrap().type_id, "c.4c8g");
    assert_eq!(stage.sim.calls(MODIFY, "vm-1").await, ["OK", "OK"]);
    rests(&stage, &operator, &["younger"]).await;
}

#[tokio::test]
async fn an_older_object_without_a_working_credential_keeps_nobody_from_the_machine() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    let mut spec = claim("c.4c8g");
    spec["credentials"] = json!({ "secretRef": { "name": "none-such" } });
    older(&stage, "squatter", spec).await;
    stage.until_phase(&operator, "squatter", Phase::Failed).await;
    stage.create("mine", claim("c.2c4g")).await;
    stage.until_phase(&operator, "mine", Phase::InSync).await;
    let squatter = stage.get("squatter").await;
    assert_eq!(shown(&squatter, "Ready"), "False SecretNotFound");
    // A credential that the provider refuses is no claim either.
    stage.secret("none-such", json!({ "token": "wrongToken88be02" })).await;
    stage
        .until(&operator, "squatter", "is refused", |object| {
            shown(object, "Ready") == "False CredentialsRejected"
        })
        .await;
    rests(&stage, &operator, &["mine", "squatter"]).await;
    assert_eq!(shown(&stage.get("mine").await, "Ready"), "True InSync");
    assert_eq!(stage.sim.calls(MODIFY, "vm-1").await, ["OK"]);
}

#[tokio::test]
async fn the_older_deleted_mid_change_leaves_its_order_to_the_younger() {
    let world = slow_simulation("4s", ONE_POSTPAID);
    let stage = Stage::of_world(&world, &Rules::of_deploy(), &[]).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    older(&stage, "older", claim("c.2c4g")).await;
    let ordered = stage
        .until(&operator, "older", "is ordered", |object| {
            object.status.as_ref().is_some_and(|status| status.order_number.is_some())
        })
        .await;
    let number = ordered.status.unwrap().order_number.unwrap();
    stage.create("younger", claim("c.2c4g")).await;
    stage.objects().delete("older", &Default::default()).await.unwrap();
    let note = event(&stage, "ChangeLeftRunning").await;
    for words in ["vm-1", "the change from c.1c2g to c.2c4g", &number, "continues by itself"] {
        assert!(note.contains(words), "{note}");
    }
    let younger = stage.until_phase(&operator, "younger", Phase::InSync).await;
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(stage.sim.calls(MODIFY, "vm-1").await, ["OK"]);
    for action in ["CancelInstanceDowngrade", "StopInstances", "StartInstances"] {
        assert!(stage.sim.calls(action, "vm-1").await.is_empty(), "{action}");
    }
    assert_eq!(shown(&younger, "Ready"), "True InSync");
    rests(&stage, &operator, &["younger"]).await;
    // At most two writes more than one object alone: those of the second before it may go on.
    let (changes, writes) = Tally::of(&stage).await.changes();
    assert_eq!(changes, [1, 0, 0, 0]);
    assert!((4..=6).contains(&writes), "{writes}");
}

#[tokio::test]
async fn an_object_that_is_created_again_mid_change_picks_the_order_up() {
    let world = slow_simulation("4s", ONE_POSTPAID);
    let stage = Stage::of_world(&world, &Rules::of_deploy(), &[]).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    let first = stage.declare("c.2c4g").await;
    let ordered = stage
        .until(&operator, "vm-1", "is ordered", |object| {
            object.status.as_ref().is_some_and(|status| status.order_number.is_some())
        })
        .await;
    let number = ordered.status.unwrap().order_number.unwrap();
    stage.objects().delete("vm-1", &Default::default()).await.unwrap();
    let second = stage.declare("c.2c4g").await;
    assert_ne!(first.metadata.uid, second.metadata.uid);
    let object = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let status = object.status.clone().unwrap();
    assert_eq!(status.order_number.as_deref(), Some(number.as_str()), "{status:?}");
    assert_eq!(status.history.len(), 1);
    assert_eq!(status.history[0].outcome, HistoryOutcome::Completed);
    assert!(event(&stage, "ChangeLeftRunning").await.contains(&number));
    assert_eq!(stage.sim.orders("vm-1").await.len(), 1);
    // Two writes of the first object (intent, answer), two of the second (seen, complete).
    let cost = Cost { paid: 1, catalogues: 1, writes: 4, ..Cost::default() };
    comes_to_rest(&stage, &operator, "created again mid-change", LOOKED_AT, cost).await;
}

#[tokio::test]
async fn an_object_deleted_between_intent_and_call_leaves_one_order_to_the_next_one() {
    let stage = Stage::with(ONE_POSTPAID, &Rules::of_deploy(), &["--signature-life", "6"]).await;
    let operator = stage.operator_on_a_wire(SHORT);
    let call = operator.wire().hold("before-call");
    operator.ready().await;
    stage.declare("c.2c4g").await;
    call.reached().await;
    stage.objects().delete("vm-1", &Default::default()).await.unwrap();
    stage.declare("c.2c4g").await;
    // The pass that decided still makes its call; the new object waits for what becomes of it.
    call.release();
    let object = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(stage.sim.calls(MODIFY, "vm-1").await, ["OK"]);
    let number = object.status.as_ref().unwrap().order_number.as_deref();
    assert_eq!(number, orders[0]["orderNumber"].as_str(), "{object:?}");
    rests(&stage, &operator, &["vm-1"]).await;
}

/// A watch of all namespaces would see the objects of every other test here, so this one is in
/// memory.
#[tokio::test]
async fn of_two_objects_in_different_namespaces_the_younger_learns_nothing_but_that_there_is_one() {
    let mut lab = Lab::given(1).await;
    lab.pass_time(Duration::from_secs(60)).await;
    assert_eq!(shown(&lab.store.get("vm-0"), "Ready"), "True InSync");
    lab.declare_as("other", "elsewhere", "vm-0", "2026-03-02T11:00:00Z");
    lab.store.edit("other", |object| object.spec.instance_type_id = "c.4c8g".to_owned());
    lab.pass_time(Duration::from_secs(3600)).await;
    let other = lab.store.get("other");
    assert_eq!(shown(&other, "Ready"), "False DuplicateClaim");
    let text = message(&other);
    assert!(
        text.contains("an older VmInstance in another namespace also names instance vm-0"),
        "{text}"
    );
    assert!(!text.contains("default"), "{text}");
    assert_eq!(lab.calls_of("vm-0", MODIFY), 1);
    assert_eq!(shown(&lab.store.get("vm-0"), "Ready"), "True InSync");

    // The older one turns to another type and is deleted while that change is in flight.
    lab.store.edit("vm-0", |object| {
        object.spec.instance_type_id = "g.2c8g".to_owned();
        object.metadata.generation = Some(2);
    });
    lab.wake("vm-0");
    lab.pass_time(Duration::from_secs(2)).await;
    assert_eq!(lab.calls_of("vm-0", MODIFY), 2);
    lab.delete("vm-0");
    lab.pass_time(Duration::from_secs(3600)).await;
    let other = lab.store.get("other");
    assert_eq!(shown(&other, "Ready"), "True InSync");
    let status = other.status.unwrap();
    assert_eq!(status.instance.unwrap().type_id, "c.4c8g");
    // First the order that the other one left, then its own.
    assert_eq!(lab.calls_of("vm-0", MODIFY), 3);
    let ended: Vec<&str> = status.history.iter().map(|entry| entry.to.as_str()).collect();
    assert_eq!(ended, ["g.2c8g", "c.4c8g"]);
}
