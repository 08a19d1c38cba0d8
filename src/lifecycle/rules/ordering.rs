//! What has to hold before a call is made, and the call.

use crate::{
    api::{ChangeKind, ChangeState, Direction, PrepaidDowngrade, PrepaidUpgrade, Reason, Strategy},
    lifecycle::{
        Action, Change, ChangeId, Decision, Desired, Restore, SecretState, Situation, Size,
        facts::Facts,
        offers, refusal,
        rules::permits::ordered_before,
        time::{after, whole_seconds},
    },
};
use zenlayer::{ChargeType, InstanceState, InstanceTypeId};

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
    Decision::report(Situation::Refused { refusal })
}

/// A bad commit may change hundreds of objects; the limit gives a person time to notice.
pub fn order_limit_is_reached(facts: &Facts) -> Option<Decision> {
    match facts.observed.orders.as_ref()? {
        Ok(count) if count.within_the_hour >= facts.desired.max_orders_per_hour => {
            Some(Decision::report(Situation::OrderLimitReached {
                limit: facts.desired.max_orders_per_hour,
                until: count.oldest_ends,
            }))
        }
        Ok(_) => None,
        Err(problem) => {
            Some(Decision::report(Situation::OrdersUnknown { problem: problem.clone() }))
        }
    }
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
            .unwrap_or_else(|| call(facts, kind, &instance.type_id, &facts.desired.type_id)),
    )
}

/// Nothing holds the change back.
pub fn order_the_change(facts: &Facts) -> Decision {
    match facts.observed.instance() {
        Some(instance) => {
            call(facts, ChangeKind::Modify, &instance.type_id, &facts.desired.type_id)
        }
        None => Decision::report(Situation::ReadsStale),
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
        return Decision::report(Situation::ReadsStale);
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
    let Action::Call { mut change, .. } = call(facts, ChangeKind::Modify, from, to).action else {
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
