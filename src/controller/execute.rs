//! Carries out the one effect of a pass. For a paid call: slot, intent, call, slot, in this order.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{Context, observe::Seen, store::StoreError};
use crate::{
    api::{VmInstance, VmInstanceStatus},
    lifecycle::{
        Action, Change, ChangeId, Decision, Desired, Holding, HoldingState, Outcome, Slot,
        SlotRecord, intent,
    },
    zenlayer::{Answer, Call, Credentials, Mutation},
};

/// The moment of a decision, by both clocks.
#[derive(Clone, Copy)]
pub struct Moment {
    pub wall: Timestamp,
    pub monotonic: Duration,
}

/// What became of the action, and the object as it stands after an intent was written.
pub struct Executed {
    pub outcome: Outcome,
    pub object: Arc<VmInstance>,
}

pub async fn execute(
    ctx: &Context,
    object: Arc<VmInstance>,
    desired: &Desired,
    seen: &Seen,
    decision: &Decision,
    decided: Moment,
) -> Executed {
    let id = &desired.instance_id;
    let outcome = match &decision.action {
        Action::Nothing => Outcome::Done,
        Action::CloseSlot { slot, expectation, .. } => slot_outcome(
            ctx.store.write_slot(id, slot, SlotRecord::closed(expectation.clone())).await,
        ),
        Action::ReturnSlot { change, slot } => {
            slot_outcome(ctx.store.write_slot(id, slot, slot.record.given_back(change)).await)
        }
        Action::Submit { change, slot } => {
            return submit(ctx, object, desired, seen, (change, slot), decided).await;
        }
    };
    Executed { outcome, object }
}

fn slot_outcome(written: Result<Slot, StoreError>) -> Outcome {
    match written {
        Ok(_) => Outcome::Done,
        Err(error) => not_sent(error),
    }
}

/// The outcome of a Kubernetes call that failed before anything was sent.
fn not_sent(error: StoreError) -> Outcome {
    match error {
        StoreError::Conflict | StoreError::Gone => Outcome::LostRace,
        StoreError::Failed(problem) => {
            tracing::warn!(%problem, "cannot write to the Kubernetes API");
            Outcome::StoreFailed { problem }
        }
    }
}

async fn submit(
    ctx: &Context,
    object: Arc<VmInstance>,
    desired: &Desired,
    seen: &Seen,
    (change, slot): (&Change, &Slot),
    decided: Moment,
) -> Executed {
    let Some(credentials) = &seen.credentials else {
        return Executed { outcome: Outcome::LostRace, object };
    };
    ctx.cloud.ready(credentials).await;
    let window = Window { clock_at_start: decided.monotonic, since_start: since(change, decided) };
    if window.left(ctx, desired).is_zero() {
        return Executed { outcome: Outcome::LostRace, object };
    }
    let holding = Holding {
        change: change.id.clone(),
        object: desired.object.clone(),
        from: change.from.clone(),
        to: change.to.clone(),
        target_generation: change.target_generation,
        started_at: change.started_at,
        fence: change.fence,
        state: HoldingState::Open,
    };
    let id = &desired.instance_id;
    let held = match ctx.store.write_slot(id, slot, slot.record.taken(holding)).await {
        Ok(held) => held,
        Err(error) => return Executed { outcome: not_sent(error), object },
    };
    let before = object.status.clone().unwrap_or_default();
    let status = intent(desired, &before, &seen.observed, change, decided.wall);
    let object = match write_intent(ctx, &object, &status).await {
        Ok(object) => object,
        Err(error) => {
            update_slot(ctx, desired, held, &change.id, |slot| slot.given_back(&change.id)).await;
            return Executed { outcome: not_sent(error), object };
        }
    };
    let answer = call(ctx, desired, credentials, change, &window).await;
    record_answer(ctx, desired, held, change, &answer, decided.wall).await;
    ctx.metrics.paid_call(&answer);
    log_answer(desired, change, &answer);
    Executed { outcome: Outcome::Answered { answer }, object }
}

async fn write_intent(
    ctx: &Context,
    object: &VmInstance,
    status: &VmInstanceStatus,
) -> Result<Arc<VmInstance>, StoreError> {
    ctx.store.write_status(object, status).await
}

/// How long after `startedAt` (whole seconds) the decision was made.
fn since(change: &Change, decided: Moment) -> Duration {
    decided.wall.duration_since(change.started_at).unsigned_abs()
}

/// The window in which the call may be sent, by the monotonic clock.
struct Window {
    clock_at_start: Duration,
    since_start: Duration,
}

impl Window {
    fn left(&self, ctx: &Context, desired: &Desired) -> Duration {
        let passed = ctx.clock.monotonic().saturating_sub(self.clock_at_start) + self.since_start;
        desired.timing.send_window.saturating_sub(passed)
    }
}

async fn call(
    ctx: &Context,
    desired: &Desired,
    credentials: &Credentials,
    change: &Change,
    window: &Window,
) -> Answer {
    let send_within = window.left(ctx, desired);
    if send_within.is_zero() {
        return Answer::NotSent { cause: "the window in which it may be sent has passed".into() };
    }
    let call = Call {
        mutation: Mutation::Modify { to: change.to.clone() },
        instance_id: desired.instance_id.clone(),
        signed_at: change.started_at,
        send_within,
    };
    ctx.cloud.mutate(credentials, &call).await
}

/// The slot learns the answer before the status does, so that a crash in between loses nothing.
async fn record_answer(
    ctx: &Context,
    desired: &Desired,
    held: Slot,
    change: &Change,
    answer: &Answer,
    now: Timestamp,
) {
    match answer {
        Answer::Unknown { .. } => {}
        Answer::Accepted { order_number, request_id } => {
            update_slot(ctx, desired, held, &change.id, |slot| {
                slot.accepted(now, order_number.clone(), request_id.clone())
            })
            .await;
        }
        Answer::NotSent { .. } | Answer::Refused(_) => {
            update_slot(ctx, desired, held, &change.id, |slot| slot.given_back(&change.id)).await;
        }
    }
}

/// Writes the slot while this change holds it, reading again on conflict. What cannot be written
/// is not lost: the slot stays open, and the next pass reads status and slot together.
async fn update_slot(
    ctx: &Context,
    desired: &Desired,
    mut slot: Slot,
    change: &ChangeId,
    update: impl Fn(&SlotRecord) -> SlotRecord,
) {
    let id = &desired.instance_id;
    for _ in 0..3 {
        let record = update(&slot.record);
        let Err(error) = ctx.store.write_slot(id, &slot, record).await else { return };
        tracing::warn!(%error, instance = %id, %change, "cannot update the slot");
        match ctx.store.slot(id).await {
            Ok(read) if read.record.holding.as_ref().is_some_and(|held| held.change == *change) => {
                slot = read;
            }
            Ok(_) => return,
            Err(_) => {}
        }
    }
}

/// The audit line of a paid call.
fn log_answer(desired: &Desired, change: &Change, answer: &Answer) {
    let (class, order, request, detail) = match answer {
        Answer::NotSent { cause } => ("not sent", None, None, Some(cause.clone())),
        Answer::Unknown { cause } => ("unknown", None, None, Some(cause.clone())),
        Answer::Refused(error) => {
            ("refused", None, error.request_id.clone(), Some(error.to_string()))
        }
        Answer::Accepted { order_number, request_id } => {
            ("accepted", order_number.clone(), request_id.clone(), None)
        }
    };
    tracing::info!(
        object = %desired.object,
        instance = %desired.instance_id,
        change = %change.id,
        from = %change.from,
        to = %change.to,
        answer = class,
        order_number = order.as_ref().map(tracing::field::display),
        request_id = request.as_ref().map(tracing::field::display),
        detail,
        "called ModifyInstanceType"
    );
}
