//! No state is a dead end: once the spec stays and faults stop, every object reaches, without a person,
//! the state that a fresh object with that spec in that world reaches. What rests with a person is in
//! one list.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use zenlayer::{ChargeType, InstanceState, PlanState};
use zenlayer_vm_operator::{
    api::ChangeKind,
    lifecycle::{
        Action, Change, ChangeId, Desired, Held, LaneName, Restore, Situation,
        situation::{AtRest, HeldBack, Looking, Others, Power, Records, TypeChange},
    },
};

use crate::{
    coverage::all_rows,
    given::{Given, at, given, type_id},
    properties::config,
    table::{SITUATIONS, does, situation},
    worlds::{biases, world, world_of},
};

/// Who ends a situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ends {
    /// Nobody: all that this spec lets the operator do is done.
    Done,
    /// Time, another read, or the provider.
    ByItself,
    /// Whoever mends what the situation names; no word to the operator is needed.
    OnceMended,
    /// A person, by a word or a decision.
    APerson,
}

/// Without a wildcard, so that a new situation is asked about.
fn ends(situation: &Situation) -> Ends {
    use Ends::*;
    match situation {
        Situation::Calling(_) => ByItself,
        Situation::Looking(looking) => match looking {
            Looking::Needs(_)
            | Looking::NoQuota { .. }
            | Looking::Missing
            | Looking::ReadLags
            | Looking::TooOld => ByItself,
            Looking::InvalidStatus { .. }
            | Looking::SecretUnusable { .. }
            | Looking::InTrouble { .. }
            | Looking::ReadFailed { .. }
            | Looking::SlotUnreadable { .. }
            | Looking::SlotOfAnotherVersion
            | Looking::InstanceGone { .. }
            | Looking::ReadsDisagree { .. } => OnceMended,
        },
        Situation::Records(records) => match records {
            Records::Freed
            | Records::BeingMade
            | Records::Withdrawn { .. }
            | Records::Unrecorded { .. }
            | Records::AnswerKept => ByItself,
        },
        Situation::Power(power) => match power {
            Power::Requested { .. }
            | Power::UnderWay { .. }
            | Power::Unknown { .. }
            | Power::Seen { .. }
            | Power::Completed { .. }
            | Power::NoEffect { .. }
            | Power::Restored
            | Power::LeftAsItIs
            | Power::IsKept
            | Power::IsFreeToGo => ByItself,
        },
        Situation::TypeChange(change) => match change {
            TypeChange::Unverified { .. }
            | TypeChange::Overdue { .. }
            | TypeChange::NotInEffect { .. }
            | TypeChange::Reverted { .. } => APerson,
            TypeChange::Unwanted { .. } => Done,
            TypeChange::Ordered { .. }
            | TypeChange::Accepted { .. }
            | TypeChange::Unknown { .. }
            | TypeChange::NotMade { .. }
            | TypeChange::EffectSeen { .. }
            | TypeChange::Progressing { .. }
            | TypeChange::Completed { .. }
            | TypeChange::Undone { .. }
            | TypeChange::Resumed { .. }
            | TypeChange::Released { .. }
            | TypeChange::OrderedOnceMore { .. }
            | TypeChange::Adopted { .. }
            | TypeChange::NoLongerFollowed { .. } => ByItself,
        },
        Situation::Others(others) => match others {
            Others::DuplicateClaim { .. } => APerson,
            Others::HeldElsewhere { .. } | Others::ForeignPlan { .. } | Others::BeingDeleted => {
                ByItself
            }
        },
        Situation::AtRest(at_rest) => match at_rest {
            AtRest::InSync | AtRest::Drift { .. } | AtRest::Suspended { .. } => Done,
            AtRest::Refused { .. } => APerson,
        },
        Situation::HeldBack(held) => match held {
            HeldBack::InstanceBusy { .. }
            | HeldBack::EditIsYoung { .. }
            | HeldBack::OrderLimit { .. }
            | HeldBack::AnswersLost { .. }
            | HeldBack::DoesNotStop { .. } => ByItself,
            HeldBack::ServedTwice { .. }
            | HeldBack::InstanceUnusable { .. }
            | HeldBack::ClockSkewed { .. }
            | HeldBack::OrdersUnknown { .. } => OnceMended,
        },
    }
}

/// What rests with a person, and nothing else: the exceptions of the design.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("Refused", "a paid call that was refused for a reason of its target"),
    ("Unverified", "an outcome that only a person can judge: no answer, and nothing shows"),
    ("Reverted", "an outcome that only a person can judge: it was ordered, and is not there"),
    ("NotInEffect", "an outcome that only a person can judge: accepted, and nothing is pending"),
    ("Overdue", "an outcome that only a person can judge: accepted, and not complete in time"),
    ("DuplicateClaim", "two objects on one machine"),
];

fn exceptions() -> BTreeSet<&'static str> {
    EXCEPTIONS.iter().map(|(name, _)| *name).collect()
}

/// How many passes it may take.
const PASSES: usize = 24;

/// Everything works from now on, and what the provider was doing is done. `None`: what is there was
/// written by somebody else, and has to be put right first.
fn healed(given: &Given) -> Option<Given> {
    let status = given.object.status.clone().unwrap_or_default();
    given.seen().memory.ok()?;
    let record = given.slot_record();
    if LaneName::ALL.iter().any(|lane| record.lane(*lane).held() == Held::Unreadable) {
        return None;
    }
    let mut whole = given.clone().all_works();
    if given.observed.slot().is_none() {
        // It has what the status remembers.
        let changes = status.change.iter().chain(&status.power.change);
        for change in changes.filter_map(|one| Change::from_api("change", one).ok()) {
            whole = whole.in_flight(&change);
        }
        if let Some(restore) = &status.power.restore {
            whole = whole.restoring(&Restore {
                object: None,
                power_state: restore.power_state.clone(),
                stopped_by: ChangeId(restore.stopped_by.clone()),
                since: restore.since.0,
            });
        }
    }
    // Another object that holds a lane comes to its end, and goes.
    whole = whole.holder_is_gone();
    if let Some(plan) = given.observed.type_status() {
        let runs = matches!(plan.state, Some(PlanState::Processing | PlanState::WaitToEnable));
        let to = plan.target.clone().filter(|_| runs);
        whole = whole.of_type(to.as_ref().unwrap_or(&plan.current).as_str());
    } else if let Some(instance) = given.observed.instance() {
        whole = whole.of_type(instance.type_id.as_str());
    }
    if let Some(instance) = given.observed.instance() {
        let off = instance.state == InstanceState::Stopped;
        let prepaid = instance.charge_type != ChargeType::Postpaid;
        whole = whole.state(if off { "STOPPED" } else { "RUNNING" });
        whole = if prepaid { whole.prepaid() } else { whole };
    }
    Some(whole)
}

/// A fresh object with this spec in this world.
fn fresh(healed: &Given) -> Given {
    let stopped = healed.slot_record().restore().is_some();
    let mut fresh = healed.clone().free_slot().finalizer(false);
    fresh.object.status = None;
    if stopped { fresh.state("RUNNING") } else { fresh }
}

/// The provider does what it is asked, at once.
fn obeyed(given: Given, action: &Action, desired: &Desired) -> Given {
    let Action::Call(order) = action else { return given };
    match order.change.kind {
        ChangeKind::Modify => given.plan(None, None).of_type(desired.type_id.as_str()),
        ChangeKind::CancelDowngrade => given.plan(None, None),
        ChangeKind::Stop => given.state("STOPPED"),
        ChangeKind::Start => given.state("RUNNING"),
    }
}

/// Longer than any pause of the operator.
const LONG: i64 = 8 * 3600;

/// Where it ends, what a person is asked there, and after how many passes. Ten minutes pass between two; a
/// long time at the first, and where a call waits for a moment that it names.
fn end_of(mut given: Given) -> (&'static str, Given, usize) {
    given.outcome = None;
    let mut elapsed = LONG;
    for pass in 0..PASSES {
        given = given.later(elapsed);
        let (decision, desired) = (given.decide(), given.desired());
        let before = given.clone();
        given = obeyed(given.step(), &decision.action, &desired);
        let rests =
            decision.action == Action::Nothing && given.object.status == before.object.status;
        let where_it_is = situation(&decision.situation);
        let waits = ["AnswersLost", "DoesNotStop"].contains(&where_it_is);
        if rests && !waits {
            return (where_it_is, given, pass);
        }
        elapsed += if rests { LONG } else { 600 };
    }
    panic!(
        "no end after {PASSES} passes: {} of {:?} {:?}",
        does(&given),
        given.object,
        given.slot_record()
    );
}

/// What is left of a world that is mended: nothing, or the exception that it is.
fn dead_end(given: &Given) -> Option<(&'static str, usize)> {
    let healed = healed(given)?;
    let (end, last, passes) = end_of(healed.clone());
    if given.desired().deleted_at.is_some() {
        let free = !last.desired().has_finalizer;
        return (!free).then_some((end, passes));
    }
    let (expected, ..) = end_of(fresh(&healed));
    if end == expected {
        assert!(!left_off(&last), "a machine is left off in {end}");
        return None;
    }
    Some((end, passes))
}

/// Whether a machine that was stopped for a change stays off although changes are allowed.
fn left_off(given: &Given) -> bool {
    let off = given.slot_record().restore().is_some() || given.desired().has_finalizer;
    off && given.desired().allows_changes()
}

#[test]
fn each_situation_that_rests_with_a_person_is_an_exception_of_the_design() {
    let mut seen = BTreeMap::new();
    let worlds = (0..4000).map(world_of).chain(all_rows().into_iter().map(|row| row.1));
    for given in worlds {
        let one = given.decide().situation;
        seen.insert(situation(&one), ends(&one));
    }
    let by_a_person: BTreeSet<_> =
        seen.iter().filter(|(_, ends)| **ends == Ends::APerson).map(|(name, _)| *name).collect();
    assert_eq!(by_a_person, exceptions());
    let asked = SITUATIONS.iter().filter(|name| seen.contains_key(*name)).count();
    // What an answer leads to is not decided.
    assert_eq!(asked, SITUATIONS.len() - 1);
}

#[test]
fn every_row_of_every_table_leads_on_once_the_world_is_mended() {
    let mut left = BTreeMap::new();
    for (name, given, ..) in all_rows() {
        if let Some((end, _)) = dead_end(&given) {
            left.entry(end).or_insert_with(Vec::new).push(name);
        }
    }
    let ends: BTreeSet<_> = left.keys().copied().collect();
    println!("{left:#?}");
    // Two objects on one machine are two for a fresh object, too.
    let mut expected = exceptions();
    expected.remove("DuplicateClaim");
    assert_eq!(ends, expected);
}

#[test]
fn a_person_who_is_asked_is_told_the_word_that_ends_it() {
    for (name, given, ..) in all_rows() {
        let Some(healed) = healed(&given) else { continue };
        let (end, last, _) = end_of(healed);
        let asks = ["Unverified", "Reverted", "NotInEffect", "Overdue"].contains(&end);
        let asked = last.object.status.as_ref().and_then(|one| one.pending_decision.clone());
        assert_eq!(asked.is_some(), asks, "{name}: {end}");
        let Some(asked) = asked else { continue };
        let (_, value) = asked.annotation.split_once('=').unwrap();
        // The second order of a table has the name of the first one, and that was released before.
        let handled = last.object.status.as_ref().and_then(|one| one.handled.release.clone());
        if handled.as_deref() != Some(value) {
            let (after, ..) = end_of(last.released(value));
            assert_ne!(after, end, "{name}: {asked:?}");
        }
    }
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn no_world_is_a_dead_end_once_it_is_mended(seed: u64, biases in biases()) {
        let left = dead_end(&world(seed, biases));
        let known = left.is_none_or(|(end, _)| exceptions().contains(end));
        prop_assert!(known, "{left:?}");
    }

    #[test]
    fn a_machine_that_was_stopped_for_a_change_runs_in_the_end(seed: u64, biases in biases()) {
        let given = world(seed, biases);
        if let Some(healed) = healed(&given)
            && healed.slot_record().restore().is_some()
            && given.desired().allows_changes()
        {
            let (end, last, _) = end_of(healed);
            prop_assert!(!left_off(&last), "{end}");
        }
    }
}

#[test]
fn a_world_that_works_leads_from_a_fresh_object_to_in_sync() {
    let (end, last, passes) = end_of(given());
    assert_eq!(
        (end, last.observed.instance().unwrap().type_id.clone()),
        ("InSync", type_id("c.2c4g"))
    );
    assert!(passes <= 2, "{passes}");
    let (end, _, passes) = end_of(given().stop_first());
    assert_eq!(end, "InSync");
    assert!(passes <= 11, "{passes}");
    assert!(last.now > at(8 * 3600));
}
