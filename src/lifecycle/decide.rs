//! `decide`: an ordered list of small named rules. The first one that applies decides.

use jiff::{SignedDuration, Timestamp};

use super::{
    Action, Change, ChangeId, Decision, Desired, Expectation, Observed, PlanStage, PlanView,
    Severity, Situation, Slot, Standing, decision::may_repeat_unverified, memory::Memory, refusal,
};
use crate::{
    api::{ChangeState, HistoryOutcome, ManagementPolicy, Reason},
    zenlayer::{Instance, InstanceState, ReadError, TypeStatus},
};

/// What the world allows now. Pure: the same arguments give the same decision.
pub fn decide(desired: &Desired, observed: &Observed, now: Timestamp) -> Decision {
    let memory = match &observed.memory {
        Ok(memory) => memory,
        Err(error) => {
            let problem = format!(
                "{}; correct the status, or delete the object and create it again",
                source_chain(error)
            );
            return report(Situation::Unusable { reason: Reason::InvalidStatus, problem });
        }
    };
    let standing = observed.standing(&desired.object);
    let facts = Facts { desired, observed, memory, standing, now };
    RULES.iter().find_map(|rule| rule(&facts)).unwrap_or_else(|| submit(&facts))
}

/// The rules, in order of precedence. What none of them holds back is submitted.
const RULES: &[fn(&Facts) -> Option<Decision>] = &[
    // What cannot be looked at.
    secret_is_unusable,
    read_was_refused_for_good,
    instance_was_not_read,
    instance_is_gone,
    plan_was_not_read,
    slot_was_not_read,
    // The change in flight.
    slot_was_given_back,
    person_releases_the_change,
    outcome_is_unknown,
    accepted_change_shows,
    observed_change_goes_on,
    // Who may act on the instance.
    older_object_owns_the_instance,
    slot_is_held_elsewhere,
    // At rest.
    read_contradicts_what_was_seen,
    instance_is_in_sync,
    plan_is_open,
    policy_forbids_changes,
    refusal_stands,
    target_was_ordered_before,
    instance_state_forbids_changes,
    clock_is_skewed,
    reads_are_stale,
];

/// One pass's arguments, read together once.
struct Facts<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    memory: &'a Memory,
    standing: Standing,
    now: Timestamp,
}

impl Facts<'_> {
    fn change(&self) -> Option<&Change> {
        match &self.standing {
            Standing::InFlight(change) => Some(change),
            Standing::Idle | Standing::GivenBack(_) | Standing::HeldElsewhere(_) => None,
        }
    }

    /// The instance and its plan; the rules before have seen to it that both were read.
    fn seen(&self) -> Option<(&Instance, &TypeStatus)> {
        Some((self.observed.instance()?, self.observed.type_status()?))
    }

    fn provider_now(&self) -> Timestamp {
        self.observed.provider_now().unwrap_or(self.now)
    }

    /// Whether a request with this fence can no longer land. By the provider's clock as the reads
    /// carried it; without one, by ours once even the widest skew cannot matter.
    fn is_past_fence(&self, change: &Change) -> bool {
        let Some(fence) = change.fence else { return false };
        match self.observed.provider_now() {
            Some(date) => date > fence,
            None => {
                let timing = &self.desired.timing;
                let wait = timing.signature_life * 2 + timing.margin;
                self.now > after(change.started_at, wait)
            }
        }
    }

    fn slot(&self) -> Slot {
        self.observed.slot().cloned().unwrap_or_default()
    }

    fn expectation(&self, change: &Change) -> Expectation {
        Expectation {
            change: change.id.clone(),
            from: change.from.clone(),
            to: change.to.clone(),
            until: after(self.provider_now(), self.desired.timing.margin),
        }
    }

    fn close_slot(&self, change: &Change) -> Action {
        let expectation = self.expectation(change);
        Action::CloseSlot { change: change.id.clone(), slot: self.slot(), expectation }
    }

    /// Gives the slot back, where this change holds it.
    fn return_slot(&self, change: &Change) -> Action {
        let slot = self.slot();
        let held = slot.record.holding.as_ref().is_some_and(|held| held.change == change.id);
        if held { Action::ReturnSlot { change: change.id.clone(), slot } } else { Action::Nothing }
    }

    /// Whether a person asks, for the first time, to release this change.
    fn releases(&self, id: &ChangeId) -> bool {
        self.desired.release.as_ref() == Some(&id.0)
            && self.memory.handled.release.as_ref() != Some(&id.0)
    }
}

/// A moment after another one; the far end of time if there is none.
pub(super) fn after(start: Timestamp, wait: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(wait)
        .ok()
        .and_then(|wait| start.checked_add(wait).ok())
        .unwrap_or(Timestamp::MAX)
}

fn report(situation: Situation) -> Decision {
    Decision { action: Action::Nothing, situation }
}

fn source_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

// ---- What cannot be looked at ----

fn secret_is_unusable(facts: &Facts) -> Option<Decision> {
    let reason = facts.observed.secret.reason()?;
    let name = &facts.desired.secret_name;
    let problem = refusal::secret_problem(&facts.observed.secret, name);
    Some(report(Situation::SecretUnusable { reason, problem }))
}

/// The provider refused a read, and nothing has changed since: nothing was read in this pass.
fn read_was_refused_for_good(facts: &Facts) -> Option<Decision> {
    let refusal =
        refusal::standing(facts.desired, facts.memory, &facts.observed.secret, facts.now)?;
    let of_a_read = refusal.call.is_none() && facts.observed.instance.is_none();
    of_a_read.then(|| report(Situation::Refused { refusal: refusal.clone() }))
}

fn read_failed(facts: &Facts, error: &ReadError) -> Decision {
    let version = facts.observed.secret.version().unwrap_or_default();
    report(refusal::of_read(facts.desired, error, version, facts.now))
}

fn instance_was_not_read(facts: &Facts) -> Option<Decision> {
    match &facts.observed.instance {
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(read_failed(facts, error)),
        None => Some(report(Situation::ReadsStale)),
    }
}

fn instance_is_gone(facts: &Facts) -> Option<Decision> {
    let gone = matches!(&facts.observed.instance, Some(Ok(reading)) if reading.value.is_none());
    if !gone {
        return None;
    }
    let Some(change) = facts.change() else {
        return Some(report(Situation::InstanceGone { ended: None }));
    };
    let may_still_land = change.state == ChangeState::Submitting && !facts.is_past_fence(change);
    if may_still_land {
        return Some(report(Situation::OutcomeUnknown { change: change.clone() }));
    }
    let situation = Situation::InstanceGone { ended: Some(change.clone()) };
    Some(Decision { action: facts.return_slot(change), situation })
}

fn plan_was_not_read(facts: &Facts) -> Option<Decision> {
    match &facts.observed.plan {
        // Not asked for: the type agrees and no change is in flight.
        None => None,
        Some(Ok(reading)) if reading.value.is_some() => None,
        // One read shows the instance, the other one does not: look again.
        Some(Ok(_)) => Some(report(Situation::ReadsStale)),
        Some(Err(error)) => Some(read_failed(facts, error)),
    }
}

fn slot_was_not_read(facts: &Facts) -> Option<Decision> {
    let problem = facts.observed.slot.as_ref()?.as_ref().err()?;
    Some(report(Situation::ReadFailed {
        reason: Reason::KubernetesUnavailable,
        problem: format!("cannot read the slot of the instance: {problem}"),
        severity: Severity::Passing,
        refusal: None,
    }))
}

// ---- The change in flight ----

fn slot_was_given_back(facts: &Facts) -> Option<Decision> {
    matches!(facts.standing, Standing::GivenBack(_)).then(|| report(Situation::GivenBack))
}

/// A person may release a change whose outcome stays unknown, or that is overdue. A request that
/// can still land is never released.
fn person_releases_the_change(facts: &Facts) -> Option<Decision> {
    let change = facts.change()?;
    if !facts.releases(&change.id) {
        return None;
    }
    let settled_by_nobody = match change.state {
        ChangeState::Unverified => true,
        ChangeState::Submitting => change.fence.is_none(),
        ChangeState::Accepted | ChangeState::Observed => {
            change.deadline.is_some_and(|deadline| facts.now > deadline)
        }
    };
    settled_by_nobody.then(|| Decision {
        action: facts.return_slot(change),
        situation: Situation::Released { change: change.clone() },
    })
}

/// How the effect of this change shows: as a plan to its target, or as the current type with no
/// plan to another one. Both reads must agree, or one of them lags.
fn effect(instance: &Instance, status: &TypeStatus, change: &Change) -> Option<Option<PlanStage>> {
    let plan = PlanView::of(status);
    match &plan {
        PlanView::Open { stage, .. } if plan.is_to(&change.to) => Some(Some(*stage)),
        PlanView::Open { .. } => None,
        PlanView::None => {
            (instance.type_id == change.to && status.current == change.to).then_some(None)
        }
    }
}

/// The outcome of the call is unknown: never repeated, never settled before the fence.
fn outcome_is_unknown(facts: &Facts) -> Option<Decision> {
    let change = facts.change()?;
    let unanswered = match change.state {
        ChangeState::Submitting | ChangeState::Unverified => true,
        ChangeState::Accepted | ChangeState::Observed => false,
    };
    if !unanswered {
        return None;
    }
    let (instance, status) = facts.seen()?;
    if !facts.is_past_fence(change) {
        let situation = match change.fence {
            Some(_) => Situation::OutcomeUnknown { change: change.clone() },
            None => Situation::Unverified { change: change.clone(), asks: true },
        };
        return Some(report(situation));
    }
    if let Some(stage) = effect(instance, status, change) {
        let situation = Situation::EffectSeen { change: change.clone(), stage, adopted: true };
        return Some(Decision { action: facts.close_slot(change), situation });
    }
    let asks = !may_repeat_unverified(&instance.charge_type, change.fence);
    let action = if asks { Action::Nothing } else { facts.return_slot(change) };
    Some(Decision { action, situation: Situation::Unverified { change: change.clone(), asks } })
}

/// An accepted call holds its slot until its effect is seen.
fn accepted_change_shows(facts: &Facts) -> Option<Decision> {
    let change = facts.change().filter(|change| change.state == ChangeState::Accepted)?;
    let (instance, status) = facts.seen()?;
    if let Some(stage) = effect(instance, status, change) {
        let situation = Situation::EffectSeen { change: change.clone(), stage, adopted: false };
        return Some(Decision { action: facts.close_slot(change), situation });
    }
    let overdue = change.deadline.is_some_and(|deadline| facts.now > deadline);
    let change = change.clone();
    Some(report(if overdue {
        Situation::Overdue { change }
    } else {
        Situation::Accepted { change }
    }))
}

/// The effect was seen before: it goes on, is complete, or is gone again.
fn observed_change_goes_on(facts: &Facts) -> Option<Decision> {
    let change = facts.change().filter(|change| change.state == ChangeState::Observed)?.clone();
    let (instance, status) = facts.seen()?;
    let overdue = change.deadline.is_some_and(|deadline| facts.now > deadline);
    Some(report(match effect(instance, status, &change) {
        Some(None) => Situation::Completed { change },
        Some(Some(PlanStage::Running | PlanStage::Unknown)) if overdue => {
            Situation::Overdue { change }
        }
        Some(stage) => Situation::Progressing { change, stage },
        None if closed_expectation_stands(facts, &change) => {
            Situation::Progressing { change, stage: None }
        }
        None => Situation::Undone { change },
    }))
}

/// Within one margin after the effect was first seen, a read that contradicts it lags.
fn closed_expectation_stands(facts: &Facts, change: &Change) -> bool {
    let closed = facts.observed.slot().and_then(|slot| slot.record.closed.as_ref());
    closed.is_some_and(|closed| closed.change == change.id && facts.provider_now() <= closed.until)
}

// ---- Who may act on the instance ----

fn older_object_owns_the_instance(facts: &Facts) -> Option<Decision> {
    match &facts.observed.claim {
        super::Claim::Owner => None,
        super::Claim::Duplicate { owner } => {
            Some(report(Situation::DuplicateClaim { owner: owner.clone() }))
        }
    }
}

fn slot_is_held_elsewhere(facts: &Facts) -> Option<Decision> {
    match &facts.standing {
        Standing::HeldElsewhere(holder) => {
            Some(report(Situation::HeldElsewhere { holder: holder.clone() }))
        }
        Standing::Idle | Standing::InFlight(_) | Standing::GivenBack(_) => None,
    }
}

// ---- At rest ----

fn read_contradicts_what_was_seen(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let closed = facts.observed.slot()?.record.closed.as_ref()?;
    if facts.provider_now() > closed.until {
        return None;
    }
    let plan = facts.observed.type_status().map_or(PlanView::None, PlanView::of);
    let agrees = instance.type_id == closed.to || plan.is_to(&closed.to);
    (!agrees).then(|| report(Situation::ReadLags))
}

fn instance_is_in_sync(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let status = facts.observed.type_status();
    let plan = status.map_or(PlanView::None, PlanView::of);
    let current = status.is_none_or(|status| status.current == facts.desired.type_id);
    let in_sync = instance.type_id == facts.desired.type_id && current && plan == PlanView::None;
    in_sync.then(|| report(Situation::InSync))
}

/// A plan that no change of this object stands for is somebody else's: never cancelled here.
fn plan_is_open(facts: &Facts) -> Option<Decision> {
    match PlanView::of(facts.observed.type_status()?) {
        PlanView::None => None,
        PlanView::Open { to: Some(to), stage } if to == facts.desired.type_id => {
            Some(report(Situation::ForeignPlanToTarget { stage }))
        }
        PlanView::Open { to, stage } => Some(report(Situation::ForeignPlan { to, stage })),
    }
}

fn policy_forbids_changes(facts: &Facts) -> Option<Decision> {
    match (facts.desired.policy, facts.desired.suspend) {
        (ManagementPolicy::Observe, _) => Some(report(Situation::DriftObserved)),
        (ManagementPolicy::Enforce, true) => Some(report(Situation::Suspended)),
        (ManagementPolicy::Enforce, false) => None,
    }
}

fn refusal_stands(facts: &Facts) -> Option<Decision> {
    let refusal =
        refusal::standing(facts.desired, facts.memory, &facts.observed.secret, facts.now)?;
    let (from, to) = refusal.call.as_ref()?;
    let same = *from == facts.observed.instance()?.type_id && *to == facts.desired.type_id;
    same.then(|| report(Situation::Refused { refusal: refusal.clone() }))
}

/// One change is ordered at most once for one target; a person may allow it again.
fn target_was_ordered_before(facts: &Facts) -> Option<Decision> {
    let from = &facts.observed.instance()?.type_id;
    let target = facts.memory.target_for(&facts.desired.type_id, facts.desired.generation);
    let entry = facts.memory.history.iter().rev().find(|entry| {
        let ordered = match entry.outcome {
            HistoryOutcome::Completed | HistoryOutcome::Reverted => true,
            HistoryOutcome::Unverified
            | HistoryOutcome::InstanceGone
            | HistoryOutcome::Released => false,
        };
        ordered
            && entry.target_generation == target.since_generation
            && entry.from == *from
            && entry.to == target.type_id
    })?;
    Some(report(if facts.releases(&entry.id) {
        Situation::Rearmed { id: entry.id.clone() }
    } else {
        Situation::Reverted { entry: entry.clone() }
    }))
}

fn instance_state_forbids_changes(facts: &Facts) -> Option<Decision> {
    let state = facts.observed.instance()?.state.clone();
    match state {
        InstanceState::Running | InstanceState::Stopped => None,
        InstanceState::CreateFailed
        | InstanceState::Recycle
        | InstanceState::Recycling
        | InstanceState::Releasing => Some(report(Situation::InstanceUnusable { state })),
        InstanceState::Pending
        | InstanceState::Deploying
        | InstanceState::Booting
        | InstanceState::Stopping
        | InstanceState::Reboot
        | InstanceState::Rebuilding
        | InstanceState::Imaging
        | InstanceState::Other(_) => Some(report(Situation::InstanceBusy { state })),
    }
}

/// A paid call is signed only while our clock is near the provider's: further away, the fence
/// would say nothing.
fn clock_is_skewed(facts: &Facts) -> Option<Decision> {
    let date = facts.observed.provider_now()?;
    let skew = facts.observed.began_at.duration_since(date);
    (skew.unsigned_abs() > facts.desired.timing.skew_limit)
        .then(|| report(Situation::ClockSkewed { seconds: skew.as_secs() }))
}

/// A paid call rests on reads that are complete, agree with each other and have just been made.
fn reads_are_stale(facts: &Facts) -> Option<Decision> {
    let age = facts.now.duration_since(facts.observed.began_at);
    let fresh = !age.is_negative() && age.unsigned_abs() <= facts.desired.timing.freshness;
    let agree = facts.seen().is_some_and(|(instance, status)| instance.type_id == status.current);
    let complete = agree && facts.observed.slot().is_some();
    (!fresh || !complete).then(|| report(Situation::ReadsStale))
}

/// Nothing holds the change back.
fn submit(facts: &Facts) -> Decision {
    let Some(instance) = facts.observed.instance() else {
        return report(Situation::ReadsStale);
    };
    let Desired { object, type_id, generation, timing, .. } = facts.desired;
    let started_at = Timestamp::from_second(facts.now.as_second()).unwrap_or(facts.now);
    let expires = match &facts.observed.secret {
        super::SecretState::Usable { expires_requests, .. } => *expires_requests,
        _ => false,
    };
    let change = Change {
        id: ChangeId::new(&object.uid, started_at),
        from: instance.type_id.clone(),
        to: type_id.clone(),
        target_generation: facts.memory.target_for(type_id, *generation).since_generation,
        state: ChangeState::Submitting,
        started_at,
        fence: expires.then(|| after(started_at, timing.signature_life + timing.margin)),
        submitted_at: None,
        effective_at: None,
        deadline: Some(after(started_at, timing.change_deadline)),
        order_number: None,
        request_id: None,
    };
    let situation = Situation::Submitting;
    Decision { action: Action::Submit { change, slot: facts.slot() }, situation }
}
