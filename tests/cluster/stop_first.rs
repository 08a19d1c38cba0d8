//! Strategy StopFirst: the machine is stopped gracefully, changed and started again, and whatever
//! happens on the way it ends in the power state that it had.

use serde_json::json;
use zenlayer_vm_operator::api::{ChangeKind, HistoryOutcome, Phase, VmInstance};

use crate::{
    crowd::{QUICK, SHORT, SIM_SHORT, crowd, declare, postpaid, power, rest},
    stage::{ONE_POSTPAID, Rules, Stage, message, shown, simulation},
};
use harness::{Operator, wire::Hold};

/// A stage with these instances, and further fields of the simulation.
async fn stage(instances: &str, fields: &str) -> Stage {
    let world =
        format!("{}{fields}", simulation(instances).replacen("processingTime: 1s\n", "", 1));
    Stage::of_world(&world, &Rules::of_deploy(), SIM_SHORT).await
}

async fn stop_first(stage: &Stage, type_id: &str) -> VmInstance {
    let spec = json!({ "instanceId": "vm-1", "instanceTypeId": type_id, "strategy": "StopFirst" });
    stage.create("vm-1", spec).await
}

/// Kind and outcome of each change that ended.
fn history(object: &VmInstance) -> Vec<(ChangeKind, HistoryOutcome)> {
    let history = object.status.iter().flat_map(|status| &status.history);
    history.map(|entry| (entry.kind, entry.outcome)).collect()
}

pub async fn annotate(stage: &Stage, name: &str, annotation: &str, value: &str) {
    let key = format!("vm.zenlayer.com/{annotation}");
    stage.patch(name, json!({ "metadata": { "annotations": { key: value } } })).await;
}

const DONE: [(ChangeKind, HistoryOutcome); 3] = [
    (ChangeKind::Stop, HistoryOutcome::Completed),
    (ChangeKind::Modify, HistoryOutcome::Completed),
    (ChangeKind::Start, HistoryOutcome::Completed),
];

#[tokio::test]
async fn a_running_machine_is_stopped_changed_and_started_again_with_one_order() {
    let stage = stage(ONE_POSTPAID, QUICK).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    stop_first(&stage, "c.2c4g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    assert_eq!(history(&object), DONE);
    let status = object.status.clone().unwrap();
    assert_eq!(status.power.restore, None);
    assert_eq!(status.instance.unwrap().state, "RUNNING");
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(status.order_number.as_deref(), orders[0]["orderNumber"].as_str());
    let cost = rest(&stage, &operator, &["vm-1"]).await.remove(0);
    assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(1), ok(1), ok(1)));
    // At most five for each call (intent, answer, effect, end, and what follows), and one for the
    // order that it comes to rest in.
    assert!((9..=16).contains(&cost.status_writes), "{cost:?}");
    assert!(cost.plans <= 30, "{cost:?}");
    // The guest is asked, never forced.
    let log = stage.sim.get("requests?action=StopInstances").await;
    assert_eq!(log["requests"][0]["body"]["forceShutdown"], json!(false), "{log}");
    let mut told: Vec<String> = stage.events().await.into_iter().map(|event| event.0).collect();
    told.dedup();
    for reason in ["StopRequested", "InstanceStopped", "ChangeOrdered", "ChangeCompleted"] {
        assert_eq!(told.iter().filter(|one| *one == reason).count(), 1, "{reason}: {told:?}");
    }
    for reason in ["StartRequested", "InstanceStarted"] {
        assert_eq!(told.iter().filter(|one| *one == reason).count(), 1, "{reason}: {told:?}");
    }
}

/// So many accepted calls.
fn ok(count: usize) -> &'static [String] {
    static OK: std::sync::LazyLock<Vec<String>> =
        std::sync::LazyLock::new(|| vec!["OK".to_owned(); 9]);
    &OK[..count]
}

#[tokio::test]
async fn a_machine_that_was_off_and_a_downgrade_that_waits_lead_to_no_stop() {
    let instances = "  - { id: off, type: c.1c2g, chargeType: POSTPAID, state: STOPPED }
  - { id: waits, type: c.4c8g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }\n";
    let stage = stage(instances, QUICK).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    for name in ["off", "waits"] {
        let spec =
            json!({ "instanceId": name, "instanceTypeId": "c.2c4g", "strategy": "StopFirst" });
        stage.create(name, spec).await;
    }
    let off = stage.until_phase(&operator, "off", Phase::InSync).await;
    assert_eq!(off.status.unwrap().instance.unwrap().state, "STOPPED");
    let waits = stage.until_phase(&operator, "waits", Phase::Scheduled).await;
    assert_eq!(shown(&waits, "Ready"), "True ChangeScheduled");
    for (name, cost) in
        ["off", "waits"].iter().zip(rest(&stage, &operator, &["off", "waits"]).await)
    {
        assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(1), ok(0), ok(0)), "{name}");
        assert!(cost.status_writes <= 5, "{name}: {cost:?}");
    }
    assert_eq!(power(&stage, "off").await, "STOPPED");
    assert_eq!(power(&stage, "waits").await, "RUNNING");
}

/// What `DoesNotStop` waits for is five minutes long: both clocks are put ahead by more.
const LATER: i64 = 400;

/// Waits until nothing but time makes the operator stop the machine once more.
pub async fn until_another_stop(stage: &Stage, operator: &Operator, name: &str) -> VmInstance {
    let waits = |object: &VmInstance| message(object).contains("it is shut down again after");
    stage.until(operator, name, "waits for another stop", waits).await
}

/// An operator, and its provider, by whose clocks that time has passed.
pub async fn later(stage: &Stage, options: &[&str]) -> Operator {
    stage.sim.advance(LATER).await;
    let ahead = format!("{LATER}s");
    stage.operator(&[options, &["--testing-clock-ahead", &ahead]].concat())
}

/// The stop had no effect: it is told, nothing is done for a while, and then it is made anew. Nobody is
/// asked for anything.
async fn is_stopped_anew_after_a_while(
    stage: &Stage,
    mut first: Operator,
    options: &[&str],
    mend: impl AsyncFnOnce(),
) {
    let object = until_another_stop(stage, &first, "vm-1").await;
    assert_eq!(object.status.as_ref().unwrap().phase, Some(Phase::Waiting));
    assert_eq!(shown(&object, "Ready"), "False StopInProgress");
    assert_eq!(history(&object), [(ChangeKind::Stop, HistoryOutcome::Overdue)]);
    let cost = rest(stage, &first, &["vm-1"]).await.remove(0);
    assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(0), ok(1), ok(0)));
    assert!(cost.status_writes <= 8, "{cost:?}");
    assert_eq!(power(stage, "vm-1").await, "RUNNING");
    let told = stage.events().await.into_iter().filter(|one| one.0 == "PowerChangeHadNoEffect");
    assert_eq!(told.count(), 1);

    first.process.kill();
    mend().await;
    let second = later(stage, options).await;
    let object = until_restored(stage, &second, "vm-1").await;
    assert_eq!(history(&object)[1..], DONE);
    let cost = rest(stage, &second, &["vm-1"]).await.remove(0);
    assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(1), ok(2), ok(1)));
}

#[tokio::test]
async fn a_guest_that_ignores_the_stop_is_asked_again_after_a_while() {
    let slow = QUICK.replace("stop: 1s", "stop: 3s");
    let ignored = format!("{slow}behaviour: {{ gracefulStop: ignored }}\n");
    let stage = stage(ONE_POSTPAID, &ignored).await;
    let options = [SHORT, &["--power-deadline", "6s"]].concat();
    let operator = stage.operator(&options);
    operator.ready().await;
    stop_first(&stage, "c.2c4g").await;
    let obeys = async || stage.sim.put("behaviour", json!({ "gracefulStop": "obeyed" })).await;
    is_stopped_anew_after_a_while(&stage, operator, &options, obeys).await;
}

/// A stop that lands after it was given up counts: the machine is found stopped, and goes on.
#[tokio::test]
async fn a_stop_that_comes_to_its_end_after_its_deadline_leaves_no_machine_stopped() {
    let hangs = format!("{QUICK}behaviour: {{ gracefulStop: hangs }}\n");
    let stage = stage(ONE_POSTPAID, &hangs).await;
    let operator = stage.operator(&[SHORT, &["--power-deadline", "3s"]].concat());
    operator.ready().await;
    stop_first(&stage, "c.2c4g").await;
    let object = stage
        .until(&operator, "vm-1", "is given up", |object| {
            history(object) == [(ChangeKind::Stop, HistoryOutcome::Overdue)]
        })
        .await;
    assert!(object.status.unwrap().power.restore.is_some(), "a late stop would count");
    stage.patch("vm-1", json!({ "spec": { "instanceTypeId": "c.1c2g" } })).await;
    stage.until(&operator, "vm-1", "is looked at", |_| true).await;
    stage.sim.change_instance("vm-1", json!({ "state": "STOPPED" })).await;
    let restored = |object: &VmInstance| {
        let status = object.status.as_ref().unwrap();
        status.phase == Some(Phase::InSync) && status.power.restore.is_none()
    };
    stage.until(&operator, "vm-1", "runs again", restored).await;
    let cost = rest(&stage, &operator, &["vm-1"]).await.remove(0);
    assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(0), ok(1), ok(1)));
    assert_eq!(power(&stage, "vm-1").await, "RUNNING");
    // Nothing is owed any more: what a person stops stays stopped.
    stage.sim.change_instance("vm-1", json!({ "state": "STOPPED" })).await;
    let cost = rest(&stage, &operator, &["vm-1"]).await.remove(0);
    assert_eq!(&*cost.start, ok(1));
    assert_eq!(power(&stage, "vm-1").await, "STOPPED");
}

/// Each is stopped for its change, and held where the status tells that the stop has ended.
async fn until_stopped(stage: &Stage, operator: &Operator, names: &[&str]) -> Vec<Hold> {
    let mut held = Vec::new();
    for name in names {
        held.push(operator.wire().hold(&format!("after-publish-stop-ended.{name}")));
        declare(stage, name, "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    }
    for (name, hold) in names.iter().zip(&held) {
        hold.reached().await;
        assert_eq!(power(stage, name).await, "STOPPED", "{name}");
    }
    held
}

#[tokio::test]
async fn a_spec_that_changes_while_the_machine_is_stopped_leaves_it_running() {
    let names = ["no-strategy", "back", "third", "suspended", "observed"];
    let stage = crowd(&names.map(|name| (name, postpaid(name))), QUICK).await;
    let operator = stage.operator_on_a_wire(SHORT);
    operator.ready().await;
    let held = until_stopped(&stage, &operator, &names).await;
    let edits = [
        json!({ "strategy": null }),
        json!({ "instanceTypeId": "c.1c2g" }),
        json!({ "instanceTypeId": "c.4c8g" }),
        json!({ "suspend": true }),
        json!({ "managementPolicy": "Observe" }),
    ];
    for ((name, edit), hold) in names.iter().zip(edits).zip(&held) {
        stage.patch(name, json!({ "spec": edit })).await;
        hold.release();
    }
    for name in ["no-strategy", "back", "third"] {
        stage.until_phase(&operator, name, Phase::InSync).await;
    }
    // Nobody may touch these: they say so, and go on once they are let.
    for (name, phase) in [("suspended", Phase::Suspended), ("observed", Phase::Drifted)] {
        let object = stage.until_phase(&operator, name, phase).await;
        let words =
            "the operator stopped it for a change and starts it again once changes are allowed";
        assert!(message(&object).contains(words), "{}", message(&object));
    }
    let expected = [(ok(1), "RUNNING"), (ok(0), "RUNNING"), (ok(1), "RUNNING")];
    let held = [(ok(0), "STOPPED"), (ok(0), "STOPPED")];
    let costs = rest(&stage, &operator, &names).await;
    for ((name, cost), (modify, state)) in
        names.iter().zip(&costs).zip(expected.iter().chain(&held))
    {
        assert_eq!((&*cost.modify, &*cost.stop), (*modify, ok(1)), "{name}");
        assert_eq!(&*cost.start, ok(usize::from(*state == "RUNNING")), "{name}");
        assert_eq!(power(&stage, name).await, *state, "{name}");
    }
    stage.patch("suspended", json!({ "spec": { "suspend": false } })).await;
    stage.patch("observed", json!({ "spec": { "managementPolicy": "Enforce" } })).await;
    for name in ["suspended", "observed"] {
        stage.until_phase(&operator, name, Phase::InSync).await;
        assert_eq!(power(&stage, name).await, "RUNNING", "{name}");
    }
    for cost in rest(&stage, &operator, &["suspended", "observed"]).await {
        assert_eq!((&*cost.modify, &*cost.stop, &*cost.start), (ok(1), ok(1), ok(1)));
    }
}

/// In sync, with nothing left to bring the machine back to.
pub async fn until_restored(stage: &Stage, operator: &Operator, name: &str) -> VmInstance {
    let restored = |object: &VmInstance| {
        let status = object.status.as_ref().unwrap();
        status.phase == Some(Phase::InSync) && status.power.restore.is_none()
    };
    stage.until(operator, name, "is in sync and runs", restored).await
}

/// A person takes the finalizer off by hand. What is to be brought back outlives the object: the slot
/// remembers it.
#[tokio::test]
async fn an_object_made_anew_while_the_machine_is_stopped_brings_it_back() {
    let names = ["same-spec", "no-change"];
    let stage = crowd(&names.map(|name| (name, postpaid(name))), QUICK).await;
    let operator = stage.operator_on_a_wire(SHORT);
    operator.ready().await;
    let held = until_stopped(&stage, &operator, &names).await;
    for (name, hold) in names.iter().zip(&held) {
        stage.objects().delete(name, &Default::default()).await.unwrap();
        stage.patch(name, json!({ "metadata": { "finalizers": null } })).await;
        assert!(stage.objects().get_opt(name).await.unwrap().is_none(), "{name}");
        hold.release();
        assert_eq!(power(&stage, name).await, "STOPPED", "{name}");
    }
    declare(&stage, "same-spec", "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    declare(&stage, "no-change", "c.1c2g", json!({})).await;
    for (name, orders) in names.iter().zip([1, 0]) {
        until_restored(&stage, &operator, name).await;
        let cost = rest(&stage, &operator, &[name]).await.remove(0);
        assert_eq!(
            (&*cost.modify, &*cost.stop, &*cost.start),
            (ok(orders), ok(1), ok(1)),
            "{name}"
        );
        assert_eq!(power(&stage, name).await, "RUNNING", "{name}");
    }
}

/// The provider accepts the stop, and nothing comes of it.
#[tokio::test]
async fn a_stop_that_is_accepted_and_never_begins_is_made_again_after_a_while() {
    let stage = stage(ONE_POSTPAID, QUICK).await;
    stage.sim.fault(json!({ "action": "StopInstances", "kind": "failsSilently" })).await;
    let options = [SHORT, &["--power-deadline", "6s"]].concat();
    let operator = stage.operator(&options);
    operator.ready().await;
    stop_first(&stage, "c.2c4g").await;
    is_stopped_anew_after_a_while(&stage, operator, &options, async || {}).await;
}
