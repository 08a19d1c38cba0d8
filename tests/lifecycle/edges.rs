//! Where a rule hangs on two things, what each of them decides alone; and moments to the second.

use zenlayer::{ApiError, ReadError};
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryEntry, HistoryOutcome, VmInstanceStatus},
    lifecycle::{
        Change, Desired, HoldingState, LaneName, Memory, Read, SecretState, Situation, invalid,
        kept_for, situation::Looking,
    },
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, accepted_at, api_error, at, given, given_call, given_change,
        given_entry, order, refused, request, secs, transport, type_id, without_fence,
    },
    table::{does, ready_message, says},
};

/// A PREPAID machine of type SMALL whose plan to LARGE is being taken back by a call with a token.
fn cancelling_with_a_token(ago: i64) -> Given {
    let cancel = given_call(ChangeKind::CancelDowngrade, ChangeState::Submitting, ago);
    given().prepaid().bearer().wants(SMALL).scheduled(LARGE).in_flight(&without_fence(cancel))
}

#[test]
fn a_cancellation_with_a_token_is_decided_anew_without_a_person() {
    assert_eq!(does(&cancelling_with_a_token(901)), "Nothing NotMade");
}

#[test]
fn an_object_is_kept_for_its_machine_to_the_second() {
    let kept = |ago| does(&given().wants(SMALL).stopped_for_a_change(60).deleted(ago));
    assert_ne!(kept(3600), "EndRestore PowerLeftAsItIs");
    assert_eq!(kept(3601), "EndRestore PowerLeftAsItIs");
}

#[test]
fn an_object_whose_spec_cannot_be_read_is_kept_for_the_rest_of_its_time() {
    let timing = given().desired().timing;
    let kept = |given: Given| kept_for(&given.object, &timing, at(0));
    assert_eq!(kept(given().finalizer(true)), None);
    assert_eq!(kept(given().finalizer(false).deleted(100)), None);
    assert_eq!(kept(given().finalizer(true).deleted(100)), Some(secs(3500)));
    assert_eq!(kept(given().finalizer(true).deleted(4000)), Some(secs(0)));
    // By a clock that is behind that of the API server.
    assert_eq!(kept(given().finalizer(true).deleted(-10)), Some(secs(3600)));
}

#[test]
fn the_number_of_an_order_is_none_of_a_cancellation() {
    let remembered = |kind| {
        let change = given_call(kind, ChangeState::Accepted, 60);
        let mut given = given().remembering(&change);
        given.status().order_number = Some("3471".into());
        let memory = Memory::from_status(given.status()).unwrap();
        memory.in_lane(LaneName::Type).unwrap().order_number.clone()
    };
    assert_eq!(remembered(ChangeKind::Modify), order("3471"));
    assert_eq!(remembered(ChangeKind::CancelDowngrade), None);
}

#[test]
fn a_call_in_the_other_lane_makes_a_status_unreadable() {
    let status = |of_type, of_power| {
        let call = |kind| given_call(kind, ChangeState::Accepted, 60).to_api().into();
        let mut status = VmInstanceStatus::default();
        (status.change, status.power.change) = (Some(call(of_type)), Some(call(of_power)));
        Memory::from_status(&status).is_ok()
    };
    assert!(status(ChangeKind::Modify, ChangeKind::Stop));
    assert!(!status(ChangeKind::Start, ChangeKind::Stop));
    assert!(!status(ChangeKind::Modify, ChangeKind::CancelDowngrade));
}

/// A call that ended for the current target.
fn ended(kind: ChangeKind, outcome: HistoryOutcome, count: usize) -> Given {
    let entry = HistoryEntry { kind, ..given_entry(SMALL, LARGE, 3, outcome) };
    (0..count).fold(given().target(LARGE, 3), |given, _| given.ended(entry.clone()))
}

#[test]
fn a_single_stop_whose_answer_was_lost_is_no_try() {
    let tries = |kind, outcome, count| {
        let given = ended(kind, outcome, count);
        let memory = given.seen().memory.unwrap();
        memory.without_effect(&given.desired(), kind).map(|(tries, _)| tries)
    };
    let (lost, done) = (HistoryOutcome::Unverified, HistoryOutcome::Completed);
    assert_eq!(tries(ChangeKind::Stop, lost, 1), None);
    assert_eq!(tries(ChangeKind::Stop, lost, 2), Some(2));
    assert_eq!(tries(ChangeKind::Stop, done, 1), Some(1));
    assert_eq!(tries(ChangeKind::Start, lost, 1), Some(1));
    assert_eq!(tries(ChangeKind::Start, done, 1), None);
}

#[test]
fn a_change_that_either_read_shows_is_not_undone() {
    let seen = |given: Given| given.seen().shows_nothing_of_its_change();
    let changed = || given().in_flight(&given_change(ChangeState::Observed, 60));
    assert!(seen(changed()));
    assert!(!seen(changed().of_type(LARGE)));
    assert!(!seen(changed().processing(LARGE)));
    assert!(seen(changed().processing(HUGE)));
    assert!(!seen(changed().instance(|one| one.type_id = type_id(LARGE))));
    assert!(!seen(changed().type_status(|one| one.current = type_id(LARGE))));
    assert!(!seen(given()));
    assert!(!seen(given().in_flight(&given_change(ChangeState::Accepted, 60))));
}

/// A read that shows the target may lag behind an earlier change from it.
#[test]
fn an_effect_counts_as_seen_only_where_no_read_lags_behind_an_earlier_change() {
    let seen_at = |given: Given| given.then().object.status.unwrap().change.unwrap().seen_at;
    let open = given_change(ChangeState::Submitting, 30);
    let back = Change {
        from: type_id(LARGE),
        to: type_id(SMALL),
        ..given_change(ChangeState::Observed, 200)
    };
    assert!(seen_at(given().in_flight(&open).of_type(LARGE)).is_some());
    let lags = given().closed(&back, at(100)).in_flight(&open).of_type(LARGE).known_for(0);
    assert_eq!(seen_at(lags), None);
}

#[test]
fn what_is_denied_is_asked_again_once_the_spec_allows_it() {
    let denied = given().prepaid().priced(10, 20).denies_upgrades().step();
    assert_eq!(does(&denied), "Nothing Refused");
    let mut allowed = denied;
    allowed.object.spec.prepaid_upgrade = None;
    assert_eq!(does(&allowed), "Modify Calling");
}

/// A paid call that was refused for a reason of the account, three times in a row, and whose pause is over.
fn refused_often() -> Given {
    let scarce = || refused(403, "AUTHFAILURE_UNAUTHORIZED_OPERATION");
    let mut given = given().answered(scarce()).step();
    given.status().refusal.as_mut().unwrap().attempts = 3;
    given.later(10 * 3600)
}

fn attempts(given: Given) -> Option<i64> {
    let refused = given.answered(refused(403, "AUTHFAILURE_UNAUTHORIZED_OPERATION")).step();
    refused.object.status.unwrap().refusal.map(|refusal| refusal.attempts)
}

#[test]
fn attempts_are_counted_of_one_call_from_one_type_to_one_type() {
    assert_eq!(attempts(refused_often()), Some(4));
    assert_eq!(attempts(refused_often().of_type(HUGE)), Some(1));
    let mut other = refused_often();
    other.status().refusal.as_mut().unwrap().kind = ChangeKind::CancelDowngrade;
    assert_eq!(attempts(other), Some(1));
}

#[test]
fn a_refusal_is_kept_for_its_attempts_only_while_it_is_of_this_target_and_passes() {
    let left = |given: Given| given.suspended().then().object.status.unwrap().refusal.is_some();
    assert!(left(refused_often()));
    assert!(!left(refused_often().wants(HUGE).generation(4)));
    assert!(!left(refused_often().credential("another")));
    assert!(!left(refused_often().requested_at("now")));
    let for_good = given().answered(refused(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"));
    assert!(left(for_good.clone().step()));
    assert!(!left(for_good.step().charged("SPOT")));
}

#[test]
fn only_the_withdrawal_of_its_own_cancellation_asks_once_more() {
    let asked = |kind, handled: &str| {
        let call = given_call(kind, ChangeState::Submitting, 60);
        let given = given().cancel_plan(handled).handled_cancel(handled);
        let held = given.holding(&call, HoldingState::Open);
        assert_eq!(does(&held), "Nothing Withdrawn");
        held.then().object.status.unwrap().handled.cancel_plan.is_none()
    };
    assert!(asked(ChangeKind::CancelDowngrade, LARGE));
    assert!(!asked(ChangeKind::CancelDowngrade, HUGE));
    assert!(!asked(ChangeKind::Modify, SMALL));
}

#[test]
fn a_change_that_is_undone_counts_for_the_target_to_which_it_leads() {
    let undone = |wants: &str| {
        let observed = given_change(ChangeState::Observed, 600);
        let given = given().wants(wants).generation(5).target(wants, 5).in_flight(&observed);
        let given = given.later(700);
        assert_eq!(does(&given), "Nothing Undone");
        given.then().object.status.unwrap().history.last().unwrap().target_generation
    };
    assert_eq!(undone(LARGE), 5);
    assert_eq!(undone(HUGE), 3);
}

#[test]
fn what_a_person_is_asked_stays_while_nothing_can_be_read() {
    let asked = given().prepaid().in_flight(&given_change(ChangeState::Unverified, 700)).then();
    let question = asked.object.status.clone().unwrap().pending_decision;
    assert!(question.is_some());
    let unread = asked.clone().instance_fails(transport()).then();
    assert_eq!(unread.object.status.unwrap().pending_decision, question);
    // Of a change that is not there any more, nothing is asked.
    let mut gone = asked.free_slot();
    gone.status().change = None;
    let unread = gone.instance_fails(transport()).then();
    assert_eq!(unread.object.status.unwrap().pending_decision, None);
}

#[test]
fn a_failure_that_differs_says_so() {
    let missing = given().cloud_unread().secret(SecretState::NotFound).then();
    let incomplete = SecretState::Incomplete { problem: "the key token is empty".into() };
    assert!(says(&missing.secret(incomplete)).contains("the key token is empty"));
}

#[test]
fn a_status_that_cannot_be_read_asks_nothing_and_says_since_when_nothing_is_read() {
    let mut given = given().prepaid().in_flight(&given_change(ChangeState::Unverified, 700)).then();
    assert!(given.status().pending_decision.is_some());
    given.status().change.as_mut().unwrap().id = String::new();
    given.status().change.as_mut().unwrap().to = String::new();
    let status = given.later(60).then().object.status.unwrap();
    assert_eq!(status.pending_decision, None);
    assert_eq!(status.instance.unwrap().unread_since.unwrap().0, at(60));
}

#[test]
fn a_pass_that_has_nothing_to_say_begins_no_target() {
    let change = given_change(ChangeState::Accepted, 60);
    let entry = HistoryEntry {
        id: change.id.0.clone(),
        ..given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed)
    };
    let accepted = accepted_at(change.started_at, "3471");
    let mut given = given().of_type(LARGE).then().ended(entry).holding(&change, accepted);
    given.status().target = None;
    assert_eq!(does(&given), "FreeLane Freed");
    assert_eq!(given.then().object.status.unwrap().target, None);
}

#[test]
fn what_a_person_is_asked_of_an_ended_change_stays_while_nothing_can_be_read() {
    let observed = given_change(ChangeState::Observed, 600);
    let undone = given().target(LARGE, 3).in_flight(&observed).later(700).then();
    let question = undone.object.status.clone().unwrap().pending_decision;
    assert!(question.is_some());
    let unread = undone.instance_fails(transport()).then();
    assert_eq!(unread.object.status.unwrap().pending_decision, question);
}

#[test]
fn a_failure_that_comes_again_with_another_request_id_is_no_news() {
    let failing = |id: &str| {
        let error = ApiError { request_id: request(id), ..api_error(500, Some("A_CODE")) };
        ReadError::Api { error, date: Some(at(0)), sent_at: at(0) }
    };
    let first = given().instance_fails(failing("T-FIRST")).then();
    let said = ready_message(first.object.status.as_ref().unwrap()).to_owned();
    assert!(said.contains("T-FIRST"));
    assert_eq!(says(&first.instance_fails(failing("T-SECOND"))), said);
}

#[test]
fn an_invalid_spec_asks_nothing_and_says_since_when_nothing_is_read() {
    let given = given().prepaid().in_flight(&given_change(ChangeState::Unverified, 700)).then();
    let before = given.object.status.clone().unwrap();
    assert!(before.pending_decision.is_some());
    let mut object = given.object;
    object.spec.instance_type_id = "c 2".into();
    let error = Desired::from_object(&object, &given.defaults).unwrap_err();
    let status = invalid(&before, 4, &error, at(60)).status;
    assert_eq!(status.pending_decision, None);
    assert_eq!(status.instance.unwrap().unread_since.unwrap().0, at(60));
}

#[test]
fn a_change_that_waits_for_its_cycle_has_been_seen() {
    let accepted = given_change(ChangeState::Accepted, 60);
    let seen = given().prepaid().in_flight(&accepted).scheduled(LARGE).then();
    let change = seen.object.status.unwrap().change.unwrap();
    assert_eq!(change.state, ChangeState::Observed);
}

#[test]
fn what_was_seen_moves_only_with_what_is_seen() {
    let seen = given().of_type(LARGE).then();
    let times = |given: &Given| {
        let instance = given.object.status.clone().unwrap().instance.unwrap();
        (instance.observed_at.0, instance.unread_since.is_some())
    };
    assert_eq!(times(&seen), (at(0), false));
    let mut unread = seen.clone().later(100).instance_fails(transport()).then();
    assert_eq!(times(&unread), (at(0), true));
    unread.observed = given().of_type(LARGE).later(200).observed;
    assert_eq!(times(&unread.clone().later(200).then()), (at(0), false));
    let renamed = unread.later(200).instance(|instance| instance.name = Some("mail".into()));
    assert_eq!(times(&renamed.then()), (at(200), false));
}

#[test]
fn a_machine_that_is_not_there_counts_as_unread_for_two_looks_at_once() {
    let unread_since = |seconds| {
        let missing = given().of_type(LARGE).then().missing_for(seconds).then();
        missing.object.status.unwrap().instance.map(|one| one.unread_since.map(|time| time.0))
    };
    assert_eq!((unread_since(0), unread_since(5)), (Some(None), Some(Some(at(-600)))));
}

#[test]
fn only_what_cannot_be_read_is_unread() {
    let unread = |given: Given| {
        let status = given.then().object.status.unwrap();
        status.instance.unwrap().unread_since.is_some()
    };
    let seen = || given().of_type(LARGE).then().cloud_unread();
    assert!(unread(seen().of_another_version(LaneName::Type)));
    assert!(unread(seen().of_another_version(LaneName::Power)));
    let unmade = given_change(ChangeState::Submitting, 60);
    let held = seen().holding(&unmade, HoldingState::Open);
    assert_eq!(does(&held), "Nothing Withdrawn");
    assert!(!unread(held));
}

#[test]
fn a_call_that_was_not_made_keeps_the_object_until_it_is_settled() {
    let unmade = given_call(ChangeKind::Stop, ChangeState::Submitting, 60);
    let given = given().cloud_unread().finalizer(true).holding(&unmade, HoldingState::Open);
    assert_eq!(does(&given), "Nothing Withdrawn");
    assert_eq!(does(&given.known_for(2)), "Nothing BeingMade");
}

#[test]
fn an_object_that_cannot_change_its_machine_is_no_longer_kept_for_it() {
    let off = "TakeFinalizerOff PowerIsFreeToGo";
    assert_eq!(does(&given().finalizer(true).duplicate_of(Some("older"))), off);
    assert_eq!(does(&given().finalizer(true).state("RELEASING")), off);
}

#[test]
fn another_object_starts_a_machine_only_once_it_has_been_off_for_too_long() {
    let off = |ago| does(&given().wants(SMALL).duplicate_of(None).stopped_for_a_change(ago));
    assert_ne!(off(1800), "Start Calling");
    assert_eq!(off(1801), "Start Calling");
}

#[test]
fn a_machine_is_not_started_while_anything_may_still_change_its_state() {
    let off = || given().wants(SMALL).stopped_for_a_change(1900);
    assert_eq!(does(&off()), "Start Calling");
    let open = given_change(ChangeState::Submitting, 60);
    assert_ne!(does(&off().in_flight(&open)), "Start Calling");
    // A start was seen to take effect, and this read may lag.
    let seen = given_call(ChangeKind::Start, ChangeState::Observed, 60);
    assert_ne!(does(&off().closed(&seen, at(250))), "Start Calling");
}

#[test]
fn a_start_that_has_to_wait_does_not_hide_what_is_said_of_the_object() {
    let open = given_change(ChangeState::Submitting, 60);
    let off = given().wants(SMALL).duplicate_of(None).stopped_for_a_change(1900);
    let waits = off.held_by("other", &open, HoldingState::Open);
    assert_eq!(does(&waits), "TakeFinalizerOff PowerIsFreeToGo");
}

#[test]
fn a_deleted_object_goes_once_its_machine_is_back_whatever_becomes_of_its_change() {
    let changing = given().in_flight(&given_change(ChangeState::Accepted, 60)).finalizer(true);
    assert_eq!(does(&changing), "Nothing Accepted");
    assert_eq!(does(&changing.deleted(10)), "TakeFinalizerOff PowerIsFreeToGo");
}

#[test]
fn a_machine_that_runs_is_not_back_while_another_object_holds_its_power_state() {
    let stop = given_call(ChangeKind::Stop, ChangeState::Submitting, 60);
    let given = given().wants(SMALL).stopped_for_a_change(60).state("RUNNING");
    assert_eq!(does(&given), "EndRestore PowerRestored");
    assert_ne!(
        does(&given.held_by("other", &stop, HoldingState::Open)),
        "EndRestore PowerRestored"
    );
}

#[test]
fn a_call_waits_for_the_open_one_of_the_other_lane_before_anything_is_read_for_it() {
    let start = given_call(ChangeKind::Start, ChangeState::Submitting, 60);
    let mut given = given().in_flight(&start);
    given.observed.for_a_call = false;
    assert_eq!(does(&given), "Nothing HeldElsewhere");
}

#[test]
fn a_change_that_somebody_else_ordered_has_no_fence() {
    let followed = given().target(LARGE, 3).processing(LARGE);
    assert_eq!(does(&followed), "Nothing Adopted");
    let change = followed.then().object.status.unwrap().change.unwrap();
    assert_eq!((change.adopted, change.fence), (true, None));
}

#[test]
fn no_call_takes_the_name_of_one_that_the_slot_still_knows() {
    assert_eq!(does(&given()), "Modify Calling");
    let stop = given_call(ChangeKind::Stop, ChangeState::Accepted, 0);
    assert_eq!(does(&given().state("STOPPED").closed(&stop, at(250))), "Nothing TooOld");
    let held = given().held_by("other", &stop, accepted_at(at(0), "3471"));
    assert_eq!(does(&held), "Nothing TooOld");
    let earlier = given_call(ChangeKind::Stop, ChangeState::Accepted, 1);
    let held = given().held_by("other", &earlier, accepted_at(at(0), "3471"));
    assert_eq!(does(&held), "Modify Calling");
}

/// Whether the stop of a machine that is missing ends.
fn stop_ends(state: ChangeState, ago: i64, missing_for: u64) -> bool {
    let stop = given_call(ChangeKind::Stop, state, ago);
    let given = given().stop_first().in_flight(&stop).missing_for(missing_for);
    match given.decide().situation {
        Situation::Looking(Looking::InstanceGone { power, .. }) => power.is_some(),
        situation => panic!("{situation:?}"),
    }
}

#[test]
fn a_stop_ends_with_its_machine_once_nothing_can_come_of_it_and_no_read_lags() {
    assert!(stop_ends(ChangeState::Accepted, 60, 300));
    assert!(!stop_ends(ChangeState::Accepted, 60, 299), "one margin");
    assert!(!stop_ends(ChangeState::Submitting, 60, 300));
    assert!(stop_ends(ChangeState::Submitting, 601, 300));
}

/// In sync and at rest by what the status says, and nothing was read yet.
fn resting(change: impl FnOnce(&mut VmInstanceStatus)) -> Given {
    let mut given = given().of_type(LARGE).then();
    change(given.status());
    given
}

#[test]
fn the_slot_is_read_for_each_thing_that_may_be_under_way() {
    let needs = |given: Given| given.nothing_read().needs();
    let call = |kind| Some(given_call(kind, ChangeState::Accepted, 60).to_api());
    let off = given().stopped_for_a_change(60).object.status.unwrap().power;
    assert_eq!(needs(resting(|_| {})), [Read::Instance]);
    assert_eq!(
        needs(resting(|status| status.change = call(ChangeKind::Modify).map(Box::new))),
        [Read::Slot]
    );
    assert_eq!(
        needs(resting(|status| status.power.change = call(ChangeKind::Stop).map(Box::new))),
        [Read::Slot]
    );
    assert_eq!(needs(resting(|status| status.power = off)), [Read::Slot]);
    assert_eq!(needs(resting(|_| {}).finalizer(true)), [Read::Slot]);
}

#[test]
fn the_plan_is_read_for_each_thing_that_may_be_under_way() {
    let needs = |given: Given| given.without(Read::Plan).needs();
    assert!(needs(resting(|_| {})).is_empty());
    assert_eq!(needs(resting(|_| {}).finalizer(true)), [Read::Plan]);
    let stop = given_call(ChangeKind::Stop, ChangeState::Accepted, 60);
    let held = resting(|_| {}).held_by("other", &stop, accepted_at(at(-60), "3471"));
    assert!(needs(held.clone()).is_empty());
    assert_eq!(needs(held.state("STOPPED")), [Read::Plan]);
}
