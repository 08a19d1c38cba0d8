//! The crate as somebody meets it who knows nothing of this repository: it speaks of nobody's
//! Kubernetes, is made without ceremony, and its examples do what they say.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use jiff::Timestamp;
use serde_json::json;
use zenlayer::{
    Answer, Client, ClientOptions, Cloud, Credentials, DEFAULT_ENDPOINT, Endpoint, InstanceId,
    InstanceState, InstanceTypeId, InvalidEndpoint, Mutation, SIGNATURE_LIFE, with_causes,
};

use crate::{
    given::{PASSWORD, TOKEN, given_client, given_key, given_now, given_token, id, type_id},
    host::assert_signed_for,
    raw::{RawServer, envelope, json},
    roots::simulation,
};
use harness::{
    Simulator,
    simulator::{KEY_ID, KEY_PASSWORD},
};

/// The texts of the crate, and what its manifest says.
fn texts(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, found);
        } else {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The tests stand aside: they may name who found what.
#[test]
fn the_crate_knows_nothing_of_kubernetes_or_of_an_operator() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    texts(&root.join("src"), &mut found);
    texts(&root.join("examples"), &mut found);
    for file in ["README.md", "Cargo.toml"] {
        found.push((root.join(file), fs::read_to_string(root.join(file)).unwrap()));
    }
    assert!(found.len() > 20);
    let words = [
        "kube",
        "operator",
        "annotation",
        "spec.",
        "vminstance",
        "--allow",
        "fact sheet",
        "design section",
    ];
    for (path, text) in found {
        for (index, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            let word = words.iter().find(|word| lower.contains(**word));
            assert!(word.is_none(), "{}:{}: {word:?}: {line}", path.display(), index + 1);
        }
    }
}

#[tokio::test]
async fn a_client_is_made_of_a_text_and_defaults_and_signs_with_the_systems_clock() {
    let server = RawServer::start(vec![json(200, &envelope(r#""zoneSet":[]"#))]).await;
    let endpoint: Endpoint = server.endpoint().parse().unwrap();
    let client = Client::new(endpoint, ClientOptions::default()).unwrap();
    let before = Timestamp::now().as_second();
    client.describe_zones(&given_key()).await.unwrap();
    let requests = server.requests();
    let stamp: i64 = requests[0].header("x-zc-timestamp").unwrap().parse().unwrap();
    assert!((before..=Timestamp::now().as_second()).contains(&stamp), "{stamp}");
    assert_signed_for(&requests[0], &server.address().to_string());
}

#[tokio::test]
async fn a_call_is_signed_with_the_clients_clock() {
    let server = RawServer::start(vec![json(200, &envelope(""))]).await;
    let client = given_client(&server.endpoint());
    let call = client.call(Mutation::Start, id("vm-1"));
    assert_eq!((&call.mutation, &call.instance_id), (&Mutation::Start, &id("vm-1")));
    assert_eq!(call.signed_at, given_now());
    assert!(!call.send_within.is_zero() && call.send_within < SIGNATURE_LIFE);
    let answer = client.mutate(&given_key(), &call).await;
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    let stamp = given_now().as_second().to_string();
    assert_eq!(server.requests()[0].header("x-zc-timestamp"), Some(stamp.as_str()));
}

#[tokio::test]
async fn credentials_are_made_of_texts() {
    let server = RawServer::start(vec![json(200, &envelope(r#""zoneSet":[]"#))]).await;
    let client = given_client(&server.endpoint());
    let made = [Credentials::access_key(crate::given::KEY_ID, PASSWORD), Credentials::token(TOKEN)];
    for (made, literal) in made.into_iter().zip([given_key(), given_token()]) {
        assert_eq!(made.expires_requests(), literal.expires_requests());
        client.describe_zones(&made).await.unwrap();
        client.describe_zones(&literal).await.unwrap();
    }
    let sent: Vec<_> = server
        .requests()
        .iter()
        .map(|one| one.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!((&sent[0], &sent[2]), (&sent[1], &sent[3]));
    assert_ne!(sent[0], sent[2]);
}

#[test]
fn what_is_parsed_is_parsed_by_parse_too_and_only_https_or_loopback_is_an_endpoint() {
    assert!(DEFAULT_ENDPOINT.parse::<Endpoint>().is_ok());
    assert!("http://[::1]:18080".parse::<Endpoint>().is_ok());
    let error = "http://api.example".parse::<Endpoint>().unwrap_err();
    assert!(matches!(error, InvalidEndpoint::Insecure { .. }), "{error}");
    assert_eq!("vm-1".parse::<InstanceId>(), Ok(id("vm-1")));
    assert_eq!("c.2c4g".parse::<InstanceTypeId>(), Ok(type_id("c.2c4g")));
    assert!("".parse::<InstanceId>().is_err());
}

/// In a table, say.
#[test]
fn ids_and_states_can_be_aligned() {
    assert_eq!(format!("{:<6}|{:>8}|", id("vm-1"), InstanceState::Running), "vm-1  | RUNNING|");
}

#[test]
fn a_user_agent_that_no_header_can_carry_makes_no_client() {
    let options = ClientOptions { user_agent: "a\nb".into(), ..ClientOptions::default() };
    let error = Client::new(DEFAULT_ENDPOINT.parse().unwrap(), options).unwrap_err();
    assert!(with_causes(&error).starts_with("build the HTTP client: "), "{error:?}");
}

/// Runs an example; gives its exit code and what it wrote.
async fn run(name: &str, sim: &Simulator, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(harness::binary(&format!("examples/{name}")));
    command
        .args(arguments)
        .env("ZENLAYER_TOKEN", "") // as good as not set
        .env("ZENLAYER_ENDPOINT", sim.endpoint())
        .env("ZENLAYER_ACCESS_KEY_ID", KEY_ID)
        .env("ZENLAYER_ACCESS_KEY_SECRET", KEY_PASSWORD);
    harness::proxies::keep_out(&mut command);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

const MACHINES: &str = "
  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-2, type: c.2c4g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }
  - { id: vm-3, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-4, type: c.1c2g, chargeType: POSTPAID }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_list_and_change_machines() {
    let sim = Simulator::start(&simulation(MACHINES), &[]).await;
    // arguments, exit code, a part of what it says
    let table: [(&[&str], i32, &str); 6] = [
        (&["vm-1", "c.2c4g"], 0, "vm-1 is of type c.2c4g"),
        (&["vm-1", "c.2c4g"], 0, "vm-1 is of type c.2c4g already"),
        (&["vm-2", "c.1c2g"], 0, "scheduled: c.1c2g from the next billing cycle on"),
        (&["vm-2", "c.4c8g"], 1, "a change to c.1c2g is pending already"),
        (&["vm-1", "h.1c2g"], 1, "refused, and nothing has changed: INVALID_PRODUCT_NOT_FOUND"),
        (&["nobody", "c.1c2g"], 1, "there is no such machine"),
    ];
    for (arguments, code, says) in table {
        let (got, text) = run("change_type", &sim, arguments).await;
        assert_eq!(got, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
    assert_eq!((sim.orders("vm-1").await.len(), sim.orders("vm-2").await.len()), (1, 1));
    let (code, text) = run("short", &sim, &["vm-3", "c.2c4g"]).await;
    assert_eq!(code, Some(0), "{text}");
    for line in ["vm-1: c.2c4g, ", "vm-3: c.1c2g, RUNNING", "vm-3: ordered, Some("] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let (code, text) = run("list_machines", &sim, &[]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("plan c.1c2g (WaitToEnable)"), "{text}");
    assert!(text.contains("\n4 machines, at 20"), "{text}");
}

/// An answer that is lost after the effect, and one that is lost with the request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_finds_out_what_became_of_a_call_without_an_answer_and_never_calls_twice() {
    let sim = Simulator::start(&simulation(MACHINES), &["--signature-life", "2"]).await;
    let lost = async |kind: &str, instance: &str| {
        let action = "ModifyInstanceType";
        sim.fault(json!({ "kind": kind, "action": action, "instance": instance })).await;
        run("change_type", &sim, &[instance, "c.2c4g", "4"]).await
    };
    let ((made, with_effect), (not_made, without)) =
        tokio::join!(lost("dropAfter", "vm-3"), lost("dropBefore", "vm-4"));
    assert_eq!(made, Some(0), "{with_effect}");
    for says in ["so it may have been ordered", "it was ordered; ", "vm-3 is of type c.2c4g"] {
        assert!(with_effect.contains(says), "{says}: {with_effect}");
    }
    assert_eq!(not_made, Some(1), "{without}");
    assert!(without.contains("nothing shows that it was ordered"), "{without}");
    for (instance, orders) in [("vm-3", 1), ("vm-4", 0)] {
        assert_eq!(sim.orders(instance).await.len(), orders, "{instance}");
        let calls = sim.calls("ModifyInstanceType", instance).await;
        assert_eq!(calls.len(), 1, "{instance}: {calls:?}");
        // It looked every two seconds, and believed nothing before the four were over.
        let looks = sim.calls("DescribeInstanceTypeStatus", instance).await;
        assert!(looks.len() >= 4, "{instance}: {looks:?}");
    }
}
