//! Nothing that can be printed holds a secret.

use std::fmt::{Debug, Display};

use zenlayer::{Call, Cloud, Credentials, Endpoint, InvalidEndpoint};

use crate::{
    given::{
        KEY_ID, PASSWORD, TOKEN, given_call, given_client, given_key, given_modify, given_options,
        given_token, id,
    },
    raw::{Play, RawServer, envelope, http, json},
};

fn assert_clean(what: &str, text: &str) {
    for secret in [PASSWORD, TOKEN, KEY_ID] {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

fn printed(value: &(impl Debug + ?Sized)) -> String {
    format!("{value:?} {value:#?}")
}

#[test]
fn no_debug_text_shows_a_secret() {
    for credentials in [given_key(), given_token()] {
        assert_clean("Credentials", &printed(&credentials));
        assert_clean("a struct around it", &printed(&(Some(credentials), 1)));
    }
    let call: Call = given_call(given_modify());
    assert_clean("Call", &printed(&call));
    assert_clean("ClientOptions", &printed(&given_options()));
    for text in [
        format!("https://{KEY_ID}:{PASSWORD}@api.example"),
        format!("https://{PASSWORD}@"),
        format!("https://x:{PASSWORD}@[::1"),
    ] {
        let error: InvalidEndpoint = Endpoint::parse(&text, false).unwrap_err();
        assert_clean("InvalidEndpoint", &format!("{error} {}", printed(&error)));
    }
}

fn shown(value: &(impl Debug + Display)) -> String {
    format!("{value} {}", printed(value))
}

/// Whatever is played, and for either kind of credential.
#[tokio::test]
async fn no_error_of_a_call_shows_a_secret() {
    let plays = [
        ("refused", json(401, r#"{"code":"AUTHFAILURE_SIGNATURE_FAILURE","message":"no"}"#)),
        ("page", http(403, &[], "<html>")),
        ("down", http(503, &[], "")),
        ("closed", Play::Close),
        ("no HTTP", Play::AnswerAndClose(b"garbage\r\n\r\n".to_vec())),
        ("null", json(200, r#"{"response":null}"#)),
        ("odd", json(200, &envelope(r#""instanceType":7"#))),
        ("accepted", json(200, &envelope(r#""instanceType":"c.1c2g""#))),
    ];
    for (name, play) in plays {
        for credentials in [given_key(), given_token()] {
            let server = RawServer::start(vec![play.clone()]).await;
            let client = given_client(&server.endpoint());
            let read = client.describe_type_status(&credentials, &id("vm-1")).await;
            assert_clean(name, &read.map_or_else(|error| shown(&error), |it| printed(&it)));
            let answer = client.mutate(&credentials, &given_call(given_modify())).await;
            assert_clean(name, &printed(&answer));
        }
    }
    for broken in [format!("{TOKEN}\n"), format!("{PASSWORD}\u{7f}")] {
        let client = given_client("http://127.0.0.1:9");
        let credentials = Credentials::Token(broken.into());
        let read = client.describe_type_status(&credentials, &id("vm-1")).await;
        assert_clean("unsendable", &shown(&read.unwrap_err()));
        let answer = client.mutate(&credentials, &given_call(given_modify())).await;
        assert_clean("unsendable", &printed(&answer));
    }
}

/// A signature can be used by whoever reads it, for as long as it lives; a token for longer.
#[tokio::test]
async fn an_echo_of_the_authorization_header_is_redacted() {
    for credentials in [given_key(), given_token()] {
        let server = RawServer::start(vec![Play::Echo]).await;
        let client = given_client(&server.endpoint());
        let read = client.describe_type_status(&credentials, &id("vm-1")).await.unwrap_err();
        let answer = client.mutate(&credentials, &given_call(given_modify())).await;
        for request in server.requests() {
            let sent = request.header("authorization").unwrap();
            let proof = sent.rsplit([' ', '=']).next().unwrap();
            for text in [shown(&read), printed(&answer)] {
                assert!(text.contains("refused: ") && text.contains("(redacted)"), "{text}");
                assert!(!text.contains(proof), "{text} holds {proof}");
            }
        }
    }
}

/// A Secret may hold anything. Between the words of a token with spaces lies no other word.
#[tokio::test]
async fn a_token_is_redacted_as_a_whole_and_an_empty_one_garbles_no_text() {
    for (token, parts) in [
        ("firstPart secondPart", vec!["firstPart", "secondPart"]),
        ("  firstPart secondPart ", vec!["firstPart", "secondPart"]),
        ("Signature=firstPart", vec!["firstPart"]),
        ("cl\u{e9}SecondPart", vec!["cl\u{e9}", "SecondPart"]),
    ] {
        let text = echoed(token).await;
        assert!(text.contains("(redacted)"), "{token:?}: {text}");
        parts.iter().for_each(|part| assert!(!text.contains(part), "{token:?}: {text}"));
    }
    for empty in ["", " "] {
        let text = echoed(empty).await;
        assert!(text.contains("NO") && text.contains("refused: Bearer"), "{empty:?}: {text}");
        assert!(!text.contains("(redacted)"), "{empty:?}: {text}");
    }
}

/// What is shown of an answer that holds the whole `Authorization` header.
async fn echoed(token: &str) -> String {
    let server = RawServer::start(vec![Play::Echo]).await;
    let client = given_client(&server.endpoint());
    let credentials = Credentials::Token(token.into());
    let read = client.describe_type_status(&credentials, &id("vm-1")).await.unwrap_err();
    let answer = client.mutate(&credentials, &given_call(given_modify())).await;
    shown(&read) + &printed(&answer)
}
