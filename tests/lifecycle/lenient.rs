//! What another version may have written: what can be dropped is dropped, the change in flight is
//! followed, and nothing is ordered again.

use serde_json::{Value, json};
use zenlayer_vm_operator::{
    api::{ChangeState, HistoryOutcome, VmInstanceStatus},
    lifecycle::{HoldingState, Memory},
};

use crate::{
    given::{Given, HUGE, LARGE, SMALL, accepted_at, at, given, given_change, given_entry},
    table::{does, says, shows},
};

/// The status of an object whose change is in flight.
fn status() -> Value {
    let given = given().in_flight(&given_change(ChangeState::Accepted, 60)).processing(LARGE);
    serde_json::to_value(given.then().object.status).unwrap()
}

/// This object, with a status as it was found.
fn found(status: &Value) -> Given {
    let mut found = given();
    found.object.status = Some(serde_json::from_value(status.clone()).unwrap());
    found
}

/// All that a later version may add without telling this one.
fn newer(mut status: Value) -> Value {
    status["weather"] = json!({ "is": "fine" });
    status["phase"] = json!("AwaitingApproval");
    status["change"]["approvedBy"] = json!("somebody");
    status["power"] = json!({ "schedule": "nightly" });
    status["handled"] = json!({ "approve": "yes" });
    status["instance"] = json!({ "flavour": 3 });
    status["target"]["since"] = json!("2030-01-01T00:00:00Z");
    status["refusal"] = json!({ "reason": "NotApproved", "kind": "Approve" });
    status["pendingDecision"] = json!({ "kind": "Approve", "annotation": "x" });
    status["conditions"] = json!([{ "type": "Approved", "status": "Perhaps" }]);
    let entry = given_entry(SMALL, HUGE, 3, HistoryOutcome::Completed);
    let mut entry = serde_json::to_value(entry).unwrap();
    entry["outcome"] = json!("Refunded");
    entry["refund"] = json!(12);
    status["history"] = json!([entry]);
    status
}

#[test]
fn a_change_in_flight_is_followed_whatever_a_later_version_has_added() {
    let change = given_change(ChangeState::Observed, 60);
    let newer = newer(status());
    let later = found(&newer);
    let memory = Memory::from_status(&later.object.status.clone().unwrap()).unwrap();
    assert_eq!(memory.change.as_ref().unwrap().id, change.id);
    let running = later.clone().closed(&change, at(250)).processing(LARGE);
    assert_eq!(does(&running), "Nothing Progressing");
    assert_eq!(shows(&running), "Changing ChangeInProgress Ready=False InSync=False Reconciling");
    assert!(says(&running).contains("order 3471"), "{}", says(&running));
    let done = running.step().plan(None, None).of_type(LARGE);
    assert_eq!(does(&done), "Nothing Completed");
    assert_eq!(does(&done.step()), "Nothing InSync");
}

#[test]
fn an_accepted_change_is_followed_in_a_slot_of_a_later_version() {
    let intent = given_change(ChangeState::Submitting, 60);
    let mut open = status();
    open["change"]["state"] = json!("Submitting");
    let later = found(&newer(open)).holding(&intent, accepted_at(at(-55), "3471"));
    let later = later.raw_slot(|raw| {
        raw["shard"] = json!(4);
        raw["type"]["priority"] = json!("high");
        raw["type"]["holding"]["price"] = json!(12);
        raw["type"]["holding"]["state"]["by"] = json!("v2");
    });
    assert_eq!(does(&later), "Nothing Ordered");
    assert_eq!(does(&later.processing(LARGE)), "CloseLane EffectSeen");
}

#[test]
fn an_end_that_this_version_does_not_know_counts_as_ordered() {
    let mut done = newer(status());
    done.as_object_mut().unwrap().remove("change");
    let done = found(&done).of_type(SMALL).wants(HUGE).target(HUGE, 3);
    assert_eq!(does(&done), "Nothing Reverted");
    assert!(
        says(&done).contains("it is not known how the change from c.1c2g to c.4c8g"),
        "{}",
        says(&done)
    );
    let kept = done.then().object.status.unwrap();
    assert_eq!(kept.history[0].outcome, HistoryOutcome::Unknown);
}

#[test]
fn a_refusal_for_a_reason_that_this_version_does_not_know_is_found_out_again() {
    let refused = given()
        .answered(crate::given::refused(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"))
        .then();
    let mut status = serde_json::to_value(&refused.object.status).unwrap();
    status["refusal"]["reason"] = json!("NotApproved");
    let later = found(&status).later(5);
    assert_eq!(does(&later), "Modify Calling");
}

#[test]
fn only_the_change_itself_has_to_be_readable() {
    let parts: [(&str, Value); 3] = [
        ("change", json!({ "id": "x", "kind": "Approve" })),
        ("power", json!({ "change": { "kind": "Reboot" } })),
        ("orderNumber", json!(3471)),
    ];
    for (part, value) in parts {
        let mut spoilt = status();
        spoilt[part] = value.clone();
        let found = found(&spoilt);
        assert_eq!(does(&found), "Nothing InvalidStatus", "{part}");
        assert!(
            says(&found).contains(&format!("status.{part} is not of the form")),
            "{}",
            says(&found)
        );
        // It stays as it is, whatever is written beside it.
        let kept = serde_json::to_value(found.then().object.status).unwrap();
        assert_eq!(kept[part], value, "{part}");
        assert_eq!(kept["phase"], "Failed", "{part}");
    }
}

#[test]
fn without_its_history_a_change_is_followed_and_nothing_new_is_ordered() {
    let parts: [(&str, Value); 3] = [
        ("history", json!([{ "kind": "Modify", "from": 3 }])),
        ("target", json!("c.2c4g")),
        ("handled", json!("release")),
    ];
    for (part, value) in parts {
        let mut spoilt = status();
        spoilt[part] = value.clone();
        let found = found(&spoilt).processing(LARGE);
        assert_eq!(does(&found), "Nothing Progressing", "{part}");
        let kept = serde_json::to_value(found.then().object.status).unwrap();
        assert_eq!(kept[part], value, "{part}");
        let mut at_rest = spoilt.clone();
        at_rest.as_object_mut().unwrap().remove("change");
        let at_rest = self::found(&at_rest);
        assert_eq!(does(&at_rest), "Nothing InvalidStatus", "{part}");
        assert!(says(&at_rest).contains(&format!("status.{part} is not of the form")), "{part}");
    }
}

#[test]
fn a_status_of_this_version_is_read_back_as_it_was() {
    let known = status();
    let read: VmInstanceStatus = serde_json::from_value(known.clone()).unwrap();
    assert!(read.unreadable.is_empty());
    assert_eq!(serde_json::to_value(read).unwrap(), known);
}

#[test]
fn a_status_that_is_no_object_is_refused() {
    assert!(serde_json::from_value::<VmInstanceStatus>(json!("fine")).is_err());
}

#[test]
fn a_lane_of_another_version_holds_back_every_call_and_says_so() {
    use zenlayer_vm_operator::lifecycle::LaneName;
    for lane in LaneName::ALL {
        let held = given().stop_first().finalizer(true).of_another_version(lane);
        assert_eq!(does(&held), "Nothing SlotOfAnotherVersion", "{lane:?}");
        assert!(says(&held).contains("run that version until the change is complete"));
        // What this version remembers is kept.
        let change = given_change(ChangeState::Observed, 60);
        let remembering = held.remembering(&change);
        let kept = remembering.then().object.status.unwrap();
        assert_eq!(kept.change, Some(change.to_api().into()), "{lane:?}");
    }
}

#[test]
fn an_open_slot_is_waited_for_though_nothing_of_the_status_is_left() {
    let intent = given_change(ChangeState::Accepted, 60);
    let lost = found(&json!({})).holding(&intent, HoldingState::Unverified);
    assert_eq!(does(&lost.prepaid()), "Nothing Unverified");
}
