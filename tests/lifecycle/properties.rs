//! What holds in every world.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use zenlayer::{InstanceState, PlanState};
use zenlayer_vm_operator::{
    api::{self, ChangeKind, ChangeState, HistoryOutcome, ManagementPolicy, VmInstanceStatus},
    lifecycle::{
        Action, Change, ChangeId, Claim, Held, HoldingState, LaneName, NextLook, Order, PlanView,
        SecretState, SlotRecord, Standing,
    },
};

use crate::{
    given::{Given, LARGE, SMALL, UID, at, given_change, given_entry},
    schema,
    statuses::{fault, fixpoint},
    table::{SITUATIONS, is_call, situation},
    worlds::{biases, digest, world, world_of},
};

/// What holds back every call, of whatever kind; the rules of the design, said once more and
/// independently.
fn must_not_call(given: &Given, order: &Order) -> Option<&'static str> {
    let (desired, seen, change) = (given.desired(), given.seen(), &order.change);
    let (Some(instance), Some(slot)) = (seen.instance(), seen.slot()) else {
        return Some("a read is missing");
    };
    let record = &slot.record;
    let reads = seen.instance.iter().flatten().map(|read| (read.sent_at, read.date));
    let plan = seen.plan.iter().flatten().map(|read| (read.sent_at, read.date));
    let plan = plan.filter(|_| change.kind != ChangeKind::Start);
    let fresh = |sent: Timestamp| (0..=5).contains(&given.now.duration_since(sent).as_secs());
    let reads: Vec<_> = reads.chain(plan).collect();
    let skewed = |(sent, date): &(Timestamp, Option<Timestamp>)| {
        date.is_some_and(|date| sent.duration_since(date).as_secs().abs() > 240)
    };
    let lane = LaneName::of(change.kind);
    let other = LaneName::ALL.into_iter().find(|one| *one != lane).unwrap();
    let faults = [
        (record.is_open(), "a request may still take effect"),
        (record.lane(lane).held() != Held::Nobody, "the lane is taken"),
        (order.taken.lane(other) != record.lane(other), "the other lane is written"),
        (order.taken.lane_of(&change.id) != Some(lane), "the lane is not taken for it"),
        (!seen.for_a_call, "the reads were not made for a call"),
        (!reads.iter().all(|(sent, _)| fresh(*sent)), "the reads are stale"),
        (reads.iter().any(skewed), "the clock is skewed"),
        (refusal_stands(given, change), "it was refused"),
        (desired.suspend, "suspended"),
        (desired.policy != ManagementPolicy::Enforce, "only observed"),
        (seen.secret.reason().is_some(), "the Secret is of no use"),
        (change.started_at != given.now, "another time"),
        (change.fence.is_some() == bearer_is_used(given), "the fence"),
    ];
    let fault = faults.into_iter().find_map(|(wrong, name)| wrong.then_some(name));
    fault.or_else(|| match change.kind {
        ChangeKind::Start => {
            let ours = record.restore().is_some() && instance.state == InstanceState::Stopped;
            (!ours).then_some("a machine that a person stopped, or that runs")
        }
        ChangeKind::Modify | ChangeKind::Stop => {
            must_not_change_the_type(given).or_else(|| must_not_order(given, change))
        }
        ChangeKind::CancelDowngrade => must_not_change_the_type(given).or_else(|| {
            let status = seen.type_status()?;
            let there = PlanView::of(status).is_to(&change.from)
                && status.state == Some(PlanState::WaitToEnable);
            (!there || change.to != instance.type_id).then_some("there is no such plan")
        }),
    })
}

fn refusal_stands(given: &Given, change: &Change) -> bool {
    let seen = given.seen();
    let Ok(memory) = &seen.memory else { return false };
    let desired = given.desired();
    let asked =
        desired.requested_at.is_some() && desired.requested_at != memory.handled.requested_at;
    memory.refusal.as_ref().is_some_and(|refusal| {
        (refusal.kind, &refusal.from, &refusal.to) == (change.kind, &change.from, &change.to)
            && Some(refusal.credential.as_str()) == seen.secret.digest()
            && refusal.instance == digest(given)
            && match &refusal.retry_after {
                Some(time) => given.now < *time && *time <= at(21_600),
                // Only of an order a refusal is final.
                None => change.kind == ChangeKind::Modify,
            }
            && !asked
    })
}

/// What holds back a call that changes the type, or prepares that.
fn must_not_change_the_type(given: &Given) -> Option<&'static str> {
    let (desired, seen) = (given.desired(), given.seen());
    let Some((instance, status)) = seen.instance().zip(seen.type_status()) else {
        return Some("a read is missing");
    };
    let faults = [
        (instance.type_id != status.current, "the reads disagree"),
        (seen.claim != Claim::Owner, "a duplicate"),
        (desired.deleted_at.is_some(), "deleted"),
    ];
    faults.into_iter().find_map(|(wrong, name)| wrong.then_some(name))
}

/// What holds back an order, and the stop that precedes it.
fn must_not_order(given: &Given, change: &Change) -> Option<&'static str> {
    let (desired, seen) = (given.desired(), given.seen());
    let (memory, instance) = (seen.memory.as_ref().ok()?, seen.instance()?);
    let plan = PlanView::of(seen.type_status()?);
    let counted = |entry: &&zenlayer_vm_operator::lifecycle::Ended| {
        entry.kind == ChangeKind::Modify
            && !matches!(entry.outcome, HistoryOutcome::Unverified | HistoryOutcome::Released)
            && (&entry.from, &entry.to, entry.target_generation)
                == (&change.from, &change.to, change.target_generation)
    };
    let record = &seen.slot()?.record;
    let in_flight =
        match Standing::of(LaneName::Type, &seen, memory, &desired.object, &desired.timing) {
            Standing::Idle => false,
            Standing::InFlight(_)
            | Standing::Unrecorded(_)
            | Standing::WithoutIntent(_)
            | Standing::Ended(_)
            | Standing::HeldElsewhere(_)
            | Standing::Unreadable => true,
        };
    let asked =
        desired.requested_at.is_some() && desired.requested_at != memory.handled.requested_at;
    let faults = [
        (plan != PlanView::None, "a plan is open"),
        (in_flight, "a change is in flight"),
        (memory.history.iter().any(|one| counted(&one)), "it was ordered for this target"),
        (lags(given, record), "the read contradicts what was seen"),
        (
            !seen
                .orders
                .as_ref()
                .is_some_and(|read| read.as_ref().is_ok_and(|count| count.all.count < 100)),
            "the limit",
        ),
        (seen.account.is_some() && !asked, "the account was refused"),
        (seen.since.spec.as_secs() < 2, "the edit is too young"),
        (seen.catalogue.is_none(), "the offers were not read"),
        (!matches!(instance.state, InstanceState::Running | InstanceState::Stopped), "busy"),
        (change.from != instance.type_id || change.to != desired.type_id, "another change"),
        (change.from == change.to, "no change"),
        (change.kind == ChangeKind::Stop && !desired.has_finalizer, "the object is not kept"),
    ];
    faults.into_iter().find_map(|(wrong, name)| wrong.then_some(name))
}

/// Whether a read contradicts what was seen within a margin by both clocks.
fn lags(given: &Given, record: &SlotRecord) -> bool {
    let seen = given.seen();
    let (Some(instance), Some(status)) = (seen.instance(), seen.type_status()) else {
        return false;
    };
    LaneName::ALL.into_iter().any(|lane| {
        let known = seen.since.lanes.of(lane).0.as_secs();
        record.lane(lane).expects().is_some_and(|expects| {
            let over = match seen.provider_now() {
                Some(date) => date > expects.until && known >= 300,
                None => known >= 600,
            };
            !over && expects.until <= at(4200) && !expects.agrees(instance, &PlanView::of(status))
        })
    })
}

fn bearer_is_used(given: &Given) -> bool {
    matches!(given.observed.secret, SecretState::Usable { expires_requests: false, .. })
}

fn is_past(given: &Given, change: &Change) -> bool {
    let seen = given.seen();
    let known = seen.since.lanes.of(change.lane()).0.as_secs();
    match (change.fence, seen.provider_now()) {
        (Some(fence), Some(date)) => date > fence && known >= 600,
        (Some(_), None) => known >= 900,
        (None, _) => change.kind != ChangeKind::Modify && known >= 900,
    }
}

fn in_flight(given: &Given, lane: LaneName) -> Option<Change> {
    let (desired, seen) = (given.desired(), given.seen());
    let memory = seen.memory.as_ref().ok()?;
    match Standing::of(lane, &seen, memory, &desired.object, &desired.timing) {
        Standing::InFlight(change) => Some(change),
        Standing::Idle
        | Standing::Unrecorded(_)
        | Standing::WithoutIntent(_)
        | Standing::Ended(_)
        | Standing::HeldElsewhere(_)
        | Standing::Unreadable => None,
    }
}

fn in_lane(status: &VmInstanceStatus, lane: LaneName) -> Option<&api::Change> {
    match lane {
        LaneName::Type => status.change.as_deref(),
        LaneName::Power => status.power.change.as_deref(),
    }
}

/// Why an open intent must not be gone after this pass.
fn lost_intent(given: &Given, lane: LaneName) -> Option<String> {
    let change = in_flight(given, lane)?;
    if change.state != ChangeState::Submitting || is_past(given, &change) {
        return None;
    }
    let pass = given.pass();
    let untouched = !matches!(pass.decision.action, Action::WriteSlot { .. });
    let kept = |status: &VmInstanceStatus| {
        in_lane(status, lane).is_some_and(|kept| kept.id == change.id.0)
    };
    // A change that only the slot knows is kept there. Nothing is written over a status that is kept.
    let before = given.object.status.clone().unwrap_or_default();
    let fine = kept(&pass.verdict.status) || (!kept(&before) && untouched);
    // An object that is released leaves it to the slot.
    let left = situation(&pass.decision.situation) == "PowerLeftAsItIs" && lane == LaneName::Power;
    (!fine && !left).then(|| format!("{:?}", pass.decision))
}

/// The orders that are nowhere after a pass although they may have been paid for.
fn forgotten(given: &Given) -> Option<String> {
    let held = |record: &SlotRecord| {
        let lane = record.lane(LaneName::Type);
        lane.holding().filter(|one| one.kind == ChangeKind::Modify).cloned()
    };
    let before = held(&given.slot_record());
    let remembered = given.object.status.as_ref().and_then(|status| status.change.clone());
    let remembered = remembered.filter(|change| change.kind == ChangeKind::Modify);
    let after = given.clone().step();
    let status = after.object.status.clone().unwrap_or_default();
    let record = after.slot_record();
    let known = |id: &str| {
        status.change.as_ref().is_some_and(|change| change.id == id)
            || status.history.iter().any(|entry| entry.id == id)
            || status.withdrawn.as_deref() == Some(id)
            || record.lane(LaneName::Type).holding().is_some_and(|one| one.change.0 == id)
    };
    let ids = before.map(|one| one.change.0).into_iter().chain(remembered.map(|one| one.id));
    let lost: Vec<_> = ids.filter(|id| !known(id)).collect();
    (!lost.is_empty()).then(|| format!("{lost:?} by {:?}", given.decide()))
}

/// Whether a change of somebody else's may leave without a trace.
fn may_be_forgotten(given: &Given) -> bool {
    given.object.status.as_ref().and_then(|one| one.change.as_ref()).is_some_and(|one| one.adopted)
}

/// The lanes after this write forget no holder that is not named by what takes its place.
fn foreign_write(given: &Given, action: &Action) -> bool {
    let Action::WriteSlot { slot, record } = action else { return false };
    LaneName::ALL.into_iter().any(|lane| {
        let (before, after) = (slot.record.lane(lane), record.lane(lane));
        match before.held() {
            Held::Unreadable => before != after,
            Held::Nobody => after.held() != Held::Nobody,
            Held::By(holding) => {
                let known = given.object.status.iter().any(|status| {
                    in_lane(status, lane).is_some_and(|one| one.id == holding.change.0)
                        || status.history.iter().any(|one| one.id == holding.change.0)
                        || status.withdrawn.as_deref() == Some(holding.change.0.as_str())
                });
                let mine = holding.object.uid == UID
                    || given.observed.holders.of_type
                        == zenlayer_vm_operator::lifecycle::Holder::DoesNotCount;
                before != after && !known && !mine
            }
        }
    })
}

/// `PROPERTY_CASES=100000 cargo test --test lifecycle properties` looks further.
pub fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPERTY_CASES").ok().and_then(|text| text.parse().ok());
    let cases = asked.unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn a_call_is_made_only_where_every_rule_allows_it(seed: u64, biases in biases()) {
        let given = world(seed, biases);
        let decision = given.decide();
        if let Action::Call(order) = &decision.action {
            prop_assert_eq!(must_not_call(&given, order), None, "{:?}", order.change.kind);
        }
        prop_assert!(!foreign_write(&given, &decision.action), "{:?}", decision);
    }

    #[test]
    fn nothing_is_called_while_a_request_of_either_lane_may_still_take_effect(
        seed: u64, biases in biases(), kind in 0usize..4, mine: bool,
    ) {
        let kinds =
            [ChangeKind::Modify, ChangeKind::CancelDowngrade, ChangeKind::Stop, ChangeKind::Start];
        let open = crate::given::given_call(kinds[kind], ChangeState::Submitting, 10);
        let given = world(seed, biases);
        let read = given.observed.slot().is_some();
        let given = if read { given } else { given.free_slot() };
        let given = match mine {
            true => given.holding(&open, HoldingState::Open),
            false => given.held_by("other", &open, HoldingState::Open),
        };
        prop_assert!(!is_call(&given.decide().action));
    }

    #[test]
    fn every_status_keeps_to_its_rules(seed: u64, biases in biases()) {
        let given = world(seed, biases);
        let before = given.object.status.clone().unwrap_or_default();
        let verdict = given.pass().verdict;
        let fault = fault(&verdict.status, given.desired().generation);
        let told = verdict.status.conditions != before.conditions;
        prop_assert!(!told || fault.is_none(), "{:?}", fault);
    }

    #[test]
    fn every_status_passes_the_schema_and_is_read_back(seed: u64, biases in biases()) {
        let schema = schema::of_status();
        let given = world(seed, biases);
        prop_assert_eq!(schema::fault_of(&given.pass().verdict.status, schema), None);
        if is_call(&given.decide().action) {
            let intent = given.crashed_before_the_call().object.status.unwrap();
            prop_assert_eq!(schema::fault_of(&intent, schema), None);
        }
    }

    #[test]
    fn an_open_intent_is_never_lost(seed: u64, biases in biases()) {
        for lane in LaneName::ALL {
            prop_assert_eq!(lost_intent(&world(seed, biases), lane), None);
        }
    }

    #[test]
    fn an_order_is_never_forgotten(seed: u64, biases in biases()) {
        let given = world(seed, biases);
        prop_assert_eq!(forgotten(&given).filter(|_| !may_be_forgotten(&given)), None);
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
        for _ in 0..8 {
            if let Action::Call(order) = given.decide().action
                && order.change.kind == ChangeKind::Modify
            {
                orders.push(order.change.id);
            }
            given = given.step();
        }
        prop_assert!(orders.len() <= 1, "{:?}", orders);
    }

    #[test]
    fn every_situation_has_a_next_look(seed: u64, biases in biases()) {
        let given = world(seed, biases);
        let look = given.pass().verdict.next_look;
        // As often as any object is looked at, and a tenth more.
        let longest = given.desired().timing.drift * 11 / 10;
        let soon = match look {
            NextLook::After(pause) | NextLook::WhenTold(pause) => pause <= longest,
            NextLook::Backoff => true,
            NextLook::OnChange => false,
        };
        prop_assert!(soon, "{look:?} in {:?}", given.decide().situation);
    }

    #[test]
    fn what_is_needed_is_read_once_and_then_nothing_more(seed: u64, biases in biases()) {
        let world = world(seed, biases);
        let mut given = world.clone().nothing_read();
        let mut read = Vec::new();
        loop {
            let needs = given.needs();
            if needs.is_empty() {
                break;
            }
            prop_assert!(!needs.iter().any(|one| read.contains(one)), "{read:?}, then {needs:?}");
            read.extend(needs);
            for one in needs {
                given = given.read_from(&world, *one);
            }
        }
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
    #![proptest_config(config(1500))]

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
        let mut given = world(seed, [900; 10]);
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
            change: Some(change.clone().into()),
            history: vec![entry.clone()],
            refusal: given.status().refusal.clone().map(|one| api::Refusal { reason, ..*one }.into()),
            ..VmInstanceStatus::default()
        };
        given.object.status = Some(before);
        given.now = now;
        let pass = given.pass();
        let modifies =
            matches!(&pass.decision.action, Action::Call(one) if one.change.kind == ChangeKind::Modify);
        prop_assert!(!modifies);
        if given.seen().memory.is_err() {
            prop_assert!(!is_call(&pass.decision.action));
            prop_assert_eq!(pass.verdict.status.change, Some(change.into()));
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
    for seed in 0..10_000 {
        *seen.entry(situation(&world_of(seed).decide().situation)).or_insert(0) += 1;
    }
    println!("{seen:?}");
    // What an answer leads to is not decided; a status that nobody can read is not drawn.
    let elsewhere = ["PowerRequested", "InvalidStatus"];
    let missing = |name: &&&str| !seen.contains_key(**name) && !elsewhere.contains(*name);
    let missing: Vec<_> = SITUATIONS.iter().filter(missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(seen["Calling"] > 500, "{}", seen["Calling"]);
}
