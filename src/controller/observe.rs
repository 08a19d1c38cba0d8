//! Gathers everything that a decision rests on. Reads only; a failed read is a value.

use std::sync::Arc;

use super::Context;
use crate::{
    api::VmInstance,
    lifecycle::{Claim, Desired, Memory, Observed, SecretState, Slot, standing_refusal},
    zenlayer::{Credentials, InstanceIds},
};

/// What was observed, and the credential that a call would use.
pub struct Seen {
    pub observed: Observed,
    pub credentials: Option<Credentials>,
}

pub async fn observe(ctx: &Context, object: &VmInstance, desired: &Desired) -> Seen {
    let memory = Memory::from_status(&object.status.clone().unwrap_or_default());
    let (secret, credentials) =
        ctx.store.secret(&desired.object.namespace, &desired.secret_name).await;
    let mut observed = Observed {
        began_at: ctx.clock.now(),
        instance: None,
        plan: None,
        slot: None,
        holder_exists: true,
        claim: Claim::Owner,
        memory,
        secret,
    };
    if let (Ok(memory), Some(credentials)) = (&observed.memory, &credentials)
        && !read_is_hopeless(desired, memory, &observed.secret, &observed)
    {
        observe_cloud(ctx, desired, credentials, &mut observed).await;
    }
    observed.claim = claim(&ctx.store.claims(&desired.instance_id), object, desired);
    Seen { observed, credentials }
}

/// The provider refused a read for good, and nothing has changed since.
fn read_is_hopeless(
    desired: &Desired,
    memory: &Memory,
    secret: &SecretState,
    observed: &Observed,
) -> bool {
    standing_refusal(desired, memory, secret, observed.began_at)
        .is_some_and(|refusal| refusal.call.is_none())
}

async fn observe_cloud(
    ctx: &Context,
    desired: &Desired,
    credentials: &Credentials,
    observed: &mut Observed,
) {
    let id = &desired.instance_id;
    let batch = ctx.cloud.describe_instances(credentials, &InstanceIds::one(id.clone())).await;
    let instance = batch.and_then(|batch| batch.into_one(id));
    let changing = observed.memory.as_ref().is_ok_and(|memory| memory.change.is_some());
    let (exists, differs) = match &instance {
        Ok(reading) => match &reading.value {
            Some(instance) => (true, instance.type_id != desired.type_id),
            None => (false, false),
        },
        Err(_) => (false, false),
    };
    observed.instance = Some(instance);
    if !(changing || differs) {
        return;
    }
    if exists {
        observed.plan = Some(ctx.cloud.describe_type_status(credentials, id).await);
    }
    let slot = ctx.store.slot(id).await.map_err(|error| error.to_string());
    if let Ok(slot) = &slot {
        observed.holder_exists = holder_exists(ctx, slot).await;
    }
    observed.slot = Some(slot);
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
