//! The bodies of all requests (fact sheet section 7).

use serde_json::{Value, json};

use super::{ChargeType, Instance, InstanceId, InstanceIds, InstanceTypeId, Mutation, SystemDisk};

/// Which part of the catalogue: it differs by zone and by charge type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueQuery {
    pub zone_id: String,
    pub charge_type: ChargeType,
}

/// What the price of one new instance depends on. There is no price query for a change of type
/// (fact sheet section 7.8): compare the prices of two types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceInquiry {
    pub zone_id: String,
    pub type_id: InstanceTypeId,
    pub charge_type: ChargeType,
    pub internet_charge_type: String,
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
