//! What is known of one machine, who follows it, and when it is to be read.

use std::time::Duration;

use zenlayer::{Instance, MOST_IDS, ReadError, Reading};

use super::limiter::Class;
use crate::{controller::waker::Name, lifecycle::backoff::fnv};

/// Looks further away than this are of machines that nobody waits for.
const SOON: Duration = Duration::from_secs(60);
/// Looks that come within so much of their pause are made together.
const PART: u32 = 10;
const SHORTEST: Duration = Duration::from_secs(1);
/// How long a failure is news: whoever asks later has the machine read again.
const NEWS: Duration = Duration::from_secs(5);
/// How long after a read in which it was missing a machine is asked for alone.
const AGAIN: Duration = Duration::from_secs(5);

/// What a read shows of one instance.
pub type InstanceRead = Result<Reading<Option<Instance>>, ReadError>;

/// How an object wants its machine to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// So often, and it is woken when the machine is not as it was.
    AtRest(Duration),
    /// After so long, and it is woken after that read.
    Once(Duration),
    /// When it asks.
    Nothing,
}

/// With whom a machine may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Company {
    #[default]
    Any,
    /// Alone: it was missing among others, and that alone is not believed.
    Missing,
    /// With so many, all of batches that were refused: one of them is the reason.
    Refused(usize),
}

impl Company {
    /// How many may be in one read with it, all of the same company.
    pub fn most(self) -> usize {
        match self {
            Self::Any => MOST_IDS,
            Self::Missing => 1,
            Self::Refused(most) => most,
        }
    }
}

/// When a machine is read, and how soon it is served then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub class: Class,
    pub at: Duration,
}

#[derive(Default)]
pub struct Machine {
    seen: Option<Seen>,
    /// When the last read began that showed it.
    shown: Option<Duration>,
    /// The same of the last one that was answered well.
    read_well: Option<Duration>,
    digest: Option<u64>,
    company: Company,
    /// It is read at this time, whatever its followers wish: what it showed is in doubt.
    doubted: Option<Duration>,
    /// Since when it is being read.
    pub reading: Option<Duration>,
    /// Its place in the order of what is due.
    pub due: Option<Due>,
    followers: Vec<Follower>,
}

struct Seen {
    begun: Duration,
    read: Box<InstanceRead>,
}

struct Follower {
    name: Name,
    wish: Wish,
    /// What was read before is too old for it.
    fresh_from: Duration,
    /// It waits for the next read, for this and since then.
    waits: Option<Due>,
}

/// When a follower is told again.
#[derive(Debug, Clone, Copy)]
enum Wish {
    /// The machine is read so often; it is told when it is not as it was.
    News(Duration),
    /// At this moment, once.
    At(Duration, Class),
    /// Not before it asks.
    Nothing,
}

impl Machine {
    pub fn join(&mut self, name: &Name) {
        // Nearly always the only one.
        self.followers.reserve_exact(1);
        self.followers.push(Follower {
            name: name.clone(),
            wish: Wish::Nothing,
            fresh_from: Duration::ZERO,
            waits: None,
        });
    }

    /// Whether nobody is left.
    pub fn leave(&mut self, name: &Name) -> bool {
        self.followers.retain(|one| one.name != *name);
        self.followers.is_empty()
    }

    /// When the last read began that showed it.
    pub fn read_well_at(&self) -> Option<Duration> {
        self.read_well
    }

    pub fn company(&self) -> Company {
        self.company
    }

    /// What was read last, if that is not older than `oldest` and new enough for this follower. Else it
    /// waits for the next read.
    pub fn look(
        &mut self,
        name: &Name,
        class: Class,
        (oldest, now): (Duration, Duration),
    ) -> Option<InstanceRead> {
        let one = self.followers.iter_mut().find(|one| one.name == *name)?;
        let not_before = one.fresh_from.max(oldest);
        let is_new = |seen: &&Seen| {
            let failed = seen.read.is_err() && seen.begun.saturating_add(NEWS) < now;
            seen.begun >= not_before && !failed
        };
        if let Some(seen) = self.seen.as_ref().filter(is_new) {
            one.waits = None;
            return Some((*seen.read).clone());
        }
        one.fresh_from = not_before;
        let before = one.waits;
        one.waits = Some(Due {
            class: before.map_or(class, |due| due.class.min(class)),
            at: before.map_or(now, |due| due.at),
        });
        None
    }

    /// A pass over this follower has ended: from now on it is told as it wishes. What was read before the
    /// end of a pass that was not at rest is too old for the next one.
    pub fn follow(&mut self, name: &Name, interest: Interest, now: Duration) {
        let Some(one) = self.followers.iter_mut().find(|one| one.name == *name) else { return };
        one.wish = match interest {
            Interest::AtRest(every) => Wish::News(every),
            Interest::Once(pause) => {
                let class = if pause < SOON { Class::InFlight } else { Class::Drift };
                Wish::At(together(now.saturating_add(pause), pause), class)
            }
            Interest::Nothing => Wish::Nothing,
        };
        if !matches!(interest, Interest::AtRest(_)) {
            one.fresh_from = now.saturating_add(Duration::from_nanos(1));
        }
    }

    /// Everybody who follows it waits for the next read. Gives those who did not yet.
    pub fn all_wait(&mut self, now: Duration) -> impl Iterator<Item = Name> {
        self.followers.iter_mut().filter(|one| one.waits.is_none()).map(move |one| {
            one.waits = Some(Due { class: Class::Drift, at: now });
            one.name.clone()
        })
    }

    /// When it is read, and for what; `None`: as things are, it is not, or it is being read just now.
    pub fn next(&self) -> Option<Due> {
        if self.reading.is_some() {
            return None;
        }
        let shown = self.shown.unwrap_or_default();
        let waits = self.followers.iter().filter_map(|one| one.waits);
        let both = |one: Due, other: Due| Due {
            class: one.class.min(other.class),
            at: one.at.min(other.at),
        };
        let wishes = self.followers.iter().filter_map(|one| one.wish.next(shown));
        let next = waits.reduce(both).or_else(|| wishes.min_by_key(|due| (due.at, due.class)));
        let next = match self.doubted {
            Some(at) => Some(Due { class: next.map_or(Class::Drift, |due| due.class), at }),
            None => next,
        };
        // However many of them there are, reads of one machine each hold nobody else up.
        next.map(
            |due| if self.company.most() == 1 { Due { class: Class::Drift, ..due } } else { due },
        )
    }

    /// Whether it may be read before its time, so that a batch is full.
    pub fn may_be_early(&self) -> bool {
        self.followers.iter().all(|one| matches!(one.wish, Wish::News(_)))
    }

    /// Whether somebody waits for it.
    pub fn is_waited_for(&self) -> bool {
        self.followers.iter().any(|one| one.waits.is_some())
    }

    /// A read that began at `begun` shows this; whoever has something to see is put into `woken`.
    pub fn shows(
        &mut self,
        read: InstanceRead,
        (begun, now): (Duration, Duration),
        woken: &mut Vec<Name>,
    ) {
        // An answer that was overtaken by a later one.
        if self.seen.as_ref().is_some_and(|seen| seen.begun > begun) {
            return;
        }
        self.company = match (self.company, &read) {
            (Company::Any | Company::Missing, _) => Company::Any,
            (Company::Refused(_), Ok(reading)) if reading.value.is_some() => Company::Any,
            (company @ Company::Refused(_), _) => company,
        };
        self.doubted = None;
        let digest = digest(&read);
        let changed = self.digest.replace(digest) != Some(digest);
        if read.is_ok() {
            self.read_well = Some(begun);
        }
        self.seen = Some(Seen { begun, read: Box::new(read) });
        self.shown = Some(begun);
        self.wake(changed, (begun, now), woken);
    }

    /// It was missing among others. One that is known to be missing still is; else it is asked for alone, a
    /// little later. Gives whether that is believed.
    pub fn is_missing(&mut self, now: Duration) -> bool {
        let known = |seen: &Seen| matches!(&*seen.read, Ok(reading) if reading.value.is_none());
        if self.seen.as_ref().is_some_and(known) {
            return true;
        }
        self.company = Company::Missing;
        self.doubted = Some(now.saturating_add(AGAIN));
        false
    }

    /// A read of so many was refused, and does not say for whose sake.
    pub fn was_refused_among(&mut self, count: usize, now: Duration) {
        self.company = Company::Refused(count.div_ceil(2).min(self.company.most()));
        self.doubted = Some(now);
    }

    /// A read failed for a reason that has nothing to do with the machine: whoever waited for it is told.
    pub fn failed(&mut self, (begun, now): (Duration, Duration), woken: &mut Vec<Name>) {
        self.wake(false, (begun, now), woken);
    }

    /// Whether no read has shown it since then.
    pub fn is_unseen_since(&self, oldest: Duration) -> bool {
        self.shown.is_none_or(|shown| shown < oldest)
    }

    fn wake(&mut self, changed: bool, (begun, now): (Duration, Duration), woken: &mut Vec<Name>) {
        for one in &mut self.followers {
            let waited = one.waits.is_some() && one.fresh_from <= begun;
            if waited {
                one.waits = None;
            }
            let due = matches!(one.wish, Wish::At(moment, _) if moment <= now);
            if due {
                one.wish = Wish::Nothing;
            }
            if changed || waited || due {
                woken.push(one.name.clone());
            }
        }
    }
}

impl Wish {
    /// When the next read is due of a machine that was last shown then.
    fn next(self, shown: Duration) -> Option<Due> {
        match self {
            Self::News(every) => Some(Due { class: Class::Drift, at: shown.saturating_add(every) }),
            Self::At(at, class) => Some(Due { class, at }),
            Self::Nothing => None,
        }
    }
}

/// A moment that many looks share: the next whole part of this pause.
fn together(at: Duration, pause: Duration) -> Duration {
    let step = (pause / PART).max(SHORTEST).as_millis();
    let moment = at.as_millis().div_ceil(step).saturating_mul(step);
    u64::try_from(moment).map_or(Duration::MAX, Duration::from_millis)
}

fn digest(read: &InstanceRead) -> u64 {
    match read {
        Ok(reading) => fnv(&format!("{:?}", reading.value)),
        Err(error) => fnv(&error.to_string()),
    }
}
