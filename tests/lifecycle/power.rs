//! Strategy StopFirst: stop, change, start; and a machine that we stopped is never left stopped.

use zenlayer::Answer;
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryEntry, HistoryOutcome},
    lifecycle::{Action, HoldingState, SlotRecord},
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, UID, api_error, at, given, given_call, given_change,
        given_entry, given_key, holding, read_error, with_slot_after, without_fence,
    },
    table::{Row, check, does_of, look_of, ready_message, shows_of},
};

const GOES: &str = "Changing ChangeInProgress Ready=False InSync=False Reconciling";
const STOPS: &str = "Changing StopInProgress Ready=False InSync=False Reconciling";
const STARTS: &str = "Changing StartInProgress Ready=False InSync=False Reconciling";
const STARTS_IN_SYNC: &str = "Changing StartInProgress Ready=False InSync=True Reconciling";

/// The machine was stopped for a change a minute ago and is off.
fn stopped() -> Given {
    given().stop_first().target(LARGE, 3).stopped_for_a_change(60)
}

/// The same, half an hour ago.
fn stopped_long_ago() -> Given {
    given().stop_first().target(LARGE, 3).stopped_for_a_change(1801)
}

fn call(kind: ChangeKind, state: ChangeState, ago: i64) -> Given {
    let given = if kind == ChangeKind::Stop { given().stop_first() } else { stopped() };
    given.in_flight(&given_call(kind, state, ago))
}

fn of_kind(kind: ChangeKind, outcome: HistoryOutcome) -> HistoryEntry {
    HistoryEntry { kind, ..given_entry(SMALL, LARGE, 3, outcome) }
}

fn refused(status: u16, code: &str) -> Answer {
    Answer::Refused(api_error(status, Some(code)))
}

/// An order that a person has to settle, while the machine is off.
fn unverified() -> Given {
    stopped().prepaid().in_flight(&given_change(ChangeState::Unverified, 900))
}

pub fn rows() -> Vec<Row> {
    [first(), stopping(), off(), starting(), held_back()].concat()
}

fn first() -> Vec<Row> {
    let stops = |name, given| (name, given, "Stop Calling", STOPS, "5s");
    let orders = |name, given| (name, given, "Modify Calling", GOES, "5s");
    let once =
        |outcome| given().stop_first().target(LARGE, 3).ended(of_kind(ChangeKind::Stop, outcome));
    let reverted = "Failed Reverted Ready=False InSync=False Stalled";
    vec![
        stops("a running machine is stopped first", given().stop_first()),
        orders("a stopped machine is changed at once", given().stop_first().state("STOPPED")),
        stops("a PREPAID upgrade is stopped for", given().stop_first().prepaid().priced(10, 20)),
        stops("a PREPAID change of unknown direction is too", given().stop_first().prepaid()),
        orders(
            "a PREPAID downgrade waits for its cycle, so nothing is stopped for it",
            given().stop_first().prepaid().priced(20, 10),
        ),
        (
            "a machine is stopped once for a target",
            once(HistoryOutcome::Completed),
            "Nothing Reverted",
            reverted,
            "rest",
        ),
        (
            "a guest that did not stop is not asked again",
            once(HistoryOutcome::Overdue),
            "Nothing Reverted",
            "Failed ChangeOverdue Ready=False InSync=False Stalled",
            "rest",
        ),
        stops("a stop that never landed does not count", once(HistoryOutcome::Unverified)),
        stops(
            "a person allows another stop",
            once(HistoryOutcome::Overdue)
                .released(&of_kind(ChangeKind::Stop, HistoryOutcome::Overdue).id)
                .then(),
        ),
        (
            "nothing is stopped at the order limit",
            given().stop_first().ordered_within_the_hour(100),
            "Nothing OrderLimitReached",
            "Waiting OrderLimitReached Ready=False InSync=False Reconciling",
            "113s",
        ),
        (
            "nothing is stopped while suspended",
            given().stop_first().suspended(),
            "Nothing Suspended",
            "Suspended Suspended Ready=True InSync=False",
            "rest",
        ),
        (
            "a stop that was refused for good is not repeated",
            given()
                .stop_first()
                .answered(refused(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"))
                .then(),
            "Nothing Refused",
            "Failed PermissionDenied Ready=False InSync=False Stalled",
            "rest",
        ),
    ]
}

fn stopping() -> Vec<Row> {
    let stop = |state, ago| call(ChangeKind::Stop, state, ago);
    let observed = |ago, until| {
        let change = given_call(ChangeKind::Stop, ChangeState::Observed, ago);
        stop(ChangeState::Observed, ago).closed(&change, at(until))
    };
    let given_up = "Waiting StopInProgress Ready=False InSync=False Reconciling";
    vec![
        (
            "an accepted stop is waited for",
            stop(ChangeState::Accepted, 60),
            "Nothing Accepted",
            STOPS,
            "12s",
        ),
        (
            "its beginning closes the slot",
            stop(ChangeState::Accepted, 60).state("STOPPING"),
            "CloseSlot EffectSeen",
            STOPS,
            "12s",
        ),
        (
            "so does its end",
            stop(ChangeState::Accepted, 60).state("STOPPED"),
            "CloseSlot EffectSeen",
            STOPS,
            "1s",
        ),
        (
            "a guest that shuts down is waited for",
            observed(60, 250).state("STOPPING"),
            "Nothing Progressing",
            STOPS,
            "12s",
        ),
        (
            "a read that lags behind it is waited for",
            observed(60, 250),
            "Nothing Progressing",
            STOPS,
            "12s",
        ),
        (
            "a guest that goes on running is given up",
            observed(290, -1),
            "Nothing GivenUp",
            given_up,
            "1s",
        ),
        (
            "a guest that shuts down too slowly is given up",
            observed(301, -1).state("STOPPING"),
            "Nothing GivenUp",
            given_up,
            "1s",
        ),
        (
            "an accepted stop that never begins is given up, and asks nobody",
            stop(ChangeState::Accepted, 301),
            "ReturnSlot GivenUp",
            given_up,
            "1s",
        ),
        (
            "a stop of unknown outcome is waited for though the machine is off",
            stop(ChangeState::Submitting, 60).state("STOPPED"),
            "Nothing OutcomeUnknown",
            "Submitting OutcomeUnknown Ready=False InSync=False Reconciling",
            "12s",
        ),
        (
            "past its fence a machine that is off shows that it landed",
            stop(ChangeState::Submitting, 601).state("STOPPED"),
            "CloseSlot EffectSeen",
            STOPS,
            "1s",
        ),
        (
            "past its fence a machine that runs shows that it did not",
            stop(ChangeState::Submitting, 601).prepaid(),
            "ReturnSlot Unverified",
            "Waiting OutcomeUnverified Ready=False InSync=False Reconciling",
            "1s",
        ),
    ]
}

fn off() -> Vec<Row> {
    let starts = |name, given| (name, given, "Start Calling", STARTS, "5s");
    let order = |state, ago| stopped().in_flight(&given_change(state, ago));
    let entry = || given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed);
    vec![
        ("the change is ordered while it is off", stopped(), "Modify Calling", GOES, "5s"),
        (
            "a change that is running is waited for",
            order(ChangeState::Observed, 60).processing(LARGE),
            "Nothing Progressing",
            GOES,
            "12s",
        ),
        ("in sync it is started", stopped().of_type(LARGE), "Start Calling", STARTS_IN_SYNC, "5s"),
        starts("a change that was undone starts it", stopped().ended(entry())),
        starts("a change that waits for its cycle starts it", {
            order(ChangeState::Observed, 60).prepaid().scheduled(LARGE)
        }),
        starts("an overdue change starts it", {
            order(ChangeState::Observed, 1801).processing(LARGE)
        }),
        starts(
            "an accepted change that does not show starts it",
            order(ChangeState::Accepted, 301),
        ),
        starts("a change that a person has to settle starts it", unverified()),
        (
            "a change of unknown outcome does not, before its fence",
            order(ChangeState::Submitting, 60).prepaid(),
            "Nothing OutcomeUnknown",
            "Submitting OutcomeUnknown Ready=False InSync=False Reconciling",
            "12s",
        ),
        (
            "a change that no slot could set aside is not pushed out",
            unverified().slot(SlotRecord::default()),
            "Nothing Unverified",
            "Failed OutcomeUnverified Ready=False InSync=False Stalled",
            "12s",
        ),
        (
            "a stop with a token whose outcome is unknown does not: its request never expires",
            stopped_by_token(1801),
            "Nothing Unverified",
            "Failed OutcomeUnverified Ready=False InSync=False Stalled",
            "rest",
        ),
        starts("a refused change starts it", {
            stopped().answered(refused(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED")).then()
        }),
        (
            "a foreign plan is waited for",
            stopped().processing(HUGE),
            "Nothing ForeignPlan",
            "Waiting ForeignPlan Ready=False InSync=False Reconciling",
            "12s",
        ),
        starts("not for ever", stopped_long_ago().processing(HUGE)),
        starts("nor for the order limit", stopped_long_ago().ordered_within_the_hour(100)),
        starts("nor for an order that is refused for now over and over", stopped_long_ago()),
        (
            "a machine that a person stopped stays off",
            given().stop_first().of_type(LARGE).state("STOPPED"),
            "Nothing InSync",
            "InSync InSync Ready=True InSync=True",
            "rest",
        ),
    ]
}

/// The machine is off, and a token's request has no fence: it may be the one that did it.
fn stopped_by_token(ago: i64) -> Given {
    let stop = without_fence(given_call(ChangeKind::Stop, ChangeState::Submitting, ago));
    given().bearer().stop_first().stopped_for_a_change(ago).in_flight(&stop)
}

fn starting() -> Vec<Row> {
    let start = |state, ago| call(ChangeKind::Start, state, ago).of_type(LARGE);
    let given_up = "Waiting StartInProgress Ready=False InSync=True Reconciling";
    let failed = |count: i64| {
        (0..count).fold(stopped().of_type(LARGE), |given, number| {
            let entry = of_kind(ChangeKind::Start, HistoryOutcome::Overdue);
            given.ended(HistoryEntry { id: format!("start-{number}"), ..entry })
        })
    };
    vec![
        (
            "an accepted start is waited for",
            start(ChangeState::Accepted, 60),
            "Nothing Accepted",
            STARTS_IN_SYNC,
            "12s",
        ),
        (
            "a machine that boots closes the slot",
            start(ChangeState::Accepted, 60).state("BOOTING"),
            "CloseSlot EffectSeen",
            STARTS_IN_SYNC,
            "12s",
        ),
        (
            "a start that never shows is given up, and asks nobody",
            start(ChangeState::Accepted, 301),
            "ReturnSlot GivenUp",
            given_up,
            "1s",
        ),
        (
            "two starts that came to nothing allow a third",
            failed(2),
            "Start Calling",
            STARTS_IN_SYNC,
            "5s",
        ),
        (
            "after three a person is asked",
            failed(3),
            "Nothing Reverted",
            "Failed ChangeOverdue Ready=False InSync=True Stalled",
            "rest",
        ),
        (
            "a person allows one more",
            failed(3).released("start-2"),
            "Nothing Rearmed",
            "Waiting ReadsDisagree Ready=False InSync=True Reconciling",
            "1s",
        ),
        (
            "whoever may not change the machine asks nobody either",
            failed(3).suspended(),
            "Nothing InSync",
            "Suspended Suspended Ready=True InSync=True",
            "rest",
        ),
        (
            "a machine that runs again has nothing to be brought back to",
            stopped().of_type(LARGE).state("RUNNING"),
            "WriteSlot Restored",
            "Waiting ReadsDisagree Ready=False InSync=True Reconciling",
            "1s",
        ),
        (
            "a guest that did not stop in time may do so later, so it is not forgotten",
            {
                let mut late = of_kind(ChangeKind::Stop, HistoryOutcome::Overdue);
                late.id = given_call(ChangeKind::Stop, ChangeState::Observed, 60).id.0;
                stopped().ended(late).state("RUNNING")
            },
            "Nothing Reverted",
            "Failed ChangeOverdue Ready=False InSync=False Stalled",
            "rest",
        ),
    ]
}

fn held_back() -> Vec<Row> {
    let back = || stopped().of_type(LARGE);
    let none = |name, given, does, shows, look| (name, given, does, shows, look);
    let waits = STARTS_IN_SYNC;
    vec![
        none(
            "suspended, it is not started",
            back().suspended(),
            "Nothing InSync",
            "Suspended Suspended Ready=True InSync=True",
            "rest",
        ),
        none(
            "observed, it is not started",
            back().observing(),
            "Nothing InSync",
            "Drifted DriftObserved Ready=True InSync=True",
            "rest",
        ),
        none(
            "suspended, neither changed nor started",
            stopped().suspended(),
            "Nothing Suspended",
            "Suspended Suspended Ready=True InSync=False",
            "rest",
        ),
        none(
            "observed, neither changed nor started",
            stopped().observing(),
            "Nothing DriftObserved",
            "Drifted DriftObserved Ready=True InSync=False",
            "rest",
        ),
        none(
            "suspended, beside a change of another object",
            back().suspended().held_by(
                "other",
                &given_change(ChangeState::Submitting, 60),
                HoldingState::Open,
            ),
            "Nothing HeldElsewhere",
            "Waiting ChangeHeldElsewhere Ready=False InSync=True Reconciling",
            "backoff",
        ),
        none(
            "a skewed clock starts nothing, and says so",
            back().clock_ahead(300),
            "Nothing ClockSkewed",
            "Failed ClockSkewed Ready=False InSync=True Stalled",
            "rest",
        ),
        none("stale reads start nothing", back().read_ago(6), "Nothing InSync", waits, "12s"),
        none(
            "the younger of two objects starts nothing",
            back().duplicate_of(None),
            "Nothing DuplicateClaim",
            "Failed DuplicateClaim Ready=False InSync=True Stalled",
            "rest",
        ),
        none(
            "beside a change of another object nothing is started",
            back().held_by("other", &given_change(ChangeState::Submitting, 60), HoldingState::Open),
            "Nothing HeldElsewhere",
            "Waiting ChangeHeldElsewhere Ready=False InSync=True Reconciling",
            "backoff",
        ),
    ]
}

#[test]
fn power_every_row_holds() {
    check(rows());
}

#[test]
fn what_to_restore_is_remembered_before_the_stop_is_sent() {
    let Action::Call { change, restore, .. } = given().stop_first().decide().action else {
        panic!("no call")
    };
    let restore = restore.unwrap();
    assert_eq!(restore.power_state, "RUNNING");
    assert_eq!((restore.stopped_by, restore.since), (change.id, at(0)));
}

/// Stopped, and then the change was refused like this.
fn refused_after_the_stop(status: u16, code: &str) -> Given {
    let stop = given_call(ChangeKind::Stop, ChangeState::Observed, 60);
    let entry =
        HistoryEntry { id: stop.id.0, ..of_kind(ChangeKind::Stop, HistoryOutcome::Completed) };
    let given = given().stop_first().ended(entry).stopped_for_a_change(60);
    let given = given.answered(refused(status, code));
    let action = given.decide().action;
    with_slot_after(given.then(), &action).later(10)
}

#[test]
fn a_start_that_is_refused_does_not_let_a_refused_change_be_made_again() {
    let change = refused_after_the_stop(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION");
    let start = change.answered(refused(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"));
    assert_eq!(does_of(&start.pass()), "Start Calling");
    assert!(shows_of(&start.pass()).starts_with("Failed PermissionDenied"));
    let action = start.decide().action;
    let mut given = with_slot_after(start.then(), &action);
    for look in 1..300 {
        given = given.later(20 + look * 300);
        let pass = given.pass();
        assert_eq!(does_of(&pass), "Start Calling", "look {look}");
        given = given.answered(refused(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"));
        assert_eq!(look_of(&given.pass()), "rest", "look {look}");
        let action = given.decide().action;
        given = with_slot_after(given.then(), &action);
    }
}

#[test]
fn a_machine_is_not_stopped_again_for_a_refusal_that_would_pass_by_itself() {
    for (status, code) in [(400, "STOCK_INSUFFICIENT"), (400, "SOME_NEW_REFUSAL")] {
        let given = refused_after_the_stop(status, code);
        let message = ready_message(given.object.status.as_ref().unwrap()).to_owned();
        assert!(message.contains("requested-at"), "{message}");
        assert!(!message.contains("half an hour"), "{message}");
        let runs = given.clone().state("RUNNING");
        let action = runs.decide().action;
        let runs = with_slot_after(runs.then(), &action);
        for later in [20, 1900, 100_000] {
            assert_eq!(does_of(&runs.clone().later(later).pass()), "Nothing Refused", "{code}");
        }
    }
}

#[test]
fn a_stop_that_may_still_come_is_not_forgotten_for_a_change_that_is_refused_in_between() {
    let id = given_call(ChangeKind::Stop, ChangeState::Observed, 400).id.0;
    let late = HistoryEntry { id, ..of_kind(ChangeKind::Stop, HistoryOutcome::Overdue) };
    let runs = given().ended(late).stopped_for_a_change(400).state("RUNNING");
    let given = runs.answered(refused(400, "SOME_NEW_REFUSAL"));
    let action = given.decide().action;
    assert_eq!(does_of(&given.pass()), "Modify Calling");
    let after = with_slot_after(given.then(), &action).later(10);
    let status = after.object.status.as_ref().unwrap();
    assert_eq!(status.history[0].outcome, HistoryOutcome::Overdue);
    assert!(!ready_message(status).contains("was stopped"), "{}", ready_message(status));
    let pass = after.pass();
    assert_eq!(does_of(&pass), "Nothing Refused");
    assert!(pass.verdict.status.restore.is_some());
}

#[test]
fn a_start_that_is_refused_is_not_made_again_at_once() {
    let start = stopped().of_type(LARGE).answered(refused(400, "SOME_NEW_REFUSAL"));
    assert_eq!(does_of(&start.pass()), "Start Calling");
    let action = start.decide().action;
    let after = with_slot_after(start.then(), &action);
    assert_eq!(does_of(&after.clone().later(299).pass()), "Nothing Refused");
    assert_eq!(does_of(&after.later(301).pass()), "Start Calling");
}

#[test]
fn a_read_that_is_refused_while_the_machine_is_off_is_made_again_and_else_is_not() {
    let refused = |given: Given| {
        let error = read_error(401, Some("AUTHFAILURE_UNAUTHORIZED_OPERATION"));
        given.instance_fails(error).then().nothing_read()
    };
    let off = refused(stopped());
    assert_eq!(does_of(&off.clone().later(299).pass()), "Nothing Refused");
    // It stands no more: the next pass reads.
    assert_eq!(does_of(&off.later(300).pass()), "Nothing ReadsStale");
    assert_eq!(does_of(&refused(given()).later(100_000).pass()), "Nothing Refused");
}

#[test]
fn a_start_that_is_refused_is_told_beside_a_change_that_was_refused() {
    let change = refused_after_the_stop(400, "STOCK_INSUFFICIENT");
    let start = change.answered(refused(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"));
    let told: Vec<_> = start.pass().verdict.events.iter().map(|event| event.reason).collect();
    assert_eq!(told, ["PermissionDenied"]);
}

#[test]
fn nothing_that_cannot_be_started_is_looked_at_sooner_than_usual() {
    let recycled = stopped().state("RECYCLE");
    assert_eq!(look_of(&recycled.pass()), "rest");
    assert_eq!(look_of(&stopped_by_token(400).pass()), "rest");
}

#[test]
fn whatever_ends_a_refusal_lets_the_machine_be_stopped_again() {
    let refused = || {
        let given = refused_after_the_stop(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION");
        let runs = given.state("RUNNING");
        let action = runs.decide().action;
        with_slot_after(runs.then(), &action).later(100)
    };
    assert_eq!(does_of(&refused().pass()), "Nothing Refused");
    assert_eq!(does_of(&refused().requested_at("1").pass()), "Stop Calling");
    assert_eq!(does_of(&refused().secret_version("78").pass()), "Stop Calling");
}

#[test]
fn a_stop_that_certainly_did_nothing_leaves_nothing_to_restore() {
    for answer in [Answer::NotSent { cause: "late".into() }, refused(429, "REQUEST_LIMIT_EXCEEDED")]
    {
        let given = given().stop_first().answered(answer);
        let action = given.decide().action;
        let after = with_slot_after(given.then(), &action);
        assert_eq!(after.object.status.as_ref().unwrap().restore, None);
        assert_eq!(after.slot_record().restore, None);
        assert_eq!(does_of(&after.later(10).pass()), "Stop Calling");
    }
}

#[test]
fn a_stop_that_was_accepted_and_given_up_is_still_known_to_the_slot() {
    let given = stopped().in_flight(&given_call(ChangeKind::Stop, ChangeState::Accepted, 301));
    let given = given.state("RUNNING");
    let action = given.decide().action;
    assert_eq!(does_of(&given.pass()), "ReturnSlot GivenUp");
    // The object is deleted and created anew, and the guest stops after all.
    let mut recreated = with_slot_after(given, &action).of_type(LARGE).state("STOPPED");
    recreated.object.status = None;
    assert_eq!(does_of(&recreated.pass()), "Start Calling");
}

#[test]
fn a_change_that_is_set_aside_holds_the_slot_again_after_the_start() {
    let order = given_change(ChangeState::Unverified, 900);
    let given = unverified();
    let action = given.decide().action;
    let Action::Call { change, .. } = &action else { panic!("no call") };
    let started = with_slot_after(given.then(), &action);
    assert_eq!(started.slot_record().holding.unwrap().change, change.id);
    assert_eq!(started.slot_record().set_aside.unwrap().change, order.id);
    let booted = started.state("RUNNING").later(20);
    let action = booted.decide().action;
    let back = with_slot_after(booted.then(), &action).later(30);
    assert_eq!(back.slot_record().holding.as_ref().unwrap().change, order.id);
    assert_eq!(back.slot_record().set_aside, None);
    assert_eq!(does_of(&back.pass()), "Nothing Unverified");
}

#[test]
fn a_start_that_was_never_written_down_does_not_lose_the_change_that_it_set_aside() {
    let given = unverified();
    let order = given_change(ChangeState::Unverified, 900);
    let start = given_call(ChangeKind::Start, ChangeState::Submitting, 5);
    let record = given.slot_record().taken(holding(&start, given_key(UID), HoldingState::Open));
    // The process died between the slot and the intent.
    let crashed = given.slot(record);
    assert_eq!(does_of(&crashed.pass()), "Nothing OutcomeUnknown");
    let late = crashed.then().later(700);
    assert_eq!(does_of(&late.pass()), "ReturnSlot Unverified");
    let action = late.decide().action;
    let back = with_slot_after(late.then(), &action);
    assert_eq!(back.slot_record().holding.unwrap().change, order.id);
}

#[test]
fn a_recreated_object_starts_a_machine_that_its_predecessor_stopped() {
    let mut recreated = given().of_type(LARGE).stopped_for_a_change(60);
    recreated.object.status = None;
    assert_eq!(does_of(&recreated.pass()), "Start Calling");
    // One that does not own the machine does not even remember it.
    let younger = recreated.duplicate_of(None).pass().verdict.status;
    assert_eq!(younger.restore, None);
}

#[test]
fn a_machine_that_stays_off_says_why() {
    let says = |given: Given| ready_message(&given.pass().verdict.status).to_owned();
    let suspended = says(stopped().suspended());
    assert!(suspended.contains("starts it again once changes are allowed"), "{suspended}");
    let in_sync = says(stopped().of_type(LARGE).suspended());
    assert!(!in_sync.contains("it is being started again"), "{in_sync}");
}
