//! What a scrape of real operators shows: exactly the metrics of the documentation, and their values.

use std::{collections::BTreeSet, process::Command};

use harness::{
    Operator, Process, control_plane::free_port, eventually, exposition::families, proxies, root,
    scripts::printed, table,
};
use serde_json::{Value, json};
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

#[tokio::test]
async fn a_running_operator_exposes_exactly_what_the_page_lists() {
    let world = slow_simulation("1h", ONE_POSTPAID);
    let stage = Stage::of_world(&world, &Rules::of_deploy(), &[]).await;
    stage.declare("c.2c4g").await;
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
async fn refused_calls_and_ended_changes_are_counted_and_objects_by_the_leader_alone() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    stage.patch("vm-1", json!({ "spec": { "instanceTypeId": "s.1c1g" } })).await;
    stage.until_phase(&operator, "vm-1", Phase::Failed).await;
    let (_, text) = operator.get("metrics").await.unwrap();
    for line in [
        "zenlayer_vm_changes_total{kind=\"Modify\",outcome=\"Completed\"} 1",
        "zenlayer_vm_paid_calls_total{answer=\"refused\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "no {line:?} in {text}");
    }
    // It has listed them, and a sum over both counts each once.
    let other = stage.replica(&[]);
    other.ready().await;
    assert_eq!(other.metric("zenlayer_vm_objects").await, 0.0);
    assert_eq!(operator.metric("zenlayer_vm_objects").await, 1.0);
}

/// A Prometheus that scrapes these operators each second, with the alerts of `deploy/`.
struct Prometheus {
    url: String,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    async fn of(operators: &[&Operator]) -> Self {
        let [binary] = printed("hack/prometheus.sh", ["PROMETHEUS"]);
        let folder = tempfile::tempdir().unwrap();
        let alerts = std::fs::read_to_string(root().join("deploy/monitoring/alerts.yaml")).unwrap();
        let alerts: Value = serde_saphyr::from_str(&alerts).unwrap();
        std::fs::write(folder.path().join("rules.yaml"), alerts["spec"].to_string()).unwrap();
        let targets: Vec<_> =
            operators.iter().map(|one| one.url().replace("http://", "")).collect();
        let labels = json!({ "namespace": "zenlayer-vm-operator" });
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{
                "job_name": "vm-operator",
                "static_configs": [{ "targets": targets, "labels": labels }],
            }],
        });
        // JSON is YAML.
        std::fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(binary);
        command
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let log = folder.path().join("prometheus.log");
        let process = Process::start("prometheus", command, &log).unwrap();
        let url = format!("http://{address}");
        let prometheus = Self { url, _process: process, _folder: folder };
        let wanted = operators.len().to_string();
        eventually("Prometheus scrapes every operator", LIMIT, async || {
            let up = prometheus.values("count(up == 1)").await?;
            if up == [wanted.clone()] { Ok(()) } else { Err(format!("{up:?}")) }
        })
        .await;
        prometheus
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.url), query).unwrap();
        let answer = proxies::http_client().get(url).send().await;
        let text = answer.map_err(|error| error.to_string())?.text().await;
        let answer: Value = serde_json::from_str(&text.map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())?;
        let data = answer["data"].clone();
        if answer["status"] == "success" { Ok(data) } else { Err(answer.to_string()) }
    }

    /// The values that a query has now.
    async fn values(&self, query: &str) -> Result<Vec<String>, String> {
        let data = self.get("/api/v1/query", &[("query", query)]).await?;
        let samples = data["result"].as_array().cloned().unwrap_or_default();
        Ok(samples.iter().map(|one| one["value"][1].as_str().unwrap().to_owned()).collect())
    }
}

/// A machine that was changed, one whose change is refused, and one whose call is being made: all that a
/// dashboard can show.
const THREE: &str = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-2, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-3, type: s.1c1g, chargeType: POSTPAID }
";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus: make nightly"]
async fn every_query_of_the_dashboard_finds_data_and_every_alert_can_be_evaluated() {
    let stage = Stage::given(THREE).await;
    let leader = stage.replica(&[]);
    leader.ready().await;
    let other = stage.replica(&[]);
    other.ready().await;
    let prometheus = Prometheus::of(&[&leader, &other]).await;
    let declare = async |name: &str| {
        stage.create(name, json!({ "instanceId": name, "instanceTypeId": "c.2c4g" })).await;
    };
    declare("vm-1").await;
    declare("vm-3").await;
    stage.until_phase(&leader, "vm-1", Phase::InSync).await;
    stage.until_phase(&leader, "vm-3", Phase::Failed).await;
    let call = leader.wire().hold("before-call");
    declare("vm-2").await;
    call.reached().await;

    for (query, wanted) in [
        ("sum(zenlayer_vm_leader)", "1"),
        // The one that stands by counts none.
        ("sum(zenlayer_vm_objects)", "3"),
        ("count(zenlayer_vm_build_info)", "2"),
        ("sum(zenlayer_vm_changes_in_flight{kind=\"Modify\",state=\"Submitting\"})", "1"),
    ] {
        eventually(&format!("{query} is {wanted}"), LIMIT, async || {
            let values = prometheus.values(query).await?;
            if values == [wanted] { Ok(()) } else { Err(format!("{values:?}")) }
        })
        .await;
    }
    let board = std::fs::read_to_string(root().join("deploy/monitoring/dashboard.json")).unwrap();
    let board: Value = serde_json::from_str(&board).unwrap();
    let mut rows = vec![["PANEL", "SERIES", "ONE VALUE"].map(str::to_owned)];
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "30s");
            let title = panel["title"].as_str().unwrap();
            let values = eventually(&format!("data of {title}: {query}"), LIMIT, async || {
                let values = prometheus.values(&query).await?;
                if values.is_empty() { Err("none".to_owned()) } else { Ok(values) }
            })
            .await;
            rows.push([title.to_owned(), values.len().to_string(), values[0].clone()]);
        }
    }
    table::show("What the dashboard finds", &rows);
    let rules = eventually("every alert was evaluated", LIMIT, async || {
        let data = prometheus.get("/api/v1/rules", &[]).await?;
        let rules = data["groups"][0]["rules"].as_array().cloned().unwrap_or_default();
        let ok = rules.len() > 10 && rules.iter().all(|one| one["health"] == "ok");
        if ok { Ok(rules) } else { Err(format!("{rules:?}")) }
    })
    .await;
    let firing: Vec<_> = rules.iter().filter(|one| one["state"] == "firing").collect();
    assert!(firing.is_empty(), "nothing is wrong: {firing:?}");
}
