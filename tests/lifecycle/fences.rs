//! When a request can no longer land: the fence, with and without the provider's Date.

use std::time::Duration;

use zenlayer_vm_operator::{
    api::ChangeState,
    lifecycle::{Action, ChangeId, Timing},
};

use crate::{
    given::{Given, HUGE, LARGE, SMALL, UID, at, given, given_change, type_id},
    table::{Row, check, does_of, is_call},
};

/// An open PREPAID change: past its fence it asks a person, before it is only waited for.
fn open(ago: i64) -> Given {
    given().prepaid().in_flight(&given_change(ChangeState::Submitting, ago))
}

pub fn rows() -> Vec<Row> {
    let before = |name, given| {
        let shows = "Submitting OutcomeUnknown Ready=False InSync=False Reconciling";
        (name, given, "Nothing OutcomeUnknown", shows, "30s")
    };
    let past = |name, given| {
        let shows = "Failed OutcomeUnverified Ready=False InSync=False Stalled";
        (name, given, "Nothing Unverified", shows, "rest")
    };
    vec![
        before("the fence itself is not past it", open(600)),
        past("a second later it is", open(601)),
        before("our clock far ahead does not end the wait", open(5000).clock_ahead(4401)),
        before("our clock 240 s ahead does not end the wait", open(700).clock_ahead(240)),
        past("our clock behind does not prolong it", open(400).clock_ahead(-201)),
        before(
            "the earliest Date counts: the instance's",
            open(700).dated(Some(at(-100)), Some(at(0))),
        ),
        before(
            "the earliest Date counts: the plan's",
            open(700).dated(Some(at(0)), Some(at(-100))),
        ),
        before("one read without Date is as none: the plan's", open(899).dated(Some(at(0)), None)),
        before(
            "one read without Date is as none: the instance's",
            open(899).dated(None, Some(at(0))),
        ),
        before("without Date the wait is 600 s and the margin", open(900).without_date()),
        past("without Date it ends after that", open(901).without_date()),
        before(
            "without Date it is the beginning of the reads that counts",
            open(904).without_date().read_ago(4),
        ),
        past(
            "without Date reads that began after it settle it",
            open(905).without_date().read_ago(4),
        ),
        past("with Date the age of the reads does not matter", open(700).read_ago(90)),
    ]
}

#[test]
fn fences_every_row_holds() {
    check(rows());
}

#[test]
fn a_call_is_decided_with_whole_seconds_fence_and_deadline() {
    let mut given = given();
    given.now = "2026-03-01T10:42:07.9Z".parse().unwrap();
    let Action::Call { change, slot, .. } = given.decide().action else { panic!("no call") };
    assert_eq!(change.started_at, at(0));
    assert_eq!(change.fence, Some(at(600)));
    assert_eq!(change.deadline, Some(at(1800)));
    assert_eq!(change.id, ChangeId::new(UID, at(0)));
    assert_eq!((change.from, change.to), (type_id(SMALL), type_id(LARGE)));
    assert_eq!((change.target_generation, change.state), (3, ChangeState::Submitting));
    assert_eq!(Some(&slot), given.observed.slot());
}

#[test]
fn a_call_with_a_bearer_token_has_no_fence() {
    let Action::Call { change, .. } = given().bearer().decide().action else { panic!("no call") };
    assert_eq!(change.fence, None);
}

#[test]
fn the_target_generation_is_the_one_in_which_the_type_was_declared() {
    let toggled = given().target(LARGE, 3).generation(9);
    let Action::Call { change, .. } = toggled.decide().action else { panic!("no call") };
    assert_eq!(change.target_generation, 3);
    let edited = given().target(LARGE, 3).generation(9).wants(HUGE);
    let Action::Call { change, .. } = edited.decide().action else { panic!("no call") };
    assert_eq!(change.target_generation, 9);
}

#[test]
fn the_limits_follow_from_signature_life_and_margin() {
    let usual = Timing::default();
    assert_eq!(usual.skew_limit, Duration::from_secs(240));
    assert_eq!(usual.send_window, Duration::from_secs(5));
    let short = Timing::new(Duration::from_secs(10), Duration::from_secs(3));
    assert_eq!(short.skew_limit, Duration::from_secs(8));
    let mut given = given();
    given.defaults.timing = short;
    let Action::Call { change, .. } = given.decide().action else { panic!("no call") };
    assert_eq!(change.fence, Some(at(13)));
}

#[test]
fn a_closed_slot_expects_its_target_for_one_margin_of_the_providers_time() {
    let flying = given().in_flight(&given_change(ChangeState::Accepted, 60)).of_type(LARGE);
    let Action::WriteSlot { record, .. } = flying.clone().clock_ahead(100).decide().action else {
        panic!("no close")
    };
    let expectation = &record.closed[0];
    assert_eq!(expectation.until, at(200));
    assert_eq!(
        (expectation.from.clone(), expectation.to.clone()),
        (type_id(SMALL), type_id(LARGE))
    );
    let Action::WriteSlot { record, .. } = flying.without_date().decide().action else {
        panic!("no close")
    };
    assert_eq!(
        record.closed[0].until,
        at(600),
        "without Date our clock may be a signature life off"
    );
}

#[test]
fn a_date_of_next_year_does_not_keep_a_slot_expecting_for_a_year() {
    let year = 365 * 24 * 3600;
    let flying = given().in_flight(&given_change(ChangeState::Accepted, 60)).of_type(LARGE);
    let wrong = flying.dated(Some(at(year)), Some(at(year)));
    let Action::WriteSlot { record, .. } = wrong.decide().action else { panic!("no close") };
    let expectation = &record.closed[0];
    assert_eq!(expectation.until, at(600));
}

#[test]
fn a_clock_that_is_behind_does_not_shorten_the_margin() {
    // Following needs no signature: the operator's clock may be off by more than the skew limit.
    let flying = given().in_flight(&given_change(ChangeState::Accepted, 60)).of_type(LARGE);
    let Action::WriteSlot { record, .. } = flying.clock_ahead(-700).decide().action else {
        panic!("no close")
    };
    assert_eq!(record.closed[0].until, at(1000));
}

#[test]
fn an_expectation_that_no_clock_can_have_made_is_not_waited_for() {
    let done = given_change(ChangeState::Observed, 60);
    let expects = |until| does_of(&given().closed(&done, at(until)).pass());
    assert_eq!(expects(4200), "Nothing ReadLags");
    assert_ne!(expects(4201), "Nothing ReadLags");
}

#[test]
fn times_at_the_ends_of_time_do_no_harm() {
    use jiff::Timestamp;
    for now in [Timestamp::MIN, Timestamp::MAX] {
        let mut given = given();
        given.now = now;
        given.observed.began_at = now;
        let pass = given.without_date().pass();
        assert!(is_call(&pass.decision.action));
        let mut flying =
            crate::given::given().in_flight(&given_change(ChangeState::Submitting, 60));
        flying.now = now;
        flying.pass();
    }
}
