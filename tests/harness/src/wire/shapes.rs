//! All that the harness knows of the operator's own JSON: the record in a slot's Lease, the change in a
//! status, and which call of the provider is of which kind. Pure; when those shapes change, only this
//! file has to follow.
//!
//! What a write or a call does is told by names. KIND is `modify`, `canceldowngrade`, `stop` or `start`;
//! STATE is `submitting`, `accepted`, `observed` or `unverified`.
//!
//! | name | what it does |
//! | --- | --- |
//! | `slot-KIND` | the slot is taken for a call of this kind |
//! | `intent-KIND` | the intent is written into the status |
//! | `call`, `call-KIND` | the call is made |
//! | `answer-KIND` | the slot learns that the call was accepted |
//! | `publish` | any other write of the status |
//! | `publish-KIND-STATE`, `publish-KIND-ended` | the same: how far the call has come |
//! | `close-KIND` | the slot closes: the effect was seen |
//! | `return`, `forget` | the slot is given back; what a machine is brought back to is forgotten |

use serde_json::Value;

/// Resources whose contents are looked into.
pub const SLOTS: &str = "leases";
pub const OBJECTS: &str = "vminstances";

/// Holds the slot's record, as JSON.
const RECORD: &str = "/metadata/annotations/vm.zenlayer.com~1slot";
/// Says which instance a slot belongs to.
const INSTANCE_OF_SLOT: &str = "/metadata/annotations/vm.zenlayer.com~1instance-id";
const INSTANCE_OF_OBJECT: &str = "/spec/instanceId";

const KINDS: [&str; 4] = ["modify", "canceldowngrade", "stop", "start"];
const STATES: [&str; 5] = ["submitting", "accepted", "observed", "unverified", "ended"];

/// Every name that there is, so that a mistyped one is not waited for.
pub fn is_name(name: &str) -> bool {
    if ["call", "publish", "return", "forget"].contains(&name) {
        return true;
    }
    let parts: Vec<&str> = name.split('-').collect();
    match parts[..] {
        ["slot" | "intent" | "call" | "answer" | "close", kind] => KINDS.contains(&kind),
        ["publish", kind, state] => KINDS.contains(&kind) && STATES.contains(&state),
        _ => false,
    }
}

/// The instance that an object or a slot is about.
pub fn instance_of(resource: &str, object: &Value) -> Option<String> {
    let pointer = match resource {
        SLOTS => INSTANCE_OF_SLOT,
        OBJECTS => INSTANCE_OF_OBJECT,
        _ => return None,
    };
    object.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// What of an object a later write of it is compared with.
pub fn content_of(resource: &str, object: &Value) -> Option<Value> {
    match resource {
        SLOTS => object
            .pointer(RECORD)
            .and_then(Value::as_str)
            .and_then(|text| serde_json::from_str(text).ok()),
        OBJECTS => object.get("status").cloned(),
        _ => None,
    }
}

/// What a write does, by the content before and after it.
pub fn names_of_write(resource: &str, before: &Value, after: &Value) -> Vec<String> {
    match resource {
        SLOTS => names_of_slot(before, after),
        OBJECTS => names_of_status(before, after),
        _ => Vec::new(),
    }
}

/// What a call of the provider does; a read does nothing.
pub fn names_of_call(action: &str) -> Vec<String> {
    let kind = match action {
        "ModifyInstanceType" => "modify",
        "CancelInstanceDowngrade" => "canceldowngrade",
        "StopInstances" => "stop",
        "StartInstances" => "start",
        _ => return Vec::new(),
    };
    vec!["call".to_owned(), format!("call-{kind}")]
}

/// The instance that a request to the provider names first.
pub fn instance_of_call(body: &Value) -> Option<String> {
    let one = body.get("instanceId").or_else(|| body.pointer("/instanceIds/0"));
    one.and_then(Value::as_str).map(str::to_owned)
}

/// The kind of a record; what carries none is a Modify.
fn kind_of(record: &Value) -> String {
    record["kind"].as_str().unwrap_or("Modify").to_lowercase()
}

fn names_of_slot(before: &Value, after: &Value) -> Vec<String> {
    let closed = after["closed"].as_array().and_then(|all| all.last());
    if let Some(last) = closed.filter(|_| after["closed"] != before["closed"]) {
        return vec![format!("close-{}", kind_of(last))];
    }
    if !after["returned"].is_null() && after["returned"] != before["returned"] {
        return vec!["return".to_owned()];
    }
    if !before["restore"].is_null() && after["restore"].is_null() {
        return vec!["forget".to_owned()];
    }
    let holding = &after["holding"];
    if holding.is_null() {
        return Vec::new();
    }
    if holding["change"] != before["holding"]["change"] {
        return vec![format!("slot-{}", kind_of(holding))];
    }
    if holding["state"]["is"] == "accepted" {
        return vec![format!("answer-{}", kind_of(holding))];
    }
    Vec::new()
}

fn names_of_status(before: &Value, after: &Value) -> Vec<String> {
    let (before, after) = (&before["change"], &after["change"]);
    if after["state"] == "Submitting" && after["id"] != before["id"] {
        return vec![format!("intent-{}", kind_of(after))];
    }
    let mut names = vec!["publish".to_owned()];
    if let Some(state) = after["state"].as_str() {
        names.push(format!("publish-{}-{}", kind_of(after), state.to_lowercase()));
    } else if !before.is_null() {
        names.push(format!("publish-{}-ended", kind_of(before)));
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slot(holding: Value) -> Value {
        json!({ "holding": holding })
    }

    fn taken(change: &str, kind: &str, state: &str) -> Value {
        json!({ "change": change, "kind": kind, "state": { "is": state } })
    }

    #[test]
    fn each_write_of_a_slot_has_its_name() {
        let open = slot(taken("c-1", "Stop", "open"));
        let accepted = slot(taken("c-1", "Stop", "accepted"));
        let restoring = json!({ "restore": { "stoppedBy": "c-1" } });
        let closed = |kind: &str| json!({ "closed": [{ "change": "c-1", "kind": kind }] });
        let mut taken_again = closed("Stop");
        taken_again["holding"] = taken("c-2", "Modify", "open");
        let mut without_kind = taken("c-1", "", "open");
        without_kind.as_object_mut().unwrap().remove("kind");
        let none = Value::Null;
        for (name, before, after, expected) in [
            ("taken", &none, &open, "slot-stop"),
            ("taken by the first version", &none, &slot(without_kind), "slot-modify"),
            ("taken after another", &closed("Stop"), &taken_again, "slot-modify"),
            ("set aside", &open, &slot(taken("c-2", "Start", "open")), "slot-start"),
            ("accepted", &open, &accepted, "answer-stop"),
            ("closed", &accepted, &closed("CancelDowngrade"), "close-canceldowngrade"),
            ("closed again", &closed("Stop"), &closed("Start"), "close-start"),
            ("given back", &open, &json!({ "returned": "c-1" }), "return"),
            ("given back with its stop", &restoring, &json!({ "returned": "c-1" }), "return"),
            ("forgotten", &restoring, &json!({}), "forget"),
        ] {
            assert_eq!(names_of_write(SLOTS, before, after), [expected], "{name}");
        }
        for (name, before, after) in
            [("unchanged", &open, &open), ("freed", &accepted, &json!({})), ("empty", &none, &none)]
        {
            assert!(names_of_write(SLOTS, before, after).is_empty(), "{name}");
        }
    }

    #[test]
    fn each_write_of_a_status_has_its_names() {
        let change = |id: &str, kind: &str, state: &str| json!({ "change": { "id": id, "kind": kind, "state": state } });
        let intent = change("c-1", "Start", "Submitting");
        let nothing = json!({ "phase": "InSync" });
        for (name, before, after, expected) in [
            ("intent", &nothing, &intent, &["intent-start"][..]),
            ("first status", &Value::Null, &intent, &["intent-start"]),
            (
                "an intent after another",
                &change("c-0", "Modify", "Accepted"),
                &intent,
                &["intent-start"],
            ),
            ("unknown", &intent, &intent, &["publish", "publish-start-submitting"]),
            (
                "accepted",
                &intent,
                &change("c-1", "Start", "Accepted"),
                &["publish", "publish-start-accepted"],
            ),
            (
                "observed",
                &nothing,
                &change("c-2", "Modify", "Observed"),
                &["publish", "publish-modify-observed"],
            ),
            ("ended", &intent, &nothing, &["publish", "publish-start-ended"]),
            ("no change", &nothing, &nothing, &["publish"]),
        ] {
            assert_eq!(names_of_write(OBJECTS, before, after), expected, "{name}");
        }
    }

    #[test]
    fn contents_and_instances_are_found_in_objects_and_slots() {
        let lease = json!({ "metadata": { "annotations": {
            "vm.zenlayer.com/slot": "{\"returned\":\"c-1\"}", "vm.zenlayer.com/instance-id": "vm-1",
        } } });
        assert_eq!(content_of(SLOTS, &lease), Some(json!({ "returned": "c-1" })));
        assert_eq!(instance_of(SLOTS, &lease).as_deref(), Some("vm-1"));
        let trail = json!({ "metadata": { "annotations": { "vm.zenlayer.com/orders": "[]" } } });
        assert_eq!(content_of(SLOTS, &trail), None);
        let object = json!({ "spec": { "instanceId": "vm-2" }, "status": { "phase": "InSync" } });
        assert_eq!(content_of(OBJECTS, &object), Some(json!({ "phase": "InSync" })));
        assert_eq!(instance_of(OBJECTS, &object).as_deref(), Some("vm-2"));
        assert_eq!(content_of("secrets", &object), None);
        assert_eq!(instance_of("secrets", &object), None);
    }

    #[test]
    fn each_call_that_changes_an_instance_has_its_names_and_a_read_has_none() {
        for (action, kind) in [
            ("ModifyInstanceType", "call-modify"),
            ("CancelInstanceDowngrade", "call-canceldowngrade"),
            ("StopInstances", "call-stop"),
            ("StartInstances", "call-start"),
        ] {
            assert_eq!(names_of_call(action), ["call", kind]);
            assert!(is_name(kind), "{kind}");
        }
        assert!(names_of_call("DescribeInstances").is_empty());
        assert_eq!(instance_of_call(&json!({ "instanceId": "a" })).as_deref(), Some("a"));
        let several = json!({ "instanceIds": ["b", "c"] });
        assert_eq!(instance_of_call(&several).as_deref(), Some("b"));
        assert_eq!(instance_of_call(&json!({})), None);
    }

    #[test]
    fn a_mistyped_name_is_no_name() {
        for name in ["slot-stop", "publish-modify-ended", "publish-canceldowngrade-accepted"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "slot", "slot-reboot", "publish-modify", "publish-modify-closed", "calls"]
        {
            assert!(!is_name(name), "{name}");
        }
    }
}
