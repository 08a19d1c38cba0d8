//! Every action of the client against the simulator as a process: what one writes, the other reads,
//! with no code in common.

use std::time::Duration;

use jiff::Timestamp;
use zenlayer::{
    Answer, Call, CatalogueQuery, ChargeType, Client, Cloud, Found, Instance, InstanceId,
    InstanceIds, InstanceState, Mutation, PlanState, PriceInquiry,
};

use crate::{
    given::{given_call, given_options, id, ids, type_id},
    roots::{client_of_today, simulation, simulator_key},
};
use harness::{Simulator, eventually};

const INSTANCES: &str = "
  - { id: prepaid, type: c.2c4g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true, bandwidth: 50 }
  - { id: postpaid, type: c.1c2g, chargeType: POSTPAID }
  - { id: stopped, type: c.1c2g, chargeType: POSTPAID, state: STOPPED }
durations: { boot: 100ms, stop: 100ms, reboot: 100ms }
";

async fn given_simulator() -> (Simulator, Client) {
    let sim = Simulator::start(&simulation(INSTANCES), &[]).await;
    let client = client_of_today(&sim.endpoint(), given_options());
    (sim, client)
}

async fn mutate(client: &Client, instance: &str, mutation: Mutation) -> Answer {
    let call =
        Call { signed_at: Timestamp::now(), instance_id: id(instance), ..given_call(mutation) };
    client.mutate(&simulator_key(), &call).await
}

fn code(answer: &Answer) -> &str {
    match answer {
        Answer::Accepted { .. } => "OK",
        Answer::Refused(error) => error.code.as_deref().unwrap_or("no code"),
        other => panic!("{other:?}"),
    }
}

async fn instance(client: &Client, name: &str) -> Instance {
    let asked = InstanceIds::one(id(name));
    let batch = client.describe_instances(&simulator_key(), &asked).await.unwrap();
    batch.into_one(&id(name)).unwrap().value.expect("the simulator has it")
}

#[tokio::test]
async fn instances_are_read_in_batches_with_all_that_the_lifecycle_needs() {
    let (_sim, client) = given_simulator().await;
    let asked = ids(&["prepaid", "postpaid", "nobody"]);
    let reading = client.describe_instances(&simulator_key(), &asked).await.unwrap();
    assert_eq!(reading.value[&id("nobody")], Found::Missing);
    let Found::Present(prepaid) = &reading.value[&id("prepaid")] else { panic!("{reading:?}") };
    assert_eq!((prepaid.cpu_count, prepaid.memory_gib), (Some(2), Some(4)));
    assert_eq!((prepaid.bandwidth_out, prepaid.auto_renew), (Some(50), Some(true)));
    assert_eq!(prepaid.charge_type, ChargeType::Prepaid);
    assert!(prepaid.expires_at.is_some());
    assert!(prepaid.system_disk.as_ref().is_some_and(|disk| disk.size_gb > 0));
    let Found::Present(postpaid) = &reading.value[&id("postpaid")] else { panic!("{reading:?}") };
    assert_eq!((&postpaid.charge_type, postpaid.expires_at), (&ChargeType::Postpaid, None));
    let skew = reading.skew(Timestamp::now()).expect("the simulator sends a Date");
    assert!(skew.as_secs().abs() < 60, "{skew:?}");

    let states = client.describe_states(&simulator_key(), &ids(&["stopped", "nobody"])).await;
    let states = states.unwrap().value;
    assert_eq!(states[&id("stopped")], Found::Present(InstanceState::Stopped));
    assert_eq!(states[&id("nobody")], Found::Missing);
    let unknown = client.describe_type_status(&simulator_key(), &id("nobody")).await.unwrap();
    assert_eq!(unknown.value, None);
}

#[tokio::test]
async fn a_full_batch_is_one_call() {
    let (sim, client) = given_simulator().await;
    let names = (0..100).map(|n| InstanceId::new(format!("unknown-{n}")).unwrap());
    let batches = InstanceIds::batches(names);
    let reading = client.describe_instances(&simulator_key(), &batches[0]).await.unwrap();
    assert_eq!(reading.value.len(), 100);
    assert!(reading.value.values().all(|found| *found == Found::Missing));
    assert_eq!(sim.calls("DescribeInstances", "unknown-0").await, ["OK"]);
}

#[tokio::test]
async fn catalogue_prices_and_zones_are_read() {
    let (_sim, client) = given_simulator().await;
    let key = simulator_key();
    for charge_type in [ChargeType::Prepaid, ChargeType::Postpaid] {
        let query = CatalogueQuery { zone_id: "FRA-A".into(), charge_type };
        let offers = client.describe_catalogue(&key, &query).await.unwrap().value;
        let offer = offers.iter().find(|offer| offer.type_id == type_id("c.4c8g")).unwrap();
        assert_eq!((offer.cpu_count, offer.memory_gib), (Some(4), Some(8)));
        assert_eq!(offer.bandwidth_limit, Some(1500));
    }
    let nowhere = CatalogueQuery { zone_id: "NOWHERE".into(), charge_type: ChargeType::Prepaid };
    let error = client.describe_catalogue(&key, &nowhere).await.unwrap_err();
    assert!(error.to_string().starts_with("INVALID_ZONE_NOT_FOUND (HTTP 404)"), "{error}");

    let prepaid = instance(&client, "prepaid").await;
    let mut prices = Vec::new();
    for model in ["c.1c2g", "c.2c4g", "c.4c8g"] {
        let inquiry = PriceInquiry::of(&prepaid, type_id(model)).expect("all is shown");
        let price = client.inquire_price(&key, &inquiry).await.unwrap().value;
        assert_eq!((price.unit, &price.charge_unit), (None, &None), "{model}");
        prices.push(price.original.expect("PREPAID has a list price"));
    }
    assert!(prices.is_sorted() && prices[0] < prices[1], "{prices:?}");
    // The sample of the documentation.
    assert_eq!(prices[0].to_string(), "14");
    let postpaid = instance(&client, "postpaid").await;
    let inquiry = PriceInquiry::of(&postpaid, type_id("c.1c2g")).expect("all is shown");
    let price = client.inquire_price(&key, &inquiry).await.unwrap().value;
    assert_eq!((price.original, price.charge_unit.as_deref()), (None, Some("HOUR")));
    assert_eq!(price.unit.expect("POSTPAID has a unit price").to_string(), "0.13");

    let zones = client.describe_zones(&key).await.unwrap().value;
    assert!(zones.iter().any(|zone| zone.id == "FRA-A"), "{zones:?}");
}

#[tokio::test]
async fn a_downgrade_is_scheduled_and_cancelled() {
    let (sim, client) = given_simulator().await;
    let key = simulator_key();
    assert_eq!(
        code(&mutate(&client, "prepaid", Mutation::CancelDowngrade).await),
        "OPERATION_DENIED_DOWNGRADE_NOT_EXIST"
    );
    let to = type_id("c.1c2g");
    let answer = mutate(&client, "prepaid", Mutation::Modify { to: to.clone() }).await;
    let Answer::Accepted { order_number, request_id } = answer else { panic!("{answer:?}") };
    let order = order_number.expect("the simulator names the order").to_string();
    assert_eq!(sim.orders("prepaid").await[0]["orderNumber"], order);
    assert!(request_id.is_some());
    let status = client.describe_type_status(&key, &id("prepaid")).await.unwrap().value.unwrap();
    assert_eq!((status.target, status.state), (Some(to.clone()), Some(PlanState::WaitToEnable)));
    assert_eq!(
        code(&mutate(&client, "prepaid", Mutation::Modify { to }).await),
        "OPERATION_DENIED_INSTANCE_EXIST_PLAN"
    );
    let answer = mutate(&client, "prepaid", Mutation::CancelDowngrade).await;
    assert!(matches!(answer, Answer::Accepted { order_number: None, .. }), "{answer:?}");
    let status = client.describe_type_status(&key, &id("prepaid")).await.unwrap().value.unwrap();
    assert_eq!((status.current, status.target), (type_id("c.2c4g"), None));
}

#[tokio::test]
async fn machines_are_stopped_started_and_rebooted() {
    let (_sim, client) = given_simulator().await;
    let running = "OPERATION_DENIED_INSTANCE_NOT_STOPPED";
    assert_eq!(code(&mutate(&client, "postpaid", Mutation::Start).await), running);
    let stopped = "OPERATION_DENIED_INSTANCE_NOT_RUNNING";
    assert_eq!(code(&mutate(&client, "stopped", Mutation::Stop).await), stopped);
    let becomes = async |name: &str, state: InstanceState| {
        eventually(&format!("{name} {state}"), Duration::from_secs(20), async || {
            let seen = instance(&client, name).await.state;
            if seen == state { Ok(()) } else { Err(seen.to_string()) }
        })
        .await;
    };
    assert_eq!(code(&mutate(&client, "postpaid", Mutation::Stop).await), "OK");
    becomes("postpaid", InstanceState::Stopped).await;
    assert_eq!(code(&mutate(&client, "postpaid", Mutation::Start).await), "OK");
    becomes("postpaid", InstanceState::Running).await;
    assert_eq!(code(&mutate(&client, "postpaid", Mutation::Reboot).await), "OK");
    becomes("postpaid", InstanceState::Running).await;
    let unknown = "INVALID_INSTANCE_NOT_FOUND";
    assert_eq!(code(&mutate(&client, "nobody", Mutation::Reboot).await), unknown);
}
