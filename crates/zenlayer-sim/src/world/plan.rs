//! Changes of type: none -> Processing -> none, none -> WaitToEnable -> Processing -> none, and
//! WaitToEnable -> cancelled -> none.

use jiff::Timestamp;

use super::{
    BandwidthAboveLimit, FailedChange, Guest, OrderKind, OrderOutcome, Payment, Plan, State,
    Transition, billing::Reason, site::Site, time::later,
};

impl Site<'_> {
    pub(super) fn plan_is_due(&self) -> bool {
        match &self.instance.plan {
            Plan::Processing { until, .. } => until.is_some_and(|until| until <= self.at),
            Plan::WaitToEnable { due, .. } => *due <= self.at,
            Plan::None | Plan::Unpaid { .. } | Plan::Failed { .. } => false,
        }
    }

    pub(super) fn carry_out_plan(&mut self) {
        match std::mem::replace(&mut self.instance.plan, Plan::None) {
            Plan::WaitToEnable { to, order_number, fails, .. } => {
                self.process(to, order_number, fails);
            }
            Plan::Processing { to, order_number, fails, resumes, .. } => {
                if resumes {
                    self.instance.state = State::Running;
                    self.instance.transition = None;
                }
                if fails {
                    self.fail(to, &order_number);
                } else {
                    self.land(to, &order_number);
                }
            }
            plan @ (Plan::None | Plan::Unpaid { .. } | Plan::Failed { .. }) => {
                self.instance.plan = plan;
            }
        }
    }

    /// An order begins to work. A plan that is there by then (it came while this one was not yet
    /// registered) is replaced: an instance has one plan.
    pub(super) fn begin_change(&mut self, order_number: &str, fails: bool) {
        let Some(order) = self.books.find(order_number) else { return };
        if order.outcome != OrderOutcome::Open {
            return;
        }
        let (to, kind, amount) = (order.to.clone(), order.kind, order.amount);
        self.drop_plan(OrderOutcome::Lost);
        let order_number = order_number.to_owned();
        let unpaid = self.rules.behaviour.payment == Payment::InConsole && !amount.is_zero();
        match kind {
            OrderKind::NextCycle => {
                let due = self.downgrade_due();
                self.instance.plan = Plan::WaitToEnable { to, order_number, due, fails };
            }
            OrderKind::Immediate if unpaid => {
                self.instance.plan = Plan::Unpaid { to, order_number, fails };
            }
            OrderKind::Immediate => self.process(to, order_number, fails),
        }
    }

    /// Inferred: at expiredTime, on renewal; the documents say "next cycle".
    pub(super) fn downgrade_due(&self) -> Timestamp {
        let expiry = self.instance.next_expiry();
        expiry.map_or(Timestamp::MAX, |expiry| later(expiry, self.rules.behaviour.downgrade_delay))
    }

    /// A person pays for an order that waits for it.
    pub(super) fn pay(&mut self, order_number: &str) -> Result<(), String> {
        let waits = |number: &String| number == order_number;
        let (to, fails) = match &self.instance.plan {
            Plan::Unpaid { to, order_number, fails } if waits(order_number) => (to.clone(), *fails),
            _ => return Err(format!("order {order_number} is not waiting for payment")),
        };
        let amount = self.books.find(order_number).map_or_else(Default::default, |one| one.amount);
        if !self.books.covers(amount) {
            return Err(format!("order {order_number} costs {amount}: top the balance up first"));
        }
        let reason = Reason::Order(order_number.to_owned());
        self.books.charge(self.at, &self.instance.id, amount, reason);
        self.process(to, order_number.to_owned(), fails);
        Ok(())
    }

    /// The change runs from now on. What it does to the guest is not documented.
    fn process(&mut self, to: String, order_number: String, fails: bool) {
        let running = self.instance.state == State::Running;
        let third = self.rules.processing_time / 3;
        let resumes = match self.rules.behaviour.guest {
            Guest::Live | Guest::NeedsReboot => false,
            Guest::Reboots if running => {
                self.instance.state = State::Reboot;
                self.instance.transition = None;
                true
            }
            Guest::StopsAndStarts if running => {
                self.instance.state = State::Stopping;
                let until = later(self.at, third);
                self.instance.transition = Some(Transition { until, to: Some(State::Stopped) });
                true
            }
            Guest::Reboots | Guest::StopsAndStarts => false,
        };
        let hangs = fails && self.rules.behaviour.failed_change == FailedChange::Hangs;
        let until = (!hangs).then(|| later(self.at, self.rules.processing_time));
        self.instance.plan =
            Plan::Processing { to, order_number, since: self.at, until, fails, resumes };
    }

    fn land(&mut self, to: String, order_number: &str) {
        self.books.settle(order_number, self.at, OrderOutcome::Landed);
        // What was used so far was used at the old price.
        self.meter();
        let from = std::mem::replace(&mut self.instance.type_id, to);
        self.books.give_back(&self.instance.zone, &from);
        let lives = self.rules.behaviour.guest != Guest::NeedsReboot;
        if lives || self.instance.state == State::Stopped {
            self.show_size();
        }
        if self.rules.behaviour.bandwidth_above_limit == BandwidthAboveLimit::Lowered {
            let limit = self.offered(&self.instance.type_id).map(|one| one.bandwidth_limit);
            if let Some(limit) = limit.filter(|limit| *limit >= 0) {
                self.instance.bandwidth = self.instance.bandwidth.min(limit);
            }
        }
    }

    /// Nothing is documented about it.
    fn fail(&mut self, to: String, order_number: &str) {
        self.books.settle(order_number, self.at, OrderOutcome::Failed);
        self.books.give_back(&self.instance.zone, &to);
        self.instance.plan = match self.rules.behaviour.failed_change {
            FailedChange::Vanishes | FailedChange::Hangs => Plan::None,
            FailedChange::ShowsEnable | FailedChange::ShowsDisable => {
                Plan::Failed { to, order_number: order_number.to_owned() }
            }
        };
    }

    /// The guest sees what its type has.
    pub(super) fn show_size(&mut self) {
        if let Some(model) = self.rules.catalogue.model(&self.instance.type_id) {
            self.instance.cpu_count = model.cpu_count;
            self.instance.memory = model.memory;
        }
    }

    /// CancelInstanceDowngrade: the plan is gone, the current model stays (its page). A plan
    /// that has begun to run by then is not stopped.
    pub(super) fn cancel_downgrade(&mut self) {
        if matches!(self.instance.plan, Plan::WaitToEnable { .. }) {
            self.drop_plan(OrderOutcome::Cancelled);
        }
    }

    /// Ends a plan without its effect.
    pub(super) fn drop_plan(&mut self, outcome: OrderOutcome) {
        match std::mem::replace(&mut self.instance.plan, Plan::None) {
            Plan::None | Plan::Failed { .. } => {}
            Plan::Processing { to, order_number, resumes, .. } => {
                if resumes {
                    self.instance.state = State::Running;
                    self.instance.transition = None;
                }
                self.close(&to, &order_number, outcome);
            }
            Plan::WaitToEnable { to, order_number, .. } | Plan::Unpaid { to, order_number, .. } => {
                self.close(&to, &order_number, outcome)
            }
        }
    }

    fn close(&mut self, to: &str, order_number: &str, outcome: OrderOutcome) {
        self.books.settle(order_number, self.at, outcome);
        self.books.give_back(&self.instance.zone, to);
    }
}
