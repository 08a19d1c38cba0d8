//! DescribeZones and DescribeZoneInstanceConfigInfos.

use serde::Serialize;

use super::instances::CURRENT_CHARGE_TYPES;
use crate::world::{
    CatalogueExtras, Offered, Refused, World, Zone,
    answer::{Field, refusal},
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

/// Ids that do not exist are left out (inferred). Nothing here says whether a zone supports resize.
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

/// One type in one zone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfferItem<'w> {
    zone_id: &'w str,
    instance_type: &'w str,
    instance_type_name: &'w str,
    cpu_count: i64,
    memory: i64,
    internet_max_bandwidth_out_limit: i64,
    #[serde(skip_serializing_if = "Field::is_absent")]
    frequency: Field<&'w str>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    internet_charge_types: Field<Vec<&'w str>>,
}

/// 404 for a zone that does not exist (page "DescribeZoneInstanceConfigInfos", in Chinese).
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
    let extras = world.rules.behaviour.catalogue_extras;
    let catalogue = &world.rules.catalogue;
    let mut set = Vec::new();
    for zone in zones {
        for id in catalogue.models.keys().filter(|id| only.is_none_or(|only| only == *id)) {
            if let Some(offered) = catalogue.offered(&zone.id, charge, id) {
                set.push(item(zone, offered, extras));
            }
        }
    }
    Ok(Offers { instance_type_quota_set: set })
}

fn item<'w>(zone: &'w Zone, offered: Offered<'w>, extras: CatalogueExtras) -> OfferItem<'w> {
    let model = offered.model;
    let kinds = match offered.internet_charge_types {
        Some(own) => own.iter().map(String::as_str).collect(),
        None => CURRENT_CHARGE_TYPES.to_vec(),
    };
    OfferItem {
        zone_id: &zone.id,
        instance_type: &model.id,
        instance_type_name: model.name.as_deref().unwrap_or(&model.id),
        cpu_count: model.cpu_count,
        memory: model.memory,
        internet_max_bandwidth_out_limit: offered.bandwidth_limit,
        frequency: extra(&model.frequency, extras),
        internet_charge_types: extra(kinds, extras),
    }
}

fn extra<T>(value: T, extras: CatalogueExtras) -> Field<T> {
    match extras {
        CatalogueExtras::Given => Field::Is(value),
        CatalogueExtras::Null => Field::Null,
        CatalogueExtras::Absent => Field::Absent,
    }
}
