//! What does not change by itself in a world.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Behaviour, Catalogue, Durations};

/// What does not change by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    pub behaviour: Behaviour,
    pub durations: Durations,
    /// How long an immediate change takes.
    pub processing_time: SignedDuration,
    pub catalogue: Catalogue,
}
