//! What the answers of lists have in common: pages, and the form of times.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::world::{
    Refused, UnknownIds, World,
    parameters::{IDS, Limits, Parameters},
    seen::Seen,
};

/// A page of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    total_count: usize,
    data_set: Vec<T>,
}

/// Times are `YYYY-MM-DDThh:mm:ssZ` (page "Responses").
pub fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Picks the instances of `instanceIds` (at most 100; all, if it is left out), keeps those that the
/// filter keeps, and cuts the page of `pageSize` (20, at most 1000) and `pageNum` (1).
pub fn page<'w, T>(
    world: &'w World,
    action: &str,
    parameters: &Parameters<'_>,
    keeps: impl Fn(&Seen<'w>) -> bool,
    show: impl Fn(&Seen<'w>) -> T,
) -> Result<Page<T>, Refused> {
    let ids: BTreeSet<&str> = parameters.texts("instanceIds", IDS)?.into_iter().collect();
    let limits = |default, most| Limits { default, least: 1, most };
    let size = parameters.integer("pageSize", &limits(20, 1000))?;
    let number = parameters.integer("pageNum", &limits(1, i64::MAX))?;
    let mut seen = if ids.is_empty() {
        world.all_seen(action)
    } else {
        // In the order of the ids: the order of the request leaves no trace.
        let found: Vec<(&str, Option<Seen<'_>>)> =
            ids.iter().map(|id| (*id, world.seen(action, id))).collect();
        let missing = found.iter().find(|(_, seen)| seen.is_none());
        // Terraform takes both for "gone".
        if let (Some((id, _)), UnknownIds::NotFound) = (missing, world.rules.behaviour.unknown_ids)
        {
            return Err(Refused::not_found(id));
        }
        found.into_iter().filter_map(|(_, seen)| seen).collect()
    };
    seen.retain(keeps);
    let skip = usize::try_from((number - 1).saturating_mul(size)).unwrap_or(usize::MAX);
    let take = usize::try_from(size).unwrap_or(usize::MAX);
    let data_set = seen.iter().skip(skip).take(take).map(show).collect();
    Ok(Page { total_count: seen.len(), data_set })
}
