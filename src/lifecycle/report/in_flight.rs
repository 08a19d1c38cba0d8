//! Reports about a change of this object.

use super::{clock, failed, in_sync, report, waiting};
use crate::{
    api::{Phase, Reason},
    lifecycle::{Change, PlanStage, decision::Report},
    zenlayer::{Instance, InstanceTypeId},
};

fn order(change: &Change) -> String {
    match &change.order_number {
        Some(number) => format!("order {number}"),
        None => "order number unknown".to_owned(),
    }
}

/// What is changed, as every message of a change begins.
fn resizing(change: &Change) -> String {
    format!("resizing {} to {}", change.from, change.to)
}

pub(super) fn submitting(want: &InstanceTypeId) -> Report {
    let message = format!("resizing to {want}: the call is about to be made");
    report(Phase::Submitting, false, Reason::Submitting, message)
}

pub(super) fn outcome_unknown(change: &Change) -> Report {
    let until = match change.fence {
        Some(fence) => format!(
            "it is settled by what the provider shows after {}, and never repeated before",
            clock(fence)
        ),
        None => "a bearer token's request may land at any time, so a person must settle it".into(),
    };
    let message = format!(
        "{}: no answer to the call of {} is known; {until}",
        resizing(change),
        clock(change.started_at)
    );
    report(Phase::Submitting, false, Reason::OutcomeUnknown, message)
}

pub(super) fn asks_a_person(change: &Change) -> Report {
    failed(
        Reason::OutcomeUnverified,
        format!(
            "{}: no answer to the call of {} is known, and nothing shows for certain that it took \
             effect; look at the provider's orders, then set the annotation \
             vm.zenlayer.com/release={}",
            resizing(change),
            clock(change.started_at),
            change.id
        ),
    )
}

pub(super) fn may_be_repeated(change: &Change) -> Report {
    waiting(
        Reason::OutcomeUnverified,
        format!(
            "{}: the call of {} did not take effect; it may be made again",
            resizing(change),
            clock(change.started_at)
        ),
    )
}

pub(super) fn overdue(change: &Change) -> Report {
    failed(
        Reason::ChangeOverdue,
        format!(
            "{} since {}, {}: no effect seen in time; ask the provider, or give it up with the \
             annotation vm.zenlayer.com/release={}",
            resizing(change),
            clock(change.started_at),
            order(change),
            change.id
        ),
    )
}

fn done(change: &Change) -> String {
    format!("resized {} to {}, {}", change.from, change.to, order(change))
}

pub(super) fn complete(change: &Change) -> Report {
    in_sync(done(change))
}

pub(super) fn complete_and_not_wanted(change: &Change, want: &InstanceTypeId) -> Report {
    let message = format!("{}; {want} is declared by now", done(change));
    waiting(Reason::ChangeInProgress, message)
}

fn gone_again(change: &Change) -> String {
    format!(
        "the change of {} to {} ({}) was seen and is gone again",
        change.from,
        change.to,
        order(change)
    )
}

pub(super) fn undone(change: &Change) -> Report {
    let message = format!(
        "{}; to order it again set the annotation vm.zenlayer.com/release={}",
        gone_again(change),
        change.id
    );
    failed(Reason::Reverted, message)
}

pub(super) fn undone_and_not_wanted(change: &Change, want: &InstanceTypeId) -> Report {
    let message = format!("{}; {want} is declared by now", gone_again(change));
    waiting(Reason::ChangeInProgress, message)
}

pub(super) fn released(change: &Change) -> Report {
    waiting(Reason::ReadsDisagree, format!("change {} was released by a person", change.id))
}

/// A change that the provider carries out, or that waits for its billing cycle.
pub(super) fn moving(
    want: &InstanceTypeId,
    instance: Option<&Instance>,
    change: &Change,
    stage: Option<PlanStage>,
) -> Report {
    let since =
        format!("{} since {}, {}", resizing(change), clock(change.started_at), order(change));
    match stage {
        Some(PlanStage::Scheduled) if change.to == *want => {
            let time = instance.and_then(|instance| instance.expires_at);
            let time = time.map(|time| format!(", {}", clock(time))).unwrap_or_default();
            let message = format!("{since}; it takes effect at the next billing cycle{time}");
            report(Phase::Scheduled, true, Reason::ChangeScheduled, message)
        }
        Some(PlanStage::Scheduled) => waiting(
            Reason::ForeignPlan,
            format!(
                "{since}; it is scheduled for the next billing cycle, and {want} is declared by \
                 now: cancel it in the provider's console, or declare {} again",
                change.to
            ),
        ),
        Some(PlanStage::Running | PlanStage::Unknown) | None => {
            report(Phase::Changing, false, Reason::ChangeInProgress, since)
        }
    }
}
