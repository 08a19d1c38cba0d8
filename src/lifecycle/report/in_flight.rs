//! Situations of a call of this object, and of the change that it led to.

use super::words::{clock, failed, now_declared, order, report, waiting};
use crate::{
    api::{ChangeKind, HistoryOutcome, Phase, Reason},
    lifecycle::{Change, Ended, PlanStage, Report, Situation},
};
use zenlayer::{ChargeType, Instance, InstanceTypeId, OrderNumber};

/// What a call is for, as the start of a sentence.
fn purpose(change: &Change) -> String {
    let Change { kind, from, to, .. } = change;
    match kind {
        ChangeKind::Modify if change.adopted => {
            format!("following a change from {from} to {to} that this object did not order")
        }
        ChangeKind::Modify => format!("resizing {from} to {to}"),
        ChangeKind::CancelDowngrade => format!("cancelling the scheduled change to {from}"),
        ChangeKind::Stop => format!("stopping the instance to resize {from} to {to}"),
        ChangeKind::Start => "starting the instance that was stopped for a change".to_owned(),
    }
}

/// With the order, where there is one to name.
fn since(change: &Change) -> String {
    let ordered = match change.kind {
        ChangeKind::Modify if change.adopted => String::new(),
        ChangeKind::Modify => format!(", {}", order(change.order_number.as_ref())),
        ChangeKind::CancelDowngrade | ChangeKind::Stop | ChangeKind::Start => String::new(),
    };
    format!("{} since {}{ordered}", purpose(change), clock(change.started_at))
}

fn release(id: &crate::lifecycle::ChangeId) -> String {
    format!("vm.zenlayer.com/release={id}")
}

/// What a person can do about a change that does not come to its end. To give an order up means to
/// order it again, where it is still wanted.
fn ways_out(instance: Option<&Instance>, change: &Change) -> String {
    let annotation = format!("the annotation {}", release(&change.id));
    let is_of_type = instance.is_some_and(|one| one.type_id == change.to);
    match change.kind {
        ChangeKind::Modify if !is_of_type => format!(
            "ask the provider about the order; to stop waiting for it, set {annotation}: the change is \
             then ordered again, unless the provider shows it as pending; to stop here, first set \
             spec.instanceTypeId to {}",
            change.from
        ),
        ChangeKind::Modify | ChangeKind::Stop | ChangeKind::Start => {
            format!("ask the provider; to accept the current state, set {annotation}")
        }
        ChangeKind::CancelDowngrade => {
            format!("ask the provider; to cancel it once more, set {annotation}")
        }
    }
}

fn in_progress(kind: ChangeKind) -> Reason {
    match kind {
        ChangeKind::Modify => Reason::ChangeInProgress,
        ChangeKind::CancelDowngrade => Reason::CancelInProgress,
        ChangeKind::Stop => Reason::StopInProgress,
        ChangeKind::Start => Reason::StartInProgress,
    }
}

pub fn of(want: &InstanceTypeId, instance: Option<&Instance>, situation: &Situation) -> Report {
    match situation {
        Situation::Calling { change } => report(
            Phase::Submitting,
            false,
            Reason::Submitting,
            format!("{}: the call is about to be made", purpose(change)),
        ),
        Situation::OutcomeUnknown { .. } | Situation::Unverified { .. } => unanswered(situation),
        Situation::Accepted { change }
        | Situation::Adopted { change, .. }
        | Situation::EffectSeen { change, .. }
        | Situation::Progressing { change, .. } => moving(want, instance, situation, change),
        Situation::Overdue { change } => failed(
            Reason::ChangeOverdue,
            format!(
                "{}: not completed in time; the operator keeps watching it; {}",
                since(change),
                ways_out(instance, change)
            ),
        ),
        Situation::NotInEffect { change, problem } => failed(
            Reason::ChangeNotInEffect,
            format!(
                "{}: {problem}; the operator keeps watching it; {}",
                since(change),
                ways_out(instance, change)
            ),
        ),
        Situation::Completed { change } => completed(want, change),
        Situation::LetGo { change } => waiting(
            Reason::ForeignPlan,
            format!("{}: not followed any more, {}", purpose(change), now_declared(want)),
        ),
        Situation::Undone { change } => undone(want, change),
        Situation::GivenUp { change } => waiting(
            in_progress(change.kind),
            format!("{}: the operating system did not follow in time", since(change)),
        ),
        Situation::Resumed { change } => {
            waiting(Reason::ChangeInProgress, format!("{}: followed again", since(change)))
        }
        Situation::Released { change } => {
            waiting(Reason::ReadsDisagree, format!("change {} was released by a user", change.id))
        }
        _ => waiting(
            Reason::ReadsDisagree,
            "the call was not made; the instance is read again".to_owned(),
        ),
    }
}

/// The effect of a change was seen, and is gone again.
fn undone(want: &InstanceTypeId, change: &Change) -> Report {
    let Change { from, to, .. } = change;
    let (what, again) = if change.adopted {
        (format!("a change from {from} to {to} that this object did not order"), "order it")
    } else {
        let order = order(change.order_number.as_ref());
        (format!("the change from {from} to {to} ({order})"), "order it again, and pay again,")
    };
    if change.to != *want {
        let message =
            format!("{what} was changed back outside this object; {}", now_declared(want));
        return waiting(Reason::ChangeInProgress, message);
    }
    let annotation = release(&change.id);
    let message = format!(
        "{what} was changed back outside this object; to {again} set the annotation {annotation}"
    );
    failed(Reason::Reverted, message)
}

/// No answer to the call is known.
fn unanswered(situation: &Situation) -> Report {
    match situation {
        Situation::Unverified { change, asks: true } if change.fence.is_none() => failed(
            Reason::OutcomeUnverified,
            format!(
                "{}: the answer to the call of {} was lost, and a request with a token can take effect \
                 at any time; check the orders in the provider's console, then set the annotation {}: \
                 the operator looks again and makes the call once more if it is still needed",
                purpose(change),
                clock(change.started_at),
                release(&change.id)
            ),
        ),
        Situation::Unverified { change, asks: true } => failed(
            Reason::OutcomeUnverified,
            format!(
                "{}: the answer to the call of {} was lost, and nothing at the provider shows that it \
                 took effect; check the orders in the provider's console, then set the annotation {}: \
                 the operator looks again and makes the call once more if it is still needed",
                purpose(change),
                clock(change.started_at),
                release(&change.id)
            ),
        ),
        Situation::Unverified { change, asks: false } => waiting(
            Reason::OutcomeUnverified,
            format!(
                "{}: the call of {} did not take effect; it is made again if it is still needed",
                purpose(change),
                clock(change.started_at)
            ),
        ),
        Situation::OutcomeUnknown { change } => report(
            Phase::Submitting,
            false,
            Reason::OutcomeUnknown,
            format!(
                "{}: the answer to the call of {} was lost; after {} the operator decides by what the \
                 provider shows, and it repeats nothing before that",
                purpose(change),
                clock(change.started_at),
                change.fence.map_or_else(|| "a user has decided".to_owned(), clock),
            ),
        ),
        _ => waiting(Reason::ReadsDisagree, "the instance is read again".to_owned()),
    }
}

pub fn changes_type(kind: ChangeKind) -> bool {
    match kind {
        ChangeKind::Modify | ChangeKind::CancelDowngrade => true,
        ChangeKind::Stop | ChangeKind::Start => false,
    }
}

/// Whose order it was, and which.
fn ordered(adopted: bool, number: Option<&OrderNumber>) -> String {
    if adopted { "which this object did not order".to_owned() } else { order(number) }
}

/// What a call has done, once it is complete.
pub fn done(
    kind: ChangeKind,
    (from, to): (&InstanceTypeId, &InstanceTypeId),
    adopted: bool,
    number: Option<&OrderNumber>,
) -> String {
    match kind {
        ChangeKind::Modify => format!("resized {from} to {to}, {}", ordered(adopted, number)),
        ChangeKind::CancelDowngrade => {
            format!("the scheduled change to {from} is cancelled, the instance stays of type {to}")
        }
        ChangeKind::Stop => "the instance is stopped".to_owned(),
        ChangeKind::Start => "the instance is started again".to_owned(),
    }
}

fn completed(want: &InstanceTypeId, change: &Change) -> Report {
    let wanted = change.to == *want;
    let number = change.order_number.as_ref();
    let done = done(change.kind, (&change.from, &change.to), change.adopted, number);
    match change.kind {
        ChangeKind::Modify | ChangeKind::CancelDowngrade if wanted => {
            report(Phase::InSync, true, Reason::InSync, done)
        }
        ChangeKind::Modify | ChangeKind::CancelDowngrade => {
            waiting(Reason::ChangeInProgress, format!("{done}; {}", now_declared(want)))
        }
        ChangeKind::Stop | ChangeKind::Start => {
            report(Phase::Changing, false, in_progress(change.kind), done)
        }
    }
}

/// A change that the provider carries out, or that waits for its billing cycle.
fn moving(
    want: &InstanceTypeId,
    instance: Option<&Instance>,
    situation: &Situation,
    change: &Change,
) -> Report {
    let stage = match situation {
        Situation::Adopted { stage, .. } => Some(*stage),
        Situation::EffectSeen { stage, .. } | Situation::Progressing { stage, .. } => *stage,
        _ => None,
    };
    match (situation, stage) {
        (Situation::EffectSeen { .. }, None) => completed(want, change),
        (_, Some(PlanStage::Scheduled)) if change.to == *want => report(
            Phase::Scheduled,
            true,
            Reason::ChangeScheduled,
            format!("{}; {}", since(change), when_it_takes_effect(instance)),
        ),
        (_, Some(PlanStage::Scheduled)) => waiting(
            Reason::CancelInProgress,
            format!(
                "{}; it is scheduled for the next billing cycle and is cancelled first: {}",
                since(change),
                now_declared(want)
            ),
        ),
        _ => report(Phase::Changing, false, in_progress(change.kind), since(change)),
    }
}

/// Of a scheduled change, with a warning where it may never come to it.
fn when_it_takes_effect(instance: Option<&Instance>) -> String {
    let Some(instance) = instance else {
        return "it takes effect at the next billing cycle".to_owned();
    };
    let mut text = "it takes effect at the next billing cycle".to_owned();
    if let Some(time) = instance.expires_at {
        text = format!("{text}, {}", clock(time));
    }
    let prepaid = instance.charge_type == ChargeType::Prepaid;
    if prepaid && instance.auto_renew == Some(false) {
        text =
            format!("{text}; warning: autoRenew is off, without a renewal there is no next cycle");
    }
    text
}

/// A call that was made once for this declaration is not made again.
pub fn reverted(entry: &Ended) -> Report {
    let Ended { from, to, id, .. } = entry;
    let again = format!("set the annotation {}", release(id));
    match (entry.kind, entry.outcome) {
        (kind, HistoryOutcome::Unverified) => failed(
            Reason::OutcomeUnverified,
            format!(
                "the call to {} was made several times and each answer was lost, and nothing at the \
                 provider shows that one took effect; check the orders in the provider's console; to \
                 try once more, {again}",
                match kind {
                    ChangeKind::Modify => format!("resize {from} to {to}"),
                    ChangeKind::CancelDowngrade => format!("cancel the change to {from}"),
                    ChangeKind::Stop => format!("stop the instance and resize {from} to {to}"),
                    ChangeKind::Start => "start the instance".to_owned(),
                }
            ),
        ),
        (ChangeKind::Stop, HistoryOutcome::Overdue) => failed(
            Reason::ChangeOverdue,
            format!(
                "the operating system did not shut down in time for the change from {from} to {to}: \
                 shut it down yourself, or set spec.strategy to InPlace; to try once more, {again}"
            ),
        ),
        (ChangeKind::Start, _) => failed(
            Reason::ChangeOverdue,
            format!(
                "the instance was stopped for a change, and several attempts to start it failed: start \
                 it yourself; to try once more, {again}"
            ),
        ),
        (ChangeKind::Stop, _) => failed(
            Reason::Reverted,
            format!(
                "the instance was stopped once for the change from {from} to {to}, and runs again \
                 without the change; to stop it again, {again}"
            ),
        ),
        _ if entry.adopted => failed(
            Reason::Reverted,
            format!(
                "a change from {from} to {to} that this object did not order was seen, and the \
                 instance is of type {from}; to order it, {again}"
            ),
        ),
        _ => failed(
            Reason::Reverted,
            format!(
                "the change from {from} to {to} was ordered once (change {id}), and it was changed back \
                 outside this object; to order it again, and pay again, {again}"
            ),
        ),
    }
}
