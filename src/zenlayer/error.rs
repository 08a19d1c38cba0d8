//! The one table of the provider's error codes (fact sheet sections 5, 6 and 7).
//!
//! A new code touches this file (its row) and, if it needs a reason of its own,
//! `api/reason.rs`. Codes are matched exactly; messages never are.

use self::{ErrorClass::*, Problem::*};

/// How the operator reacts to an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Hopeless until the spec, the Secret, the instance or a person changes something.
    Terminal(Problem),
    /// The instance is occupied: look again.
    Busy(Problem),
    /// Too many requests: slow down.
    Throttled,
    /// The credential is at fault: no call until the Secret changes.
    Credentials(Problem),
    /// The provider has trouble: try again later. For a write the outcome is unknown.
    Transient,
    /// A 4xx code outside the table: terminal, with a slow retry and the text shown.
    Unknown,
}

/// What is wrong, as far as the operator tells problems apart. Each one is a condition reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Problem {
    InstanceNotFound,
    InstanceTypeNotFound,
    InstanceTypeUnsupported,
    InstanceTypeNotChanged,
    InstanceRecycled,
    InstanceBusy,
    ZoneNotSupported,
    PlanExists,
    ChangeRunning,
    NoPlanToCancel,
    OutOfStock,
    RequestInvalid,
    CredentialsRejected,
    PermissionDenied,
    ClockSkewed,
    BlockedByEdge,
    ResourceGroupNotFound,
}

/// Code, class. One row a code; the order is that of the fact sheet.
pub const TABLE: &[(&str, ErrorClass)] = &[
    ("INTERNAL_SERVER_ERROR", Transient),
    ("SERVICE_TEMPORARY_UNAVAILABLE", Transient),
    ("REQUEST_TIMED_OUT", Transient),
    ("AUTHFAILURE_INVALID_AUTHORIZATION", Credentials(CredentialsRejected)),
    ("AUTHFAILURE_SIGNATURE_FAILURE", Credentials(CredentialsRejected)),
    ("AUTHFAILURE_SIGNATURE_EXPIRED", Credentials(ClockSkewed)),
    ("AUTHFAILURE_UNAUTHORIZED_OPERATION", Credentials(PermissionDenied)),
    ("MISSING_PARAMETER", Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_TYPE", Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_EXCEED_MAXIMUM", Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_LESS_MINIMUM", Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_EXCEED_LENGTH", Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_LESS_LENGTH", Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_PATTERN_ERROR", Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_DATE_FORMAT_ERROR", Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_VALUE", Terminal(RequestInvalid)),
    ("OPERATION_FAILED_FOR_RECYCLE_RESOURCE", Terminal(InstanceRecycled)),
    ("OPERATION_FAILED_RESOURCE_GROUP_NOT_FOUND", Terminal(ResourceGroupNotFound)),
    ("OPERATION_FAILED_RESOURCE_NOT_FOUND", Terminal(InstanceNotFound)),
    ("INVALID_INSTANCE_NOT_FOUND", Terminal(InstanceNotFound)),
    ("INVALID_INSTANCE_TYPE_NOT_CHANGED", Busy(InstanceTypeNotChanged)),
    ("OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED", Terminal(InstanceTypeUnsupported)),
    ("OPERATION_DENIED_INSTANCE_EXIST_PLAN", Busy(PlanExists)),
    ("OPERATION_DENIED_INSTANCE_PLAN_PROCESSING", Busy(ChangeRunning)),
    ("UNSUPPORTED_OPERATION_INSTANCE_STATUS", Busy(InstanceBusy)),
    ("UNSUPPORTED_OPERATION_ZONE_NOT_SUPPORT", Terminal(ZoneNotSupported)),
    ("UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE", Terminal(InstanceRecycled)),
    ("INVALID_PRODUCT_NOT_FOUND", Terminal(InstanceTypeNotFound)),
    ("OPERATION_DENIED_DOWNGRADE_NOT_EXIST", Busy(NoPlanToCancel)),
    ("OPERATION_DENIED_INSTANCE_RECYCLED", Terminal(InstanceRecycled)),
    ("OPERATION_DENIED_INSTANCE_NOT_STOPPED", Busy(InstanceBusy)),
    ("OPERATION_DENIED_INSTANCE_NOT_RUNNING", Busy(InstanceBusy)),
    ("OPERATION_DENIED_INSTANCE_STATUS", Busy(InstanceBusy)),
    ("INVALID_ZONE_NOT_FOUND", Terminal(ZoneNotSupported)),
    // Of sibling products (fact sheet section 5): planned for, never seen here.
    ("INVALID_OPERATION_TIMEOUT", Transient),
    ("STOCK_INSUFFICIENT", Terminal(OutOfStock)),
    ("RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT", Terminal(OutOfStock)),
    ("RESOURCES_SOLDOUT_INSTANCE_TYPE", Terminal(OutOfStock)),
    ("REQUEST_LIMIT_EXCEEDED", Throttled),
];

/// The class of an error answer: by its code, by the HTTP status only where there is none.
pub fn classify(status: u16, code: Option<&str>) -> ErrorClass {
    match code {
        Some(code) => TABLE
            .iter()
            .find(|(known, _)| *known == code)
            .map_or_else(|| without_row(status), |(_, class)| *class),
        None => match status {
            429 => Throttled,
            403 | 451 => Credentials(BlockedByEdge),
            _ => Transient,
        },
    }
}

/// A code outside the table: trouble of the service on a 5xx, else terminal with a slow retry.
fn without_row(status: u16) -> ErrorClass {
    match status {
        429 => Throttled,
        500.. => Transient,
        _ => Unknown,
    }
}
