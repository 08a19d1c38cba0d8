//! Situations in which nothing is in flight, and something holds the change back.

use super::in_flight;
use super::words::{clock, differs, failed, now_declared, order, report, waiting};
use crate::{
    api::{ManagementPolicy, Phase, Reason},
    lifecycle::{Change, Desired, Report, Situation},
};
use zenlayer::{Instance, InstanceState};

pub fn of(desired: &Desired, instance: Option<&Instance>, situation: &Situation) -> Report {
    let id = &desired.instance_id;
    let want = &desired.type_id;
    match situation {
        Situation::DriftObserved { hindrance } => {
            let would = match hindrance {
                None => "with Enforce it would be resized".to_owned(),
                Some(told) => format!("with Enforce it would not be resized either: {told}"),
            };
            let why = "spec.managementPolicy is Observe, so it is not changed";
            let message = format!("{}; {why}; {would}", differs(instance, want));
            report(Phase::Drifted, true, Reason::DriftObserved, message)
        }
        Situation::Suspended { hindrance } => {
            let would = match hindrance {
                None => "without suspend it would be resized".to_owned(),
                Some(told) => format!("without suspend it would not be resized either: {told}"),
            };
            let why = "spec.suspend is true, so it is not changed";
            let message = format!("{}; {why}; {would}", differs(instance, want));
            report(Phase::Suspended, true, Reason::Suspended, message)
        }
        Situation::Refused { refusal } => failed(refusal.reason, refusal.message.clone()),
        Situation::Reverted { entry } => in_flight::reverted(entry),
        Situation::InstanceBusy { state } => waiting(
            Reason::InstanceBusy,
            format!(
                "instance {id} is {state}; a change is possible while it is RUNNING or STOPPED"
            ),
        ),
        Situation::InstanceUnusable { state } => failed(
            match state {
                InstanceState::CreateFailed => Reason::InstanceUnusable,
                _ => Reason::InstanceRecycled,
            },
            format!(
                "instance {id} is {state}: restore it in the provider's console, or delete this object"
            ),
        ),
        Situation::UnwantedPlan { change } => unwanted_plan(desired, change),
        Situation::OrderLimitReached { limit, until } => waiting(
            Reason::OrderLimitReached,
            format!(
                "{}; the limit of {limit} orders per hour (--max-orders-per-hour) is reached{}",
                differs(instance, want),
                until
                    .map(|time| format!("; the next order is possible after {}", clock(time)))
                    .unwrap_or_default()
            ),
        ),
        Situation::OrdersUnknown { problem } => waiting(
            Reason::KubernetesUnavailable,
            format!("cannot read how many changes were ordered within the last hour: {problem}"),
        ),
        Situation::ClockSkewed { seconds } => failed(
            Reason::ClockSkewed,
            format!(
                "the operator's clock is {} s {} the provider's (the limit is {} s): synchronise the \
                 clock of its node; no change is ordered until then",
                seconds.unsigned_abs(),
                if *seconds < 0 { "behind" } else { "ahead of" },
                desired.timing.skew_limit.as_secs()
            ),
        ),
        _ => waiting(Reason::ReadsDisagree, format!("instance {id} is read again")),
    }
}

/// A scheduled change that is not wanted any more, and that may not be taken back.
fn unwanted_plan(desired: &Desired, change: &Change) -> Report {
    let want = &desired.type_id;
    let message = format!(
        "a change to {} ({}) is scheduled, and {}",
        change.to,
        order(change.order_number.as_ref()),
        now_declared(want)
    );
    match desired.policy {
        ManagementPolicy::Observe => report(
            Phase::Drifted,
            true,
            Reason::DriftObserved,
            format!("{message}; spec.managementPolicy is Observe, so it is not cancelled"),
        ),
        ManagementPolicy::Enforce => report(
            Phase::Suspended,
            true,
            Reason::Suspended,
            format!("{message}; spec.suspend is true, so it is not cancelled"),
        ),
    }
}
