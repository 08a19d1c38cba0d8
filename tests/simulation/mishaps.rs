//! What becomes of a process: it starts, crashes, freezes; and what its watch tells it.

use std::sync::Arc;

use zenlayer_vm_operator::api::VmInstance;

use crate::{
    coverage::Seen,
    executor::{Clocks, Kind},
    kube::{PLACES, Told},
    nature::{Nature, SECOND},
    run::{Event, Run},
    shell,
};

impl Run<'_> {
    pub fn start(&mut self, process: usize) {
        let wait = self.world.kube.away_until - self.now();
        let one = &mut self.processes[process];
        if wait > 0 {
            let incarnation = one.incarnation;
            return self.after(wait + SECOND, Event::Restart { process, incarnation });
        }
        one.up = true;
        one.sweep = Some(Default::default());
        let incarnation = one.incarnation;
        let skew = self.world.nature.skew;
        let context = shell::context(&self.hub, process, &self.world.nature, &self.metrics);
        one.ctx = Some(self.contexts.add(context));
        self.after(shell::SWEEP_PAUSE, Event::Sweep { process, incarnation });
        let objects: Vec<_> = self.world.kube.objects.iter().flatten().cloned().collect();
        {
            let mut inner = self.hub.lock();
            inner.clocks[process] =
                Clocks { offset: skew[process], zero: self.world.now, asleep: 0 };
            inner.caches[process] = objects.iter().map(|one| one.object.clone()).collect();
        }
        self.world.tell(|| format!("{process}: starts"));
        for place in 0..PLACES {
            let Some(stored) = self.world.kube.object(place) else { continue };
            let object = stored.object.clone();
            self.processes[process].entries[place].is_news(&object);
            self.schedule(process, place, 1);
        }
    }

    pub fn crash(&mut self, process: usize, down: i64) {
        let one = &mut self.processes[process];
        if !one.up {
            return;
        }
        self.world.tell(|| format!("{process}: crashes"));
        self.world.notice_crash(process, self.next_task);
        let one = &mut self.processes[process];
        one.forget();
        let incarnation = one.incarnation;
        self.register(process);
        {
            let mut inner = self.hub.lock();
            inner.replies.clear();
            inner.caches[process].clear();
        }
        // At most two writes of a dead process are still on their way.
        let mut writes = 0;
        let world = &mut self.world;
        self.flying.retain_mut(|flying| {
            if flying.request.origin.process != process || flying.incarnation == incarnation {
                return true;
            }
            flying.heard = true;
            if flying.request.kind == Kind::Write {
                writes += 1;
            }
            let arrives = match flying.request.kind {
                Kind::Post => flying.delivers,
                Kind::Write => flying.delivers && writes <= 2,
                Kind::Ask | Kind::Read | Kind::Wait(_) => false,
            };
            if !arrives && flying.delivers && flying.request.kind == Kind::Post {
                world.withdraw(flying.request.id);
            }
            arrives
        });
        self.after(down, Event::Restart { process, incarnation });
    }

    /// The process does not run for a while; what it has sent goes on without it.
    pub fn freeze(&mut self, process: usize) -> i64 {
        let one = &mut self.processes[process];
        let longest = self.rng.of(self.world.nature.freezes);
        let pause = self.rng.range(1, longest) * SECOND;
        if one.up && one.frozen_until.is_none() {
            one.frozen_until = Some(self.world.now + pause);
            let incarnation = one.incarnation;
            self.world.tell(|| format!("{process}: frozen for {} s", pause / SECOND));
            self.world.coverage.saw(Seen::Freeze);
            self.world.stalls(Some(process), pause);
            if self.world.nature.monotonic_sleeps {
                self.hub.lock().clocks[process].asleep += pause;
            }
            self.after(pause, Event::Thaw { process, incarnation });
        }
        pause
    }

    pub fn thaw(&mut self, process: usize) {
        let one = &mut self.processes[process];
        if one.frozen_until.is_none_or(|until| until > self.world.now) {
            return;
        }
        one.frozen_until = None;
        for id in std::mem::take(&mut one.held) {
            self.answer(id);
            if self.processes[process].frozen_until.is_some() {
                break;
            }
        }
    }

    pub fn misfortune(&mut self, process: usize) {
        if self.calm {
            return;
        }
        let Nature { crash, freeze, .. } = self.world.nature;
        if self.rng.chance(crash) {
            self.world.coverage.saw(Seen::Crash);
            let down = self.rng.of(&[1, 5, 30, 400]) * SECOND;
            self.crash(process, down);
        } else if self.rng.chance(freeze / 4) {
            self.freeze(process);
        }
    }

    // ---- The watch ----

    /// Passes on what Kubernetes has to tell; each process learns of it in order, and later.
    pub fn tell_the_watches(&mut self) {
        if self.world.kube.told.is_empty() {
            return;
        }
        let told: Vec<Told> = std::mem::take(&mut self.world.kube.told);
        for process in 0..self.processes.len() {
            if !self.processes[process].up {
                continue;
            }
            for one in &told {
                self.tell_the_watch(process, one.clone());
            }
        }
    }

    fn tell_the_watch(&mut self, process: usize, told: Told) {
        let lag = if self.rng.chance(self.world.nature.watch_lag) {
            let longest = self.rng.of(&[1, 8, 60]);
            self.rng.range(0, longest * SECOND)
        } else {
            3
        };
        let one = &mut self.processes[process];
        let last = one.watch.back().map_or(0, |(at, _)| *at);
        let at = (self.world.now + lag).max(last).max(self.world.kube.away_until);
        one.watch.push_back((at, told));
        let incarnation = one.incarnation;
        self.after(at - self.world.now, Event::Watch { process, incarnation });
    }

    pub fn watch(&mut self, process: usize) {
        while let Some((at, _)) = self.processes[process].watch.front()
            && *at <= self.world.now
        {
            let Some((_, (place, object))) = self.processes[process].watch.pop_front() else {
                return;
            };
            let name = self.world.kube.name(place).to_owned();
            let before = {
                let cache = &mut self.hub.lock().caches[process];
                let named =
                    |one: &Arc<VmInstance>| one.metadata.name.as_deref() == Some(name.as_str());
                let before = cache.iter().find(|one| named(one)).cloned();
                cache.retain(|one| !named(one));
                cache.extend(object.clone());
                before
            };
            self.wake_others(process, before.as_ref(), object.as_ref());
            if let Some(object) = object
                && self.processes[process].entries[place].is_news(&object)
            {
                self.schedule(process, place, 1);
            }
        }
    }

    /// `controller::run` wakes the other objects of a machine whose object goes.
    fn wake_others(
        &mut self,
        process: usize,
        before: Option<&Arc<VmInstance>>,
        now: Option<&Arc<VmInstance>>,
    ) {
        let going = match now {
            Some(object) if object.metadata.deletion_timestamp.is_some() => object,
            Some(_) => return,
            None => match before {
                Some(object) => object,
                None => return,
            },
        };
        let of_machine = |one: &&Arc<VmInstance>| {
            one.spec.instance_id == going.spec.instance_id && one.metadata.uid != going.metadata.uid
        };
        let others: Vec<_> = self.hub.lock().caches[process]
            .iter()
            .filter(of_machine)
            .filter_map(|one| self.world.kube.place_of(one))
            .collect();
        for place in others {
            self.schedule(process, place, 1);
        }
    }

    /// `controller::rotation` wakes the objects that wait for their Secret.
    pub fn secret_changed(&mut self, place: usize) {
        let waits = self
            .world
            .kube
            .object(place)
            .is_some_and(|stored| crate::shapes::phase(&stored.status) == "Failed");
        for process in 0..self.processes.len() {
            if waits && self.processes[process].up {
                self.schedule(process, place, 1);
            }
        }
    }
}
