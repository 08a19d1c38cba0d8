//! A validator for what the schema of the CRD asks of a status: types, enumerations, lengths, and that
//! no field is unknown, because the API server would drop it without a word.

use std::sync::LazyLock;

use serde_json::Value;
use zenlayer_vm_operator::{
    api::{VmInstanceStatus, crd},
    lifecycle::Memory,
};

/// The schema of the status.
pub fn of_status() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let crd = serde_json::to_value(crd().unwrap()).unwrap();
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status";
        crd.pointer(path).unwrap().clone()
    });
    &SCHEMA
}

/// All that the schema refuses in this value.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    look(schema, value, "", &mut faults);
    faults
}

fn look(schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    let mut fault = |text: String| faults.push(format!("{path}: {text}"));
    let kind = schema["type"].as_str().unwrap_or_default();
    let fits = match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        _ => false,
    };
    if !fits {
        fault(format!("{value} is no {kind}"));
        return;
    }
    if schema["enum"].as_array().is_some_and(|members| !members.contains(value)) {
        fault(format!("{value} is none of {}", schema["enum"]));
    }
    if let Some(text) = value.as_str() {
        let length = text.chars().count() as u64;
        if length > schema["maxLength"].as_u64().unwrap_or(u64::MAX) {
            fault("too long".to_owned());
        }
        if length < schema["minLength"].as_u64().unwrap_or(0) {
            fault("too short".to_owned());
        }
        if schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
            fault(format!("{text} is no time"));
        }
    }
    if value
        .as_i64()
        .zip(schema["minimum"].as_f64())
        .is_some_and(|(one, least)| (one as f64) < least)
    {
        fault(format!("{value} is too small"));
    }
    inside(schema, value, path, faults);
}

fn inside(schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    if let Some(items) = value.as_array() {
        if items.len() as u64 > schema["maxItems"].as_u64().unwrap_or(u64::MAX) {
            faults.push(format!("{path}: {} items", items.len()));
        }
        for item in items {
            look(&schema["items"], item, &format!("{path}[]"), faults);
        }
    }
    for (name, child) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match schema["properties"].get(name) {
            Some(schema) => look(schema, child, &path, faults),
            None => faults.push(format!("{path}: the schema does not have it")),
        }
    }
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if value.get(name).is_none() {
            faults.push(format!("{path}.{name}: missing"));
        }
    }
}

/// The first thing that is wrong with a status that was written: it passes the schema, is read back as it
/// was, and is remembered.
pub fn fault_of(status: &VmInstanceStatus, schema: &Value) -> Option<String> {
    let json = serde_json::to_value(status).unwrap();
    if let Some(fault) = faults(schema, &json).into_iter().next() {
        return Some(fault);
    }
    let back: VmInstanceStatus = serde_json::from_value(json).unwrap();
    if back != *status {
        return Some(format!("read back as {back:?}"));
    }
    Memory::from_status(&back).err().map(|error| error.to_string())
}

#[test]
fn the_validator_sees_each_kind_of_fault() {
    use serde_json::json;
    let schema = of_status();
    let fine = json!({ "phase": "InSync", "observedGeneration": 3, "history": [] });
    assert!(faults(schema, &fine).is_empty());
    let condition = json!({
        "type": "Ready", "status": "Maybe", "reason": "", "message": "x".repeat(32_769),
        "lastTransitionTime": "yesterday", "observedGeneration": -1,
    });
    let wrong = json!({
        "phase": "Lost", "new": 1, "orderNumber": 3, "history": vec![json!({}); 33],
        "conditions": [condition, {}],
    });
    let found = faults(schema, &wrong).join("\n");
    for part in [
        ".phase: \"Lost\" is none of",
        ".new: the schema does not have it",
        ".orderNumber: 3 is no string",
        ".history: 33 items",
        ".conditions[].status: \"Maybe\" is none of",
        ".conditions[].reason: too short",
        ".conditions[].message: too long",
        ".conditions[].lastTransitionTime: yesterday is no time",
        ".conditions[].observedGeneration: -1 is too small",
        ".conditions[].reason: missing",
    ] {
        assert!(found.contains(part), "{part:?} is not in {found}");
    }
}
