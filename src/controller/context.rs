//! What every pass works with: the ways to the world, and what passes share.

use std::sync::Arc;

use zenlayer::{Cloud, Rate};

use super::{
    Clock, Election,
    backlog::Backlog,
    cloud_view::{Caller, Class, Digests, Inventory, Limiter, OfferCache, Sightings, Troubles},
    leadership::Leadership,
    neighbours::Neighbours,
    orders::Orders,
    store::Store,
    waker::{Name, Waker},
};
use crate::{
    api::{ChangeKind, HistoryOutcome},
    lifecycle::Defaults,
    telemetry::Metrics,
};

/// What every pass works with: the ways to the world, and what passes share.
pub struct Context {
    pub cloud: Arc<dyn Cloud>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub defaults: Defaults,
    pub metrics: Metrics,
    /// Tells this process from every other one.
    pub process: String,
    /// Objects that are to be looked at now.
    pub waker: Waker,
    /// Whether this process leads; without an election it does.
    pub(super) leadership: Leadership,
    pub(super) backlog: Backlog,
    pub(super) neighbours: Neighbours,
    pub(super) inventory: Inventory,
    pub(super) limiter: Limiter,
    pub(super) offers: OfferCache,
    pub(super) orders: Orders,
    pub(super) digests: Arc<Digests>,
    pub(super) sightings: Sightings,
    pub(super) troubles: Troubles,
}

impl Context {
    /// `rate` is that of each credential.
    pub fn new(
        cloud: Arc<dyn Cloud>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        defaults: Defaults,
        metrics: Metrics,
        rate: Rate,
    ) -> Self {
        metrics.order_limit(defaults.orders.all);
        let outcomes_of = |kind: &ChangeKind| {
            let kind = kind.as_str();
            HistoryOutcome::ALL.iter().map(move |outcome| (kind, outcome.as_str()))
        };
        let kinds = Class::ALL.iter().map(|class| class.as_str());
        metrics.expect(kinds, ChangeKind::ALL.iter().flat_map(outcomes_of));
        let orders = Orders::new(store.clone());
        let limiter = Limiter::new(rate);
        let inventory = Inventory::new(defaults.timing.drift);
        let troubles = Troubles::new(&defaults.timing);
        let (waker, offers, digests, sightings) = Default::default();
        Self {
            cloud,
            store,
            clock,
            defaults,
            metrics,
            process: random_name(),
            waker,
            leadership: Leadership::always(),
            backlog: Backlog::default(),
            neighbours: Neighbours::default(),
            inventory,
            limiter,
            offers,
            orders,
            digests,
            sightings,
            troubles,
        }
    }

    /// Only while it is elected.
    pub fn elected_by(self, election: &Election) -> Self {
        let (leadership, neighbours) = (election.leadership(), election.neighbours());
        Self { leadership, neighbours, ..self }
    }

    /// A pass over each of these is due now.
    pub(super) fn is_due(&self, names: impl IntoIterator<Item = Name>) {
        let now = self.clock.monotonic();
        names.into_iter().for_each(|name| self.backlog.due(&name, now));
    }

    /// An object is gone: nothing is read for it, and its turns go to others.
    pub(super) fn forget(&self, name: &Name) {
        self.inventory.leave(name);
        self.limiter.forget(&Caller::Object(name.clone()));
    }
}

fn random_name() -> String {
    let mut name = [0; 8];
    // Without randomness two processes may be taken for one, as they would be without a name.
    let _ = aws_lc_rs::rand::fill(&mut name);
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}
