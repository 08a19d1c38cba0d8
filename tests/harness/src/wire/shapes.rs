//! All that the harness knows of the operator's own JSON: the record in a slot's Lease, the change in a
//! status, and which call of the provider is of which kind. Pure; when those shapes change, only this
//! file has to follow.
//!
//! What a write or a call does is told by names. KIND is `modify`, `canceldowngrade`, `stop` or `start`;
//! STATE is `submitting`, `accepted`, `observed` or `unverified`.
//!
//! | name | what it does |
//! | --- | --- |
//! | `slot-KIND` | a lane of the slot is taken for a call of this kind |
//! | `intent-KIND` | the intent is written into the status |
//! | `call`, `call-KIND` | the call is made |
//! | `answer-KIND` | the lane learns that the call was accepted |
//! | `publish` | any other write of the status |
//! | `publish-KIND-STATE`, `publish-KIND-ended` | the same: how far the call has come |
//! | `withdraw` | the same: a call was certainly not made |
//! | `close-KIND` | the lane closes: the effect was seen |
//! | `return`, `forget` | a lane is given back; what a machine is brought back to is forgotten |

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
    if ["call", "publish", "withdraw", "return", "forget"].contains(&name) {
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

fn kind_of(record: &Value) -> String {
    record["kind"].as_str().unwrap_or_default().to_lowercase()
}

/// The lanes of a slot's record.
const LANES: [&str; 2] = ["type", "power"];

fn names_of_slot(before: &Value, after: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        LANES.iter().filter_map(|lane| name_of_lane(&before[*lane], &after[*lane])).collect();
    // A stop that is given back takes what the machine is brought back to along.
    if names.is_empty() && !before["restore"].is_null() && after["restore"].is_null() {
        names.push("forget".to_owned());
    }
    names
}

fn name_of_lane(before: &Value, after: &Value) -> Option<String> {
    let (held, holds) = (&before["holding"], &after["holding"]);
    if !holds.is_null() {
        if holds["change"] != held["change"] {
            return Some(format!("slot-{}", kind_of(holds)));
        }
        let accepted = |holding: &Value| holding["state"]["is"] == "accepted";
        return (accepted(holds) && !accepted(held)).then(|| format!("answer-{}", kind_of(holds)));
    }
    let expects = &after["expects"];
    if !expects.is_null() && expects["change"] != before["expects"]["change"] {
        return Some(format!("close-{}", kind_of(expects)));
    }
    (!held.is_null()).then(|| "return".to_owned())
}

fn names_of_status(before: &Value, after: &Value) -> Vec<String> {
    let lanes = ["/change", "/power/change"].map(|lane| {
        let of = |status: &Value| status.pointer(lane).cloned().unwrap_or_default();
        (of(before), of(after))
    });
    let begins = |(before, after): &&(Value, Value)| {
        after["state"] == "Submitting" && after["id"] != before["id"]
    };
    if let Some((_, change)) = lanes.iter().find(begins) {
        return vec![format!("intent-{}", kind_of(change))];
    }
    let mut names = vec!["publish".to_owned()];
    for (before, after) in &lanes {
        if let Some(state) = after["state"].as_str() {
            names.push(format!("publish-{}-{}", kind_of(after), state.to_lowercase()));
        } else if !before.is_null() {
            names.push(format!("publish-{}-ended", kind_of(before)));
        }
    }
    if !after["withdrawn"].is_null() && after["withdrawn"] != before["withdrawn"] {
        names.push("withdraw".to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taken(change: &str, kind: &str, state: &str) -> Value {
        json!({ "holding": { "change": change, "kind": kind, "state": { "is": state } } })
    }

    fn closed(change: &str, kind: &str) -> Value {
        json!({ "expects": { "change": change, "kind": kind } })
    }

    #[test]
    fn each_write_of_a_slot_has_its_name() {
        let of_power = |lane: &Value| json!({ "form": "lanes", "type": {}, "power": lane });
        let of_type = |lane: &Value| json!({ "form": "lanes", "type": lane, "power": {} });
        let open = taken("c-1", "Stop", "open");
        let accepted = taken("c-1", "Stop", "accepted");
        let mut taken_again = taken("c-2", "Start", "open");
        taken_again["expects"] = closed("c-1", "Stop")["expects"].clone();
        let both = json!({ "type": taken("c-2", "Modify", "open"), "power": accepted });
        let mut restoring = of_power(&open);
        restoring["restore"] = json!({ "stoppedBy": "c-1" });
        let mut at_rest = of_type(&closed("c-2", "Modify"));
        at_rest["restore"] = json!({ "stoppedBy": "c-1" });
        let (none, free) = (Value::Null, of_power(&json!({})));
        for (name, before, after, expected) in [
            ("taken", &none, &of_power(&open), "slot-stop"),
            ("taken in a slot that is there", &free, &of_power(&open), "slot-stop"),
            (
                "taken after another",
                &of_power(&closed("c-1", "Stop")),
                &of_power(&taken_again),
                "slot-start",
            ),
            ("the other lane is taken", &of_power(&accepted), &both, "slot-modify"),
            ("accepted", &of_power(&open), &of_power(&accepted), "answer-stop"),
            (
                "closed",
                &of_type(&taken("c-1", "CancelDowngrade", "accepted")),
                &of_type(&closed("c-1", "CancelDowngrade")),
                "close-canceldowngrade",
            ),
            (
                "closed after another",
                &of_power(&taken_again),
                &of_power(&closed("c-2", "Start")),
                "close-start",
            ),
            ("given back", &of_power(&open), &free, "return"),
            (
                "given back, with what it was before",
                &of_power(&taken_again),
                &of_power(&closed("c-1", "Stop")),
                "return",
            ),
            ("given back with its stop", &restoring, &free, "return"),
            ("forgotten", &at_rest, &of_type(&closed("c-2", "Modify")), "forget"),
        ] {
            assert_eq!(names_of_write(SLOTS, before, after), [expected], "{name}");
        }
        let unverified = of_power(&taken("c-1", "Stop", "unverified"));
        for (name, before, after) in [
            ("unchanged", &both, &both),
            ("of unknown outcome", &of_power(&open), &unverified),
            ("empty", &none, &none),
        ] {
            assert!(names_of_write(SLOTS, before, after).is_empty(), "{name}");
        }
    }

    #[test]
    fn each_write_of_a_status_has_its_names() {
        let one =
            |id: &str, kind: &str, state: &str| json!({ "id": id, "kind": kind, "state": state });
        let of_type = |id: &str, kind: &str, state: &str| json!({ "change": one(id, kind, state) });
        let of_power = |id: &str, kind: &str, state: &str| json!({ "power": { "change": one(id, kind, state) } });
        let intent = of_power("c-1", "Start", "Submitting");
        let mut beside = of_type("c-0", "Modify", "Observed");
        beside["power"] = intent["power"].clone();
        let nothing = json!({ "phase": "InSync" });
        for (name, before, after, expected) in [
            ("intent", &nothing, &intent, &["intent-start"][..]),
            ("first status", &Value::Null, &intent, &["intent-start"]),
            (
                "an intent beside another change",
                &of_type("c-0", "Modify", "Observed"),
                &beside,
                &["intent-start"],
            ),
            (
                "an intent after another",
                &of_type("c-0", "Modify", "Observed"),
                &of_type("c-1", "CancelDowngrade", "Submitting"),
                &["intent-canceldowngrade"],
            ),
            ("unknown", &intent, &intent, &["publish", "publish-start-submitting"]),
            (
                "accepted",
                &beside,
                &of_power("c-1", "Start", "Accepted"),
                &["publish", "publish-modify-ended", "publish-start-accepted"],
            ),
            (
                "observed",
                &nothing,
                &of_type("c-2", "Modify", "Observed"),
                &["publish", "publish-modify-observed"],
            ),
            ("ended", &intent, &nothing, &["publish", "publish-start-ended"]),
            (
                "withdrawn",
                &intent,
                &json!({ "withdrawn": "c-1" }),
                &["publish", "publish-start-ended", "withdraw"],
            ),
            ("no change", &nothing, &nothing, &["publish"]),
        ] {
            assert_eq!(names_of_write(OBJECTS, before, after), expected, "{name}");
        }
    }

    #[test]
    fn contents_and_instances_are_found_in_objects_and_slots() {
        let lease = json!({ "metadata": { "annotations": {
            "vm.zenlayer.com/slot": "{\"form\":\"lanes\"}", "vm.zenlayer.com/instance-id": "vm-1",
        } } });
        assert_eq!(content_of(SLOTS, &lease), Some(json!({ "form": "lanes" })));
        assert_eq!(instance_of(SLOTS, &lease).as_deref(), Some("vm-1"));
        let other = json!({ "metadata": { "annotations": { "vm.zenlayer.com/selector": "a" } } });
        assert_eq!(content_of(SLOTS, &other), None);
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
