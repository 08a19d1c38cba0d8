//! The service as connections share it, with the waits that belong to it: for the service's clock,
//! for the state file, for the end of refused connections.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time::Instant};

use super::{
    fault::Play,
    service::{Arrival, Decided, Service, Snapshot},
    settings::{Refusal, Settings},
};
use crate::world::World;

pub struct Shared {
    service: Mutex<Service>,
    pub settings: Settings,
    /// Changes when the clock was stepped, or set to run otherwise.
    steps: watch::Sender<()>,
    /// The newest state, and the newest that the disk has.
    pub(super) changed: watch::Sender<u64>,
    pub(super) saved: watch::Sender<u64>,
    saves: bool,
    /// Until when the listeners are closed.
    pub(super) closed_until: watch::Sender<Option<Instant>>,
    pub(super) listeners: watch::Sender<Listeners>,
}

/// How many listeners are open, and how often one was closed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Listeners {
    pub open: u64,
    pub closings: u64,
}

impl Shared {
    /// Starts a simulation, or goes on with a saved one. With `saves`, answers wait until
    /// [`super::state::keep`] has written what they rest on.
    pub fn new(
        settings: Settings,
        saved: Option<Snapshot>,
        saves: bool,
        world: impl FnOnce(Timestamp) -> World,
    ) -> Self {
        let service = Service::start(&settings, Timestamp::now(), saved, world);
        Self {
            changed: watch::Sender::new(service.generation),
            service: Mutex::new(service),
            settings,
            steps: watch::Sender::new(()),
            saved: watch::Sender::new(0),
            saves,
            closed_until: watch::Sender::new(None),
            listeners: watch::Sender::default(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service with its world brought to the present.
    pub fn present(&self) -> (MutexGuard<'_, Service>, Timestamp) {
        let mut service = self.lock();
        let now = service.advance(Timestamp::now());
        (service, now)
    }

    pub fn arrive(&self, arrival: &Arrival) -> Play {
        self.lock().arrive(arrival)
    }

    pub fn decide(&self, arrival: &Arrival, play: &Play) -> Decided {
        self.lock().decide(Timestamp::now(), arrival, play)
    }

    pub fn refuse(&self, refusal: &Refusal, message: String) -> Decided {
        self.lock().refuse(Timestamp::now(), refusal, message)
    }

    /// Waits on the service's clock.
    pub async fn sleep(&self, length: SignedDuration) {
        let mut steps = self.steps.subscribe();
        let now = self.lock().clock.now(Timestamp::now());
        let until = now.checked_add(length).unwrap_or(Timestamp::MAX);
        loop {
            steps.mark_unchanged();
            let left = self.lock().clock.wait(until, Timestamp::now());
            match left {
                Some(left) if left.is_zero() => return,
                Some(left) => {
                    let _ = tokio::time::timeout(left, steps.changed()).await;
                }
                // The sender lives as long as this.
                None => drop(steps.changed().await),
            }
        }
    }

    pub fn clock_changed(&self) {
        self.steps.send_replace(());
    }

    /// Waits until a state is on the disk.
    pub async fn saved(&self, generation: u64) {
        if !self.saves || *self.saved.borrow() >= generation {
            return;
        }
        self.changed.send_if_modified(|newest| {
            let newer = generation > *newest;
            *newest = generation.max(*newest);
            newer
        });
        // The sender lives as long as this.
        drop(self.saved.subscribe().wait_for(|saved| *saved >= generation).await);
    }

    /// Closes the listeners for a while. They are closed when this ends, so whoever is told of it connects to
    /// none of them.
    pub async fn refuse_connections(&self, length: Duration) {
        let mut listeners = self.listeners.subscribe();
        let Listeners { open, closings } = *listeners.borrow_and_update();
        self.closed_until.send_replace(Instant::now().checked_add(length));
        // The sender lives as long as this.
        drop(listeners.wait_for(|now| now.closings >= closings + open).await);
    }
}
