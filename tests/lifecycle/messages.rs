//! What a person reads: every message says what is, and what can be done.

use std::collections::BTreeSet;

use zenlayer::{Answer, ReadError};
use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryOutcome, VmInstance},
    lifecycle::{
        Defaults, Desired, Event, HoldingState, InvalidSpec, NextLook, Timing, backoff, farewell,
        invalid,
    },
};

use crate::{
    coverage::all_rows,
    given::{
        Given, HUGE, LARGE, SMALL, api_error, at, given, given_call, given_change, given_entry,
        read_error, request,
    },
    preflight::ordered_by_all,
    table::{ready_message, shown, shows},
};

fn flying(state: ChangeState, ago: i64) -> Given {
    given().in_flight(&given_change(state, ago))
}

#[test]
fn messages_say_what_is_and_what_to_do() {
    let entry = given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed);
    let entry_id = entry.id.clone();
    let id = |ago| given_change(ChangeState::Submitting, ago).id.0;
    let (id_900, id_1801) = (id(900), id(1801));
    let rows: Vec<(&str, Given, Vec<&str>)> = vec![
        ("in sync", given().of_type(LARGE), vec!["vm-1", LARGE]),
        ("ordered", given(), vec![SMALL, LARGE, "since 2026-03-01T10:42:07Z", "order 3471"]),
        (
            "ordered without a number",
            given().answered(Answer::Accepted { order_number: None, request_id: None }),
            vec!["order number unknown"],
        ),
        (
            "running",
            flying(ChangeState::Observed, 60).processing(LARGE),
            vec!["order 3471", "10:41:07Z"],
        ),
        (
            "complete",
            flying(ChangeState::Observed, 60).of_type(LARGE),
            vec!["resized c.1c2g to c.2c4g", "3471"],
        ),
        (
            "in sync by somebody else, after another change",
            given().of_type(LARGE).ended(given_entry(SMALL, HUGE, 3, HistoryOutcome::Completed)),
            vec!["instance vm-1 is of type c.2c4g"],
        ),
        (
            "in sync by somebody else, after a change that was undone",
            given().of_type(LARGE).ended(given_entry(SMALL, LARGE, 3, HistoryOutcome::Reverted)),
            vec!["instance vm-1 is of type c.2c4g"],
        ),
        (
            "complete, and looked at again",
            flying(ChangeState::Observed, 60).of_type(LARGE).then(),
            vec!["resized c.1c2g to c.2c4g", "3471"],
        ),
        (
            "scheduled",
            flying(ChangeState::Observed, 60).prepaid().scheduled(LARGE),
            vec!["order 3471", "next billing cycle", "2026-03-11T10:42:07Z"],
        ),
        (
            "scheduled and not wanted",
            flying(ChangeState::Observed, 60).prepaid().scheduled(LARGE).wants(HUGE),
            vec!["cancelling the scheduled change to c.2c4g"],
        ),
        (
            "unknown",
            flying(ChangeState::Submitting, 60),
            vec!["10:41:07Z", "10:51:07Z", "repeats nothing before that"],
        ),
        (
            "unverified",
            flying(ChangeState::Unverified, 900).prepaid(),
            vec!["orders", "vm.zenlayer.com/release=", &id_900],
        ),
        (
            "overdue",
            flying(ChangeState::Accepted, 1801),
            vec![
                "order 3471",
                "ask the provider",
                "vm.zenlayer.com/release=",
                &id_1801,
                "then ordered again",
            ],
        ),
        (
            "reverted",
            given().target(LARGE, 3).ended(entry.clone()),
            vec![SMALL, LARGE, "vm.zenlayer.com/release=", &entry_id],
        ),
        (
            "served by two operators",
            given().served_by("pod-a_1", &[], "").served_by("pod-b_2", &["shop"], "shard=1"),
            vec!["serve this object: pod-a_1, pod-b_2 (the log of each says what it serves);"],
        ),
        ("drift", given().observing(), vec![SMALL, LARGE, "Observe"]),
        ("suspended", given().suspended(), vec![SMALL, LARGE, "spec.suspend", "would be resized"]),
        (
            "suspended, and undone before",
            given().target(LARGE, 3).ended(entry.clone()).suspended(),
            vec!["would not be resized either", &entry_id],
        ),
        (
            "suspended, and released",
            given().target(LARGE, 3).ended(entry.clone()).released(&entry.id).suspended(),
            vec!["would be resized"],
        ),
        (
            "observed, and recycled",
            given().state("RECYCLE").observing(),
            vec!["would not be resized either", "RECYCLE"],
        ),
        (
            "unverified with a token",
            given()
                .bearer()
                .in_flight(&crate::given::without_fence(given_change(ChangeState::Submitting, 60))),
            vec!["at any time", "orders"],
        ),
        ("busy", given().state("REBOOT"), vec!["REBOOT", "RUNNING or STOPPED"]),
        ("recycled", given().state("RECYCLE"), vec!["RECYCLE", "restore it"]),
        ("skewed", given().clock_ahead(300), vec!["300 s", "240 s", "synchronise"]),
        ("foreign plan", given().scheduled(HUGE), vec![HUGE, "did not order", "cancel it"]),
        ("gone", given().gone(), vec!["vm-1", "spec.instanceId"]),
    ];
    for (name, given, parts) in rows {
        let status = given.pass().verdict.status;
        let message = ready_message(&status);
        for part in parts {
            assert!(message.contains(part), "{name}: {part:?} is not in {message:?}");
        }
    }
}

/// The text with every moment and every name of a change replaced, so that equal sentences are one.
fn sentence(text: &str) -> String {
    let word = |word: &str| {
        let core = word.trim_end_matches([',', ':', ';', ')']);
        let rest = &word[core.len()..];
        let moment = core.len() == 20 && core.ends_with('Z') && core.contains('T');
        match core.split_once("vm.zenlayer.com/release=") {
            Some((before, _)) => format!("{before}vm.zenlayer.com/release=CHANGE{rest}"),
            None if moment => format!("TIME{rest}"),
            None if core.starts_with("0c5b8a8e-") => format!("CHANGE{rest}"),
            None => word.to_owned(),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// All that people can read in a condition or an event, as the tables bring it about.
/// `INSTA_UPDATE=always cargo test --test lifecycle messages` writes it anew.
#[test]
fn every_message_of_the_tables_is_known() {
    let mut conditions = BTreeSet::new();
    let mut events = BTreeSet::new();
    let mut decisions = BTreeSet::new();
    for (_, given, ..) in all_rows() {
        let verdict = given.pass().verdict;
        let ready = verdict.status.conditions.iter().find(|one| one.type_ == "Ready");
        if let (Some(ready), Some(phase)) = (ready, verdict.status.phase) {
            let message = sentence(&ready.message);
            conditions.insert(format!("{phase:?} {}: {message}", ready.reason));
        }
        let event = |one: &Event| format!("{}: {}", one.reason, sentence(&one.note));
        events.extend(verdict.events.iter().chain(&farewell(&given.object)).map(event));
        decisions.extend(
            verdict.status.pending_decision.map(|one| {
                format!("{:?} {}: {}", one.kind, sentence(&one.annotation), one.message)
            }),
        );
    }
    for error in invalid_specs() {
        let verdict = invalid(&given().step().object.status.unwrap(), 4, &error, at(0));
        conditions.insert(format!("Failed InvalidSpec: {}", ready_message(&verdict.status)));
        events.extend(verdict.events.iter().map(|one| format!("{}: {}", one.reason, one.note)));
    }
    let part = |title: &str, lines: BTreeSet<String>| {
        let lines: Vec<_> = lines.into_iter().collect();
        format!("# {title}\n{}", lines.join("\n"))
    };
    insta::assert_snapshot!(
        [
            part("Conditions", conditions),
            part("Events", events),
            part("Pending decisions", decisions),
        ]
        .join("\n\n")
    );
}

/// What an operator selects may name the namespaces of other users.
#[test]
fn a_status_names_no_namespace_that_another_operator_serves() {
    let given = given().served_by("pod-a_1", &["of-others", "shop"], "tenant=of-others");
    let verdict = given.pass().verdict;
    let message = ready_message(&verdict.status);
    assert!(message.contains("pod-a_1"), "{message}");
    let told = serde_json::to_string(&verdict.status).unwrap();
    assert!(!told.contains("of-others"), "{told}");
    assert!(!format!("{:?}", verdict.events).contains("of-others"), "{:?}", verdict.events);
}

/// One of each kind.
fn invalid_specs() -> [InvalidSpec; 3] {
    let broken = |spoil: fn(&mut VmInstance)| {
        let mut object = given().object;
        spoil(&mut object);
        Desired::from_object(&object, &Defaults::default()).unwrap_err()
    };
    [
        broken(|object| object.spec.instance_id = String::new()),
        broken(|object| object.spec.instance_type_id = "c 2".into()),
        broken(|object| object.metadata.uid = None),
    ]
}

#[test]
fn an_object_that_the_schema_should_have_refused_says_which_field_and_keeps_its_status() {
    let mut object = flying(ChangeState::Submitting, 60).object;
    object.spec.instance_type_id = "c 2".into();
    let error = Desired::from_object(&object, &Defaults::default()).unwrap_err();
    let before = object.status.clone().unwrap();
    let verdict = invalid(&before, 4, &error, at(0));
    assert_eq!(shown(&verdict.status), "Failed InvalidSpec Ready=False InSync=Unknown Stalled");
    assert_eq!(verdict.status.observed_generation, Some(4));
    assert_eq!(verdict.status.change, before.change);
    let message = ready_message(&verdict.status);
    assert!(message.contains("spec.instanceTypeId") && message.contains("\"c 2\""), "{message}");
    assert_eq!(verdict.next_look, NextLook::OnChange);
    assert_eq!(verdict.events.len(), 1);
    assert!(invalid(&verdict.status, 4, &error, at(60)).events.is_empty(), "told once");
    object.metadata.uid = None;
    let error = Desired::from_object(&object, &Defaults::default()).unwrap_err();
    assert_eq!(error, InvalidSpec::Metadata("uid"));
}

#[test]
fn an_object_deleted_in_mid_change_says_what_is_left() {
    assert_eq!(farewell(&given().object), None);
    let event = farewell(&flying(ChangeState::Accepted, 60).object).unwrap();
    assert!(event.warning);
    assert_eq!(event.reason, "ChangeLeftRunning");
    for part in ["vm-1", SMALL, LARGE, "order 3471", "continues by itself"] {
        assert!(event.note.contains(part), "{part:?} is not in {:?}", event.note);
    }
    let mut stopping = given();
    stopping.status().order_number = Some("3400".into());
    let stop = given_call(ChangeKind::Stop, ChangeState::Accepted, 60);
    let stop = stopping.remembering(&stop);
    let event = farewell(&stop.object).unwrap();
    assert!(event.note.contains("the stop continues by itself"), "{}", event.note);
    assert!(!event.note.contains("order"), "{}", event.note);
    // Its machine is started first, or said to be left off.
    assert_eq!(farewell(&given().stopped_for_a_change(60).object), None);
    let event = farewell(&flying(ChangeState::Submitting, 60).object).unwrap();
    assert!(event.note.contains("order number unknown"), "{}", event.note);
}

#[test]
fn what_somebody_else_ordered_is_not_told_as_an_order_of_this_object() {
    let mut before = given().ended(given_entry(HUGE, SMALL, 2, HistoryOutcome::Completed));
    before.status().order_number = Some("3400".into());
    before.status().request_id = Some("T-BEFORE".into());
    let adopted = before.processing(LARGE).then();
    let status = adopted.object.status.as_ref().unwrap();
    assert_eq!((&status.order_number, &status.request_id), (&None, &None));
    let done = adopted.clone().plan(None, None).of_type(LARGE).later(60).then();
    let status = done.object.status.as_ref().unwrap();
    assert!(ready_message(status).contains("did not order"), "{}", ready_message(status));
    let last = status.history.last().unwrap();
    assert!(last.adopted && last.order_number.is_none(), "{last:?}");
    assert_eq!(last.outcome, HistoryOutcome::Completed);
    let gone = adopted.plan(None, None).later(60).then();
    for looked in [gone.clone(), gone.later(400).then()] {
        let status = looked.object.status.unwrap();
        let message = ready_message(&status);
        assert!(message.contains("did not order") && message.contains("release="), "{message}");
    }
}

#[test]
fn a_failure_that_comes_again_with_another_request_id_is_no_news() {
    let failed = |given: Given, id: &str| {
        let mut error = read_error(500, None);
        let ReadError::Api { error: api, .. } = &mut error else { panic!("no answer") };
        api.request_id = request(id);
        given.instance_fails(error).then()
    };
    let first = failed(given(), "T-FIRST");
    let told = first.object.status.clone();
    assert!(ready_message(told.as_ref().unwrap()).contains("T-FIRST"));
    assert_eq!(failed(first.clone(), "T-SECOND").object.status, told);
    let other = first.instance_fails(read_error(503, Some("REQUEST_TIMED_OUT"))).then();
    assert!(ready_message(other.object.status.as_ref().unwrap()).contains("REQUEST_TIMED_OUT"));
}

#[test]
fn a_change_in_flight_that_cannot_be_looked_at_for_a_moment_is_shown_as_it_was() {
    let before = flying(ChangeState::Observed, 60).processing(LARGE).then();
    let status = before.object.status.clone().unwrap();
    let missing = before.later(5).plan_is_missing();
    assert_eq!(missing.clone().disagreeing_for(29).pass().verdict.status, status);
    let lasting = missing.disagreeing_for(30);
    assert_eq!(shows(&lasting), "Waiting ReadsDisagree Ready=False InSync=False Reconciling");
}

#[test]
fn an_object_is_named_as_kubectl_does() {
    assert_eq!(given().desired().object.to_string(), "shop/web");
}

#[test]
fn pauses_double_up_to_five_minutes_and_are_spread_by_a_tenth() {
    let pause = |failures| backoff::pause(failures, &Timing::default(), "uid").as_secs_f64();
    let expected = [5.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0];
    for (failures, middle) in (0..).zip(expected) {
        let share = pause(failures) / middle;
        assert!((0.9..=1.1).contains(&share), "{failures}: {}", pause(failures));
        assert!((share - pause(1) / 5.0).abs() < 1e-6, "{failures}: spread by another share");
    }
    let all: BTreeSet<_> = (0..1000)
        .map(|uid| backoff::pause(9, &Timing::default(), &uid.to_string()).as_secs())
        .collect();
    assert!(all.first() < Some(&273) && all.last() > Some(&327), "{all:?}");
    assert!(all.first() >= Some(&270) && all.last() <= Some(&330), "{all:?}");
}

/// Refused for good, then a read fails, then it works again.
fn stood_before_a_read_failed() -> Given {
    let refused = api_error(400, Some("MISSING_PARAMETER"));
    let failed = given().answered(Answer::Refused(refused)).then().later(10);
    failed.instance_fails(read_error(500, None)).then().later(20).read_again()
}

fn stop_without_effect() -> Given {
    let stop = given_call(ChangeKind::Stop, ChangeState::Accepted, 601);
    given().stop_first().in_flight(&stop)
}

#[test]
fn events_tell_each_thing_once() {
    let told = |given: &Given| {
        let events = given.pass().verdict.events;
        events.into_iter().map(|event| (event.warning, event.reason)).collect::<Vec<_>>()
    };
    let late = || flying(ChangeState::Submitting, 601);
    let entry = given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed);
    let rearmed = given().target(LARGE, 3).ended(entry.clone()).released(&entry.id);
    let refused = api_error(400, Some("MISSING_PARAMETER"));
    let rows = [
        ("ordered", given(), vec![(false, "ChangeOrdered")]),
        ("adopted", late().of_type(LARGE), vec![(true, "OutcomeSettled")]),
        (
            "complete",
            flying(ChangeState::Observed, 60).of_type(LARGE),
            vec![(false, "ChangeCompleted")],
        ),
        (
            "scheduled",
            flying(ChangeState::Accepted, 60).prepaid().scheduled(LARGE),
            vec![(false, "ChangeScheduled")],
        ),
        (
            "unknown",
            given().answered(Answer::Unknown { cause: "x".into() }),
            vec![(true, "OutcomeUnknown")],
        ),
        ("refused", given().answered(Answer::Refused(refused)), vec![(true, "RequestInvalid")]),
        ("rearmed", rearmed, vec![(false, "ChangeReleased")]),
        ("a stop without effect", stop_without_effect(), vec![(true, "PowerChangeHadNoEffect")]),
        ("served twice", given().served_by("a", &[], ""), vec![(true, "ServedTwice")]),
        ("limited", given().orders(ordered_by_all(100)), vec![(true, "OrderLimitReached")]),
        (
            "failed, and now for another reason",
            given().state("RECYCLE").then().gone(),
            vec![(true, "InstanceNotFound")],
        ),
        ("a refusal that stood before a read failed", stood_before_a_read_failed(), vec![]),
        ("in sync", given().of_type(LARGE), vec![]),
        ("waiting", given().state("REBOOT"), vec![]),
        (
            "given back",
            given().holding(&given_change(ChangeState::Submitting, 60), HoldingState::Open),
            vec![],
        ),
    ];
    for (name, given, expected) in rows {
        assert_eq!(told(&given), expected, "{name}");
        let again = told(&given.step());
        // The next pass over the same world may take the next step, but repeats no event.
        assert!(again.iter().all(|event| !expected.contains(event)), "{name}: {again:?}");
    }
}
