//! Requests in the air: what becomes of each is drawn when it is made, and it happens at its moment.

use jiff::Timestamp;

use crate::{
    coverage::Seen,
    executor::{Failure, Kind, Request},
    flying::Flying,
    ledger::PostInfo,
    moments::since_start,
    nature::{Nature, SECOND, SIGNATURE_LIFE},
    origin::Origin,
    run::{Event, Run},
    seams,
};

/// What becomes of a request: delays until it is delivered and answered.
struct Fate {
    deliver: Option<i64>,
    answer: i64,
    failure: Option<Failure>,
}

impl Run<'_> {
    /// Takes what the last poll has asked for, and draws what becomes of it.
    pub fn register(&mut self, process: usize) {
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
            if let Some(info) = &request.post {
                self.at_the_edge(info, &mut fate);
            }
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

    /// Where everything takes as long as it may, a late call lands as its signature ends.
    fn at_the_edge(&mut self, info: &PostInfo, fate: &mut Fate) {
        let late = fate.deliver.is_some_and(|deliver| deliver >= SECOND);
        if !self.nature().edges || !late {
            return;
        }
        let signed = since_start(Timestamp::from_second(info.signed_at).unwrap_or_default());
        let last = signed + SIGNATURE_LIFE - self.rng.range(0, 5 * SECOND) - self.now();
        fate.deliver = Some(last.max(1));
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

    pub fn deliver(&mut self, id: u64) {
        let Some(index) = self.find(id) else { return };
        let away = self.is_away(self.flying[index].request.kind);
        let flying = &mut self.flying[index];
        flying.delivers = false;
        let is_write = flying.request.kind == Kind::Write;
        if away {
            flying.failure = Some(Failure::Refused);
            self.world.coverage.saw(Seen::Away);
        } else if let Some(deliver) = flying.request.deliver.take() {
            let late = is_write && flying.heard;
            let origin = Origin { late, ..flying.request.origin };
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

    pub fn answer(&mut self, id: u64) {
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
