//! The traces that broke earlier versions of the protocol, as far as the pure core shows them.
//!
//! Not here: trace 17 (a proxy repeats the POST) survives no client. Of trace 11 (a frozen process) the
//! core's part is that the change carries the time to sign with; of trace 19 (a stale slot), that nothing
//! is concluded from a slot that was not read; of trace 24 (the slot of nobody), that a slot says whether
//! it is free. The other parts are the controller's.

use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryOutcome},
    lifecycle::{Action, Change, HoldingState, LaneName, Read, SlotRecord, Timing},
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, accepted_at, at, given, given_call, given_change, given_entry,
        secs, type_id, without_fence,
    },
    table::does,
};

/// A change back from LARGE to SMALL whose answer was lost.
fn back(ago: i64) -> Change {
    let change = given_change(ChangeState::Submitting, ago);
    Change { from: type_id(LARGE), to: type_id(SMALL), target_generation: 4, ..change }
}

fn intent(ago: i64) -> Change {
    given_change(ChangeState::Submitting, ago)
}

fn open(ago: i64) -> Given {
    given().in_flight(&intent(ago))
}

/// A stop with what the machine is brought back to; it still runs.
fn stopping(state: ChangeState, ago: i64) -> Given {
    let stop = given_call(ChangeKind::Stop, state, ago);
    let given = given().stop_first().finalizer(true).in_flight(&stop);
    given.restoring(&crate::given::restore(&stop.id, stop.started_at))
}

/// The machine is off, and its object kept.
fn off() -> Given {
    given().stop_first().target(LARGE, 3).stopped_for_a_change(60)
}

#[test]
fn trace_1_a_lagging_read_does_not_adopt_a_change_early() {
    let given = given().wants(SMALL).generation(4).target(SMALL, 4);
    let lagging = given.remembering(&back(30)).holding(&back(30), HoldingState::Open);
    assert_eq!(does(&lagging), "Nothing Unknown");
}

#[test]
fn trace_2_a_recreated_object_does_not_order_again() {
    let held = given().held_by("its predecessor", &intent(30), HoldingState::Open);
    assert_eq!(does(&held.holder_is_gone()), "Nothing Unknown");
}

#[test]
fn trace_3_the_younger_object_does_not_order_while_the_older_ones_request_flies() {
    let young = given().held_by("older", &intent(30), HoldingState::Open);
    assert_eq!(does(&young.clone().duplicate_of(None)), "Nothing DuplicateClaim");
    assert_eq!(does(&young), "Nothing HeldElsewhere");
    assert_eq!(does(&young.holder_is_gone()), "Nothing Unknown");
}

#[test]
fn trace_4_a_cancel_that_may_land_late_holds_its_lane_until_its_fence() {
    let cancel = |ago| given_call(ChangeKind::CancelDowngrade, ChangeState::Submitting, ago);
    let open = |ago| {
        let plain = given().prepaid().wants(HUGE).generation(4);
        plain.in_flight(&cancel(ago)).scheduled(LARGE)
    };
    // The plan was made anew meanwhile: nothing else is sent, and nothing is settled.
    assert_eq!(does(&open(60)), "Nothing Unknown");
    assert_eq!(does(&open(600)), "Nothing Unknown");
    assert_eq!(does(&open(601)), "Nothing NotMade");
}

#[test]
fn trace_5_a_stop_that_lands_late_is_brought_back() {
    let open = stopping(ChangeState::Submitting, 60).wants(SMALL).generation(4);
    assert_eq!(does(&open), "Nothing PowerUnknown", "not forgotten yet");
    let landed = open.state("STOPPED").later(541);
    assert_eq!(does(&landed), "CloseLane PowerSeen");
    assert_eq!(does(&landed.step().later(550)), "Start Calling");
}

#[test]
fn trace_6_a_revert_in_the_console_is_not_fought() {
    let done = given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed);
    assert_eq!(does(&given().target(LARGE, 3).ended(done)), "Nothing Reverted");
}

#[test]
fn trace_7_a_stale_read_after_completion_orders_nothing() {
    let done = given_change(ChangeState::Observed, 60);
    let stale = given().closed(&done, at(100));
    assert_eq!(does(&stale), "Nothing ReadLags");
    // Nor after the object was created anew, with no memory, and wants a third type.
    assert_eq!(does(&stale.wants(HUGE)), "Nothing ReadLags");
}

#[test]
fn trace_8_a_fast_clock_without_date_does_not_end_the_wait() {
    assert_eq!(does(&open(100_000).without_date().known_for(899)), "Nothing Unknown");
}

#[test]
fn trace_9_a_prepaid_change_that_shows_nowhere_asks_a_person() {
    assert_eq!(does(&open(601).prepaid()), "MarkUnverified Unverified");
}

#[test]
fn trace_10_an_unknown_outcome_with_a_token_asks_a_person() {
    let intent = without_fence(intent(900_000));
    let open = given().bearer().in_flight(&intent);
    assert_eq!(does(&open), "MarkUnverified Unverified");
    assert_eq!(does(&open.of_type(LARGE)), "MarkUnverified Unverified", "whatever shows");
    // The token was replaced by an access key meanwhile: the request has no fence all the same.
    let replaced = given().in_flight(&intent);
    assert_eq!(does(&replaced), "MarkUnverified Unverified");
}

#[test]
fn trace_11_a_change_is_signed_with_the_second_of_its_decision() {
    assert_eq!(given().order().change.started_at, at(0));
}

#[test]
fn trace_12_registration_that_lags_up_to_the_margin_is_waited_for() {
    // Landed at the signature's last second, shown a margin later.
    assert_eq!(does(&open(600)), "Nothing Unknown");
    assert_eq!(does(&open(601).processing(LARGE)), "CloseLane EffectSeen");
}

#[test]
fn trace_13_a_lane_that_is_given_back_expects_what_it_expected_before() {
    let seen = given_change(ChangeState::Observed, 60);
    let next = given_change(ChangeState::Submitting, 5);
    let tried = given().closed(&seen, at(100)).holding(&next, HoldingState::Open);
    // By the process that took it, and by another one that finds it without its intent.
    assert_eq!(does(&tried.clone().given_back(&next)), "Nothing ReadLags");
    let found = tried.step().step();
    assert_eq!(found.slot_record().lane(LaneName::Type).expects().unwrap().change, seen.id);
    assert_eq!(does(&found), "Nothing ReadLags");
}

#[test]
fn trace_14_after_a_cancel_no_plan_beside_another_type_orders_nothing() {
    let cancel = given_call(ChangeKind::CancelDowngrade, ChangeState::Observed, 60);
    let stale = given().prepaid().wants(SMALL).closed(&cancel, at(250)).of_type(HUGE);
    assert_eq!(does(&stale), "Nothing ReadLags");
}

#[test]
fn trace_15_a_change_that_was_never_sent_is_not_adopted_from_a_stale_plan() {
    // Current shows the target, under a plan to another type.
    let stale = open(601).of_type(LARGE).processing(SMALL);
    assert_eq!(does(&stale), "Nothing NotMade");
}

#[test]
fn trace_16_the_target_is_remembered_with_the_intent() {
    let edited = given().generation(6).target(HUGE, 5);
    let written = edited.crashed_before_the_call().object.status.unwrap();
    assert_eq!(written.target.unwrap().since_generation, 6);
    assert_eq!(written.change.unwrap().target_generation, 6);
}

#[test]
fn trace_18_an_answer_names_the_change_that_it_belongs_to() {
    let pass = given().pass();
    let Action::Call(order) = pass.decision.action else { panic!("no call") };
    assert_eq!(pass.verdict.answers, Some(order.change.id));
    // And a lane that another change holds is no answer to this one.
    let mine = given_change(ChangeState::Submitting, 60);
    let other = given_change(ChangeState::Submitting, 20);
    let other = given().remembering(&mine).held_by("x", &other, accepted_at(at(-20), "9"));
    assert_eq!(other.pass().verdict.status.order_number, None);
}

// ---- Two lanes ----

#[test]
fn trace_19_nothing_is_concluded_from_a_slot_that_was_not_read() {
    let unread = open(60).without(Read::Slot);
    assert_eq!(unread.needs(), [Read::Slot]);
    let kept = unread.pass().verdict.status;
    assert!(kept.change.is_some() && kept.history.is_empty(), "{kept:?}");
    let done = given().of_type(LARGE).finalizer(true).without(Read::Slot);
    assert_eq!(does(&done), "Nothing Needs", "the finalizer stays");
    // A free one that was read says that the record is gone, not that the call was not made.
    let gone = given().target(LARGE, 3).remembering(&intent(60)).step();
    assert_eq!(gone.object.status.as_ref().unwrap().history[0].outcome, HistoryOutcome::Unrecorded);
    assert_eq!(does(&gone), "Nothing Reverted");
}

#[test]
fn trace_20_a_machine_is_started_beside_an_order_that_waits_for_a_person() {
    let waits = off().prepaid().in_flight(&intent(601));
    assert_eq!(does(&waits), "MarkUnverified Unverified");
    let asked = waits.step();
    assert!(!asked.slot_record().is_open(), "it holds back no call of the other lane");
    assert_eq!(does(&asked), "Start Calling");
    assert_eq!(does(&asked.step()), "Nothing Unverified");
}

#[test]
fn trace_21_a_start_without_an_answer_asks_nobody() {
    let start = given_call(ChangeKind::Start, ChangeState::Submitting, 601);
    let lost = off().prepaid().of_type(LARGE).in_flight(&start);
    assert_eq!(does(&lost), "Nothing PowerNoEffect");
    let again = lost.step().step().later(10);
    assert_eq!(does(&again), "Start Calling");
}

#[test]
fn trace_22_a_guest_that_ignores_the_stop_holds_its_lane_not_for_ever() {
    let deaf = stopping(ChangeState::Accepted, 601);
    assert_eq!(does(&deaf), "Nothing PowerNoEffect");
    let freed = deaf.step().step();
    assert!(freed.slot_record().is_free());
    assert_eq!(does(&freed), "Nothing DoesNotStop");
    assert_eq!(does(&freed.later(300)), "Stop Calling");
    // Nor does a person who starts it before a read shows it off.
    let restarted = stopping(ChangeState::Observed, 400);
    let restarted =
        restarted.closed(&given_call(ChangeKind::Stop, ChangeState::Observed, 400), at(-1));
    assert_eq!(does(&restarted), "Nothing PowerNoEffect");
    assert_eq!(does(&restarted.step()), "EndRestore PowerRestored");
}

#[test]
fn trace_23_whoever_sees_a_machine_that_was_stopped_starts_it() {
    let mut another = off().of_type(LARGE).finalizer(false);
    another.object.status = None;
    another.object.metadata.uid = Some("another".into());
    assert_eq!(does(&another), "Start Calling");
    // Not while an older object sees to it, which may need it to be off; nor is it left off for ever.
    let beside = another.duplicate_of(None);
    assert_eq!(does(&beside), "Nothing DuplicateClaim");
    assert_eq!(does(&beside.later(1801)), "Start Calling");
}

#[test]
fn trace_24_a_slot_says_whether_it_is_free() {
    assert!(SlotRecord::default().is_free());
    let seen = given_change(ChangeState::Observed, 60);
    assert!(given().closed(&seen, at(250)).slot_record().is_free());
    for held in [open(60), open(60).holding(&intent(60), HoldingState::Unverified), off()] {
        assert!(!held.slot_record().is_free(), "{:?}", held.slot_record());
    }
    for lane in LaneName::ALL {
        assert!(!given().of_another_version(lane).slot_record().is_free());
    }
}

#[test]
fn trace_25_what_a_machine_is_brought_back_to_outlives_a_stop_that_is_under_way() {
    for state in [ChangeState::Submitting, ChangeState::Accepted] {
        let retargeted = stopping(state, 60).wants(SMALL).generation(4).step();
        assert!(retargeted.slot_record().restore().is_some(), "{state:?}");
        assert!(retargeted.desired().has_finalizer, "{state:?}");
        // It shows later, and the machine is started again.
        let late = retargeted.state("STOPPED").later(700).step().step().later(710);
        assert_eq!(does(&late), "Nothing InSync", "{state:?}: the start is under way");
        let power = late.object.status.as_ref().unwrap().power.change.as_ref().unwrap();
        assert_eq!(power.kind, ChangeKind::Start, "{state:?}");
    }
    // Nor does a read that lags behind a stop that was seen end it.
    let seen = stopping(ChangeState::Observed, 60);
    let stop = given_call(ChangeKind::Stop, ChangeState::Observed, 60);
    let lags = seen.freed(&stop).closed(&stop, at(100)).wants(SMALL).generation(4);
    assert_eq!(does(&lags), "Nothing PowerUnderWay");
}

#[test]
fn trace_26_whatever_is_given_back_leaves_the_status_first() {
    let orphan = given().target(LARGE, 3).holding(&intent(60), HoldingState::Open);
    let person = given().prepaid().in_flight(&given_change(ChangeState::Unverified, 900));
    let id = given_change(ChangeState::Unverified, 900).id.0;
    let cases = [
        ("without an intent", orphan, "Nothing Withdrawn"),
        ("not made", open(601), "Nothing NotMade"),
        ("released", person.released(&id), "Nothing Released"),
        ("a stop", stopping(ChangeState::Accepted, 601), "Nothing PowerNoEffect"),
    ];
    for (what, given, first) in cases {
        assert_eq!(does(&given), first, "{what}");
        // The process ends between the two writes: nothing is told that is not so.
        let after = given.then();
        assert_eq!(does(&after), "FreeLane Freed", "{what}");
        let outcomes = after.object.status.as_ref().unwrap().history.iter();
        assert!(outcomes.clone().all(|one| one.outcome != HistoryOutcome::Reverted), "{what}");
        assert!(does(&after.step()) != "Nothing Reverted", "{what}");
    }
}

#[test]
fn trace_27_a_date_that_runs_ahead_does_not_end_a_margin() {
    let done = given_change(ChangeState::Observed, 60);
    let ahead = given().closed(&done, at(100)).clock_ahead(-200);
    assert_eq!(does(&ahead.clone().known_for(299)), "Nothing ReadLags");
    assert_eq!(does(&ahead.known_for(300)), "Modify Calling");
}

#[test]
fn trace_28_a_read_from_before_the_acceptance_does_not_shorten_the_margin() {
    let change = given_change(ChangeState::Accepted, 60);
    let accepted = Change { submitted_at: Some(at(0)), ..change };
    let early = given().in_flight(&accepted).of_type(LARGE);
    let early = early.read_ago(40).dated(Some(at(-40)), Some(at(-40)));
    let closed = early.step().slot_record();
    assert_eq!(closed.lane(LaneName::Type).expects().unwrap().until, at(300));
}

#[test]
fn trace_29_nobody_is_asked_about_a_call_that_was_never_made() {
    let orphan = given().prepaid().target(LARGE, 3).holding(&intent(5), HoldingState::Open);
    assert_eq!(does(&orphan.clone().known_for(4)), "Nothing BeingMade");
    // Long before its fence, and without a read of the plan.
    let known = orphan.known_for(5).without(Read::Plan);
    assert_eq!(does(&known), "Nothing Withdrawn");
    assert_eq!(does(&known.step()), "FreeLane Freed");
    // The record lands after the call was withdrawn.
    let late = given().prepaid().target(LARGE, 3).withdrawn(&intent(5));
    let late = late.holding(&intent(5), HoldingState::Open).known_for(0);
    assert_eq!(does(&late), "FreeLane Freed");
}

#[test]
fn trace_30_whoever_sees_the_machine_settles_the_record_of_one_that_lapsed() {
    let lapsed = |ago| given().held_by("lapsed", &intent(ago), HoldingState::Open);
    assert_eq!(does(&lapsed(601)), "Nothing HeldElsewhere");
    let settled = lapsed(601).holder_is_gone();
    assert_eq!(does(&settled), "Nothing NotMade");
    let freed = settled.step().step();
    assert!(freed.slot_record().is_free());
    assert_eq!(does(&freed), "Modify Calling");
}

#[test]
fn trace_31_a_stop_that_is_given_back_leaves_nothing_to_bring_back() {
    let order = given().stop_first().finalizer(true).order();
    let back = order.taken.given_back(&order.change.id).unwrap();
    assert_eq!(back.restore(), None);
    let freed = stopping(ChangeState::Submitting, 601).step().step();
    assert_eq!(freed.slot_record().restore(), None);
    // A machine that a person stops later stays off.
    assert_eq!(
        does(&freed.state("STOPPED").wants(SMALL).generation(4).finalizer(false)),
        "Nothing InSync"
    );
    // What another stop wrote is not its to take.
    let older = off().slot_record();
    let start = given_call(ChangeKind::Start, ChangeState::Submitting, 5);
    let started = older.taken(start.holding(crate::given::given_key("x")), None).unwrap();
    assert_eq!(started.given_back(&start.id).unwrap().restore(), older.restore());
}

#[test]
fn trace_32_a_date_ahead_by_more_than_the_margin_settles_nothing_early() {
    let mut given = given();
    given.defaults.timing = Timing::new(secs(300), secs(60));
    let change = Change { fence: Some(at(360 - 130)), ..intent(130) };
    let ahead = given.in_flight(&change).clock_ahead(-240);
    assert_eq!(does(&ahead.clone().known_for(130)), "Nothing Unknown");
    assert_eq!(does(&ahead.clone().known_for(359)), "Nothing Unknown");
    assert_eq!(does(&ahead.known_for(360)), "Nothing NotMade");
}
