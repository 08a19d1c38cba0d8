//! What becomes of the action: the four classes of an answer, lost races, failing writes.

use zenlayer::Answer;
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, VmInstanceStatus},
    lifecycle::{ChangeId, HoldingState, NextLook, Outcome, intent, withdrawn},
};

use crate::{
    given::{
        Given, LARGE, UID, accepted_at, at, given, given_call, given_change, no_answer, not_sent,
        refused,
    },
    table::{Row, check, does, is_call, shown},
};

const GOES: &str = "Changing ChangeInProgress Ready=False InSync=False Reconciling";

fn waiting(reason: &'static str) -> &'static str {
    match reason {
        "ApiUnavailable" => "Waiting ApiUnavailable Ready=False InSync=False Reconciling",
        "ForeignPlan" => "Waiting ForeignPlan Ready=False InSync=False Reconciling",
        _ => "Waiting KubernetesUnavailable Ready=False InSync=False Reconciling",
    }
}

fn store_failed() -> Outcome {
    Outcome::StoreFailed { problem: "leases.coordination.k8s.io is forbidden".into() }
}

pub fn rows() -> Vec<Row> {
    let submit = "Modify Calling";
    let silent = Answer::Accepted { order_number: None, request_id: None };
    let accepted = || given().in_flight(&given_change(ChangeState::Accepted, 60)).of_type(LARGE);
    vec![
        ("an accepted call is followed", given(), submit, GOES, "5s"),
        (
            "an accepted call without an order number is followed",
            given().answered(silent),
            submit,
            GOES,
            "5s",
        ),
        (
            "a call without an answer is of unknown outcome",
            given().answered(no_answer()),
            submit,
            "Submitting OutcomeUnknown Ready=False InSync=False Reconciling",
            "5s",
        ),
        (
            "a call that was not sent is made again later",
            given().answered(not_sent()),
            submit,
            waiting("ApiUnavailable"),
            "backoff",
        ),
        (
            "a call that is refused for now is made again later",
            given().answered(refused(403, "OPERATION_DENIED_INSTANCE_EXIST_PLAN")),
            submit,
            waiting("ForeignPlan"),
            "backoff",
        ),
        (
            "a call that is refused for good is not made again",
            given().answered(refused(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED")),
            submit,
            "Failed InstanceTypeUnsupported Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "a slot that cannot be taken is said",
            given().outcome(store_failed()),
            submit,
            waiting("KubernetesUnavailable"),
            "backoff",
        ),
        (
            "a slot that cannot be closed is said",
            accepted().outcome(store_failed()),
            "CloseLane EffectSeen",
            "Waiting KubernetesUnavailable Ready=False InSync=True Reconciling",
            "backoff",
        ),
    ]
}

#[test]
fn answers_every_row_holds() {
    check(rows());
}

fn status(given: &Given) -> VmInstanceStatus {
    given.pass().verdict.status
}

#[test]
fn a_lost_race_says_nothing_and_looks_again() {
    let before = given().of_type(LARGE).then();
    let lost = before.of_type("c.1c2g").outcome(Outcome::LostRace);
    let verdict = lost.pass().verdict;
    assert_eq!(Some(verdict.status), lost.object.status);
    assert_eq!(verdict.next_look, NextLook::Backoff);
    assert!(verdict.events.is_empty() && verdict.answers.is_none());
}

#[test]
fn an_effect_whose_slot_was_not_closed_is_not_remembered() {
    for outcome in [Outcome::LostRace, store_failed()] {
        let given = given().in_flight(&given_change(ChangeState::Accepted, 60)).of_type(LARGE);
        let after = status(&given.clone().outcome(outcome));
        assert_eq!(after.change, given.object.status.unwrap().change);
        assert!(after.history.is_empty());
    }
}

#[test]
fn every_answer_names_its_change_and_no_other_verdict_does() {
    let id = ChangeId::new(UID, at(0));
    for answer in [no_answer(), not_sent(), refused(400, "MISSING_PARAMETER")] {
        assert_eq!(given().answered(answer).pass().verdict.answers, Some(id.clone()));
    }
    assert_eq!(given().pass().verdict.answers, Some(id));
    for quiet in [given().suspended(), given().outcome(store_failed())] {
        assert_eq!(quiet.pass().verdict.answers, None);
    }
}

#[test]
fn an_accepted_answer_is_remembered_with_order_request_and_time() {
    let after = status(&given());
    let change = after.change.unwrap();
    assert_eq!(change.state, ChangeState::Accepted);
    assert_eq!(change.submitted_at.unwrap().0, at(0));
    assert_eq!(after.order_number.as_deref(), Some("3471"));
    assert_eq!(after.request_id.as_deref(), Some("T-ORDER"));
}

#[test]
fn an_answer_that_only_the_slot_knows_is_remembered_with_order_request_and_time() {
    // The slot was written, and then the process died.
    let intent = given_change(ChangeState::Submitting, 60);
    let crashed = given().remembering(&intent).holding(&intent, accepted_at(at(-55), "3471"));
    let after = status(&crashed);
    let change = after.change.unwrap();
    assert_eq!(change.state, ChangeState::Accepted);
    assert_eq!(change.submitted_at.unwrap().0, at(-55));
    assert_eq!(after.order_number.as_deref(), Some("3471"));
    assert_eq!(after.request_id.as_deref(), Some("T-ORDER"));
}

#[test]
fn a_change_that_was_seen_stays_seen_whatever_the_slot_says() {
    let change = given_change(ChangeState::Observed, 60);
    let again = given().remembering(&change).holding(&change, accepted_at(at(-55), "3471"));
    assert_eq!(does(&again.processing(LARGE)), "Nothing Progressing");
}

#[test]
fn the_number_of_an_earlier_order_is_not_that_of_a_stop() {
    let stop = given_call(ChangeKind::Stop, ChangeState::Observed, 60);
    let mut given = given().stop_first().in_flight(&stop).state("STOPPED");
    given.status().order_number = Some("3400".into());
    let after = status(&given);
    assert_eq!(after.history[0].kind, ChangeKind::Stop);
    assert_eq!(after.history[0].order_number, None);
    assert_eq!(after.order_number.as_deref(), Some("3400"));
}

#[test]
fn an_unknown_outcome_keeps_the_intent() {
    let after = status(&given().answered(no_answer()));
    assert_eq!(after.change.unwrap().state, ChangeState::Submitting);
}

#[test]
fn a_call_that_did_nothing_leaves_no_change_and_no_history() {
    for answer in
        [not_sent(), refused(400, "MISSING_PARAMETER"), refused(429, "REQUEST_LIMIT_EXCEEDED")]
    {
        let after = status(&given().answered(answer));
        assert_eq!(after.change, None);
        assert!(after.history.is_empty());
    }
}

#[test]
fn an_intent_holds_the_change_the_target_and_no_older_order() {
    let mut given = given();
    given.status().order_number = Some("3000".into());
    let order = given.order();
    let before = given.object.status.clone().unwrap();
    let written = intent(&given.desired(), &before, &given.seen(), &order, given.now);
    let target = written.target.as_ref().unwrap();
    assert_eq!((target.type_id.as_str(), target.since_generation), (LARGE, 3));
    assert_eq!(written.change, Some(order.change.to_api().into()));
    assert_eq!(written.order_number, None);
    assert_eq!(shown(&written), "Submitting Submitting Ready=False InSync=False Reconciling");
}

#[test]
fn an_intent_of_one_lane_leaves_the_other_lane_of_the_status_alone() {
    let order = given_change(ChangeState::Unverified, 900);
    let start = given().prepaid().in_flight(&order).stopped_for_a_change(1000);
    let written = start.clone().crashed_before_the_call();
    assert_eq!(does(&start), "Start Calling");
    let status = written.object.status.as_ref().unwrap();
    assert_eq!(status.change, Some(order.to_api().into()));
    assert_eq!(status.power.change.as_ref().unwrap().kind, ChangeKind::Start);
    let held = written.slot_record();
    assert!(held.lane_of(&order.id).is_some(), "{held:?}");
}

#[test]
fn what_was_recorded_and_not_called_is_withdrawn_and_the_status_is_as_it_was() {
    let given = given().target(LARGE, 3);
    let order = given.order();
    let before = given.object.status.clone().unwrap();
    let after = withdrawn(&before, &order);
    assert_eq!(after.withdrawn.as_deref(), Some(order.change.id.0.as_str()));
    assert_eq!(VmInstanceStatus { withdrawn: None, ..after }, before);
}

#[test]
fn an_intent_uses_up_the_retry_annotation_in_the_same_write() {
    let refused = given().answered(refused(400, "MISSING_PARAMETER")).then().requested_at("now");
    let written = refused.later(5).crashed_before_the_call().object.status.unwrap();
    assert_eq!(written.handled.requested_at.as_deref(), Some("now"));
    assert_eq!(written.refusal, None);
}

#[test]
fn a_lost_race_does_not_use_up_an_annotation() {
    let refused = given().answered(refused(400, "MISSING_PARAMETER")).then().requested_at("now");
    let lost = refused.later(5).outcome(Outcome::LostRace).then();
    assert_eq!(lost.object.status.as_ref().unwrap().handled.requested_at, None);
    assert!(is_call(&lost.decide().action));
}

#[test]
fn a_call_whose_record_could_not_be_written_leaves_a_name_that_is_not_used_again() {
    let after = given().outcome(store_failed()).then();
    let withdrawn = after.object.status.as_ref().unwrap().withdrawn.clone();
    assert_eq!(withdrawn, Some(ChangeId::new(UID, at(0)).0));
    assert_eq!(does(&after), "Nothing TooOld", "a name of its own takes another second");
    assert_eq!(does(&after.later(1)), "Modify Calling");
}

#[test]
fn an_answer_that_came_after_a_crash_is_that_of_the_slot() {
    let intent = given_change(ChangeState::Submitting, 60);
    let open = given().target(LARGE, 3).remembering(&intent).holding(&intent, HoldingState::Open);
    assert_eq!(does(&open), "Nothing Unknown");
    let answered = open.holding(&intent, accepted_at(at(-59), "3471"));
    assert_eq!(does(&answered), "Nothing Ordered");
    assert_eq!(does(&answered.step()), "Nothing Accepted");
}
