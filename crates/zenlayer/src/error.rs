//! The one table of the provider's error codes (fact sheet sections 5, 6 and 7).
//!
//! A new code touches this file alone: its row. If people must tell it apart from all others, it
//! is a [`Problem`] with its remedy in this file, and a reason in `api/reason.rs`. Codes are matched
//! exactly; messages never are.

use self::{ErrorClass::*, Problem::*};

/// How the operator reacts to an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Hopeless until the spec, the Secret, the instance or a person changes something.
    Terminal(Problem),
    /// Refused, and likely for long, by what only the provider has: as terminal, with a slow retry.
    Scarce(Problem),
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

macro_rules! problems {
    ($($name:ident => $remedy:literal),+ $(,)?) => {
        /// What is wrong, as far as the operator tells problems apart. Each one is shown as a
        /// condition reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Problem { $($name,)+ }

        impl Problem {
            /// Every problem, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What a person can do about it; of what passes by itself, what happens next.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)+ }
            }
        }
    };
}

problems! {
    InstanceNotFound => "correct spec.instanceId by a new object, or delete this one",
    InstanceTypeNotFound => "set spec.instanceTypeId to a type that the instance's zone offers",
    InstanceTypeUnsupported => "set spec.instanceTypeId to a type that this instance can take",
    InstanceTypeNotChanged => "the provider shows another type than it says; it is read again",
    InstanceRecycled => "restore the instance in the provider's console, or delete this object",
    InstanceBusy => "it is tried again once the instance is at rest",
    ZoneNotSupported =>
        "ask the provider whether the zone offers changes, then set the annotation \
         vm.zenlayer.com/requested-at; or declare the type in effect",
    PlanExists =>
        "it is tried again once that plan is gone; cancel it in the provider's console, or declare \
         its type",
    ChangeRunning => "it is tried again once that change is done",
    NoPlanToCancel => "the provider shows a plan that it says is not there; it is read again",
    OutOfStock =>
        "it is tried again every half an hour; declare another type, or set the annotation \
         vm.zenlayer.com/requested-at to try now",
    RequestInvalid =>
        "change the spec, or set the annotation vm.zenlayer.com/requested-at to try again; if the spec \
         is right, report a fault of the operator",
    CredentialsRejected => "correct the key or token in the Secret",
    PermissionDenied =>
        "allow the credential DescribeInstances, DescribeInstanceTypeStatus, \
         DescribeZoneInstanceConfigInfos, InquiryPriceCreateInstance, ModifyInstanceType, \
         CancelInstanceDowngrade, StopInstances and StartInstances, then set the annotation \
         vm.zenlayer.com/requested-at",
    ClockSkewed => "synchronise the clock of the operator's node",
    BlockedByEdge => "ask the provider to let the operator's address through",
    ResourceGroupNotFound =>
        "correct the instance's resource group in the provider's console, then set the annotation \
         vm.zenlayer.com/requested-at",
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
    ("STOCK_INSUFFICIENT", Scarce(OutOfStock)),
    ("RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT", Scarce(OutOfStock)),
    ("RESOURCES_SOLDOUT_INSTANCE_TYPE", Scarce(OutOfStock)),
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
