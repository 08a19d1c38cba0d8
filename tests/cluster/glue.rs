//! What lies between a decision and its call: slot, intent, window, answer. Something happens right
//! before one of the effects, in the one process of the [`Lab`].

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use zenlayer::{InstanceId, InstanceTypeId};
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, POWER_FINALIZER, Phase, Strategy, VmInstance},
    controller::{Age, Clock, KubeStore, ObjectCache, SlotCache, Store, StoreError},
    lifecycle::{ChangeId, Holding, HoldingState, LaneName, ObjectKey, SlotRecord},
};

use crate::{
    lab::{InMemory, Lab, Point},
    stage::Stage,
};

const VM: &str = "vm-0";

fn label(object: &mut VmInstance) {
    object.metadata.labels.get_or_insert_default().insert("team".to_owned(), "blue".to_owned());
}

/// One pass over one object that is about to be resized.
async fn after_one_pass(lab: &mut Lab) -> VmInstance {
    lab.pass_time(Duration::from_millis(1)).await;
    lab.store.get(VM)
}

fn calls(lab: &Lab) -> usize {
    lab.store.script.calls.lock().unwrap().len()
}

fn other() -> ObjectKey {
    ObjectKey {
        namespace: "default".to_owned(),
        name: "other".to_owned(),
        uid: "other-uid".to_owned(),
    }
}

/// A change of another object, in flight.
fn taken_by_another(change: &str) -> SlotRecord {
    let type_id = |name: &str| InstanceTypeId::new(name).unwrap();
    let holding = Holding {
        change: ChangeId(change.to_owned()),
        kind: ChangeKind::Modify,
        object: other(),
        from: type_id("c.1c2g"),
        to: type_id("c.4c8g"),
        target_generation: 1,
        started_at: "2026-03-02T09:59:00Z".parse().unwrap(),
        fence: None,
        taken_by: None,
        state: HoldingState::Open,
    };
    SlotRecord::default().taken(holding, None).unwrap()
}

fn of_another() -> SlotRecord {
    taken_by_another("other-1")
}

/// Whether nobody holds the slot.
fn is_free(lab: &Lab) -> bool {
    let record = lab.store.slot_of(VM);
    LaneName::ALL.iter().all(|lane| record.lane(*lane).free().is_some())
}

#[tokio::test]
async fn a_call_is_signed_with_the_moment_of_its_decision_and_has_what_is_left_of_its_window() {
    let mut lab = Lab::given(1).await;
    lab.store.script.before(Point::WriteStatus, |_, clock| clock.advance(3));
    let object = after_one_pass(&mut lab).await;
    let change = object.status.unwrap().change.unwrap();
    assert_eq!(change.state, ChangeState::Accepted);
    let calls = lab.store.script.calls.lock().unwrap();
    assert_eq!(calls[0].signed_at, change.started_at.0);
    assert!(calls[0].send_within <= Duration::from_secs(2), "{:?}", calls[0].send_within);
    assert_eq!(calls.len(), 1);
}

#[tokio::test]
async fn a_call_whose_window_has_passed_is_not_made_and_its_slot_is_free_again() {
    for point in [Point::ReadOrders, Point::WriteStatus] {
        let mut lab = Lab::given(1).await;
        // They are counted once for the decision, and once for the place.
        lab.store.script.before(Point::ReadOrders, |_, _| {});
        lab.store.script.before(point, |_, clock| clock.advance(6));
        let object = after_one_pass(&mut lab).await;
        assert_eq!(calls(&lab), 0, "{point:?}");
        assert!(is_free(&lab), "{point:?}");
        let taken = lab.store.has_slot(VM);
        assert_eq!(taken, point == Point::WriteStatus, "nothing is taken without need");
        assert_eq!(object.status.unwrap().change, None, "{point:?}");
        lab.pass_time(Duration::from_secs(60)).await;
        assert_eq!(calls(&lab), 1, "{point:?}");
        assert_eq!(lab.store.get(VM).status.unwrap().phase, Some(Phase::InSync), "{point:?}");
    }
}

#[tokio::test]
async fn an_order_is_made_from_reads_that_are_fresh_after_whatever_came_before() {
    let mut lab = Lab::given(1).await;
    lab.store.script.before(Point::ReadCatalogue, |_, clock| clock.advance(20));
    after_one_pass(&mut lab).await;
    assert_eq!(calls(&lab), 1);
}

#[tokio::test]
async fn an_object_that_changes_before_its_intent_gives_the_slot_back_and_orders_anew() {
    let mut lab = Lab::given(1).await;
    lab.store.script.before(Point::WriteStatus, |store, _| store.edit(VM, label));
    after_one_pass(&mut lab).await;
    assert_eq!(calls(&lab), 0);
    assert!(is_free(&lab));
    lab.pass_time(Duration::from_secs(60)).await;
    assert_eq!(calls(&lab), 1);
    assert_eq!(lab.store.get(VM).status.unwrap().phase, Some(Phase::InSync));
}

#[tokio::test]
async fn a_slot_that_somebody_else_takes_first_stays_his() {
    let mut lab = Lab::given(1).await;
    lab.store.script.before(Point::WriteSlot, |store, _| store.put_slot(VM, of_another()));
    after_one_pass(&mut lab).await;
    assert_eq!(calls(&lab), 0);
    assert_eq!(lab.store.slot_of(VM), of_another());
}

#[tokio::test]
async fn an_answer_is_not_put_into_a_slot_that_is_somebody_elses_by_then() {
    let mut lab = Lab::given(1).await;
    lab.store.script.before(Point::Mutate, |store, _| store.put_slot(VM, of_another()));
    after_one_pass(&mut lab).await;
    assert_eq!(calls(&lab), 1);
    assert_eq!(lab.store.slot_of(VM), of_another());
}

#[tokio::test]
async fn an_answer_is_written_beside_an_edit_that_came_in_between() {
    let mut lab = Lab::given(1).await;
    lab.store.script.before(Point::Mutate, |store, _| store.edit(VM, label));
    let object = after_one_pass(&mut lab).await;
    assert_eq!(object.metadata.labels.unwrap()["team"], "blue");
    let status = object.status.unwrap();
    assert_eq!(status.change.unwrap().state, ChangeState::Accepted);
    assert!(status.order_number.is_some());
}

#[tokio::test]
async fn an_answer_is_written_to_its_own_change_only() {
    type Edit = fn(&InMemory);
    let others: [(&str, Edit); 2] = [
        ("a newer intent", |store| {
            store.edit(VM, |object| {
                let change = object.status.as_mut().unwrap().change.as_mut().unwrap();
                "newer".clone_into(&mut change.id);
            });
        }),
        ("an object made anew", |store| {
            store.edit(VM, |object| object.metadata.uid = Some("made-anew".to_owned()));
        }),
    ];
    for (what, edit) in others {
        let mut lab = Lab::given(1).await;
        lab.store.script.before(Point::Mutate, move |store, _| edit(store));
        let object = after_one_pass(&mut lab).await;
        assert_eq!(calls(&lab), 1, "{what}");
        let status = object.status.unwrap();
        assert_eq!(status.order_number, None, "{what}");
        assert_eq!(status.change.unwrap().state, ChangeState::Submitting, "{what}");
    }
}

/// A refused call leaves no trace in the count of orders; one that is accepted does, for an hour.
#[tokio::test]
async fn what_was_refused_is_not_counted_and_what_was_ordered_is_for_an_hour() {
    let mut lab = Lab::limited(3, 2).await;
    lab.fault(json!({
        "kind": "error", "code": "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED", "status": 400,
        "action": "ModifyInstanceType", "instance": VM, "times": "always",
    }));
    lab.pass_time(Duration::from_secs(600)).await;
    let phases = |lab: &Lab| {
        let names = ["vm-0", "vm-1", "vm-2"];
        names.map(|name| lab.store.get(name).status.unwrap().phase.unwrap())
    };
    assert_eq!(phases(&lab), [Phase::Failed, Phase::InSync, Phase::InSync]);
    assert_eq!(lab.store.counted(lab.clock.now()), 2);
    // Ordered two hours later, the first two are forgotten.
    lab.pass_time(Duration::from_secs(7200)).await;
    lab.store.edit("vm-1", |object| {
        "c.4c8g".clone_into(&mut object.spec.instance_type_id);
        object.metadata.generation = Some(2);
    });
    lab.wake("vm-1");
    lab.pass_time(Duration::from_secs(600)).await;
    assert_eq!(phases(&lab), [Phase::Failed, Phase::InSync, Phase::InSync]);
    assert_eq!(lab.store.counted(lab.clock.now()), 1);
}

/// Its spec cannot be read, so nothing else is done about its machine, and it is released all the same.
#[tokio::test]
async fn an_object_whose_spec_cannot_be_read_is_kept_from_its_deletion_for_an_hour() {
    let mut lab = Lab::given(1).await;
    let deleted = "2026-03-02T10:00:00Z".parse().unwrap();
    lab.store.edit(VM, |object| {
        object.spec.instance_type_id = "c 2".to_owned();
        object.metadata.deletion_timestamp = Some(Time(deleted));
        object.metadata.finalizers = Some(vec![POWER_FINALIZER.to_owned()]);
    });
    let kept = |lab: &Lab| lab.store.get(VM).metadata.finalizers.unwrap_or_default().len();
    lab.pass_time(Duration::from_secs(3590)).await;
    assert_eq!(kept(&lab), 1);
    assert_eq!(lab.store.get(VM).status.unwrap().phase, Some(Phase::Failed));
    lab.pass_time(Duration::from_secs(20)).await;
    assert_eq!(kept(&lab), 0);
}

/// Stops whose answers are lost, again and again, and no order: none of them stays counted.
#[tokio::test]
async fn a_stop_without_effect_is_not_counted_and_the_next_one_comes_later_and_later() {
    let mut lab = Lab::limited(1, 2).await;
    lab.store.edit(VM, |object| object.spec.strategy = Strategy::StopFirst);
    lab.fault(json!({
        "kind": "error", "code": "INTERNAL_SERVER_ERROR", "status": 500,
        "action": "StopInstances", "instance": VM, "times": "always",
    }));
    lab.pass_time(Duration::from_secs(300)).await;
    assert_eq!(lab.store.counted(lab.clock.now()), 1, "the first one may still take effect");
    let mut ended = Vec::new();
    for minute in 6..24 * 60 {
        lab.pass_time(Duration::from_secs(60)).await;
        let status = lab.store.get(VM).status.unwrap();
        let in_flight = status.power.change.is_some();
        assert_eq!(
            lab.store.counted(lab.clock.now()),
            usize::from(in_flight),
            "minute {minute}: {status:?}"
        );
        let stops = lab.calls_of(VM, "StopInstances");
        if ended.last().is_none_or(|(last, _)| stops > *last) {
            ended.push((stops, minute));
        }
    }
    let pauses: Vec<i32> = ended.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    assert!(pauses.is_sorted() && pauses.len() >= 5, "{ended:?}");
    assert_eq!(calls(&lab), lab.calls_of(VM, "StopInstances"), "only stops");
    assert!(lab.store.get(VM).metadata.finalizers.is_some_and(|all| all.len() == 1));
}

/// The table above refuses what was written in between; so must the real store.
#[tokio::test]
async fn on_the_real_api_server_only_one_of_two_writers_gets_a_slot() {
    let stage = Stage::given("  - { id: vm-0, type: c.1c2g, chargeType: POSTPAID }\n").await;
    let objects = ObjectCache::default();
    let store = |process: &str| {
        let client = stage.client.clone();
        let (claims, process) = (objects.claims(), process.to_owned());
        // Nothing watches the slots here, so each one is read past every cache.
        let (slots, life) = (SlotCache::default(), Duration::from_secs(60));
        KubeStore::new(client, &stage.slot_namespace, claims, slots, life, process)
    };
    let (first, second) = (store("first"), store("second"));
    let id = InstanceId::new(VM).unwrap();
    for round in ["the Lease is not there", "it is"] {
        // A write that changes nothing is none.
        let mine = taken_by_another(round);
        let read = async |store: &KubeStore| store.slot(&id, Age::Kept).await.unwrap();
        let (read, same) = (read(&first).await, read(&second).await);
        first.write_slot(&id, &read, mine.clone()).await.unwrap();
        let lost = second.write_slot(&id, &same, SlotRecord::default()).await;
        assert!(matches!(lost, Err(StoreError::Conflict)), "{round}: {lost:?}");
        assert_eq!(second.slot(&id, Age::Anew).await.unwrap().record, mine, "{round}");
    }
}
