//! The provider in memory: machines with a type, a plan and a power state, each change of which
//! happens at its moment, and what reads show of them later. It knows nothing of the operator.

use std::collections::VecDeque;

use harness::rng::Rng;

use crate::nature::{DAY, MINUTE, Nature, READ_LAG, SECOND};

/// A type: name, cores, GiB, list price.
pub const TYPES: [(&str, i64, i64, i64); 4] =
    [("c.1c2g", 1, 2, 10), ("c.2c4g", 2, 4, 20), ("c.4c8g", 4, 8, 40), ("m.2c8g", 2, 8, 20)];
/// How many of them a spec asks for; the last one has the price of another.
pub const USUAL: usize = 3;
pub const MACHINES: [&str; 2] = ["vm-1", "vm-2"];

pub fn type_index(name: &str) -> Option<usize> {
    TYPES.iter().position(|(known, ..)| *known == name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    Running,
    Stopping,
    Stopped,
    Booting,
    Reboot,
}

impl Power {
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
            Self::Booting => "BOOTING",
            Self::Reboot => "REBOOT",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub to: usize,
    pub scheduled: bool,
    due: i64,
    fails: bool,
}

/// A machine at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub type_: usize,
    pub plan: Option<Plan>,
    pub power: Power,
    /// When the power state is left by itself, and for which.
    leaves: Option<(i64, Power)>,
    pub expires: i64,
}

/// Who decided last over the power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffBy {
    Nobody,
    Operator,
    Person,
}

/// What an accepted call does, once it is registered.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Plan { to: usize, fails: bool },
    NoPlan,
    Stop { deaf: bool, by: OffBy },
    Start,
}

#[derive(Clone, Copy)]
struct Pending {
    at: i64,
    effect: Effect,
}

/// A mutating call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Modify(usize),
    Cancel,
    Stop,
    Start,
}

/// What becomes of a call that arrived.
pub enum Ruling {
    Refused {
        status: u16,
        code: &'static str,
    },
    /// `shows_at`: when its effect is registered; `None`: never.
    Accepted {
        shows_at: Option<i64>,
    },
}

/// How this provider carries things out.
#[derive(Clone, Copy)]
pub struct Manner {
    processing: i64,
    stop_takes: i64,
    boot_takes: i64,
    reboots: bool,
    renews_without_flip: bool,
    unsupported: Option<usize>,
}

#[derive(Clone)]
pub struct Machine {
    pub prepaid: bool,
    pub view: View,
    past: VecDeque<(i64, View)>,
    pending: Vec<Pending>,
    pub off_by: OffBy,
    manner: Manner,
    /// The moment that the last read of each endpoint showed.
    shown: [i64; 2],
    /// The moment at which a replica of each endpoint is stuck, and until when.
    replica: [Option<(i64, i64)>; 2],
    /// When a person last changed the type or a plan, in the console.
    pub touched_at: Option<i64>,
    /// Whether a person ever powered it on or off.
    pub was_powered: bool,
    /// When a person last switched it off while it ran, if it has not run since.
    pub switched_off_at: Option<i64>,
    changes: usize,
}

impl Machine {
    pub fn new(nature: &Nature, rng: &mut Rng) -> Self {
        let manner = Manner {
            processing: nature.processing,
            stop_takes: nature.stop_takes,
            boot_takes: nature.boot_takes,
            reboots: nature.reboots,
            renews_without_flip: nature.renews_without_flip,
            unsupported: nature.unsupported,
        };
        let off = rng.chance(150);
        let view = View {
            type_: rng.of(&[0, 1, 2]),
            plan: None,
            power: if off { Power::Stopped } else { Power::Running },
            leaves: None,
            expires: nature.cycle,
        };
        Self {
            prepaid: nature.prepaid,
            view,
            past: VecDeque::from([(i64::MIN, view)]),
            pending: Vec::new(),
            off_by: if off { OffBy::Person } else { OffBy::Nobody },
            manner,
            shown: [i64::MIN; 2],
            replica: [None; 2],
            touched_at: None,
            was_powered: false,
            switched_off_at: None,
            changes: 0,
        }
    }

    /// Whether an accepted call waits to be registered: then a person keeps away from the machine, or
    /// would hide from every read what the call did.
    pub fn is_registering(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether nothing goes on by itself, but for what waits for its cycle.
    pub fn is_still(&self) -> bool {
        let View { plan, leaves, .. } = self.view;
        self.pending.is_empty() && leaves.is_none() && plan.is_none_or(|plan| plan.scheduled)
    }

    /// Grows with whatever becomes of the machine.
    pub fn changes(&self) -> usize {
        self.changes
    }

    fn becomes(&mut self, at: i64, view: View) {
        if self.view != view {
            self.view = view;
            self.past.push_back((at, view));
            self.changes += 1;
        }
    }

    /// Time passes; what is due in it happens in its order.
    pub fn advance(&mut self, now: i64) {
        loop {
            let View { plan, leaves, expires, .. } = self.view;
            let pending = self.pending.iter().map(|one| one.at).min();
            let plan = plan.map(|plan| plan.due);
            let leaves = leaves.map(|(at, _)| at);
            let renewal = self.prepaid.then_some(expires);
            let next = [plan, pending, leaves, renewal].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= now) else { break };
            if renewal == Some(next) {
                self.renew(next);
            } else if pending == Some(next) {
                let index = self.pending.iter().position(|one| one.at == next).unwrap();
                let Pending { effect, .. } = self.pending.remove(index);
                self.register(next, effect);
            } else if plan == Some(next) {
                self.carry_on(next);
            } else {
                self.leave(next);
            }
        }
        while self.past.len() > 1 && self.past[1].0 < now - READ_LAG {
            self.past.pop_front();
        }
    }

    fn renew(&mut self, at: i64) {
        let expires = self.view.expires + 30 * DAY;
        let plan = self.view.plan.map(|plan| match plan.scheduled {
            true if self.manner.renews_without_flip => Plan { due: expires, ..plan },
            true => Plan { due: at + MINUTE, ..plan },
            false => plan,
        });
        self.becomes(at, View { expires, plan, ..self.view });
    }

    fn register(&mut self, at: i64, effect: Effect) {
        match effect {
            Effect::Plan { to, fails } => self.plan(at, to, fails),
            Effect::NoPlan => {
                let plan = self.view.plan.filter(|plan| !plan.scheduled);
                self.becomes(at, View { plan, ..self.view });
            }
            Effect::Stop { deaf, by } if self.view.power == Power::Running => {
                self.off_by = by;
                let next = if deaf { Power::Running } else { Power::Stopped };
                self.enter(at, Power::Stopping, Some((at + self.manner.stop_takes, next)));
            }
            Effect::Start if self.view.power == Power::Stopped => {
                self.off_by = OffBy::Nobody;
                let leaves = (at + self.manner.boot_takes, Power::Running);
                self.enter(at, Power::Booting, Some(leaves));
            }
            Effect::Stop { .. } | Effect::Start => {}
        }
    }

    fn enter(&mut self, at: i64, power: Power, leaves: Option<(i64, Power)>) {
        self.becomes(at, View { power, leaves, ..self.view });
    }

    fn leave(&mut self, at: i64) {
        let Some((_, next)) = self.view.leaves else { return };
        self.enter(at, next, None);
        if next == Power::Running {
            self.off_by = OffBy::Nobody;
            self.switched_off_at = None;
        }
    }

    /// Direction by list price: what is cheaper waits for the next cycle.
    fn plan(&mut self, at: i64, to: usize, fails: bool) {
        let scheduled = self.prepaid && TYPES[to].3 < TYPES[self.view.type_].3;
        let due = if scheduled { self.view.expires + MINUTE } else { at + self.manner.processing };
        let plan = Some(Plan { to, scheduled, due, fails });
        self.becomes(at, View { plan, ..self.view });
        if !scheduled {
            self.reboot(at);
        }
    }

    /// Some providers restart a running guest for the change.
    fn reboot(&mut self, at: i64) {
        if self.manner.reboots && self.view.power == Power::Running {
            let back = (at + self.manner.processing, Power::Running);
            self.enter(at, Power::Reboot, Some(back));
        }
    }

    fn carry_on(&mut self, at: i64) {
        let Some(plan) = self.view.plan else { return };
        if plan.scheduled {
            let due = at + self.manner.processing;
            let plan = Some(Plan { scheduled: false, due, ..plan });
            self.becomes(at, View { plan, ..self.view });
            self.reboot(at);
        } else {
            let type_ = if plan.fails { self.view.type_ } else { plan.to };
            self.becomes(at, View { type_, plan: None, ..self.view });
        }
    }

    // ---- Calls ----

    /// What the provider says to a call of the operator, whose signature and key are in order. Whose
    /// deed a stop is, is for the ledger.
    pub fn rule(
        &mut self,
        order: Order,
        by: OffBy,
        now: i64,
        nature: &Nature,
        rng: &mut Rng,
    ) -> Ruling {
        if let Some((status, code)) = self.objection(order) {
            return Ruling::Refused { status, code };
        }
        let shortest = if nature.edges && rng.chance(700) { nature.registration } else { 0 };
        let at = now + rng.range(shortest, nature.registration);
        let silent = rng.chance(nature.silent);
        let effect = match order {
            Order::Modify(to) => Effect::Plan { to, fails: rng.chance(nature.fails) },
            Order::Cancel => Effect::NoPlan,
            Order::Stop => Effect::Stop { deaf: rng.chance(nature.deaf), by },
            Order::Start => Effect::Start,
        };
        if silent {
            return Ruling::Accepted { shows_at: None };
        }
        self.pending.push(Pending { at, effect });
        self.advance(now);
        let vanishes = matches!(effect, Effect::Plan { fails: true, .. });
        Ruling::Accepted { shows_at: (!vanishes).then_some(at) }
    }

    fn objection(&self, order: Order) -> Option<(u16, &'static str)> {
        let View { type_, plan, power, .. } = self.view;
        match order {
            Order::Modify(to) => match plan {
                _ if !matches!(power, Power::Running | Power::Stopped) => {
                    Some((400, "UNSUPPORTED_OPERATION_INSTANCE_STATUS"))
                }
                _ if type_ == to => Some((400, "INVALID_INSTANCE_TYPE_NOT_CHANGED")),
                _ if self.manner.unsupported == Some(to) => {
                    Some((400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"))
                }
                Some(Plan { scheduled: false, .. }) => {
                    Some((403, "OPERATION_DENIED_INSTANCE_PLAN_PROCESSING"))
                }
                Some(_) => Some((403, "OPERATION_DENIED_INSTANCE_EXIST_PLAN")),
                None => None,
            },
            Order::Cancel => {
                let scheduled = plan.is_some_and(|plan| plan.scheduled);
                (!scheduled).then_some((403, "OPERATION_DENIED_DOWNGRADE_NOT_EXIST"))
            }
            Order::Stop => {
                (power != Power::Running).then_some((403, "OPERATION_DENIED_INSTANCE_NOT_RUNNING"))
            }
            Order::Start => {
                (power != Power::Stopped).then_some((403, "OPERATION_DENIED_INSTANCE_NOT_STOPPED"))
            }
        }
    }

    // ---- Reads ----

    /// What a read of one endpoint shows: the machine as it was a while ago, up to the limit. A read
    /// lags by itself, or it meets a replica that is stuck for a while; both endpoints may.
    pub fn shown(&mut self, endpoint: usize, now: i64, nature: &Nature, rng: &mut Rng) -> View {
        let stuck = self.replica[endpoint].filter(|(_, until)| now < *until);
        let mut moment = match stuck {
            Some((moment, _)) => moment,
            None if rng.chance(nature.lag / 4) => {
                let shortest = if nature.edges { READ_LAG } else { 5 * SECOND };
                let replica = Some((now, now + rng.range(shortest, READ_LAG)));
                self.replica[endpoint] = replica;
                if rng.chance(600) {
                    self.replica[1 - endpoint] = replica;
                }
                now
            }
            None if rng.chance(nature.lag / 2) => {
                let longest = rng.of(&[3 * SECOND, 20 * SECOND, READ_LAG]);
                if nature.edges { now - longest } else { now - rng.range(0, longest) }
            }
            None => now,
        };
        if nature.monotonic_reads {
            moment = moment.max(self.shown[endpoint]);
        }
        self.shown[endpoint] = moment;
        let then = self.past.iter().rev().find(|(since, _)| *since <= moment);
        then.map_or(self.view, |(_, view)| *view)
    }

    // ---- A person in the console ----

    /// Powers the machine on or off.
    pub fn console_power(&mut self, now: i64, on: bool) {
        self.was_powered = true;
        match (on, self.view.power) {
            (true, Power::Stopped) => {
                self.off_by = OffBy::Nobody;
                self.enter(
                    now,
                    Power::Booting,
                    Some((now + self.manner.boot_takes, Power::Running)),
                );
            }
            (false, Power::Running) => {
                self.off_by = OffBy::Person;
                self.switched_off_at = Some(now);
                self.enter(now, Power::Stopping, Some((now + 5 * SECOND, Power::Stopped)));
            }
            // Whatever is going on, it is the person's will from now on.
            (false, _) => self.off_by = OffBy::Person,
            (true, _) => {}
        }
        self.advance(now);
    }

    /// Orders a change, or has it done at once.
    pub fn console_type(&mut self, now: i64, to: usize, at_once: bool) {
        self.touched_at = Some(now);
        if at_once {
            self.becomes(now, View { type_: to, plan: None, ..self.view });
        } else if self.view.plan.is_none() && self.view.type_ != to {
            self.plan(now, to, false);
        }
        self.advance(now);
    }

    pub fn console_cancel(&mut self, now: i64) {
        self.touched_at = Some(now);
        let plan = self.view.plan.filter(|plan| !plan.scheduled);
        self.becomes(now, View { plan, ..self.view });
    }

    /// In a world without trouble guests stop and start in time, and no cycle ends before everything
    /// is at rest.
    pub fn calm(&mut self) {
        self.manner.stop_takes = self.manner.stop_takes.min(MINUTE);
        self.manner.boot_takes = self.manner.boot_takes.min(MINUTE);
        self.manner.processing = self.manner.processing.min(MINUTE);
        self.replica = [None; 2];
        self.view.expires += 25 * DAY;
        if let Some(plan) = self.view.plan.as_mut().filter(|plan| plan.scheduled) {
            plan.due += 25 * DAY;
        }
        let (now, view) = (self.past.back().map_or(0, |(at, _)| *at), self.view);
        self.past.push_back((now, view));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nature::REGISTRATION;

    fn given(prepaid: bool) -> (Machine, Nature, Rng) {
        let mut rng = Rng::new(1);
        let mut nature = Nature::draw(&mut rng, 100).calm();
        (nature.prepaid, nature.unsupported, nature.cycle) = (prepaid, None, 25 * DAY);
        (nature.processing, nature.registration) = (MINUTE, REGISTRATION);
        (nature.stop_takes, nature.boot_takes, nature.reboots) = (MINUTE, MINUTE, false);
        let mut machine = Machine::new(&nature, &mut rng);
        (machine.view.type_, machine.view.power) = (1, Power::Running);
        machine.past = VecDeque::from([(i64::MIN, machine.view)]);
        (machine, nature, rng)
    }

    fn accepts(machine: &mut Machine, order: Order, now: i64) -> bool {
        let (_, nature, mut rng) = given(false);
        matches!(
            machine.rule(order, OffBy::Operator, now, &nature, &mut rng),
            Ruling::Accepted { .. }
        )
    }

    /// The margin that the protocol rests on.
    #[test]
    fn every_read_shows_an_effect_within_the_margin() {
        for seed in 0..200 {
            let (mut machine, mut nature, _) = given(false);
            (nature.lag, nature.monotonic_reads) = (1000, false);
            let mut rng = Rng::new(seed);
            machine.rule(Order::Modify(2), OffBy::Operator, 0, &nature, &mut rng);
            for now in (0..600).map(|second| second * SECOND) {
                machine.advance(now);
                let endpoint = usize::from(seed % 2 == 0);
                let view = machine.shown(endpoint, now, &nature, &mut rng);
                let seen = view.plan.is_some() || view.type_ == 2;
                assert!(seen || now <= 300 * SECOND, "not seen after {now} ms, seed {seed}");
            }
        }
    }

    #[test]
    fn a_cheaper_type_waits_for_the_next_cycle_of_a_prepaid_machine() {
        let (mut machine, ..) = given(true);
        assert!(accepts(&mut machine, Order::Modify(0), 0));
        machine.advance(DAY);
        assert!(machine.view.plan.is_some_and(|plan| plan.scheduled && plan.to == 0));
        assert!(!accepts(&mut machine, Order::Modify(2), DAY));
        machine.advance(26 * DAY);
        assert_eq!((machine.view.type_, machine.view.plan), (0, None));
    }

    #[test]
    fn a_plan_that_is_cancelled_never_comes_to_be() {
        let (mut machine, ..) = given(true);
        assert!(accepts(&mut machine, Order::Modify(0), 0));
        machine.advance(DAY);
        assert!(accepts(&mut machine, Order::Cancel, DAY));
        machine.advance(26 * DAY);
        assert_eq!((machine.view.type_, machine.view.plan), (1, None));
    }

    #[test]
    fn only_a_machine_at_rest_is_changed() {
        let (mut machine, ..) = given(false);
        assert!(accepts(&mut machine, Order::Stop, 0));
        let shows = (0..=REGISTRATION).step_by(1000).find(|now| {
            machine.advance(*now);
            machine.view.power != Power::Running
        });
        assert_eq!(machine.view.power, Power::Stopping);
        assert!(!accepts(&mut machine, Order::Modify(2), shows.unwrap()));
        machine.advance(10 * MINUTE);
        assert_eq!((machine.view.power, machine.off_by), (Power::Stopped, OffBy::Operator));
        assert!(accepts(&mut machine, Order::Modify(2), 10 * MINUTE));
        assert!(!accepts(&mut machine, Order::Stop, 10 * MINUTE));
    }
}
