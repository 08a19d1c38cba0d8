//! The instance types on offer, and which changes between them are allowed.

use serde::{Deserialize, Serialize};

/// Money in millionths of a zenPoint (1 zenPoint = 1 USD, fact sheet section 8).
pub type Micros = i64;

/// One instance type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    pub id: String,
    /// Decides which changes are allowed; see [`Catalogue::allows`].
    pub series: String,
    /// Cores.
    pub cpu_count: i64,
    /// GiB.
    pub memory: i64,
    /// Mbps; -1: no limit.
    pub bandwidth_limit: i64,
    /// List price a month, in millionths.
    pub monthly_micros: Micros,
}

/// All instance types, the same in every zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Catalogue {
    pub models: Vec<Model>,
}

/// Cores, GiB, Mbps.
type Size = (i64, i64, i64);

/// Series, (cores, GiB, Mbps): the sizes published in 2023 (fact sheet section 10; ids other than
/// c.1c2g, c.2c4g and c.4c8g are INF; the s and h sizes are made up).
const SIZES: &[(&str, &[Size])] = &[
    (
        "c",
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
        &[
            (2, 8, 1000),
            (4, 16, 1500),
            (8, 32, 2000),
            (16, 64, 3000),
            (24, 96, 4500),
            (32, 128, 6000),
        ],
    ),
    ("m", &[(2, 16, 1000), (4, 32, 1500), (8, 64, 2000), (16, 128, 3000)]),
    ("s", &[(1, 1, 200), (2, 2, 500)]),
    ("h", &[(4, 8, 1500), (8, 16, 2000)]),
];

impl Default for Catalogue {
    fn default() -> Self {
        let models = SIZES.iter().flat_map(|(series, sizes)| {
            sizes.iter().map(move |(cores, memory, bandwidth)| Model {
                id: format!("{series}.{cores}c{memory}g"),
                series: (*series).to_owned(),
                cpu_count: *cores,
                memory: *memory,
                bandwidth_limit: *bandwidth,
                // Fits the one published price: c.1c2g costs 14 a month (fact sheet 7.8).
                monthly_micros: (4 * cores + 5 * memory) * 1_000_000,
            })
        });
        Self { models: models.collect() }
    }
}

impl Catalogue {
    pub fn model(&self, id: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id == id)
    }

    /// Within a series, and among c, g and m (DOC EN-Modify; which of the latter is not
    /// enumerated, so all are).
    pub fn allows(&self, from: &str, to: &str) -> bool {
        let series = |id: &str| self.model(id).map(|model| model.series.as_str());
        let (Some(from), Some(to)) = (series(from), series(to)) else { return false };
        from == to || [from, to].iter().all(|series| matches!(*series, "c" | "g" | "m"))
    }
}
