//! The laws, each a function with a name and a sentence. They are judged at every write, at every
//! landing of a call, and at the end of a run.

use serde_json::Value;
use zenlayer_vm_operator::api::{ManagementPolicy, PrepaidDowngrade, PrepaidUpgrade, VmInstance};

use crate::{
    cloud::{MACHINES, OffBy, Order, Power, TYPES, View, type_index},
    coverage::Seen,
    kube::Stored,
    ledger::{Accepted, Broken, Journey, Post, PostInfo, key},
    moments::{at, since_start},
    nature::{Date, SIGNATURE_LIFE},
    shapes::{self, Told, words},
    world::World,
};

/// Every law with its sentence.
pub const LAWS: &[(&str, &str)] = &[
    ("L1", "a change is ordered once, unless a person released it or somebody else undid it"),
    ("L2", "an accepted order is in the slot, in the status or in the history of its object"),
    ("L3", "no intent is cleared while its request can still land"),
    ("L4", "every written status passes the schema of the CRD"),
    ("L5", "a machine that was stopped for a change is not left off"),
    ("L6", "a status claims only what a read showed"),
    ("L7", "no pass panics"),
    ("L8", "a person is asked only about a call that was made and whose answer nobody could keep"),
    ("L9", "a call is made only with its intent written and its slot taken"),
    ("L10", "a change is ordered only by a spec that asks for it and allows it"),
    ("L11", "an object comes to the state that a fresh one comes to, in bounded time"),
    ("L12", "a call lands on the type, or on the plan, that it was decided for"),
    ("L13", "in a world without trouble nothing is tried every second"),
    ("L14", "a machine that a person switched off stays off"),
    ("L15", "a slot that says nothing, or that nobody names, is gone in bounded time"),
    ("L16", "a call leaves only while its signature counts, and no other one may still land"),
];

/// For so many seconds a call with a token is waited for that is not paid for.
const TOKEN_LIFE: i64 = 900;

/// A call leaves within so many seconds after its lane was taken.
const LONGEST_SECTION: i64 = 6;

/// How many ended changes a history may drop the oldest of.
const HISTORY_LIMIT: usize = 10;

impl World {
    fn breaks(&mut self, law: &'static str, kind: &str, detail: String) {
        // All other laws rest on the slot.
        let kept = matches!((law, kind), ("L1", "ordered twice") | ("L2" | "L4" | "L7", _));
        if self.nature.loses_slots && !kept {
            return;
        }
        let (at, steps) = (self.now, self.steps);
        let broken = Broken { law, kind: kind.to_owned(), detail: detail.clone(), at, steps };
        if self.ledger.break_law(broken) {
            self.tell(|| format!("!! {law} {kind}: {detail}"));
        }
    }

    fn now_seconds(&self) -> i64 {
        at(self.now).as_second()
    }

    fn slot_json(&self, machine: usize) -> &Value {
        self.kube.slot(MACHINES[machine]).map_or(&Value::Null, |entry| &entry.json)
    }

    // ---- At the landing of a call ----

    /// L1: a change is ordered once, unless a person released it, or, POSTPAID, somebody else undid it
    /// while its outcome was unknown.
    pub fn l1_is_ordered_once(&mut self, order: &Accepted) {
        let key_of = |one: &Accepted| key(&one.uid, one.machine, &one.change);
        let wanted = key_of(order);
        let before: Vec<&Accepted> =
            self.ledger.orders.iter().filter(|one| key_of(one) == wanted).collect();
        let released = self.ledger.allowed.iter().filter(|one| **one == wanted).count();
        let undone = before.iter().filter(|one| self.may_be_repeated(one)).count();
        if before.len() > released + undone {
            let detail = format!(
                "{} to {} of {} is ordered {} times",
                order.change.from,
                order.change.to,
                MACHINES[order.machine],
                before.len() + 1
            );
            return self.breaks("L1", "ordered twice", detail);
        }
        let hidden = |one: &&Accepted| {
            one.machine == order.machine
                && one.shows_at.is_some_and(|when| when > self.now)
                && !self.ledger.released.contains(&one.change.id)
        };
        if !self.ledger.released.contains(&order.change.id)
            && let Some(earlier) = self.ledger.orders.iter().find(hidden)
        {
            let detail =
                format!("{} while {} could not be seen", order.change.id, earlier.change.id);
            self.breaks("L1", "ordered while an earlier order could not be seen", detail);
        }
    }

    /// POSTPAID, nobody knows that it was accepted, and nothing shows it: silence, or somebody else.
    fn may_be_repeated(&self, order: &Accepted) -> bool {
        let machine = &self.machines[order.machine];
        let undone = order.shows_at.is_none()
            || machine.touched_at.is_some_and(|touched| touched >= order.at);
        let place = self.kube.by_uid(&order.uid);
        let status = place.and_then(|place| self.kube.object(place)).map(|one| &one.status);
        let known = shapes::slot_says_accepted(self.slot_json(order.machine), &order.change.id)
            || status.is_some_and(|status| shapes::is_known_as_ordered(status, &order.change.id));
        !machine.prepaid && !order.bearer && undone && !known
    }

    /// L3, at the landing: the slot holds the change that lands.
    pub fn l3_lands_while_held(&mut self, change: &Told, info: &PostInfo) {
        let machine = info.machine;
        if !self.is_decided_anew(info)
            && !shapes::slot_holds(self.slot_json(machine), &change.id)
            && !self.ledger.released.contains(&change.id)
        {
            let detail = format!("{} {}", change.kind, change.id);
            self.breaks("L3", "a call landed after it was settled", detail);
        }
    }

    /// A call with a token, which never expires, that is not paid for: it was waited for, and decided anew.
    pub fn is_decided_anew(&self, info: &PostInfo) -> bool {
        info.bearer && !info.is_paid() && self.now_seconds() > info.sent_at + TOKEN_LIFE
    }

    /// L12: a call lands on the type, or on the plan, that it was decided for, unless a person was
    /// there in between.
    pub fn l12_lands_on_what_it_was_for(&mut self, change: &Told, info: &PostInfo, found: View) {
        let margin = 2 * SIGNATURE_LIFE / 1000;
        let touched = self.machines[info.machine].touched_at;
        let by_a_person =
            touched.is_some_and(|when| at(when).as_second() > info.signed_at - margin);
        let may = by_a_person || self.is_decided_anew(info);
        if may || self.ledger.released.contains(&change.id) {
            return;
        }
        let planned = found.plan.map(|plan| TYPES[plan.to].0);
        let (kind, is) = match info.order {
            Order::Modify(_) => ("ordered from another type", Some(TYPES[found.type_].0)),
            Order::Cancel => ("another plan was cancelled", planned),
            Order::Stop | Order::Start => return,
        };
        if is != Some(change.from.as_str()) {
            let detail = format!("change {} from {} found {is:?}", change.id, change.from);
            self.breaks("L12", kind, detail);
        }
    }

    // ---- At a write ----

    /// L2: an accepted order is in the slot, in the status or in the history of its object, for as long
    /// as that object exists; without one, in the slot until its effect can be seen.
    pub fn l2_is_remembered(&mut self, machine: usize) {
        if self.ledger.orders.is_empty() {
            return;
        }
        let slot = self.slot_json(machine);
        let forgotten = |order: &&Accepted| {
            if order.machine != machine || shapes::mentions(slot, &order.change.id) {
                return false;
            }
            let Some(place) = self.kube.by_uid(&order.uid) else {
                return order.shows_at.is_some_and(|when| when > self.now)
                    && !self.ledger.released.contains(&order.change.id);
            };
            let Some(Stored { status, .. }) = self.kube.object(place) else { return false };
            // The history keeps the last ten, and all of the current target.
            let evicted = shapes::history(status).len() >= HISTORY_LIMIT
                && shapes::current_target(status) != Some(order.change.target);
            !evicted && !shapes::mentions(status, &order.change.id)
        };
        let Some(order) = self.ledger.orders.iter().find(forgotten) else { return };
        let exists = self.kube.by_uid(&order.uid).is_some();
        let released = self.ledger.released.contains(&order.change.id);
        let kind = match (exists, released) {
            (true, false) => "forgotten",
            (true, true) => "forgotten after a person released it",
            (false, _) => "forgotten once its object was gone",
        };
        let detail = format!("order {} of change {}", order.number, order.change.id);
        self.breaks("L2", kind, detail);
    }

    /// L3: no intent leaves slot or status while its request can still land.
    pub fn l3_is_held(&mut self, machine: usize) {
        let slot = self.slot_json(machine);
        let mut found = None;
        for (post, change) in self.ledger.unsettled(self.now_seconds()) {
            if post.info.machine != machine {
                continue;
            }
            if !shapes::slot_holds(slot, &change.id) {
                found = Some(("cleared from the slot", change.id.clone()));
                break;
            }
            let place = self.kube.by_uid(&post.uid);
            let status = place.and_then(|place| self.kube.object(place)).map(|one| &one.status);
            if status.is_some_and(|status| !shapes::status_holds(status, &change.id)) {
                found = Some(("cleared from the status", change.id.clone()));
                break;
            }
        }
        if let Some((kind, id)) = found {
            self.breaks("L3", kind, format!("change {id} can still land"));
        }
    }

    /// L6: a status claims only what a read showed.
    pub fn l6_was_seen(
        &mut self,
        machine: usize,
        object: &VmInstance,
        before: &Value,
        now: &Value,
    ) {
        if let Some(shown) = shapes::machine(now) {
            let same = before.get("instance") == now.get("instance");
            if !same && !self.was_read(machine, &shown) {
                let detail = format!("{} {} {:?}", shown.type_id, shown.state, shown.expires_at);
                self.breaks("L6", "an instance that no read showed", detail);
            }
        }
        let generation = object.metadata.generation;
        let in_sync = shapes::condition(now, "InSync").is_some_and(|(status, ..)| status == "True");
        let declared = object.spec.instance_type_id.as_str();
        if in_sync
            && shapes::observed_generation(now) == generation
            && shapes::machine(now).is_none_or(|shown| shown.type_id != declared)
        {
            let detail = format!("InSync=True for {declared}");
            self.breaks("L6", "in sync with a type that no read showed", detail);
        }
        let phase = shapes::phase(now);
        let person = &self.machines[machine];
        let moved =
            self.ledger.touched[machine] || person.touched_at.is_some() || person.was_powered;
        if matches!(phase, "Changing" | "Scheduled") && !moved {
            self.breaks("L6", "a change that nobody accepted", format!("phase {phase}"));
        }
        let known = |number: &str| {
            self.ledger.orders.iter().any(|one| one.machine == machine && one.number == number)
        };
        if let Some(number) = shapes::order_numbers(now).find(|number| !known(number)) {
            let detail = format!("order number {number}");
            self.breaks("L6", "an order number that the provider never gave", detail);
        }
    }

    fn was_read(&self, machine: usize, shown: &shapes::Machine) -> bool {
        let prepaid = self.machines[machine].prepaid;
        let charge = if prepaid { "PREPAID" } else { "POSTPAID" };
        self.ledger.reads.iter().filter(|(of, _)| *of == machine).any(|(_, view)| {
            let (name, cores, memory, _) = TYPES[view.type_];
            let expires = prepaid.then(|| at(view.expires).as_second());
            shown.type_id == name
                && shown.state == view.power.name()
                && shown.charge_type == charge
                && shown.cpu_count == Some(cores)
                && shown.memory_gib == Some(memory)
                && shown.expires_at == expires
        })
    }

    /// L8: a person is asked only about a call whose intent was written by the pass that was to make
    /// it, and whose answer nobody could keep; or about what somebody else did.
    pub fn l8_asks_about_something(&mut self, machine: usize, now: &Value) {
        let Some(id) = shapes::asked(now).and_then(|asked| asked.change) else { return };
        let is_followed = shapes::in_flight(now).any(|told| told.id == id && told.adopted)
            || shapes::history(now).iter().any(|one| one["id"] == id && one["adopted"] == true);
        if is_followed || self.machines[machine].touched_at.is_some() {
            return;
        }
        let made = self.ledger.intents.iter().any(|one| one.told.id == id);
        if !made && !self.may_have_been_made(id) {
            let detail = format!("change {id}, of which no call was ever made");
            self.breaks("L8", "asked about nothing", detail);
        }
    }

    /// The slot was taken for this change, and its object is gone: nobody can tell whether it was made.
    pub fn may_have_been_made(&self, id: &str) -> bool {
        let head = id.split('-').next().unwrap_or_default();
        let exists = |stored: &Stored| {
            stored.object.metadata.uid.as_deref().is_some_and(|uid| uid.starts_with(head))
        };
        self.ledger.taken.iter().any(|one| one.id == id)
            && !self.kube.objects.iter().flatten().any(exists)
    }

    /// L8, at the end: nobody is asked about a call whose answer its process has read and could keep.
    pub fn l8_lost_no_answer(&mut self, place: usize) {
        let Some(stored) = self.kube.object(place) else { return };
        let Some(id) = shapes::asked(&stored.status).and_then(|asked| asked.change) else { return };
        let open = |one: Told| one.id == id && shapes::is_open(&one);
        let of_change = |post: &&Post| post.change.as_ref().is_some_and(|change| change.id == id);
        let post = self.ledger.posts.iter().find(of_change);
        let was_read = post
            .is_some_and(|post| (post.known_accepted || post.known_refused) && !post.forgivable);
        if was_read && shapes::in_flight(&stored.status).any(open) {
            let detail = format!("change {id}");
            self.breaks("L8", "asked although the answer was read", detail);
        }
    }

    /// L8, at the end: nobody is asked about a call that was never made, where its process could give the
    /// lane back.
    pub fn l8_was_made(&mut self, place: usize) {
        let Some(stored) = self.kube.object(place) else { return };
        let Some(id) = shapes::asked(&stored.status).and_then(|asked| asked.change) else { return };
        let of_change = |post: &Post| post.change.as_ref().is_some_and(|change| change.id == id);
        let mut taken = self.ledger.taken.iter().filter(|one| one.id == id).peekable();
        let given_back = taken.peek().is_some() && taken.all(|one| !one.forgivable);
        if given_back && !self.ledger.posts.iter().any(of_change) {
            let detail = format!("change {id}");
            self.breaks("L8", "asked about a call that was never made", detail);
        }
    }

    /// L9: a call is made only with its intent written and its slot taken.
    pub fn l9_has_an_intent(&mut self, uid: &str, info: &PostInfo) {
        if self.ledger.intent_of(uid, info).is_none() {
            let detail = format!("{:?} signed at {}", info.order, info.signed_at);
            self.breaks("L9", "a call without an intent", detail);
        }
    }

    /// L16: a call leaves only with a signature that the provider takes by its own clock, and only while
    /// no other call of its machine may still land.
    pub fn l16_may_leave(&mut self, info: &PostInfo) {
        let ahead = info.signed_at - info.sent_at;
        let life = SIGNATURE_LIFE / 1000;
        // A process may freeze after its decision, and a clock that stops meanwhile does not tell.
        let old = -ahead > life && !self.nature.monotonic_sleeps;
        if !info.bearer && (ahead > life || old) {
            let detail = format!("{:?} signed {ahead} s ahead", info.order);
            self.breaks("L16", "a call with a void signature", detail);
        }
        let now = self.now_seconds();
        // One with a token may land for ever.
        let other = self
            .ledger
            .unsettled(now)
            .find(|(post, _)| post.info.machine == info.machine && !post.info.bearer);
        if let Some((_, change)) = other {
            let detail = format!("{:?} while {} may land", info.order, change.id);
            self.breaks("L16", "a call while another one may still land", detail);
        }
    }

    /// L14: a start is for what the operator has stopped. Where a stop or a start of its own may have
    /// taken effect since the slot last said nothing of the power state, nobody can tell who switched the
    /// machine off.
    pub fn l14_stays_off(&mut self, info: &PostInfo) {
        let Some(off_at) = self.machines[info.machine].switched_off_at else { return };
        let since = self.ledger.power_free_at[info.machine];
        let nothing_done = |id: &str| {
            self.ledger.posts.iter().any(|post| {
                let of_change = post.change.as_ref().is_some_and(|change| change.id == id);
                of_change && post.known_refused && !post.forgivable
            })
        };
        let doubtful = self.ledger.taken.iter().any(|one| {
            let power = one.kind == words::STOP || one.kind == words::START;
            let before = one.at >= since && one.at < info.sent_at - LONGEST_SECTION;
            power && before && one.machine == info.machine && !nothing_done(&one.id)
        });
        if at(off_at).as_second() < info.sent_at && !doubtful {
            let detail = format!("{} was switched off at {off_at}", MACHINES[info.machine]);
            self.breaks("L14", "started although a person switched it off", detail);
        }
    }

    /// L10: an intent of a change is written only over a spec that asks for it and allows it.
    pub fn l10_is_wanted(&mut self, object: &VmInstance, machine: usize, told: &Told) {
        let spec = &object.spec;
        let suspended = spec.suspend || spec.management_policy == ManagementPolicy::Observe;
        if suspended {
            return self.breaks(
                "L10",
                "a call of an object that may change nothing",
                told.id.clone(),
            );
        }
        if told.kind != words::MODIFY {
            return;
        }
        if object.metadata.deletion_timestamp.is_some() {
            self.breaks("L10", "an order of an object that is being deleted", told.id.clone());
        }
        if spec.instance_type_id != told.to {
            self.breaks("L10", "an order that the spec does not ask for", told.id.clone());
        }
        let price = |name: &str| type_index(name).map_or(0, |index| TYPES[index].3);
        let (from, to) = (price(&told.from), price(&told.to));
        let denied = self.machines[machine].prepaid
            && (to > from && spec.prepaid_upgrade == Some(PrepaidUpgrade::Deny)
                || to < from && spec.prepaid_downgrade == Some(PrepaidDowngrade::Deny));
        if denied {
            self.breaks("L10", "an order that the policy denies", told.id.clone());
        }
    }

    // ---- At the end ----

    /// The objects that name this machine.
    fn claims(&self, machine: usize) -> impl Iterator<Item = &Stored> {
        let named = move |one: &&Stored| one.object.spec.instance_id == MACHINES[machine];
        self.kube.objects.iter().flatten().filter(named)
    }

    /// Whether the machine is off although it ran before it was stopped for a change, and somebody may
    /// start it.
    pub fn is_left_off(&self, machine: usize) -> bool {
        let one = &self.machines[machine];
        let off = one.view.power == Power::Stopped && one.off_by == OffBy::Operator;
        let may_start = |stored: &Stored| {
            let spec = &stored.object.spec;
            !spec.suspend && spec.management_policy == ManagementPolicy::Enforce
        };
        off && (self.claims(machine).count() == 0 || self.claims(machine).any(may_start))
    }

    /// L5: a machine is left as it is only once its object was kept for it as long as the design says; then it counts as switched off by a person.
    pub fn l5_is_left_as_it_is(&mut self, machine: usize, kept_too_long: bool) {
        let one = &mut self.machines[machine];
        if kept_too_long && one.off_by == OffBy::Operator {
            one.off_by = OffBy::Person;
            self.coverage.saw(Seen::LeftAsItIs);
            self.tell(|| format!("   {} is left as it is", MACHINES[machine]));
        }
    }

    /// L5: a machine that was stopped for a change is not left off, once nothing more happens.
    pub fn l5_is_not_left_off(&mut self, machine: usize) {
        if !self.is_left_off(machine) {
            return;
        }
        let reasons: Vec<_> =
            self.claims(machine).map(|one| shapes::ready_reason(&one.status)).collect();
        let kind = match reasons.as_slice() {
            [] => "left off, and its object is gone".to_owned(),
            [reason] => format!("left off, {reason}"),
            _ => "left off by two objects".to_owned(),
        };
        let detail = format!("{} {reasons:?}", MACHINES[machine]);
        self.breaks("L5", &kind, detail);
    }

    /// L2, at the end: the number of an order is written down, where its process has read it and could
    /// keep it.
    pub fn l2_number_is_kept(&mut self) {
        let lost = |order: &&Accepted| {
            let of_change = |post: &&Post| {
                post.uid == order.uid
                    && post.change.as_ref().is_some_and(|change| change.id == order.change.id)
            };
            let post = self.ledger.posts.iter().find(of_change);
            let was_read = post.is_some_and(|post| post.known_accepted && !post.forgivable);
            let Some(place) = self.kube.by_uid(&order.uid) else { return false };
            let Some(Stored { status, .. }) = self.kube.object(place) else { return false };
            let evicted = shapes::history(status).len() >= HISTORY_LIMIT;
            was_read
                && !evicted
                && !shapes::mentions(status, &order.number)
                && !shapes::mentions(self.slot_json(order.machine), &order.number)
        };
        if let Some(order) = self.ledger.orders.iter().find(lost) {
            let detail = format!("order {} of change {}", order.number, order.change.id);
            self.breaks("L2", "the number of an order was lost", detail);
        }
    }

    /// L15: see `quiet`.
    pub fn l15_is_kept(&mut self, kind: &str, instance: &str) {
        self.breaks("L15", kind, format!("slot of {instance}"));
    }

    /// L13: in a world without trouble nothing is tried every second.
    pub fn l13_is_restless(&mut self, place: usize) {
        let stored = self.kube.object(place);
        let reason = stored.map_or("", |one| shapes::ready_reason(&one.status)).to_owned();
        self.breaks("L13", &format!("restless, {reason}"), format!("place {place}"));
    }

    /// L7: no pass panics.
    pub fn l7_panicked(&mut self, text: String) {
        self.breaks("L7", "a panic", text);
    }

    /// L11: see `quiet`.
    pub fn l11_stays_apart(&mut self, kind: String, detail: String) {
        self.breaks("L11", &kind, detail);
    }

    /// L4: see `kube`, which refuses the write as the API server does.
    pub fn l4_is_refused(&mut self, fault: String) {
        let field: String = fault.split(':').next().unwrap_or_default().to_owned();
        self.breaks("L4", &field, fault);
    }

    // ---- The assumptions, so that a fault of the world is not taken for one of the operator ----

    /// Whether a call that lands now is still within its signature's life.
    pub fn signature_holds(&self, info: &PostInfo) -> bool {
        let signed = since_start(jiff::Timestamp::from_second(info.signed_at).unwrap_or_default());
        info.bearer || (self.now - signed).abs() <= SIGNATURE_LIFE
    }

    /// The clock in an answer.
    pub fn date(&mut self) -> Option<jiff::Timestamp> {
        let off = match self.nature.date {
            Date::Exact => 0,
            Date::Absent => return None,
            Date::Ahead(by) if self.nature.edges => by,
            Date::Behind(by) if self.nature.edges => -by,
            Date::Ahead(by) => self.rng.range(0, by),
            Date::Behind(by) => -self.rng.range(0, by),
        };
        jiff::Timestamp::from_second(at(self.now).as_second() + off).ok()
    }

    /// Marks a call as one that cannot land any more.
    pub fn withdraw(&mut self, request: u64) {
        if let Some(post) = self.ledger.post(request).filter(|post| post.journey == Journey::Open) {
            post.journey = Journey::Withdrawn;
        }
    }
}
