//! What the vendor's clients send and see: requests in the form in which the Go, Java and Python
//! SDKs and the Terraform provider write them.

use std::io::Read;

use serde_json::{Value, json};

use crate::{
    caller::{Answer, Request},
    stage::Stage,
};

/// The order that Go writes the fields of a price request in; without a category of any disk.
fn price(charge: &str, disks: Value) -> Value {
    json!({
        "zoneId": "SAO-A", "instanceType": "c.1c2g", "instanceChargeType": charge,
        "instanceChargePrepaid": { "period": 1 }, "internetChargeType": "ByBandwidth",
        "instanceCount": 1, "systemDisk": { "diskSize": 40 }, "dataDisks": disks,
    })
}

async fn ok(stage: &Stage, action: &str, body: Value) -> Value {
    let answer = stage.call(action, body).await;
    assert_eq!(answer.verdict(), "200 OK", "{action}: {}", answer.text());
    answer.json()["response"].clone()
}

#[tokio::test]
async fn a_disk_without_a_category_is_priced_as_the_default_one() {
    for (switch, category) in [
        ("", "SSD"),
        ("behaviour: { defaultDiskCategory: SSD }\n", "SSD"),
        ("behaviour: { defaultDiskCategory: STANDARD }\n", "STANDARD"),
    ] {
        let stage = Stage::with("", switch).await;
        let body = price("PREPAID", json!([{ "diskSize": 100 }]));
        let prices = ok(&stage, "InquiryPriceCreateInstance", body).await;
        assert_eq!(prices["systemDiskPrice"]["originalPrice"], 2, "{switch}");
        assert_eq!(prices["dataDiskPrices"][0]["diskCategory"], category, "{switch}");
        // One that names the default is equal to one that doesn't.
        let both = json!([{ "diskSize": 100 }, { "diskSize": 100, "diskCategory": category }]);
        let prices = ok(&stage, "InquiryPriceCreateInstance", price("PREPAID", both)).await;
        assert_eq!(prices["dataDiskPrices"].as_array().unwrap().len(), 1, "{switch}");
    }
}

#[tokio::test]
async fn data_disks_are_counted_and_equal_ones_are_one_item() {
    let stage = Stage::given().await;
    let disks = json!([
        { "diskSize": 100, "diskAmount": 2, "diskCategory": "SSD" },
        { "diskSize": 100, "diskCategory": "STANDARD" },
        { "diskSize": 20, "diskAmount": 3, "diskCategory": "SSD" },
        { "diskSize": 100, "diskCategory": "SSD" },
    ]);
    let prices = ok(&stage, "InquiryPriceCreateInstance", price("PREPAID", disks)).await;
    // 0.05 for a GB and month; 460 GB in all. The zone takes 95 %.
    assert_eq!(prices["dataDiskPrice"]["originalPrice"], 23);
    assert_eq!(prices["dataDiskPrice"]["discountPrice"], 21.85);
    let items: Vec<Value> = prices["dataDiskPrices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let price = &item["diskPrice"]["originalPrice"];
            json!([item["diskSize"], item["diskCategory"], item["diskAmount"], price])
        })
        .collect();
    assert_eq!(
        items,
        [json!([100, "SSD", 3, 15]), json!([100, "STANDARD", 1, 5]), json!([20, "SSD", 3, 3])]
    );
    // A name stays if all disks of an item have it.
    let named = |first: &str, second: &str| json!([{ "diskSize": 1, "diskName": first }, { "diskSize": 1, "diskName": second }]);
    for (disks, name) in [(named("a", "a"), json!("a")), (named("a", "b"), Value::Null)] {
        let prices = ok(&stage, "InquiryPriceCreateInstance", price("PREPAID", disks)).await;
        assert_eq!(prices["dataDiskPrices"][0]["diskName"], name);
    }
    // POSTPAID names the price of an hour.
    let disks = json!([{ "diskSize": 100, "diskAmount": 2 }, { "diskSize": 44 }]);
    let prices = ok(&stage, "InquiryPriceCreateInstance", price("POSTPAID", disks)).await;
    assert_eq!(prices["dataDiskPrice"]["unitPrice"], 0.01694);
    for (name, amount, code) in [
        ("none", json!(0), "400 INVALID_PARAMETER_LESS_MINIMUM"),
        ("text", json!("2"), "400 INVALID_PARAMETER_TYPE"),
        ("too many", json!(1_000_000), "400 INVALID_PARAMETER_EXCEED_MAXIMUM"),
        ("the most", json!(100_000), "200 OK"),
    ] {
        let body = price("PREPAID", json!([{ "diskSize": 100_000, "diskAmount": amount }]));
        let verdict = stage.call("InquiryPriceCreateInstance", body).await.verdict();
        assert_eq!(verdict, code, "{name}");
    }
}

#[tokio::test]
async fn a_traffic_package_is_priced_by_its_size_and_demanded_if_it_was_set_so() {
    let with = |size: Value| {
        let mut body = price("PREPAID", json!([]));
        body["internetChargeType"] = "ByTrafficPackage".into();
        body["trafficPackageSize"] = size;
        body
    };
    let stage = Stage::given().await;
    let costs = async |size: Value| {
        let prices = ok(&stage, "InquiryPriceCreateInstance", with(size)).await;
        prices["bandwidthPrice"][0]["originalPrice"].as_f64().unwrap()
    };
    let (half, two) = (costs(json!(0.5)).await, costs(json!(2)).await);
    assert!(half > 0.0 && (two - 4.0 * half).abs() < 1e-9, "{half} for 0.5 TB, {two} for 2 TB");
    assert!(costs(Value::Null).await.abs() < 1e-9, "the documents don't demand a size");
    let strict = Stage::with("", "behaviour: { priceNeedsTrafficPackage: true }\n").await;
    let verdict =
        async |body: Value| strict.call("InquiryPriceCreateInstance", body).await.verdict();
    assert_eq!(verdict(with(Value::Null)).await, "400 MISSING_PARAMETER");
    assert_eq!(verdict(with(json!(1))).await, "200 OK");
    assert_eq!(verdict(price("PREPAID", json!([]))).await, "200 OK", "by bandwidth");
    let mut postpaid = with(Value::Null);
    postpaid["instanceChargeType"] = "POSTPAID".into();
    assert_eq!(verdict(postpaid).await, "200 OK", "only a PREPAID package is bought");
}

/// Terraform reads the size of such an instance without a look at whether it is there.
#[tokio::test]
async fn a_prepaid_instance_with_a_traffic_package_always_shows_its_size() {
    let stage = Stage::given().await;
    let add = |charge: &str, size: Value| {
        let mut details = json!({ "internetChargeType": "ByTrafficPackage" });
        if !size.is_null() {
            details["trafficPackageSize"] = size;
        }
        json!({ "id": "vm-3", "type": "c.1c2g", "chargeType": charge, "details": details })
    };
    let refused = stage.control("POST", "instances", add("PREPAID", Value::Null)).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    for part in ["details.trafficPackageSize", "PREPAID", "ByTrafficPackage", "write 1"] {
        assert!(refused.text().contains(part), "{part} is missing in {}", refused.text());
    }
    let negative = stage.control("POST", "instances", add("PREPAID", json!(-1))).await;
    assert_eq!(negative.status, 400, "{}", negative.text());
    stage.does("POST", "instances", add("PREPAID", json!(1.5))).await;
    let found = ok(&stage, "DescribeInstances", json!({ "instanceIds": ["vm-3"] })).await;
    assert_eq!(found["dataSet"][0]["trafficPackageSize"], 1.5);
    stage.does("DELETE", "instances/vm-3", Value::Null).await;
    stage.does("POST", "instances", add("POSTPAID", Value::Null)).await;
}

#[tokio::test]
async fn the_catalogue_names_frequency_and_kinds_of_traffic_unless_it_was_set_otherwise() {
    let ask = json!({ "instanceChargeType": "POSTPAID", "zoneId": "FRA-A" });
    let item = async |switch: &str| {
        let stage = Stage::with("", switch).await;
        let set = ok(&stage, "DescribeZoneInstanceConfigInfos", ask.clone()).await;
        let all = set["instanceTypeQuotaSet"].as_array().unwrap().clone();
        all.into_iter().find(|item| item["instanceType"] == "c.4c8g").unwrap()
    };
    let given = item("").await;
    assert!(given["frequency"].as_str().is_some_and(|text| text.ends_with("GHz")), "{given}");
    let kinds = ["ByBandwidth", "ByTrafficPackage", "ByClusterBandwidth95", "BandwidthCluster"];
    assert_eq!(given["internetChargeTypes"], json!(kinds));
    let fields = ["frequency", "internetChargeTypes"];
    let null = item("behaviour: { catalogueExtras: \"null\" }\n").await;
    assert_eq!(fields.map(|field| null.get(field)), [Some(&Value::Null), Some(&Value::Null)]);
    let absent = item("behaviour: { catalogueExtras: absent }\n").await;
    assert_eq!(fields.map(|field| absent.get(field)), [None, None]);
    // As the documented sample: nothing else is missing.
    assert_eq!(absent["internetMaxBandwidthOutLimit"], 1500);
    let own = "models: [{ id: c.4c8g, series: c, cpuCount: 4, memory: 8, bandwidthLimit: 1500, \
               monthlyPrice: 1, hourlyPrice: 1, frequency: 3.1 GHz }]\n\
               zones: [{ id: FRA-A, offers: [{ type: c.4c8g, chargeType: POSTPAID, \
               internetChargeTypes: [ByBandwidth] }] }]\n";
    let own = item(own).await;
    assert_eq!(fields.map(|field| own[field].clone()), [json!("3.1 GHz"), json!(["ByBandwidth"])]);
    // One field alone goes away by a fault.
    let stage = Stage::given().await;
    let path = "instanceTypeQuotaSet.*.frequency";
    stage.fault(json!({ "kind": "removeField", "path": path })).await;
    let set = ok(&stage, "DescribeZoneInstanceConfigInfos", ask.clone()).await;
    let item = &set["instanceTypeQuotaSet"][0];
    assert_eq!(fields.map(|field| item.get(field).is_some()), [false, true]);
}

#[tokio::test]
async fn an_overdrawn_account_still_makes_the_changes_that_cost_nothing() {
    let stage = Stage::with("", "balance: -5.25\n").await;
    let change = |id: &str, to: &str| {
        stage.request("ModifyInstanceType", json!({ "instanceId": id, "instanceTypeId": to }))
    };
    let rows = [
        ("POSTPAID, up", "vm-1", "c.4c8g", "200 OK"),
        ("PREPAID, up", "vm-2", "c.4c8g", "403 OPERATION_FAILED_INSUFFICIENT_BALANCE"),
        ("PREPAID, down", "vm-2", "c.1c2g", "200 OK"),
    ];
    for (name, id, to, expected) in rows {
        assert_eq!(stage.send(&change(id, to)).await.verdict(), expected, "{name}");
    }
    assert_eq!(stage.orders().await, 2);
    assert_eq!(stage.shows("balance").await["balance"], "-5.25");
}

fn unzipped(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-encoding"), Some("gzip"), "{}", answer.head);
    let mut text = String::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Every official client asks for gzip, and none can read spaces behind it.
#[tokio::test]
async fn an_over_long_answer_is_whole_for_a_client_that_accepts_gzip() {
    let stage = Stage::given().await;
    stage.fault(json!({ "kind": "overlongBody", "bytes": 300_000 })).await;
    let request = stage.request("DescribeInstances", json!({ "instanceIds": ["vm-1"] }));
    let answer = stage.send(&request.clone().header("accept-encoding", "gzip, deflate")).await;
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.header("content-length"), Some("300000"));
    assert_eq!(answer.body.len(), 300_000);
    assert_eq!(answer.json()["response"]["totalCount"], 1);
    let next = stage.send(&request.header("accept-encoding", "gzip, deflate")).await;
    assert_eq!(unzipped(&next)["response"]["totalCount"], 1);
}

/// The id, the code and the message of a refusal, as all clients parse it.
fn refusal(answer: &Answer) -> (u16, String, String) {
    let body =
        if answer.header("content-encoding").is_some() { unzipped(answer) } else { answer.json() };
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let id = body["requestId"].as_str().unwrap_or_default();
    assert!(id.starts_with('T') && id.len() == 37, "{body}");
    assert!(body.get("response").is_none(), "{body}");
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    (answer.status, text("code"), text("message"))
}

#[tokio::test]
async fn a_body_that_is_too_large_gets_a_refusal_that_arrives_whole() {
    let stage = Stage::given().await;
    for size in [(1 << 20) + 1, 8 << 20] {
        for accepts in ["identity", "gzip"] {
            let large = Request::new("DescribeInstances", vec![b' '; size], stage.now())
                .header("accept-encoding", accepts);
            let (status, code, message) = refusal(&stage.send(&large).await);
            assert_eq!((status, code.as_str()), (413, "INVALID_PARAMETER_EXCEED_LENGTH"));
            assert!(message.contains("1048576"), "{message}");
        }
    }
    let most = Request::new("DescribeZones", vec![b' '; 1 << 20], stage.now());
    assert_eq!(stage.send(&most).await.verdict(), "400 INVALID_PARAMETER_TYPE");
    let set = "transport: { bodyTooLarge: { status: 400, code: TOO_LARGE } }\n";
    let stage = Stage::with("", set).await;
    let large = Request::new("DescribeInstances", vec![b' '; (1 << 20) + 1], stage.now());
    assert_eq!(stage.send(&large).await.verdict(), "400 TOO_LARGE");
}

/// Terraform asks other products too, such as for their zones.
#[tokio::test]
async fn paths_of_other_products_are_refused_as_an_action_that_does_not_exist() {
    const UNAUTHORIZED: &str = "AUTHFAILURE_UNAUTHORIZED_OPERATION";
    let stage = Stage::given().await;
    let to = |line: &str| {
        let request = stage.request("DescribeZones", json!({}));
        request.with(|one| one.line = format!("{line} HTTP/1.1"))
    };
    let rows = [
        ("another product", "POST /api/v2/bmc", 401),
        ("another product of a newer name", "POST /api/v2/zec", 401),
        ("below the path", "POST /api/v2/vm/", 401),
        ("an older path", "POST /api/v1/vm", 401),
        ("the bare slash of older samples", "POST /", 401),
        ("beside the control API", "POST /controls", 401),
        ("another method", "GET /api/v2/vm", 405),
        ("a browser", "GET /", 405),
        ("in absolute form", "POST http://console.zenlayer.com/api/v2/bmc", 401),
    ];
    for (name, line, status) in rows {
        for accepts in ["identity", "gzip"] {
            let request = to(line).header("accept-encoding", accepts);
            let (found, code, message) = refusal(&stage.send(&request).await);
            assert_eq!((found, code.as_str()), (status, UNAUTHORIZED), "{name}: {message}");
            assert!(message.contains("/api/v2/vm"), "{name}: {message}");
        }
    }
    // The credential is looked at first, as for every call.
    let wrong = to("POST /api/v2/bmc").with(|one| one.secret = "another".into());
    assert_eq!(stage.send(&wrong).await.verdict(), "401 AUTHFAILURE_SIGNATURE_FAILURE");
    // No rule of faults is used up by them, and the log tells them apart from calls.
    stage.fault(json!({ "kind": "dropBefore" })).await;
    assert_eq!(stage.send(&to("POST /api/v2/bmc")).await.status, 401);
    assert_eq!(stage.shows("faults").await["faults"][0]["matched"], 0);
    stage.does("DELETE", "faults", Value::Null).await;
    stage.call("DescribeZones", json!({})).await;
    let log = stage.shows("requests").await;
    let requests = log["requests"].as_array().unwrap();
    assert_eq!(requests[0]["path"], "/api/v2/bmc");
    assert_eq!(requests.last().unwrap().get("path"), None);
    assert_eq!(log["counts"]["DescribeZones"], json!({ "OK": 1 }), "{}", log["counts"]);
    let set = "transport: { otherProduct: { status: 404, code: NO_SUCH_PRODUCT } }\n";
    let stage = Stage::with("", set).await;
    let request = stage.request("DescribeZones", json!({}));
    let request = request.with(|one| one.line = "POST /api/v2/bmc HTTP/1.1".into());
    assert_eq!(stage.send(&request).await.verdict(), "404 NO_SUCH_PRODUCT");
}
