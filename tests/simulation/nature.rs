//! What one run is like: how many machines and objects, and how often which trouble happens. Every
//! run draws its own.
//!
//! The limits are the assumptions of the protocol: an effect shows within the settle margin in every
//! read, `Date` is ahead of the verifier by no more than the margin, and clocks that are wrong and a
//! `Date` that is ahead do not add up to more than the skew limit. Where both are ahead, the margin is
//! shorter by the smaller of the two: a signature counts for so much longer, and nothing shows it.

use harness::rng::Rng;

pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// Reads lag up to this, and a registration up to the other: together the margin of 300 s.
pub const READ_LAG: i64 = 200 * SECOND;
pub const REGISTRATION: i64 = 100 * SECOND;
/// What the provider's verifier tolerates.
pub const SIGNATURE_LIFE: i64 = 300 * SECOND;
/// The largest distance of clocks at which the operator signs, in seconds.
const SKEW: i64 = 240;

/// A little less, so that a read that takes its time does not make it more.
const NEAR: i64 = SKEW - 10;

/// How far a clock and `Date` are ahead at once, at most: all that a registration takes.
const BOTH_AHEAD: i64 = REGISTRATION / SECOND;

/// The clock in the provider's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Date {
    Exact,
    Absent,
    /// Each answer is ahead by up to so many seconds.
    Ahead(i64),
    Behind(i64),
}

/// Odds are by the thousand, times in milliseconds.
#[derive(Clone, Debug)]
pub struct Nature {
    pub steps: u64,
    // What there is.
    pub machines: usize,
    pub objects: usize,
    pub same_machine: bool,
    pub prepaid: bool,
    pub bearer: bool,
    pub stop_first: bool,
    /// Over all objects, in a namespace, for an object.
    pub order_limits: [u32; 3],
    pub calls_per_second: u32,
    /// A type that the provider refuses for these machines, or does not offer.
    pub unsupported: Option<usize>,
    pub not_offered: Option<usize>,
    // The provider.
    pub date: Date,
    pub lag: u64,
    pub monotonic_reads: bool,
    pub empty_list: u64,
    pub read_fails: u64,
    pub read_refused: u64,
    pub price_fails: u64,
    pub busy: u64,
    pub throttled: u64,
    pub refused: u64,
    pub trouble: u64,
    /// Accepted, and nothing happens; or it begins and ends without the change.
    pub silent: u64,
    pub fails: u64,
    pub processing: i64,
    pub registration: i64,
    pub stop_takes: i64,
    pub boot_takes: i64,
    pub deaf: u64,
    pub reboots: bool,
    pub shows_enable: bool,
    pub cycle: i64,
    pub renews_without_flip: bool,
    // The network.
    pub slow: u64,
    pub lost_request: u64,
    pub lost_answer: u64,
    pub late: u64,
    pub not_sent: u64,
    pub queue: u64,
    pub kube_refuses: u64,
    pub kube_lost_request: u64,
    pub kube_lost_answer: u64,
    pub kube_late: u64,
    pub watch_lag: u64,
    // The processes.
    pub crash: u64,
    pub freeze: u64,
    /// For how many seconds at most, one of these.
    pub freezes: &'static [i64],
    pub monotonic_sleeps: bool,
    pub both_lead: bool,
    pub sluggish: i64,
    pub skew: [i64; 2],
    // The people. Pauses between what they do.
    pub people: i64,
    pub console: i64,
    pub troubles: i64,
    pub releases: u64,
    pub power_user: bool,
    /// People change nothing but the declared type, back and forth.
    pub fickle: bool,
    /// Whatever may take a while takes as long as the assumptions allow, to the second.
    pub edges: bool,
    /// Somebody deletes the record of a slot now and then.
    pub loses_slots: bool,
}

impl Nature {
    /// What a run is like. Half of them have trouble of few kinds, which then goes deeper: a world in
    /// which everything fails gets nowhere.
    pub fn draw(rng: &mut Rng, most_steps: u64) -> Self {
        let mut nature = Self::draw_all(rng, most_steps);
        // Drawn apart, so that all other runs are what they were.
        let mut apart = rng.clone().fork();
        if let Some(special) = special(&mut apart) {
            return special(nature, &mut apart, most_steps).within_the_margin();
        }
        if rng.chance(500) {
            let kept = 1 + rng.below(3);
            let mut kinds: Vec<usize> = (0..TROUBLES.len()).collect();
            for _ in 0..kept {
                let index = rng.below(kinds.len() as u64);
                kinds.remove(usize::try_from(index).unwrap_or_default());
            }
            for kind in kinds {
                (TROUBLES[kind].1)(&mut nature);
            }
        }
        nature.within_the_margin()
    }

    /// What a clock and `Date` that are ahead at once leave of the margin is enough for every effect.
    fn within_the_margin(mut self) -> Self {
        if let Date::Ahead(by) = self.date {
            let clock = self.skew.iter().max().map_or(0, |most| (*most).max(0));
            let both = clock.min(by * SECOND);
            self.registration = self.registration.min(REGISTRATION - both);
        }
        self
    }

    /// Every delay is as long as the assumptions allow: calls land as their signature ends, effects
    /// show as the margin ends, clocks are as far off as a call is signed at.
    fn at_the_edges(self, rng: &mut Rng, most_steps: u64) -> Self {
        let quiet = self.calm();
        let (date, off) = rng.of(&[
            (Date::Exact, NEAR),
            (Date::Exact, NEAR),
            (Date::Absent, NEAR),
            (Date::Behind(NEAR), 0),
            (Date::Ahead(BOTH_AHEAD), BOTH_AHEAD),
            (Date::Ahead(NEAR), 0),
        ]);
        let mut skew = || rng.of(&[-off, 0, off]) * SECOND;
        let skew = [skew(), skew()];
        Self {
            date,
            skew,
            edges: true,
            // Long enough for a wait to come to its end.
            steps: most_steps,
            both_lead: rng.chance(200),
            prepaid: rng.chance(200),
            bearer: false,
            lag: rng.of(&[0, 700, 1000]),
            order_limits: [100; 3],
            registration: rng.of(&[0, REGISTRATION, REGISTRATION]),
            processing: rng.of(&[0, 20]) * SECOND,
            late: rng.of(&[400, 900]),
            lost_answer: rng.odds(),
            crash: rng.of(&[0, 0, 6]),
            people: rng.of(&[400, 1500]) * SECOND,
            console: self.console,
            silent: 0,
            fails: 0,
            ..quiet
        }
    }

    /// Processes freeze for long in the middle of a pass, while people change the machine.
    fn stale(self, rng: &mut Rng, most_steps: u64) -> Self {
        Self {
            steps: most_steps,
            both_lead: false,
            freeze: rng.of(&[100, 300]),
            freezes: &[1500],
            console: rng.of(&[200, 600]) * SECOND,
            people: rng.of(&[400, 1500]) * SECOND,
            power_user: false,
            stop_first: rng.chance(200),
            ..self.calm()
        }
    }

    /// People switch machines off and on that are stopped for a change, and calls are refused.
    fn switched(self, rng: &mut Rng, _: u64) -> Self {
        Self {
            stop_first: true,
            power_user: true,
            console: rng.of(&[30, 60, 200]) * SECOND,
            people: rng.of(&[90, 400]) * SECOND,
            busy: rng.of(&[0, 500]),
            throttled: rng.of(&[0, 200]),
            not_sent: rng.of(&[0, 300]),
            lag: rng.of(&[0, 300, 700]),
            crash: self.crash,
            ..self.calm()
        }
    }

    /// Somebody deletes the record of a slot, by which no law is promised but that nothing is ordered
    /// twice, and nothing forgotten.
    fn without_slots(self, rng: &mut Rng, _: u64) -> Self {
        Self {
            loses_slots: true,
            objects: self.machines,
            stop_first: false,
            fickle: true,
            people: rng.of(&[20, 90]) * SECOND,
            silent: 0,
            fails: 0,
            lost_answer: rng.of(&[0, 300]),
            late: rng.odds(),
            lag: self.lag,
            crash: self.crash,
            ..self.calm()
        }
    }

    fn draw_all(rng: &mut Rng, most_steps: u64) -> Self {
        let bearer = rng.chance(80);
        let date = match rng.below(10) {
            0..6 => Date::Exact,
            6 => Date::Absent,
            7 | 8 => Date::Ahead(rng.range(1, 300)),
            _ => Date::Behind(rng.range(1, SKEW)),
        };
        let machines = rng.of(&[1, 1, 1, 2]);
        let objects = rng.of(&[1, 1, 2]).max(machines);
        Self {
            steps: most_steps / 4 + rng.below(most_steps * 3 / 4 + 1),
            machines,
            objects,
            same_machine: machines == 1,
            prepaid: rng.chance(500),
            bearer,
            stop_first: rng.chance(500),
            order_limits: [
                rng.of(&[100, 100, 100, 100, 3, 1]),
                rng.of(&[100, 100, 100, 100, 3, 1]),
                rng.of(&[100, 100, 100, 100, 4, 4, 4, 1]),
            ],
            calls_per_second: rng.of(&[50, 10, 10, 1]),
            unsupported: rng.chance(60).then(|| rng.of(&[0, 1, 2])),
            not_offered: rng.chance(60).then(|| rng.of(&[0, 1, 2])),
            date,
            lag: rng.odds(),
            monotonic_reads: rng.chance(500),
            empty_list: rng.of(&[0, 0, 0, 0, 20]),
            read_fails: rng.odds() / 4,
            read_refused: rng.of(&[0, 0, 0, 0, 10, 60]),
            price_fails: rng.odds() / 4,
            busy: rng.odds() / 4,
            throttled: rng.odds() / 4,
            refused: rng.of(&[0, 0, 0, 0, 60, 200]),
            trouble: rng.odds() / 3,
            silent: rng.of(&[0, 0, 0, 0, 200]),
            fails: rng.of(&[0, 0, 0, 0, 200]),
            processing: rng.of(&[0, 20, 90, 400, 2400]) * SECOND,
            registration: rng.of(&[0, 0, 5 * SECOND, REGISTRATION]),
            stop_takes: rng.of(&[0, 10, 40, 200, 500]) * SECOND,
            boot_takes: rng.of(&[0, 10, 40, 200, 700]) * SECOND,
            deaf: rng.of(&[0, 0, 0, 200, 600]),
            reboots: rng.chance(200),
            shows_enable: rng.chance(200),
            cycle: if rng.chance(300) { rng.range(600, 14_400) * SECOND } else { 25 * DAY },
            renews_without_flip: rng.chance(150),
            slow: rng.odds() / 3,
            lost_request: rng.odds(),
            lost_answer: rng.odds(),
            late: rng.odds(),
            not_sent: rng.odds() / 2,
            queue: rng.odds() / 3,
            kube_refuses: rng.odds() / 10,
            kube_lost_request: rng.odds() / 10,
            kube_lost_answer: rng.odds() / 8,
            kube_late: rng.odds() / 8,
            watch_lag: rng.odds(),
            crash: rng.of(&[0, 0, 0, 2, 6, 20]),
            freeze: rng.of(&[0, 0, 0, 4, 15, 60]),
            freezes: &[4, 10, 60, 400, 1500],
            monotonic_sleeps: rng.chance(300),
            both_lead: rng.chance(500),
            sluggish: rng.of(&[1, 1, 4, 15, 50]),
            skew: [Self::skew(rng, date), Self::skew(rng, date)],
            people: rng.of(&[20, 90, 400, 1500, 100_000]) * SECOND,
            console: rng.of(&[60, 400, 2000, 100_000, 100_000, 100_000]) * SECOND,
            troubles: rng.of(&[200, 1000, 100_000, 100_000]) * SECOND,
            releases: rng.of(&[0, 300, 700]),
            power_user: rng.chance(300),
            fickle: rng.chance(300),
            edges: false,
            loses_slots: false,
        }
    }

    /// How far a process's wall clock is off.
    fn skew(rng: &mut Rng, date: Date) -> i64 {
        let widest = match date {
            // Only the provider's own clock shows that ours is off by more.
            Date::Exact if rng.chance(150) => 700,
            Date::Exact | Date::Absent | Date::Behind(_) => SKEW,
            Date::Ahead(by) if by > BOTH_AHEAD => (SKEW - by).clamp(0, BOTH_AHEAD),
            Date::Ahead(by) => SKEW - by,
        };
        if rng.chance(500) { 0 } else { rng.range(-widest, widest) * SECOND }
    }

    /// The same world without any trouble: the network is perfect and nobody does anything.
    pub fn calm(&self) -> Self {
        let mut calm = self.clone();
        for (_, without) in TROUBLES {
            without(&mut calm);
        }
        Self { date: Date::Exact, edges: false, ..calm }
    }
}

/// A world made of one that was drawn, for runs of so many steps.
type Special = fn(Nature, &mut Rng, u64) -> Nature;

/// What chance alone seldom brings together: its name (`SIMULATION_WORLD=name` makes every run one), and
/// how many of a hundred runs are one.
const SPECIAL: &[(&str, u64, Special)] = &[
    ("edges", 6, Nature::at_the_edges),
    ("stale", 4, Nature::stale),
    ("without-slots", 4, Nature::without_slots),
    ("switched", 4, Nature::switched),
];

fn special(rng: &mut Rng) -> Option<Special> {
    if let Ok(name) = std::env::var("SIMULATION_WORLD") {
        let found = SPECIAL.iter().find(|(known, ..)| *known == name);
        return Some(found.unwrap_or_else(|| panic!("no world is called {name}")).2);
    }
    let mut drawn = rng.below(100);
    SPECIAL.iter().find_map(|(_, share, special)| match drawn.checked_sub(*share) {
        None => Some(*special),
        Some(rest) => {
            drawn = rest;
            None
        }
    })
}

/// A kind of trouble, and how a run is freed of it.
type Kind = (&'static str, fn(&mut Nature));

/// Every kind of trouble. A run that breaks a law is made simpler by leaving out whatever it does not
/// need.
pub const TROUBLES: &[Kind] = &[
    ("reads lag", |nature| nature.lag = 0),
    ("reads fail", |nature| {
        (nature.read_fails, nature.price_fails, nature.empty_list) = (0, 0, 0);
    }),
    ("reads are refused", |nature| nature.read_refused = 0),
    ("calls are refused for a while", |nature| {
        (nature.busy, nature.throttled, nature.trouble) = (0, 0, 0);
    }),
    ("calls are refused", |nature| nature.refused = 0),
    ("orders do nothing", |nature| (nature.silent, nature.fails) = (0, 0)),
    ("guests ignore a stop", |nature| nature.deaf = 0),
    ("calls are lost", |nature| {
        (nature.lost_request, nature.lost_answer, nature.not_sent) = (0, 0, 0);
    }),
    ("calls are late", |nature| nature.late = 0),
    ("everything is slow", |nature| (nature.slow, nature.queue) = (0, 0)),
    ("Kubernetes loses requests", |nature| {
        (nature.kube_refuses, nature.kube_lost_request) = (0, 0);
        (nature.kube_lost_answer, nature.kube_late) = (0, 0);
    }),
    ("the watch lags", |nature| nature.watch_lag = 0),
    ("processes crash", |nature| nature.crash = 0),
    ("processes freeze", |nature| nature.freeze = 0),
    ("processes are sluggish", |nature| nature.sluggish = 1),
    ("clocks are off", |nature| nature.skew = [0, 0]),
    ("trouble lasts", |nature| nature.troubles = NEVER),
    ("people use the console", |nature| nature.console = NEVER),
];

/// A pause that no run reaches the end of.
const NEVER: i64 = 100_000 * SECOND;
