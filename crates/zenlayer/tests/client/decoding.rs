//! The decoder: what reads as what, what is an error, and that nothing makes it panic.

use proptest::prelude::*;
use serde_json::{Value, json};
use zenlayer::{
    CatalogueQuery, ChargeType, Found, Instance, InstanceState, PlanState, SystemDisk, TypeStatus,
    decode::{DecodeError, Failure, Success},
};

use crate::given::{id, ids, type_id};

fn body(response: Value) -> Vec<u8> {
    json!({ "requestId": "T1", "response": response }).to_string().into_bytes()
}

/// An item of DescribeInstances with every field that is used, changed by `change`.
fn item(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut item = json!({
        "instanceId": name,
        "instanceName": "web",
        "zoneId": "SEL-A",
        "instanceType": "c.1c2g",
        "cpuCount": 1,
        "memory": 2,
        "instanceChargeType": "PREPAID",
        "internetChargeType": "ByBandwidth",
        "internetMaxBandwidthOut": 10,
        "expiredTime": "2026-12-01T00:00:00Z",
        "instanceStatus": "RUNNING",
        "autoRenew": true,
        "systemDisk": { "diskId": "d", "diskSize": 40, "diskCategory": "SSD" },
        "someNewField": { "nested": [1, 2, 3] },
    });
    change(&mut item);
    item
}

fn set(items: Vec<Value>) -> Vec<u8> {
    body(json!({ "requestId": "T1", "totalCount": items.len(), "dataSet": items }))
}

fn one(bytes: &[u8]) -> Result<Found<Instance>, DecodeError> {
    let mut batch = Success::parse(bytes)?.instances(&ids(&["vm-1"]))?;
    Ok(batch.remove(&id("vm-1")).expect("each id that was asked has an entry"))
}

fn present(bytes: &[u8]) -> Instance {
    match one(bytes) {
        Ok(Found::Present(instance)) => instance,
        other => panic!("{other:?}"),
    }
}

fn odd<T: std::fmt::Debug>(found: &Found<T>) -> &str {
    match found {
        Found::Odd { cause } => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_instance_is_read_with_all_its_fields() {
    let expected = Instance {
        id: id("vm-1"),
        name: Some("web".into()),
        zone_id: Some("SEL-A".into()),
        type_id: type_id("c.1c2g"),
        state: InstanceState::Running,
        charge_type: ChargeType::Prepaid,
        cpu_count: Some(1),
        memory_gib: Some(2),
        bandwidth_out: Some(10),
        internet_charge_type: Some("ByBandwidth".into()),
        system_disk: Some(SystemDisk { size_gb: 40, category: "SSD".into() }),
        expires_at: Some("2026-12-01T00:00:00Z".parse().unwrap()),
        auto_renew: Some(true),
    };
    assert_eq!(present(&set(vec![item("vm-1", |_| {})])), expected);
}

#[test]
fn an_odd_optional_field_reads_as_absent() {
    let odd = [json!(null), json!({}), json!([]), json!(1.5), json!(""), json!("x")];
    for value in odd {
        for field in ["cpuCount", "memory", "internetMaxBandwidthOut", "expiredTime", "autoRenew"] {
            let instance = present(&set(vec![item("vm-1", |it| it[field] = value.clone())]));
            let fields = [
                ("cpuCount", instance.cpu_count.is_none()),
                ("memory", instance.memory_gib.is_none()),
                ("internetMaxBandwidthOut", instance.bandwidth_out.is_none()),
                ("expiredTime", instance.expires_at.is_none()),
                ("autoRenew", instance.auto_renew.is_none()),
            ];
            for (name, absent) in fields {
                assert_eq!(absent, name == field, "{field} is {value}: {name}");
            }
        }
        let disk = present(&set(vec![item("vm-1", |it| it["systemDisk"] = value.clone())]));
        assert_eq!(disk.system_disk, None, "{value}");
    }
    let half = present(&set(vec![item("vm-1", |it| it["systemDisk"] = json!({ "diskSize": 1 }))]));
    assert_eq!(half.system_disk, None);
    let large = present(&set(vec![item("vm-1", |it| it["cpuCount"] = json!(u64::MAX))]));
    assert_eq!(large.cpu_count, None);
}

#[test]
fn an_odd_required_field_names_itself_and_spoils_only_its_own_instance() {
    for field in ["instanceType", "instanceStatus", "instanceChargeType"] {
        for value in [json!(null), json!(7), json!(""), json!({}), json!([])] {
            let bad = item("vm-1", |it| it[field] = value.clone());
            let bytes = set(vec![bad, item("vm-2", |_| {})]);
            let success = Success::parse(&bytes).unwrap();
            let batch = success.instances(&ids(&["vm-1", "vm-2"])).unwrap();
            let cause = odd(&batch["vm-1"]);
            assert!(
                cause.contains(&format!("vm-1.{field} is missing")),
                "{field} {value}: {cause}"
            );
            assert!(matches!(batch["vm-2"], Found::Present(_)), "{field} {value}");
        }
    }
    let unreadable = one(&set(vec![item("vm-1", |it| it["instanceType"] = json!("a b"))])).unwrap();
    assert!(odd(&unreadable).contains("instanceType is missing or not an instance type"));
}

#[test]
fn unknown_values_are_kept_verbatim() {
    let instance = present(&set(vec![item("vm-1", |it| {
        it["instanceStatus"] = json!("RESIZING");
        it["instanceChargeType"] = json!("SPOT");
    })]));
    assert_eq!(instance.state, InstanceState::Other("RESIZING".into()));
    assert_eq!(instance.charge_type, ChargeType::Other("SPOT".into()));
}

#[test]
fn an_id_is_missing_only_from_a_whole_answer() {
    let a = || item("vm-1", |_| {});
    let cut = body(json!({ "totalCount": 2, "dataSet": [a()] }));
    let nameless = set(vec![a(), item("x", |it| it["instanceId"] = json!(5))]);
    // name, body, what becomes of vm-2
    let table = [
        ("empty", set(vec![]), "missing"),
        ("another id that was asked", set(vec![a()]), "missing"),
        ("no total", body(json!({ "dataSet": [a()] })), "missing"),
        ("an odd total", body(json!({ "dataSet": [a()], "totalCount": "many" })), "missing"),
        ("a negative total", body(json!({ "dataSet": [a()], "totalCount": -1 })), "missing"),
        ("a foreign id", set(vec![a(), item("vm-9", |_| {})]), "odd"),
        ("an item without an id", nameless, "odd"),
        ("an item that is no object", set(vec![a(), json!(null)]), "odd"),
        ("more in total than shown", cut, "odd"),
    ];
    for (name, bytes, expected) in table {
        let batch = Success::parse(&bytes).unwrap().instances(&ids(&["vm-1", "vm-2"])).unwrap();
        assert_eq!(batch.len(), 2, "{name}");
        let got = match &batch["vm-2"] {
            Found::Present(_) => "present",
            Found::Missing => "missing",
            Found::Odd { .. } => "odd",
        };
        assert_eq!(got, expected, "{name}: {batch:?}");
    }
}

#[test]
fn an_id_twice_counts_once_unless_the_two_differ() {
    let same = set(vec![item("vm-1", |_| {}), item("vm-1", |_| {})]);
    assert_eq!(present(&same).id, id("vm-1"));
    let other = |it: &mut Value| it["instanceType"] = json!("c.2c4g");
    for items in [
        vec![item("vm-1", |_| {}), item("vm-1", other)],
        vec![item("vm-1", other), item("vm-1", |_| {}), item("vm-1", |_| {})],
    ] {
        assert_eq!(odd(&one(&set(items)).unwrap()), "vm-1 is in the data set twice, differently");
    }
}

#[test]
fn states_are_read_alone() {
    let bytes = body(json!({ "totalCount": 1, "dataSet": [
        { "instanceId": "vm-1", "instanceStatus": "STOPPED" },
    ] }));
    let batch = Success::parse(&bytes).unwrap().states(&ids(&["vm-1", "vm-2"])).unwrap();
    assert_eq!(batch["vm-1"], Found::Present(InstanceState::Stopped));
    assert_eq!(batch["vm-2"], Found::Missing);
}

#[test]
fn no_plan_has_many_spellings_and_an_odd_plan_is_an_error() {
    let read = |change: &dyn Fn(&mut Value)| {
        let mut response = json!({ "instanceId": "vm-1", "instanceType": "c.1c2g" });
        change(&mut response);
        let bytes = body(response);
        Success::parse(&bytes).unwrap().type_status(&id("vm-1"))
    };
    let none = Ok(TypeStatus { current: type_id("c.1c2g"), target: None, state: None });
    assert_eq!(read(&|_| {}), none);
    for value in [json!(null), json!("")] {
        let field = "modifiedInstanceType";
        assert_eq!(read(&|it| it[field] = value.clone()), none, "{value}");
        let field = "modifiedInstanceTypeStatus";
        assert_eq!(read(&|it| it[field] = value.clone()), none, "{value}");
    }
    for value in [json!(1), json!({}), json!([]), json!(false)] {
        for field in ["modifiedInstanceType", "modifiedInstanceTypeStatus"] {
            let error = read(&|it| it[field] = value.clone()).unwrap_err().to_string();
            assert_eq!(error, format!("{field} is missing or not a string"), "{value}");
        }
    }
    let states = [
        ("Processing", PlanState::Processing),
        ("WaitToEnable", PlanState::WaitToEnable),
        ("Enable", PlanState::Enable),
        ("Disable", PlanState::Disable),
        ("enable", PlanState::Other("enable".into())),
    ];
    for (wire, state) in states {
        let read = read(&|it| it["modifiedInstanceTypeStatus"] = json!(wire)).unwrap();
        assert_eq!(read.state, Some(state), "{wire}");
    }
    let foreign = read(&|it| it["instanceId"] = json!("vm-2")).unwrap_err().to_string();
    assert_eq!(foreign, "the answer is about instance \"vm-2\"");
    let nothing = read(&|it| it["instanceType"] = json!(null)).unwrap_err().to_string();
    assert_eq!(nothing, "instanceType is missing or not a non-empty string");
}

#[test]
fn a_catalogue_keeps_the_zone_that_was_asked_and_fails_as_a_whole() {
    let query = CatalogueQuery { zone_id: "FRA-A".into(), charge_type: ChargeType::Postpaid };
    let offer = |zone: &str, model: Value| {
        json!({
            "zoneId": zone, "instanceType": model, "instanceTypeName": "Compute Optimized 4C8G",
            "cpuCount": 4, "memory": 8, "internetMaxBandwidthOutLimit": -1,
            "internetChargeTypes": ["ByBandwidth", 7],
        })
    };
    let quota = |offers: Vec<Value>| body(json!({ "instanceTypeQuotaSet": offers }));
    let bytes = quota(vec![offer("FRA-A", json!("c.4c8g")), offer("SEL-A", json!("c.4c8g"))]);
    let offers = Success::parse(&bytes).unwrap().catalogue(&query).unwrap();
    assert_eq!(offers.len(), 1);
    assert_eq!(offers[0].type_id, type_id("c.4c8g"));
    assert_eq!((offers[0].cpu_count, offers[0].memory_gib), (Some(4), Some(8)));
    assert_eq!(offers[0].bandwidth_limit, Some(-1));
    assert_eq!(offers[0].internet_charge_types, ["ByBandwidth"]);
    for (name, offers, expected) in [
        (
            "an odd type",
            vec![offer("FRA-A", json!("c.1c2g")), offer("FRA-A", json!(4))],
            "instanceTypeQuotaSet[1].instanceType is missing or not a non-empty string",
        ),
        ("no object", vec![json!("c.1c2g")], "instanceTypeQuotaSet[0] is missing or not an object"),
    ] {
        let bytes = quota(offers);
        let error = Success::parse(&bytes).unwrap().catalogue(&query).unwrap_err();
        assert_eq!(error.to_string(), expected, "{name}");
    }
    let bytes = body(json!({}));
    let error = Success::parse(&bytes).unwrap().catalogue(&query).unwrap_err();
    assert_eq!(error.to_string(), "instanceTypeQuotaSet is missing or not a list");
}

#[test]
fn zones_have_an_id_and_perhaps_a_name() {
    let bytes = body(json!({ "zoneSet": [{ "zoneId": "SEL-A", "zoneName": null }] }));
    let zones = Success::parse(&bytes).unwrap().zones().unwrap();
    assert_eq!((zones[0].id.as_str(), &zones[0].name), ("SEL-A", &None));
}

#[test]
fn an_envelope_is_two_objects() {
    let deep = "[".repeat(100_000);
    let table = [
        ("nothing", "", "the body is not JSON"),
        ("HTML", "<html>", "the body is not JSON"),
        ("a list", "[]", "the body is missing or not an object"),
        ("null", "null", "the body is missing or not an object"),
        ("no response", r#"{"requestId":"T1"}"#, "response is missing or not an object"),
        ("a null response", r#"{"response":null}"#, "response is missing or not an object"),
        ("a list as response", r#"{"response":[]}"#, "response is missing or not an object"),
        ("an error with status 200", r#"{"code":"X"}"#, "response is missing or not an object"),
        ("two values", r#"{"response":{}}{}"#, "the body is not JSON"),
        ("cut off", r#"{"response":{"#, "the body is not JSON"),
        ("deeper than any stack", deep.as_str(), "the body is not JSON"),
    ];
    for (name, text, expected) in table {
        let error = Success::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, expected, "{name}");
    }
}

#[test]
fn the_request_id_is_read_from_either_level() {
    for (text, expected) in [
        (r#"{"requestId":"A","response":{"requestId":"B"}}"#, Some("B")),
        (r#"{"requestId":"A","response":{}}"#, Some("A")),
        (r#"{"requestId":"A","response":{"requestId":""}}"#, Some("A")),
        (r#"{"requestId":7,"response":{}}"#, None),
        (r#"{"response":{"requestId":"a\u0000b"}}"#, None),
    ] {
        let success = Success::parse(text.as_bytes()).unwrap();
        assert_eq!(success.request_id.as_ref().map(|id| id.as_str()), expected, "{text}");
    }
}

#[test]
fn an_error_object_needs_a_code() {
    let failure = Failure::parse(br#"{"requestId":"A","code":"C","message":"m","x":1}"#).unwrap();
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("C", "m"));
    assert_eq!(failure.request_id.unwrap().as_str(), "A");
    assert_eq!(Failure::parse(br#"{"code":"C"}"#).unwrap().message, "");
    for text in ["", "{}", "[]", r#"{"code":""}"#, r#"{"code":5}"#, r#"{"message":"m"}"#, "<html>"]
    {
        assert_eq!(Failure::parse(text.as_bytes()), None, "{text}");
    }
}

/// Everything at once, on anything.
fn decode_all(bytes: &[u8]) {
    let _ = Failure::parse(bytes);
    let Ok(success) = Success::parse(bytes) else { return };
    let asked = ids(&["vm-1", "vm-2"]);
    let query = CatalogueQuery { zone_id: "FRA-A".into(), charge_type: ChargeType::Prepaid };
    let _ = success.order_number();
    let _ = success.instances(&asked).map(|batch| assert_eq!(batch.len(), 2));
    let _ = success.states(&asked).map(|batch| assert_eq!(batch.len(), 2));
    let _ = success.type_status(&id("vm-1"));
    let _ = success.catalogue(&query);
    let _ = success.zones();
    let _ = success.price();
}

/// JSON of the shapes that the decoder looks into, with odd values in all places.
fn any_response() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|it| json!(it)),
        any::<i64>().prop_map(|it| json!(it)),
        any::<f64>().prop_map(|it| json!(it)),
        "[A-Za-z0-9._-]{0,70}".prop_map(|it| json!(it)),
        Just(json!("vm-1")),
        Just(json!("2026-02-30T25:61:00Z")),
    ];
    let names = prop_oneof![
        "(instanceId|instanceType|instanceStatus|instanceChargeType|zoneId|expiredTime|cpuCount)",
        "(dataSet|zoneSet|instanceTypeQuotaSet|instancePrice|originalPrice|unitPrice|systemDisk)",
        "(diskSize|diskCategory|totalCount|orderNumber|requestId|modifiedInstanceType|x)",
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_all(&bytes);
    }

    #[test]
    fn no_json_makes_the_decoder_panic(response in any_response()) {
        decode_all(&body(response));
    }

    #[test]
    fn a_cut_or_spoiled_answer_never_shows_another_instance(
        at in 0_usize..400, byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = set(vec![item("vm-1", |_| {})]);
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        decode_all(&bytes);
        if let Ok(Found::Present(instance)) = one(&bytes) {
            prop_assert_eq!(instance.id, id("vm-1"));
        }
    }
}
