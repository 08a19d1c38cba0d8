//! The controller around a pass, as `controller::run` has it: what a pass works with, how long it
//! may take, and when the object is looked at again. With `seams.rs` the only file that knows the
//! controller's types.

use std::{pin::Pin, sync::Arc, time::Duration};

use zenlayer_vm_operator::{
    api::VmInstance,
    controller::{Context, StoreError, reconcile},
    lifecycle::{Defaults, NextLook, backoff},
    telemetry::Metrics,
};

use crate::{
    executor::{Hub, VirtualClock},
    nature::SECOND,
    seams::Seam,
};

/// A pass that takes longer is dropped.
pub const PASS_LIMIT: i64 = 150 * SECOND;

pub type Ended = Result<NextLook, StoreError>;
pub type Pass = Pin<Box<dyn Future<Output = Ended>>>;

/// What the passes of one process share; a new process has a new one.
pub fn context(
    hub: &Arc<Hub>,
    process: usize,
    order_limit: u32,
    metrics: &Metrics,
) -> Arc<Context> {
    let seam = || Arc::new(Seam { hub: hub.clone(), process });
    let clock = Arc::new(VirtualClock { hub: hub.clone(), process });
    let defaults = Defaults { max_orders_per_hour: order_limit, ..Defaults::default() };
    Arc::new(Context::new(seam(), seam(), clock, defaults, metrics.clone()))
}

/// One pass of production code.
pub fn pass(object: Arc<VmInstance>, ctx: Arc<Context>) -> Pass {
    Box::pin(async move { reconcile(object, &ctx).await })
}

/// The pause after a pass (`None` in its place: it was cut); `None`: until the object changes.
pub fn pause(
    ended: Option<&Ended>,
    failures: &mut u32,
    uid: &str,
    ctx: &Context,
) -> Option<Duration> {
    match ended {
        Some(Ok(NextLook::After(pause))) => {
            *failures = 0;
            Some(*pause)
        }
        Some(Ok(NextLook::OnChange)) => {
            *failures = 0;
            None
        }
        Some(Err(StoreError::Conflict | StoreError::Gone)) => {
            *failures = 0;
            Some(Duration::from_secs(1))
        }
        Some(Ok(NextLook::Backoff) | Err(StoreError::Failed(_))) | None => {
            *failures = failures.saturating_add(1);
            Some(backoff::pause(*failures, &ctx.defaults.timing, uid))
        }
    }
}
