//! One process of the operator: its cache, its queue, its passes, its clocks; and what can become of
//! it. Scheduling is that of kube's `Controller`: one pass at a time for each object, woken by a
//! change of spec or annotations, or by the next look of the last pass.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
};

use zenlayer_vm_operator::{
    api::VmInstance,
    controller::{Context, Sweep},
};

use crate::{
    kube::{PLACES, Told},
    nature::MINUTE,
    shell::Work,
};

/// So many passes without a write, within two minutes, are no waiting.
const RESTLESS: u32 = 40;

/// Production code that runs: a pass, or a look at all slots.
pub struct Task<'a> {
    pub id: u64,
    /// `None`: it looks at all slots, or reads machines.
    pub place: Option<usize>,
    pub uid: String,
    pub future: Work<'a>,
    /// Requests without an answer. A pass that has none and is pending waits for another pass.
    pub outstanding: usize,
}

/// What the queue knows of one object.
#[derive(Default)]
pub struct Entry {
    pub due: Option<i64>,
    /// Tells the last schedule from older ones.
    pub token: u64,
    pub running: bool,
    /// Woken while a pass was running.
    pub again: bool,
    pub failures: u32,
    /// Uid, and what wakes it when it changes.
    seen: Option<(String, u64)>,
    /// Passes since anything was written: the version, since when, how many.
    idle: (u64, i64, u32),
}

impl Entry {
    /// Takes this time, unless an earlier one is taken, or it is at work just now: the token of that.
    pub fn due_at(&mut self, at: i64) -> Option<u64> {
        if self.running {
            self.again = true;
            return None;
        }
        if self.due.is_some_and(|due| due <= at) {
            return None;
        }
        self.due = Some(at);
        self.token += 1;
        Some(self.token)
    }
}

#[derive(Default)]
pub struct Process<'a> {
    pub up: bool,
    /// Counts the processes that were here, one after the other.
    pub incarnation: u32,
    pub ctx: Option<&'a Context>,
    pub tasks: Vec<Task<'a>>,
    pub leads: bool,
    pub frozen_until: Option<i64>,
    /// Answers that came while it was frozen.
    pub held: Vec<u64>,
    /// What the last look at all slots remembers; taken while one is under way.
    pub sweep: Option<Sweep>,
    /// The reads of machines: when they are due, and whether they are being made.
    pub reads: Entry,
    pub entries: [Entry; PLACES],
    pub watch: VecDeque<(i64, Told)>,
}

impl Entry {
    /// Whether the watch wakes the object: the predicate of `controller::run`.
    pub fn is_news(&mut self, object: &VmInstance) -> bool {
        let meta = &object.metadata;
        let mut hasher = DefaultHasher::new();
        (meta.generation, &meta.annotations, &meta.finalizers).hash(&mut hasher);
        meta.deletion_timestamp.is_some().hash(&mut hasher);
        let now = (meta.uid.clone().unwrap_or_default(), hasher.finish());
        let news = self.seen.as_ref() != Some(&now);
        self.seen = Some(now);
        news
    }
}

impl Entry {
    /// What was before does not count.
    pub fn rests(&mut self) {
        self.idle = (u64::MAX, 0, 0);
    }

    /// Counts passes in which nothing is written; true: too many in too short a time.
    pub fn is_restless(&mut self, version: u64, now: i64) -> bool {
        if self.idle.0 != version {
            self.idle = (version, now, 0);
        }
        self.idle.2 += 1;
        self.idle.2 == RESTLESS && now - self.idle.1 < 2 * MINUTE
    }
}

impl Process<'_> {
    /// Everything that a process keeps is gone.
    pub fn forget(&mut self) {
        let Self { incarnation, leads, .. } = *self;
        *self = Self { incarnation: incarnation + 1, leads, ..Self::default() };
    }

    pub fn task(&self, id: u64) -> Option<usize> {
        self.tasks.iter().position(|task| task.id == id)
    }
}
