//! Billing kinds from end to end: at once, charged now, at the next cycle, and what the policies
//! forbid.

use serde_json::{Value, json};
use zenlayer_vm_operator::api::{Direction, HistoryOutcome, Phase};

use crate::{
    stage::{ONE_POSTPAID, ONE_PREPAID, Rules, Stage, message, shown, slow_simulation},
    tally::{
        CHANGE, Cost, FOLLOWED, LOOKED_AT, change_runs_and_ends, comes_to_rest, declare_instead,
        history, is_in_sync, mutations, phase, slow, slow_stage, until_in_sync, until_it_runs,
    },
};

#[tokio::test]
async fn a_postpaid_machine_goes_up_and_down_at_once() {
    let stage = slow_stage(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    change_runs_and_ends(&stage, &operator, "vm-1", "c.2c4g").await;
    declare_instead(&stage, "vm-1", "c.1c2g").await;
    let object = change_runs_and_ends(&stage, &operator, "vm-1", "c.1c2g").await;
    let calls = ["ModifyInstanceType c.2c4g OK", "ModifyInstanceType c.1c2g OK"];
    assert_eq!(mutations(&stage, "vm-1").await, calls);
    assert!(history(&object).iter().all(|one| one.2 == HistoryOutcome::Completed));
    let cost = Cost { paid: 2, catalogues: 1, writes: 8, ..Cost::default() };
    comes_to_rest(&stage, &operator, "POSTPAID up and down", LOOKED_AT, cost).await;
}

#[tokio::test]
async fn a_prepaid_upgrade_is_charged_once_by_the_rest_of_the_cycle() {
    let stage = slow_stage(ONE_PREPAID).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    stage.declare("c.2c4g").await;
    let object = until_it_runs(&stage, &operator, "vm-1", "c.2c4g").await;
    let change = object.status.unwrap().change.unwrap();
    assert_eq!(change.direction, Some(Direction::Upgrade));
    stage.sim.advance(CHANGE).await;
    let object = until_in_sync(&stage, &operator, "vm-1").await;
    // 28 less 14 a month, for 20 of 30 days.
    let ledger = stage.sim.get("ledger").await;
    let order = ledger["orders"][0]["orderNumber"].as_str().unwrap();
    assert_eq!(ledger["orders"][0]["amount"], "9.33", "{ledger}");
    assert_eq!(ledger["charges"].as_array().unwrap().len(), 1, "{ledger}");
    assert_eq!(ledger["charges"][0]["amount"], "9.33", "{ledger}");
    assert_eq!(object.status.as_ref().unwrap().order_number.as_deref(), Some(order));
    // The trail of the paid call.
    let log = operator.process.log();
    let line = log.lines().find(|line| line.contains("audit=true")).unwrap();
    let prices = ["monthly_price_from=\"14\"", "monthly_price_to=\"28\""];
    for part in prices.into_iter().chain([order, "ModifyInstanceType", "answer=\"accepted\""]) {
        assert!(line.contains(part), "no {part} in {line}");
    }
    let cost = Cost { paid: 1, catalogues: 1, prices: 2, writes: 4, ..Cost::default() };
    comes_to_rest(&stage, &operator, "PREPAID upgrade", LOOKED_AT, cost).await;
}

#[tokio::test]
async fn a_prepaid_downgrade_is_scheduled_for_the_end_of_the_cycle() {
    let machine = |id: &str, renews: bool| {
        format!(
            "  - {{ id: {id}, type: c.2c4g, chargeType: PREPAID, expiresIn: 20d, autoRenew: \
             {renews} }}\n"
        )
    };
    let stage = slow_stage(&(machine("vm-1", true) + &machine("vm-2", false))).await;
    let operator = stage.operator(&[]);
    operator.ready().await;
    let world = stage.sim.get("instances").await;
    for (index, name) in ["vm-1", "vm-2"].into_iter().enumerate() {
        stage.create(name, json!({ "instanceId": name, "instanceTypeId": "c.1c2g" })).await;
        let object = stage.until_phase(&operator, name, Phase::Scheduled).await;
        assert_eq!(shown(&object, "Ready"), "True ChangeScheduled");
        assert_eq!(shown(&object, "InSync"), "False TypeDiffers");
        assert_eq!(shown(&object, "Reconciling"), "absent");
        let change = object.status.as_ref().unwrap().change.clone().unwrap();
        assert_eq!(change.direction, Some(Direction::Downgrade));
        let expiry: jiff::Timestamp =
            world["instances"][index]["expiresAt"].as_str().unwrap().parse().unwrap();
        let effective = change.effective_at.unwrap().0;
        assert_eq!(effective.as_second(), expiry.as_second(), "{name}");
        // As kubectl shows it in the column EFFECTIVE.
        let wide = stage.kubectl(&["get", "zvm", name, "-o", "wide"]);
        let (head, row) = wide.split_once('\n').unwrap();
        let cell = &row[head.find("EFFECTIVE").unwrap()..];
        assert!(cell.starts_with(&effective.to_string()), "{wide}");
        let warned = message(&object).contains("warning: autoRenew is off");
        assert_eq!(warned, name == "vm-2", "{}", message(&object));
        let orders = stage.sim.orders(name).await;
        assert_eq!(orders.len(), 1, "{orders:?}");
        assert_eq!(orders[0]["amount"], "0", "{orders:?}");
    }
    let cost = Cost { paid: 2, catalogues: 1, prices: 2, writes: 6, ..Cost::default() };
    comes_to_rest(&stage, &operator, "PREPAID downgrades, scheduled", FOLLOWED, cost).await;
}

/// In zone FRA-A c.2c4g has the list price of c.1c2g.
const EQUAL_PRICES: &str =
    "zones:\n  - { id: FRA-A, offers: [{ type: c.2c4g, monthlyPrice: 14 }] }\n";

fn prepaid(ids: &[&str], type_id: &str) -> String {
    let machine = |id: &&str| {
        format!(
            "  - {{ id: {id}, type: {type_id}, chargeType: PREPAID, expiresIn: 20d, autoRenew: \
             true }}\n"
        )
    };
    ids.iter().map(machine).collect()
}

async fn declare(stage: &Stage, name: &str, type_id: &str, extra: Value) {
    let mut spec = json!({ "instanceId": name, "instanceTypeId": type_id });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    stage.create(name, spec).await;
}

#[tokio::test]
async fn an_unknown_direction_is_ordered_if_both_ways_are_allowed_and_either_ending_is_accepted() {
    let machines =
        prepaid(&["at-once", "at-the-cycle", "unreadable", "no-up", "no-down"], "c.1c2g");
    let world = slow(&machines) + EQUAL_PRICES;
    let stage = Stage::of_world(&world, &Rules::of_deploy(), &[]).await;
    let operator = stage.operator(&[]);
    operator.ready().await;

    declare(&stage, "at-once", "c.2c4g", json!({})).await;
    let object = until_it_runs(&stage, &operator, "at-once", "c.2c4g").await;
    assert_eq!(object.status.unwrap().change.unwrap().direction, Some(Direction::Unknown));
    stage.sim.advance(CHANGE).await;
    until_in_sync(&stage, &operator, "at-once").await;

    stage.sim.put("behaviour", json!({ "equalPrice": "downgrade" })).await;
    declare(&stage, "at-the-cycle", "c.2c4g", json!({})).await;
    let object = stage.until_phase(&operator, "at-the-cycle", Phase::Scheduled).await;
    let change = object.status.unwrap().change.unwrap();
    assert_eq!(change.direction, Some(Direction::Unknown));
    assert!(change.effective_at.is_some());

    // With one way denied nothing is ordered.
    for (name, policy) in [
        ("no-up", json!({ "prepaidUpgrade": "Deny" })),
        ("no-down", json!({ "prepaidDowngrade": "Deny" })),
    ] {
        declare(&stage, name, "c.2c4g", policy).await;
        let object = stage.until_phase(&operator, name, Phase::Failed).await;
        assert_eq!(shown(&object, "Ready"), "False DirectionUnknown");
        let text = message(&object);
        for part in ["prepaidUpgrade to Allow", "prepaidDowngrade to Schedule"] {
            assert!(text.contains(part), "{name}: {text}");
        }
        assert!(mutations(&stage, name).await.is_empty(), "{name}");
    }

    let cost = Cost { paid: 2, catalogues: 1, prices: 2, writes: 9, ..Cost::default() };
    comes_to_rest(&stage, &operator, "PREPAID, equal list prices", FOLLOWED, cost).await;

    stage
        .sim
        .fault(json!({
            "action": "InquiryPriceCreateInstance", "times": "always",
            "kind": "error", "code": "INVALID_PARAMETER_ZONE_NOT_SUPPORTED",
        }))
        .await;
    declare(&stage, "unreadable", "c.4c8g", json!({})).await;
    let object = until_it_runs(&stage, &operator, "unreadable", "c.4c8g").await;
    assert_eq!(object.status.unwrap().change.unwrap().direction, Some(Direction::Unknown));
    stage.sim.advance(CHANGE).await;
    until_in_sync(&stage, &operator, "unreadable").await;
    assert_eq!(mutations(&stage, "unreadable").await, ["ModifyInstanceType c.4c8g OK"]);
}

/// Charge type, from, to, what the spec says, and what comes of it: a reason where it is refused.
type Policy = (&'static str, &'static str, &'static str, Value, Option<&'static str>);

/// Each row on a machine of its own; what is refused costs no call, and its remedy works.
async fn policies(scenario: &str, arguments: &[&str], rows: Vec<(&str, Policy)>, cost: Cost) {
    let _permit = harness::permit::heavy().await;
    let machines: String = rows
        .iter()
        .map(|(name, (charge, from, ..))| {
            format!("  - {{ id: {name}, type: {from}, chargeType: {charge} }}\n")
        })
        .collect();
    let world = slow_simulation("0s", &machines);
    let stage = Stage::of_world(&world, &Rules::of_deploy(), &[]).await;
    let operator = stage.operator(arguments);
    operator.ready().await;
    for (name, (_, _, to, spec, _)) in &rows {
        declare(&stage, name, to, spec.clone()).await;
    }
    for (name, (_, from, to, _, refused)) in &rows {
        let object = stage
            .until(&operator, name, "has its answer", |object| {
                let rests = [Some(Phase::Failed), Some(Phase::Scheduled)];
                rests.contains(&phase(object)) || is_in_sync(object)
            })
            .await;
        let calls = mutations(&stage, name).await;
        match refused {
            Some(reason) => {
                assert_eq!(shown(&object, "Ready"), format!("False {reason}"), "{name}");
                assert_eq!(shown(&object, "Stalled"), format!("True {reason}"), "{name}");
                let text = message(&object);
                assert!(text.contains(&format!("spec.instanceTypeId to {from}")), "{name}: {text}");
                assert_eq!(calls, [""; 0], "{name}");
            }
            None => {
                assert_ne!(phase(&object), Some(Phase::Failed), "{name}: {}", message(&object));
                assert_eq!(calls, [format!("ModifyInstanceType {to} OK")], "{name}");
            }
        }
    }
    comes_to_rest(&stage, &operator, scenario, FOLLOWED, cost).await;
    // The remedy that the message names.
    let remedy = json!({ "prepaidUpgrade": "Allow", "prepaidDowngrade": "Schedule" });
    for (name, (_, _, to, ..)) in rows.iter().filter(|row| row.1.4.is_some()) {
        stage.patch(name, json!({ "spec": remedy })).await;
        stage
            .until(&operator, name, "is ordered after all", |object| {
                shown(object, "Ready") == "True InSync"
                    || shown(object, "Ready") == "True ChangeScheduled"
            })
            .await;
        assert_eq!(mutations(&stage, name).await, [format!("ModifyInstanceType {to} OK")]);
    }
}

#[tokio::test]
async fn a_spec_can_deny_each_way_of_a_prepaid_change() {
    let (up, down) = (("c.1c2g", "c.2c4g"), ("c.2c4g", "c.1c2g"));
    let no_up = json!({ "prepaidUpgrade": "Deny" });
    let no_down = json!({ "prepaidDowngrade": "Deny" });
    let neither = json!({ "prepaidUpgrade": "Deny", "prepaidDowngrade": "Deny" });
    let rows = vec![
        ("up-denied", ("PREPAID", up.0, up.1, no_up.clone(), Some("UpgradeDenied"))),
        ("down-denied", ("PREPAID", down.0, down.1, no_down.clone(), Some("DowngradeDenied"))),
        ("up-beside", ("PREPAID", up.0, up.1, no_down, None)),
        ("down-beside", ("PREPAID", down.0, down.1, no_up, None)),
        ("postpaid-up", ("POSTPAID", up.0, up.1, neither.clone(), None)),
        ("postpaid-down", ("POSTPAID", down.0, down.1, neither, None)),
    ];
    let cost = Cost { paid: 4, catalogues: 2, prices: 2, writes: 14, ..Cost::default() };
    policies("PREPAID policies of the spec", &[], rows, cost).await;
}

#[tokio::test]
async fn the_operators_flags_deny_where_the_spec_does_not_say() {
    let (up, down) = (("c.1c2g", "c.2c4g"), ("c.2c4g", "c.1c2g"));
    let none = json!({});
    let rows = vec![
        ("up-denied", ("PREPAID", up.0, up.1, none.clone(), Some("UpgradeDenied"))),
        ("down-denied", ("PREPAID", down.0, down.1, none.clone(), Some("DowngradeDenied"))),
        ("up-allowed", ("PREPAID", up.0, up.1, json!({ "prepaidUpgrade": "Allow" }), None)),
        (
            "down-allowed",
            ("PREPAID", down.0, down.1, json!({ "prepaidDowngrade": "Schedule" }), None),
        ),
        ("postpaid-up", ("POSTPAID", up.0, up.1, none, None)),
    ];
    let flags = ["--prepaid-upgrade", "deny", "--prepaid-downgrade", "deny"];
    let cost = Cost { paid: 3, catalogues: 2, prices: 2, writes: 11, ..Cost::default() };
    policies("PREPAID policies of the operator's flags", &flags, rows, cost).await;
}

/// The cycle ends without a renewal, and the plan stays.
#[tokio::test]
async fn a_scheduled_change_that_does_not_come_with_its_cycle_is_overdue() {
    use crate::crowd::{QUICK, SHORT, crowd, declare, rest};
    let machine =
        "  - { id: a, type: c.4c8g, chargeType: PREPAID, expiresIn: 15s, autoRenew: false }\n";
    let waits = format!("{QUICK}behaviour: {{ expiry: downgradeWaits }}\n");
    let stage = crowd(&[("a", machine.to_owned())], &waits).await;
    let operator = stage.operator(&[SHORT, &["--change-deadline", "17s"]].concat());
    operator.ready().await;
    declare(&stage, "a", "c.2c4g", json!({})).await;
    stage.until_phase(&operator, "a", Phase::Scheduled).await;
    let overdue = |object: &_| shown(object, "Ready") == "False ChangeOverdue";
    stage.until(&operator, "a", "is overdue", overdue).await;
    let cost = rest(&stage, &operator, &["a"]).await.remove(0);
    assert_eq!(cost.modify, ["OK"], "{cost:?}");
}

/// As an account answers that does not have the instance: a wrong Secret for a while.
#[tokio::test]
async fn a_scheduled_order_is_still_ours_after_the_instance_was_gone_for_a_while() {
    use crate::crowd::{QUICK, SHORT, crowd, declare, rest};
    let machine =
        "  - { id: a, type: c.4c8g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }\n";
    let stage = crowd(&[("a", machine.to_owned())], QUICK).await;
    let operator = stage.operator(SHORT);
    operator.ready().await;
    declare(&stage, "a", "c.2c4g", json!({})).await;
    let before = stage.until_phase(&operator, "a", Phase::Scheduled).await;
    let gone = json!({
        "action": "DescribeInstances", "kind": "error", "code": "INVALID_INSTANCE_NOT_FOUND",
        "times": "always",
    });
    stage.sim.fault(gone).await;
    stage.until_phase(&operator, "a", Phase::Failed).await;
    stage.sim.forget_faults().await;
    let after = stage.until_phase(&operator, "a", Phase::Scheduled).await;
    assert_eq!(after.status.unwrap().order_number, before.status.unwrap().order_number);
    stage.patch("a", json!({ "spec": { "instanceTypeId": "c.4c8g" } })).await;
    stage.until_phase(&operator, "a", Phase::InSync).await;
    let cost = rest(&stage, &operator, &["a"]).await.remove(0);
    assert_eq!((cost.modify.len(), cost.cancel.len()), (1, 1), "{cost:?}");
}
