//! What cannot be looked at: the Secret, the cloud, the slot, the status, the instance.

use zenlayer::ReadError;
use zenlayer_vm_operator::{
    api::{ChangeState, HistoryOutcome},
    lifecycle::SecretState,
};

use crate::{
    given::{
        Given, LARGE, SMALL, VERSION, given, given_change, given_entry, read_error, without_fence,
    },
    table::{Row, check, ready_message},
};

const API_DOWN: &str = "Waiting ApiUnavailable Ready=False InSync=Unknown Reconciling";
const GONE: &str = "Failed InstanceNotFound Ready=False InSync=Unknown Stalled";

fn transport() -> ReadError {
    ReadError::Transport { cause: "connection reset".into() }
}

fn incomplete() -> SecretState {
    SecretState::Incomplete { version: VERSION.into(), problem: "the key token is empty".into() }
}

/// The object was in sync at the pass before.
fn was_in_sync() -> Given {
    given().of_type(LARGE).then()
}

pub fn rows() -> Vec<Row> {
    let failed = "Nothing ReadFailed";
    let unusable = "Nothing SecretUnusable";
    let unreadable = SecretState::Unreadable { problem: "forbidden".into() };
    let bearer =
        || given().bearer().in_flight(&without_fence(given_change(ChangeState::Submitting, 60)));
    let flying = |state, ago| given().in_flight(&given_change(state, ago));
    vec![
        (
            "a missing Secret stalls",
            given().nothing_read().secret(SecretState::NotFound),
            unusable,
            "Failed SecretNotFound Ready=False InSync=Unknown Stalled",
            "rest",
        ),
        (
            "an incomplete Secret stalls",
            given().nothing_read().secret(incomplete()),
            unusable,
            "Failed SecretIncomplete Ready=False InSync=Unknown Stalled",
            "rest",
        ),
        (
            "a Secret that the API server does not hand out is waited for",
            given().nothing_read().secret(unreadable),
            unusable,
            "Waiting KubernetesUnavailable Ready=False InSync=Unknown Reconciling",
            "rest",
        ),
        (
            "what was seen before stays true while the Secret is gone",
            was_in_sync().nothing_read().secret(SecretState::NotFound),
            unusable,
            "Failed SecretNotFound Ready=False InSync=True Stalled",
            "rest",
        ),
        (
            "a read without an answer is tried again",
            given().instance_fails(transport()),
            failed,
            API_DOWN,
            "backoff",
        ),
        (
            "a read that is not understood is tried again",
            given().instance_fails(ReadError::Malformed { cause: "not JSON".into() }),
            failed,
            API_DOWN,
            "backoff",
        ),
        (
            "an HTML 502 is tried again",
            given().instance_fails(read_error(502, None)),
            failed,
            API_DOWN,
            "backoff",
        ),
        (
            "what was seen before stays true while the API is down",
            was_in_sync().instance_fails(transport()),
            failed,
            "Waiting ApiUnavailable Ready=False InSync=True Reconciling",
            "backoff",
        ),
        (
            "a plan without an answer is asked for again",
            given().plan_fails(transport()),
            failed,
            "Waiting ApiUnavailable Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "a plan that may not be read stalls",
            given().plan_fails(read_error(401, Some("AUTHFAILURE_UNAUTHORIZED_OPERATION"))),
            failed,
            "Failed PermissionDenied Ready=False InSync=False Stalled",
            "rest",
        ),
        (
            "an instance without a type status is looked at again",
            given().plan_is_missing(),
            "Nothing ReadsStale",
            "Waiting ReadsDisagree Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "a slot that cannot be read holds everything back",
            given().slot_fails("forbidden"),
            failed,
            "Waiting KubernetesUnavailable Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "an instance that the provider does not know stalls",
            given().gone(),
            "Nothing InstanceGone",
            GONE,
            "rest",
        ),
        (
            "an instance that is gone is in no sync",
            was_in_sync().gone(),
            "Nothing InstanceGone",
            GONE,
            "rest",
        ),
        (
            "a request that may still land outlives its instance",
            flying(ChangeState::Submitting, 60).gone(),
            "Nothing OutcomeUnknown",
            "Submitting OutcomeUnknown Ready=False InSync=Unknown Reconciling",
            "12s",
        ),
        (
            "after the fence the change of a lost instance is over",
            flying(ChangeState::Submitting, 601).gone(),
            "CloseSlot InstanceGone",
            GONE,
            "rest",
        ),
        (
            "an accepted change of a lost instance is over",
            flying(ChangeState::Accepted, 60).gone(),
            "CloseSlot InstanceGone",
            GONE,
            "rest",
        ),
        (
            "a seen change of a lost instance is over",
            flying(ChangeState::Observed, 60).gone(),
            "Nothing InstanceGone",
            GONE,
            "rest",
        ),
        (
            "an unverified change of a lost instance is over",
            flying(ChangeState::Unverified, 900).gone(),
            "CloseSlot InstanceGone",
            GONE,
            "rest",
        ),
        (
            "a bearer token's request may land on an instance that comes back, so a person is asked",
            bearer().gone(),
            "Nothing Unverified",
            "Failed OutcomeUnverified Ready=False InSync=Unknown Stalled",
            "rest",
        ),
        (
            "and can release it",
            bearer().gone().released(&given_change(ChangeState::Submitting, 60).id.0),
            "ReturnSlot Released",
            "Waiting ReadsDisagree Ready=False InSync=Unknown Reconciling",
            "1s",
        ),
        (
            "an unverified change of a lost instance is not over before its fence",
            flying(ChangeState::Unverified, 60).gone(),
            "Nothing OutcomeUnknown",
            "Submitting OutcomeUnknown Ready=False InSync=Unknown Reconciling",
            "12s",
        ),
        (
            "a status that nobody can have written stalls",
            {
                let mut given = given();
                given.status().order_number = Some(String::new());
                given
            },
            "Nothing Unusable",
            "Failed InvalidStatus Ready=False InSync=Unknown Stalled",
            "rest",
        ),
    ]
}

#[test]
fn unreadable_every_row_holds() {
    check(rows());
}

#[test]
fn a_status_that_cannot_be_read_loses_nothing_that_it_holds() {
    let spoilt: [fn(&mut Given); 5] = [
        |given| given.status().order_number = Some("\u{7}".into()),
        |given| given.status().target.as_mut().unwrap().type_id = "!".into(),
        |given| given.status().change.as_mut().unwrap().from = String::new(),
        |given| given.status().history[0].to = " ".into(),
        |given| given.status().request_id = Some("x".repeat(129)),
    ];
    for spoil in spoilt {
        let change = given_change(ChangeState::Submitting, 60);
        let entry = given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed);
        let mut given = given().in_flight(&change).ended(entry).handled_release("x");
        spoil(&mut given);
        let before = given.object.status.clone().unwrap();
        let after = given.pass().verdict.status;
        assert_eq!(after.change, before.change);
        assert_eq!(after.history, before.history);
        assert_eq!(after.handled, before.handled);
        assert_eq!(after.target, before.target);
        assert_eq!(after.order_number, before.order_number);
        assert!(ready_message(&after).contains("status."), "{}", ready_message(&after));
        assert!(ready_message(&after).contains("kubectl"), "{}", ready_message(&after));
    }
}

#[test]
fn a_passing_failure_does_not_show_the_text_of_an_older_refusal() {
    use crate::{given::api_error, table::shows_of};
    use zenlayer::Answer;
    let code = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
    let refused = given().answered(Answer::Refused(api_error(400, Some(code)))).then();
    let pass = refused.instance_fails(transport()).pass();
    assert!(shows_of(&pass).starts_with("Waiting ApiUnavailable"), "{}", shows_of(&pass));
    let message = ready_message(&pass.verdict.status);
    assert!(message.contains("connection reset"), "{message}");
    assert!(!message.contains(code), "{message}");
    assert!(pass.verdict.status.refusal.is_some(), "the refusal is remembered all the same");
}

#[test]
fn a_change_of_a_lost_instance_is_not_ordered_again_when_it_is_back() {
    let lost = given().in_flight(&given_change(ChangeState::Accepted, 60)).gone().then();
    let mut back = given();
    back.object = lost.object;
    check(vec![(
        "it waits for a person",
        back,
        "Nothing Reverted",
        "Failed Reverted Ready=False InSync=False Stalled",
        "rest",
    )]);
}

#[test]
fn a_lost_write_after_an_instance_was_lost_does_not_order_again() {
    use crate::given::at;
    let change = given_change(ChangeState::Accepted, 60);
    // The slot was closed, the status was not written, and the instance is back after the margin.
    let given = given().in_flight(&change).closed(&change, at(-1));
    assert_eq!(crate::table::does_of(&given.pass()), "Nothing Undone");
}
