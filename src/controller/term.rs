//! What runs only while this process leads. A term begins like a process, but with a warm cache: what was
//! known of the cloud may be old, and every object of the cache is looked at without a list. When it is
//! lost nothing new begins, and what has begun ends by itself.

use std::{collections::HashSet, sync::Arc};

use futures::StreamExt;
use kube::runtime::reflector::ObjectRef;

use super::{Context, cloud_view::rotated, leader::Term, store::Claims, waker::name_of};
use crate::api::VmInstance;

/// Serves in every term that this process is elected for.
pub async fn serve_terms<W: Future<Output = ()>>(
    ctx: Arc<Context>,
    claims: Claims,
    work: impl Fn() -> W,
) {
    loop {
        let term = elected(&ctx).await;
        tracing::info!(term = term.number, "leading");
        begin(&ctx, &claims);
        tokio::select! {
            () = lost(&ctx, term) => {}
            () = work() => {}
            () = heed_others(&ctx, &claims) => {}
        }
        ctx.leadership.serve(false);
        ctx.metrics.leads(false);
        tracing::warn!(term = term.number, "no longer leading: nothing new is begun");
    }
}

fn begin(ctx: &Context, claims: &Claims) {
    ctx.sightings.keep(&HashSet::new(), &HashSet::new());
    ctx.inventory.keep(&HashSet::new());
    ctx.metrics.leads(true);
    tell_of_others(ctx);
    ctx.leadership.serve(true);
    wake_all(ctx, claims);
}

fn wake_all(ctx: &Context, claims: &Claims) {
    ctx.waker.wake(claims.cache.state().iter().map(|object| name_of(object)));
}

async fn elected(ctx: &Context) -> Term {
    let mut leadership = ctx.leadership.clone();
    loop {
        if let Some(term) = leadership.term(ctx.clock.monotonic()) {
            return term;
        }
        leadership.news().await;
    }
}

/// Resolves once this term is over, however that came about.
async fn lost(ctx: &Context, term: Term) {
    let mut leadership = ctx.leadership.clone();
    loop {
        let now = ctx.clock.monotonic();
        match leadership.term(now) {
            Some(Term { number, until }) if number == term.number => {
                tokio::select! {
                    () = leadership.news() => {}
                    () = ctx.clock.sleep(until.saturating_sub(now)) => {}
                }
            }
            Some(_) | None => return,
        }
    }
}

/// Wakes the objects whose Secret was changed.
pub async fn wake_rotated(ctx: &Context, claims: &Claims) {
    let (cache, pause) = (claims.cache.clone(), ctx.defaults.timing.secret / 2);
    let rotated = rotated(cache, ctx.store.clone(), ctx.digests.clone(), pause);
    let wake = |object: ObjectRef<VmInstance>| {
        ctx.waker.wake([(object.namespace.unwrap_or_default(), object.name)]);
        std::future::ready(())
    };
    rotated.for_each(wake).await;
}

/// What another operator may serve, too, is looked at again when that changes.
async fn heed_others(ctx: &Context, claims: &Claims) {
    loop {
        ctx.neighbours.news().await;
        tell_of_others(ctx);
        wake_all(ctx, claims);
    }
}

fn tell_of_others(ctx: &Context) {
    for other in ctx.neighbours.all() {
        tracing::warn!(
            other = other.holder,
            serves = %other.selection,
            "another operator may serve the same objects: nothing is ordered for an object that both select"
        );
    }
}
