//! Writes down the answer to a call. It is kept, and written again with growing pauses, until both the
//! slot and the status have it, or the fence of the call has passed.

use std::{sync::Arc, time::Duration};

use zenlayer::Answer;

use super::{
    execute::{Answered, Pauses, accepted_state, holds_intent},
    observe::Seen,
    publish::published,
};
use crate::{
    api::{ChangeKind, VmInstance, VmInstanceStatus},
    controller::{Context, store::StoreError},
    lifecycle::{ChangeId, Desired, Slot, SlotRecord, Verdict},
};

/// What the slot learns of an answer, and whether it learns it before the status does.
enum Learns {
    /// An acceptance: first, so that a crash in between loses nothing.
    First,
    /// A call that was not made, or refused, is given back last: an intent that the slot knows nothing of
    /// would count as made.
    Last,
    /// Nothing: nobody knows.
    Never,
}

fn learns(answer: &Answer) -> Learns {
    match answer {
        Answer::Accepted { .. } => Learns::First,
        Answer::NotSent { .. } | Answer::Refused(_) => Learns::Last,
        Answer::Unknown { .. } => Learns::Never,
    }
}

pub async fn record(
    ctx: &Context,
    mut object: Arc<VmInstance>,
    desired: &Desired,
    before: &VmInstanceStatus,
    seen: &Seen,
    answered: Answered,
    verdict: &Verdict,
) {
    let Answered { order, held, answer, taken_at } = answered;
    let id = &order.change.id;
    tell_the_credential(ctx, seen, order.change.kind, &answer, verdict);
    let learns = learns(&answer);
    let mut pauses = Pauses::until(taken_at, desired);
    let mut slot = Some(held).filter(|_| !matches!(learns, Learns::Never));
    let mut status_is_written = false;
    loop {
        if matches!(learns, Learns::First)
            && let Some(read) = slot.take()
        {
            let now = ctx.clock.now();
            let state = accepted_state(&answer, now);
            let update = |record: &SlotRecord| record.answered(id, state.clone()?);
            slot = update_slot(ctx, desired, read, id, update).await;
        }
        if !status_is_written {
            match write_status(ctx, &object, before, id, verdict).await {
                Written::Done => status_is_written = true,
                Written::Again(fresh) => object = fresh,
                Written::Failed => {}
            }
        }
        if matches!(learns, Learns::Last)
            && status_is_written
            && let Some(read) = slot.take()
        {
            slot = update_slot(ctx, desired, read, id, |record| record.given_back(id)).await;
        }
        if status_is_written && slot.is_none() {
            return;
        }
        if !pauses.pause(ctx).await {
            tracing::error!(change = %id, "the answer could not be recorded before its fence passed");
            return;
        }
    }
}

/// What the other objects of the credential learn.
fn tell_the_credential(
    ctx: &Context,
    seen: &Seen,
    kind: ChangeKind,
    answer: &Answer,
    verdict: &Verdict,
) {
    let Some(credential) = &seen.credential else { return };
    let now = ctx.clock.monotonic();
    match answer {
        Answer::Accepted { .. } if kind == ChangeKind::Modify => {
            let woken = ctx.troubles.accepted(&credential.scope);
            ctx.waker.wake(woken.into_iter().map(|key| (key.namespace, key.name)));
        }
        Answer::Refused(error) if error.status == 429 => {
            ctx.limiter.throttled(&credential.scope, now);
        }
        Answer::Accepted { .. }
        | Answer::Refused(_)
        | Answer::NotSent { .. }
        | Answer::Unknown { .. } => {}
    }
    if let Some(trouble) = &verdict.account {
        ctx.troubles.refused(&credential.scope, trouble.clone(), now);
    }
}

enum Written {
    /// The status says it, or is somebody else's to write.
    Done,
    /// Somebody wrote in between; the intent still stands in this version.
    Again(Arc<VmInstance>),
    Failed,
}

/// Writes the status to the change's own intent only.
async fn write_status(
    ctx: &Context,
    object: &Arc<VmInstance>,
    before: &VmInstanceStatus,
    id: &ChangeId,
    verdict: &Verdict,
) -> Written {
    match ctx.store.write_status(object, &verdict.status).await {
        Ok(written) => {
            published(ctx, before, &written, verdict).await;
            return Written::Done;
        }
        Err(StoreError::Gone) => return Written::Done,
        Err(StoreError::Conflict) => {}
        Err(StoreError::Failed(problem)) => {
            tracing::warn!(%problem, change = %id, "cannot record an answer; trying again");
        }
    }
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    match ctx.store.object(namespace, name).await {
        Ok(Some(fresh)) if fresh.metadata.uid == object.metadata.uid => {
            if fresh.status.as_ref() == Some(&verdict.status) {
                // The write without an answer has landed.
                published(ctx, before, &fresh, verdict).await;
                return Written::Done;
            }
            let ours = fresh.status.as_ref().is_some_and(|status| holds_intent(status, id));
            if ours { Written::Again(fresh) } else { Written::Done }
        }
        Ok(_) => Written::Done,
        Err(_) => Written::Failed,
    }
}

/// Writes the slot while this change holds it. Gives the slot to try again with, if it was not written.
async fn update_slot(
    ctx: &Context,
    desired: &Desired,
    read: Slot,
    change: &ChangeId,
    update: impl Fn(&SlotRecord) -> Option<SlotRecord>,
) -> Option<Slot> {
    let id = &desired.instance_id;
    let record = update(&read.record)?;
    match ctx.store.write_slot(id, &read, record).await {
        Ok(written) => {
            ctx.sightings.slot(id, &written.record, ctx.clock.monotonic());
            return None;
        }
        Err(error) => {
            tracing::warn!(%error, instance = %id, %change, "cannot update the slot; trying again");
        }
    }
    match ctx.store.slot(id).await {
        // Somebody else settled it.
        Ok(slot) if slot.record.lane_of(change).is_none() => None,
        Ok(slot) => Some(slot),
        Err(_) => Some(read),
    }
}

/// Gives a lane back whose call was not made; what cannot be written before the fence has passed is given
/// back by another pass.
pub async fn give_back(
    ctx: &Context,
    desired: &Desired,
    held: Slot,
    change: &ChangeId,
    taken_at: Duration,
) {
    let mut pauses = Pauses::until(taken_at, desired);
    let mut slot = Some(held);
    while let Some(read) = slot.take() {
        slot = update_slot(ctx, desired, read, change, |record| record.given_back(change)).await;
        if slot.is_some() && !pauses.pause(ctx).await {
            return;
        }
    }
}
