//! What really happened, beside what the operator believes: the intents that were written, the calls
//! that were sent, what was accepted, and what reads have shown. The laws are judged by it.

use crate::{
    cloud::{Order, View},
    moments::at,
    origin::Origin,
    shapes::{Told, words},
};

/// After so many seconds a call can neither land nor stay unseen.
const FENCE: i64 = 600;

/// A call that a process has begun.
#[derive(Clone, Debug)]
pub struct PostInfo {
    pub machine: usize,
    pub order: Order,
    /// Seconds since 1970.
    pub signed_at: i64,
    /// The same, by the provider's clock.
    pub sent_at: i64,
    /// Nothing expires.
    pub bearer: bool,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journey {
    /// It may land, as far as anybody knows but the network.
    Open,
    /// It never left the process.
    Withdrawn,
    Refused,
    Accepted,
}

#[derive(Clone, Debug)]
pub struct Post {
    pub request: u64,
    pub process: usize,
    pub info: PostInfo,
    /// The object that it was made for.
    pub uid: String,
    /// The change, where an intent of it was written.
    pub change: Option<Told>,
    pub journey: Journey,
    /// Its process has read a definite "no".
    pub known_refused: bool,
    /// Its process has read that it was accepted.
    pub known_accepted: bool,
    /// Its process could not write the answer down before the fence: it ended or froze, or the
    /// Kubernetes API was away.
    pub forgivable: bool,
    pub sent_at: i64,
    /// When its process has read its answer.
    pub heard_at: Option<i64>,
}

/// A lane that was taken for a call.
#[derive(Clone, Debug)]
pub struct Taken {
    pub id: String,
    pub machine: usize,
    pub kind: String,
    /// The pass that took it, and its process.
    pub task: u64,
    pub process: usize,
    /// Seconds since 1970, by the provider's clock.
    pub at: i64,
    /// Its process could not give it back before the fence, had it made no call.
    pub forgivable: bool,
}

/// A time in which passes write nothing down; what they have sent lands all the same.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// Of this process, or of any.
    pub process: Option<usize>,
    /// No later pass.
    pub last_task: u64,
    /// Seconds since 1970.
    pub until: i64,
}

/// An intent, with its object's uid and the pass that wrote it. A clock that is set back may lead to
/// the same name twice.
#[derive(Clone, Debug)]
pub struct Intent {
    pub uid: String,
    pub task: u64,
    pub told: Told,
}

/// An accepted order.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub machine: usize,
    pub uid: String,
    pub change: Told,
    pub number: String,
    pub at: i64,
    /// When its effect is registered; `None`: never.
    pub shows_at: Option<i64>,
    pub bearer: bool,
}

/// What one change is: object, machine, from, to, target.
pub type ChangeKey = (String, usize, String, String, i64);

/// A law that was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    pub law: &'static str,
    /// Which kind of breach, in a few words that are the same each time.
    pub kind: String,
    pub detail: String,
    pub at: i64,
    /// How many steps the run had made.
    pub steps: u64,
}

#[derive(Clone, Default)]
pub struct Ledger {
    /// Every intent that a pass wrote after it had taken the slot.
    pub intents: Vec<Intent>,
    /// The lanes that were taken, each for a change.
    pub taken: Vec<Taken>,
    pub posts: Vec<Post>,
    pub orders: Vec<Accepted>,
    /// How often more than once a change may be ordered.
    pub allowed: Vec<ChangeKey>,
    /// The changes that a person released.
    pub released: Vec<String>,
    /// What reads have shown of which machine.
    pub reads: Vec<(usize, View)>,
    /// Machines with any accepted call.
    pub touched: [bool; 2],
    pub stalls: Vec<Stall>,
    /// When the slot of which machine last said nothing of its power state, in seconds since 1970.
    pub power_free_at: [i64; 2],
    pub broken: Vec<Broken>,
}

pub fn kind_of(order: Order) -> &'static str {
    match order {
        Order::Modify(_) => words::MODIFY,
        Order::Cancel => words::CANCEL,
        Order::Stop => words::STOP,
        Order::Start => words::START,
    }
}

pub fn key(uid: &str, machine: usize, change: &Told) -> ChangeKey {
    (uid.to_owned(), machine, change.from.clone(), change.to.clone(), change.target)
}

impl Ledger {
    /// A law is broken; only its first breach of each kind counts in a run.
    pub fn break_law(&mut self, broken: Broken) -> bool {
        let same = |old: &Broken| old.law == broken.law && old.kind == broken.kind;
        let is_new = !self.broken.iter().any(same);
        if is_new {
            self.broken.push(broken);
        }
        is_new
    }

    /// The intent that a call carries out: signed with the moment of the decision.
    pub fn intent_of(&self, uid: &str, info: &PostInfo) -> Option<&Told> {
        let fits =
            |told: &Told| told.kind == kind_of(info.order) && told.started_at == info.signed_at;
        let found = self.intents.iter().rev().find(|one| one.uid == uid && fits(&one.told));
        found.map(|one| &one.told)
    }

    pub fn post(&mut self, request: u64) -> Option<&mut Post> {
        self.posts.iter_mut().rev().find(|post| post.request == request)
    }

    /// The calls that may land, of whom nobody has read a definite answer.
    pub fn unsettled(&self, now_seconds: i64) -> impl Iterator<Item = (&Post, &Told)> {
        self.posts.iter().filter_map(move |post| {
            let change = post.change.as_ref()?;
            let open = post.journey == Journey::Open && !post.known_refused;
            let life = crate::nature::SIGNATURE_LIFE / 1000;
            let can_land = match (post.info.bearer, post.info.is_paid()) {
                (false, _) => now_seconds <= post.info.signed_at + life,
                (true, true) => true,
                // What is not paid for is waited for as long as without a clock, and decided anew.
                (true, false) => now_seconds <= post.info.sent_at + FENCE + life - 5,
            };
            let released = self.released.contains(&change.id);
            (open && can_land && !released).then_some((post, change))
        })
    }

    /// The answers that are being written down at this moment cannot be, before `until`, and no lane is
    /// given back: forgivable where that is past the fence.
    pub fn forgive(&mut self, process: Option<usize>, now_seconds: i64, until: i64) {
        let fence = |post: &Post| post.info.signed_at + FENCE;
        for post in &mut self.posts {
            let of_process = process.is_none_or(|process| process == post.process);
            // A process that was frozen tries a few times even after the fence.
            let heard = post.heard_at.map(|heard| at(heard).as_second());
            let late = heard.is_some_and(|heard| now_seconds <= heard.max(fence(post)) + 20);
            let writes = now_seconds <= fence(post) || late;
            if of_process && writes && until >= fence(post) - 60 {
                post.forgivable = true;
            }
        }
        for taken in &mut self.taken {
            let fence = taken.at + FENCE;
            let of_process = process.is_none_or(|process| process == taken.process);
            if of_process && now_seconds <= fence && until >= fence - 60 {
                taken.forgivable = true;
            }
        }
    }

    /// Whether a lane that this pass takes now cannot be given back before its fence.
    pub fn cannot_give_back(&self, origin: &Origin, taken_at: i64) -> bool {
        self.stalls.iter().any(|stall| {
            stall.process.is_none_or(|process| process == origin.process)
                && origin.task <= stall.last_task
                && stall.until >= taken_at + FENCE - 60
        })
    }

    pub fn read(&mut self, machine: usize, view: View) {
        let known = |old: &(usize, View)| {
            old.0 == machine
                && old.1.type_ == view.type_
                && old.1.power == view.power
                && old.1.expires == view.expires
        };
        if !self.reads.iter().any(known) {
            self.reads.push((machine, view));
        }
    }
}
