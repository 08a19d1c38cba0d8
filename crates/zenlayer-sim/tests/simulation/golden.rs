//! Golden exchanges: the bytes of requests and answers of a run with a stepped clock, kept in
//! `tests/simulation/golden/` and reviewed like code. `UPDATE_GOLDEN=1` writes them anew.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::stage::Stage;
use harness::root;

fn folder() -> PathBuf {
    root().join("crates/zenlayer-sim/tests/simulation/golden")
}

/// A call, or a step of the control API before the next one.
enum Step {
    Call(&'static str, &'static str, Value),
    Fault(Value),
    Advance(i64),
}

fn script() -> Vec<Step> {
    use Step::{Advance, Call, Fault};
    let one = json!({ "instanceId": "vm-1" });
    let change = |id: &str, to: &str| json!({ "instanceId": id, "instanceTypeId": to });
    vec![
        Call("describe-instances", "DescribeInstances", json!({ "instanceIds": ["vm-1", "vm-2"] })),
        Call("type-status-without-plan", "DescribeInstanceTypeStatus", one.clone()),
        Call("modify-accepted", "ModifyInstanceType", change("vm-1", "c.2c4g")),
        Call("type-status-processing", "DescribeInstanceTypeStatus", one.clone()),
        Call("modify-while-processing", "ModifyInstanceType", change("vm-1", "c.4c8g")),
        Advance(31),
        Call("type-status-after-change", "DescribeInstanceTypeStatus", one.clone()),
        Call("modify-not-changed", "ModifyInstanceType", change("vm-1", "c.2c4g")),
        Call("modify-not-found", "ModifyInstanceType", change("vm-9", "c.2c4g")),
        Call("downgrade-scheduled", "ModifyInstanceType", change("vm-2", "c.1c2g")),
        Call(
            "type-status-scheduled",
            "DescribeInstanceTypeStatus",
            json!({ "instanceId": "vm-2" }),
        ),
        Call("unknown-action", "DescribePonies", json!({})),
        Call("missing-parameter", "ModifyInstanceType", one),
        Fault(json!({ "kind": "error", "code": "REQUEST_LIMIT_EXCEEDED", "retryAfter": 2 })),
        Call("rate-limited", "DescribeInstances", json!({})),
        Fault(json!({ "kind": "page", "page": "badGateway" })),
        Call("bad-gateway", "DescribeInstances", json!({})),
        Fault(json!({ "kind": "page", "page": "challenge" })),
        Call("challenge", "DescribeInstances", json!({})),
        Fault(json!({ "kind": "nullResponse" })),
        Call("null-response", "DescribeInstances", json!({})),
    ]
}

#[tokio::test]
async fn exchanges_are_as_they_were_reviewed() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let stage = Stage::given().await;
    let (mut expected, mut number) = (Vec::new(), 0);
    for step in script() {
        let (name, request) = match step {
            Step::Fault(fault) => {
                stage.fault(fault).await;
                continue;
            }
            Step::Advance(seconds) => {
                stage.step(seconds).await;
                continue;
            }
            Step::Call(name, action, body) => (name, stage.request(action, body)),
        };
        number += 1;
        let file = format!("{number:02}-{name}.http");
        let answer = stage.send(&request).await;
        let bytes = [&request.bytes()[..], b"\n\n", &answer.bytes(), b"\n"].concat();
        let path = folder().join(&file);
        if update {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(
            kept == bytes,
            "{file} differs; if that is meant, run with UPDATE_GOLDEN=1 and review the change\n\
             kept:\n{}\nnow:\n{}",
            String::from_utf8_lossy(&kept),
            String::from_utf8_lossy(&bytes),
        );
        expected.push(file);
    }
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, expected, "a file of no exchange is left");
}
