//! No change in flight: what holds a submit back, and what does not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use zenlayer_vm_operator::{
    api::{ChangeState, HistoryEntry, HistoryOutcome},
    lifecycle::{Change, Read, Size},
};

use crate::{
    given::{Given, HUGE, LARGE, SMALL, at, given, given_change, given_entry, type_id},
    table::{Row, check},
};

const GOES: &str = "Changing ChangeInProgress Ready=False InSync=False Reconciling";
const IN_SYNC: &str = "InSync InSync Ready=True InSync=True";
const BUSY: &str = "Waiting InstanceBusy Ready=False InSync=False Reconciling";
const DISAGREE: &str = "Waiting ReadsDisagree Ready=False InSync=False Reconciling";
const READ_AGAIN: &str = "Waiting ReadAgain Ready=False InSync=False Reconciling";
const REVERTED: &str = "Failed Reverted Ready=False InSync=False Stalled";
const FOREIGN: &str = "Waiting ForeignPlan Ready=False InSync=False Reconciling";

fn submitted(name: &'static str, given: Given) -> Row {
    (name, given, "Modify Calling", GOES, "5s")
}

/// A change of this object that was seen five minutes ago.
fn seen_before() -> Change {
    given_change(ChangeState::Observed, 300)
}

pub fn rows() -> Vec<Row> {
    let tables = [plans(), adopted(), policies(), states(), clocks(), expectations(), targets()];
    [tables.concat(), lost_answers()].concat()
}

fn plans() -> Vec<Row> {
    let foreign = "Nothing ForeignPlan";
    let ours = "Nothing Adopted";
    vec![
        submitted("what nothing holds back is submitted", given()),
        submitted("a PREPAID change is submitted", given().prepaid()),
        submitted("Disable is no plan", given().plan(None, Some("Disable"))),
        submitted(
            "Enable beside another target is no plan",
            given().plan(Some(HUGE), Some("Enable")),
        ),
        submitted(
            "Enable beside our target is not success",
            given().plan(Some(LARGE), Some("Enable")),
        ),
        submitted("a target equal to the current type is no plan", given().plan(Some(SMALL), None)),
        (
            "the declared type is in sync without asking for a plan",
            given().of_type(LARGE).then().only_the_instance(),
            "Nothing InSync",
            IN_SYNC,
            "rest",
        ),
        (
            "the declared type without a plan is in sync",
            given().of_type(LARGE),
            "Nothing InSync",
            IN_SYNC,
            "rest",
        ),
        (
            "the declared type with Enable beside another target is in sync",
            given().of_type(LARGE).plan(Some(HUGE), Some("Enable")),
            "Nothing InSync",
            IN_SYNC,
            "rest",
        ),
        (
            "a plan of somebody else that runs is waited for",
            given().processing(HUGE),
            foreign,
            FOREIGN,
            "backoff",
        ),
        (
            "a plan of somebody else that is scheduled is looked at seldom",
            given().scheduled(HUGE),
            foreign,
            FOREIGN,
            "rest",
        ),
        (
            "a plan in an unknown state is a plan",
            given().plan(Some(HUGE), Some("Melting")),
            foreign,
            FOREIGN,
            "backoff",
        ),
        (
            "a running plan without a target is a plan",
            given().plan(None, Some("Processing")),
            foreign,
            FOREIGN,
            "backoff",
        ),
        (
            "a target without a state is a plan",
            given().plan(Some(HUGE), None),
            foreign,
            FOREIGN,
            "backoff",
        ),
        ("a plan to our target that runs is followed", given().processing(LARGE), ours, GOES, "5s"),
        (
            "a plan to our target that is scheduled is Ready",
            given().prepaid().scheduled(LARGE),
            ours,
            "Scheduled ChangeScheduled Ready=True InSync=False",
            "rest",
        ),
        (
            "a plan to our target in an unknown state is not success",
            given().plan(Some(LARGE), Some("Melting")),
            ours,
            GOES,
            "5s",
        ),
        (
            "a plan away from the declared type is not in sync work",
            given().of_type(LARGE).processing(HUGE),
            foreign,
            "Waiting ForeignPlan Ready=False InSync=True Reconciling",
            "backoff",
        ),
    ]
}

/// Ordered by somebody else, and followed since five minutes.
fn adopted() -> Vec<Row> {
    let change = Change {
        adopted: true,
        fence: None,
        submitted_at: None,
        order_number: None,
        request_id: None,
        size: Size { cpu_count: Some(2), memory_gib: Some(4) },
        ..seen_before()
    };
    let followed = || given().remembering(&change);
    let sized = |given: Given, cores| {
        given.of_type(LARGE).instance(|one| {
            one.cpu_count = Some(cores);
            one.memory_gib = Some(4);
        })
    };
    vec![
        (
            "an adopted change that is shown as enabled is not ordered on top",
            followed().plan(Some(LARGE), Some("Enable")),
            "Nothing Progressing",
            GOES,
            "30s",
        ),
        (
            "an adopted change is complete once the size agrees, too",
            sized(followed(), 2),
            "Nothing Completed",
            IN_SYNC,
            "rest",
        ),
        (
            "an adopted change of a machine that is off is complete, too",
            sized(followed(), 2).state("STOPPED"),
            "Nothing Completed",
            IN_SYNC,
            "rest",
        ),
        (
            "beside a plan that says nothing it goes on",
            sized(followed(), 2).plan(None, Some("Processing")),
            "Nothing Progressing",
            "Changing ChangeInProgress Ready=False InSync=True Reconciling",
            "30s",
        ),
        (
            "not while it shows the old size",
            sized(followed(), 1),
            "Nothing Progressing",
            "Changing ChangeInProgress Ready=False InSync=True Reconciling",
            "30s",
        ),
        (
            "an adopted change that is gone again is not ordered by itself",
            followed(),
            "Nothing Undone",
            REVERTED,
            "1s",
        ),
        ("nor at the next look", followed().then(), "Nothing Reverted", REVERTED, "rest"),
        (
            "an adopted change that waits for its cycle is followed",
            followed().prepaid().scheduled(LARGE),
            "Nothing Progressing",
            "Scheduled ChangeScheduled Ready=True InSync=False",
            "rest",
        ),
        (
            "an adopted change is released when another type is declared",
            followed().prepaid().scheduled(LARGE).wants(HUGE).generation(4),
            "Nothing NoLongerFollowed",
            FOREIGN,
            "1s",
        ),
        (
            "it is not ours to cancel",
            followed().prepaid().scheduled(LARGE).wants(HUGE).generation(4).then(),
            "Nothing ForeignPlan",
            FOREIGN,
            "rest",
        ),
        (
            "an adopted change of a machine that was gone for a moment is not ordered on top",
            {
                let mut back = followed().gone().then();
                back.observed = given().observed;
                back.plan(Some(LARGE), Some("Enable"))
            },
            "Nothing Reverted",
            REVERTED,
            "rest",
        ),
        (
            "nor is it ours to follow as an own one",
            {
                let mut back = followed().gone().then();
                back.observed = given().observed;
                back.prepaid().scheduled(LARGE)
            },
            "Nothing Adopted",
            "Scheduled ChangeScheduled Ready=True InSync=False",
            "rest",
        ),
        (
            "an adopted change that a person released may be ordered",
            {
                let overdue =
                    Change { started_at: at(-4000), deadline: Some(at(-1)), ..change.clone() };
                let stuck = given().remembering(&overdue).plan(Some(LARGE), Some("Enable"));
                stuck.released(&overdue.id.0).then()
            },
            "Modify Calling",
            GOES,
            "5s",
        ),
    ]
}

fn policies() -> Vec<Row> {
    let suspended = "Suspended Suspended Ready=True InSync=False";
    let drifted = "Drifted DriftObserved Ready=True InSync=False";
    vec![
        (
            "a suspended object is not changed",
            given().suspended(),
            "Nothing Suspended",
            suspended,
            "rest",
        ),
        (
            "an observed object is not changed",
            given().observing(),
            "Nothing Drift",
            drifted,
            "rest",
        ),
        (
            "observing wins over suspending",
            given().observing().suspended(),
            "Nothing Drift",
            drifted,
            "rest",
        ),
        (
            "a suspended object may be in sync",
            given().suspended().of_type(LARGE),
            "Nothing InSync",
            IN_SYNC,
            "rest",
        ),
        (
            "an observed object may be in sync",
            given().observing().of_type(LARGE),
            "Nothing InSync",
            IN_SYNC,
            "rest",
        ),
        (
            "an observed object is Ready whatever plan is open",
            given().observing().processing(HUGE),
            "Nothing Drift",
            drifted,
            "rest",
        ),
        (
            "a suspended object is Ready whatever plan is open",
            given().suspended().scheduled(LARGE),
            "Nothing Suspended",
            suspended,
            "rest",
        ),
        (
            "an observed object on a busy instance is Ready",
            given().observing().state("REBOOT"),
            "Nothing Drift",
            drifted,
            "rest",
        ),
        (
            "an observed object whose reads disagree has not drifted for sure",
            given().observing().instance(|one| one.type_id = type_id(HUGE)),
            "Nothing ReadsDisagree",
            DISAGREE,
            "backoff",
        ),
    ]
}

fn states() -> Vec<Row> {
    let busy = |name, state| (name, given().state(state), "Nothing InstanceBusy", BUSY, "backoff");
    let lost = |name, state| {
        let shows = "Failed InstanceRecycled Ready=False InSync=False Stalled";
        (name, given().state(state), "Nothing InstanceUnusable", shows, "rest")
    };
    vec![
        submitted("a stopped instance is changed", given().state("STOPPED")),
        busy("a pending instance is waited for", "PENDING"),
        busy("a deploying instance is waited for", "DEPLOYING"),
        busy("a booting instance is waited for", "BOOTING"),
        busy("a stopping instance is waited for", "STOPPING"),
        busy("a rebooting instance is waited for", "REBOOT"),
        busy("a rebuilding instance is waited for", "REBUILDING"),
        busy("an instance being imaged is waited for", "IMAGING"),
        busy("an instance in an unknown state is waited for", "RESIZING"),
        lost("a recycled instance needs a person", "RECYCLE"),
        lost("an instance on its way to the recycle bin needs a person", "RECYCLING"),
        lost("an instance being destroyed needs a person", "RELEASING"),
        (
            "an instance whose creation failed needs a person",
            given().state("CREATE_FAILED"),
            "Nothing InstanceUnusable",
            "Failed InstanceUnusable Ready=False InSync=False Stalled",
            "rest",
        ),
    ]
}

fn clocks() -> Vec<Row> {
    let skewed = |name, given| {
        let shows = "Failed ClockSkewed Ready=False InSync=False Stalled";
        (name, given, "Nothing ClockSkewed", shows, "rest")
    };
    let not_sure = |name, given, does| (name, given, does, READ_AGAIN, "backoff");
    let stale = |name, given| not_sure(name, given, "Nothing TooOld");
    let forty = || given().disagreeing_for(40 * 60);
    let two_types = |given: Given| given.type_status(|status| status.current = type_id(HUGE));
    vec![
        submitted("a clock 240 s ahead is near enough", given().clock_ahead(240)),
        skewed("a clock 241 s ahead signs nothing", given().clock_ahead(241)),
        submitted("a clock 240 s behind is near enough", given().clock_ahead(-240)),
        skewed("a clock 241 s behind signs nothing", given().clock_ahead(-241)),
        submitted(
            "without Date the skew is unknown and the fence is later",
            given().without_date(),
        ),
        skewed("one Date of two is enough to know the skew", given().dated(Some(at(-300)), None)),
        skewed("the later Date counts too", given().dated(Some(at(0)), Some(at(300)))),
        submitted("reads of 5 s ago are fresh", given().read_ago(5)),
        stale("reads of 6 s ago are stale", given().read_ago(6)),
        stale("reads of the future are not trusted", given().read_ago(-1)),
        stale("the older of two reads counts", {
            let mut given = given();
            if let Some(Ok(reading)) = &mut given.observed.plan {
                reading.sent_at = at(-6);
            }
            given
        }),
        not_sure(
            "no order without a read of the plan",
            given().without(Read::Plan),
            "Nothing TooOld",
        ),
        not_sure(
            "no order without a read of the slot",
            given().without(Read::Slot),
            "Nothing Needs",
        ),
        not_sure(
            "no order from reads that were not made for it",
            given().without(Read::ForACall),
            "Nothing Needs",
        ),
        (
            "no order from reads that disagree",
            two_types(given()),
            "Nothing ReadsDisagree",
            DISAGREE,
            "backoff",
        ),
        (
            "reads that disagree for as long as a change may take are said to a person",
            two_types(forty()),
            "Nothing ReadsDisagree",
            "Failed ReadsDisagree Ready=False InSync=False Stalled",
            "rest",
        ),
        submitted("and no longer than they do", forty()),
        (
            "the declared type in one of two reads is not in sync",
            given().instance(|one| one.type_id = type_id(LARGE)),
            "Nothing ReadsDisagree",
            "Waiting ReadsDisagree Ready=False InSync=True Reconciling",
            "backoff",
        ),
    ]
}

fn expectations() -> Vec<Row> {
    let change = seen_before();
    let lags = |name, given| (name, given, "Nothing ReadLags", DISAGREE, "5s");
    vec![
        lags("a read that contradicts what was just seen lags", given().closed(&change, at(10))),
        lags("the margin includes its last second", given().closed(&change, at(0))),
        submitted("after the margin a contradiction is news", given().closed(&change, at(-1))),
        lags(
            "our own clock counts the margin, too",
            given().known_for(299).closed(&change, at(-1)),
        ),
        submitted("both are past", given().known_for(300).closed(&change, at(-1))),
        lags(
            "without Date our own clock counts a signature's life more",
            given().without_date().known_for(599).closed(&change, at(-5000)),
        ),
        submitted(
            "without Date the margin ends at last",
            given().without_date().known_for(600).closed(&change, at(-5000)),
        ),
        submitted(
            "a read that agrees lets the next call begin at once",
            given().of_type(LARGE).wants(HUGE).closed(&change, at(250)),
        ),
        (
            "a plan that agrees is no contradiction",
            given().closed(&change, at(250)).processing(LARGE),
            "Nothing Adopted",
            GOES,
            "5s",
        ),
    ]
}

fn targets() -> Vec<Row> {
    let ended = |outcome| given().target(LARGE, 3).ended(given_entry(SMALL, LARGE, 3, outcome));
    let once = |name, given| (name, given, "Nothing Reverted", REVERTED, "rest");
    let entry = given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed).id;
    let completed = || ended(HistoryOutcome::Completed);
    let released = "Waiting Released Ready=False InSync=False Reconciling";
    vec![
        once("a completed change is not ordered again for its target", completed()),
        once(
            "a reverted change is not ordered again for its target",
            ended(HistoryOutcome::Reverted),
        ),
        once(
            "a change of an instance that was gone and is back is not ordered again",
            ended(HistoryOutcome::InstanceGone),
        ),
        submitted(
            "an unverified POSTPAID change may be ordered again",
            ended(HistoryOutcome::Unverified),
        ),
        (
            "a change whose record was lost counts as ordered",
            ended(HistoryOutcome::Unrecorded),
            "Nothing Reverted",
            "Failed OutcomeUnverified Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "so does one that a later version has ended",
            ended(HistoryOutcome::Unknown),
            "Nothing Reverted",
            "Failed OutcomeUnverified Ready=False InSync=False Stalled",
            "rest",
        ),
        submitted("a released change may be ordered again", ended(HistoryOutcome::Released)),
        once("toggling suspend does not begin a new target", completed().generation(5)),
        submitted(
            "an order of an earlier target does not count",
            given().generation(5).target(LARGE, 5).ended(given_entry(
                SMALL,
                LARGE,
                3,
                HistoryOutcome::Completed,
            )),
        ),
        submitted(
            "an order from another type does not count",
            given().target(LARGE, 3).ended(given_entry(HUGE, LARGE, 3, HistoryOutcome::Completed)),
        ),
        submitted("another type is another target", completed().wants(HUGE).generation(4)),
        submitted(
            "a type declared, left and declared again is a new target",
            given().generation(5).target(HUGE, 4).ended(given_entry(
                SMALL,
                LARGE,
                3,
                HistoryOutcome::Completed,
            )),
        ),
        (
            "a person allows a reverted change again",
            completed().released(&entry),
            "Nothing OrderedOnceMore",
            released,
            "1s",
        ),
        submitted("after that it is ordered", completed().released(&entry).then()),
        once("a release counts once", completed().released(&entry).handled_release(&entry)),
        once("a release of another change does not count", completed().released("other")),
    ]
}

/// As many calls without a known answer, the last one ended so long ago.
fn unanswered(count: i64, ended: i64) -> Given {
    (0..count).fold(given().target(LARGE, 3), |given, number| {
        let entry = given_entry(SMALL, LARGE, 3, HistoryOutcome::Unverified);
        let ended_at = Time(at(-ended));
        given.ended(HistoryEntry { id: format!("call-{number}"), ended_at, ..entry })
    })
}

/// A POSTPAID call whose answer is lost is made again, with pauses that grow.
fn lost_answers() -> Vec<Row> {
    let shows = "Waiting AnswersLost Ready=False InSync=False Reconciling";
    let waits = |name, given, look| (name, given, "Nothing AnswersLost", shows, look);
    vec![
        submitted("the second call is made at once", unanswered(1, 0)),
        waits("the third is made ten minutes later: not before", unanswered(2, 599), "5s"),
        submitted("the third is made ten minutes later", unanswered(2, 600)),
        waits("the fourth twenty minutes later: not before", unanswered(3, 1199), "5s"),
        submitted("the fourth twenty minutes later", unanswered(3, 1200)),
        waits("no pause is longer than six hours: not before", unanswered(40, 21_599), "5s"),
        submitted("no pause is longer than six hours", unanswered(40, 21_600)),
        submitted("another type begins anew", unanswered(3, 0).wants(HUGE).generation(4)),
        waits("toggling suspend does not", unanswered(3, 0).generation(5), "300s"),
        submitted("a call that certainly was made, and ended, does not count", {
            let completed = given_entry(HUGE, LARGE, 3, HistoryOutcome::Completed);
            given().target(LARGE, 3).ended(completed)
        }),
    ]
}

#[test]
fn at_rest_every_row_holds() {
    check(rows());
}

#[test]
fn a_release_that_was_used_does_not_allow_a_third_order() {
    let id = given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed).id;
    let allowed = given()
        .target(LARGE, 3)
        .ended(given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed))
        .released(&id)
        .then();
    let again = allowed.ended(given_entry(SMALL, LARGE, 3, HistoryOutcome::Reverted));
    let again = again.instance(|_| ());
    // The second order has an id of its own in production; here it is the same, and handled.
    check(vec![("it waits", again, "Nothing Reverted", REVERTED, "rest")]);
}
