//! The types on offer: which of them an instance could take, and which are near.

use zenlayer::{Instance, InstanceTypeId, Offer};

/// How many types a message names.
const SHOWN: usize = 10;

/// The offer of this type in the instance's zone.
pub fn find<'a>(
    catalogue: &'a [Offer],
    instance: &Instance,
    type_id: &InstanceTypeId,
) -> Option<&'a Offer> {
    catalogue.iter().find(|offer| offer.type_id == *type_id && is_here(offer, instance))
}

fn is_here(offer: &Offer, instance: &Instance) -> bool {
    instance.zone_id.as_ref().is_none_or(|zone| *zone == offer.zone_id)
}

/// Whether the type allows the instance's bandwidth. -1 is no limit, 0 of the instance no cap below
/// that of its type, as the provider's pages of DescribeZoneInstanceConfigInfos and DescribeInstances say.
pub fn carries(offer: &Offer, instance: &Instance) -> bool {
    match (offer.bandwidth_limit, instance.bandwidth_out) {
        (Some(limit), Some(bandwidth)) => limit < 0 || bandwidth <= limit,
        _ => true,
    }
}

/// Up to ten types that the instance could take, the nearest one first: near to the declared type
/// where the catalogue knows its size, else to the type in effect.
pub fn allowed(catalogue: &[Offer], instance: &Instance, want: &InstanceTypeId) -> String {
    let known = catalogue.iter().find(|offer| offer.type_id == *want);
    let (cores, memory) = match known {
        Some(offer) => (offer.cpu_count, offer.memory_gib),
        None => (instance.cpu_count, instance.memory_gib),
    };
    let distance = |a: Option<i64>, b: Option<i64>| match (a, b) {
        (Some(a), Some(b)) => a.abs_diff(b),
        _ => u64::MAX,
    };
    let mut near: Vec<&Offer> = catalogue
        .iter()
        .filter(|offer| offer.type_id != instance.type_id && offer.type_id != *want)
        .filter(|offer| is_here(offer, instance) && carries(offer, instance))
        .collect();
    near.sort_by_key(|offer| {
        let far = distance(offer.cpu_count, cores)
            .saturating_mul(4)
            .saturating_add(distance(offer.memory_gib, memory));
        (far, offer.type_id.clone())
    });
    near.dedup_by(|a, b| a.type_id == b.type_id);
    if near.is_empty() {
        return format!("{} (no other type is on offer)", instance.type_id);
    }
    let shown: Vec<&str> = near.iter().take(SHOWN).map(|offer| offer.type_id.as_str()).collect();
    shown.join(", ")
}
