//! The controller around a pass, as `controller::run` has it: what passes share, the look at all slots,
//! and when an object is looked at again. With `seams.rs` the only file that knows the controller's
//! types.

use std::{cell::OnceCell, num::NonZeroU32, pin::Pin, sync::Arc, time::Duration};

use zenlayer_vm_operator::{
    api::VmInstance,
    controller::{Context, GRACE, StoreError, Sweep, read_due, reconcile},
    lifecycle::{Defaults, NextLook, OrderLimits, backoff},
    telemetry::Metrics,
};

use crate::{
    executor::{Hub, VirtualClock},
    nature::{MINUTE, Nature, SECOND},
    seams::Seam,
    switches,
};

/// Pause between two looks at all slots: `controller::sweep::PAUSE`.
pub const SWEEP_PAUSE: i64 = 10 * MINUTE;
/// A process that no longer leads has as long to end its passes.
pub const LONGEST_END: i64 = GRACE.as_secs().cast_signed() * SECOND;

/// What a future of production code gave.
pub enum Ended {
    Pass(Result<NextLook, StoreError>),
    /// What the look at all slots remembers until the next one.
    Sweep(Sweep),
    /// After what time reads may be due again.
    Reads(Duration),
}

pub type Work<'a> = Pin<Box<dyn Future<Output = Ended> + 'a>>;

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
pub fn context(hub: &Arc<Hub>, process: usize, nature: &Nature, metrics: &Metrics) -> Context {
    let seam = || Arc::new(Seam { hub: hub.clone(), process });
    let clock = Arc::new(VirtualClock { hub: hub.clone(), process });
    let [all, namespace, object] = nature.order_limits;
    let orders = OrderLimits { all, namespace, object };
    let defaults = Defaults { orders, timing: switches::timing(), ..Defaults::default() };
    let rate = NonZeroU32::new(nature.calls_per_second).unwrap_or(NonZeroU32::MIN).into();
    // Chance may differ from run to run, and the name of a process is a chance.
    let name = format!("{process}-{}", hub.lock().now);
    let mut context = Context::new(seam(), seam(), clock, defaults, metrics.clone(), rate);
    context.process = name;
    context
}

/// One pass of production code.
pub fn pass(object: Arc<VmInstance>, ctx: &Context) -> Work<'_> {
    Box::pin(async { Ended::Pass(Box::pin(reconcile(object, ctx)).await) })
}

/// One look at all slots.
pub fn sweep(mut sweep: Sweep, ctx: &Context) -> Work<'_> {
    Box::pin(async {
        sweep.look(ctx).await;
        Ended::Sweep(sweep)
    })
}

/// The reads of machines that are due.
pub fn reads(ctx: &Context) -> Work<'_> {
    Box::pin(async { Ended::Reads(read_due(ctx).await) })
}

/// The pause after a pass (`None` in its place: it panicked); `None`: until the object changes.
pub fn pause(
    ended: Option<&Result<NextLook, StoreError>>,
    failures: &mut u32,
    uid: &str,
    ctx: &Context,
) -> Option<Duration> {
    match ended {
        Some(Ok(NextLook::After(pause))) => {
            *failures = 0;
            Some(*pause)
        }
        Some(Ok(NextLook::WhenTold(pause))) => Some(*pause),
        Some(Ok(NextLook::OnChange)) => {
            *failures = 0;
            None
        }
        Some(Ok(NextLook::Backoff) | Err(_)) | None => {
            *failures = failures.saturating_add(1);
            Some(backoff::pause(*failures, &ctx.defaults.timing, uid))
        }
    }
}
