//! The shapes of the answers, the filters, and the pages.

use serde_json::{Value, json};
use zenlayer_sim::world::{Call, Effect};

use super::given::{Cloud, given, given_with};

/// The text of an answer.
fn text(cloud: &mut Cloud, action: &str, body: &Value) -> String {
    let body = body.to_string();
    let call = Call { action, body: body.as_bytes(), request_id: "T", effect: Effect::Normal };
    cloud.world.answer(cloud.now, call).unwrap_or_else(|refused| panic!("{action}: {refused:?}"))
}

/// An instance with a value in every field.
const FULL: &str = "
  - id: full
    name: web-1
    type: c.4c8g
    chargeType: PREPAID
    period: 2
    bandwidth: 200
    details:
      imageId: img-1
      imageName: Debian
      internetChargeType: ByTrafficPackage
      publicIpAddresses: [203.0.113.7]
      publicIpv6Addresses: ['2001:db8::7']
      privateIpAddresses: [10.0.0.7, 10.0.0.8]
      subnetId: subnet-1
      securityGroupIds: [sg-1, sg-2]
      resourceGroupId: rg-1
      resourceGroupName: blue
      trafficPackageSize: 0.5
      systemDisk: { diskId: disk-1, diskSize: 60, diskCategory: NVME }
      dataDisks: [{ diskId: disk-2, diskName: data, diskSize: 100, portable: true, diskCategory: SSD }]
      keyId: key-1
      nic: { wanName: ens3, lanName: ens4 }
      tags: { stage: test, team: blue }
";

#[test]
fn every_answer_has_its_documented_fields_in_their_order() {
    let rows = [
        (
            "ModifyInstanceType",
            json!({ "instanceId": "post", "instanceTypeId": "c.4c8g" }),
            r#"{"orderNumber":"260000000000000001"}"#,
        ),
        (
            "DescribeInstanceTypeStatus",
            json!({ "instanceId": "post" }),
            r#"{"instanceId":"post","instanceName":"post","instanceType":"c.2c4g","modifiedInstanceType":"c.4c8g","modifiedInstanceTypeStatus":"Processing"}"#,
        ),
        (
            "DescribeInstanceTypeStatus",
            json!({ "instanceId": "off" }),
            r#"{"instanceId":"off","instanceName":"off","instanceType":"g.2c8g","modifiedInstanceType":null,"modifiedInstanceTypeStatus":"Enable"}"#,
        ),
        (
            "DescribeInstancesStatus",
            json!({ "instanceIds": ["off"] }),
            r#"{"totalCount":1,"dataSet":[{"instanceId":"off","instanceStatus":"STOPPED"}]}"#,
        ),
        (
            "DescribeZoneInstanceConfigInfos",
            json!({ "instanceChargeType": "PREPAID", "zoneId": "FRA-A", "instanceType": "c.4c8g" }),
            r#"{"instanceTypeQuotaSet":[{"zoneId":"FRA-A","instanceType":"c.4c8g","instanceTypeName":"Compute Optimized 4C8G","cpuCount":4,"memory":8,"internetMaxBandwidthOutLimit":1500,"frequency":"2.5 GHz","internetChargeTypes":["ByBandwidth","ByTrafficPackage","ByClusterBandwidth95","BandwidthCluster"]}]}"#,
        ),
        ("StartInstances", json!({ "instanceIds": ["off"] }), "{}"),
        ("StopInstances", json!({ "instanceIds": ["lab"] }), "{}"),
        ("RebootInstances", json!({ "instanceIds": ["pre"] }), "{}"),
        (
            "DescribeZones",
            json!({ "zoneIds": ["FRA-A", "nowhere"] }),
            r#"{"zoneSet":[{"zoneId":"FRA-A","zoneName":"Frankfurt A","supportSecurityGroup":true,"supportNetworkType":"VPC","supportIpv6":true,"supportCpuPassThrough":false,"networkLineType":"BGP"}]}"#,
        ),
    ];
    let mut cloud = given();
    for (action, body, expected) in rows {
        assert_eq!(text(&mut cloud, action, &body), expected, "{action}");
    }
    cloud.step(30);
    cloud.order("pre", "c.2c4g");
    assert_eq!(text(&mut cloud, "CancelInstanceDowngrade", &json!({ "instanceId": "pre" })), "{}");
}

#[test]
fn an_instance_shows_every_key_with_objects_where_objects_belong() {
    let mut cloud = given_with(FULL);
    let ask = json!({ "instanceIds": ["full"] });
    let expected = concat!(
        r#"{"totalCount":1,"dataSet":[{"instanceId":"full","instanceName":"web-1","zoneId":"FRA-A","#,
        r#""instanceType":"c.4c8g","cpuCount":4,"memory":8,"imageId":"img-1","imageName":"Debian","#,
        r#""instanceChargeType":"PREPAID","internetChargeType":"ByTrafficPackage","#,
        r#""internetMaxBandwidthOut":200,"period":2,"createTime":"2026-01-01T00:00:00Z","#,
        r#""expiredTime":"2026-03-02T00:00:00Z","instanceStatus":"RUNNING","autoRenew":false,"#,
        r#""publicIpAddresses":["203.0.113.7"],"publicIpv6Addresses":["2001:db8::7"],"#,
        r#""privateIpAddresses":["10.0.0.7","10.0.0.8"],"securityGroupIds":["sg-1","sg-2"],"#,
        r#""subnetId":"subnet-1","resourceGroupId":"rg-1","resourceGroupName":"blue","#,
        r#""trafficPackageSize":0.5,"systemDisk":{"diskId":"disk-1","diskSize":60,"#,
        r#""diskCategory":"NVME"},"dataDisks":[{"diskId":"disk-2","diskName":"data","diskSize":100,"#,
        r#""portable":true,"diskCategory":"SSD"}],"keyId":"key-1","nic":{"wanName":"ens3","#,
        r#""lanName":"ens4"},"tags":{"tags":[{"key":"stage","value":"test"},"#,
        r#"{"key":"team","value":"blue"}]}}]}"#,
    );
    assert_eq!(text(&mut cloud, "DescribeInstances", &ask), expected);
    let item = cloud.item("post");
    assert_eq!(item["instanceChargeType"], "POSTPAID");
    for field in ["period", "expiredTime", "trafficPackageSize", "keyId"] {
        assert_eq!(item.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!((&item["tags"], &item["dataDisks"]), (&json!({ "tags": [] }), &json!([])));
    assert_eq!(item["nic"], json!({ "wanName": "eth0", "lanName": "eth1" }));
}

#[test]
fn the_text_and_the_fields_of_an_answer_are_the_same() {
    let mut cloud = given_with(FULL);
    let shown: Value =
        serde_json::from_str(&text(&mut cloud, "DescribeInstances", &json!({}))).unwrap();
    assert_eq!(cloud.ok("DescribeInstances", json!({})), shown);
}

#[test]
fn each_filter_finds_what_it_describes() {
    let rows = [
        ("zone", json!({ "zoneId": "LAB-A" }), "lab"),
        ("image", json!({ "imageId": "img-1" }), "full"),
        ("type", json!({ "instanceType": "c.4c8g" }), "full pre"),
        ("key", json!({ "keyId": "key-1" }), "full"),
        ("subnet", json!({ "subnetId": "subnet-1" }), "full"),
        ("security group", json!({ "securityGroupId": "sg-2" }), "full"),
        ("resource group", json!({ "resourceGroupId": "rg-1" }), "full"),
        ("whole name", json!({ "instanceName": "web-1" }), "full"),
        ("part of a name", json!({ "instanceName": "web" }), ""),
        ("fuzzy name", json!({ "instanceName": "web*" }), "full"),
        ("fuzzy name in the middle", json!({ "instanceName": "eb*" }), "full"),
        ("state", json!({ "instanceStatus": "STOPPED" }), "off"),
        ("traffic", json!({ "internetChargeType": "ByTrafficPackage" }), "full"),
        ("public address", json!({ "publicIpAddresses": ["203.0.113.7", "203.0.113.8"] }), "full"),
        ("private address", json!({ "privateIpAddresses": ["10.0.0.8"] }), "full"),
        ("tag key", json!({ "tagKeys": ["stage"] }), "full"),
        ("both tag keys", json!({ "tagKeys": ["stage", "other"] }), ""),
        ("tag", json!({ "tags": [{ "key": "team", "value": "blue" }] }), "full"),
        ("other tag", json!({ "tags": [{ "key": "team", "value": "red" }] }), ""),
        ("ids", json!({ "instanceIds": ["pre", "off", "pre"] }), "off pre"),
        (
            "ids and a filter",
            json!({ "instanceIds": ["pre", "off"], "instanceStatus": "STOPPED" }),
            "off",
        ),
        (
            "empty filters",
            json!({ "zoneId": "", "instanceIds": [], "instanceName": "web*", "tags": [] }),
            "full",
        ),
    ];
    for (name, filter, expected) in rows {
        assert_eq!(given_with(FULL).found(filter).join(" "), expected, "{name}");
    }
}

#[test]
fn pages_cut_the_list_and_count_all_of_it() {
    let more: String = (0..25)
        .map(|index| format!("  - {{ id: many-{index:02}, type: c.1c2g, chargeType: POSTPAID }}\n"))
        .collect();
    for action in ["DescribeInstances", "DescribeInstancesStatus"] {
        let mut cloud = given_with(&more);
        let mut page = |body: Value| {
            let page = cloud.ok(action, body);
            assert_eq!(page["totalCount"], 34, "{action}");
            let ids: Vec<String> = page["dataSet"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["instanceId"].as_str().unwrap().to_owned())
                .collect();
            ids
        };
        assert_eq!(page(json!({})).len(), 20, "the default");
        let all = page(json!({ "pageSize": 1000 }));
        assert_eq!(all.len(), 34);
        let cut: Vec<String> =
            (1..=5).flat_map(|number| page(json!({ "pageSize": 10, "pageNum": number }))).collect();
        assert_eq!(cut, all);
        assert!(page(json!({ "pageNum": 1000 })).is_empty());
    }
}

#[test]
fn the_catalogue_differs_per_zone_and_charge_type() {
    let types = |zone: &str, charge: &str| {
        let body = json!({ "zoneId": zone, "instanceChargeType": charge });
        let set = given().ok("DescribeZoneInstanceConfigInfos", body);
        let items = set["instanceTypeQuotaSet"].as_array().unwrap().clone();
        items
            .into_iter()
            .map(|item| (item["instanceType"].as_str().unwrap().to_owned(), item))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(types("FRA-A", "PREPAID").len(), 23);
    let (prepaid, postpaid) = (types("LAB-A", "PREPAID"), types("LAB-A", "POSTPAID"));
    assert!(!prepaid.contains_key("c.8c16g") && postpaid.contains_key("c.8c16g"));
    assert_eq!(postpaid["c.4c8g"]["internetMaxBandwidthOutLimit"], 50);
    // What is sold out is listed: there is no flag for it.
    assert!(postpaid.contains_key("c.2c4g"));
    let unknown = json!({ "instanceChargeType": "PREPAID", "instanceType": "c.3c3g" });
    let set = given().ok("DescribeZoneInstanceConfigInfos", unknown);
    assert_eq!(set, json!({ "instanceTypeQuotaSet": [] }));
    let set =
        given().ok("DescribeZoneInstanceConfigInfos", json!({ "instanceChargeType": "PREPAID" }));
    assert_eq!(set["instanceTypeQuotaSet"].as_array().unwrap().len(), 6 * 23 - 1);
}

/// A price request for so many instances of a type.
fn price(zone: &str, type_id: &str, charge: &str, period: i64, count: i64) -> Value {
    json!({
        "zoneId": zone, "instanceType": type_id, "instanceChargeType": charge,
        "internetChargeType": "ByBandwidth", "systemDisk": { "diskSize": 40, "diskCategory": "SSD" },
        "instanceCount": count, "instanceChargePrepaid": { "period": period },
        "dataDisks": [{ "diskName": "data", "diskSize": 100, "diskCategory": "SSD" }],
    })
}

#[test]
fn prices_are_those_of_the_published_sample() {
    let ask = price("SAO-A", "c.1c2g", "PREPAID", 1, 1);
    let answer = given().ok("InquiryPriceCreateInstance", ask);
    let prepaid = json!({ "discount": 95, "originalPrice": 14, "discountPrice": 13.3 });
    assert_eq!(answer["instancePrice"], prepaid);
    let ask = price("SAO-A", "c.1c2g", "POSTPAID", 1, 1);
    let answer = given().ok("InquiryPriceCreateInstance", ask);
    let postpaid = json!({
        "discount": 95, "originalPrice": null, "discountPrice": null, "unitPrice": 0.13,
        "discountUnitPrice": 0.1235, "chargeUnit": "HOUR", "stepPrices": null,
    });
    assert_eq!(answer["instancePrice"], postpaid);
}

#[test]
fn prices_are_for_the_whole_period_and_all_instances_and_differ_per_zone() {
    let original = |body: Value| {
        given().ok("InquiryPriceCreateInstance", body)["instancePrice"]["originalPrice"].clone()
    };
    assert_eq!(original(price("FRA-A", "c.1c2g", "PREPAID", 3, 2)), json!(84));
    assert_eq!(original(price("LAB-A", "c.4c8g", "PREPAID", 1, 1)), json!(100));
    let answer =
        given().ok("InquiryPriceCreateInstance", price("FRA-A", "c.1c2g", "PREPAID", 1, 1));
    assert_eq!(answer["systemDiskPrice"]["originalPrice"], json!(2));
    assert_eq!(answer["dataDiskPrice"]["originalPrice"], json!(5));
    assert_eq!(answer["dataDiskPrices"][0]["diskName"], "data");
    assert_eq!(answer["dataDiskPrices"][0]["diskPrice"]["originalPrice"], json!(5));
    assert_eq!(answer["bandwidthPrice"].as_array().unwrap().len(), 1);
    assert!(answer["eipPrice"].is_object());
}
