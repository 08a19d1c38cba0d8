//! A random client and a random person in the console. Each run draws its own probabilities and
//! switches, so that rare corners are common in some runs. A run is a script that depends on its
//! seed alone.

use fastrand::Rng;
use serde_json::{Value, json};
use zenlayer_sim::world::{ACTIONS, Effect, Setup};

use super::given::{DAY, given_setup};

/// One step of a script.
pub struct Step {
    /// What passes before it, in seconds.
    pub seconds: i64,
    pub does: Does,
}

pub enum Does {
    Call { action: &'static str, body: Value, effect: Effect },
    Console(Value),
}

/// What a run draws for itself.
struct Profile {
    actions: Vec<&'static str>,
    /// Percents.
    odd_parameter: u32,
    odd_effect: u32,
    console: u32,
    /// Pauses, drawn evenly from this list.
    pauses: Vec<i64>,
    types: Vec<&'static str>,
    /// Percent of the changes that are cancelled right away.
    cancels: u32,
    /// The instances that most calls are about.
    hot: u32,
}

const TYPES: &[&str] = &[
    "c.1c2g", "c.2c4g", "c.4c8g", "c.8c16g", "c.9c4g", "g.2c8g", "m.2c16g", "s.1c1g", "h.4c8g",
    "c.3c3g",
];
const ZONES: &[&str] =
    &["FRA-A", "FRA-A", "FRA-A", "FRA-A", "FRA-A", "FRA-A", "FRA-A", "LAB-A", "LAB-A", "OLD-A"];
const INSTANCES: u32 = 12;

/// A list with each item as often as a draw says, and some of them often.
fn weighted<T: Copy>(rng: &mut Rng, items: &[T], most: usize) -> Vec<T> {
    let mut list = Vec::new();
    for item in items {
        let times = rng.usize(0..=most);
        list.extend(std::iter::repeat_n(*item, times * times / most));
    }
    if list.is_empty() { items.to_vec() } else { list }
}

fn pick<T: Copy>(rng: &mut Rng, items: &[T]) -> T {
    items[rng.usize(..items.len())]
}

fn profile(rng: &mut Rng) -> Profile {
    let mut pauses = weighted(rng, &[0, 0, 0, 1, 5, 10, 29, 30, 31, 3600], 5);
    let long = if rng.bool() { [DAY, 10 * DAY, 31 * DAY].as_slice() } else { &[DAY] };
    pauses.extend(weighted(rng, long, 2));
    let mut actions = weighted(rng, ACTIONS, 6);
    let changes = ["ModifyInstanceType", "ModifyInstanceType", "CancelInstanceDowngrade"];
    actions.extend(weighted(rng, &changes, 6));
    // Some runs know only one series, in which all changes are allowed.
    let types = if rng.bool() { &TYPES[..5] } else { TYPES };
    Profile {
        actions,
        odd_parameter: rng.u32(0..=20),
        odd_effect: pick(rng, &[0, 0, 10, 50]),
        console: pick(rng, &[1, 5, 10, 30]),
        pauses,
        types: weighted(rng, types, 4),
        cancels: rng.u32(0..=60),
        hot: rng.u32(1..=INSTANCES),
    }
}

/// A value for each switch.
fn switches(rng: &mut Rng) -> Value {
    let mut of = |values: &[&str]| Value::from(pick(rng, values));
    let mut all = json!({
        "guest": of(&["live", "reboots", "stopsAndStarts", "needsReboot"]),
        "noPlanTarget": of(&["null", "empty", "absent", "current"]),
        "noPlanStatus": of(&["enable", "disable", "disableForPostpaid", "null", "empty", "absent"]),
        "enableAtStart": of(&["0s", "5s"]),
        "enableAtEnd": of(&["0s", "5s"]),
        "failedChange": of(&["vanishes", "showsEnable", "showsDisable", "hangs"]),
        "payment": of(&["atOnce", "atOnce", "nextCycle", "inConsole"]),
        "equalPrice": of(&["upgrade", "downgrade", "refused"]),
        "expiry": of(&["recycled", "downgradeLands", "downgradeWaits"]),
        "downgradeDelay": of(&["0s", "0s", "1h", "-1h"]),
        "bandwidthAboveLimit": of(&["kept", "lowered", "refused"]),
        "checkOrder": of(&["documented", "stateFirst", "planFirst", "modelFirst"]),
        "sameTargetInFlight": of(&["refused", "refused", "notChanged", "orderedAgain"]),
        "unknownIds": of(&["leftOut", "notFound"]),
        "batch": of(&["allOrNothing", "partialRefused", "partialAccepted"]),
        "gracefulStop": of(&["obeyed", "ignored", "hangs"]),
        "orderNumber": of(&["shown", "null", "empty", "absent"]),
        "optionalFields": of(&["null", "absent"]),
        "catalogueExtras": of(&["given", "null", "absent"]),
        "defaultDiskCategory": of(&["SSD", "STANDARD"]),
    });
    all["rebootFromStopped"] = rng.bool().into();
    all["priceNeedsCount"] = rng.bool().into();
    all["priceNeedsTrafficPackage"] = rng.bool().into();
    if rng.bool() {
        let lag = pick(rng, &["1s", "20s", "1h"]);
        all["readLag"] = json!({ "DescribeInstances": lag, "DescribeInstanceTypeStatus": "5s" });
    }
    if rng.u8(..4) == 0 {
        all["registrationLag"] =
            json!({ "ModifyInstanceType": "5s", "CancelInstanceDowngrade": "5s" });
    }
    all
}

fn instance(rng: &mut Rng, index: u32) -> Value {
    let mut one = json!({
        "id": format!("vm-{index:02}"),
        "type": pick(rng, &TYPES[..8]),
        "zone": pick(rng, ZONES),
        "chargeType": pick(rng, &["PREPAID", "PREPAID", "POSTPAID"]),
        "state": pick(rng, &["RUNNING", "RUNNING", "RUNNING", "STOPPED", "PENDING", "IMAGING"]),
        "settles": rng.u8(..8) != 0,
        "autoRenew": rng.u8(..4) != 0,
        "bandwidth": rng.i64(1..=1200),
        "details": { "tags": { "stage": "test" }, "publicIpAddresses": [format!("192.0.2.{index}")] },
    });
    if one["chargeType"] == "PREPAID" {
        one["expiresIn"] = pick(rng, &["1h", "1d", "20d", "400d"]).into();
    }
    one
}

/// A setup and a script of so many steps.
pub fn given_run(seed: u64, steps: usize) -> (Setup, Vec<Step>) {
    let mut rng = Rng::with_seed(seed);
    let profile = profile(&mut rng);
    let mut setup = given_setup(
        "models: [{ id: c.9c4g, series: c, cpuCount: 9, memory: 4, bandwidthLimit: 100, \
         monthlyPrice: 56, hourlyPrice: 0.5 }]\n",
    );
    setup.balance = pick(&mut rng, &[100, 10_000, 10_000_000, 10_000_000]).into();
    setup.behaviour = serde_json::from_value(switches(&mut rng)).unwrap();
    setup.instances = (0..INSTANCES)
        .map(|index| serde_json::from_value(instance(&mut rng, index)).unwrap())
        .collect();
    assert_eq!(setup.check(), Ok(()));
    let mut script: Vec<Step> = Vec::with_capacity(steps);
    while script.len() < steps {
        let next = regret(&mut rng, &profile, script.last());
        script.push(next.unwrap_or_else(|| step(&mut rng, &profile)));
    }
    (setup, script)
}

/// Takes back the change that was just asked for, now and then.
fn regret(rng: &mut Rng, profile: &Profile, last: Option<&Step>) -> Option<Step> {
    let Does::Call { action: "ModifyInstanceType", body, .. } = &last?.does else { return None };
    if rng.u32(..100) >= profile.cancels {
        return None;
    }
    let body = json!({ "instanceId": body["instanceId"] });
    let effect = effect(rng, profile);
    let does = Does::Call { action: "CancelInstanceDowngrade", body, effect };
    Some(Step { seconds: rng.i64(0..=10), does })
}

fn step(rng: &mut Rng, profile: &Profile) -> Step {
    let seconds = pick(rng, &profile.pauses);
    let does = if rng.u32(..100) < profile.console {
        Does::Console(console(rng, profile))
    } else {
        let action =
            if rng.u8(..200) == 0 { "TerminateInstances" } else { pick(rng, &profile.actions) };
        let mut body = body(rng, profile, action);
        if rng.u32(..100) < profile.odd_parameter {
            spoil(rng, &mut body);
        }
        Does::Call { action, body, effect: effect(rng, profile) }
    };
    Step { seconds, does }
}

fn effect(rng: &mut Rng, profile: &Profile) -> Effect {
    if rng.u32(..100) >= profile.odd_effect {
        return Effect::Normal;
    }
    match rng.u8(..3) {
        0 => Effect::FailsSilently,
        _ => Effect::After(jiff::SignedDuration::from_secs(pick(rng, &[0, 1, 40, 3600]))),
    }
}

fn id(rng: &mut Rng, hot: u32) -> String {
    let index = match rng.u8(..40) {
        0 => 99,
        1..=8 => rng.u32(..INSTANCES),
        _ => rng.u32(..hot),
    };
    format!("vm-{index:02}")
}

fn body(rng: &mut Rng, profile: &Profile, action: &str) -> Value {
    let type_id = pick(rng, &profile.types);
    let ids: Vec<String> = (0..rng.usize(0..=3)).map(|_| id(rng, profile.hot)).collect();
    match action {
        "ModifyInstanceType" => {
            json!({ "instanceId": id(rng, profile.hot), "instanceTypeId": type_id })
        }
        "CancelInstanceDowngrade" | "DescribeInstanceTypeStatus" => {
            json!({ "instanceId": id(rng, profile.hot) })
        }
        "StopInstances" => json!({ "instanceIds": ids, "forceShutdown": rng.bool() }),
        "StartInstances" | "RebootInstances" => json!({ "instanceIds": ids }),
        "DescribeInstances" | "DescribeInstancesStatus" => {
            let mut body =
                json!({ "instanceIds": ids, "pageSize": rng.u8(1..=20), "pageNum": rng.u8(1..=3) });
            match rng.u8(..6) {
                0 => body["instanceStatus"] = pick(rng, &["RUNNING", "STOPPED", "RECYCLE"]).into(),
                1 => body["zoneId"] = pick(rng, ZONES).into(),
                2 => body["instanceName"] = "vm-0*".into(),
                3 => body["tags"] = json!([{ "key": "stage", "value": "test" }]),
                _ => {}
            }
            body
        }
        "DescribeZoneInstanceConfigInfos" => json!({
            "instanceChargeType": pick(rng, &["PREPAID", "POSTPAID"]),
            "instanceType": type_id,
            "zoneId": pick(rng, &["FRA-A", "LAB-A", "X-1"]),
        }),
        "InquiryPriceCreateInstance" => json!({
            "zoneId": pick(rng, &["FRA-A", "LAB-A", "X-1"]), "instanceType": type_id,
            "instanceChargeType": pick(rng, &["PREPAID", "POSTPAID"]),
            "internetChargeType": "ByBandwidth", "instanceCount": rng.u8(1..=3),
            "systemDisk": { "diskSize": rng.u8(1..), "diskCategory": "SSD" },
            "instanceChargePrepaid": { "period": rng.u8(1..=12) },
        }),
        _ => json!({ "zoneIds": ["FRA-A"] }),
    }
}

/// Makes a request wrong in one of many ways.
fn spoil(rng: &mut Rng, body: &mut Value) {
    let ids: Vec<String> = (0..101).map(|index| format!("vm-{index}")).collect();
    let spoilt = [
        ("instanceIds", json!(ids)),
        ("instanceIds", json!([])),
        ("instanceIds", json!(7)),
        ("instanceId", Value::Null),
        ("instanceId", json!(7)),
        ("pageSize", json!(1001)),
        ("pageSize", json!(0)),
        ("instanceStatus", json!("RESIZING")),
        ("instanceChargeType", json!("HOURLY")),
        ("publicIpAddresses", json!(["10.0"])),
        ("tagKeys", json!([""])),
        ("systemDisk", Value::Null),
        ("zoneIds", json!("FRA-A")),
    ];
    let (field, value) = spoilt[rng.usize(..spoilt.len())].clone();
    if rng.u8(..10) == 0 {
        *body = json!([]);
    } else {
        body[field] = value;
    }
}

fn console(rng: &mut Rng, profile: &Profile) -> Value {
    let (id, type_id) = (id(rng, profile.hot), pick(rng, &profile.types));
    match rng.u8(..20) {
        0 | 1 | 16..20 => {
            let index = rng.u32(..profile.hot);
            json!({ "add": instance(rng, index) })
        }
        2 => json!({ "remove": { "id": id } }),
        3 => json!({ "recycle": { "id": id } }),
        4 | 5 => json!({ "restore": { "id": id } }),
        6 => json!({ "order": { "id": id, "type": type_id } }),
        7 => json!({ "dropPlan": { "id": id } }),
        8 | 9 => {
            let number = 260_000_000_000_000_001_u64 + rng.u64(..40);
            json!({ "pay": { "orderNumber": number.to_string() } })
        }
        10 => json!({ "topUp": { "amount": pick(rng, &["-250.5", "0.01", "1000"]) } }),
        11 => {
            json!({ "stock": { "zone": "LAB-A", "type": type_id, "left": pick(rng, &[None, Some(0), Some(3)]) } })
        }
        12 => json!({ "change": { "id": id, "change": { "type": type_id } } }),
        13 => json!({ "change": { "id": id, "change": { "autoRenew": rng.bool() } } }),
        14 => {
            let state = pick(rng, &["RUNNING", "RUNNING", "STOPPED", "REBUILDING", "RECYCLE"]);
            json!({ "change": { "id": id, "change": { "state": state, "settles": rng.u8(..8) != 0 } } })
        }
        _ => json!({ "behaviour": switches(rng) }),
    }
}
