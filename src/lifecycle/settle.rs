//! `settle`: what a pass means for the status, for the people who watch, and for the next look.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Action, Change, ChangeId, Decision, Desired, Observed, Outcome, Restore, Severity, Situation,
    Standing, Verdict, announce,
    decision::{NextLook, Report},
    desired::InvalidSpec,
    memory::Memory,
    next_look::{AT_ONCE, next_look},
    refusal::{self, Reaction},
    report,
    time::{after, whole_seconds},
};
use crate::{
    api::{
        ChangeKind, ChangeState, ConditionType, HistoryOutcome, ObservedInstance, Phase, Reason,
        VmInstanceStatus, condition,
    },
    zenlayer::{Answer, Instance},
};

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
    let mut memory = remembered(desired, observed, now);
    let situation = after_the_effect(desired, observed, decision, outcome, &mut memory, now);
    remember(&mut memory, &situation, now);
    let mut report = report::of(desired, observed.instance(), &situation);
    if let Some(refusal) = &memory.refusal
        && let Situation::ReadFailed { .. } = situation
    {
        report.message.clone_from(&refusal.message);
    }
    let restoring = memory.restore.is_some();
    if restoring {
        report = report::of_a_stopped_machine(desired, observed.instance(), report);
    }
    let status = write(desired, before, observed.instance(), memory, &report, now);
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

/// The status with the intent of a call that is about to be made.
pub fn intent(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    (change, restore): (&Change, Option<&Restore>),
    now: Timestamp,
) -> VmInstanceStatus {
    let mut memory = remembered(desired, observed, now);
    begin(&mut memory, desired, change, now);
    memory.restore = restore.cloned();
    let situation = Situation::Calling { change: change.clone() };
    let report = report::of(desired, observed.instance(), &situation);
    write(desired, before, observed.instance(), memory, &report, now)
}

/// Puts a call into the place of the change in flight. What it displaces is not over: it waits in
/// the history, or holds the slot once more after this call.
fn begin(memory: &mut Memory, desired: &Desired, change: &Change, now: Timestamp) {
    if let Some(displaced) = memory.change.take()
        && displaced.kind == ChangeKind::Modify
        && displaced.state == ChangeState::Observed
    {
        let outcome = match change.kind {
            ChangeKind::CancelDowngrade => HistoryOutcome::Scheduled,
            ChangeKind::Modify | ChangeKind::Stop | ChangeKind::Start => HistoryOutcome::Overdue,
        };
        memory.end(&displaced, outcome, whole_seconds(now));
    }
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

/// The verdict on an object whose spec cannot be read: nothing is observed, nothing is lost.
pub fn invalid(
    before: &VmInstanceStatus,
    generation: i64,
    error: &InvalidSpec,
    now: Timestamp,
) -> Verdict {
    let mut message = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        message = format!("{message}: {cause}");
    }
    let report =
        Report { phase: Phase::Failed, ready: false, reason: Reason::InvalidSpec, message };
    let mut status = before.clone();
    conditions(&mut status, before, &report, None, generation, now);
    Verdict { status, answers: None, events: Vec::new(), next_look: NextLook::OnChange }
}

/// Passes that leave the status as it is: somebody else wrote first, or a read lags behind a
/// status that says more than the read.
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
        (Outcome::StoreFailed { .. }, _) => kept(NextLook::Backoff),
        (Outcome::Done, Situation::ReadLags | Situation::ReadsStale)
            if before.observed_generation == Some(desired.generation) =>
        {
            kept(NextLook::After(desired.timing.poll.0))
        }
        _ => None,
    }
}

/// The memory that this pass starts from: the change as status and slot show it together, the
/// target of the declared type, the one-shot annotations, and a refusal only while it stands.
fn remembered(desired: &Desired, observed: &Observed, now: Timestamp) -> Memory {
    let mut memory = observed.memory.clone().unwrap_or_default();
    memory.restore = observed.restore();
    match observed.standing(&desired.object, &desired.timing) {
        Standing::InFlight(change) => {
            if change.kind == ChangeKind::Modify {
                let Change { order_number, request_id, .. } = &change;
                memory.order_number = order_number.clone().or(memory.order_number);
                memory.request_id = request_id.clone().or(memory.request_id);
            }
            memory.change = Some(change);
        }
        Standing::GivenBack(_) => memory.change = None,
        Standing::Idle | Standing::HeldElsewhere(_) => {}
    }
    if refusal::standing(desired, &memory, &observed.secret, now).is_none() {
        memory.refusal = None;
    }
    memory.target = Some(memory.target_for(&desired.type_id, desired.generation));
    if desired.retry_at.is_some() {
        memory.handled.retry_at.clone_from(&desired.retry_at);
    }
    memory
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
    let (Action::Call { change, restore, .. }, Outcome::Answered { answer }) =
        (&decision.action, outcome)
    else {
        return decision.situation.clone();
    };
    begin(memory, desired, change, now);
    memory.restore.clone_from(restore);
    let failed = |reason, problem, severity, refusal| Situation::ReadFailed {
        reason,
        problem,
        severity,
        refusal,
    };
    match answer {
        Answer::Accepted { order_number, request_id } => {
            let change = Change {
                state: ChangeState::Accepted,
                submitted_at: Some(whole_seconds(now)),
                order_number: order_number.clone(),
                request_id: request_id.clone(),
                ..change.clone()
            };
            if change.kind == ChangeKind::Modify {
                memory.order_number.clone_from(order_number);
                memory.request_id.clone_from(request_id);
            }
            memory.change = Some(change.clone());
            Situation::Accepted { change }
        }
        Answer::Unknown { .. } => Situation::OutcomeUnknown { change: change.clone() },
        Answer::NotSent { cause } => {
            memory.change = None;
            let problem = format!("the call was not sent: {cause}");
            failed(Reason::ApiUnavailable, problem, Severity::Passing, None)
        }
        Answer::Refused(error) => {
            memory.change = None;
            if change.kind == ChangeKind::Modify {
                memory.request_id.clone_from(&error.request_id);
            }
            let version = observed.secret.version().unwrap_or_default();
            match refusal::reaction(desired, error, Some(change), version, now) {
                Reaction::Wait(reason) => {
                    failed(reason, error.to_string(), Severity::Passing, None)
                }
                Reaction::Stop(refusal) => {
                    memory.refusal = Some(refusal.clone());
                    Situation::Refused { refusal }
                }
            }
        }
    }
}

/// What the status must remember of the situation.
fn remember(memory: &mut Memory, situation: &Situation, now: Timestamp) {
    let now = whole_seconds(now);
    let release = |memory: &mut Memory, id: &ChangeId| {
        memory.handled.release = Some(id.0.clone());
    };
    match situation {
        Situation::EffectSeen { change, stage, .. } => {
            memory.change = Some(Change { state: ChangeState::Observed, ..change.clone() });
            if stage.is_none() {
                complete(memory, change, now);
            }
        }
        Situation::Unverified { change, asks: true } => {
            memory.change = Some(Change { state: ChangeState::Unverified, ..change.clone() });
        }
        Situation::Unverified { change, asks: false } => {
            memory.end(change, HistoryOutcome::Unverified, now);
        }
        Situation::Completed { change } => complete(memory, change, now),
        Situation::GivenUp { change } => memory.end(change, HistoryOutcome::Overdue, now),
        Situation::Resumed { change } => {
            memory.history.retain(|entry| entry.id != change.id);
            memory.change = Some(change.clone());
        }
        Situation::Restored => memory.restore = None,
        Situation::Undone { change } => memory.end(change, HistoryOutcome::Reverted, now),
        Situation::InstanceGone { ended: Some(change) } => {
            memory.end(change, HistoryOutcome::InstanceGone, now);
        }
        Situation::Released { change } => {
            memory.end(change, HistoryOutcome::Released, now);
            release(memory, &change.id);
        }
        Situation::Rearmed { id } => {
            for entry in memory.history.iter_mut().filter(|entry| entry.id == *id) {
                entry.outcome = HistoryOutcome::Released;
            }
            release(memory, id);
        }
        Situation::ReadFailed { refusal: Some(refusal), .. } | Situation::Refused { refusal } => {
            memory.refusal = Some(refusal.clone());
        }
        _ => {}
    }
}

/// A call has done what it was to do. A cancellation ends the change that it took back, too.
fn complete(memory: &mut Memory, change: &Change, now: Timestamp) {
    if change.kind == ChangeKind::CancelDowngrade {
        let taken_back = memory.history.iter_mut().rev().find(|entry| {
            entry.kind == ChangeKind::Modify
                && entry.outcome == HistoryOutcome::Scheduled
                && entry.to == change.from
        });
        if let Some(entry) = taken_back {
            entry.outcome = HistoryOutcome::Cancelled;
        }
    }
    memory.end(change, HistoryOutcome::Completed, now);
}

/// All of the status that the operator owns, written on every pass.
fn write(
    desired: &Desired,
    before: &VmInstanceStatus,
    instance: Option<&Instance>,
    memory: Memory,
    report: &Report,
    now: Timestamp,
) -> VmInstanceStatus {
    let Memory { target, change, restore, refusal, handled, history, order_number, request_id } =
        memory;
    let mut change = change;
    if let (Some(change), Phase::Scheduled, Some(expires_at)) =
        (&mut change, report.phase, instance.and_then(|instance| instance.expires_at))
    {
        change.effective_at = Some(expires_at);
        change.deadline = Some(after(expires_at, desired.timing.change_deadline));
    }
    let mut status = VmInstanceStatus {
        observed_generation: Some(desired.generation),
        phase: Some(report.phase),
        order_number: order_number.map(String::from),
        request_id: request_id.map(String::from),
        instance: instance
            .map(|instance| observed_instance(instance, before.instance.as_ref(), now))
            .or_else(|| before.instance.clone()),
        target: target.map(|target| crate::api::Target {
            type_id: target.type_id.into(),
            since_generation: target.since_generation,
        }),
        change: change.as_ref().map(Change::to_api),
        restore: restore.as_ref().map(Restore::to_api),
        refusal: refusal.as_ref().map(super::Refusal::to_api),
        handled,
        history: history.iter().map(super::Ended::to_api).collect(),
        conditions: Vec::new(),
    };
    let in_sync =
        status.instance.as_ref().map(|instance| instance.type_id == desired.type_id.as_str());
    conditions(&mut status, before, report, in_sync, desired.generation, now);
    status
}

fn observed_instance(
    instance: &Instance,
    before: Option<&ObservedInstance>,
    now: Timestamp,
) -> ObservedInstance {
    let seen = ObservedInstance {
        type_id: instance.type_id.to_string(),
        state: instance.state.to_string(),
        charge_type: instance.charge_type.to_string(),
        zone_id: instance.zone_id.clone(),
        name: instance.name.clone(),
        cpu_count: instance.cpu_count,
        memory_gib: instance.memory_gib,
        expires_at: instance.expires_at.map(Time),
        observed_at: Time(whole_seconds(now)),
    };
    match before {
        Some(before)
            if *before
                == (ObservedInstance {
                    observed_at: before.observed_at.clone(),
                    ..seen.clone()
                }) =>
        {
            before.clone()
        }
        _ => seen,
    }
}

/// Ready, InSync, and whichever of Reconciling and Stalled is true. The only place that derives
/// them.
fn conditions(
    status: &mut VmInstanceStatus,
    before: &VmInstanceStatus,
    report: &Report,
    in_sync: Option<bool>,
    generation: i64,
    now: Timestamp,
) {
    let Report { phase, ready, reason, message } = report;
    let now = whole_seconds(now);
    let mut add = |type_, value: &str, reason, message: &str| {
        let made = condition(&before.conditions, type_, value, reason, message, generation, now);
        status.conditions.retain(|old| old.type_ != made.type_);
        status.conditions.push(made);
    };
    add(ConditionType::Ready, if *ready { "True" } else { "False" }, *reason, message);
    match in_sync {
        Some(true) => add(ConditionType::InSync, "True", Reason::InSync, message),
        Some(false) => add(ConditionType::InSync, "False", Reason::TypeDiffers, message),
        None => add(ConditionType::InSync, "Unknown", Reason::NotObserved, message),
    }
    status.observed_generation = Some(generation);
    status.phase = Some(*phase);
    status.conditions.retain(|old| old.type_ != "Reconciling" && old.type_ != "Stalled");
    let extra = match phase {
        Phase::Failed => Some(ConditionType::Stalled),
        Phase::Waiting | Phase::Submitting | Phase::Changing | Phase::Pending => {
            Some(ConditionType::Reconciling)
        }
        Phase::InSync | Phase::Drifted | Phase::Scheduled | Phase::Suspended => None,
    };
    if let Some(type_) = extra {
        let made = condition(&before.conditions, type_, "True", *reason, message, generation, now);
        status.conditions.push(made);
    }
}
