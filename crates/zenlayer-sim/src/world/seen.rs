//! The world as a read sees it: as it is, or as it was a while ago.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Instance, World, time::later};

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
