//! The error table: every documented code has a row, and what stands outside it.

use std::collections::BTreeSet;

use zenlayer::{
    ApiError, ReadError, RequestId,
    error::{ErrorClass, ErrorClass::*, Problem::*, TABLE, classify},
};
use zenlayer_sim::http::CODES;

/// Code, documented status, class: written down here a second time, from the provider's pages, so that
/// a slip in the table shows.
const DOCUMENTED: &[(&str, u16, ErrorClass)] = &[
    // Common to all actions.
    ("INTERNAL_SERVER_ERROR", 500, Transient),
    ("SERVICE_TEMPORARY_UNAVAILABLE", 503, Transient),
    ("REQUEST_TIMED_OUT", 503, Transient),
    ("AUTHFAILURE_INVALID_AUTHORIZATION", 401, Credentials(CredentialsRejected)),
    ("AUTHFAILURE_SIGNATURE_FAILURE", 401, Credentials(CredentialsRejected)),
    ("AUTHFAILURE_SIGNATURE_EXPIRED", 401, Credentials(ClockSkewed)),
    ("AUTHFAILURE_UNAUTHORIZED_OPERATION", 401, Credentials(PermissionDenied)),
    ("MISSING_PARAMETER", 400, Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_TYPE", 400, Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_EXCEED_MAXIMUM", 400, Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_LESS_MINIMUM", 400, Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_EXCEED_LENGTH", 400, Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_LESS_LENGTH", 400, Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_PATTERN_ERROR", 400, Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_DATE_FORMAT_ERROR", 400, Terminal(RequestInvalid)),
    ("INVALID_PARAMETER_VALUE", 400, Terminal(RequestInvalid)),
    ("OPERATION_FAILED_FOR_RECYCLE_RESOURCE", 403, Terminal(InstanceRecycled)),
    ("OPERATION_FAILED_RESOURCE_GROUP_NOT_FOUND", 404, Terminal(ResourceGroupNotFound)),
    ("OPERATION_FAILED_RESOURCE_NOT_FOUND", 404, Terminal(InstanceNotFound)),
    // Known from the official clients, or from pages of sibling products.
    ("REQUEST_LIMIT_EXCEEDED", 429, Throttled),
    ("INVALID_OPERATION_TIMEOUT", 400, Transient),
    ("STOCK_INSUFFICIENT", 400, Scarce(OutOfStock)),
    ("RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT", 400, Scarce(OutOfStock)),
    ("RESOURCES_SOLDOUT_INSTANCE_TYPE", 400, Scarce(OutOfStock)),
    ("OPERATION_DENIED_INSTANCE_RECYCLED", 403, Terminal(InstanceRecycled)),
    // Of ModifyInstanceType.
    ("INVALID_INSTANCE_NOT_FOUND", 404, Terminal(InstanceNotFound)),
    ("INVALID_INSTANCE_TYPE_NOT_CHANGED", 400, Busy(InstanceTypeNotChanged)),
    ("OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED", 400, Terminal(InstanceTypeUnsupported)),
    ("OPERATION_DENIED_INSTANCE_EXIST_PLAN", 403, Busy(PlanExists)),
    ("OPERATION_DENIED_INSTANCE_PLAN_PROCESSING", 403, Busy(ChangeRunning)),
    ("UNSUPPORTED_OPERATION_INSTANCE_STATUS", 400, Busy(InstanceBusy)),
    ("UNSUPPORTED_OPERATION_ZONE_NOT_SUPPORT", 400, Terminal(ZoneNotSupported)),
    ("UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE", 400, Terminal(InstanceRecycled)),
    ("INVALID_PRODUCT_NOT_FOUND", 404, Terminal(InstanceTypeNotFound)),
    // Of the other actions.
    ("INVALID_ZONE_NOT_FOUND", 404, Terminal(ZoneNotSupported)),
    ("OPERATION_DENIED_DOWNGRADE_NOT_EXIST", 403, Busy(NoPlanToCancel)),
    ("OPERATION_DENIED_INSTANCE_NOT_STOPPED", 403, Busy(InstanceBusy)),
    ("OPERATION_DENIED_INSTANCE_NOT_RUNNING", 403, Busy(InstanceBusy)),
    ("OPERATION_DENIED_INSTANCE_STATUS", 403, Busy(InstanceBusy)),
];

#[test]
fn every_documented_code_has_its_class_at_any_status() {
    for (code, status, class) in DOCUMENTED {
        // The status of a code is not stable across the documentation's versions.
        for status in [*status, 400, 403, 404, 500] {
            assert_eq!(classify(status, Some(code)), *class, "{code} at {status}");
        }
    }
}

#[test]
fn the_table_holds_each_documented_code_once_and_no_other() {
    let rows: Vec<&str> = TABLE.iter().map(|(code, _)| *code).collect();
    let unique: BTreeSet<&str> = rows.iter().copied().collect();
    assert_eq!(rows.len(), unique.len(), "a code has two rows");
    assert_eq!(unique, DOCUMENTED.iter().map(|(code, ..)| *code).collect());
}

/// The simulator's list is written apart from the client's.
#[test]
fn every_code_that_the_simulator_can_play_has_a_row() {
    let rows: BTreeSet<&str> = TABLE.iter().map(|(code, _)| *code).collect();
    assert_eq!(rows, CODES.iter().map(|(code, _)| *code).collect());
}

#[test]
fn what_has_no_row_is_classed_by_its_status() {
    // name, status, code, class
    let table = [
        ("a new refusal", 400, Some("NO_SUCH_CODE_YET"), Unknown),
        ("low balance, say", 403, Some("BALANCE_INSUFFICIENT"), Unknown),
        ("a known code in other case", 400, Some("missing_parameter"), Unknown),
        ("a known code with a tail", 400, Some("MISSING_PARAMETER_X"), Unknown),
        ("a new trouble of the service", 500, Some("NO_SUCH_CODE_YET"), Transient),
        ("the same at 599", 599, Some("NO_SUCH_CODE_YET"), Transient),
        ("a new code of throttling", 429, Some("NO_SUCH_CODE_YET"), Throttled),
        ("429 from the edge", 429, None, Throttled),
        ("a challenge page", 403, None, Credentials(BlockedByEdge)),
        ("blocked for legal reasons", 451, None, Credentials(BlockedByEdge)),
        ("502 in HTML", 502, None, Transient),
        ("400 in HTML", 400, None, Transient),
        ("404 in HTML", 404, None, Transient),
        ("a redirect", 302, None, Transient),
    ];
    for (name, status, code, class) in table {
        assert_eq!(classify(status, code), class, "{name}");
    }
}

#[test]
fn an_error_shows_code_status_text_and_request() {
    let error = ApiError {
        status: 403,
        code: Some("OPERATION_DENIED_INSTANCE_EXIST_PLAN".into()),
        message: "a plan exists".into(),
        request_id: Some(RequestId::new("T1").unwrap()),
        retry_after: None,
    };
    let shown = "OPERATION_DENIED_INSTANCE_EXIST_PLAN (HTTP 403): a plan exists, request T1";
    assert_eq!(error.to_string(), shown);
    assert_eq!(
        ReadError::Api { error: error.clone(), date: None, sent_at: jiff::Timestamp::UNIX_EPOCH }
            .to_string(),
        shown
    );
    let bare = ApiError { code: None, request_id: None, ..error };
    assert_eq!(bare.to_string(), "HTTP 403: a plan exists");
}
