//! What has to hold before an order is made, and the call.

use zenlayer::{ChargeType, InstanceState, InstanceTypeId, ReadError};

use super::{looking::needs, permits::call_is_held_back};
use crate::{
    api::{ChangeKind, ChangeState, Direction, PrepaidDowngrade, PrepaidUpgrade, Reason, Strategy},
    lifecycle::{
        Desired, backoff,
        decision::{Action, Decision, Order},
        facts::Facts,
        offers,
        protocol::{Change, ChangeId, LaneName, Restore, Size},
        read::Read,
        refusal,
        situation::{AtRest, Calling, HeldBack, Looking, Power, ReadProblem},
        time::{after, is_within, whole_seconds},
    },
};

/// An edit that is taken back at once costs nothing.
pub fn edit_is_too_young(facts: &Facts) -> Option<Decision> {
    let delay = facts.desired.timing.order_delay;
    let known = facts.observed.since.spec;
    (known < delay).then(|| Decision::report(HeldBack::EditIsYoung { again_in: delay - known }))
}

/// The provider refused the account of the credential; one object tries again for all, and any object
/// at a person's word.
pub fn account_is_refused(facts: &Facts) -> Option<Decision> {
    let trouble = facts.observed.account.as_ref()?;
    let asked = refusal::is_asked_again(facts.desired, facts.memory);
    (!asked).then(|| Decision::report(Looking::InTrouble { trouble: trouble.clone() }))
}

/// How many orders were made is asked before anything else is read for one: hundreds of objects may
/// wait for a limit.
pub fn orders_are_needed(facts: &Facts) -> Option<Decision> {
    facts.observed.orders.is_none().then(|| needs(&[Read::Orders]))?
}

/// A bad commit may change hundreds of objects, and two tools may fight over one; the limits give a
/// person time to notice.
pub fn order_limit_is_reached(facts: &Facts) -> Option<Decision> {
    match facts.observed.orders.as_ref()? {
        Ok(count) => {
            let (which, limit, until) = count.reached(&facts.desired.orders)?;
            Some(Decision::report(HeldBack::OrderLimit { which, limit, until }))
        }
        Err(problem) => {
            Some(Decision::report(HeldBack::OrdersUnknown { problem: problem.clone() }))
        }
    }
}

/// Types on offer and list prices are read for an order only.
pub fn offers_are_needed(facts: &Facts) -> Option<Decision> {
    let prices = !has_prices(facts) && is_priced(facts);
    match (facts.observed.catalogue.is_none(), prices) {
        (true, true) => needs(&[Read::Catalogue, Read::Prices]),
        (true, false) => needs(&[Read::Catalogue]),
        (false, true) => needs(&[Read::Prices]),
        (false, false) => None,
    }
}

/// Prices of another type than the one that is in effect now say nothing.
fn has_prices(facts: &Facts) -> bool {
    let current = facts.observed.instance().map(|instance| &instance.type_id);
    facts.observed.prices.as_ref().is_some_and(|prices| Some(&prices.current.type_id) == current)
}

/// What is not known to be billed afterwards falls under the policies.
fn is_priced(facts: &Facts) -> bool {
    facts.observed.instance().is_some_and(|one| one.charge_type != ChargeType::Postpaid)
}

/// Nobody is asked for money for a type that the zone does not offer. Where the offers cannot be read,
/// the provider decides.
pub fn type_is_not_offered(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let catalogue = facts.observed.catalogue.as_ref()?.as_ref().ok()?;
    let want = &facts.desired.type_id;
    if catalogue.is_empty() || offers::find(catalogue, instance, want).is_some() {
        return None;
    }
    let zone = instance.zone_id.as_deref().unwrap_or("of the instance");
    let allowed = offers::allowed(catalogue, instance, want);
    let message = format!(
        "zone {zone} does not offer {want} for {}; set spec.instanceTypeId to one of {allowed}",
        instance.charge_type
    );
    refused_here(facts, Reason::InstanceTypeNotOffered, message)
}

/// A type may allow less bandwidth than the instance has.
pub fn bandwidth_exceeds_the_limit(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let catalogue = facts.observed.catalogue.as_ref()?.as_ref().ok()?;
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
    refused_here(facts, Reason::BandwidthExceedsLimit, message)
}

fn direction(facts: &Facts) -> Direction {
    let instance = facts.observed.instance();
    match (&facts.observed.prices, instance) {
        (Some(prices), Some(instance)) => {
            prices.direction(&instance.type_id, &facts.desired.type_id)
        }
        _ => Direction::Unknown,
    }
}

/// A PREPAID change is ordered only if the policy allows the way that it goes; where the way is
/// not known, only if it allows both.
pub fn prepaid_policy_forbids_the_change(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance().filter(|_| is_priced(facts))?;
    let (from, to) = (&instance.type_id, &facts.desired.type_id);
    let no_upgrade = facts.desired.prepaid_upgrade == PrepaidUpgrade::Deny;
    let no_downgrade = facts.desired.prepaid_downgrade == PrepaidDowngrade::Deny;
    let (reason, message) = match direction(facts) {
        Direction::Upgrade if no_upgrade => (
            Reason::UpgradeDenied,
            format!(
                "{from} to {to} is an upgrade of an instance that is billed in advance, and \
                 spec.prepaidUpgrade is Deny: set it to Allow, or spec.instanceTypeId to {from}"
            ),
        ),
        Direction::Downgrade if no_downgrade => (
            Reason::DowngradeDenied,
            format!(
                "{from} to {to} is a downgrade of an instance that is billed in advance, and \
                 spec.prepaidDowngrade is Deny: set it to Schedule, or spec.instanceTypeId to {from}"
            ),
        ),
        Direction::Unknown if no_upgrade || no_downgrade => return direction_is_unknown(facts),
        Direction::Upgrade | Direction::Downgrade | Direction::Unknown => return None,
    };
    refused_here(facts, reason, message)
}

/// A price that could not be read is asked for again; one that does not exist says nothing.
fn direction_is_unknown(facts: &Facts) -> Option<Decision> {
    if let Some(problem) = price_is_to_be_read_again(facts) {
        return Some(Decision::report(Looking::ReadFailed { problem }));
    }
    let (from, to) = (&facts.observed.instance()?.type_id, &facts.desired.type_id);
    let message = format!(
        "the list prices do not show whether {from} to {to} is an upgrade, and one way is denied: set \
         spec.prepaidUpgrade to Allow and spec.prepaidDowngrade to Schedule, or spec.instanceTypeId to \
         {from}"
    );
    refused_here(facts, Reason::DirectionUnknown, message)
}

fn price_is_to_be_read_again(facts: &Facts) -> Option<ReadProblem> {
    let failure = facts.observed.prices.as_ref().and_then(|prices| prices.failure());
    failure.filter(|error| passes(error)).map(refusal::of_price)
}

/// Whether a failed read is likely to be answered later.
fn passes(error: &ReadError) -> bool {
    !refusal::is_final(error)
}

/// A refusal by this operator. It is remembered like one of the provider, so that nothing is asked
/// again at every look; prices, catalogue and options may change, so it does not stand for ever.
fn refused_here(facts: &Facts, reason: Reason, message: String) -> Option<Decision> {
    let from = facts.observed.instance()?.type_id.clone();
    let call = (ChangeKind::Modify, from, facts.desired.type_id.clone());
    let refusal = refusal::made_here(facts, reason, message, call);
    Some(Decision::report(AtRest::Refused { refusal, account: None }))
}

/// What holds back every call holds back an order.
pub fn order_is_held_back(facts: &Facts) -> Option<Decision> {
    call_is_held_back(facts)
}

/// Strategy StopFirst: a running machine is shut down before its type is changed. A change that
/// waits for the next billing cycle happens at a moment that nobody announces, so nothing is
/// stopped for it. The object is kept from being deleted before the machine is stopped.
pub fn machine_is_stopped_first(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let waits = is_priced(facts) && direction(facts) == Direction::Downgrade;
    let stops = facts.desired.strategy == Strategy::StopFirst
        && instance.state == InstanceState::Running
        && !waits;
    if !stops {
        return None;
    }
    // It may be one that waits.
    if is_priced(facts)
        && direction(facts) == Direction::Unknown
        && let Some(problem) = price_is_to_be_read_again(facts)
    {
        return Some(Decision::report(Looking::ReadFailed { problem }));
    }
    if facts.lane(LaneName::Power).is_none_or(|lane| lane.free().is_none()) {
        return Some(Decision::report(crate::lifecycle::situation::Others::HeldElsewhere {
            holder: None,
        }));
    }
    let kind = ChangeKind::Stop;
    if let Some((tries, last)) = facts.memory.without_effect(facts.desired, kind) {
        let pause = backoff::before_another_stop(tries);
        let until = after(last, pause);
        if is_within(facts.now, last, pause) {
            return Some(Decision::report(HeldBack::DoesNotStop { tries, until }));
        }
    }
    if !facts.desired.has_finalizer {
        return Some(Decision::of(Action::SetFinalizer(true), Power::IsKept));
    }
    Some(call(facts, kind, &instance.type_id, &facts.desired.type_id))
}

/// Nothing holds the change back.
pub fn order_the_change(facts: &Facts) -> Decision {
    match facts.observed.instance() {
        Some(instance) => {
            call(facts, ChangeKind::Modify, &instance.type_id, &facts.desired.type_id)
        }
        None => Decision::report(Looking::TooOld),
    }
}

/// A change is named by its second. One that ended within this very second keeps its name, or an
/// answer to it could be taken for an answer to the next one.
pub fn name_is_taken(facts: &Facts, id: &ChangeId) -> bool {
    let record = facts.slot().record;
    let expected =
        |lane: &LaneName| record.lane(*lane).expects().is_some_and(|expects| expects.change == *id);
    facts.memory.has_ended(id)
        || LaneName::ALL.iter().any(|lane| facts.in_flight(*lane).is_some_and(|one| one.id == *id))
        || record.lane_of(id).is_some()
        || LaneName::ALL.iter().any(expected)
}

/// A call, as it is made now.
pub fn call(
    facts: &Facts,
    kind: ChangeKind,
    from: &InstanceTypeId,
    to: &InstanceTypeId,
) -> Decision {
    let slot = facts.slot();
    let change = made_now(facts, kind, from, to);
    let restore = (kind == ChangeKind::Stop).then(|| Restore {
        power_state: InstanceState::Running.as_str().to_owned(),
        stopped_by: change.id.clone(),
        object: Some(facts.desired.object.clone()),
        since: change.started_at,
    });
    let holding = change.holding(facts.desired.object.clone());
    if name_is_taken(facts, &change.id) {
        return Decision::report(Looking::TooOld);
    }
    let Some(taken) = slot.record.taken(holding, restore) else {
        return Decision::report(crate::lifecycle::situation::Others::HeldElsewhere {
            holder: None,
        });
    };
    let restore = taken.restore().cloned();
    let order = Order { change: change.clone(), slot, taken, restore };
    Decision::of(Action::Call(order), Calling { change })
}

fn made_now(facts: &Facts, kind: ChangeKind, from: &InstanceTypeId, to: &InstanceTypeId) -> Change {
    let Desired { object, type_id, generation, timing, .. } = facts.desired;
    let started_at = whole_seconds(facts.now);
    let expires = facts.observed.secret.expires_requests();
    let mut change = Change {
        id: ChangeId::new(&object.uid, started_at),
        kind,
        from: from.clone(),
        to: to.clone(),
        target_generation: facts.memory.target_for(type_id, *generation).since_generation,
        state: ChangeState::Submitting,
        adopted: false,
        direction: None,
        size: Size::default(),
        started_at,
        fence: expires.then(|| after(started_at, timing.fence())),
        submitted_at: None,
        seen_at: None,
        effective_at: None,
        deadline: Some(after(started_at, timing.limit(kind))),
        order_number: None,
        request_id: None,
    };
    if kind == ChangeKind::Modify {
        describe_the_order(facts, &mut change);
    }
    change
}

/// A change that somebody else has ordered, as it is followed from now on.
pub fn adopted(facts: &Facts, to: &InstanceTypeId) -> Option<Change> {
    let from = &facts.observed.instance()?.type_id;
    let change = made_now(facts, ChangeKind::Modify, from, to);
    Some(Change { state: ChangeState::Observed, adopted: true, fence: None, ..change })
}

/// What an order is compared with once it is in effect.
fn describe_the_order(facts: &Facts, change: &mut Change) {
    let Some(instance) = facts.observed.instance() else { return };
    if is_priced(facts) {
        change.direction = Some(direction(facts));
    }
    let catalogue = facts.observed.catalogue.as_ref().and_then(|read| read.as_ref().ok());
    let offer = catalogue.and_then(|offers| offers::find(offers, instance, &change.to));
    if let Some(offer) = offer {
        change.size = Size { cpu_count: offer.cpu_count, memory_gib: offer.memory_gib };
    }
}
