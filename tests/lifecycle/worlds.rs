//! Arbitrary observations and memories. A world is a seed and ten biases: how often, by the thousand,
//! each part of it is the harmless one. Drawn biases find the corners that uniform chance does not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use zenlayer_vm_operator::{
    api::{self, ChangeKind, ChangeState, HistoryOutcome, Reason},
    lifecycle::{Change, ChangeId, HoldingState, LaneName, Read, SecretState, backoff::fnv},
};

use harness::rng::Rng;

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, UID, accepted_at, at, given, given_call, given_change,
        given_entry, read_error, restore, secs, to, transport, trouble, type_id, without_fence,
    },
    preflight::ordered_by_all,
};

pub const TYPES: [&str; 3] = [SMALL, LARGE, HUGE];

const KINDS: [ChangeKind; 4] =
    [ChangeKind::Modify, ChangeKind::CancelDowngrade, ChangeKind::Stop, ChangeKind::Start];

pub type Biases = [u64; 10];

pub fn biases() -> impl Strategy<Value = Biases> {
    let bias = prop_oneof![3 => 900u64..=1000, 1 => 0u64..1000];
    proptest::array::uniform10(bias)
}

/// The world of a seed alone: its biases are drawn, too.
pub fn world_of(seed: u64) -> Given {
    let mut rng = Rng::new(seed ^ 0x5eed);
    let mut bias = |_| if rng.chance(750) { 900 + rng.below(101) } else { rng.below(1000) };
    world(seed, std::array::from_fn(&mut bias))
}

pub fn world(seed: u64, biases: Biases) -> Given {
    let mut rng = Rng::new(seed);
    let rng = &mut rng;
    let change = some_change(rng);
    let mut given = some_memory(given(), &change, biases[0], rng);
    given = some_lanes(given, &change, biases[1], rng);
    given = some_spec(given, &change, biases[2], rng);
    given = some_reads(given, biases[3], rng);
    given = some_plan(given, biases[4], rng);
    given = some_times(given, biases[5], rng);
    given = some_limits(given, biases[6], rng);
    given = some_power(given, biases[7], rng);
    given = some_lost_answers(given, rng);
    given = some_refusal(given, rng);
    given = some_knowledge(given, biases[9], rng);
    if !rng.chance(biases[6]) {
        given = given.duplicate_of(None);
    }
    if rng.chance(100) {
        given = given.bearer();
    }
    if !rng.chance(biases[8]) {
        let problem = "the key token is empty".to_owned();
        let states = [SecretState::NotFound, SecretState::Incomplete { problem }];
        given = given.secret(states[usize::from(rng.chance(500))].clone());
    }
    given
}

fn some_change(rng: &mut Rng) -> Change {
    let state = rng.of(&[
        ChangeState::Submitting,
        ChangeState::Accepted,
        ChangeState::Observed,
        ChangeState::Unverified,
    ]);
    let ago = rng.of(&[0, 1, 60, 599, 600, 601, 900, 901, 1800, 1801, 5000, 1_000_000]);
    let kind = if rng.chance(600) { ChangeKind::Modify } else { rng.of(&KINDS) };
    // Only an order waits for a person.
    let state = match (kind, state) {
        (ChangeKind::Modify, state) => state,
        (_, ChangeState::Unverified) => ChangeState::Submitting,
        (_, state) => state,
    };
    let change = to(given_call(kind, state, ago), rng.of(&TYPES));
    let change = Change { from: type_id(rng.of(&TYPES)), ..change };
    let change = Change { target_generation: rng.range(0, 4), ..change };
    let change = if rng.chance(100) { without_fence(change) } else { change };
    let followed = (kind, state) == (ChangeKind::Modify, ChangeState::Observed);
    let change = Change { adopted: followed && rng.chance(250), ..change };
    if rng.chance(100) { Change { deadline: None, ..change } } else { change }
}

fn some_memory(mut given: Given, change: &Change, bias: u64, rng: &mut Rng) -> Given {
    if rng.chance(800) {
        given = given.target(rng.of(&TYPES), rng.range(1, 4));
    }
    if !rng.chance(bias) {
        given = given.remembering(change);
    }
    if rng.chance(50) {
        given = given.withdrawn(change);
    }
    for number in 0..rng.below(4) {
        let outcome = rng.of(&[
            HistoryOutcome::Completed,
            HistoryOutcome::Reverted,
            HistoryOutcome::Unverified,
            HistoryOutcome::InstanceGone,
            HistoryOutcome::Unrecorded,
            HistoryOutcome::Unknown,
            HistoryOutcome::Released,
            HistoryOutcome::Scheduled,
            HistoryOutcome::Cancelled,
            HistoryOutcome::Overdue,
        ]);
        let entry = given_entry(rng.of(&TYPES), rng.of(&TYPES), rng.range(1, 4), outcome);
        let kind = if rng.chance(600) { ChangeKind::Modify } else { rng.of(&KINDS) };
        let ended_at = Time(at(-rng.of(&[0, 5, 300, 3600, 40_000])));
        let id = format!("{}-{kind:?}-{number}", entry.id);
        given = given.ended(api::HistoryEntry { kind, id, ended_at, ..entry });
    }
    given
}

/// What a refusal remembers of the instance.
pub fn digest(given: &Given) -> String {
    let observed = &given.observed;
    let Some(one) = observed.instance() else { return String::new() };
    let state = match observed.slot().and_then(|slot| slot.record.restore()) {
        Some(restore) => restore.power_state.clone(),
        None => one.state.to_string(),
    };
    let parts = format!(
        "{}|{state}|{}|{:?}|{:?}|{:?}|{:?}",
        one.type_id, one.charge_type, one.zone_id, one.cpu_count, one.memory_gib, one.bandwidth_out
    );
    format!("{:016x}", fnv(&parts))
}

/// Calls for the declared type whose answers were lost.
fn some_lost_answers(mut given: Given, rng: &mut Rng) -> Given {
    if !rng.chance(60) {
        return given;
    }
    let want = given.object.spec.instance_type_id.clone();
    given = given.target(&want, 2);
    for number in 0..rng.range(1, 4) {
        let entry = given_entry(rng.of(&TYPES), &want, 2, HistoryOutcome::Unverified);
        let ended_at = Time(at(-rng.of(&[0, 300, 1200])));
        let kind = rng.of(&[ChangeKind::Modify, ChangeKind::CancelDowngrade]);
        given = given.ended(api::HistoryEntry {
            id: format!("lost-{number}"),
            kind,
            ended_at,
            ..entry
        });
    }
    given
}

fn some_refusal(mut given: Given, rng: &mut Rng) -> Given {
    if !rng.chance(200) {
        return given;
    }
    let instance = if rng.chance(700) { digest(&given) } else { "other".into() };
    given.status().refusal = Some(Box::new(api::Refusal {
        code: None,
        reason: Reason::RequestInvalid.as_str().into(),
        message: "refused; mend it".into(),
        kind: if rng.chance(600) { ChangeKind::Modify } else { rng.of(&KINDS) },
        from: rng.of(&TYPES).into(),
        to: rng.of(&TYPES).into(),
        instance,
        credential: rng.of(&[crate::given::CREDENTIAL, "other"]).into(),
        attempts: rng.range(1, 4),
        request_id: None,
        retry_after: rng.chance(300).then(|| Time(at(rng.of(&[-5, 0, 5, 21_600, 21_601])))),
    }));
    given
}

fn some_lanes(given: Given, change: &Change, bias: u64, rng: &mut Rng) -> Given {
    let mut given = given;
    if rng.chance(300) {
        let closed = if rng.chance(500) { change.clone() } else { given_change(change.state, 77) };
        let closed = to(closed, rng.of(&TYPES));
        given = given.closed(&closed, at(rng.of(&[-301, -300, -1, 0, 100, 4200, 4201])));
    }
    if rng.chance(150) {
        let kind = rng.of(&[ChangeKind::Stop, ChangeKind::Start]);
        given = given.closed(&given_call(kind, ChangeState::Observed, 88), at(rng.of(&[-1, 100])));
    }
    // What the status remembers, the slot has most of the time.
    let remembered = given
        .object
        .status
        .as_ref()
        .is_some_and(|status| status.change.is_some() || status.power.change.is_some());
    if remembered && change.state != ChangeState::Observed && rng.chance(800) {
        let state = match change.state {
            ChangeState::Accepted => accepted_at(change.started_at, "3471"),
            ChangeState::Unverified => HoldingState::Unverified,
            ChangeState::Submitting | ChangeState::Observed => HoldingState::Open,
        };
        given = given.holding(change, state);
    }
    if rng.chance(bias) {
        return given;
    }
    if rng.chance(100) {
        return given.slot_fails("forbidden");
    }
    if rng.chance(100) {
        return given.of_another_version(rng.of(&LaneName::ALL));
    }
    given = some_holder(given, change, rng);
    if rng.chance(200) {
        let kind = rng.of(&KINDS);
        given = some_holder(given, &given_call(kind, ChangeState::Submitting, 44), rng);
    }
    given
}

fn some_holder(given: Given, change: &Change, rng: &mut Rng) -> Given {
    let other = given_change(ChangeState::Submitting, 33);
    let held = if rng.chance(700) { change } else { &other };
    let number = if held.kind == ChangeKind::Modify { "3471" } else { "0" };
    let state = match (rng.below(5), held.kind) {
        (0..2, _) => HoldingState::Open,
        (2, ChangeKind::Modify) => HoldingState::Unverified,
        _ => accepted_at(held.started_at, number),
    };
    match rng.below(4) {
        0..2 => given.holding(held, state),
        2 => given.held_by("other", held, state),
        _ => given.held_by("other", held, state).holder_is_gone(),
    }
}

fn some_spec(given: Given, change: &Change, bias: u64, rng: &mut Rng) -> Given {
    let mut given = given.wants(rng.of(&TYPES)).generation(rng.range(2, 4));
    if !rng.chance(bias) {
        given = if rng.chance(500) { given.suspended() } else { given.observing() };
    }
    if rng.chance(100) {
        given = given.deleted(rng.of(&[1, 100, 3600, 3601]));
    }
    given = given.finalizer(rng.chance(200));
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
    let mut given = given.of_type(rng.of(&TYPES));
    if rng.chance(500) {
        given = given.prepaid();
    }
    if rng.chance(bias) {
        return given;
    }
    match rng.below(11) {
        0 => given.gone(),
        1 => given.missing_for(rng.below(10)),
        2 => given.instance_fails(read_error(503, None)),
        3 => given.plan_fails(read_error(401, Some("AUTHFAILURE_UNAUTHORIZED_OPERATION"))),
        4 => given.plan_is_missing(),
        5 => given.only_the_instance(),
        6 => given.nothing_read(),
        7 => given.instance(|one| one.type_id = type_id(rng.of(&TYPES))),
        8 => given.state(rng.of(&[
            "REBOOT",
            "RECYCLE",
            "CREATE_FAILED",
            "NEW",
            "STOPPING",
            "BOOTING",
        ])),
        9 => given.without(Read::ForACall),
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

fn some_limits(mut given: Given, bias: u64, rng: &mut Rng) -> Given {
    if rng.chance(200) {
        given = given.priced(rng.range(1, 3), rng.range(1, 3));
    } else if rng.chance(50) {
        given = given.price_fails(transport());
    }
    match (rng.chance(bias), rng.below(5)) {
        (true, _) => given,
        (false, 0..2) => given.orders(ordered_by_all(100)),
        (false, 2) => given.orders_fail("forbidden"),
        (false, 3) => given.account_refused(trouble(Reason::PermissionDenied, true, 900)),
        (false, _) => given.without(rng.of(&[Read::Orders, Read::Catalogue, Read::Prices])),
    }
}

/// The machine was stopped for a change, or is off for another reason.
fn some_power(given: Given, bias: u64, rng: &mut Rng) -> Given {
    if rng.chance(bias) {
        return given;
    }
    if given.observed.slot().is_none() || rng.chance(200) {
        return given.state("STOPPED");
    }
    let mut given = if rng.chance(200) {
        // Only the slot knows.
        given.restoring(&restore(&ChangeId::new(UID, at(-90)), at(-60))).state("STOPPED")
    } else {
        let kept = given.desired().has_finalizer || rng.chance(700);
        given.stopped_for_a_change(rng.of(&[60, 1800, 1801])).finalizer(kept)
    };
    if rng.chance(300) {
        given = given.state(rng.of(&["RUNNING", "STOPPING", "BOOTING"]));
    }
    given
}

/// For how long this process has known what it knows.
fn some_knowledge(mut given: Given, bias: u64, rng: &mut Rng) -> Given {
    if rng.chance(bias) {
        return given;
    }
    given = given.known_for(rng.of(&[0, 4, 5, 300, 599, 600, 899, 900]));
    if rng.chance(300) {
        given = given.spec_known_for(secs(rng.below(4)));
    }
    if rng.chance(200) {
        given = given.disagreeing_for(rng.of(&[0, 30, 1800]));
    }
    if rng.chance(100) {
        given.observed.quota = Some(secs(rng.below(100)));
    }
    if rng.chance(100) {
        given = given.in_trouble(trouble(Reason::ApiUnavailable, false, 20));
    }
    if rng.chance(50) {
        given = given.served_by("another", &[], "");
    }
    if rng.chance(200) {
        given = given.plan_is_due();
    }
    given
}
