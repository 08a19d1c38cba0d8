//! Several objects and one instance: claims, held slots, objects that are gone.

use zenlayer_vm_operator::{
    api::ChangeState,
    lifecycle::{Claim, Holder, HoldingState, LaneName, Owner, Read},
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, accepted_at, at, given, given_change, given_key, holding,
        without_fence,
    },
    table::{Row, check, does, says},
};

const DUPLICATE: &str = "Failed DuplicateClaim Ready=False InSync=False Stalled";
const HELD: &str = "Waiting ChangeHeldElsewhere Ready=False InSync=False Reconciling";
const NEXT: &str = "Waiting ChangeInProgress Ready=False InSync=False Reconciling";
const GOES: &str = "Changing ChangeInProgress Ready=False InSync=False Reconciling";
const UNKNOWN: &str = "Submitting OutcomeUnknown Ready=False InSync=False Reconciling";

fn held(state: HoldingState, ago: i64) -> Given {
    given().held_by("other", &given_change(ChangeState::Submitting, ago), state)
}

/// A younger object beside an older one that does this.
fn beside(passive: Option<&'static str>, young: bool) -> Given {
    let mut given = given();
    let owner = Owner { name: "older".into(), passive };
    given.observed.claim = Claim::Duplicate { owner: Some(owner), young };
    given
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
            "an object that is younger than a minute waits: the other one may be about to go",
            beside(None, true),
            "Nothing DuplicateClaim",
            "Waiting DuplicateClaim Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "a duplicate is stalled even where the type agrees",
            owner().of_type(LARGE),
            "Nothing DuplicateClaim",
            "Failed DuplicateClaim Ready=False InSync=True Stalled",
            "rest",
        ),
        (
            "a duplicate finishes the change that it has in flight",
            owner().in_flight(&given_change(ChangeState::Accepted, 60)).processing(LARGE),
            "CloseLane EffectSeen",
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
            "Nothing Unknown",
            UNKNOWN,
            "12s",
        ),
        (
            "an open change of a deleted object is settled after its fence",
            orphaned(HoldingState::Open, 601),
            "Nothing NotMade",
            "Waiting OutcomeUnverified Ready=False InSync=False Reconciling",
            "1s",
        ),
        (
            "and its lane is freed",
            orphaned(HoldingState::Open, 601).step(),
            "FreeLane Freed",
            "Waiting OutcomeUnverified Ready=False InSync=False Reconciling",
            "1s",
        ),
        (
            "not before this process has known it for long enough",
            orphaned(HoldingState::Open, 5000).known_for(599),
            "Nothing Unknown",
            UNKNOWN,
            "30s",
        ),
        (
            "a PREPAID one asks a person",
            orphaned(HoldingState::Open, 601).prepaid(),
            "MarkUnverified Unverified",
            "Failed OutcomeUnverified Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "an accepted change of a deleted object is followed",
            orphaned(accepted(), 60),
            "Nothing Ordered",
            GOES,
            "12s",
        ),
        (
            "its effect closes the slot",
            orphaned(accepted(), 60).of_type(LARGE),
            "CloseLane EffectSeen",
            "InSync InSync Ready=True InSync=True",
            "rest",
        ),
        (
            "its effect is not what a third target wants",
            orphaned(accepted(), 60).of_type(LARGE).wants(HUGE),
            "CloseLane EffectSeen",
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
            "a token's change of a deleted object asks a person",
            given()
                .held_by(
                    "other",
                    &without_fence(given_change(ChangeState::Submitting, 60)),
                    HoldingState::Open,
                )
                .holder_is_gone(),
            "MarkUnverified Unverified",
            "Failed OutcomeUnverified Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "whoever sees the machine follows the change of a deleted object",
            orphaned(accepted(), 60).duplicate_of(None).processing(LARGE),
            "CloseLane EffectSeen",
            GOES,
            "12s",
        ),
        (
            "also of one that has been unable to read the machine for long",
            {
                let mut given = held(accepted(), 60).processing(LARGE);
                given.observed.holders.of_type = Holder::DoesNotCount;
                given
            },
            "CloseLane EffectSeen",
            GOES,
            "12s",
        ),
        (
            "an object that is being deleted looks after its own change",
            given()
                .in_flight(&given_change(ChangeState::Accepted, 60))
                .processing(LARGE)
                .deleted(5),
            "CloseLane EffectSeen",
            GOES,
            "12s",
        ),
        (
            "an observed object follows the slot of a deleted one too",
            orphaned(accepted(), 60).observing().processing(LARGE),
            "CloseLane EffectSeen",
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
    let named = says(&given().duplicate_of(Some("older")));
    assert!(named.contains("VmInstance older"), "{named}");
    let hidden = says(&given().duplicate_of(None));
    assert!(hidden.contains("another namespace"), "{hidden}");
}

#[test]
fn an_owner_that_changes_nothing_itself_is_told() {
    let passive = says(&beside(Some("is suspended (spec.suspend is true)"), false));
    assert!(passive.contains("older, and is suspended"), "{passive}");
    for part in ["delete one of the two", "as soon as the other is deleted"] {
        assert!(passive.contains(part), "{part:?} is not in {passive:?}");
    }
}

#[test]
fn a_holder_is_named_only_in_the_same_namespace() {
    let elsewhere = says(&held(HoldingState::Open, 60));
    assert!(!elsewhere.contains("ledger"), "{elsewhere}");
    let change = given_change(ChangeState::Submitting, 60);
    let holding = holding(&change, given_key("other"), HoldingState::Open);
    let near = says(&given().held(LaneName::Type, &holding));
    assert!(near.contains("VmInstance web"), "{near}");
}

#[test]
fn a_change_of_a_deleted_object_does_not_count_for_the_target_of_this_one() {
    let seen = orphaned(accepted_at(at(-60), "3471"), 60).of_type(LARGE).then();
    assert_eq!(seen.object.status.as_ref().unwrap().history[0].target_generation, 0);
    let back = seen.free_slot().of_type(SMALL);
    assert_eq!(does(&back), "Modify Calling");
}

/// Slots keep parts of a second, and statuses do not.
#[test]
fn what_the_slot_kept_of_another_object_is_written_once() {
    let accepted = at(-10).checked_add(jiff::SignedDuration::from_micros(374_211)).unwrap();
    let seen = orphaned(accepted_at(accepted, "3471"), 10).then().object.status.unwrap();
    let written: zenlayer_vm_operator::api::VmInstanceStatus =
        serde_json::from_value(serde_json::to_value(&seen).unwrap()).unwrap();
    assert_eq!(seen, written);
}

#[test]
fn a_recreated_object_shows_the_order_that_the_slot_kept() {
    let orphaned = orphaned(accepted_at(at(-60), "3471"), 60);
    assert_eq!(orphaned.pass().verdict.status.order_number.as_deref(), Some("3471"));
    assert!(says(&orphaned).contains("order 3471"), "{}", says(&orphaned));
}

#[test]
fn a_recreated_object_looks_at_the_slot_though_the_type_agrees() {
    // Its predecessor may have left a change there.
    let fresh = given().of_type(LARGE);
    assert_eq!(fresh.clone().without(Read::Slot).needs(), [Read::Slot]);
    let prepaid = fresh.clone().prepaid().without(Read::Plan);
    assert_eq!(prepaid.needs(), [Read::Plan], "a change may wait for its cycle");
    assert_eq!(fresh.without(Read::Plan).needs(), []);
}
