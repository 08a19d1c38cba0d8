//! What reads show that lag behind: the world as it was a while ago (fact sheet section 7.1: the
//! window before a call is registered is not documented).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Behaviour, Instance, World, time::later};

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

/// An instance as a read sees it.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub instance: &'a Instance,
    /// The moment that is seen.
    pub at: Timestamp,
}

impl World {
    fn seen_at(&self, action: &str) -> Timestamp {
        let lag = self.rules.behaviour.read_lag.get(action);
        lag.map_or(self.now, |lag| later(self.now, -*lag))
    }

    /// An instance as an action sees it.
    pub(super) fn seen(&self, action: &str, id: &str) -> Option<Seen<'_>> {
        let at = self.seen_at(action);
        let past = self.past.get(id).and_then(|past| past.iter().find(|one| one.until > at));
        let instance = match past {
            Some(past) => past.instance.as_ref(),
            None => self.instances.get(id),
        };
        instance.map(|instance| Seen { instance, at })
    }

    /// All instances as an action sees them, in the order of their ids.
    pub(super) fn all_seen(&self, action: &str) -> Vec<Seen<'_>> {
        if self.past.is_empty() {
            let at = self.seen_at(action);
            return self.instances.values().map(|instance| Seen { instance, at }).collect();
        }
        let ids: BTreeSet<&String> = self.instances.keys().chain(self.past.keys()).collect();
        ids.into_iter().filter_map(|id| self.seen(action, id)).collect()
    }
}
