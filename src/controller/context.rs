//! What every pass works with: the ways to the world, and what passes share.

use std::sync::Arc;

use zenlayer::Cloud;

use super::{
    Clock, Store, offers::OfferCache, order_turns::OrderTurns, orders::Orders, rotation::Versions,
};
use crate::{lifecycle::Defaults, telemetry::Metrics};

/// What every pass works with: the ways to the world, and what passes share.
pub struct Context {
    pub cloud: Arc<dyn Cloud>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub defaults: Defaults,
    pub metrics: Metrics,
    pub(super) turns: OrderTurns,
    pub(super) offers: OfferCache,
    pub(super) orders: Orders,
    pub(super) secrets: Arc<Versions>,
}

impl Context {
    pub fn new(
        cloud: Arc<dyn Cloud>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        defaults: Defaults,
        metrics: Metrics,
    ) -> Self {
        metrics.order_limit(defaults.max_orders_per_hour);
        let orders = Orders::new(store.clone(), clock.clone(), metrics.clone());
        let (turns, offers, secrets) = Default::default();
        Self { cloud, store, clock, defaults, metrics, turns, offers, orders, secrets }
    }
}
