//! What is due at an instance first, and what an accepted call does to it. `plan`, `power`, `expiry`
//! and `metering` say what each of these things is.

use super::{Work, site::Site};

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
}
