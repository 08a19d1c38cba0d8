//! Words that several reports share.

use jiff::Timestamp;
use zenlayer::{Instance, InstanceTypeId, OrderNumber};

use crate::{
    api::{Phase, Reason},
    lifecycle::{PlanStage, Report},
};

/// Times of a day, as messages show them.
pub fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub fn order(number: Option<&OrderNumber>) -> String {
    match number {
        Some(number) => format!("order {number}"),
        None => "order number unknown".to_owned(),
    }
}

pub fn report(phase: Phase, ready: bool, reason: Reason, message: String) -> Report {
    Report { phase, ready, reason, message }
}

pub fn waiting(reason: Reason, message: String) -> Report {
    report(Phase::Waiting, false, reason, message)
}

pub fn failed(reason: Reason, message: String) -> Report {
    report(Phase::Failed, false, reason, message)
}

/// What is declared, where that is no longer what an older change was for.
pub fn now_declared(want: &InstanceTypeId) -> String {
    format!("spec.instanceTypeId is now {want}")
}

pub fn differs(instance: Option<&Instance>, want: &InstanceTypeId) -> String {
    match instance {
        Some(instance) => {
            format!(
                "instance {} is of type {}, spec.instanceTypeId is {want}",
                instance.id, instance.type_id
            )
        }
        None => format!("spec.instanceTypeId is {want}"),
    }
}

pub fn stage_words(stage: PlanStage) -> &'static str {
    match stage {
        PlanStage::Running => "running",
        PlanStage::Scheduled => "scheduled for the next billing cycle",
        PlanStage::Unknown => "in a state that this version does not know",
    }
}
