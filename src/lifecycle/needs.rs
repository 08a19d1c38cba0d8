//! What has to be read before anything can be decided. The rules say so themselves, at the place in
//! their order where they need it; the controller only fetches.

use jiff::Timestamp;

use super::{
    Desired, Observed,
    decide::decide,
    decision::{Action, Decision},
    read::Read,
    settle::scene,
    situation::{Looking, Memo, Situation},
};
use crate::api::ChangeState;

/// What is to be read next; nothing, if all is known that a decision takes.
pub fn needs(desired: &Desired, observed: &Observed, now: Timestamp) -> &'static [Read] {
    let decision = decide(desired, observed, now);
    match decision.situation {
        Situation::Looking(Looking::Needs(reads)) => reads,
        _ if observed.slot.is_some()
            && !observed.slot_is_anew
            && rests_on_what_the_slot_lacks(desired, observed, &decision, now) =>
        {
            &[Read::SlotAnew]
        }
        _ => &[],
    }
}

/// Whether something is written to the object alone that would be wrong if the slot held more than is
/// known of it: no compare-and-swap of the slot would notice.
fn rests_on_what_the_slot_lacks(
    desired: &Desired,
    observed: &Observed,
    decision: &Decision,
    now: Timestamp,
) -> bool {
    let Ok(memory) = &observed.memory else { return false };
    match decision.action {
        Action::Nothing => {}
        Action::SetFinalizer(set) => return !set,
        Action::WriteSlot { .. } | Action::Call(_) => return false,
    }
    let told = decision.situation.told(&scene(desired, observed, memory, now));
    told.remembers.iter().any(|memo| match memo {
        // The slot was closed before one that was seen ends.
        Memo::End(change, _) => change.state != ChangeState::Observed,
        Memo::Drop(_) | Memo::LeftAsItIs => true,
        Memo::Change(_)
        | Memo::Withdrawn(_)
        | Memo::Resumed(_)
        | Memo::Released(_)
        | Memo::ReleaseHandled(_)
        | Memo::AskAgain(_)
        | Memo::Refused(_)
        | Memo::Numbers(_) => false,
    })
}
