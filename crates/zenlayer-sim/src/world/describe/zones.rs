//! DescribeZones and DescribeZoneInstanceConfigInfos (fact sheet sections 7.9 and 7.5).

use serde::Serialize;

use crate::world::{
    Offered, Refused, World, Zone,
    actions::refusal,
    parameters::{IDS, Parameters},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Zones<'w> {
    zone_set: Vec<ZoneItem<'w>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ZoneItem<'w> {
    zone_id: &'w str,
    zone_name: &'w str,
    support_security_group: bool,
    support_network_type: &'static str,
    support_ipv6: bool,
    support_cpu_pass_through: bool,
    network_line_type: &'static str,
}

/// Ids that do not exist are left out (INF). Nothing here says whether a zone supports resize.
pub fn zones<'w>(world: &'w World, parameters: &Parameters<'_>) -> Result<Zones<'w>, Refused> {
    let ids = parameters.texts("zoneIds", IDS)?;
    let wanted = |zone: &&Zone| ids.is_empty() || ids.contains(&zone.id.as_str());
    let item = |zone: &'w Zone| ZoneItem {
        zone_id: &zone.id,
        zone_name: zone.name.as_deref().unwrap_or(&zone.id),
        support_security_group: true,
        support_network_type: "VPC",
        support_ipv6: true,
        support_cpu_pass_through: false,
        network_line_type: "BGP",
    };
    Ok(Zones { zone_set: world.rules.catalogue.zones.values().filter(wanted).map(item).collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offers<'w> {
    instance_type_quota_set: Vec<OfferItem<'w>>,
}

/// One type in one zone. `frequency` and `internetChargeTypes` are absent, as in the sample.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfferItem<'w> {
    zone_id: &'w str,
    instance_type: &'w str,
    instance_type_name: &'w str,
    cpu_count: i64,
    memory: i64,
    internet_max_bandwidth_out_limit: i64,
}

/// 404 for a zone that does not exist (DOC CN-ConfigInfos).
pub(super) fn zone<'w>(world: &'w World, id: &str) -> Result<&'w Zone, Refused> {
    let message = format!("zone {id} does not exist");
    let found = world.rules.catalogue.zones.get(id);
    found.ok_or_else(|| refusal(404, "INVALID_ZONE_NOT_FOUND", message))
}

/// The catalogue per zone and charge type. It names no stock and no price, so what is sold out is
/// listed too.
pub fn offers<'w>(world: &'w World, parameters: &Parameters<'_>) -> Result<Offers<'w>, Refused> {
    let charge = parameters.charge_type("instanceChargeType")?;
    let zones: Vec<&Zone> = match parameters.text("zoneId")? {
        Some(id) => vec![zone(world, id)?],
        None => world.rules.catalogue.zones.values().collect(),
    };
    let only = parameters.text("instanceType")?;
    let catalogue = &world.rules.catalogue;
    let mut set = Vec::new();
    for zone in zones {
        for id in catalogue.models.keys().filter(|id| only.is_none_or(|only| only == *id)) {
            if let Some(offered) = catalogue.offered(&zone.id, charge, id) {
                set.push(item(zone, offered));
            }
        }
    }
    Ok(Offers { instance_type_quota_set: set })
}

fn item<'w>(zone: &'w Zone, offered: Offered<'w>) -> OfferItem<'w> {
    let model = offered.model;
    OfferItem {
        zone_id: &zone.id,
        instance_type: &model.id,
        instance_type_name: model.name.as_deref().unwrap_or(&model.id),
        cpu_count: model.cpu_count,
        memory: model.memory,
        internet_max_bandwidth_out_limit: offered.bandwidth_limit,
    }
}
