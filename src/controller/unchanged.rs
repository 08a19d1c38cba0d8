//! Since when each of many things has been at its version, by our own monotonic clock: what others write of
//! time says nothing.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// A version; `None`: there is none.
type Version = Option<String>;

#[derive(Default)]
pub struct Unchanged(HashMap<String, (Version, Duration)>);

impl Unchanged {
    /// For how long this has been at its version.
    pub fn age(&mut self, name: &str, version: &Version, now: Duration) -> Duration {
        let known = self.0.entry(name.to_owned()).or_insert_with(|| (version.clone(), now));
        if known.0 != *version {
            *known = (version.clone(), now);
        }
        now.saturating_sub(known.1)
    }

    /// Forgets all others.
    pub fn keep<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let names: HashSet<&str> = names.collect();
        self.0.retain(|name, _| names.contains(name.as_str()));
    }
}
