//! The metrics: `docs/metrics.md` lists each, their labels are bounded, and whatever is asked of them in
//! `deploy/monitoring` exists.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use harness::exposition::{Family, families};
use zenlayer::{Answer, ApiError, Ended, Exchange, SignedDuration, error::TABLE};
use zenlayer_vm_operator::{
    api::{ChangeKind, HistoryOutcome},
    telemetry::{Metrics, Oldest, Snapshot},
};

use crate::docs::generated_in;

const KINDS: [&str; 4] = ["edit", "order", "in_flight", "drift"];

/// Everything has happened once.
fn busy() -> Metrics {
    let metrics = Metrics::default();
    let outcomes = |kind: &ChangeKind| {
        let kind = kind.as_str();
        HistoryOutcome::ALL.iter().map(move |outcome| (kind, outcome.as_str()))
    };
    metrics.expect(KINDS.into_iter(), ChangeKind::ALL.iter().flat_map(outcomes));
    let oldest = Oldest { count: 1, age: Duration::from_secs(60) };
    metrics.counts(move || {
        Some(Snapshot {
            objects: [([("phase", "InSync"), ("reason", "InSync")], 1)].into(),
            conditions: [([("condition", "Ready"), ("status", "True")], oldest)].into(),
            changes: [([("kind", "Modify"), ("state", "Accepted")], oldest)].into(),
            decisions: [([("kind", "ReleaseChange")], 0)].into(),
            skew: Some(SignedDuration::from_secs(1)),
            ..Snapshot::default()
        })
    });
    metrics
}

/// The families of an operator to which everything has happened once.
pub fn known() -> BTreeMap<String, Family> {
    families(&busy().encode().unwrap())
}

#[test]
fn the_page_of_metrics_lists_each_with_its_type_labels_unit_and_meaning() {
    let mut table = String::from(
        "| metric | type | labels | unit | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for (name, Family { kind, unit, help, labels, .. }) in known() {
        assert!(!help.is_empty() && !help.contains('|'), "{name}: {help}");
        assert_eq!(unit.is_empty(), !name.contains("_seconds"), "{name}: unit {unit}");
        let labels: Vec<_> = labels.iter().map(|one| format!("`{one}`")).collect();
        let labels = labels.join(", ");
        writeln!(table, "| `{name}` | {kind} | {labels} | {unit} | {help} |").unwrap();
    }
    generated_in("docs/metrics.md", "metrics", &table);
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    for (name, family) in known() {
        assert!(name.starts_with("zenlayer_vm_"), "{name}");
        let total = name.ends_with("_total");
        assert_eq!(total, family.kind == "counter", "{name} is a {}", family.kind);
        for unit in ["_ms", "_millis", "_minutes", "_hours", "_kb", "_mb", "_percent"] {
            assert!(!name.contains(unit), "{name}: not a base unit");
        }
    }
}

fn failed(status: u16, code: Option<String>) -> ApiError {
    let message = "text".to_owned();
    ApiError { status, code, message, request_id: None, retry_after: None }
}

#[test]
fn whatever_the_provider_answers_there_are_no_more_series_than_names_that_are_known() {
    let metrics = busy();
    let took = Duration::from_millis(3);
    let actions: Vec<&'static str> = (0..20)
        .map(|number| &*Box::leak(format!("Action{number}").into_boxed_str()))
        .chain(["ModifyInstanceType", "DescribeInstances"])
        .collect();
    let codes = TABLE.iter().map(|(code, _)| (*code).to_owned());
    let codes: Vec<_> = codes.chain((0..500).map(|number| format!("CODE_{number}"))).collect();
    for action in actions {
        for ended in [Ended::Answered, Ended::NotUnderstood, Ended::NoAnswer] {
            metrics.exchanged(&Exchange { action, ended, took });
        }
        for status in [400, 403, 429, 500, 502] {
            for code in &codes {
                let error = failed(status, Some(code.clone()));
                metrics.exchanged(&Exchange { action, ended: Ended::Failed(&error), took });
            }
            let error = failed(status, None);
            metrics.exchanged(&Exchange { action, ended: Ended::Failed(&error), took });
        }
    }
    for number in 0..100 {
        let error = failed(400, Some(format!("CODE_{number}")));
        metrics.paid_call(&Answer::Refused(error));
    }
    let families = families(&metrics.encode().unwrap());
    let calls = &families["zenlayer_vm_cloud_calls_total"].series;
    let other = "zenlayer_vm_cloud_calls_total{action=\"other\",code=\"other\",class=\"unknown\"}";
    assert!(calls.contains(other), "{} series, without {other}", calls.len());
    let foreign = calls.iter().find(|one| one.contains("CODE_") || one.contains("Action"));
    assert_eq!(foreign, None);
    // By action, of which three were asked for here: a class for each code of the table, and three for
    // what has none.
    assert!(calls.len() <= 3 * (TABLE.len() + 12) + 8, "{} series", calls.len());
    assert_eq!(families["zenlayer_vm_paid_calls_total"].series.len(), 4);
    let all: usize = families.values().map(|family| family.series.len()).sum();
    assert!(all < 900, "{all} series");
}
