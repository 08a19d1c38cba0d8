//! InquiryPriceCreateInstance. The prices of types are those of the
//! catalogue; those of disks and bandwidth are made up, since only a type's is published.

use rust_decimal::Decimal;
use serde::Serialize;

use super::{instances::INTERNET_CHARGE_TYPES, zones::zone};
use crate::world::{
    ChargeType, Refused, World,
    answer::{Field, Number, refusal},
    instance::BY_TRAFFIC_PACKAGE,
    parameters::{IDS, Limits, Parameters},
};

/// List price of a GB of disk for a month.
const DISK: Decimal = Decimal::from_parts(5, 0, 0, false, 2);
/// List price of a Mbps for a month.
const BANDWIDTH: Decimal = Decimal::from_parts(1, 0, 0, false, 0);
/// List price of a TB of traffic for a month.
const TRAFFIC: Decimal = Decimal::from_parts(8, 0, 0, false, 0);
/// TB; the provider's limit is unknown.
const LARGEST_PACKAGE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);
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

/// The PREPAID sample leaves the unit prices out, the POSTPAID sample prints the totals as null
/// (the Chinese page): both are played so.
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
    disk_amount: i64,
    disk_category: String,
    /// Of all of them (inferred).
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

/// A disk of a request. Only the size has no default (the SDKs).
struct Disk<'p> {
    name: Option<&'p str>,
    size: i64,
    category: &'p str,
    /// How many such disks.
    amount: i64,
}

impl<'p> Disk<'p> {
    fn read(world: &World, parameters: &Parameters<'p>) -> Result<Self, Refused> {
        if parameters.get("diskSize").is_none() {
            return Err(Parameters::missing("diskSize"));
        }
        let default = world.rules.behaviour.default_disk_category.name();
        Ok(Self {
            name: parameters.text("diskName")?,
            size: parameters.integer("diskSize", &POSITIVE)?,
            category: parameters.text("diskCategory")?.unwrap_or(default),
            amount: parameters.integer("diskAmount", &POSITIVE)?,
        })
    }

    /// GB of all of them.
    fn total(&self) -> Decimal {
        Decimal::from(self.size) * Decimal::from(self.amount)
    }
}

/// One item for each size and category, in the order in which they come first (the help of
/// `zeno`). A name that not all disks of an item have is none.
fn merged<'p>(disks: &[Disk<'p>]) -> Vec<Disk<'p>> {
    let mut items: Vec<Disk<'p>> = Vec::new();
    for Disk { name, size, category, amount } in disks {
        match items.iter_mut().find(|item| (item.size, item.category) == (*size, *category)) {
            Some(item) => {
                item.amount += amount;
                item.name = item.name.filter(|own| Some(*own) == *name);
            }
            None => items.push(Disk { name: *name, size: *size, category, amount: *amount }),
        }
    }
    items
}

/// Traffic: the list price of a month.
fn traffic(
    world: &World,
    parameters: &Parameters<'_>,
    charge: ChargeType,
) -> Result<Decimal, Refused> {
    let Some(kind) = parameters.one_of("internetChargeType", INTERNET_CHARGE_TYPES)? else {
        return Err(Parameters::missing("internetChargeType"));
    };
    let bandwidth = parameters
        .integer("internetMaxBandwidthOut", &Limits { default: 1, least: 0, most: 100_000 })?;
    let package = parameters.decimal("trafficPackageSize", LARGEST_PACKAGE)?;
    let bought = charge == ChargeType::Prepaid && kind == BY_TRAFFIC_PACKAGE;
    match package {
        None if bought && world.rules.behaviour.price_needs_traffic_package => {
            Err(Parameters::missing("trafficPackageSize"))
        }
        package if bought => Ok(TRAFFIC * package.unwrap_or_default()),
        _ => Ok(BANDWIDTH * Decimal::from(bandwidth)),
    }
}

pub fn prices(world: &World, parameters: &Parameters<'_>) -> Result<Prices, Refused> {
    let zone_id = parameters.required("zoneId")?;
    let type_id = parameters.required("instanceType")?;
    let charge = parameters.charge_type("instanceChargeType")?;
    let traffic = traffic(world, parameters, charge)?;
    let system_disk =
        parameters.object("systemDisk")?.ok_or_else(|| Parameters::missing("systemDisk"))?;
    let system_disk = Disk::read(world, &system_disk)?;
    // The command line's documents demand it, the API's do not list it.
    if world.rules.behaviour.price_needs_count && parameters.get("instanceCount").is_none() {
        return Err(Parameters::missing("instanceCount"));
    }
    let count = parameters.integer("instanceCount", &POSITIVE)?;
    let period = period(parameters, charge)?;
    parameters.text("imageId")?;
    let data_disks = parameters.objects("dataDisks", IDS)?;
    let data_disks =
        data_disks.iter().map(|disk| Disk::read(world, disk)).collect::<Result<Vec<_>, _>>()?;
    let zone = zone(world, zone_id)?;
    let Some(offered) = world.rules.catalogue.offered(&zone.id, charge, type_id) else {
        // Inferred: the code of ModifyInstanceType for the same lack.
        let message = format!("model {type_id} does not exist in zone {zone_id}");
        return Err(refusal(404, "INVALID_PRODUCT_NOT_FOUND", message));
    };
    let terms = Terms {
        charge,
        discount: offered.discount,
        period: Decimal::from(period),
        count: Decimal::from(count),
    };
    let disks = |total: Decimal| terms.by_month(DISK * total);
    Ok(Prices {
        instance_price: terms.price(offered.monthly, offered.hourly),
        bandwidth_price: vec![terms.by_month(traffic)],
        eip_price: terms.by_month(Decimal::ZERO),
        // An instance has one system disk, whatever amount is asked for.
        system_disk_price: disks(Decimal::from(system_disk.size)),
        data_disk_price: disks(data_disks.iter().map(Disk::total).sum()),
        data_disk_prices: merged(&data_disks)
            .iter()
            .map(|disk| DiskPrice {
                disk_name: disk.name.map_or(Field::Null, |name| Field::Is(name.to_owned())),
                disk_size: disk.size,
                disk_amount: disk.amount,
                disk_category: disk.category.to_owned(),
                disk_price: disks(disk.total()),
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
