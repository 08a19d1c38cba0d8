//! Who leads: one process at a time holds a lease. Pure: time is handed in, and what to do next is handed
//! out; `election` does it. The lease keeps two processes from doing the same work; that nothing is ordered
//! twice rests on the slots alone.

use std::time::Duration;

use jiff::Timestamp;

use crate::lifecycle::LeaseTimes;

/// Longest pause between two looks at a lease that another process holds: one that is released is taken
/// within seconds, however seldom it is renewed.
const LOOK: Duration = Duration::from_secs(2);

/// What a lease says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Nobody: it was released.
    pub holder: Option<String>,
    /// How long the holder wants it to last without a change.
    pub duration: Option<Duration>,
    pub acquired: Option<Timestamp>,
    pub renewed: Option<Timestamp>,
    /// How often the holder has changed.
    pub transitions: i32,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Read,
    /// Creates it, or replaces this version of it.
    Write(Option<String>, Record),
    Pause(Duration),
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is at this version now.
    Done(Option<String>),
    /// Somebody else wrote first: nothing was written.
    Conflict,
    /// It failed, or nobody knows.
    Unknown,
}

/// Leading without a gap, by the monotonic clock of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    pub number: u64,
    /// It is over then, unless the lease is renewed before.
    pub until: Duration,
}

/// One process that wants to lead.
pub struct Elector {
    identity: String,
    times: LeaseTimes,
    /// The lease as it was last read or written, and since when it has been like this for us. The time
    /// that a holder writes is by its own clock, and says nothing.
    seen: Option<Seen>,
    /// It has to be read before it is written.
    outdated: bool,
    due: Duration,
    term: Option<Term>,
    terms: u64,
}

struct Seen {
    /// `None`: there is none.
    version: Option<String>,
    record: Record,
    since: Duration,
}

impl Elector {
    pub fn new(identity: String, times: LeaseTimes) -> Self {
        let due = Duration::ZERO;
        Self { identity, times, seen: None, outdated: true, due, term: None, terms: 0 }
    }

    /// The term at this time. One that was not renewed in time is over.
    pub fn term(&mut self, now: Duration) -> Option<Term> {
        self.term = self.term.filter(|term| now < term.until);
        self.term
    }

    pub fn next(&mut self, now: Duration, wall: Timestamp) -> Step {
        let term = self.term(now);
        if now < self.due {
            let end = term.map_or(self.due, |term| term.until.min(self.due));
            return Step::Pause(end.saturating_sub(now));
        }
        let Some(seen) = self.seen.as_ref().filter(|_| !self.outdated) else { return Step::Read };
        let ends = seen.since.saturating_add(seen.record.duration.unwrap_or(self.times.lease));
        if self.is_free(&seen.record) || now >= ends {
            return Step::Write(seen.version.clone(), self.taken(&seen.record, wall));
        }
        // Not before it may be over, and not without a look now and then.
        self.outdated = true;
        self.due = now.saturating_add(self.times.retry.min(LOOK)).min(ends);
        Step::Pause(self.due.saturating_sub(now))
    }

    /// A read was answered: the lease with its version, or that there is none.
    pub fn read(&mut self, found: Option<(String, Record)>, now: Duration) {
        let (version, record) =
            found.map_or((None, Record::default()), |(version, record)| (Some(version), record));
        if !self.is_free(&record) {
            self.term = None;
        }
        self.outdated = false;
        self.see(version, record, now);
    }

    /// A read, or a write of which nobody knows, that began at `begun`.
    pub fn failed(&mut self, begun: Duration) {
        self.outdated = true;
        self.due = begun.saturating_add(self.times.retry);
    }

    /// A write that began at `begun` has ended. The lease lasts from its beginning.
    pub fn wrote(&mut self, record: Record, written: Written, begun: Duration, now: Duration) {
        match written {
            Written::Done(version) => {
                let until = begun.saturating_add(self.times.renew);
                let number = self.term(now).map(|term| term.number);
                self.terms += u64::from(number.is_none());
                self.term = Some(Term { number: self.terms, until }).filter(|_| now < until);
                self.outdated = false;
                self.see(version, record, now);
                self.due = begun.saturating_add(self.times.retry);
            }
            Written::Conflict => {
                self.outdated = true;
                // Whoever leads has to know at once who wrote.
                let pause = if self.term.is_some() { Duration::ZERO } else { self.times.retry };
                self.due = begun.saturating_add(pause);
            }
            Written::Unknown => self.failed(begun),
        }
    }

    /// Ends the term. What to write so that the next one need not wait.
    pub fn release(&mut self) -> Option<(Option<String>, Record)> {
        self.term = None;
        let seen = self.seen.as_ref().filter(|_| !self.outdated)?;
        let ours = seen.record.holder.as_deref() == Some(self.identity.as_str());
        let duration = Some(Duration::from_secs(1));
        ours.then(|| {
            (seen.version.clone(), Record { holder: None, duration, ..seen.record.clone() })
        })
    }

    fn see(&mut self, version: Option<String>, record: Record, now: Duration) {
        let known = self.seen.as_ref().filter(|seen| seen.version == version);
        let since = known.map_or(now, |seen| seen.since);
        self.seen = Some(Seen { version, record, since });
    }

    fn is_free(&self, record: &Record) -> bool {
        record.holder.as_ref().is_none_or(|holder| *holder == self.identity)
    }

    fn taken(&self, before: &Record, wall: Timestamp) -> Record {
        let goes_on = before.holder.as_deref() == Some(self.identity.as_str());
        // One that nobody has held yet was just made.
        let changes = !goes_on && (before.holder.is_some() || before.acquired.is_some());
        Record {
            holder: Some(self.identity.clone()),
            duration: Some(self.times.lease),
            acquired: before.acquired.filter(|_| goes_on).or(Some(wall)),
            renewed: Some(wall),
            transitions: before.transitions.saturating_add(i32::from(changes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use harness::rng::Rng;

    use super::*;

    const USUAL: LeaseTimes = LeaseTimes { lease: secs(35), renew: secs(30), retry: secs(5) };

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The API server, as far as one lease goes.
    #[derive(Default)]
    struct Server {
        version: u64,
        lease: Option<Record>,
    }

    impl Server {
        fn read(&self) -> Option<(String, Record)> {
            self.lease.clone().map(|record| (self.version.to_string(), record))
        }

        fn write(&mut self, version: Option<String>, record: &Record) -> Written {
            if version != self.read().map(|(version, _)| version) {
                return Written::Conflict;
            }
            self.version += 1;
            self.lease = Some(record.clone());
            Written::Done(Some(self.version.to_string()))
        }
    }

    /// What the way to the server does to a call.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Way {
        Open,
        Cut,
        /// The answer is lost.
        Deaf,
    }

    fn wall(now: Duration) -> Timestamp {
        Timestamp::UNIX_EPOCH.checked_add(now).unwrap()
    }

    fn candidate(name: &str) -> Elector {
        Elector::new(name.to_owned(), USUAL)
    }

    /// Takes steps until it pauses, each of which takes no time; gives the time of the next one.
    fn steps(one: &mut Elector, server: &mut Server, now: Duration, way: Way) -> Duration {
        loop {
            match (one.next(now, wall(now)), way) {
                (Step::Pause(pause), _) => return now + pause,
                (Step::Read, Way::Open) => one.read(server.read(), now),
                (Step::Read, Way::Cut | Way::Deaf) | (Step::Write(..), Way::Cut) => one.failed(now),
                (Step::Write(version, record), Way::Open | Way::Deaf) => {
                    let written = server.write(version, &record);
                    let told = if way == Way::Deaf { Written::Unknown } else { written };
                    one.wrote(record, told, now, now);
                }
            }
        }
    }

    #[test]
    fn a_lease_that_is_absent_or_released_is_taken_at_once_and_one_that_is_held_is_not() {
        let mut server = Server::default();
        let (mut a, mut b) = (candidate("a"), candidate("b"));
        steps(&mut a, &mut server, secs(0), Way::Open);
        assert_eq!(a.term(secs(0)), Some(Term { number: 1, until: secs(30) }));
        assert_eq!(server.lease.as_ref().unwrap().transitions, 0);
        let next = steps(&mut b, &mut server, secs(1), Way::Open);
        assert_eq!((b.term(secs(1)), next), (None, secs(3)));
        // It is renewed by whoever holds it, without a read, and it stays acquired when it was.
        a.failed(secs(0));
        let Step::Read = a.next(secs(5), wall(secs(5))) else { panic!("a write may have landed") };
        a.read(server.read(), secs(5));
        let Step::Write(version, record) = a.next(secs(5), wall(secs(5))) else {
            panic!("it is a's")
        };
        // As election does: what is not known yet counts as unknown.
        a.failed(secs(5));
        let written = server.write(version, &record);
        a.wrote(record, written, secs(5), secs(5));
        assert!(matches!(a.next(secs(10), wall(secs(10))), Step::Write(..)));
        let lease = server.lease.clone().unwrap();
        assert_eq!((lease.acquired, lease.renewed), (Some(wall(secs(0))), Some(wall(secs(5)))));
        let (version, released) = a.release().unwrap();
        assert!(matches!(server.write(version, &released), Written::Done(_)));
        assert_eq!((a.term(secs(6)), released.holder), (None, None));
        steps(&mut b, &mut server, secs(6), Way::Open);
        assert_eq!(b.term(secs(6)), Some(Term { number: 1, until: secs(36) }));
        let lease = server.lease.clone().unwrap();
        assert_eq!((lease.acquired, lease.transitions), (Some(wall(secs(6))), 1));
        // It is not a's any more.
        let (version, again) = a.release().unwrap();
        assert_eq!(server.write(version, &again), Written::Conflict);
        a.read(server.read(), secs(7));
        assert_eq!(a.release(), None);
    }

    #[test]
    fn a_lease_runs_out_by_the_clock_of_who_waits_and_not_by_the_time_that_is_written_in_it() {
        let old = Some(wall(secs(0)));
        let holder = Some("gone".to_owned());
        for (name, duration, expected) in [
            ("its holder says", Some(secs(60)), 160),
            ("nobody says", None, 135),
            ("it is short", Some(secs(2)), 102),
        ] {
            let record = Record {
                holder: holder.clone(),
                duration,
                acquired: old,
                renewed: old,
                transitions: 3,
            };
            let mut server = Server { version: 7, lease: Some(record) };
            let mut one = candidate("one");
            let mut now = secs(100);
            while one.term(now).is_none() {
                now = steps(&mut one, &mut server, now, Way::Open).max(now);
            }
            assert!(
                one.term(secs(expected)).is_some_and(|term| term.until == secs(expected + 30)),
                "{name}"
            );
            assert_eq!(server.lease.unwrap().transitions, 4, "{name}");
        }
    }

    #[test]
    fn a_term_ends_by_itself_one_deadline_after_the_beginning_of_the_last_good_write() {
        let mut server = Server::default();
        let mut one = candidate("one");
        steps(&mut one, &mut server, secs(0), Way::Open);
        // The answer to a write that began at 5 takes until 12.
        let Step::Write(version, record) = one.next(secs(5), wall(secs(5))) else {
            panic!("it renews")
        };
        let written = server.write(version, &record);
        one.wrote(record, written, secs(5), secs(12));
        assert_eq!(one.term(secs(12)).unwrap().until, secs(35));
        for at in [15, 20, 25, 30] {
            // What lands without an answer does not make it longer.
            steps(&mut one, &mut server, secs(at), Way::Deaf);
        }
        assert!(one.term(secs(34)).is_some());
        assert_eq!(one.term(secs(35)), None);
        // An answer that comes later than the term would last begins none.
        let Step::Read = one.next(secs(40), wall(secs(40))) else { panic!("it does not know") };
        one.read(server.read(), secs(40));
        let Step::Write(version, record) = one.next(secs(40), wall(secs(40))) else {
            panic!("it is its own")
        };
        let written = server.write(version, &record);
        one.wrote(record, written, secs(40), secs(70));
        assert_eq!(one.term(secs(70)), None);
        steps(&mut one, &mut server, secs(71), Way::Open);
        assert_eq!(one.term(secs(71)).unwrap().until, secs(101));
        assert!(one.term(secs(71)).unwrap().number > 1, "it is another term");
    }

    #[test]
    fn a_holder_that_somebody_else_has_written_ends_the_term_within_one_retry() {
        let mut server = Server::default();
        let mut one = candidate("one");
        steps(&mut one, &mut server, secs(0), Way::Open);
        let holder = Some("other".to_owned());
        let record = Record { holder, ..server.lease.clone().unwrap() };
        server.write(Some("1".to_owned()), &record);
        steps(&mut one, &mut server, secs(5), Way::Open);
        assert_eq!(one.term(secs(5)), None);
    }

    /// Three candidates with clocks of their own, each cut off, or deaf, at any time.
    #[test]
    fn no_two_lead_at_once_whatever_is_cut_off_and_one_leads_soon_after() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let mut server = Server::default();
            let mut all: Vec<(Elector, Duration, Way)> =
                ["a", "b", "c"].map(|name| (candidate(name), Duration::ZERO, Way::Open)).into();
            let (mut terms, mut without) = (0, 0);
            for tick in 0..6000_u64 {
                let now = Duration::from_millis(100 * tick);
                for (one, due, way) in &mut all {
                    if rng.below(400) == 0 {
                        *way = rng.of(&[Way::Open, Way::Cut, Way::Deaf]);
                    }
                    if now >= *due {
                        *due = steps(one, &mut server, now, *way);
                    }
                }
                let leaders = all.iter_mut().filter_map(|(one, ..)| one.term(now)).count();
                assert!(leaders <= 1, "seed {seed}: {leaders} lead at {now:?}");
                terms += leaders;
                let open = all.iter().all(|(.., way)| *way == Way::Open);
                without = if leaders == 0 && open { without + 1 } else { 0 };
                // One lease, and one retry.
                assert!(without <= 400, "seed {seed}: nobody leads at {now:?}");
            }
            assert!(terms > 1000, "seed {seed}: {terms}");
        }
    }
}
