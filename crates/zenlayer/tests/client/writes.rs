//! The four classes of the answer to a mutating call, and that it is sent at most once, whatever
//! comes back. One table for all five mutations.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::net::TcpListener;
use zenlayer::{Answer, Call, ClientOptions, Cloud, Credentials, Mutation, error::ErrorClass};

use crate::{
    given::{
        given_call, given_client, given_client_with, given_impatience, given_key, given_modify,
        given_mutations, given_options,
    },
    raw::{Play, RawServer, bytes, envelope, http, json, refusal},
};

fn class(answer: &Answer) -> &'static str {
    match answer {
        Answer::NotSent { .. } => "not sent",
        Answer::Refused(_) => "refused",
        Answer::Accepted { .. } => "accepted",
        Answer::Unknown { .. } => "unknown",
    }
}

/// Name, what the server plays, the class.
fn table() -> Vec<(&'static str, Play, &'static str)> {
    let order = envelope(r#""orderNumber":"3471""#);
    let html = "<html><body>oops</body></html>";
    let elsewhere = [("location", "/api/v2/vm")];
    let challenge = [("cf-mitigated", "challenge"), ("content-type", "text/html")];
    let long = envelope(&format!(r#""x":"{}""#, "y".repeat(200_000)));
    let chunks = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{order}\r\n0\r\n\r\n",
        order.len()
    );
    let cut_chunks =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n{order}");
    let cut = |status| Play::AnswerAndClose(bytes(status, &[], &order, order.len() + 1));
    vec![
        ("200", json(200, &order), "accepted"),
        ("200 without an order", json(200, &envelope("")), "accepted"),
        ("200 with an odd order", json(200, &envelope(r#""orderNumber":3471"#)), "accepted"),
        ("200 with new fields", json(200, &envelope(r#""x":{},"y":[1]"#)), "accepted"),
        (
            "200 with a wrong content type",
            http(200, &[("content-type", "text/html")], &order),
            "accepted",
        ),
        ("200 in chunks", Play::Answer(chunks.into_bytes()), "accepted"),
        ("400 with a code", json(400, &refusal("MISSING_PARAMETER")), "refused"),
        ("401 with a code", json(401, &refusal("AUTHFAILURE_SIGNATURE_EXPIRED")), "refused"),
        ("403 with a code", json(403, &refusal("OPERATION_DENIED_INSTANCE_EXIST_PLAN")), "refused"),
        ("404 with a code", json(404, &refusal("INVALID_INSTANCE_NOT_FOUND")), "refused"),
        ("4xx with an unknown code", json(422, &refusal("BALANCE_INSUFFICIENT")), "refused"),
        ("429 with a code", json(429, &refusal("REQUEST_LIMIT_EXCEEDED")), "refused"),
        ("429 in HTML", http(429, &[("retry-after", "1")], html), "refused"),
        ("403 challenge page", http(403, &challenge, html), "refused"),
        ("403 without a body", http(403, &[], ""), "refused"),
        ("451 page", http(451, &[], html), "refused"),
        ("400 in HTML", http(400, &[], html), "unknown"),
        ("404 in HTML", http(404, &[], html), "unknown"),
        ("408 without a body", http(408, &[], ""), "unknown"),
        ("4xx with a code of trouble inside", json(400, &refusal("REQUEST_TIMED_OUT")), "unknown"),
        ("500 with a code", json(500, &refusal("INTERNAL_SERVER_ERROR")), "unknown"),
        ("500 with a code of a refusal", json(500, &refusal("MISSING_PARAMETER")), "unknown"),
        ("502 in HTML", http(502, &[], html), "unknown"),
        ("503 with a code", json(503, &refusal("SERVICE_TEMPORARY_UNAVAILABLE")), "unknown"),
        ("503 with Retry-After", http(503, &[("retry-after", "0")], ""), "unknown"),
        ("302", http(302, &elsewhere, ""), "unknown"),
        ("307", http(307, &elsewhere, ""), "unknown"),
        ("308", http(308, &elsewhere, ""), "unknown"),
        ("201", json(201, &order), "unknown"),
        ("204", http(204, &[], ""), "unknown"),
        ("200 without a body", http(200, &[], ""), "unknown"),
        ("200 in HTML", http(200, &[], html), "unknown"),
        ("200 with a null response", json(200, r#"{"requestId":"T1","response":null}"#), "unknown"),
        ("200 without a response", json(200, r#"{"requestId":"T1"}"#), "unknown"),
        ("200 with code and message", json(200, &refusal("MISSING_PARAMETER")), "unknown"),
        ("200 with a list", json(200, "[]"), "unknown"),
        ("200 cut off", cut(200), "unknown"),
        ("200 cut off in chunks", Play::AnswerAndClose(cut_chunks.into_bytes()), "unknown"),
        ("200 beyond the limit", json(200, &long), "unknown"),
        ("400 cut off", cut(400), "unknown"),
        ("gzip that is none", http(200, &[("content-encoding", "gzip")], &order), "unknown"),
        ("half a head", Play::AnswerAndClose(b"HTTP/1.1 200".to_vec()), "unknown"),
        ("no HTTP", Play::AnswerAndClose(b"SSH-2.0-x\r\n\r\n".to_vec()), "unknown"),
        ("closed without an answer", Play::Close, "unknown"),
        ("reset after the request", Play::Reset, "unknown"),
        ("reset before the request is read", Play::ResetUnread, "unknown"),
        ("no answer in time", Play::Silence, "unknown"),
        ("never read", Play::Deaf, "unknown"),
    ]
}

/// Only who never answers is given up on early: a busy machine is no silence.
fn limits(play: &Play) -> ClientOptions {
    match play {
        Play::Silence | Play::Deaf => given_impatience(),
        _ => given_options(),
    }
}

/// One row for one mutation: the class, and what reached the server.
async fn play(play: Play, mutation: Mutation) -> (Answer, usize, usize) {
    // A second play that would be taken as a success, for whoever tries twice.
    let again = json(200, &envelope(r#""orderNumber":"twice""#));
    let options = limits(&play);
    let server = RawServer::start(vec![play, again]).await;
    let client = given_client_with(&server.endpoint(), options);
    let answer = client.mutate(&given_key(), &given_call(mutation)).await;
    (answer, server.connections(), server.requests().len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_answer_has_its_class_and_nothing_is_sent_twice() {
    for (turn, mutation) in given_mutations().into_iter().enumerate() {
        // The paid one meets every row, and the other four share them out once more.
        let others = given_mutations().len() - 1;
        let table = table().into_iter().enumerate();
        let table = table.filter(|(row, _)| turn == 0 || row % others == turn - 1);
        let rows = table.map(|(_, row)| row).map(async |(name, played, expected)| {
            let (answer, connections, requests) = play(played, mutation.clone()).await;
            let row = format!("{mutation}: {name}: {answer:?}");
            assert_eq!(class(&answer), expected, "{row}");
            assert_eq!(connections, 1, "{row}");
            assert!(requests <= 1, "{row}: {requests} requests");
        });
        // Few at once: each call makes a TLS client of its own, which takes its time in a debug build.
        stream::iter(rows).buffer_unordered(6).collect::<()>().await;
    }
}

#[tokio::test]
async fn what_never_left_is_not_sent() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let plain =
        RawServer::start(vec![Play::AnswerAndClose(b"HTTP/1.1 400 Bad\r\n\r\n".to_vec())]).await;
    let deaf = RawServer::start(vec![Play::Deaf]).await;
    let https = |server: &RawServer| format!("https://{}", server.address());
    let window =
        |millis| Call { send_within: Duration::from_millis(millis), ..given_call(given_modify()) };
    let unsendable = Credentials::Token("line\nbreak".into());
    let table = [
        ("nobody listens", format!("http://{closed}"), given_key(), window(20_000)),
        ("no such host", "http://does-not-exist.invalid".to_owned(), given_key(), window(20_000)),
        ("TLS to a plain port", https(&plain), given_key(), window(20_000)),
        ("TLS that is never answered", https(&deaf), given_key(), window(300)),
        ("the window is over", plain.endpoint(), given_key(), window(0)),
        ("a credential that no header can carry", plain.endpoint(), unsendable, window(20_000)),
    ];
    for (name, endpoint, credentials, call) in table {
        let answer = given_client(&endpoint).mutate(&credentials, &call).await;
        assert_eq!(class(&answer), "not sent", "{name}: {answer:?}");
    }
    assert!(plain.requests().is_empty() && deaf.requests().is_empty());
}

#[tokio::test]
async fn an_accepted_modify_carries_order_and_request_id_and_no_other_does() {
    for mutation in given_mutations() {
        let paid = matches!(mutation, Mutation::Modify { .. });
        let answer = json(200, &envelope(r#""orderNumber":"3471""#));
        let (answer, ..) = play(answer, mutation.clone()).await;
        let Answer::Accepted { order_number, request_id } = answer else {
            panic!("{mutation}: {answer:?}")
        };
        assert_eq!(order_number.map(String::from), paid.then(|| "3471".to_owned()), "{mutation}");
        assert_eq!(request_id.unwrap().as_str(), "T1");
    }
}

#[tokio::test]
async fn a_refusal_keeps_code_status_text_and_request_id() {
    let code = "OPERATION_DENIED_INSTANCE_PLAN_PROCESSING";
    let (answer, ..) = play(json(403, &refusal(code)), given_modify()).await;
    let Answer::Refused(error) = answer else { panic!("{answer:?}") };
    assert_eq!((error.status, error.code.as_deref()), (403, Some(code)));
    assert_eq!((error.message.as_str(), error.request_id.unwrap().as_str()), ("because", "T2"));
    let (answer, ..) = play(json(500, &refusal("INTERNAL_SERVER_ERROR")), given_modify()).await;
    let Answer::Unknown { cause } = answer else { panic!("{answer:?}") };
    assert_eq!(cause, "INTERNAL_SERVER_ERROR (HTTP 500): because, request T2");
}

#[tokio::test]
async fn the_providers_text_is_one_short_line() {
    let text = format!(r#"{{"code":"C\nC","message":"a\r\nb{}"}}"#, "é".repeat(5000));
    let (answer, ..) = play(json(400, &text), given_modify()).await;
    let Answer::Refused(error) = answer else { panic!("{answer:?}") };
    assert_eq!(error.message.chars().count(), 512);
    assert!(!error.message.chars().any(char::is_control), "{error}");
    assert_eq!(error.code.as_deref(), Some("C C"));
    assert_eq!(error.class(), ErrorClass::Unknown);
}

/// Each call has a connection of its own: none is left open on which a later one could be lost.
#[tokio::test]
async fn two_calls_never_share_a_connection() {
    let server = RawServer::start(vec![json(200, &envelope(""))]).await;
    let client = given_client(&server.endpoint());
    for round in 1..=3 {
        client.mutate(&given_key(), &given_call(given_modify())).await;
        assert_eq!((server.connections(), server.requests().len()), (round, round));
    }
}

/// Throttled once, the credential's next turn comes later; another credential's does not.
#[tokio::test]
async fn a_throttled_write_slows_its_credential_down() {
    let throttled = http(429, &[("retry-after", "1")], "");
    let server = RawServer::start(vec![throttled]).await;
    let client = given_client(&server.endpoint());
    client.ready(&given_key()).await;
    client.mutate(&given_key(), &given_call(given_modify())).await;
    let other = Credentials::Token("another".into());
    let soon = Duration::from_millis(500);
    assert!(tokio::time::timeout(soon, client.ready(&other)).await.is_ok());
    assert!(tokio::time::timeout(soon, client.ready(&given_key())).await.is_err());
}
