//! What becomes of the action: the four classes of an answer, lost races, failing writes.

use zenlayer::Answer;
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, VmInstanceStatus},
    lifecycle::{Action, ChangeId, NextLook, Outcome, intent},
};

use crate::{
    given::{
        Given, LARGE, UID, accepted_at, api_error, at, given, given_call, given_change, order,
    },
    table::{Row, check, is_call, ready_message},
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

fn unknown() -> Answer {
    Answer::Unknown { cause: "time-out".into() }
}

fn not_sent() -> Answer {
    Answer::NotSent { cause: "connection refused".into() }
}

fn refused(status: u16, code: &str) -> Answer {
    Answer::Refused(api_error(status, Some(code)))
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
            given().answered(unknown()),
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
            "CloseSlot EffectSeen",
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
    assert_eq!(verdict.next_look, NextLook::After(std::time::Duration::from_secs(1)));
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
    for answer in [unknown(), not_sent(), refused(400, "MISSING_PARAMETER")] {
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
    assert_eq!(crate::table::does_of(&again.processing(LARGE).pass()), "Nothing Progressing");
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
    let after = status(&given().answered(unknown()));
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
    let Action::Call { change, .. } = given.decide().action else { panic!("no call") };
    let before = given.object.status.clone().unwrap();
    let written = intent(&given.desired(), &before, &given.seen(), (&change, None), given.now);
    let target = written.target.as_ref().unwrap();
    assert_eq!((target.type_id.as_str(), target.since_generation), (LARGE, 3));
    assert_eq!(written.change, Some(change.to_api()));
    assert_eq!(written.order_number, None);
    assert_eq!(
        crate::table::shown(&written),
        "Submitting Submitting Ready=False InSync=False Reconciling"
    );
}

#[test]
fn an_intent_uses_up_the_retry_annotation_in_the_same_write() {
    let refused = given().answered(refused(400, "MISSING_PARAMETER")).then().requested_at("now");
    let Action::Call { change, .. } = refused.decide().action else { panic!("no call") };
    let before = refused.object.status.clone().unwrap();
    let written =
        intent(&refused.desired(), &before, &refused.seen(), (&change, None), refused.now);
    assert_eq!(written.handled.requested_at.as_deref(), Some("now"));
    assert_eq!(written.refusal, None);
}

#[test]
fn a_lost_race_does_not_use_up_an_annotation() {
    let refused = given().answered(refused(400, "MISSING_PARAMETER")).then().requested_at("now");
    let lost = refused.outcome(Outcome::LostRace).then();
    assert_eq!(lost.object.status.as_ref().unwrap().handled.requested_at, None);
    assert!(is_call(&lost.decide().action));
}

#[test]
fn the_slot_keeps_an_answer_and_gives_back_what_it_held() {
    use zenlayer_vm_operator::lifecycle::{HoldingState, SlotRecord};
    let seen = given_change(ChangeState::Observed, 900);
    let next = given_change(ChangeState::Submitting, 0);
    let given = given().closed(&seen, at(10)).holding(&next, HoldingState::Open);
    let held = given.slot_record();
    assert_eq!(held.closed[0].change, seen.id);
    let back = held.given_back(&next.id);
    assert_eq!(back.closed[0].change, seen.id, "trace 13: it is restored");
    assert_eq!((back.holding, back.returned), (None, Some(next.id)));
    let accepted = held.accepted(at(1), order("3471"), None);
    let json = serde_json::to_string(&accepted).unwrap();
    assert_eq!(serde_json::from_str::<SlotRecord>(&json).unwrap(), accepted);
    assert!(ready_message(&status(&given)).contains("was lost"));
}
