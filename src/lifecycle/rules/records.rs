//! What a process left behind that ended between two writes, or lost the answer to one. Both lanes alike.

use crate::{
    api::{ChangeKind, ChangeState},
    lifecycle::{
        decision::Decision,
        facts::Facts,
        protocol::{HoldingState, LaneName},
        situation::Records,
        standing::Standing,
    },
};

fn standings<'a>(facts: &'a Facts) -> impl Iterator<Item = &'a Standing> {
    LaneName::ALL.into_iter().map(|lane| facts.standing(lane))
}

/// A lane that still holds a change which has ended is freed. The status was written before.
pub fn ended_change_frees_its_lane(facts: &Facts) -> Option<Decision> {
    standings(facts).find_map(|standing| match standing {
        Standing::Ended(change) => Some(Decision::of(
            facts.write_slot(|record| record.given_back(&change.id)),
            Records::Freed,
        )),
        Standing::Idle
        | Standing::InFlight(_)
        | Standing::Unrecorded(_)
        | Standing::WithoutIntent(_)
        | Standing::HeldElsewhere(_)
        | Standing::Unreadable => None,
    })
}

/// A lane was taken, and the intent never came: the call was not made. The status says so first, so that
/// the intent can no longer be written; the lane is freed after that. No read of the cloud is needed.
pub fn call_without_intent_is_withdrawn(facts: &Facts) -> Option<Decision> {
    LaneName::ALL.into_iter().find_map(|lane| {
        let Standing::WithoutIntent(change) = facts.standing(lane) else { return None };
        let window = facts.desired.timing.send_window;
        // Another process may be between the two writes.
        if facts.observed.since.lanes.of(lane).0 < window {
            return Some(Decision::report(Records::BeingMade));
        }
        Some(Decision::report(Records::Withdrawn { change: change.clone() }))
    })
}

/// An intent whose record is gone from the slot counts as a call that was made.
pub fn intent_without_record_counts(facts: &Facts) -> Option<Decision> {
    standings(facts).find_map(|standing| match standing {
        Standing::Unrecorded(change) => {
            let paid = change.kind == ChangeKind::Modify;
            Some(Decision::report(Records::Unrecorded { change: change.clone(), paid }))
        }
        Standing::Idle
        | Standing::InFlight(_)
        | Standing::WithoutIntent(_)
        | Standing::Ended(_)
        | Standing::HeldElsewhere(_)
        | Standing::Unreadable => None,
    })
}

/// An answer that the status knows and the slot does not is written to the slot, too: until then, nothing
/// else is sent.
pub fn answer_reaches_the_slot(facts: &Facts) -> Option<Decision> {
    LaneName::ALL.into_iter().find_map(|lane| {
        let Standing::InFlight(change) = facts.standing(lane) else { return None };
        let answered = matches!(change.state, ChangeState::Accepted | ChangeState::Observed);
        (answered && facts.lane(lane)?.is_open()).then(|| {
            let state = HoldingState::Accepted {
                at: change.submitted_at.unwrap_or(facts.now),
                order_number: change.order_number.clone(),
                request_id: change.request_id.clone(),
            };
            let write = facts.write_slot(|record| record.answered(&change.id, state));
            Decision::of(write, Records::AnswerKept)
        })
    })
}
