//! The machines of each credential as the provider shows them. They are read in full batches, however
//! many objects there are, and an object is woken only when there is something new to see.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use zenlayer::{Batch, Found, Instance, InstanceId, InstanceIds, MOST_IDS, ReadError, Reading};

use super::limiter::Class;
use crate::{
    controller::{
        store::{Credential, Scope},
        waker::Name,
    },
    lifecycle::{backoff::fnv, is_final},
};

/// A batch waits so long for more to come, and no longer than `AT_MOST` in all.
const IDLE: Duration = Duration::from_millis(100);
const AT_MOST: Duration = Duration::from_secs(1);
/// Batches of a credential that are read at once.
const AT_ONCE: usize = 8;

/// What a read shows of one instance.
pub type InstanceRead = Result<Reading<Option<Instance>>, ReadError>;

/// When an object is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakes {
    /// After each read.
    Always,
    /// When the machine is not as it was.
    OnChange,
}

/// How often an object wants its machine to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    pub every: Duration,
    pub wakes: Wakes,
}

/// All machines. Time is the monotonic time of the caller's clock.
#[derive(Default)]
pub struct Inventory {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    shelves: HashMap<Scope, Shelf>,
    /// Which machine an object follows.
    places: HashMap<Name, (Scope, InstanceId)>,
}

/// The machines of one credential.
struct Shelf {
    credential: Credential,
    machines: HashMap<InstanceId, Machine>,
    /// Machines that are read apart from others: they were missing, or their batch was refused.
    apart: Vec<Vec<InstanceId>>,
    wanted: Option<Wanted>,
    reading: usize,
}

/// Reads that somebody waits for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    first: Duration,
    last: Duration,
    class: Class,
    count: usize,
}

#[derive(Default)]
struct Machine {
    /// What the last read showed; forgotten once every follower has seen it.
    seen: Option<Seen>,
    digest: Option<u64>,
    /// When it is read again; none while it is read.
    due: Option<Duration>,
    wanted: bool,
    followers: Vec<(Name, Interest)>,
}

struct Seen {
    begun: Duration,
    read: Box<InstanceRead>,
}

/// One read that is to be made.
pub struct Plan {
    pub credential: Credential,
    pub ids: InstanceIds,
    pub class: Class,
}

impl Inventory {
    /// What a read shows that began at `not_before` or later. If there is none, one is made, and the
    /// object is woken after it.
    pub fn look(
        &self,
        credential: &Credential,
        instance: &InstanceId,
        follower: &Name,
        class: Class,
        (not_before, now): (Duration, Duration),
    ) -> Option<InstanceRead> {
        let mut state = self.lock();
        state.place(credential, instance, follower);
        let shelf = state.shelves.get_mut(&credential.scope)?;
        let machine = shelf.machines.get_mut(instance)?;
        if let Some(seen) = machine.seen.as_ref().filter(|seen| seen.begun >= not_before) {
            return Some((*seen.read).clone());
        }
        if let Some((_, interest)) = machine.followers.iter_mut().find(|one| one.0 == *follower) {
            interest.wakes = Wakes::Always;
        }
        if !machine.wanted {
            machine.wanted = true;
            let wanted = shelf.wanted.get_or_insert(Wanted { first: now, last: now, class, count: 0 });
            wanted.last = now;
            wanted.class = wanted.class.min(class);
            wanted.count += 1;
        }
        self.news.notify_one();
        None
    }

    /// A pass over an object has ended: how its machine is read from now on.
    pub fn follow(&self, follower: &Name, interest: Interest, now: Duration) {
        let mut state = self.lock();
        let State { shelves, places } = &mut *state;
        let Some((scope, instance)) = places.get(follower) else { return };
        let Some(machine) =
            shelves.get_mut(scope).and_then(|shelf| shelf.machines.get_mut(instance))
        else {
            return;
        };
        if machine.wanted {
            return;
        }
        if let Some((_, old)) = machine.followers.iter_mut().find(|one| one.0 == *follower) {
            *old = interest;
        }
        let quiet = machine.followers.iter().all(|(_, one)| one.wakes == Wakes::OnChange);
        let last = machine.seen.as_ref().map_or(now, |seen| seen.begun);
        if quiet {
            machine.seen = None;
        }
        let every = machine.every();
        if let Some(due) = &mut machine.due {
            let wish = last.saturating_add(every);
            // What is due already stays so: a batch that repeats stays together.
            *due = if quiet { (*due).max(now).min(wish.max(now)) } else { wish };
        }
        self.news.notify_one();
    }

    /// An object is gone, or follows another machine.
    pub fn leave(&self, follower: &Name) {
        self.lock().leave(follower);
    }

    /// Forgets all other objects.
    pub fn keep(&self, names: &HashSet<Name>) {
        let mut state = self.lock();
        let gone: Vec<Name> =
            state.places.keys().filter(|name| !names.contains(*name)).cloned().collect();
        gone.iter().for_each(|name| state.leave(name));
    }

    /// The reads that are due, and when to look again. `may_read` says whether the credential has a
    /// turn; whoever has none is asked again later.
    pub fn plan(
        &self,
        now: Duration,
        mut may_read: impl FnMut(&Scope, Class) -> bool,
    ) -> (Vec<Plan>, Option<Duration>) {
        let mut state = self.lock();
        let (mut plans, mut next) = (Vec::new(), None::<Duration>);
        for (scope, shelf) in &mut state.shelves {
            loop {
                let due = shelf.due_in(now);
                let Some(wait) = due.filter(|_| shelf.reading < AT_ONCE) else { break };
                if !wait.is_zero() {
                    next = next.into_iter().chain([wait]).min();
                    break;
                }
                let class = shelf.wanted.map_or(Class::Drift, |wanted| wanted.class);
                if !may_read(scope, class) {
                    break;
                }
                let Some(ids) = shelf.take(now) else { break };
                plans.push(Plan { credential: shelf.credential.clone(), ids, class });
            }
        }
        (plans, next)
    }

    /// A read has ended. Gives the objects that have something to see.
    pub fn answered(
        &self,
        plan: &Plan,
        result: Result<Reading<Batch<Instance>>, ReadError>,
        (begun, now): (Duration, Duration),
        again: Duration,
    ) -> Vec<Name> {
        let mut state = self.lock();
        let Some(shelf) = state.shelves.get_mut(&plan.credential.scope) else { return Vec::new() };
        shelf.reading = shelf.reading.saturating_sub(1);
        self.news.notify_one();
        match result {
            Ok(reading) => shelf.put(reading, &plan.ids, (begun, now), again),
            // It does not say which machine it is about.
            Err(error) if is_final(&error) && plan.ids.only().is_none() => {
                shelf.split(&plan.ids);
                Vec::new()
            }
            Err(error) => shelf.failed(&plan.ids, &error, (begun, now), again),
        }
    }

    /// Resolves once `plan` may have something new to say.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// A turn has come, or there is something new to plan.
    pub fn turn(&self) {
        self.news.notify_one();
    }

    /// Every object that follows a machine of this credential.
    pub fn followers(&self, scope: &Scope) -> Vec<Name> {
        let state = self.lock();
        let machines = state.shelves.get(scope).into_iter().flat_map(|shelf| shelf.machines.values());
        machines.flat_map(|machine| machine.followers.iter().map(|one| one.0.clone())).collect()
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
        let shelf = self.shelves.entry(credential.scope.clone()).or_insert_with(|| Shelf {
            credential: credential.clone(),
            machines: HashMap::new(),
            apart: Vec::new(),
            wanted: None,
            reading: 0,
        });
        let machine = shelf.machines.entry(instance.clone()).or_default();
        machine.due.get_or_insert(Duration::MAX);
        let interest = Interest { every: Duration::MAX, wakes: Wakes::Always };
        machine.followers.push((follower.clone(), interest));
        self.places.insert(follower.clone(), (credential.scope.clone(), instance.clone()));
    }

    fn leave(&mut self, follower: &Name) {
        let Some((scope, instance)) = self.places.remove(follower) else { return };
        let Some(shelf) = self.shelves.get_mut(&scope) else { return };
        if let Some(machine) = shelf.machines.get_mut(&instance) {
            machine.followers.retain(|one| one.0 != *follower);
            if machine.followers.is_empty() {
                shelf.machines.remove(&instance);
            }
        }
        if shelf.machines.is_empty() {
            self.shelves.remove(&scope);
        }
    }
}

impl Shelf {
    /// After what time a read is due.
    fn due_in(&self, now: Duration) -> Option<Duration> {
        if !self.apart.is_empty() {
            return Some(Duration::ZERO);
        }
        let wanted = self.wanted.map(|wanted| {
            let full = wanted.count >= MOST_IDS;
            let end = wanted.last.saturating_add(IDLE).min(wanted.first.saturating_add(AT_MOST));
            if full { Duration::ZERO } else { end.saturating_sub(now) }
        });
        let due = self.machines.values().filter_map(|machine| machine.due).min();
        let due = due.filter(|due| *due < Duration::MAX).map(|due| due.saturating_sub(now));
        wanted.into_iter().chain(due).min()
    }

    /// The ids of the next read: what is wanted, then what is due, and what will be soonest, so that
    /// the batch is full.
    fn take(&mut self, now: Duration) -> Option<InstanceIds> {
        let mut ids: Vec<InstanceId> = match self.apart.pop() {
            Some(apart) => apart.into_iter().filter(|id| self.machines.contains_key(id)).collect(),
            None => self.fullest(now),
        };
        ids.truncate(MOST_IDS);
        for id in &ids {
            if let Some(machine) = self.machines.get_mut(id) {
                machine.due = None;
                if std::mem::take(&mut machine.wanted)
                    && let Some(wanted) = &mut self.wanted
                {
                    wanted.count = wanted.count.saturating_sub(1);
                }
            }
        }
        if self.wanted.is_some_and(|wanted| wanted.count == 0) {
            self.wanted = None;
        }
        let batch = InstanceIds::batches(ids).into_iter().next()?;
        self.reading += 1;
        Some(batch)
    }

    fn fullest(&self, now: Duration) -> Vec<InstanceId> {
        let mut due: Vec<(bool, Duration, &InstanceId)> = self
            .machines
            .iter()
            .filter_map(|(id, machine)| {
                let due = machine.due?;
                let soon = due <= now.saturating_add(machine.every() / 2);
                (machine.wanted || soon).then_some((!machine.wanted, due, id))
            })
            .collect();
        if due.len() > MOST_IDS {
            due.select_nth_unstable(MOST_IDS);
            due.truncate(MOST_IDS);
        }
        due.into_iter().map(|(_, _, id)| id.clone()).collect()
    }

    fn put(
        &mut self,
        mut reading: Reading<Batch<Instance>>,
        ids: &InstanceIds,
        (begun, now): (Duration, Duration),
        again: Duration,
    ) -> Vec<Name> {
        let alone = ids.only().is_some();
        let mut woken = Vec::new();
        for id in ids.iter() {
            let found = reading.value.remove(id);
            let Some(machine) = self.machines.get_mut(id) else { continue };
            let value = match found {
                Some(Found::Present(instance)) => Ok(Some(instance)),
                // It is asked for alone, a look later.
                Some(Found::Missing) if !alone => {
                    machine.due = Some(now.saturating_add(again));
                    self.apart.push(vec![id.clone()]);
                    continue;
                }
                Some(Found::Missing) => Ok(None),
                Some(Found::Odd { cause }) => Err(ReadError::Malformed { cause }),
                None => Err(ReadError::Malformed { cause: format!("instance {id} is missing") }),
            };
            let (date, sent_at) = (reading.date, reading.sent_at);
            machine.shows(value.map(|value| Reading { value, date, sent_at }), begun, now, &mut woken);
        }
        woken
    }

    fn split(&mut self, ids: &InstanceIds) {
        let ids: Vec<InstanceId> = ids.iter().cloned().collect();
        let (left, right) = ids.split_at(ids.len() / 2);
        self.apart.extend([left.to_vec(), right.to_vec()]);
        for id in ids {
            if let Some(machine) = self.machines.get_mut(&id) {
                machine.due = Some(Duration::MAX);
            }
        }
    }

    fn failed(
        &mut self,
        ids: &InstanceIds,
        error: &ReadError,
        (begun, now): (Duration, Duration),
        again: Duration,
    ) -> Vec<Name> {
        let alone = ids.only().is_some() && is_final(error);
        let mut woken = Vec::new();
        for id in ids.iter() {
            let Some(machine) = self.machines.get_mut(id) else { continue };
            if alone {
                machine.shows(Err(error.clone()), begun, now, &mut woken);
            } else {
                // It says nothing of the machine; those that wait for a word get it.
                machine.due = Some(now.saturating_add(again));
                machine.seen = Some(Seen { begun, read: Box::new(Err(error.clone())) });
                machine.wake(false, &mut woken);
            }
        }
        woken
    }
}

impl Machine {
    fn every(&self) -> Duration {
        self.followers.iter().map(|(_, interest)| interest.every).min().unwrap_or(Duration::MAX)
    }

    fn shows(&mut self, read: InstanceRead, begun: Duration, now: Duration, woken: &mut Vec<Name>) {
        let digest = digest(&read);
        let changed = self.digest != Some(digest);
        self.digest = Some(digest);
        self.due = Some(now.saturating_add(self.every()));
        let quiet = !changed && self.followers.iter().all(|(_, one)| one.wakes == Wakes::OnChange);
        if !quiet {
            self.seen = Some(Seen { begun, read: Box::new(read) });
        }
        self.wake(changed, woken);
    }

    fn wake(&self, changed: bool, woken: &mut Vec<Name>) {
        let tell = |one: &&(Name, Interest)| changed || one.1.wakes == Wakes::Always;
        woken.extend(self.followers.iter().filter(tell).map(|one| one.0.clone()));
    }
}

fn digest(read: &InstanceRead) -> u64 {
    match read {
        Ok(reading) => fnv(&format!("{:?}", reading.value)),
        Err(error) => fnv(&error.to_string()),
    }
}
