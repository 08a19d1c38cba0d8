//! The other objects that name the same instance, or hold a lane of its slot.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    api::{ManagementPolicy, VmInstance},
    controller::{Context, store::StoreError},
    lifecycle::{Claim, Desired, Holder, Holding, HoldingState, Owner},
};

/// How many looks an owner may miss before it no longer counts.
const MISSED_LOOKS: u32 = 3;
/// How young an object is for which an older one may be about to be deleted.
const YOUNG: Duration = Duration::from_secs(60);

/// Whether the object that holds a lane, as it has been for so long, looks after its change. Only a certain
/// "no" counts as one.
pub async fn holder(
    ctx: &Context,
    desired: &Desired,
    holding: &Holding,
    held_for: Duration,
) -> Holder {
    let key = &holding.object;
    match ctx.store.object(&key.namespace, &key.name).await {
        Ok(Some(object)) if object.metadata.uid.as_deref() != Some(key.uid.as_str()) => {
            Holder::DoesNotCount
        }
        Ok(Some(object))
            if !counts(&object, desired, ctx.clock.now())
                && !gives_it_back(&object, desired, holding, held_for) =>
        {
            Holder::DoesNotCount
        }
        Ok(None) => Holder::DoesNotCount,
        Ok(Some(_)) | Err(StoreError::Conflict | StoreError::Gone | StoreError::Failed(_)) => {
            Holder::Counts
        }
    }
}

/// Whether this object itself gives a lane back that was taken for a call that it never made. It needs no
/// read of the cloud for that, and alone knows it; but it may be out of order for ever.
fn gives_it_back(
    object: &VmInstance,
    desired: &Desired,
    holding: &Holding,
    held_for: Duration,
) -> bool {
    let made = object
        .status
        .as_ref()
        .is_some_and(|status| status.changes().any(|change| change.id == holding.change.0));
    let waited = held_for > desired.timing.fence() * 2;
    holding.state == HoldingState::Open && !made && !waited
}

/// Whether an object counts among those that name an instance: its own credential has observed the
/// instance, can still read it, and the object is not being deleted.
fn counts(object: &VmInstance, desired: &Desired, now: Timestamp) -> bool {
    let instance = object.status.as_ref().and_then(|status| status.instance.as_ref());
    let lapsed = instance.and_then(|one| one.unread_since.as_ref()).is_some_and(|since| {
        let age = now.duration_since(since.0);
        !age.is_negative() && age.unsigned_abs() > desired.timing.drift * MISSED_LOOKS
    });
    instance.is_some() && !lapsed && object.metadata.deletion_timestamp.is_none()
}

/// Among the claims that count, the oldest one owns the instance.
pub fn claim(ctx: &Context, me: &VmInstance, desired: &Desired) -> Claim {
    let now = ctx.clock.now();
    let age = |object: &VmInstance| {
        let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, object.metadata.uid.clone())
    };
    let older = ctx
        .store
        .claims(&desired.instance_id)
        .into_iter()
        .filter(|other| other.metadata.uid != me.metadata.uid)
        .filter(|other| counts(other, desired, now) && age(other) < age(me))
        .min_by_key(|other: &Arc<VmInstance>| age(other));
    let Some(owner) = older else { return Claim::Owner };
    let young = age(me).0.is_some_and(|created| {
        let age = now.duration_since(created);
        age.is_negative() || age.unsigned_abs() < YOUNG
    });
    let near = owner.metadata.namespace.as_deref() == Some(&desired.object.namespace);
    let owner = near.then(|| Owner {
        name: owner.metadata.name.clone().unwrap_or_default(),
        passive: passive(&owner),
    });
    Claim::Duplicate { owner, young }
}

/// Why an owner changes nothing itself.
fn passive(owner: &VmInstance) -> Option<&'static str> {
    match (owner.spec.management_policy, owner.spec.suspend) {
        (ManagementPolicy::Observe, _) => {
            Some("only observes it (spec.managementPolicy is Observe)")
        }
        (ManagementPolicy::Enforce, true) => Some("is suspended (spec.suspend is true)"),
        (ManagementPolicy::Enforce, false) => None,
    }
}
