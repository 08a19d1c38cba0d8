//! Each code of the error table, forced by the simulator on ModifyInstanceType: where the object
//! ends up, and what it costs in the day that follows.
//!
//! A day can't pass on a real API server, so it passes in the [`Lab`].
//!
//! What is called at a pace of its own is followed for two hours and not for the day, because its
//! calls are many; `WHOLE_DAY=1` follows all of it.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use zenlayer::error::TABLE;
use zenlayer_vm_operator::{
    api::{Phase, VmInstance},
    controller::Clock,
};

use crate::{
    lab::Lab,
    stage::{Rules, Stage, message, shown},
};
use harness::table;

/// How often the paid call is made in the day after it was refused.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Again {
    /// Never, nor is anything read but the instance and its plan, at the pace of the drift look.
    Never,
    EachHalfHour,
    /// With pauses that grow from half an hour to six.
    Slowly,
    /// The same, because the reason is one of the account.
    ForItsAccount,
    /// At the pace of the drift look.
    EachFiveMinutes,
    /// With pauses that grow to five minutes.
    Soon,
    /// Nobody knows whether it landed: each after the fence of the one before, with growing pauses.
    AfterItsFence,
}
use Again::*;

/// Code, HTTP status, phase and reason, calls in the following day.
const ROWS: &[(&str, u16, &str, &str, Again)] = &[
    ("INTERNAL_SERVER_ERROR", 500, "Submitting", "OutcomeUnknown", AfterItsFence),
    ("SERVICE_TEMPORARY_UNAVAILABLE", 503, "Submitting", "OutcomeUnknown", AfterItsFence),
    ("REQUEST_TIMED_OUT", 503, "Submitting", "OutcomeUnknown", AfterItsFence),
    ("AUTHFAILURE_INVALID_AUTHORIZATION", 401, "Failed", "CredentialsRejected", ForItsAccount),
    ("AUTHFAILURE_SIGNATURE_FAILURE", 401, "Failed", "CredentialsRejected", ForItsAccount),
    ("AUTHFAILURE_SIGNATURE_EXPIRED", 401, "Failed", "ClockSkewed", EachFiveMinutes),
    ("AUTHFAILURE_UNAUTHORIZED_OPERATION", 401, "Failed", "PermissionDenied", ForItsAccount),
    ("MISSING_PARAMETER", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_TYPE", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_EXCEED_MAXIMUM", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_LESS_MINIMUM", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_EXCEED_LENGTH", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_LESS_LENGTH", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_PATTERN_ERROR", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_DATE_FORMAT_ERROR", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_VALUE", 400, "Failed", "RequestInvalid", Never),
    ("OPERATION_FAILED_FOR_RECYCLE_RESOURCE", 403, "Failed", "InstanceRecycled", Never),
    (
        "OPERATION_FAILED_RESOURCE_GROUP_NOT_FOUND",
        404,
        "Failed",
        "ResourceGroupNotFound",
        ForItsAccount,
    ),
    ("OPERATION_FAILED_RESOURCE_NOT_FOUND", 404, "Failed", "InstanceNotFound", Never),
    ("INVALID_INSTANCE_NOT_FOUND", 404, "Failed", "InstanceNotFound", Never),
    ("INVALID_INSTANCE_TYPE_NOT_CHANGED", 400, "Waiting", "ReadsDisagree", Soon),
    ("OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED", 400, "Failed", "InstanceTypeUnsupported", Never),
    ("OPERATION_DENIED_INSTANCE_EXIST_PLAN", 403, "Waiting", "ForeignPlan", Soon),
    ("OPERATION_DENIED_INSTANCE_PLAN_PROCESSING", 403, "Waiting", "ForeignPlan", Soon),
    ("UNSUPPORTED_OPERATION_INSTANCE_STATUS", 400, "Waiting", "InstanceBusy", Soon),
    ("UNSUPPORTED_OPERATION_ZONE_NOT_SUPPORT", 400, "Failed", "ZoneNotSupported", ForItsAccount),
    ("UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE", 400, "Failed", "InstanceRecycled", Never),
    ("INVALID_PRODUCT_NOT_FOUND", 404, "Failed", "InstanceTypeNotFound", Never),
    ("OPERATION_DENIED_DOWNGRADE_NOT_EXIST", 403, "Waiting", "ReadsDisagree", Soon),
    ("OPERATION_DENIED_INSTANCE_RECYCLED", 403, "Failed", "InstanceRecycled", Never),
    ("OPERATION_DENIED_INSTANCE_NOT_STOPPED", 403, "Waiting", "InstanceBusy", Soon),
    ("OPERATION_DENIED_INSTANCE_NOT_RUNNING", 403, "Waiting", "InstanceBusy", Soon),
    ("OPERATION_DENIED_INSTANCE_STATUS", 403, "Waiting", "InstanceBusy", Soon),
    ("INVALID_ZONE_NOT_FOUND", 404, "Failed", "ZoneNotSupported", ForItsAccount),
    ("INVALID_OPERATION_TIMEOUT", 400, "Submitting", "OutcomeUnknown", AfterItsFence),
    ("STOCK_INSUFFICIENT", 400, "Failed", "OutOfStock", EachHalfHour),
    ("RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT", 400, "Failed", "OutOfStock", EachHalfHour),
    ("RESOURCES_SOLDOUT_INSTANCE_TYPE", 400, "Failed", "OutOfStock", EachHalfHour),
    ("REQUEST_LIMIT_EXCEEDED", 429, "Waiting", "RateLimited", Soon),
    // Outside the table.
    ("SOME_NEW_REFUSAL", 400, "Failed", "RefusedByProvider", Slowly),
    ("SOME_NEW_TROUBLE", 500, "Submitting", "OutcomeUnknown", AfterItsFence),
    ("SOME_NEW_LIMIT", 429, "Waiting", "RateLimited", Soon),
    ("(a challenge page)", 403, "Failed", "BlockedByEdge", EachFiveMinutes),
    ("(blocked for legal reasons)", 451, "Failed", "BlockedByEdge", EachFiveMinutes),
];

/// The fault that plays a row for an instance, each time.
fn fault(code: &str, status: u16, instance: &str) -> Value {
    let mut fault = match status {
        403 | 451 if code.starts_with('(') => {
            json!({ "kind": "page", "page": if status == 403 { "challenge" } else { "blocked" } })
        }
        _ => json!({ "kind": "error", "code": code, "status": status }),
    };
    fault["action"] = json!("ModifyInstanceType");
    fault["instance"] = json!(instance);
    fault["times"] = json!("always");
    fault
}

const PAID: &str = "ModifyInstanceType";

/// Phase and reason.
fn stands(object: &VmInstance) -> (Phase, String) {
    let phase = object.status.as_ref().unwrap().phase.unwrap();
    let ready = shown(object, "Ready");
    (phase, ready.split_once(' ').unwrap().1.to_owned())
}

#[test]
fn every_code_of_the_table_has_a_row() {
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.0).collect();
    let missing: Vec<_> = TABLE.iter().filter(|(code, _)| !rows.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(rows.len(), ROWS.len());
}

/// For how many hours a row is followed.
fn hours(again: Again) -> usize {
    match again {
        Never | EachHalfHour | Slowly | ForItsAccount | AfterItsFence => 24,
        _ if std::env::var_os("WHOLE_DAY").is_some() => 24,
        EachFiveMinutes | Soon => 2,
    }
}

/// How many calls there may be in so many hours, with the spread of pauses by a tenth; failures
/// that pass begin with shorter pauses.
fn paid_calls(again: Again, hours: usize) -> std::ops::RangeInclusive<usize> {
    match again {
        Never => 0..=0,
        EachHalfHour => hours * 5 / 3..=hours * 9 / 4,
        EachFiveMinutes => hours * 10..=hours * 14,
        Soon => hours * 10..=hours * 14 + 6,
        // After 0.5, 1, 2, 4, 6 and 6 hours.
        Slowly | ForItsAccount => 5..=6,
        // Ten minutes for each fence, and then none, 10, 20, 40, 80, 160, 320 and 360 minutes.
        AfterItsFence => 8..=8,
    }
}

#[tokio::test]
async fn each_code_leads_to_its_phase_and_to_its_calls_in_the_following_day() {
    let _permit = harness::permit::heavy().await;
    let mut lab = Lab::given(ROWS.len()).await;
    for (index, (code, status, ..)) in ROWS.iter().enumerate() {
        lab.fault(fault(code, *status, &format!("vm-{index}")));
    }
    lab.pass_time(Duration::from_secs(4)).await;
    let first: Vec<VmInstance> =
        (0..ROWS.len()).map(|index| lab.store.get(&format!("vm-{index}"))).collect();
    for (index, (code, ..)) in ROWS.iter().enumerate() {
        assert_eq!(lab.calls_of(&format!("vm-{index}"), PAID), 1, "{code}");
    }
    lab.count_anew();
    let hour = Duration::from_secs(3600);
    lab.pass_time(2 * hour).await;
    for (index, row) in ROWS.iter().enumerate().filter(|(_, row)| hours(row.4) == 2) {
        assert!(lab.calls_of(&format!("vm-{index}"), PAID) > 0, "{row:?}");
        lab.retire(&format!("vm-{index}"));
    }
    lab.pass_time(22 * hour).await;

    let head = ["CODE", "HTTP", "PHASE", "REASON", "HOURS", "PAID", "INSTANCE", "PLAN", "WRITES"];
    let mut rows = vec![head.map(str::to_owned)];
    for (index, (code, status, phase, reason, again)) in ROWS.iter().enumerate() {
        let name = format!("vm-{index}");
        let (was, is) = (stands(&first[index]), stands(&lab.store.get(&name)));
        assert_eq!((format!("{:?}", was.0), was.1.as_str()), ((*phase).to_owned(), *reason));
        let text = message(&first[index]);
        if *again != AfterItsFence {
            let named = if code.starts_with('(') { "HTTP" } else { *code };
            assert!(text.contains(named), "{code}: {text}");
            assert!(text.contains("; "), "{code}: no next step in {text}");
            let asked = code.starts_with('(') || text.contains(", request T");
            assert!(asked, "{code}: no request id in {text}");
            assert_eq!(was, is, "{code} stands a day later");
        }
        if *again == AfterItsFence {
            assert_eq!(is, (Phase::Waiting, "AnswersLost".to_owned()), "{code}");
        }
        let paid = lab.calls_of(&name, PAID);
        let hours = hours(*again);
        assert!(paid_calls(*again, hours).contains(&paid), "{code}: {paid} paid calls, {again:?}");
        let (reads, plans) = (
            lab.calls_of(&name, "DescribeInstances"),
            lab.calls_of(&name, "DescribeInstanceTypeStatus"),
        );
        let writes = lab.writes_of(&name);
        if *again == Never {
            // One read of the instance for each drift look, and nothing else at all.
            assert_eq!(lab.all_calls_of(&name), reads + plans, "{code}: {:?}", lab.calls);
            assert_eq!(plans, 0, "{code}");
            // Five minutes, a tenth more or less, and at most a tenth until others are read, too.
            assert!((238..=320).contains(&reads), "{code}: {reads} drift looks");
            assert_eq!(lab.passes[&name], reads, "{code}");
            assert_eq!(writes, 0, "{code}: an unchanged status was written");
        }
        let counts = [paid, reads, plans, writes].map(|count| count.to_string());
        let [paid, reads, plans, writes] = counts;
        let cells = [*code, &status.to_string(), *phase, *reason].map(str::to_owned);
        let [code, status, phase, reason] = cells;
        rows.push([code, status, phase, reason, hours.to_string(), paid, reads, plans, writes]);
    }
    assert_eq!(lab.shared.lock().world.books().orders.len(), 0, "nothing was ordered");
    table::show("Each code on ModifyInstanceType, and the calls of the day that follows", &rows);
}

/// What lets a refused call be made again.
const REARMS: [&str; 4] = ["annotation", "spec", "Secret", "instance"];

impl Lab {
    fn rearm(&mut self, name: &str, by: &str, value: &str) {
        match by {
            "annotation" => self.store.edit(name, |object| {
                let annotations = object.metadata.annotations.get_or_insert_default();
                annotations.insert("vm.zenlayer.com/requested-at".to_owned(), value.to_owned());
            }),
            "spec" => self.store.edit(name, |object| {
                object.spec.instance_type_id = "c.4c8g".to_owned();
                object.metadata.generation = Some(2);
            }),
            "Secret" => self.store.with_secret(name, 2),
            _ => {
                let stopped = json!({ "state": "STOPPED" });
                let change = serde_json::from_value(stopped).unwrap();
                let mut service = self.shared.lock();
                let now = self.clock.now();
                service
                    .world
                    .console(
                        now,
                        zenlayer_sim::world::ConsoleChange::Change { id: name.to_owned(), change },
                    )
                    .unwrap();
            }
        }
        // The watch, the look at Secrets, or the drift look.
        self.wake(name);
    }
}

#[tokio::test]
async fn whatever_a_refusal_rests_on_lets_the_call_be_made_once_more() {
    let _permit = harness::permit::heavy().await;
    let terminal: Vec<_> =
        ROWS.iter().filter(|row| matches!(row.4, Never | ForItsAccount)).collect();
    let mut lab = Lab::given(terminal.len() * REARMS.len()).await;
    let mut cases = Vec::new();
    for row in &terminal {
        for by in REARMS {
            let name = format!("vm-{}", cases.len());
            lab.fault(fault(row.0, row.1, &name));
            // What an account may not do, it may not do for another type or machine either.
            let for_all = row.4 == ForItsAccount && matches!(by, "spec" | "instance");
            cases.push((name, row.0, by, usize::from(!for_all)));
        }
    }
    lab.pass_time(Duration::from_secs(4)).await;
    lab.count_anew();
    for (name, _, by, _) in &cases {
        lab.rearm(name, by, "1");
    }
    // A changed instance is seen at one look, and acted on at the next.
    lab.pass_time(Duration::from_secs(400)).await;
    for (name, code, by, calls) in &cases {
        assert_eq!(lab.calls_of(name, PAID), *calls, "{code} after another {by}");
        assert_eq!(stands(&lab.store.get(name)).0, Phase::Failed, "{code} after another {by}");
    }
    // The same annotation again is no new word of anybody.
    lab.count_anew();
    for (name, ..) in &cases {
        lab.wake(name);
    }
    lab.pass_time(Duration::from_secs(340)).await;
    for (name, code, by, _) in &cases {
        assert_eq!(lab.calls_of(name, PAID), 0, "{code} after another {by}");
    }
    println!("{} codes were made again by each of {REARMS:?}, once", terminal.len());
}

#[tokio::test]
async fn what_an_account_is_refused_is_tried_by_one_object_for_all_and_its_success_wakes_the_others()
 {
    const OBJECTS: usize = 12;
    let mut lab = Lab::given(OBJECTS).await;
    let names: Vec<String> = (0..OBJECTS).map(|index| format!("vm-{index}")).collect();
    for name in &names {
        lab.store.edit(name, |object| {
            "shared".clone_into(&mut object.spec.credentials.secret_ref.name);
        });
        lab.fault(fault("AUTHFAILURE_UNAUTHORIZED_OPERATION", 401, name));
    }
    let made = |lab: &Lab| names.iter().map(|name| lab.calls_of(name, PAID)).sum::<usize>();
    lab.pass_time(Duration::from_secs(24 * 3600)).await;
    // At once, and after 0.5, 1, 2, 4, 6 and 6 hours.
    assert_eq!(made(&lab), 7);
    for name in &names {
        let object = lab.store.get(name);
        assert_eq!(stands(&object), (Phase::Failed, "PermissionDenied".to_owned()), "{name}");
        assert!(message(&object).contains("AUTHFAILURE_UNAUTHORIZED_OPERATION"), "{name}");
    }
    // The account may order from now on. One object of its own accord, and the others with it.
    lab.shared.lock().faults.clear();
    lab.pass_time(Duration::from_secs(6 * 3600)).await;
    assert_eq!(made(&lab), 7 + OBJECTS);
    for name in &names {
        assert_eq!(stands(&lab.store.get(name)).0, Phase::InSync, "{name}");
    }
    let service = lab.shared.lock();
    let times: BTreeSet<_> = service.world.books().orders.iter().map(|order| order.at).collect();
    let (first, last) = (times.first().unwrap(), times.last().unwrap());
    assert!(last.duration_since(*first).as_secs() < 60, "{times:?}");
}

/// On the real API server, with the real pauses: the drift look is 5 minutes away.
#[tokio::test]
async fn a_changed_secret_wakes_its_object_within_a_minute_though_nobody_may_list_or_watch_secrets()
{
    let rules = Rules::of_deploy();
    for rule in rules.cluster.iter().chain(&rules.slots) {
        let secrets = rule.resources.iter().flatten().any(|resource| resource == "secrets");
        assert!(!secrets || rule.verbs == ["get"], "{rule:?}");
    }
    let instances = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-2, type: c.1c2g, chargeType: POSTPAID }
";
    let stage = Stage::given(instances).await;
    stage.secret("wrong", json!({ "token": "wrongToken88be02" })).await;
    let operator = stage.operator_at_its_own_pace(&[]);
    operator.ready().await;
    for (name, secret) in [("vm-1", "wrong"), ("vm-2", "missing")] {
        let spec = json!({
            "instanceId": name, "instanceTypeId": "c.2c4g",
            "credentials": { "secretRef": { "name": secret } },
        });
        stage.create(name, spec).await;
        stage.until_phase(&operator, name, Phase::Failed).await;
    }
    // At once, before anybody has looked at the Secrets for the first time.
    let changed = std::time::Instant::now();
    stage.credentials("wrong").await;
    stage.credentials("missing").await;
    for name in ["vm-1", "vm-2"] {
        stage
            .until(&operator, name, "is ordered", |object| {
                object.status.as_ref().is_some_and(|status| status.order_number.is_some())
            })
            .await;
    }
    let passed = changed.elapsed();
    assert!(passed < Duration::from_secs(60), "{passed:?}");
    println!("ordered {:.1} s after the Secrets were changed", passed.as_secs_f64());
}
