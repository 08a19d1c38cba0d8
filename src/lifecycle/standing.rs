//! Where the change of a lane stands once the status and the slot are read together. The slot wins: it
//! is written first and outlives the object.

use super::{
    Observed, Timing,
    memory::Memory,
    object_key::ObjectKey,
    protocol::{Change, Expectation, Held, Holding, HoldingState, LaneName},
};
use crate::api::ChangeState;

/// Where the change of a lane stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No change is in flight, or the slot was not looked at.
    Idle,
    /// A change that this object looks after.
    InFlight(Change),
    /// The status holds an intent, and the slot nothing of it: it counts as made.
    Unrecorded(Change),
    /// The slot is taken for a call of this object whose intent the status does not hold: its process
    /// is between the two writes, or ended there.
    WithoutIntent(Change),
    /// The slot still holds a change that this object knows to have ended.
    Ended(Change),
    /// Another object looks after it.
    HeldElsewhere(ObjectKey),
    /// Another version of the operator wrote the record.
    Unreadable,
}

impl Standing {
    pub fn of(
        lane: LaneName,
        observed: &Observed,
        memory: &Memory,
        me: &ObjectKey,
        timing: &Timing,
    ) -> Self {
        let remembered = memory.in_lane(lane);
        let Some(record) = observed.slot().map(|slot| &slot.record) else {
            return remembered.map_or(Self::Idle, |change| Self::InFlight(change.clone()));
        };
        let slot_lane = record.lane(lane);
        match slot_lane.held() {
            Held::Unreadable => Self::Unreadable,
            Held::Nobody => match remembered {
                None => Self::Idle,
                Some(change) if change.state == ChangeState::Observed => {
                    Self::InFlight(change.clone())
                }
                Some(change) => match slot_lane.expects() {
                    Some(expects) if expects.change == change.id => {
                        Self::InFlight(seen(change, expects))
                    }
                    Some(_) | None => Self::Unrecorded(change.clone()),
                },
            },
            Held::By(holding) if holding.object.uid == me.uid => {
                own(holding, remembered, memory, timing)
            }
            Held::By(holding) => match observed.held_elsewhere(lane, me) {
                Some(holder) => Self::HeldElsewhere(holder.clone()),
                None if memory.has_ended(&holding.change) => {
                    Self::Ended(Change::from_slot(holding, timing))
                }
                // Whoever sees the machine follows the change of an object that is gone to its end. It
                // was not ordered for a target of this object.
                None => Self::InFlight(Change {
                    target_generation: 0,
                    seen_at: remembered
                        .filter(|known| known.id == holding.change)
                        .and_then(|known| known.seen_at),
                    ..Change::from_slot(holding, timing)
                }),
            },
        }
    }
}

/// The effect was seen, and the status does not say so yet.
fn seen(change: &Change, expects: &Expectation) -> Change {
    let number = change.order_number.as_ref().or(expects.order_number.as_ref());
    let request = change.request_id.as_ref().or(expects.request_id.as_ref());
    Change {
        state: ChangeState::Observed,
        order_number: number.cloned(),
        request_id: request.cloned(),
        ..change.clone()
    }
}

fn own(
    holding: &Holding,
    remembered: Option<&Change>,
    memory: &Memory,
    timing: &Timing,
) -> Standing {
    let held = Change::from_slot(holding, timing);
    match remembered {
        Some(change) if change.id == held.id => Standing::InFlight(merged(change, &held)),
        _ if memory.has_ended(&held.id) => Standing::Ended(held),
        _ if holding.state == HoldingState::Open => Standing::WithoutIntent(held),
        _ => Standing::InFlight(held),
    }
}

/// The status knows times that the slot does not; the slot knows an answer that the status may have
/// missed.
fn merged(remembered: &Change, held: &Change) -> Change {
    match held.state {
        ChangeState::Accepted if remembered.state != ChangeState::Observed => Change {
            state: ChangeState::Accepted,
            submitted_at: remembered.submitted_at.or(held.submitted_at),
            order_number: held.order_number.clone(),
            request_id: held.request_id.clone(),
            ..remembered.clone()
        },
        ChangeState::Unverified if remembered.state == ChangeState::Submitting => {
            Change { state: ChangeState::Unverified, ..remembered.clone() }
        }
        _ => remembered.clone(),
    }
}
