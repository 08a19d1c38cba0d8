//! The bodies of all requests, as the provider's page of each action has them.

use serde_json::{Value, json};

use super::{ChargeType, Instance, InstanceId, InstanceIds, InstanceTypeId, Mutation, SystemDisk};

/// Which part of the catalogue: it differs by zone and by charge type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CatalogueQuery {
    /// Such as `FRA-A`.
    pub zone_id: String,
    /// The instance's own.
    pub charge_type: ChargeType,
}

/// What the price of one new instance depends on, for one month where it is PREPAID. There is no
/// price query for a change of type in the `vm` API: compare the prices of two types, as the provider
/// does to tell an upgrade from a downgrade (page "ModifyInstanceType", in Chinese).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceInquiry {
    /// Such as `FRA-A`.
    pub zone_id: String,
    /// The type that is priced.
    pub type_id: InstanceTypeId,
    /// PREPAID or POSTPAID; it decides which fields of the [`Price`](crate::Price) are filled.
    pub charge_type: ChargeType,
    /// `internetChargeType`, such as `ByBandwidth`.
    pub internet_charge_type: String,
    /// The provider prices it with the instance.
    pub system_disk: SystemDisk,
}

impl PriceInquiry {
    /// The price of an instance as it is, but of another type. `None`: the provider did not show
    /// all that a price depends on.
    pub fn of(instance: &Instance, type_id: InstanceTypeId) -> Option<Self> {
        Some(Self {
            zone_id: instance.zone_id.clone()?,
            type_id,
            charge_type: instance.charge_type.clone(),
            internet_charge_type: instance.internet_charge_type.clone()?,
            system_disk: instance.system_disk.clone()?,
        })
    }
}

pub fn by_ids(ids: &InstanceIds) -> Value {
    let list: Vec<&str> = ids.iter().map(InstanceId::as_str).collect();
    json!({ "instanceIds": list, "pageSize": list.len(), "pageNum": 1 })
}

/// A page of all instances; pages count from 1.
pub fn page(number: usize, size: usize) -> Value {
    json!({ "pageSize": size, "pageNum": number })
}

pub fn by_id(id: &InstanceId) -> Value {
    json!({ "instanceId": id.as_str() })
}

pub fn catalogue(query: &CatalogueQuery) -> Value {
    json!({ "zoneId": query.zone_id, "instanceChargeType": query.charge_type.as_str() })
}

pub fn price(inquiry: &PriceInquiry) -> Value {
    let PriceInquiry { zone_id, type_id, charge_type, internet_charge_type, system_disk } = inquiry;
    let SystemDisk { size_gb, category } = system_disk;
    let mut body = json!({
        "zoneId": zone_id,
        "instanceType": type_id.as_str(),
        "instanceChargeType": charge_type.as_str(),
        "internetChargeType": internet_charge_type,
        "systemDisk": { "diskSize": size_gb, "diskCategory": category },
        "instanceCount": 1,
    });
    if *charge_type == ChargeType::Prepaid {
        body["instanceChargePrepaid"] = json!({ "period": 1 });
    }
    body
}

pub fn mutation(mutation: &Mutation, id: &InstanceId) -> Value {
    let id = id.as_str();
    match mutation {
        Mutation::Modify { to } => json!({ "instanceId": id, "instanceTypeId": to.as_str() }),
        Mutation::CancelDowngrade => json!({ "instanceId": id }),
        Mutation::Start | Mutation::Reboot => json!({ "instanceIds": [id] }),
        // Forced is the provider's default: a hard power-off.
        Mutation::Stop => json!({ "instanceIds": [id], "forceShutdown": false }),
    }
}
