//! The one table of the provider's error codes, and what a caller can do about each.
//!
//! A new code touches this file alone: its row. If callers must tell it apart from all others, it is
//! a [`Problem`] of its own. Codes are matched exactly; the provider's messages never are.
//!
//! Sources: the provider's pages of common errors and of each action, and for a few codes the
//! official clients. The HTTP status of a code differs between versions of these pages, so it decides
//! only where there is no code, or none that this table knows.

use self::{ErrorClass::*, Problem::*};

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same request will be refused again until its parameters, the instance or the account
    /// are changed by somebody.
    Terminal(Problem),
    /// The provider has none left of what was asked for. It may pass, but hardly soon.
    Scarce(Problem),
    /// The instance is occupied, or already as it was asked to be: look at it, then decide anew.
    Busy(Problem),
    /// Too many requests: slow down. [`Client`](crate::Client) does so by itself.
    Throttled,
    /// The credential, the clock or the way to the provider is at fault: no call will do better until
    /// that is mended.
    Credentials(Problem),
    /// The provider has trouble: a read may be tried again later; of a mutation the outcome is
    /// unknown.
    Transient,
    /// A 4xx with a code outside the table. It refuses; nothing is known of why but its text.
    Unknown,
}

macro_rules! problems {
    ($($(#[$doc:meta])+ $name:ident),+ $(,)?) => {
        /// What is wrong, as far as problems are told apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Problem { $($(#[$doc])+ $name,)+ }

        impl Problem {
            /// Every problem, in the order of its declaration.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

problems! {
    /// The provider knows no such instance.
    InstanceNotFound,
    /// The provider knows no such instance type.
    InstanceTypeNotFound,
    /// This instance cannot take that type: some changes between series are not allowed.
    InstanceTypeUnsupported,
    /// The instance is of that type already. Believe it after a read.
    InstanceTypeNotChanged,
    /// The instance is in the recycle bin.
    InstanceRecycled,
    /// The instance's state does not allow the action now.
    InstanceBusy,
    /// The zone does not offer the action, or does not exist.
    ZoneNotSupported,
    /// A change of the instance is scheduled already.
    PlanExists,
    /// A change of the instance is being carried out.
    ChangeRunning,
    /// There is no scheduled downgrade to cancel.
    NoPlanToCancel,
    /// Sold out.
    OutOfStock,
    /// A parameter is missing or not as the provider wants it.
    RequestInvalid,
    /// The provider does not accept the key, the token or the signature.
    CredentialsRejected,
    /// The credential may not use the action, or there is no such action.
    PermissionDenied,
    /// The signed time and the provider's clock are more than [five minutes](crate::SIGNATURE_LIFE)
    /// apart.
    ClockSkewed,
    /// 403 or 451 by the network in front of the API, without its JSON. (The official Python and
    /// Java clients tell these apart, too.)
    BlockedByEdge,
    /// The instance's resource group does not exist.
    ResourceGroupNotFound,
}

/// Code, class. One row a code: first the common ones, then those of each action.
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
    // Documented for sibling products, or known to their clients only; never seen of this API.
    ("INVALID_OPERATION_TIMEOUT", Transient),
    ("STOCK_INSUFFICIENT", Scarce(OutOfStock)),
    ("RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT", Scarce(OutOfStock)),
    ("RESOURCES_SOLDOUT_INSTANCE_TYPE", Scarce(OutOfStock)),
    ("REQUEST_LIMIT_EXCEEDED", Throttled),
];

/// The class of an error answer: by its code, by the HTTP status only where there is none, or none
/// that the table knows.
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

/// A code outside the table: trouble of the service on a 5xx, else a refusal for an unknown reason.
fn without_row(status: u16) -> ErrorClass {
    match status {
        429 => Throttled,
        500.. => Transient,
        _ => Unknown,
    }
}
