//! Resizes from end to end.

use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};
use serde_json::json;
use zenlayer_vm_operator::api::Phase;

use crate::stage::{LIMIT, ONE_POSTPAID, ONE_PREPAID, Stage, message, shown};
use harness::eventually;

#[tokio::test]
async fn a_postpaid_change_reaches_in_sync_with_the_order_of_the_ledger() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    let status = object.status.clone().unwrap();
    assert_eq!(status.order_number.as_deref(), orders[0]["orderNumber"].as_str());
    assert_eq!(status.instance.as_ref().unwrap().type_id, "c.2c4g");
    assert_eq!(status.history.len(), 1);
    assert_eq!(shown(&object, "Ready"), "True InSync");
    assert_eq!(shown(&object, "InSync"), "True InSync");
    assert_eq!(shown(&object, "Reconciling"), "absent");
    assert!(message(&object).starts_with("resized c.1c2g to c.2c4g, order "), "{object:?}");
}

#[tokio::test]
async fn a_prepaid_upgrade_reaches_in_sync_and_is_charged_once() {
    let stage = Stage::given(ONE_PREPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(object.status.unwrap().order_number.as_deref(), orders[0]["orderNumber"].as_str());
    let amount: f64 = orders[0]["amount"].as_str().unwrap().parse().unwrap();
    assert!(amount > 0.0, "{orders:?}");
}

#[tokio::test]
async fn a_change_across_series_fails_with_the_providers_reason_and_one_call() {
    let stage = Stage::given("  - { id: vm-1, type: s.1c1g, chargeType: POSTPAID }\n").await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.1c2g").await;
    let object = stage.until_phase(&operator, "vm-1", Phase::Failed).await;
    assert_eq!(shown(&object, "Ready"), "False InstanceTypeUnsupported");
    assert_eq!(shown(&object, "Stalled"), "True InstanceTypeUnsupported");
    let code = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
    assert!(message(&object).contains(code), "{}", message(&object));
    // Several further looks change nothing, and make no further call.
    let before = stage.sim.calls("DescribeInstances", "vm-1").await.len();
    eventually("three further looks", LIMIT, async || {
        let now = stage.sim.calls("DescribeInstances", "vm-1").await.len();
        if now >= before + 3 { Ok(()) } else { Err(format!("{now} looks")) }
    })
    .await;
    assert_eq!(stage.sim.calls("ModifyInstanceType", "vm-1").await, [code]);
    assert_eq!(stage.get("vm-1").await.metadata.resource_version, object.metadata.resource_version);
    // A type that the instance can take is ordered.
    stage.patch("vm-1", json!({ "spec": { "instanceTypeId": "s.2c2g" } })).await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    assert_eq!(stage.sim.calls("ModifyInstanceType", "vm-1").await, [code, "OK"]);
}

/// One series for two orders would show the first order's number for both.
#[tokio::test]
async fn each_change_has_events_of_its_own_with_its_own_order() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    stage.patch("vm-1", json!({ "spec": { "instanceTypeId": "c.4c8g" } })).await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 2, "{orders:?}");
    let events: Api<Event> = Api::namespaced(stage.client.clone(), &stage.namespace);
    for order in &orders {
        let number = order["orderNumber"].as_str().unwrap();
        eventually(&format!("the events of order {number}"), LIMIT, async || {
            let events = events.list(&ListParams::default()).await.unwrap().items;
            let notes = |reason: &str| -> Vec<String> {
                let of_reason = events.iter().filter(|one| one.reason.as_deref() == Some(reason));
                of_reason.filter_map(|one| one.note.clone()).collect()
            };
            let told = ["ChangeOrdered", "ChangeCompleted"]
                .map(|reason| notes(reason).iter().filter(|note| note.ends_with(number)).count());
            if told == [1, 1] { Ok(()) } else { Err(format!("{events:?}")) }
        })
        .await;
    }
}
