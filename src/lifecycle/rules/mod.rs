//! The rules of `decide`, in order of precedence: the specification. Each one looks at the facts and
//! either says nothing or decides.

mod at_rest;
mod in_flight;
mod looking;
mod ordering;
mod permits;
mod power;
mod records;

use self::{
    at_rest::*, in_flight::*, looking::*, ordering::*, permits::object_is_served_twice, power::*,
    records::*,
};
use super::{decision::Decision, facts::Facts};

pub use permits::status_is_invalid;

type Rule = fn(&Facts) -> Option<Decision>;

/// The first one that applies decides. What none of them holds back is ordered.
const RULES: &[Rule] = &[
    // What a process left behind that ended between two writes: the cloud is not asked.
    slot_is_needed,
    slot_was_not_read,
    slot_is_of_another_version,
    ended_change_frees_its_lane,
    call_without_intent_is_withdrawn,
    intent_without_record_counts,
    answer_reaches_the_slot,
    // What has to be read, and what cannot be.
    secret_is_unusable,
    quota_is_used_up,
    credential_is_in_trouble,
    instance_is_needed,
    instance_was_not_read,
    instance_is_missing,
    slot_is_needed_for_the_machine,
    // The power state.
    power_call_shows,
    power_call_had_no_effect,
    power_change_ends,
    machine_is_back,
    machine_is_left_as_it_is,
    deleted_object_is_free_to_go,
    start_is_overdue,
    // The change of the type in flight.
    person_releases_the_change,
    instance_is_gone,
    accepted_order_is_young,
    plan_is_needed,
    plan_was_not_read,
    outcome_is_unknown,
    accepted_call_shows,
    adopted_change_is_unwanted,
    scheduled_change_is_unwanted,
    observed_change_goes_on,
    stop_is_waited_for,
    // Who may act on the instance.
    object_is_being_deleted,
    older_object_owns_the_instance,
    slot_is_held_elsewhere,
    // At rest.
    read_contradicts_what_was_seen,
    instance_is_in_sync,
    reads_disagree,
    own_plan_is_resumed,
    policy_forbids_changes,
    plan_is_to_the_declared_type,
    person_cancels_a_foreign_plan,
    plan_is_foreign,
    refusal_stands,
    // Before an order.
    change_was_ordered_before,
    answers_to_the_change_were_lost,
    instance_state_forbids_changes,
    object_is_served_twice,
    edit_is_too_young,
    account_is_refused,
    orders_are_needed,
    order_limit_is_reached,
    offers_are_needed,
    type_is_not_offered,
    bandwidth_exceeds_the_limit,
    prepaid_policy_forbids_the_change,
    order_is_held_back,
    machine_is_stopped_first,
];

/// What the world allows now, but for a machine that has to be started first.
pub fn first_that_applies(facts: &Facts) -> Decision {
    RULES.iter().find_map(|rule| rule(facts)).unwrap_or_else(|| order_the_change(facts))
}

/// Nothing is left to do about the type for now: a machine that was stopped for it is started, unless
/// something holds that back; after that the object is no longer kept from being deleted.
pub fn what_follows_the_type(facts: &Facts) -> Option<Decision> {
    start(facts).or_else(|| finalizer_is_not_needed(facts))
}

/// Nothing can be done, for as long as an object may be kept from being deleted.
pub fn object_is_kept_too_long(facts: &Facts) -> Option<Decision> {
    facts.is_kept_too_long().then(|| release_the_object(facts))
}
