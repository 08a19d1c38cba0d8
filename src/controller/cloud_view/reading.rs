//! Reads the machines that are due, and hands out the turns of each credential: the one place that waits
//! for both.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use zenlayer::{Batch, Instance, ReadError, Reading};

use super::{
    limiter::{Ask, Caller, Told},
    shelf::Plan,
    troubles::throttled,
};
use crate::{
    controller::Context,
    lifecycle::{self, Trouble},
};

/// The longest pause between two looks at what is due.
const LONGEST: Duration = Duration::from_secs(60);

type Ended = (Plan, Result<Reading<Batch<Instance>>, ReadError>, Duration);

/// Goes on for ever.
pub async fn read_machines(ctx: Arc<Context>) {
    let mut reads = FuturesUnordered::new();
    loop {
        let pause = hand_out_turns(&ctx);
        let (plans, next) = due(&ctx);
        reads.extend(plans.into_iter().map(|plan| read(&ctx, plan)));
        let pause = pause.into_iter().chain(next).min().unwrap_or(LONGEST).min(LONGEST);
        tokio::select! {
            Some(ended) = reads.next() => answered(&ctx, ended),
            () = ctx.inventory.news() => {}
            () = ctx.limiter.news() => {}
            () = ctx.clock.sleep(pause) => {}
        }
    }
}

/// Makes the reads that are due, one after another, and wakes whoever has something to see. Gives the
/// pause before there is something to do again. For time that moves by hand.
pub async fn read_due(ctx: &Context) -> Duration {
    loop {
        let pause = hand_out_turns(ctx);
        let (plans, next) = due(ctx);
        if plans.is_empty() {
            return pause.into_iter().chain(next).min().unwrap_or(LONGEST).min(LONGEST);
        }
        for plan in plans {
            answered(ctx, read(ctx, plan).await);
        }
    }
}

/// Wakes those whose turn has come. Gives the pause before the next one comes.
fn hand_out_turns(ctx: &Context) -> Option<Duration> {
    let now = ctx.clock.monotonic();
    let (told, next) = ctx.limiter.serve(now);
    let objects = told.into_iter().filter_map(|Told { caller, class, waited }| {
        ctx.metrics.waited(class.as_str(), waited);
        match caller {
            Caller::Object(name) => Some(name),
            Caller::Inventory => None,
        }
    });
    ctx.waker.wake(objects);
    next
}

/// The reads that are due and have a turn, and the pause before the next one may be.
fn due(ctx: &Context) -> (Vec<Plan>, Option<Duration>) {
    let now = ctx.clock.monotonic();
    let mut blocked: Option<Duration> = None;
    let (plans, next) = ctx.inventory.plan(now, |scope, class| {
        let ask = Ask { class, calls: 1, spent: 0 };
        let wait = ctx.troubles.may_read_in(scope, now);
        if !wait.is_zero() {
            blocked = blocked.into_iter().chain([wait]).min();
            return false;
        }
        let turn = ctx.limiter.turns(scope, &Caller::Inventory, ask, now);
        if turn {
            ctx.troubles.tries(scope, now);
        }
        turn
    });
    (plans, next.into_iter().chain(blocked).min())
}

async fn read(ctx: &Context, plan: Plan) -> Ended {
    let begun = ctx.clock.monotonic();
    let read = ctx.cloud.describe_instances(&plan.credential.credentials, &plan.ids).await;
    (plan, read, begun)
}

/// What a read tells of the machines, and of the credential.
fn answered(ctx: &Context, (plan, read, begun): Ended) {
    let now = ctx.clock.monotonic();
    let scope = &plan.credential.scope;
    let error = read.as_ref().err().cloned();
    let meaning = ctx.inventory.answered(&plan, read, (begun, now));
    if let Some(throttled) = error.as_ref().and_then(throttled) {
        ctx.limiter.throttled(scope, throttled.pause(), now);
    }
    let freed = match error {
        Some(error) if meaning.is_shared => {
            ctx.troubles.batch_failed(scope, &error, trouble_of(&error), now);
            Vec::new()
        }
        Some(error) if throttled(&error).is_some() => Vec::new(),
        // Nobody can tell yet what an answer means that cannot be read.
        Some(ReadError::Malformed { .. }) => Vec::new(),
        Some(_) | None => ctx.troubles.batch_answered(scope),
    };
    ctx.waker.wake_keys(freed);
    ctx.waker.wake(meaning.woken);
}

/// What a failed read means for every object of its credential.
pub fn trouble_of(error: &ReadError) -> Trouble {
    let problem = lifecycle::problem_of_reads(error);
    Trouble {
        reason: problem.reason,
        problem: problem.text,
        person: problem.person,
        again_in: Duration::ZERO,
    }
}
