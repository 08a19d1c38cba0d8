//! The traces that broke earlier versions of the protocol, as far as the pure core shows them.
//!
//! Not here: trace 17 (a proxy repeats the POST) survives no
//! client. Trace 11 (a frozen process) is shown in `simulation` and with real processes in
//! `tests/cluster/crash.rs`: the core's part is that the change carries the time to sign with.

use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryOutcome},
    lifecycle::{Action, Change, HoldingState},
};

use crate::{
    given::{
        HUGE, LARGE, SMALL, accepted_at, at, given, given_call, given_change, given_entry, type_id,
        without_fence,
    },
    table::does_of,
};

/// A change back from LARGE to SMALL whose answer was lost.
fn back(ago: i64) -> Change {
    let change = given_change(ChangeState::Submitting, ago);
    Change { from: type_id(LARGE), to: type_id(SMALL), target_generation: 4, ..change }
}

#[test]
fn trace_1_a_lagging_read_does_not_adopt_a_change_early() {
    let given = given().wants(SMALL).generation(4).target(SMALL, 4);
    let lagging = given.remembering(&back(30)).holding(&back(30), HoldingState::Open);
    assert_eq!(does_of(&lagging.pass()), "Nothing Unknown");
}

#[test]
fn trace_2_a_recreated_object_does_not_order_again() {
    let intent = given_change(ChangeState::Submitting, 30);
    let recreated =
        given().held_by("its predecessor", &intent, HoldingState::Open).holder_is_gone();
    assert_eq!(does_of(&recreated.pass()), "Nothing Unknown");
}

#[test]
fn trace_3_the_younger_object_does_not_order_while_the_older_ones_request_flies() {
    let intent = given_change(ChangeState::Submitting, 30);
    let young = given().held_by("older", &intent, HoldingState::Open);
    assert_eq!(does_of(&young.clone().duplicate_of(None).pass()), "Nothing DuplicateClaim");
    assert_eq!(does_of(&young.clone().pass()), "Nothing HeldElsewhere");
    assert_eq!(does_of(&young.holder_is_gone().pass()), "Nothing Unknown");
}

#[test]
fn trace_4_a_cancel_that_may_land_late_holds_the_slot_until_its_fence() {
    let cancel = |ago| given_call(ChangeKind::CancelDowngrade, ChangeState::Submitting, ago);
    let open = |ago| {
        let plain = given().prepaid().wants(HUGE).generation(4);
        plain.in_flight(&cancel(ago)).scheduled(LARGE)
    };
    // The plan was made anew meanwhile: nothing else is sent, and nothing is settled.
    assert_eq!(does_of(&open(60).pass()), "Nothing Unknown");
    assert_eq!(does_of(&open(600).pass()), "Nothing Unknown");
    assert_eq!(does_of(&open(601).pass()), "Nothing NotMade");
}

#[test]
fn trace_5_a_stop_that_lands_late_is_brought_back() {
    let stop = given_call(ChangeKind::Stop, ChangeState::Submitting, 60);
    let back = given().wants(SMALL).stop_first().stopped_for_a_change(60);
    let running = back.clone().in_flight(&stop).state("RUNNING");
    assert_eq!(does_of(&running.pass()), "Nothing Unknown", "not forgotten yet");
    let landed = back.in_flight(&stop).state("STOPPED").later(541);
    assert_eq!(does_of(&landed.pass()), "CloseLane EffectSeen");
    let action = landed.decide().action;
    let seen = crate::given::landed.step().later(550);
    assert_eq!(does_of(&seen.pass()), "Start Calling");
}

#[test]
fn trace_14_after_a_cancel_no_plan_beside_another_type_orders_nothing() {
    let cancel = given_call(ChangeKind::CancelDowngrade, ChangeState::Observed, 60);
    let stale = given().prepaid().wants(SMALL).closed(&cancel, at(250)).of_type(HUGE);
    assert_eq!(does_of(&stale.pass()), "Nothing ReadLags");
}

#[test]
fn trace_6_a_revert_in_the_console_is_not_fought() {
    let done = given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed);
    assert_eq!(does_of(&given().target(LARGE, 3).ended(done).pass()), "Nothing Reverted");
}

#[test]
fn trace_7_a_stale_read_after_completion_orders_nothing() {
    let done = given_change(ChangeState::Observed, 60);
    let stale = given().closed(&done, at(100));
    assert_eq!(does_of(&stale.pass()), "Nothing ReadLags");
    // Nor after the object was created anew, with no memory, and wants a third type.
    assert_eq!(does_of(&stale.wants(HUGE).pass()), "Nothing ReadLags");
}

#[test]
fn trace_8_a_fast_clock_without_date_does_not_end_the_wait() {
    let open = given().in_flight(&given_change(ChangeState::Submitting, 601 + 240)).without_date();
    assert_eq!(does_of(&open.pass()), "Nothing Unknown");
}

#[test]
fn trace_9_a_prepaid_change_that_shows_nowhere_asks_a_person() {
    let open = given().prepaid().in_flight(&given_change(ChangeState::Submitting, 601));
    assert_eq!(does_of(&open.pass()), "Nothing Unverified");
}

#[test]
fn trace_10_an_unknown_outcome_with_a_bearer_token_asks_a_person() {
    let intent = without_fence(given_change(ChangeState::Submitting, 900_000));
    let open = given().bearer().in_flight(&intent);
    assert_eq!(does_of(&open.pass()), "Nothing Unverified");
    // The token was replaced by an access key meanwhile: the request has no fence all the same.
    let replaced = given().in_flight(&intent);
    assert_eq!(does_of(&replaced.pass()), "Nothing Unverified");
}

#[test]
fn trace_11_a_change_is_signed_with_the_second_of_its_decision() {
    let Action::Call { change, .. } = given().decide().action else { panic!("no call") };
    assert_eq!(change.started_at, at(0));
}

#[test]
fn trace_12_registration_that_lags_up_to_the_margin_is_waited_for() {
    // Landed at the signature's last second, shown a margin later.
    let open = given().in_flight(&given_change(ChangeState::Submitting, 600));
    assert_eq!(does_of(&open.pass()), "Nothing Unknown");
    let shown = given().in_flight(&given_change(ChangeState::Submitting, 601)).processing(LARGE);
    assert_eq!(does_of(&shown.pass()), "CloseLane EffectSeen");
}

#[test]
fn trace_13_a_slot_that_is_given_back_expects_what_it_expected_before() {
    let seen = given_change(ChangeState::Observed, 60);
    let next = given_change(ChangeState::Submitting, 5);
    let tried = given().closed(&seen, at(100)).holding(&next, HoldingState::Open);
    let back = tried.given_back(&next);
    assert_eq!(does_of(&back.pass()), "Nothing ReadLags");
}

#[test]
fn trace_15_a_change_that_was_never_sent_is_not_adopted_from_a_stale_plan() {
    // Current shows the target, under a plan to another type.
    let open = given().in_flight(&given_change(ChangeState::Submitting, 601));
    let stale = open.of_type(LARGE).processing(SMALL);
    assert_eq!(does_of(&stale.pass()), "Nothing NotMade");
}

#[test]
fn trace_16_the_target_is_remembered_with_the_intent() {
    let edited = given().generation(6).target(HUGE, 5);
    let Action::Call { change, .. } = edited.decide().action else { panic!("no call") };
    let before = edited.object.status.clone().unwrap();
    let written = zenlayer_vm_operator::lifecycle::intent(
        &edited.desired(),
        &before,
        &edited.seen(),
        (&change, None),
        edited.now,
    );
    assert_eq!(written.target.unwrap().since_generation, 6);
    assert_eq!(written.change.unwrap().target_generation, 6);
}

#[test]
fn trace_18_an_answer_names_the_change_that_it_belongs_to() {
    let pass = given().pass();
    let Action::Call { change, .. } = pass.decision.action else { panic!("no call") };
    assert_eq!(pass.verdict.answers, Some(change.id));
    // And a slot that another change holds is no answer to this one.
    let mine = given_change(ChangeState::Submitting, 60);
    let other = given_change(ChangeState::Submitting, 20);
    let other = given().remembering(&mine).held_by("x", &other, accepted_at(at(-20), "9"));
    assert_eq!(other.pass().verdict.status.order_number, None);
}
