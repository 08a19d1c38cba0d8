//! What one run is like: how many machines and objects, and how often which trouble happens. Every
//! run draws its own.
//!
//! The limits are the assumptions of the protocol: an effect shows within the settle margin in every
//! read, `Date` is ahead of the verifier by no more than the margin, and clocks that are wrong and a
//! `Date` that is ahead do not add up to more than the skew limit.

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
}

impl Nature {
    /// What a run is like. Half of them have trouble of few kinds, which then goes deeper: a world in
    /// which everything fails gets nowhere.
    pub fn draw(rng: &mut Rng, most_steps: u64) -> Self {
        let mut nature = Self::draw_all(rng, most_steps);
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
        nature
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
        }
    }

    /// How far a process's wall clock is off.
    fn skew(rng: &mut Rng, date: Date) -> i64 {
        let widest = match date {
            // Only the provider's own clock shows that ours is off by more.
            Date::Exact if rng.chance(150) => 700,
            Date::Exact | Date::Absent | Date::Behind(_) => SKEW,
            Date::Ahead(by) => (SKEW - by).max(0),
        };
        if rng.chance(500) { 0 } else { rng.range(-widest, widest) * SECOND }
    }

    /// The same world without any trouble: the network is perfect and nobody does anything.
    pub fn calm(&self) -> Self {
        let mut calm = self.clone();
        for (_, without) in TROUBLES {
            without(&mut calm);
        }
        Self { date: Date::Exact, ..calm }
    }
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
