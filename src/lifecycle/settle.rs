//! `settle`: what a pass means for the status, for the people who watch, and for the next look.

use jiff::Timestamp;
use zenlayer::{Answer, ApiError, with_causes};

use super::{
    Desired, Observed,
    decision::{Action, Decision, Order, Outcome, Verdict},
    desired::InvalidSpec,
    memory::{Memory, Refusal},
    observed::{Trouble, speaks_of_rest},
    refusal::{self, Reaction},
    remember::{apply, begin, leave, remembered, tried},
    situation::{
        AtRest, Calling, Event, Looking, NextLook, Power, ReadProblem, Scene, Situation, Told,
        TypeChange, Worth, Written, accepted, beside,
    },
    write::{conditions, in_sync, not_read, write},
};
use crate::{
    api::{ChangeKind, Phase, Reason, VmInstanceStatus},
    lifecycle::protocol::LaneName,
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
    if *outcome == Outcome::LostRace {
        return kept(before, NextLook::Backoff);
    }
    let Ok(_) = &observed.memory else {
        return unreadable(desired, before, observed, &decision.situation, now);
    };
    let mut memory = remembered(desired, observed, now);
    let situation = after_the_effect(desired, observed, decision, outcome, &mut memory, now);
    // There is nothing to try, or it was this operator that refused.
    if matches!(situation, Situation::AtRest(AtRest::InSync | AtRest::Refused { .. })) {
        tried(&mut memory, desired);
    }
    let told = told_of(desired, observed, &mut memory, &situation, now);
    let told = at_rest_stays_ready(before, observed, desired, &situation, told, now);
    let current = before.observed_generation == Some(desired.generation);
    let answers = match (&decision.action, outcome) {
        (Action::Call(order), Outcome::Answered { .. }) => Some(order.change.id.clone()),
        _ => None,
    };
    match told.written {
        Written::OfANewSpec if current && answers.is_none() => {
            return silent_pass(desired, before, observed, memory, &told, now);
        }
        Written::Never if answers.is_none() => return kept(before, told.next_look),
        Written::Always | Written::OfANewSpec | Written::Never => {}
    }
    let told = asks_still(before, &situation, &memory, as_it_was_told(before, told));
    let status = write(desired, before, observed, memory, &told, now);
    let account = account(&situation);
    let events = events(before, &status, &told);
    Verdict { events, next_look: told.next_look, status, answers, account }
}

/// What the other objects of a credential wait for once its account was refused.
fn account(situation: &Situation) -> Option<Trouble> {
    let Situation::AtRest(AtRest::Refused { refusal, account: Some(pause) }) = situation else {
        return None;
    };
    let Refusal { reason, message, .. } = refusal;
    let problem = message.clone();
    Some(Trouble { reason: *reason, problem, person: true, again_in: *pause })
}

/// A pass that leaves the status as it is.
fn kept(before: &VmInstanceStatus, next_look: NextLook) -> Verdict {
    Verdict { status: before.clone(), answers: None, events: Vec::new(), next_look, account: None }
}

/// A pass that has nothing to say, and may have something to remember.
fn silent_pass(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    memory: Memory,
    told: &Told,
    now: Timestamp,
) -> Verdict {
    let written = write(desired, before, observed, memory, told, now);
    let status = VmInstanceStatus {
        observed_generation: before.observed_generation,
        phase: before.phase,
        instance: before.instance.clone(),
        conditions: before.conditions.clone(),
        pending_decision: before.pending_decision.clone(),
        // A target begins when it is acted on, or told.
        target: before.target.clone(),
        ..written
    };
    kept(&status, told.next_look)
}

pub fn scene<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
    memory: &'a Memory,
    now: Timestamp,
) -> Scene<'a> {
    Scene { desired, instance: observed.instance(), history: &memory.history, now }
}

/// What the situation says once what it remembers is remembered.
fn told_of(
    desired: &Desired,
    observed: &Observed,
    memory: &mut Memory,
    situation: &Situation,
    now: Timestamp,
) -> Told {
    let told = situation.told(&scene(desired, observed, memory, now));
    let told = beside(
        told,
        &scene(desired, observed, memory, now),
        memory.in_lane(LaneName::Power),
        memory.restore.as_ref(),
    );
    for memo in &told.remembers {
        apply(memory, memo, now);
    }
    told
}

/// An object at rest with nothing to do stays Ready while the provider cannot be read.
fn at_rest_stays_ready(
    before: &VmInstanceStatus,
    observed: &Observed,
    desired: &Desired,
    situation: &Situation,
    told: Told,
    now: Timestamp,
) -> Told {
    let unread = match situation {
        // Of a machine that was read, it is an order that is held back.
        Situation::Looking(Looking::InTrouble { .. }) => observed.instance.is_none(),
        Situation::Looking(Looking::ReadFailed { .. } | Looking::Missing) => true,
        _ => false,
    };
    let scheduled = before.phase == Some(Phase::Scheduled)
        && before.observed_generation == Some(desired.generation);
    let rests = speaks_of_rest(before, desired.generation) && before.change.is_none() || scheduled;
    let rests = rests && before.power.is_empty();
    if !(unread && rests && observed.memory.is_ok()) {
        return told;
    }
    let ready = before.conditions.iter().find(|one| one.type_ == "Ready");
    let Some((ready, phase)) = ready.zip(before.phase) else { return told };
    let Some(reason) = Reason::parse(&ready.reason) else { return told };
    let said = ready.message.split("; not read since ").next().unwrap_or_default();
    let message = match observed.instance() {
        // Only its plan could not be read, which says nothing of what the machine is.
        Some(_) => said.to_owned(),
        None => {
            let since = unread_words(before, now);
            format!("{said}; not read since {since}: {}", told.message)
        }
    };
    Told { phase, ready: true, reason, message, event: Worth::Nothing, asks: None, ..told }
}

fn unread_words(before: &VmInstanceStatus, now: Timestamp) -> String {
    let since = before.instance.as_ref().and_then(|instance| instance.unread_since.as_ref());
    since.map_or(now, |time| time.0).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What a person is asked stays while nothing could be seen, and the change that it is about is there.
fn asks_still(
    before: &VmInstanceStatus,
    situation: &Situation,
    memory: &Memory,
    told: Told,
) -> Told {
    let asked = before.pending_decision.as_ref().filter(|_| told.asks.is_none());
    let there = |id: &String| {
        LaneName::ALL.iter().filter_map(|lane| memory.in_lane(*lane)).any(|one| one.id.0 == *id)
            || memory.history.iter().any(|entry| entry.id.0 == *id)
    };
    let stays = asked.filter(|asked| asked.change_id.as_ref().is_none_or(there));
    let unseen = matches!(
        situation,
        Situation::Looking(
            Looking::ReadFailed { .. }
                | Looking::InTrouble { .. }
                | Looking::SecretUnusable { .. }
                | Looking::SlotUnreadable { .. }
                | Looking::Missing
        )
    );
    match stays {
        Some(asked) if unseen => told.asks(*asked.clone()),
        _ => told,
    }
}

/// A failure that comes again differs in the id of its request alone: that is no news.
fn as_it_was_told(before: &VmInstanceStatus, told: Told) -> Told {
    let ready = before.conditions.iter().find(|one| one.type_ == "Ready");
    match ready {
        Some(ready) if without_request(&ready.message) == without_request(&told.message) => {
            Told { message: ready.message.clone(), ..told }
        }
        _ => told,
    }
}

fn without_request(message: &str) -> (&str, &str) {
    let Some((head, rest)) = message.split_once(", request ") else { return (message, "") };
    (head, rest.split_once(';').map_or("", |(_, tail)| tail))
}

/// What is worth telling of the step from `before` to `after`.
fn events(before: &VmInstanceStatus, after: &VmInstanceStatus, told: &Told) -> Vec<Event> {
    let ready_reason = |status: &VmInstanceStatus| {
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
        ready.map(|one| one.reason.clone())
    };
    let moved = before.phase != after.phase || ready_reason(before) != ready_reason(after);
    // It stood before, and was told; a read that failed in between is no news of it.
    let stood = after.refusal.as_ref().is_some_and(|refusal| {
        before.refusal.as_ref() == Some(refusal) && refusal.reason == told.reason.as_str()
    });
    let (warning, reason) = match told.event {
        Worth::Always(warning, reason) => (warning, reason),
        Worth::News(warning, reason) if moved && !stood => (warning, reason),
        Worth::News(..) | Worth::Nothing => return Vec::new(),
    };
    vec![Event { warning, reason, note: told.message.clone() }]
}

/// A status that cannot be read is kept as it is, but for the conditions: an intent or an order in
/// it must not be lost.
fn unreadable(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    situation: &Situation,
    now: Timestamp,
) -> Verdict {
    let memory = Memory::default();
    let told = situation.told(&scene(desired, observed, &memory, now));
    let instance = not_read(before, now);
    let mut status = VmInstanceStatus { pending_decision: None, instance, ..before.clone() };
    let in_sync = in_sync(&status, desired, now);
    conditions(&mut status, before, &told, in_sync, desired.generation, now);
    let events = events(before, &status, &told);
    Verdict { events, next_look: told.next_look, status, answers: None, account: None }
}

/// The status with the intent of a call that is about to be made.
pub fn intent(
    desired: &Desired,
    before: &VmInstanceStatus,
    observed: &Observed,
    order: &Order,
    now: Timestamp,
) -> VmInstanceStatus {
    let mut memory = remembered(desired, observed, now);
    begin(&mut memory, desired, order, now);
    let situation = Calling { change: order.change.clone() };
    let told = situation.told(&scene(desired, observed, &memory, now));
    write(desired, before, observed, memory, &told, now)
}

/// The verdict on an object whose spec cannot be read: nothing is observed, nothing is lost.
pub fn invalid(
    before: &VmInstanceStatus,
    generation: i64,
    error: &InvalidSpec,
    now: Timestamp,
) -> Verdict {
    let told = Told::failed(Reason::InvalidSpec, with_causes(error), NextLook::OnChange);
    let instance = not_read(before, now);
    let mut status = VmInstanceStatus { pending_decision: None, instance, ..before.clone() };
    conditions(&mut status, before, &told, None, generation, now);
    let events = events(before, &status, &told);
    Verdict { status, events, ..kept(before, NextLook::OnChange) }
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
    let (order, answer) = match (&decision.action, outcome) {
        (Action::Call(order), Outcome::Answered { answer }) => (order, answer),
        (action, Outcome::StoreFailed { problem }) => {
            if let Action::Call(order) = action {
                memory.withdrawn = Some(order.change.id.clone());
            }
            let text = format!("cannot record the change before it is made: {problem}");
            return passing(Reason::KubernetesUnavailable, text);
        }
        _ => return decision.situation.clone(),
    };
    let change = &order.change;
    let untouched = memory.clone();
    begin(memory, desired, order, now);
    match answer {
        Answer::Accepted { order_number, request_id } => {
            let change = accepted(change, order_number.clone(), now);
            match change.kind {
                ChangeKind::Modify => {
                    memory.order_number.clone_from(order_number);
                    memory.request_id.clone_from(request_id);
                    TypeChange::Ordered { change }.into()
                }
                ChangeKind::CancelDowngrade => TypeChange::Ordered { change }.into(),
                ChangeKind::Stop | ChangeKind::Start => Power::Requested { change }.into(),
            }
        }
        Answer::Unknown { .. } => match change.kind {
            ChangeKind::Modify | ChangeKind::CancelDowngrade => {
                TypeChange::Unknown { change: change.clone() }.into()
            }
            ChangeKind::Stop | ChangeKind::Start => {
                Power::Unknown { change: change.clone() }.into()
            }
        },
        Answer::NotSent { cause } => {
            leave(memory, untouched, change);
            passing(Reason::ApiUnavailable, format!("the call was not sent: {cause}"))
        }
        Answer::Refused(error) => {
            let handled = memory.handled.clone();
            leave(memory, untouched, change);
            refused(desired, observed, (order, error), memory, handled, now)
        }
    }
}

/// A call that was refused: it did nothing, and is made again or not.
fn refused(
    desired: &Desired,
    observed: &Observed,
    (order, error): (&Order, &ApiError),
    memory: &mut Memory,
    handled: crate::api::Handled,
    now: Timestamp,
) -> Situation {
    let before = memory.refusal.as_ref();
    match refusal::reaction(desired, observed, before, error, &order.change, now) {
        Reaction::Wait(reason, problem) => passing(reason, problem),
        Reaction::Stop { refusal, account } => {
            // What a person asked for was tried.
            memory.handled = handled;
            AtRest::Refused { refusal, account }.into()
        }
    }
}

fn passing(reason: Reason, text: String) -> Situation {
    Looking::ReadFailed { problem: ReadProblem { reason, text, person: false } }.into()
}
