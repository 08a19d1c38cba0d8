//! `decide`: an ordered list of small named rules. The first one that applies decides.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Change, Decision, Desired, Expectation, Observed, PlanView, Restore, Situation, Slot,
    SlotRecord, Standing,
    decision::Action,
    memory::Memory,
    rules::{at_rest::*, in_flight::*, looking::*, ordering::*, power::*},
    time::after,
};
use crate::api::{ChangeKind, Reason};
use zenlayer::with_causes;
use zenlayer::{Instance, TypeStatus};

/// What the world allows now. Pure: the same arguments give the same decision.
pub fn decide(desired: &Desired, observed: &Observed, now: Timestamp) -> Decision {
    let memory = match &observed.memory {
        Ok(memory) => memory,
        Err(error) => {
            let problem = format!(
                "{}; look at the provider's orders, then correct the field with kubectl edit \
                 vminstance {} --subresource=status",
                with_causes(error),
                desired.object.name
            );
            return report(Situation::Unusable { reason: Reason::InvalidStatus, problem });
        }
    };
    let standing = observed.standing(&desired.object, &desired.timing);
    let restore = observed.restore();
    let facts = Facts { desired, observed, memory, standing, restore, now };
    let decision =
        RULES.iter().find_map(|rule| rule(&facts)).unwrap_or_else(|| order_the_change(&facts));
    bring_the_machine_back(&facts, &decision).unwrap_or(decision)
}

/// How far the provider's clock may be from ours and still be the one that counts. Far beyond what
/// calls are signed at: a change is followed with any clock.
const BELIEVED: Duration = Duration::from_secs(3600);

type Rule = fn(&Facts) -> Option<Decision>;

/// The rules, in order of precedence. What none of them holds back is ordered. Behind the list
/// stands one more: whatever it says, a machine that was stopped for a change is started again
/// once the change can go no further.
const RULES: &[Rule] = &[
    // What cannot be looked at.
    secret_is_unusable,
    read_was_refused_for_good,
    instance_was_not_read,
    slot_was_not_read,
    // The call in flight.
    slot_was_given_back,
    person_releases_the_change,
    instance_is_gone,
    plan_was_not_read,
    outcome_is_unknown,
    accepted_call_shows,
    adopted_change_is_unwanted,
    scheduled_change_is_unwanted,
    observed_change_goes_on,
    observed_power_change_goes_on,
    // Who may act on the instance.
    older_object_owns_the_instance,
    slot_is_held_elsewhere,
    // At rest.
    read_contradicts_what_was_seen,
    restored_power_state_is_forgotten,
    instance_is_in_sync,
    reads_disagree,
    own_plan_is_resumed,
    policy_forbids_changes,
    plan_is_to_the_declared_type,
    person_cancels_a_foreign_plan,
    plan_is_foreign,
    refusal_stands,
    // Before a call.
    change_was_ordered_before,
    instance_state_forbids_changes,
    type_is_not_offered,
    bandwidth_exceeds_the_limit,
    prepaid_policy_forbids_the_change,
    clock_is_skewed,
    order_limit_is_reached,
    reads_are_stale,
    machine_is_stopped_first,
];

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
    pub fn releases(&self, id: &super::ChangeId) -> bool {
        self.desired.release.as_ref() == Some(&id.0)
            && self.memory.handled.release.as_ref() != Some(&id.0)
    }

    /// The call as it would be made now, if nothing forbids it.
    pub fn call(
        &self,
        kind: ChangeKind,
        from: &zenlayer::InstanceTypeId,
        to: &zenlayer::InstanceTypeId,
    ) -> Decision {
        call(self, kind, from, to)
    }
}

pub fn report(situation: Situation) -> Decision {
    Decision { action: Action::Nothing, situation }
}
