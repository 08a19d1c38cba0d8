//! Every check of every request, with its documented HTTP status and code.

use serde_json::{Value, json};

use super::given::{given, given_behaviour};

/// Name, action, body, answer.
type Row = (&'static str, &'static str, Value, &'static str);

fn check(rows: Vec<Row>) {
    for (name, action, body, expected) in rows {
        assert_eq!(given().code(action, body), expected, "{action}: {name}");
    }
}

fn many(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("id-{index}")).collect()
}

#[test]
fn modify_refuses_with_the_code_of_each_check() {
    const MODIFY: &str = "ModifyInstanceType";
    let ask = |id: &str, to: &str| json!({ "instanceId": id, "instanceTypeId": to });
    check(vec![
        ("accepted", MODIFY, ask("post", "c.4c8g"), "200"),
        ("accepted when off", MODIFY, ask("off", "g.4c16g"), "200"),
        ("no id", MODIFY, json!({ "instanceTypeId": "c.4c8g" }), "400 MISSING_PARAMETER"),
        ("empty id", MODIFY, ask("", "c.4c8g"), "400 MISSING_PARAMETER"),
        ("null id", MODIFY, json!({ "instanceId": null }), "400 MISSING_PARAMETER"),
        ("no type", MODIFY, json!({ "instanceId": "post" }), "400 MISSING_PARAMETER"),
        (
            "the field name of other actions",
            MODIFY,
            json!({ "instanceId": "post", "instanceType": "c.4c8g" }),
            "400 MISSING_PARAMETER",
        ),
        ("id is a number", MODIFY, json!({ "instanceId": 1 }), "400 INVALID_PARAMETER_TYPE"),
        ("unknown id", MODIFY, ask("nobody", "c.4c8g"), "404 INVALID_INSTANCE_NOT_FOUND"),
        (
            "in the bin",
            MODIFY,
            ask("bin", "c.4c8g"),
            "400 UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE",
        ),
        (
            "on its way to the bin",
            MODIFY,
            ask("binning", "c.4c8g"),
            "400 UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE",
        ),
        ("busy", MODIFY, ask("busy", "c.4c8g"), "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        (
            "a zone without resize",
            MODIFY,
            ask("old", "c.4c8g"),
            "400 UNSUPPORTED_OPERATION_ZONE_NOT_SUPPORT",
        ),
        ("unknown type", MODIFY, ask("post", "c.3c3g"), "404 INVALID_PRODUCT_NOT_FOUND"),
        ("the same type", MODIFY, ask("post", "c.2c4g"), "400 INVALID_INSTANCE_TYPE_NOT_CHANGED"),
        (
            "out of series s",
            MODIFY,
            ask("small", "c.2c4g"),
            "400 OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED",
        ),
        (
            "into series h",
            MODIFY,
            ask("post", "h.4c8g"),
            "400 OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED",
        ),
        ("sold out", MODIFY, ask("lab", "c.2c4g"), "400 RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT"),
        ("too dear", MODIFY, ask("pre", "m.16c128g"), "200"),
    ]);
}

#[test]
fn a_type_that_the_zone_does_not_sell_for_the_charge_type_does_not_exist() {
    let mut cloud = given();
    let add = json!({ "add": { "id": "lab-pre", "type": "c.1c2g", "chargeType": "PREPAID", "zone": "LAB-A" } });
    cloud.console(add).unwrap();
    assert_eq!(cloud.modify("lab-pre", "c.8c16g"), "404 INVALID_PRODUCT_NOT_FOUND");
    assert_eq!(cloud.modify("lab", "c.8c16g"), "200");
}

#[test]
fn modify_is_allowed_in_running_and_stopped_only() {
    let states = [
        ("PENDING", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("DEPLOYING", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("CREATE_FAILED", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("RUNNING", "200"),
        ("STOPPED", "200"),
        ("BOOTING", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("STOPPING", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("REBOOT", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("REBUILDING", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("IMAGING", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("RECYCLE", "400 UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE"),
        ("RECYCLING", "400 UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE"),
        ("RELEASING", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
    ];
    for (state, expected) in states {
        let mut cloud = given();
        cloud.console(json!({ "change": { "id": "post", "change": { "state": state } } })).unwrap();
        assert_eq!(cloud.modify("post", "c.4c8g"), expected, "{state}");
    }
}

#[test]
fn an_open_plan_refuses_a_further_change() {
    let mut cloud = given();
    cloud.order("post", "c.4c8g");
    assert_eq!(cloud.modify("post", "c.8c16g"), "403 OPERATION_DENIED_INSTANCE_PLAN_PROCESSING");
    assert_eq!(cloud.modify("post", "c.4c8g"), "403 OPERATION_DENIED_INSTANCE_PLAN_PROCESSING");
    cloud.order("pre", "c.2c4g");
    assert_eq!(cloud.modify("pre", "c.8c16g"), "403 OPERATION_DENIED_INSTANCE_EXIST_PLAN");
    assert_eq!(cloud.modify("pre", "c.2c4g"), "403 OPERATION_DENIED_INSTANCE_EXIST_PLAN");
    // The current type is no change, scheduled or not.
    assert_eq!(cloud.modify("pre", "c.4c8g"), "400 INVALID_INSTANCE_TYPE_NOT_CHANGED");
}

#[test]
fn cancel_refuses_what_is_not_scheduled() {
    let mut cloud = given();
    assert_eq!(cloud.cancel("pre"), "403 OPERATION_DENIED_DOWNGRADE_NOT_EXIST");
    assert_eq!(cloud.cancel("nobody"), "404 INVALID_INSTANCE_NOT_FOUND");
    assert_eq!(cloud.code("CancelInstanceDowngrade", json!({})), "400 MISSING_PARAMETER");
    cloud.order("post", "c.1c2g");
    assert_eq!(cloud.cancel("post"), "403 OPERATION_DENIED_DOWNGRADE_NOT_EXIST", "POSTPAID");
    cloud.order("pre", "c.8c16g");
    assert_eq!(cloud.cancel("pre"), "403 OPERATION_DENIED_DOWNGRADE_NOT_EXIST", "an upgrade");
}

#[test]
fn power_actions_refuse_with_the_code_of_each_check() {
    let mut rows: Vec<Row> = Vec::new();
    for action in ["StartInstances", "StopInstances", "RebootInstances"] {
        let ids = |ids: Value| json!({ "instanceIds": ids });
        rows.extend([
            ("no ids", action, json!({}), "400 MISSING_PARAMETER"),
            ("empty list", action, ids(json!([])), "400 INVALID_PARAMETER_LESS_LENGTH"),
            ("ids are text", action, ids(json!("post")), "400 INVALID_PARAMETER_TYPE"),
            ("an id is a number", action, ids(json!([1])), "400 INVALID_PARAMETER_TYPE"),
            ("101 ids", action, ids(json!(many(101))), "400 INVALID_PARAMETER_EXCEED_LENGTH"),
            ("unknown id", action, ids(json!(["nobody"])), "404 INVALID_INSTANCE_NOT_FOUND"),
            ("in the bin", action, ids(json!(["bin"])), "403 OPERATION_DENIED_INSTANCE_RECYCLED"),
            (
                "to the bin",
                action,
                ids(json!(["binning"])),
                "403 OPERATION_DENIED_INSTANCE_RECYCLED",
            ),
        ]);
    }
    let one = |id: &str| json!({ "instanceIds": [id] });
    rows.extend([
        ("runs", "StartInstances", one("post"), "403 OPERATION_DENIED_INSTANCE_NOT_STOPPED"),
        ("busy", "StartInstances", one("busy"), "403 OPERATION_DENIED_INSTANCE_NOT_STOPPED"),
        ("off", "StartInstances", one("off"), "200"),
        ("off", "StopInstances", one("off"), "403 OPERATION_DENIED_INSTANCE_NOT_RUNNING"),
        ("busy", "StopInstances", one("busy"), "403 OPERATION_DENIED_INSTANCE_NOT_RUNNING"),
        ("runs", "StopInstances", one("post"), "200"),
        (
            "force is text",
            "StopInstances",
            json!({ "instanceIds": ["post"], "forceShutdown": "true" }),
            "400 INVALID_PARAMETER_TYPE",
        ),
        ("off", "RebootInstances", one("off"), "403 OPERATION_DENIED_INSTANCE_STATUS"),
        ("busy", "RebootInstances", one("busy"), "403 OPERATION_DENIED_INSTANCE_STATUS"),
        ("runs", "RebootInstances", one("post"), "200"),
    ]);
    check(rows);
}

#[test]
fn describe_actions_refuse_with_the_code_of_each_check() {
    const INSTANCES: &str = "DescribeInstances";
    const OFFERS: &str = "DescribeZoneInstanceConfigInfos";
    let tag = |key: &str, value: &str| json!({ "tags": [{ "key": key, "value": value }] });
    let (long, longest) = ("k".repeat(65), "k".repeat(64));
    let mut rows: Vec<Row> = vec![
        ("no id", "DescribeInstanceTypeStatus", json!({}), "400 MISSING_PARAMETER"),
        (
            "unknown id",
            "DescribeInstanceTypeStatus",
            json!({ "instanceId": "nobody" }),
            "404 INVALID_INSTANCE_NOT_FOUND",
        ),
        ("name is a number", INSTANCES, json!({ "instanceName": 7 }), "400 INVALID_PARAMETER_TYPE"),
        (
            "unknown state",
            INSTANCES,
            json!({ "instanceStatus": "RESIZING" }),
            "400 INVALID_PARAMETER_VALUE",
        ),
        (
            "unknown traffic",
            INSTANCES,
            json!({ "internetChargeType": "PREPAID" }),
            "400 INVALID_PARAMETER_VALUE",
        ),
        (
            "traffic of older pages",
            INSTANCES,
            json!({ "internetChargeType": "ByInstanceBandwidth95" }),
            "200",
        ),
        (
            "no address",
            INSTANCES,
            json!({ "publicIpAddresses": ["10.0.0"] }),
            "400 INVALID_PARAMETER_PATTERN_ERROR",
        ),
        ("an address", INSTANCES, json!({ "privateIpAddresses": ["10.0.0.1", "::1"] }), "200"),
        (
            "21 tag keys",
            INSTANCES,
            json!({ "tagKeys": many(21) }),
            "400 INVALID_PARAMETER_EXCEED_LENGTH",
        ),
        ("20 tag keys", INSTANCES, json!({ "tagKeys": many(20) }), "200"),
        (
            "empty tag key",
            INSTANCES,
            json!({ "tagKeys": [""] }),
            "400 INVALID_PARAMETER_LESS_LENGTH",
        ),
        ("a tag key of 65", INSTANCES, tag(&long, "v"), "400 INVALID_PARAMETER_EXCEED_LENGTH"),
        ("a tag value of 65", INSTANCES, tag("k", &long), "400 INVALID_PARAMETER_EXCEED_LENGTH"),
        ("a tag key of 64", INSTANCES, tag(&longest, "v"), "200"),
        (
            "a tag without a value",
            INSTANCES,
            json!({ "tags": [{ "key": "k" }] }),
            "400 MISSING_PARAMETER",
        ),
        (
            "tags are no list",
            INSTANCES,
            json!({ "tags": { "k": "v" } }),
            "400 INVALID_PARAMETER_TYPE",
        ),
        ("a tag is text", INSTANCES, json!({ "tags": ["k"] }), "400 INVALID_PARAMETER_TYPE"),
        (
            "null filters",
            INSTANCES,
            json!({ "zoneId": null, "instanceIds": null, "pageSize": null }),
            "200",
        ),
        ("no charge type", OFFERS, json!({}), "400 MISSING_PARAMETER"),
        (
            "unknown charge type",
            OFFERS,
            json!({ "instanceChargeType": "HOURLY" }),
            "400 INVALID_PARAMETER_VALUE",
        ),
        (
            "unknown zone",
            OFFERS,
            json!({ "instanceChargeType": "PREPAID", "zoneId": "X-1" }),
            "404 INVALID_ZONE_NOT_FOUND",
        ),
        (
            "zones are text",
            "DescribeZones",
            json!({ "zoneIds": "FRA-A" }),
            "400 INVALID_PARAMETER_TYPE",
        ),
    ];
    for action in [INSTANCES, "DescribeInstancesStatus"] {
        rows.extend([
            ("100 ids", action, json!({ "instanceIds": many(100) }), "200"),
            (
                "101 ids",
                action,
                json!({ "instanceIds": many(101) }),
                "400 INVALID_PARAMETER_EXCEED_LENGTH",
            ),
            ("page of 1000", action, json!({ "pageSize": 1000 }), "200"),
            (
                "page of 1001",
                action,
                json!({ "pageSize": 1001 }),
                "400 INVALID_PARAMETER_EXCEED_MAXIMUM",
            ),
            (
                "page of none",
                action,
                json!({ "pageSize": 0 }),
                "400 INVALID_PARAMETER_LESS_MINIMUM",
            ),
            (
                "page of less",
                action,
                json!({ "pageSize": -1 }),
                "400 INVALID_PARAMETER_LESS_MINIMUM",
            ),
            ("page is text", action, json!({ "pageSize": "20" }), "400 INVALID_PARAMETER_TYPE"),
            ("page of a half", action, json!({ "pageSize": 0.5 }), "400 INVALID_PARAMETER_TYPE"),
            (
                "page number 0",
                action,
                json!({ "pageNum": 0 }),
                "400 INVALID_PARAMETER_LESS_MINIMUM",
            ),
            (
                "the largest page number",
                action,
                json!({ "pageNum": i64::MAX, "pageSize": 1000 }),
                "200",
            ),
            ("a page number beyond", action, json!({ "pageNum": u64::MAX }), "200"),
        ]);
    }
    check(rows);
}

/// A whole price request, with this field set, or left out if it is null.
fn price(field: &str, value: Value) -> Value {
    let mut body = json!({
        "zoneId": "SAO-A", "instanceType": "c.1c2g", "instanceChargeType": "PREPAID",
        "internetChargeType": "ByBandwidth", "systemDisk": { "diskSize": 40, "diskCategory": "SSD" },
        "instanceCount": 1, "instanceChargePrepaid": { "period": 1 },
    });
    body[field] = value;
    body
}

#[test]
fn price_refuses_with_the_code_of_each_check() {
    const PRICE: &str = "InquiryPriceCreateInstance";
    let mut rows: Vec<Row> = Vec::new();
    for field in [
        "zoneId",
        "instanceType",
        "instanceChargeType",
        "internetChargeType",
        "systemDisk",
        "instanceChargePrepaid",
    ] {
        rows.push((field, PRICE, price(field, Value::Null), "400 MISSING_PARAMETER"));
        rows.push((field, PRICE, price(field, json!(7)), "400 INVALID_PARAMETER_TYPE"));
    }
    rows.extend([
        ("all", PRICE, price("imageId", json!("img-1")), "200"),
        ("no count", PRICE, price("instanceCount", Value::Null), "200"),
        ("count 0", PRICE, price("instanceCount", json!(0)), "400 INVALID_PARAMETER_LESS_MINIMUM"),
        (
            "huge count",
            PRICE,
            price("instanceCount", json!(1_000_000)),
            "400 INVALID_PARAMETER_EXCEED_MAXIMUM",
        ),
        (
            "disk without size",
            PRICE,
            price("systemDisk", json!({ "diskCategory": "SSD" })),
            "400 MISSING_PARAMETER",
        ),
        ("disk without category", PRICE, price("systemDisk", json!({ "diskSize": 4 })), "200"),
        (
            "category is a number",
            PRICE,
            price("systemDisk", json!({ "diskSize": 4, "diskCategory": 1 })),
            "400 INVALID_PARAMETER_TYPE",
        ),
        (
            "disk of none",
            PRICE,
            price("systemDisk", json!({ "diskSize": 0 })),
            "400 INVALID_PARAMETER_LESS_MINIMUM",
        ),
        ("no period", PRICE, price("instanceChargePrepaid", json!({})), "400 MISSING_PARAMETER"),
        (
            "period 0",
            PRICE,
            price("instanceChargePrepaid", json!({ "period": 0 })),
            "400 INVALID_PARAMETER_LESS_MINIMUM",
        ),
        (
            "traffic is text",
            PRICE,
            price("trafficPackageSize", json!("1")),
            "400 INVALID_PARAMETER_TYPE",
        ),
        (
            "traffic below nothing",
            PRICE,
            price("trafficPackageSize", json!(-0.5)),
            "400 INVALID_PARAMETER_LESS_MINIMUM",
        ),
        (
            "traffic without bounds",
            PRICE,
            price("trafficPackageSize", json!(1e28)),
            "400 INVALID_PARAMETER_EXCEED_MAXIMUM",
        ),
        ("traffic of a half", PRICE, price("trafficPackageSize", json!(0.5)), "200"),
        ("disks are text", PRICE, price("dataDisks", json!("two")), "400 INVALID_PARAMETER_TYPE"),
        (
            "bad traffic kind",
            PRICE,
            price("internetChargeType", json!("Free")),
            "400 INVALID_PARAMETER_VALUE",
        ),
        ("unknown zone", PRICE, price("zoneId", json!("X-1")), "404 INVALID_ZONE_NOT_FOUND"),
        (
            "unknown type",
            PRICE,
            price("instanceType", json!("c.3c3g")),
            "404 INVALID_PRODUCT_NOT_FOUND",
        ),
    ]);
    check(rows);
}

#[test]
fn a_body_that_is_no_object_and_an_action_that_does_not_exist_are_refused() {
    for body in [json!([]), json!("text"), json!(null), json!(7)] {
        let code = given().code("DescribeZones", body.clone());
        assert_eq!(code, "400 INVALID_PARAMETER_TYPE", "{body}");
    }
    for action in ["", "describezones", "TerminateInstance", "ModifyInstanceTypes"] {
        // The action is looked at before the body.
        let code = given().code(action, json!([]));
        assert_eq!(code, "401 AUTHFAILURE_UNAUTHORIZED_OPERATION", "{action}");
    }
}

#[test]
fn the_order_of_the_checks_is_the_one_that_was_set() {
    let rows = [
        // A change runs, the instance reboots because of it, and the type does not exist.
        ("documented", "post", "nothing", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("stateFirst", "post", "nothing", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("planFirst", "post", "nothing", "403 OPERATION_DENIED_INSTANCE_PLAN_PROCESSING"),
        ("modelFirst", "post", "nothing", "404 INVALID_PRODUCT_NOT_FOUND"),
        ("documented", "bin", "nothing", "400 UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE"),
        ("stateFirst", "bin", "nothing", "400 UNSUPPORTED_OPERATION_INSTANCE_STATUS"),
        ("planFirst", "bin", "nothing", "400 UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE"),
        ("modelFirst", "bin", "nothing", "404 INVALID_PRODUCT_NOT_FOUND"),
        ("documented", "old", "c.1c2g", "400 UNSUPPORTED_OPERATION_ZONE_NOT_SUPPORT"),
        ("modelFirst", "old", "c.1c2g", "400 INVALID_INSTANCE_TYPE_NOT_CHANGED"),
    ];
    for (order, id, to, expected) in rows {
        let mut cloud = given_behaviour(&format!("checkOrder: {order}, guest: reboots"));
        cloud.order("post", "c.4c8g");
        assert_eq!(cloud.modify(id, to), expected, "{order} {id} {to}");
    }
}
