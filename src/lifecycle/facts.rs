//! One pass's arguments, read together once. It knows no rule.

use std::time::Duration;

use jiff::Timestamp;
use zenlayer::{Instance, TypeStatus};

use super::{
    Action, Change, ChangeId, Desired, Expectation, Memory, Observed, PlanView, Restore, Slot,
    SlotRecord, Standing, time::after,
};

/// How far the provider's clock may be from ours and still be the one that counts. Far beyond what
/// calls are signed at: a change is followed with any clock.
const BELIEVED: Duration = Duration::from_secs(3600);

/// One pass's arguments, read together once.
pub struct Facts<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub memory: &'a Memory,
    pub standing: Standing,
    /// What the machine is brought back to.
    pub restore: Option<Restore>,
    pub now: Timestamp,
}

impl Facts<'_> {
    pub fn change(&self) -> Option<&Change> {
        match &self.standing {
            Standing::InFlight(change) => Some(change),
            Standing::Idle | Standing::GivenBack(_) | Standing::HeldElsewhere(_) => None,
        }
    }

    /// The instance and its plan, where both were read.
    pub fn seen(&self) -> Option<(&Instance, &TypeStatus)> {
        Some((self.observed.instance()?, self.observed.type_status()?))
    }

    /// The plan; none where it was not asked for.
    pub fn plan(&self) -> PlanView {
        self.observed.type_status().map_or(PlanView::None, PlanView::of)
    }

    /// Whether the reads were made after this moment of the provider's time: by the `Date` that
    /// they carried. Without one, by our clock at their beginning, one signature's life later:
    /// ours and the one that the moment was reckoned by may each be off by the skew limit.
    pub fn has_passed(&self, moment: Timestamp) -> bool {
        match self.observed.provider_now() {
            Some(date) => date > moment,
            None => self.observed.began_at > after(moment, self.desired.timing.signature_life),
        }
    }

    /// Whether the request of this change can no longer land, and all reads would show it.
    pub fn is_past_fence(&self, change: &Change) -> bool {
        change.fence.is_some_and(|fence| self.has_passed(fence))
    }

    /// Whether it should have come to its end by now. A scheduled change has until its cycle has
    /// begun.
    pub fn is_overdue(&self, change: &Change) -> bool {
        let limit = self.desired.timing.limit(change.kind);
        let deadline = change.deadline.unwrap_or_else(|| after(change.started_at, limit));
        let cycle = change.effective_at.map_or(deadline, |start| after(start, limit));
        self.now > deadline.max(cycle)
    }

    /// Whether the slot expects this change's effect, and reads may still lag behind it.
    pub fn expects(&self, change: &Change) -> bool {
        let closed = self.observed.slot().map(|slot| slot.record.closed.as_slice());
        let ours = closed.unwrap_or_default().iter().find(|closed| closed.change == change.id);
        ours.is_some_and(|closed| self.may_lag(closed.until))
    }

    /// Whether reads may still lag behind an effect that they must agree with until this moment. No
    /// such moment lies further ahead than a margin of any clock that is believed: one that does
    /// comes of a wrong `Date`, or of a person, and would make the status tell what was for ever.
    pub fn may_lag(&self, until: Timestamp) -> bool {
        let timing = &self.desired.timing;
        let furthest = after(self.now, BELIEVED + timing.signature_life + timing.margin);
        !self.has_passed(until) && until <= furthest
    }

    pub fn slot(&self) -> Slot {
        self.observed.slot().cloned().unwrap_or_default()
    }

    /// Closes the slot of a change whose effect was seen: reads must agree with it for one margin.
    pub fn close_slot(&self, change: &Change) -> Action {
        let timing = &self.desired.timing;
        // An operator whose clock is off still follows: the provider's clock is the one that counts.
        let believed = |date: &Timestamp| date.duration_since(self.now).unsigned_abs() <= BELIEVED;
        let date = self.observed.provider_now().filter(believed);
        let now = date.unwrap_or_else(|| after(self.now, timing.signature_life));
        let expectation = Expectation {
            change: change.id.clone(),
            kind: change.kind,
            from: change.from.clone(),
            to: change.to.clone(),
            until: after(now, timing.margin),
        };
        let held = self.observed.slot().and_then(|slot| slot.record.holding.as_ref());
        let ours = held.is_none_or(|held| held.change == change.id);
        self.write_slot(ours, |record| record.closed(expectation))
    }

    /// Frees the slot; no effect is to be expected.
    pub fn return_slot(&self, change: &Change) -> Action {
        let holds = self.holds_slot(change);
        // A stop may have been accepted: what it is brought back to stays, until it is seen to run.
        self.write_slot(holds, |record| {
            record.given_back(&change.id).restoring(record.restore.clone())
        })
    }

    pub fn write_slot(
        &self,
        wanted: bool,
        write: impl FnOnce(&SlotRecord) -> SlotRecord,
    ) -> Action {
        let slot = self.slot();
        if !wanted {
            return Action::Nothing;
        }
        let record = write(&slot.record);
        Action::WriteSlot { slot, record }
    }

    /// Nothing is written over a slot that another change holds by now.
    pub fn holds_slot(&self, change: &Change) -> bool {
        let holding = self.observed.slot().and_then(|slot| slot.record.holding.as_ref());
        holding.is_some_and(|holding| holding.change == change.id)
    }

    /// A person asks, for the first time, to release this change.
    pub fn releases(&self, id: &ChangeId) -> bool {
        self.desired.release.as_ref() == Some(&id.0)
            && self.memory.handled.release.as_ref() != Some(&id.0)
    }
}
