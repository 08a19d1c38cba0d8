//! Before an order: the types on offer, bandwidth, prices and policies, the hour's limit; and what
//! an order is compared with afterwards.

use zenlayer::{InstanceState, Offer};
use zenlayer_vm_operator::{
    api::{ChangeState, Direction},
    lifecycle::{Action, Change, Size},
};

use crate::{
    given::{Given, HUGE, LARGE, SMALL, given, given_change, offer},
    table::{Row, check, ready_message},
};

const GOES: &str = "Changing ChangeInProgress Ready=False InSync=False Reconciling";
const IN_SYNC: &str = "InSync InSync Ready=True InSync=True";
const NOT_OFFERED: &str = "Failed InstanceTypeNotOffered Ready=False InSync=False Stalled";
const TOO_WIDE: &str = "Failed BandwidthExceedsLimit Ready=False InSync=False Stalled";
const NOT_IN_EFFECT: &str = "Failed ChangeNotInEffect Ready=False InSync=False Stalled";

fn ordered(name: &'static str, given: Given) -> Row {
    (name, given, "Modify Calling", GOES, "5s")
}

fn refused(name: &'static str, given: Given, shows: &'static str) -> Row {
    (name, given, "Nothing Refused", shows, "300s")
}

fn all() -> Vec<Offer> {
    vec![offer(SMALL, 1, 2), offer(LARGE, 2, 4), offer(HUGE, 4, 8)]
}

/// The declared type allows so many Mbps, and the instance has so many.
fn bandwidth(limit: Option<i64>, has: Option<i64>) -> Given {
    let wide = Offer { bandwidth_limit: limit, ..offer(LARGE, 2, 4) };
    given().offering(vec![wide, offer(HUGE, 4, 8)]).instance(|one| one.bandwidth_out = has)
}

pub fn rows() -> Vec<Row> {
    [offers(), policies(), limits(), sizes()].concat()
}

fn offers() -> Vec<Row> {
    let without = || vec![offer(SMALL, 1, 2), offer(HUGE, 4, 8)];
    let elsewhere = || {
        let there = Offer { zone_id: "FRA-A".into(), ..offer(LARGE, 2, 4) };
        vec![there, offer(HUGE, 4, 8)]
    };
    vec![
        ordered("a type on offer is ordered", given().offering(all())),
        refused("a type that is not on offer is not", given().offering(without()), NOT_OFFERED),
        refused(
            "a type on offer in another zone only is not",
            given().offering(elsewhere()),
            NOT_OFFERED,
        ),
        ordered(
            "where the instance's zone is unknown every offer counts",
            given().offering(elsewhere()).instance(|one| one.zone_id = None),
        ),
        ordered("an empty catalogue says nothing", given().offering(Vec::new())),
        ordered(
            "a refusal of our own is over after half an hour",
            given().offering(without()).then().later(1800).offering(all()),
        ),
        (
            "a refusal of our own stands for half an hour",
            given().offering(without()).then().later(1799).offering(all()),
            "Nothing Refused",
            NOT_OFFERED,
            "5s",
        ),
        ordered(
            "another state of the instance ends a refusal of our own",
            given().offering(without()).then().state("STOPPED").then().offering(all()),
        ),
        ordered("bandwidth up to the limit is allowed", bandwidth(Some(100), Some(100))),
        refused("bandwidth above it is not", bandwidth(Some(100), Some(101)), TOO_WIDE),
        ordered("a bandwidth that was lowered since then is looked at anew", {
            let refused = bandwidth(Some(100), Some(101)).then();
            refused.instance(|one| one.bandwidth_out = Some(100)).then()
        }),
        ordered("a limit of -1 is none", bandwidth(Some(-1), Some(5000))),
        ordered("an unknown limit is none", bandwidth(None, Some(5000))),
        ordered("an unknown bandwidth is within every limit", bandwidth(Some(100), None)),
        refused("a limit of 0 allows none", bandwidth(Some(0), Some(1)), TOO_WIDE),
    ]
}

fn policies() -> Vec<Row> {
    let up = || given().prepaid().priced(10, 20);
    let down = || given().prepaid().priced(20, 10);
    let same = || given().prepaid().priced(10, 10);
    let no_up = "Failed UpgradeDenied Ready=False InSync=False Stalled";
    let no_down = "Failed DowngradeDenied Ready=False InSync=False Stalled";
    let unknown = "Failed DirectionUnknown Ready=False InSync=False Stalled";
    vec![
        ordered("a PREPAID upgrade is ordered by default", up()),
        ordered("a PREPAID downgrade is ordered by default", down()),
        ordered("a change of unknown direction is ordered by default", same()),
        refused("a denied upgrade is not ordered", up().denies_upgrades(), no_up),
        refused("a denied downgrade is not ordered", down().denies_downgrades(), no_down),
        ordered("an upgrade does not ask for downgrades", up().denies_downgrades()),
        ordered("a downgrade does not ask for upgrades", down().denies_upgrades()),
        refused("of unknown direction both must be allowed: up", same().denies_upgrades(), unknown),
        refused(
            "of unknown direction both must be allowed: down",
            same().denies_downgrades(),
            unknown,
        ),
        refused(
            "without prices the direction is unknown",
            given().prepaid().denies_downgrades(),
            unknown,
        ),
        ordered(
            "a POSTPAID change has no direction",
            given().priced(10, 20).denies_upgrades().denies_downgrades(),
        ),
    ]
}

fn limits() -> Vec<Row> {
    let held = "Waiting OrderLimitReached Ready=False InSync=False Reconciling";
    vec![
        ordered("below the hour's limit is ordered", given().ordered_within_the_hour(99)),
        (
            "at the hour's limit nothing is",
            given().ordered_within_the_hour(100),
            "Nothing OrderLimitReached",
            held,
            "113s",
        ),
        (
            "a count that cannot be read holds orders back",
            given().orders_fail("forbidden"),
            "Nothing OrdersUnknown",
            "Waiting KubernetesUnavailable Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "a limit that nobody knows the end of is asked again",
            {
                let mut given = given().ordered_within_the_hour(100);
                if let Some(Ok(count)) = &mut given.observed.orders {
                    count.oldest_ends = None;
                }
                given
            },
            "Nothing OrderLimitReached",
            held,
            "backoff",
        ),
        (
            "a skewed clock is said before the limit",
            given().ordered_within_the_hour(100).clock_ahead(300),
            "Nothing ClockSkewed",
            "Failed ClockSkewed Ready=False InSync=False Stalled",
            "rest",
        ),
    ]
}

/// An order whose type shows, and whose machine shows this much.
fn shows(cores: i64, memory: i64, ago: i64) -> Given {
    let change = given_change(ChangeState::Observed, ago);
    let size = Size { cpu_count: Some(2), memory_gib: Some(4) };
    let change = Change { size, power_state: Some(InstanceState::Running), ..change };
    given()
        .in_flight(&change)
        .of_type(LARGE)
        .instance(|one| (one.cpu_count, one.memory_gib) = (Some(cores), Some(memory)))
}

fn sizes() -> Vec<Row> {
    let goes = "Changing ChangeInProgress Ready=False InSync=True Reconciling";
    let failed = "Failed ChangeNotInEffect Ready=False InSync=True Stalled";
    let waits = |name, given| (name, given, "Nothing Progressing", goes, "12s");
    let done = |name, given| (name, given, "Nothing Completed", IN_SYNC, "rest");
    let accepted = given_change(ChangeState::Accepted, 60);
    let size = Size { cpu_count: Some(2), memory_gib: Some(4) };
    let accepted = Change { size, ..accepted };
    vec![
        done("the type with its cores and memory is complete", shows(2, 4, 60)),
        waits("fewer cores are waited for", shows(1, 4, 60)),
        waits("less memory is waited for", shows(2, 2, 60)),
        (
            "cores that stay wrong are said",
            shows(1, 4, 1801),
            "Nothing NotInEffect",
            failed,
            "rest",
        ),
        done("cores that are not shown contradict nothing", {
            shows(2, 4, 60).instance(|one| (one.cpu_count, one.memory_gib) = (None, None))
        }),
        waits("a machine that still boots is waited for", shows(2, 4, 60).state("BOOTING")),
        waits("a machine that was running and is off is waited for", {
            shows(2, 4, 60).state("STOPPED")
        }),
        (
            "a machine that stays off is said",
            shows(2, 4, 1801).state("STOPPED"),
            "Nothing NotInEffect",
            failed,
            "rest",
        ),
        (
            "a type that shows at first with the old cores goes on",
            given().in_flight(&accepted).of_type(LARGE),
            "CloseSlot EffectSeen",
            goes,
            "12s",
        ),
        (
            "an accepted order without any plan is said after the margin",
            given().in_flight(&given_change(ChangeState::Accepted, 301)),
            "Nothing NotInEffect",
            NOT_IN_EFFECT,
            "rest",
        ),
        (
            "and is waited for within it",
            given().in_flight(&given_change(ChangeState::Accepted, 300)),
            "Nothing Accepted",
            GOES,
            "30s",
        ),
        (
            "a person gives it up",
            given()
                .in_flight(&given_change(ChangeState::Accepted, 301))
                .released(&given_change(ChangeState::Accepted, 301).id.0),
            "ReturnSlot Released",
            "Waiting ReadsDisagree Ready=False InSync=False Reconciling",
            "1s",
        ),
    ]
}

#[test]
fn preflight_every_row_holds() {
    check(rows());
}

#[test]
fn an_order_says_what_it_will_be_compared_with() {
    let given = given().prepaid().priced(10, 20).offering(all());
    let Action::Call { change, restore, .. } = given.decide().action else { panic!("no call") };
    assert_eq!(change.direction, Some(Direction::Upgrade));
    assert_eq!(change.power_state, Some(InstanceState::Running));
    assert_eq!(change.size, Size { cpu_count: Some(2), memory_gib: Some(4) });
    assert_eq!(restore, None);
    let postpaid = crate::given::given().decide().action;
    let Action::Call { change, .. } = postpaid else { panic!("no call") };
    assert_eq!((change.direction, change.size), (None, Size::default()));
}

#[test]
fn a_refusal_names_the_nearest_types_first_and_ten_at_most() {
    let message = |given: &Given| ready_message(&given.pass().verdict.status).to_owned();
    let mut offers: Vec<Offer> =
        (1..=14).rev().map(|cores| offer(&format!("c.{cores}"), cores, 2 * cores)).collect();
    offers.push(Offer { zone_id: "FRA-A".into(), ..offer("far", 2, 4) });
    offers.push(Offer { bandwidth_limit: Some(1), ..offer("narrow", 2, 4) });
    let given = given().offering(offers).instance(|one| one.bandwidth_out = Some(10));
    let text = message(&given);
    let list = text.split_once("set spec.instanceTypeId to one of ").unwrap().1;
    let names: Vec<&str> = list.split(", ").collect();
    // Near to the type in effect (1 core, 2 GiB), because nobody knows the declared one.
    let nearest: Vec<String> = (1..=10).map(|cores| format!("c.{cores}")).collect();
    assert_eq!(names, nearest, "{text}");
    assert!(text.contains("SEL-A") && text.contains(LARGE) && text.contains("POSTPAID"), "{text}");

    let none = crate::given::given().offering(vec![offer(SMALL, 1, 2)]);
    assert!(message(&none).contains("no other type is on offer"), "{}", message(&none));
}

#[test]
fn a_cores_distance_counts_like_four_gib_and_equals_come_by_name() {
    let offers = vec![
        offer("b", 2, 2),
        offer("a", 2, 2),
        offer("m", 1, 5),
        offer("n", 1, 7),
        offer("n", 1, 7),
    ];
    let status = given().offering(offers).pass().verdict.status;
    let text = ready_message(&status);
    assert!(text.ends_with("one of m, a, b, n"), "{text}");
}

#[test]
fn a_type_that_is_too_narrow_is_measured_from_the_declared_one() {
    let narrow = Offer { bandwidth_limit: Some(5), ..offer(LARGE, 4, 8) };
    let offers = vec![narrow, offer("near", 4, 9), offer("old", 1, 3)];
    let given = given().offering(offers).instance(|one| one.bandwidth_out = Some(10));
    let status = given.pass().verdict.status;
    let text = ready_message(&status);
    assert!(text.contains("10 Mbps") && text.contains("allows 5"), "{text}");
    assert!(text.ends_with("one of near, old"), "{text}");
}

#[test]
fn a_refusal_of_our_own_is_remembered_for_half_an_hour() {
    let refused = given().prepaid().priced(10, 20).denies_upgrades().then();
    let refusal = refused.object.status.unwrap().refusal.unwrap();
    assert_eq!((refusal.reason.as_str(), refusal.code), ("UpgradeDenied", None));
    assert_eq!(refusal.retry_after.unwrap().0, crate::given::at(1800));
    assert_eq!((refusal.from.as_deref(), refusal.to.as_deref()), (Some(SMALL), Some(LARGE)));
}
