//! Writes the verdict: the status, version-checked, then events and metrics.

use std::sync::Arc;

use crate::{
    api::{
        CANCEL_PLAN_ANNOTATION, HistoryEntry, RELEASE_ANNOTATION, REQUESTED_AT_ANNOTATION, Reason,
        VmInstance, VmInstanceStatus,
    },
    controller::{Context, field_managers, store::StoreError},
    lifecycle::{Event, Verdict},
};

/// Writes the status if it differs from the object's. It is dropped on conflict, because the next pass
/// makes a better one.
pub async fn publish(
    ctx: &Context,
    object: Arc<VmInstance>,
    before: &VmInstanceStatus,
    verdict: &Verdict,
) -> Result<(), StoreError> {
    let status = status_for(&object, verdict);
    if object.status.as_ref() == Some(&status) {
        return Ok(());
    }
    match ctx.store.write_status(&object, &status).await {
        Ok(written) => {
            published(ctx, before, &written, verdict).await;
            Ok(())
        }
        Err(StoreError::Gone) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The verdict beside what others have written into the status of the object as it is by now: a pass that
/// has written it before may have met their conditions.
pub fn status_for(object: &VmInstance, verdict: &Verdict) -> VmInstanceStatus {
    let found = object.status.as_ref();
    found.map_or_else(|| verdict.status.clone(), |found| verdict.status.beside_others(found))
}

/// What follows once the status is written.
pub async fn published(
    ctx: &Context,
    before: &VmInstanceStatus,
    written: &VmInstance,
    verdict: &Verdict,
) {
    ctx.metrics.status_written();
    for ended in ended(before, written) {
        ctx.metrics.change_ended(ended.kind.as_str(), ended.outcome.as_str());
    }
    for event in verdict.events.iter().chain(&annotations_handled(before, written)) {
        let over_a_limit = [
            Reason::OrderLimitReached,
            Reason::NamespaceOrderLimitReached,
            Reason::ObjectOrderLimitReached,
        ];
        if over_a_limit.iter().any(|reason| reason.as_str() == event.reason) {
            ctx.metrics.order_held_back();
        }
        ctx.store.publish_event(written, event).await;
    }
}

/// The changes that this status is the first one to know as ended.
fn ended<'a>(
    before: &VmInstanceStatus,
    written: &'a VmInstance,
) -> impl Iterator<Item = &'a HistoryEntry> {
    let history = written.status.iter().flat_map(|status| &status.history);
    let key = |one: &HistoryEntry| (one.id.clone(), one.outcome);
    let known: Vec<_> = before.history.iter().map(key).collect();
    history.filter(move |one| !known.contains(&key(one)))
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
