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

use crate::controller::{store::Scope, waker::Name};

/// How long a turn is kept for one who does not come.
const KEPT: Duration = Duration::from_secs(20);
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

struct Queue {
    pace: Pace,
    waiting: BTreeMap<Place, (Caller, u32)>,
    places: HashMap<Caller, Place>,
    granted: HashMap<Caller, Grant>,
    /// Tells who came first.
    next: u64,
    served: u32,
}

#[derive(Debug, Clone, Copy)]
struct Grant {
    calls: u32,
    until: Duration,
}

impl Limiter {
    /// So many calls a second for each credential, with bursts of twice as many, and at least of those
    /// that an order takes.
    pub fn new(rate: Rate) -> Self {
        Self { rate, queues: Mutex::default(), news: Notify::new() }
    }

    /// Whether so many calls may be made now. If not, `serve` tells when.
    pub fn turns(&self, scope: &Scope, caller: &Caller, ask: Ask, now: Duration) -> bool {
        let mut queues = self.lock();
        let queue = queues.entry(scope.clone()).or_insert_with(|| Queue::new(self.rate));
        let granted = queue.turns(caller, ask, now);
        if !granted {
            self.news.notify_one();
        }
        granted
    }

    /// A pass has ended: what it did not use goes to others.
    pub fn done(&self, scope: &Scope, caller: &Caller) {
        if let Some(queue) = self.lock().get_mut(scope)
            && let Some(grant) = queue.granted.remove(caller)
        {
            queue.pace.give_back(grant.calls);
            if !queue.waiting.is_empty() {
                self.news.notify_one();
            }
        }
    }

    /// An object is gone: its turns go to others.
    pub fn forget(&self, caller: &Caller) {
        for queue in self.lock().values_mut() {
            queue.leave(caller);
            if let Some(grant) = queue.granted.remove(caller) {
                queue.pace.give_back(grant.calls);
            }
        }
    }

    /// The provider said 429.
    pub fn throttled(&self, scope: &Scope, now: Duration) {
        if let Some(queue) = self.lock().get_mut(scope) {
            queue.pace.throttled(now, None);
        }
    }

    /// Gives out the turns that have come: whom to tell, and when to look again.
    pub fn serve(&self, now: Duration) -> (Vec<(Scope, Caller)>, Option<Duration>) {
        let mut queues = self.lock();
        // A rotated credential leaves nothing behind.
        queues.retain(|_, queue| !queue.is_idle(now));
        let (mut told, mut next) = (Vec::new(), None::<Duration>);
        for (scope, queue) in queues.iter_mut() {
            let wait = queue.serve(now, |caller| told.push((scope.clone(), caller)));
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

    /// How many callers wait for their turn.
    pub fn waiting(&self) -> usize {
        self.lock().values().map(|queue| queue.waiting.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Twice the calls of a second.
fn burst(rate: Rate) -> NonZeroU32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is above 0")]
    let twice = (rate.get() * 2.0).min(f64::from(u32::MAX)) as u32;
    NonZeroU32::new(twice).unwrap_or(OF_AN_ORDER).max(OF_AN_ORDER)
}

impl Queue {
    fn new(rate: Rate) -> Self {
        let pace = Pace::new(rate, burst(rate));
        let (waiting, places, granted) = Default::default();
        Self { pace, waiting, places, granted, next: 0, served: 0 }
    }

    fn is_idle(&self, now: Duration) -> bool {
        self.waiting.is_empty() && self.granted.is_empty() && self.pace.is_idle(now)
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
        self.wait(caller, ask);
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
    fn wait(&mut self, caller: &Caller, ask: Ask) {
        let calls = ask.calls.saturating_add(ask.spent);
        let place = match self.leave(caller) {
            Some((class, number)) => (class.min(ask.class), number),
            None => {
                self.next += 1;
                (ask.class, self.next)
            }
        };
        self.places.insert(caller.clone(), place);
        self.waiting.insert(place, (caller.clone(), calls));
    }

    fn leave(&mut self, caller: &Caller) -> Option<Place> {
        let place = self.places.remove(caller)?;
        self.waiting.remove(&place);
        Some(place)
    }

    /// Gives out turns; says after what time the next one comes.
    fn serve(&mut self, now: Duration, mut tell: impl FnMut(Caller)) -> Option<Duration> {
        self.expire(now);
        while let Some((caller, calls)) = self.first().cloned() {
            let wait = self.pace.wait(calls, now);
            if !wait.is_zero() {
                return Some(wait);
            }
            self.pace.spend(calls, now);
            self.served = self.served.wrapping_add(1);
            self.leave(&caller);
            self.keep(&caller, calls, now);
            tell(caller);
        }
        self.granted.values().map(|grant| grant.until.saturating_sub(now)).min()
    }

    /// Who is next: the first of the first class, and now and then the one who has waited longest.
    fn first(&self) -> Option<&(Caller, u32)> {
        let fair = self.served % FAIR == FAIR - 1;
        let next = if fair {
            self.waiting.iter().min_by_key(|((_, number), _)| *number)
        } else {
            self.waiting.iter().next()
        };
        next.map(|(_, waiting)| waiting)
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
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// One call a second, and four at once, of which none is left.
    fn used_up() -> Limiter {
        let limiter = Limiter::new(NonZeroU32::MIN.into());
        assert!(limiter.turns(&scope(), &object("first"), ask(Class::Drift, 4), at(0)));
        limiter
    }

    fn scope() -> Scope {
        Scope::of("key")
    }

    fn object(name: &str) -> Caller {
        Caller::Object(("shop".to_owned(), name.to_owned()))
    }

    fn ask(class: Class, calls: u32) -> Ask {
        Ask { class, calls, spent: 0 }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn waits(limiter: &Limiter, name: &str, class: Class, calls: u32) {
        assert!(!limiter.turns(&scope(), &object(name), ask(class, calls), at(0)), "{name}");
    }

    /// Whose turn has come.
    fn told(limiter: &Limiter, seconds: u64) -> Vec<String> {
        let (told, _) = limiter.serve(at(seconds));
        let name = |(_, caller)| match caller {
            Caller::Object((_, name)) => name,
            Caller::Inventory => "the inventory".to_owned(),
        };
        told.into_iter().map(name).collect()
    }

    #[test]
    fn turns_come_by_class_and_in_each_as_they_were_asked_for() {
        let limiter = used_up();
        for (name, class) in
            [("d", Class::Drift), ("f", Class::InFlight), ("e", Class::Edit), ("g", Class::Edit)]
        {
            waits(&limiter, name, class, 1);
        }
        assert_eq!(told(&limiter, 0), [""; 0]);
        assert_eq!(told(&limiter, 1), ["e"]);
        assert_eq!(told(&limiter, 3), ["g", "f"]);
    }

    #[test]
    fn one_turn_in_four_is_of_whoever_has_waited_longest() {
        let limiter = used_up();
        waits(&limiter, "old", Class::Drift, 1);
        for number in 0..6 {
            waits(&limiter, &format!("edit-{number}"), Class::Edit, 1);
        }
        let served: Vec<String> = (1..=4).flat_map(|second| told(&limiter, second)).collect();
        assert_eq!(served, ["edit-0", "edit-1", "edit-2", "old"]);
    }

    #[test]
    fn whoever_was_told_has_the_calls_of_an_order_together_and_once() {
        let limiter = used_up();
        waits(&limiter, "order", Class::Order, 3);
        assert_eq!(told(&limiter, 2), [""; 0]);
        assert_eq!(told(&limiter, 3), ["order"]);
        assert!(limiter.turns(&scope(), &object("order"), ask(Class::Order, 3), at(3)));
        assert!(!limiter.turns(&scope(), &object("order"), ask(Class::Order, 1), at(3)));
    }

    #[test]
    fn what_is_not_used_goes_to_others() {
        for gone in [true, false] {
            let limiter = used_up();
            waits(&limiter, "a", Class::Order, 3);
            waits(&limiter, "b", Class::Drift, 3);
            assert_eq!(told(&limiter, 3), ["a"]);
            if gone {
                limiter.forget(&object("a"));
            } else {
                limiter.done(&scope(), &object("a"));
            }
            assert_eq!(told(&limiter, 3), ["b"]);
        }
    }

    #[test]
    fn a_turn_is_not_kept_for_ever_and_none_is_for_whoever_is_gone() {
        let limiter = used_up();
        waits(&limiter, "a", Class::Order, 3);
        assert_eq!(told(&limiter, 3), ["a"]);
        waits(&limiter, "b", Class::Drift, 4);
        assert_eq!(told(&limiter, 3), [""; 0]);
        assert_eq!(told(&limiter, 23), ["b"]);
        assert!(!limiter.turns(&scope(), &object("a"), ask(Class::Order, 3), at(23)));
        limiter.forget(&object("a"));
        waits(&limiter, "c", Class::Drift, 3);
        limiter.forget(&object("c"));
        assert_eq!((told(&limiter, 60), limiter.waiting()), (Vec::new(), 0));
    }

    #[test]
    fn after_a_429_turns_come_half_as_often() {
        let limiter = used_up();
        limiter.throttled(&scope(), at(0));
        waits(&limiter, "a", Class::Edit, 1);
        assert_eq!(told(&limiter, 1), [""; 0]);
        assert!(limiter.lowest_rate(at(1)) < 1.0);
        assert_eq!(told(&limiter, 3), ["a"]);
    }

    #[test]
    fn another_credential_has_a_rate_of_its_own() {
        let limiter = used_up();
        waits(&limiter, "a", Class::Edit, 1);
        let other = Scope::of("another");
        assert!(limiter.turns(&other, &object("b"), ask(Class::Drift, 4), at(0)));
    }
}
