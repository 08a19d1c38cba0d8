//! The list of all instances: page by page, and whole or an error.

use jiff::SignedDuration;
use serde_json::{Value, json};
use zenlayer::{Batch, ClientOptions, Found, Instance, ReadError, Reading, error::ErrorClass};

use crate::{
    given::{given_client, given_client_with, given_key, given_now, given_options, id},
    raw::{Play, RawServer, envelope, http, refusal},
    roots::{client_of_today, simulation, simulator_key},
};
use harness::Simulator;

const NOW: &str = "Wed, 18 Nov 2026 11:06:40 GMT";
const EARLIER: &str = "Wed, 18 Nov 2026 11:06:10 GMT";

fn item(number: usize) -> Value {
    json!({
        "instanceId": format!("vm-{number}"), "instanceType": "c.1c2g",
        "instanceStatus": "RUNNING", "instanceChargeType": "POSTPAID",
    })
}

/// A page with these entries, and the count of all.
fn page_of(entries: &[Value], total: &Value, date: &str) -> Play {
    let members = format!(r#""totalCount":{total},"dataSet":{}"#, json!(entries));
    http(200, &[("date", date)], &envelope(&members))
}

fn page(numbers: std::ops::Range<usize>, total: usize) -> Play {
    page_of(&numbers.map(item).collect::<Vec<_>>(), &json!(total), NOW)
}

async fn list(plays: Vec<Play>) -> (Result<Reading<Batch<Instance>>, ReadError>, usize) {
    let server = RawServer::start(plays).await;
    let list = given_client(&server.endpoint()).list_instances(&given_key()).await;
    for (number, request) in server.requests().iter().enumerate() {
        assert_eq!(request.header("x-zc-action"), Some("DescribeInstances"));
        assert_eq!(request.json(), json!({ "pageSize": 500, "pageNum": number + 1 }));
    }
    (list, server.requests().len())
}

#[tokio::test]
async fn a_list_is_whole_or_an_error() {
    let one = |entry: Value| vec![page_of(&[entry], &json!(1), NOW)];
    let counted = |total: Value| vec![page_of(&[item(0)], &total, NOW)];
    // name, pages (the last one again and again), instances or a part of the error, requests
    type Row = (&'static str, Vec<Play>, Result<usize, &'static str>, usize);
    let table: Vec<Row> = vec![
        ("none", vec![page(0..0, 0)], Ok(0), 1),
        ("one page", vec![page(0..3, 3)], Ok(3), 1),
        ("a full page", vec![page(0..500, 500)], Ok(500), 1),
        (
            "pages",
            vec![page(0..500, 1001), page(500..1000, 1001), page(1000..1001, 1001)],
            Ok(1001),
            3,
        ),
        ("pages that overlap", vec![page(0..3, 5), page(2..5, 5)], Ok(5), 2),
        ("one came", vec![page(0..3, 5), page(3..6, 6)], Err("of 6 instances gave 6"), 2),
        ("one went", vec![page(0..3, 5), page(4..5, 4)], Err("of 4 instances gave 4"), 2),
        ("one went unseen", vec![page(0..3, 5), page(4..5, 5), page(0..0, 5)], Err("gave 4"), 3),
        ("the same page for ever", vec![page(0..3, 5)], Err("of 5 instances gave 3"), 2),
        ("more than the count", vec![page(0..3, 2)], Err("of 2 instances gave 3"), 1),
        ("no count", counted(json!(null)), Err("totalCount is missing"), 1),
        ("a count below zero", counted(json!(-1)), Err("totalCount is missing"), 1),
        ("a count in words", counted(json!("1")), Err("totalCount is missing"), 1),
        ("an entry without an id", one(json!({})), Err("dataSet[0].instanceId is missing"), 1),
        ("an id that is none", one(json!({ "instanceId": "a b" })), Err("not an instance id"), 1),
        ("an entry that is none", one(json!(7)), Err("dataSet[0] is missing or not an object"), 1),
        ("refused", vec![http(401, &[], &refusal("AUTHFAILURE_SIGNATURE_FAILURE"))], Err("401"), 1),
        (
            "a page that fails once",
            vec![page(0..3, 5), http(503, &[], ""), page(3..5, 5)],
            Ok(5),
            3,
        ),
    ];
    for (name, plays, expected, requests) in table {
        let server = RawServer::start(plays).await;
        let list = given_client(&server.endpoint()).list_instances(&given_key()).await;
        match expected {
            Ok(count) => {
                let list = list.unwrap_or_else(|error| panic!("{name}: {error}")).value;
                assert_eq!(list.len(), count, "{name}");
                assert!(
                    (0..count).all(|n| matches!(list[&id(&format!("vm-{n}"))], Found::Present(_)))
                );
            }
            Err(part) => {
                let error = list.expect_err(name).to_string();
                assert!(error.contains(part), "{name}: {error}");
            }
        }
        assert_eq!(server.requests().len(), requests, "{name}");
    }
}

#[tokio::test]
async fn each_page_is_asked_for_by_its_number() {
    let (list, requests) = list(vec![page(0..500, 600), page(500..600, 600)]).await;
    assert_eq!((list.unwrap().value.len(), requests), (600, 2));
}

#[tokio::test]
async fn an_odd_entry_spoils_only_itself() {
    let odd = json!({ "instanceId": "vm-9", "instanceType": 7 });
    let (list, _) = list(vec![page_of(&[item(0), odd], &json!(2), NOW)]).await;
    let list = list.unwrap().value;
    assert!(matches!(list[&id("vm-0")], Found::Present(_)));
    let Found::Odd { cause } = &list[&id("vm-9")] else { panic!("{list:?}") };
    assert!(cause.contains("vm-9.instanceType is missing"), "{cause}");
}

#[tokio::test]
async fn a_list_that_changed_is_worth_another_try_later() {
    let (list, _) = list(vec![page(0..3, 5)]).await;
    assert_eq!(list.unwrap_err().class(), ErrorClass::Transient);
}

/// The whole is as old as its oldest page.
#[tokio::test]
async fn the_date_of_a_list_is_its_earliest_and_none_where_a_page_has_none() {
    let pages = |first: &str, second: &str| {
        let (two, count) = ([item(0), item(1)], json!(3));
        vec![page_of(&two, &count, first), page_of(&[item(2)], &count, second)]
    };
    let earlier = given_now() - SignedDuration::from_secs(30);
    for (first, second, expected) in [
        (NOW, EARLIER, Some(earlier)),
        (EARLIER, NOW, Some(earlier)),
        (NOW, "yesterday", None),
        ("yesterday", NOW, None),
    ] {
        let (list, _) = list(pages(first, second)).await;
        assert_eq!(list.unwrap().date, expected, "{first}, {second}");
    }
}

#[tokio::test]
async fn a_page_beyond_the_limit_of_a_body_is_an_error() {
    let server = RawServer::start(vec![page(0..3, 3)]).await;
    let options = ClientOptions { body_limit: 100, ..given_options() };
    let client = given_client_with(&server.endpoint(), options);
    let error = client.list_instances(&given_key()).await.unwrap_err();
    assert!(error.to_string().contains("exceeds 100 bytes"), "{error}");
}

#[tokio::test]
async fn all_machines_of_the_simulator_are_listed() {
    let instances: String = (0..501)
        .map(|n| format!("  - {{ id: vm-{n}, type: c.1c2g, chargeType: POSTPAID }}\n"))
        .collect();
    let sim = Simulator::start(&simulation(&instances), &[]).await;
    let options = ClientOptions { body_limit: 4 << 20, ..given_options() };
    let client = client_of_today(&sim.endpoint(), options);
    let list = client.list_instances(&simulator_key()).await.unwrap();
    assert!(list.date.is_some());
    let expected: std::collections::BTreeSet<_> =
        (0..501).map(|n| id(&format!("vm-{n}"))).collect();
    assert!(list.value.keys().eq(expected.iter()));
    assert!(list.value.values().all(|found| matches!(found, Found::Present(_))));
}
