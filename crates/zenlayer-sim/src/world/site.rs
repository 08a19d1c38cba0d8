//! One instance at one moment, with the books that it is written into. The other modules of the
//! world say what can happen here; this one says in which order.

use jiff::Timestamp;

use super::{Books, Instance, Rules, Work, catalogue::Offered};

pub(super) struct Site<'w> {
    pub rules: &'w Rules,
    pub books: &'w mut Books,
    pub instance: &'w mut Instance,
    pub at: Timestamp,
    /// The instance is gone.
    pub gone: bool,
}

impl Site<'_> {
    /// Carries out the first thing that is due. At one moment: calls that begin to work, then states,
    /// then the end of a cycle (which may end a plan), then plans, then the metering.
    pub fn carry_out(&mut self) {
        let instance = &mut *self.instance;
        if let Some(index) = instance.pending.iter().position(|one| one.at <= self.at) {
            let work = instance.pending.remove(index).work;
            self.work(work);
        } else if let Some(transition) = instance.transition.filter(|one| one.until <= self.at) {
            self.leave_state(transition);
        } else if instance.next_expiry().is_some_and(|expiry| expiry <= self.at) {
            self.end_cycle();
        } else if self.plan_is_due() {
            self.carry_out_plan();
        } else {
            // Nothing else is due by itself.
            self.meter();
        }
    }

    /// What an accepted call does once it begins to work.
    pub fn work(&mut self, work: Work) {
        match work {
            Work::Change { order_number, fails } => self.begin_change(&order_number, fails),
            Work::Cancel => self.cancel_downgrade(),
            Work::Start => self.start(),
            Work::Stop { force } => self.stop(force),
            Work::Reboot => self.reboot(),
        }
    }

    /// A type as this instance can have it.
    pub fn offered(&self, type_id: &str) -> Option<Offered<'_>> {
        let Instance { zone, charge_type, .. } = &*self.instance;
        self.rules.catalogue.offered(zone, *charge_type, type_id)
    }
}
