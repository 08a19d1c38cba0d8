//! One pass's arguments, read together once, and the questions that several rules ask of them.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    lifecycle::{
        Action, Change, ChangeId, Desired, Expectation, Memory, Observed, Slot, Standing,
        time::{after, whole_seconds},
    },
    zenlayer::{Instance, TypeStatus},
};

/// How far ahead of our clock a `Date` is believed: far more than any clock that is looked after is
/// behind, and far less than a wrong `Date` may be ahead.
const BELIEVED: Duration = Duration::from_secs(3600);

pub(super) struct Facts<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub memory: &'a Memory,
    pub standing: Standing,
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

    /// Whether its effect should have shown by now. A scheduled change has until its cycle begins;
    /// one that only the slot knows has the usual time.
    pub fn is_overdue(&self, change: &Change) -> bool {
        let limit = self.desired.timing.change_deadline;
        let deadline = change.deadline.unwrap_or_else(|| after(change.started_at, limit));
        let cycle = change.effective_at.map_or(deadline, |start| after(start, limit));
        self.now > deadline.max(cycle)
    }

    pub fn slot(&self) -> Slot {
        self.observed.slot().cloned().unwrap_or_default()
    }

    /// Whether the slot expects this change's effect, and reads may still lag behind it.
    pub fn expects(&self, change: &Change) -> bool {
        let closed = self.observed.slot().and_then(|slot| slot.record.closed.as_ref());
        closed.is_some_and(|closed| closed.change == change.id && self.may_lag(closed.until))
    }

    /// Whether reads may still lag behind an effect that they must agree with until this moment. One
    /// that lies further ahead than a margin of a believed `Date` comes of a wrong one, or of a
    /// person, and would make the status tell what was for ever.
    pub fn may_lag(&self, until: Timestamp) -> bool {
        let furthest = after(self.now, BELIEVED + self.desired.timing.margin);
        !self.has_passed(until) && until <= furthest
    }

    /// Closes the slot: reads must agree with this change for one margin.
    pub fn close_slot(&self, change: &Change) -> Action {
        let timing = &self.desired.timing;
        let date = self.observed.provider_now();
        let believed = date.filter(|date| *date <= after(self.now, BELIEVED));
        let now = believed.unwrap_or_else(|| after(self.now, timing.signature_life));
        let expectation = Expectation {
            change: change.id.clone(),
            from: change.from.clone(),
            to: change.to.clone(),
            until: after(now, timing.margin),
        };
        Action::CloseSlot { change: change.id.clone(), slot: self.slot(), expectation }
    }

    pub fn holds_slot(&self, change: &Change) -> bool {
        let holding = self.observed.slot().and_then(|slot| slot.record.holding.as_ref());
        holding.is_some_and(|held| held.change == change.id)
    }

    /// Gives the slot back, where this change holds it.
    pub fn return_slot(&self, change: &Change) -> Action {
        if !self.holds_slot(change) {
            return Action::Nothing;
        }
        Action::ReturnSlot { change: change.id.clone(), slot: self.slot() }
    }

    /// Whether a person asks, for the first time, to release this change.
    pub fn releases(&self, id: &ChangeId) -> bool {
        self.desired.release.as_ref() == Some(&id.0)
            && self.memory.handled.release.as_ref() != Some(&id.0)
    }

    /// The name of a change that is decided now.
    pub fn next_id(&self) -> ChangeId {
        ChangeId::new(&self.desired.object.uid, whole_seconds(self.now))
    }
}
