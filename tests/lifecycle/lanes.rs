//! The slot: two lanes, what the machine is brought back to, and the JSON of both.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState},
    lifecycle::{Change, ChangeId, Held, Holding, HoldingState, LaneName, SlotRecord},
};

use crate::{
    given::{
        UID, accepted_at, at, expectation, given_call, given_key, holding, lane_key, other_key,
        restore,
    },
    properties::config,
};

fn call(kind: ChangeKind, ago: i64) -> Change {
    given_call(kind, ChangeState::Submitting, ago)
}

fn modify() -> Change {
    call(ChangeKind::Modify, 10)
}

fn stop() -> Change {
    call(ChangeKind::Stop, 20)
}

fn start() -> Change {
    call(ChangeKind::Start, 30)
}

fn open(change: &Change) -> Holding {
    holding(change, given_key(UID), HoldingState::Open)
}

fn accepted() -> HoldingState {
    accepted_at(at(0), "3471")
}

fn free() -> SlotRecord {
    SlotRecord::default()
}

/// Taken by this call, and in that state.
fn taken(record: &SlotRecord, change: &Change, state: HoldingState) -> SlotRecord {
    let record = record.taken(open(change), None).unwrap();
    record.answered(&change.id, state).unwrap()
}

/// What can be taken beside what.
#[test]
fn a_lane_is_taken_only_while_it_is_free_and_nothing_is_open() {
    let held = [
        (modify(), HoldingState::Open),
        (modify(), accepted()),
        (modify(), HoldingState::Unverified),
        (stop(), HoldingState::Open),
        (stop(), accepted()),
    ];
    for (holder, state) in held {
        let record = taken(&free(), &holder, state.clone());
        for kind in
            [ChangeKind::Modify, ChangeKind::CancelDowngrade, ChangeKind::Stop, ChangeKind::Start]
        {
            let other_lane = LaneName::of(kind) != holder.lane();
            let expected = other_lane && state != HoldingState::Open;
            let taken = record.taken(open(&call(kind, 1)), None);
            assert_eq!(taken.is_some(), expected, "{kind:?} beside {:?} {state:?}", holder.kind);
        }
    }
    for kind in
        [ChangeKind::Modify, ChangeKind::CancelDowngrade, ChangeKind::Stop, ChangeKind::Start]
    {
        let change = call(kind, 1);
        let taken = free().taken(open(&change), None).unwrap();
        assert_eq!(taken.lane_of(&change.id), Some(LaneName::of(kind)));
        assert!(taken.is_open() && !taken.is_free());
    }
}

#[test]
fn an_expectation_outlives_a_holder_that_gives_the_lane_back() {
    let expects = expectation(&stop(), at(100));
    let closed = free().closed(expects.clone()).unwrap();
    let tried = closed.taken(open(&start()), None).unwrap();
    assert_eq!(tried.lane(LaneName::Power).expects(), Some(&expects), "while it is held");
    let back = tried.given_back(&start().id).unwrap();
    assert_eq!(back, closed);
    // A holder that closes puts its own in its place.
    let own = expectation(&start(), at(200));
    let done = tried.closed(own.clone()).unwrap();
    assert_eq!(done.lane(LaneName::Power).expects(), Some(&own));
    assert!(done.is_free());
}

#[test]
fn every_way_out_of_a_holding_names_the_change_that_it_ends() {
    let other = call(ChangeKind::Modify, 99);
    for state in [HoldingState::Open, accepted(), HoldingState::Unverified] {
        let record = taken(&free(), &modify(), state);
        assert_eq!(record.given_back(&other.id), None);
        assert_eq!(record.answered(&other.id, accepted()), None);
        assert_eq!(record.closed(expectation(&other, at(100))), None);
        assert_eq!(record.restored(), record);
        assert!(record.given_back(&modify().id).unwrap().is_free());
        assert!(record.closed(expectation(&modify(), at(100))).unwrap().is_free());
    }
}

#[test]
fn what_a_machine_is_brought_back_to_is_written_and_taken_along_by_its_stop_alone() {
    let kept = restore(&stop().id, at(0));
    let stopping = free().taken(open(&stop()), Some(kept.clone())).unwrap();
    assert_eq!(stopping.restore(), Some(&kept));
    assert_eq!(stopping.given_back(&stop().id).unwrap().restore(), None);
    let off = stopping.closed(expectation(&stop(), at(100))).unwrap();
    assert_eq!(off.restore(), Some(&kept), "a stop that is seen leaves it");
    assert!(!off.is_free(), "the slot is not to be deleted");
    for change in [modify(), start()] {
        let beside = off.taken(open(&change), None).unwrap();
        assert_eq!(beside.restore(), Some(&kept), "{:?}", change.kind);
        assert_eq!(beside.given_back(&change.id).unwrap().restore(), Some(&kept));
        let closed = beside.closed(expectation(&change, at(100))).unwrap();
        assert_eq!(closed.restore(), Some(&kept));
    }
    assert_eq!(off.restored().restore(), None);
    assert!(off.restored().is_free());
}

#[test]
fn only_an_open_call_holds_back_the_other_lane() {
    let stands = |state| taken(&free(), &modify(), state);
    assert!(stands(HoldingState::Open).is_open());
    assert!(!stands(accepted()).is_open());
    assert!(!stands(HoldingState::Unverified).is_open());
}

// ---- The orders of the hour ----

fn counted(record: &SlotRecord) -> Vec<String> {
    record.orders().map(|order| order.change.to_string()).collect()
}

#[test]
fn an_order_counts_from_the_write_that_takes_its_lane() {
    let order = modify();
    assert_eq!(counted(&taken(&free(), &order, HoldingState::Open)), [order.id.to_string()]);
    for call in [start(), Change { kind: ChangeKind::CancelDowngrade, ..modify() }] {
        assert!(counted(&taken(&free(), &call, HoldingState::Open)).is_empty(), "{:?}", call.kind);
    }
}

#[test]
fn a_call_that_was_not_made_counts_no_longer_and_one_that_was_answered_does() {
    let order = modify();
    let open = taken(&free(), &order, HoldingState::Open);
    assert!(counted(&open.given_back(&order.id).unwrap()).is_empty());
    for state in [accepted(), HoldingState::Unverified] {
        let over = taken(&free(), &order, state).given_back(&order.id).unwrap();
        assert_eq!(counted(&over), [order.id.to_string()]);
    }
    let closed = open.closed(expectation(&order, at(100))).unwrap();
    assert_eq!(counted(&closed), [order.id.to_string()]);
}

#[test]
fn an_order_takes_the_place_of_the_stop_before_it_and_gives_it_back() {
    let (stop, order) = (stop(), modify());
    let kept = restore(&stop.id, at(0));
    let off = free().taken(open(&stop), Some(kept)).unwrap();
    let off = off.closed(expectation(&stop, at(100))).unwrap();
    assert_eq!(counted(&off), [stop.id.to_string()]);
    let ordered = off.taken(open(&order), None).unwrap();
    assert_eq!(counted(&ordered), [order.id.to_string()]);
    let refused = ordered.given_back(&order.id).unwrap();
    assert_eq!(counted(&refused), [stop.id.to_string()]);
    // Nothing follows the stop, but what was ordered was.
    assert!(counted(&refused.taken(open(&start()), None).unwrap()).is_empty());
    assert!(counted(&refused.restored()).is_empty());
    assert_eq!(counted(&ordered.restored()), [order.id.to_string()]);
}

#[test]
fn an_order_counts_for_an_hour() {
    let later = |moment: Timestamp, seconds| moment + SignedDuration::from_secs(seconds);
    let first = modify();
    let over = taken(&free(), &first, accepted()).given_back(&first.id).unwrap();
    let begun = first.started_at;
    assert!(over.counts(later(begun, 3599)) && !over.counts(later(begun, 3600)));
    let second = Change { started_at: later(begun, 3600), ..stop() };
    let next = over.taken(open(&second), None).unwrap();
    assert_eq!(counted(&next), [second.id.to_string()]);
}

#[test]
fn an_order_that_cannot_be_read_keeps_nothing_else_from_being_read() {
    let order = modify();
    let mut json = written(&taken(&free(), &order, accepted()));
    json["orders"].as_array_mut().unwrap().push(json!({ "change": 7 }));
    assert_eq!(counted(&read(&json)), [order.id.to_string()]);
    json["orders"] = json!("none");
    assert!(counted(&read(&json)).is_empty());
}

// ---- The JSON ----

fn read(json: &Value) -> SlotRecord {
    serde_json::from_value(json.clone()).unwrap()
}

fn written(record: &SlotRecord) -> Value {
    serde_json::to_value(record).unwrap()
}

#[test]
fn a_slot_is_written_in_a_form_that_does_not_change_by_accident() {
    let kept = restore(&stop().id, at(0));
    let order = taken(&free(), &modify(), accepted());
    let record = order.taken(open(&stop()), Some(kept)).unwrap();
    insta::assert_json_snapshot!(written(&record));
    assert_eq!(read(&written(&record)), record);
    assert_eq!(written(&free()), json!({ "form": "lanes", "type": {}, "power": {} }));
}

#[test]
fn a_record_without_its_form_is_no_slot() {
    for wrong in [json!({}), json!({ "form": "one lane" }), json!({ "holding": null }), json!([])] {
        assert!(serde_json::from_value::<SlotRecord>(wrong.clone()).is_err(), "{wrong}");
    }
    assert_eq!(read(&json!({ "form": "lanes" })), free());
}

/// A record with something in it that this version does not know.
fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut raw = written(&taken(&free(), &modify(), accepted()));
    change(&mut raw);
    raw
}

#[test]
fn fields_that_a_later_version_adds_are_passed_over() {
    let newer = with(|raw| {
        raw["note"] = json!("new");
        raw["type"]["queue"] = json!([1]);
        raw["type"]["holding"]["price"] = json!({ "of": 3 });
        raw["type"]["holding"]["state"]["receivedBy"] = json!("x");
        raw["type"]["holding"]["object"]["cluster"] = json!("x");
    });
    assert_eq!(read(&newer), taken(&free(), &modify(), accepted()));
}

#[test]
fn what_reads_are_to_agree_with_is_passed_over_where_it_cannot_be_read() {
    let newer = with(|raw| raw["type"]["expects"] = json!({ "kind": "Reboot" }));
    assert_eq!(read(&newer), taken(&free(), &modify(), accepted()));
}

#[test]
fn a_holder_that_cannot_be_read_keeps_its_lane_and_its_json() {
    type Case = (&'static str, fn(&mut Value));
    let kinds: [Case; 4] = [
        ("a new kind of call", |raw| raw["type"]["holding"]["kind"] = json!("Reboot")),
        ("a new state", |raw| raw["type"]["holding"]["state"] = json!({ "is": "queued" })),
        ("no state", |raw| raw["type"]["holding"]["state"] = json!(null)),
        ("another shape", |raw| raw["type"] = json!(["held"])),
    ];
    for (what, change) in kinds {
        let raw = with(change);
        let record = read(&raw);
        assert_eq!(record.lane(LaneName::Type).held(), Held::Unreadable, "{what}");
        assert!(record.is_open() && !record.is_free(), "{what}: its request may be under way");
        assert_eq!(written(&record), raw, "{what}: nothing is lost");
        // Nobody takes it, closes it or gives it back.
        let id = modify().id;
        assert_eq!(record.taken(open(&call(ChangeKind::Modify, 1)), None), None, "{what}");
        assert_eq!(record.closed(expectation(&modify(), at(100))), None, "{what}");
        assert_eq!(record.given_back(&id), None, "{what}");
        assert_eq!(record.answered(&id, accepted()), None, "{what}");
        // What is written of the other lane leaves it alone.
        let other = record.closed(expectation(&stop(), at(100))).unwrap();
        assert_eq!(written(&other)["type"], raw["type"], "{what}");
        assert_eq!(written(&record.restored())["type"], raw["type"], "{what}");
    }
}

// ---- Any order of things ----

/// One thing that may happen to a slot.
#[derive(Debug, Clone)]
enum Step {
    Take(usize),
    Answer(usize, bool),
    Close(usize),
    GiveBack(usize),
    Restored,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..8).prop_map(Step::Take),
        3 => (0usize..8, any::<bool>()).prop_map(|(which, yes)| Step::Answer(which, yes)),
        2 => (0usize..8).prop_map(Step::Close),
        2 => (0usize..8).prop_map(Step::GiveBack),
        1 => Just(Step::Restored),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Two calls of each kind, of two objects.
fn calls() -> Vec<(Change, Holding)> {
    let kinds =
        [ChangeKind::Modify, ChangeKind::CancelDowngrade, ChangeKind::Stop, ChangeKind::Start];
    let mut calls = Vec::new();
    for (number, kind) in kinds.into_iter().chain(kinds).enumerate() {
        let mut change = call(kind, 10);
        change.id = ChangeId(format!("call-{number}"));
        let object = if number < 4 { given_key(UID) } else { other_key("other") };
        calls.push((change.clone(), holding(&change, object, HoldingState::Open)));
    }
    calls
}

fn does(record: &SlotRecord, step: &Step) -> Option<SlotRecord> {
    let calls = calls();
    match step {
        Step::Take(which) => {
            let (change, holding) = &calls[*which];
            let stops = change.kind == ChangeKind::Stop;
            let kept = stops.then(|| restore(&change.id, at(0)));
            record.taken(holding.clone(), kept)
        }
        Step::Answer(which, true) => record.answered(&calls[*which].0.id, accepted()),
        Step::Answer(which, false) => {
            record.answered(&calls[*which].0.id, HoldingState::Unverified)
        }
        Step::Close(which) => record.closed(expectation(&calls[*which].0, at(100))),
        Step::GiveBack(which) => record.given_back(&calls[*which].0.id),
        Step::Restored => Some(record.restored()),
    }
}

/// The change that a step ends, if it ends one.
fn ends(step: &Step) -> Option<ChangeId> {
    match step {
        Step::Close(which) | Step::GiveBack(which) => Some(calls()[*which].0.id.clone()),
        Step::Take(_) | Step::Answer(..) | Step::Restored => None,
    }
}

fn lane_of(step: &Step) -> Option<LaneName> {
    match step {
        Step::Take(which) | Step::Answer(which, _) | Step::Close(which) | Step::GiveBack(which) => {
            Some(calls()[*which].0.lane())
        }
        Step::Restored => None,
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn nothing_forgets_a_holder_and_no_step_of_one_lane_writes_the_other(steps in steps()) {
        let mut record = free();
        for step in steps {
            let Some(after) = does(&record, &step) else { continue };
            for lane in LaneName::ALL {
                let (was, is) = (record.lane(lane), after.lane(lane));
                prop_assert!(lane_of(&step) == Some(lane) || was == is, "{step:?}");
                let held = was.holding().map(|one| one.change.clone());
                let holds = is.holding().map(|one| one.change.clone());
                prop_assert!(held.is_none() || held == holds || held == ends(&step), "{step:?}");
            }
            // What is under way beside an open call was under way before it.
            let open = |one: &SlotRecord| LaneName::ALL.iter().filter(|lane| one.lane(**lane).is_open()).count();
            prop_assert!(open(&after) <= 1, "{after:?}");
            prop_assert_eq!(read(&written(&after)), after.clone());
            let raw = written(&after);
            prop_assert!(LaneName::ALL.iter().all(|lane| raw[lane_key(*lane)].is_object()));
            record = after;
        }
    }
}

#[test]
fn a_lane_says_which_process_took_it_and_nothing_else_changes() {
    let record = taken(&free(), &modify(), HoldingState::Open);
    let mine = record.taken_by("a", LaneName::Type);
    assert_eq!(mine.lane_taken_by("a", &modify().id), Some(LaneName::Type));
    assert_eq!(mine.lane_taken_by("b", &modify().id), None);
    assert_eq!(mine.lane_taken_by("a", &stop().id), None);
    assert_eq!(mine.lane(LaneName::Type).holding().unwrap().change, modify().id);
    assert_eq!(mine.taken_by("a", LaneName::Power), mine);
    assert_eq!(free().taken_by("a", LaneName::Type), free());
}
