//! What `deploy/monitoring` asks of the metrics exists, each alert has a runbook and a test, and promtool
//! agrees (with `make nightly`).

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use harness::scripts::printed;
use serde_json::Value;
use zenlayer_vm_operator::api::{Phase, Reason};

use crate::{documents, metrics::known, read};

/// The rules of the one group.
fn alerts() -> Vec<Value> {
    let rule = documents("deploy/monitoring/alerts.yaml").remove(0);
    let groups = rule["spec"]["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// The queries of the dashboard, by panel.
fn queries() -> Vec<(String, String)> {
    let board: Value = serde_json::from_str(&read("deploy/monitoring/dashboard.json")).unwrap();
    let mut found = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            found.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    found
}

/// What is wrong with the names of a query: metrics, labels of matchers, and their values.
fn faults(query: &str) -> Vec<String> {
    let metrics = known();
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut faults = Vec::new();
    for (at, _) in query.match_indices("zenlayer_vm_") {
        let rest = &query[at..];
        let end = rest.find(|c| !name(c)).unwrap_or(rest.len());
        let (metric, rest) = rest.split_at(end);
        let of_histogram = ["_bucket", "_sum", "_count"];
        let base = of_histogram.iter().find_map(|one| metric.strip_suffix(one)).unwrap_or(metric);
        let family = metrics
            .get(metric)
            .or_else(|| metrics.get(base).filter(|family| family.kind == "histogram"));
        let Some(family) = family else {
            faults.push(format!("{metric} does not exist"));
            continue;
        };
        let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        for matcher in matchers.map(|(inside, _)| inside).unwrap_or_default().split(',') {
            let Some((label, value)) = matcher.split_once(['=', '!']) else { continue };
            if !family.labels.contains(label) {
                faults.push(format!("{metric} has no label {label}"));
            }
            for value in value.trim_matches(['=', '~', '"']).split('|') {
                if !value_exists(label, value) {
                    faults.push(format!("{label} is never {value}"));
                }
            }
        }
    }
    if !query.contains("zenlayer_vm_") {
        faults.push("it asks for no metric of the operator".to_owned());
    }
    faults
}

fn value_exists(label: &str, value: &str) -> bool {
    match label {
        "phase" => Phase::ALL.iter().any(|phase| phase.as_str() == value),
        "reason" => Reason::parse(value).is_some(),
        "class" => ["ok", "credentials"].contains(&value),
        "result" => ["success", "error"].contains(&value),
        _ => false,
    }
}

#[test]
fn every_query_of_an_alert_or_the_dashboard_asks_for_what_exists() {
    let alerts = alerts().into_iter().map(|one| (text(&one["alert"]), text(&one["expr"])));
    let all: Vec<_> = alerts.chain(queries()).collect();
    assert!(all.len() > 30, "{} queries", all.len());
    let faults: Vec<_> = all
        .iter()
        .flat_map(|(place, query)| {
            faults(query).into_iter().map(move |one| format!("{place}: {one}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_query_for_what_does_not_exist_is_found() {
    for (query, fault) in [
        ("sum(zenlayer_vm_machines)", "zenlayer_vm_machines does not exist"),
        ("zenlayer_vm_leader_count", "zenlayer_vm_leader_count does not exist"),
        ("zenlayer_vm_leader{shard=\"1\"}", "zenlayer_vm_leader has no label shard"),
        ("zenlayer_vm_objects{reason=~\"InSync|Sold\"}", "reason is never Sold"),
        ("up", "it asks for no metric of the operator"),
    ] {
        let found = faults(query);
        assert!(found.iter().any(|one| one == fault), "{query}: {found:?}");
    }
}

#[test]
fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
    let page = read("docs/runbooks.md");
    let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
    let alerts = alerts();
    let names: Vec<_> = alerts.iter().map(|alert| text(&alert["alert"])).collect();
    let titles: Vec<_> = sections.iter().map(|one| one.lines().next().unwrap()).collect();
    let sorted =
        |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(sorted(&titles), names.iter().cloned().collect());
    for section in sections {
        for part in ["**It means:**", "**Look:**", "**Do:**"] {
            assert!(section.contains(part), "{part} is missing: {section}");
        }
    }
    for (alert, name) in alerts.iter().zip(names) {
        let runbook = format!("docs/runbooks.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook"], runbook.as_str(), "{name}");
        let severity = text(&alert["labels"]["severity"]);
        assert!(["critical", "warning"].contains(&severity.as_str()), "{name}: {severity}");
    }
}

#[test]
fn each_alert_is_tested_firing_and_silent() {
    let file = documents("tests/monitoring/alerts_test.yaml").remove(0);
    let mut tested: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for test in file["tests"].as_array().unwrap() {
        for one in test["alert_rule_test"].as_array().unwrap() {
            let fires = !one["exp_alerts"].as_array().unwrap().is_empty();
            tested.entry(text(&one["alertname"])).or_default().insert(fires);
        }
    }
    for alert in alerts() {
        let name = text(&alert["alert"]);
        let both = BTreeSet::from([true, false]);
        assert_eq!(tested.get(&name), Some(&both), "{name}: firing, and silent");
    }
}

/// `prometheus` and `promtool`, which `make nightly` provides.
#[test]
#[ignore = "needs promtool: make nightly"]
fn promtool_agrees_with_each_alert_firing_and_silent() {
    let [promtool] = printed("hack/prometheus.sh", ["PROMTOOL"]);
    let folder = tempfile::tempdir().unwrap();
    let rules = documents("deploy/monitoring/alerts.yaml").remove(0)["spec"].to_string();
    // JSON is YAML.
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let tests = folder.path().join("alerts_test.yaml");
    std::fs::write(&tests, read("tests/monitoring/alerts_test.yaml")).unwrap();
    for arguments in [["check", "rules", "rules.yaml"], ["test", "rules", "alerts_test.yaml"]] {
        let ran = Command::new(&promtool).args(arguments).current_dir(folder.path()).output();
        let ran = ran.unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        assert!(ran.status.success(), "promtool {arguments:?}: {said}");
    }
}

#[test]
fn the_pod_monitor_selects_the_pods_and_their_port() {
    let monitor = documents("deploy/kustomize/components/pod-monitor/pod-monitor.yaml").remove(0);
    let deployment = documents("deploy/kustomize/base/deployment.yaml").remove(0);
    let pod = &deployment["spec"]["template"];
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&pod["metadata"]["labels"][label], value, "{label}");
    }
    let ports = pod["spec"]["containers"][0]["ports"].as_array().unwrap();
    let port = &monitor["spec"]["podMetricsEndpoints"][0]["port"];
    assert!(ports.iter().any(|one| one["name"] == *port), "{port} is none of {ports:?}");
}

/// What stands at a path of the schema; of a list, of each of its entries.
fn in_schema<'a>(schema: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(schema, |at, name| {
        let at = at.get("items").unwrap_or(at);
        at["properties"].get(name)
    })
}

fn path_of(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

#[test]
fn the_configuration_of_kube_state_metrics_names_fields_and_phases_that_exist() {
    let config = documents("deploy/monitoring/kube-state-metrics.yaml").remove(0);
    let crd = documents("crds/vminstances.vm.zenlayer.com.yaml").remove(0);
    let resource = &config["spec"]["resources"][0];
    let (kind, version) = (&resource["groupVersionKind"], &crd["spec"]["versions"][0]);
    assert_eq!(kind["group"], crd["spec"]["group"]);
    assert_eq!(kind["version"], version["name"]);
    assert_eq!(kind["kind"], crd["spec"]["names"]["kind"]);
    let schema = &version["schema"]["openAPIV3Schema"];
    let metrics = resource["metrics"].as_array().unwrap();
    for metric in metrics {
        let each = &metric["each"];
        let type_ = text(&each["type"]);
        let body = &each[type_[..1].to_lowercase() + &type_[1..]];
        let base = path_of(&body["path"]);
        let mut paths: Vec<Vec<String>> = vec![Vec::new()];
        let labels = body["labelsFromPath"].as_object().into_iter().flatten();
        paths.extend(labels.map(|(_, path)| path_of(path)));
        paths.push(path_of(&body["valueFrom"]));
        for path in paths {
            let whole = [base.clone(), path].concat();
            assert!(in_schema(schema, &whole).is_some(), "{}: no {whole:?}", metric["name"]);
        }
    }
    let set = metrics.iter().find(|one| one["name"] == "status_phase").unwrap();
    let listed = path_of(&set["each"]["stateSet"]["list"]);
    let phases: Vec<_> = Phase::ALL.iter().map(|phase| phase.as_str().to_owned()).collect();
    assert_eq!(listed, phases);
}
