//! Requests to the provider as metrics: every label is of a closed set, whatever the provider answers.

use zenlayer::{
    Ended, Exchange,
    error::{ErrorClass, TABLE},
};

use super::snapshot::Label;

/// What is not known counts together.
pub const OTHER: &str = "other";

/// The actions that the operator uses.
pub const ACTIONS: [&str; 8] = [
    "DescribeInstances",
    "DescribeInstanceTypeStatus",
    "DescribeZoneInstanceConfigInfos",
    "InquiryPriceCreateInstance",
    "ModifyInstanceType",
    "CancelInstanceDowngrade",
    "StopInstances",
    "StartInstances",
];

pub fn action(name: &str) -> Label {
    ("action", ACTIONS.into_iter().find(|known| *known == name).unwrap_or(OTHER))
}

/// Action, code and class of a request.
pub fn labels(exchange: &Exchange<'_>) -> [Label; 3] {
    let (code, class) = match exchange.ended {
        Ended::Answered => ("OK", "ok"),
        Ended::Failed(error) => (code(error.code.as_deref()), class(error.class())),
        Ended::NotUnderstood => ("none", "not_understood"),
        Ended::NoAnswer => ("none", "no_answer"),
    };
    [action(exchange.action), ("code", code), ("class", class)]
}

/// A code of the error table.
fn code(code: Option<&str>) -> &'static str {
    let Some(code) = code else { return "none" };
    TABLE.iter().find(|(known, _)| *known == code).map_or(OTHER, |(known, _)| known)
}

fn class(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Terminal(_) => "terminal",
        ErrorClass::Scarce(_) => "scarce",
        ErrorClass::Busy(_) => "busy",
        ErrorClass::Throttled => "throttled",
        ErrorClass::Credentials(_) => "credentials",
        ErrorClass::Transient => "transient",
        ErrorClass::Unknown => "unknown",
    }
}
