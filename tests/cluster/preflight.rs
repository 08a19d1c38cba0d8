//! What is refused, or waits, before a paid call is made: by the operator itself, with a reason and
//! a way out. Where the catalogue can't be read, the provider decides.

use serde_json::json;
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::{
    crowd::{QUICK, SHORT, crowd, declare, postpaid, rest},
    stage::{Stage, message, shown},
};

/// A POSTPAID instance in this zone and state.
fn instance(name: &str, type_id: &str, more: &str) -> (String, String) {
    let item = format!("  - {{ id: {name}, type: {type_id}, chargeType: POSTPAID{more} }}\n");
    (name.to_owned(), item)
}

/// HKG-A doesn't sell c.4c8g at all, SEL-A doesn't sell it POSTPAID, and SAO-A allows c.2c4g less
/// bandwidth than an instance has.
const ZONES: &str = "zones:
  - { id: HKG-A, offers: [{ type: c.4c8g, sold: false }] }
  - { id: SEL-A, offers: [{ type: c.4c8g, chargeType: POSTPAID, sold: false }] }
  - { id: SAO-A, offers: [{ type: c.2c4g, bandwidthLimit: 50 }] }
";

async fn with(instances: Vec<(String, String)>, fields: &str) -> Stage {
    let instances: Vec<_> =
        instances.iter().map(|(name, item)| (name.as_str(), item.clone())).collect();
    crowd(&instances, fields).await
}

/// Name, Ready, words of the message.
type Row = (&'static str, &'static str, &'static [&'static str]);

/// Waits for each row's reason, and proves that nothing was paid, or is done at rest.
async fn refused(stage: &Stage, operator: &harness::Operator, rows: &[Row]) {
    for (name, ready, words) in rows {
        let reached = |object: &VmInstance| shown(object, "Ready") == *ready;
        let object = stage.until(operator, name, ready, reached).await;
        let message = message(&object);
        for word in *words {
            assert!(message.contains(word), "{name}: {message}");
        }
        println!("{name:<12} | {ready:<32} | {message}");
    }
    let names: Vec<&str> = rows.iter().map(|row| row.0).collect();
    for (name, cost) in names.iter().zip(rest(stage, operator, &names).await) {
        assert!(cost.modify.is_empty() && cost.stop.is_empty(), "{name}: {cost:?}");
        assert!(cost.status_writes <= 3, "{name}: {cost:?}");
    }
}

#[tokio::test]
async fn what_the_zone_does_not_offer_is_refused_here_with_the_nearest_types() {
    let rows: &[Row] = &[
        (
            "zone",
            "False InstanceTypeNotOffered",
            &[
                "zone HKG-A does not offer c.4c8g for POSTPAID",
                "one of s.1c1g, s.2c2g, c.2c4g, g.2c8g, h.4c8g, m.2c16g, g.4c16g, c.8c16g, h.8c16g, m.4c32g",
            ],
        ),
        (
            "charge",
            "False InstanceTypeNotOffered",
            &["zone SEL-A does not offer c.4c8g for POSTPAID"],
        ),
        (
            "no-such-type",
            "False InstanceTypeNotOffered",
            &["zone FRA-A does not offer z.9c9g for POSTPAID", "one of s.1c1g, s.2c2g, c.2c4g, "],
        ),
        (
            "bandwidth",
            "False BandwidthExceedsLimit",
            &[
                "has 100 Mbps of bandwidth and c.2c4g allows 50",
                "one of s.2c2g, g.2c8g, s.1c1g, c.4c8g, h.4c8g, m.2c16g, g.4c16g, c.8c16g, h.8c16g, m.4c32g",
            ],
        ),
    ];
    let prepaid = "  - { id: prepaid, type: c.1c2g, chargeType: PREPAID, zone: SEL-A, \
                   expiresIn: 20d, autoRenew: true }\n";
    let instances = vec![
        instance("zone", "c.1c2g", ", zone: HKG-A"),
        instance("charge", "c.1c2g", ", zone: SEL-A"),
        ("prepaid".to_owned(), prepaid.to_owned()),
        instance("no-such-type", "c.1c2g", ""),
        instance("bandwidth", "c.1c2g", ", zone: SAO-A"),
    ];
    let stage = with(instances, &format!("{QUICK}{ZONES}")).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    for (name, type_id) in [
        ("zone", "c.4c8g"),
        ("charge", "c.4c8g"),
        ("prepaid", "c.4c8g"),
        ("no-such-type", "z.9c9g"),
        ("bandwidth", "c.2c4g"),
    ] {
        declare(&stage, name, type_id, json!({ "strategy": "StopFirst" })).await;
    }
    refused(&stage, &operator, rows).await;
    // The same zone offers it for the other charge type.
    stage.until_phase(&operator, "prepaid", Phase::InSync).await;
    // What is refused stays refused without asking again: the catalogue is read once for each.
    let log = stage.sim.get("requests?action=DescribeZoneInstanceConfigInfos").await;
    assert_eq!(log["requests"].as_array().unwrap().len(), 5, "{log}");

    // Each way out works: a type of the list, or the cause mended and a person's word.
    stage.patch("zone", json!({ "spec": { "instanceTypeId": "c.2c4g" } })).await;
    stage.patch("charge", json!({ "spec": { "instanceTypeId": "g.2c8g" } })).await;
    stage.patch("no-such-type", json!({ "spec": { "instanceTypeId": "c.2c4g" } })).await;
    stage.sim.change_instance("bandwidth", json!({ "bandwidth": 50 })).await;
    let retry = json!({ "metadata": { "annotations": { "vm.zenlayer.com/requested-at": "now" } } });
    stage.patch("bandwidth", retry).await;
    let names = ["zone", "charge", "no-such-type", "bandwidth", "prepaid"];
    for name in names {
        stage.until_phase(&operator, name, Phase::InSync).await;
    }
    for (name, cost) in names.iter().zip(rest(&stage, &operator, &names).await) {
        assert_eq!(cost.modify, ["OK"], "{name}");
    }
}

#[tokio::test]
async fn an_instance_whose_state_or_plan_forbids_a_change_costs_no_call_until_it_allows_one() {
    const BUSY: &[(&str, &str)] = &[
        ("pending", "PENDING"),
        ("deploying", "DEPLOYING"),
        ("booting", "BOOTING"),
        ("stopping", "STOPPING"),
        ("reboot", "REBOOT"),
        ("rebuilding", "REBUILDING"),
        ("imaging", "IMAGING"),
    ];
    const RECYCLED: &str = "restore it in the provider's console";
    const LOST: &[(&str, &str, &str, &[&str])] = &[
        ("recycle", "RECYCLE", "False InstanceRecycled", &[RECYCLED]),
        ("recycling", "RECYCLING", "False InstanceRecycled", &[RECYCLED]),
        ("releasing", "RELEASING", "False InstanceRecycled", &[RECYCLED]),
        (
            "failed",
            "CREATE_FAILED",
            "False InstanceUnusable",
            &["(CREATE_FAILED)", "ask the provider"],
        ),
    ];
    let states = BUSY.iter().copied().chain(LOST.iter().map(|(name, state, ..)| (*name, *state)));
    let mut instances: Vec<_> = states
        .map(|(name, state)| instance(name, "c.1c2g", &format!(", state: {state}")))
        .collect();
    for name in ["unheard-of", "running-plan", "odd-plan"] {
        instances.push(instance(name, "c.1c2g", ""));
    }
    let scheduled = "  - { id: scheduled, type: c.4c8g, chargeType: PREPAID, expiresIn: 20d, \
                     autoRenew: true }\n";
    instances.push(("scheduled".to_owned(), scheduled.to_owned()));
    let stage = with(instances, &QUICK.replace("processingTime: 1s", "processingTime: 1h")).await;
    // What other people ordered, and what this version does not know.
    for (name, type_id) in [("running-plan", "c.4c8g"), ("scheduled", "c.1c2g")] {
        stage.sim.post("console", json!({ "order": { "id": name, "type": type_id } })).await;
    }
    let odd = |name: &str, action: &str, path: &str, value: &str| {
        json!({
            "kind": "setField", "instance": name, "action": action, "times": "always",
            "path": path, "value": value,
        })
    };
    let state = "dataSet.*.instanceStatus";
    stage.sim.fault(odd("unheard-of", "DescribeInstances", state, "HIBERNATED")).await;
    let state = "modifiedInstanceTypeStatus";
    stage.sim.fault(odd("odd-plan", "DescribeInstanceTypeStatus", state, "Halfway")).await;

    let operator = stage.operator(SHORT);
    operator.ready().await;
    let names = BUSY.iter().map(|row| row.0).chain(LOST.iter().map(|row| row.0));
    let others = ["unheard-of", "running-plan", "odd-plan", "scheduled"];
    for name in names.chain(others) {
        declare(&stage, name, "c.2c4g", json!({ "strategy": "StopFirst" })).await;
    }
    let mut rows: Vec<Row> = Vec::new();
    for (name, _) in BUSY {
        rows.push((
            name,
            "False InstanceBusy",
            &["a change is possible while it is RUNNING or STOPPED"],
        ));
    }
    rows.push(("unheard-of", "False InstanceBusy", &["HIBERNATED"]));
    rows.extend(LOST.iter().map(|(name, _, ready, words)| (*name, *ready, *words)));
    rows.push((
        "running-plan",
        "False ForeignPlan",
        &["to c.4c8g", "is running; the operator waits for it"],
    ));
    let scheduled = &["to c.1c2g", "cancel-plan=c.1c2g"];
    rows.push(("scheduled", "False ForeignPlan", scheduled));
    let odd = &["to an unknown type", "in a state that this version does not know"];
    rows.push(("odd-plan", "False ForeignPlan", odd));
    refused(&stage, &operator, &rows).await;

    // Once the state allows it, the change is ordered.
    let freed = ["booting", "imaging", "recycle"];
    for name in freed {
        stage.sim.change_instance(name, json!({ "state": "STOPPED" })).await;
    }
    for name in freed {
        stage.until_phase(&operator, name, Phase::Changing).await;
    }
    for (name, cost) in freed.iter().zip(rest(&stage, &operator, &freed).await) {
        assert_eq!((cost.modify, cost.stop.len()), (vec!["OK".to_owned()], 0), "{name}");
    }
}

#[tokio::test]
async fn where_the_catalogue_cannot_be_read_the_provider_decides() {
    let names = ["offered", "no-such-type", "other-series"];
    let other = instance("other-series", "s.1c1g", "").1;
    let instances =
        [(names[0], postpaid(names[0])), (names[1], postpaid(names[1])), (names[2], other)];
    let stage = crowd(&instances, QUICK).await;
    let unreadable = json!({
        "action": "DescribeZoneInstanceConfigInfos", "kind": "error", "times": "always",
        "code": "AUTHFAILURE_UNAUTHORIZED_OPERATION",
    });
    stage.sim.fault(unreadable).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    declare(&stage, "offered", "c.2c4g", json!({})).await;
    declare(&stage, "no-such-type", "z.9c9g", json!({})).await;
    declare(&stage, "other-series", "c.2c4g", json!({})).await;
    stage.until_phase(&operator, "offered", Phase::InSync).await;
    for (name, ready, code) in [
        ("no-such-type", "False InstanceTypeNotFound", "INVALID_PRODUCT_NOT_FOUND"),
        (
            "other-series",
            "False InstanceTypeUnsupported",
            "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED",
        ),
    ] {
        let object = stage.until_phase(&operator, name, Phase::Failed).await;
        assert_eq!(shown(&object, "Ready"), ready, "{name}");
        assert!(message(&object).contains(code), "{name}: {}", message(&object));
    }
    let costs = rest(&stage, &operator, &names).await;
    let calls: Vec<Vec<String>> = costs.into_iter().map(|cost| cost.modify).collect();
    let codes = ["OK", "INVALID_PRODUCT_NOT_FOUND", "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"];
    assert_eq!(calls, codes.map(|code| vec![code.to_owned()]));
}
