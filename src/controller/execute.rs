//! Carries out the one effect of a pass. For a call: slot, intent, call, slot, in this order.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{Context, field_managers, observe::Seen, store::StoreError};
use crate::{
    api::{ChangeKind, VmInstance, VmInstanceStatus},
    lifecycle::{
        Action, Change, ChangeId, Decision, Desired, Observed, Outcome, Prices, Restore, Situation,
        Slot, SlotRecord, SlotRestore, intent,
    },
};
use zenlayer::{Answer, Call, Credentials};

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
        Action::WriteSlot { slot, record } => {
            slot_outcome(ctx.store.write_slot(id, slot, record.clone()).await)
        }
        Action::Call { change, slot, restore } => {
            let order = Order { change, slot, restore: restore.as_ref() };
            return carry_out(ctx, object, desired, seen, &order, decided).await;
        }
    };
    if let Some(stop) = ended_stop(&decision.situation, &seen.observed) {
        ctx.orders.give_up(&stop).await;
    }
    Executed { outcome, object }
}

/// The stop that no order will follow any more, of its own accord: the guest did not follow, nobody
/// knows whether it was made, or the machine runs again.
fn ended_stop(situation: &Situation, observed: &Observed) -> Option<ChangeId> {
    match situation {
        Situation::GivenUp { change }
        | Situation::Released { change }
        | Situation::Unverified { change, asks: false }
            if change.kind == ChangeKind::Stop =>
        {
            Some(change.id.clone())
        }
        Situation::Restored => observed.restore().map(|restore| restore.stopped_by),
        _ => None,
    }
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

/// A call, with the slot that it takes and what the machine is brought back to.
struct Order<'a> {
    change: &'a Change,
    slot: &'a Slot,
    restore: Option<&'a Restore>,
}

impl Order<'_> {
    /// The slot while the call is in flight.
    fn taken(&self, desired: &Desired) -> SlotRecord {
        let taken = self.slot.record.taken(self.change.holding(desired.object.clone()));
        taken.restoring(self.restore.map(|restore| SlotRestore {
            power_state: restore.power_state.clone(),
            stopped_by: restore.stopped_by.clone(),
            since: restore.since,
        }))
    }
}

async fn carry_out(
    ctx: &Context,
    object: Arc<VmInstance>,
    desired: &Desired,
    seen: &Seen,
    order: &Order<'_>,
    decided: Moment,
) -> Executed {
    let change = order.change;
    let Some(credentials) = &seen.credentials else {
        return Executed { outcome: Outcome::LostRace, object };
    };
    ctx.cloud.ready(credentials).await;
    let window = Window { clock_at_start: decided.monotonic, since_start: since(change, decided) };
    if window.left(ctx, desired).is_zero() {
        return Executed { outcome: Outcome::LostRace, object };
    }
    let paid = change.kind == ChangeKind::Modify;
    if let Err(error) = ctx.orders.reserve(desired, change, order.restore).await {
        return Executed { outcome: not_sent(error), object };
    }
    let id = &desired.instance_id;
    let held = match ctx.store.write_slot(id, order.slot, order.taken(desired)).await {
        Ok(held) => held,
        Err(error) => {
            ctx.orders.give_back(change, order.restore).await;
            return Executed { outcome: not_sent(error), object };
        }
    };
    let before = object.status.clone().unwrap_or_default();
    let written = (change, order.restore);
    let status = intent(desired, &before, &seen.observed, written, decided.wall);
    let object = match write_intent(ctx, &object, &status).await {
        Ok(object) => object,
        Err(error) => {
            update_slot(ctx, desired, held, &change.id, |slot| slot.given_back(&change.id)).await;
            ctx.orders.give_back(change, order.restore).await;
            return Executed { outcome: not_sent(error), object };
        }
    };
    let answer = call(ctx, desired, credentials, change, &window).await;
    record_answer(ctx, desired, held, change, &answer, decided.wall).await;
    if matches!(answer, Answer::NotSent { .. } | Answer::Refused(_)) {
        ctx.orders.give_back(change, order.restore).await;
    }
    if let (ChangeKind::Start, Some(restore)) = (change.kind, order.restore) {
        ctx.orders.give_up(&restore.stopped_by).await;
    }
    if paid {
        ctx.metrics.paid_call(&answer);
    }
    log_answer(desired, &object, change, &seen.observed, &answer);
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
        mutation: change.mutation(),
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

/// The audit line of a mutating call.
fn log_answer(
    desired: &Desired,
    object: &VmInstance,
    change: &Change,
    observed: &Observed,
    answer: &Answer,
) {
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
    let author = field_managers::of(object, &["spec", "instanceTypeId"]);
    let paid = change.kind == ChangeKind::Modify;
    let prices = if paid { observed.prices } else { Prices::default() };
    tracing::info!(
        audit = true,
        call = change.mutation().action(),
        object = %desired.object,
        declared_by = author.as_deref().unwrap_or("unknown"),
        instance = %desired.instance_id,
        change = %change.id,
        from = %change.from,
        to = %change.to,
        answer = class,
        order_number = order.as_ref().map(tracing::field::display),
        request_id = request.as_ref().map(tracing::field::display),
        monthly_price_from = prices.current.map(|price| price.to_string()),
        monthly_price_to = prices.declared.map(|price| price.to_string()),
        detail,
        "made a call that changes the instance"
    );
}
