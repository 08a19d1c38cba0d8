//! Writes the verdict: the status, version-checked, then events and metrics.

use std::sync::Arc;

use super::{Context, field_managers, store::StoreError};
use crate::{
    api::{
        CANCEL_PLAN_ANNOTATION, ChangeState, RELEASE_ANNOTATION, REQUESTED_AT_ANNOTATION, Reason,
        VmInstance, VmInstanceStatus,
    },
    lifecycle::{ChangeId, Event, Verdict},
};

/// How often an answer is written again when somebody else wrote in between.
const TRIES: usize = 5;

/// Writes the status if it differs from the object's. `before` is the status at the beginning of
/// the pass: an intent may have been written since. An answer is written to its own change only,
/// and read again on conflict; any other status is dropped on conflict, because the next pass makes
/// a better one.
pub async fn publish(
    ctx: &Context,
    object: Arc<VmInstance>,
    before: &VmInstanceStatus,
    verdict: &Verdict,
) -> Result<(), StoreError> {
    if object.status.as_ref() == Some(&verdict.status) {
        return Ok(());
    }
    let mut object = object;
    for _ in 0..TRIES {
        match ctx.store.write_status(&object, &verdict.status).await {
            Ok(written) => {
                ctx.metrics.status_written();
                for event in verdict.events.iter().chain(&annotations_handled(before, &written)) {
                    if event.reason == Reason::OrderLimitReached.as_str() {
                        ctx.metrics.order_held_back();
                    }
                    ctx.store.publish_event(&written, event).await;
                }
                return Ok(());
            }
            Err(StoreError::Gone) => return Ok(()),
            Err(StoreError::Conflict) => {}
            Err(error @ StoreError::Failed(_)) => {
                if verdict.answers.is_none() {
                    return Err(error);
                }
                tracing::warn!(%error, "cannot record an answer; trying again");
            }
        }
        let Some(change) = &verdict.answers else { return Err(StoreError::Conflict) };
        match reread(ctx, &object, change).await {
            Some(fresh) => object = fresh,
            None => return Ok(()),
        }
    }
    Err(StoreError::Conflict)
}

/// One event for each one-shot annotation that was acted on, with who set it.
fn annotations_handled(before: &VmInstanceStatus, after: &VmInstance) -> Vec<Event> {
    let now = after.status.as_ref().map(|status| status.handled.clone()).unwrap_or_default();
    let before = before.handled.clone();
    let told = [
        (REQUESTED_AT_ANNOTATION, before.requested_at, now.requested_at),
        (RELEASE_ANNOTATION, before.release, now.release),
        (CANCEL_PLAN_ANNOTATION, before.cancel_plan, now.cancel_plan),
    ];
    let event = |(annotation, value): (&str, String)| {
        let manager = field_managers::of(after, &["metadata", "annotations", annotation]);
        let manager = manager.as_deref().unwrap_or("an unknown manager");
        Event {
            warning: false,
            reason: "AnnotationHandled",
            note: format!("{annotation}={value}, set by {manager}, was acted on"),
        }
    };
    told.into_iter()
        .filter(|(_, before, now)| before != now)
        .filter_map(|(annotation, _, now)| now.map(|value| (annotation, value)))
        .map(event)
        .collect()
}

/// The object as it stands now, if its status still holds the intent of this change.
async fn reread(ctx: &Context, object: &VmInstance, change: &ChangeId) -> Option<Arc<VmInstance>> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    match ctx.store.object(namespace, name).await {
        Ok(Some(fresh)) if fresh.metadata.uid == object.metadata.uid => {
            let held = fresh.status.as_ref().and_then(|status| status.change.as_ref());
            let ours = held
                .is_some_and(|held| held.id == change.0 && held.state == ChangeState::Submitting);
            ours.then_some(fresh)
        }
        Ok(_) => None,
        Err(_) => Some(Arc::new(object.clone())),
    }
}
