//! The last word on an object.

use super::told::Event;
use crate::api::{Change, ChangeKind, ChangeState, VmInstance};

/// What is to be told of an object that is deleted while a call of it is in flight.
pub fn farewell(object: &VmInstance) -> Option<Event> {
    let status = object.status.as_ref()?;
    let number = || match &status.order_number {
        Some(number) => format!("order {number}"),
        None => "order number unknown".to_owned(),
    };
    let goes_on = |what: String, change: &Change| match change.state {
        ChangeState::Accepted | ChangeState::Observed => format!("{what} continues by itself"),
        ChangeState::Submitting | ChangeState::Unverified => format!(
            "{what} may have been accepted by the provider: check it in the provider's console"
        ),
    };
    let words = |change: &Change| match change.kind {
        ChangeKind::Modify => goes_on(
            format!("the change from {} to {} ({})", change.from, change.to, number()),
            change,
        ),
        ChangeKind::CancelDowngrade => {
            goes_on(format!("the cancellation of the change to {}", change.from), change)
        }
        ChangeKind::Stop => goes_on("the stop".to_owned(), change),
        ChangeKind::Start => goes_on("the start".to_owned(), change),
    };
    let left: Vec<_> = status.changes().map(words).collect();
    if left.is_empty() {
        return None;
    }
    let note = format!(
        "deleted while instance {} is being changed: {}; a new VmInstance for this instance follows it",
        object.spec.instance_id,
        left.join("; ")
    );
    Some(Event { warning: true, reason: "ChangeLeftRunning", note })
}
