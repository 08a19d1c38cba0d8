//! What a scrape says of each metric: name, type, unit, and the names of its labels.

use std::collections::{BTreeMap, BTreeSet};

/// One family, by the name under which a query finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    pub kind: String,
    pub unit: String,
    pub help: String,
    /// Without `le`, which every histogram has.
    pub labels: BTreeSet<String>,
    /// Names and labels of its samples.
    pub series: BTreeSet<String>,
}

/// The families of a text in the OpenMetrics format.
pub fn families(text: &str) -> BTreeMap<String, Family> {
    let mut found: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        if let (Some("#"), Some(what), Some(name)) = (words.next(), words.next(), words.next()) {
            let rest = words.next().unwrap_or_default().to_owned();
            let family = found.entry(name.to_owned()).or_default();
            match what {
                "TYPE" => family.kind = rest,
                "UNIT" => family.unit = rest,
                "HELP" => family.help = rest.trim_end_matches('.').to_owned(),
                _ => {}
            }
        } else if let Some((series, _)) = line.rsplit_once(' ')
            && !line.starts_with('#')
        {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let family = found.get_mut(family_of(name, &found.clone()));
            let Some(family) = family else { panic!("{name} is of no family") };
            let names =
                labels.trim_end_matches('}').split(',').filter_map(|one| one.split_once('='));
            family.labels.extend(names.map(|(name, _)| name.to_owned()).filter(|one| one != "le"));
            family.series.insert(series.to_owned());
        }
    }
    found.into_iter().map(|(name, family)| (queried(&name, &family.kind), family)).collect()
}

/// The name of the family of a sample.
fn family_of<'a>(sample: &'a str, families: &BTreeMap<String, Family>) -> &'a str {
    let suffixes = ["_total", "_info", "_bucket", "_count", "_sum"];
    let cut = suffixes.iter().filter_map(|suffix| sample.strip_suffix(suffix));
    cut.chain([sample]).find(|name| families.contains_key(*name)).unwrap_or(sample)
}

fn queried(name: &str, kind: &str) -> String {
    match kind {
        "counter" => format!("{name}_total"),
        "info" => format!("{name}_info"),
        _ => name.to_owned(),
    }
}
