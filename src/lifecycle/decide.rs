//! `decide`: an ordered list of small named rules. The first one that applies decides.

use jiff::Timestamp;
use zenlayer::with_causes;

use super::{
    Decision, Desired, Observed, Situation,
    facts::Facts,
    rules::{at_rest::*, in_flight::*, looking::*, ordering::*, permits::*, power::*},
};
use crate::api::Reason;

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
            return Decision::report(Situation::Unusable {
                reason: Reason::InvalidStatus,
                problem,
            });
        }
    };
    let standing = observed.standing(&desired.object, &desired.timing);
    let restore = observed.restore();
    let facts = Facts { desired, observed, memory, standing, restore, now };
    let decision =
        RULES.iter().find_map(|rule| rule(&facts)).unwrap_or_else(|| order_the_change(&facts));
    bring_the_machine_back(&facts, &decision).unwrap_or(decision)
}

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
