//! Changes of mind and other people's plans: a scheduled change that is taken back, or resumed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryEntry, HistoryOutcome},
    lifecycle::{Change, HoldingState, Outcome},
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, at, given, given_call, given_change, given_entry, not_sent,
        refused, type_id,
    },
    preflight::ordered_by_all,
    table::{Row, check, does, says},
};

const CANCELS: &str = "Changing CancelInProgress Ready=False InSync=False Reconciling";
const FOREIGN: &str = "Waiting ForeignPlan Ready=False InSync=False Reconciling";
const SCHEDULED: &str = "Scheduled ChangeScheduled Ready=True InSync=False";
const GOES: &str = "Changing ChangeInProgress Ready=False InSync=False Reconciling";

/// LARGE is scheduled by this object, HUGE is declared by now.
fn unwanted() -> Given {
    let change = given_change(ChangeState::Observed, 900);
    let given = given().prepaid().in_flight(&change).closed(&change, at(-1)).scheduled(LARGE);
    given.wants(HUGE).generation(4)
}

/// SMALL is in effect and declared again.
fn back() -> Given {
    unwanted().wants(SMALL)
}

fn cancelling(state: ChangeState, ago: i64) -> Given {
    let call = given_call(ChangeKind::CancelDowngrade, state, ago);
    let mut scheduled = given_entry(SMALL, LARGE, 3, HistoryOutcome::Scheduled);
    scheduled.id = "scheduled".into();
    let given = given().prepaid().scheduled(LARGE).ended(scheduled).in_flight(&call);
    given.wants(SMALL).generation(4)
}

pub fn rows() -> Vec<Row> {
    [own(), beside(), limits(), seen(), under_way(), foreign(), resumed()].concat()
}

/// The plan is seen for the first time when it is not wanted any more, and the last day of a cycle.
fn seen() -> Vec<Row> {
    let scheduled = "Scheduled ChangeScheduled Ready=True InSync=False";
    let ends = |seconds: i64| {
        unwanted().wants(LARGE).generation(3).instance(|one| one.expires_at = Some(at(seconds)))
    };
    let cycle_began = |ago: i64| {
        let change = given_change(ChangeState::Observed, 1_000_000);
        let change = Change { effective_at: Some(at(-ago)), ..change };
        given().prepaid().in_flight(&change).scheduled(LARGE)
    };
    let accepted = given_change(ChangeState::Accepted, 60);
    vec![
        (
            "a plan that is seen when another type is declared by now",
            given().prepaid().in_flight(&accepted).scheduled(LARGE).wants(HUGE).generation(4),
            "CloseLane EffectSeen",
            "Waiting CancelInProgress Ready=False InSync=False Reconciling",
            "1s",
        ),
        (
            "more than a day before the cycle ends nothing is warned about",
            ends(86_401),
            "Nothing Progressing",
            scheduled,
            "rest",
        ),
        (
            "on the last day before the cycle ends it is",
            ends(86_400),
            "Nothing Progressing",
            scheduled,
            "rest",
        ),
        (
            "a cycle that should have begun by now is waited for",
            cycle_began(1800),
            "Nothing Progressing",
            scheduled,
            "rest",
        ),
        (
            "not for longer than it is given",
            cycle_began(1801),
            "Nothing Overdue",
            "Failed ChangeOverdue Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "an instance in sync is not warned about",
            given().prepaid().of_type(LARGE).instance(|one| one.expires_at = Some(at(60))),
            "Nothing InSync",
            "InSync InSync Ready=True InSync=True",
            "rest",
        ),
    ]
}

fn own() -> Vec<Row> {
    let none = "Nothing Unwanted";
    let cancels = |name, given| (name, given, "Cancel Calling", CANCELS, "5s");
    vec![
        cancels("a scheduled change that is not wanted any more is cancelled", unwanted()),
        (
            "also when the type in effect is declared again",
            back(),
            "Cancel Calling",
            "Changing CancelInProgress Ready=False InSync=True Reconciling",
            "5s",
        ),
        cancels("the order limit does not hold a cancellation", {
            unwanted().orders(ordered_by_all(100))
        }),
        cancels("a cancellation needs no offer", unwanted().offering(Vec::new())),
        (
            "a scheduled change that is wanted is not cancelled",
            unwanted().wants(LARGE),
            "Nothing Progressing",
            SCHEDULED,
            "rest",
        ),
        (
            "a running change that is not wanted any more is not cancelled",
            unwanted().processing(LARGE),
            "Nothing Progressing",
            GOES,
            "30s",
        ),
        (
            "suspended, it is not cancelled",
            unwanted().suspended(),
            none,
            "Suspended Suspended Ready=True InSync=False",
            "rest",
        ),
        (
            "observed, it is not cancelled",
            unwanted().observing(),
            none,
            "Drifted DriftObserved Ready=True InSync=False",
            "rest",
        ),
        (
            "the younger of two objects cancels nothing",
            unwanted().duplicate_of(None),
            "Nothing DuplicateClaim",
            "Failed DuplicateClaim Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "beside a change of another object nothing is cancelled",
            unwanted().held_by(
                "other",
                &given_change(ChangeState::Submitting, 33),
                HoldingState::Open,
            ),
            "Nothing HeldElsewhere",
            "Waiting ChangeHeldElsewhere Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "a skewed clock cancels nothing",
            unwanted().clock_ahead(300),
            "Nothing ClockSkewed",
            "Failed ClockSkewed Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "stale reads cancel nothing",
            unwanted().read_ago(6),
            "Nothing TooOld",
            "Waiting ReadAgain Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "reads that disagree cancel nothing: what stays would not be known",
            unwanted().type_status(|status| status.current = type_id(HUGE)),
            "Nothing ReadsDisagree",
            "Waiting ReadsDisagree Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "an object that is being deleted cancels nothing",
            unwanted().deleted(5),
            "Nothing Unwanted",
            "Waiting BeingDeleted Ready=False InSync=False Reconciling",
            "rest",
        ),
        (
            "a cancellation that was refused for good is not repeated",
            unwanted().answered(refused(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION")).then(),
            "Nothing Refused",
            "Failed PermissionDenied Ready=False InSync=False Stalled",
            "300s",
        ),
    ]
}

/// As many cancellations without a known answer, the last one ended so long ago.
fn unanswered(given: Given, count: i64, ended: i64) -> Given {
    (0..count).fold(given, |given, number| {
        let generation = given.object.metadata.generation.unwrap();
        let entry = given_entry(LARGE, SMALL, generation, HistoryOutcome::Unverified);
        let (id, kind) = (format!("cancel-{number}"), ChangeKind::CancelDowngrade);
        given.ended(HistoryEntry { id, kind, ended_at: Time(at(-ended)), ..entry })
    })
}

/// The process ended between slot and intent of a cancellation.
fn beside() -> Vec<Row> {
    let cancel = given_call(ChangeKind::CancelDowngrade, ChangeState::Submitting, 60);
    let followed = || unwanted().wants(LARGE).generation(3);
    vec![
        (
            "a slot of ours beside a change that was seen is settled first",
            followed().holding(&cancel, HoldingState::Open),
            "Nothing Withdrawn",
            "Waiting Submitting Ready=False InSync=False Reconciling",
            "1s",
        ),
        (
            "one of another object is waited for: only its own object acts on a lane",
            followed().held_by("other", &cancel, HoldingState::Open),
            "Nothing HeldElsewhere",
            "Waiting ChangeHeldElsewhere Ready=False InSync=False Reconciling",
            "backoff",
        ),
    ]
}

fn limits() -> Vec<Row> {
    let waits = "Waiting AnswersLost Ready=False InSync=False Reconciling";
    vec![
        (
            "after two cancellations without a known answer the third waits",
            unanswered(unwanted(), 2, 599),
            "Nothing AnswersLost",
            waits,
            "5s",
        ),
        ("for ten minutes", unanswered(unwanted(), 2, 600), "Cancel Calling", CANCELS, "5s"),
        (
            "also for a plan of somebody else",
            unanswered(given().prepaid().scheduled(HUGE).cancel_plan(HUGE), 3, 1199),
            "Nothing AnswersLost",
            waits,
            "5s",
        ),
    ]
}

fn under_way() -> Vec<Row> {
    let done = || cancelling(ChangeState::Accepted, 60).plan(None, None);
    vec![
        (
            "an accepted cancellation is waited for",
            cancelling(ChangeState::Accepted, 60),
            "Nothing Accepted",
            "Changing CancelInProgress Ready=False InSync=True Reconciling",
            "12s",
        ),
        (
            "it is complete once no plan shows",
            done(),
            "CloseLane EffectSeen",
            "InSync InSync Ready=True InSync=True",
            "1s",
        ),
        (
            "a third type is ordered after that",
            done().wants(HUGE).then().closed(
                &given_call(ChangeKind::CancelDowngrade, ChangeState::Observed, 60),
                at(250),
            ),
            "Modify Calling",
            GOES,
            "5s",
        ),
        (
            "a plan that shows again within the margin is lag",
            done()
                .then()
                .closed(
                    &given_call(ChangeKind::CancelDowngrade, ChangeState::Observed, 60),
                    at(250),
                )
                .scheduled(LARGE),
            "Nothing ReadLags",
            "InSync InSync Ready=True InSync=True",
            "5s",
        ),
        (
            "of unknown outcome it is waited for",
            cancelling(ChangeState::Submitting, 60).plan(None, None),
            "Nothing Unknown",
            "Submitting OutcomeUnknown Ready=False InSync=True Reconciling",
            "12s",
        ),
        (
            "past its fence no plan shows that it landed",
            cancelling(ChangeState::Submitting, 601).plan(None, None),
            "CloseLane EffectSeen",
            "InSync InSync Ready=True InSync=True",
            "1s",
        ),
        (
            "past its fence a plan shows that it did not, and PREPAID asks nobody",
            cancelling(ChangeState::Submitting, 601),
            "Nothing NotMade",
            "Waiting OutcomeUnverified Ready=False InSync=True Reconciling",
            "1s",
        ),
        (
            "an accepted cancellation that does not show is overdue",
            cancelling(ChangeState::Accepted, 1801),
            "Nothing Overdue",
            "Failed ChangeOverdue Ready=False InSync=True Stalled",
            "rest",
        ),
        (
            "the type flipped before it landed",
            cancelling(ChangeState::Accepted, 400).plan(None, None).of_type(LARGE),
            "Nothing NotInEffect",
            "Failed ChangeNotInEffect Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "without an answer a flip ends it, and the way back is ordered",
            cancelling(ChangeState::Submitting, 601).plan(None, None).of_type(LARGE),
            "Nothing NotMade",
            "Waiting OutcomeUnverified Ready=False InSync=False Reconciling",
            "1s",
        ),
    ]
}

fn foreign() -> Vec<Row> {
    let asked = || given().prepaid().scheduled(HUGE).cancel_plan(HUGE);
    let waits = |name, given| (name, given, "Nothing ForeignPlan", FOREIGN, "rest");
    let cancels = |name, given| (name, given, "Cancel Calling", CANCELS, "5s");
    vec![
        cancels("a person's word cancels a plan that this object did not order", asked()),
        waits("the word for another type cancels nothing", asked().scheduled("c.8c16g")),
        waits("a word counts once", asked().handled_cancel(HUGE)),
        cancels("taken off and set again it counts again", {
            let taken_off = given().prepaid().scheduled(HUGE).handled_cancel(HUGE).then();
            taken_off.cancel_plan(HUGE)
        }),
        (
            "a running plan is not cancelled",
            asked().processing(HUGE),
            "Nothing ForeignPlan",
            FOREIGN,
            "backoff",
        ),
        (
            "suspended, nothing is cancelled",
            asked().suspended(),
            "Nothing Suspended",
            "Suspended Suspended Ready=True InSync=False",
            "rest",
        ),
        (
            "a plan to the declared type is not cancelled by it",
            given().prepaid().scheduled(LARGE).cancel_plan(LARGE),
            "Nothing Adopted",
            SCHEDULED,
            "rest",
        ),
        (
            "the word also helps where the type in effect is declared",
            asked().wants(SMALL),
            "Cancel Calling",
            "Changing CancelInProgress Ready=False InSync=True Reconciling",
            "5s",
        ),
        (
            "stale reads cancel no foreign plan",
            asked().read_ago(6),
            "Nothing TooOld",
            "Waiting ReadAgain Ready=False InSync=False Reconciling",
            "backoff",
        ),
        cancels("a word that could not be sent still counts", {
            asked().answered(not_sent()).step().later(10)
        }),
        cancels("a word whose call came to nothing still counts", {
            let call = given_call(ChangeKind::CancelDowngrade, ChangeState::Submitting, 601);
            let call = Change { from: type_id(HUGE), ..call };
            asked().handled_cancel(HUGE).in_flight(&call).step().step().later(10)
        }),
        cancels("a word that was refused for now still counts", {
            asked().answered(refused(400, "UNSUPPORTED_OPERATION_INSTANCE_STATUS")).step().later(10)
        }),
    ]
}

fn resumed() -> Vec<Row> {
    let open = |outcome| {
        let entry = given_entry(SMALL, LARGE, 3, outcome);
        given().prepaid().target(LARGE, 3).ended(entry).scheduled(LARGE)
    };
    let resumes = |name, given| {
        let shows = "Waiting ChangeInProgress Ready=False InSync=False Reconciling";
        (name, given, "Nothing Resumed", shows, "1s")
    };
    let theirs = |name, given| (name, given, "Nothing Adopted", SCHEDULED, "rest");
    vec![
        resumes("a plan of our own is followed again", open(HistoryOutcome::Scheduled)),
        resumes("also one that did not get there in time", open(HistoryOutcome::Overdue)),
        resumes("also where another type is declared", {
            open(HistoryOutcome::Scheduled).wants(HUGE)
        }),
        resumes("also of a machine that was gone for a moment", open(HistoryOutcome::InstanceGone)),
        theirs("a plan of a completed order is not ours", open(HistoryOutcome::Completed)),
        theirs("a plan of a cancelled order is not ours", open(HistoryOutcome::Cancelled)),
        theirs("a plan of a released order is not ours", open(HistoryOutcome::Released)),
        theirs("a plan of an undone order is not ours", open(HistoryOutcome::Reverted)),
        theirs("a plan of an unverified order is not ours", open(HistoryOutcome::Unverified)),
        (
            "after that it is followed as before",
            open(HistoryOutcome::Scheduled).then(),
            "Nothing Progressing",
            SCHEDULED,
            "rest",
        ),
        (
            "a plan to another type is not the one that was set aside",
            open(HistoryOutcome::Scheduled).scheduled(HUGE),
            "Nothing ForeignPlan",
            FOREIGN,
            "rest",
        ),
    ]
}

#[test]
fn cancel_every_row_holds() {
    check(rows());
}

#[test]
fn a_cancellation_names_what_it_takes_back_and_what_stays() {
    let change = unwanted().order().change;
    assert_eq!((change.from, change.to), (type_id(LARGE), type_id(SMALL)));
    assert_eq!(change.target_generation, 4);
    assert_eq!(change.fence, Some(at(600)));
}

#[test]
fn the_order_stands_in_the_history_while_it_is_cancelled_and_after() {
    let given = unwanted();
    let order = given_change(ChangeState::Observed, 900).id.0;
    let cancel = given.order().change;
    let written = given.crashed_before_the_call().object.status.unwrap();
    assert_eq!(written.history[0].id, order);
    assert_eq!(written.history[0].outcome, HistoryOutcome::Scheduled);
    assert_eq!(written.change.unwrap().id, cancel.id.0);
    assert_eq!(written.order_number.as_deref(), Some("3471"), "a cancellation is no order");

    let after = cancelling(ChangeState::Accepted, 60).plan(None, None).pass().verdict.status;
    let outcomes: Vec<_> = after.history.iter().map(|one| (one.kind, one.outcome)).collect();
    let expected = [
        (ChangeKind::Modify, HistoryOutcome::Cancelled),
        (ChangeKind::CancelDowngrade, HistoryOutcome::Completed),
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn a_cancellation_that_certainly_did_nothing_leaves_the_change_as_it_was() {
    let answers = [
        not_sent(),
        refused(429, "REQUEST_LIMIT_EXCEEDED"),
        refused(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
    ];
    for answer in answers {
        let given = unwanted();
        let before = given.object.status.clone().unwrap();
        let after = given.answered(answer).pass().verdict.status;
        assert_eq!(after.change, before.change);
        assert_eq!(after.history, before.history);
        assert_eq!(after.order_number, before.order_number);
    }
}

#[test]
fn a_cancellation_whose_slot_was_given_back_before_a_crash_resumes_the_order() {
    let given = unwanted();
    let cancel = given.order().change;
    let given = given.crashed_before_the_call().given_back(&cancel).later(5);
    assert_eq!(does(&given), "Nothing Unrecorded");
    let given = given.step();
    assert_eq!(does(&given), "Nothing Resumed");
    let given = given.step();
    let resumed = given.object.status.as_ref().unwrap();
    assert_eq!(resumed.change.as_ref().unwrap().id, given_change(ChangeState::Observed, 900).id.0);
    assert_eq!(resumed.order_number.as_deref(), Some("3471"));
    let left: Vec<_> = resumed.history.iter().map(|entry| (entry.kind, entry.outcome)).collect();
    assert_eq!(left, [(ChangeKind::CancelDowngrade, HistoryOutcome::Unverified)]);
    assert_eq!(does(&given.later(10)), "Cancel Calling");
}

#[test]
fn a_persons_word_is_used_up_with_the_intent_and_not_by_a_lost_race() {
    let given = given().prepaid().scheduled(HUGE).cancel_plan(HUGE);
    let lost = given.clone().outcome(Outcome::LostRace).pass().verdict.status;
    assert_eq!(lost.handled.cancel_plan, None);
    let written = given.crashed_before_the_call().object.status.unwrap();
    assert_eq!(written.handled.cancel_plan.as_deref(), Some(HUGE));
}

#[test]
fn a_cancellation_ends_the_change_that_it_took_back_and_no_other() {
    let stop = given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed);
    let stop = HistoryEntry { id: "stop".into(), kind: ChangeKind::Stop, ..stop };
    let other = given_entry(SMALL, HUGE, 3, HistoryOutcome::Completed);
    let cancelled = cancelling(ChangeState::Accepted, 60).ended(stop).ended(other);
    let status = cancelled.plan(None, None).then().object.status.unwrap();
    let outcomes: Vec<_> = status.history.iter().map(|one| one.outcome).collect();
    let done = HistoryOutcome::Completed;
    assert_eq!(outcomes, [HistoryOutcome::Cancelled, done, done, done]);
}

#[test]
fn a_word_about_another_plan_is_not_used_up_by_an_own_cancellation_nor_by_an_order() {
    let own = unwanted().cancel_plan(HUGE);
    assert_eq!(does(&own), "Cancel Calling");
    assert_eq!(own.then().object.status.unwrap().handled.cancel_plan, None);
    let order = given().cancel_plan(SMALL);
    assert_eq!(does(&order), "Modify Calling");
    assert_eq!(order.then().object.status.unwrap().handled.cancel_plan, None);
}

#[test]
fn a_downgrade_goes_back_in_as_many_passes_as_effects() {
    // Ordered, scheduled, taken back, and nothing more.
    let mut given = back();
    let mut seen = Vec::new();
    for pass in 1..6 {
        seen.push(does(&given));
        given = given.step().later(pass * 10);
        if pass == 1 {
            given = given.plan(None, None);
        }
    }
    let quiet = "Nothing InSync".to_owned();
    assert_eq!(seen[..2], ["Cancel Calling", "CloseLane EffectSeen"]);
    assert!(seen[2..].iter().all(|one| *one == quiet), "{seen:?}");
    assert!(says(&given).contains(SMALL));
}

#[test]
fn a_scheduled_change_keeps_its_deadline_after_the_cycle_begins() {
    let change =
        Change { effective_at: Some(at(-1800)), ..given_change(ChangeState::Observed, 1_000_000) };
    let running = given().prepaid().in_flight(&change).processing(LARGE);
    assert_eq!(does(&running), "Nothing Progressing");
    assert_eq!(does(&running.later(1)), "Nothing Overdue");
}

#[test]
fn a_renewal_that_is_switched_off_is_warned_about() {
    let scheduled = unwanted().wants(LARGE).instance(|one| one.auto_renew = Some(false));
    assert!(says(&scheduled).contains("warning: autoRenew is off"), "{}", says(&scheduled));
    let renewed = unwanted().wants(LARGE).instance(|one| one.auto_renew = Some(true));
    assert!(!says(&renewed).contains("warning"), "{}", says(&renewed));
}
