//! The machines of one credential, and which of them are read next.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use zenlayer::{Batch, Found, Instance, InstanceId, InstanceIds, MOST_IDS, ReadError, Reading};

use super::{
    limiter::Class,
    machine::{Due, InstanceRead, Interest, Machine},
    troubles::{is_of_credential, is_shared, throttled},
};
use crate::controller::{store::Credential, waker::Name};

/// A batch waits so long for more to come, and no longer than `AT_MOST` in all.
const IDLE: Duration = Duration::from_millis(100);
const AT_MOST: Duration = Duration::from_secs(1);
/// Batches that are read at once.
const AT_ONCE: usize = 8;
/// One read in so many is of what has waited longest, whatever for: nobody starves.
const FAIR: u32 = 4;
/// So many batches that are refused in a row are no matter of single machines.
const IN_A_ROW: u32 = 8;

/// One read that is to be made.
pub struct Plan {
    pub credential: Credential,
    pub ids: InstanceIds,
}

/// What a read means for those who follow its machines, and for the credential.
#[derive(Default)]
pub struct Meaning {
    /// They have something to see.
    pub woken: Vec<Name>,
    /// Other reads of the credential fail just so.
    pub is_shared: bool,
}

pub struct Shelf {
    credential: Credential,
    machines: HashMap<InstanceId, Machine>,
    /// When each machine is read, by class.
    due: [BTreeSet<(Duration, InstanceId)>; Class::ALL.len()],
    /// When somebody last began to wait.
    asked: Duration,
    reading: usize,
    served: u32,
    refused_in_a_row: u32,
    /// The last read was.
    throttled: bool,
    /// All were told that the credential is refused.
    told: bool,
}

impl Shelf {
    pub fn new(credential: Credential) -> Self {
        let (machines, due, asked, reading, served) = Default::default();
        let (refused_in_a_row, throttled, told) = Default::default();
        Self {
            credential,
            machines,
            due,
            asked,
            reading,
            served,
            refused_in_a_row,
            throttled,
            told,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.machines.is_empty()
    }

    /// When each machine was last read, if it ever was.
    pub fn read_well_at(&self) -> impl Iterator<Item = Option<Duration>> {
        self.machines.values().map(Machine::read_well_at)
    }

    pub fn join(&mut self, instance: &InstanceId, follower: &Name) {
        self.machines.entry(instance.clone()).or_default().join(follower);
    }

    pub fn leave(&mut self, instance: &InstanceId, follower: &Name) {
        let Some(machine) = self.machines.get_mut(instance) else { return };
        if machine.leave(follower) {
            if let Some(due) = machine.due.take() {
                self.due[due.class as usize].remove(&(due.at, instance.clone()));
            }
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
        let read = self.machines.get_mut(instance)?.look(follower, class, (oldest, now));
        if read.is_none() {
            self.asked = now;
        }
        self.schedule(instance);
        read
    }

    pub fn follow(
        &mut self,
        instance: &InstanceId,
        follower: &Name,
        interest: Interest,
        now: Duration,
    ) {
        let Some(machine) = self.machines.get_mut(instance) else { return };
        machine.follow(follower, interest, now);
        self.schedule(instance);
    }

    /// After what time a read is due; `None`: nothing is, or as many are under way as may be.
    pub fn due_in(&self, now: Duration) -> Option<Duration> {
        if self.reading >= AT_ONCE {
            return None;
        }
        Class::ALL.iter().filter_map(|class| self.class_is_due_in(*class, now)).min()
    }

    fn class_is_due_in(&self, class: Class, now: Duration) -> Option<Duration> {
        let due = &self.due[class as usize];
        let (first, id) = due.first()?;
        let waits = self.machines.get(id).is_some_and(Machine::is_waited_for);
        if *first > now || !waits {
            return Some(first.saturating_sub(now));
        }
        let ripe = self.ripe(class, now).take(MOST_IDS).count();
        // Nobody who waits for an edit waits for others.
        let alone = ripe == 1 && matches!(class, Class::Edit | Class::Order);
        if alone || ripe == MOST_IDS {
            return Some(Duration::ZERO);
        }
        let end = self.asked.saturating_add(IDLE).min(first.saturating_add(AT_MOST));
        Some(end.saturating_sub(now))
    }

    /// What is due of this class, as it came.
    fn ripe(&self, class: Class, now: Duration) -> impl Iterator<Item = &InstanceId> {
        let due = self.due[class as usize].iter();
        due.take_while(move |(at, _)| *at <= now).map(|(_, id)| id)
    }

    /// What the next read is for.
    pub fn class(&self, now: Duration) -> Class {
        let is_due = |class: &Class| self.class_is_due_in(*class, now) == Some(Duration::ZERO);
        let oldest = |class: &Class| self.due[*class as usize].first().map(|(at, _)| *at);
        let due = Class::ALL.into_iter().filter(is_due);
        let class = if self.served % FAIR == FAIR - 1 { due.min_by_key(oldest) } else { due.min() };
        class.unwrap_or(Class::Drift)
    }

    /// The next read: what is most urgent, what else is due, and what will be soon, so that it is full.
    pub fn take(&mut self, drift: Duration, now: Duration) -> Option<Plan> {
        let class = self.class(now);
        let first = self.due[class as usize].first().map(|(_, id)| id.clone())?;
        let company = self.machines.get(&first)?.company();
        let others = Class::ALL.into_iter().flat_map(|class| self.ripe(class, now));
        let soon = self.due[Class::Drift as usize].iter();
        let soon = soon.skip_while(|(at, _)| *at <= now);
        // A little more than half, so that two halves of a batch find one another.
        let soon = soon.take_while(|(at, _)| *at <= now.saturating_add(drift.mul_f64(0.6)));
        let early = |id: &&InstanceId| self.machines.get(*id).is_some_and(Machine::may_be_early);
        let soon = soon.map(|(_, id)| id).filter(early);
        let fits =
            |id: &&InstanceId| self.machines.get(*id).is_some_and(|one| one.company() == company);
        let of_class = self.ripe(class, now);
        let mut taken = HashSet::new();
        let ids = [&first].into_iter().chain(of_class).chain(others).chain(soon);
        let ids: Vec<InstanceId> =
            ids.filter(fits).filter(|id| taken.insert(*id)).take(company.most()).cloned().collect();
        for id in &ids {
            if let Some(machine) = self.machines.get_mut(id) {
                machine.reading = Some(now);
            }
            self.schedule(id);
        }
        self.reading += 1;
        self.served = self.served.wrapping_add(1);
        let ids = InstanceIds::batches(ids).into_iter().next()?;
        Some(Plan { credential: self.credential.clone(), ids })
    }

    pub fn answered(
        &mut self,
        plan: &Plan,
        result: Result<Reading<Batch<Instance>>, ReadError>,
        (begun, now): (Duration, Duration),
        oldest: Duration,
    ) -> Meaning {
        self.reading = self.reading.saturating_sub(1);
        for id in plan.ids.iter() {
            if let Some(machine) = self.machines.get_mut(id) {
                machine.reading = None;
            }
        }
        let alone = plan.ids.only().cloned();
        let is_throttled = result.as_ref().is_err_and(|error| throttled(error).is_some());
        let again = std::mem::replace(&mut self.throttled, is_throttled);
        let meaning = match (result, alone) {
            // The rate is lower now, and nobody needs to know.
            (Err(_), _) if is_throttled && !again => Meaning::default(),
            (Ok(reading), _) => {
                (self.refused_in_a_row, self.told) = (0, false);
                self.shown(reading, &plan.ids, (begun, now))
            }
            (Err(error), _) if is_shared(&error) => {
                let refused = is_of_credential(&error);
                self.failed(&plan.ids, refused, (begun, now), oldest)
            }
            (Err(error), Some(id)) => {
                let mut woken = Vec::new();
                self.shows(&id, Err(error), (begun, now), &mut woken);
                Meaning { woken, is_shared: false }
            }
            // It does not say which machine it is about.
            (Err(_), None) => self.refused(&plan.ids, (begun, now), oldest),
        };
        plan.ids.iter().for_each(|id| self.schedule(id));
        meaning
    }

    fn shown(
        &mut self,
        mut reading: Reading<Batch<Instance>>,
        ids: &InstanceIds,
        (begun, now): (Duration, Duration),
    ) -> Meaning {
        let alone = ids.only().is_some();
        let mut woken = Vec::new();
        for id in ids.iter() {
            let value = match reading.value.remove(id) {
                Some(Found::Present(instance)) => Ok(Some(instance)),
                Some(Found::Missing) => {
                    let machine = self.machines.get_mut(id);
                    if !alone && !machine.is_some_and(|one| one.is_missing(now)) {
                        continue;
                    }
                    Ok(None)
                }
                Some(Found::Odd { cause }) => Err(ReadError::Malformed { cause }),
                None => Err(ReadError::Malformed { cause: format!("instance {id} is missing") }),
            };
            let (date, sent_at) = (reading.date, reading.sent_at);
            let read = value.map(|value| Reading { value, date, sent_at });
            self.shows(id, read, (begun, now), &mut woken);
        }
        Meaning { woken, is_shared: false }
    }

    fn shows(
        &mut self,
        id: &InstanceId,
        read: InstanceRead,
        times: (Duration, Duration),
        woken: &mut Vec<Name>,
    ) {
        if let Some(machine) = self.machines.get_mut(id) {
            machine.shows(read, times, woken);
        }
    }

    /// Those that wait are told, and those whose machine has not been seen for long; all, once, of a
    /// credential that is refused, since their Secret may hold another one by now. Whoever is told
    /// waits for the next read.
    fn failed(
        &mut self,
        ids: &InstanceIds,
        credential_is_refused: bool,
        (begun, now): (Duration, Duration),
        oldest: Duration,
    ) -> Meaning {
        let mut woken = Vec::new();
        for id in ids.iter() {
            if let Some(machine) = self.machines.get_mut(id) {
                machine.failed((begun, now), &mut woken);
            }
        }
        let all = credential_is_refused && !std::mem::replace(&mut self.told, true);
        let mut told = Vec::new();
        for (id, machine) in &mut self.machines {
            if all || machine.is_unseen_since(oldest) {
                woken.extend(machine.all_wait(now));
                told.push(id.clone());
            }
        }
        told.iter().for_each(|id| self.schedule(id));
        Meaning { woken, is_shared: true }
    }

    /// Its machines are read again in halves, until the one is found for whose sake it was refused;
    /// unless everything is refused.
    fn refused(
        &mut self,
        ids: &InstanceIds,
        times: (Duration, Duration),
        oldest: Duration,
    ) -> Meaning {
        self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
        if self.refused_in_a_row >= IN_A_ROW {
            return self.failed(ids, false, times, oldest);
        }
        for id in ids.iter() {
            if let Some(machine) = self.machines.get_mut(id) {
                machine.was_refused_among(ids.iter().len(), times.1);
            }
        }
        Meaning::default()
    }

    /// Moves a machine to its place in the order of what is due.
    fn schedule(&mut self, id: &InstanceId) {
        let Some(machine) = self.machines.get_mut(id) else { return };
        let next: Option<Due> = machine.next();
        if machine.due == next {
            return;
        }
        if let Some(old) = std::mem::replace(&mut machine.due, next) {
            self.due[old.class as usize].remove(&(old.at, id.clone()));
        }
        if let Some(due) = next {
            self.due[due.class as usize].insert((due.at, id.clone()));
        }
    }
}
