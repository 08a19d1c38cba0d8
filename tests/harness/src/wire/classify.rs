//! What an exchange is, from its method, path, headers and body, and from what answers have shown
//! before. Pure.

use std::collections::HashMap;

use serde_json::Value;

use super::shapes;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Kubernetes,
    Cloud,
}

/// What is asked for. A call of the provider is a `Call`, whatever its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    Call,
    Other,
}

/// What of a request says what it is.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    /// The provider's action, from a header.
    pub action: Option<&'a str>,
    pub body: &'a [u8],
}

/// What an exchange is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub server: Server,
    pub method: String,
    pub path: String,
    pub verb: Verb,
    /// As RBAC names it: `leases`, `vminstances/status`. Of the provider: the action.
    pub resource: String,
    /// What it does; see `shapes`. A read does nothing.
    pub names: Vec<String>,
    pub instance: Option<String>,
}

/// A place in the Kubernetes API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place<'a> {
    namespace: &'a str,
    resource: &'a str,
    name: &'a str,
    subresource: &'a str,
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Self {
        let mut parts = path.trim_matches('/').split('/');
        let versions = match parts.next() {
            Some("api") => 1,
            Some("apis") => 2,
            _ => return Self::default(),
        };
        let rest: Vec<&str> = parts.skip(versions).collect();
        let (namespace, rest) = match rest[..] {
            ["namespaces", namespace, _, ..] => (namespace, &rest[2..]),
            _ => ("", &rest[..]),
        };
        let part = |index: usize| rest.get(index).copied().unwrap_or_default();
        Self { namespace, resource: part(0), name: part(1), subresource: part(2) }
    }

    fn resource_with_subresource(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }
}

fn verb(method: &str, query: &str, one: bool) -> Verb {
    let watch = query.split('&').any(|part| matches!(part, "watch=true" | "watch=1"));
    match method {
        "GET" if watch => Verb::Watch,
        "GET" if one => Verb::Get,
        "GET" => Verb::List,
        "POST" => Verb::Create,
        "PUT" => Verb::Update,
        "PATCH" => Verb::Patch,
        "DELETE" => Verb::Delete,
        _ => Verb::Other,
    }
}

/// What answers have shown: the content of each version of an object, and which instance it is about.
#[derive(Debug, Default)]
pub struct Memory {
    versions: HashMap<(String, String), Value>,
    latest: HashMap<String, Value>,
    instances: HashMap<String, String>,
}

impl Memory {
    /// What an exchange with a server is.
    pub fn classify(&self, server: Server, asked: Asked<'_>) -> Class {
        match server {
            Server::Kubernetes => self.of_kubernetes(asked),
            Server::Cloud => of_cloud(asked),
        }
    }

    fn of_kubernetes(&self, asked: Asked<'_>) -> Class {
        let place = Place::of(asked.path);
        let verb = verb(asked.method, asked.query, !place.name.is_empty());
        let resource = place.resource_with_subresource();
        let body: Value = serde_json::from_slice(asked.body).unwrap_or_default();
        // A new object has its name in its body alone.
        let name = match place.name {
            "" => body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default(),
            name => name,
        };
        let key = key(place.resource, place.namespace, name);
        let written = match verb {
            Verb::Create | Verb::Update => shapes::content_of(place.resource, &body),
            _ => None,
        };
        // An object's status is written beside the object itself.
        let of_status = place.resource == shapes::OBJECTS;
        let names = match written {
            Some(after) if !of_status || place.subresource == "status" => {
                shapes::names_of_write(place.resource, self.before(&key, &body), &after)
            }
            _ => Vec::new(),
        };
        let instance = shapes::instance_of(place.resource, &body)
            .or_else(|| self.instances.get(&key).cloned());
        let (method, path) = (asked.method.to_owned(), asked.path.to_owned());
        Class { server: Server::Kubernetes, method, path, verb, resource, names, instance }
    }

    /// The content that a write replaces: of the version that it names, or else of the last one that
    /// was seen. A write without a version creates.
    fn before(&self, key: &str, written: &Value) -> &Value {
        const NOTHING: &Value = &Value::Null;
        let Some(version) = version(written) else { return NOTHING };
        let known = self.versions.get(&(key.to_owned(), version.to_owned()));
        known.or_else(|| self.latest.get(key)).unwrap_or(NOTHING)
    }

    /// Learns from the body of an answer of the Kubernetes API: one object, or a list.
    pub fn learn(&mut self, path: &str, body: &[u8]) {
        let place = Place::of(path);
        if !looked_into(place.resource) {
            return;
        }
        let Ok(answer) = serde_json::from_slice::<Value>(body) else { return };
        match answer["items"].as_array() {
            Some(items) => items.iter().for_each(|item| self.learn_object(place.resource, item)),
            None => self.learn_object(place.resource, &answer),
        }
    }

    /// Learns from one line of a watch.
    pub fn learn_event(&mut self, path: &str, line: &[u8]) {
        let place = Place::of(path);
        if !looked_into(place.resource) {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(line) else { return };
        self.learn_object(place.resource, &event["object"]);
    }

    fn learn_object(&mut self, resource: &str, object: &Value) {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
        let key = key(resource, text("namespace"), text("name"));
        let Some(version) = version(object) else { return };
        if let Some(instance) = shapes::instance_of(resource, object) {
            self.instances.insert(key.clone(), instance);
        }
        if let Some(content) = shapes::content_of(resource, object) {
            self.versions.insert((key.clone(), version.to_owned()), content.clone());
            self.latest.insert(key, content);
        }
    }
}

/// Whether contents of this resource matter.
fn looked_into(resource: &str) -> bool {
    [shapes::SLOTS, shapes::OBJECTS].contains(&resource)
}

fn key(resource: &str, namespace: &str, name: &str) -> String {
    format!("{resource}/{namespace}/{name}")
}

fn version(object: &Value) -> Option<&str> {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str)
}

fn of_cloud(asked: Asked<'_>) -> Class {
    let action = asked.action.unwrap_or_default();
    let body: Value = serde_json::from_slice(asked.body).unwrap_or_default();
    Class {
        server: Server::Cloud,
        method: asked.method.to_owned(),
        path: asked.path.to_owned(),
        verb: Verb::Call,
        resource: action.to_owned(),
        names: shapes::names_of_call(action),
        instance: shapes::instance_of_call(&body),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/op/leases";
    const OBJECTS: &str = "/apis/vm.zenlayer.com/v1alpha1/namespaces/t/vminstances";

    fn asked<'a>(method: &'a str, path: &'a str, body: &'a [u8]) -> Asked<'a> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Asked { method, path, query, action: None, body }
    }

    fn class(memory: &Memory, method: &str, path: &str, body: &Value) -> Class {
        memory.classify(Server::Kubernetes, asked(method, path, body.to_string().as_bytes()))
    }

    fn lease(version: Option<&str>, record: &Value) -> Value {
        json!({ "metadata": {
            "name": "zvm-slot-1", "namespace": "op", "resourceVersion": version,
            "annotations": {
                "vm.zenlayer.com/slot": record.to_string(), "vm.zenlayer.com/instance-id": "vm-1",
            },
        } })
    }

    fn holding(change: &str, state: &str) -> Value {
        let holding = json!({ "change": change, "kind": "Modify", "state": { "is": state } });
        json!({ "form": "lanes", "type": { "holding": holding }, "power": {} })
    }

    fn object(version: &str, status: &Value) -> Value {
        json!({
            "metadata": { "name": "a", "namespace": "t", "resourceVersion": version },
            "spec": { "instanceId": "vm-1" }, "status": status,
        })
    }

    #[test]
    fn verb_and_resource_are_those_of_rbac() {
        for (method, path, verb, resource) in [
            ("GET", "/readyz", Verb::List, ""),
            ("GET", "/api/v1/namespaces/t/secrets/key", Verb::Get, "secrets"),
            ("GET", "/api/v1/namespaces/t", Verb::Get, "namespaces"),
            (
                "GET",
                "/apis/vm.zenlayer.com/v1alpha1/vminstances?limit=5",
                Verb::List,
                "vminstances",
            ),
            (
                "GET",
                "/apis/vm.zenlayer.com/v1alpha1/vminstances?limit=5&watch=true",
                Verb::Watch,
                "vminstances",
            ),
            (
                "PUT",
                "/apis/vm.zenlayer.com/v1alpha1/namespaces/t/vminstances/a/status",
                Verb::Update,
                "vminstances/status",
            ),
            ("POST", "/apis/events.k8s.io/v1/namespaces/t/events", Verb::Create, "events"),
            (
                "DELETE",
                "/apis/coordination.k8s.io/v1/namespaces/op/leases/x",
                Verb::Delete,
                "leases",
            ),
        ] {
            let class = class(&Memory::default(), method, path, &Value::Null);
            assert_eq!((class.verb, class.resource.as_str()), (verb, resource), "{path}");
        }
    }

    #[test]
    fn a_write_of_a_slot_is_compared_with_the_version_that_it_names() {
        let mut memory = Memory::default();
        let one = format!("{LEASES}/zvm-slot-1");
        let created = class(&memory, "POST", LEASES, &lease(None, &holding("c-1", "open")));
        assert_eq!(created.names, ["slot-modify"]);
        assert_eq!(created.instance.as_deref(), Some("vm-1"));

        let answer = lease(Some("7"), &holding("c-1", "open")).to_string();
        memory.learn(LEASES, answer.as_bytes());
        let accepted = lease(Some("7"), &holding("c-1", "accepted"));
        assert_eq!(class(&memory, "PUT", &one, &accepted).names, ["answer-modify"]);

        // A stale writer is judged by what it has read.
        memory.learn(&one, lease(Some("9"), &holding("c-2", "open")).to_string().as_bytes());
        assert_eq!(class(&memory, "PUT", &one, &accepted).names, ["answer-modify"]);
        let unknown = lease(Some("8"), &holding("c-2", "accepted"));
        assert_eq!(class(&memory, "PUT", &one, &unknown).names, ["answer-modify"]);
        let again = lease(Some("9"), &holding("c-1", "accepted"));
        assert_eq!(class(&memory, "PUT", &one, &again).names, ["slot-modify"]);
        // Nobody says in a GET whose slot it is.
        let read = class(&memory, "GET", &one, &Value::Null);
        assert_eq!((read.instance.as_deref(), read.names.len()), (Some("vm-1"), 0));
    }

    #[test]
    fn a_write_of_a_status_is_compared_with_what_lists_watches_and_writes_have_shown() {
        let intent = json!({ "change": { "id": "c-1", "kind": "Modify", "state": "Submitting" } });
        let status = format!("{OBJECTS}/a/status");
        let list = json!({ "items": [object("3", &intent)] }).to_string();
        let event = json!({ "type": "MODIFIED", "object": object("3", &intent) }).to_string();
        let answer = object("3", &intent).to_string();
        let mut shown = [Memory::default(), Memory::default(), Memory::default()];
        shown[0].learn(OBJECTS, list.as_bytes());
        shown[1].learn_event(OBJECTS, event.as_bytes());
        shown[2].learn(&status, answer.as_bytes());
        let ended = object("3", &json!({ "phase": "InSync" }));
        for (name, memory) in ["list", "watch", "write"].iter().zip(&shown) {
            let names = class(memory, "PUT", &status, &ended).names;
            assert_eq!(names, ["publish", "publish-modify-ended"], "{name}");
        }
        assert_eq!(class(&Memory::default(), "PUT", &status, &ended).names, ["publish"]);
        // Only the status itself is one.
        let one = format!("{OBJECTS}/a");
        let whole = class(&Memory::default(), "PUT", &one, &object("3", &intent));
        assert!(whole.names.is_empty(), "{whole:?}");
    }

    #[test]
    fn a_call_of_the_provider_is_named_by_its_action() {
        let body = br#"{"instanceIds":["vm-2"],"forceShutdown":false}"#;
        let mut asked = asked("POST", "/api/v2/vm", body);
        asked.action = Some("StopInstances");
        let class = Memory::default().classify(Server::Cloud, asked);
        assert_eq!((class.verb, class.resource.as_str()), (Verb::Call, "StopInstances"));
        assert_eq!(class.names, ["call", "call-stop"]);
        assert_eq!(class.instance.as_deref(), Some("vm-2"));
    }
}
