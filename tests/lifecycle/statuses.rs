//! What every status keeps to, checked on every row of every table.

use std::time::Duration;

use zenlayer_vm_operator::{
    api::{Phase, Reason, VmInstanceStatus},
    lifecycle::{Action, NextLook},
};

use crate::{
    coverage::all_rows,
    given::{Given, LARGE, SMALL, at, given},
    table::{shows, situation},
};

/// The first thing that is wrong with a status of this generation.
pub fn fault(status: &VmInstanceStatus, generation: i64) -> Option<String> {
    let find = |name: &str| status.conditions.iter().find(|one| one.type_ == name);
    let names: Vec<_> = status.conditions.iter().map(|one| one.type_.as_str()).collect();
    let fault = |text: &str| Some(format!("{text}: {names:?} {:?}", status.phase));
    if status.observed_generation != Some(generation) {
        return fault("observedGeneration of the status");
    }
    let (Some(ready), Some(in_sync)) = (find("Ready"), find("InSync")) else {
        return fault("Ready and InSync always");
    };
    if names.len() != names.iter().collect::<std::collections::BTreeSet<_>>().len() {
        return fault("a condition twice");
    }
    for one in &status.conditions {
        if one.observed_generation != Some(generation) {
            return fault("observedGeneration of a condition");
        }
        if Reason::parse(&one.reason).is_none() || one.message.is_empty() {
            return fault("a condition without reason or message");
        }
        if one.message.ends_with('.') {
            return fault("a message with a full stop");
        }
    }
    let (stalled, reconciling) = (find("Stalled"), find("Reconciling"));
    let extra_is_true =
        [stalled, reconciling].into_iter().flatten().all(|one| one.status == "True");
    if !extra_is_true || (stalled.is_some() && reconciling.is_some()) {
        return fault("Stalled and Reconciling only while True, never both");
    }
    if stalled.is_some() != (status.phase == Some(Phase::Failed)) {
        return fault("Failed if and only if Stalled");
    }
    let at_rest = stalled.is_none() && reconciling.is_none();
    if (ready.status == "True") != at_rest {
        return fault("Ready if and only if neither Stalled nor Reconciling");
    }
    if !matches!(in_sync.status.as_str(), "True" | "False" | "Unknown") {
        return fault("InSync");
    }
    None
}

#[test]
fn every_status_has_its_conditions() {
    for (name, given, ..) in all_rows() {
        let generation = given.object.metadata.generation.unwrap();
        let status = given.pass().verdict.status;
        // In a moment there is more to say.
        let untouched = status == given.object.status.unwrap_or_default();
        assert!(untouched || fault(&status, generation).is_none(), "{name}: {status:?}");
    }
}

/// Passes over a world that stands still until one changes nothing; what that one does.
pub fn fixpoint(mut given: Given) -> Option<(usize, &'static str)> {
    for count in 0..12 {
        let pass = given.pass();
        let quiet = pass.decision.action == Action::Nothing;
        if quiet && pass.verdict.status == given.object.status.clone().unwrap_or_default() {
            assert!(pass.verdict.events.is_empty(), "an event without a change");
            return Some((count, situation(&pass.decision.situation)));
        }
        given = given.step();
    }
    None
}

#[test]
fn every_row_comes_to_a_fixpoint_in_an_unchanged_world() {
    for (name, given, ..) in all_rows() {
        assert!(fixpoint(given).is_some(), "{name}: every pass writes something");
    }
}

#[test]
fn a_second_pass_over_the_same_situation_writes_nothing() {
    for (name, given, ..) in all_rows() {
        let first = given.pass();
        if first.decision.action != Action::Nothing {
            continue;
        }
        let second = given.then();
        let pass = second.pass();
        if situation(&pass.decision.situation) == situation(&first.decision.situation) {
            assert_eq!(pass.verdict.status, second.object.status.unwrap_or_default(), "{name}");
        }
    }
}

#[test]
fn a_look_is_never_sooner_than_a_second_but_for_a_young_edit() {
    for (name, given, ..) in all_rows() {
        let pass = given.pass();
        if let NextLook::After(pause) = pass.verdict.next_look {
            let young = situation(&pass.decision.situation) == "EditIsYoung";
            let least = if young { 100 } else { 1000 };
            assert!(pause >= Duration::from_millis(least), "{name}: {pause:?}");
        }
    }
}

#[test]
fn a_condition_keeps_the_time_of_its_last_transition() {
    let first = given().state("REBOOT").then();
    let later = first.later(100).state("STOPPING").then();
    let find = |given: &Given, name: &str| {
        let status = given.object.status.clone().unwrap();
        status.conditions.into_iter().find(|one| one.type_ == name).unwrap().last_transition_time.0
    };
    assert_eq!(find(&later, "Ready"), at(0));
    let synced = later.of_type(LARGE).later(200).then();
    assert_eq!(find(&synced, "Ready"), at(200));
}

#[test]
fn what_was_observed_moves_its_time_only_with_another_field() {
    let first = given().then();
    let second = first.later(50).then();
    let seen = |given: &Given| given.object.status.clone().unwrap().instance.unwrap();
    assert_eq!(seen(&second).observed_at.0, at(0));
    let third = second.later(80).state("STOPPED").then();
    assert_eq!(seen(&third).observed_at.0, at(80));
}

#[test]
fn a_lagging_read_leaves_a_status_of_the_same_generation_alone() {
    let change = crate::given::given_change(zenlayer_vm_operator::api::ChangeState::Observed, 60);
    let in_sync = given().of_type(LARGE).then();
    let lagging = in_sync.of_type(SMALL).closed(&change, at(100));
    assert_eq!(shows(&lagging), "InSync InSync Ready=True InSync=True");
    assert_eq!(Some(lagging.pass().verdict.status), lagging.object.status);
}
