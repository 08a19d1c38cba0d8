//! The one place that knows the JSON of a status and of a slot's record. Where their shape changes,
//! this file changes, and nothing else of the simulation.

use jiff::Timestamp;
use serde_json::Value;

/// The words of the shapes.
pub mod words {
    pub const MODIFY: &str = "Modify";
    pub const CANCEL: &str = "CancelDowngrade";
    pub const STOP: &str = "Stop";
    pub const START: &str = "Start";
}

/// A call as a status or a slot tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub id: String,
    pub kind: String,
    pub from: String,
    pub to: String,
    pub target: i64,
    /// Seconds since 1970: also the signed timestamp.
    pub started_at: i64,
    pub state: String,
    pub adopted: bool,
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn seconds(value: &Value, field: &str) -> i64 {
    let time = value.get(field).and_then(Value::as_str).and_then(|text| text.parse().ok());
    time.map_or(0, |time: Timestamp| time.as_second())
}

fn told(value: &Value, id: &str, state: String) -> Told {
    Told {
        id: text(value, id),
        kind: value.get("kind").and_then(Value::as_str).unwrap_or(words::MODIFY).to_owned(),
        from: text(value, "from"),
        to: text(value, "to"),
        target: value.get("targetGeneration").and_then(Value::as_i64).unwrap_or_default(),
        started_at: seconds(value, "startedAt"),
        state,
        adopted: value.get("adopted").and_then(Value::as_bool).unwrap_or_default(),
    }
}

// ---- The status ----

/// Where a status tells of the call of each lane.
const LANES: [&str; 2] = ["/change", "/power/change"];

/// The calls that a status shows as in flight.
pub fn in_flight(status: &Value) -> impl Iterator<Item = Told> {
    let calls = LANES.iter().filter_map(|lane| status.pointer(lane));
    calls.map(|change| told(change, "id", text(change, "state")))
}

/// Whether the call may be on its way: its intent, or an outcome that nobody knows.
pub fn is_open(told: &Told) -> bool {
    matches!(told.state.as_str(), "Submitting" | "Unverified")
}

/// Whether the status shows this call as in flight, however far it has come.
pub fn status_holds(status: &Value, id: &str) -> bool {
    let held = |change: &Value| change.get("id").and_then(Value::as_str) == Some(id);
    LANES.iter().any(|lane| status.pointer(lane).is_some_and(held))
}

/// The ended changes, oldest first.
pub fn history(status: &Value) -> &[Value] {
    status.get("history").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The outcome of an ended change.
pub fn outcome<'a>(status: &'a Value, id: &str) -> Option<&'a str> {
    let entry = history(status).iter().find(|entry| entry["id"] == id)?;
    entry.get("outcome").and_then(Value::as_str)
}

/// Whether status or history knows that this change was accepted, or was seen.
pub fn is_known_as_ordered(status: &Value, id: &str) -> bool {
    let open = in_flight(status).any(|one| one.id == id && !is_open(&one));
    open || outcome(status, id).is_some_and(|outcome| outcome != "Unverified")
}

pub fn phase(status: &Value) -> &str {
    status.get("phase").and_then(Value::as_str).unwrap_or_default()
}

/// The generation in which the declared type became what it is.
pub fn current_target(status: &Value) -> Option<i64> {
    status.pointer("/target/sinceGeneration")?.as_i64()
}

pub fn observed_generation(status: &Value) -> Option<i64> {
    status.get("observedGeneration").and_then(Value::as_i64)
}

/// Status, reason and message of a condition.
pub fn condition<'a>(status: &'a Value, name: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = status.get("conditions")?.as_array()?;
    let one = conditions.iter().find(|one| one["type"] == name)?;
    Some((one["status"].as_str()?, one["reason"].as_str()?, one["message"].as_str()?))
}

pub fn ready_reason(status: &Value) -> &str {
    condition(status, "Ready").map_or("", |(_, reason, _)| reason)
}

/// What a person is asked: the change that it is about, and the annotation that answers.
pub struct Asked<'a> {
    pub change: Option<&'a str>,
    pub annotation: &'a str,
    pub value: &'a str,
}

pub fn asked(status: &Value) -> Option<Asked<'_>> {
    let decision = status.get("pendingDecision")?;
    let (annotation, value) = decision.get("annotation")?.as_str()?.split_once('=')?;
    let change = decision.get("changeId").and_then(Value::as_str);
    Some(Asked { change, annotation, value })
}

/// A remembered refusal of a call.
#[derive(Clone, Copy)]
pub struct RefusedCall<'a> {
    pub kind: &'a str,
    pub reason: &'a str,
    /// It is tried again by itself.
    pub passes: bool,
}

pub fn refused_call(status: &Value) -> Option<RefusedCall<'_>> {
    let refusal = status.get("refusal")?;
    let text = |field: &str| refusal.get(field).and_then(Value::as_str);
    let passes = refusal.get("retryAfter").is_some();
    Some(RefusedCall { kind: text("kind")?, reason: text("reason")?, passes })
}

/// The machine as the status shows it.
pub struct Machine<'a> {
    pub type_id: &'a str,
    pub state: &'a str,
    pub charge_type: &'a str,
    pub cpu_count: Option<i64>,
    pub memory_gib: Option<i64>,
    /// Seconds since 1970.
    pub expires_at: Option<i64>,
}

pub fn machine(status: &Value) -> Option<Machine<'_>> {
    let instance = status.get("instance")?;
    Some(Machine {
        type_id: instance["typeId"].as_str().unwrap_or_default(),
        state: instance["state"].as_str().unwrap_or_default(),
        charge_type: instance["chargeType"].as_str().unwrap_or_default(),
        cpu_count: instance.get("cpuCount").and_then(Value::as_i64),
        memory_gib: instance.get("memoryGib").and_then(Value::as_i64),
        expires_at: instance.get("expiresAt").map(|_| seconds(instance, "expiresAt")),
    })
}

/// Every order number that the status names.
pub fn order_numbers(status: &Value) -> impl Iterator<Item = &str> {
    let current = status.get("orderNumber").into_iter();
    let ended = history(status).iter().filter_map(|entry| entry.get("orderNumber"));
    current.chain(ended).filter_map(Value::as_str)
}

// ---- The slot ----

const HOLDERS: [&str; 2] = ["/type/holding", "/power/holding"];

/// The calls that hold a lane of the slot.
pub fn holders(record: &Value) -> impl Iterator<Item = Told> {
    HOLDERS.iter().filter_map(|part| record.pointer(part)).map(|held| {
        let state = held.pointer("/state/is").and_then(Value::as_str).unwrap_or_default();
        told(held, "change", state.to_owned())
    })
}

/// Whether this call holds a lane of the slot, in any state.
pub fn slot_holds(record: &Value, id: &str) -> bool {
    HOLDERS.iter().any(|part| record.pointer(part).is_some_and(|held| held["change"] == id))
}

/// The calls of the slot that may be on their way.
pub fn open_in_slot(record: &Value) -> impl Iterator<Item = String> {
    holders(record).filter(|held| held.state == "open").map(|held| held.id)
}

/// Whether the slot says that the provider accepted this call.
pub fn slot_says_accepted(record: &Value, id: &str) -> bool {
    holders(record).any(|held| held.id == id && held.state == "accepted")
}

/// Whether a machine waits to be brought back.
pub fn slot_restores(record: &Value) -> bool {
    record.get("restore").is_some()
}

/// Whether no stop and no start holds its lane, and no machine waits to be brought back.
pub fn says_nothing_of_the_power(record: &Value) -> bool {
    record.pointer("/power/holding").is_none() && !slot_restores(record)
}

/// Whether status or slot names this change anywhere but in a text for people.
pub fn mentions(value: &Value, id: &str) -> bool {
    match value {
        Value::String(text) => text == id,
        Value::Array(items) => items.iter().any(|item| mentions(item, id)),
        Value::Object(fields) => {
            let told = |name: &str| matches!(name, "conditions" | "pendingDecision" | "handled");
            fields.iter().any(|(name, field)| !told(name) && mentions(field, id))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
