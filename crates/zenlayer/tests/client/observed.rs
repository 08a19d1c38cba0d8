//! Whoever counts requests is told of each one, and of how it ended.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use zenlayer::{Cloud, Ended, Exchange};

use crate::{
    given::{given_call, given_client, given_key, given_modify, id},
    raw::{Play, RawServer, envelope, http, json, refusal},
};

/// Action and end of each request, in short.
fn short(exchange: &Exchange<'_>) -> String {
    assert!(exchange.took > Duration::ZERO);
    let ended = match exchange.ended {
        Ended::Answered => "answered".to_owned(),
        Ended::Failed(error) => {
            format!("{} {}", error.status, error.code.as_deref().unwrap_or("-"))
        }
        Ended::NotUnderstood => "not understood".to_owned(),
        Ended::NoAnswer => "no answer".to_owned(),
    };
    format!("{}: {ended}", exchange.action)
}

/// What is told of a read, or of a mutating call, that meets these answers.
async fn told(plays: Vec<Play>, reads: bool) -> Vec<String> {
    let server = RawServer::start(plays).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let client = given_client(&server.endpoint());
    let noted = seen.clone();
    let client = client.observed_by(move |exchange| noted.lock().unwrap().push(short(exchange)));
    if reads {
        let _ = client.describe_type_status(&given_key(), &id("vm-1")).await;
    } else {
        let _ = client.mutate(&given_key(), &given_call(given_modify())).await;
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), server.requests().len(), "{seen:?}");
    seen.clone()
}

#[tokio::test]
async fn each_try_of_a_read_is_told_with_its_end() {
    let good = || json(200, &envelope(r#""instanceId":"vm-1","instanceType":"c.1c2g""#));
    let action = |ends: &[&str]| -> Vec<String> {
        ends.iter().map(|end| format!("DescribeInstanceTypeStatus: {end}")).collect()
    };
    for (plays, ends) in [
        (vec![good()], vec!["answered"]),
        (
            vec![json(429, &refusal("REQUEST_LIMIT_EXCEEDED")), Play::Close, good()],
            vec!["429 REQUEST_LIMIT_EXCEEDED", "no answer", "answered"],
        ),
        (vec![http(502, &[], "<html>"), good()], vec!["502 -", "answered"]),
        (vec![http(200, &[], "<html>")], vec!["not understood"]),
        (
            vec![json(401, &refusal("AUTHFAILURE_SIGNATURE_FAILURE"))],
            vec!["401 AUTHFAILURE_SIGNATURE_FAILURE"],
        ),
    ] {
        assert_eq!(told(plays, true).await, action(&ends));
    }
}

#[tokio::test]
async fn a_mutating_call_is_told_once_with_its_end() {
    for (play, end) in [
        (json(200, &envelope(r#""orderNumber":"1""#)), "answered"),
        (json(400, &refusal("INVALID_PRODUCT_NOT_FOUND")), "400 INVALID_PRODUCT_NOT_FOUND"),
        (json(500, &refusal("INTERNAL_SERVER_ERROR")), "500 INTERNAL_SERVER_ERROR"),
        (http(200, &[], "<html>"), "not understood"),
        (Play::Close, "no answer"),
    ] {
        assert_eq!(told(vec![play], false).await, [format!("ModifyInstanceType: {end}")]);
    }
}
