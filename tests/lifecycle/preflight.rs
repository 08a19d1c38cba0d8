//! Before an order: the types on offer, bandwidth, prices and policies, the hour's limit; and what
//! an order is compared with afterwards.

use zenlayer::Offer;
use zenlayer_vm_operator::{
    api::{ChangeState, Direction, Reason},
    lifecycle::{Change, ChangeId, Counted, ObjectKey, OrderCount, Read, Size},
};

use crate::{
    given::{
        CREDENTIAL, Given, HUGE, LARGE, SMALL, UID, at, given, given_change, given_key, offer,
        other_key, read_error, secs, transport, trouble,
    },
    table::{Row, check, does, look, ready_message, says},
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

/// As many orders of each of these objects, made within the last hour; the oldest one ends in 2 minutes.
fn counted(objects: &[(ObjectKey, u32)]) -> OrderCount {
    let mut record = Vec::new();
    for (object, count) in objects {
        record.extend((0..*count).map(|number| Counted {
            change: ChangeId(format!("{}-{number}", object.uid)),
            at: at(-3480),
            object: object.clone(),
        }));
    }
    OrderCount::of(&record, &given_key(UID), None, at(0))
}

/// As many orders, all of objects in another namespace.
pub fn ordered_by_all(count: u32) -> OrderCount {
    counted(&[(other_key("other"), count)])
}

pub fn rows() -> Vec<Row> {
    let before = [delay(), account(), offers(), policies(), limits(), served_twice()];
    [before.concat(), sizes()].concat()
}

/// An edit that is taken back at once costs nothing.
fn delay() -> Vec<Row> {
    use std::time::Duration;
    let young = |name, known: Duration, look| {
        let edited = given().generation(4).target(LARGE, 3).spec_known_for(known);
        // Not written: in a moment there is more to say.
        (name, edited, "Nothing EditIsYoung", " absent Ready=absent InSync=absent", look)
    };
    let young_spec = |given: Given| given.spec_known_for(secs(0));
    vec![
        young("an edit is not ordered at once", secs(0), "2s"),
        young("nor a little later", Duration::from_millis(1500), "500ms"),
        young("nor a moment before the delay is over", Duration::from_millis(1999), "100ms"),
        ordered("after the delay it is", given().spec_known_for(secs(2))),
        (
            "what is not to be ordered is not delayed",
            young_spec(given().of_type(LARGE)),
            "Nothing InSync",
            IN_SYNC,
            "rest",
        ),
        (
            "nor is the start of a machine that is off",
            young_spec(given().of_type(LARGE).stopped_for_a_change(60)),
            "Start Calling",
            "Changing StartInProgress Ready=False InSync=True Reconciling",
            "5s",
        ),
        (
            "nothing is read for an edit that is too young",
            young_spec(given()).without(Read::Orders),
            "Nothing EditIsYoung",
            " absent Ready=absent InSync=absent",
            "2s",
        ),
    ]
}

/// The account of the credential was refused: one object tries again for all.
fn account() -> Vec<Row> {
    let denied = || trouble(Reason::PermissionDenied, true, 900);
    vec![
        (
            "nothing is ordered while the account is refused",
            given().account_refused(denied()),
            "Nothing InTrouble",
            "Failed PermissionDenied Ready=False InSync=False Stalled",
            "300s",
        ),
        ordered("a person's word is tried all the same", {
            given().account_refused(denied()).requested_at("now").handled_retry("before")
        }),
        (
            "once",
            given().account_refused(denied()).requested_at("now").handled_retry("now"),
            "Nothing InTrouble",
            "Failed PermissionDenied Ready=False InSync=False Stalled",
            "300s",
        ),
        (
            "an object in sync has nothing to do with it",
            given().of_type(LARGE).account_refused(denied()),
            "Nothing InSync",
            IN_SYNC,
            "rest",
        ),
        (
            "a machine that is off is started all the same",
            given().stopped_for_a_change(1801).account_refused(denied()),
            "Start Calling",
            "Changing StartInProgress Ready=False InSync=False Reconciling",
            "5s",
        ),
    ]
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
        ordered("one that cannot be read says nothing either", {
            let mut given = given();
            given.observed.catalogue = Some(Err(transport()));
            given
        }),
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
            given().offering(without()).then().state("STOPPED").offering(all()),
        ),
        ordered("bandwidth up to the limit is allowed", bandwidth(Some(100), Some(100))),
        refused("bandwidth above it is not", bandwidth(Some(100), Some(101)), TOO_WIDE),
        ordered("a bandwidth that was lowered since then is looked at anew", {
            let refused = bandwidth(Some(100), Some(101)).then();
            refused.instance(|one| one.bandwidth_out = Some(100))
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
            "where the list names no price the direction is unknown",
            given().prepaid().denies_downgrades(),
            unknown,
        ),
        refused(
            "a price that the provider does not tell for good says nothing",
            up().price_fails(read_error(400, Some("INVALID_PARAMETER_VALUE"))).denies_downgrades(),
            unknown,
        ),
        (
            "a price that could not be read is asked for again",
            up().price_fails(transport()).denies_downgrades(),
            "Nothing ReadFailed",
            "Waiting ApiUnavailable Ready=False InSync=False Reconciling",
            "backoff",
        ),
        (
            "also one that was held back by the rate limit",
            up().price_fails(read_error(429, None)).denies_downgrades(),
            "Nothing ReadFailed",
            "Waiting RateLimited Ready=False InSync=False Reconciling",
            "backoff",
        ),
        ordered("where both ways are allowed no price is needed", up().price_fails(transport())),
        refused(
            "what is charged in a way that nobody knows falls under the policies",
            given().charged("SPOT").priced(10, 20).denies_upgrades(),
            no_up,
        ),
        refused(
            "also where its direction is unknown",
            given().charged("SPOT").denies_downgrades(),
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
    let near = || ObjectKey { namespace: "shop".into(), ..other_key("near") };
    let mine = || given_key(UID);
    let limited = |name, count, reason: &'static str| {
        let shows = format!("Waiting {reason} Ready=False InSync=False Reconciling");
        (name, given().orders(count), "Nothing OrderLimit", &*shows.leak(), "113s")
    };
    vec![
        ordered("below the limit of all is ordered", given().orders(ordered_by_all(99))),
        limited("at the limit of all nothing is", ordered_by_all(100), "OrderLimitReached"),
        ordered("below the limit of the namespace is", given().orders(counted(&[(near(), 49)]))),
        limited(
            "at the limit of the namespace nothing is",
            counted(&[(near(), 50)]),
            "NamespaceOrderLimitReached",
        ),
        ordered("below the limit of the object is", given().orders(counted(&[(mine(), 3)]))),
        limited(
            "at the limit of the object nothing is",
            counted(&[(mine(), 4)]),
            "ObjectOrderLimitReached",
        ),
        limited(
            "of several the narrowest is told",
            counted(&[(mine(), 4), (near(), 46), (other_key("other"), 50)]),
            "ObjectOrderLimitReached",
        ),
        limited(
            "of two the narrower is",
            counted(&[(mine(), 3), (near(), 47), (other_key("other"), 50)]),
            "NamespaceOrderLimitReached",
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
                let mut count = ordered_by_all(100);
                count.all.oldest_ends = None;
                given().orders(count)
            },
            "Nothing OrderLimit",
            held,
            "backoff",
        ),
        (
            "a limit is said before anything else is read for an order",
            {
                let given = given().orders(ordered_by_all(100)).without(Read::Catalogue);
                given.without(Read::ForACall)
            },
            "Nothing OrderLimit",
            held,
            "113s",
        ),
    ]
}

/// Another operator serves the object, too.
fn served_twice() -> Vec<Row> {
    let two = |given: Given| given.served_by("a", &[], "").served_by("b", &["shop"], "shard=1");
    let held = "Waiting ServedTwice Ready=False InSync=False Reconciling";
    vec![
        (
            "nothing is ordered while two operators serve it",
            two(given()),
            "Nothing ServedTwice",
            held,
            "rest",
        ),
        (
            "and nothing is read for an order, or counted",
            two(given()).without(Read::ForACall).without(Read::Orders),
            "Nothing ServedTwice",
            held,
            "rest",
        ),
        (
            "a scheduled change is not cancelled either",
            two(given_change_scheduled()).wants(HUGE),
            "Nothing ServedTwice",
            held,
            "rest",
        ),
        (
            "what is in sync is as with one",
            two(given().of_type(LARGE)),
            "Nothing InSync",
            IN_SYNC,
            "rest",
        ),
        (
            "a change in flight is followed as by one",
            two(given().in_flight(&given_change(ChangeState::Accepted, 60))),
            "Nothing Accepted",
            GOES,
            "12s",
        ),
        (
            "a machine that is off is started",
            two(given().stopped_for_a_change(60)),
            "Start Calling",
            "Changing StartInProgress Ready=False InSync=False Reconciling",
            "5s",
        ),
    ]
}

fn given_change_scheduled() -> Given {
    given().in_flight(&given_change(ChangeState::Observed, 60)).prepaid().scheduled(LARGE)
}

/// An order whose type shows, and whose machine shows this much.
fn shows(cores: i64, memory: i64, ago: i64) -> Given {
    let change = given_change(ChangeState::Observed, ago);
    let size = Size { cpu_count: Some(2), memory_gib: Some(4) };
    let change = Change { size, ..change };
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
        done("a machine that still boots is of the type all the same", {
            shows(2, 4, 60).state("BOOTING")
        }),
        done("so is one that its owner has powered off", shows(2, 4, 60).state("STOPPED")),
        done("at any time", shows(2, 4, 1801).state("STOPPED")),
        (
            "a type that shows at first with the old cores goes on",
            given().in_flight(&accepted).of_type(LARGE),
            "CloseLane EffectSeen",
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
            "Nothing Released",
            "Waiting Released Ready=False InSync=False Reconciling",
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
    let order = given().prepaid().priced(10, 20).offering(all()).order();
    assert_eq!(order.change.direction, Some(Direction::Upgrade));
    assert_eq!(order.change.size, Size { cpu_count: Some(2), memory_gib: Some(4) });
    assert_eq!(order.restore, None);
    let postpaid = given().order().change;
    assert_eq!((postpaid.direction, postpaid.size), (None, Size::default()));
}

#[test]
fn a_refusal_names_the_nearest_types_first_and_ten_at_most() {
    let mut offers: Vec<Offer> =
        (1..=14).rev().map(|cores| offer(&format!("c.{cores}"), cores, 2 * cores)).collect();
    offers.push(Offer { zone_id: "FRA-A".into(), ..offer("far", 2, 4) });
    offers.push(Offer { bandwidth_limit: Some(1), ..offer("narrow", 2, 4) });
    let given = given().offering(offers).instance(|one| one.bandwidth_out = Some(10));
    let text = says(&given);
    let list = text.split_once("set spec.instanceTypeId to one of ").unwrap().1;
    let names: Vec<&str> = list.split(", ").collect();
    // Near to the type in effect (1 core, 2 GiB), because nobody knows the declared one.
    let nearest: Vec<String> = (1..=10).map(|cores| format!("c.{cores}")).collect();
    assert_eq!(names, nearest, "{text}");
    assert!(text.contains("SEL-A") && text.contains(LARGE) && text.contains("POSTPAID"), "{text}");

    let none = crate::given::given().offering(vec![offer(SMALL, 1, 2)]);
    assert!(says(&none).contains("no other type is on offer"), "{}", says(&none));
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
    assert_eq!(refusal.retry_after.unwrap().0, at(1800));
    assert_eq!((refusal.from.as_str(), refusal.to.as_str()), (SMALL, LARGE));
    assert_eq!(refusal.credential, CREDENTIAL);
}

#[test]
fn an_order_of_the_last_hour_counts_and_an_older_one_does_not() {
    let one =
        |ago: i64| Counted { change: ChangeId("x".into()), at: at(-ago), object: given_key(UID) };
    let count = |record: &[Counted]| OrderCount::of(record, &given_key(UID), None, at(0));
    let two = count(&[one(3599), one(3600), one(10)]);
    assert_eq!((two.all.count, two.namespace.count, two.object.count), (2, 2, 2));
    assert_eq!(two.all.oldest_ends, Some(at(1)));
    assert_eq!(count(&[one(3600)]).all.oldest_ends, None);
}

#[test]
fn an_order_does_not_count_what_the_stop_before_it_has_reserved() {
    let stop = ChangeId::new(UID, at(-60));
    let reserved = Counted { change: stop.clone(), at: at(-60), object: given_key(UID) };
    let count = |reserved_for| {
        OrderCount::of(std::slice::from_ref(&reserved), &given_key(UID), reserved_for, at(0))
    };
    assert_eq!(count(Some(&stop)).object.count, 0);
    assert_eq!(count(None).object.count, 1);
}

#[test]
fn each_limit_says_which_it_is_and_which_option_raises_it() {
    let says = |count| says(&given().orders(count));
    let all = says(ordered_by_all(100));
    assert!(all.contains("the limit of 100 orders per hour (--max-orders-per-hour)"), "{all}");
    let near = ObjectKey { namespace: "shop".into(), ..other_key("near") };
    let namespace = says(counted(&[(near, 50)]));
    let option = "50 orders per hour for this namespace (--max-orders-per-namespace-per-hour)";
    assert!(namespace.contains(option), "{namespace}");
    let object = says(counted(&[(given_key(UID), 4)]));
    let option = "4 orders per hour for one VmInstance (--max-orders-per-object-per-hour)";
    assert!(object.contains(option), "{object}");
    assert!(object.contains("possible after 2026-03-01T10:44:07Z"), "{object}");
}

#[test]
fn a_young_edit_leaves_the_status_alone() {
    let before = given().wants(SMALL).then();
    let edited = before.wants(LARGE).generation(4).spec_known_for(secs(1));
    let pass = edited.pass();
    assert_eq!(Some(&pass.verdict.status), edited.object.status.as_ref());
    // Taken back within the delay, nothing was ordered.
    let back = edited.wants(SMALL).generation(5);
    assert_eq!((does(&back), look(&back)), ("Nothing InSync".into(), "rest".into()));
}
