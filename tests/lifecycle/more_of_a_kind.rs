//! More cases of the kinds in `findings`, found by reading the core with them in mind.

use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryEntry, HistoryOutcome, VmInstanceStatus},
    lifecycle::{Change, LaneName, SecretState},
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, accepted_at, at, given, given_call, given_change, given_entry,
        refused, secs, trouble,
    },
    table::{does, shows},
};

fn status(given: &Given) -> VmInstanceStatus {
    given.object.status.clone().unwrap_or_default()
}

/// So many orders of the current target, each from another type.
fn with_orders(given: Given, count: i64) -> Given {
    (0..count).fold(given, |given, number| {
        let id = format!("0c5b8a8e-{number}");
        let from = format!("t.{number}");
        given.ended(HistoryEntry { id, ..given_entry(&from, LARGE, 3, HistoryOutcome::Completed) })
    })
}

#[test]
fn a_person_releases_a_change_though_the_history_is_full() {
    let change = Change { target_generation: 2, ..given_change(ChangeState::Unverified, 3600) };
    let full = with_orders(given().prepaid().target(LARGE, 3), 12).in_flight(&change);
    let released = full.released(&change.id.0).step();
    assert!(status(&released).history.iter().any(|entry| entry.id == change.id.0));
    // The lane is given back next, and nothing asks again.
    assert_eq!(does(&released), "FreeLane Freed");
    assert_eq!(status(&released.step()).change, None);
}

#[test]
fn a_start_without_effect_is_made_again_though_the_history_is_full() {
    let start = given_call(ChangeKind::Start, ChangeState::Accepted, 601);
    let full = with_orders(given().target(LARGE, 3).stopped_for_a_change(900), 12);
    let over = full.in_flight(&start);
    assert_eq!(does(&over), "Nothing PowerNoEffect");
    let mut next = over.step();
    assert_eq!(does(&next), "FreeLane Freed");
    next = next.step();
    assert!(!does(&next).contains("NoEffect"), "{}", does(&next));
}

#[test]
fn where_no_further_order_could_be_remembered_none_is_made() {
    let many = |count| with_orders(given().target(LARGE, 3), count);
    assert_eq!(does(&many(22)), "Modify Calling");
    let full = many(23);
    assert_eq!(does(&full), "Nothing Reverted");
    let word = full.released("0c5b8a8e-22");
    assert_eq!(does(&word), "Nothing OrderedOnceMore");
    assert_eq!(does(&word.step()), "Modify Calling");
}

#[test]
fn a_clock_that_was_ahead_for_a_while_holds_nothing_back() {
    let ended = |kind, outcome| HistoryEntry {
        kind,
        ended_at: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(86_400)),
        ..given_entry(SMALL, LARGE, 3, outcome)
    };
    let start = ended(ChangeKind::Start, HistoryOutcome::Overdue);
    let off = given().target(LARGE, 3).of_type(LARGE).stopped_for_a_change(60).ended(start);
    assert_eq!(does(&off), "Start Calling");
    let lost = |id: &str| HistoryEntry {
        id: id.into(),
        ..ended(ChangeKind::Modify, HistoryOutcome::Unverified)
    };
    let lost = given().target(LARGE, 3).ended(lost("a")).ended(lost("b"));
    assert_eq!(does(&lost), "Modify Calling");
}

#[test]
fn a_process_that_has_just_begun_tries_to_start_the_machine_of_a_deleted_object_first() {
    let late = given().stop_first().stopped_for_a_change(7200).deleted(7000);
    assert_eq!(does(&late.clone().spec_known_for(secs(5))), "Start Calling");
    assert_eq!(does(&late.spec_known_for(secs(700))), "EndRestore PowerLeftAsItIs");
}

#[test]
fn a_cancellation_waits_for_an_edit_to_stay_too() {
    let scheduled = given_change(ChangeState::Observed, 900);
    let unwanted = given().prepaid().in_flight(&scheduled).closed(&scheduled, at(-1));
    let edited = unwanted.scheduled(LARGE).wants(SMALL).generation(4);
    assert_eq!(does(&edited.clone().spec_known_for(secs(1))), "Nothing EditIsYoung");
    assert_eq!(does(&edited.spec_known_for(secs(2))), "Cancel Calling");
}

#[test]
fn one_answer_without_the_plan_ends_no_scheduled_change() {
    let change = given_change(ChangeState::Observed, 900);
    let scheduled = given().prepaid().in_flight(&change).closed(&change, at(-1));
    let scheduled = scheduled.scheduled(LARGE).then();
    let mut once = scheduled.plan(None, None);
    once.observed.since.undone = Some(secs(0));
    assert_eq!(does(&once), "Nothing Progressing");
    once.observed.since.undone = Some(secs(5));
    assert_eq!(does(&once), "Nothing Undone");
}

#[test]
fn what_is_told_of_a_change_that_is_gone_again_holds_for_the_declaration_as_it_is_now() {
    // Ordered for generation 1; declared otherwise and back since.
    let change = Change { target_generation: 1, ..given_change(ChangeState::Observed, 900) };
    let back = given().target(LARGE, 3).in_flight(&change).closed(&change, at(-1));
    assert_eq!(does(&back), "Nothing Undone");
    let asked = back.step();
    assert!(status(&asked).pending_decision.is_some());
    assert_eq!(does(&asked), "Nothing Reverted");
}

#[test]
fn a_person_s_word_is_used_up_by_a_try_alone() {
    let refused = given().answered(refused(400, "MISSING_PARAMETER")).then().later(5);
    let asked = refused.requested_at("now");
    // The machine is busy at first.
    let busy = asked.clone().state("REBOOT").then();
    assert_eq!(status(&busy).handled.requested_at, None);
    assert_eq!(does(&busy.state("RUNNING")), "Modify Calling");
    let tried = asked.answered(crate::given::refused(400, "MISSING_PARAMETER")).then();
    assert_eq!(status(&tried).handled.requested_at.as_deref(), Some("now"));
    assert_eq!(does(&tried.later(5)), "Nothing Refused");
    // Where there is nothing to try, it is no word for later.
    let in_sync = given().of_type(LARGE).requested_at("now").then();
    assert_eq!(status(&in_sync).handled.requested_at.as_deref(), Some("now"));
}

#[test]
fn a_machine_that_nobody_can_read_is_not_known_whatever_the_reason() {
    let in_sync = given().of_type(LARGE).then();
    let without = |given: Given| given.cloud_unread().secret(SecretState::NotFound);
    let first = without(in_sync).then();
    assert!(status(&first).instance.unwrap().unread_since.is_some());
    let later = without(first.later(601)).then();
    assert_eq!(shows(&later), "Failed SecretNotFound Ready=False InSync=Unknown Stalled");
}

#[test]
fn a_lane_whose_call_was_never_made_is_given_back_without_a_read_of_the_cloud() {
    let change = given_change(ChangeState::Submitting, 60);
    let orphan = given().holding(&change, zenlayer_vm_operator::lifecycle::HoldingState::Open);
    let revoked = orphan.cloud_unread().in_trouble(trouble(
        zenlayer_vm_operator::api::Reason::CredentialsRejected,
        true,
        600,
    ));
    assert_eq!(does(&revoked), "Nothing Withdrawn");
    let freed = revoked.step();
    assert_eq!(does(&freed), "FreeLane Freed");
}

#[test]
fn a_scheduled_change_stays_ready_while_the_api_is_down() {
    let change = given_change(ChangeState::Observed, 900);
    let scheduled = given().prepaid().in_flight(&change).closed(&change, at(-1));
    let scheduled = scheduled.scheduled(LARGE).then();
    assert_eq!(shows(&scheduled), "Scheduled ChangeScheduled Ready=True InSync=False");
    let down = scheduled.instance_fails(crate::given::transport()).then();
    assert!(shows(&down).starts_with("Scheduled ChangeScheduled Ready=True"), "{}", shows(&down));
    assert_eq!(status(&down).change.map(|one| one.id), Some(change.id.0));
}

#[test]
fn a_machine_is_not_started_under_the_change_of_its_owner() {
    let order = given_change(ChangeState::Accepted, 60);
    let owner = given().stop_first().stopped_for_a_change(120);
    let owner = owner.held_by("the-owner", &order, accepted_at(at(-60), "3471"));
    let beside = owner.finalizer(false);
    assert!(beside.slot_record().lane(LaneName::Type).holding().is_some());
    for another in [beside.clone(), beside.duplicate_of(None)] {
        assert!(!does(&another).starts_with("Start"), "{}", does(&another));
        assert_eq!(does(&another.later(1800)), "Start Calling");
    }
}

/// Its status missed the answer, and another process has closed the lane since.
fn closed_by_another(change: &Change) -> Given {
    let missed = Change { order_number: None, request_id: None, ..change.clone() };
    let given = given().target(LARGE, 3).remembering(&missed);
    given.raw_slot(|slot| {
        slot["type"] = serde_json::json!({ "expects": {
            "change": change.id.0, "kind": "Modify", "from": SMALL, "to": LARGE,
            "until": "2026-03-01T10:52:07Z", "orderNumber": "3471", "requestId": "T-ORDER",
        }});
    })
}

#[test]
fn the_number_of_an_order_outlives_its_lane_until_the_status_has_it() {
    let change = given_change(ChangeState::Submitting, 60);
    let seen = closed_by_another(&change).processing(LARGE).then();
    let status = status(&seen);
    assert_eq!(status.order_number.as_deref(), Some("3471"));
    assert_eq!(status.request_id.as_deref(), Some("T-ORDER"));
    assert_eq!(status.change.map(|one| one.state), Some(ChangeState::Observed));
}

#[test]
fn what_the_slot_knows_of_an_open_question_is_not_asked_for_anew() {
    use zenlayer_vm_operator::lifecycle::{HoldingState, Standing};
    let standing = |given: &Given| {
        let (desired, seen) = (given.desired(), given.seen());
        let memory = seen.memory.clone().unwrap();
        Standing::of(LaneName::Type, &seen, &memory, &desired.object, &desired.timing)
    };
    let asked = |state| {
        let change = given_change(state, 900);
        given().remembering(&change).holding(&change, HoldingState::Unverified)
    };
    let state = |given: &Given| match standing(given) {
        Standing::InFlight(change) => change.state,
        other => panic!("{other:?}"),
    };
    assert_eq!(state(&asked(ChangeState::Submitting)), ChangeState::Unverified);
    // The status has gone on since.
    for later in [ChangeState::Accepted, ChangeState::Observed] {
        assert_eq!(state(&asked(later)), later);
    }
}

/// Else only the slot has the number of the order, and whoever deletes the slot loses it.
#[test]
fn an_accepted_order_is_put_in_beside_what_another_process_has_written() {
    use zenlayer_vm_operator::lifecycle::answer_put_in;
    let order = given().order();
    let stop = given_call(ChangeKind::Stop, ChangeState::Accepted, 60);
    let mut now = status(&given().remembering(&order.change).remembering(&stop));
    assert_eq!(now.change.as_ref().unwrap().state, ChangeState::Submitting);
    now.conditions.clear();
    let mut answered = status(&given().remembering(&order.change));
    let change = answered.change.as_mut().unwrap();
    change.state = ChangeState::Accepted;
    (answered.order_number, answered.request_id) = (Some("3471".into()), Some("r-1".into()));
    let put_in = answer_put_in(&now, &answered, &order);
    let expected = VmInstanceStatus {
        change: answered.change.clone(),
        order_number: Some("3471".into()),
        request_id: Some("r-1".into()),
        ..now.clone()
    };
    assert_eq!(put_in, expected);
    // Another change is there by now.
    let other =
        zenlayer_vm_operator::api::Change { id: "b1-1".into(), ..*now.change.clone().unwrap() };
    let later = VmInstanceStatus { change: Some(other.clone().into()), ..now };
    assert_eq!(answer_put_in(&later, &answered, &order).change, Some(other.into()));
}

#[test]
fn an_intent_is_taken_out_beside_what_another_process_has_written() {
    use zenlayer_vm_operator::lifecycle::taken_out;
    let order = given().order();
    let id = order.change.id.0.clone();
    let ended = given_entry(SMALL, HUGE, 2, HistoryOutcome::Completed);
    let stop = given_call(ChangeKind::Stop, ChangeState::Accepted, 60);
    let now = status(&given().remembering(&order.change).remembering(&stop).ended(ended));
    assert_eq!(now.change.as_ref().map(|one| one.id.clone()), Some(id.clone()));
    let left = taken_out(&now, &order);
    let expected = VmInstanceStatus { change: None, withdrawn: Some(id), ..now };
    assert_eq!(left, expected);
}
