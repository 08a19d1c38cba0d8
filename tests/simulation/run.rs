//! One run: two processes of production code in one world, under virtual time. The scheduler takes
//! the next event of its agenda; what becomes of each request, and when, it draws when the request is
//! made.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use zenlayer_vm_operator::telemetry::Metrics;

use harness::rng::Rng;

use crate::{
    coverage::Seen,
    executor::Hub,
    flying::Flying,
    kube::PLACES,
    nature::{MINUTE, Nature},
    process::{Process, Task},
    shell::{self, Contexts, Ended},
    switches::{Rule, is_off},
    world::World,
};

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    Deliver(u64),
    Answer(u64),
    Look {
        process: usize,
        incarnation: u32,
        place: usize,
        token: u64,
    },
    Watch {
        process: usize,
        incarnation: u32,
    },
    Sweep {
        process: usize,
        incarnation: u32,
    },
    Reads {
        process: usize,
        incarnation: u32,
        token: u64,
    },
    /// A process that no longer leads ends.
    End {
        process: usize,
        incarnation: u32,
    },
    Thaw {
        process: usize,
        incarnation: u32,
    },
    Restart {
        process: usize,
        incarnation: u32,
    },
    Person,
    Console,
    Trouble,
    SecretIsRight {
        place: usize,
    },
    SecretChanged {
        place: usize,
    },
}

pub struct Run<'a> {
    pub world: World,
    pub hub: Arc<Hub>,
    pub processes: [Process<'a>; 2],
    pub rng: Rng,
    pub passes: u64,
    pub calm: bool,
    agenda: BinaryHeap<Reverse<(i64, u64, Event)>>,
    sequence: u64,
    pub flying: Vec<Flying>,
    pub next_task: u64,
    pub contexts: &'a Contexts,
    pub metrics: Metrics,
}

impl<'a> Run<'a> {
    pub fn new(world: World, rng: Rng, contexts: &'a Contexts, metrics: &Metrics) -> Self {
        let hub = Arc::new(Hub::default());
        hub.lock().told = world.story.is_some();
        Self {
            world,
            hub,
            processes: Default::default(),
            rng,
            passes: 0,
            calm: false,
            agenda: BinaryHeap::new(),
            sequence: 0,
            flying: Vec::new(),
            next_task: 0,
            contexts,
            metrics: metrics.clone(),
        }
    }

    pub fn now(&self) -> i64 {
        self.world.now
    }

    pub fn nature(&self) -> &Nature {
        &self.world.nature
    }

    pub fn after(&mut self, delay: i64, event: Event) {
        self.sequence += 1;
        let at = self.now() + delay.max(0);
        self.agenda.push(Reverse((at, self.sequence, event)));
    }

    /// The next event, if it comes before `end`; false: nothing more happens until then.
    pub fn step(&mut self, end: i64) -> bool {
        let Some(Reverse((at, ..))) = self.agenda.peek().copied().filter(|next| next.0.0 <= end)
        else {
            return false;
        };
        let Some(Reverse((_, _, event))) = self.agenda.pop() else { return false };
        self.advance(at);
        self.handle(event);
        self.tell_the_watches();
        true
    }

    /// Time passes up to this moment.
    pub fn advance(&mut self, at: i64) {
        self.world.advance(at);
        self.hub.lock().now = self.world.now;
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Deliver(id) => {
                self.world.steps += 1;
                self.deliver(id);
            }
            Event::Answer(id) => self.answer(id),
            Event::Look { process, incarnation, place, token } => {
                let entry = &self.processes[process].entries[place];
                if self.is_alive(process, incarnation) && entry.token == token {
                    self.world.steps += 1;
                    self.look(process, place);
                }
            }
            Event::Watch { process, incarnation } if self.is_alive(process, incarnation) => {
                self.watch(process);
            }
            Event::Sweep { process, incarnation } if self.is_alive(process, incarnation) => {
                self.world.steps += 1;
                self.sweep(process);
            }
            Event::Reads { process, incarnation, token } => {
                let current = self.processes[process].reads.token == token;
                if self.is_alive(process, incarnation) && current {
                    self.reads(process);
                }
            }
            Event::End { process, incarnation } if self.is_alive(process, incarnation) => {
                self.crash(process, 0);
            }
            Event::Thaw { process, incarnation } if self.is_alive(process, incarnation) => {
                self.thaw(process);
            }
            Event::Restart { process, incarnation }
                if self.processes[process].incarnation == incarnation =>
            {
                self.start(process);
            }
            Event::Watch { .. }
            | Event::Sweep { .. }
            | Event::End { .. }
            | Event::Thaw { .. }
            | Event::Restart { .. } => {}
            Event::SecretChanged { place } => self.secret_changed(place),
            Event::Person | Event::Console | Event::Trouble | Event::SecretIsRight { .. } => {
                self.world.steps += 1;
                self.somebody_acts(event);
            }
        }
    }

    fn is_alive(&self, process: usize, incarnation: u32) -> bool {
        let one = &self.processes[process];
        one.up && one.incarnation == incarnation
    }

    // ---- Passes ----

    /// Schedules a look, unless an earlier one is scheduled.
    pub fn schedule(&mut self, process: usize, place: usize, delay: i64) {
        let at = self.now() + delay;
        let incarnation = self.processes[process].incarnation;
        let entry = &mut self.processes[process].entries[place];
        let Some(token) = entry.due_at(at) else { return };
        self.after(delay, Event::Look { process, incarnation, place, token });
    }

    fn look(&mut self, process: usize, place: usize) {
        let one = &mut self.processes[process];
        if let Some(until) = one.frozen_until {
            let entry = &mut one.entries[place];
            let (incarnation, token) = (one.incarnation, entry.token);
            let delay = until - self.world.now + 1;
            return self.after(delay, Event::Look { process, incarnation, place, token });
        }
        one.entries[place].due = None;
        if !one.leads {
            return;
        }
        let name = self.world.kube.name(place);
        let cached = self.hub.lock().caches[process]
            .iter()
            .find(|object| object.metadata.name.as_deref() == Some(name))
            .cloned();
        let (Some(object), Some(ctx)) = (cached, self.processes[process].ctx) else {
            return;
        };
        let newest = self.world.kube.object(place).map(|one| &one.object.metadata.resource_version);
        if newest != Some(&object.metadata.resource_version) {
            self.world.coverage.saw(Seen::Stale);
        }
        if self.processes[1 - process].entries[place].running {
            self.world.coverage.saw(Seen::Overlap);
        }
        let (version, now) = (self.world.kube.version(), self.world.now);
        if self.processes[process].entries[place].is_restless(version, now) && self.calm {
            self.world.l13_is_restless(place);
        }
        self.next_task += 1;
        self.passes += 1;
        let id = self.next_task;
        self.world.whisper(|| format!("{process}: pass {id} over place {place}"));
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let future = shell::pass(object, ctx);
        let one = &mut self.processes[process];
        one.entries[place].running = true;
        one.tasks.push(Task { id, place: Some(place), uid, future, outstanding: 0 });
        self.poll(process, id);
    }

    /// Looks at all slots, unless it does already.
    fn sweep(&mut self, process: usize) {
        let incarnation = self.processes[process].incarnation;
        self.after(shell::SWEEP_PAUSE, Event::Sweep { process, incarnation });
        let one = &mut self.processes[process];
        let looks = one.leads && one.frozen_until.is_none() && !is_off(Rule::Sweep);
        let (Some(ctx), true) = (one.ctx, looks) else { return };
        let Some(sweep) = one.sweep.take() else { return };
        self.next_task += 1;
        let (id, future) = (self.next_task, shell::sweep(sweep, ctx));
        let uid = String::new();
        one.tasks.push(Task { id, place: None, uid, future, outstanding: 0 });
        self.poll(process, id);
    }

    /// Schedules a look at the reads that are due, unless an earlier one is scheduled.
    fn schedule_reads(&mut self, process: usize, delay: i64) {
        let at = self.now() + delay;
        let incarnation = self.processes[process].incarnation;
        let entry = &mut self.processes[process].reads;
        let Some(token) = entry.due_at(at) else { return };
        self.after(delay, Event::Reads { process, incarnation, token });
    }

    /// Makes the reads of machines that are due.
    fn reads(&mut self, process: usize) {
        let one = &mut self.processes[process];
        one.reads.due = None;
        if let Some(until) = one.frozen_until {
            return self.schedule_reads(process, until - self.world.now + 1);
        }
        let Some(ctx) = one.ctx.filter(|_| one.leads) else { return };
        self.next_task += 1;
        let (id, future) = (self.next_task, shell::reads(ctx));
        one.reads.running = true;
        one.tasks.push(Task { id, place: None, uid: String::new(), future, outstanding: 0 });
        self.poll(process, id);
    }

    /// Polls a pass, and then those that may have waited for it.
    pub fn poll(&mut self, process: usize, task: u64) {
        self.poll_one(process, task);
        for _ in 0..=PLACES {
            let waits = |task: &&Task| task.outstanding == 0;
            let tasks = self.processes[process].tasks.iter();
            let ids: Vec<u64> = tasks.filter(waits).map(|task| task.id).collect();
            if ids.is_empty() {
                break;
            }
            for id in ids {
                self.poll_one(process, id);
            }
        }
        self.wake(process);
        self.misfortune(process);
    }

    /// Objects that production code woke.
    pub fn wake(&mut self, process: usize) {
        let Some(ctx) = self.processes[process].ctx else { return };
        for (namespace, name) in ctx.waker.take() {
            if let Some(place) = self.world.kube.place(&namespace, &name) {
                self.world.coverage.saw(Seen::Woken);
                self.schedule(process, place, 1);
            }
        }
    }

    fn poll_one(&mut self, process: usize, id: u64) {
        let Some(index) = self.processes[process].task(id) else { return };
        self.hub.lock().task = id;
        let task = &mut self.processes[process].tasks[index];
        let mut cx = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut cx)));
        match polled {
            Ok(Poll::Pending) => self.register(process),
            Ok(Poll::Ready(ended)) => self.ended(process, id, Some(ended)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into()));
                self.world.l7_panicked(text.unwrap_or_default());
                self.ended(process, id, None);
            }
        }
    }

    fn ended(&mut self, process: usize, id: u64, ended: Option<Ended>) {
        let Some(index) = self.processes[process].task(id) else { return };
        let Task { place, uid, future, .. } = self.processes[process].tasks.swap_remove(index);
        drop(future);
        self.register(process);
        let one = &mut self.processes[process];
        let result = match ended {
            Some(Ended::Sweep(sweep)) => {
                one.sweep = Some(sweep);
                return;
            }
            Some(Ended::Reads(pause)) => {
                one.reads.running = false;
                let again = std::mem::take(&mut one.reads.again);
                let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX).max(1);
                self.schedule_reads(process, if again { 1 } else { pause });
                return;
            }
            Some(Ended::Pass(result)) => Some(result),
            None => None,
        };
        let Some(place) = place else { return };
        // It may have asked for a read, or for a turn.
        self.schedule_reads(process, 1);
        let one = &mut self.processes[process];
        let entry = &mut one.entries[place];
        entry.running = false;
        let again = std::mem::take(&mut entry.again);
        let Some(ctx) = one.ctx else { return };
        let pause = shell::pause(result.as_ref(), &mut entry.failures, &uid, ctx);
        self.world.whisper(|| format!("{process}: pass {id} ends {result:?}"));
        if again {
            self.schedule(process, place, 1);
        } else if let Some(pause) = pause {
            let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            let sluggish = self.nature().sluggish;
            let late = pause.saturating_mul(sluggish).min(15 * MINUTE).max(pause);
            let late = if sluggish > 1 { self.rng.range(pause, late) } else { pause };
            self.schedule(process, place, late);
        }
    }
}
