//! An inventory in virtual time, in front of a provider that counts what it is asked.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use zenlayer::{
    ApiError, Batch, ChargeType, Credentials, Found, Instance, InstanceId, InstanceState,
    InstanceTypeId, ReadError, Reading,
};

use super::super::{inventory::Inventory, limiter::Class, machine::Interest, shelf::Plan};
use crate::controller::{
    store::{Credential, Scope},
    waker::Name,
};

pub const DRIFT: Duration = Duration::from_secs(300);

type Answer = Result<Reading<Batch<Instance>>, ReadError>;

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn id(number: usize) -> InstanceId {
    InstanceId::new(format!("vm-{number:05}")).expect("it is an id")
}

pub fn name(number: usize) -> Name {
    ("shop".to_owned(), format!("web-{number}"))
}

fn credential() -> Credential {
    let credentials = Credentials::access_key("id", "password");
    Credential { credentials, scope: Scope::of("key") }
}

fn instance(id: &InstanceId) -> Instance {
    Instance {
        id: id.clone(),
        name: None,
        zone_id: None,
        type_id: InstanceTypeId::new("c.1c2g".to_owned()).expect("it is a type"),
        state: InstanceState::Running,
        charge_type: ChargeType::Postpaid,
        cpu_count: None,
        memory_gib: None,
        bandwidth_out: None,
        internet_charge_type: None,
        system_disk: None,
        expires_at: None,
        auto_renew: None,
    }
}

pub fn api_error(status: u16, code: &str) -> ReadError {
    let error = ApiError {
        status,
        code: Some(code.to_owned()),
        message: "refused".to_owned(),
        request_id: None,
        retry_after: None,
    };
    ReadError::Api { error, date: None, sent_at: Timestamp::UNIX_EPOCH }
}

/// An inventory, its clock, and what the provider was asked.
pub struct Lab {
    pub inventory: Inventory,
    pub now: Duration,
    /// Ids of each read, in order.
    pub reads: Vec<Vec<InstanceId>>,
    pub woken: Vec<Name>,
    pub shared: usize,
    pub missing: HashSet<InstanceId>,
    /// Whoever asks for it is refused, whatever else was asked.
    pub poison: Option<InstanceId>,
    /// What every read is answered with.
    pub garbage: Option<ReadError>,
    /// Reads that the credential may still make.
    pub turns: usize,
    /// The clock of the provider; ours shows 1970.
    pub date: Option<Timestamp>,
}

impl Lab {
    pub fn new() -> Self {
        Self {
            inventory: Inventory::new(DRIFT),
            now: secs(1000),
            reads: Vec::new(),
            woken: Vec::new(),
            shared: 0,
            missing: HashSet::new(),
            poison: None,
            garbage: None,
            turns: usize::MAX,
            date: None,
        }
    }

    pub fn look(&self, number: usize, class: Class) -> bool {
        let times = (self.inventory.oldest(self.now), self.now);
        self.inventory.look(&credential(), &id(number), &name(number), class, times).is_some()
    }

    pub fn follow(&self, number: usize, interest: Interest) {
        self.inventory.follow(&name(number), interest, self.now);
    }

    fn answer(&self, plan: &Plan) -> Answer {
        if let Some(garbage) = &self.garbage {
            return Err(garbage.clone());
        }
        if self.poison.as_ref().is_some_and(|id| plan.ids.iter().any(|one| one == id)) {
            return Err(api_error(400, "SOMETHING_ODD"));
        }
        let found = |id: &InstanceId| {
            let found = if self.missing.contains(id) {
                Found::Missing
            } else {
                Found::Present(instance(id))
            };
            (id.clone(), found)
        };
        let value = plan.ids.iter().map(found).collect();
        Ok(Reading { value, date: self.date, sent_at: Timestamp::UNIX_EPOCH })
    }

    /// Makes what is due now, and gives the pause before the next read.
    pub fn reads_due(&mut self) -> Option<Duration> {
        loop {
            let mut turns = self.turns;
            let may_read = |_: &Scope, _| match turns.checked_sub(1) {
                Some(left) => {
                    turns = left;
                    true
                }
                None => false,
            };
            let (plans, next) = self.inventory.plan(self.now, may_read);
            self.turns = turns;
            if plans.is_empty() {
                return next;
            }
            for plan in plans {
                self.reads.push(plan.ids.iter().cloned().collect());
                let answer = self.answer(&plan);
                let meaning = self.inventory.answered(&plan, answer, (self.now, self.now));
                self.shared += usize::from(meaning.is_shared);
                self.woken.extend(meaning.woken);
                if meaning.is_shared {
                    return None;
                }
            }
        }
    }

    /// Lets so much time pass, and makes every read when it is due. Gives the number of reads.
    pub fn pass(&mut self, time: Duration) -> usize {
        let (end, before) = (self.now + time, self.reads.len());
        loop {
            match self.reads_due() {
                Some(pause) if self.now + pause <= end => self.now += pause,
                Some(_) | None => break,
            }
        }
        self.now = end;
        self.reads.len() - before
    }

    /// These objects are looked at, and at rest after so long.
    pub fn settle(&mut self, numbers: std::ops::Range<usize>, time: Duration) {
        for number in numbers.clone() {
            self.look(number, Class::Drift);
        }
        self.pass(time);
        for number in numbers {
            assert!(self.look(number, Class::Drift), "{number}");
            self.follow(number, Interest::AtRest(DRIFT));
        }
    }

    /// So many objects whose machines are in sync and were read once.
    pub fn in_sync(&mut self, count: usize) {
        self.settle(0..count, secs(2));
        self.reads.clear();
        self.woken.clear();
    }
}
