//! What the API server accepts and rejects, with the words that a user of kubectl reads.

use std::{fmt::Write, sync::LazyLock};

use serde_json::{Value, json};

use crate::stage::apply_crd;
use harness::{ControlPlane, control_plane::random_hex};

/// A namespace with one object `settled`, whose status an operator seems to have written.
struct Registry {
    plane: &'static ControlPlane,
    namespace: String,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let plane = ControlPlane::shared();
    apply_crd(plane);
    let namespace = format!("t-{}", &random_hex()[..8]);
    plane.kubectl_ok(&["create", "namespace", &namespace]);
    let registry = Registry { plane, namespace };
    let settled = object("settled", json!({ "instanceId": "vm-1", "instanceTypeId": "c.1c2g" }));
    let (created, text) = registry.kubectl(&["create", "-f", "-"], &settled.to_string());
    assert!(created, "{text}");
    registry
});

impl Registry {
    fn kubectl(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let namespace = ["--namespace", &self.namespace];
        self.plane.kubectl_with(&[&namespace[..], arguments].concat(), input)
    }

    fn dry_create(&self, object: &Value) -> (bool, String) {
        let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        self.kubectl(&arguments, &object.to_string())
    }

    /// A dry-run JSON patch of `settled`, through a subresource or none.
    fn dry_patch(&self, subresource: &[&str], patch: &Value) -> (bool, String) {
        let patch = format!("--patch={patch}");
        let arguments =
            ["patch", "zvm", "settled", "--type=json", &patch, "--dry-run=server", "-o", "json"];
        self.kubectl(&[&arguments[..], subresource].concat(), "")
    }
}

fn object(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "vm.zenlayer.com/v1alpha1", "kind": "VmInstance",
        "metadata": { "name": name }, "spec": spec,
    })
}

/// A valid spec with one field put in by its JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut spec = json!({
        "instanceId": "vm-1",
        "instanceTypeId": "c.2c4g",
        "credentials": { "secretRef": { "name": "zenlayer-credentials" } },
    });
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    spec.pointer_mut(parent).unwrap()[key] = value;
    spec
}

fn without(key: &str) -> Value {
    let mut spec = with("/suspend", json!(false));
    spec.as_object_mut().unwrap().remove(key);
    spec
}

const ID_RULE: &str = "instanceId must be 1 to 64 letters, digits, '-' or '_': copy it from the \
                       provider's console or DescribeInstances";
const TYPE_RULE: &str = "instanceTypeId must be 1 to 64 letters, digits, '.', '-' or '_' and start \
                         with a letter or a digit: name a type of the provider, such as c.2c4g";
const SECRET_RULE: &str = "name must be that of a Secret in this namespace: 1 to 253 lower-case \
                           letters, digits, '-' or '.', with a letter or a digit at both ends";
const BAD_ID: &[&str] = &["spec.instanceId: Invalid value", ID_RULE];
const BAD_TYPE: &[&str] = &["spec.instanceTypeId: Invalid value", TYPE_RULE];
const BAD_SECRET: &[&str] = &["spec.credentials.secretRef.name: Invalid value", SECRET_RULE];
const OF_STRING: &str = "must be of type string";

/// A case: its name, the spec, and what the answer shows: a pointer with its value, or words.
type Accepted = (&'static str, Value, &'static str, Value);
type Rejected = (&'static str, Value, &'static [&'static str]);

fn accepted() -> Vec<Accepted> {
    let long_number = "12345678901234567890123456789012345678901234567890";
    let longest = "v".repeat(64);
    let smallest = || json!({ "instanceId": "vm-1", "instanceTypeId": "c.2c4g" });
    let secret = "/spec/credentials/secretRef/name";
    vec![
        ("the Secret's name has a default", smallest(), secret, json!("zenlayer-credentials")),
        ("the policy has a default", smallest(), "/spec/managementPolicy", json!("Enforce")),
        ("suspend has a default", smallest(), "/spec/suspend", json!(false)),
        ("nothing is observed yet", smallest(), "/status/observedGeneration", json!(-1)),
        ("the phase at first", smallest(), "/status/phase", json!("Pending")),
        (
            "a long number as text, verbatim",
            with("/instanceId", json!(long_number)),
            "/spec/instanceId",
            json!(long_number),
        ),
        (
            "leading zeros, verbatim",
            with("/instanceId", json!("007")),
            "/spec/instanceId",
            json!("007"),
        ),
        (
            "an id of 64 characters",
            with("/instanceId", json!(longest)),
            "/spec/instanceId",
            json!(longest),
        ),
        (
            "every sign of a type",
            with("/instanceTypeId", json!("9m.6c_large-v2")),
            "/spec/instanceTypeId",
            json!("9m.6c_large-v2"),
        ),
        ("observe", with("/managementPolicy", json!("Observe")), "/spec/suspend", json!(false)),
        ("suspended", with("/suspend", json!(true)), "/spec/suspend", json!(true)),
        (
            "a Secret's name with dots",
            with("/credentials/secretRef/name", json!("zenlayer.team-1")),
            secret,
            json!("zenlayer.team-1"),
        ),
        (
            "null for a field with a default",
            with("/managementPolicy", Value::Null),
            "/spec/managementPolicy",
            json!("Enforce"),
        ),
        (
            "null for the credentials",
            with("/credentials", Value::Null),
            secret,
            json!("zenlayer-credentials"),
        ),
        (
            "null for a Secret's name",
            with("/credentials/secretRef/name", Value::Null),
            secret,
            json!("zenlayer-credentials"),
        ),
    ]
}

fn rejected() -> Vec<Rejected> {
    let id = |value| with("/instanceId", value);
    let type_id = |value| with("/instanceTypeId", value);
    let secret = |value| with("/credentials/secretRef/name", value);
    vec![
        ("a number as id", id(json!(1234567890)), &["spec.instanceId", OF_STRING]),
        ("no id", without("instanceId"), &["spec.instanceId: Required value"]),
        ("null as id", id(Value::Null), &["spec.instanceId: Required value"]),
        ("an empty id", id(json!("")), BAD_ID),
        ("65 characters", id(json!("v".repeat(65))), &["spec.instanceId: Too long", "64"]),
        ("a space in an id", id(json!("vm 1")), BAD_ID),
        ("a slash in an id", id(json!("zone/vm-1")), BAD_ID),
        ("a dot in an id", id(json!("vm.1")), BAD_ID),
        ("a letter outside ASCII", id(json!("vm-ü")), BAD_ID),
        ("a line end after an id", id(json!("vm-1\n")), BAD_ID),
        ("no type", without("instanceTypeId"), &["spec.instanceTypeId: Required value"]),
        ("an empty type", type_id(json!("")), BAD_TYPE),
        (
            "a type of 65 characters",
            type_id(json!("c".repeat(65))),
            &["spec.instanceTypeId: Too long", "64"],
        ),
        ("a type that starts with a dot", type_id(json!(".2c4g")), BAD_TYPE),
        ("a type that starts with a dash", type_id(json!("-2c4g")), BAD_TYPE),
        ("a comma in a type", type_id(json!("c,2c4g")), BAD_TYPE),
        ("a number as type", type_id(json!(2)), &["spec.instanceTypeId", OF_STRING]),
        (
            "a field that does not exist",
            with("/region", json!("x")),
            &["unknown field \"spec.region\""],
        ),
        (
            "a namespace for the Secret",
            with("/credentials/secretRef/namespace", json!("kube-system")),
            &["unknown field \"spec.credentials.secretRef.namespace\""],
        ),
        ("an empty Secret's name", secret(json!("")), BAD_SECRET),
        ("an upper-case Secret's name", secret(json!("Zenlayer")), BAD_SECRET),
        (
            "a Secret's name of 254 characters",
            secret(json!("z".repeat(254))),
            &["spec.credentials.secretRef.name: Too long", "253"],
        ),
        (
            "a policy that does not exist",
            with("/managementPolicy", json!("Delete")),
            &["spec.managementPolicy: Unsupported value: \"Delete\"", "\"Enforce\", \"Observe\""],
        ),
        (
            "a policy in lower case",
            with("/managementPolicy", json!("observe")),
            &["spec.managementPolicy: Unsupported value", "\"Enforce\", \"Observe\""],
        ),
        (
            "suspend as text",
            with("/suspend", json!("true")),
            &["spec.suspend", "must be of type boolean"],
        ),
        (
            "the credentials as text",
            with("/credentials", json!("zenlayer-credentials")),
            &["spec.credentials", "must be of type object"],
        ),
        ("no spec", Value::Null, &["spec: Required value"]),
    ]
}

/// The message as one line of a table.
fn line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace("v".repeat(65).as_str(), "vvv…").replace("z".repeat(254).as_str(), "zzz…")
}

#[test]
fn accepts_what_is_meant_and_sets_the_defaults() {
    let mut table = String::new();
    for (name, spec, pointer, value) in accepted() {
        let (created, text) = REGISTRY.dry_create(&object("new", spec));
        assert!(created, "{name}: {text}");
        let shown: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(shown.pointer(pointer), Some(&value), "{name}: {text}");
        writeln!(table, "accepted | {name} | {pointer} is {value}").unwrap();
    }
    println!("{table}");
}

#[test]
fn rejects_with_the_field_and_the_remedy() {
    let mut table = String::new();
    for (name, spec, words) in rejected() {
        let (created, text) = REGISTRY.dry_create(&object("new", spec));
        assert!(!created, "{name}: {text}");
        for word in words {
            assert!(line(&text).contains(word), "{name}: no {word:?} in {text}");
        }
        writeln!(table, "rejected | {name} | {}", line(&text)).unwrap();
    }
    println!("{table}");
}

#[test]
fn accepts_and_rejects_updates() {
    let change =
        |op: &str, path: &str, value: Value| json!([{ "op": op, "path": path, "value": value }]);
    let status = &["--subresource=status"][..];
    let immutable = "instanceId cannot be changed: delete this VmInstance (the machine is not touched) \
                     and create one with the right id";
    let rejected: [(&str, &[&str], Value, &str); 6] = [
        ("another id", &[], change("replace", "/spec/instanceId", json!("vm-2")), immutable),
        (
            "the id taken away",
            &[],
            change("remove", "/spec/instanceId", Value::Null),
            "spec.instanceId: Required value",
        ),
        (
            "the type taken away",
            &[],
            change("remove", "/spec/instanceTypeId", Value::Null),
            "spec.instanceTypeId: Required value",
        ),
        (
            "a type that is none",
            &[],
            change("replace", "/spec/instanceTypeId", json!(".")),
            TYPE_RULE,
        ),
        (
            "a phase that does not exist",
            status,
            change("replace", "/status/phase", json!("Done")),
            "status.phase: Unsupported value: \"Done\"",
        ),
        (
            "a generation as text",
            status,
            change("replace", "/status/observedGeneration", json!("1")),
            "status.observedGeneration",
        ),
    ];
    for (name, subresource, patch, words) in rejected {
        let (done, text) = REGISTRY.dry_patch(subresource, &patch);
        assert!(!done && line(&text).contains(words), "{name}: {text}");
        println!("rejected | {name} | {}", line(&text));
    }
    let accepted: [(&str, &[&str], Value, &str, Value); 3] = [
        (
            "another type",
            &[],
            change("replace", "/spec/instanceTypeId", json!("c.4c8g")),
            "/spec/instanceTypeId",
            json!("c.4c8g"),
        ),
        (
            "a status through the main resource is ignored",
            &[],
            change("replace", "/status/phase", json!("InSync")),
            "/status/phase",
            json!("Pending"),
        ),
        (
            "a spec through the status is ignored",
            status,
            change("replace", "/spec/instanceTypeId", json!("c.4c8g")),
            "/spec/instanceTypeId",
            json!("c.1c2g"),
        ),
    ];
    for (name, subresource, patch, pointer, value) in accepted {
        let (done, text) = REGISTRY.dry_patch(subresource, &patch);
        let shown: Value = serde_json::from_str(&text).unwrap_or_default();
        assert!(done && shown.pointer(pointer) == Some(&value), "{name}: {text}");
        println!("accepted | {name} | {pointer} is {value}");
    }
}

#[test]
fn ignores_a_status_that_comes_with_a_new_object() {
    let mut new = object("new", with("/suspend", json!(true)));
    new["status"] = json!({ "phase": "InSync", "observedGeneration": 1 });
    let (created, text) = REGISTRY.dry_create(&new);
    assert!(created, "{text}");
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["status"], json!({ "phase": "Pending", "observedGeneration": -1 }));
}
