//! Probes, metrics, and a graceful end.

use std::{net::TcpListener, time::Duration};

use serde_json::json;
use zenlayer_vm_operator::api::Phase;

use crate::stage::{LIMIT, ONE_POSTPAID, Rules, Stage};
use harness::{Operator, eventually, operator::OperatorOptions, wire::Hold};

#[tokio::test]
async fn alive_at_once_and_ready_only_after_the_first_list() {
    // An API server that takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let server = format!("http://{}", silent.local_addr().unwrap());
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "silent",
        "clusters": [{ "name": "silent", "cluster": { "server": server } }],
        "contexts": [{ "name": "silent", "context": { "cluster": "silent", "user": "nobody" } }],
        "users": [{ "name": "nobody", "user": {} }],
    });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let operator = Operator::start(&OperatorOptions {
        kubeconfig: &kubeconfig,
        endpoint: "http://127.0.0.1:9",
        slot_namespace: "nowhere",
        watch_namespace: None,
        arguments: Vec::new(),
        wired: false,
    });
    eventually("/livez", LIMIT, async || operator.get("livez").await).await;
    silent.set_nonblocking(true).unwrap();
    eventually("the operator's first request", LIMIT, async || {
        silent.accept().map(std::mem::forget).map_err(|error| error.to_string())
    })
    .await;
    let (status, text) = operator.get("readyz").await.unwrap();
    assert_eq!((status, text.as_str()), (503, "the objects have not been listed yet\n"));

    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    assert_eq!(operator.get("livez").await.unwrap(), (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn the_counters_move_with_what_happens() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    let metrics =
        ["reconciles_total", "status_writes_total", "paid_calls_total", "watch_failures_total"];
    let read = async || {
        let mut values = Vec::new();
        for name in metrics {
            values.push(operator.metric(&format!("zenlayer_vm_{name}")).await);
        }
        values
    };
    assert_eq!(read().await, [0.0; 4]);
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let after = read().await;
    assert!(after[0] >= 2.0 && after[1] >= 2.0, "{after:?}");
    assert_eq!(after[2..], [1.0, 0.0]);
    let answer =
        harness::proxies::http_client().get(operator.url() + "/metrics").send().await.unwrap();
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = answer.text().await.unwrap();
    for line in [
        "zenlayer_vm_paid_calls_total{answer=\"accepted\"} 1",
        "# TYPE zenlayer_vm_reconcile_duration_seconds histogram",
        "# EOF",
    ] {
        assert!(text.lines().any(|one| one == line), "no {line:?} in {text}");
    }
    assert!(!text.contains("vm-1"), "a label names an object: {text}");
}

const SHORT: &[&str] = &["--testing-signature-life", "6s", "--testing-settle-margin", "2s"];

/// An operator that was asked to stop while its paid call is held at this point.
async fn stopping(stage: &Stage, point: &str, arguments: &[&str]) -> (Operator, Hold) {
    let operator = stage.operator_on_a_wire(&[SHORT, arguments].concat());
    let hold = operator.wire().hold(point);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    hold.reached().await;
    operator.process.signal(libc::SIGTERM);
    eventually("the log of the stop", LIMIT, async || {
        let log = operator.process.log();
        if log.contains("running passes end first") { Ok(()) } else { Err(log) }
    })
    .await;
    (operator, hold)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_end_lets_the_running_pass_record_its_answer() {
    let stage = Stage::with(ONE_POSTPAID, &Rules::of_deploy(), &["--signature-life", "6"]).await;
    let (mut operator, answer) = stopping(&stage, "after-call", &[]).await;
    answer.release();
    let ended = operator.process.wait(Duration::from_secs(20)).unwrap();
    assert!(ended.success(), "{ended}");
    let status = stage.get("vm-1").await.status.unwrap();
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(status.order_number.as_deref(), orders[0]["orderNumber"].as_str());
    assert_eq!(status.phase, Some(Phase::Changing));

    let next = stage.operator(SHORT);
    stage.until_phase(&next, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.calls("ModifyInstanceType", "vm-1").await, ["OK"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_end_does_not_wait_for_ever_and_the_next_process_settles() {
    let stage = Stage::with(ONE_POSTPAID, &Rules::of_deploy(), &["--signature-life", "6"]).await;
    let (mut operator, _call) = stopping(&stage, "before-call", &["--testing-grace", "2s"]).await;
    let ended = operator.process.wait(Duration::from_secs(60)).unwrap();
    assert!(ended.success(), "{ended}");
    assert!(operator.process.log().contains("settled at the next start"));
    assert!(stage.sim.calls("ModifyInstanceType", "vm-1").await.is_empty());

    let next = stage.operator(SHORT);
    stage.until_phase(&next, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.orders("vm-1").await.len(), 1);
}
