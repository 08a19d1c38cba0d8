//! Writes down the answer to a call. It is kept, and written again with growing pauses, until both the
//! slot and the status have it; after the fence of the call a few times more.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use zenlayer::{Answer, error::ErrorClass};

use super::{
    observe::Seen,
    publish::{published, status_for},
    slot::{Pauses, update_slot},
};
use crate::{
    api::{ChangeKind, ChangeState, VmInstance, VmInstanceStatus},
    controller::{Context, store::StoreError},
    lifecycle::{
        ChangeId, Desired, HoldingState, Order, Slot, SlotRecord, Verdict, answer_put_in, taken_out,
    },
};

/// A call that was made.
pub struct Answered {
    pub order: Order,
    /// The slot as this call took it.
    pub held: Slot,
    pub answer: Answer,
    /// When the slot was taken, by the monotonic clock.
    pub taken_at: Duration,
}

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
    let answered_at = ctx.clock.now();
    let mut pauses = Pauses::until(taken_at, desired);
    let mut slot = Some(held).filter(|_| !matches!(learns, Learns::Never));
    let mut status_is_written = false;
    loop {
        if matches!(learns, Learns::First)
            && let Some(read) = slot.take()
        {
            let state = accepted_state(&answer, answered_at);
            let update = |record: &SlotRecord| record.answered(id, state.clone()?);
            slot = update_slot(ctx, desired, read, id, update).await;
        }
        if !status_is_written {
            match write_status(ctx, &object, before, id, verdict).await {
                Written::Done => status_is_written = true,
                Written::Again(fresh) => object = fresh,
                Written::Beside(fresh) => {
                    let now = fresh.status.clone().unwrap_or_default();
                    status_is_written = match learns {
                        Learns::First => {
                            let status = answer_put_in(&now, &verdict.status, &order);
                            let written = write_beside(ctx, &fresh, &status).await;
                            if let Ok(Some(written)) = &written {
                                published(ctx, &now, written, verdict).await;
                            }
                            written.is_ok()
                        }
                        Learns::Last => {
                            write_beside(ctx, &fresh, &taken_out(&now, &order)).await.is_ok()
                        }
                        // The intent tells of a call without an answer.
                        Learns::Never => true,
                    };
                }
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
            ctx.waker.wake_keys(woken);
        }
        Answer::Refused(error) if error.class() == ErrorClass::Throttled => {
            ctx.limiter.throttled(&credential.scope, error.pause(), now);
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
    /// Somebody else wrote conditions in between, and nothing else.
    Again(Arc<VmInstance>),
    /// Another process wrote in between: the verdict does not rest on what this version says.
    Beside(Arc<VmInstance>),
    Failed,
}

/// Writes the status to the change's own intent only, beside what others have written meanwhile.
async fn write_status(
    ctx: &Context,
    object: &Arc<VmInstance>,
    before: &VmInstanceStatus,
    id: &ChangeId,
    verdict: &Verdict,
) -> Written {
    match ctx.store.write_status(object, &status_for(object, verdict)).await {
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
            if fresh.status.as_ref() == Some(&status_for(&fresh, verdict)) {
                // The write without an answer has landed.
                published(ctx, before, &fresh, verdict).await;
                return Written::Done;
            }
            let now = fresh.status.clone().unwrap_or_default();
            let known = object.status.as_ref().map(|known| known.beside_others(&now));
            if !holds_intent(&now, id) {
                Written::Done
            } else if known == Some(now) {
                Written::Again(fresh)
            } else {
                Written::Beside(fresh)
            }
        }
        Ok(_) => Written::Done,
        Err(_) => Written::Failed,
    }
}

/// Writes what another process has written with what this answer means for the intent in it. `None`: the
/// object is gone.
async fn write_beside(
    ctx: &Context,
    fresh: &VmInstance,
    status: &VmInstanceStatus,
) -> Result<Option<Arc<VmInstance>>, StoreError> {
    match ctx.store.write_status(fresh, status).await {
        Ok(written) => Ok(Some(written)),
        Err(StoreError::Gone) => Ok(None),
        Err(error @ (StoreError::Conflict | StoreError::Failed(_))) => Err(error),
    }
}

/// Whether a status holds the intent of this change.
pub fn holds_intent(status: &VmInstanceStatus, id: &ChangeId) -> bool {
    status.changes().any(|change| change.id == id.0 && change.state == ChangeState::Submitting)
}

/// What an accepted call leaves in its lane.
pub fn accepted_state(answer: &Answer, now: Timestamp) -> Option<HoldingState> {
    match answer {
        Answer::Accepted { order_number, request_id } => Some(HoldingState::Accepted {
            at: now,
            order_number: order_number.clone(),
            request_id: request_id.clone(),
        }),
        Answer::NotSent { .. } | Answer::Refused(_) | Answer::Unknown { .. } => None,
    }
}
