//! What a pass reads, step by step: the core says what it needs, the controller fetches exactly that
//! and asks again.

use zenlayer_vm_operator::{
    api::{ChangeKind, ChangeState, HistoryOutcome, Phase, Reason},
    lifecycle::{HoldingState, Read, SecretState},
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, at, given, given_call, given_change, given_entry, read_error,
        refused, restore, secs, transport, trouble,
    },
    preflight::ordered_by_all,
    table::does,
};

/// What is read in one pass over this world, in groups that are read together.
fn reads(world: &Given) -> String {
    let mut given = world.clone().nothing_read();
    let mut groups = Vec::new();
    loop {
        let needs = given.needs();
        if needs.is_empty() {
            return groups.join(" ");
        }
        assert!(groups.len() < 12, "it never ends: {groups:?}");
        let names: Vec<_> = needs.iter().map(|read| format!("{read:?}")).collect();
        groups.push(names.join("+"));
        for read in needs {
            given = given.read_from(world, *read);
        }
    }
}

/// An object that was looked at before in this world.
fn known(given: Given) -> Given {
    given.then()
}

fn in_sync() -> Given {
    known(given().of_type(LARGE))
}

fn at_rest() -> Vec<(&'static str, Given, &'static str)> {
    let entry = |outcome| given_entry(SMALL, LARGE, 3, outcome);
    vec![
        ("in sync at rest the instance alone is read", in_sync(), "Instance"),
        (
            "and now and then the plan, where a change may be scheduled",
            known(given().prepaid().of_type(LARGE)).plan_is_due(),
            "Instance Plan",
        ),
        ("not where it would be in effect at once", in_sync().plan_is_due(), "Instance"),
        (
            "an object that was never looked at may follow one that is gone",
            given().of_type(LARGE),
            "Slot Instance",
        ),
        ("so does one whose spec has changed", in_sync().generation(4), "Slot Instance"),
        (
            "a machine that is off may have been stopped for a change: the slot knows",
            in_sync().state("STOPPED"),
            "Instance Slot",
        ),
        ("a person's word about a plan", in_sync().cancel_plan(HUGE), "Instance Plan"),
        ("which was acted on", in_sync().cancel_plan(HUGE).handled_cancel(HUGE), "Instance"),
        (
            "an order that may still be open",
            in_sync().ended(entry(HistoryOutcome::Scheduled)),
            "Slot Instance Plan",
        ),
        ("one that is complete", in_sync().ended(entry(HistoryOutcome::Completed)), "Instance"),
        ("suspended, the type differs", known(given().suspended()), "Instance Slot"),
        ("observed, the type differs", known(given().observing()), "Instance Slot"),
        (
            "an object that need not be kept any longer",
            in_sync().finalizer(true),
            "Slot Instance Plan SlotAnew",
        ),
        (
            "an object that is being deleted has nothing to look at",
            in_sync().deleted(5),
            "Instance",
        ),
        (
            "a younger object reads what it may have to follow",
            known(given().duplicate_of(None)),
            "Slot Instance",
        ),
    ]
}

fn unreadable() -> Vec<(&'static str, Given, &'static str)> {
    vec![
        (
            "nothing but the slot is read without a Secret",
            given().secret(SecretState::NotFound),
            "Slot",
        ),
        (
            "nor while the credential has no call left",
            {
                let mut given = given();
                given.observed.quota = Some(secs(3));
                given
            },
            "Slot",
        ),
        (
            "nor while reads of the credential fail",
            given().in_trouble(trouble(Reason::ApiUnavailable, false, 5)),
            "Slot",
        ),
        (
            "nothing after the instance could not be read",
            given().instance_fails(transport()),
            "Slot Instance",
        ),
        ("nor after a refusal", given().instance_fails(read_error(401, None)), "Slot Instance"),
        ("nor where it is missing for the first time", given().missing_for(0), "Slot Instance"),
        ("a missing one may have a change in flight", given().missing_for(5), "Slot Instance"),
        ("nothing after the slot could not be read", given().slot_fails("x"), "Slot"),
        (
            "nor after the plan could not be read",
            given().plan_fails(transport()),
            "Slot Instance Orders Catalogue ForACall",
        ),
        (
            "nor where two reads disagree",
            known(given().plan_is_missing()),
            "Slot Instance Orders Catalogue ForACall",
        ),
    ]
}

fn in_flight() -> Vec<(&'static str, Given, &'static str)> {
    let flying = |state| known(given().in_flight(&given_change(state, 60)));
    let open = given_change(ChangeState::Submitting, 60);
    let stop = given_call(ChangeKind::Stop, ChangeState::Accepted, 60);
    vec![
        ("a call without an answer", flying(ChangeState::Submitting), "Slot Instance Plan"),
        ("an accepted call", flying(ChangeState::Accepted), "Slot Instance Plan"),
        ("a change that was seen", flying(ChangeState::Observed), "Slot Instance Plan"),
        (
            "a change in flight in spite of an in-sync type",
            flying(ChangeState::Accepted).of_type(LARGE),
            "Slot Instance Plan",
        ),
        (
            "a lane without its intent needs the slot alone",
            given().holding(&open, HoldingState::Open),
            "Slot",
        ),
        (
            "nor does a lane of another version",
            given().of_another_version(zenlayer_vm_operator::lifecycle::LaneName::Power),
            "Slot",
        ),
        (
            "a stop that is seen needs no read of the type",
            {
                let stopping = given().stop_first().finalizer(true).in_flight(&stop);
                stopping.restoring(&restore(&stop.id, stop.started_at)).state("STOPPED")
            },
            "Slot Instance",
        ),
        (
            "a change of another object",
            given().held_by("x", &open, HoldingState::Open),
            "Slot Instance",
        ),
    ]
}

fn before_a_call() -> Vec<(&'static str, Given, &'static str)> {
    let order = "Slot Instance Orders Catalogue ForACall";
    let refusal = "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED";
    let scheduled = given_change(ChangeState::Observed, 900);
    vec![
        ("an order reads its limits, the offers, and all once more together", given(), order),
        (
            "prices, too, of what is not billed afterwards",
            given().prepaid(),
            "Slot Instance Plan Orders Catalogue+Prices ForACall",
        ),
        (
            "also of what nobody knows",
            given().charged("SPOT"),
            "Slot Instance Plan Orders Catalogue+Prices ForACall",
        ),
        (
            "a stop before an order reads the same",
            given().stop_first(),
            "Slot Instance Orders Catalogue ForACall",
        ),
        (
            "at the limit nothing more is read",
            given().orders(ordered_by_all(100)),
            "Slot Instance Orders",
        ),
        ("nor for an edit that is too young", given().spec_known_for(secs(0)), "Slot Instance"),
        (
            "nor for an account that is refused",
            given().account_refused(trouble(Reason::PermissionDenied, true, 900)),
            "Slot Instance",
        ),
        ("nor on a busy machine", given().state("REBOOT"), "Slot Instance"),
        (
            "nor for a call that was refused",
            given().answered(refused(400, refusal)).then(),
            "Slot Instance",
        ),
        (
            "nor for one that was ordered before",
            given().target(LARGE, 3).ended(given_entry(SMALL, LARGE, 3, HistoryOutcome::Completed)),
            "Slot Instance",
        ),
        (
            "nor for a type that is not on offer",
            given().offering(vec![crate::given::offer(HUGE, 4, 8)]),
            "Slot Instance Orders Catalogue",
        ),
        (
            "a cancellation needs no offers",
            given()
                .prepaid()
                .in_flight(&scheduled)
                .closed(&scheduled, at(-1))
                .scheduled(LARGE)
                .wants(SMALL)
                .generation(4),
            "Slot Instance Plan ForACall",
        ),
        (
            "a start rests on the instance alone",
            known(given().of_type(LARGE)).stopped_for_a_change(60),
            "Slot Instance Plan ForACall",
        ),
        (
            "one that is overdue waits for no plan",
            given().stopped_for_a_change(1801),
            "Slot Instance ForACall",
        ),
    ]
}

fn rows() -> Vec<(&'static str, Given, &'static str)> {
    [at_rest(), unreadable(), in_flight(), before_a_call()].concat()
}

#[test]
fn a_pass_reads_what_it_needs_and_nothing_more() {
    let mut wrong = Vec::new();
    for (name, world, expected) in rows() {
        let found = reads(&world);
        if found != expected {
            wrong.push(format!("{name}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_reads_of_a_call_are_made_once_more_and_together() {
    let before = given().without(Read::ForACall);
    assert_eq!(before.needs(), [Read::ForACall]);
    // What is read then may be different: it is decided from that.
    let after = before.clone().read_from(&given().state("REBOOT"), Read::Instance);
    assert_eq!(after.needs(), []);
}

#[test]
fn a_young_postpaid_order_is_followed_by_the_type_alone() {
    let young = |ago| given().in_flight(&given_change(ChangeState::Accepted, ago));
    let asks = |given: Given| given.without(Read::Plan).needs() == [Read::Plan];
    let followed = young(59).without(Read::Plan);
    assert_eq!(does(&followed), "Nothing Accepted");
    assert_eq!(followed.then().object.status.unwrap().phase, Some(Phase::Changing));
    assert!(!asks(young(0)));
    assert!(asks(young(60)), "it takes longer than usual");
    assert!(asks(young(30).of_type(LARGE)), "it may be complete");
    assert!(asks(young(30).of_type(HUGE)), "somebody else was there");
    assert!(asks(young(30).prepaid()), "it may wait for its cycle");
    assert!(asks(young(30).wants(HUGE)), "another type is declared by now");
    assert!(asks(given().in_flight(&given_change(ChangeState::Submitting, 30))));
    assert!(asks(given().in_flight(&given_change(ChangeState::Observed, 30))));
}
