//! The controller around a pass, as `controller::run` has it: what a pass works with, how long it
//! may take, and when the object is looked at again. With `seams.rs` the only file that knows the
//! controller's types.

use std::{cell::OnceCell, pin::Pin, sync::Arc, time::Duration};

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
pub type Pass<'a> = Pin<Box<dyn Future<Output = Ended> + 'a>>;

/// What the passes of each process of a run share. It outlives the run, so that passes can borrow it.
#[derive(Default)]
pub struct Contexts(OnceCell<Box<(Context, Contexts)>>);

impl Contexts {
    /// That of a new process.
    pub fn add(&self, context: Context) -> &Context {
        match self.0.get() {
            Some(taken) => taken.1.add(context),
            None => &self.0.get_or_init(|| Box::new((context, Self::default()))).0,
        }
    }
}

/// What the passes of one process share.
pub fn context(hub: &Arc<Hub>, process: usize, order_limit: u32, metrics: &Metrics) -> Context {
    let seam = || Arc::new(Seam { hub: hub.clone(), process });
    let clock = Arc::new(VirtualClock { hub: hub.clone(), process });
    let defaults = Defaults { max_orders_per_hour: order_limit, ..Defaults::default() };
    Context::new(seam(), seam(), clock, defaults, metrics.clone())
}

/// One pass of production code.
pub fn pass(object: Arc<VmInstance>, ctx: &Context) -> Pass<'_> {
    Box::pin(reconcile(object, ctx))
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
