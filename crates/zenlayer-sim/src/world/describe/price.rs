//! InquiryPriceCreateInstance (fact sheet section 7.8). The prices of types are those of the
//! catalogue; those of disks and bandwidth are made up, since only a type's is published.

use rust_decimal::Decimal;
use serde::Serialize;

use super::{instances::INTERNET_CHARGE_TYPES, zones::zone};
use crate::world::{
    ChargeType, Refused, World,
    actions::refusal,
    answer::{Field, Number},
    parameters::{IDS, Limits, Parameters},
};

/// List price of a GB of disk for a month.
const DISK: Decimal = Decimal::from_parts(5, 0, 0, false, 2);
/// List price of a Mbps for a month.
const BANDWIDTH: Decimal = Decimal::from_parts(1, 0, 0, false, 0);
/// Hours of a month of 30 days.
const HOURS: Decimal = Decimal::from_parts(720, 0, 0, false, 0);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Prices {
    instance_price: Price,
    bandwidth_price: Vec<Price>,
    eip_price: Price,
    system_disk_price: Price,
    data_disk_price: Price,
    data_disk_prices: Vec<DiskPrice>,
}

/// The PREPAID sample leaves the unit prices out, the POSTPAID sample prints the totals as null (DOC
/// CN-Price): both are played so.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Price {
    discount: Number,
    original_price: Field<Number>,
    discount_price: Field<Number>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    unit_price: Field<Number>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    discount_unit_price: Field<Number>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    charge_unit: Field<&'static str>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    step_prices: Field<()>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DiskPrice {
    disk_name: Field<String>,
    disk_size: i64,
    disk_category: String,
    disk_price: Price,
}

/// What all prices of one answer have in common.
struct Terms {
    charge: ChargeType,
    /// Percent that is paid.
    discount: Decimal,
    /// Months, for PREPAID.
    period: Decimal,
    count: Decimal,
}

impl Terms {
    fn price(&self, monthly: Decimal, hourly: Decimal) -> Price {
        let paid = |list: Decimal| (list * self.discount / Decimal::ONE_HUNDRED).normalize();
        let number = |amount: Decimal| Field::Is(Number(amount.normalize()));
        match self.charge {
            ChargeType::Prepaid => {
                let list = monthly * self.period * self.count;
                Price {
                    discount: Number(self.discount),
                    original_price: number(list),
                    discount_price: number(paid(list)),
                    unit_price: Field::Absent,
                    discount_unit_price: Field::Absent,
                    charge_unit: Field::Absent,
                    step_prices: Field::Absent,
                }
            }
            ChargeType::Postpaid => {
                let list = hourly * self.count;
                Price {
                    discount: Number(self.discount),
                    original_price: Field::Null,
                    discount_price: Field::Null,
                    unit_price: number(list),
                    discount_unit_price: number(paid(list)),
                    charge_unit: Field::Is("HOUR"),
                    step_prices: Field::Null,
                }
            }
        }
    }

    fn by_month(&self, monthly: Decimal) -> Price {
        self.price(monthly, (monthly / HOURS).round_dp(5))
    }
}

const POSITIVE: Limits = Limits { default: 1, least: 1, most: 100_000 };

fn disk(parameters: &Parameters<'_>) -> Result<(i64, String), Refused> {
    if parameters.get("diskSize").is_none() {
        return Err(Parameters::missing("diskSize"));
    }
    let size = parameters.integer("diskSize", &POSITIVE)?;
    Ok((size, parameters.required("diskCategory")?.to_owned()))
}

pub fn prices(world: &World, parameters: &Parameters<'_>) -> Result<Prices, Refused> {
    let zone_id = parameters.required("zoneId")?;
    let type_id = parameters.required("instanceType")?;
    let charge = parameters.charge_type("instanceChargeType")?;
    if parameters.one_of("internetChargeType", INTERNET_CHARGE_TYPES)?.is_none() {
        return Err(Parameters::missing("internetChargeType"));
    }
    let system_disk =
        parameters.object("systemDisk")?.ok_or_else(|| Parameters::missing("systemDisk"))?;
    let (system_size, _) = disk(&system_disk)?;
    // The command line's documents demand it, the API's do not list it (section 7.8).
    if world.rules.behaviour.price_needs_count && parameters.get("instanceCount").is_none() {
        return Err(Parameters::missing("instanceCount"));
    }
    let count = parameters.integer("instanceCount", &POSITIVE)?;
    let period = period(parameters, charge)?;
    let bandwidth = parameters
        .integer("internetMaxBandwidthOut", &Limits { default: 1, least: 0, most: 100_000 })?;
    parameters.decimal("trafficPackageSize")?;
    parameters.text("imageId")?;
    let data_disks = parameters
        .objects("dataDisks", IDS)?
        .iter()
        .map(|data| Ok((data.text("diskName")?.map(str::to_owned), disk(data)?)))
        .collect::<Result<Vec<_>, Refused>>()?;
    let zone = zone(world, zone_id)?;
    let Some(offered) = world.rules.catalogue.offered(&zone.id, charge, type_id) else {
        // INF: the code of ModifyInstanceType for the same lack.
        let message = format!("model {type_id} does not exist in zone {zone_id}");
        return Err(refusal(404, "INVALID_PRODUCT_NOT_FOUND", message));
    };
    let terms = Terms {
        charge,
        discount: offered.discount,
        period: Decimal::from(period),
        count: Decimal::from(count),
    };
    let by_size = |size: i64| terms.by_month(DISK * Decimal::from(size));
    let data_size = data_disks.iter().map(|(_, (size, _))| size).sum();
    Ok(Prices {
        instance_price: terms.price(offered.monthly, offered.hourly),
        bandwidth_price: vec![terms.by_month(BANDWIDTH * Decimal::from(bandwidth))],
        eip_price: terms.by_month(Decimal::ZERO),
        system_disk_price: by_size(system_size),
        data_disk_price: by_size(data_size),
        data_disk_prices: data_disks
            .into_iter()
            .map(|(name, (size, category))| DiskPrice {
                disk_name: name.map_or(Field::Null, Field::Is),
                disk_size: size,
                disk_category: category,
                disk_price: by_size(size),
            })
            .collect(),
    })
}

/// Months of a PREPAID purchase; demanded for PREPAID, optional for POSTPAID.
fn period(parameters: &Parameters<'_>, charge: ChargeType) -> Result<i64, Refused> {
    let name = match charge {
        ChargeType::Prepaid => "instanceChargePrepaid",
        ChargeType::Postpaid => "instanceChargePostpaid",
    };
    let given = parameters.object(name)?;
    match (charge, given) {
        (ChargeType::Prepaid, None) => Err(Parameters::missing(name)),
        (ChargeType::Prepaid, Some(given)) if given.get("period").is_none() => {
            Err(Parameters::missing("period"))
        }
        (_, Some(given)) => given.integer("period", &POSITIVE),
        (ChargeType::Postpaid, None) => Ok(1),
    }
}
