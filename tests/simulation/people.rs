//! What people do, with kubectl and in the provider's console, and the trouble that lasts for a while.

use std::collections::BTreeMap;

use zenlayer_vm_operator::api::{
    CANCEL_PLAN_ANNOTATION, CredentialsRef, ManagementPolicy, PrepaidDowngrade, PrepaidUpgrade,
    REQUESTED_AT_ANNOTATION, Strategy, VmInstance, VmInstanceSpec,
};

use harness::rng::Rng;

use crate::{
    cloud::{MACHINES, TYPES, USUAL},
    coverage::Seen,
    kube::{Content, PLACES},
    ledger::Journey,
    nature::{MINUTE, SECOND},
    run::{Event, Run},
    shapes, shell,
};

/// Somebody else's finalizer.
const FINALIZER: &str = "example.com/keeps";

impl Run<'_> {
    /// The first objects, and who acts when.
    pub fn set_the_stage(&mut self) {
        for place in 0..self.nature().objects {
            let spec = self.spec(place);
            self.world.kube.create(place, spec, self.now());
            let lull = self.rng.range(0, 3) * SECOND;
            self.advance(self.now() + lull);
        }
        let both = self.nature().both_lead;
        for process in 0..self.processes.len() {
            self.processes[process].leads = both || process == 0;
            self.start(process);
        }
        for event in [Event::Person, Event::Console, Event::Trouble] {
            let pause = self.pause_before(event);
            self.after(pause, event);
        }
    }

    fn pause_before(&mut self, event: Event) -> i64 {
        let nature = &self.world.nature;
        let mean = match event {
            Event::Console => nature.console,
            Event::Trouble => nature.troubles,
            _ => nature.people,
        };
        self.rng.range(0, mean * 2)
    }

    fn spec(&mut self, place: usize) -> VmInstanceSpec {
        let nature = &self.world.nature;
        let (prepaid, stop_first) = (nature.prepaid, nature.stop_first);
        let machine = if nature.same_machine { 0 } else { place };
        let rng = &mut self.rng;
        let denies = prepaid && rng.chance(100);
        VmInstanceSpec {
            instance_id: MACHINES[machine].to_owned(),
            instance_type_id: wanted_type(rng).to_owned(),
            credentials: CredentialsRef::default(),
            management_policy: ManagementPolicy::Enforce,
            suspend: false,
            prepaid_upgrade: (denies && rng.chance(500)).then_some(PrepaidUpgrade::Deny),
            prepaid_downgrade: (denies && rng.chance(500)).then_some(PrepaidDowngrade::Deny),
            strategy: if stop_first { Strategy::StopFirst } else { Strategy::InPlace },
        }
    }

    pub fn somebody_acts(&mut self, event: Event) {
        if let Event::SecretIsRight { place } = event {
            return self.secret_is_right(place);
        }
        if self.calm {
            return;
        }
        match event {
            Event::Person => self.person(),
            Event::Console => self.console(),
            _ => self.trouble(),
        }
        let pause = self.pause_before(event);
        self.after(pause, event);
    }

    // ---- kubectl ----

    fn person(&mut self) {
        if self.api_is_away() {
            return;
        }
        let places = u64::try_from(self.nature().objects).unwrap_or(1);
        let place = usize::try_from(self.rng.below(places)).unwrap_or_default();
        let Some(stored) = self.world.kube.object(place).cloned() else {
            return self.recreate(place);
        };
        if self.rng.chance(self.nature().releases) && self.answers(place, &stored.object) {
            return;
        }
        if self.nature().loses_slots && self.rng.chance(400) {
            return self.lose_the_slots();
        }
        let choices = if self.nature().fickle { 9 } else { 20 };
        match self.rng.below(choices) {
            0..9 => {
                let wants = wanted_type(&mut self.rng).to_owned();
                self.edit(place, move |object| object.spec.instance_type_id = wants);
            }
            9 | 10 => self.edit(place, |object| object.spec.suspend ^= true),
            11 => self.edit(place, |object| {
                let policy = &mut object.spec.management_policy;
                *policy = match *policy {
                    ManagementPolicy::Enforce => ManagementPolicy::Observe,
                    ManagementPolicy::Observe => ManagementPolicy::Enforce,
                };
            }),
            12 => self.edit(place, |object| {
                let strategy = &mut object.spec.strategy;
                *strategy = match *strategy {
                    Strategy::InPlace => Strategy::StopFirst,
                    Strategy::StopFirst => Strategy::InPlace,
                };
            }),
            13 | 14 => {
                let value = self.now().to_string();
                self.annotate(place, REQUESTED_AT_ANNOTATION, value);
            }
            15 => {
                let value = wanted_type(&mut self.rng).to_owned();
                self.annotate(place, CANCEL_PLAN_ANNOTATION, value);
            }
            16 => self.keep(place),
            _ => self.delete(place),
        }
    }

    fn api_is_away(&self) -> bool {
        self.now() < self.world.kube.away_until
    }

    fn edit(&mut self, place: usize, change: impl FnOnce(&mut VmInstance)) {
        self.world.kube.edit(place, change);
        let spec = self.world.kube.object(place).map(|one| one.object.spec.clone());
        self.world.tell(|| format!("a person edits place {place}: {}", in_words(spec.as_ref())));
    }

    fn annotate(&mut self, place: usize, name: &str, value: String) {
        self.world.tell(|| format!("a person annotates place {place}: {name}={value}"));
        self.world.kube.edit(place, |object| {
            let all: &mut BTreeMap<_, _> = object.metadata.annotations.get_or_insert_default();
            all.insert(name.to_owned(), value);
        });
    }

    /// Sets the annotation that the status asks for.
    fn answers(&mut self, place: usize, object: &VmInstance) -> bool {
        let Some(stored) = self.world.kube.object(place) else { return false };
        let status = stored.status.clone();
        let Some(asked) = shapes::asked(&status) else { return false };
        if let Some(change) = asked.change {
            let uid = object.metadata.uid.clone().unwrap_or_default();
            let machine = crate::world::machine_index(&object.spec.instance_id);
            self.world.released(&uid, machine, change);
        }
        self.annotate(place, asked.annotation, asked.value.to_owned());
        true
    }

    /// Somebody else keeps the object from going, or no longer.
    fn keep(&mut self, place: usize) {
        self.world.tell(|| format!("a finalizer of place {place} is set or taken off"));
        self.world.kube.edit(place, |object| {
            let finalizers = object.metadata.finalizers.get_or_insert_default();
            match finalizers.iter().position(|name| name == FINALIZER) {
                Some(index) => {
                    finalizers.remove(index);
                }
                None if object.metadata.deletion_timestamp.is_none() => {
                    finalizers.push(FINALIZER.to_owned());
                }
                None => {}
            }
        });
    }

    fn delete(&mut self, place: usize) {
        self.world.tell(|| format!("a person deletes place {place}"));
        let in_flight = self
            .world
            .kube
            .object(place)
            .is_some_and(|stored| shapes::in_flight(&stored.status).next().is_some());
        self.world.kube.delete(place, self.world.now);
        match self.world.kube.object(place) {
            Some(_) => self.world.coverage.saw(Seen::Finalizer),
            None if in_flight => self.world.coverage.saw(Seen::DeletedInFlight),
            None => {}
        }
    }

    fn lose_the_slots(&mut self) {
        self.world.tell(|| "a person deletes the slots".to_owned());
        self.world.kube.lose_the_slots();
    }

    fn recreate(&mut self, place: usize) {
        self.world.tell(|| format!("a person creates place {place} again"));
        let spec = self.spec(place);
        self.world.kube.create(place, spec, self.world.now);
        self.world.coverage.saw(Seen::Recreated);
    }

    // ---- The console ----

    /// Not while a call is being registered: a person who makes that very change would hide it from
    /// every read.
    fn console(&mut self) {
        let count = self.world.machines.len() as u64;
        let index = usize::try_from(self.rng.below(count)).unwrap_or_default();
        let (now, at_once) = (self.world.now, self.rng.chance(300));
        let power_user = self.nature().power_user;
        let to = self.rng.of(&[0, 1, 2, 3]);
        let machine = &mut self.world.machines[index];
        if machine.is_registering() {
            return;
        }
        if power_user {
            let on = self.rng.chance(500);
            machine.console_power(now, on);
            self.world.tell(|| format!("console: power {on} on {}", MACHINES[index]));
            self.world.coverage.saw(Seen::ConsolePower);
        } else if self.rng.chance(250) {
            machine.console_cancel(now);
            self.world.tell(|| format!("console: cancels the plan of {}", MACHINES[index]));
        } else {
            machine.console_type(now, to, at_once);
            self.world.tell(|| format!("console: {} to {}", MACHINES[index], TYPES[to].0));
            self.world.coverage.saw(Seen::ConsoleType);
        }
    }

    // ---- Trouble that lasts ----

    fn trouble(&mut self) {
        let lasts = self.rng.of(&[5, 20, 60, 300, 900]) * SECOND;
        let until = self.now() + self.rng.range(1, lasts);
        let place = usize::try_from(self.rng.below(PLACES as u64)).unwrap_or_default();
        match self.rng.below(10) {
            0..3 => {
                self.world.tell(|| format!("the Kubernetes API is away for {lasts} ms"));
                self.world.kube.away_until = until;
                self.world.stalls(None, until - self.world.now);
            }
            3 | 4 => {
                let wrong = Content::Key(99);
                let content = self.rng.of(&[Content::Missing, Content::Incomplete, wrong]);
                self.write_secret(place, content);
                self.after(lasts, Event::SecretIsRight { place });
            }
            5 => {
                self.world.tell(|| "the key is rotated at the provider".to_owned());
                self.world.key += 1;
                for place in 0..PLACES {
                    let wait = self.rng.range(0, lasts);
                    self.after(wait, Event::SecretIsRight { place });
                }
            }
            6 => {
                self.world.tell(|| format!("the provider is away for {lasts} ms"));
                self.world.windows.cloud_away = until;
            }
            7 => {
                self.world.tell(|| format!("the account may not, for {lasts} ms"));
                let reads = self.rng.chance(500);
                let windows = &mut self.world.windows;
                let window = if reads { &mut windows.account_reads } else { &mut windows.account };
                *window = until;
            }
            8 => self.change_leader(),
            _ => self.crash(place, lasts),
        }
    }

    fn write_secret(&mut self, place: usize, content: Content) {
        self.world.tell(|| format!("the Secret of place {place} becomes {content:?}"));
        self.world.coverage.saw(Seen::SecretTrouble);
        self.world.kube.write_secret(place, content);
        self.after(30 * SECOND, Event::SecretChanged { place });
    }

    pub fn secret_is_right(&mut self, place: usize) {
        let key = self.world.key;
        let right = if self.nature().bearer { Content::Token(key) } else { Content::Key(key) };
        if self.world.kube.secrets[place] != right {
            self.write_secret(place, right);
        }
    }

    fn change_leader(&mut self) {
        if self.nature().both_lead {
            return;
        }
        self.world.coverage.saw(Seen::Takeover);
        for process in 0..self.processes.len() {
            self.processes[process].leads ^= true;
            if !self.processes[process].up {
                continue;
            }
            if self.processes[process].leads {
                self.world.tell(|| format!("{process}: leads"));
                for place in 0..PLACES {
                    self.schedule(process, place, 1);
                }
                continue;
            }
            // It begins nothing new, and ends once its passes have, or after its time.
            let incarnation = self.processes[process].incarnation;
            let busy = !self.processes[process].tasks.is_empty();
            let end = if busy { self.rng.range(1, shell::LONGEST_END) } else { 1 };
            self.after(end, Event::End { process, incarnation });
        }
    }

    /// All trouble ends: the network is perfect, clocks and Secrets are right, nobody does anything.
    pub fn be_calm(&mut self) {
        self.world.tell(|| "---- all trouble ends ----".to_owned());
        self.calm = true;
        self.world.nature = self.world.nature.calm();
        self.world.windows = Default::default();
        self.world.kube.away_until = self.now();
        for process in 0..self.processes.len() {
            if let Some(until) = self.processes[process].frozen_until.replace(self.world.now) {
                if self.nature().monotonic_sleeps {
                    self.hub.lock().clocks[process].asleep -= until - self.world.now;
                }
            } else {
                self.processes[process].frozen_until = None;
            }
            self.thaw(process);
        }
        self.settle_the_network();
        // What has not arrived by now never does.
        for post in &mut self.world.ledger.posts {
            if post.journey == Journey::Open {
                post.journey = Journey::Withdrawn;
            }
        }
        for machine in &mut self.world.machines {
            machine.calm();
        }
        for place in 0..PLACES {
            self.secret_is_right(place);
        }
        for process in 0..self.processes.len() {
            self.hub.lock().clocks[process].offset = 0;
            if !self.processes[process].up {
                self.start(process);
            }
            self.be_prompt(process);
        }
    }

    /// What was late comes now: the watch, and looks that a sluggish process put off.
    fn be_prompt(&mut self, process: usize) {
        let (now, incarnation) = (self.now(), self.processes[process].incarnation);
        for (at, _) in &mut self.processes[process].watch {
            *at = (*at).min(now);
        }
        self.after(1, Event::Watch { process, incarnation });
        for place in 0..PLACES {
            let entry = &mut self.processes[process].entries[place];
            entry.rests();
            if entry.due.is_some_and(|due| due > now + 5 * MINUTE) {
                entry.due = None;
                let delay = self.rng.range(1, 5 * MINUTE);
                self.schedule(process, place, delay);
            }
        }
    }
}

fn wanted_type(rng: &mut Rng) -> &'static str {
    let index = if rng.chance(50) { USUAL } else { usize::try_from(rng.below(3)).unwrap_or(0) };
    TYPES[index].0
}

fn in_words(spec: Option<&VmInstanceSpec>) -> String {
    spec.map_or("gone".to_owned(), |spec| {
        let VmInstanceSpec { instance_type_id, suspend, management_policy, strategy, .. } = spec;
        format!("{instance_type_id} suspend={suspend} {management_policy:?} {strategy:?}")
    })
}
