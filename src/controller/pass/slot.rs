//! Writes the lane of a call into the slot, and tries it again until the fence of the call has passed, and a
//! few times more.

use std::time::Duration;

use crate::{
    controller::{Context, store::Age},
    lifecycle::{ChangeId, Desired, Slot, SlotRecord},
};

/// Tries that are made even after the fence: what a process learned before it was stopped for long is still
/// true, and each write is checked against what it finds.
const LATE_TRIES: u8 = 3;

/// Growing pauses, until the fence of what was taken then has passed, and a few after that.
pub struct Pauses {
    next: Duration,
    end: Duration,
    late_tries_left: u8,
}

impl Pauses {
    pub fn until(taken_at: Duration, desired: &Desired) -> Self {
        Self::with_end(taken_at.saturating_add(desired.timing.fence()))
    }

    pub fn with_end(end: Duration) -> Self {
        Self { next: Duration::from_millis(100), end, late_tries_left: LATE_TRIES }
    }

    /// Pauses once more; `false`, once the end has come.
    pub async fn pause(&mut self, ctx: &Context) -> bool {
        if ctx.clock.monotonic() >= self.end {
            let Some(left) = self.late_tries_left.checked_sub(1) else { return false };
            self.late_tries_left = left;
        }
        ctx.clock.sleep(self.next).await;
        self.next = (self.next * 2).min(Duration::from_secs(5));
        true
    }
}

/// Writes the slot while this change holds it. Gives the slot to try again with, if it was not written.
pub async fn update_slot(
    ctx: &Context,
    desired: &Desired,
    read: Slot,
    change: &ChangeId,
    update: impl Fn(&SlotRecord) -> Option<SlotRecord>,
) -> Option<Slot> {
    let id = &desired.instance_id;
    let record = update(&read.record)?;
    match ctx.store.write_slot(id, &read, record).await {
        Ok(written) => {
            ctx.sightings.slot(id, &written.record, ctx.clock.monotonic());
            return None;
        }
        Err(error) => {
            tracing::warn!(%error, instance = %id, %change, "cannot update the slot; trying again");
        }
    }
    match ctx.store.slot(id, Age::Anew).await {
        // Somebody else settled it.
        Ok(slot) if slot.record.lane_taken_by(&ctx.process, change).is_none() => None,
        Ok(slot) => Some(slot),
        Err(_) => Some(read),
    }
}

/// Gives a lane back whose call was not made; what cannot be written before the fence has passed is given
/// back by another pass.
pub async fn give_back(
    ctx: &Context,
    desired: &Desired,
    held: Slot,
    change: &ChangeId,
    taken_at: Duration,
) {
    let mut pauses = Pauses::until(taken_at, desired);
    let mut slot = Some(held);
    while let Some(read) = slot.take() {
        slot = update_slot(ctx, desired, read, change, |record| record.given_back(change)).await;
        if slot.is_some() && !pauses.pause(ctx).await {
            return;
        }
    }
}
