//! Reads: what is tried again, how often, and what is made of what came.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use jiff::SignedDuration;
use zenlayer::{Client, ClientOptions, Cloud, Credentials, Found, ReadError, Reading, TypeStatus};

use crate::{
    given::{given_client, given_client_with, given_key, given_now, given_options, id, ids},
    raw::{Play, RawServer, bytes, envelope, http, json, refusal},
};

fn good() -> Play {
    json(200, &envelope(r#""instanceId":"vm-1","instanceType":"c.1c2g""#))
}

async fn ask(client: &Client) -> Result<Reading<Option<TypeStatus>>, ReadError> {
    client.describe_type_status(&given_key(), &id("vm-1")).await
}

/// A word for the outcome.
fn outcome<T>(read: &Result<Reading<Option<T>>, ReadError>) -> &'static str {
    match read {
        Ok(Reading { value: Some(_), .. }) => "value",
        Ok(Reading { value: None, .. }) => "gone",
        Err(ReadError::Api { .. }) => "refused",
        Err(ReadError::Transport { .. }) => "no answer",
        Err(ReadError::Malformed { .. }) => "not understood",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_passing_failure_is_tried_at_most_three_times_and_no_other_is() {
    let html = "<html></html>";
    let cut = || Play::AnswerAndClose(bytes(200, &[], "{", 99));
    let down = || json(503, &refusal("SERVICE_TEMPORARY_UNAVAILABLE"));
    let slow = || json(429, &refusal("REQUEST_LIMIT_EXCEEDED"));
    let gone = || json(404, &refusal("INVALID_INSTANCE_NOT_FOUND"));
    // name, plays, outcome, requests
    let table: Vec<(&str, Vec<Play>, &str, usize)> = vec![
        ("good", vec![good()], "value", 1),
        ("503 once", vec![down(), good()], "value", 2),
        ("503 twice", vec![down(), down(), good()], "value", 3),
        ("503 three times", vec![down(), down(), down(), good()], "refused", 3),
        ("500 with a new code", vec![json(500, &refusal("NEW")), good()], "value", 2),
        ("502 in HTML", vec![http(502, &[], html), good()], "value", 2),
        ("closed", vec![Play::Close, good()], "value", 2),
        ("reset", vec![Play::Reset, good()], "value", 2),
        ("closed each time", vec![Play::Close], "no answer", 3),
        ("cut off", vec![cut(), good()], "value", 2),
        ("silence", vec![Play::Silence, good()], "value", 2),
        ("429", vec![slow(), good()], "value", 2),
        ("429 in HTML", vec![http(429, &[], html), good()], "value", 2),
        ("429 each time", vec![slow()], "refused", 3),
        ("401", vec![json(401, &refusal("AUTHFAILURE_SIGNATURE_FAILURE")), good()], "refused", 1),
        ("400", vec![json(400, &refusal("MISSING_PARAMETER")), good()], "refused", 1),
        ("403 challenge page", vec![http(403, &[], html), good()], "refused", 1),
        ("451 page", vec![http(451, &[], html), good()], "refused", 1),
        ("404 in HTML", vec![http(404, &[], html), good()], "refused", 1),
        ("an unknown code", vec![json(400, &refusal("NEW")), good()], "refused", 1),
        ("a redirect", vec![http(302, &[("location", "/")], ""), good()], "refused", 1),
        ("no such instance", vec![gone(), good()], "gone", 1),
        ("HTML with 200", vec![http(200, &[], html), good()], "not understood", 1),
        ("null response", vec![json(200, r#"{"response":null}"#), good()], "not understood", 1),
        ("nobody's answer", vec![json(200, &envelope("")), good()], "not understood", 1),
    ];
    let rows = table.into_iter().map(async |(name, plays, expected, requests)| {
        let silence = matches!(plays[0], Play::Silence);
        let options = if silence { patient_after_silence() } else { given_options() };
        let server = RawServer::start(plays).await;
        let read = ask(&given_client_with(&server.endpoint(), options)).await;
        assert_eq!(outcome(&read), expected, "{name}: {read:?}");
        assert_eq!(server.requests().len(), requests, "{name}");
    });
    // Few at once: making a client takes its time in a debug build.
    stream::iter(rows).buffer_unordered(4).collect::<()>().await;
}

#[tokio::test]
async fn a_client_without_a_rate_leaves_a_429_to_its_caller() {
    let throttled = http(429, &[("retry-after", "7")], &refusal("REQUEST_LIMIT_EXCEEDED"));
    let server = RawServer::start(vec![throttled, good()]).await;
    let options = ClientOptions { requests_per_second: None, ..given_options() };
    let read = ask(&given_client_with(&server.endpoint(), options)).await;
    let Err(ReadError::Api { error, .. }) = &read else { panic!("{read:?}") };
    assert_eq!((error.status, error.retry_after), (429, Some(7)));
    assert_eq!(server.requests().len(), 1);
}

/// One try is given up on early, the whole is not.
fn patient_after_silence() -> ClientOptions {
    ClientOptions { try_timeout: Duration::from_secs(2), ..given_options() }
}

#[tokio::test]
async fn each_try_is_signed_anew() {
    let server = RawServer::start(vec![Play::Close, Play::Close, good()]).await;
    let clock = std::sync::atomic::AtomicI64::new(1_795_000_000);
    let now = move || {
        let second = clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        jiff::Timestamp::from_second(second).unwrap()
    };
    let endpoint = zenlayer::Endpoint::parse(&server.endpoint(), true).unwrap();
    let client = Client::with_clock(endpoint, given_options(), now).unwrap();
    assert!(ask(&client).await.is_ok());
    let requests = server.requests();
    let stamps: Vec<&str> = requests.iter().filter_map(|it| it.header("x-zc-timestamp")).collect();
    assert_eq!(stamps, ["1795000000", "1795000001", "1795000002"]);
}

#[tokio::test]
async fn all_tries_end_within_the_total_limit() {
    let server = RawServer::start(vec![Play::Silence]).await;
    let options = ClientOptions {
        try_timeout: Duration::from_secs(4),
        total_timeout: Duration::from_secs(5),
        ..given_options()
    };
    let started = Instant::now();
    let read = ask(&given_client_with(&server.endpoint(), options)).await;
    assert_eq!(outcome(&read), "no answer");
    // Three tries of their own length would take 12 s.
    assert!(started.elapsed() < Duration::from_secs(11), "{:?}", started.elapsed());
    assert!(server.requests().len() <= 2);
}

#[tokio::test]
async fn retry_after_is_waited_for_and_too_long_a_one_is_not() {
    let throttled = |value: &str| http(429, &[("retry-after", value)], "");
    let server = RawServer::start(vec![throttled("1"), good()]).await;
    let started = Instant::now();
    let read = ask(&given_client(&server.endpoint())).await;
    assert_eq!(outcome(&read), "value");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    for value in ["3600", "99999999999999999999", "soon"] {
        let server = RawServer::start(vec![throttled(value), throttled(value), good()]).await;
        let read = ask(&given_client(&server.endpoint())).await;
        match value {
            // Not a wait that anybody could obey: as if it were not there.
            "soon" | "99999999999999999999" => assert_eq!(outcome(&read), "value", "{value}"),
            _ => assert_eq!((outcome(&read), server.requests().len()), ("refused", 1), "{value}"),
        }
    }
}

#[tokio::test]
async fn the_providers_clock_comes_with_the_answer_that_carried_it() {
    let date = "Thu, 18 Nov 2026 03:46:40 GMT";
    let with = |value: &str| {
        let body = envelope(r#""instanceType":"c.1c2g""#);
        http(200, &[("date", value)], &body)
    };
    // name, header, skew of our clock in seconds
    let table = [
        ("in step", "Wed, 18 Nov 2026 11:06:40 GMT", Some(0)),
        ("we are behind", "Wed, 18 Nov 2026 11:07:40 GMT", Some(-60)),
        ("we are ahead", "Wed, 18 Nov 2026 11:05:40 GMT", Some(60)),
        ("a wrong day of the week", date, None),
        ("not a date", "yesterday", None),
        ("empty", "", None),
    ];
    for (name, header, skew) in table {
        let server = RawServer::start(vec![with(header)]).await;
        let reading = ask(&given_client(&server.endpoint())).await.unwrap();
        assert_eq!(reading.skew(given_now()), skew.map(SignedDuration::from_secs), "{name}");
    }
    // A header that came twice says nothing.
    let twice =
        [("date", "Wed, 18 Nov 2026 11:06:40 GMT"), ("date", "Wed, 18 Nov 2026 11:06:41 GMT")];
    let server = RawServer::start(vec![http(200, &twice, &envelope(r#""instanceType":"c.1c2g""#))]);
    let reading = ask(&given_client(&server.await.endpoint())).await.unwrap();
    assert_eq!(reading.date, None);
    let server = RawServer::start(vec![good()]).await;
    let reading = ask(&given_client(&server.endpoint())).await.unwrap();
    assert_eq!((reading.date, reading.skew(given_now())), (None, None));
    // A refusal carries it too.
    let body = refusal("AUTHFAILURE_SIGNATURE_EXPIRED");
    let refused = http(401, &[("date", "Wed, 18 Nov 2026 11:06:40 GMT")], &body);
    let server = RawServer::start(vec![refused]).await;
    let error = ask(&given_client(&server.endpoint())).await.unwrap_err();
    assert_eq!(error.date(), Some(given_now()));
}

/// Whatever a cache did to `Date`, the time is not later than that of the origin.
#[tokio::test]
async fn the_age_of_an_answer_is_taken_off_its_date_and_an_odd_age_spoils_it() {
    // name, values of Age, seconds of the given date before the Date header
    let table: [(&str, &[&str], Option<i64>); 16] = [
        ("no cache", &[], Some(0)),
        ("a cache that asked just now", &["0"], Some(0)),
        ("a minute in a cache", &["60"], Some(60)),
        ("leading zeros", &["0060"], Some(60)),
        ("blanks around it", &[" 60 "], Some(60)),
        ("longer than a signature lives", &["86400"], Some(86_400)),
        ("what a cache writes whose count overflowed", &["2147483648"], Some(2_147_483_648)),
        ("before any time that can be written", &["999999999999999999"], None),
        ("more than a number holds", &["99999999999999999999999"], None),
        ("negative", &["-60"], None),
        ("a sign", &["+60"], None),
        ("a fraction", &["1.5"], None),
        ("a unit", &["60s"], None),
        ("a list", &["60, 60"], None),
        ("twice", &["60", "60"], None),
        ("empty", &[""], None),
    ];
    for (name, ages, expected) in table {
        let mut headers = vec![("date", "Wed, 18 Nov 2026 11:06:40 GMT")];
        headers.extend(ages.iter().map(|age| ("age", *age)));
        let expected = expected.map(|age| given_now() - SignedDuration::from_secs(age));
        let body = envelope(r#""instanceType":"c.1c2g""#);
        let server = RawServer::start(vec![http(200, &headers, &body)]).await;
        let reading = ask(&given_client(&server.endpoint())).await.unwrap();
        assert_eq!(reading.date, expected, "{name}");
        // A refusal from a cache is no younger.
        let refused = http(401, &headers, &refusal("AUTHFAILURE_SIGNATURE_EXPIRED"));
        let server = RawServer::start(vec![refused]).await;
        let error = ask(&given_client(&server.endpoint())).await.unwrap_err();
        assert_eq!(error.date(), expected, "{name}");
    }
    // Without a Date there is nothing to take it off.
    let server =
        RawServer::start(vec![http(200, &[("age", "1")], &envelope(r#""instanceType":"a""#))]);
    let reading = ask(&given_client(&server.await.endpoint())).await.unwrap();
    assert_eq!(reading.date, None);
}

/// `Retry-After` as a time is a wait from the answer's own `Date`, whatever its age.
#[tokio::test]
async fn retry_after_as_a_time_is_counted_from_the_date_of_the_answer() {
    let throttled = [
        ("date", "Wed, 18 Nov 2026 11:06:40 GMT"),
        ("age", "3600"),
        ("retry-after", "Wed, 18 Nov 2026 11:06:41 GMT"),
    ];
    let server = RawServer::start(vec![http(429, &throttled, ""), good()]).await;
    let started = Instant::now();
    let read = ask(&given_client(&server.endpoint())).await;
    assert_eq!(outcome(&read), "value");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_refusal_of_a_batch_says_nothing_of_its_ids_unless_there_is_one() {
    for code in ["INVALID_INSTANCE_NOT_FOUND", "OPERATION_FAILED_RESOURCE_NOT_FOUND"] {
        let server = RawServer::start(vec![json(404, &refusal(code))]).await;
        let client = given_client(&server.endpoint());
        let one = client.describe_instances(&given_key(), &ids(&["vm-1"])).await.unwrap();
        assert_eq!(one.value["vm-1"], Found::Missing);
        assert_eq!(one.into_one(&id("vm-1")).unwrap().value, None);
        let state = client.describe_states(&given_key(), &ids(&["vm-1"])).await.unwrap();
        assert_eq!(state.value["vm-1"], Found::Missing);
        let two = client.describe_instances(&given_key(), &ids(&["vm-1", "vm-2"])).await;
        let Err(ReadError::Api { error, .. }) = two else { panic!("{two:?}") };
        assert_eq!(error.code.as_deref(), Some(code));
    }
}

#[tokio::test]
async fn what_is_not_understood_keeps_the_request_id() {
    let server = RawServer::start(vec![json(200, &envelope(r#""dataSet":7"#))]).await;
    let client = given_client(&server.endpoint());
    let error = client.describe_instances(&given_key(), &ids(&["vm-1"])).await.unwrap_err();
    let shown = "answer not understood: HTTP 200, but dataSet is missing or not a list, request T1";
    assert_eq!(error.to_string(), shown);
}

#[tokio::test]
async fn a_compressed_answer_is_read_and_its_limit_is_that_of_the_text() {
    let zipped = |body: &[u8]| {
        let mut head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        head.extend_from_slice(body);
        Play::Answer(head)
    };
    let good = gzip(envelope(r#""instanceType":"c.1c2g""#).as_bytes());
    let server = RawServer::start(vec![zipped(&good)]).await;
    assert_eq!(outcome(&ask(&given_client(&server.endpoint())).await), "value");
    let bomb = gzip(&vec![b' '; 200_000]);
    assert!(bomb.len() < 1000);
    let server = RawServer::start(vec![zipped(&bomb)]).await;
    let read = ask(&given_client(&server.endpoint())).await;
    assert_eq!(outcome(&read), "not understood", "{read:?}");
    assert_eq!(server.requests().len(), 1);
    assert!(read.unwrap_err().to_string().contains("exceeds 100000 bytes"));
}

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_credential_that_no_header_can_carry_makes_no_request() {
    let server = RawServer::start(vec![good()]).await;
    let client = given_client(&server.endpoint());
    let broken = Credentials::Token("line\nbreak".into());
    let error = client.describe_type_status(&broken, &id("vm-1")).await.unwrap_err();
    assert!(error.to_string().contains("no header can carry"), "{error}");
    assert_eq!(server.connections(), 0);
}
