//! What was seen to go wrong once, as far as the pure core shows it: A, orders that were made twice or
//! forgotten; B, states that nobody leaves; C, a status that says what is not so; H, readiness under
//! GitOps. What takes a controller to show is in `tests/simulation` and `tests/cluster`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryEntry, HistoryOutcome, VmInstanceStatus},
    lifecycle::{Change, Counted, HoldingState, LaneName, NextLook, Outcome, Read, SecretState},
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, accepted_at, at, given, given_call, given_change, given_entry,
        read_error, refused, restore, secs, transport, type_id,
    },
    schema,
    table::{does, look, ready_message, says, shows},
};

/// The machine was stopped for its change so long ago, and is off.
fn off(ago: i64) -> Given {
    given().stop_first().target(LARGE, 3).stopped_for_a_change(ago)
}

fn status(given: &Given) -> VmInstanceStatus {
    given.object.status.clone().unwrap_or_default()
}

/// A stop that is in flight; the machine still runs.
fn stopping(state: ChangeState, ago: i64) -> Given {
    let stop = given_call(ChangeKind::Stop, state, ago);
    let given = given().stop_first().finalizer(true).in_flight(&stop);
    given.restoring(&restore(&stop.id, stop.started_at))
}

// ---- A. Orders: made twice, or forgotten ----

#[test]
fn a1_no_start_pushes_an_order_out_of_slot_status_and_history() {
    for state in [ChangeState::Accepted, ChangeState::Submitting] {
        let order = given_change(state, 1900);
        let mut given = off(1960).prepaid().in_flight(&order);
        let mut seen = Vec::new();
        for pass in 0..12 {
            // The machine is read as STOPPED all the time.
            given = given.later(pass * 10);
            seen.push(does(&given));
            given = given.step();
            let kept = status(&given).change.unwrap();
            assert_eq!(kept.id, order.id.0, "{state:?} {seen:?}");
            assert_eq!(given.slot_record().lane_of(&order.id), Some(LaneName::Type), "{seen:?}");
        }
        let starts = seen.iter().filter(|one| *one == "Start Calling").count();
        assert_eq!(starts, 1, "{seen:?}");
        assert!(!seen.contains(&"Modify Calling".into()), "{seen:?}");
    }
}

#[test]
fn a2_an_accepted_start_is_waited_for_and_made_again_with_pauses() {
    let mut given = off(60).of_type(LARGE);
    let (mut starts, mut events) = (Vec::new(), 0);
    for pass in 0..720 {
        let seconds = pass * 10;
        given = given.later(seconds);
        if does(&given) == "Start Calling" {
            starts.push(seconds);
        }
        let verdict = given.pass().verdict;
        events += verdict.events.len();
        given = given.step();
    }
    // Two hours of a machine that does not start.
    let pauses: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| *pause > 600), "{pauses:?}");
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert!((4..=10).contains(&starts.len()), "{starts:?}");
    // One that it was requested, one that it had no effect.
    assert!(events <= 2 * starts.len(), "{events} events of {} starts", starts.len());
}

#[test]
fn a3_nobody_is_asked_about_a_call_whose_record_came_late() {
    // The call was withdrawn; the write that took its lane lands afterwards.
    let call = given_change(ChangeState::Submitting, 30);
    let late = off(60).prepaid().withdrawn(&call).holding(&call, HoldingState::Open);
    assert_eq!(does(&late.clone().known_for(0)), "FreeLane Freed");
    assert_eq!(does(&late.step()), "Modify Calling");
    // And a write that failed gives its name up for good.
    let failed = given().outcome(Outcome::StoreFailed { problem: "timeout".into() }).then();
    assert_eq!(status(&failed).withdrawn, Some(given().order().change.id.0));
}

#[test]
fn a4_an_answer_that_only_the_slot_got_is_told_with_its_number() {
    for given in [given(), given().prepaid()] {
        let intent = given_change(ChangeState::Submitting, 60);
        let crashed = given.in_flight(&intent).holding(&intent, accepted_at(at(-55), "3471"));
        assert_eq!(does(&crashed), "Nothing Ordered");
        let told = crashed.step();
        assert_eq!(status(&told).order_number.as_deref(), Some("3471"));
        assert_eq!(status(&told).change.unwrap().state, ChangeState::Accepted);
    }
}

#[test]
fn a6_a_lane_whose_intent_never_came_is_given_back_at_once() {
    for given in [given(), given().prepaid(), given().stop_first().finalizer(true)] {
        let taken = given.order().taken;
        let crashed = given.slot(taken).later(6).known_for(6);
        assert_eq!(does(&crashed), "Nothing Withdrawn");
        let back = crashed.step();
        assert_eq!(does(&back), "FreeLane Freed");
        let back = back.step();
        assert!(back.slot_record().is_free());
        assert!(does(&back.later(12)).ends_with(" Calling"));
    }
}

#[test]
fn a7_a_date_that_runs_ahead_settles_nothing_before_the_fence() {
    let open = given().in_flight(&given_change(ChangeState::Submitting, 60)).clock_ahead(-700);
    assert_eq!(does(&open.clone().known_for(60)), "Nothing Unknown");
    assert_eq!(does(&open.known_for(600)), "Nothing NotMade");
}

#[test]
fn a9_no_number_of_changes_of_one_target_outgrows_the_schema() {
    let schema = schema::of_status();
    let mut given = given().prepaid();
    for round in 0..70 {
        // Somebody orders the declared type from another type each time, and takes it back.
        let from = format!("t.{round}");
        let seconds = round * 5000;
        let adopted = given.of_type(&from).scheduled(LARGE).later(seconds).step();
        given = adopted.plan(None, None).later(seconds + 1000).step();
        let written = status(&given);
        assert_eq!(schema::fault_of(&written, schema), None, "round {round}");
        assert!(written.history.len() <= 24, "round {round}: {}", written.history.len());
    }
    assert!(status(&given).history.len() > 10, "{:?}", status(&given).history.len());
    // The same change over and over counts once.
    let again = given.of_type("t.69").later(400_000);
    assert_eq!(does(&again), "Nothing Reverted");
}

#[test]
fn a10_what_is_not_known_to_be_billed_afterwards_falls_under_the_policies() {
    let unknown = || given().charged("SPOT").priced(10, 20);
    assert_eq!(does(&unknown()), "Modify Calling");
    assert!(shows(&unknown().denies_upgrades()).starts_with("Failed UpgradeDenied"));
    let unpriced = given().charged("SPOT").denies_downgrades();
    assert!(shows(&unpriced).starts_with("Failed DirectionUnknown"));
}

#[test]
fn a11_a_price_counts_for_the_type_that_it_was_read_of() {
    // Read while the machine was of HUGE: a downgrade. By now it is of SMALL: an upgrade.
    let stale = given().prepaid().priced_as((HUGE, 40), (LARGE, 20)).denies_upgrades();
    assert_eq!(does(&stale.clone().of_type(HUGE)), "Modify Calling");
    // They are read anew.
    assert_eq!(stale.needs(), [Read::Prices]);
}

// ---- B. A state that nobody leaves ----

#[test]
fn b1_no_refusal_of_a_read_stops_an_object() {
    let codes = [
        (401, "AUTHFAILURE_SIGNATURE_FAILURE"),
        (401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
        (400, "INVALID_PARAMETER_VALUE"),
    ];
    for (http, code) in codes {
        let change = given_change(ChangeState::Accepted, 60);
        let flying = given().in_flight(&change).instance_fails(read_error(http, Some(code)));
        assert_eq!(flying.pass().verdict.next_look, NextLook::Backoff, "{code}");
        let failed = flying.then();
        assert_eq!(failed.clone().cloud_unread().needs(), [Read::Instance], "{code}");
        let state = accepted_at(change.started_at, "3471");
        let read = failed.read_again().holding(&change, state).processing(LARGE);
        assert_eq!(does(&read), "CloseLane EffectSeen", "{code}");
    }
}

#[test]
fn b2_two_reads_that_disagree_are_told_in_the_end_and_leave_no_machine_off() {
    let disagree = |given: Given| given.type_status(|one| one.current = type_id(HUGE));
    let long = disagree(given()).disagreeing_for(1800);
    assert_eq!(shows(&long), "Failed ReadsDisagree Ready=False InSync=False Stalled");
    let waits = disagree(off(60));
    assert_eq!(does(&waits), "Nothing ReadsDisagree");
    assert_eq!(does(&disagree(off(1801))), "Start Calling");
}

#[test]
fn b3_an_object_that_waits_for_an_older_one_says_who_it_is_and_why_it_does_nothing() {
    use zenlayer_vm_operator::lifecycle::{Claim, Owner};
    let mut given = given();
    let passive = Some("only observes it (spec.managementPolicy is Observe)");
    let owner = Owner { name: "older".into(), passive };
    given.observed.claim = Claim::Duplicate { owner: Some(owner), young: false };
    for part in ["VmInstance older", "only observes it", "delete one of the two", "cannot read"] {
        assert!(says(&given).contains(part), "{part:?} is not in {:?}", says(&given));
    }
    // Once the older one is deleted, or no longer counts.
    given.observed.claim = Claim::Owner;
    assert_eq!(does(&given), "Modify Calling");
}

#[test]
fn b4_what_a_newer_version_has_added_holds_back_nothing() {
    let refused = given().answered(refused(400, "MISSING_PARAMETER")).then();
    let mut newer = serde_json::to_value(status(&refused)).unwrap();
    newer["refusal"]["reason"] = serde_json::json!("NotApproved");
    let change = given_change(ChangeState::Observed, 60);
    newer["change"] = serde_json::to_value(change.to_api()).unwrap();
    let mut found = given();
    found.object.status = Some(serde_json::from_value(newer).unwrap());
    assert_eq!(does(&found.closed(&change, at(250)).processing(LARGE)), "Nothing Progressing");
    let counted = serde_json::json!({
        "change": "x", "at": "2026-03-01T10:42:07Z", "price": 3,
        "object": { "namespace": "shop", "name": "web", "uid": "u", "cluster": "c" },
    });
    assert!(serde_json::from_value::<Counted>(counted).is_ok());
}

#[test]
fn b5_a_lost_race_is_repeated_with_growing_pauses() {
    for given in
        [given(), given().in_flight(&given_change(ChangeState::Accepted, 60)).of_type(LARGE)]
    {
        let lost = given.outcome(Outcome::LostRace).pass().verdict;
        assert_eq!(lost.next_look, NextLook::Backoff);
        assert!(lost.events.is_empty());
    }
}

#[test]
fn b6_freshness_counts_from_the_reads_that_are_made_for_the_call() {
    // The reads that led here are long over: the rate limit was waited for.
    let slow = given().read_ago(150).without(Read::ForACall);
    assert_eq!(slow.needs(), [Read::ForACall]);
    let read = given().read_ago(5);
    assert_eq!(does(&read), "Modify Calling");
}

#[test]
fn b7_an_object_whose_machine_is_off_is_kept_until_it_runs_and_not_for_ever() {
    let kept = given().stop_first();
    assert_eq!(does(&kept), "SetFinalizer PowerIsKept");
    assert_eq!(does(&kept.step()), "Stop Calling");
    let deleted = off(60).deleted(5);
    assert_eq!(does(&deleted), "Start Calling");
    let starts = deleted.clone().step().later(10);
    assert!(starts.desired().has_finalizer);
    assert_eq!(does(&starts), "Nothing BeingDeleted");
    let runs = starts.state("RUNNING").step().later(20);
    assert_eq!(does(&runs), "EndRestore PowerRestored");
    assert_eq!(does(&runs.step()), "TakeFinalizerOff PowerIsFreeToGo");
    // Nothing can be done for an hour.
    let stuck = off(60).deleted(3601).secret(SecretState::NotFound).cloud_unread();
    assert_eq!(does(&stuck), "Nothing PowerLeftAsItIs");
    assert_eq!(stuck.pass().verdict.events[0].reason, "InstanceLeftStopped");
    assert_eq!(does(&stuck.step()), "TakeFinalizerOff PowerIsFreeToGo");
}

#[test]
fn b8_an_object_that_is_being_deleted_orders_nothing() {
    let doing = |given: Given| does(&given.deleted(1).generation(4));
    assert_eq!(doing(given()), "Nothing BeingDeleted");
    assert_eq!(doing(given().stop_first()), "Nothing BeingDeleted");
    let refused = given().answered(refused(400, "MISSING_PARAMETER")).then().later(5);
    assert_eq!(
        does(&refused.clone().generation(4)),
        "Nothing Refused",
        "a generation is no reason"
    );
    assert_eq!(doing(refused), "Nothing BeingDeleted");
    let scheduled = given_change(ChangeState::Observed, 900);
    let unwanted =
        given().prepaid().in_flight(&scheduled).closed(&scheduled, at(-1)).scheduled(LARGE);
    assert_eq!(doing(unwanted.wants(HUGE)), "Nothing Unwanted");
}

#[test]
fn b9_a_price_that_could_not_be_read_is_waited_for() {
    let down = given().prepaid().price_fails(read_error(500, None)).denies_downgrades();
    assert_eq!(shows(&down), "Waiting ApiUnavailable Ready=False InSync=False Reconciling");
    assert!(says(&down).contains("cannot read a list price"), "{}", says(&down));
    assert_eq!(look(&down), "backoff");
    assert_eq!(status(&down.then()).refusal, None);
}

#[test]
fn b10_a_reason_of_the_account_is_tried_again_and_one_of_the_target_is_not() {
    let mut given = given().answered(refused(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"));
    let pauses: Vec<_> = (0..6)
        .map(|_| {
            let now = given.now;
            given = given.clone().step();
            let again = status(&given).refusal.unwrap().retry_after.unwrap().0;
            let pause = again.duration_since(now).as_secs();
            let since: i64 = again.duration_since(at(0)).as_secs();
            assert_eq!(does(&given.clone().later(since - 1)), "Nothing Refused");
            let answer = refused(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION");
            given = given.clone().later(since).answered(answer);
            assert_eq!(does(&given), "Modify Calling");
            pause / 60
        })
        .collect();
    assert_eq!(pauses, [30, 60, 120, 240, 360, 360]);
    let target = crate::given::given().answered(refused(404, "INVALID_PRODUCT_NOT_FOUND")).step();
    assert_eq!(status(&target).refusal.as_ref().unwrap().retry_after, None);
    assert_eq!(does(&target.clone().later(40_000_000)), "Nothing Refused");
    assert_eq!(does(&target.wants(HUGE).generation(4).later(5)), "Modify Calling");
}

// ---- C. The status says what is not so ----

#[test]
fn c1_what_could_not_be_read_for_three_looks_is_not_known() {
    let mut given = given().of_type(LARGE).then();
    let mut shown = Vec::new();
    for look in 1..=4 {
        given = given.later(look * 300).instance_fails(transport()).then();
        shown.push(crate::table::shown(&status(&given)));
    }
    let known = "InSync InSync Ready=True InSync=True";
    assert_eq!(
        shown,
        [
            known,
            known,
            "InSync InSync Ready=True InSync=Unknown",
            "InSync InSync Ready=True InSync=Unknown"
        ]
    );
    let instance = status(&given).instance.unwrap();
    assert_eq!(instance.unread_since, Some(Time(at(300))));
}

#[test]
fn c2_a_cycle_that_is_renewed_without_the_downgrade_shows_as_overdue() {
    let scheduled =
        |given: Given, ends| given.scheduled(LARGE).instance(|one| one.expires_at = Some(at(ends)));
    let change = given_change(ChangeState::Observed, 60);
    let mut given = scheduled(given().prepaid().in_flight(&change), 10_000).then();
    let month = 2_592_000;
    for look in [5_000, 11_000] {
        given = scheduled(given, 10_000 + month).later(look).then();
        assert_eq!(status(&given).change.unwrap().effective_at, Some(Time(at(10_000))));
    }
    let late = given.later(11_801);
    assert_eq!(shows(&late), "Failed ChangeOverdue Ready=False InSync=False Stalled");
}

#[test]
fn c3_a_machine_that_its_owner_powers_off_during_the_change_is_of_the_type() {
    let change = given_change(ChangeState::Observed, 1900);
    let off = given().in_flight(&change).of_type(LARGE).state("STOPPED");
    assert_eq!(does(&off), "Nothing Completed");
    assert_eq!(shows(&off), "InSync InSync Ready=True InSync=True");
}

#[test]
fn c4_a_plan_that_was_ordered_elsewhere_is_seen_before_its_cycle() {
    let in_sync = given().prepaid().of_type(LARGE).then();
    assert_eq!(in_sync.clone().only_the_instance().needs(), [] as [Read; 0]);
    let due = in_sync.plan_is_due();
    assert_eq!(due.clone().only_the_instance().needs(), [Read::Plan]);
    let seen = due.scheduled(SMALL);
    assert_eq!(shows(&seen), "Waiting ForeignPlan Ready=False InSync=True Reconciling");
    assert!(status(&seen.clone().then()).pending_decision.is_some());
    // And it goes on being seen.
    assert_eq!(seen.then().only_the_instance().without(Read::Plan).needs(), [Read::Slot]);
}

#[test]
fn c5_each_reason_says_one_thing() {
    use std::collections::BTreeSet;
    let rows = crate::coverage::all_rows();
    let situations: BTreeSet<_> = rows
        .iter()
        .filter(|(_, given, ..)| {
            let verdict = given.pass().verdict;
            let ready = verdict.status.conditions.iter().find(|one| one.type_ == "Ready");
            let told = given.object.status.as_ref() != Some(&verdict.status);
            told && ready.is_some_and(|one| one.reason == "ReadsDisagree")
        })
        .map(|row| crate::table::situation(&row.1.decide().situation))
        .collect();
    // Reads that contradict each other, or an answer that contradicts them.
    let expected = ["Calling", "ReadFailed", "ReadLags", "ReadsDisagree"];
    assert_eq!(situations, BTreeSet::from(expected));
    let stop = given().stop_first().finalizer(true).crashed_before_the_call();
    let text = ready_message(stop.object.status.as_ref().unwrap()).to_owned();
    assert_eq!(
        text,
        "stopping the instance to resize c.1c2g to c.2c4g: the call is about to be made"
    );
}

#[test]
fn c6_a_secret_that_is_touched_is_the_same_credential() {
    let refused = given().answered(refused(400, "MISSING_PARAMETER")).then().later(5);
    // Its resourceVersion is another one each time; the digest of its data is not.
    for _ in 0..5 {
        assert_eq!(does(&refused), "Nothing Refused");
    }
    assert_eq!(does(&refused.credential("other data")), "Modify Calling");
}

#[test]
fn c7_one_empty_answer_ends_nothing() {
    let flying = given().in_flight(&given_change(ChangeState::Accepted, 60)).then();
    let once = flying.clone().missing_for(0);
    assert_eq!(does(&once), "Nothing Missing");
    assert_eq!((status(&once.clone().then()), look(&once)), (status(&flying), "5s".into()));
    assert_eq!(does(&flying.missing_for(5)), "CloseLane InstanceGone");
    let in_sync = given().of_type(LARGE).then().missing_for(0);
    assert_eq!(shows(&in_sync), "InSync InSync Ready=True InSync=True");
}

#[test]
fn c8_a_wait_after_a_read_is_no_skew() {
    // Read, dated, and then waited for the rate limit for 300 s.
    let waited = given().read_ago(300);
    assert_eq!(does(&waited), "Nothing TooOld");
    let mut skewed = given();
    if let Some(Ok(reading)) = &mut skewed.observed.plan {
        reading.date = Some(at(-241));
    }
    assert_eq!(does(&skewed), "Nothing ClockSkewed");
}

#[test]
fn c9_a_refusal_although_the_downgrade_was_scheduled_is_seen_through() {
    let refused =
        given().prepaid().answered(refused(400, "INVALID_PARAMETER_VALUE")).then().later(5);
    let unread = refused.clone().without(Read::Plan);
    assert_eq!(unread.needs(), [Read::Plan]);
    let scheduled = refused.scheduled(LARGE);
    assert_eq!(does(&scheduled), "Nothing Adopted");
    assert_eq!(shows(&scheduled), "Scheduled ChangeScheduled Ready=True InSync=False");
}

// ---- H. GitOps ----

#[test]
fn h1_a_new_object_beside_an_old_one_of_the_same_machine_waits_a_minute() {
    use zenlayer_vm_operator::lifecycle::Claim;
    let mut renamed = given();
    renamed.observed.claim = Claim::Duplicate { owner: None, young: true };
    assert_eq!(shows(&renamed), "Waiting DuplicateClaim Ready=False InSync=False Reconciling");
    assert_eq!(look(&renamed), "backoff");
    renamed.observed.claim = Claim::Duplicate { owner: None, young: false };
    assert_eq!(shows(&renamed), "Failed DuplicateClaim Ready=False InSync=False Stalled");
}

#[test]
fn h6_objects_at_rest_stay_ready_while_the_api_is_down() {
    let rows = [
        (given().of_type(LARGE), "InSync InSync Ready=True InSync=True"),
        (given().observing(), "Drifted DriftObserved Ready=True InSync=False"),
        (given().suspended(), "Suspended Suspended Ready=True InSync=False"),
    ];
    for (given, ready) in rows {
        let down = given.then().later(400).instance_fails(transport());
        assert_eq!(shows(&down), ready);
        assert!(says(&down).contains("; not read since 2026-03-01T10:48:47Z: "), "{}", says(&down));
        assert!(down.pass().verdict.events.is_empty());
        // A revision that asks for something is not Ready before it is done.
        let edited = down.wants(HUGE).generation(4);
        assert!(
            shows(&edited).starts_with("Waiting ApiUnavailable Ready=False"),
            "{}",
            shows(&edited)
        );
    }
    let flying = given().in_flight(&given_change(ChangeState::Observed, 60)).then();
    let down = flying.instance_fails(transport());
    assert!(shows(&down).starts_with("Waiting ApiUnavailable Ready=False"), "{}", shows(&down));
}

#[test]
fn h7_an_edit_that_is_taken_back_at_once_costs_nothing() {
    let settled = given().wants(SMALL).then();
    let edited = settled.clone().wants(LARGE).generation(4).spec_known_for(secs(1));
    assert_eq!(does(&edited), "Nothing EditIsYoung");
    assert_eq!(status(&edited.clone().step()), status(&settled), "not even a write");
    let back = edited.step().wants(SMALL).generation(5).spec_known_for(secs(0));
    assert_eq!(does(&back), "Nothing InSync");
    // The target of what was ordered before is still the same: nothing is ordered anew.
    let entry = given_entry(HUGE, SMALL, 3, HistoryOutcome::Completed);
    let reverted =
        back.ended(HistoryEntry { ended_at: Time(Timestamp::UNIX_EPOCH), ..entry }).of_type(HUGE);
    assert_eq!(does(&reverted.spec_known_for(secs(60))), "Nothing Reverted");
    // A change of mind begins the delay anew, and one that stays is ordered.
    let stays = settled.wants(LARGE).generation(4).spec_known_for(secs(2));
    assert_eq!(does(&stays), "Modify Calling");
}

#[test]
fn a_stop_that_is_seen_leaves_what_it_is_brought_back_to() {
    let seen = stopping(ChangeState::Accepted, 60).state("STOPPED").step();
    assert!(seen.slot_record().restore().is_some());
    assert_eq!(does(&seen.later(5)), "Modify Calling");
}

#[test]
fn a_change_that_is_displaced_in_the_status_counts_as_ordered() {
    // Its own record is gone, and the lane holds what a deleted object left.
    let mine = given_change(ChangeState::Submitting, 900);
    let left = Change {
        id: given_change(ChangeState::Accepted, 60).id,
        ..given_change(ChangeState::Accepted, 60)
    };
    let given = given().target(LARGE, 3).remembering(&mine).held_by(
        "gone",
        &left,
        accepted_at(at(-60), "9"),
    );
    let after = given.holder_is_gone().step();
    let kept: Vec<_> =
        status(&after).history.iter().map(|one| (one.id.clone(), one.outcome)).collect();
    assert_eq!(kept, [(mine.id.0, HistoryOutcome::Unrecorded)]);
    assert_eq!(status(&after).change.unwrap().id, left.id.0);
}
