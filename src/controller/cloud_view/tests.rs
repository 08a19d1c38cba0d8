//! The inventory in virtual time, in front of a provider that counts what it is asked.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use zenlayer::{
    ApiError, Batch, ChargeType, Credentials, Found, Instance, InstanceId, InstanceState,
    InstanceTypeId, ReadError, Reading,
};

use super::{inventory::Inventory, limiter::Class, machine::Interest, shelf::Plan};
use crate::controller::{
    store::{Credential, Scope},
    waker::Name,
};

const DRIFT: Duration = Duration::from_secs(300);

type Answer = Result<Reading<Batch<Instance>>, ReadError>;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn id(number: usize) -> InstanceId {
    InstanceId::new(format!("vm-{number:05}")).expect("it is an id")
}

fn name(number: usize) -> Name {
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

fn api_error(status: u16, code: &str) -> ReadError {
    let error = ApiError {
        status,
        code: Some(code.to_owned()),
        message: "refused".to_owned(),
        request_id: None,
    };
    ReadError::Api { error, date: None, sent_at: Timestamp::UNIX_EPOCH }
}

/// An inventory, its clock, and what the provider was asked.
struct Lab {
    inventory: Inventory,
    now: Duration,
    /// Ids of each read, in order.
    reads: Vec<Vec<InstanceId>>,
    woken: Vec<Name>,
    shared: usize,
    missing: HashSet<InstanceId>,
    /// Whoever asks for it is refused, whatever else was asked.
    poison: Option<InstanceId>,
    /// What every read is answered with.
    garbage: Option<ReadError>,
    /// Reads that the credential may still make.
    turns: usize,
}

impl Lab {
    fn new() -> Self {
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
        }
    }

    fn look(&self, number: usize, class: Class) -> bool {
        let times = (self.inventory.oldest(self.now), self.now);
        self.inventory.look(&credential(), &id(number), &name(number), class, times).is_some()
    }

    fn follow(&self, number: usize, interest: Interest) {
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
        Ok(Reading { value, date: None, sent_at: Timestamp::UNIX_EPOCH })
    }

    /// Makes what is due now, and gives the pause before the next read.
    fn reads_due(&mut self) -> Option<Duration> {
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
    fn pass(&mut self, time: Duration) -> usize {
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
    fn settle(&mut self, numbers: std::ops::Range<usize>, time: Duration) {
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
    fn in_sync(&mut self, count: usize) {
        self.settle(0..count, secs(2));
        self.reads.clear();
        self.woken.clear();
    }
}

#[test]
fn a_fleet_in_sync_is_read_in_full_batches_and_wakes_nobody() {
    for count in [100, 1_000, 10_000] {
        let mut lab = Lab::new();
        lab.in_sync(count);
        for _ in 0..3 {
            assert_eq!(lab.pass(DRIFT), count / 100, "{count}");
        }
        assert_eq!(lab.woken, Vec::<Name>::new());
    }
}

#[test]
fn two_halves_of_a_batch_find_one_another() {
    let mut lab = Lab::new();
    lab.in_sync(50);
    lab.pass(DRIFT / 2);
    lab.settle(50..100, secs(2));
    lab.pass(DRIFT);
    assert_eq!((lab.pass(DRIFT), lab.pass(DRIFT)), (1, 1));
}

#[test]
fn a_machine_that_changed_is_news_for_whoever_follows_it() {
    let mut lab = Lab::new();
    lab.in_sync(3);
    lab.missing.insert(id(1));
    lab.pass(DRIFT + secs(10));
    assert_eq!(lab.woken, [name(1)]);
}

#[test]
fn an_edit_is_read_at_once_and_what_comes_in_a_burst_together() {
    let mut lab = Lab::new();
    lab.look(0, Class::Edit);
    lab.reads_due();
    assert_eq!(lab.reads, [vec![id(0)]]);
    for number in 1..80 {
        lab.look(number, Class::InFlight);
    }
    assert_eq!(lab.reads_due(), Some(Duration::from_millis(100)));
    lab.pass(secs(1));
    assert_eq!(lab.reads.len(), 2);
}

#[test]
fn looks_at_changes_in_flight_are_made_together() {
    let mut lab = Lab::new();
    lab.in_sync(100);
    for round in 0..6 {
        for number in 0..100 {
            // Each pass ends at a moment of its own.
            lab.now += Duration::from_millis(3);
            lab.follow(number, Interest::Once(secs(5)));
        }
        assert!(lab.pass(secs(6)) <= 2, "round {round}: {}", lab.reads.len());
        assert_eq!(std::mem::take(&mut lab.woken).len(), 100);
    }
}

#[test]
fn a_machine_that_is_missing_among_others_is_asked_for_alone_a_look_later() {
    let mut lab = Lab::new();
    lab.missing.insert(id(1));
    for number in 0..3 {
        lab.look(number, Class::InFlight);
    }
    lab.pass(secs(1));
    assert_eq!(lab.woken, [name(0), name(2)]);
    lab.pass(secs(5));
    assert_eq!(lab.reads[1..], [vec![id(1)]]);
    assert_eq!(lab.woken[2..], [name(1)]);
    assert!(lab.look(1, Class::InFlight));
}

#[test]
fn a_machine_that_is_known_to_be_missing_is_read_among_others() {
    let mut lab = Lab::new();
    lab.missing.insert(id(7));
    lab.settle(0..100, secs(10));
    lab.pass(DRIFT);
    assert_eq!((lab.pass(DRIFT), lab.pass(DRIFT)), (1, 1));
}

#[test]
fn machines_that_are_missing_hold_no_edit_up() {
    let mut lab = Lab::new();
    lab.in_sync(1);
    for number in 1..5_001 {
        lab.missing.insert(id(number));
        lab.look(number, Class::InFlight);
    }
    // All were missing among others, and lone reads are due.
    lab.pass(secs(2));
    lab.now += secs(10);
    lab.follow(0, Interest::Nothing);
    lab.look(0, Class::Edit);
    lab.reads.clear();
    lab.turns = 2;
    lab.reads_due();
    assert!(lab.reads.iter().any(|ids| ids[0] == id(0)), "{:?}", lab.reads);
}

#[test]
fn one_machine_for_whose_sake_reads_are_refused_is_found_and_read_alone_from_then_on() {
    let mut lab = Lab::new();
    lab.in_sync(100);
    lab.poison = Some(id(42));
    let reads = lab.pass(DRIFT + secs(10));
    assert!(reads <= 15, "{reads}");
    assert_eq!((lab.shared, lab.woken.as_slice()), (0, [name(42)].as_slice()));
    lab.follow(42, Interest::Once(DRIFT));
    lab.reads.clear();
    lab.pass(DRIFT + secs(30));
    let with_it: Vec<_> = lab.reads.iter().filter(|ids| ids.contains(&id(42))).collect();
    assert_eq!(with_it, [&vec![id(42)]]);
    assert!(lab.reads.len() <= 3, "{:?}", lab.reads.len());
}

#[test]
fn answers_that_nobody_can_read_are_trouble_of_all_after_a_few() {
    let mut lab = Lab::new();
    lab.in_sync(1_000);
    lab.garbage = Some(ReadError::Malformed { cause: "this is a login page".to_owned() });
    lab.pass(DRIFT + secs(10));
    assert_eq!((lab.shared, lab.reads.len()), (1, 8));
}

#[test]
fn all_are_told_once_of_a_credential_that_is_refused() {
    let mut lab = Lab::new();
    lab.in_sync(200);
    lab.garbage = Some(api_error(401, "AUTHFAILURE_SIGNATURE_FAILURE"));
    lab.pass(DRIFT + secs(1));
    assert_eq!(lab.woken.iter().collect::<HashSet<_>>().len(), 200);
    lab.woken.clear();
    lab.pass(secs(30));
    // Those of the batch that was tried again.
    assert_eq!(lab.woken.len(), 100);
}

#[test]
fn what_was_read_before_a_pass_ended_is_too_old_for_the_next_one() {
    let mut lab = Lab::new();
    lab.in_sync(1);
    lab.now += secs(1);
    lab.follow(0, Interest::Once(secs(5)));
    lab.now += secs(1);
    assert!(!lab.look(0, Class::InFlight));
    lab.pass(secs(1));
    assert!(lab.look(0, Class::InFlight));
}

#[test]
fn what_was_read_in_the_moment_in_which_a_pass_ended_is_too_old_as_well() {
    let mut lab = Lab::new();
    lab.look(0, Class::Edit);
    lab.reads_due();
    assert!(lab.look(0, Class::Edit));
    lab.follow(0, Interest::Once(secs(5)));
    lab.now += secs(1);
    assert!(!lab.look(0, Class::InFlight));
}

#[test]
fn a_failure_is_shown_to_whoever_waited_and_to_nobody_later() {
    let mut lab = Lab::new();
    lab.look(0, Class::Edit);
    lab.garbage = Some(api_error(400, "SOMETHING_ODD"));
    lab.pass(secs(1));
    assert_eq!(lab.woken, [name(0)]);
    assert!(lab.look(0, Class::Edit));
    lab.now += secs(20);
    assert!(!lab.look(0, Class::Edit));
}

#[test]
fn nothing_is_left_of_an_object_that_is_gone() {
    let mut lab = Lab::new();
    lab.in_sync(2);
    lab.missing.insert(id(1));
    lab.pass(DRIFT + secs(1));
    (0..2).for_each(|number| lab.inventory.leave(&name(number)));
    assert_eq!(lab.reads_due(), None);
    assert!(lab.inventory.is_empty());
}
