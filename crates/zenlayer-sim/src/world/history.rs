//! What instances looked like a while ago, for reads that lag behind: how soon a call
//! shows is not documented.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Behaviour, Instance, time::later};

/// What an instance looked like up to a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Past {
    pub(super) until: Timestamp,
    /// Nothing: there was no such instance.
    pub(super) instance: Option<Instance>,
}

/// Keeps what was, and forgets what no read shows any more.
pub(super) fn keep(
    past: &mut Vec<Past>,
    instance: impl Into<Option<Instance>>,
    until: Timestamp,
    longest_lag: SignedDuration,
) {
    past.retain(|one| later(one.until, longest_lag) > until);
    past.push(Past { until, instance: instance.into() });
}

impl Behaviour {
    pub(super) fn longest_read_lag(&self) -> SignedDuration {
        self.read_lag.values().copied().max().unwrap_or_default()
    }
}
