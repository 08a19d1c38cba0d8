//! The answers of the describe actions (fact sheet sections 7.2 and 7.3).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ChargeType, Instance, Plan, Refused, World, actions::fields, parameters::Parameters};

/// `DescribeInstanceTypeStatus`. Without a plan the target is null and the state Enable.
pub fn type_status(instance: &Instance) -> Map<String, Value> {
    let (target, status) = match &instance.plan {
        Plan::None => (Value::Null, "Enable"),
        Plan::Processing { to, .. } => (json!(to), "Processing"),
        Plan::WaitToEnable { to } => (json!(to), "WaitToEnable"),
    };
    fields(json!({
        "instanceId": instance.id,
        "instanceName": instance.name,
        "instanceType": instance.type_id,
        "modifiedInstanceType": target,
        "modifiedInstanceTypeStatus": status,
    }))
}

/// `DescribeInstances`: filters, then the page.
pub fn instances(
    world: &World,
    parameters: &Parameters<'_>,
) -> Result<Map<String, Value>, Refused> {
    let ids = parameters.texts("instanceIds", 100)?;
    let zone = parameters.text("zoneId")?;
    let model = parameters.text("instanceType")?;
    let state = parameters.text("instanceStatus")?;
    let name = parameters.text("instanceName")?.filter(|name| !name.is_empty());
    let size = parameters.integer("pageSize", 20, 1000)?;
    let page = parameters.integer("pageNum", 1, u64::from(u32::MAX))?;
    let matches = |instance: &&Instance| {
        (ids.is_empty() || ids.contains(&instance.id.as_str()))
            && zone.is_none_or(|zone| zone == instance.zone)
            && model.is_none_or(|model| model == instance.type_id)
            && state.is_none_or(|state| state == instance.state)
            && name.is_none_or(|name| match name.strip_suffix('*') {
                Some(start) => instance.name.starts_with(start),
                None => instance.name == name,
            })
    };
    let found: Vec<&Instance> = world.instances.values().filter(matches).collect();
    let skip = usize::try_from((page - 1).saturating_mul(size)).unwrap_or(usize::MAX);
    let take = usize::try_from(size).unwrap_or(usize::MAX);
    let set: Vec<Value> =
        found.iter().skip(skip).take(take).map(|instance| item(world, instance)).collect();
    Ok(fields(json!({ "totalCount": found.len(), "dataSet": set })))
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Every key is there: the Python SDK has no attribute for an object-valued key that is missing
/// (fact sheet section 4).
fn item(world: &World, instance: &Instance) -> Value {
    let model = world.catalogue.model(&instance.type_id);
    let charge_type = match instance.charge_type {
        ChargeType::Prepaid => "PREPAID",
        ChargeType::Postpaid => "POSTPAID",
    };
    json!({
        "instanceId": instance.id,
        "instanceName": instance.name,
        "zoneId": instance.zone,
        "instanceType": instance.type_id,
        "cpuCount": model.map(|model| model.cpu_count),
        "memory": model.map(|model| model.memory),
        "imageId": "img-sim",
        "imageName": "sim",
        "instanceChargeType": charge_type,
        "internetChargeType": "ByBandwidth",
        "internetMaxBandwidthOut": instance.bandwidth,
        "period": instance.expires_at.map(|_| 1),
        "createTime": time(instance.created_at),
        "expiredTime": instance.expires_at.map(time),
        "instanceStatus": instance.state,
        "autoRenew": instance.auto_renew,
        "publicIpAddresses": [],
        "publicIpv6Addresses": [],
        "privateIpAddresses": [],
        "securityGroupIds": [],
        "subnetId": "subnet-sim",
        "resourceGroupId": "rg-sim",
        "resourceGroupName": "sim",
        "trafficPackageSize": null,
        "systemDisk": { "diskId": "disk-sim", "diskSize": 40, "diskCategory": "SSD" },
        "dataDisks": [],
        "keyId": null,
        "nic": { "wanName": "eth0", "lanName": "eth1" },
        "tags": { "tags": [] },
    })
}
