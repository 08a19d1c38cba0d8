//! The state of the simulated provider, and how it follows the time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Books, Instance, Rules, Setup,
    history::{self, Past},
    site::Site,
};

/// The state of the simulated provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct World {
    pub(super) rules: Rules,
    pub(super) books: Books,
    pub(super) instances: BTreeMap<String, Instance>,
    /// What instances looked like, as long as a read may still show it.
    pub(super) past: BTreeMap<String, Vec<Past>>,
    /// When something is due at which instance next.
    pub(super) agenda: BTreeSet<(Timestamp, String)>,
    pub(super) now: Timestamp,
}

impl World {
    /// The world of a setup, started at `now`. A setup that [`Setup::check`] refuses makes a world
    /// that lacks what is wrong in it.
    pub fn new(setup: &Setup, now: Timestamp) -> Self {
        let catalogue = setup.catalogue();
        let stock = catalogue.zones.values().map(|zone| (zone.id.clone(), zone.stock.clone()));
        let mut world = Self {
            books: Books::new(setup.balance, stock.collect()),
            rules: Rules {
                behaviour: setup.behaviour.clone(),
                durations: setup.durations.clone(),
                processing_time: setup.processing_time,
                catalogue,
            },
            instances: BTreeMap::new(),
            past: BTreeMap::new(),
            agenda: BTreeSet::new(),
            now,
        };
        for one in &setup.instances {
            let instance = one.start(now, &world.rules);
            world.insert(instance);
        }
        world
    }

    /// Carries out all that is due by `now`. A moment before the last one counts as the last one.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.agenda.first().cloned()
            && at <= now
        {
            // What is due is taken off; what is due next is put on.
            self.agenda.pop_first();
            self.now = self.now.max(at);
            self.visit(&id, self.now, |site| site.carry_out());
        }
        self.now = self.now.max(now);
    }

    /// When something is due next.
    pub fn next_event(&self) -> Option<Timestamp> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// The last moment that the world was advanced to.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// All instances, in the order of their ids.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.get(id)
    }

    /// Orders, charges, balance, stock.
    pub fn books(&self) -> &Books {
        &self.books
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn insert(&mut self, instance: Instance) {
        if let Some(due) = instance.due() {
            self.agenda.insert((due, instance.id.clone()));
        }
        self.instances.insert(instance.id.clone(), instance);
    }

    /// Everything that happens to an instance happens in here: it keeps the history for lagging
    /// reads and the agenda. Nothing, if there is no such instance.
    pub(super) fn visit<R>(
        &mut self,
        id: &str,
        at: Timestamp,
        happens: impl FnOnce(&mut Site<'_>) -> R,
    ) -> Option<R> {
        let instance = self.instances.get_mut(id)?;
        if let Some(due) = instance.due() {
            self.agenda.remove(&(due, id.to_owned()));
        }
        let longest_lag = self.rules.behaviour.longest_read_lag();
        let before = longest_lag.is_positive().then(|| instance.clone());
        let mut site =
            Site { rules: &self.rules, books: &mut self.books, instance, at, gone: false };
        let result = happens(&mut site);
        let gone = site.gone;
        if let Some(before) = before
            && (gone || before != *instance)
        {
            history::keep(self.past.entry(id.to_owned()).or_default(), before, at, longest_lag);
        }
        if gone {
            self.instances.remove(id);
        } else if let Some(due) = instance.due() {
            self.agenda.insert((due, id.to_owned()));
        }
        Some(result)
    }
}
