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

use crate::{
    coverage::Seen,
    executor::{Clocks, Failure, Hub, Kind, Reply, Request},
    kube::{PLACES, Told},
    nature::{MINUTE, Nature, SECOND},
    process::{Process, Task},
    rng::Rng,
    seams,
    shell::{self, Contexts, Ended},
    world::World,
};

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    Deliver(u64),
    Answer(u64),
    Look { process: usize, incarnation: u32, place: usize, token: u64 },
    Watch { process: usize, incarnation: u32 },
    Limit { process: usize, incarnation: u32, task: u64 },
    Thaw { process: usize, incarnation: u32 },
    Restart { process: usize, incarnation: u32 },
    Person,
    Console,
    Trouble,
    SecretIsRight { place: usize },
    SecretChanged { place: usize },
}

/// A request in the air, and what will become of it.
struct Flying {
    request: Request,
    incarnation: u32,
    /// Whether it will still be delivered.
    delivers: bool,
    /// Its caller gets no answer, but this.
    failure: Option<Failure>,
    reply: Option<Reply>,
    /// Its caller has its answer, or is gone.
    heard: bool,
}

/// What becomes of a request: delays until it is delivered and answered.
struct Fate {
    deliver: Option<i64>,
    answer: i64,
    failure: Option<Failure>,
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
    flying: Vec<Flying>,
    next_task: u64,
    contexts: &'a Contexts,
    metrics: Metrics,
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
            Event::Limit { process, incarnation, task } if self.is_alive(process, incarnation) => {
                self.cut(process, task);
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
            | Event::Limit { .. }
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

    // ---- Requests ----

    /// Takes what the last poll has asked for, and draws what becomes of it.
    fn register(&mut self, process: usize) {
        let (registered, abandoned) = {
            let mut inner = self.hub.lock();
            if inner.registered.is_empty() && inner.abandoned.is_empty() {
                return;
            }
            (std::mem::take(&mut inner.registered), std::mem::take(&mut inner.abandoned))
        };
        for id in abandoned {
            self.leave(id);
        }
        let incarnation = self.processes[process].incarnation;
        for mut request in registered {
            let id = request.id;
            let mut fate = self.fate(request.kind);
            let label = std::mem::take(&mut request.label);
            let line = || format!("{process}: {label}{}", fate.in_words());
            match request.kind {
                Kind::Ask | Kind::Read | Kind::Wait(_) => self.world.whisper(line),
                Kind::Write | Kind::Post => self.world.tell(line),
            }
            let task = self.processes[process].task(request.origin.task);
            if let Some(task) = task {
                self.processes[process].tasks[task].outstanding += 1;
            }
            if let Some(info) = request.post.take() {
                let uid = task.map(|task| self.processes[process].tasks[task].uid.clone());
                self.world.post_begins(process, id, &uid.unwrap_or_default(), info);
                self.freeze_before(process, &mut fate);
                match fate.failure {
                    Some(Failure::NotSent) => {
                        self.world.coverage.saw(Seen::NotSent);
                        self.world.withdraw(id);
                    }
                    Some(_) if fate.deliver.is_none() => self.world.coverage.saw(Seen::RequestLost),
                    _ => {}
                }
            }
            let Fate { deliver, answer, failure } = fate;
            self.flying.push(Flying {
                request,
                incarnation,
                delivers: deliver.is_some(),
                failure,
                reply: None,
                heard: false,
            });
            if let Some(deliver) = deliver {
                self.after(deliver, Event::Deliver(id));
            }
            self.after(answer, Event::Answer(id));
        }
    }

    /// A call that its process was about to send when it froze leaves it only afterwards.
    fn freeze_before(&mut self, process: usize, fate: &mut Fate) {
        if !self.rng.chance(self.nature().freeze) {
            return;
        }
        let pause = self.freeze(process);
        if let Some(deliver) = fate.deliver.as_mut().filter(|_| self.rng.chance(500)) {
            self.world.coverage.saw(Seen::FrozenBeforeCall);
            *deliver += pause;
            fate.answer += pause;
        }
    }

    fn latency(&mut self) -> i64 {
        if self.calm {
            return 2;
        }
        if self.rng.chance(self.world.nature.slow) {
            self.rng.range(300, 9000)
        } else {
            self.rng.range(1, 40)
        }
    }

    fn fate(&mut self, kind: Kind) -> Fate {
        if let Kind::Wait(least) = kind {
            let queue = if self.rng.chance(self.world.nature.queue) { 8 * SECOND } else { 0 };
            let wait = least + self.rng.range(0, queue);
            return Fate { deliver: Some(wait), answer: wait, failure: None };
        }
        let there = self.latency();
        let back = there + self.latency();
        let good = Fate { deliver: Some(there), answer: back, failure: None };
        if self.calm {
            return Fate { answer: there, ..good };
        }
        let Nature { lost_request, lost_answer, late, not_sent, .. } = self.world.nature;
        let Nature { kube_refuses, kube_lost_request, kube_lost_answer, kube_late, .. } =
            self.world.nature;
        // A connection breaks at once, or nothing comes until the time-out.
        let (after, failure) = if self.rng.chance(500) {
            (back, Failure::Reset)
        } else {
            (20 * SECOND, Failure::TimedOut)
        };
        let lost = Fate { deliver: None, answer: after, failure: Some(failure) };
        let unanswered =
            Fate { deliver: Some(there), answer: after.max(back), failure: Some(failure) };
        let rng = &mut self.rng;
        match kind {
            Kind::Ask | Kind::Write if rng.chance(kube_refuses) => {
                Fate { deliver: None, answer: back, failure: Some(Failure::Refused) }
            }
            Kind::Ask | Kind::Read if rng.chance(kube_lost_request) => lost,
            Kind::Ask | Kind::Read => good,
            Kind::Write if rng.chance(kube_lost_request) => lost,
            Kind::Write if rng.chance(kube_lost_answer) => unanswered,
            Kind::Write if rng.chance(kube_late) => {
                let deliver = Some(after + rng.range(1, 40) * SECOND);
                Fate { deliver, answer: after, failure: Some(failure) }
            }
            Kind::Write => good,
            Kind::Post if rng.chance(not_sent) => {
                let answer = rng.range(1, 5000);
                Fate { deliver: None, answer, failure: Some(Failure::NotSent) }
            }
            Kind::Post if rng.chance(lost_request) => lost,
            Kind::Post if rng.chance(lost_answer) => unanswered,
            Kind::Post if rng.chance(late) => {
                let longest = rng.of(&[10, 100, 320, 320, 900]);
                let deliver = Some(rng.range(1, longest) * SECOND);
                Fate { deliver, answer: after, failure: Some(failure) }
            }
            Kind::Post | Kind::Wait(_) => good,
        }
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.flying.iter().position(|flying| flying.request.id == id)
    }

    fn is_away(&self, kind: Kind) -> bool {
        matches!(kind, Kind::Ask | Kind::Write) && self.now() < self.world.kube.away_until
    }

    fn deliver(&mut self, id: u64) {
        let Some(index) = self.find(id) else { return };
        let away = self.is_away(self.flying[index].request.kind);
        let flying = &mut self.flying[index];
        flying.delivers = false;
        let is_write = flying.request.kind == Kind::Write;
        if away {
            flying.failure = Some(Failure::Refused);
            self.world.coverage.saw(Seen::Away);
        } else if let Some(deliver) = flying.request.deliver.take() {
            let origin = flying.request.origin;
            if is_write && flying.heard {
                self.world.tell(|| format!("{}: a late write lands", origin.process));
                self.world.coverage.saw(Seen::LateWrite);
            } else if is_write && flying.failure.is_some() {
                self.world.coverage.saw(Seen::WriteAnswerLost);
            }
            let reply = deliver(&mut self.world, &origin);
            self.flying[index].reply = Some(reply);
        }
        if self.flying[index].heard {
            self.flying.swap_remove(index);
        }
    }

    fn answer(&mut self, id: u64) {
        let Some(index) = self.find(id).filter(|index| !self.flying[*index].heard) else { return };
        let Request { kind, origin, .. } = self.flying[index].request;
        let process = origin.process;
        if self.processes[process].frozen_until.is_some() {
            self.processes[process].held.push(id);
            return;
        }
        let away = self.is_away(kind);
        let flying = &mut self.flying[index];
        flying.heard = true;
        let answered = flying.reply.take().filter(|_| flying.failure.is_none() && !away);
        let failure = flying.failure.unwrap_or(Failure::Reset);
        let reply = match (answered, flying.request.fail.take()) {
            (Some(reply), _) => reply,
            (None, Some(fail)) => fail(failure),
            (None, None) => return,
        };
        if !self.flying[index].delivers {
            self.flying.swap_remove(index);
        }
        if kind == Kind::Post {
            let accepted = seams::says_accepted(&reply);
            self.world.tell(|| format!("{process}: hears {}", heard(accepted)));
            self.world.post_answered(id, accepted);
        }
        self.hub.lock().replies.push((id, reply));
        if let Some(task) = self.processes[process].task(origin.task) {
            self.processes[process].tasks[task].outstanding -= 1;
        }
        self.poll(process, origin.task);
    }

    /// Nobody waits for this request any more. What has not left the process never does; what is on
    /// its way arrives.
    fn leave(&mut self, id: u64) {
        let Some(index) = self.find(id) else { return };
        let flying = &mut self.flying[index];
        flying.heard = true;
        let leaves = flying.delivers && self.rng.chance(500);
        if flying.delivers && !leaves && flying.request.kind == Kind::Post {
            self.world.withdraw(id);
        }
        if !leaves {
            self.flying.swap_remove(index);
        }
    }

    // ---- Passes ----

    /// Schedules a look, unless an earlier one is scheduled.
    pub fn schedule(&mut self, process: usize, place: usize, delay: i64) {
        let at = self.now() + delay;
        let incarnation = self.processes[process].incarnation;
        let entry = &mut self.processes[process].entries[place];
        if entry.running {
            entry.again = true;
            return;
        }
        if entry.due.is_some_and(|due| due <= at) {
            return;
        }
        entry.due = Some(at);
        entry.token += 1;
        let token = entry.token;
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
        one.tasks.push(Task { id, place, uid, future, outstanding: 0 });
        let incarnation = one.incarnation;
        self.after(shell::PASS_LIMIT, Event::Limit { process, incarnation, task: id });
        self.poll(process, id);
    }

    /// Polls a pass, and then those that may have waited for it.
    fn poll(&mut self, process: usize, task: u64) {
        self.poll_one(process, task);
        let waits = |task: &&Task| task.outstanding == 0;
        for _ in 0..PLACES {
            let Some(next) = self.processes[process].tasks.iter().find(waits) else {
                break;
            };
            let id = next.id;
            self.poll_one(process, id);
        }
        self.misfortune(process);
    }

    fn poll_one(&mut self, process: usize, id: u64) {
        let Some(index) = self.processes[process].task(id) else { return };
        self.hub.lock().task = id;
        let task = &mut self.processes[process].tasks[index];
        let mut cx = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut cx)));
        match polled {
            Ok(Poll::Pending) => self.register(process),
            Ok(Poll::Ready(ended)) => self.ended(process, id, Some(&ended)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into()));
                self.world.l7_panicked(text.unwrap_or_default());
                self.ended(process, id, None);
            }
        }
    }

    fn ended(&mut self, process: usize, id: u64, ended: Option<&Ended>) {
        let Some(index) = self.processes[process].task(id) else { return };
        let Task { place, uid, future, .. } = self.processes[process].tasks.swap_remove(index);
        drop(future);
        self.register(process);
        let one = &mut self.processes[process];
        let entry = &mut one.entries[place];
        entry.running = false;
        let again = std::mem::take(&mut entry.again);
        let Some(ctx) = one.ctx else { return };
        let pause = shell::pause(ended, &mut entry.failures, &uid, ctx);
        self.world.whisper(|| format!("{process}: pass {id} ends {ended:?}"));
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

    /// A pass has reached its time limit: it gets what has come by then, and is dropped.
    fn cut(&mut self, process: usize, task: u64) {
        if self.processes[process].task(task).is_none() {
            return;
        }
        if self.processes[process].frozen_until.is_some() {
            self.processes[process].cut.push(task);
            return;
        }
        self.world.coverage.saw(Seen::PassCut);
        self.ended(process, task, None);
    }

    // ---- What becomes of a process ----

    pub fn start(&mut self, process: usize) {
        let wait = self.world.kube.away_until - self.now();
        let one = &mut self.processes[process];
        if wait > 0 {
            let incarnation = one.incarnation;
            return self.after(wait + SECOND, Event::Restart { process, incarnation });
        }
        one.up = true;
        let Nature { skew, order_limit, .. } = self.world.nature;
        let context = shell::context(&self.hub, process, order_limit, &self.metrics);
        one.ctx = Some(self.contexts.add(context));
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
        self.world.notice_crash(process);
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
        let longest = self.rng.of(&[4, 10, 60, 400, 1500]);
        let pause = self.rng.range(1, longest) * SECOND;
        if one.up && one.frozen_until.is_none() {
            one.frozen_until = Some(self.world.now + pause);
            let incarnation = one.incarnation;
            self.world.tell(|| format!("{process}: frozen for {} s", pause / SECOND));
            self.world.coverage.saw(Seen::Freeze);
            self.world.forgive(Some(process), pause);
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
        for task in std::mem::take(&mut self.processes[process].cut) {
            self.cut(process, task);
        }
    }

    fn misfortune(&mut self, process: usize) {
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
    fn tell_the_watches(&mut self) {
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

    fn watch(&mut self, process: usize) {
        while let Some((at, _)) = self.processes[process].watch.front()
            && *at <= self.world.now
        {
            let Some((_, (place, object))) = self.processes[process].watch.pop_front() else {
                return;
            };
            let name = self.world.kube.name(place).to_owned();
            {
                let cache = &mut self.hub.lock().caches[process];
                cache.retain(|one| one.metadata.name.as_deref() != Some(name.as_str()));
                cache.extend(object.clone());
            }
            if let Some(object) = object
                && self.processes[process].entries[place].is_news(&object)
            {
                self.schedule(process, place, 1);
            }
        }
    }

    /// `controller::rotation` wakes the objects that wait for their Secret.
    fn secret_changed(&mut self, place: usize) {
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

    // ---- For the end of the trouble ----

    /// Every request that is on its way arrives now, and every caller has an answer.
    pub fn settle_the_network(&mut self) {
        let ids: Vec<u64> = self.flying.iter().map(|flying| flying.request.id).collect();
        for id in ids {
            if self.find(id).is_some_and(|index| self.flying[index].delivers) {
                self.deliver(id);
            }
        }
        let ids: Vec<u64> = self.flying.iter().map(|flying| flying.request.id).collect();
        for id in ids {
            self.answer(id);
        }
        self.tell_the_watches();
    }
}

impl Fate {
    fn in_words(&self) -> String {
        let secs = |millis: i64| millis as f64 / SECOND as f64;
        match (self.deliver, self.failure) {
            (Some(_), None) => String::new(),
            (None, Some(failure)) => format!(" (lost: {})", failure.text()),
            (Some(deliver), Some(failure)) => {
                let answer = secs(self.answer);
                format!(" (arrives after {} s, {} after {answer} s)", secs(deliver), failure.text())
            }
            (None, None) => " (lost)".to_owned(),
        }
    }
}

fn heard(accepted: Option<bool>) -> &'static str {
    match accepted {
        Some(true) => "accepted",
        Some(false) => "not done",
        None => "nothing certain",
    }
}
