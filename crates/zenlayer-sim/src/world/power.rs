//! States and how they follow each other.

use super::{GracefulStop, OrderOutcome, Plan, State, Transition, Work, site::Site, time::later};

impl Site<'_> {
    /// Enters a state that is left as it is documented.
    pub(super) fn enter(&mut self, state: State) {
        self.instance.state = state;
        self.instance.transition = self.rules.durations.after(state, self.at);
    }

    pub(super) fn leave_state(&mut self, transition: Transition) {
        let Some(to) = transition.to else {
            self.leave();
            return;
        };
        let from = self.instance.state;
        self.enter(to);
        if matches!(from, State::Booting | State::Reboot) {
            // The guest has started, and sees what its type has.
            self.show_size();
        }
        let resumes = matches!(self.instance.plan, Plan::Processing { resumes: true, .. });
        if resumes && (from, to) == (State::Stopping, State::Stopped) {
            // A guest that a change stopped is started by the same change.
            let until = later(self.at, self.rules.processing_time / 3);
            self.instance.transition = Some(Transition { until, to: Some(State::Booting) });
        } else if resumes && to == State::Booting {
            self.instance.transition = None;
        }
    }

    /// Somebody else than the running change decides over the power from now on.
    fn take_over(&mut self) {
        if let Plan::Processing { resumes, .. } = &mut self.instance.plan {
            *resumes = false;
        }
    }

    /// STOPPED -> BOOTING -> RUNNING (page "StartInstances").
    pub(super) fn start(&mut self) {
        if self.instance.state == State::Stopped {
            self.take_over();
            self.enter(State::Booting);
        }
    }

    /// RUNNING -> STOPPING -> STOPPED (page "StopInstances"); a guest may ignore a graceful stop.
    pub(super) fn stop(&mut self, force: bool) {
        if self.instance.state != State::Running {
            return;
        }
        self.take_over();
        self.enter(State::Stopping);
        match (force, self.rules.behaviour.graceful_stop) {
            (true, _) | (false, GracefulStop::Obeyed) => {}
            (false, GracefulStop::Ignored) => {
                let until = later(self.at, self.rules.durations.stop);
                self.instance.transition = Some(Transition { until, to: Some(State::Running) });
            }
            (false, GracefulStop::Hangs) => self.instance.transition = None,
        }
    }

    /// RUNNING -> REBOOT -> RUNNING (page "RebootInstances").
    pub(super) fn reboot(&mut self) {
        let stopped = self.instance.state == State::Stopped;
        if self.instance.state == State::Running
            || stopped && self.rules.behaviour.reboot_from_stopped
        {
            self.take_over();
            self.enter(State::Reboot);
        }
    }

    /// Into the recycle bin. What was ordered is lost, and what was owed is never paid.
    pub(super) fn recycle(&mut self) {
        self.abandon();
        // A machine in the bin is not used.
        self.meter();
        self.instance.auto_renew = false;
        self.enter(State::Recycling);
    }

    /// The instance is gone.
    pub(super) fn leave(&mut self) {
        self.abandon();
        self.meter();
        self.books.give_back(&self.instance.zone, &self.instance.type_id);
        self.gone = true;
    }

    fn abandon(&mut self) {
        self.drop_plan(OrderOutcome::Lost);
        for one in std::mem::take(&mut self.instance.pending) {
            if let Work::Change { order_number, .. } = one.work
                && let Some(to) = self.books.find(&order_number).map(|order| order.to.clone())
                && self.books.settle(&order_number, self.at, OrderOutcome::Lost)
            {
                self.books.give_back(&self.instance.zone, &to);
            }
        }
    }
}
