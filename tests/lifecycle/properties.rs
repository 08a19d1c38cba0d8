//! Arbitrary observations and memories. A case is a seed and nine biases: how often, by the
//! thousand, each part of the world is the harmless one. Drawn biases find the corners that uniform
//! chance does not.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use zenlayer::{InstanceState, PlanState};
use zenlayer_vm_operator::{
    api::{
        self, ChangeKind, ChangeState, HistoryOutcome, ManagementPolicy, Reason, VmInstanceStatus,
    },
    lifecycle::{
        Action, Change, ChangeId, Claim, HoldingState, Memory, Observed, PlanView, SecretState,
        Situation, SlotRecord, Standing, standing_refusal,
    },
};

use crate::{
    given::{
        Given, LARGE, SMALL, UID, accepted_at, at, given, given_change, given_entry, read_error,
        to, type_id, with_slot_after, without_fence,
    },
    statuses::{fault, fixpoint},
    world::{Rng, TYPES},
};

const KINDS: [ChangeKind; 4] =
    [ChangeKind::Modify, ChangeKind::CancelDowngrade, ChangeKind::Stop, ChangeKind::Start];

type Biases = [u64; 9];

fn some_change(rng: &mut Rng) -> Change {
    let state = rng.of(&[
        ChangeState::Submitting,
        ChangeState::Accepted,
        ChangeState::Observed,
        ChangeState::Unverified,
    ]);
    let ago = rng.of(&[0, 1, 60, 599, 600, 601, 900, 901, 1800, 1801, 5000, 1_000_000]);
    let change = to(given_change(state, ago), rng.of(&TYPES));
    let change = Change { from: type_id(rng.of(&TYPES)), ..change };
    let change = Change { target_generation: rng.seconds(0, 4), ..change };
    let kind = if rng.chance(600) { ChangeKind::Modify } else { rng.of(&KINDS) };
    let change = Change { kind, ..change };
    let change = if rng.chance(100) { without_fence(change) } else { change };
    let ours = (change.kind, change.state) != (ChangeKind::Modify, ChangeState::Observed);
    let change = Change { adopted: !ours && rng.chance(250), ..change };
    if rng.chance(100) { Change { deadline: None, ..change } } else { change }
}

fn some_memory(mut given: Given, change: &Change, bias: u64, rng: &mut Rng) -> Given {
    if rng.chance(800) {
        given = given.target(rng.of(&TYPES), rng.seconds(1, 4));
    }
    if !rng.chance(bias) {
        given = given.remembering(change);
    }
    for _ in 0..rng.below(4) {
        let outcome = rng.of(&[
            HistoryOutcome::Completed,
            HistoryOutcome::Reverted,
            HistoryOutcome::Unverified,
            HistoryOutcome::InstanceGone,
            HistoryOutcome::Unused,
            HistoryOutcome::Released,
            HistoryOutcome::Scheduled,
            HistoryOutcome::Cancelled,
            HistoryOutcome::Overdue,
        ]);
        let entry = given_entry(rng.of(&TYPES), rng.of(&TYPES), rng.seconds(1, 4), outcome);
        let kind = if rng.chance(600) { ChangeKind::Modify } else { rng.of(&KINDS) };
        let entry = api::HistoryEntry { kind, id: format!("{}-{kind:?}", entry.id), ..entry };
        given = given.ended(entry);
    }
    if rng.chance(200) {
        let call = rng.chance(700);
        given.status().refusal = Some(api::Refusal {
            code: None,
            reason: Reason::RequestInvalid.as_str().into(),
            message: "refused; mend it".into(),
            kind: call.then_some(ChangeKind::Modify),
            from: call.then(|| rng.of(&TYPES).into()),
            to: call.then(|| rng.of(&TYPES).into()),
            generation: rng.seconds(2, 4),
            secret_version: rng.of(&["77", "78"]).into(),
            request_id: None,
            retry_after: rng.chance(300).then(|| Time(at(rng.seconds(-5, 5)))),
        });
    }
    given
}

fn some_spec(given: Given, change: &Change, bias: u64, rng: &mut Rng) -> Given {
    let mut given = given.wants(rng.of(&TYPES)).generation(rng.seconds(2, 4));
    if !rng.chance(bias) {
        given = if rng.chance(500) { given.suspended() } else { given.observing() };
    }
    if rng.chance(200) {
        let entry = given.status().history.last().map(|entry| entry.id.clone());
        given = given.released(&entry.unwrap_or_else(|| change.id.0.clone()));
    } else if rng.chance(200) {
        given = given.released(&change.id.0);
    }
    if rng.chance(300) {
        given = given.stop_first();
    }
    if rng.chance(100) {
        given = given.cancel_plan(rng.of(&TYPES));
    }
    if rng.chance(100) {
        given = if rng.chance(500) { given.denies_upgrades() } else { given.denies_downgrades() };
    }
    if rng.chance(200) {
        given = given.requested_at(rng.of(&["a", "b"])).handled_retry("a");
    }
    given
}

fn some_reads(given: Given, bias: u64, rng: &mut Rng) -> Given {
    let type_now = rng.of(&TYPES);
    let mut given = given.of_type(type_now);
    if rng.chance(500) {
        given = given.prepaid();
    }
    if rng.chance(bias) {
        return given;
    }
    match rng.below(9) {
        0 => given.gone(),
        1 => given.instance_fails(read_error(503, None)),
        2 => given.plan_fails(read_error(401, Some("AUTHFAILURE_UNAUTHORIZED_OPERATION"))),
        3 => given.plan_is_missing(),
        4 => given.only_the_instance(),
        5 => given.nothing_read(),
        6 => given.instance(|one| one.type_id = type_id(rng.of(&TYPES))),
        7 => given.state(rng.of(&["STOPPED", "REBOOT", "RECYCLE", "CREATE_FAILED", "NEW"])),
        _ => given.charged("SPOT"),
    }
}

fn some_plan(given: Given, bias: u64, rng: &mut Rng) -> Given {
    if rng.chance(bias) {
        return given;
    }
    let target = rng.of(&[None, Some(TYPES[0]), Some(TYPES[1]), Some(TYPES[2])]);
    if rng.chance(200) {
        let ours = given.object.status.as_ref().and_then(|status| status.change.clone());
        return match ours {
            Some(change) => given.scheduled(&change.to),
            None => given,
        };
    }
    let states = [None, Some("Processing"), Some("WaitToEnable"), Some("Enable"), Some("Odd")];
    given.plan(target, rng.of(&states))
}

fn some_times(mut given: Given, bias: u64, rng: &mut Rng) -> Given {
    if !rng.chance(bias) {
        given = given.read_ago(rng.of(&[-1, 0, 5, 6, 100]));
    }
    if rng.chance(bias) {
        return given;
    }
    let dates = [-5000, -301, -241, -240, 0, 240, 241, 5000];
    let one = rng.chance(700).then(|| at(rng.of(&dates)));
    let two = if rng.chance(600) { one } else { rng.chance(700).then(|| at(rng.of(&dates))) };
    given.dated(one, two)
}

fn some_slot(given: Given, change: &Change, bias: u64, rng: &mut Rng) -> Given {
    let mut given = given.slot(SlotRecord::default());
    if rng.chance(300) {
        let closed = if rng.chance(500) { change.clone() } else { given_change(change.state, 77) };
        let closed = to(closed, rng.of(&TYPES));
        given = given.closed(&closed, at(rng.of(&[-301, -300, -1, 0, 100])));
    }
    if rng.chance(100) {
        given = given.given_back(change);
    }
    if rng.chance(bias) {
        return given;
    }
    let other = given_change(ChangeState::Submitting, 33);
    let held = if rng.chance(600) { change } else { &other };
    let state =
        if rng.chance(500) { HoldingState::Open } else { accepted_at(held.started_at, "3471") };
    match rng.below(5) {
        0..2 => given.holding(held, state),
        2 => given.held_by("other", held, state),
        3 => given.held_by("other", held, state).holder_is_gone(),
        _ => given.slot_fails("forbidden"),
    }
}

fn some_limits(mut given: Given, bias: u64, rng: &mut Rng) -> Given {
    if rng.chance(300) {
        let runs = rng.chance(300);
        given = given.stopped_for_a_change(rng.of(&[60, 1800, 1801]));
        given = if runs { given.state("RUNNING") } else { given };
    }
    if rng.chance(200) {
        given = given.priced(rng.seconds(1, 3), rng.seconds(1, 3));
    }
    match (rng.chance(bias), rng.chance(500)) {
        (true, _) => given,
        (false, true) => given.ordered_within_the_hour(100),
        (false, false) => given.orders_fail("forbidden"),
    }
}

fn world(seed: u64, biases: Biases) -> Given {
    let mut rng = Rng(seed);
    let rng = &mut rng;
    let change = some_change(rng);
    let mut given = some_memory(given(), &change, biases[0], rng);
    given = some_slot(given, &change, biases[1], rng);
    given = some_spec(given, &change, biases[2], rng);
    given = some_reads(given, biases[3], rng);
    given = some_plan(given, biases[4], rng);
    given = some_times(given, biases[5], rng);
    given = some_limits(given, biases[6], rng);
    if !rng.chance(biases[6]) {
        given = given.duplicate_of(None);
    }
    if !rng.chance(biases[7]) {
        given = given.bearer();
    }
    if !rng.chance(biases[8]) {
        let problem = "the key token is empty".to_owned();
        let version = "77".to_owned();
        let states = [SecretState::NotFound, SecretState::Incomplete { version, problem }];
        given = given.secret(states[usize::from(rng.chance(500))].clone());
    }
    given
}

/// What holds back every call, of whatever kind; the rules of the design, said once more and
/// independently.
fn must_not_call(given: &Given, change: &Change) -> Option<&'static str> {
    let (desired, seen) = (given.desired(), given.seen());
    let memory = seen.memory.as_ref().ok()?;
    let (Some(instance), Some(status), Some(slot)) =
        (seen.instance(), seen.type_status(), seen.slot())
    else {
        return Some("a read is missing");
    };
    let age = given.now.duration_since(seen.began_at).as_secs();
    let refused = standing_refusal(&desired, memory, &seen.secret, given.now)
        .and_then(|refusal| refusal.call.as_ref())
        .is_some_and(|call| {
            (call.kind, &call.from, &call.to) == (change.kind, &change.from, &change.to)
        });
    let skewed = seen.dates().any(|date| seen.began_at.duration_since(date).as_secs().abs() > 240);
    // A start may be made beside a change that nobody can settle by waiting, a cancellation
    // beside the scheduled change that it takes back; nothing else beside anything.
    let in_flight = match seen.standing(&desired.object, &desired.timing) {
        Standing::InFlight(other) => match change.kind {
            ChangeKind::Start => {
                let unanswered = other.state == ChangeState::Submitting;
                let in_slot =
                    slot.record.holding.as_ref().is_some_and(|held| held.change == other.id);
                unanswered && !is_past(&seen, other.fence)
                    || other.state == ChangeState::Unverified && !is_past(&seen, other.fence)
                    || other.state != ChangeState::Observed && !in_slot
            }
            ChangeKind::CancelDowngrade => {
                other.state != ChangeState::Observed
                    || other.kind != ChangeKind::Modify
                    || other.to != change.from
            }
            ChangeKind::Modify | ChangeKind::Stop => true,
        },
        Standing::GivenBack(_) | Standing::HeldElsewhere(_) => true,
        Standing::Idle => false,
    };
    let faults = [
        (in_flight, "an intent or the slot is open"),
        (!(0..=5).contains(&age), "the reads are stale"),
        (instance.type_id != status.current, "the reads disagree"),
        (refused, "it was refused"),
        (skewed, "the clock is skewed"),
        (desired.suspend, "suspended"),
        (desired.policy != ManagementPolicy::Enforce, "only observed"),
        (seen.claim != Claim::Owner, "a duplicate"),
        (seen.secret.reason().is_some(), "the Secret is of no use"),
        (change.started_at.duration_since(given.now).as_secs() != 0, "another time"),
        (change.fence.is_some() == (given.bearer_is_used()), "the fence"),
    ];
    let fault = faults.into_iter().find_map(|(wrong, name)| wrong.then_some(name));
    fault.or_else(|| match change.kind {
        ChangeKind::Modify | ChangeKind::Stop => must_not_order(given, change),
        ChangeKind::Start => {
            let ours = seen.restore().is_some() && instance.state == InstanceState::Stopped;
            (!ours).then_some("a machine that a person stopped, or that runs")
        }
        ChangeKind::CancelDowngrade => {
            let there = PlanView::of(status).is_to(&change.from)
                && status.state == Some(PlanState::WaitToEnable);
            let stays = change.to == instance.type_id;
            (!there || !stays).then_some("there is no such plan")
        }
    })
}

fn is_past(seen: &Observed, fence: Option<Timestamp>) -> bool {
    fence.is_some_and(|fence| match seen.provider_now() {
        Some(date) => date > fence,
        None => seen.began_at.duration_since(fence).as_secs() > 300,
    })
}

/// What holds back an order, and the stop that precedes it.
fn must_not_order(given: &Given, change: &Change) -> Option<&'static str> {
    let (desired, seen) = (given.desired(), given.seen());
    let (memory, instance) = (seen.memory.as_ref().ok()?, seen.instance()?);
    let plan = PlanView::of(seen.type_status()?);
    let ordered = memory.history.iter().any(|entry| {
        let counts = !matches!(
            entry.outcome,
            HistoryOutcome::Unverified | HistoryOutcome::Released | HistoryOutcome::Unused
        );
        let same = (&entry.from, &entry.to, entry.target_generation)
            == (&change.from, &change.to, change.target_generation);
        counts && same && (entry.kind == change.kind || entry.kind == ChangeKind::Modify)
    });
    let lags = seen.slot()?.record.closed.iter().any(|closed| {
        let recent = seen.provider_now().unwrap_or(seen.began_at) <= closed.until;
        recent && closed.until <= at(4200) && !closed.agrees(instance, &plan)
    });
    let full = seen.orders.as_ref().is_some_and(|orders| {
        orders.as_ref().is_ok_and(|count| count.within_the_hour >= 100) || orders.is_err()
    });
    let faults = [
        (plan != PlanView::None, "a plan is open"),
        (ordered, "it was ordered for this target"),
        (lags, "the read contradicts what was seen"),
        (full, "the hour's limit is reached, or not known"),
        (!matches!(instance.state, InstanceState::Running | InstanceState::Stopped), "busy"),
        (change.from != instance.type_id || change.to != desired.type_id, "another change"),
        (change.from == change.to, "no change"),
    ];
    faults.into_iter().find_map(|(wrong, name)| wrong.then_some(name))
}

impl Given {
    fn bearer_is_used(&self) -> bool {
        matches!(self.observed.secret, SecretState::Usable { expires_requests: false, .. })
    }
}

/// Why an open intent must not be gone after this pass.
fn lost_intent(given: &Given) -> Option<String> {
    let (desired, seen) = (given.desired(), given.seen());
    let Standing::InFlight(change) = seen.standing(&desired.object, &desired.timing) else {
        return None;
    };
    if change.state != ChangeState::Submitting {
        return None;
    }
    let pass = given.pass();
    let kept = pass.verdict.status.change.as_ref().is_some_and(|kept| kept.id == change.id.0);
    // A change that only the slot knows is kept there.
    let known = given.object.status.as_ref().is_some_and(|status| status.change.is_some());
    let untouched = pass.decision.action == Action::Nothing;
    if kept || (!known && untouched) {
        return None;
    }
    let past = change.fence.is_some_and(|fence| match seen.provider_now() {
        Some(date) => date > fence,
        None => seen.began_at.duration_since(fence).as_secs() > 300,
    });
    let released = matches!(pass.decision.situation, Situation::Released { .. });
    let fine = past || (released && change.fence.is_none());
    (!fine).then(|| format!("{:?}", pass.decision))
}

/// The slot that an action writes is free, or held by the change that the action is about.
fn foreign_slot(given: &Given, action: &Action) -> bool {
    let known = given.object.status.as_ref().and_then(|status| status.change.as_ref());
    match action {
        Action::Nothing => false,
        // Only a start is made beside a change that a person has to settle; a cancellation only over
        // the very change that it takes back, should its slot not have been closed.
        Action::Call { change, slot, .. } => slot.record.holding.as_ref().is_some_and(|held| {
            let takes_back = known.is_some_and(|known| known.id == held.change.0);
            match change.kind {
                ChangeKind::Start => false,
                ChangeKind::CancelDowngrade => !takes_back,
                ChangeKind::Modify | ChangeKind::Stop => true,
            }
        }),
        // What is written over a slot that is held keeps its holder, or says what became of it.
        Action::WriteSlot { slot, record } => slot.record.holding.as_ref().is_some_and(|held| {
            let word = record.returned.iter().chain(record.closed.iter().map(|one| &one.change));
            record.holding.as_ref() != Some(held) && !word.into_iter().any(|id| *id == held.change)
        }),
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn biases() -> impl Strategy<Value = Biases> {
    let bias = prop_oneof![3 => 900u64..=1000, 1 => 0u64..1000];
    proptest::array::uniform9(bias)
}

proptest! {
    #![proptest_config(config(6000))]

    #[test]
    fn a_call_is_made_only_where_every_rule_allows_it(seed: u64, biases in biases()) {
        let given = world(seed, biases);
        let decision = given.decide();
        if let Action::Call { change, .. } = &decision.action {
            prop_assert_eq!(must_not_call(&given, change), None);
        }
        prop_assert!(!foreign_slot(&given, &decision.action), "{:?}", decision);
    }

    #[test]
    fn every_status_keeps_to_its_rules(seed: u64, biases in biases()) {
        let given = world(seed, biases);
        let verdict = given.pass().verdict;
        let silent = given.object.status.as_ref() == Some(&verdict.status);
        let fault = fault(&verdict.status, given.desired().generation);
        prop_assert!(silent || fault.is_none(), "{:?}", fault);
        prop_assert!(Memory::from_status(&verdict.status).is_ok());
        prop_assert!(verdict.status.history.len() <= 64);
    }

    #[test]
    fn an_open_intent_is_never_lost(seed: u64, biases in biases()) {
        prop_assert_eq!(lost_intent(&world(seed, biases)), None);
    }

    #[test]
    fn an_unchanged_world_comes_to_rest(seed: u64, biases in biases()) {
        prop_assert!(fixpoint(world(seed, biases)).is_some());
    }

    #[test]
    fn what_a_pass_ordered_no_later_pass_orders_again(seed: u64, biases in biases()) {
        let mut given = world(seed, biases);
        // Nobody releases anything, and the answers of the provider never change.
        given.object.metadata.annotations = None;
        let mut orders = Vec::new();
        for _ in 0..6 {
            let pass = given.pass();
            if let Action::Call { change, .. } = &pass.decision.action
                && change.kind == ChangeKind::Modify
            {
                orders.push(change.id.clone());
            }
            given.object.status = Some(pass.verdict.status);
            given = with_slot_after(given, &pass.decision.action);
        }
        prop_assert!(orders.len() <= 1, "{:?}", orders);
    }
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    let range = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    prop_oneof![
        Just(Timestamp::MIN),
        Just(Timestamp::MAX),
        range.prop_map(|second| Timestamp::from_second(second).unwrap()),
        (-2000i64..2000).prop_map(at),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![2 => Just(LARGE.to_owned()), 1 => Just(SMALL.to_owned()), 1 => ".{0,200}"]
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn no_status_makes_a_pass_panic_or_lose_an_intent(
        texts in proptest::array::uniform8(any_text()),
        times in proptest::array::uniform6(any_time()),
        generation: i64,
        state in 0usize..4,
        seed: u64,
    ) {
        let states = [
            ChangeState::Submitting, ChangeState::Accepted, ChangeState::Observed,
            ChangeState::Unverified,
        ];
        let [id, from, want, order, request, target, reason, name] = texts;
        let [started, fence, deadline, effective, ended, now] = times;
        let mut given = world(seed, [900; 9]);
        let mut change = given_change(states[state], 60).to_api();
        change.id = id.clone();
        change.from = from.clone();
        change.to = want.clone();
        change.target_generation = generation;
        change.started_at = Time(started);
        change.fence = Some(Time(fence));
        change.deadline = Some(Time(deadline));
        change.effective_at = Some(Time(effective));
        let mut entry = given_entry(SMALL, LARGE, generation, HistoryOutcome::Completed);
        entry.id = name;
        entry.ended_at = Time(ended);
        let before = VmInstanceStatus {
            order_number: Some(order),
            request_id: Some(request),
            target: Some(api::Target { type_id: target, since_generation: generation }),
            change: Some(change.clone()),
            history: vec![entry.clone()],
            refusal: given.status().refusal.clone().map(|one| api::Refusal { reason, ..one }),
            ..VmInstanceStatus::default()
        };
        given.object.status = Some(before);
        given.now = now;
        let pass = given.pass();
        prop_assert!(!crate::table::is_call(&pass.decision.action));
        if given.seen().memory.is_err() {
            prop_assert_eq!(pass.verdict.status.change, Some(change));
            prop_assert_eq!(pass.verdict.status.history, vec![entry]);
        }
    }

    #[test]
    fn names_of_changes_are_made_of_any_uid(uid in ".{0,60}", time in any_time()) {
        let id = ChangeId::new(&uid, time);
        prop_assert!(id.0.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        prop_assert_ne!(id, ChangeId::new(UID, at(123_456)));
    }
}

#[test]
fn the_arbitrary_worlds_reach_every_situation() {
    // Properties over worlds that never come to a call would hold of anything.
    let mut seen = std::collections::BTreeMap::new();
    let mut rng = Rng(1);
    for seed in 0..30_000 {
        let bias =
            |rng: &mut Rng| if rng.chance(750) { 900 + rng.below(101) } else { rng.below(1000) };
        let given = world(seed, std::array::from_fn(|_| bias(&mut rng)));
        *seen.entry(crate::table::situation(&given.decide().situation)).or_insert(0) += 1;
    }
    println!("{seen:?}");
    let missing = |name: &&&str| !seen.contains_key(**name) && **name != "Unusable";
    let missing: Vec<_> = crate::table::SITUATIONS.iter().filter(missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(seen["Calling"] > 100, "{}", seen["Calling"]);
}
