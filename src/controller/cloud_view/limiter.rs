//! One rate for each credential, however many objects and Secrets use it, and an order of service. Nobody
//! waits in here: who has no turn yet is told when it comes, and keeps it for a while.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use zenlayer::{Pace, Rate};

use crate::{
    controller::{store::Scope, waker::Name},
    telemetry::Oldest,
};

/// How long a turn is kept for one who does not come.
const KEPT: Duration = Duration::from_secs(20);
/// How long others wait for it: somebody whose Secret was rotated meanwhile never comes.
const EXPECTED: Duration = Duration::from_secs(1);
/// One turn in so many goes to whoever has waited longest, whatever for: nobody starves.
const FAIR: u32 = 4;
/// The calls of an order come together.
const OF_AN_ORDER: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

/// The order of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A person has just edited the object.
    Edit,
    /// An order is about to be made.
    Order,
    /// A change is followed.
    InFlight,
    /// A look at what is at rest.
    Drift,
}

impl Class {
    pub const ALL: [Self; 4] = [Self::Edit, Self::Order, Self::InFlight, Self::Drift];

    /// The value of its label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Order => "order",
            Self::InFlight => "in_flight",
            Self::Drift => "drift",
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    Object(Name),
    /// The inventory of the credential.
    Inventory,
}

/// So many calls, made together.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    pub class: Class,
    pub calls: u32,
    /// What the pass has used already: it begins anew when it is told, so it needs that once more.
    pub spent: u32,
}

/// The rates of all credentials. Time is the monotonic time of the caller's clock.
pub struct Limiter {
    rate: Rate,
    queues: Mutex<HashMap<Scope, Queue>>,
    news: Notify,
}

/// A place in a queue: whoever has a lower one is served before.
type Place = (Class, u64);

/// Of edits the newest one is served first: of a thousand that come at once nobody waits for one more than
/// for another, and somebody waits for the one that comes after them. Reads of the inventory are for many.
fn place(caller: &Caller, class: Class, number: u64) -> Place {
    let rank = match (class, caller) {
        (Class::Edit, Caller::Object(_)) => u64::MAX - number,
        (Class::Edit, Caller::Inventory) => 0,
        (Class::Order | Class::InFlight | Class::Drift, _) => number,
    };
    (class, rank)
}

struct Queue {
    pace: Pace,
    waiting: BTreeMap<Place, Waiting>,
    places: HashMap<Caller, Place>,
    granted: HashMap<Caller, Grant>,
    /// The number of whoever comes next.
    next: u64,
    served: u32,
    /// As many calls may be given out and not made: made at once, they must not be more than a burst.
    most_unused: u32,
}

/// Somebody who waits for so many calls.
#[derive(Debug, Clone)]
struct Waiting {
    caller: Caller,
    /// Tells who came first.
    number: u64,
    calls: u32,
    since: Duration,
}

/// Somebody whose turn has come.
#[derive(Debug, Clone)]
pub struct Told {
    pub caller: Caller,
    /// For what it waited, and how long.
    pub class: Class,
    pub waited: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Grant {
    calls: u32,
    until: Duration,
}

impl Limiter {
    /// So many calls a second for each credential, with bursts of the calls of a second, and at least of those
    /// that an order takes.
    pub fn new(rate: Rate) -> Self {
        Self { rate, queues: Mutex::default(), news: Notify::new() }
    }

    /// Whether so many calls may be made now. If not, `serve` tells when.
    pub fn turns(&self, scope: &Scope, caller: &Caller, ask: Ask, now: Duration) -> bool {
        let mut queues = self.lock();
        let queue = queues.entry(scope.clone()).or_insert_with(|| Queue::new(self.rate));
        let before = queue.asked_by(caller);
        let granted = queue.turns(caller, ask, now);
        // Who asks once more for what it waits for already is no news: it may be the one that is told.
        let waits_anew = !granted && queue.asked_by(caller) != before;
        if waits_anew || granted && !queue.waiting.is_empty() {
            self.news.notify_one();
        }
        granted
    }

    /// A pass has ended: what it did not use goes to others.
    pub fn done(&self, scope: &Scope, caller: &Caller) {
        if let Some(queue) = self.lock().get_mut(scope)
            && queue.forget(caller)
        {
            self.news.notify_one();
        }
    }

    /// An object is gone: its turns go to others.
    pub fn forget(&self, caller: &Caller) {
        let mut freed = false;
        for queue in self.lock().values_mut() {
            freed |= queue.forget(caller);
        }
        if freed {
            self.news.notify_one();
        }
    }

    /// The provider said 429, and perhaps for how long.
    pub fn throttled(&self, scope: &Scope, retry_after: Option<Duration>, now: Duration) {
        if let Some(queue) = self.lock().get_mut(scope) {
            queue.pace.throttled(now, retry_after);
        }
    }

    /// Gives out the turns that have come: whom to tell, and when to look again.
    pub fn serve(&self, now: Duration) -> (Vec<Told>, Option<Duration>) {
        let mut queues = self.lock();
        // A rotated credential leaves nothing behind.
        queues.retain(|_, queue| !queue.is_idle(now));
        let (mut told, mut next) = (Vec::new(), None::<Duration>);
        for queue in queues.values_mut() {
            let wait = queue.serve(now, |one| told.push(one));
            next = next.into_iter().chain(wait).min();
        }
        (told, next)
    }

    /// Resolves once `serve` may have something new to say.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// The lowest rate of any credential as things are, in calls a second.
    pub fn lowest_rate(&self, now: Duration) -> f64 {
        let mut queues = self.lock();
        let rates = queues.values_mut().map(|queue| queue.pace.rate(now));
        rates.fold(self.rate.get(), f64::min)
    }

    /// How many callers wait for their turn, and how long the one that has waited longest.
    pub fn waiting(&self, now: Duration) -> Oldest {
        let mut all = Oldest::default();
        for one in self.lock().values().flat_map(|queue| queue.waiting.values()) {
            all.add(now.saturating_sub(one.since));
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The calls of a second.
fn burst(rate: Rate) -> NonZeroU32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is above 0")]
    let calls = rate.get().min(f64::from(u32::MAX)) as u32;
    NonZeroU32::new(calls).unwrap_or(OF_AN_ORDER).max(OF_AN_ORDER)
}

impl Queue {
    fn new(rate: Rate) -> Self {
        let (burst, (waiting, places, granted)) = (burst(rate), Default::default());
        let pace = Pace::new(rate, burst);
        Self { pace, waiting, places, granted, next: 0, served: 0, most_unused: burst.get() }
    }

    fn is_idle(&self, now: Duration) -> bool {
        self.waiting.is_empty() && self.granted.is_empty() && self.pace.is_idle(now)
    }

    /// What the caller waits for, or has.
    fn asked_by(&self, caller: &Caller) -> Option<(Option<Place>, u32)> {
        let place = self.places.get(caller).copied();
        let waits = place.and_then(|place| self.waiting.get(&place)).map(|one| one.calls);
        let has = self.granted.get(caller).map(|grant| grant.calls);
        Some((place, waits.or(has)?))
    }

    fn turns(&mut self, caller: &Caller, ask: Ask, now: Duration) -> bool {
        let have = self.granted.get(caller).map_or(0, |grant| grant.calls);
        if let Some(left) = have.checked_sub(ask.calls) {
            self.keep(caller, left, now);
            return true;
        }
        let lacking = ask.calls - have;
        let first = self.waiting.keys().next().is_none_or(|(class, _)| ask.class < *class);
        if first && self.pace.wait(lacking, now).is_zero() {
            self.pace.spend(lacking, now);
            self.leave(caller);
            self.keep(caller, 0, now);
            return true;
        }
        // It comes back with nothing in hand.
        self.granted.remove(caller);
        self.pace.give_back(have);
        self.wait(caller, ask, now);
        false
    }

    fn keep(&mut self, caller: &Caller, calls: u32, now: Duration) {
        if calls == 0 {
            self.granted.remove(caller);
        } else {
            self.granted.insert(caller.clone(), Grant { calls, until: now.saturating_add(KEPT) });
        }
    }

    /// Takes its place in the queue; whoever has one keeps it, unless it is now served earlier.
    fn wait(&mut self, caller: &Caller, ask: Ask, now: Duration) {
        let calls = ask.calls.saturating_add(ask.spent);
        let before = self.leave(caller);
        let rises = before.as_ref().is_none_or(|((class, _), _)| ask.class < *class);
        let (place, number, since) = match before {
            Some((place, waiting)) if !rises => (place, waiting.number, waiting.since),
            before => {
                self.next += 1;
                let (number, since) =
                    before.map_or((self.next, now), |(_, waiting)| (waiting.number, waiting.since));
                let rank = if ask.class == Class::Edit { self.next } else { number };
                (place(caller, ask.class, rank), number, since)
            }
        };
        self.places.insert(caller.clone(), place);
        self.waiting.insert(place, Waiting { caller: caller.clone(), number, calls, since });
    }

    /// It waits for nothing, and has nothing; tells whether others have something of it.
    fn forget(&mut self, caller: &Caller) -> bool {
        self.leave(caller);
        let Some(grant) = self.granted.remove(caller) else { return false };
        self.pace.give_back(grant.calls);
        !self.waiting.is_empty()
    }

    fn leave(&mut self, caller: &Caller) -> Option<(Place, Waiting)> {
        let place = self.places.remove(caller)?;
        let waiting = self.waiting.remove(&place)?;
        Some((place, waiting))
    }

    /// Gives out turns; says after what time the next one comes.
    fn serve(&mut self, now: Duration, mut tell: impl FnMut(Told)) -> Option<Duration> {
        self.expire(now);
        while let Some((class, waiting)) = self.first() {
            let Waiting { caller, calls, since, .. } = waiting.clone();
            if let Some(wait) = self.must_come_first(&caller, calls, now) {
                return Some(wait);
            }
            let wait = self.pace.wait(calls, now);
            if !wait.is_zero() {
                return Some(wait);
            }
            self.pace.spend(calls, now);
            self.served = self.served.wrapping_add(1);
            self.leave(&caller);
            self.keep(&caller, calls, now);
            tell(Told { caller, class, waited: now.saturating_sub(since) });
        }
        self.granted.values().map(|grant| grant.until.saturating_sub(now)).min()
    }

    /// How long so many calls have to wait for those that were given out and will be made any moment; `None`:
    /// not at all. The inventory makes its own at once.
    fn must_come_first(&self, caller: &Caller, calls: u32, now: Duration) -> Option<Duration> {
        let expected = || {
            let fresh = self.granted.values();
            fresh.filter_map(|grant| {
                let wait = (grant.until + EXPECTED).checked_sub(now.saturating_add(KEPT))?;
                (!wait.is_zero()).then_some((grant.calls, wait))
            })
        };
        let unused: u32 = expected().map(|(calls, _)| calls).sum();
        let full = unused > 0 && unused.saturating_add(calls) > self.most_unused;
        let waits = full && *caller != Caller::Inventory;
        waits.then(|| expected().map(|(_, wait)| wait).min()).flatten()
    }

    /// Who is next: the first of the queue, and now and then the one who has waited longest.
    fn first(&self) -> Option<(Class, &Waiting)> {
        let fair = self.served % FAIR == FAIR - 1;
        let next = if fair {
            self.waiting.iter().min_by_key(|(_, waiting)| waiting.number)
        } else {
            self.waiting.iter().next()
        };
        next.map(|((class, _), waiting)| (*class, waiting))
    }

    fn expire(&mut self, now: Duration) {
        let pace = &mut self.pace;
        self.granted.retain(|_, grant| {
            let kept = now < grant.until;
            if !kept {
                pace.give_back(grant.calls);
            }
            kept
        });
    }
}

#[cfg(test)]
mod tests;
