//! Carries out the one effect of a pass. For a call: slot, intent, call, in this order.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use zenlayer::{Answer, Call};

use super::{
    observe::Seen,
    record::{Answered, holds_intent},
    slot::{Pauses, give_back},
};
use crate::{
    api::{ChangeKind, VmInstance, VmInstanceStatus},
    controller::{
        Context, field_managers,
        store::{Age, Credential, StoreError},
    },
    lifecycle::{
        Action, Change, Decision, Desired, Observed, Order, Outcome, Slot, intent, withdrawn,
    },
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
    /// An answer that has to be kept until slot and status have it.
    pub answered: Option<Answered>,
}

pub async fn execute(
    ctx: &Context,
    object: Arc<VmInstance>,
    desired: &Desired,
    seen: &Seen,
    decision: &Decision,
    decided: Moment,
) -> Executed {
    let done = |outcome, object| Executed { outcome, object, answered: None };
    match &decision.action {
        Action::Nothing => done(Outcome::Done, object),
        Action::WriteSlot { slot, record } => {
            let id = &desired.instance_id;
            let written = ctx.store.write_slot(id, slot, record.clone()).await;
            if let Ok(written) = &written {
                ctx.sightings.slot(id, &written.record, ctx.clock.monotonic());
            }
            done(written.map_or_else(not_done, |_| Outcome::Done), object)
        }
        Action::SetFinalizer(set) => match ctx.store.set_finalizer(&object, *set).await {
            Ok(object) => done(Outcome::Done, object),
            Err(error) => done(not_done(error), object),
        },
        Action::Call(order) => match &seen.credential {
            Some(credential) => {
                let call = CallOf { ctx, desired, observed: &seen.observed, order, credential };
                call.carry_out(object, decided).await
            }
            None => done(Outcome::LostRace, object),
        },
    }
}

/// The outcome of a Kubernetes call that failed before anything was sent.
fn not_done(error: StoreError) -> Outcome {
    match error {
        StoreError::Conflict | StoreError::Gone => Outcome::LostRace,
        StoreError::Failed(problem) => {
            tracing::warn!(%problem, "cannot write to the Kubernetes API");
            Outcome::StoreFailed { problem }
        }
    }
}

/// A call, and all that it takes.
struct CallOf<'a> {
    ctx: &'a Context,
    desired: &'a Desired,
    observed: &'a Observed,
    order: &'a Order,
    credential: &'a Credential,
}

impl CallOf<'_> {
    fn change(&self) -> &Change {
        &self.order.change
    }

    async fn carry_out(&self, object: Arc<VmInstance>, decided: Moment) -> Executed {
        let not_made = |outcome, object| Executed { outcome, object, answered: None };
        let window = Window::of(self, decided);
        let place = self.ctx.orders.reserve(self.desired, self.order, decided.wall).await;
        let place = match place {
            Ok(place) => place,
            Err(error) => return not_made(not_done(error), object),
        };
        // Nothing is taken for a call that would not be sent any more.
        if window.left(self).is_zero() {
            return not_made(Outcome::LostRace, object);
        }
        let held = match self.take_the_slot().await {
            Ok(held) => held,
            Err(error) => return not_made(not_done(error), object),
        };
        // From now on, the slot counts it.
        drop(place);
        let taken_at = self.ctx.clock.monotonic();
        if window.left(self).is_zero() {
            give_back(self.ctx, self.desired, held, &self.change().id, taken_at).await;
            let problem = "the Lease was written too late for the call".to_owned();
            return not_made(Outcome::StoreFailed { problem }, object);
        }
        let before = object.status.clone().unwrap_or_default();
        let status = intent(self.desired, &before, self.observed, self.order, decided.wall);
        let object = match self.ctx.store.write_status(&object, &status).await {
            Ok(object) => object,
            Err(error) => {
                let statuses = (&before, &status);
                let object = self.withdraw(object, statuses, held, &error, taken_at).await;
                return not_made(not_done(error), object);
            }
        };
        let answer = self.call(&window).await;
        self.told(&object, &answer);
        let answered =
            Answered { order: self.order.clone(), held, answer: answer.clone(), taken_at };
        Executed { outcome: Outcome::Answered { answer }, object, answered: Some(answered) }
    }

    /// Takes the lane. A write without an answer is looked up for a while: only this process knows for
    /// certain that no call was made for it.
    async fn take_the_slot(&self) -> Result<Slot, StoreError> {
        let (store, id) = (&self.ctx.store, &self.desired.instance_id);
        let taken = self.order.taken.taken_by(&self.ctx.process, self.change().lane());
        let held = match store.write_slot(id, &self.order.slot, taken).await {
            Ok(held) => held,
            Err(error @ StoreError::Failed(_)) => self.look_up_the_slot(error).await?,
            Err(error @ (StoreError::Conflict | StoreError::Gone)) => return Err(error),
        };
        self.ctx.sightings.slot(id, &held.record, self.ctx.clock.monotonic());
        Ok(held)
    }

    async fn look_up_the_slot(&self, error: StoreError) -> Result<Slot, StoreError> {
        let end = self.ctx.clock.monotonic().saturating_add(self.desired.timing.send_window);
        let mut pauses = Pauses::with_end(end);
        loop {
            match self.ctx.store.slot(&self.desired.instance_id, Age::Anew).await {
                Ok(slot) if self.is_ours(&slot) => return Ok(slot),
                Ok(_) => return Err(error),
                Err(_) => {}
            }
            if !pauses.pause(self.ctx).await {
                return Err(error);
            }
        }
    }

    fn is_ours(&self, slot: &Slot) -> bool {
        slot.record.lane_taken_by(&self.ctx.process, &self.change().id).is_some()
    }

    /// The intent was not written, or nobody knows. The slot is given back only once it can no longer
    /// be written: after a conflict at once, else after a later write of the status. Gives the object as
    /// it is then, or, if others have written their status meanwhile, as it was: what this pass has to
    /// say is then older than theirs, and must not be written over it.
    async fn withdraw(
        &self,
        mut object: Arc<VmInstance>,
        (before, intended): (&VmInstanceStatus, &VmInstanceStatus),
        held: Slot,
        error: &StoreError,
        taken_at: Duration,
    ) -> Arc<VmInstance> {
        let ctx = self.ctx;
        if let StoreError::Failed(_) = error {
            let mut pauses = Pauses::until(taken_at, self.desired);
            loop {
                match self.write_over(&object, before).await {
                    Ok((found, written)) => {
                        if found == *before || found == *intended {
                            object = written;
                        }
                        break;
                    }
                    Err(StoreError::Gone) => break,
                    Err(StoreError::Conflict | StoreError::Failed(_)) => {}
                }
                if !pauses.pause(ctx).await {
                    return object;
                }
            }
        }
        give_back(ctx, self.desired, held, &self.change().id, taken_at).await;
        object
    }

    /// Writes the status so that the intent can no longer be written, or takes it out again. Gives the
    /// status that it found, and the object as it is then.
    async fn write_over(
        &self,
        object: &VmInstance,
        before: &VmInstanceStatus,
    ) -> Result<(VmInstanceStatus, Arc<VmInstance>), StoreError> {
        let meta = &object.metadata;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let name = meta.name.as_deref().unwrap_or_default();
        let fresh = self.ctx.store.object(namespace, name).await?.ok_or(StoreError::Gone)?;
        if fresh.metadata.uid != meta.uid {
            return Err(StoreError::Gone);
        }
        let now = fresh.status.clone().unwrap_or_default();
        // Nobody else writes it, so whatever has come since is this very intent.
        let landed = holds_intent(&now, &self.change().id);
        let without = if landed { &before.beside_others(&now) } else { &now };
        let status = withdrawn(without, self.order);
        let written = self.ctx.store.write_status(&fresh, &status).await?;
        Ok((now, written))
    }

    async fn call(&self, window: &Window) -> Answer {
        let send_within = window.left(self);
        if send_within.is_zero() {
            let cause = "the window in which it may be sent has passed".to_owned();
            return Answer::NotSent { cause };
        }
        let call = Call {
            mutation: self.change().mutation(),
            instance_id: self.desired.instance_id.clone(),
            signed_at: self.change().started_at,
            send_within,
        };
        self.ctx.cloud.mutate(&self.credential.credentials, &call).await
    }

    /// The audit line of a call that changes the machine, and what others learn of its answer.
    fn told(&self, object: &VmInstance, answer: &Answer) {
        let change = self.change();
        if change.kind == ChangeKind::Modify {
            self.ctx.metrics.paid_call(answer);
        }
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
        let prices = self.observed.prices.as_ref().filter(|_| change.kind == ChangeKind::Modify);
        let price =
            |one: &crate::lifecycle::TypePrice| one.of(&one.type_id).map(|price| price.to_string());
        tracing::info!(
            audit = true,
            call = change.mutation().action(),
            object = %self.desired.object,
            declared_by = author.as_deref().unwrap_or("unknown"),
            instance = %self.desired.instance_id,
            change = %change.id,
            from = %change.from,
            to = %change.to,
            answer = class,
            order_number = order.as_ref().map(tracing::field::display),
            request_id = request.as_ref().map(tracing::field::display),
            monthly_price_from = prices.and_then(|prices| price(&prices.current)),
            monthly_price_to = prices.and_then(|prices| price(&prices.declared)),
            detail,
            "made a call that changes the instance"
        );
    }
}

/// The window in which the call may be sent, by the monotonic clock. It ends with the term: whoever leads
/// next may begin then.
struct Window {
    clock_at_start: Duration,
    since_start: Duration,
}

impl Window {
    fn of(call: &CallOf<'_>, decided: Moment) -> Self {
        // `startedAt` is in whole seconds.
        let since_start = decided.wall.duration_since(call.change().started_at).unsigned_abs();
        Self { clock_at_start: decided.monotonic, since_start }
    }

    fn left(&self, call: &CallOf<'_>) -> Duration {
        let now = call.ctx.clock.monotonic();
        let passed = now.saturating_sub(self.clock_at_start).saturating_add(self.since_start);
        call.desired.timing.send_window.saturating_sub(passed).min(call.ctx.leadership.left(now))
    }
}
