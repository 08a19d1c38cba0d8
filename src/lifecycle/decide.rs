//! `decide`: an ordered list of small named rules. The first one that applies decides.

mod at_rest;
mod facts;
mod in_flight;
mod unreadable;

use jiff::Timestamp;

use self::{at_rest::*, facts::Facts, in_flight::*, unreadable::*};
use super::{
    Action, Change, Decision, Desired, Observed, SecretState, Situation,
    time::{after, whole_seconds},
};
use crate::api::{ChangeState, Reason};

/// What the world allows now. Pure: the same arguments give the same decision.
pub fn decide(desired: &Desired, observed: &Observed, now: Timestamp) -> Decision {
    let memory = match &observed.memory {
        Ok(memory) => memory,
        Err(error) => {
            let problem = format!(
                "{}; look at the provider's orders, then correct the field with kubectl edit \
                 vminstance {} --subresource=status",
                source_chain(error),
                desired.object.name
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
    slot_was_not_read,
    // The change in flight.
    slot_was_given_back,
    person_releases_the_change,
    instance_is_gone,
    plan_was_not_read,
    outcome_is_unknown,
    accepted_change_shows,
    observed_change_goes_on,
    // Who may act on the instance.
    older_object_owns_the_instance,
    slot_is_held_elsewhere,
    // At rest.
    read_contradicts_what_was_seen,
    instance_is_in_sync,
    reads_disagree,
    policy_forbids_changes,
    plan_is_open,
    refusal_stands,
    target_was_ordered_before,
    instance_state_forbids_changes,
    clock_is_skewed,
    reads_are_stale,
    name_is_taken,
];

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

/// Nothing holds the change back.
fn submit(facts: &Facts) -> Decision {
    let Some(instance) = facts.observed.instance() else {
        return report(Situation::ReadsStale);
    };
    let Desired { type_id, generation, timing, .. } = facts.desired;
    let started_at = whole_seconds(facts.now);
    let expires = match &facts.observed.secret {
        SecretState::Usable { expires_requests, .. } => *expires_requests,
        SecretState::NotFound | SecretState::Incomplete { .. } | SecretState::Unreadable { .. } => {
            false
        }
    };
    let change = Change {
        id: facts.next_id(),
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
