//! The machines of one credential, and which of them are read next.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use zenlayer::{Batch, Found, Instance, InstanceId, InstanceIds, MOST_IDS, ReadError, Reading};

use super::{
    inventory::{InstanceRead, Interest},
    limiter::Class,
    troubles::is_shared,
};
use crate::{
    controller::{store::Credential, waker::Name},
    lifecycle::backoff::fnv,
};

/// A batch waits so long for more to come, and no longer than `AT_MOST` in all.
const IDLE: Duration = Duration::from_millis(100);
const AT_MOST: Duration = Duration::from_secs(1);
/// Batches that are read at once.
const AT_ONCE: usize = 8;

/// One read that is to be made.
pub struct Plan {
    pub credential: Credential,
    pub ids: InstanceIds,
}

/// How long after a read in which a machine was missing it is asked for alone.
const AGAIN: Duration = Duration::from_secs(5);

pub struct Shelf {
    credential: Credential,
    machines: HashMap<InstanceId, Machine>,
    /// When each machine is read again.
    due: BTreeSet<(Duration, InstanceId)>,
    /// Machines that somebody waits for.
    wanted: BTreeSet<InstanceId>,
    wants: Option<Wants>,
    /// Machines that are read apart from others, and when: they were missing, or their batch was refused.
    apart: BTreeMap<Duration, Vec<Vec<InstanceId>>>,
    reading: usize,
}

/// Since when somebody waits, and what for.
#[derive(Debug, Clone, Copy)]
struct Wants {
    first: Duration,
    last: Duration,
    class: Class,
}

#[derive(Default)]
struct Machine {
    seen: Option<Seen>,
    /// When the last read began that showed it.
    shown: Option<Duration>,
    digest: Option<u64>,
    /// Its place in the order of what is due.
    due: Option<Duration>,
    /// Since when it is being read.
    reading: Option<Duration>,
    followers: Vec<Follower>,
}

struct Seen {
    begun: Duration,
    read: Box<InstanceRead>,
}

struct Follower {
    name: Name,
    wish: Wish,
    /// What was read before is too old for it.
    fresh_from: Duration,
    waits: bool,
}

/// When a follower is told again.
#[derive(Debug, Clone, Copy)]
enum Wish {
    /// The machine is read so often; it is told when it is not as it was.
    News(Duration),
    /// At this moment, once.
    At(Duration),
}

impl Shelf {
    pub fn new(credential: Credential) -> Self {
        let (machines, due, wanted, apart) = Default::default();
        Self { credential, machines, due, wanted, wants: None, apart, reading: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.machines.is_empty()
    }

    pub fn join(&mut self, instance: &InstanceId, follower: &Name) {
        let machine = self.machines.entry(instance.clone()).or_default();
        machine.followers.push(Follower {
            name: follower.clone(),
            wish: Wish::At(Duration::MAX),
            fresh_from: Duration::ZERO,
            waits: false,
        });
    }

    pub fn leave(&mut self, instance: &InstanceId, follower: &Name) {
        let Some(machine) = self.machines.get_mut(instance) else { return };
        machine.followers.retain(|one| one.name != *follower);
        if machine.followers.is_empty() {
            self.schedule(instance, None);
            self.wanted.remove(instance);
            self.machines.remove(instance);
        }
    }

    pub fn look(
        &mut self,
        instance: &InstanceId,
        follower: &Name,
        class: Class,
        (oldest, now): (Duration, Duration),
    ) -> Option<InstanceRead> {
        let machine = self.machines.get_mut(instance)?;
        let one = machine.followers.iter_mut().find(|one| one.name == *follower)?;
        let not_before = one.fresh_from.max(oldest);
        if let Some(seen) = machine.seen.as_ref().filter(|seen| seen.begun >= not_before) {
            return Some((*seen.read).clone());
        }
        one.waits = true;
        if machine.reading.is_none_or(|begun| begun < not_before) {
            self.wanted.insert(instance.clone());
            let wants = self.wants.get_or_insert(Wants { first: now, last: now, class });
            wants.last = now;
            wants.class = wants.class.min(class);
        }
        None
    }

    pub fn follow(
        &mut self,
        instance: &InstanceId,
        follower: &Name,
        interest: Interest,
        now: Duration,
    ) {
        let Some(machine) = self.machines.get_mut(instance) else { return };
        let Some(one) = machine.followers.iter_mut().find(|one| one.name == *follower) else {
            return;
        };
        // Its pass has ended before the read that it waits for.
        if one.waits {
            return;
        }
        one.wish = match interest {
            Interest::AtRest(every) => Wish::News(every),
            Interest::Once(after) => Wish::At(now.saturating_add(after)),
        };
        if let Interest::Once(_) = interest {
            one.fresh_from = now;
        }
        let wish = machine.next(machine.seen.as_ref().map_or(now, |seen| seen.begun));
        // What is due before stays so: a batch that repeats stays together.
        let due = machine.due.map_or(wish, |due| due.min(wish));
        if machine.reading.is_none() {
            self.schedule(instance, Some(due));
        }
    }

    /// After what time a read is due; `None`: nothing is, or as many are under way as may be.
    pub fn due_in(&self, now: Duration) -> Option<Duration> {
        if self.reading >= AT_ONCE {
            return None;
        }
        let wanted = self.wants.map(|wants| match wants.class {
            // Nobody who waits for an edit waits for others.
            Class::Edit | Class::Order if self.wanted.len() == 1 => Duration::ZERO,
            _ if self.wanted.len() >= MOST_IDS => Duration::ZERO,
            _ => {
                let end = wants.last.saturating_add(IDLE).min(wants.first.saturating_add(AT_MOST));
                end.saturating_sub(now)
            }
        });
        let due = self.due.first().map(|(due, _)| *due);
        let apart = self.apart.first_key_value().map(|(due, _)| *due);
        let timed = due.into_iter().chain(apart).filter(|due| *due < Duration::MAX).min();
        wanted.into_iter().chain(timed.map(|due| due.saturating_sub(now))).min()
    }

    /// What the next read is for.
    pub fn class(&self) -> Class {
        self.wants.map_or(Class::Drift, |wants| wants.class)
    }

    /// The next read: what is wanted, then what is due, and what will be soon, so that it is full.
    pub fn take(&mut self, now: Duration) -> Option<Plan> {
        let ids = match self.apart.first_entry().filter(|entry| *entry.key() <= now) {
            Some(mut entry) => {
                let ids = entry.get_mut().pop().unwrap_or_default();
                if entry.get().is_empty() {
                    entry.remove();
                }
                ids.into_iter().filter(|id| self.machines.contains_key(id)).collect()
            }
            None => self.fullest(now),
        };
        for id in &ids {
            self.schedule(id, None);
            self.wanted.remove(id);
            if let Some(machine) = self.machines.get_mut(id) {
                machine.reading = Some(now);
            }
        }
        if self.wanted.is_empty() {
            self.wants = None;
        }
        let ids = InstanceIds::batches(ids).into_iter().next()?;
        self.reading += 1;
        Some(Plan { credential: self.credential.clone(), ids })
    }

    fn fullest(&self, now: Duration) -> Vec<InstanceId> {
        let soon = |(due, id): &&(Duration, InstanceId)| {
            let every = self.machines.get(id).and_then(Machine::every).unwrap_or_default();
            *due <= now.saturating_add(every / 2)
        };
        let due = self.due.iter().take_while(soon).map(|(_, id)| id);
        let due = due.filter(|id| !self.wanted.contains(*id));
        self.wanted.iter().chain(due).take(MOST_IDS).cloned().collect()
    }

    pub fn answered(
        &mut self,
        plan: &Plan,
        result: Result<Reading<Batch<Instance>>, ReadError>,
        (begun, now): (Duration, Duration),
        oldest: Duration,
    ) -> Vec<Name> {
        self.reading = self.reading.saturating_sub(1);
        for id in plan.ids.iter() {
            if let Some(machine) = self.machines.get_mut(id) {
                machine.reading = None;
            }
        }
        match result {
            Ok(reading) => self.put(reading, &plan.ids, (begun, now), AGAIN),
            // It does not say which machine it is about.
            Err(error) if !is_shared(&error) && plan.ids.only().is_none() => {
                self.split(&plan.ids, now);
                Vec::new()
            }
            Err(error) => self.failed(&plan.ids, &error, (begun, now), oldest),
        }
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
            let value = match reading.value.remove(id) {
                Some(Found::Present(instance)) => Ok(Some(instance)),
                // It is asked for alone, a look later.
                Some(Found::Missing) if !alone => {
                    let at = now.saturating_add(again);
                    self.apart.entry(at).or_default().push(vec![id.clone()]);
                    continue;
                }
                Some(Found::Missing) => Ok(None),
                Some(Found::Odd { cause }) => Err(ReadError::Malformed { cause }),
                None => Err(ReadError::Malformed { cause: format!("instance {id} is missing") }),
            };
            let (date, sent_at) = (reading.date, reading.sent_at);
            let read = value.map(|value| Reading { value, date, sent_at });
            self.shows(id, read, (begun, now), &mut woken);
        }
        woken
    }

    fn shows(
        &mut self,
        id: &InstanceId,
        read: InstanceRead,
        (begun, now): (Duration, Duration),
        woken: &mut Vec<Name>,
    ) {
        let Some(machine) = self.machines.get_mut(id) else { return };
        let digest = digest(&read);
        let changed = machine.digest.replace(digest) != Some(digest);
        machine.seen = Some(Seen { begun, read: Box::new(read) });
        machine.shown = Some(begun);
        machine.wake(changed, now, woken);
        let due = machine.next(now);
        self.schedule(id, Some(due));
    }

    fn split(&mut self, ids: &InstanceIds, now: Duration) {
        let ids: Vec<InstanceId> = ids.iter().cloned().collect();
        let (left, right) = ids.split_at(ids.len() / 2);
        self.apart.entry(now).or_default().extend([left.to_vec(), right.to_vec()]);
    }

    /// Those that wait are told, and those at rest whose machine has not been seen for long; they are
    /// told again once it is.
    fn failed(
        &mut self,
        ids: &InstanceIds,
        error: &ReadError,
        (begun, now): (Duration, Duration),
        oldest: Duration,
    ) -> Vec<Name> {
        let mut woken = Vec::new();
        if !is_shared(error) {
            for id in ids.iter() {
                self.shows(id, Err(error.clone()), (begun, now), &mut woken);
            }
            return woken;
        }
        for id in ids.iter() {
            let Some(machine) = self.machines.get_mut(id) else { continue };
            machine.seen = Some(Seen { begun, read: Box::new(Err(error.clone())) });
            machine.wake(false, now, &mut woken);
            self.schedule(id, Some(now));
        }
        for machine in self.machines.values_mut() {
            if machine.shown.is_none_or(|shown| shown < oldest) {
                for one in &mut machine.followers {
                    one.waits = true;
                    woken.push(one.name.clone());
                }
            }
        }
        woken
    }

    /// Moves a machine to its new place in the order of what is due.
    fn schedule(&mut self, id: &InstanceId, due: Option<Duration>) {
        let Some(machine) = self.machines.get_mut(id) else { return };
        if let Some(old) = std::mem::replace(&mut machine.due, due) {
            self.due.remove(&(old, id.clone()));
        }
        if let Some(due) = due {
            self.due.insert((due, id.clone()));
        }
    }
}

impl Machine {
    /// When the next read is due after one at `last`.
    fn next(&self, last: Duration) -> Duration {
        let at = |one: &Follower| match one.wish {
            Wish::News(every) => last.saturating_add(every),
            Wish::At(moment) => moment,
        };
        self.followers.iter().map(at).min().unwrap_or(Duration::MAX)
    }

    /// How often a machine is read that nobody waits for.
    fn every(&self) -> Option<Duration> {
        let every = |one: &Follower| match one.wish {
            Wish::News(every) => Some(every),
            Wish::At(_) => None,
        };
        self.followers.iter().map(every).min().flatten()
    }

    fn wake(&mut self, changed: bool, now: Duration, woken: &mut Vec<Name>) {
        for one in &mut self.followers {
            let waits = std::mem::take(&mut one.waits);
            let due = matches!(one.wish, Wish::At(moment) if moment <= now);
            if due {
                one.wish = Wish::At(Duration::MAX);
            }
            if changed || waits || due {
                woken.push(one.name.clone());
            }
        }
    }
}

fn digest(read: &InstanceRead) -> u64 {
    match read {
        Ok(reading) => fnv(&format!("{:?}", reading.value)),
        Err(error) => fnv(&error.to_string()),
    }
}
