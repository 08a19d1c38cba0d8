//! What cannot be looked at.

use crate::{
    api::Reason,
    lifecycle::{Action, Decision, Severity, Situation, facts::Facts, refusal, slot::Aspect},
};
use zenlayer::ReadError;

pub fn secret_is_unusable(facts: &Facts) -> Option<Decision> {
    let reason = facts.observed.secret.reason()?;
    let name = &facts.desired.secret_name;
    let problem = refusal::secret_problem(&facts.observed.secret, name);
    Some(Decision::report(Situation::SecretUnusable { reason, problem }))
}

/// The provider refused a read, and nothing has changed since: nothing was read in this pass.
pub fn read_was_refused_for_good(facts: &Facts) -> Option<Decision> {
    let refusal =
        refusal::standing(facts.desired, facts.memory, &facts.observed.secret, facts.now)?;
    let of_a_read = refusal.call.is_none() && facts.observed.instance.is_none();
    of_a_read.then(|| Decision::report(Situation::Refused { refusal: refusal.clone() }))
}

fn read_failed(facts: &Facts, error: &ReadError) -> Decision {
    let version = facts.observed.secret.version().unwrap_or_default();
    let soon = facts.restore.is_some();
    Decision::report(refusal::of_read(facts.desired, error, (version, soon), facts.now))
}

pub fn instance_was_not_read(facts: &Facts) -> Option<Decision> {
    match &facts.observed.instance {
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(read_failed(facts, error)),
        None => Some(Decision::report(Situation::ReadsStale)),
    }
}

/// A change of an instance that is gone is over, once its request cannot land any more. Its slot
/// closes as if the effect had been seen: should the instance come back, nothing is ordered again.
pub fn instance_is_gone(facts: &Facts) -> Option<Decision> {
    if !facts.observed.is_gone() {
        return None;
    }
    let Some(change) = facts.change().cloned() else {
        return Some(Decision::report(Situation::InstanceGone { ended: None }));
    };
    if change.is_unanswered() && change.fence.is_none() {
        return Some(Decision::report(Situation::Unverified { change, asks: true }));
    }
    if change.is_unanswered() && !facts.is_past_fence(&change) {
        return Some(Decision::report(Situation::OutcomeUnknown { change }));
    }
    let action =
        if facts.holds_slot(&change) { facts.close_slot(&change) } else { Action::Nothing };
    Some(Decision { action, situation: Situation::InstanceGone { ended: Some(change) } })
}

pub fn plan_was_not_read(facts: &Facts) -> Option<Decision> {
    match &facts.observed.plan {
        // Not asked for: no change is in flight, and none may be ordered.
        None => facts.change().map(|_| Decision::report(Situation::ReadsStale)),
        Some(Ok(reading)) if reading.value.is_some() => None,
        // One read shows the instance, the other one does not: look again, but not for ever.
        Some(Ok(_)) => Some(Decision::report(match facts.change() {
            Some(change)
                if facts.is_overdue(change)
                    && !change.is_unanswered()
                    && Aspect::of(change.kind) == Aspect::Type =>
            {
                Situation::Overdue { change: change.clone() }
            }
            _ => Situation::ReadsStale,
        })),
        Some(Err(error)) => Some(read_failed(facts, error)),
    }
}

pub fn slot_was_not_read(facts: &Facts) -> Option<Decision> {
    let problem = facts.observed.slot.as_ref()?.as_ref().err()?;
    Some(Decision::report(Situation::ReadFailed {
        reason: Reason::KubernetesUnavailable,
        problem: format!("cannot read the Lease that keeps the changes of the instance: {problem}"),
        severity: Severity::Passing,
        refusal: None,
    }))
}
