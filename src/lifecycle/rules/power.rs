//! The machine's power state: what was stopped for a change is started again.

use crate::{
    api::{ChangeKind, ChangeState, HistoryOutcome, Phase},
    lifecycle::{
        Action, Decision, PlanStage, Restore, Situation,
        facts::Facts,
        refusal, report,
        rules::{
            ordering::call,
            permits::{call_is_held_back, once_more},
        },
        time::after,
    },
};
use zenlayer::InstanceState;

/// The machine runs: there is nothing left to bring it back to.
pub fn restored_power_state_is_forgotten(facts: &Facts) -> Option<Decision> {
    let restore = facts.restore.as_ref()?;
    if facts.observed.instance()?.state != InstanceState::Running || may_still_stop(facts, restore)
    {
        return None;
    }
    let slot = facts.observed.slot()?;
    let kept = slot.record.restore.is_some();
    let action = facts.write_slot(kept, |record| record.restoring(None));
    Some(Decision { action, situation: Situation::Restored })
}

/// A guest that did not stop in time may do so later. One that was started since then has stopped:
/// whoever stops it next is not this operator.
fn may_still_stop(facts: &Facts, restore: &Restore) -> bool {
    let given_up = facts.memory.history.iter().any(|entry| {
        entry.id == restore.stopped_by
            && matches!(entry.outcome, HistoryOutcome::Overdue | HistoryOutcome::Released)
    });
    let started = facts.memory.history.iter().any(|entry| {
        entry.kind == ChangeKind::Start
            && entry.outcome == HistoryOutcome::Completed
            && entry.started_at >= restore.since
    });
    given_up && !started && !has_waited_long(facts, restore)
}

fn has_waited_long(facts: &Facts, restore: &Restore) -> bool {
    facts.now > after(restore.since, facts.desired.timing.change_deadline)
}

/// Behind the list: whatever was decided, a machine that was stopped for a change is started once
/// the change can go no further. It waits as long as the change may still be ordered or finish.
pub fn bring_the_machine_back(facts: &Facts, decision: &Decision) -> Option<Decision> {
    let restore = facts.restore.as_ref().filter(|_| facts.observed.is_stopped())?;
    if restore.power_state != InstanceState::Running.as_str() {
        return None;
    }
    let stands = match &decision.action {
        Action::Nothing => goes_no_further(facts, &decision.situation),
        Action::Call { .. } => false,
        Action::WriteSlot { .. } => return None,
    };
    let waited = may_wait(&decision.situation) && has_waited_long(facts, restore);
    if !(stands || waited) {
        return None;
    }
    let (from, to) = (&facts.observed.instance()?.type_id, &facts.desired.type_id);
    let kind = ChangeKind::Start;
    let held_back =
        call_is_held_back(facts).or_else(|| refusal::of_call_stands(facts, kind, from, to));
    if let Some(held_back) = held_back {
        let passes =
            matches!(held_back.situation, Situation::Suspended { .. } | Situation::ReadsStale);
        // In sync but for the start: what stands in its way is what is to be told.
        return (decision.situation == Situation::InSync && !passes).then_some(held_back);
    }
    if request_may_still_land(facts) {
        return None;
    }
    match facts.memory.came_to_nothing(facts.desired, kind, HistoryOutcome::Overdue) {
        None => Some(call(facts, kind, from, to)),
        // Whatever else stands in the way is told as it is; nothing but the start does here.
        Some(last) => (decision.situation == Situation::InSync).then(|| once_more(facts, last)),
    }
}

/// A call whose answer is open holds the slot until its fence; nothing is sent beside it. Nor
/// beside one that is not settled and that no slot could set aside: it would be forgotten.
fn request_may_still_land(facts: &Facts) -> bool {
    facts.change().is_some_and(|change| match change.state {
        ChangeState::Submitting | ChangeState::Unverified => {
            !facts.is_past_fence(change) || !facts.holds_slot(change)
        }
        ChangeState::Accepted => !facts.holds_slot(change),
        ChangeState::Observed => false,
    })
}

/// Nothing more happens to the change by itself, or not for a long time.
fn goes_no_further(facts: &Facts, situation: &Situation) -> bool {
    match situation {
        Situation::Progressing { stage: Some(PlanStage::Scheduled), .. } => true,
        Situation::InSync
        | Situation::Refused { .. }
        | Situation::Reverted { .. }
        | Situation::Unverified { asks: true, .. }
        | Situation::Overdue { .. }
        | Situation::NotInEffect { .. } => {
            matches!(
                report::of(facts.desired, facts.observed.instance(), situation).phase,
                Phase::InSync | Phase::Failed
            )
        }
        _ => false,
    }
}

/// The change waits for something that passes; not for ever.
fn may_wait(situation: &Situation) -> bool {
    matches!(
        situation,
        Situation::ForeignPlan { .. }
            | Situation::OrderLimitReached { .. }
            | Situation::OrdersUnknown { .. }
            | Situation::Progressing { .. }
            | Situation::Accepted { .. }
            // Made, and refused for now, over and over.
            | Situation::Calling { .. }
    )
}
