//! Slots that say nothing any more are deleted, and so are those whose object is gone and that nobody has
//! written for long: by time alone, without a read of the cloud.

use std::time::Duration;

use super::{
    Context,
    store::{KeptSlot, StoreError},
    unchanged::Unchanged,
};
use crate::lifecycle::{HoldingState, LaneName, ObjectKey, Timing};

/// Pause between two looks at all slots.
pub const SWEEP: Duration = Duration::from_secs(600);

/// What is known from one look to the next.
#[derive(Default)]
pub struct Sweep {
    unchanged: Unchanged,
}

impl Sweep {
    /// One look at all slots.
    pub async fn look(&mut self, ctx: &Context) {
        let slots = match ctx.store.slots().await {
            Ok(slots) => slots,
            Err(problem) => {
                tracing::warn!(%problem, "cannot list the slots");
                return;
            }
        };
        let now = ctx.clock.monotonic();
        self.unchanged.keep(slots.iter().map(|kept| kept.instance.as_str()));
        for kept in &slots {
            let age = self.unchanged.age(kept.instance.as_str(), &kept.slot.version, now);
            if is_over(ctx, kept, age).await {
                delete(ctx, kept).await;
            }
        }
    }
}

/// How long a slot that says nothing is kept: every margin in it is past by then.
fn margins(timing: &Timing) -> Duration {
    timing.fence().saturating_add(timing.signature_life).saturating_add(timing.margin)
}

async fn is_over(ctx: &Context, kept: &KeptSlot, age: Duration) -> bool {
    let timing = &ctx.defaults.timing;
    if kept.slot.record.is_free() {
        return age >= margins(timing) && !kept.slot.record.counts(ctx.clock.now());
    }
    let bound = margins(timing).saturating_add(timing.restore_bound);
    age >= bound && ctx.store.claims(&kept.instance).is_empty() && nobody_holds(ctx, kept).await
}

/// Whether every object that holds a lane, or has stopped the machine, is certainly gone.
async fn nobody_holds(ctx: &Context, kept: &KeptSlot) -> bool {
    if let Some(restore) = kept.slot.record.restore() {
        match &restore.object {
            Some(object) if is_gone(ctx, object).await => {}
            Some(_) | None => return false,
        }
    }
    for lane in LaneName::ALL {
        let lane = kept.slot.record.lane(lane);
        let Some(holding) = lane.holding() else {
            if lane.is_open() {
                return false;
            }
            continue;
        };
        // A request with a token never expires.
        let accepted = matches!(holding.state, HoldingState::Accepted { .. });
        if holding.fence.is_none() && !accepted || !is_gone(ctx, &holding.object).await {
            return false;
        }
    }
    true
}

async fn is_gone(ctx: &Context, key: &ObjectKey) -> bool {
    match ctx.store.object(&key.namespace, &key.name).await {
        Ok(None) => true,
        Ok(Some(object)) => object.metadata.uid.as_deref() != Some(key.uid.as_str()),
        Err(_) => false,
    }
}

async fn delete(ctx: &Context, kept: &KeptSlot) {
    match ctx.store.delete_slot(kept).await {
        Ok(()) => {
            tracing::info!(instance = %kept.instance, "deleted a slot that says nothing any more")
        }
        Err(StoreError::Conflict | StoreError::Gone) => {}
        Err(problem @ StoreError::Failed(_)) => {
            tracing::warn!(%problem, instance = %kept.instance, "cannot delete a slot");
        }
    }
}
