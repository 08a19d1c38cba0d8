//! What a reviewer of Kubernetes APIs asks of a CRD, as a list of rules over the generated YAML, in the
//! spirit of kube-api-linter. What breaks a rule on purpose stands in a list with its reason; an
//! exception that nothing needs any more is a fault, too.

use serde_json::Value;
use zenlayer_vm_operator::api;

/// One schema of the CRD with its path, such as `.spec.instanceId`.
struct Schema<'a> {
    path: &'a str,
    schema: &'a Value,
}

impl Schema<'_> {
    fn is(&self, kind: &str) -> bool {
        self.schema["type"] == kind
    }

    fn has(&self, key: &str) -> bool {
        self.schema.get(key).is_some()
    }

    fn in_status(&self) -> bool {
        self.path.starts_with(".status")
    }

    /// The last name of the path.
    fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default().trim_end_matches("[]")
    }

    fn description(&self) -> &str {
        self.schema["description"].as_str().unwrap_or_default()
    }
}

type Rule = (&'static str, &'static str, fn(&Schema) -> bool);

/// Name, what it asks, and whether a schema keeps it.
const RULES: &[Rule] = &[
    ("Typed", "every schema has a type", |one| one.schema["type"].is_string()),
    ("NoNullable", "an optional field is absent, never null", |one| {
        let null = |members: &Vec<Value>| members.contains(&Value::Null);
        !one.has("nullable") && !one.schema["enum"].as_array().is_some_and(null)
    }),
    ("Described", "every field has a description", |one| !one.description().is_empty()),
    ("OwnWords", "no text of Go's types is left in a description", |one| {
        !["time.Time", "marshal", "Wrapper", "ObjectMeta"]
            .iter()
            .any(|word| one.description().contains(word))
    }),
    (
        "EnumValuesDescribed",
        "the description tells what each value of an enumeration means",
        |one| {
            let members = one.schema["enum"].as_array();
            let told = |member: &Value| {
                one.description()
                    .contains(&format!("\n - `\"{}\"`: ", member.as_str().unwrap_or("")))
            };
            members.is_none_or(|members| members.iter().all(told))
        },
    ),
    ("DefaultDescribed", "the description tells the default of a field", |one| {
        one.is("object") || !one.has("default") || one.description().contains("Default: ")
    }),
    ("OptionalTold", "an optional field of the spec tells what its absence means", |one| {
        let optional = one.path.starts_with(".spec.")
            && !one.is("object")
            && !["instanceId", "instanceTypeId"].contains(&one.name());
        !optional || one.description().contains("Default: ")
    }),
    ("CamelCase", "names are written in camelCase", |one| {
        let name = one.name();
        name.chars().all(char::is_alphanumeric) && !name.starts_with(char::is_uppercase)
    }),
    ("KnownFormats", "formats are ones that the API server knows", |one| {
        !one.has("format")
            || ["date-time", "int64", "int32"].iter().any(|f| one.schema["format"] == *f)
    }),
    ("Integers", "an integer says that it has 32 or 64 bits", |one| {
        !one.is("integer") || one.has("format")
    }),
    ("NoFloats", "no floating point numbers", |one| !one.is("number")),
    ("NoBools", "no booleans: an enumeration can grow", |one| !one.is("boolean")),
    ("NoMaps", "no maps with keys of any name", |one| !one.has("additionalProperties")),
    ("NoPhase", "no phase: conditions say more", |one| one.name() != "phase"),
    ("NoUnknownFields", "no field that keeps what the schema does not know", |one| {
        !one.has("x-kubernetes-preserve-unknown-fields") && !one.has("x-kubernetes-int-or-string")
    }),
    ("MaxLength", "a string has a longest length, an enumeration or a format", |one| {
        !one.is("string") || ["maxLength", "enum", "format"].iter().any(|key| one.has(key))
    }),
    ("MinLength", "a string that must not be empty says so", |one| {
        let free = one.is("string") && one.path.starts_with(".spec") && !one.has("enum");
        !free || one.has("minLength")
    }),
    ("PatternBesideCel", "a format that CEL checks stands there as a pattern, too", |one| {
        let rules = one.schema["x-kubernetes-validations"].as_array();
        let matches =
            |rule: &Value| rule["rule"].as_str().is_some_and(|text| text.contains("matches("));
        !rules.is_some_and(|rules| rules.iter().any(matches)) || one.has("pattern")
    }),
    ("CelMessage", "a CEL rule has a message that names the field", |one| {
        let named = |rule: &Value| {
            rule["message"].as_str().is_some_and(|text| text.starts_with(one.name()))
        };
        one.schema["x-kubernetes-validations"]
            .as_array()
            .is_none_or(|rules| rules.iter().all(named))
    }),
    ("MaxItems", "a list has a largest number of items", |one| {
        !one.is("array") || one.has("maxItems")
    }),
    ("ListType", "a list says how it is merged", |one| {
        !one.is("array") || one.has("x-kubernetes-list-type")
    }),
    ("StatusOptional", "no field of the status is required", |one| {
        !one.in_status() || !one.has("required")
    }),
    ("NoStatusDefaults", "the operator, not the schema, fills the status", |one| {
        !one.in_status() || !one.has("default")
    }),
    ("NoTimestampNames", "a moment is named …At or …Time, not timestamp", |one| {
        !one.name().to_lowercase().contains("timestamp")
    }),
    ("MomentNames", "a moment has a name that says so", |one| {
        let named = ["At", "Time"].iter().any(|end| one.name().ends_with(end));
        one.schema["format"] != "date-time" || named
    }),
    ("NoDurations", "no durations in the schema: they are options of the operator", |one| {
        one.schema["format"] != "duration"
    }),
];

/// Rule, path (and what is below it), why it is broken on purpose.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "NoPhase",
        ".status.phase",
        "people read one word in `kubectl get` and select by it; every phase follows from the \
         conditions, which are what programs read",
    ),
    (
        "NoBools",
        ".spec.suspend",
        "the name, the type and the meaning that Flux, CronJob and Argo Rollouts use; a person in a \
         hurry knows it",
    ),
    (
        "NoBools",
        ".status.change.adopted",
        "a fact with two sides, written by the operator alone: this object ordered it, or not",
    ),
    ("NoBools", ".status.power.change.adopted", "as in status.change"),
    ("NoBools", ".status.history[].adopted", "as in status.change"),
    (
        "MaxLength",
        ".status",
        "written by the operator alone: a limit could only refuse its own write, and with it an order \
         number; CEL reads none of it",
    ),
    (
        "MaxItems",
        ".status.conditions",
        "a map by type: the operator writes four, and keeps what other writers add",
    ),
    (
        "StatusOptional",
        ".status.conditions[]",
        "the definition of meta/v1 Condition; `type` is the key of the list",
    ),
    (
        "EnumValuesDescribed",
        ".status.conditions[].status",
        "the three values of every Kubernetes condition, told in the sentence",
    ),
    (
        "NoStatusDefaults",
        ".status",
        "observedGeneration -1 and phase Pending, so that no tool takes a new object for one that was \
         looked at (Cluster API and Flux do the same)",
    ),
    (
        "MomentNames",
        ".status.change.fence",
        "the protocol's own term for the moment until which a request can still take effect",
    ),
    ("MomentNames", ".status.change.deadline", "a term that says that it is a moment"),
    ("MomentNames", ".status.power.change.fence", "as in status.change"),
    ("MomentNames", ".status.power.change.deadline", "as in status.change"),
    ("MomentNames", ".status.power.restore.since", "a term that says that it is a moment"),
    ("MomentNames", ".status.instance.unreadSince", "a term that says that it is a moment"),
    ("MomentNames", ".status.refusal.retryAfter", "the name that HTTP has for it"),
];

fn excused(rule: &str, path: &str) -> Option<usize> {
    let below = |at: &str| {
        path == at || path.strip_prefix(at).is_some_and(|rest| rest.starts_with(['.', '[']))
    };
    EXCEPTIONS.iter().position(|(name, at, _)| *name == rule && below(at))
}

/// Calls `look` with every schema below this one, with its path.
fn schemas(path: &str, schema: &Value, look: &mut impl FnMut(&Schema)) {
    look(&Schema { path, schema });
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        schemas(&format!("{path}.{name}"), child, look);
    }
    if schema["items"].is_object() {
        schemas(&format!("{path}[]"), &schema["items"], look);
    }
}

/// What breaks a rule without an excuse, and how often each exception is used.
fn broken(root: &Value) -> (Vec<String>, Vec<usize>) {
    let mut faults = Vec::new();
    let mut used = vec![0; EXCEPTIONS.len()];
    schemas("", root, &mut |one| {
        for (rule, asks, keeps) in RULES {
            if keeps(one) {
                continue;
            }
            match excused(rule, one.path) {
                Some(index) => used[index] += 1,
                None => faults.push(format!("{}: {rule}: {asks}", one.path)),
            }
        }
    });
    (faults, used)
}

fn root() -> Value {
    let crd = serde_json::to_value(api::crd().unwrap()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn the_crd_keeps_every_rule_or_says_why_not() {
    let (faults, used) = broken(&root());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let unused = EXCEPTIONS.iter().zip(used).filter(|(_, count)| *count == 0);
    let unused: Vec<_> = unused.map(|((rule, path, _), _)| format!("{path}: {rule}")).collect();
    assert!(unused.is_empty(), "exceptions that nothing needs: {unused:?}");
}

/// Each rule can fail: a schema that breaks every one of them.
#[test]
fn every_rule_fails_on_a_schema_that_breaks_it() {
    let bad = serde_json::json!({
        "type": "object",
        "description": "x",
        "properties": {
            "spec": {
                "description": "Wrapper around time.Time",
                "nullable": true,
                "additionalProperties": true,
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {
                    "Size": { "type": "number", "format": "double" },
                    "count": { "type": "integer" },
                    "flag": { "type": "boolean" },
                    "kind": { "type": "string", "enum": ["A"], "default": "A", "description": "x" },
                    "name": {
                        "type": "string",
                        "x-kubernetes-validations": [{ "rule": "self.matches('a')", "message": "no" }],
                    },
                    "phase": { "type": "string" },
                    "wait": { "type": "string", "format": "duration" },
                    "timestamp": { "type": "string", "format": "date-time" },
                    "list": { "type": "array", "items": { "type": "string" } },
                },
            },
            "status": {
                "type": "object",
                "description": "x",
                "required": ["a"],
                "properties": { "a": { "type": "integer", "default": 1, "description": "x" } },
            },
        },
    });
    let mut failed = std::collections::BTreeSet::new();
    schemas("", &bad, &mut |one| {
        failed.extend(RULES.iter().filter(|(_, _, keeps)| !keeps(one)).map(|(name, _, _)| *name));
    });
    let silent: Vec<_> = RULES.iter().filter(|(name, ..)| !failed.contains(name)).collect();
    let silent: Vec<_> = silent.into_iter().map(|(name, ..)| name).collect();
    assert!(silent.is_empty(), "rules that found nothing wrong: {silent:?}");
}
