//! The zones, and the instance types that each offers for each charge type, with their prices.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChargeType, behaviour::CrossSeries};

/// One instance type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    pub id: String,
    /// Such as "Compute Optimized 4C8G"; the id by default.
    #[serde(default)]
    pub name: Option<String>,
    /// Within a series every change is allowed; across series, those of `behaviour.crossSeries`.
    pub series: String,
    /// Cores.
    pub cpu_count: i64,
    /// GiB.
    pub memory: i64,
    /// Mbps; -1: no limit.
    pub bandwidth_limit: i64,
    /// PREPAID list price of a month, in zenPoints.
    #[schemars(with = "f64")]
    pub monthly_price: Decimal,
    /// POSTPAID list price of an hour, in zenPoints.
    #[schemars(with = "f64")]
    pub hourly_price: Decimal,
    /// Frequency of the processor, as the catalogue gives it, such as 2.5 GHz.
    #[serde(default = "default_frequency")]
    pub frequency: String,
}

/// Made up: no sample shows one.
fn default_frequency() -> String {
    "2.5 GHz".to_owned()
}

/// A zone, and how its offers differ from the list of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Zone {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    /// Whether types can be changed here (UNSUPPORTED_OPERATION_ZONE_NOT_SUPPORT).
    #[serde(default = "yes")]
    pub resize: bool,
    /// Percent of the list price that is paid.
    #[serde(default = "full")]
    #[schemars(with = "f64")]
    pub discount: Decimal,
    /// How this zone differs from the list of models.
    #[serde(default)]
    pub offers: Vec<Offer>,
    /// How many machines are left, by type; a type that is not named is never sold out.
    #[serde(default)]
    pub stock: BTreeMap<String, u64>,
}

fn yes() -> bool {
    true
}
fn full() -> Decimal {
    Decimal::ONE_HUNDRED
}

/// How a zone differs from the list of models for a type, and for one or both charge types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Offer {
    #[serde(rename = "type")]
    pub type_id: String,
    /// Both by default.
    #[serde(default)]
    pub charge_type: Option<ChargeType>,
    /// Whether the type is offered at all.
    #[serde(default = "yes")]
    pub sold: bool,
    #[serde(default)]
    pub bandwidth_limit: Option<i64>,
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub monthly_price: Option<Decimal>,
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub hourly_price: Option<Decimal>,
    /// The `internetChargeTypes` that the catalogue gives; all of the current documents by default.
    #[serde(default)]
    pub internet_charge_types: Option<Vec<String>>,
}

/// All that can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Catalogue {
    pub models: BTreeMap<String, Model>,
    pub zones: BTreeMap<String, Zone>,
}

/// A type as a zone offers it for a charge type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered<'a> {
    pub model: &'a Model,
    pub bandwidth_limit: i64,
    /// List prices.
    pub monthly: Decimal,
    pub hourly: Decimal,
    /// Percent.
    pub discount: Decimal,
    /// Kinds of charging for traffic; nothing: all.
    pub internet_charge_types: Option<&'a [String]>,
}

impl Offered<'_> {
    /// What is paid of a list price.
    pub fn paid(&self, list: Decimal) -> Decimal {
        list * self.discount / Decimal::ONE_HUNDRED
    }
}

/// Cores, GiB, Mbps.
type Size = (i64, i64, i64);

/// Series, its name, (cores, GiB, Mbps): the sizes published in 2023 (the console guide; ids other
/// than c.1c2g, c.2c4g and c.4c8g are inferred; names and sizes of s and h are made up).
const SERIES: &[(&str, &str, &[Size])] = &[
    (
        "c",
        "Compute Optimized",
        &[
            (1, 2, 500),
            (2, 4, 1000),
            (4, 8, 1500),
            (8, 16, 2000),
            (12, 24, 2500),
            (16, 32, 3000),
            (24, 48, 4500),
            (32, 64, 6000),
            (64, 128, 6000),
        ],
    ),
    (
        "g",
        "General Purpose",
        &[
            (2, 8, 1000),
            (4, 16, 1500),
            (8, 32, 2000),
            (16, 64, 3000),
            (24, 96, 4500),
            (32, 128, 6000),
        ],
    ),
    ("m", "Memory Optimized", &[(2, 16, 1000), (4, 32, 1500), (8, 64, 2000), (16, 128, 3000)]),
    ("s", "Series S", &[(1, 1, 200), (2, 2, 500)]),
    ("h", "Series H", &[(4, 8, 1500), (8, 16, 2000)]),
];

/// Zones that the documents name; SAO-A has the discount of its price sample (the Chinese page
/// "InquiryPriceCreateInstance").
const ZONES: &[(&str, &str, i64)] = &[
    ("FRA-A", "Frankfurt A", 100),
    ("HKG-A", "Hong Kong A", 100),
    ("SAO-A", "Sao Paulo A", 95),
    ("SEL-A", "Seoul A", 100),
];

impl Default for Catalogue {
    fn default() -> Self {
        let models = SERIES.iter().flat_map(|(series, name, sizes)| {
            sizes.iter().map(move |(cores, memory, bandwidth)| Model {
                id: format!("{series}.{cores}c{memory}g"),
                name: Some(format!("{name} {cores}C{memory}G")),
                series: (*series).to_owned(),
                cpu_count: *cores,
                memory: *memory,
                bandwidth_limit: *bandwidth,
                // Fits the one published pair: c.1c2g costs 14 a month and 0.13 an hour.
                monthly_price: Decimal::from(4 * cores + 5 * memory),
                hourly_price: Decimal::new(3 * cores + 5 * memory, 2),
                frequency: default_frequency(),
            })
        });
        let zones = ZONES.iter().map(|(id, name, discount)| Zone {
            id: (*id).to_owned(),
            name: Some((*name).to_owned()),
            resize: true,
            discount: Decimal::from(*discount),
            offers: Vec::new(),
            stock: BTreeMap::new(),
        });
        Self {
            models: models.map(|model| (model.id.clone(), model)).collect(),
            zones: zones.map(|zone| (zone.id.clone(), zone)).collect(),
        }
    }
}

impl Catalogue {
    pub fn model(&self, id: &str) -> Option<&Model> {
        self.models.get(id)
    }

    /// A type as a zone offers it: the catalogue differs per zone and per charge type.
    pub fn offered(&self, zone: &str, charge: ChargeType, type_id: &str) -> Option<Offered<'_>> {
        let (zone, model) = (self.zones.get(zone)?, self.models.get(type_id)?);
        let mut offered = Offered {
            model,
            bandwidth_limit: model.bandwidth_limit,
            monthly: model.monthly_price,
            hourly: model.hourly_price,
            discount: zone.discount,
            internet_charge_types: None,
        };
        for offer in &zone.offers {
            if offer.type_id != type_id || offer.charge_type.is_some_and(|own| own != charge) {
                continue;
            }
            if !offer.sold {
                return None;
            }
            offered.bandwidth_limit = offer.bandwidth_limit.unwrap_or(offered.bandwidth_limit);
            offered.monthly = offer.monthly_price.unwrap_or(offered.monthly);
            offered.hourly = offer.hourly_price.unwrap_or(offered.hourly);
            offered.internet_charge_types =
                offer.internet_charge_types.as_deref().or(offered.internet_charge_types);
        }
        Some(offered)
    }

    /// Whether the series rule lets a type become another (page "ModifyInstanceType").
    pub fn allows(&self, from: &str, to: &str, pairs: &CrossSeries) -> bool {
        let series = |id: &str| self.model(id).map(|model| model.series.clone());
        let (Some(from), Some(to)) = (series(from), series(to)) else { return false };
        from == to || pairs.0.contains(&(from, to))
    }
}
