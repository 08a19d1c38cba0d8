//! What a scrape of real operators shows: exactly the metrics of the documentation, and their values.

use std::collections::BTreeSet;

use harness::{Operator, eventually, exposition::families, root};
use zenlayer_vm_operator::api::Phase;

use crate::stage::{LIMIT, ONE_POSTPAID, Rules, Stage, slow_simulation};

/// A row for each metric: name, type, labels, unit.
type Row = [String; 4];

/// The rows of the table of `docs/metrics.md`.
fn documented() -> BTreeSet<Row> {
    let page = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `zenlayer_vm_"));
    rows.map(|line| {
        let cells: Vec<_> =
            line.split('|').skip(1).map(|cell| cell.trim().replace('`', "")).collect();
        [cells[0].clone(), cells[1].clone(), cells[2].clone(), cells[3].clone()]
    })
    .collect()
}

async fn exposed(operator: &Operator) -> BTreeSet<Row> {
    let (_, text) = operator.get("metrics").await.unwrap();
    let row = |(name, family): (String, harness::exposition::Family)| {
        let labels: Vec<_> = family.labels.into_iter().collect();
        [name, family.kind, labels.join(", "), family.unit]
    };
    families(&text).into_iter().map(row).collect()
}

/// An object whose change is accepted and goes on for an hour.
pub async fn changing() -> Stage {
    let stage =
        Stage::of_world(&slow_simulation("1h", ONE_POSTPAID), &Rules::of_deploy(), &[]).await;
    stage.declare("c.2c4g").await;
    stage
}

#[tokio::test]
async fn a_running_operator_exposes_exactly_what_the_page_lists() {
    let stage = changing().await;
    let operator = stage.operator(&[]);
    stage.until_phase(&operator, "vm-1", Phase::Changing).await;
    // The cache and the next read of the machine come a little later than the status.
    eventually("a scrape of a change in flight", LIMIT, async || {
        let change = operator.metric("zenlayer_vm_changes_in_flight").await;
        let skew = exposed(&operator).await == documented();
        if change == 1.0 && skew { Ok(()) } else { Err(format!("{change} changes, {skew}")) }
    })
    .await;
    let sum = async |name: &str| operator.metric(&format!("zenlayer_vm_{name}")).await;
    assert_eq!(sum("objects").await, 1.0);
    assert_eq!(sum("inventory_machines").await, 1.0);
    assert_eq!(sum("machines_off").await, 0.0);
    assert!(sum("cloud_clock_skew_seconds").await.abs() < 60.0);
    let (_, text) = operator.get("metrics").await.unwrap();
    for line in [
        "zenlayer_vm_objects{phase=\"Changing\",reason=\"ChangeInProgress\"} 1",
        "zenlayer_vm_cloud_calls_total{action=\"ModifyInstanceType\",code=\"OK\",class=\"ok\"} 1",
        "zenlayer_vm_cloud_call_duration_seconds_count{action=\"ModifyInstanceType\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "no {line:?} in {text}");
    }
    assert!(sum("reconcile_queue_delay_seconds_count").await >= 2.0, "{text}");
    for name in ["vm-1", &stage.namespace, "sim-key"] {
        assert!(!text.contains(name), "{name} is in {text}");
    }
}

#[tokio::test]
async fn refused_calls_and_ended_changes_are_counted() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    stage.patch("vm-1", serde_json::json!({ "spec": { "instanceTypeId": "s.1c1g" } })).await;
    stage.until_phase(&operator, "vm-1", Phase::Failed).await;
    let (_, text) = operator.get("metrics").await.unwrap();
    for line in [
        "zenlayer_vm_changes_total{kind=\"Modify\",outcome=\"Completed\"} 1",
        "zenlayer_vm_paid_calls_total{answer=\"refused\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "no {line:?} in {text}");
    }
}
