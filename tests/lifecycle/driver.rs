//! One controller in that world: a pass in single steps, so that everything can happen between any
//! two of them. The steps are those of `controller::{observe, execute, publish}`. `Rules` leaves
//! safety rules out, one at a time, to show that each of them is needed.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use zenlayer::{
    Answer, ChargeType, Instance, InstanceId, InstanceState, PlanState, ReadError, Reading,
    TypeStatus,
};
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, VmInstance, VmInstanceStatus},
    lifecycle::{
        Action, Change, Claim, Decision, Defaults, Desired, Memory, Observed, Outcome, Prices,
        Restore, SecretState, Slot, SlotRecord, Verdict, decide, intent, settle,
    },
};

use crate::{
    given::{at, taken, type_id},
    world::{Flight, READ_LAG, Rng, TYPES, World},
};

/// Which safety rules hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// One change of the instance at a time, whoever asks.
    pub slot: bool,
    /// The intent is written over the very object that was decided from.
    pub resource_version: bool,
    /// The call is signed with the moment of the decision.
    pub signed_with_start: bool,
    /// An unknown outcome is settled after the fence only.
    pub wait: bool,
    /// The fence is judged by the provider's clock.
    pub date: bool,
    /// After an effect was seen, a read that contradicts it lags.
    pub closed: bool,
    /// One change is ordered once for its target.
    pub once: bool,
    /// A PREPAID change of unknown outcome asks a person.
    pub asks: bool,
}

pub const ALL_RULES: Rules = Rules {
    slot: true,
    resource_version: true,
    signed_with_start: true,
    wait: true,
    date: true,
    closed: true,
    once: true,
    asks: true,
};

/// How one run troubles the controllers, by the thousand.
pub struct Trouble {
    pub date: u64,
    pub read_fails: u64,
    pub lag: u64,
    pub gone: u64,
    pub busy: u64,
    pub not_sent: u64,
    pub store_fails: u64,
}

enum Stage {
    Instance,
    Plan,
    Slot,
    Decide,
    Execute,
    Intent(Slot),
    Window(Slot),
    Wire(Slot),
    Await { held: Slot, sent: i64 },
    Record { held: Slot, answer: Answer },
    Publish(Outcome),
}

struct Pass {
    /// As it was read, or as the intent's write gave it back.
    object: VmInstance,
    /// The status that is decided from.
    before: VmInstanceStatus,
    desired: Desired,
    observed: Observed,
    decision: Option<(Decision, Timestamp, i64)>,
    stage: Stage,
    wanted: bool,
}

pub struct Controller {
    pub skew: i64,
    pub cache: BTreeMap<String, VmInstance>,
    pass: Option<Pass>,
    rules: Rules,
    defaults: Defaults,
}

/// What the last step was, for the run to judge.
#[derive(PartialEq)]
pub enum Step {
    /// There is no such object.
    Idle,
    Going,
    /// The pass is over; whether it changed anything.
    Done {
        changed: bool,
    },
}

impl Controller {
    pub fn new(skew: i64, rules: Rules) -> Self {
        let mut defaults = Defaults::default();
        if !rules.wait {
            defaults.timing.signature_life = Duration::ZERO;
            defaults.timing.margin = Duration::ZERO;
        }
        Self { skew, cache: BTreeMap::new(), pass: None, rules, defaults }
    }

    pub fn crash(&mut self) {
        self.pass = None;
    }

    pub fn refresh(&mut self, world: &World) {
        self.cache.clone_from(&world.objects);
    }

    fn now(&self, world: &World) -> Timestamp {
        at(world.now + self.skew)
    }

    /// One step of the pass that runs, or the first one of a new pass over this object.
    pub fn step(
        &mut self,
        name: &str,
        world: &mut World,
        trouble: &Trouble,
        rng: &mut Rng,
    ) -> Step {
        let Some(mut pass) = self.pass.take() else {
            let Some(object) = self.cache.get(name).cloned() else { return Step::Idle };
            self.pass = Some(self.begin(object, world));
            return Step::Going;
        };
        match self.advance(&mut pass, world, trouble, rng) {
            Ok(stage) => {
                pass.stage = stage;
                self.pass = Some(pass);
                Step::Going
            }
            Err(done) => done,
        }
    }

    fn begin(&self, object: VmInstance, world: &World) -> Pass {
        let desired = Desired::from_object(&object, &self.defaults).unwrap();
        let before = object.status.clone().unwrap_or_default();
        let mut memory = Memory::from_status(&before);
        if let (Ok(memory), false) = (&mut memory, self.rules.once) {
            memory.history.clear();
        }
        let secret =
            SecretState::Usable { version: "1".into(), expires_requests: !world.nature.bearer };
        let observed = Observed {
            memory,
            secret,
            began_at: self.now(world),
            instance: None,
            plan: None,
            slot: None,
            holder_exists: true,
            claim: Claim::Owner,
            catalogue: None,
            prices: Prices::default(),
            orders: None,
        };
        Pass {
            before,
            object,
            desired,
            observed,
            decision: None,
            stage: Stage::Instance,
            wanted: false,
        }
    }

    /// The next stage, or the end of the pass.
    fn advance(
        &self,
        pass: &mut Pass,
        world: &mut World,
        trouble: &Trouble,
        rng: &mut Rng,
    ) -> Result<Stage, Step> {
        match std::mem::replace(&mut pass.stage, Stage::Instance) {
            Stage::Instance => {
                let read = self.read_instance(world, trouble, rng);
                let open = pass.observed.memory.as_ref().is_ok_and(|one| {
                    one.change.is_some() || one.restore.is_some() || one.open_order().is_some()
                });
                let seen = read.as_ref().ok().and_then(|reading| reading.value.as_ref());
                let exists = seen.is_some();
                let differs = seen.is_some_and(|one| {
                    one.type_id != pass.desired.type_id || one.state == InstanceState::Stopped
                });
                let first_look = pass.before.observed_generation.is_none();
                pass.observed.instance = Some(read);
                Ok(match (open || differs || first_look, exists) {
                    (false, _) => Stage::Decide,
                    (true, true) => Stage::Plan,
                    (true, false) => Stage::Slot,
                })
            }
            Stage::Plan => {
                pass.observed.plan = Some(self.read_plan(world, trouble, rng));
                Ok(Stage::Slot)
            }
            Stage::Slot => {
                let slot = if self.rules.slot { world.slot.clone() } else { Slot::default() };
                pass.observed.holder_exists = holder_exists(world, &slot);
                pass.observed.slot = Some(Ok(slot));
                Ok(Stage::Decide)
            }
            Stage::Decide => {
                pass.observed.claim = self.claim(&pass.object);
                let now = self.now(world);
                let decision = decide(&pass.desired, &pass.observed, now);
                pass.decision = Some((decision, now, world.now));
                Ok(Stage::Execute)
            }
            Stage::Publish(outcome) => Err(self.publish(pass, world, &outcome, trouble, rng)),
            stage => Ok(self.execute(stage, pass, world, trouble, rng)),
        }
    }

    // ---- Reads ----

    fn date(&self, world: &World, trouble: &Trouble, rng: &mut Rng) -> Option<Timestamp> {
        if !self.rules.date {
            return Some(self.now(world));
        }
        rng.chance(trouble.date).then(|| world.date())
    }

    fn lag(trouble: &Trouble, rng: &mut Rng) -> i64 {
        if rng.chance(trouble.lag) { rng.below(READ_LAG).cast_signed() } else { 0 }
    }

    fn read_instance(
        &self,
        world: &World,
        trouble: &Trouble,
        rng: &mut Rng,
    ) -> Result<Reading<Option<Instance>>, ReadError> {
        if rng.chance(trouble.read_fails) {
            return Err(ReadError::Transport { cause: "reset".into() });
        }
        let date = self.date(world, trouble, rng);
        if rng.chance(trouble.gone) {
            return Ok(Reading { value: None, date });
        }
        let shown = world.shown(Self::lag(trouble, rng));
        let prepaid = world.nature.prepaid && self.rules.asks;
        let busy = rng.chance(trouble.busy);
        let instance = Instance {
            id: InstanceId::new("vm-1").unwrap(),
            name: None,
            zone_id: None,
            type_id: type_id(TYPES[shown.current]),
            state: match (busy, shown.runs) {
                (true, _) => InstanceState::Reboot,
                (false, true) => InstanceState::Running,
                (false, false) => InstanceState::Stopped,
            },
            charge_type: if prepaid { ChargeType::Prepaid } else { ChargeType::Postpaid },
            cpu_count: None,
            memory_gib: None,
            bandwidth_out: None,
            internet_charge_type: None,
            system_disk: None,
            expires_at: None,
            auto_renew: None,
        };
        Ok(Reading { value: Some(instance), date })
    }

    fn read_plan(
        &self,
        world: &World,
        trouble: &Trouble,
        rng: &mut Rng,
    ) -> Result<Reading<Option<TypeStatus>>, ReadError> {
        if rng.chance(trouble.read_fails) {
            return Err(ReadError::Transport { cause: "reset".into() });
        }
        let date = self.date(world, trouble, rng);
        let shown = world.shown(Self::lag(trouble, rng));
        let state = shown.plan.map(|plan| {
            if plan.scheduled { PlanState::WaitToEnable } else { PlanState::Processing }
        });
        let target = shown.plan.map(|plan| type_id(TYPES[plan.to]));
        let status = TypeStatus { current: type_id(TYPES[shown.current]), target, state };
        Ok(Reading { value: Some(status), date })
    }

    /// As in `controller::observe`: the oldest object that has seen the instance owns it.
    fn claim(&self, me: &VmInstance) -> Claim {
        let age = |object: &VmInstance| {
            let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (created, object.metadata.uid.clone())
        };
        let counts = |object: &&VmInstance| {
            object.metadata.uid != me.metadata.uid
                && object.status.as_ref().is_some_and(|status| status.instance.is_some())
        };
        let older = self.cache.values().filter(counts).any(|other| age(other) < age(me));
        if older { Claim::Duplicate { owner: None } } else { Claim::Owner }
    }

    // ---- Effects ----

    fn execute(
        &self,
        stage: Stage,
        pass: &mut Pass,
        world: &mut World,
        trouble: &Trouble,
        rng: &mut Rng,
    ) -> Stage {
        let (decision, decided, decided_at) = pass.decision.clone().unwrap();
        match (stage, &decision.action) {
            (Stage::Execute, Action::Nothing) => Stage::Publish(Outcome::Done),
            (Stage::Execute, Action::WriteSlot { slot, record }) => {
                let mut record = record.clone();
                if !self.rules.closed {
                    record.closed.clear();
                }
                let written = self.write_slot(world, slot, record, trouble, rng);
                Stage::Publish(written.err().unwrap_or(Outcome::Done))
            }
            (Stage::Execute, Action::Call { change, slot, restore }) => {
                let object = pass.desired.object.clone();
                let record = taken(slot, change, object, restore.as_ref());
                match self.write_slot(world, slot, record, trouble, rng) {
                    Ok(held) => Stage::Intent(held),
                    Err(outcome) => Stage::Publish(outcome),
                }
            }
            (Stage::Intent(held), Action::Call { change, restore, .. }) => {
                let intent = (change, restore.as_ref(), decided);
                self.write_intent(held, intent, pass, world, trouble, rng)
            }
            (Stage::Window(held), Action::Call { .. }) => {
                if world.now - decided_at < 5 && !rng.chance(trouble.not_sent) {
                    return Stage::Wire(held);
                }
                Stage::Record { held, answer: Answer::NotSent { cause: "late".into() } }
            }
            (Stage::Wire(held), Action::Call { change, .. }) => {
                let signed =
                    if self.rules.signed_with_start { change.started_at } else { self.now(world) };
                let flight = Flight {
                    change: change.clone(),
                    uid: pass.desired.object.uid.clone(),
                    signed_at: (!world.nature.bearer).then_some(signed),
                    deliver_at: None,
                    answer: None,
                    wanted: pass.wanted,
                };
                world.send(flight, rng);
                Stage::Await { held, sent: world.now }
            }
            (Stage::Await { held, sent }, Action::Call { change, .. }) => {
                let answer = match world.answer_of(change) {
                    Some((when, answer)) if *when <= sent + 30 => answer.clone(),
                    _ if world.now >= sent + 30 => Answer::Unknown { cause: "time-out".into() },
                    _ => return Stage::Await { held, sent },
                };
                Stage::Record { held, answer }
            }
            (Stage::Record { held, answer }, Action::Call { change, .. }) => {
                self.record(held, (change, decided), &answer, world, trouble, rng);
                Stage::Publish(Outcome::Answered { answer })
            }
            _ => unreachable!("a stage of a call without a call"),
        }
    }

    /// The write fails, is not known to have failed, or is done.
    fn write_slot(
        &self,
        world: &mut World,
        read: &Slot,
        record: SlotRecord,
        trouble: &Trouble,
        rng: &mut Rng,
    ) -> Result<Slot, Outcome> {
        if !self.rules.slot {
            return Ok(Slot::default());
        }
        let fails = rng.chance(trouble.store_fails);
        if fails && rng.chance(500) {
            return Err(failed());
        }
        let written = world.write_slot(read, record);
        if fails { Err(failed()) } else { written.ok_or(Outcome::LostRace) }
    }

    fn write_intent(
        &self,
        held: Slot,
        (change, restore, decided): (&Change, Option<&Restore>, Timestamp),
        pass: &mut Pass,
        world: &mut World,
        trouble: &Trouble,
        rng: &mut Rng,
    ) -> Stage {
        let before = pass.object.status.clone().unwrap_or_default();
        let written = (change, restore);
        let status = intent(&pass.desired, &before, &pass.observed, written, decided);
        let fails = rng.chance(trouble.store_fails);
        let written = if fails && rng.chance(500) {
            None
        } else {
            world.write_status(&pass.object, &status, self.rules.resource_version)
        };
        let problem = if fails { failed() } else { Outcome::LostRace };
        match written.filter(|_| !fails) {
            Some(object) => {
                let of_type = object.spec.instance_type_id == change.to.as_str();
                pass.wanted =
                    !object.spec.suspend && (of_type || change.kind != ChangeKind::Modify);
                pass.object = object;
                Stage::Window(held)
            }
            None => {
                self.update_slot(
                    held,
                    change,
                    |slot| slot.given_back(&change.id),
                    world,
                    trouble,
                    rng,
                );
                Stage::Publish(problem)
            }
        }
    }

    fn record(
        &self,
        held: Slot,
        (change, decided): (&Change, Timestamp),
        answer: &Answer,
        world: &mut World,
        trouble: &Trouble,
        rng: &mut Rng,
    ) {
        match answer {
            Answer::Unknown { .. } => {}
            Answer::Accepted { order_number, request_id } => {
                let update = |slot: &SlotRecord| {
                    slot.accepted(decided, order_number.clone(), request_id.clone())
                };
                self.update_slot(held, change, update, world, trouble, rng);
            }
            Answer::NotSent { .. } | Answer::Refused(_) => {
                let update = |slot: &SlotRecord| slot.given_back(&change.id);
                self.update_slot(held, change, update, world, trouble, rng);
            }
        }
    }

    fn update_slot(
        &self,
        mut slot: Slot,
        change: &Change,
        update: impl Fn(&SlotRecord) -> SlotRecord,
        world: &mut World,
        trouble: &Trouble,
        rng: &mut Rng,
    ) {
        for _ in 0..3 {
            let record = update(&slot.record);
            if self.write_slot(world, &slot, record, trouble, rng).is_ok() {
                return;
            }
            let held = world.slot.record.holding.as_ref();
            if held.is_none_or(|held| held.change != change.id) {
                return;
            }
            slot = world.slot.clone();
        }
    }

    // ---- The verdict ----

    fn publish(
        &self,
        pass: &Pass,
        world: &mut World,
        outcome: &Outcome,
        trouble: &Trouble,
        rng: &mut Rng,
    ) -> Step {
        let (decision, ..) = pass.decision.as_ref().unwrap();
        let verdict =
            settle(&pass.desired, &pass.before, &pass.observed, decision, outcome, self.now(world));
        if let Some(fault) = crate::statuses::fault(&verdict.status, pass.desired.generation)
            && *outcome != Outcome::LostRace
        {
            world.violation.get_or_insert(fault);
        }
        if std::env::var("SIMULATION_SHOW").is_ok() {
            let name = pass.object.metadata.name.as_deref().unwrap_or_default();
            eprintln!(
                "{} {name} {} {} -> {outcome:?}; machine {:?}; slot holds {:?} restores {:?}; status restores {:?}",
                world.now,
                crate::table::action(&decision.action),
                crate::table::situation(&decision.situation),
                world.machine,
                world.slot.record.holding.as_ref().map(|held| (&held.change.0, held.kind)),
                world.slot.record.restore.as_ref().map(|one| &one.stopped_by.0),
                verdict.status.restore.as_ref().map(|one| &one.stopped_by),
            );
        }
        let changed = decision.action != Action::Nothing
            || pass.object.status.as_ref() != Some(&verdict.status);
        if pass.object.status.as_ref() != Some(&verdict.status) {
            self.write_verdict(pass.object.clone(), &verdict, world, trouble, rng);
        }
        Step::Done { changed }
    }

    fn write_verdict(
        &self,
        mut object: VmInstance,
        verdict: &Verdict,
        world: &mut World,
        trouble: &Trouble,
        rng: &mut Rng,
    ) {
        for _ in 0..5 {
            let fails = rng.chance(trouble.store_fails);
            let checked = self.rules.resource_version;
            if !fails && world.write_status(&object, &verdict.status, checked).is_some() {
                return;
            }
            let Some(change) = &verdict.answers else { return };
            let name = object.metadata.name.clone().unwrap();
            let Some(fresh) = world.objects.get(&name).cloned() else { return };
            let held = fresh.status.as_ref().and_then(|status| status.change.as_ref());
            let ours = held
                .is_some_and(|held| held.id == change.0 && held.state == ChangeState::Submitting);
            if !ours || fresh.metadata.uid != object.metadata.uid {
                return;
            }
            object = fresh;
        }
    }
}

fn failed() -> Outcome {
    Outcome::StoreFailed { problem: "time-out".into() }
}

fn holder_exists(world: &World, slot: &Slot) -> bool {
    let Some(held) = &slot.record.holding else { return true };
    let object = world.objects.get(&held.object.name);
    object.is_some_and(|object| object.metadata.uid.as_ref() == Some(&held.object.uid))
}
