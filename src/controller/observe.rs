//! Gathers everything that a decision rests on. Reads only; a failed read is a value.

use std::sync::Arc;

use super::{Context, order_turns::Turn};
use crate::{
    api::{ChangeKind, Phase, VmInstance},
    lifecycle::{
        Claim, Desired, Memory, Observed, OrderCount, Prices, Slot, Standing, standing_refusal,
    },
};
use zenlayer::{ChargeType, Credentials, InstanceIds, InstanceState};

/// What was observed, and the credential that a call would use.
pub struct Seen {
    pub observed: Observed,
    pub credentials: Option<Credentials>,
    /// Held until the call is made, so that fresh reads do not grow old in a queue.
    _turn: Option<Turn>,
}

pub async fn observe(ctx: &Context, object: &VmInstance, desired: &Desired) -> Seen {
    let memory = Memory::from_status(&object.status.clone().unwrap_or_default());
    let (secret, credentials) =
        ctx.store.secret(&desired.object.namespace, &desired.secret_name).await;
    ctx.secrets.saw(&desired.object.uid, &secret);
    let mut observed = Observed {
        began_at: ctx.clock.now(),
        instance: None,
        plan: None,
        slot: None,
        holder_exists: true,
        claim: Claim::Owner,
        catalogue: None,
        prices: Prices::default(),
        orders: None,
        memory,
        secret,
    };
    observed.claim = claim(&ctx.store.claims(&desired.instance_id), object, desired);
    let mut turn = None;
    if let Some(credentials) = &credentials
        && let Ok(memory) = observed.memory.clone()
        && !read_is_hopeless(desired, &memory, &observed)
    {
        read_instance(ctx, desired, credentials, &mut observed).await;
        match interest(desired, object, &memory, &observed) {
            Interest::None => {}
            Interest::Follow => read_plan(ctx, desired, credentials, &mut observed).await,
            Interest::Order if limit_is_reached(ctx, desired, &mut observed).await => {
                // Nothing is ordered now, so nothing is read for an order; a change that is in flight
                // without a trace in the status is followed.
                read_slot(ctx, desired, &mut observed).await;
                if observed.standing(&desired.object, &desired.timing) != Standing::Idle {
                    read_plan(ctx, desired, credentials, &mut observed).await;
                }
            }
            Interest::Order => {
                read_offers(ctx, desired, credentials, &mut observed).await;
                turn = Some(ctx.turns.turn(&scope(desired)).await);
                read_again(ctx, desired, credentials, &mut observed).await;
            }
        }
    }
    Seen { observed, credentials, _turn: turn }
}

/// The provider refused a read for good, and nothing has changed since.
fn read_is_hopeless(desired: &Desired, memory: &Memory, observed: &Observed) -> bool {
    standing_refusal(desired, memory, &observed.secret, observed.began_at)
        .is_some_and(|refusal| refusal.call.is_none())
}

/// How much is to be read beyond the instance itself.
enum Interest {
    /// At rest: in sync, or nothing may be done.
    None,
    /// The plan and the slot.
    Follow,
    /// All that an order rests on.
    Order,
}

fn interest(
    desired: &Desired,
    object: &VmInstance,
    memory: &Memory,
    observed: &Observed,
) -> Interest {
    let Some(instance) = observed.instance() else {
        return if memory.change.is_some() { Interest::Follow } else { Interest::None };
    };
    let status = object.status.as_ref();
    let generation = status.and_then(|status| status.observed_generation);
    let first_look = generation.is_none_or(|generation| generation < 0);
    let owns = observed.claim == Claim::Owner;
    // Nobody is told "in sync" before the plan was read, too.
    let not_yet_in_sync = status.is_none_or(|status| status.phase != Some(Phase::InSync));
    let cancels =
        desired.cancel_plan.is_some() && desired.cancel_plan != memory.handled.cancel_plan;
    // A machine that is off may have been stopped by an object that is gone: the slot knows.
    let stopped = owns && instance.state == InstanceState::Stopped;
    let open = memory.change.is_some()
        || memory.restore.is_some()
        || memory.open_order().is_some()
        || stopped;
    let differs = instance.type_id != desired.type_id;
    let refused = standing_refusal(desired, memory, &observed.secret, observed.began_at)
        .and_then(|refusal| refusal.call.as_ref())
        .is_some_and(|call| call.from == instance.type_id && call.to == desired.type_id);
    let may_order = desired.may_mutate() && owns;
    let made_before = memory.made_before(desired, ChangeKind::Modify, &instance.type_id).is_some();
    match () {
        () if !differs && (open || owns && (not_yet_in_sync || cancels)) => Interest::Follow,
        () if memory.change.is_some() => Interest::Follow,
        () if differs && may_order && made_before => Interest::Follow,
        () if differs && may_order && !refused => Interest::Order,
        () if open || first_look => Interest::Follow,
        () => Interest::None,
    }
}

async fn read_instance(
    ctx: &Context,
    desired: &Desired,
    credentials: &Credentials,
    observed: &mut Observed,
) {
    let id = &desired.instance_id;
    let batch = ctx.cloud.describe_instances(credentials, &InstanceIds::one(id.clone())).await;
    observed.instance = Some(batch.and_then(|batch| batch.into_one(id)));
}

/// The plan and the slot.
async fn read_plan(
    ctx: &Context,
    desired: &Desired,
    credentials: &Credentials,
    observed: &mut Observed,
) {
    let id = &desired.instance_id;
    if observed.instance().is_some() {
        observed.plan = Some(ctx.cloud.describe_type_status(credentials, id).await);
    }
    read_slot(ctx, desired, observed).await;
}

/// The slot, and whether the object that holds it still exists.
async fn read_slot(ctx: &Context, desired: &Desired, observed: &mut Observed) {
    let slot = ctx.store.slot(&desired.instance_id).await.map_err(|error| error.to_string());
    if let Ok(slot) = &slot {
        observed.holder_exists = holder_exists(ctx, slot).await;
    }
    observed.slot = Some(slot);
}

/// Names the credential of an object.
fn scope(desired: &Desired) -> String {
    format!("{}/{}", desired.object.namespace, desired.secret_name)
}

/// What changes slowly, and is kept for a while: the types on offer, and the two list prices.
async fn read_offers(
    ctx: &Context,
    desired: &Desired,
    credentials: &Credentials,
    observed: &mut Observed,
) {
    let Some(instance) = observed.instance().cloned() else { return };
    let scope = format!("{} {}", scope(desired), observed.secret.version().unwrap_or_default());
    observed.catalogue =
        ctx.offers.catalogue(ctx.cloud.as_ref(), credentials, &scope, &instance).await;
    if instance.charge_type == ChargeType::Prepaid {
        let price = async |type_id| {
            ctx.offers.price(ctx.cloud.as_ref(), credentials, &scope, &instance, type_id).await
        };
        observed.prices = Prices {
            current: price(&instance.type_id).await,
            declared: price(&desired.type_id).await,
        };
    }
}

/// All that an order rests on, from now on.
async fn read_again(
    ctx: &Context,
    desired: &Desired,
    credentials: &Credentials,
    observed: &mut Observed,
) {
    observed.began_at = ctx.clock.now();
    read_instance(ctx, desired, credentials, observed).await;
    read_plan(ctx, desired, credentials, observed).await;
    read_orders(ctx, observed).await;
}

/// Whether as many changes were ordered within the hour as may be. Asked before anything is read for
/// an order: hundreds of objects may wait for the limit.
async fn limit_is_reached(ctx: &Context, desired: &Desired, observed: &mut Observed) -> bool {
    read_orders(ctx, observed).await;
    let count = observed.orders.as_ref().and_then(|orders| orders.as_ref().ok());
    count.is_some_and(|count| count.within_the_hour >= desired.max_orders_per_hour)
}

/// How many changes were ordered within the hour.
async fn read_orders(ctx: &Context, observed: &mut Observed) {
    let now = observed.began_at;
    let restore = observed.restore();
    let place = restore.as_ref().map(|restore| &restore.stopped_by);
    let orders = ctx.store.orders().await;
    let orders = orders.map(|ledger| OrderCount::of(&ledger.record, place, now));
    if let Ok(count) = &orders {
        ctx.metrics.orders_within_the_hour(count.within_the_hour);
    }
    observed.orders = Some(orders.map_err(|error| error.to_string()));
}

/// Whether the object that holds the slot still exists. Only a certain "no" counts as one.
async fn holder_exists(ctx: &Context, slot: &Slot) -> bool {
    let Some(holding) = &slot.record.holding else { return true };
    let key = &holding.object;
    match ctx.store.object(&key.namespace, &key.name).await {
        Ok(Some(object)) => object.metadata.uid.as_deref() == Some(key.uid.as_str()),
        Ok(None) => false,
        Err(_) => true,
    }
}

/// A claim counts once its own credential has observed the instance; among those, the oldest
/// owns it.
fn claim(claims: &[Arc<VmInstance>], me: &VmInstance, desired: &Desired) -> Claim {
    let age = |object: &VmInstance| {
        let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, object.metadata.uid.clone())
    };
    let older = claims
        .iter()
        .filter(|other| other.metadata.uid != me.metadata.uid)
        .filter(|other| other.status.as_ref().is_some_and(|status| status.instance.is_some()))
        .filter(|other| age(other) < age(me))
        .min_by_key(|other| age(other));
    match older {
        None => Claim::Owner,
        Some(owner) => Claim::Duplicate {
            owner: (owner.metadata.namespace.as_deref() == Some(&desired.object.namespace))
                .then(|| owner.metadata.name.clone())
                .flatten(),
        },
    }
}
