//! What cannot be looked at: the Secret, the cloud, the slot, the status, the instance.

use zenlayer::ReadError;
use zenlayer_vm_operator::{
    api::{ChangeState, HistoryOutcome, Reason},
    lifecycle::{LaneName, Read, SecretState},
};

use crate::{
    given::{
        Given, LARGE, SMALL, at, given, given_change, given_entry, read_error, refused, secs,
        transport, trouble, without_fence,
    },
    table::{Row, check, does, ready_message, says, shows},
};

const API_DOWN: &str = "Waiting ApiUnavailable Ready=False InSync=Unknown Reconciling";
const GONE: &str = "Failed InstanceNotFound Ready=False InSync=Unknown Stalled";
const IN_SYNC: &str = "InSync InSync Ready=True InSync=True";

fn incomplete() -> SecretState {
    SecretState::Incomplete { problem: "the key token is empty".into() }
}

/// The object was in sync at the pass before.
fn was_in_sync() -> Given {
    given().of_type(LARGE).then()
}

pub fn rows() -> Vec<Row> {
    let failed = "Nothing ReadFailed";
    let unusable = "Nothing SecretUnusable";
    let unreadable = SecretState::Unreadable { problem: "forbidden".into() };
    let token = |state| given().bearer().in_flight(&without_fence(given_change(state, 60)));
    let flying = |state, ago| given().in_flight(&given_change(state, ago));
    let newer = "Failed InvalidStatus Ready=False InSync=False Stalled";
    vec![
        (
            "a missing Secret stalls",
            given().cloud_unread().secret(SecretState::NotFound),
            unusable,
            "Failed SecretNotFound Ready=False InSync=Unknown Stalled",
            "rest",
        ),
        (
            "an incomplete Secret stalls",
            given().cloud_unread().secret(incomplete()),
            unusable,
            "Failed SecretIncomplete Ready=False InSync=Unknown Stalled",
            "rest",
        ),
        (
            "a Secret that was made for something else stalls",
            given().cloud_unread().secret(SecretState::WrongType { problem: "its type".into() }),
            unusable,
            "Failed SecretTypeRefused Ready=False InSync=Unknown Stalled",
            "rest",
        ),
        (
            "a Secret that the API server does not hand out is waited for",
            given().cloud_unread().secret(unreadable),
            unusable,
            "Waiting KubernetesUnavailable Ready=False InSync=Unknown Reconciling",
            "backoff",
        ),
        (
            "what was seen before stays true while the Secret is gone",
            was_in_sync().cloud_unread().secret(SecretState::NotFound),
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
            "an object at rest with nothing to do stays Ready while the API is down",
            was_in_sync().instance_fails(transport()),
            failed,
            IN_SYNC,
            "backoff",
        ),
        (
            "a credential that has no call left is waited for, and nothing is said",
            {
                let mut given = was_in_sync().cloud_unread();
                given.observed.quota = Some(secs(7));
                given
            },
            "Nothing NoQuota",
            IN_SYNC,
            "told or 7s",
        ),
        (
            "the trouble of a credential is told by all its objects",
            given().cloud_unread().in_trouble(trouble(Reason::CredentialsRejected, true, 55)),
            "Nothing InTrouble",
            "Failed CredentialsRejected Ready=False InSync=Unknown Stalled",
            "55s",
        ),
        (
            "trouble that passes is waited for",
            given().cloud_unread().in_trouble(trouble(Reason::ApiUnavailable, false, 20)),
            "Nothing InTrouble",
            "Waiting ApiUnavailable Ready=False InSync=Unknown Reconciling",
            "20s",
        ),
        (
            "an object at rest stays Ready in the trouble of others, too",
            was_in_sync().cloud_unread().in_trouble(trouble(Reason::ApiUnavailable, false, 20)),
            "Nothing InTrouble",
            IN_SYNC,
            "20s",
        ),
        (
            "what one object reads for all counts before the trouble",
            was_in_sync().in_trouble(trouble(Reason::ApiUnavailable, false, 20)),
            "Nothing InSync",
            IN_SYNC,
            "rest",
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
            "backoff",
        ),
        (
            "an instance without a type status is looked at again",
            given().plan_is_missing(),
            "Nothing ReadsDisagree",
            "Waiting ReadsDisagree Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "a slot that cannot be read holds everything back",
            given().slot_fails("forbidden"),
            "Nothing SlotUnreadable",
            "Waiting KubernetesUnavailable Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "a type lane that a later version wrote is left to that version",
            given().of_another_version(LaneName::Type),
            "Nothing SlotOfAnotherVersion",
            newer,
            "rest",
        ),
        (
            "so is a power lane",
            given().of_another_version(LaneName::Power),
            "Nothing SlotOfAnotherVersion",
            newer,
            "rest",
        ),
        (
            "an instance that is missing for the first time is asked for again",
            was_in_sync().missing_for(0),
            "Nothing Missing",
            IN_SYNC,
            "5s",
        ),
        (
            "also where a change is in flight: it is not over",
            flying(ChangeState::Accepted, 60).missing_for(4),
            "Nothing Missing",
            "Waiting InstanceNotFound Ready=False InSync=Unknown Reconciling",
            "5s",
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
            "Nothing Unknown",
            "Submitting OutcomeUnknown Ready=False InSync=Unknown Reconciling",
            "12s",
        ),
        (
            "after the fence the change of a lost instance is over",
            flying(ChangeState::Submitting, 601).gone(),
            "CloseLane InstanceGone",
            GONE,
            "1s",
        ),
        (
            "an accepted change of a lost instance is over",
            flying(ChangeState::Accepted, 60).gone(),
            "CloseLane InstanceGone",
            GONE,
            "1s",
        ),
        (
            "a seen change of a lost instance is over",
            flying(ChangeState::Observed, 60).gone(),
            "CloseLane InstanceGone",
            GONE,
            "1s",
        ),
        (
            "an unverified change of a lost instance is over",
            flying(ChangeState::Unverified, 900).gone(),
            "CloseLane InstanceGone",
            GONE,
            "1s",
        ),
        (
            "a token's request may land on an instance that comes back, so a person is asked",
            token(ChangeState::Submitting).gone(),
            "MarkUnverified Unverified",
            "Failed OutcomeUnverified Ready=False InSync=Unknown Stalled",
            "rest",
        ),
        (
            "and can release it",
            token(ChangeState::Unverified)
                .gone()
                .released(&given_change(ChangeState::Submitting, 60).id.0),
            "Nothing Released",
            "Waiting Released Ready=False InSync=Unknown Reconciling",
            "1s",
        ),
        (
            "a status that nobody can have written stalls",
            {
                let mut given = given();
                given.status().order_number = Some(String::new());
                given
            },
            "Nothing InvalidStatus",
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
    let code = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
    let down = given().answered(refused(400, code)).then().instance_fails(transport());
    assert!(shows(&down).starts_with("Waiting ApiUnavailable"), "{}", shows(&down));
    assert!(says(&down).contains("connection reset"), "{}", says(&down));
    assert!(!says(&down).contains(code), "{}", says(&down));
    let kept = down.then().object.status.unwrap();
    assert!(kept.refusal.is_some(), "the refusal is remembered all the same");
}

#[test]
fn a_change_of_a_lost_instance_is_not_ordered_again_when_it_is_back() {
    let lost = given().in_flight(&given_change(ChangeState::Accepted, 60)).gone().step();
    let back = lost.read_again().free_slot();
    assert_eq!(does(&back), "Nothing Reverted");
    assert_eq!(shows(&back), "Failed Reverted Ready=False InSync=False Stalled");
}

#[test]
fn a_lost_write_after_an_instance_was_lost_does_not_order_again() {
    let change = given_change(ChangeState::Accepted, 60);
    // The slot was closed, the status was not written, and the instance is back after the margin.
    let given = given().in_flight(&change).closed(&change, at(-1));
    assert_eq!(does(&given), "Nothing Undone");
}

#[test]
fn an_open_stop_of_an_instance_that_is_not_there_for_a_while_is_not_forgotten() {
    use zenlayer_vm_operator::api::ChangeKind;
    let stop = crate::given::given_call(ChangeKind::Stop, ChangeState::Submitting, 60);
    let restore = crate::given::restore(&stop.id, stop.started_at);
    let open = given().stop_first().finalizer(true).in_flight(&stop).restoring(&restore);
    let lost = open.gone().step().step();
    assert!(lost.slot_record().lane_of(&stop.id).is_some());
    assert_eq!(lost.slot_record().restore(), Some(&restore));
    // It lands late, and the machine is back: it is started again.
    let off = lost.clone().read_again().slot(lost.slot_record()).of_type(LARGE).state("STOPPED");
    let seen = off.later(600).step().later(610);
    assert_eq!(does(&seen), "Start Calling");
}

/// What an object at rest says while it can't be read.
#[test]
fn an_object_at_rest_says_since_when_it_could_not_be_read() {
    let down = |given: Given, seconds| given.later(seconds).instance_fails(transport());
    let first = down(was_in_sync(), 300);
    let says_first = says(&first);
    assert!(
        says_first.starts_with("instance vm-1 is of type c.2c4g; not read since "),
        "{says_first}"
    );
    assert!(says_first.contains("2026-03-01T10:47:07Z"), "{says_first}");
    assert!(says_first.contains("connection reset"), "{says_first}");
    let second = down(first.then(), 400);
    assert_eq!(says(&second), says_first, "it is since the first look that failed");
    let third = down(second.then(), 899).then();
    assert_eq!(shows(&third), IN_SYNC, "two looks were missed");
    let fourth = down(third, 900).then();
    assert_eq!(shows(&fourth), "InSync InSync Ready=True InSync=Unknown", "so was the third");
    let back = fourth.read_again().of_type(LARGE).then();
    assert_eq!(shows(&back), IN_SYNC);
    assert_eq!(says(&back), "instance vm-1 is of type c.2c4g");
}

#[test]
fn an_edit_is_not_ready_while_the_api_is_down() {
    let edited = was_in_sync().wants(SMALL).generation(4).instance_fails(transport());
    assert_eq!(shows(&edited), "Waiting ApiUnavailable Ready=False InSync=False Reconciling");
}

#[test]
fn what_is_seen_is_written_when_it_is_news() {
    let first = was_in_sync();
    let status = |given: &Given| given.object.status.clone().unwrap();
    let later = first.clone().later(86_400).then();
    assert_eq!(status(&later), status(&first), "a day in sync");
    let stopped = later.later(90_000).state("STOPPED").then();
    assert_eq!(status(&stopped).instance.unwrap().observed_at.0, at(90_000));
}

#[test]
fn nothing_more_is_read_of_an_instance_that_is_not_there() {
    let fresh = given().missing_for(10).without(Read::Slot);
    assert_eq!(fresh.needs(), [Read::Slot]);
    assert!(given().missing_for(10).without(Read::Plan).needs().is_empty());
}

#[test]
fn what_a_person_is_asked_stays_while_nothing_can_be_read() {
    let asked = given().prepaid().in_flight(&given_change(ChangeState::Unverified, 3600)).then();
    let decision = |given: &Given| given.pass().verdict.status.pending_decision;
    let before = decision(&asked);
    assert!(before.is_some());
    assert_eq!(decision(&asked.clone().instance_fails(transport())), before);
    assert_eq!(decision(&asked.clone().cloud_unread().secret(SecretState::NotFound)), before);
    assert_eq!(decision(&asked.gone().missing_for(60)), None, "there is nothing left to decide");
}
