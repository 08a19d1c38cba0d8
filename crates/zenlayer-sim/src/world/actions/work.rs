//! What these actions have in common: each finds its instance, and is put to work there.

use crate::world::{Call, Effect, Instance, Pending, Refused, Work, World, time::later};

impl World {
    /// 404 for an instance that does not exist.
    pub(super) fn find(&self, id: &str) -> Result<&Instance, Refused> {
        self.instances.get(id).ok_or_else(|| Refused::not_found(id))
    }

    /// Lets an accepted call work: now, later, or never.
    pub(super) fn put_to_work(&mut self, call: &Call<'_>, id: &str, work: Work) {
        let lag = match call.effect {
            Effect::Normal => self.rules.behaviour.registration_lag.get(call.action).copied(),
            Effect::After(lag) => Some(lag),
            // A change that fails is still ordered; of all else nothing is seen.
            Effect::FailsSilently if matches!(work, Work::Change { .. }) => None,
            Effect::FailsSilently => return,
        };
        let now = self.now;
        self.visit(id, now, |site| match lag.filter(|lag| lag.is_positive()) {
            Some(lag) => site.instance.pending.push(Pending { at: later(now, lag), work }),
            None => site.work(work),
        });
    }
}
