//! Gathers everything that a decision rests on: what the core needs is fetched, until it needs nothing
//! more. Reads only; a failed read is a value.

use std::time::Duration;

use zenlayer::{InstanceIds, ReadError};

use super::others::{claim, holder};
use crate::{
    api::{Phase, VmInstance, VmInstanceStatus},
    controller::{
        Context,
        cloud_view::{Ask, Caller, Class, InstanceRead, throttled, trouble_of},
        store::{Age, Credential},
        waker::Name,
    },
    lifecycle::{
        Desired, Held, Holder, Holders, LaneName, Memory, Observed, PerLane, Read, needs,
        speaks_of_rest,
    },
};

/// What was observed, and the credential that a call would use.
pub struct Seen {
    pub observed: Observed,
    pub credential: Option<Credential>,
}

pub async fn observe(ctx: &Context, object: &VmInstance, desired: &Desired) -> Seen {
    let (secret, credential) =
        ctx.store.secret(&desired.object, &desired.secret_name, Age::Kept).await;
    ctx.digests.saw(&desired.object.uid, &secret);
    let status = object.status.clone().unwrap_or_default();
    let now = ctx.clock.monotonic();
    let uid = &desired.object.uid;
    let mut observed = Observed {
        memory: Memory::from_status(&status),
        status_is_current: speaks_of_rest(&status, desired.generation),
        secret,
        claim: claim(ctx, object, desired),
        since: ctx.sightings.begin(uid, desired.generation, desired.timing.plan, now),
        instance: None,
        plan: None,
        slot: None,
        slot_is_anew: false,
        holders: Holders::default(),
        orders: None,
        catalogue: None,
        prices: None,
        for_a_call: false,
        quota: None,
        trouble: None,
        account: None,
        refused_in_a_row: 0,
        served_by: ctx.neighbours.serving(object),
    };
    if let Some(credential) = &credential {
        let scope = &credential.scope;
        observed.trouble = ctx.troubles.with_reads(scope, &desired.object, now);
        observed.refused_in_a_row = ctx.troubles.refused_in_a_row(scope);
        if observed.trouble.is_some() {
            // It is among those that are read once that is tried again.
            let name = name_of(desired);
            let times = (ctx.inventory.oldest(now), now);
            ctx.inventory.look(credential, &desired.instance_id, &name, Class::Drift, times);
        }
    } else {
        // Nothing is read any more with what the Secret held before.
        ctx.inventory.leave(&name_of(desired));
    }
    gather(ctx, desired, class(&status, desired.generation), credential.as_ref(), &mut observed)
        .await;
    Seen { observed, credential }
}

/// What was read so long ago is as good as read for this pass.
const JUST_NOW: Duration = Duration::from_secs(5);
/// How long a pass waits that is told once its turn has come, or its machine was read.
const TOLD: Duration = Duration::from_secs(60);

/// Fetches what is needed, until nothing more is, or something has to be waited for.
async fn gather(
    ctx: &Context,
    desired: &Desired,
    class: Class,
    credential: Option<&Credential>,
    observed: &mut Observed,
) {
    let name = name_of(desired);
    let caller = Caller::Object(name.clone());
    let mut spent = 0;
    loop {
        let reads = needs(desired, observed, ctx.clock.now());
        if reads.is_empty() {
            break;
        }
        let age = match reads {
            [Read::Slot] => Some(Age::Kept),
            [Read::SlotAnew] => Some(Age::Anew),
            _ => None,
        };
        if let Some(age) = age {
            read_slot(ctx, desired, age, observed).await;
            continue;
        }
        // The cloud is asked for nothing without one.
        let Some(credential) = credential else { break };
        let (scope, id, now) = (&credential.scope, &desired.instance_id, ctx.clock.monotonic());
        if reads == [Read::Instance] {
            let look = |oldest| ctx.inventory.look(credential, id, &name, class, (oldest, now));
            let mut read = look(ctx.inventory.oldest(now));
            // Nothing is left to do for an edit: that is believed of a read made for it alone.
            if class == Class::Edit && read.as_ref().is_some_and(|read| shows_type(read, desired)) {
                read = look(now.saturating_sub(JUST_NOW));
            }
            let Some(read) = read else {
                observed.quota = Some(TOLD);
                break;
            };
            observed.instance = Some(read);
            note_reads(ctx, desired, observed);
            continue;
        }
        // Such reads fail for the credential, and another object tries again for all.
        if ctx.troubles.with_own_reads(scope, &desired.object, now).is_some() {
            observed.quota = Some(TOLD);
            break;
        }
        let calls = calls(ctx, desired, credential, reads, observed);
        let for_a_call = reads.contains(&Read::ForACall);
        let class = if for_a_call { class.min(Class::Order) } else { class };
        let ask = Ask { class, calls, spent };
        if calls > 0 && !ctx.limiter.turns(scope, &caller, ask, now) {
            observed.quota = Some(TOLD);
            break;
        }
        spent += calls;
        for read in reads {
            fetch(ctx, desired, credential, *read, observed).await;
        }
    }
    // Whoever waits keeps what it has: it begins anew when it is told.
    if let Some(credential) = credential.filter(|_| observed.quota.is_none()) {
        ctx.limiter.done(&credential.scope, &caller);
    }
}

fn name_of(desired: &Desired) -> Name {
    (desired.object.namespace.clone(), desired.object.name.clone())
}

/// Whether a machine shows the type that is declared.
fn shows_type(read: &InstanceRead, desired: &Desired) -> bool {
    let Ok(reading) = read else { return false };
    reading.value.as_ref().is_some_and(|instance| instance.type_id == desired.type_id)
}

/// How soon an object is served: a person waits for an edit, nobody for a look at what is at rest.
pub fn class(status: &VmInstanceStatus, generation: i64) -> Class {
    if speaks_of_rest(status, generation) {
        Class::Drift
    } else if status.observed_generation.is_some_and(|seen| seen != generation) {
        Class::Edit
    } else if status.observed_generation.is_none()
        || status.change.is_some()
        || !status.power.is_empty()
    {
        Class::InFlight
    } else if status.phase == Some(Phase::Failed) {
        Class::Drift
    } else {
        Class::Order
    }
}

/// How many calls of the provider these reads take; the call that an order makes is one of them.
fn calls(
    ctx: &Context,
    desired: &Desired,
    credential: &Credential,
    reads: &[Read],
    observed: &Observed,
) -> u32 {
    let scope = &credential.scope;
    let of = |read: &Read| match (read, observed.instance()) {
        (Read::Plan, _) => 1,
        (Read::Instance | Read::Slot | Read::SlotAnew | Read::Orders, _) => 0,
        (Read::Catalogue, Some(instance)) => ctx.offers.calls_for_catalogue(scope, instance),
        (Read::Prices, Some(instance)) => {
            let types = [&instance.type_id, &desired.type_id];
            ctx.offers.calls_for_prices(scope, instance, types)
        }
        (Read::Catalogue | Read::Prices, None) => 0,
        (Read::ForACall, _) => 3,
    };
    reads.iter().map(of).sum()
}

async fn fetch(
    ctx: &Context,
    desired: &Desired,
    credential: &Credential,
    read: Read,
    observed: &mut Observed,
) {
    match read {
        // From the inventory.
        Read::Instance => {}
        Read::Plan => read_plan(ctx, desired, credential, observed).await,
        Read::Slot => read_slot(ctx, desired, Age::Kept, observed).await,
        Read::SlotAnew => read_slot(ctx, desired, Age::Anew, observed).await,
        Read::Orders => read_orders(ctx, desired, credential, observed).await,
        Read::Catalogue => {
            let Some(instance) = observed.instance() else { return };
            let read = ctx.offers.catalogue(ctx.cloud.as_ref(), credential, instance).await;
            note_throttling(ctx, credential, read.as_ref().err());
            observed.catalogue = Some(read);
        }
        Read::Prices => {
            let Some(instance) = observed.instance() else { return };
            let cloud = ctx.cloud.as_ref();
            let prices = ctx.offers.prices(cloud, credential, instance, &desired.type_id).await;
            note_throttling(ctx, credential, prices.failure());
            observed.prices = Some(prices);
        }
        Read::ForACall => {
            // Together, so that neither grows old while the other is waited for.
            let (instance, plan) = futures::join!(
                describe_instance(ctx, desired, credential),
                ctx.cloud.describe_type_status(&credential.credentials, &desired.instance_id),
            );
            let failed = instance.as_ref().err().or(plan.as_ref().err());
            note_own_read(ctx, credential, failed);
            observed.instance = Some(instance);
            observed.plan = Some(plan);
            note_reads(ctx, desired, observed);
            read_slot(ctx, desired, Age::Kept, observed).await;
            observed.for_a_call = true;
        }
    }
}

async fn describe_instance(
    ctx: &Context,
    desired: &Desired,
    credential: &Credential,
) -> InstanceRead {
    let id = &desired.instance_id;
    let ids = InstanceIds::one(id.clone());
    let batch = ctx.cloud.describe_instances(&credential.credentials, &ids).await;
    batch.and_then(|batch| batch.into_one(id))
}

async fn read_plan(
    ctx: &Context,
    desired: &Desired,
    credential: &Credential,
    observed: &mut Observed,
) {
    let id = &desired.instance_id;
    let read = ctx.cloud.describe_type_status(&credential.credentials, id).await;
    note_own_read(ctx, credential, read.as_ref().err());
    observed.plan = Some(read);
    note_reads(ctx, desired, observed);
}

/// Since when the machine has been as it shows.
fn note_reads(ctx: &Context, desired: &Desired, observed: &mut Observed) {
    let now = ctx.clock.monotonic();
    ctx.sightings.read(&desired.object.uid, observed, desired.timing.plan, now);
}

/// What a read of this pass tells of the credential.
fn note_own_read(ctx: &Context, credential: &Credential, error: Option<&ReadError>) {
    let (scope, now) = (&credential.scope, ctx.clock.monotonic());
    let Some(error) = error else {
        let freed = ctx.troubles.own_read_answered(scope);
        return ctx.waker.wake_keys(freed);
    };
    note_throttling(ctx, credential, Some(error));
    ctx.troubles.own_read_failed(scope, error, trouble_of(error), now);
}

/// An order does without what is on offer, so a failure to read that is nobody's trouble.
fn note_throttling(ctx: &Context, credential: &Credential, error: Option<&ReadError>) {
    if let Some(error) = error.and_then(throttled) {
        let now = ctx.clock.monotonic();
        ctx.limiter.throttled(&credential.scope, error.pause(), now);
    }
}

/// The slot, and what is known of the objects that hold its lanes.
async fn read_slot(ctx: &Context, desired: &Desired, age: Age, observed: &mut Observed) {
    let id = &desired.instance_id;
    let slot = ctx.store.slot(id, age).await;
    if let Ok(slot) = &slot {
        observed.since.lanes = ctx.sightings.slot(id, &slot.record, ctx.clock.monotonic());
        let holder = async |lane| match slot.record.lane(lane).held() {
            Held::By(holding) if holding.object.uid != desired.object.uid => {
                holder(ctx, desired, holding, observed.since.lanes.of(lane).0).await
            }
            Held::By(_) | Held::Nobody | Held::Unreadable => Holder::Counts,
        };
        let of_type = holder(LaneName::Type).await;
        let of_power = holder(LaneName::Power).await;
        observed.holders = PerLane { of_type, of_power };
    }
    observed.slot = Some(slot.map_err(|error| error.to_string()));
    observed.slot_is_anew = age == Age::Anew;
}

/// How many orders were made within the last hour, and whether the account takes any.
async fn read_orders(
    ctx: &Context,
    desired: &Desired,
    credential: &Credential,
    observed: &mut Observed,
) {
    let place = observed.slot().and_then(|slot| slot.record.place());
    let count = ctx.orders.count(desired, place, ctx.clock.now()).await;
    if let Ok(count) = &count {
        ctx.metrics.orders_within_the_hour(count.all.count);
    }
    observed.orders = Some(count.map_err(|error| error.to_string()));
    let now = ctx.clock.monotonic();
    observed.account = ctx.troubles.with_account(&credential.scope, &desired.object, now);
}
