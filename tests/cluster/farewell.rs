//! Objects that are deleted: the machine is brought back first, the next object of the machine acts at
//! once, and what is kept for a machine that nobody names any more goes, too.

use std::time::Duration;

use serde_json::json;
use zenlayer_vm_operator::{
    api::{POWER_FINALIZER, Phase, VmInstance},
    controller::slot_name,
};

use crate::{
    claims::{older, stalls_as_the_younger},
    crowd::{Cost, QUICK, SHORT, crowd, declare, postpaid, power},
    stage::{LIMIT, ONE_POSTPAID, Stage},
};
use harness::eventually;

/// Waits until there is no such object.
async fn until_gone(stage: &Stage, name: &str) {
    eventually(&format!("the end of {name}"), LIMIT, async || {
        match stage.objects().get_opt(name).await.unwrap() {
            None => Ok(()),
            Some(object) => Err(serde_json::to_string_pretty(&object).unwrap()),
        }
    })
    .await;
}

fn is_kept(object: &VmInstance) -> bool {
    let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
    finalizers.iter().any(|one| one == POWER_FINALIZER)
}

/// Deleted at each moment between the stop and the start of its machine.
#[tokio::test]
async fn an_object_that_is_deleted_while_its_machine_is_stopped_goes_once_the_machine_runs_again() {
    // The name of each machine, and where its object is deleted.
    let moments = [
        ("asked-to-stop", "after-call-stop"),
        ("stopping", "after-close-stop"),
        ("stopped", "after-publish-stop-ended"),
        ("before-the-order", "before-slot-modify"),
    ];
    let names = moments.map(|(name, _)| name);
    let stage = crowd(&names.map(|name| (name, postpaid(name))), QUICK).await;
    let operator = stage.operator_on_a_wire(SHORT);
    operator.ready().await;
    let mut held = Vec::new();
    let mut starts = Vec::new();
    for (name, point) in moments {
        held.push(operator.wire().hold(&format!("{point}.{name}")));
        starts.push(operator.wire().hold(&format!("before-call-start.{name}")));
        declare(&stage, name, "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    }
    for (name, hold) in names.iter().zip(&held) {
        hold.reached().await;
        stage.objects().delete(name, &Default::default()).await.unwrap();
        hold.release();
    }
    for (name, start) in names.iter().zip(&starts) {
        start.reached().await;
        let object = stage.get(name).await;
        assert!(object.metadata.deletion_timestamp.is_some() && is_kept(&object), "{object:?}");
        assert_eq!(power(&stage, name).await, "STOPPED", "{name}");
        start.release();
    }
    for name in names {
        until_gone(&stage, name).await;
        assert_eq!(power(&stage, name).await, "RUNNING", "{name} was gone too early");
        let cost = Cost::of(&stage, name).await;
        let calls = [cost.modify.len(), cost.stop.len(), cost.start.len()];
        assert_eq!(calls, [0, 1, 1], "{name}: {cost:?}");
    }
}

/// With the pauses of production, in which the younger object would look again minutes later.
#[tokio::test]
async fn of_two_objects_of_one_machine_the_younger_acts_within_seconds_of_the_end_of_the_older() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator_at_its_own_pace(&["--order-delay", "0s"]);
    operator.ready().await;
    let claim = |type_id: &str| json!({ "instanceId": "vm-1", "instanceTypeId": type_id });
    older(&stage, "older", claim("c.1c2g")).await;
    stage.until_phase(&operator, "older", Phase::InSync).await;
    stage.create("younger", claim("c.2c4g")).await;
    stalls_as_the_younger(&stage, &operator, "younger").await;
    stage.objects().delete("older", &Default::default()).await.unwrap();
    eventually("the order of the younger", Duration::from_secs(5), async || {
        let orders = stage.sim.orders("vm-1").await;
        if orders.len() == 1 { Ok(()) } else { Err(operator.process.tail()) }
    })
    .await;
}

/// The slot outlives its object by all margins, and no longer; one that was ordered counts for an hour.
#[tokio::test]
async fn the_slot_of_an_object_that_is_gone_is_deleted_and_that_of_a_machine_that_is_off_is_kept() {
    let names = ["gone", "off", "ordered"];
    let stage = crowd(&names.map(|name| (name, postpaid(name))), QUICK).await;
    let operator = stage.operator(&[SHORT, &["--testing-sweep", "1s"]].concat());
    operator.ready().await;
    let slot = async |name: &str| {
        let id = zenlayer::InstanceId::new(name).unwrap();
        stage.slots().get_opt(&slot_name(&id)).await.unwrap()
    };
    // A person starts no machine that stays off: its slot says what it is brought back to.
    stage.sim.refuses("StartInstances", "off", "STOCK_INSUFFICIENT").await;
    declare(&stage, "off", "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    stage
        .until(&operator, "off", "is not started again", |object| {
            let status = object.status.as_ref().unwrap();
            status.refusal.is_some() && status.power.restore.is_some()
        })
        .await;
    let refused = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
    stage.sim.refuses("ModifyInstanceType", "gone", refused).await;
    declare(&stage, "ordered", "c.2c4g", json!({})).await;
    stage.until_phase(&operator, "ordered", Phase::InSync).await;
    declare(&stage, "gone", "c.2c4g", json!({})).await;
    stage.until_phase(&operator, "gone", Phase::Failed).await;
    for name in names {
        assert!(slot(name).await.is_some(), "{name}");
    }
    for name in ["ordered", "gone"] {
        stage.objects().delete(name, &Default::default()).await.unwrap();
        until_gone(&stage, name).await;
    }
    eventually("the end of the slot", LIMIT, async || match slot("gone").await {
        None => Ok(()),
        Some(lease) => Err(format!("{:?}\n{}", lease.metadata, operator.process.tail())),
    })
    .await;
    // The line comes after the answer of the API server.
    eventually("the line of the log", LIMIT, async || {
        let log = operator.process.log();
        if log.contains("deleted a slot that says nothing any more") { Ok(()) } else { Err(log) }
    })
    .await;
    assert!(slot("off").await.is_some(), "what a machine is brought back to is kept");
    assert!(slot("ordered").await.is_some(), "the order counts");
}
