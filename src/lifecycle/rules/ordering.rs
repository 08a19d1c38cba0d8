//! What has to hold before a call is made, and the call.

use crate::{
    api::{ChangeKind, ChangeState, Direction, PrepaidDowngrade, PrepaidUpgrade, Reason, Strategy},
    lifecycle::{
        Action, Change, ChangeId, Decision, Desired, Restore, SecretState, Situation, Size,
        decide::{Facts, report},
        offers, refusal,
        rules::at_rest::{
            older_object_owns_the_instance, ordered_before, reads_disagree, slot_is_held_elsewhere,
        },
        time::{after, whole_seconds},
    },
};
use zenlayer::{ChargeType, InstanceState, InstanceTypeId};

pub fn instance_state_forbids_changes(facts: &Facts) -> Option<Decision> {
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

/// Nobody is asked for money for a type that the zone does not offer.
pub fn type_is_not_offered(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let catalogue = facts.observed.catalogue.as_deref().filter(|offers| !offers.is_empty())?;
    if offers::find(catalogue, instance, &facts.desired.type_id).is_some() {
        return None;
    }
    let want = &facts.desired.type_id;
    let zone = instance.zone_id.as_deref().unwrap_or("of the instance");
    let allowed = offers::allowed(catalogue, instance, want);
    let message = format!(
        "zone {zone} does not offer {want} for {}; set spec.instanceTypeId to one of {allowed}",
        instance.charge_type
    );
    Some(refused_here(facts, Reason::InstanceTypeNotOffered, message))
}

pub fn bandwidth_exceeds_the_limit(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let catalogue = facts.observed.catalogue.as_deref()?;
    let offer = offers::find(catalogue, instance, &facts.desired.type_id)?;
    if offers::carries(offer, instance) {
        return None;
    }
    let want = &facts.desired.type_id;
    let message = format!(
        "the instance has {} Mbps of bandwidth and {want} allows {}; lower the bandwidth, or set \
         spec.instanceTypeId to one of {}",
        instance.bandwidth_out.unwrap_or_default(),
        offer.bandwidth_limit.unwrap_or_default(),
        offers::allowed(catalogue, instance, want)
    );
    Some(refused_here(facts, Reason::BandwidthExceedsLimit, message))
}

/// A PREPAID change is ordered only if the policy allows the way that it goes; where the way is
/// not known, only if it allows both.
pub fn prepaid_policy_forbids_the_change(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    if instance.charge_type != ChargeType::Prepaid {
        return None;
    }
    let (from, to) = (&instance.type_id, &facts.desired.type_id);
    let no_upgrade = facts.desired.prepaid_upgrade == PrepaidUpgrade::Deny;
    let no_downgrade = facts.desired.prepaid_downgrade == PrepaidDowngrade::Deny;
    let (reason, message) = match facts.observed.prices.direction() {
        Direction::Upgrade if no_upgrade => (
            Reason::UpgradeDenied,
            format!(
                "{from} to {to} is an upgrade of a PREPAID instance, and prepaidUpgrade is Deny: \
                 set it to Allow, or declare {from}"
            ),
        ),
        Direction::Downgrade if no_downgrade => (
            Reason::DowngradeDenied,
            format!(
                "{from} to {to} is a downgrade of a PREPAID instance, and prepaidDowngrade is \
                 Deny: set it to Schedule, or declare {from}"
            ),
        ),
        Direction::Unknown if no_upgrade || no_downgrade => (
            Reason::DirectionUnknown,
            format!(
                "the list prices do not show whether {from} to {to} is an upgrade, and one way is \
                 denied: set prepaidUpgrade to Allow and prepaidDowngrade to Schedule, or declare \
                 {from}"
            ),
        ),
        Direction::Upgrade | Direction::Downgrade | Direction::Unknown => return None,
    };
    Some(refused_here(facts, reason, message))
}

/// A refusal by this operator. It is remembered like one of the provider, so that nothing is asked
/// again at every look; prices, catalogue and options may change, so it does not stand for ever.
fn refused_here(facts: &Facts, reason: Reason, message: String) -> Decision {
    let from = facts.observed.instance().map(|instance| instance.type_id.clone());
    let call = from.map(|from| crate::lifecycle::RefusedCall {
        kind: ChangeKind::Modify,
        from,
        to: facts.desired.type_id.clone(),
    });
    let version = facts.observed.secret.version().unwrap_or_default();
    let refusal = refusal::made_here(facts.desired, reason, message, call, version, facts.now);
    report(Situation::Refused { refusal })
}

/// A call is signed only while our clock is near the provider's: further away, the fence would say
/// nothing.
pub fn clock_is_skewed(facts: &Facts) -> Option<Decision> {
    let skews = facts.observed.dates().map(|date| facts.observed.began_at.duration_since(date));
    let skew = skews.max_by_key(|skew| skew.unsigned_abs())?;
    (skew.unsigned_abs() > facts.desired.timing.skew_limit)
        .then(|| report(Situation::ClockSkewed { seconds: skew.as_secs() }))
}

/// A bad commit may change hundreds of objects; the limit gives a person time to notice.
pub fn order_limit_is_reached(facts: &Facts) -> Option<Decision> {
    match facts.observed.orders.as_ref()? {
        Ok(count) if count.within_the_hour >= facts.desired.max_orders_per_hour => {
            Some(report(Situation::OrderLimitReached {
                limit: facts.desired.max_orders_per_hour,
                until: count.oldest_ends,
            }))
        }
        Ok(_) => None,
        Err(problem) => Some(report(Situation::OrdersUnknown { problem: problem.clone() })),
    }
}

/// A call rests on reads that are complete and have just been made.
pub fn reads_are_stale(facts: &Facts) -> Option<Decision> {
    let age = facts.now.duration_since(facts.observed.began_at);
    let fresh = !age.is_negative() && age.unsigned_abs() <= facts.desired.timing.freshness;
    let complete = facts.seen().is_some() && facts.observed.slot().is_some();
    (!fresh || !complete).then(|| report(Situation::ReadsStale))
}

/// A change that was seen has closed its slot; by now another one may hold it.
fn slot_is_held_by_another_change(facts: &Facts) -> Option<Decision> {
    let held = facts.observed.slot()?.record.holding.as_ref()?;
    let ours = facts.change().is_some_and(|change| change.id == held.change);
    (!ours).then(|| report(Situation::HeldElsewhere { holder: held.object.clone() }))
}

/// What holds back every call, also one that no rule of the list stands before.
pub fn call_is_held_back(facts: &Facts) -> Option<Decision> {
    let allowed = facts.desired.may_mutate();
    older_object_owns_the_instance(facts)
        .or_else(|| slot_is_held_elsewhere(facts))
        .or_else(|| slot_is_held_by_another_change(facts))
        .or_else(|| (!allowed).then(|| report(Situation::Suspended { hindrance: None })))
        .or_else(|| reads_disagree(facts))
        .or_else(|| clock_is_skewed(facts))
        .or_else(|| reads_are_stale(facts))
}

/// A change is named by its second. One that ended within this very second keeps its name, or an
/// answer to it could be taken for an answer to the next one.
fn name_is_taken(facts: &Facts, id: &ChangeId) -> bool {
    let record = facts.slot().record;
    facts.change().is_some_and(|change| change.id == *id)
        || facts.memory.history.iter().any(|entry| entry.id == *id)
        || record.returned.as_ref() == Some(id)
        || record.holding.iter().chain(&record.set_aside).any(|held| held.change == *id)
        || record.closed.iter().any(|closed| closed.change == *id)
}

/// Strategy StopFirst: a running machine is shut down before its type is changed. A change that
/// waits for the next billing cycle happens at a moment that nobody announces, so nothing is
/// stopped for it.
pub fn machine_is_stopped_first(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let waits = instance.charge_type == ChargeType::Prepaid
        && facts.observed.prices.direction() == Direction::Downgrade;
    let stops = facts.desired.strategy == Strategy::StopFirst
        && instance.state == InstanceState::Running
        && !waits;
    if !stops {
        return None;
    }
    let kind = ChangeKind::Stop;
    Some(
        ordered_before(facts, kind)
            .unwrap_or_else(|| facts.call(kind, &instance.type_id, &facts.desired.type_id)),
    )
}

/// Nothing holds the change back.
pub fn order_the_change(facts: &Facts) -> Decision {
    match facts.observed.instance() {
        Some(instance) => facts.call(ChangeKind::Modify, &instance.type_id, &facts.desired.type_id),
        None => report(Situation::ReadsStale),
    }
}

/// A call, as it is made now.
pub fn call(
    facts: &Facts,
    kind: ChangeKind,
    from: &InstanceTypeId,
    to: &InstanceTypeId,
) -> Decision {
    let Desired { object, type_id, generation, timing, .. } = facts.desired;
    let started_at = whole_seconds(facts.now);
    let expires = match &facts.observed.secret {
        SecretState::Usable { expires_requests, .. } => *expires_requests,
        SecretState::NotFound | SecretState::Incomplete { .. } | SecretState::Unreadable { .. } => {
            false
        }
    };
    let id = ChangeId::new(&object.uid, started_at);
    if name_is_taken(facts, &id) {
        return report(Situation::ReadsStale);
    }
    let restore = match kind {
        ChangeKind::Stop => Some(Restore {
            power_state: InstanceState::Running.as_str().to_owned(),
            stopped_by: id.clone(),
            since: started_at,
        }),
        ChangeKind::Modify | ChangeKind::CancelDowngrade | ChangeKind::Start => {
            facts.restore.clone()
        }
    };
    let mut change = Change {
        id,
        kind,
        from: from.clone(),
        to: to.clone(),
        target_generation: facts.memory.target_for(type_id, *generation).since_generation,
        state: ChangeState::Submitting,
        adopted: false,
        direction: None,
        power_state: None,
        size: Size::default(),
        started_at,
        fence: expires.then(|| after(started_at, timing.signature_life + timing.margin)),
        submitted_at: None,
        effective_at: None,
        deadline: Some(after(started_at, timing.limit(kind))),
        order_number: None,
        request_id: None,
    };
    if kind == ChangeKind::Modify {
        describe_the_order(facts, &mut change);
    }
    let situation = Situation::Calling { change: change.clone() };
    Decision { action: Action::Call { change, slot: facts.slot(), restore }, situation }
}

/// A change that somebody else has ordered, as it is followed from now on.
pub fn adopted(facts: &Facts, to: &InstanceTypeId) -> Option<Change> {
    let from = &facts.observed.instance()?.type_id;
    let Action::Call { mut change, .. } = facts.call(ChangeKind::Modify, from, to).action else {
        return None;
    };
    change.state = ChangeState::Observed;
    change.adopted = true;
    change.fence = None;
    change.power_state = None;
    Some(change)
}

/// What an order is compared with once it is in effect.
fn describe_the_order(facts: &Facts, change: &mut Change) {
    let Some(instance) = facts.observed.instance() else { return };
    if instance.charge_type == ChargeType::Prepaid {
        change.direction = Some(facts.observed.prices.direction());
    }
    if facts.restore.is_none() {
        change.power_state = Some(instance.state.clone());
    }
    let catalogue = facts.observed.catalogue.as_deref().unwrap_or_default();
    if let Some(offer) = offers::find(catalogue, instance, &change.to) {
        change.size = Size { cpu_count: offer.cpu_count, memory_gib: offer.memory_gib };
    }
}
