//! What the operator is granted, what it used and what it was denied, by the audit log of the API server.

use std::{
    collections::BTreeSet,
    fmt::Write,
    io::{BufRead, BufReader},
    path::Path,
};

use harness::{ControlPlane, records, scan::files};
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};

use crate::stage::Rules;

/// Group, resource and verb.
pub type Right = (String, String, String);

/// What accounts did.
#[derive(Debug, Default)]
pub struct Seen {
    pub used: BTreeSet<Right>,
    pub denied: BTreeSet<(String, Right)>,
}

impl Seen {
    /// Adds a line of an audit log, if it is of such an account.
    pub fn add(&mut self, line: &Value, counts: impl Fn(&str) -> bool) {
        let account = line["user"]["username"].as_str().unwrap_or_default();
        let object = &line["objectRef"];
        if !counts(account) || object.is_null() {
            return;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let resource = match object["subresource"].as_str() {
            Some(part) => format!("{}/{part}", text(&object["resource"])),
            None => text(&object["resource"]),
        };
        let right = (text(&object["apiGroup"]), resource, text(&line["verb"]));
        match line["annotations"]["authorization.k8s.io/decision"].as_str() {
            Some("forbid") => {
                let place = text(&object["namespace"]);
                self.denied.insert((format!("{account} in {place:?}"), right));
            }
            Some("allow") => {
                self.used.insert(right);
            }
            _ => {}
        }
    }

    /// What is wrong: something was denied, or what was used is not what is granted.
    pub fn against(&self, granted: &BTreeSet<Right>) -> Result<String, String> {
        let mut table = format!("{:<40} | granted | used\n", "right");
        for right in granted | &self.used {
            let (group, resource, verb) = &right;
            let yes = |set: &BTreeSet<Right>| if set.contains(&right) { "yes" } else { "no" };
            let name = format!("{verb} {resource} ({group})");
            let _ = writeln!(table, "{name:<40} | {:<7} | {}", yes(granted), yes(&self.used));
        }
        let _ = writeln!(table, "denied: {:?}", self.denied);
        if self.denied.is_empty() && self.used == *granted { Ok(table) } else { Err(table) }
    }
}

/// Every right of these rules.
pub fn rights(rules: &[PolicyRule]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let verbs = rule.verbs.iter();
                all.extend(verbs.map(|verb| (group.clone(), resource.clone(), verb.clone())));
            }
        }
    }
    all
}

/// What bindings of this cluster give to an account, and in which namespaces; `*` is every one.
pub fn granted(plane: &ControlPlane, namespace: &str, account: &str) -> Vec<(String, PolicyRule)> {
    let list = |kind: &str| -> Vec<Value> {
        let text = plane.kubectl_ok(&["get", kind, "--all-namespaces", "-o", "json"]);
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let subject = json!({ "kind": "ServiceAccount", "name": account, "namespace": namespace });
    let roles = [list("clusterroles"), list("roles")].concat();
    let mut all = Vec::new();
    for binding in [list("clusterrolebindings"), list("rolebindings")].concat() {
        if !binding["subjects"].as_array().is_some_and(|all| all.contains(&subject)) {
            continue;
        }
        let place = binding["metadata"]["namespace"].as_str().unwrap_or("*").to_owned();
        let role = roles.iter().find(|role| {
            let same = role["metadata"]["name"] == binding["roleRef"]["name"];
            let here = role["metadata"]["namespace"].as_str().is_none_or(|one| one == place);
            same && here && role["kind"] == binding["roleRef"]["kind"]
        });
        let rules = role.unwrap_or_else(|| panic!("{binding} names no role"))["rules"].clone();
        let rules: Vec<PolicyRule> = serde_json::from_value(rules).unwrap();
        all.extend(rules.into_iter().map(|rule| (place.clone(), rule)));
    }
    all
}

/// A person has made rules smaller for the accounts in namespaces that begin with `less-`.
fn is_whole(account: &str) -> bool {
    let Some(rest) = account.strip_prefix("system:serviceaccount:") else { return false };
    rest.ends_with(":vm-operator") && !rest.starts_with("less-")
}

#[test]
#[ignore = "make test runs it at the end, over the audit logs of all tests"]
fn the_suite_used_what_is_granted_and_nothing_was_denied() {
    let folder = std::env::var_os(records::FOLDER).expect("the folder of the records is named");
    let mut seen = Seen::default();
    let mut lines = 0;
    for path in files(Path::new(&folder)) {
        let file = std::fs::File::open(path).unwrap();
        for line in BufReader::new(file).lines().map(Result::unwrap) {
            // The last line of a server that was killed may be cut off.
            if let Ok(value) = serde_json::from_str(&line) {
                lines += 1;
                seen.add(&value, is_whole);
            }
        }
    }
    let rules = Rules::of_deploy();
    let granted = rights(&[rules.cluster, rules.slots].concat());
    match seen.against(&granted) {
        Ok(table) => println!("{lines} lines\n{table}"),
        Err(table) => panic!("{lines} lines\n{table}"),
    }
}

fn line(account: &str, verb: &str, resource: &str, decision: &str) -> Value {
    json!({
        "user": { "username": account }, "verb": verb,
        "objectRef": { "resource": resource, "namespace": "n" },
        "annotations": { "authorization.k8s.io/decision": decision },
    })
}

#[test]
fn what_is_denied_not_granted_or_never_used_is_found() {
    const OURS: &str = "system:serviceaccount:op-1:vm-operator";
    let right = |verb: &str| (String::new(), "secrets".to_owned(), verb.to_owned());
    let granted = BTreeSet::from([right("get")]);
    let used = line(OURS, "get", "secrets", "allow");
    let rows = [
        ("all is well", vec![used.clone()], true),
        ("never used", vec![], false),
        ("more was used", vec![used.clone(), line(OURS, "list", "secrets", "allow")], false),
        ("denied", vec![used.clone(), line(OURS, "get", "secrets", "forbid")], false),
        ("used by an administrator", vec![line("admin", "get", "secrets", "allow")], false),
        (
            "denied to one that was given less",
            vec![used, line("system:serviceaccount:less-1:vm-operator", "get", "pods", "forbid")],
            true,
        ),
    ];
    for (name, lines, right) in rows {
        let mut seen = Seen::default();
        lines.iter().for_each(|line| seen.add(line, is_whole));
        assert_eq!(seen.against(&granted).is_ok(), right, "{name}: {seen:?}");
    }
}
