//! One pass's arguments, read together once. It knows no rule.

use std::time::Duration;

use jiff::Timestamp;
use zenlayer::{Instance, TypeStatus};

use crate::api::{ChangeKind, ChangeState};

use super::{
    Desired, Memory, Observed,
    decision::Action,
    plan::PlanView,
    protocol::{Change, ChangeId, Expectation, Lane, LaneName, Slot, SlotRecord, Witness},
    standing::Standing,
    time::after,
};

/// How far the provider's clock may be from ours and still be the one that counts. Far beyond what
/// calls are signed at: a change is followed with any clock.
const BELIEVED: Duration = Duration::from_secs(3600);

/// What the rules look at.
pub struct Facts<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub memory: &'a Memory,
    /// The lane of the type.
    pub change: Standing,
    /// The lane of the power state.
    pub power: Standing,
    pub now: Timestamp,
}

impl<'a> Facts<'a> {
    pub fn new(
        desired: &'a Desired,
        observed: &'a Observed,
        memory: &'a Memory,
        now: Timestamp,
    ) -> Self {
        let standing =
            |lane| Standing::of(lane, observed, memory, &desired.object, &desired.timing);
        let (change, power) = (standing(LaneName::Type), standing(LaneName::Power));
        Self { desired, observed, memory, change, power, now }
    }

    pub fn standing(&self, lane: LaneName) -> &Standing {
        match lane {
            LaneName::Type => &self.change,
            LaneName::Power => &self.power,
        }
    }

    /// The change in flight of a lane.
    pub fn in_flight(&self, lane: LaneName) -> Option<&Change> {
        match self.standing(lane) {
            Standing::InFlight(change) => Some(change),
            Standing::Idle
            | Standing::Unrecorded(_)
            | Standing::WithoutIntent(_)
            | Standing::Ended(_)
            | Standing::HeldElsewhere(_)
            | Standing::Unreadable => None,
        }
    }

    /// The change of the type in flight.
    pub fn type_change(&self) -> Option<&Change> {
        self.in_flight(LaneName::Type)
    }

    /// The stop or start in flight.
    pub fn power_change(&self) -> Option<&Change> {
        self.in_flight(LaneName::Power)
    }

    /// The instance and its plan, where both were read.
    pub fn seen(&self) -> Option<(&Instance, &TypeStatus)> {
        Some((self.observed.instance()?, self.observed.type_status()?))
    }

    /// The plan; none where it was not asked for.
    pub fn plan(&self) -> PlanView {
        self.observed.type_status().map_or(PlanView::None, PlanView::of)
    }

    fn witness(&self, lane: LaneName) -> Witness {
        Witness {
            date: self.observed.provider_now(),
            known: self.observed.since.lanes.of(lane),
            signature_life: self.desired.timing.signature_life,
        }
    }

    /// Whether the request of this change can no longer land, and all reads would show it. A request
    /// with a token never expires: of an order that is never taken for granted, of any other call it is
    /// after a while.
    pub fn is_past_fence(&self, change: &Change) -> bool {
        let Some(fence) = change.fence else {
            return change.kind != ChangeKind::Modify && self.is_past_own_time(change);
        };
        // One that is unverified has been waited for, by this process or by another one.
        change.state == ChangeState::Unverified
            || self.witness(change.lane()).has_passed(fence, self.desired.timing.fence())
    }

    /// Whether a request that never expires has been waited for as long as any other one.
    pub fn is_past_own_time(&self, change: &Change) -> bool {
        let witness = self.witness(change.lane());
        let wait = self.desired.timing.fence().saturating_add(witness.signature_life);
        change.fence.is_none() && witness.known.0 >= wait
    }

    /// Whether this moment of the provider's time has passed, and one margin of our own since the lane
    /// became what it is.
    pub fn is_past(&self, lane: LaneName, moment: Timestamp) -> bool {
        self.witness(lane).has_passed(moment, self.desired.timing.margin)
    }

    /// Whether it should have come to its end by now. A scheduled change has until its cycle has
    /// begun.
    pub fn is_overdue(&self, change: &Change) -> bool {
        let limit = self.desired.timing.limit(change.kind);
        let deadline = change.deadline.unwrap_or_else(|| after(change.started_at, limit));
        let cycle = change.effective_at.map_or(deadline, |start| after(start, limit));
        self.now > deadline.max(cycle)
    }

    /// Whether reads may still lag behind the effect that was last seen in a lane. No margin lies
    /// further ahead than one of any clock that is believed: one that does comes of a wrong `Date`, or
    /// of a person, and would make the status tell what was for ever.
    pub fn lagging(&self, lane: LaneName) -> Option<&Expectation> {
        let timing = &self.desired.timing;
        let expects = self.lane(lane)?.expects()?;
        let furthest = after(self.now, BELIEVED + timing.signature_life + timing.margin);
        let passed = self.witness(lane).has_passed(expects.until, timing.margin);
        (!passed && expects.until <= furthest).then_some(expects)
    }

    /// Whether the slot expects this change's effect, and reads may still lag behind it.
    pub fn expects(&self, change: &Change) -> bool {
        self.lagging(change.lane()).is_some_and(|expects| expects.change == change.id)
    }

    /// A lane of the slot, where it was read.
    pub fn lane(&self, lane: LaneName) -> Option<&Lane> {
        Some(self.observed.slot()?.record.lane(lane))
    }

    pub fn slot(&self) -> Slot {
        self.observed.slot().cloned().unwrap_or_default()
    }

    /// Writes what this makes of the slot; nothing, if it makes nothing of it.
    pub fn write_slot(&self, write: impl FnOnce(&SlotRecord) -> Option<SlotRecord>) -> Action {
        let slot = self.slot();
        match write(&slot.record) {
            Some(record) if record != slot.record => Action::WriteSlot { slot, record },
            Some(_) | None => Action::Nothing,
        }
    }

    /// Closes the lane of a change whose effect was seen: reads must agree with it for one margin,
    /// which begins with the later of the read and the acceptance.
    pub fn close(&self, change: &Change) -> Action {
        let timing = &self.desired.timing;
        // An operator whose clock is off still follows: the provider's clock is the one that counts.
        let believed = |date: &Timestamp| date.duration_since(self.now).unsigned_abs() <= BELIEVED;
        let date = self.observed.provider_now().filter(believed);
        let read = date.unwrap_or_else(|| after(self.now, timing.signature_life));
        let accepted =
            change.submitted_at.filter(|at| at.duration_since(read).unsigned_abs() <= BELIEVED);
        let begins = accepted.map_or(read, |at| at.max(read));
        let expects = Expectation {
            change: change.id.clone(),
            kind: change.kind,
            from: change.from.clone(),
            to: change.to.clone(),
            until: after(begins, timing.margin),
            order_number: change.order_number.clone(),
            request_id: change.request_id.clone(),
        };
        self.write_slot(|record| record.closed(expects))
    }

    /// Whether an object that is being deleted is not kept any longer.
    pub fn is_kept_too_long(&self) -> bool {
        self.desired.is_kept_too_long(self.now, self.observed.since.spec)
    }

    /// A person asks, for the first time, to release this change.
    pub fn releases(&self, id: &ChangeId) -> bool {
        self.desired.release.as_ref() == Some(&id.0)
            && self.memory.handled.release.as_ref() != Some(&id.0)
    }
}
