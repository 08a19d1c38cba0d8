//! `settle`: what a pass means for the status, for the people who watch, and for the next look.

mod next_look;
mod remember;
mod write;

use jiff::Timestamp;

use self::{
    next_look::{AT_ONCE, next_look},
    remember::{displace, remember, remembered},
    write::{conditions, in_sync, write},
};
use super::{
    Action, Change, Decision, Desired, Ended, Observed, Outcome, Restore, Severity, Situation,
    Verdict, announce,
    decision::{NextLook, Report},
    desired::InvalidSpec,
    memory::Memory,
    refusal::{self, Reaction, Refused},
    report,
    time::whole_seconds,
};
use crate::api::{ChangeKind, ChangeState, HistoryOutcome, Phase, Reason, VmInstanceStatus};
use zenlayer::with_causes;
use zenlayer::{Answer, ApiError, InstanceState};

/// Status, events and next look after a pass. `before` is the status that was decided from.
pub fn settle(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    decision: &Decision,
    outcome: &Outcome,
    now: Timestamp,
) -> Verdict {
    if let Some(verdict) = nothing_to_say(desired, before, decision, outcome) {
        return verdict;
    }
    let mut restoring = None;
    let (situation, status) = if observed.memory.is_err() {
        let situation = decision.situation.clone();
        let status = unreadable(desired, before, observed, &situation, now);
        (situation, status)
    } else {
        let mut memory = remembered(desired, before, observed, now);
        let situation = after_the_effect(desired, observed, decision, outcome, &mut memory, now);
        let stood = observed.memory.as_ref().ok().and_then(|memory| memory.refusal.as_ref());
        remember(&mut memory, &situation, stood, now);
        let report = report::of(desired, observed.instance(), &situation);
        let mut report = report::of_a_cycle_that_ends_soon(observed.instance(), report, now);
        if situation == Situation::InSync {
            report = report::of_the_last_change(&desired.type_id, &memory.history, report);
        }
        let runs = observed.instance().is_some_and(|one| one.state == InstanceState::Running);
        let since = memory.restore.as_ref().map(|restore| restore.since);
        restoring = since.filter(|_| !runs && observed.instance().is_some());
        if memory.restore.is_some() {
            report = report::of_a_stopped_machine(desired, observed.instance(), report);
        }
        let report = as_it_was_told(before, report);
        let mut status = write(desired, before, observed, memory, &report, now);
        status.pending_decision = report::asked(desired, &situation);
        let same_spec = before.observed_generation == Some(desired.generation);
        // Tidying up is no news: whoever was told "ready" is not told otherwise for a moment.
        if situation == Situation::Restored && same_spec {
            status.phase = before.phase;
            status.conditions.clone_from(&before.conditions);
            status.pending_decision.clone_from(&before.pending_decision);
        }
        (situation, status)
    };
    let answers = match (&decision.action, outcome) {
        (Action::Call { change, .. }, Outcome::Answered { .. }) => Some(change.id.clone()),
        _ => None,
    };
    Verdict {
        events: announce::events(before, &status, &situation),
        next_look: next_look(desired, &situation, restoring, now),
        status,
        answers,
    }
}

/// A failure that comes again differs in the id of its request alone: that is no news.
fn as_it_was_told(before: &VmInstanceStatus, report: Report) -> Report {
    let told = before.conditions.iter().find(|one| one.type_ == "Ready");
    match told {
        Some(told) if without_request(&told.message) == without_request(&report.message) => {
            Report { message: told.message.clone(), ..report }
        }
        _ => report,
    }
}

fn without_request(message: &str) -> (&str, &str) {
    let Some((head, rest)) = message.split_once(", request ") else { return (message, "") };
    (head, rest.split_once(';').map_or("", |(_, tail)| tail))
}

/// A status that cannot be read is kept as it is, but for the conditions: an intent or an order in
/// it must not be lost.
fn unreadable(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    situation: &Situation,
    now: Timestamp,
) -> VmInstanceStatus {
    let report = report::of(desired, observed.instance(), situation);
    let mut status = VmInstanceStatus { pending_decision: None, ..before.clone() };
    let in_sync = in_sync(before, desired);
    conditions(&mut status, before, &report, in_sync, desired.generation, now);
    status
}

/// The status with the intent of a call that is about to be made.
pub fn intent(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    (change, restore): (&Change, Option<&Restore>),
    now: Timestamp,
) -> VmInstanceStatus {
    let mut memory = remembered(desired, before, observed, now);
    begin(&mut memory, desired, change, now);
    memory.restore = restore.cloned();
    let situation = Situation::Calling { change: change.clone() };
    let report = report::of(desired, observed.instance(), &situation);
    write(desired, before, observed, memory, &report, now)
}

/// Puts a call into the place of the change in flight.
fn begin(memory: &mut Memory, desired: &Desired, change: &Change, now: Timestamp) {
    displace(memory, change.kind, now);
    if change.kind == ChangeKind::Modify {
        memory.order_number = None;
        memory.request_id = None;
    }
    let cancels_a_foreign_plan = change.kind == ChangeKind::CancelDowngrade
        && desired.cancel_plan.as_deref() == Some(change.from.as_str());
    if cancels_a_foreign_plan {
        memory.handled.cancel_plan.clone_from(&desired.cancel_plan);
    }
    memory.change = Some(change.clone());
}

/// A call that certainly did nothing leaves the memory as it was before: what it displaced goes on,
/// and what a person asked for is still to be done.
fn leave(memory: &mut Memory, untouched: Memory) {
    memory.change = untouched.change;
    memory.history = untouched.history;
    memory.restore = untouched.restore;
    memory.handled = untouched.handled;
    memory.order_number = untouched.order_number;
    memory.request_id = untouched.request_id;
}

/// The verdict on an object whose spec cannot be read: nothing is observed, nothing is lost.
pub fn invalid(
    before: &VmInstanceStatus,
    generation: i64,
    error: &InvalidSpec,
    now: Timestamp,
) -> Verdict {
    let message = with_causes(error);
    let report =
        Report { phase: Phase::Failed, ready: false, reason: Reason::InvalidSpec, message };
    let mut status = VmInstanceStatus { pending_decision: None, ..before.clone() };
    conditions(&mut status, before, &report, None, generation, now);
    Verdict { status, answers: None, events: Vec::new(), next_look: NextLook::OnChange }
}

/// Passes that leave the status as it is: somebody else wrote first, a read lags behind a status
/// that says more than the read, or a change in flight could not be looked at for a moment.
fn nothing_to_say(
    desired: &Desired,
    before: &VmInstanceStatus,
    decision: &Decision,
    outcome: &Outcome,
) -> Option<Verdict> {
    let kept = |next_look| {
        Some(Verdict { status: before.clone(), answers: None, events: Vec::new(), next_look })
    };
    match (outcome, &decision.situation) {
        (Outcome::LostRace, _) => kept(NextLook::After(AT_ONCE)),
        _ if before.observed_generation != Some(desired.generation) => None,
        (Outcome::Done, Situation::ReadLags) => kept(NextLook::After(desired.timing.poll.0)),
        (Outcome::Done, Situation::ReadsStale) if before.change.is_some() => {
            kept(NextLook::Backoff)
        }
        _ => None,
    }
}

/// The situation once the outcome of the action is known.
fn after_the_effect(
    desired: &Desired,
    observed: &Observed,
    decision: &Decision,
    outcome: &Outcome,
    memory: &mut Memory,
    now: Timestamp,
) -> Situation {
    let (change, restore, answer) = match (&decision.action, outcome) {
        (Action::Call { change, restore, .. }, Outcome::Answered { answer }) => {
            (change, restore, answer)
        }
        (_, Outcome::StoreFailed { problem }) => {
            let problem = format!("cannot record the change before it is made: {problem}");
            return passing(Reason::KubernetesUnavailable, problem);
        }
        _ => return decision.situation.clone(),
    };
    let untouched = memory.clone();
    begin(memory, desired, change, now);
    memory.restore.clone_from(restore);
    let paid = change.kind == ChangeKind::Modify;
    match answer {
        Answer::Accepted { order_number, request_id } => {
            let change = Change {
                state: ChangeState::Accepted,
                submitted_at: Some(whole_seconds(now)),
                order_number: order_number.clone(),
                ..change.clone()
            };
            if paid {
                memory.order_number.clone_from(order_number);
                memory.request_id.clone_from(request_id);
            }
            memory.change = Some(change.clone());
            Situation::Accepted { change }
        }
        Answer::Unknown { .. } => Situation::OutcomeUnknown { change: change.clone() },
        Answer::NotSent { cause } => {
            leave(memory, untouched);
            let problem = format!("the call was not sent: {cause}");
            passing(Reason::ApiUnavailable, problem)
        }
        Answer::Refused(error) => {
            refused(desired, observed, (change, error), memory, untouched, now)
        }
    }
}

/// A call that was refused: it did nothing, and is made again or not.
fn refused(
    desired: &Desired,
    observed: &Observed,
    (change, error): (&Change, &ApiError),
    memory: &mut Memory,
    untouched: Memory,
    now: Timestamp,
) -> Situation {
    let handled = memory.handled.clone();
    leave(memory, untouched);
    let version = observed.secret.version().unwrap_or_default();
    let off = observed.is_stopped() && change.kind == ChangeKind::Modify;
    let stopped = memory.restore.clone().filter(|_| off);
    let call = Refused { change, stopped: stopped.is_some() };
    match refusal::reaction(desired, error, Some(&call), version, now) {
        Reaction::Wait(reason, problem) => passing(reason, problem),
        Reaction::Stop(refusal) => {
            memory.handled = handled;
            let stop = |entry: &&mut Ended| {
                entry.outcome == HistoryOutcome::Completed
                    && stopped.as_ref().is_some_and(|restore| restore.stopped_by == entry.id)
            };
            if let Some(entry) = memory.history.iter_mut().find(stop) {
                entry.outcome = HistoryOutcome::Unused;
            }
            memory.refuse(&refusal);
            Situation::Refused { refusal }
        }
    }
}

fn passing(reason: Reason, problem: String) -> Situation {
    Situation::ReadFailed { reason, problem, severity: Severity::Passing, refusal: None }
}
