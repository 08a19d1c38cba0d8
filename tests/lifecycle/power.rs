//! Strategy StopFirst: stop, change, start; and a machine that we stopped is never left stopped.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryEntry, HistoryOutcome},
    lifecycle::{Change, HoldingState, LaneName},
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, UID, at, given, given_call, given_change, given_entry,
        given_key, holding, not_sent, read_error, refused, restore, without_fence,
    },
    preflight::ordered_by_all,
    table::{Row, check, does, look, says, shows},
};

const GOES: &str = "Changing ChangeInProgress Ready=False InSync=False Reconciling";
const STOPS: &str = "Changing StopInProgress Ready=False InSync=False Reconciling";
const STARTS: &str = "Changing StartInProgress Ready=False InSync=False Reconciling";
const STARTS_IN_SYNC: &str = "Changing StartInProgress Ready=False InSync=True Reconciling";
/// No status was written yet, and none is written now.
const NOTHING: &str = " absent Ready=absent InSync=absent";
const STOP_AGAIN: &str = "Waiting StopInProgress Ready=False InSync=False Reconciling";

/// The machine was stopped for a change a minute ago and is off.
fn stopped() -> Given {
    given().stop_first().target(LARGE, 3).stopped_for_a_change(60)
}

/// The same, half an hour ago.
fn stopped_long_ago() -> Given {
    given().stop_first().target(LARGE, 3).stopped_for_a_change(1801)
}

fn stop(state: ChangeState, ago: i64) -> Change {
    given_call(ChangeKind::Stop, state, ago)
}

/// A stop that is in flight, with what it is to be brought back to; the machine still runs.
fn stopping(state: ChangeState, ago: i64) -> Given {
    let stop = stop(state, ago);
    let given = given().stop_first().finalizer(true).in_flight(&stop);
    given.restoring(&restore(&stop.id, stop.started_at))
}

/// A start that is in flight; the machine is of the declared type.
fn starting_back(state: ChangeState, ago: i64) -> Given {
    stopped().of_type(LARGE).in_flight(&given_call(ChangeKind::Start, state, ago))
}

/// As many calls of this kind that came to such an end, the last one so long ago.
fn tried(given: Given, kind: ChangeKind, count: i64, ended: i64) -> Given {
    let outcome = HistoryOutcome::Overdue;
    (0..count).fold(given, |given, number| {
        let (id, ended_at) = (format!("{kind:?}-{number}"), Time(at(-ended)));
        let entry = given_entry(SMALL, LARGE, 3, outcome);
        given.ended(HistoryEntry { id, kind, ended_at, ..entry })
    })
}

/// An order that a person has to settle, while the machine is off.
fn unverified() -> Given {
    stopped().prepaid().in_flight(&given_change(ChangeState::Unverified, 900))
}

pub fn rows() -> Vec<Row> {
    [first(), stopping_rows(), off(), starting(), held_back(), deleted()].concat()
}

fn first() -> Vec<Row> {
    let ready = || given().stop_first().finalizer(true);
    let stops = |name, given| (name, given, "Stop Calling", STOPS, "5s");
    let orders = |name, given| (name, given, "Modify Calling", GOES, "5s");
    let waits = |name, given, look| (name, given, "Nothing DoesNotStop", STOP_AGAIN, look);
    vec![
        (
            "before a running machine is stopped its object is kept from being deleted",
            given().stop_first(),
            "SetFinalizer PowerIsKept",
            NOTHING,
            "1s",
        ),
        stops("then it is stopped", given().stop_first().step()),
        orders("a stopped machine is changed at once", given().stop_first().state("STOPPED")),
        stops("a PREPAID upgrade is stopped for", ready().prepaid().priced(10, 20)),
        stops("a PREPAID change of unknown direction is too", ready().prepaid()),
        orders(
            "a PREPAID downgrade waits for its cycle, so nothing is stopped for it",
            ready().prepaid().priced(20, 10),
        ),
        waits(
            "a machine that was stopped once without its change is not stopped again at once",
            tried(ready(), ChangeKind::Stop, 1, 299),
            "5s",
        ),
        stops("but five minutes later", tried(ready(), ChangeKind::Stop, 1, 300)),
        waits("the next time not before ten", tried(ready(), ChangeKind::Stop, 2, 599), "5s"),
        stops("but then", tried(ready(), ChangeKind::Stop, 2, 600)),
        stops("at the latest after six hours", tried(ready(), ChangeKind::Stop, 40, 21_600)),
        stops("another target begins anew", {
            tried(ready(), ChangeKind::Stop, 3, 0).wants(HUGE).generation(4)
        }),
        (
            "nothing is stopped at the order limit",
            ready().orders(ordered_by_all(100)),
            "Nothing OrderLimit",
            "Waiting OrderLimitReached Ready=False InSync=False Reconciling",
            "113s",
        ),
        (
            "nothing is stopped while suspended, and nothing is kept",
            ready().suspended(),
            "TakeFinalizerOff PowerIsFreeToGo",
            NOTHING,
            "1s",
        ),
        (
            "a stop that was refused for good is not repeated",
            given().stop_first().step().answered(refused(400, "MISSING_PARAMETER")).step(),
            "TakeFinalizerOff PowerIsFreeToGo",
            "Failed RequestInvalid Ready=False InSync=False Stalled",
            "1s",
        ),
        (
            "and its object is not kept",
            given().stop_first().step().answered(refused(400, "MISSING_PARAMETER")).step().step(),
            "Nothing Refused",
            "Failed RequestInvalid Ready=False InSync=False Stalled",
            "300s",
        ),
        (
            "beside a stop of another object nothing is stopped",
            ready().held_by("other", &stop(ChangeState::Accepted, 60), {
                HoldingState::Accepted { at: at(-60), order_number: None, request_id: None }
            }),
            "Nothing HeldElsewhere",
            "Waiting ChangeHeldElsewhere Ready=False InSync=False Reconciling",
            "backoff",
        ),
    ]
}

fn stopping_rows() -> Vec<Row> {
    let observed = |ago, until| {
        stopping(ChangeState::Observed, ago).closed(&stop(ChangeState::Observed, ago), at(until))
    };
    vec![
        (
            "an accepted stop is waited for",
            stopping(ChangeState::Accepted, 60),
            "Nothing PowerUnderWay",
            STOPS,
            "12s",
        ),
        (
            "its beginning closes the lane",
            stopping(ChangeState::Accepted, 60).state("STOPPING"),
            "CloseLane PowerSeen",
            STOPS,
            "12s",
        ),
        (
            "so does its end",
            stopping(ChangeState::Accepted, 60).state("STOPPED"),
            "CloseLane PowerSeen",
            STOPS,
            "1s",
        ),
        (
            "a guest that shuts down is waited for",
            observed(60, 250).state("STOPPING"),
            "Nothing PowerUnderWay",
            STOPS,
            "12s",
        ),
        (
            "a read that lags behind it is waited for",
            observed(60, 250),
            "Nothing PowerUnderWay",
            STOPS,
            "12s",
        ),
        (
            "a machine that is off completes it",
            observed(60, 250).state("STOPPED"),
            "Nothing PowerCompleted",
            STOPS,
            "1s",
        ),
        (
            "a guest that goes on running is decided anew",
            observed(290, -1),
            "Nothing PowerNoEffect",
            STOP_AGAIN,
            "1s",
        ),
        (
            "a guest that shuts down too slowly is, too",
            observed(301, -1).state("STOPPING"),
            "Nothing PowerNoEffect",
            STOP_AGAIN,
            "1s",
        ),
        (
            "an accepted stop past its deadline is waited for until its fence",
            stopping(ChangeState::Accepted, 600),
            "Nothing PowerUnderWay",
            STOPS,
            "30s",
        ),
        (
            "an accepted stop that never begins is decided anew, and asks nobody",
            stopping(ChangeState::Accepted, 601),
            "Nothing PowerNoEffect",
            STOP_AGAIN,
            "1s",
        ),
        (
            "the lane of a stop is freed after the status says so",
            stopping(ChangeState::Accepted, 601).step(),
            "FreeLane Freed",
            STOP_AGAIN,
            "1s",
        ),
        (
            "a stop of unknown outcome is waited for though the machine is off",
            stopping(ChangeState::Submitting, 60).state("STOPPED"),
            "Nothing PowerUnknown",
            "Submitting OutcomeUnknown Ready=False InSync=False Reconciling",
            "12s",
        ),
        (
            "past its fence a machine that is off shows that it landed",
            stopping(ChangeState::Submitting, 601).state("STOPPED"),
            "CloseLane PowerSeen",
            STOPS,
            "1s",
        ),
        (
            "past its fence a machine that runs shows that it did not, and PREPAID asks nobody",
            stopping(ChangeState::Submitting, 601).prepaid(),
            "Nothing PowerNoEffect",
            STOP_AGAIN,
            "1s",
        ),
        (
            "a token's stop is waited for as long as any other one",
            stopping_by_token(1801).known_for(899),
            "Nothing PowerUnknown",
            "Submitting OutcomeUnknown Ready=False InSync=False Reconciling",
            "30s",
        ),
        (
            "and then decided anew",
            stopping_by_token(1801),
            "Nothing PowerNoEffect",
            STOP_AGAIN,
            "1s",
        ),
        (
            "an edit back to the type in effect does not forget a stop that is under way",
            stopping(ChangeState::Accepted, 60).wants(SMALL).generation(4),
            "Nothing PowerUnderWay",
            "Changing StopInProgress Ready=False InSync=True Reconciling",
            "12s",
        ),
        (
            "an order that needs the machine off waits while it shuts down",
            stopping(ChangeState::Observed, 60).state("STOPPING"),
            "Nothing PowerUnderWay",
            STOPS,
            "12s",
        ),
    ]
}

/// A token's stop without an answer.
fn stopping_by_token(ago: i64) -> Given {
    let stop = without_fence(stop(ChangeState::Submitting, ago));
    let given = given().bearer().stop_first().finalizer(true).in_flight(&stop);
    given.restoring(&restore(&stop.id, stop.started_at))
}

fn off() -> Vec<Row> {
    let starts = |name, given| (name, given, "Start Calling", STARTS, "5s");
    let order = |state, ago| stopped().in_flight(&given_change(state, ago));
    let entry = || given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed);
    let foreign = "Waiting ForeignPlan Ready=False InSync=False Reconciling";
    let ordered_long_ago =
        |given: Given| given.ended(entry()).in_flight(&given_change(ChangeState::Submitting, 60));
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
            "Nothing Unknown",
            "Submitting OutcomeUnknown Ready=False InSync=False Reconciling",
            "12s",
        ),
        (
            "not even where the start has been due for long: the order is settled first",
            ordered_long_ago(stopped_long_ago().prepaid()),
            "Nothing Unknown",
            "Submitting OutcomeUnknown Ready=False InSync=False Reconciling",
            "12s",
        ),
        starts("a refused change starts it", {
            stopped()
                .answered(refused(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"))
                .step()
                .later(5)
        }),
        (
            "a foreign plan is waited for",
            stopped().processing(HUGE),
            "Nothing ForeignPlan",
            foreign,
            "backoff",
        ),
        starts("not for ever", stopped_long_ago().processing(HUGE)),
        starts("nor is the order limit", stopped_long_ago().orders(ordered_by_all(100))),
        starts("nor two reads that disagree", {
            stopped_long_ago().type_status(|one| one.current = crate::given::type_id(HUGE))
        }),
        starts("nor a plan that cannot be read", stopped_long_ago().plan_is_missing()),
        starts("nor an order that is refused for now over and over", stopped_long_ago()),
        (
            "an object that does not own the machine leaves it to the owner",
            stopped().duplicate_of(None).of_type(LARGE).finalizer(false),
            "Nothing DuplicateClaim",
            "Failed DuplicateClaim Ready=False InSync=True Stalled",
            "12s",
        ),
        (
            "but not for ever",
            stopped_long_ago().duplicate_of(None).of_type(LARGE),
            "Start Calling",
            STARTS_IN_SYNC,
            "5s",
        ),
        (
            "nor is it kept from being deleted for that",
            stopped().duplicate_of(None).deleted(5),
            "TakeFinalizerOff PowerIsFreeToGo",
            " absent Ready=absent InSync=absent",
            "1s",
        ),
        (
            "a machine that a person stopped stays off",
            given().stop_first().of_type(LARGE).state("STOPPED"),
            "Nothing InSync",
            "InSync InSync Ready=True InSync=True",
            "rest",
        ),
    ]
}

fn starting() -> Vec<Row> {
    let again = "Waiting StartInProgress Ready=False InSync=True Reconciling";
    let back = || stopped().of_type(LARGE);
    let failed = |count, ended| tried(back(), ChangeKind::Start, count, ended);
    let observed = |ago: i64, until| {
        let start = given_call(ChangeKind::Start, ChangeState::Observed, ago);
        starting_back(ChangeState::Observed, ago).closed(&start, at(until))
    };
    vec![
        (
            "an accepted start is waited for",
            starting_back(ChangeState::Accepted, 60),
            "Nothing InSync",
            STARTS_IN_SYNC,
            "12s",
        ),
        (
            "a machine that boots closes the lane",
            starting_back(ChangeState::Accepted, 60).state("BOOTING"),
            "CloseLane PowerSeen",
            STARTS_IN_SYNC,
            "12s",
        ),
        (
            "a start of unknown outcome is waited for, and told beside what is so",
            starting_back(ChangeState::Submitting, 60),
            "Nothing InSync",
            STARTS_IN_SYNC,
            "12s",
        ),
        (
            "past its fence it is decided anew",
            starting_back(ChangeState::Submitting, 601),
            "Nothing PowerNoEffect",
            again,
            "1s",
        ),
        (
            "an accepted start that never shows is decided anew, and asks nobody",
            starting_back(ChangeState::Accepted, 601),
            "Nothing PowerNoEffect",
            again,
            "1s",
        ),
        (
            "one start without effect is followed by the next ten seconds later: not before",
            failed(1, 9),
            "Nothing InSync",
            STARTS_IN_SYNC,
            "12s",
        ),
        (
            "one start without effect is followed by the next ten seconds later",
            failed(1, 10),
            "Start Calling",
            STARTS_IN_SYNC,
            "5s",
        ),
        (
            "the pauses grow to ten minutes: not before",
            failed(10, 599),
            "Nothing InSync",
            STARTS_IN_SYNC,
            "12s",
        ),
        (
            "the pauses grow to ten minutes, and it never rests with a person",
            failed(10, 600),
            "Start Calling",
            STARTS_IN_SYNC,
            "5s",
        ),
        (
            "a machine that boots is complete once it runs",
            observed(60, 250).state("RUNNING"),
            "Nothing PowerCompleted",
            STARTS_IN_SYNC,
            "1s",
        ),
        (
            "a machine is started at once where its change has just ended",
            stopped().in_flight(&given_change(ChangeState::Accepted, 50)).of_type(LARGE),
            "CloseLane EffectSeen",
            STARTS_IN_SYNC,
            "1s",
        ),
        (
            "a machine that runs again has nothing to be brought back to",
            back().state("RUNNING"),
            "EndRestore PowerRestored",
            again,
            "1s",
        ),
        (
            "its object is not kept any longer",
            back().state("RUNNING").step(),
            "TakeFinalizerOff PowerIsFreeToGo",
            again,
            "1s",
        ),
        (
            "and it is in sync",
            back().state("RUNNING").step().step(),
            "Nothing InSync",
            "InSync InSync Ready=True InSync=True",
            "rest",
        ),
        (
            "not while reads may lag behind the stop",
            back().closed(&stop(ChangeState::Observed, 90), at(100)).state("RUNNING"),
            "Nothing ReadLags",
            "Waiting ReadsDisagree Ready=False InSync=True Reconciling",
            "5s",
        ),
        (
            "nor while the stop may still come",
            stopping(ChangeState::Submitting, 60).of_type(LARGE),
            "Nothing PowerUnknown",
            "Submitting OutcomeUnknown Ready=False InSync=True Reconciling",
            "12s",
        ),
    ]
}

fn held_back() -> Vec<Row> {
    let back = || stopped().of_type(LARGE);
    let held = "Waiting ChangeHeldElsewhere Ready=False InSync=True Reconciling";
    let open = || given_change(ChangeState::Submitting, 60);
    vec![
        (
            "suspended, it is not started",
            back().suspended(),
            "Nothing InSync",
            "Suspended Suspended Ready=True InSync=True",
            "rest",
        ),
        (
            "observed, it is not started",
            back().observing(),
            "Nothing InSync",
            "Drifted DriftObserved Ready=True InSync=True",
            "rest",
        ),
        (
            "suspended, neither changed nor started",
            stopped().suspended(),
            "Nothing Suspended",
            "Suspended Suspended Ready=True InSync=False",
            "rest",
        ),
        (
            "observed, neither changed nor started",
            stopped().observing(),
            "Nothing Drift",
            "Drifted DriftObserved Ready=True InSync=False",
            "rest",
        ),
        (
            "a skewed clock starts nothing, and says so",
            back().clock_ahead(300),
            "Nothing ClockSkewed",
            "Failed ClockSkewed Ready=False InSync=True Stalled",
            "12s",
        ),
        (
            "a skewed clock does not hold up the change that is followed",
            stopped_long_ago()
                .in_flight(&given_change(ChangeState::Observed, 60))
                .processing(LARGE)
                .clock_ahead(300),
            "Nothing Progressing",
            GOES,
            "12s",
        ),
        (
            "a read of the instance that is too old starts nothing",
            back().read_ago(6),
            "Nothing TooOld",
            "Waiting ReadAgain Ready=False InSync=True Reconciling",
            "backoff",
        ),
        (
            "beside an order that may still take effect nothing is started",
            back().held_by("other", &open(), HoldingState::Open),
            "Nothing HeldElsewhere",
            held,
            "backoff",
        ),
        (
            "beside an order that was accepted it is, once the start has been due for long",
            stopped_long_ago().in_flight(&given_change(ChangeState::Accepted, 60)),
            "Start Calling",
            STARTS,
            "5s",
        ),
        (
            "a start of another object is waited for",
            back().held_by(
                "other",
                &given_call(ChangeKind::Start, ChangeState::Accepted, 60),
                HoldingState::Accepted { at: at(-60), order_number: None, request_id: None },
            ),
            "Nothing InSync",
            STARTS_IN_SYNC,
            "12s",
        ),
    ]
}

/// The object of a machine that is off is being deleted.
fn deleted() -> Vec<Row> {
    let going = |ago| stopped().deleted(ago);
    let gone = "Waiting BeingDeleted Ready=False InSync=False Reconciling";
    let start = "Waiting StartInProgress Ready=False InSync=False Reconciling";

    vec![
        (
            "its machine is started at once, whatever the change waits for",
            going(5),
            "Start Calling",
            STARTS,
            "5s",
        ),
        (
            "also beside a change in flight",
            going(5).in_flight(&given_change(ChangeState::Accepted, 60)),
            "Start Calling",
            STARTS,
            "5s",
        ),
        (
            "not before an open order is settled",
            going(5).in_flight(&given_change(ChangeState::Submitting, 60)),
            "Nothing Unknown",
            "Submitting OutcomeUnknown Ready=False InSync=False Reconciling",
            "12s",
        ),
        (
            "it is kept while the start is under way",
            going(60).in_flight(&given_call(ChangeKind::Start, ChangeState::Accepted, 50)),
            "Nothing BeingDeleted",
            gone,
            "10s",
        ),
        (
            "it is released once the machine runs",
            going(60).state("RUNNING").step(),
            "TakeFinalizerOff PowerIsFreeToGo",
            start,
            "1s",
        ),
        (
            "one that has stopped nothing yet is released at once",
            given().stop_first().finalizer(true).deleted(1),
            "TakeFinalizerOff PowerIsFreeToGo",
            NOTHING,
            "1s",
        ),
        (
            "one that is kept by somebody else orders nothing",
            given().deleted(100),
            "Nothing BeingDeleted",
            gone,
            "rest",
        ),
        (
            "nor does it stop the machine",
            given().stop_first().deleted(100),
            "Nothing BeingDeleted",
            gone,
            "rest",
        ),
        (
            "suspend holds the start back",
            going(3599).suspended(),
            "Nothing BeingDeleted",
            gone,
            "rest",
        ),
        (
            "for an hour: then the machine is left as it is",
            going(3601).suspended(),
            "EndRestore PowerLeftAsItIs",
            start,
            "1s",
        ),
        (
            "and the object is released",
            going(3601).suspended().step(),
            "TakeFinalizerOff PowerIsFreeToGo",
            start,
            "1s",
        ),
        (
            "a machine that is gone is not waited for",
            going(60).missing_for(300),
            "EndRestore PowerRestored",
            "Waiting StartInProgress Ready=False InSync=Unknown Reconciling",
            "1s",
        ),
        (
            "one that is missing for a moment is",
            going(60).missing_for(299),
            "Nothing InstanceGone",
            "Failed InstanceNotFound Ready=False InSync=Unknown Stalled",
            "rest",
        ),
    ]
}

#[test]
fn nothing_is_stopped_while_the_prices_that_tell_which_way_it_goes_are_to_be_read_again() {
    let ready = || given().stop_first().finalizer(true).prepaid();
    let throttled = read_error(429, Some("REQUEST_LIMIT_EXCEEDED"));
    assert_eq!(does(&ready().price_fails(throttled)), "Nothing ReadFailed");
    let no_such_price = read_error(400, Some("INVALID_PARAMETER"));
    assert_eq!(does(&ready().price_fails(no_such_price)), "Stop Calling");
}

#[test]
fn power_every_row_holds() {
    check(rows());
}

#[test]
fn what_to_restore_is_written_to_the_slot_with_the_stop() {
    let order = given().stop_first().finalizer(true).order();
    let restore = order.taken.restore().unwrap();
    assert_eq!(restore.power_state, "RUNNING");
    assert_eq!((&restore.stopped_by, restore.since), (&order.change.id, at(0)));
    assert_eq!(order.restore.as_ref(), Some(restore));
    let modify = stopped().order();
    assert_eq!(modify.taken.restore(), modify.slot.record.restore(), "another call keeps it");
}

/// Stopped, and then the change was refused like this.
fn refused_after_the_stop(status: u16, code: &str) -> Given {
    let stop = stop(ChangeState::Observed, 90);
    let entry = given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed);
    let (id, ended_at) = (stop.id.0, Time(at(-60)));
    let entry = HistoryEntry { id, ended_at, kind: ChangeKind::Stop, ..entry };
    let given = given().stop_first().ended(entry).target(LARGE, 3).stopped_for_a_change(60);
    given.answered(refused(status, code)).step().later(10)
}

#[test]
fn a_start_that_is_refused_does_not_let_a_refused_change_be_made_again() {
    let denied = || refused(400, "MISSING_PARAMETER");
    let mut given = refused_after_the_stop(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED");
    for pass in 0..300 {
        given = given.later(10 + pass * 300).answered(denied());
        assert_eq!(does(&given), "Start Calling", "look {pass}");
        assert_eq!(look(&given), "rest", "look {pass}");
        given = given.step();
    }
}

#[test]
fn a_machine_is_stopped_again_for_a_refusal_that_passes_but_seldom() {
    for (status, code) in [(400, "STOCK_INSUFFICIENT"), (400, "SOME_NEW_REFUSAL")] {
        let off = refused_after_the_stop(status, code);
        // It was started again, and runs.
        let runs = off.freed(&stop(ChangeState::Observed, 90)).state("RUNNING").step().step();
        assert_eq!(does(&runs), "Nothing Refused", "{code}");
        assert_eq!(does(&runs.clone().later(1799)), "Nothing Refused", "{code}");
        let later = runs.later(1800).step();
        assert_eq!(does(&later), "Stop Calling", "{code}");
    }
}

#[test]
fn a_machine_that_runs_again_is_no_news_about_a_refusal() {
    let code = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
    let off = refused_after_the_stop(400, code);
    let runs = off.state("RUNNING").step().step();
    for later in [20, 1900, 100_000] {
        assert_eq!(does(&runs.clone().later(later)), "Nothing Refused", "{later}");
    }
    let runs = runs.later(400);
    assert_eq!(does(&runs.clone().requested_at("1").step()), "Stop Calling");
    assert_eq!(does(&runs.credential("another").step()), "Stop Calling");
}

#[test]
fn a_start_that_is_refused_is_not_made_again_at_once() {
    let start = stopped().of_type(LARGE).answered(refused(400, "SOME_NEW_REFUSAL"));
    assert_eq!(does(&start), "Start Calling");
    let after = start.step();
    assert_eq!(does(&after.clone().later(299)), "Nothing Refused");
    assert_eq!(does(&after.later(300)), "Start Calling");
}

#[test]
fn a_refused_start_whose_pause_is_not_remembered_is_made_again() {
    let mut start = stopped().of_type(LARGE).answered(refused(400, "SOME_NEW_REFUSAL")).step();
    start.status().refusal.as_mut().unwrap().retry_after = None;
    assert_eq!(does(&start.later(1)), "Start Calling");
}

#[test]
fn a_start_that_is_refused_is_told_beside_a_change_that_was_refused() {
    let change = refused_after_the_stop(400, "STOCK_INSUFFICIENT");
    let start = change.answered(refused(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"));
    let told: Vec<_> = start.pass().verdict.events.iter().map(|event| event.reason).collect();
    assert_eq!(told, ["PermissionDenied"]);
    let kept = start.then().object.status.unwrap().refusal.unwrap();
    assert_eq!((kept.kind, kept.reason.as_str()), (ChangeKind::Modify, "OutOfStock"));
}

#[test]
fn nothing_that_cannot_be_started_is_looked_at_sooner_than_usual() {
    assert_eq!(look(&stopped().state("RECYCLE")), "rest");
}

#[test]
fn a_stop_that_certainly_did_nothing_leaves_nothing_to_restore() {
    for answer in [not_sent(), refused(429, "REQUEST_LIMIT_EXCEEDED")] {
        let after = given().stop_first().step().answered(answer).step();
        assert!(after.object.status.as_ref().unwrap().power.is_empty());
        assert!(after.slot_record().is_free());
        assert_eq!(does(&after.later(10)), "Stop Calling");
    }
}

#[test]
fn a_stop_that_is_freed_takes_what_the_machine_is_brought_back_to_along() {
    let freed = stopping(ChangeState::Accepted, 601).step().step();
    assert!(freed.slot_record().is_free(), "{:?}", freed.slot_record());
    // A person stops the machine later: it stays off.
    let off = freed.wants(SMALL).generation(4).state("STOPPED").step();
    assert_eq!(does(&off), "Nothing InSync");
}

#[test]
fn a_start_is_made_beside_an_order_that_a_person_has_to_settle_and_forgets_nothing() {
    let order = given_change(ChangeState::Unverified, 900);
    let mut given = unverified();
    let mut seen = Vec::new();
    for (later, state) in [(0, "STOPPED"), (20, "BOOTING"), (40, "RUNNING"), (60, "RUNNING")] {
        given = given.later(later).state(state);
        seen.push(does(&given));
        given = given.step();
        let kept = given.object.status.as_ref().unwrap().change.clone();
        assert_eq!(kept.unwrap().id, order.id.0, "{later}");
        assert_eq!(given.slot_record().lane_of(&order.id), Some(LaneName::Type), "{later}");
    }
    let passes = [
        "Start Calling",
        "CloseLane PowerSeen",
        "Nothing PowerCompleted",
        "EndRestore PowerRestored",
    ];
    assert_eq!(seen, passes);
    assert_eq!(does(&given), "TakeFinalizerOff PowerIsFreeToGo");
    assert_eq!(does(&given.step()), "Nothing Unverified");
}

#[test]
fn a_start_that_was_never_written_down_is_given_back_beside_the_order() {
    let order = given_change(ChangeState::Unverified, 900);
    let start = given_call(ChangeKind::Start, ChangeState::Submitting, 5);
    // The process died between the slot and the intent.
    let crashed =
        unverified().held(LaneName::Power, &holding(&start, given_key(UID), HoldingState::Open));
    assert_eq!(does(&crashed), "Nothing Withdrawn");
    let back = crashed.step();
    assert_eq!(does(&back), "FreeLane Freed");
    let back = back.step();
    assert_eq!(back.slot_record().lane_of(&order.id), Some(LaneName::Type));
    assert!(back.slot_record().restore().is_some(), "only a stop takes it along");
    assert_eq!(does(&back), "Start Calling");
}

#[test]
fn a_recreated_object_starts_a_machine_that_its_predecessor_stopped() {
    let mut recreated = given().of_type(LARGE).stopped_for_a_change(60).finalizer(false);
    recreated.object.status = None;
    assert_eq!(does(&recreated), "Start Calling");
}

#[test]
fn a_machine_that_stays_off_says_why() {
    let suspended = says(&stopped().suspended());
    assert!(suspended.contains("starts it again once changes are allowed"), "{suspended}");
    let in_sync = says(&stopped().of_type(LARGE).suspended());
    assert!(!in_sync.contains("it is being started again"), "{in_sync}");
    let waits = says(&stopped().processing(HUGE));
    assert!(waits.contains("the operator stopped the machine for a change"), "{waits}");
}

#[test]
fn a_machine_that_is_left_off_is_told_once() {
    let told = |given: &Given| {
        let events = given.pass().verdict.events;
        events.into_iter().map(|event| event.reason).collect::<Vec<_>>()
    };
    let left = stopped().deleted(3601).suspended();
    assert_eq!(told(&left), ["InstanceLeftStopped"]);
    let next = left.step();
    assert_eq!((does(&next), told(&next)), ("TakeFinalizerOff PowerIsFreeToGo".into(), vec![]));
}

#[test]
fn an_object_that_nothing_can_be_read_for_is_released_at_its_bound_all_the_same() {
    use crate::given::{read_error, transport};
    use zenlayer_vm_operator::lifecycle::SecretState;
    type Case = (&'static str, fn(Given) -> Given);
    let cases: [Case; 6] = [
        ("no Secret", |given| given.cloud_unread().secret(SecretState::NotFound)),
        ("no read", |given| given.instance_fails(transport())),
        ("a refused read", |given| given.instance_fails(read_error(401, None))),
        ("no slot", |given| given.slot_fails("forbidden")),
        ("a slot of another version", |given| given.of_another_version(LaneName::Type)),
        ("no quota", |mut given| {
            given.observed.quota = Some(crate::given::secs(5));
            given.cloud_unread()
        }),
    ];
    for (what, break_it) in cases {
        let kept = break_it(stopped().deleted(3600));
        assert!(does(&kept).starts_with("Nothing "), "{what}: {}", does(&kept));
        // That is told while there is still an object to tell it of.
        let over = break_it(stopped().deleted(3601));
        assert_eq!(does(&over), "Nothing PowerLeftAsItIs", "{what}");
        let events = over.pass().verdict.events;
        assert_eq!(events[0].reason, "InstanceLeftStopped", "{what}");
        assert_eq!(does(&over.step()), "TakeFinalizerOff PowerIsFreeToGo", "{what}");
    }
    let mut spoilt = stopped().deleted(3601);
    spoilt.status().order_number = Some(String::new());
    assert_eq!(does(&spoilt), "TakeFinalizerOff InvalidStatus");
    assert!(shows(&spoilt).starts_with("Failed InvalidStatus"));
}
