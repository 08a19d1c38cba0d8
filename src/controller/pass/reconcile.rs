//! The reconcile: desired, observed, decision, outcome, verdict, publish.

use std::{sync::Arc, time::Duration};

use super::{
    execute::{Executed, Moment, execute},
    observe::observe,
    publish::publish,
    record::record,
};
use crate::{
    api::VmInstance,
    controller::{Context, StoreError, cloud_view::Interest},
    lifecycle::{
        Desired, NextLook, ObjectKey, Timing, Verdict, decide, invalid, kept_for, settle,
        speaks_of_rest,
    },
};

/// One pass over one object. It is never cut: from the moment in which a slot is taken to the one in which
/// the answer is written, it goes on.
pub async fn reconcile(object: Arc<VmInstance>, ctx: &Context) -> Result<NextLook, StoreError> {
    let before = object.status.clone().unwrap_or_default();
    let desired = match Desired::from_object(&object, &ctx.defaults) {
        Ok(desired) => desired,
        Err(error) => {
            let kept = kept_for(&object, &ctx.defaults.timing, ctx.clock.now());
            if kept == Some(Duration::ZERO) {
                ctx.store.set_finalizer(&object, false).await?;
                return Ok(NextLook::OnChange);
            }
            let generation = object.metadata.generation.unwrap_or(0);
            let verdict = invalid(&before, generation, &error, ctx.clock.now());
            publish(ctx, object, &before, &verdict).await?;
            return Ok(kept.map_or(verdict.next_look, NextLook::After));
        }
    };
    let seen = observe(ctx, &object, &desired).await;
    let now = Moment { wall: ctx.clock.now(), monotonic: ctx.clock.monotonic() };
    let decision = decide(&desired, &seen.observed, now.wall);
    let Executed { outcome, object, answered } =
        execute(ctx, object, &desired, &seen, &decision, now).await;
    let now = ctx.clock.now();
    let verdict = settle(&desired, &before, &seen.observed, &decision, &outcome, now);
    let next_look = follow(ctx, &desired, &verdict);
    match answered {
        Some(answered) => {
            record(ctx, object, &desired, &before, &seen, answered, &verdict).await;
        }
        None => publish(ctx, object, &before, &verdict).await?,
    }
    Ok(next_look)
}

/// The machine is read again when it is to be looked at, and the object is told of it. Its own clock is
/// there for what it is not told of.
fn follow(ctx: &Context, desired: &Desired, verdict: &Verdict) -> NextLook {
    let Timing { drift, poll, .. } = &desired.timing;
    let rests = speaks_of_rest(&verdict.status, desired.generation);
    let (interest, next_look) = match verdict.next_look {
        NextLook::After(pause) if rests && pause >= *drift / 2 => {
            (Interest::AtRest(*drift), NextLook::After(drift.saturating_mul(3)))
        }
        NextLook::After(pause) => {
            // Later than any batch that it may be read in.
            let own = pause.saturating_add(pause / 5).saturating_add(poll.1);
            (Interest::Once(pause), NextLook::After(own))
        }
        look @ (NextLook::Backoff | NextLook::OnChange) => (Interest::Nothing, look),
        // It has looked at nothing, so what is known is as good as before.
        look @ NextLook::WhenTold(_) => return look,
    };
    let ObjectKey { namespace, name, .. } = &desired.object;
    ctx.inventory.follow(&(namespace.clone(), name.clone()), interest, ctx.clock.monotonic());
    next_look
}
