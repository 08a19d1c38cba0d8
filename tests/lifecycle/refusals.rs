//! Refusals: every code of the error table, what a refusal remembers, and what ends it.

use std::collections::BTreeSet;

use zenlayer::{Answer, error::TABLE};
use zenlayer_vm_operator::{
    api::{ChangeState, Reason},
    lifecycle::{HoldingState, SecretState},
};

use crate::{
    given::{Given, HUGE, LARGE, SMALL, api_error, given, given_change, read_error},
    table::{Row, check, does_of, is_call, ready_message, shows_of},
};

/// Code, HTTP status, what a refused call shows, when it is looked at again.
const CODES: &[(Option<&str>, u16, &str, &str)] = &[
    (Some("INTERNAL_SERVER_ERROR"), 500, "Waiting ApiUnavailable", "backoff"),
    (Some("SERVICE_TEMPORARY_UNAVAILABLE"), 503, "Waiting ApiUnavailable", "backoff"),
    (Some("REQUEST_TIMED_OUT"), 503, "Waiting ApiUnavailable", "backoff"),
    (Some("AUTHFAILURE_INVALID_AUTHORIZATION"), 401, "Failed CredentialsRejected", "rest"),
    (Some("AUTHFAILURE_SIGNATURE_FAILURE"), 401, "Failed CredentialsRejected", "rest"),
    (Some("AUTHFAILURE_SIGNATURE_EXPIRED"), 401, "Failed ClockSkewed", "rest"),
    (Some("AUTHFAILURE_UNAUTHORIZED_OPERATION"), 401, "Failed PermissionDenied", "rest"),
    (Some("MISSING_PARAMETER"), 400, "Failed RequestInvalid", "rest"),
    (Some("INVALID_PARAMETER_TYPE"), 400, "Failed RequestInvalid", "rest"),
    (Some("INVALID_PARAMETER_EXCEED_MAXIMUM"), 400, "Failed RequestInvalid", "rest"),
    (Some("INVALID_PARAMETER_LESS_MINIMUM"), 400, "Failed RequestInvalid", "rest"),
    (Some("INVALID_PARAMETER_EXCEED_LENGTH"), 400, "Failed RequestInvalid", "rest"),
    (Some("INVALID_PARAMETER_LESS_LENGTH"), 400, "Failed RequestInvalid", "rest"),
    (Some("INVALID_PARAMETER_PATTERN_ERROR"), 400, "Failed RequestInvalid", "rest"),
    (Some("INVALID_PARAMETER_DATE_FORMAT_ERROR"), 400, "Failed RequestInvalid", "rest"),
    (Some("INVALID_PARAMETER_VALUE"), 400, "Failed RequestInvalid", "rest"),
    (Some("OPERATION_FAILED_FOR_RECYCLE_RESOURCE"), 403, "Failed InstanceRecycled", "rest"),
    (
        Some("OPERATION_FAILED_RESOURCE_GROUP_NOT_FOUND"),
        404,
        "Failed ResourceGroupNotFound",
        "rest",
    ),
    (Some("OPERATION_FAILED_RESOURCE_NOT_FOUND"), 404, "Failed InstanceNotFound", "rest"),
    (Some("INVALID_INSTANCE_NOT_FOUND"), 404, "Failed InstanceNotFound", "rest"),
    (Some("INVALID_INSTANCE_TYPE_NOT_CHANGED"), 400, "Waiting ReadsDisagree", "backoff"),
    (
        Some("OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"),
        400,
        "Failed InstanceTypeUnsupported",
        "rest",
    ),
    (Some("OPERATION_DENIED_INSTANCE_EXIST_PLAN"), 403, "Waiting ForeignPlan", "backoff"),
    (Some("OPERATION_DENIED_INSTANCE_PLAN_PROCESSING"), 403, "Waiting ForeignPlan", "backoff"),
    (Some("UNSUPPORTED_OPERATION_INSTANCE_STATUS"), 400, "Waiting InstanceBusy", "backoff"),
    (Some("UNSUPPORTED_OPERATION_ZONE_NOT_SUPPORT"), 400, "Failed ZoneNotSupported", "rest"),
    (Some("UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE"), 400, "Failed InstanceRecycled", "rest"),
    (Some("INVALID_PRODUCT_NOT_FOUND"), 404, "Failed InstanceTypeNotFound", "rest"),
    (Some("OPERATION_DENIED_DOWNGRADE_NOT_EXIST"), 403, "Waiting ReadsDisagree", "backoff"),
    (Some("OPERATION_DENIED_INSTANCE_RECYCLED"), 403, "Failed InstanceRecycled", "rest"),
    (Some("OPERATION_DENIED_INSTANCE_NOT_STOPPED"), 403, "Waiting InstanceBusy", "backoff"),
    (Some("OPERATION_DENIED_INSTANCE_NOT_RUNNING"), 403, "Waiting InstanceBusy", "backoff"),
    (Some("OPERATION_DENIED_INSTANCE_STATUS"), 403, "Waiting InstanceBusy", "backoff"),
    (Some("INVALID_ZONE_NOT_FOUND"), 404, "Failed ZoneNotSupported", "rest"),
    (Some("INVALID_OPERATION_TIMEOUT"), 503, "Waiting ApiUnavailable", "backoff"),
    (Some("STOCK_INSUFFICIENT"), 400, "Failed OutOfStock", "300s"),
    (Some("RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT"), 400, "Failed OutOfStock", "300s"),
    (Some("RESOURCES_SOLDOUT_INSTANCE_TYPE"), 400, "Failed OutOfStock", "300s"),
    (Some("REQUEST_LIMIT_EXCEEDED"), 429, "Waiting RateLimited", "backoff"),
    // Outside the table.
    (Some("BALANCE_TOO_LOW"), 400, "Failed RefusedByProvider", "300s"),
    (Some("SOME_NEW_TROUBLE"), 500, "Waiting ApiUnavailable", "backoff"),
    (Some("SOME_NEW_LIMIT"), 429, "Waiting RateLimited", "backoff"),
    (None, 403, "Failed BlockedByEdge", "rest"),
    (None, 451, "Failed BlockedByEdge", "rest"),
    (None, 429, "Waiting RateLimited", "backoff"),
    (None, 500, "Waiting ApiUnavailable", "backoff"),
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (code, status, shows, look) in CODES {
        let end = if shows.starts_with("Failed") { "Stalled" } else { "Reconciling" };
        let text = |in_sync| -> &'static str {
            format!("{shows} Ready=False InSync={in_sync} {end}").leak()
        };
        let name = |of| -> &'static str {
            format!("a {of} refused with {} ({status})", code.unwrap_or("no code")).leak()
        };
        let call = given().answered(Answer::Refused(api_error(*status, *code)));
        rows.push((name("call"), call, "Modify Calling", text("False"), *look));
        let read = given().instance_fails(read_error(*status, *code));
        rows.push((name("read"), read, "Nothing ReadFailed", text("Unknown"), *look));
    }
    rows.extend(memory());
    rows
}

fn refused_with(status: u16, code: &str) -> Given {
    given().answered(Answer::Refused(api_error(status, Some(code)))).then()
}

/// The call was refused for good at the pass before.
fn refused() -> Given {
    refused_with(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED")
}

/// A read was refused for good at the pass before.
fn read_refused() -> Given {
    given().instance_fails(read_error(401, Some("AUTHFAILURE_SIGNATURE_FAILURE"))).then()
}

fn memory() -> Vec<Row> {
    let stands = |name, given| {
        let shows = "Failed InstanceTypeUnsupported Ready=False InSync=False Stalled";
        (name, given, "Nothing Refused", shows, "rest")
    };
    let again = |name, given: Given| {
        let shows = "Changing ChangeInProgress Ready=False InSync=False Reconciling";
        (name, given, "Modify Calling", shows, "5s")
    };
    let rejected = "Failed CredentialsRejected Ready=False InSync=Unknown Stalled";
    let fresh = |mut given: Given| {
        given.observed = crate::given::given().observed;
        given
    };
    let unknown = || refused_with(400, "BALANCE_TOO_LOW");
    vec![
        stands("a refusal for good stands", refused()),
        stands("a refusal for good stands for ever", refused().later(40_000_000)),
        stands(
            "a name does not end a refusal",
            refused().instance(|one| one.name = Some("new".into())),
        ),
        again("another generation of the spec ends it", refused().generation(4)),
        again("another version of the Secret ends it", refused().secret_version("78")),
        again("a requested-at annotation ends it", refused().requested_at("2026-03-02")),
        again("another type of the instance ends it", refused().of_type(HUGE)),
        again("another state of the instance ends it", refused().state("STOPPED").then()),
        again("another way of charging ends it", refused().prepaid().then()),
        stands(
            "a requested-at annotation counts once",
            refused().requested_at("a").handled_retry("a"),
        ),
        stands("an empty requested-at annotation is none", refused().requested_at("")),
        again("another value counts again", refused().requested_at("b").handled_retry("a")),
        (
            "an unknown code is tried again slowly: not after 29 minutes",
            unknown().later(1799),
            "Nothing Refused",
            "Failed RefusedByProvider Ready=False InSync=False Stalled",
            "5s",
        ),
        again("an unknown code is tried again slowly: after 30 minutes", unknown().later(1800)),
        again("stock is asked for again: after 30 minutes", {
            refused_with(400, "STOCK_INSUFFICIENT").later(1800)
        }),
        (
            "a skewed clock is tried again: not at once",
            refused_with(401, "AUTHFAILURE_SIGNATURE_EXPIRED").later(299),
            "Nothing Refused",
            "Failed ClockSkewed Ready=False InSync=False Stalled",
            "5s",
        ),
        again(
            "a skewed clock is tried again: after 5 minutes",
            refused_with(401, "AUTHFAILURE_SIGNATURE_EXPIRED").later(300),
        ),
        (
            "a refused read stands without another read",
            read_refused().nothing_read(),
            "Nothing Refused",
            rejected,
            "rest",
        ),
        again("another Secret lets it be read again", fresh(read_refused()).secret_version("78")),
        again(
            "a requested-at annotation lets it be read again",
            fresh(read_refused()).requested_at("x"),
        ),
        again("a read that works ends the refusal of a read", fresh(read_refused())),
    ]
}

#[test]
fn refusals_every_row_holds() {
    check(rows());
}

#[test]
fn every_code_of_the_error_table_has_a_row() {
    let listed: BTreeSet<_> = CODES.iter().filter_map(|(code, ..)| *code).collect();
    for (code, _) in TABLE {
        assert!(listed.contains(code), "{code}");
    }
}

#[test]
fn a_refused_call_shows_code_request_and_remedy() {
    for (code, status, shows, _) in
        CODES.iter().filter(|(_, _, shows, _)| shows.starts_with("Failed"))
    {
        let given = given().answered(Answer::Refused(api_error(*status, *code)));
        let message = ready_message(&given.pass().verdict.status).to_owned();
        assert!(message.contains(code.unwrap_or("HTTP")), "{shows}: {message}");
        assert!(message.contains("T-REQUEST"), "{shows}: {message}");
        assert!(message.contains("; "), "{shows}: no remedy in {message}");
    }
}

#[test]
fn a_refusal_remembers_all_that_it_depends_on() {
    let refusal = refused().object.status.unwrap().refusal.unwrap();
    assert_eq!(refusal.code.as_deref(), Some("OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"));
    assert_eq!(refusal.reason, Reason::InstanceTypeUnsupported.as_str());
    assert_eq!((refusal.from.as_deref(), refusal.to.as_deref()), (Some(SMALL), Some(LARGE)));
    assert_eq!((refusal.generation, refusal.secret_version.as_str()), (3, "77"));
    assert_eq!(refusal.request_id.as_deref(), Some("T-REQUEST"));
    assert_eq!(refusal.retry_after, None);
}

#[test]
fn a_refusal_whose_spec_changed_during_the_call_does_not_stand() {
    // Decided at generation 3, answered after the spec became generation 4 with another type.
    let edited = refused().wants(HUGE).generation(4);
    assert!(is_call(&edited.decide().action));
}

#[test]
fn a_retry_that_is_refused_again_stands_again() {
    let code = Some("OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED");
    let again =
        refused().requested_at("now").answered(Answer::Refused(api_error(400, code))).then();
    assert_eq!(does_of(&again.pass()), "Nothing Refused");
    assert_eq!(again.object.status.unwrap().handled.requested_at.as_deref(), Some("now"));
}

#[test]
fn a_refused_read_keeps_its_message_pass_after_pass() {
    let first = read_refused();
    let message = ready_message(first.object.status.as_ref().unwrap()).to_owned();
    assert!(message.starts_with("cannot read instance vm-1: "), "{message}");
    let second = first.nothing_read().then();
    assert_eq!(ready_message(second.object.status.as_ref().unwrap()), message);
}

#[test]
fn a_refused_read_does_not_lose_the_change_in_flight() {
    let change = given_change(ChangeState::Submitting, 60);
    let error = read_error(401, Some("AUTHFAILURE_SIGNATURE_FAILURE"));
    let given = given().in_flight(&change).instance_fails(error);
    let first = given.then();
    assert_eq!(first.object.status.as_ref().unwrap().change, Some(change.to_api()));
    let second = first.nothing_read().then();
    assert_eq!(second.object.status.unwrap().change, Some(change.to_api()));
}

#[test]
fn a_block_of_a_read_that_passes_does_not_forget_a_refused_call() {
    let blocked = refused().instance_fails(read_error(403, None));
    assert!(shows_of(&blocked.pass()).starts_with("Failed BlockedByEdge"));
    let mut after = blocked.then();
    after.observed = given().observed;
    assert_eq!(does_of(&after.later(600).pass()), "Nothing Refused");
}

#[test]
fn a_call_refused_while_its_status_was_not_written_is_made_once_more() {
    // The slot was given back, the status still shows the intent.
    let intent = given_change(ChangeState::Submitting, 5);
    let open = given().remembering(&intent).holding(&intent, HoldingState::Open);
    let freed = open.given_back(&intent).then();
    assert!(is_call(&freed.decide().action));
}

#[test]
fn a_secret_that_is_gone_is_no_other_version() {
    let without = refused().nothing_read().secret(SecretState::NotFound).then();
    let status = without.object.status.unwrap();
    assert_eq!(status.change, None);
    assert!(ready_message(&status).contains("zenlayer-credentials"), "{status:?}");
}
