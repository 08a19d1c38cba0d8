//! A change in flight: unknown, accepted, observed, unverified, and what ends it.

use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryOutcome},
    lifecycle::{Change, HoldingState, Read},
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, accepted_at, at, given, given_call, given_change, given_entry,
        to, type_id, without_fence,
    },
    table::{Row, check, does, ready_message},
};

const NEXT: &str = "Waiting ChangeInProgress Ready=False InSync=False Reconciling";
const GOES: &str = "Changing ChangeInProgress Ready=False InSync=False Reconciling";
const IN_SYNC: &str = "InSync InSync Ready=True InSync=True";
const UNKNOWN: &str = "Submitting OutcomeUnknown Ready=False InSync=False Reconciling";
const AGAIN: &str = "Waiting OutcomeUnverified Ready=False InSync=False Reconciling";
const ASKS: &str = "Failed OutcomeUnverified Ready=False InSync=False Stalled";
const SCHEDULED: &str = "Scheduled ChangeScheduled Ready=True InSync=False";
const RELEASED: &str = "Waiting Released Ready=False InSync=False Reconciling";
const OVERDUE: &str = "Failed ChangeOverdue Ready=False InSync=False Stalled";

fn submitting(ago: i64) -> Change {
    given_change(ChangeState::Submitting, ago)
}

fn flying(state: ChangeState, ago: i64) -> Given {
    given().in_flight(&given_change(state, ago))
}

fn unknown(name: &'static str, given: Given) -> Row {
    (name, given, "Nothing Unknown", UNKNOWN, "12s")
}

pub fn rows() -> Vec<Row> {
    [before_the_fence(), after_the_fence(), accepted(), observed(), releases(), both_records()]
        .concat()
}

fn before_the_fence() -> Vec<Row> {
    let open = || flying(ChangeState::Submitting, 60);
    vec![
        unknown("an open intent is waited for", open()),
        unknown("an open intent is not repeated though nothing shows", open().prepaid()),
        unknown("a plan to the target does not settle it early", open().processing(LARGE)),
        unknown("a spec that is suspended meanwhile does not settle it", open().suspended()),
        unknown("a spec that only observes meanwhile does not settle it", open().observing()),
        unknown("another target meanwhile does not settle it", open().wants(HUGE).generation(4)),
        unknown("a duplicate claim meanwhile does not settle it", open().duplicate_of(None)),
        unknown("an object that is deleted meanwhile does not settle it", open().deleted(10)),
        unknown("a busy instance does not settle it", open().state("REBOOT")),
        unknown("a release does not free what can still land", {
            open().released(&submitting(60).id.0)
        }),
        (
            "the target type does not settle it early",
            open().of_type(LARGE),
            "Nothing Unknown",
            "Submitting OutcomeUnknown Ready=False InSync=True Reconciling",
            "12s",
        ),
        (
            "looks are 5 s apart at first",
            flying(ChangeState::Submitting, 10),
            "Nothing Unknown",
            UNKNOWN,
            "5s",
        ),
        (
            "looks are 30 s apart at last",
            flying(ChangeState::Submitting, 599),
            "Nothing Unknown",
            UNKNOWN,
            "30s",
        ),
    ]
}

/// The effect of a call without an answer was read, and is gone again when its fence is over.
fn shown_before_the_fence() -> Given {
    flying(ChangeState::Submitting, 300).processing(LARGE).then().plan(None, None).later(301)
}

fn after_the_fence() -> Vec<Row> {
    let open = || flying(ChangeState::Submitting, 601);
    let unverified = || flying(ChangeState::Unverified, 900);
    let token = |state| given().bearer().in_flight(&without_fence(given_change(state, 60)));
    vec![
        ("a POSTPAID change that shows nowhere is over", open(), "Nothing NotMade", AGAIN, "1s"),
        (
            "an order that showed before the fence is not made again",
            shown_before_the_fence(),
            "Nothing Undone",
            "Failed Reverted Ready=False InSync=False Stalled",
            "1s",
        ),
        (
            "one answer that does not show it is none",
            shown_before_the_fence().undone_for(1),
            "Nothing Unknown",
            UNKNOWN,
            "30s",
        ),
        (
            "a process that comes late does not ask before it has looked twice",
            shown_before_the_fence().later(2400).undone_for(0),
            "Nothing Unknown",
            UNKNOWN,
            "30s",
        ),
        (
            "its lane is freed after the status says so",
            shown_before_the_fence().then(),
            "FreeLane Freed",
            "Failed Reverted Ready=False InSync=False Stalled",
            "1s",
        ),
        (
            "and it stays with a person",
            shown_before_the_fence().then().step(),
            "Nothing Reverted",
            "Failed Reverted Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "the lane of what is over is freed after the status says so",
            open().step(),
            "FreeLane Freed",
            AGAIN,
            "1s",
        ),
        ("and it may be made again", open().step().step(), "Modify Calling", GOES, "5s"),
        (
            "a PREPAID change that shows nowhere asks a person",
            open().prepaid(),
            "MarkUnverified Unverified",
            ASKS,
            "rest",
        ),
        (
            "an unknown way of charging asks a person",
            open().charged("SPOT"),
            "MarkUnverified Unverified",
            ASKS,
            "rest",
        ),
        (
            "a slot that says that a person was asked is asked about, too",
            given()
                .prepaid()
                .target(LARGE, 3)
                .remembering(&submitting(900))
                .holding(&submitting(900), HoldingState::Unverified),
            "Nothing Unverified",
            ASKS,
            "rest",
        ),
        (
            "a plan to the target is adopted",
            open().processing(LARGE),
            "CloseLane EffectSeen",
            GOES,
            "30s",
        ),
        (
            "a scheduled plan to the target is adopted",
            open().prepaid().scheduled(LARGE),
            "CloseLane EffectSeen",
            SCHEDULED,
            "rest",
        ),
        (
            "the target type without a plan is adopted",
            open().of_type(LARGE),
            "CloseLane EffectSeen",
            IN_SYNC,
            "rest",
        ),
        (
            "the target type under a plan to another type is not adopted",
            open().of_type(LARGE).processing(SMALL),
            "Nothing NotMade",
            "Waiting OutcomeUnverified Ready=False InSync=True Reconciling",
            "1s",
        ),
        (
            "the target type in one of two reads settles nothing",
            open().type_status(|status| status.current = type_id(LARGE)),
            "Nothing Unknown",
            UNKNOWN,
            "30s",
        ),
        (
            "the target beside Enable says that it was accepted: it is waited for, not made again",
            open().plan(Some(LARGE), Some("Enable")),
            "CloseLane EffectSeen",
            GOES,
            "30s",
        ),
        (
            "Enable beside no target says nothing",
            open().plan(None, Some("Enable")),
            "Nothing NotMade",
            AGAIN,
            "1s",
        ),
        (
            "nor does it beside another one",
            open().plan(Some(HUGE), Some("Enable")),
            "Nothing NotMade",
            AGAIN,
            "1s",
        ),
        (
            "Disable beside the target is no acceptance",
            open().plan(Some(LARGE), Some("Disable")),
            "Nothing NotMade",
            AGAIN,
            "1s",
        ),
        (
            "a cancellation is not taken for accepted because the kept type is shown as enabled",
            given()
                .prepaid()
                .of_type(LARGE)
                .in_flight(&given_call(ChangeKind::CancelDowngrade, ChangeState::Submitting, 601))
                .plan(Some(SMALL), Some("Enable")),
            "Nothing NotMade",
            "Waiting OutcomeUnverified Ready=False InSync=True Reconciling",
            "1s",
        ),
        (
            "also where a person was asked already",
            unverified().plan(Some(LARGE), Some("Enable")),
            "CloseLane EffectSeen",
            GOES,
            "30s",
        ),
        (
            "an adopted change to a type that is not wanted any more goes on",
            { open().of_type(LARGE).wants(HUGE).generation(4) },
            "CloseLane EffectSeen",
            NEXT,
            "1s",
        ),
        (
            "an unverified change goes on asking",
            unverified().prepaid(),
            "Nothing Unverified",
            ASKS,
            "rest",
        ),
        (
            "an unverified change that shows late is adopted",
            unverified().prepaid().of_type(LARGE),
            "CloseLane EffectSeen",
            IN_SYNC,
            "rest",
        ),
        (
            "a token's unknown outcome asks a person after its own time",
            token(ChangeState::Submitting),
            "MarkUnverified Unverified",
            ASKS,
            "rest",
        ),
        (
            "before that it is waited for",
            token(ChangeState::Submitting).known_for(899),
            "Nothing Unknown",
            UNKNOWN,
            "12s",
        ),
        (
            "it may land at any time, so nothing is adopted",
            token(ChangeState::Unverified).of_type(LARGE),
            "Nothing Unverified",
            "Failed OutcomeUnverified Ready=False InSync=True Stalled",
            "rest",
        ),
        (
            "a process that has just begun goes on asking",
            token(ChangeState::Unverified).known_for(0),
            "Nothing Unverified",
            ASKS,
            "rest",
        ),
        (
            "also about a request that has expired",
            unverified().prepaid().known_for(0),
            "Nothing Unverified",
            ASKS,
            "rest",
        ),
        (
            "and adopts what shows: it was waited for before",
            unverified().prepaid().of_type(LARGE).known_for(0),
            "CloseLane EffectSeen",
            IN_SYNC,
            "rest",
        ),
    ]
}

fn accepted() -> Vec<Row> {
    let open = || flying(ChangeState::Accepted, 60);
    let late = || flying(ChangeState::Accepted, 1801);
    let seen = "CloseLane EffectSeen";
    vec![
        ("an accepted change is waited for", open(), "Nothing Accepted", GOES, "12s"),
        (
            "an accepted change closes its slot once the plan shows",
            open().processing(LARGE),
            seen,
            GOES,
            "12s",
        ),
        (
            "an accepted change closes its slot once the type shows",
            open().of_type(LARGE),
            seen,
            IN_SYNC,
            "rest",
        ),
        (
            "an accepted downgrade is scheduled",
            open().prepaid().scheduled(LARGE),
            seen,
            SCHEDULED,
            "rest",
        ),
        (
            "a plan in an unknown state is not success",
            open().plan(Some(LARGE), Some("Melting")),
            seen,
            GOES,
            "12s",
        ),
        (
            "one read of two is not enough",
            open().instance(|one| one.type_id = type_id(LARGE)),
            "Nothing Accepted",
            "Changing ChangeInProgress Ready=False InSync=True Reconciling",
            "12s",
        ),
        (
            "a plan to another type is not its effect",
            open().processing(HUGE),
            "Nothing Accepted",
            GOES,
            "12s",
        ),
        (
            "a plan without a target is not its effect",
            open().plan(None, Some("Processing")),
            "Nothing Accepted",
            GOES,
            "12s",
        ),
        (
            "an accepted change without effect is overdue at its deadline",
            late(),
            "Nothing Overdue",
            OVERDUE,
            "rest",
        ),
        (
            "an overdue change that shows after all closes its slot",
            late().processing(LARGE),
            seen,
            GOES,
            "30s",
        ),
        (
            "an overdue change is not ordered again",
            late().suspended(),
            "Nothing Overdue",
            OVERDUE,
            "rest",
        ),
        (
            "an accepted change of another target goes on",
            open().of_type(LARGE).wants(HUGE).generation(4),
            seen,
            NEXT,
            "1s",
        ),
        (
            "after that the next target is ordered at once",
            open()
                .of_type(LARGE)
                .wants(HUGE)
                .generation(4)
                .then()
                .closed(&given_change(ChangeState::Observed, 60), at(250)),
            "Modify Calling",
            GOES,
            "5s",
        ),
    ]
}

fn observed() -> Vec<Row> {
    let seen = || flying(ChangeState::Observed, 60);
    let change = given_change(ChangeState::Observed, 600);
    let old = || flying(ChangeState::Observed, 600).closed(&change, at(-1));
    let late = || flying(ChangeState::Observed, 1801);
    let begins = |ago: i64| {
        let change = given_change(ChangeState::Observed, 1_000_000);
        given().prepaid().in_flight(&Change { effective_at: Some(at(-ago)), ..change })
    };
    vec![
        (
            "a running change is followed",
            seen().processing(LARGE),
            "Nothing Progressing",
            GOES,
            "12s",
        ),
        (
            "a scheduled change is Ready",
            seen().prepaid().scheduled(LARGE),
            "Nothing Progressing",
            SCHEDULED,
            "rest",
        ),
        (
            "a scheduled change has no deadline",
            late().prepaid().scheduled(LARGE),
            "Nothing Progressing",
            SCHEDULED,
            "rest",
        ),
        (
            "a scheduled change that is not wanted any more is taken back",
            seen().prepaid().scheduled(LARGE).wants(HUGE),
            "Cancel Calling",
            "Changing CancelInProgress Ready=False InSync=False Reconciling",
            "5s",
        ),
        (
            "a change is complete once both reads show the type",
            seen().of_type(LARGE),
            "Nothing Completed",
            IN_SYNC,
            "rest",
        ),
        (
            "Enable beside the target completes it only with the type",
            seen().plan(Some(LARGE), Some("Enable")),
            "Nothing Progressing",
            GOES,
            "12s",
        ),
        (
            "a complete change to a type that is not wanted any more goes on",
            seen().of_type(LARGE).wants(HUGE).generation(4),
            "Nothing Completed",
            "Waiting ChangeInProgress Ready=False InSync=False Reconciling",
            "1s",
        ),
        (
            "a change that vanishes within the margin is lag",
            seen(),
            "Nothing Progressing",
            GOES,
            "12s",
        ),
        (
            "a change that vanishes after the margin was undone",
            old(),
            "Nothing Undone",
            "Failed Reverted Ready=False InSync=False Stalled",
            "1s",
        ),
        (
            "and is not ordered again",
            old().then(),
            "Nothing Reverted",
            "Failed Reverted Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "an undone change that is not wanted any more stalls nobody",
            old().wants(HUGE).generation(4),
            "Nothing Undone",
            "Waiting ChangeInProgress Ready=False InSync=False Reconciling",
            "1s",
        ),
        (
            "reads that disagree after the margin undo nothing",
            old().type_status(|status| status.current = type_id(LARGE)),
            "Nothing Progressing",
            GOES,
            "30s",
        ),
        (
            "a running change is overdue at its deadline",
            late().processing(LARGE),
            "Nothing Overdue",
            OVERDUE,
            "rest",
        ),
        (
            "an overdue change that completes is complete",
            late().of_type(LARGE),
            "Nothing Completed",
            IN_SYNC,
            "rest",
        ),
        (
            "a scheduled change that begins to run is not overdue",
            begins(60).processing(LARGE),
            "Nothing Progressing",
            GOES,
            "30s",
        ),
        (
            "a scheduled change that runs too long is overdue",
            begins(1801).processing(LARGE),
            "Nothing Overdue",
            OVERDUE,
            "rest",
        ),
        (
            "reads that disagree for too long are overdue",
            late().type_status(|status| status.current = type_id(LARGE)),
            "Nothing Overdue",
            OVERDUE,
            "rest",
        ),
        (
            "the expectation of another change does not excuse it",
            {
                let other = Change { id: submitting(9).id, ..change.clone() };
                old().closed(&other, at(250))
            },
            "Nothing Undone",
            "Failed Reverted Ready=False InSync=False Stalled",
            "1s",
        ),
    ]
}

fn releases() -> Vec<Row> {
    let id = |ago| submitting(ago).id.0;
    let unverified = || flying(ChangeState::Unverified, 900).prepaid();
    let token = without_fence(given_change(ChangeState::Unverified, 60));
    let late = flying(ChangeState::Accepted, 1801);
    let running = flying(ChangeState::Observed, 1801).processing(LARGE);
    vec![
        (
            "a person releases an unverified change",
            unverified().released(&id(900)),
            "Nothing Released",
            RELEASED,
            "1s",
        ),
        (
            "the lane of what was released is freed after the status says so",
            unverified().released(&id(900)).step(),
            "FreeLane Freed",
            RELEASED,
            "1s",
        ),
        (
            "after that it may be ordered again",
            unverified().released(&id(900)).step().step(),
            "Modify Calling",
            GOES,
            "5s",
        ),
        (
            "a release of another change changes nothing",
            unverified().released("other"),
            "Nothing Unverified",
            ASKS,
            "rest",
        ),
        (
            "a release that was used changes nothing",
            unverified().released(&id(900)).handled_release(&id(900)),
            "Nothing Unverified",
            ASKS,
            "rest",
        ),
        (
            "a person releases a token's change",
            given().bearer().in_flight(&token).released(&id(60)),
            "Nothing Released",
            RELEASED,
            "1s",
        ),
        (
            "not while it may still take effect",
            flying(ChangeState::Submitting, 60).released(&id(60)).known_for(0),
            "Nothing Unknown",
            UNKNOWN,
            "12s",
        ),
        (
            "a person releases an overdue change",
            late.clone().released(&id(1801)),
            "Nothing Released",
            RELEASED,
            "1s",
        ),
        (
            "a person releases an overdue running change",
            running.released(&id(1801)),
            "Nothing Released",
            RELEASED,
            "1s",
        ),
        (
            "an accepted change within its time is not released",
            flying(ChangeState::Accepted, 60).released(&id(60)),
            "Nothing Accepted",
            GOES,
            "12s",
        ),
    ]
}

fn both_records() -> Vec<Row> {
    let intent = submitting(60);
    let accepted = given_change(ChangeState::Accepted, 60);
    let old = given_change(ChangeState::Accepted, 3600);
    let bare = || given().target(LARGE, 3);
    let orphan = || bare().holding(&intent, HoldingState::Open);
    let withdrawn = "Waiting Submitting Ready=False InSync=False Reconciling";
    vec![
        (
            "an intent whose record is gone counts as ordered",
            bare().remembering(&intent),
            "Nothing Unrecorded",
            "Waiting OutcomeUnknown Ready=False InSync=False Reconciling",
            "1s",
        ),
        (
            "and a person is asked before it is made again",
            bare().remembering(&intent).step(),
            "Nothing Reverted",
            ASKS,
            "rest",
        ),
        (
            "so does an accepted change whose record is gone",
            bare().remembering(&accepted),
            "Nothing Unrecorded",
            "Waiting OutcomeUnknown Ready=False InSync=False Reconciling",
            "1s",
        ),
        (
            "whose effect may show",
            bare().remembering(&accepted).step().of_type(LARGE),
            "Nothing InSync",
            IN_SYNC,
            "rest",
        ),
        (
            "also where another object has taken the lane since then",
            bare().remembering(&intent).held_by("other", &submitting(20), HoldingState::Open),
            "Nothing HeldElsewhere",
            "Waiting ChangeHeldElsewhere Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "the slot knows an answer that the status missed",
            bare().remembering(&intent).holding(&intent, accepted_at(at(-60), "3471")),
            "Nothing Ordered",
            GOES,
            "12s",
        ),
        (
            "the status knows an answer that the slot missed",
            bare().remembering(&accepted).holding(&accepted, HoldingState::Open),
            "KeepAnswer AnswerKept",
            "Waiting ReadAgain Ready=False InSync=False Reconciling",
            "1s",
        ),
        (
            "and then it goes on",
            bare().remembering(&accepted).holding(&accepted, HoldingState::Open).step(),
            "Nothing Accepted",
            GOES,
            "12s",
        ),
        (
            "a lane that closed before the status was written goes on",
            bare().remembering(&accepted).closed(&accepted, at(250)).processing(LARGE),
            "Nothing Progressing",
            GOES,
            "12s",
        ),
        (
            "a lane that closed before an answer was written goes on",
            bare().remembering(&intent).closed(&intent, at(250)).of_type(LARGE),
            "Nothing Completed",
            IN_SYNC,
            "rest",
        ),
        (
            "a lane whose intent never came is given back: the status first",
            orphan(),
            "Nothing Withdrawn",
            withdrawn,
            "1s",
        ),
        ("then the lane", orphan().step(), "FreeLane Freed", withdrawn, "1s"),
        ("and the change is made", orphan().step().step(), "Modify Calling", GOES, "5s"),
        (
            "not while its process may be between the two writes",
            orphan().known_for(4),
            "Nothing BeingMade",
            withdrawn,
            "5s",
        ),
        (
            "no read of the plan is needed for that",
            orphan().without(Read::Plan),
            "Nothing Withdrawn",
            withdrawn,
            "1s",
        ),
        (
            "an accepted slot without an intent is followed",
            bare().holding(&accepted, accepted_at(at(-60), "3471")),
            "Nothing Ordered",
            GOES,
            "12s",
        ),
        (
            "an accepted slot without an intent has a deadline too",
            bare().holding(&old, accepted_at(at(-3600), "3471")),
            "Nothing Overdue",
            OVERDUE,
            "rest",
        ),
        (
            "and a person can release it",
            bare().holding(&old, accepted_at(at(-3600), "3471")).released(&old.id.0),
            "Nothing Released",
            RELEASED,
            "1s",
        ),
        (
            "an unverified slot without an intent asks a person",
            bare().prepaid().holding(&intent, HoldingState::Unverified),
            "Nothing Unverified",
            ASKS,
            "rest",
        ),
        (
            "a change in flight whose plan is not there is told to a person in its time",
            flying(ChangeState::Observed, 1801).plan_is_missing().disagreeing_for(1800),
            "Nothing ReadsDisagree",
            "Failed ReadsDisagree Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "not before",
            flying(ChangeState::Observed, 1801).plan_is_missing().disagreeing_for(1799),
            "Nothing ReadsDisagree",
            "Waiting ReadsDisagree Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "a call without an answer is not judged without the plan",
            flying(ChangeState::Unverified, 1801).plan_is_missing(),
            "Nothing ReadsDisagree",
            "Waiting ReadsDisagree Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "a change in flight is not judged before the plan is read",
            flying(ChangeState::Submitting, 60).of_type(LARGE).without(Read::Plan),
            "Nothing Needs",
            "Waiting ReadAgain Ready=False InSync=True Reconciling",
            "backoff",
        ),
        (
            "a lane of ours without an intent is given back beside a change that was seen",
            {
                let seen = given_change(ChangeState::Observed, 900);
                let seen = bare().remembering(&seen).closed(&seen, at(-1)).processing(LARGE);
                seen.holding(&intent, HoldingState::Open)
            },
            "Nothing Withdrawn",
            withdrawn,
            "1s",
        ),
        (
            "and the change that was seen goes on",
            {
                let seen = given_change(ChangeState::Observed, 900);
                let seen = bare().remembering(&seen).closed(&seen, at(-1)).processing(LARGE);
                seen.holding(&intent, HoldingState::Open).step().step()
            },
            "Nothing Progressing",
            GOES,
            "30s",
        ),
    ]
}

#[test]
fn what_a_person_released_is_remembered_as_that() {
    let change = given_change(ChangeState::Unverified, 900);
    let released = given().prepaid().in_flight(&change).released(&change.id.0).then();
    let status = released.object.status.unwrap();
    assert_eq!(status.history[0].id, change.id.0);
    assert_eq!(status.history[0].outcome, HistoryOutcome::Released);
}

#[test]
fn in_flight_every_row_holds() {
    check(rows());
}

/// What the status holds after the pass.
fn status(given: &Given) -> zenlayer_vm_operator::api::VmInstanceStatus {
    given.pass().verdict.status
}

#[test]
fn an_open_intent_stays_as_it_is_in_the_status() {
    let given = flying(ChangeState::Submitting, 60);
    assert_eq!(status(&given).change, given.object.status.clone().unwrap().change);
}

#[test]
fn an_adopted_change_says_that_its_order_number_is_unknown() {
    let after = status(&flying(ChangeState::Submitting, 601).of_type(LARGE));
    assert!(ready_message(&after).contains("order number unknown"), "{after:?}");
    assert_eq!(after.change, None);
    assert_eq!(after.history[0].outcome, HistoryOutcome::Completed);
}

#[test]
fn a_change_that_only_the_slot_knows_does_not_borrow_an_older_order_number() {
    let open = submitting(601);
    let mut given = given().held_by("gone", &open, HoldingState::Open).holder_is_gone();
    given.status().order_number = Some("3000".into());
    given.status().request_id = Some("T-OLD".into());
    let after = status(&given.of_type(LARGE));
    assert_eq!((after.order_number.clone(), after.request_id.clone()), (None, None));
    assert_eq!(after.history[0].order_number, None);
    assert!(ready_message(&after).contains("order number unknown"), "{after:?}");
}

#[test]
fn a_change_that_only_the_slot_knows_gets_the_slots_order_number() {
    let change = given_change(ChangeState::Accepted, 60);
    let after = status(&given().holding(&change, accepted_at(at(-60), "3471")));
    assert_eq!(after.order_number.as_deref(), Some("3471"));
    assert_eq!(after.change.unwrap().id, change.id.0);
}

#[test]
fn a_scheduled_change_shows_when_it_takes_effect_and_no_renewal_moves_that() {
    let given = flying(ChangeState::Observed, 60).prepaid().scheduled(LARGE);
    let first = status(&given);
    assert_eq!(first.change.as_ref().unwrap().effective_at.as_ref().unwrap().0, at(864_000));
    assert!(ready_message(&first).contains("2026-03-11T10:42:07Z"), "{}", ready_message(&first));
    let renewed = given.then().instance(|one| one.expires_at = Some(at(1_000_000)));
    let second = status(&renewed);
    assert!(ready_message(&second).contains("2026-03-11T10:42:07Z"), "{}", ready_message(&second));
}

#[test]
fn ended_changes_are_kept_ten_at_a_time() {
    let mut given = flying(ChangeState::Observed, 60).of_type(LARGE);
    for generation in -20..0 {
        given = given.ended(given_entry(SMALL, HUGE, generation, HistoryOutcome::Completed));
    }
    let history = status(&given).history;
    assert_eq!(history.len(), 10);
    assert_eq!(history.last().unwrap().id, submitting(60).id.0);
}

#[test]
fn orders_of_the_current_target_are_never_evicted() {
    let mut given = flying(ChangeState::Observed, 60).of_type(LARGE);
    let types: Vec<String> = (0..15).map(|number| format!("t.{number}")).collect();
    for from in &types {
        given = given.ended(given_entry(from, LARGE, 3, HistoryOutcome::Completed));
    }
    let history = status(&given).history;
    assert_eq!(history.len(), 16);
}

#[test]
fn not_even_orders_of_the_current_target_outgrow_the_schema() {
    let mut given = flying(ChangeState::Observed, 60).of_type(LARGE);
    let types: Vec<String> = (0..70).map(|number| format!("t.{number}")).collect();
    for from in &types {
        given = given.ended(given_entry(from, LARGE, 3, HistoryOutcome::Completed));
    }
    let history = status(&given).history;
    assert_eq!(history.len(), 24);
    assert_eq!(history.last().unwrap().id, submitting(60).id.0, "the oldest ones go");
}

#[test]
fn one_order_of_a_pair_of_types_is_remembered_for_a_target() {
    let twice = flying(ChangeState::Observed, 60)
        .of_type(LARGE)
        .ended(given_entry(SMALL, LARGE, 3, HistoryOutcome::Reverted))
        .ended(given_entry(SMALL, LARGE, 2, HistoryOutcome::Completed))
        .ended(given_entry(SMALL, LARGE, 3, HistoryOutcome::Unverified));
    let left: Vec<_> =
        status(&twice).history.iter().map(|one| (one.target_generation, one.outcome)).collect();
    let done = HistoryOutcome::Completed;
    assert_eq!(left, [(2, done), (3, HistoryOutcome::Unverified), (3, done)]);
}

#[test]
fn attempts_that_ordered_nothing_never_fill_the_history() {
    // The schema allows 32 entries: a longer list would be refused with the whole status.
    let mut given = flying(ChangeState::Submitting, 601);
    for number in 0..70 {
        let entry = given_entry(SMALL, LARGE, 3, HistoryOutcome::Unverified);
        let entry =
            zenlayer_vm_operator::api::HistoryEntry { id: format!("try-{number}"), ..entry };
        given = given.ended(entry);
    }
    assert!(status(&given).history.len() <= 10);
}

#[test]
fn a_second_change_of_the_same_second_waits_for_a_name_of_its_own() {
    let name = submitting(0).id;
    let mut entry = given_entry(SMALL, HUGE, 2, HistoryOutcome::Completed);
    entry.id = name.0.clone();
    let named = given().ended(entry);
    let withdrawn = given().withdrawn(&submitting(0));
    let closed = given().closed(&to(submitting(0), SMALL), at(250));
    let stop = given_call(ChangeKind::Stop, ChangeState::Observed, 0);
    let stopped = given().closed(&stop, at(250)).state("STOPPED");
    let rows =
        [("history", named), ("withdrawn", withdrawn), ("closed", closed), ("other", stopped)];
    for (what, given) in rows {
        assert_eq!(does(&given), "Nothing TooOld", "{what}");
        assert_eq!(does(&given.later(1)), "Modify Calling", "{what}");
    }
}
