//! The machines of each credential as the provider shows them. They are read in full batches, however
//! many objects there are, and an object is woken only when there is something new to see.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;
use tokio::sync::Notify;
use zenlayer::{Batch, Instance, InstanceId, ReadError, Reading};

use super::{
    limiter::Class,
    machine::{InstanceRead, Interest},
    shelf::{Meaning, Plan, Shelf},
};
use crate::{
    controller::{
        store::{Credential, Scope},
        waker::Name,
    },
    telemetry::Oldest,
};

/// All machines. Time is the monotonic time of the caller's clock.
pub struct Inventory {
    drift: Duration,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    shelves: HashMap<Scope, Shelf>,
    /// Which machine an object follows.
    places: HashMap<Name, (Scope, InstanceId)>,
    /// How far our clock is ahead of the provider's, by the last answer that says so.
    skew: Option<SignedDuration>,
}

impl Inventory {
    /// A machine at rest is read every `drift`.
    pub fn new(drift: Duration) -> Self {
        Self { drift, state: Mutex::default(), news: Notify::new() }
    }

    /// What the last read shows, if that is not older than `oldest`, and new enough for this object. Else
    /// one is made, and the object is woken after it.
    pub fn look(
        &self,
        credential: &Credential,
        instance: &InstanceId,
        follower: &Name,
        class: Class,
        (oldest, now): (Duration, Duration),
    ) -> Option<InstanceRead> {
        let mut state = self.lock();
        state.place(credential, instance, follower);
        let shelf = state.shelves.get_mut(&credential.scope)?;
        let read = shelf.look(instance, follower, class, (oldest, now));
        if read.is_none() {
            self.news.notify_one();
        }
        read
    }

    /// A pass over an object has ended: how its machine is read from now on. What was read before the end
    /// of a pass that was not at rest is too old for the next one.
    pub fn follow(&self, follower: &Name, interest: Interest, now: Duration) {
        let mut state = self.lock();
        let State { shelves, places, .. } = &mut *state;
        let Some((scope, instance)) = places.get(follower) else { return };
        let Some(shelf) = shelves.get_mut(scope) else { return };
        shelf.follow(instance, follower, interest, now);
        self.news.notify_one();
    }

    /// What is older was not read when it should have been. It is two looks, so that one that comes late
    /// is no reason to read again.
    pub fn oldest(&self, now: Duration) -> Duration {
        now.saturating_sub(self.drift.saturating_mul(2))
    }

    /// Forgets this object.
    pub fn leave(&self, follower: &Name) {
        self.lock().leave(follower);
    }

    /// Forgets all other objects.
    pub fn keep(&self, names: &HashSet<Name>) {
        let mut state = self.lock();
        let gone: Vec<Name> =
            state.places.keys().filter(|name| !names.contains(*name)).cloned().collect();
        gone.iter().for_each(|name| state.leave(name));
        if state.shelves.is_empty() {
            state.skew = None;
        }
    }

    /// The reads that are due, and when to look again. `may_read` says whether the credential has a
    /// turn; one that has none is told of it.
    pub fn plan(
        &self,
        now: Duration,
        mut may_read: impl FnMut(&Scope, Class) -> bool,
    ) -> (Vec<Plan>, Option<Duration>) {
        let mut state = self.lock();
        let (mut plans, mut next) = (Vec::new(), None::<Duration>);
        for (scope, shelf) in &mut state.shelves {
            while let Some(wait) = shelf.due_in(now) {
                if !wait.is_zero() {
                    next = next.into_iter().chain([wait]).min();
                    break;
                }
                if !may_read(scope, shelf.class(now)) {
                    break;
                }
                let Some(plan) = shelf.take(self.drift, now) else { break };
                plans.push(plan);
            }
        }
        (plans, next)
    }

    /// A read has ended that began at `begun`.
    pub fn answered(
        &self,
        plan: &Plan,
        result: Result<Reading<Batch<Instance>>, ReadError>,
        (begun, now): (Duration, Duration),
    ) -> Meaning {
        let mut state = self.lock();
        let skew = result.as_ref().ok().and_then(|reading| reading.skew(reading.sent_at));
        state.skew = skew.or(state.skew);
        let shelf = state.shelves.get_mut(&plan.credential.scope);
        let Some(shelf) = shelf else { return Meaning::default() };
        self.news.notify_one();
        shelf.answered(plan, result, (begun, now), self.oldest(now))
    }

    /// How many machines are followed, and how long ago the one was read whose last good read is the
    /// oldest. One that was never read tells nothing yet.
    pub fn age(&self, now: Duration) -> Oldest {
        let mut all = Oldest::default();
        for shown in self.lock().shelves.values().flat_map(Shelf::read_well_at) {
            all.add(shown.map_or(Duration::ZERO, |shown| now.saturating_sub(shown)));
        }
        all
    }

    /// How far our clock is ahead of the provider's; `None`: no answer has said it.
    pub fn skew(&self) -> Option<SignedDuration> {
        self.lock().skew
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        let state = self.lock();
        state.shelves.is_empty() && state.places.is_empty()
    }

    /// Resolves once `plan` may have something new to say.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn place(&mut self, credential: &Credential, instance: &InstanceId, follower: &Name) {
        let there = self
            .places
            .get(follower)
            .is_some_and(|(scope, one)| *scope == credential.scope && one == instance);
        if there {
            return;
        }
        self.leave(follower);
        let shelf = self
            .shelves
            .entry(credential.scope.clone())
            .or_insert_with(|| Shelf::new(credential.clone()));
        shelf.join(instance, follower);
        self.places.insert(follower.clone(), (credential.scope.clone(), instance.clone()));
    }

    fn leave(&mut self, follower: &Name) {
        let Some((scope, instance)) = self.places.remove(follower) else { return };
        let Some(shelf) = self.shelves.get_mut(&scope) else { return };
        shelf.leave(&instance, follower);
        if shelf.is_empty() {
            self.shelves.remove(&scope);
        }
    }
}
