//! What becomes of the intent in a status when the call was not made, or its answer comes while another
//! process has written that status.

use super::decision::Order;
use crate::api::{Change, ChangeKind, VmInstanceStatus};

/// The status after a call that was recorded, and certainly not made: as it was before, and the record
/// can no longer be written.
pub fn withdrawn(before: &VmInstanceStatus, order: &Order) -> VmInstanceStatus {
    VmInstanceStatus { withdrawn: Some(order.change.id.to_string()), ..before.clone() }
}

/// The same of a status that another process has written since: the intent is taken out, and all else stays.
pub fn taken_out(now: &VmInstanceStatus, order: &Order) -> VmInstanceStatus {
    let mut status = withdrawn(now, order);
    let is_it = |change: &Change| change.id == order.change.id.0;
    status.change = status.change.filter(|change| !is_it(change));
    status.power.change = status.power.change.filter(|change| !is_it(change));
    status
}

/// An answer in the status that another process has written since the intent: it goes where the intent is,
/// and all else stays.
pub fn answer_put_in(
    now: &VmInstanceStatus,
    answered: &VmInstanceStatus,
    order: &Order,
) -> VmInstanceStatus {
    let mut status = now.clone();
    let is_it = |change: &Change| change.id == order.change.id.0;
    let lanes = [
        (&mut status.change, &answered.change),
        (&mut status.power.change, &answered.power.change),
    ];
    for (lane, answer) in lanes {
        if lane.as_deref().is_some_and(is_it) && answer.as_deref().is_some_and(is_it) {
            lane.clone_from(answer);
        }
    }
    if order.change.kind == ChangeKind::Modify {
        status.order_number.clone_from(&answered.order_number);
        status.request_id.clone_from(&answered.request_id);
    }
    status
}
