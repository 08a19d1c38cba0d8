//! Refusals: every code of the error table, what a refusal remembers, and what ends it.

use std::collections::BTreeSet;

use zenlayer::{Answer, error::TABLE};
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, Reason},
    lifecycle::SecretState,
};

use crate::{
    given::{CREDENTIAL, Given, HUGE, LARGE, SMALL, api_error, given, given_change, read_error},
    table::{Row, check, does, look, ready_message, says, shows},
};

/// Code, HTTP status, what a refused call shows, when it is looked at again.
const CODES: &[(Option<&str>, u16, &str, &str)] = &[
    (Some("INTERNAL_SERVER_ERROR"), 500, "Waiting ApiUnavailable", "backoff"),
    (Some("SERVICE_TEMPORARY_UNAVAILABLE"), 503, "Waiting ApiUnavailable", "backoff"),
    (Some("REQUEST_TIMED_OUT"), 503, "Waiting ApiUnavailable", "backoff"),
    (Some("AUTHFAILURE_INVALID_AUTHORIZATION"), 401, "Failed CredentialsRejected", "300s"),
    (Some("AUTHFAILURE_SIGNATURE_FAILURE"), 401, "Failed CredentialsRejected", "300s"),
    (Some("AUTHFAILURE_SIGNATURE_EXPIRED"), 401, "Failed ClockSkewed", "rest"),
    (Some("AUTHFAILURE_UNAUTHORIZED_OPERATION"), 401, "Failed PermissionDenied", "300s"),
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
        "300s",
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
    (Some("UNSUPPORTED_OPERATION_ZONE_NOT_SUPPORT"), 400, "Failed ZoneNotSupported", "300s"),
    (Some("UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE"), 400, "Failed InstanceRecycled", "rest"),
    (Some("INVALID_PRODUCT_NOT_FOUND"), 404, "Failed InstanceTypeNotFound", "rest"),
    (Some("OPERATION_DENIED_DOWNGRADE_NOT_EXIST"), 403, "Waiting ReadsDisagree", "backoff"),
    (Some("OPERATION_DENIED_INSTANCE_RECYCLED"), 403, "Failed InstanceRecycled", "rest"),
    (Some("OPERATION_DENIED_INSTANCE_NOT_STOPPED"), 403, "Waiting InstanceBusy", "backoff"),
    (Some("OPERATION_DENIED_INSTANCE_NOT_RUNNING"), 403, "Waiting InstanceBusy", "backoff"),
    (Some("OPERATION_DENIED_INSTANCE_STATUS"), 403, "Waiting InstanceBusy", "backoff"),
    (Some("INVALID_ZONE_NOT_FOUND"), 404, "Failed ZoneNotSupported", "300s"),
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
        rows.push((name("read"), read, "Nothing ReadFailed", text("Unknown"), "backoff"));
    }
    rows.extend(memory());
    rows
}

fn refused_with(status: u16, code: &str) -> Given {
    given().answered(Answer::Refused(api_error(status, Some(code)))).then().later(1)
}

/// The call was refused for good at the pass before.
fn refused() -> Given {
    refused_with(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED")
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
    let waits = |name, given, reason: &'static str, look| {
        let shows = format!("Failed {reason} Ready=False InSync=False Stalled");
        (name, given, "Nothing Refused", &*shows.leak(), look)
    };
    let unknown = || refused_with(400, "BALANCE_TOO_LOW");
    let denied = || refused_with(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION");
    vec![
        stands("a refusal for good stands", refused()),
        stands("a refusal for good stands for ever", refused().later(40_000_000)),
        stands(
            "a name does not end a refusal",
            refused().instance(|one| one.name = Some("new".into())),
        ),
        stands("another generation of the spec does not end it", refused().generation(4)),
        again("another type that is declared is another call", refused().wants(HUGE).generation(4)),
        stands("declared again, what was refused is refused", {
            let mut other = refused().wants(HUGE).generation(4).suspended().then();
            other.object.spec.suspend = false;
            other.wants(LARGE).generation(5)
        }),
        again("another credential ends it", refused().credential("another")),
        again("a requested-at annotation ends it", refused().requested_at("2026-03-02")),
        again("another type of the instance ends it", refused().of_type(HUGE)),
        again("another state of the instance ends it", refused().state("STOPPED")),
        again("another way of charging ends it", refused().prepaid()),
        again("another zone ends it", refused().instance(|one| one.zone_id = None)),
        again("other cores end it", refused().instance(|one| one.cpu_count = Some(9))),
        again("other memory ends it", refused().instance(|one| one.memory_gib = Some(9))),
        again("another bandwidth ends it", refused().instance(|one| one.bandwidth_out = Some(9))),
        stands(
            "a requested-at annotation counts once",
            refused().requested_at("a").handled_retry("a"),
        ),
        stands("an empty requested-at annotation is none", refused().requested_at("")),
        again("another value counts again", refused().requested_at("b").handled_retry("a")),
        waits(
            "an unknown code is tried again slowly: not after 29 minutes",
            unknown().later(1799),
            "RefusedByProvider",
            "5s",
        ),
        again("an unknown code is tried again slowly: after 30 minutes", unknown().later(1800)),
        waits(
            "the pauses of an unknown code grow: not after 59 minutes",
            unknown().later(1800).answered(refused_code(400, "BALANCE_TOO_LOW")).step().later(5399),
            "RefusedByProvider",
            "5s",
        ),
        waits(
            "a reason of the account is tried again, too: not after 29 minutes",
            denied().later(1799),
            "PermissionDenied",
            "5s",
        ),
        again("a reason of the account is tried again, too", denied().later(1800)),
        waits(
            "the account may have been refused in a row for other objects",
            denied_in_a_row(3).later(4 * 1800 + 3599),
            "PermissionDenied",
            "300s",
        ),
        again("then the pause is longer", denied_in_a_row(3).later(8 * 1800)),
        again(
            "no pause of an account is longer than six hours",
            denied_in_a_row(40).later(6 * 3600),
        ),
        again("another credential ends that pause, too", denied_in_a_row(40).credential("another")),
        again("stock is asked for again: after 30 minutes", {
            refused_with(400, "STOCK_INSUFFICIENT").later(1800)
        }),
        waits(
            "a skewed clock is tried again: not at once",
            refused_with(401, "AUTHFAILURE_SIGNATURE_EXPIRED").later(299),
            "ClockSkewed",
            "5s",
        ),
        again(
            "a skewed clock is tried again: after 5 minutes",
            refused_with(401, "AUTHFAILURE_SIGNATURE_EXPIRED").later(300),
        ),
        again("a pause that no clock of today can have reckoned is over", {
            denied().later(-22_000)
        }),
    ]
}

fn refused_code(status: u16, code: &str) -> Answer {
    Answer::Refused(api_error(status, Some(code)))
}

/// Refused for a reason of the account, which was refused so often in a row for other objects.
fn denied_in_a_row(times: u32) -> Given {
    let mut given = given().answered(refused_code(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"));
    given.observed.refused_in_a_row = times;
    given.then().later(1)
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
    assert_eq!((refusal.from.as_str(), refusal.to.as_str()), (SMALL, LARGE));
    assert_eq!((refusal.kind, refusal.attempts), (ChangeKind::Modify, 1));
    assert_eq!(refusal.credential, CREDENTIAL);
    assert_eq!(refusal.instance.len(), 16);
    assert_eq!(refusal.request_id.as_deref(), Some("T-REQUEST"));
    assert_eq!(refusal.retry_after, None);
}

#[test]
fn a_refusal_whose_spec_changed_during_the_call_does_not_stand() {
    // Decided at generation 3, answered after the spec became generation 4 with another type.
    assert_eq!(does(&refused().wants(HUGE).generation(4)), "Modify Calling");
}

#[test]
fn a_retry_that_is_refused_again_stands_again() {
    let code = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
    let again = refused().requested_at("now").later(5).answered(refused_code(400, code)).then();
    assert_eq!(does(&again), "Nothing Refused");
    assert_eq!(again.object.status.unwrap().handled.requested_at.as_deref(), Some("now"));
}

#[test]
fn a_read_is_made_again_whatever_it_was_refused_for() {
    for (code, status, ..) in CODES {
        let first = given().instance_fails(read_error(*status, *code)).then();
        assert_eq!(first.object.status.as_ref().unwrap().refusal, None, "{code:?}");
        let next = first.cloud_unread();
        assert_eq!(next.needs(), [zenlayer_vm_operator::lifecycle::Read::Instance], "{code:?}");
    }
}

#[test]
fn a_refused_read_does_not_lose_the_change_in_flight() {
    let change = given_change(ChangeState::Submitting, 60);
    let error = read_error(401, Some("AUTHFAILURE_SIGNATURE_FAILURE"));
    let first = given().in_flight(&change).instance_fails(error.clone()).then();
    assert_eq!(first.object.status.as_ref().unwrap().change, Some(change.to_api().into()));
    let second = first.instance_fails(error).then();
    assert_eq!(second.object.status.as_ref().unwrap().change, Some(change.to_api().into()));
    // And it is followed as soon as a read works.
    let read =
        second.read_again().holding(&change, zenlayer_vm_operator::lifecycle::HoldingState::Open);
    assert_eq!(does(&read), "Nothing Unknown");
}

#[test]
fn a_block_of_a_read_that_passes_does_not_forget_a_refused_call() {
    let blocked = refused().instance_fails(read_error(403, None));
    assert!(shows(&blocked).starts_with("Failed BlockedByEdge"), "{}", shows(&blocked));
    assert_eq!(does(&blocked.then().read_again().later(600)), "Nothing Refused");
}

#[test]
fn what_a_person_asked_for_was_tried_and_does_not_count_twice() {
    let refusal = refused().requested_at("now").later(5);
    let lost = refusal.clone().answered(crate::given::not_sent()).step();
    assert_eq!(does(&lost.later(6)), "Modify Calling", "it was not tried");
    let tried = refusal.answered(refused_code(400, "MISSING_PARAMETER")).step();
    assert_eq!(does(&tried.later(6)), "Nothing Refused");
}

#[test]
fn a_secret_that_is_gone_is_no_other_credential() {
    let without = refused().cloud_unread().secret(SecretState::NotFound);
    assert!(says(&without).contains("zenlayer-credentials"), "{}", says(&without));
    let back = without.then().read_again();
    assert_eq!(does(&back), "Nothing Refused");
}

#[test]
fn the_other_objects_of_a_credential_wait_for_what_its_account_was_refused() {
    for (code, status, shows, _) in CODES {
        let verdict = given().answered(Answer::Refused(api_error(*status, *code))).pass().verdict;
        let of_the_account = [
            "CredentialsRejected",
            "ClockSkewed",
            "PermissionDenied",
            "ZoneNotSupported",
            "ResourceGroupNotFound",
            "BlockedByEdge",
        ];
        let expected = of_the_account.iter().any(|reason| shows.ends_with(reason));
        let told = verdict.account.as_ref();
        assert_eq!(told.is_some(), expected, "{code:?}");
        if let Some(trouble) = told {
            let refusal = verdict.status.refusal.unwrap();
            assert_eq!(trouble.reason.as_str(), refusal.reason, "{code:?}");
            assert_eq!(
                refusal.retry_after.unwrap().0,
                crate::given::at(i64::try_from(trouble.again_in.as_secs()).unwrap())
            );
            assert!(trouble.person, "{code:?}");
        }
    }
}

#[test]
fn what_an_object_waits_for_in_common_is_told_as_the_one_that_tried_was_told() {
    let denied = crate::given::trouble(Reason::PermissionDenied, true, 40);
    let waits = given().account_refused(denied);
    assert_eq!(shows(&waits), "Failed PermissionDenied Ready=False InSync=False Stalled");
    assert_eq!(
        (says(&waits).as_str(), look(&waits)),
        ("the trouble of another object", "40s".into())
    );
    // Once its turn has come, it tries.
    let mut turn = waits.then();
    turn.observed.account = None;
    assert_eq!(does(&turn), "Modify Calling");
}
