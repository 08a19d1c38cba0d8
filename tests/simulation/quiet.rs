//! Liveness (L11): once the trouble ends, every object comes to the state that a fresh object with the
//! same spec in the same world comes to, in bounded time and without a person.

use std::sync::Arc;

use serde_json::Value;
use zenlayer_vm_operator::{
    api::{ManagementPolicy, VmInstance},
    telemetry::Metrics,
};

use crate::{
    cloud::Machine,
    coverage::Seen,
    kube::{PLACES, SlotEntry, Stored},
    ledger::Post,
    nature::{HOUR, MINUTE},
    run::Run,
    shapes::{self, words},
    shell::Contexts,
    world::{World, machine_index},
};

/// How long everything must stay as it is to count as at rest: longer than any deadline of the
/// protocol, or, with nothing in flight, than two looks.
const STILL: i64 = 35 * MINUTE;
const STILL_AND_IDLE: i64 = 12 * MINUTE;
/// Within this time an object must have come to rest.
pub const BOUND: i64 = 20 * HOUR;
/// What nothing has become of for so long is not waited for any more: longer than any pause of the
/// protocol, the longest of which is 6 h.
const PATIENCE: i64 = 7 * HOUR;
/// Within this time a slot that is over must be gone: all margins, the longest time that an object is
/// kept for its machine, and two looks at all slots.
const SLOT_BOUND: i64 = 20 * MINUTE + HOUR + 2 * 10 * MINUTE + MINUTE;
/// A fresh object has as long.
const FRESH_BOUND: i64 = 8 * HOUR;

/// Refusals by this operator for reasons of the target. They are looked at again now and then, because
/// what they rest on changes without a trace in the object.
const OF_THE_TARGET: &[&str] = &[
    "InstanceTypeNotOffered",
    "BandwidthExceedsLimit",
    "UpgradeDenied",
    "DowngradeDenied",
    "DirectionUnknown",
];

/// An object at rest, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    phase: String,
    reason: String,
    ready: bool,
    in_sync: bool,
}

/// How long it took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovery {
    pub passes: u64,
    pub millis: i64,
}

impl Rest {
    fn of(status: &Value) -> Self {
        let is = |name| shapes::condition(status, name).is_some_and(|(value, ..)| value == "True");
        Self {
            phase: shapes::phase(status).to_owned(),
            reason: shapes::ready_reason(status).to_owned(),
            ready: is("Ready"),
            in_sync: is("InSync"),
        }
    }

    /// How well off it is: in sync, at rest, working, stalled.
    fn rank(&self) -> u8 {
        match (self.ready, self.in_sync, self.phase.as_str()) {
            (true, true, _) => 3,
            (true, false, _) => 2,
            (false, _, "Failed") => 0,
            (false, ..) => 1,
        }
    }

    /// Whether it is as well off as a fresh one, in the same phase.
    fn is_as_good_as(&self, fresh: &Self) -> bool {
        let better = self.rank() > fresh.rank();
        better || self.rank() == fresh.rank() && (!self.ready || self.phase == fresh.phase)
    }
}

/// What a fresh object with each spec comes to, in the world as it is now. `None`: no object is there,
/// or it is none that can be compared.
pub fn fresh(run: &Run, metrics: &Metrics) -> [Option<Rest>; PLACES] {
    let mut nature = run.world.nature.clone();
    nature.objects = 0;
    let mut world = World::new(nature, run.world.rng.clone(), None);
    world.machines = run.world.machines.clone();
    world.now = run.world.now;
    world.key = run.world.key;
    let contexts = Contexts::default();
    let mut other = Run::new(world, run.rng.clone(), &contexts, metrics);
    other.advance(run.world.now);
    other.calm = true;
    // What is on its way at the provider is seen by then.
    while !other.world.machines.iter().all(Machine::is_still) {
        other.advance(other.now() + MINUTE);
    }
    let mut places: Vec<usize> = (0..PLACES).collect();
    places.sort_by_key(|place| {
        run.world.kube.object(*place).map(|one| one.object.metadata.creation_timestamp.clone())
    });
    for place in places {
        if let Some(stored) = run.world.kube.object(place) {
            let now = other.now();
            other.world.kube.create(place, stored.object.spec.clone(), now);
            other.advance(now + 2000);
        }
        other.secret_is_right(place);
    }
    other.processes[0].leads = true;
    other.start(0);
    other.until_still(FRESH_BOUND);
    let rest = |place: usize| {
        let object = run.world.kube.object(place)?;
        is_compared(run, &object.object).then_some(())?;
        other.world.kube.object(place).map(|stored| Rest::of(&stored.status))
    };
    std::array::from_fn(rest)
}

/// Two objects on one machine are left to people, and so is one that is being deleted.
fn is_compared(run: &Run, object: &VmInstance) -> bool {
    let claims = run.world.kube.objects.iter().flatten();
    let same = |id: &str| object.spec.instance_id == id;
    let rivals = claims.filter(|other| same(&other.object.spec.instance_id)).count();
    rivals == 1 && object.metadata.deletion_timestamp.is_none()
}

impl Run<'_> {
    /// Runs until nothing was written for a while and the machines are still.
    fn until_still(&mut self, bound: i64) {
        let end = self.now() + bound;
        let (mut since, mut version) = (self.now(), self.world.kube.version());
        let mut wait = STILL;
        while self.step(end) {
            let now = self.world.kube.version();
            let still = self.world.machines.iter().all(Machine::is_still);
            if now != version || !still {
                (since, version) = (self.now(), now);
                wait = self.wait();
            } else if self.now() - since > wait {
                return;
            }
        }
    }

    /// How long a state must last to count as rest.
    fn wait(&self) -> i64 {
        let objects = self.world.kube.objects.iter().flatten();
        // What waits for its cycle is at rest.
        let flies = |stored: &Stored| {
            shapes::phase(&stored.status) != "Scheduled"
                && shapes::in_flight(&stored.status).next().is_some()
        };
        let slots = self.world.kube.slots.iter();
        let held = |entry: &SlotEntry| {
            shapes::holders(&entry.json).next().is_some() || shapes::slot_restores(&entry.json)
        };
        let busy = objects.into_iter().any(flies) || slots.into_iter().any(|(_, one)| held(one));
        if busy { STILL } else { STILL_AND_IDLE }
    }

    /// Runs until every object has been for a while in the state that a fresh one comes to.
    /// `None`: not every one was.
    pub fn until_recovered(&mut self, fresh: &[Option<Rest>; PLACES]) -> Option<Recovery> {
        let (start, passes) = (self.now(), self.passes);
        let mut since: Option<Recovery> = None;
        let mut version = (u64::MAX, usize::MAX);
        let mut wait = STILL;
        let mut moved = start;
        while self.step(start + BOUND) && self.now() - moved < PATIENCE {
            let now = (self.world.kube.version(), self.views());
            if now != version {
                (version, moved) = (now, self.now());
                let good = self.apart(fresh).is_none() && self.is_settled();
                let here = || Recovery { passes: self.passes - passes, millis: self.now() - start };
                since = good.then(|| since.unwrap_or_else(here));
                wait = self.wait();
            }
            if since.is_some_and(|since| self.now() - start - since.millis > wait) {
                break;
            }
        }
        if let Some((place, kind, detail)) = self.apart(fresh) {
            self.world.l11_stays_apart(kind, format!("place {place}: {detail}"));
        }
        for machine in 0..self.world.machines.len() {
            self.world.l5_is_not_left_off(machine);
        }
        self.world.l2_number_is_kept();
        for place in 0..PLACES {
            self.world.l8_lost_no_answer(place);
            self.world.l8_was_made(place);
        }
        self.until_slots_are_gone();
        if self.world.ledger.broken.is_empty() {
            self.world.coverage.saw(Seen::Calm);
        }
        since
    }

    /// Runs until every slot that says nothing, or that nobody names, is gone. One that is written
    /// meanwhile is not over yet.
    fn until_slots_are_gone(&mut self) {
        let end = self.now() + SLOT_BOUND;
        let over = |entry: &(String, SlotEntry)| self.world.why_over(&entry.0, &entry.1.json);
        let mut left: Vec<(String, SlotEntry)> = self.world.kube.slots.clone();
        left.retain(|entry| over(entry).is_some());
        while !left.is_empty() && self.step(end) {
            let slot = |name: &str| self.world.kube.slot(name).map(|entry| &entry.version);
            left.retain(|(name, entry)| slot(name) == Some(&entry.version));
        }
        for (name, entry) in left {
            if let Some(why) = self.world.why_over(&name, &entry.json) {
                self.world.l15_is_kept(why, &name);
            }
        }
    }

    /// Changes with whatever becomes of a machine.
    fn views(&self) -> usize {
        self.world.machines.iter().map(Machine::changes).sum()
    }

    fn is_settled(&self) -> bool {
        let machines = 0..self.world.machines.len();
        self.world.machines.iter().all(Machine::is_still)
            && !machines.into_iter().any(|machine| self.world.is_left_off(machine))
    }

    /// The first object that is worse off than a fresh one, without an excuse.
    fn apart(&self, fresh: &[Option<Rest>; PLACES]) -> Option<(usize, String, String)> {
        (0..PLACES).find_map(|place| {
            let fresh = fresh[place].as_ref()?;
            let stored = self.world.kube.object(place)?;
            let rest = Rest::of(&stored.status);
            let held = stored.object.spec.suspend
                || stored.object.spec.management_policy == ManagementPolicy::Observe;
            let good = rest.is_as_good_as(fresh) || held && rest.rank() == fresh.rank();
            if good || self.is_excused(&stored.object, &stored.status) {
                return None;
            }
            let kind = format!("stays {} {}", rest.phase, rest.reason);
            let detail = format!("{rest:?}, fresh {fresh:?}");
            Some((place, kind, detail))
        })
    }

    /// The exceptions of design section 4: a paid call refused for reasons of its target, and an
    /// outcome that only a person can judge, where there was one.
    fn is_excused(&self, object: &Arc<VmInstance>, status: &Value) -> bool {
        let of_target = |one: &shapes::RefusedCall| {
            one.kind == words::MODIFY && (!one.passes || OF_THE_TARGET.contains(&one.reason))
        };
        shapes::refused_call(status).is_some_and(|one| of_target(&one))
            || self.world.needs_a_person(machine_index(&object.spec.instance_id), status)
    }
}

impl World {
    /// Why a slot is to be deleted, by what it says and by the objects that are there; `None`: it is kept.
    fn why_over(&self, instance: &str, record: &Value) -> Option<&'static str> {
        let says_nothing =
            shapes::holders(record).next().is_none() && !shapes::slot_restores(record);
        if says_nothing {
            return Some("a slot that says nothing");
        }
        let objects = || self.kube.objects.iter().flatten();
        let named = objects().any(|one| one.object.spec.instance_id == instance);
        let uid = |one: &Stored| one.object.metadata.uid.clone().unwrap_or_default();
        let held = objects().any(|one| shapes::mentions(record, &uid(one)));
        // A request with a token never expires.
        let waits =
            self.nature.bearer && shapes::holders(record).any(|one| one.state != "accepted");
        (!named && !held && !waits).then_some("a slot that nobody names")
    }

    /// Whether a person is asked about something that only a person can judge: a change whose outcome
    /// nobody knows, an order that did nothing, or what somebody else did. Of what is not
    /// an order, only an accepted cancellation waits for a person.
    fn needs_a_person(&self, machine: usize, status: &Value) -> bool {
        let Some(asked) = shapes::asked(status) else { return false };
        if self.machines[machine].touched_at.is_some() {
            return true;
        }
        let Some(id) = asked.change else { return false };
        let Some(intent) = self.ledger.intents.iter().find(|one| one.told.id == id) else {
            // What an earlier object ordered, and what was followed and then undone.
            let followed = |one: &Value| one["id"] == id && one["adopted"] == true;
            return self.may_have_been_made(id)
                || shapes::in_flight(status).any(|told| told.id == id && told.adopted)
                || shapes::history(status).iter().any(followed);
        };
        let accepted = |post: &Post| {
            post.known_accepted && post.change.as_ref().is_some_and(|change| change.id == id)
        };
        match intent.told.kind.as_str() {
            words::MODIFY => true,
            words::CANCEL => self.ledger.posts.iter().any(accepted),
            _ => false,
        }
    }
}
