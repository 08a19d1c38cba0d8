//! Everything outside of the processes: Kubernetes, the provider, and the ledger of what really
//! happened. A delivered request is a method of it.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;
use zenlayer_vm_operator::api::{VmInstance, VmInstanceStatus};

use harness::rng::Rng;

use crate::{
    cloud::{MACHINES, Machine, OffBy, Order, Power, Ruling, View},
    coverage::{Coverage, Seen},
    kube::{Content, Denied, Kube, SlotEntry, Written},
    ledger::{Accepted, Intent, Journey, Ledger, Post, PostInfo, Stall, Taken, key},
    nature::{Nature, SECOND},
    origin::Origin,
    seams::Record,
    shapes::{self, words},
};

/// After so many seconds an object is no longer kept for its machine, less what clocks may be off by.
const RESTORE_BOUND: i64 = 3600 - 2 * 700;

/// The key or token of a request.
pub type Presented = Content;

/// How a read of the cloud fails.
pub enum Trouble {
    /// The provider's error, with the clock of the answer.
    Api {
        status: u16,
        code: Option<&'static str>,
        date: Option<Timestamp>,
    },
    Malformed,
}

/// What a read shows: the machine, unless there is none, and whether it is PREPAID; and the clock in
/// the answer.
pub type Shown = (Option<(View, bool)>, Option<Timestamp>);

/// What a mutating call is answered.
pub enum Answered {
    Refused {
        status: u16,
        code: &'static str,
    },
    Accepted {
        number: Option<String>,
    },
    /// A 5xx, which does not say whether it took effect.
    Unclear {
        landed: bool,
    },
}

/// Trouble that lasts for a while.
#[derive(Clone, Copy, Default)]
pub struct Windows {
    pub cloud_away: i64,
    /// Calls, or reads, are refused for reasons of the account.
    pub account: i64,
    pub account_reads: i64,
}

pub struct World {
    pub now: i64,
    pub nature: Nature,
    pub rng: Rng,
    pub kube: Kube,
    pub machines: Vec<Machine>,
    pub ledger: Ledger,
    pub windows: Windows,
    /// The newest version of each slot that a process has seen.
    pub seen_slots: HashMap<(usize, String), u64>,
    /// The right key or token.
    pub key: u32,
    pub coverage: Coverage,
    /// How many steps the run has made.
    pub steps: u64,
    /// What happened, for people; absent unless it is asked for.
    pub story: Option<Story>,
}

/// A story: in short, or with every request.
#[derive(Default)]
pub struct Story {
    pub whole: bool,
    pub lines: Vec<String>,
}

impl World {
    pub fn new(nature: Nature, mut rng: Rng, story: Option<Story>) -> Self {
        let content = if nature.bearer { Content::Token(1) } else { Content::Key(1) };
        let machines = (0..nature.machines).map(|_| Machine::new(&nature, &mut rng)).collect();
        Self {
            now: 0,
            kube: Kube::new(content),
            machines,
            ledger: Ledger::default(),
            windows: Windows::default(),
            key: 1,
            seen_slots: HashMap::new(),
            coverage: Coverage::default(),
            steps: 0,
            story,
            nature,
            rng,
        }
    }

    /// Adds a line to the story.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(story) = &mut self.story {
            story.lines.push(format!("{:>9.3}  {}", now as f64 / SECOND as f64, line()));
        }
    }

    /// Adds a line to a story with every request.
    pub fn whisper(&mut self, line: impl FnOnce() -> String) {
        if self.story.as_ref().is_some_and(|story| story.whole) {
            self.tell(line);
        }
    }

    pub fn advance(&mut self, now: i64) {
        self.now = self.now.max(now);
        for (index, name) in MACHINES.iter().enumerate().take(self.machines.len()) {
            let before = self.machines[index].view;
            self.machines[index].advance(self.now);
            let after = self.machines[index].view;
            if before.expires != after.expires {
                self.coverage.saw(Seen::Flip);
            }
            if before.power == Power::Stopping && after.power == Power::Running {
                self.coverage.saw(Seen::Deaf);
            }
            if before != after {
                self.tell(|| format!("   {name} is {}", describe(&after)));
            }
        }
    }

    // ---- Kubernetes ----

    pub fn write_status(
        &mut self,
        origin: &Origin,
        object: &VmInstance,
        status: &VmInstanceStatus,
    ) -> Result<Arc<VmInstance>, Denied> {
        let written = self.kube.write_status(object, status);
        match &written {
            Ok(Written { statuses: None, .. }) => self.coverage.saw(Seen::NoOpWrite),
            Ok(Written { object, statuses: Some((before, now)) }) => {
                self.status_written(origin, object, before, now);
            }
            Err(Denied::Invalid(fault)) => self.l4_is_refused(fault.clone()),
            Err(Denied::Conflict) => self.coverage.saw(Seen::Conflict),
            Err(Denied::NotFound) => {}
        }
        written.map(|written| written.object)
    }

    fn status_written(
        &mut self,
        origin: &Origin,
        written: &VmInstance,
        before: &Value,
        now: &Value,
    ) {
        let uid = written.metadata.uid.as_deref().unwrap_or_default();
        self.tell(|| format!("   status of {uid}: {}", in_words(now)));
        let machine = machine_index(&written.spec.instance_id);
        for told in shapes::in_flight(now) {
            self.notice_in_flight(&told, before, now);
            let taken =
                self.ledger.taken.iter().any(|one| one.id == told.id && one.task == origin.task);
            let known = |old: &Intent| old.task == origin.task && old.told.id == told.id;
            if taken && shapes::is_open(&told) && !self.ledger.intents.iter().any(known) {
                self.l10_is_wanted(written, machine, &told);
                let (uid, task) = (uid.to_owned(), origin.task);
                self.ledger.intents.push(Intent { uid, task, told });
            }
        }
        self.notice(before, now);
        self.l2_is_remembered(machine);
        self.l3_is_held(machine);
        self.l6_was_seen(machine, written, before, now);
        self.l8_asks_about_something(machine, now);
    }

    fn notice_in_flight(&mut self, told: &shapes::Told, before: &Value, now: &Value) {
        if told.adopted {
            self.coverage.saw(Seen::ForeignFollowed);
        }
        if told.state == "Unverified" {
            self.coverage.saw(Seen::Unverified);
        }
        let kept = |post: &Post| {
            let late = post.heard_at.is_some_and(|heard| self.now - heard > 30 * SECOND);
            late && post.known_accepted && post.change.as_ref().is_some_and(|one| one.id == told.id)
        };
        let was_open =
            shapes::in_flight(before).any(|old| old.id == told.id && shapes::is_open(&old));
        if told.state == "Accepted" && was_open && self.ledger.posts.iter().any(kept) {
            self.coverage.saw(Seen::Kept);
        }
        let unanswered = |post: &Post| {
            !post.known_accepted && post.change.as_ref().is_some_and(|one| one.id == told.id)
        };
        if shapes::is_known_as_ordered(now, &told.id)
            && shapes::history(now).iter().all(|entry| entry["id"] != told.id.as_str())
            && told.kind == words::MODIFY
            && self.ledger.posts.iter().any(unanswered)
        {
            self.coverage.saw(Seen::Adopted);
        }
    }

    /// Counts what this write tells of.
    fn notice(&mut self, before: &Value, now: &Value) {
        let reason = shapes::ready_reason(now);
        let seen = match reason {
            "OutcomeUnknown" => Some(Seen::OutcomeUnknown),
            "OutcomeUnverified" => Some(Seen::Unverified),
            "ForeignPlan" => Some(Seen::ForeignPlan),
            "Reverted" => Some(Seen::Reverted),
            "DuplicateClaim" => Some(Seen::Duplicate),
            "ClockSkewed" => Some(Seen::Skewed),
            "OrderLimitReached" => Some(Seen::Limited),
            "ChangeScheduled" => Some(Seen::Scheduled),
            _ => None,
        };
        if let Some(seen) = seen {
            self.coverage.saw(seen);
        }
        if shapes::refused_call(now).is_some_and(|refused| !refused.passes) {
            self.coverage.saw(Seen::RefusedForGood);
        }
        if shapes::asked(now).is_some() {
            self.coverage.saw(Seen::Asked);
        }
        let released = |status: &Value| status.pointer("/handled/release").cloned();
        if released(now).is_some() && released(now) != released(before) {
            self.coverage.saw(Seen::Released);
        }
    }

    pub fn write_slot(
        &mut self,
        origin: &Origin,
        instance: &str,
        version: Option<&String>,
        record: Record,
    ) -> Result<SlotEntry, Denied> {
        let json = Arc::new(serde_json::to_value(&record).expect("a record is JSON"));
        let before = self.kube.slot(instance).map(|entry| entry.json.clone()).unwrap_or_default();
        let written = self.kube.write_slot(instance, version, record, json.clone());
        if written.is_ok() {
            self.tell(|| format!("   slot of {instance}: {}", slot_in_words(&json)));
            let at = crate::moments::at(self.now).as_second();
            for held in shapes::holders(&json) {
                if !shapes::slot_holds(&before, &held.id) {
                    let forgivable = origin.late || self.ledger.cannot_give_back(origin, at);
                    self.ledger.taken.push(Taken {
                        id: held.id,
                        machine: machine_index(instance),
                        kind: held.kind,
                        task: origin.task,
                        process: origin.process,
                        at,
                        forgivable,
                    });
                }
            }
            let machine = machine_index(instance);
            if shapes::says_nothing_of_the_power(&json) {
                self.ledger.power_free_at[machine] = at;
            }
            self.l2_is_remembered(machine);
            self.l3_is_held(machine);
        } else {
            self.coverage.saw(Seen::Conflict);
        }
        written
    }

    pub fn delete_slot(&mut self, instance: &str, version: Option<&String>) -> Result<(), Denied> {
        let deleted = self.kube.delete_slot(instance, version);
        if deleted.is_ok() {
            self.tell(|| format!("   the slot of {instance} is deleted"));
            self.coverage.saw(Seen::SlotDeleted);
            let machine = machine_index(instance);
            self.l2_is_remembered(machine);
            self.l3_is_held(machine);
        } else {
            self.coverage.saw(Seen::Conflict);
        }
        deleted
    }

    pub fn set_finalizer(
        &mut self,
        object: &VmInstance,
        set: bool,
    ) -> Result<Arc<VmInstance>, Denied> {
        let stored = self.kube.place_of(object).and_then(|place| self.kube.object(place));
        let deleted = stored.and_then(|one| one.object.metadata.deletion_timestamp.clone());
        let now = crate::moments::at(self.now).as_second();
        let kept_too_long = deleted.is_some_and(|time| now - time.0.as_second() > RESTORE_BOUND);
        let written = self.kube.set_finalizer(object, set);
        match &written {
            Ok(_) => {
                let uid = object.metadata.uid.clone().unwrap_or_default();
                self.tell(|| format!("   finalizer of {uid}: {set}"));
                let machine = machine_index(&object.spec.instance_id);
                if !set {
                    self.l5_is_left_as_it_is(machine, kept_too_long);
                }
                self.l2_is_remembered(machine);
                self.l3_is_held(machine);
            }
            Err(_) => self.coverage.saw(Seen::Conflict),
        }
        written
    }

    /// The slot as a process sees it: as it is, or as it was before the last write, unless that would be
    /// older than what the process has seen or written.
    pub fn slot_as_seen(&mut self, process: usize, id: &str, may_lag: bool) -> Option<SlotEntry> {
        let entry = self.kube.slot(id)?.clone();
        let key = (process, id.to_owned());
        let seen = self.seen_slots.get(&key).copied().unwrap_or_default();
        let shown = match &entry.before {
            Some(before) if may_lag && before.number() >= seen => {
                self.coverage.saw(Seen::LaggingSlot);
                SlotEntry::clone(before)
            }
            Some(_) | None => entry,
        };
        self.seen_slots.insert(key, shown.number());
        shown.version.is_some().then_some(shown)
    }

    // ---- The provider's reads ----

    /// What keeps any read from being answered.
    fn trouble(&mut self, presented: Presented) -> Option<Trouble> {
        let date = self.date();
        let api = |status, code| Some(Trouble::Api { status, code: Some(code), date });
        if self.now < self.windows.cloud_away {
            return api(503, "SERVICE_TEMPORARY_UNAVAILABLE");
        }
        if !self.knows(presented) {
            return api(401, "AUTHFAILURE_SIGNATURE_FAILURE");
        }
        if self.now < self.windows.account_reads {
            return api(403, "AUTHFAILURE_UNAUTHORIZED_OPERATION");
        }
        if self.rng.chance(self.nature.read_fails) {
            return match self.rng.below(4) {
                0 => Some(Trouble::Malformed),
                1 => api(429, "REQUEST_LIMIT_EXCEEDED"),
                2 => Some(Trouble::Api { status: 502, code: None, date }),
                _ => api(500, "INTERNAL_SERVER_ERROR"),
            };
        }
        if self.rng.chance(self.nature.read_refused) {
            self.coverage.saw(Seen::ReadRefused);
            let refusals = [
                (401, "AUTHFAILURE_SIGNATURE_FAILURE"),
                (403, "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
                (400, "INVALID_PARAMETER_VALUE"),
                (400, "A_NEW_CODE"),
            ];
            let (status, code) = self.rng.of(&refusals);
            return api(status, code);
        }
        None
    }

    fn knows(&self, presented: Presented) -> bool {
        match presented {
            Content::Key(number) | Content::Token(number) => number == self.key,
            Content::Missing | Content::Incomplete => false,
        }
    }

    /// A read of one endpoint: 0 shows machine and state, 1 type and plan. `None`: no such machine.
    pub fn read(
        &mut self,
        endpoint: usize,
        instance: &str,
        presented: Presented,
    ) -> Result<Shown, Trouble> {
        if let Some(trouble) = self.trouble(presented) {
            return Err(trouble);
        }
        let date = self.date();
        let known = MACHINES.iter().position(|name| *name == instance);
        let Some(index) = known.filter(|index| *index < self.machines.len()) else {
            return Ok((None, date));
        };
        if endpoint == 0 && self.rng.chance(self.nature.empty_list) {
            self.coverage.saw(Seen::Empty);
            return Ok((None, date));
        }
        let Self { machines, rng, nature, .. } = self;
        let machine = &mut machines[index];
        let view = machine.shown(endpoint, self.now, nature, rng);
        let (now, prepaid) = (machine.view, machine.prepaid);
        if view != now {
            self.coverage.saw(Seen::Lagged);
        }
        if endpoint == 0 {
            self.ledger.read(index, view);
        }
        self.whisper(|| format!("   shows {}", describe(&view)));
        Ok((Some((view, prepaid)), date))
    }

    /// A read of catalogue or prices: only what keeps it from being answered.
    pub fn read_offers(&mut self, presented: Presented) -> Result<Option<Timestamp>, Trouble> {
        let date = self.date();
        if self.rng.chance(self.nature.price_fails) {
            let code = Some("INTERNAL_SERVER_ERROR");
            return Err(Trouble::Api { status: 500, code, date });
        }
        match self.trouble(presented) {
            Some(trouble) => Err(trouble),
            None => Ok(date),
        }
    }

    // ---- The provider's calls ----

    /// A process has begun a call.
    pub fn post_begins(&mut self, process: usize, request: u64, uid: &str, info: PostInfo) {
        self.l9_has_an_intent(uid, &info);
        self.l16_may_leave(&info);
        if info.bearer {
            self.coverage.saw(Seen::Bearer);
        }
        let change = self.ledger.intent_of(uid, &info).cloned();
        let post = Post {
            request,
            process,
            info,
            uid: uid.to_owned(),
            change,
            journey: Journey::Open,
            known_refused: false,
            known_accepted: false,
            forgivable: false,
            sent_at: self.now,
            heard_at: None,
        };
        let machine = post.info.machine;
        self.ledger.posts.push(post);
        self.l3_is_held(machine);
    }

    /// A call arrives at the provider.
    pub fn post(&mut self, request: u64, info: &PostInfo, presented: Presented) -> Answered {
        let answer = self.ruled(request, info, presented);
        let now = self.now;
        let Some(post) = self.ledger.post(request) else { return answer };
        let late = now - post.sent_at > 30 * SECOND;
        let (journey, seen) = match answer {
            Answered::Accepted { .. } | Answered::Unclear { landed: true } => {
                (Journey::Accepted, late.then_some(Seen::LateLanding))
            }
            Answered::Refused { code: "AUTHFAILURE_SIGNATURE_EXPIRED", .. } => {
                (Journey::Refused, Some(Seen::Expired))
            }
            Answered::Refused { .. } => (Journey::Refused, Some(Seen::Refused)),
            Answered::Unclear { landed: false } => (Journey::Refused, None),
        };
        post.journey = journey;
        if let Some(seen) = seen {
            self.coverage.saw(seen);
        }
        answer
    }

    fn ruled(&mut self, request: u64, info: &PostInfo, presented: Presented) -> Answered {
        let refused = |status, code| Answered::Refused { status, code };
        if !self.signature_holds(info) {
            return refused(401, "AUTHFAILURE_SIGNATURE_EXPIRED");
        }
        if !self.knows(presented) {
            return refused(401, "AUTHFAILURE_SIGNATURE_FAILURE");
        }
        if self.now < self.windows.account {
            return refused(403, "AUTHFAILURE_UNAUTHORIZED_OPERATION");
        }
        let Nature { busy, throttled, refused: no, trouble, .. } = self.nature;
        if self.rng.chance(throttled) {
            return refused(429, "REQUEST_LIMIT_EXCEEDED");
        }
        if self.rng.chance(busy) {
            return refused(400, "UNSUPPORTED_OPERATION_INSTANCE_STATUS");
        }
        if self.rng.chance(no) {
            let codes = [
                (404, "INVALID_PRODUCT_NOT_FOUND"),
                (403, "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
                (400, "OPERATION_FAILED_RESOURCE_GROUP_NOT_FOUND"),
                (400, "STOCK_INSUFFICIENT"),
                (400, "A_NEW_CODE"),
            ];
            let (status, code) = self.rng.of(&codes);
            return refused(status, code);
        }
        let away = self.now < self.windows.cloud_away;
        let unclear = away || self.rng.chance(trouble);
        if unclear && self.rng.chance(500) {
            return Answered::Unclear { landed: false };
        }
        match self.carry_out(request, info) {
            Answered::Accepted { .. } if unclear => Answered::Unclear { landed: true },
            answer => answer,
        }
    }

    fn carry_out(&mut self, request: u64, info: &PostInfo) -> Answered {
        let post = self.ledger.post(request);
        let change = post.and_then(|post| Some((post.uid.clone(), post.change.clone()?)));
        let id = change.as_ref().map(|(_, change)| change.id.clone()).unwrap_or_default();
        // A person took the word of a call with a token back, and it lands all the same.
        let released = self.ledger.released.contains(&id);
        let by =
            if released || self.is_decided_anew(info) { OffBy::Person } else { OffBy::Operator };
        let Self { machines, rng, nature, now, .. } = self;
        let Some(machine) = machines.get_mut(info.machine) else {
            return Answered::Refused { status: 404, code: "INVALID_INSTANCE_NOT_FOUND" };
        };
        let found = machine.view;
        let shows_at = match machine.rule(info.order, by, *now, nature, rng) {
            Ruling::Refused { status, code } => return Answered::Refused { status, code },
            Ruling::Accepted { shows_at } => shows_at,
        };
        self.ledger.touched[info.machine] = true;
        let count = self.ledger.orders.len();
        let number = format!("{}", 7_000 + count);
        self.coverage.saw(match info.order {
            Order::Modify(_) => Seen::Ordered,
            Order::Cancel => Seen::Cancel,
            Order::Stop => Seen::Stop,
            Order::Start => Seen::Start,
        });
        self.tell(|| format!("   accepted: {:?} on {}", info.order, MACHINES[info.machine]));
        let Some((uid, change)) = change else { return Answered::Accepted { number: None } };
        self.l3_lands_while_held(&change, info);
        self.l12_lands_on_what_it_was_for(&change, info, found);
        if info.order == Order::Start && !info.bearer {
            self.l14_stays_off(info);
        }
        if !info.is_paid() {
            return Answered::Accepted { number: None };
        }
        let order = Accepted {
            machine: info.machine,
            uid,
            change,
            number: number.clone(),
            at: self.now,
            shows_at,
            bearer: info.bearer,
        };
        self.l1_is_ordered_once(&order);
        self.ledger.orders.push(order);
        Answered::Accepted { number: Some(number) }
    }

    /// The process of a call has read its answer.
    pub fn post_answered(&mut self, request: u64, accepted: Option<bool>) {
        let now = self.now;
        let Some(post) = self.ledger.post(request) else { return };
        post.heard_at = Some(now);
        let landed = post.journey == Journey::Accepted;
        let paid = post.info.is_paid();
        match accepted {
            Some(true) => post.known_accepted = true,
            Some(false) => post.known_refused = true,
            None if landed => {
                self.coverage.saw(Seen::AnswerLost);
                if paid {
                    self.coverage.saw(Seen::OrderAnswerLost);
                }
            }
            None => {}
        }
    }

    /// For so long this process, or any, writes nothing down, and goes on after that.
    pub fn stalls(&mut self, process: Option<usize>, lasts: i64) {
        let until = crate::moments::at(self.now.saturating_add(lasts)).as_second();
        self.ledger.stalls.push(Stall { process, last_task: u64::MAX, until });
        self.forgive(process, lasts);
    }

    /// For so long nothing that has begun is written down: by this process, or by any.
    fn forgive(&mut self, process: Option<usize>, lasts: i64) {
        let seconds = |millis| crate::moments::at(millis).as_second();
        let (now, until) = (seconds(self.now), seconds(self.now.saturating_add(lasts)));
        self.ledger.forgive(process, now, until);
    }

    /// A process is about to end: what was it doing?
    pub fn notice_crash(&mut self, process: usize, last_task: u64) {
        self.ledger.stalls.push(Stall { process: Some(process), last_task, until: i64::MAX });
        self.forgive(Some(process), crate::nature::DAY);
        for name in MACHINES {
            let Some(entry) = self.kube.slot(name) else { continue };
            let open: Vec<_> = shapes::open_in_slot(&entry.json).collect();
            for id in open {
                let of_change =
                    |post: &&Post| post.change.as_ref().is_some_and(|change| change.id == id);
                match self.ledger.posts.iter().find(of_change) {
                    None => self.coverage.saw(Seen::CrashBeforeCall),
                    Some(post) if post.journey == Journey::Accepted => {
                        self.coverage.saw(Seen::CrashAfterCall);
                    }
                    Some(_) => {}
                }
            }
        }
    }

    /// A person sets the annotation that a status asks for.
    pub fn released(&mut self, uid: &str, machine: usize, id: &str) {
        self.ledger.released.push(id.to_owned());
        let released =
            |one: &&Intent| one.uid == uid && one.told.id == id && one.told.kind == words::MODIFY;
        if let Some(intent) = self.ledger.intents.iter().find(released) {
            let key = key(uid, machine, &intent.told);
            self.ledger.allowed.push(key);
        }
    }
}

impl PostInfo {
    pub fn is_paid(&self) -> bool {
        matches!(self.order, Order::Modify(_))
    }
}

pub fn machine_index(instance: &str) -> usize {
    MACHINES.iter().position(|name| *name == instance).unwrap_or_default()
}

fn describe(view: &View) -> String {
    let plan = view.plan.map_or(String::new(), |plan| {
        let stage = if plan.scheduled { "waits" } else { "running" };
        format!(", plan to {} {stage}", crate::cloud::TYPES[plan.to].0)
    });
    format!("{} {}{plan}", crate::cloud::TYPES[view.type_].0, view.power.name())
}

/// One line of a status.
pub fn in_words(status: &Value) -> String {
    let (ready, reason, _) = shapes::condition(status, "Ready").unwrap_or_default();
    let in_sync = shapes::condition(status, "InSync").map_or("", |(status, ..)| status);
    let calls: Vec<String> = shapes::in_flight(status)
        .map(|told| format!("{} {} {}->{} {}", told.kind, told.id, told.from, told.to, told.state))
        .collect();
    let ended: Vec<String> = shapes::history(status)
        .iter()
        .map(|entry| format!("{} {}", entry["id"].as_str().unwrap_or_default(), entry["outcome"]))
        .collect();
    format!(
        "{} Ready={ready} {reason} InSync={in_sync} in flight {calls:?} ended {ended:?}",
        shapes::phase(status)
    )
}

fn slot_in_words(record: &Value) -> String {
    let calls: Vec<String> = shapes::holders(record)
        .map(|told| format!("{} {} {}->{} {}", told.kind, told.id, told.from, told.to, told.state))
        .collect();
    let restores = if shapes::slot_restores(record) { " to be started" } else { "" };
    format!("{calls:?}{restores}")
}
