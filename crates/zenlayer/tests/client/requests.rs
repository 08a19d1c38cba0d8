//! What each action sends, byte by byte, and that it is signed for what it is.

use serde_json::{Value, json};
use zenlayer::{
    Answer, CatalogueQuery, ChargeType, ClientOptions, Cloud, Instance, InstanceIds, InstanceState,
    MOST_IDS, PriceInquiry, SystemDisk, decode::Success,
};
use zenlayer_sim::signature::Authorization;

use crate::{
    given::{
        KEY_ID, NOW, PASSWORD, TOKEN, given_call, given_client, given_client_with, given_key,
        given_modify, given_mutations, given_options, given_token, id, ids, type_id,
    },
    raw::{Captured, RawServer, envelope, json},
};

fn given_inquiry(charge_type: ChargeType) -> PriceInquiry {
    PriceInquiry {
        zone_id: "SEL-A".into(),
        type_id: type_id("c.2c4g"),
        charge_type,
        internet_charge_type: "ByBandwidth".into(),
        system_disk: SystemDisk { size_gb: 40, category: "SSD".into() },
    }
}

/// Calls every action once and gives what arrived.
async fn everything(credentials: &zenlayer::Credentials) -> Vec<Captured> {
    let members = r#""dataSet":[],"zoneSet":[],"instanceTypeQuotaSet":[],"instancePrice":{},"instanceType":"c.1c2g""#;
    let server = RawServer::start(vec![json(200, &envelope(members))]).await;
    let client = given_client(&server.endpoint());
    let both = ids(&["vm-2", "vm-1"]);
    client.describe_instances(credentials, &both).await.unwrap();
    client.describe_states(credentials, &both).await.unwrap();
    client.describe_type_status(credentials, &id("vm-1")).await.unwrap();
    let query = CatalogueQuery { zone_id: "SEL-A".into(), charge_type: ChargeType::Prepaid };
    client.describe_catalogue(credentials, &query).await.unwrap();
    for charge_type in [ChargeType::Prepaid, ChargeType::Postpaid] {
        client.inquire_price(credentials, &given_inquiry(charge_type)).await.unwrap();
    }
    client.describe_zones(credentials).await.unwrap();
    for mutation in given_mutations() {
        let answer = client.mutate(credentials, &given_call(mutation)).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }
    server.requests()
}

fn expected() -> Vec<(&'static str, Value)> {
    let page = json!({ "instanceIds": ["vm-1", "vm-2"], "pageSize": 2, "pageNum": 1 });
    let price = |charge_type: &str| {
        json!({
            "zoneId": "SEL-A", "instanceType": "c.2c4g", "instanceChargeType": charge_type,
            "internetChargeType": "ByBandwidth", "instanceCount": 1,
            "systemDisk": { "diskSize": 40, "diskCategory": "SSD" },
        })
    };
    let mut prepaid = price("PREPAID");
    prepaid["instanceChargePrepaid"] = json!({ "period": 1 });
    vec![
        ("DescribeInstances", page.clone()),
        ("DescribeInstancesStatus", page),
        ("DescribeInstanceTypeStatus", json!({ "instanceId": "vm-1" })),
        (
            "DescribeZoneInstanceConfigInfos",
            json!({ "zoneId": "SEL-A", "instanceChargeType": "PREPAID" }),
        ),
        ("InquiryPriceCreateInstance", prepaid),
        ("InquiryPriceCreateInstance", price("POSTPAID")),
        ("DescribeZones", json!({})),
        ("ModifyInstanceType", json!({ "instanceId": "vm-1", "instanceTypeId": "c.2c4g" })),
        ("CancelInstanceDowngrade", json!({ "instanceId": "vm-1" })),
        ("StartInstances", json!({ "instanceIds": ["vm-1"] })),
        ("StopInstances", json!({ "instanceIds": ["vm-1"], "forceShutdown": false })),
        ("RebootInstances", json!({ "instanceIds": ["vm-1"] })),
    ]
}

#[tokio::test]
async fn every_action_sends_its_documented_request_signed() {
    let requests = everything(&given_key()).await;
    assert_eq!(requests.len(), expected().len());
    for (request, (action, body)) in requests.iter().zip(expected()) {
        assert_eq!(request.line, "POST /api/v2/vm HTTP/1.1", "{action}");
        assert_eq!(request.json(), body, "{action}");
        for (name, value) in [
            ("x-zc-action", action),
            ("x-zc-version", "2026-04-01"),
            ("x-zc-service", "vm"),
            ("x-zc-signature-method", "ZC2-HMAC-SHA256"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(request.header(name), Some(value), "{action}: {name}");
        }
        let stamp = request.header("x-zc-timestamp").expect("a signed request has a timestamp");
        assert_eq!(stamp, NOW.to_string(), "{action}");
        let authorization = Authorization::parse(request.header("authorization").unwrap()).unwrap();
        assert_eq!(authorization.key_id, KEY_ID);
        let header = |name: &str| request.header(name).map(|value| value.as_bytes().into());
        assert!(authorization.verifies(PASSWORD, stamp, &request.body, header), "{action}");
        assert!(request.header("accept-encoding").unwrap().contains("gzip"), "{action}");
    }
}

#[tokio::test]
async fn a_bearer_token_replaces_signature_and_timestamp() {
    for request in everything(&given_token()).await {
        assert_eq!(request.header("authorization").unwrap(), format!("Bearer {TOKEN}"));
        assert_eq!(request.header("x-zc-version"), Some("2026-04-01"));
        for name in ["x-zc-timestamp", "x-zc-signature-method"] {
            assert_eq!(request.header(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn the_user_agent_is_this_clients_unless_another_is_given() {
    let own = concat!("zenlayer-rs/", env!("CARGO_PKG_VERSION"));
    for request in everything(&given_key()).await {
        assert_eq!(request.header("user-agent"), Some(own));
    }
    let server = RawServer::start(vec![json(200, &envelope(r#""zoneSet":[]"#))]).await;
    let options = ClientOptions { user_agent: "stocktaking/2.1".into(), ..given_options() };
    let client = given_client_with(&server.endpoint(), options);
    client.describe_zones(&given_key()).await.unwrap();
    client.mutate(&given_key(), &given_call(given_modify())).await;
    let requests = server.requests();
    let agents: Vec<_> = requests.iter().map(|request| request.header("user-agent")).collect();
    assert_eq!(agents, [Some("stocktaking/2.1"), Some("stocktaking/2.1")]);
}

#[test]
fn batches_hold_each_id_once_and_at_most_100() {
    let ids = |count: usize| (0..count).map(|n| id(&format!("vm-{n:03}")));
    for (count, sizes) in [
        (0, vec![]),
        (1, vec![1]),
        (MOST_IDS, vec![100]),
        (MOST_IDS + 1, vec![100, 1]),
        (250, vec![100, 100, 50]),
    ] {
        let batches = InstanceIds::batches(ids(count).chain(ids(count)));
        let got: Vec<usize> = batches.iter().map(|batch| batch.iter().len()).collect();
        assert_eq!(got, sizes, "{count} ids");
    }
}

#[test]
fn a_price_is_asked_for_only_where_the_instance_shows_all_that_it_depends_on() {
    let whole = Instance {
        id: id("vm-1"),
        name: None,
        zone_id: Some("SEL-A".into()),
        type_id: type_id("c.1c2g"),
        state: InstanceState::Running,
        charge_type: ChargeType::Prepaid,
        cpu_count: None,
        memory_gib: None,
        bandwidth_out: None,
        internet_charge_type: Some("ByBandwidth".into()),
        system_disk: Some(SystemDisk { size_gb: 40, category: "SSD".into() }),
        expires_at: None,
        auto_renew: None,
    };
    let asked = PriceInquiry::of(&whole, type_id("c.2c4g"));
    assert_eq!(asked, Some(given_inquiry(ChargeType::Prepaid)));
    for (name, instance) in [
        ("zone", Instance { zone_id: None, ..whole.clone() }),
        ("internet charge type", Instance { internet_charge_type: None, ..whole.clone() }),
        ("system disk", Instance { system_disk: None, ..whole.clone() }),
    ] {
        assert_eq!(PriceInquiry::of(&instance, type_id("c.2c4g")), None, "{name}");
    }
}

#[test]
fn only_a_modify_carries_an_order() {
    let body = envelope(r#""orderNumber":"3471""#);
    let success = Success::parse(body.as_bytes()).unwrap();
    assert_eq!(success.order_number().unwrap().as_str(), "3471");
}
