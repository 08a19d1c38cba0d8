//! When a request can no longer land: the fence, with and without the provider's Date.

use std::time::Duration;

use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState},
    lifecycle::{Action, Change, ChangeId, Expectation, LaneName, Timing},
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, UID, at, given, given_call, given_change, type_id, without_fence,
    },
    table::{Row, check, does, is_call},
};

/// An open PREPAID change: past its fence it asks a person, before it is only waited for.
fn open(ago: i64) -> Given {
    given().prepaid().in_flight(&given_change(ChangeState::Submitting, ago))
}

pub fn rows() -> Vec<Row> {
    let before = |name, given| {
        let shows = "Submitting OutcomeUnknown Ready=False InSync=False Reconciling";
        (name, given, "Nothing Unknown", shows, "30s")
    };
    let past = |name, given| {
        let shows = "Failed OutcomeUnverified Ready=False InSync=False Stalled";
        (name, given, "MarkUnverified Unverified", shows, "rest")
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
        past("with Date the age of the reads does not matter", open(700).read_ago(90)),
        before("our own clock counts, too: not before", open(5000).known_for(599)),
        past("our own clock counts, too", open(5000).known_for(600)),
        before(
            "a process that has just begun waits anew, whatever the clocks say",
            open(1_000_000).known_for(0),
        ),
        before(
            "a Date that runs ahead ends no wait",
            open(150).dated(Some(at(700)), Some(at(700))).known_for(150),
        ),
        before(
            "without Date our own clock has to count a signature's life more",
            open(1_000_000).without_date().known_for(899),
        ),
        past(
            "without Date it ends after 600 s and the margin",
            open(1_000_000).without_date().known_for(900),
        ),
        before(
            "one read without Date is as none: the plan's",
            open(5000).dated(Some(at(0)), None).known_for(899),
        ),
        before(
            "one read without Date is as none: the instance's",
            open(5000).dated(None, Some(at(0))).known_for(899),
        ),
        past(
            "one read with Date is enough after that",
            open(5000).dated(None, Some(at(0))).known_for(900),
        ),
        before("a token has no fence, so our own clock counts alone", token(5000).known_for(899)),
        past("after that a person is asked", token(60).known_for(900)),
        (
            "what shows then may be another request",
            token(60).of_type(LARGE).known_for(900),
            "MarkUnverified Unverified",
            "Failed OutcomeUnverified Ready=False InSync=True Stalled",
            "rest",
        ),
        past("of a POSTPAID machine, too", token(60).charged("POSTPAID").known_for(900)),
    ]
}

/// An open change of a request that never expires.
fn token(ago: i64) -> Given {
    let change = without_fence(given_change(ChangeState::Submitting, ago));
    given().prepaid().bearer().in_flight(&change)
}

/// The clock of each lane is its own.
#[test]
fn the_age_of_one_lane_says_nothing_of_the_other() {
    let stop = given_call(ChangeKind::Stop, ChangeState::Submitting, 5000);
    let order = given_change(ChangeState::Unverified, 9000);
    let both = given().prepaid().in_flight(&order).in_flight(&stop).state("STOPPED");
    let mut young = both.clone();
    young.observed.since.lanes.of_power = zenlayer_vm_operator::lifecycle::Known::default();
    assert_eq!(does(&young), "Nothing Unverified");
    assert_eq!(does(&both), "CloseLane PowerSeen");
}

#[test]
fn fences_every_row_holds() {
    check(rows());
}

#[test]
fn a_call_is_decided_with_whole_seconds_fence_and_deadline() {
    let mut given = given();
    given.now = "2026-03-01T10:42:07.9Z".parse().unwrap();
    let order = given.order();
    let change = order.change;
    assert_eq!(change.started_at, at(0));
    assert_eq!(change.fence, Some(at(600)));
    assert_eq!(change.deadline, Some(at(1800)));
    assert_eq!(change.id, ChangeId::new(UID, at(0)));
    assert_eq!((change.from, change.to), (type_id(SMALL), type_id(LARGE)));
    assert_eq!((change.target_generation, change.state), (3, ChangeState::Submitting));
    assert_eq!(Some(&order.slot), given.observed.slot());
    assert_eq!(order.taken.lane_of(&change.id), Some(LaneName::Type));
}

#[test]
fn a_call_with_a_bearer_token_has_no_fence() {
    assert_eq!(given().bearer().order().change.fence, None);
}

#[test]
fn the_target_generation_is_the_one_in_which_the_type_was_declared() {
    let toggled = given().target(LARGE, 3).generation(9);
    assert_eq!(toggled.order().change.target_generation, 3);
    let edited = given().target(LARGE, 3).generation(9).wants(HUGE);
    assert_eq!(edited.order().change.target_generation, 9);
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
    assert_eq!(given.order().change.fence, Some(at(13)));
    let stop = given.stop_first().finalizer(true).order().change;
    assert_eq!((stop.kind, stop.deadline), (ChangeKind::Stop, Some(at(300))));
}

/// What the lane of this change expects once its effect is seen.
fn expects(given: &Given) -> Expectation {
    let Action::WriteSlot { record, .. } = given.decide().action else { panic!("no close") };
    record.lane(LaneName::Type).expects().unwrap().clone()
}

fn seen() -> Given {
    given().in_flight(&given_change(ChangeState::Accepted, 60)).of_type(LARGE)
}

#[test]
fn a_closed_slot_expects_its_target_for_one_margin_of_the_providers_time() {
    let Expectation { change, kind, from, to, until, .. } = expects(&seen().clock_ahead(10));
    assert_eq!(change, given_change(ChangeState::Accepted, 60).id);
    assert_eq!((kind, from, to), (ChangeKind::Modify, type_id(SMALL), type_id(LARGE)));
    assert_eq!(until, at(290));
    let until = expects(&seen().without_date()).until;
    assert_eq!(until, at(600), "without Date our clock may be a signature's life off");
}

#[test]
fn the_margin_begins_with_the_later_of_the_read_and_the_acceptance() {
    let accepted = |ago: i64| {
        let change = given_change(ChangeState::Accepted, 60);
        given().in_flight(&Change { submitted_at: Some(at(-ago)), ..change }).of_type(LARGE)
    };
    assert_eq!(expects(&accepted(59)).until, at(300), "the read is the later one");
    assert_eq!(expects(&accepted(5).clock_ahead(100)).until, at(295), "the acceptance is");
    assert_eq!(expects(&accepted(-100_000)).until, at(300), "no clock can have said that");
}

#[test]
fn a_date_of_next_year_does_not_keep_a_slot_expecting_for_a_year() {
    let year = 365 * 24 * 3600;
    let wrong = seen().dated(Some(at(year)), Some(at(year)));
    assert_eq!(expects(&wrong).until, at(600));
}

#[test]
fn a_clock_that_is_behind_does_not_shorten_the_margin() {
    // Following needs no signature: the operator's clock may be off by more than the skew limit.
    assert_eq!(expects(&seen().clock_ahead(-700)).until, at(1000));
}

#[test]
fn an_expectation_that_no_clock_can_have_made_is_not_waited_for() {
    let done = given_change(ChangeState::Observed, 60);
    let expects = |until| does(&given().closed(&done, at(until)));
    assert_eq!(expects(4200), "Nothing ReadLags");
    assert_ne!(expects(4201), "Nothing ReadLags");
}

#[test]
fn times_at_the_ends_of_time_do_no_harm() {
    use jiff::Timestamp;
    for now in [Timestamp::MIN, Timestamp::MAX] {
        let mut given = given().without_date();
        given.now = now;
        if let (Some(Ok(one)), Some(Ok(other))) =
            (&mut given.observed.instance, &mut given.observed.plan)
        {
            (one.sent_at, other.sent_at) = (now, now);
        }
        assert!(is_call(&given.pass().decision.action));
        let mut flying =
            crate::given::given().in_flight(&given_change(ChangeState::Submitting, 60));
        flying.now = now;
        flying.pass();
    }
}
