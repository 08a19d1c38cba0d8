//! When a pass over each object is due: how late it begins is told by kind of work. The queue itself is
//! the library's, which does not say.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::waker::Name;

/// Times are of the monotonic clock. Two objects of one hash would only blur a figure.
#[derive(Default)]
pub struct Backlog(Mutex<HashMap<u64, Duration>>);

impl Backlog {
    /// A pass over it is due then, or earlier if it was due earlier.
    pub fn due(&self, name: &Name, at: Duration) {
        let mut all = self.lock();
        let known = all.entry(hash(name)).or_insert(at);
        *known = at.min(*known);
    }

    /// A pass over it begins. Gives how late it is; one that nobody asked for is not late.
    pub fn begins(&self, name: &Name, now: Duration) -> Duration {
        let due = self.lock().remove(&hash(name));
        due.map_or(Duration::ZERO, |due| now.saturating_sub(due))
    }

    /// Forgets all other objects.
    pub fn keep(&self, names: &HashSet<Name>) {
        let names: HashSet<u64> = names.iter().map(hash).collect();
        self.lock().retain(|name, _| names.contains(name));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(name: &Name) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_counts_from_the_first_reason_for_a_pass() {
        let (backlog, at) = (Backlog::default(), Duration::from_secs);
        let [a, b] = ["a", "b"].map(|name| ("shop".to_owned(), name.to_owned()));
        backlog.due(&a, at(60));
        backlog.due(&a, at(10));
        backlog.due(&a, at(20));
        backlog.due(&b, at(60));
        assert_eq!(backlog.begins(&a, at(12)), at(2));
        assert_eq!(backlog.begins(&a, at(90)), at(0), "it has begun");
        assert_eq!(backlog.begins(&b, at(30)), at(0), "it is not due yet");
        backlog.due(&b, at(60));
        backlog.keep(&HashSet::from([a]));
        assert_eq!(backlog.begins(&b, at(90)), at(0), "it is gone");
    }
}
