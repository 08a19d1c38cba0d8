//! One rate for each credential, however many objects and Secrets use it. Nobody waits in here: who has
//! no turn yet is told when it comes, and keeps its place until then.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use zenlayer::Pace;

use crate::controller::store::Scope;

/// How long a place is kept for one who does not come back.
const KEPT: Duration = Duration::from_secs(60);

/// The rates of all credentials. Time is the monotonic time of the caller's clock.
pub struct Limiter {
    per_second: NonZeroU32,
    queues: Mutex<HashMap<Scope, Queue>>,
}

struct Queue {
    pace: Pace,
    /// Whoever waits for a turn.
    places: HashMap<String, Place>,
}

/// Calls that `caller` may make from then on.
struct Place {
    calls: u32,
    at: Duration,
}

impl Limiter {
    /// So many calls a second for each credential, with bursts of twice as many, and at least of those
    /// that an order takes.
    pub fn new(per_second: NonZeroU32) -> Self {
        Self { per_second, queues: Mutex::default() }
    }

    /// Turns for so many calls of `caller`, made together; or after what time they come. Who is turned
    /// away begins anew then, so its place holds what it has `spent` in this pass, too.
    pub fn turns(
        &self,
        scope: &Scope,
        caller: &str,
        (calls, spent): (u32, u32),
        now: Duration,
    ) -> Result<(), Duration> {
        let mut queues = self.lock();
        if !queues.contains_key(scope) {
            // A rotated credential leaves nothing behind.
            queues.retain(|_, queue| !queue.pace.is_idle(now) || !queue.places.is_empty());
        }
        let queue = queues.entry(scope.clone()).or_insert_with(|| Queue {
            pace: Pace::new(self.per_second, self.burst()),
            places: HashMap::new(),
        });
        queue.places.retain(|_, place| now < place.at.saturating_add(KEPT));
        queue.turns(caller, calls, spent, now)
    }

    /// The provider said 429.
    pub fn throttled(&self, scope: &Scope, now: Duration) {
        if let Some(queue) = self.lock().get_mut(scope) {
            queue.pace.throttled(now, None);
        }
    }

    fn burst(&self) -> NonZeroU32 {
        const FOR_AN_ORDER: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);
        self.per_second.saturating_add(self.per_second.get()).max(FOR_AN_ORDER)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn turns(
        &mut self,
        caller: &str,
        calls: u32,
        spent: u32,
        now: Duration,
    ) -> Result<(), Duration> {
        let kept = self.places.remove(caller);
        if let Some(place) = kept.as_ref().filter(|place| place.at > now) {
            let wait = place.at - now;
            self.places.extend(kept.map(|place| (caller.to_owned(), place)));
            return Err(wait);
        }
        let have = kept.map_or(0, |place| place.calls);
        if let Some(left) = have.checked_sub(calls) {
            self.places.insert(caller.to_owned(), Place { calls: left, at: now });
            return Ok(());
        }
        let lacking = calls - have;
        let wait = (0..lacking).map(|_| self.pace.take(now)).max().unwrap_or_default();
        if wait.is_zero() {
            return Ok(());
        }
        let more = (0..spent).map(|_| self.pace.take(now)).max().unwrap_or_default();
        let wait = wait.max(more);
        let place = Place { calls: calls.saturating_add(spent), at: now.saturating_add(wait) };
        self.places.insert(caller.to_owned(), place);
        Err(wait)
    }
}
