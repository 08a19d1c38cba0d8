//! A small hostile world in memory: one instance at the provider, two objects and one slot in
//! Kubernetes, requests in the air. It keeps the promises that the protocol rests on (see
//! `READ_LAG`) and breaks all others. Time is a count of seconds by the provider's clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use zenlayer::{Answer, ApiError, OrderNumber};
use zenlayer_vm_operator::{
    api::{ChangeKind, HistoryOutcome, Strategy, VmInstance, VmInstanceStatus},
    lifecycle::{Change, HoldingState, Slot, SlotRecord},
};

use crate::given::{HUGE, LARGE, SMALL, at};

pub const TYPES: [&str; 3] = [SMALL, LARGE, HUGE];
/// Reads lag up to this, and a registration up to `REGISTRATION`: together one margin (300 s).
pub const READ_LAG: u64 = 200;
pub const REGISTRATION: u64 = 100;
const SIGNATURE_LIFE: i64 = 300;

/// Reproducible chance (splitmix64).
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub fn seconds(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(u64::try_from(to - from + 1).unwrap())).unwrap()
    }

    /// True in so many of a thousand.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// The probability of one kind of trouble in one run: mostly none, seldom a lot.
    pub fn odds(&mut self) -> u64 {
        [0, 0, 0, 20, 100, 300, 700][usize::try_from(self.below(7)).unwrap()]
    }

    pub fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).unwrap()]
    }
}

/// The plan that the provider carries out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Plan {
    pub to: usize,
    pub scheduled: bool,
    due: i64,
}

/// What the provider knows, from one moment on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Machine {
    pub current: usize,
    pub plan: Option<Plan>,
    pub runs: bool,
}

/// What an accepted call does, once it is registered.
#[derive(Clone, Copy, PartialEq)]
enum Effect {
    Plan(usize),
    NoPlan,
    Power { runs: bool },
}

/// A request in the air.
pub struct Flight {
    pub change: Change,
    pub uid: String,
    pub signed_at: Option<Timestamp>,
    pub deliver_at: Option<i64>,
    pub answer: Option<(i64, Answer)>,
    /// Whether the object asked for this type when the intent was written.
    pub wanted: bool,
}

/// An accepted order.
pub struct Order {
    key: Key,
    shows_at: Option<i64>,
    change: String,
}

type Key = (String, String, String, i64);

fn key(uid: &str, change: &Change) -> Key {
    let Change { from, to, target_generation, .. } = change;
    (uid.to_owned(), from.to_string(), to.to_string(), *target_generation)
}

/// How the provider of one run behaves, by the thousand.
pub struct Nature {
    pub prepaid: bool,
    pub bearer: bool,
    /// Accepted, and nothing happens.
    pub silent: u64,
    pub processing: i64,
    pub delay: u64,
    pub lost_request: u64,
    pub lost_answer: u64,
    /// Refused for now, whatever is asked.
    pub refuses: u64,
}

pub struct World {
    pub now: i64,
    pub nature: Nature,
    pub machine: Machine,
    past: Vec<(i64, Machine)>,
    pending: Vec<(i64, Effect)>,
    pub flights: Vec<Flight>,
    pub orders: Vec<Order>,
    /// How often more than once a change may be ordered: a person said so, or somebody else undid
    /// it while its outcome was unknown.
    allowed: BTreeMap<Key, usize>,
    pub objects: BTreeMap<String, VmInstance>,
    revision: u64,
    pub slot: Slot,
    /// Off where the slot itself is left out: then it says nothing of what was settled.
    pub slots_are_kept: bool,
    /// Whether new objects stop the machine for a change.
    pub stop_first: bool,
    /// The machine is off, and no person switched it off.
    stopped_by_us: bool,
    pub calls: BTreeMap<&'static str, usize>,
    pub violation: Option<String>,
}

impl World {
    pub fn new(nature: Nature) -> Self {
        let machine = Machine { current: 0, plan: None, runs: true };
        Self {
            now: 0,
            nature,
            machine,
            past: vec![(i64::MIN, machine)],
            pending: Vec::new(),
            flights: Vec::new(),
            orders: Vec::new(),
            allowed: BTreeMap::new(),
            objects: BTreeMap::new(),
            revision: 0,
            slot: Slot::default(),
            slots_are_kept: true,
            stop_first: false,
            stopped_by_us: false,
            calls: BTreeMap::new(),
            violation: None,
        }
    }

    pub fn date(&self) -> Timestamp {
        at(self.now)
    }

    // ---- The provider ----

    fn becomes(&mut self, when: i64, machine: Machine) {
        self.machine = machine;
        self.past.push((when, machine));
    }

    /// What a read shows that lags by so many seconds.
    pub fn shown(&self, lag: i64) -> Machine {
        let moment = self.now - lag;
        self.past.iter().rev().find(|(since, _)| *since <= moment).unwrap().1
    }

    /// Time passes; what is due in it happens in its order.
    pub fn pass(&mut self, seconds: i64, rng: &mut Rng) {
        let end = self.now + seconds;
        loop {
            let flight = self.flights.iter().filter_map(|flight| flight.deliver_at).min();
            let pending = self.pending.iter().map(|(when, _)| *when).min();
            let plan = self.machine.plan.map(|plan| plan.due);
            let next = [flight, pending, plan].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if plan == Some(next) {
                let to = self.machine.plan.unwrap().to;
                self.becomes(next, Machine { current: to, plan: None, ..self.machine });
            } else if pending == Some(next) {
                let index = self.pending.iter().position(|(when, _)| *when == next).unwrap();
                let (_, effect) = self.pending.remove(index);
                self.register(next, effect);
            } else {
                self.deliver(next, rng);
            }
        }
        self.now = end;
    }

    fn register(&mut self, when: i64, effect: Effect) {
        let to = match effect {
            Effect::Plan(to) => to,
            Effect::NoPlan => {
                let plan = self.machine.plan.filter(|plan| !plan.scheduled);
                return self.becomes(when, Machine { plan, ..self.machine });
            }
            Effect::Power { runs } => {
                self.stopped_by_us = !runs;
                return self.becomes(when, Machine { runs, ..self.machine });
            }
        };
        let scheduled = self.nature.prepaid && to < self.machine.current;
        let due = when + if scheduled { 5000 } else { self.nature.processing };
        self.becomes(when, Machine { plan: Some(Plan { to, scheduled, due }), ..self.machine });
    }

    fn deliver(&mut self, when: i64, rng: &mut Rng) {
        let index = self.flights.iter().position(|flight| flight.deliver_at == Some(when)).unwrap();
        let mut flight = self.flights.swap_remove(index);
        flight.deliver_at = None;
        let answer = self.handle(&flight, rng);
        if !rng.chance(self.nature.lost_answer) {
            flight.answer = Some((when, answer));
        }
        self.flights.push(flight);
    }

    fn handle(&mut self, flight: &Flight, rng: &mut Rng) -> Answer {
        let refused = |code: &str| {
            let (code, message) = (Some(code.to_owned()), "no".to_owned());
            Answer::Refused(ApiError { status: 400, code, message, request_id: None })
        };
        if let Some(signed) = flight.signed_at
            && self.date().duration_since(signed).as_secs().abs() > SIGNATURE_LIFE
        {
            return refused("AUTHFAILURE_SIGNATURE_EXPIRED");
        }
        if rng.chance(self.nature.refuses) {
            return refused("REQUEST_LIMIT_EXCEEDED");
        }
        *self.calls.entry(kind_name(flight.change.kind)).or_default() += 1;
        let when = self.now + rng.seconds(0, REGISTRATION.cast_signed());
        let (allowed, effect) = match flight.change.kind {
            ChangeKind::Modify => return self.order(flight, when, rng),
            ChangeKind::CancelDowngrade => {
                (self.machine.plan.is_some_and(|plan| plan.scheduled), Effect::NoPlan)
            }
            ChangeKind::Stop => (self.machine.runs, Effect::Power { runs: false }),
            ChangeKind::Start => (!self.machine.runs, Effect::Power { runs: true }),
        };
        if !allowed {
            return refused("UNSUPPORTED_OPERATION_INSTANCE_STATUS");
        }
        self.pending.push((when, effect));
        if let Some(fault) = self.unasked(flight) {
            self.violation.get_or_insert_with(|| format!("{fault}: {:?}", flight.change));
        }
        Answer::Accepted { order_number: None, request_id: None }
    }

    fn order(&mut self, flight: &Flight, when: i64, rng: &mut Rng) -> Answer {
        let refused = |code: &str| {
            let (code, message) = (Some(code.to_owned()), "no".to_owned());
            Answer::Refused(ApiError { status: 400, code, message, request_id: None })
        };
        let to = TYPES.iter().position(|name| *name == flight.change.to.as_str()).unwrap();
        if self.machine.plan.is_some() {
            return refused("OPERATION_DENIED_INSTANCE_PLAN_PROCESSING");
        }
        if self.machine.current == to {
            return refused("INVALID_INSTANCE_TYPE_NOT_CHANGED");
        }
        let shows_at = (!rng.chance(self.nature.silent)).then(|| {
            self.pending.push((when, Effect::Plan(to)));
            when
        });
        self.judge(flight, shows_at);
        let number = OrderNumber::new(self.orders.len().to_string()).unwrap();
        Answer::Accepted { order_number: Some(number), request_id: None }
    }

    /// The laws: one order for a change; none that nobody wants; none while an earlier one cannot
    /// be seen yet; none of a change that was settled before.
    fn judge(&mut self, flight: &Flight, shows_at: Option<i64>) {
        let key = key(&flight.uid, &flight.change);
        let before = self.orders.iter().filter(|order| order.key == key).count();
        let hidden = |order: &Order| order.shows_at.is_some_and(|when| when > self.now);
        let fault = if before > self.allowed.get(&key).copied().unwrap_or(0) {
            Some("paid twice")
        } else if self.orders.iter().any(hidden) {
            Some("paid while an earlier order could not be seen")
        } else {
            self.unasked(flight)
        };
        if let Some(fault) = fault {
            self.violation.get_or_insert_with(|| format!("{fault}: {:?}", flight.change.id));
        }
        let change = flight.change.id.0.clone();
        // Nobody can tell a silent failure from a request that never landed; a POSTPAID one may
        // be ordered again.
        if shows_at.is_none() && !self.nature.prepaid {
            *self.allowed.entry(key.clone()).or_default() += 1;
        }
        self.orders.push(Order { key, shows_at, change });
    }

    /// No call lands that nobody wanted, or that was settled before.
    fn unasked(&self, flight: &Flight) -> Option<&'static str> {
        let held = self.slot.record.holding.as_ref();
        let settled = held.is_none_or(|held| held.change != flight.change.id);
        match flight.wanted {
            false => Some("a call that nobody wanted"),
            true if settled && self.slots_are_kept => Some("a request landed after it was settled"),
            true => None,
        }
    }

    /// A machine that was stopped for a change and is left so, though somebody may start it.
    pub fn left_stopped(&self) -> bool {
        let owner = self.objects.values().min_by_key(|object| {
            (object.metadata.creation_timestamp.as_ref().map(|time| time.0), &object.metadata.uid)
        });
        let allowed = owner.is_some_and(|object| !object.spec.suspend);
        let given_up = owner.and_then(|object| object.status.as_ref()).is_some_and(|status| {
            let failed = status.history.iter().filter(|entry| {
                entry.kind == ChangeKind::Start && entry.outcome == HistoryOutcome::Overdue
            });
            failed.count() >= 3
        });
        self.stopped_by_us && allowed && !given_up && !self.nature.bearer
    }

    pub fn send(&mut self, mut flight: Flight, rng: &mut Rng) -> usize {
        if !rng.chance(self.nature.lost_request) {
            let late = rng.chance(self.nature.delay);
            let delay = if late { rng.seconds(1, 900) } else { rng.seconds(0, 1) };
            flight.deliver_at = Some(self.now + delay);
        }
        flight.answer = None;
        self.flights.push(flight);
        self.flights.len() - 1
    }

    pub fn answer_of(&self, change: &Change) -> Option<&(i64, Answer)> {
        let ours = |flight: &&Flight| flight.change.id == change.id;
        self.flights.iter().rev().find(ours)?.answer.as_ref()
    }

    /// A person changes the machine in the provider's console, or takes a plan back. Not while a
    /// request is being registered: a person who makes that very change hides it from every read.
    pub fn console(&mut self, rng: &mut Rng) {
        if !self.pending.is_empty() {
            return;
        }
        let current = if rng.chance(500) { self.machine.current } else { rng.of(&[0, 1, 2]) };
        let runs = if rng.chance(200) { rng.chance(500) } else { self.machine.runs };
        if runs != self.machine.runs {
            self.stopped_by_us = false;
        }
        self.becomes(self.now, Machine { current, plan: None, runs });
        let open =
            self.slot.record.holding.as_ref().filter(|held| held.state == HoldingState::Open);
        let Some(open) = open.map(|held| held.change.0.clone()) else { return };
        // Only where the change cannot be told from one that never landed.
        for order in self.orders.iter().filter(|order| order.change == open) {
            *self.allowed.entry(order.key.clone()).or_default() += 1;
        }
    }

    // ---- Kubernetes ----

    fn next_revision(&mut self) -> String {
        self.revision += 1;
        self.revision.to_string()
    }

    pub fn create(&mut self, name: &str, wants: usize) {
        let revision = self.next_revision();
        let mut object = crate::given::given().object;
        object.metadata.name = Some(name.into());
        object.metadata.namespace = Some(format!("of-{name}"));
        object.metadata.uid = Some(format!("{name}{revision}-uid"));
        object.metadata.generation = Some(1);
        object.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.date()));
        object.metadata.resource_version = Some(revision);
        object.spec.instance_type_id = TYPES[wants].into();
        if self.stop_first {
            object.spec.strategy = Strategy::StopFirst;
        }
        self.objects.insert(name.into(), object);
    }

    /// A person edits the object; a change of the spec is a new generation.
    pub fn edit(&mut self, name: &str, change: impl FnOnce(&mut VmInstance)) {
        let revision = self.next_revision();
        let Some(object) = self.objects.get_mut(name) else { return };
        let spec = object.spec.clone();
        change(object);
        if object.spec != spec {
            *object.metadata.generation.as_mut().unwrap() += 1;
        }
        object.metadata.resource_version = Some(revision);
    }

    /// A person sets the release annotation that the message of this object asks for.
    pub fn release(&mut self, name: &str) {
        let Some(object) = self.objects.get(name) else { return };
        let message = object.status.as_ref().map(crate::table::ready_message).unwrap_or_default();
        let Some((_, id)) = message.split_once("vm.zenlayer.com/release=") else { return };
        let id = id.to_owned();
        let status = object.status.clone().unwrap();
        let uid = object.metadata.uid.clone().unwrap();
        let of_change = status
            .change
            .iter()
            .map(|one| (&one.id, one.from.clone(), one.to.clone(), one.target_generation));
        let of_history = status
            .history
            .iter()
            .map(|one| (&one.id, one.from.clone(), one.to.clone(), one.target_generation));
        let named = of_change.chain(of_history).find(|(found, ..)| **found == id);
        if let Some((_, from, to, target)) = named {
            *self.allowed.entry((uid, from, to, target)).or_default() += 1;
        }
        self.edit(name, |object| {
            let annotations = object.metadata.annotations.get_or_insert_default();
            annotations.insert("vm.zenlayer.com/release".into(), id);
        });
    }

    /// `Ok(None)`: somebody else wrote first. With `checked` off, the last one wins.
    pub fn write_status(
        &mut self,
        read: &VmInstance,
        status: &VmInstanceStatus,
        checked: bool,
    ) -> Option<VmInstance> {
        let name = read.metadata.name.clone().unwrap();
        let current = self.objects.get(&name)?;
        if current.metadata.uid != read.metadata.uid {
            return None;
        }
        if checked && current.metadata.resource_version != read.metadata.resource_version {
            return None;
        }
        let revision = self.next_revision();
        let object = self.objects.get_mut(&name)?;
        object.status = Some(status.clone());
        object.metadata.resource_version = Some(revision);
        Some(object.clone())
    }

    pub fn write_slot(&mut self, read: &Slot, record: SlotRecord) -> Option<Slot> {
        if read.version != self.slot.version {
            return None;
        }
        let version = Some(self.next_revision());
        self.slot = Slot { version, record };
        Some(self.slot.clone())
    }
}

fn kind_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Modify => "Modify",
        ChangeKind::CancelDowngrade => "Cancel",
        ChangeKind::Stop => "Stop",
        ChangeKind::Start => "Start",
    }
}
