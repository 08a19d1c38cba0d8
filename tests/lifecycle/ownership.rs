//! Several objects and one instance: claims, held slots, objects that are gone.

use zenlayer_vm_operator::{
    api::ChangeState,
    lifecycle::{HoldingState, SlotRecord},
};

use crate::{
    given::{
        Given, HUGE, LARGE, accepted_at, at, given, given_change, given_key, holding, without_fence,
    },
    table::{Row, check, is_call, ready_message},
};

const DUPLICATE: &str = "Failed DuplicateClaim Ready=False InSync=False Stalled";
const HELD: &str = "Waiting ChangeHeldElsewhere Ready=False InSync=False Reconciling";
const NEXT: &str = "Waiting ChangeInProgress Ready=False InSync=False Reconciling";
const GOES: &str = "Changing ChangeInProgress Ready=False InSync=False Reconciling";
const UNKNOWN: &str = "Submitting OutcomeUnknown Ready=False InSync=False Reconciling";

fn held(state: HoldingState, ago: i64) -> Given {
    given().held_by("other", &given_change(ChangeState::Submitting, ago), state)
}

fn orphaned(state: HoldingState, ago: i64) -> Given {
    held(state, ago).holder_is_gone()
}

pub fn rows() -> Vec<Row> {
    let owner = || given().duplicate_of(Some("older"));
    let accepted = || accepted_at(at(-60), "3471");
    vec![
        (
            "the younger of two objects makes no call",
            owner(),
            "Nothing DuplicateClaim",
            DUPLICATE,
            "rest",
        ),
        (
            "an owner of another namespace is not named",
            given().duplicate_of(None),
            "Nothing DuplicateClaim",
            DUPLICATE,
            "rest",
        ),
        (
            "a duplicate is stalled even where the type agrees",
            owner().of_type(LARGE).only_the_instance(),
            "Nothing DuplicateClaim",
            "Failed DuplicateClaim Ready=False InSync=True Stalled",
            "rest",
        ),
        (
            "a duplicate finishes the change that it has in flight",
            owner().in_flight(&given_change(ChangeState::Accepted, 60)).processing(LARGE),
            "CloseSlot EffectSeen",
            GOES,
            "12s",
        ),
        (
            "a slot held by another object is waited for",
            held(HoldingState::Open, 60),
            "Nothing HeldElsewhere",
            HELD,
            "backoff",
        ),
        (
            "an accepted change of another object is waited for",
            held(accepted(), 60),
            "Nothing HeldElsewhere",
            HELD,
            "backoff",
        ),
        (
            "a slot held elsewhere is not taken after its fence",
            held(HoldingState::Open, 4000),
            "Nothing HeldElsewhere",
            HELD,
            "backoff",
        ),
        (
            "an open change of a deleted object is waited for",
            orphaned(HoldingState::Open, 60),
            "Nothing OutcomeUnknown",
            UNKNOWN,
            "12s",
        ),
        (
            "an open change of a deleted object is settled after its fence",
            orphaned(HoldingState::Open, 601),
            "ReturnSlot Unverified",
            "Waiting OutcomeUnverified Ready=False InSync=False Reconciling",
            "1s",
        ),
        (
            "a PREPAID one asks a person",
            orphaned(HoldingState::Open, 601).prepaid(),
            "Nothing Unverified",
            "Failed OutcomeUnverified Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "an accepted change of a deleted object is followed",
            orphaned(accepted(), 60),
            "Nothing Accepted",
            GOES,
            "12s",
        ),
        (
            "its effect closes the slot",
            orphaned(accepted(), 60).of_type(LARGE),
            "CloseSlot EffectSeen",
            "InSync InSync Ready=True InSync=True",
            "rest",
        ),
        (
            "its effect is not what a third target wants",
            orphaned(accepted(), 60).of_type(LARGE).wants(HUGE),
            "CloseSlot EffectSeen",
            NEXT,
            "1s",
        ),
        (
            "it is overdue in the end",
            orphaned(accepted(), 1801),
            "Nothing Overdue",
            "Failed ChangeOverdue Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "a bearer token's change of a deleted object asks a person",
            given()
                .held_by(
                    "other",
                    &without_fence(given_change(ChangeState::Submitting, 60)),
                    HoldingState::Open,
                )
                .holder_is_gone(),
            "Nothing Unverified",
            "Failed OutcomeUnverified Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "only the owner follows the change of a deleted object",
            orphaned(accepted(), 60).duplicate_of(None),
            "Nothing DuplicateClaim",
            DUPLICATE,
            "rest",
        ),
        (
            "a seen change goes on while another object holds the slot",
            {
                let seen = given_change(ChangeState::Observed, 400);
                given()
                    .target(LARGE, 3)
                    .remembering(&seen)
                    .closed(&seen, at(-1))
                    .held_by(
                        "other",
                        &given_change(ChangeState::Submitting, 60),
                        HoldingState::Open,
                    )
                    .processing(LARGE)
            },
            "Nothing Progressing",
            GOES,
            "30s",
        ),
        (
            "an observed object follows the slot of a deleted one too",
            orphaned(accepted(), 60).observing().processing(LARGE),
            "CloseSlot EffectSeen",
            GOES,
            "12s",
        ),
    ]
}

#[test]
fn ownership_every_row_holds() {
    check(rows());
}

#[test]
fn an_owner_is_named_only_in_the_same_namespace() {
    let named = given().duplicate_of(Some("older")).pass().verdict.status;
    assert!(ready_message(&named).contains("VmInstance older"), "{}", ready_message(&named));
    let hidden = given().duplicate_of(None).pass().verdict.status;
    assert!(ready_message(&hidden).contains("another namespace"), "{}", ready_message(&hidden));
}

#[test]
fn a_holder_is_named_only_in_the_same_namespace() {
    let elsewhere = held(HoldingState::Open, 60).pass().verdict.status;
    assert!(!ready_message(&elsewhere).contains("ledger"), "{}", ready_message(&elsewhere));
    let change = given_change(ChangeState::Submitting, 60);
    let key = given_key("other");
    let near = given().slot(SlotRecord::default().taken(holding(&change, key, HoldingState::Open)));
    let near = near.pass().verdict.status;
    assert!(ready_message(&near).contains("VmInstance web"), "{}", ready_message(&near));
}

#[test]
fn a_change_of_a_deleted_object_does_not_count_for_the_target_of_this_one() {
    let seen = orphaned(accepted_at(at(-60), "3471"), 60).of_type(LARGE).then();
    assert_eq!(seen.object.status.as_ref().unwrap().history[0].target_generation, 0);
    let back = seen.slot(SlotRecord::default()).of_type("c.1c2g");
    assert!(is_call(&back.decide().action));
}

#[test]
fn a_recreated_object_shows_the_order_that_the_slot_kept() {
    let status = orphaned(accepted_at(at(-60), "3471"), 60).pass().verdict.status;
    assert_eq!(status.order_number.as_deref(), Some("3471"));
    assert!(ready_message(&status).contains("order 3471"), "{}", ready_message(&status));
}
