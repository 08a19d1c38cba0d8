//! What stands between a request and the world.

use std::{collections::BTreeSet, io::Read};

use serde_json::{Value, json};
use zenlayer_sim::http::Arrival;

use crate::{
    caller::{Answer, Request},
    stage::{START, Stage},
};

const UNAUTHORIZED: &str = "401 AUTHFAILURE_UNAUTHORIZED_OPERATION";
const MALFORMED: &str = "401 AUTHFAILURE_INVALID_AUTHORIZATION";
const FAILURE: &str = "401 AUTHFAILURE_SIGNATURE_FAILURE";
const EXPIRED: &str = "401 AUTHFAILURE_SIGNATURE_EXPIRED";

/// Sends each request of a table and compares the verdicts.
async fn verdicts(stage: &Stage, table: Vec<(&str, Request, &str)>) {
    for (name, request, expected) in table {
        assert_eq!(stage.send(&request).await.verdict(), expected, "{name}");
    }
}

fn look(stage: &Stage) -> Request {
    stage.request("DescribeInstances", json!({ "instanceIds": ["vm-1"] }))
}

/// Requests of the official clients as they were seen on the wire, with their signatures.
#[tokio::test]
async fn accepts_the_signatures_of_the_official_clients() {
    let id = "1234567890123456789";
    let spaced = format!(r#"{{"instanceId": "{id}", "instanceTypeId": "c.2c4g"}}"#);
    let named = format!(
        r#"{{"instanceIds": ["{id}", "1234567890123456790"], "instanceName": "\u6d4b\u8bd5-web*", "pageSize": 100, "pageNum": 1}}"#
    );
    let compact = format!(r#"{{"instanceId":"{id}","instanceTypeId":"c.2c4g"}}"#);
    let one = format!(r#"{{"instanceId": "{id}"}}"#);
    let cli = r#"{"instanceId":"1","instanceTypeId":"c.2c4g"}"#.to_owned();
    let (loopback, provider) = ("127.0.0.1:18980", "console.zenlayer.com");
    let table = [
        (
            "Python, a change",
            "ModifyInstanceType",
            loopback,
            1_767_225_600,
            spaced,
            "c6ca7bcf33880009e7921a9f82aa93a11c32b565a811c9abbe6c632147ff95b8",
        ),
        (
            "Python, a name that is not ASCII",
            "DescribeInstances",
            loopback,
            1_767_225_660,
            named,
            "3e31237641cc3e8477b66c02a70cab6e00f2e362b839081caa6843cd8b47d09f",
        ),
        (
            "Python, no parameters",
            "DescribeZones",
            loopback,
            1_767_225_720,
            "{}".to_owned(),
            "ef06cded97febbaee80540077c7df1492dd440d5cbb69bad30ab012d7ccf2828",
        ),
        (
            "Python, through a proxy",
            "DescribeInstanceTypeStatus",
            provider,
            1_767_225_780,
            one,
            "dc273a88e0223e83a7bdadf95b6a626a760f54250d8da0a7e6eff2fdd01d6892",
        ),
        (
            "Go, a change",
            "ModifyInstanceType",
            "127.0.0.1:18981",
            1_795_381_293,
            compact,
            "10283a3f0c96b6ce4ed17e13733333864d15e2b73c2b35f4d551702c4b7d300c",
        ),
        (
            "the command line, a change",
            "ModifyInstanceType",
            "127.0.0.1:18983",
            1_795_381_328,
            cli,
            "c5fe314ddd0b084022c3d8a030e8d5c06b1c44e3f1b4f697dfa85f1fd1c12b77",
        ),
    ];
    for (name, action, host, timestamp, body, signature) in table {
        let stage = Stage::given().await;
        stage.step(timestamp - START).await;
        let request = Request::new(action, body, timestamp).with(|one| one.host = host.to_owned());
        let authorization = request.signed_authorization();
        assert!(authorization.ends_with(signature), "{name}: {authorization}");
        let verdict = stage.send(&request).await.verdict();
        assert!(verdict.starts_with("200") || verdict.contains("NOT_FOUND"), "{name}: {verdict}");
    }
}

#[tokio::test]
async fn the_signature_covers_the_body_the_host_the_content_type_and_the_time() {
    let stage = Stage::given().await;
    let signed = look(&stage).with(|one| one.signed = vec!["content-type", "host"]);
    let authorization = signed.signed_authorization();
    let forged = |change: fn(&mut Request)| {
        // The old signature over the changed request; the timestamp still travels.
        let stamp = signed.timestamp.to_string();
        let request = signed.clone().with(change);
        let stamp = if request.timestamp == signed.timestamp {
            stamp
        } else {
            request.timestamp.to_string()
        };
        let authorization = Some(authorization.clone());
        request.with(|one| one.authorization = authorization).header("x-zc-timestamp", &stamp)
    };
    let table = vec![
        ("nothing changed", forged(|_| ()), "200 OK"),
        ("another action", forged(|one| one.action = "DescribeInstancesStatus".into()), "200 OK"),
        ("a space in the body", forged(|one| one.body.push(b' ')), FAILURE),
        ("another host", forged(|one| one.host = "127.0.0.1".into()), FAILURE),
        (
            "another content type",
            forged(|one| one.content_type = "application/json; charset=utf-8".into()),
            FAILURE,
        ),
        ("another time", forged(|one| one.timestamp += 1), FAILURE),
    ];
    verdicts(&stage, table).await;
    let charset =
        look(&stage).with(|one| one.content_type = "application/json; charset=utf-8".into());
    assert_eq!(stage.send(&charset).await.verdict(), "200 OK");
    let secret = look(&stage).with(|one| one.secret = "another".into());
    assert_eq!(stage.send(&secret).await.verdict(), FAILURE);
}

#[tokio::test]
async fn any_list_of_signed_headers_is_accepted_that_holds_both_mandatory_names() {
    let stage = Stage::given().await;
    let listed = |names: &[&'static str]| {
        look(&stage).with(|one| one.signed = names.to_vec()).header("x-own", "1")
    };
    let table = vec![
        ("the clients' list", listed(&["content-type", "host"]), "200 OK"),
        ("the other order", listed(&["host", "content-type"]), "200 OK"),
        ("the action too", listed(&["content-type", "host", "x-zc-action"]), "200 OK"),
        ("an own header", listed(&["content-type", "host", "x-own"]), "200 OK"),
        ("a header that is not sent", listed(&["content-type", "host", "x-none"]), FAILURE),
        ("without the host", listed(&["content-type"]), MALFORMED),
        ("without the content type", listed(&["host", "x-zc-action"]), MALFORMED),
    ];
    verdicts(&stage, table).await;
}

#[tokio::test]
async fn a_timestamp_may_be_five_minutes_off_in_both_directions() {
    let stage = Stage::given().await;
    let off = |seconds: i64| look(&stage).with(|one| one.timestamp += seconds);
    let table = vec![
        ("now", off(0), "200 OK"),
        ("five minutes old", off(-300), "200 OK"),
        ("five minutes ahead", off(300), "200 OK"),
        ("older", off(-301), EXPIRED),
        ("further ahead", off(301), EXPIRED),
    ];
    verdicts(&stage, table).await;
}

#[tokio::test]
async fn the_same_signature_can_be_sent_again() {
    let stage = Stage::given().await;
    let request = look(&stage);
    for _ in 0..3 {
        assert_eq!(stage.send(&request).await.verdict(), "200 OK");
    }
}

#[tokio::test]
async fn a_malformed_authorization_is_refused() {
    let stage = Stage::given().await;
    let given = |header: &str| {
        let stamp = stage.now().to_string();
        look(&stage)
            .with(|one| one.authorization = Some(header.to_owned()))
            .header("x-zc-timestamp", &stamp)
    };
    let scheme = "ZC2-HMAC-SHA256 Credential=a, SignedHeaders=content-type;host";
    let old = scheme.replace("HMAC-", "HMAC_");
    let table = vec![
        ("no header", given(""), MALFORMED),
        ("another scheme", given("Basic dXNlcg=="), MALFORMED),
        ("the old spelling", given(&format!("{old}, Signature=b")), MALFORMED),
        ("no signature", given(scheme), MALFORMED),
        ("no key", given(&scheme.replace("=a", "=").to_string()), MALFORMED),
        ("an unknown part", given(&format!("{scheme}, Signature=b, More=c")), MALFORMED),
        (
            "no timestamp",
            look(&stage).with(|one| one.authorization = Some(one.signed_authorization())),
            MALFORMED,
        ),
        (
            "another signature method",
            look(&stage)
                .with(|one| one.authorization = Some(one.signed_authorization()))
                .header("x-zc-timestamp", &stage.now().to_string())
                .header("x-zc-signature-method", "ZC2-HMAC_SHA256"),
            MALFORMED,
        ),
        ("an unknown token", look(&stage).bearer("nobody"), MALFORMED),
        ("an unknown key", look(&stage).with(|one| one.key_id = "AKID".into()), FAILURE),
    ];
    verdicts(&stage, table).await;
}

const MORE_CREDENTIALS: &str = "  \
- { name: short, token: short-token, expiresAt: 2026-01-08T00:00:00Z }
  - { name: gone-token, token: gone-token, revoked: true }
  - { name: gone, accessKeyId: GONE, accessKeyPassword: gone, revoked: true }
  - { name: reader, accessKeyId: READER, accessKeyPassword: reader, permissions: [DescribeInstances] }
";

#[tokio::test]
async fn a_bearer_token_replaces_the_signature_until_it_ends() {
    let stage = Stage::with(MORE_CREDENTIALS, "").await;
    let table = vec![
        ("a token", look(&stage).bearer("short-token"), "200 OK"),
        (
            "without a version, as the documented sample",
            look(&stage).bearer("short-token").with(|one| one.version = None),
            "200 OK",
        ),
        ("a revoked token", look(&stage).bearer("gone-token"), MALFORMED),
    ];
    verdicts(&stage, table).await;
    stage.step(7 * 24 * 3600 - 1).await;
    assert_eq!(stage.send(&look(&stage).bearer("short-token")).await.verdict(), "200 OK");
    stage.step(1).await;
    assert_eq!(stage.send(&look(&stage).bearer("short-token")).await.verdict(), MALFORMED);
}

#[tokio::test]
async fn a_revoked_key_is_refused_like_an_unknown_one() {
    let stage = Stage::with(MORE_CREDENTIALS, "").await;
    let of = |key: &str, secret: &str| {
        look(&stage).with(|one| (one.key_id, one.secret) = (key.into(), secret.into()))
    };
    let revoked = stage.send(&of("GONE", "gone")).await;
    let unknown = stage.send(&of("NEVER", "gone")).await;
    assert_eq!((revoked.verdict().as_str(), unknown.verdict().as_str()), (FAILURE, FAILURE));
    assert_eq!(revoked.json()["message"], unknown.json()["message"]);
}

#[tokio::test]
async fn a_credential_calls_only_what_it_has_permission_for() {
    let stage = Stage::with(MORE_CREDENTIALS, "").await;
    let reader = |request: Request| {
        request.with(|one| (one.key_id, one.secret) = ("READER".into(), "reader".into()))
    };
    let table = vec![
        ("permitted", reader(look(&stage)), "200 OK"),
        ("not permitted", reader(stage.modify()), UNAUTHORIZED),
        ("does not exist", reader(stage.request("CreatePony", json!({}))), UNAUTHORIZED),
    ];
    verdicts(&stage, table).await;
    assert_eq!(stage.orders().await, 0);
}

#[tokio::test]
async fn an_unknown_action_or_version_is_refused_as_unauthorized() {
    let stage = Stage::given().await;
    let version =
        |version: Option<&str>| look(&stage).with(|one| one.version = version.map(str::to_owned));
    let table = vec![
        ("an unknown action", stage.request("DescribePonies", json!({})), UNAUTHORIZED),
        ("no action", stage.request("", json!({})), UNAUTHORIZED),
        ("another case", stage.request("describeinstances", json!({})), UNAUTHORIZED),
        ("the current version", version(Some("2026-04-01")), "200 OK"),
        ("the version of Terraform", version(Some("2023-03-13")), "200 OK"),
        ("an unknown version", version(Some("2024-01-01")), UNAUTHORIZED),
        ("no version on a signed call", version(None), UNAUTHORIZED),
    ];
    verdicts(&stage, table).await;
}

#[tokio::test]
async fn each_refusal_that_no_document_settles_can_be_set() {
    let more = "transport:
  unknownAction: { status: 404, code: NO_ACTION }
  unknownVersion: { status: 400, code: NO_VERSION }
  noPermission: { status: 403, code: NO_PERMISSION }
  unknownKey: { status: 401, code: NO_KEY }
  unknownToken: { status: 403, code: NO_TOKEN }
  signatureLife: 60s
";
    let stage = Stage::with(MORE_CREDENTIALS, more).await;
    let reader = |one: &mut Request| (one.key_id, one.secret) = ("READER".into(), "reader".into());
    let table = vec![
        ("action", stage.request("DescribePonies", json!({})), "404 NO_ACTION"),
        ("version", look(&stage).with(|one| one.version = Some("1".into())), "400 NO_VERSION"),
        ("permission", stage.modify().with(reader), "403 NO_PERMISSION"),
        ("key", look(&stage).with(|one| one.key_id = "GONE".into()), "401 NO_KEY"),
        ("token", look(&stage).bearer("gone-token"), "403 NO_TOKEN"),
        ("life", look(&stage).with(|one| one.timestamp -= 61), EXPIRED),
    ];
    verdicts(&stage, table).await;
}

#[tokio::test]
async fn header_names_may_be_of_any_case() {
    let stage = Stage::given().await;
    let request = look(&stage).with(|one| one.upper_case_names = true);
    assert_eq!(stage.send(&request).await.verdict(), "200 OK");
}

#[tokio::test]
async fn a_request_line_in_absolute_form_works_as_through_a_proxy() {
    let stage = Stage::given().await;
    let request = look(&stage).with(|one| {
        one.line = "POST http://console.zenlayer.com/api/v2/vm HTTP/1.1".into();
        one.host = "console.zenlayer.com".into();
    });
    assert_eq!(stage.send(&request).await.verdict(), "200 OK");
}

#[tokio::test]
async fn only_a_post_to_the_one_path_is_a_call() {
    let stage = Stage::given().await;
    let line = |line: &str| look(&stage).with(|one| one.line = line.to_owned());
    let large = Request::new("DescribeInstances", vec![b' '; (1 << 20) + 1], stage.now());
    let table = vec![
        (
            "another method",
            line("GET /api/v2/vm HTTP/1.1"),
            "405 AUTHFAILURE_UNAUTHORIZED_OPERATION",
        ),
        (
            "a method of no web",
            line("BREW /api/v2/vm HTTP/1.1"),
            "405 AUTHFAILURE_UNAUTHORIZED_OPERATION",
        ),
        ("a body above a megabyte", large, "413 INVALID_PARAMETER_EXCEED_LENGTH"),
    ];
    verdicts(&stage, table).await;
    assert_eq!(stage.shows("requests").await, json!({ "counts": {}, "requests": [] }));
}

#[tokio::test]
async fn answers_are_compressed_for_clients_that_accept_it() {
    let stage = Stage::given().await;
    let table = [
        ("not asked for", None, false),
        ("gzip", Some("gzip"), true),
        ("as Python asks", Some("gzip, deflate"), true),
        ("anything", Some("*"), true),
        ("with a weight", Some("br;q=1.0, gzip;q=0.5"), true),
        ("forbidden", Some("gzip;q=0, br"), false),
        ("another one", Some("br"), false),
    ];
    for (name, accepts, zipped) in table {
        let request = look(&stage);
        let request = match accepts {
            Some(accepts) => request.header("accept-encoding", accepts),
            None => request,
        };
        let answer = stage.send(&request).await;
        assert_eq!(answer.header("content-encoding"), zipped.then_some("gzip"), "{name}");
        let length: usize = answer.header("content-length").unwrap().parse().unwrap();
        assert_eq!(length, answer.body.len(), "{name}");
        let body = if zipped { unzipped(&answer) } else { answer.json() };
        assert_eq!(body["response"]["totalCount"], 1, "{name}");
    }
    let plain = Stage::with("", "transport: { gzip: false }\n").await;
    let answer = plain.send(&look(&plain).header("accept-encoding", "gzip")).await;
    assert_eq!(answer.verdict(), "200 OK");
}

fn unzipped(answer: &Answer) -> Value {
    let mut text = String::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn request_ids_are_a_t_and_a_version_4_uuid_and_never_come_twice() {
    let stage = Stage::given().await;
    let mut seen = BTreeSet::new();
    for action in ["DescribeInstances", "DescribePonies"].repeat(20) {
        let body = stage.call(action, json!({})).await.json();
        let id = body["requestId"].as_str().unwrap().to_owned();
        let groups: Vec<&str> = id.strip_prefix('T').unwrap().split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        let digit = |digit: char| digit.is_ascii_digit() || ('A'..='F').contains(&digit);
        assert!(groups.concat().chars().all(digit), "{id}");
        assert!(groups[2].starts_with('4'), "{id}");
        assert!(groups[3].starts_with(['8', '9', 'A', 'B']), "{id}");
        if body["response"].is_object() {
            assert_eq!(body["response"]["requestId"], body["requestId"]);
        }
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn a_success_has_two_levels_and_a_refusal_is_flat() {
    let stage = Stage::given().await;
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let success = stage.look().await;
    assert_eq!(names(&success.json()), ["requestId", "response"]);
    assert_eq!(success.header("content-type"), Some("application/json; charset=utf-8"));
    let body = json!({ "instanceId": "vm-9", "instanceTypeId": "c.2c4g" });
    let refusal = stage.call("ModifyInstanceType", body).await;
    assert_eq!(refusal.verdict(), "404 INVALID_INSTANCE_NOT_FOUND");
    assert_eq!(names(&refusal.json()), ["code", "message", "requestId"]);
}

#[tokio::test]
async fn calls_above_the_rate_of_a_key_get_429_with_and_without_retry_after() {
    for (name, retry_after) in [("without", None), ("with", Some("7"))] {
        let after = retry_after.map(|it| format!(", retryAfter: {it}")).unwrap_or_default();
        let limit = format!("transport: {{ rateLimit: {{ perSecond: 0.5, burst: 2{after} }} }}\n");
        let stage = Stage::with(MORE_CREDENTIALS, &limit).await;
        assert_eq!(stage.look().await.status, 200, "{name}");
        assert_eq!(stage.look().await.status, 200, "{name}");
        let limited = stage.look().await;
        assert_eq!(limited.verdict(), "429 REQUEST_LIMIT_EXCEEDED", "{name}");
        assert_eq!(limited.header("retry-after"), retry_after, "{name}");
        // Another credential has its own.
        assert_eq!(stage.send(&look(&stage).bearer("short-token")).await.status, 200, "{name}");
        // The service's clock fills it.
        stage.step(1).await;
        assert_eq!(stage.look().await.status, 429, "{name}");
        stage.step(1).await;
        assert_eq!(stage.look().await.status, 200, "{name}");
        assert_eq!(stage.look().await.status, 429, "{name}");
    }
}

#[tokio::test]
async fn without_a_rate_nothing_is_limited() {
    let stage = Stage::given().await;
    for _ in 0..50 {
        assert_eq!(stage.look().await.status, 200);
    }
}

/// Clients that send lower case only are safe under both readings.
#[tokio::test]
async fn signed_values_can_be_read_in_lower_case() {
    let host = "Console.Zenlayer.com";
    let lower = |one: &mut Request| {
        let clear = Request { host: host.to_lowercase(), ..one.clone() };
        one.authorization = Some(clear.signed_authorization());
        one.extra.push(("x-zc-timestamp".into(), one.timestamp.to_string()));
    };
    for (mode, as_sent, lower_cased) in
        [("asSent", "200 OK", FAILURE), ("lowerCased", FAILURE, "200 OK")]
    {
        let stage = Stage::with("", &format!("transport: {{ signedValues: {mode} }}\n")).await;
        let mixed = look(&stage).with(|one| one.host = host.to_owned());
        let table = vec![
            ("all lower", look(&stage), "200 OK"),
            ("mixed, signed as sent", mixed.clone(), as_sent),
            ("mixed, signed in lower case", mixed.with(lower), lower_cased),
        ];
        verdicts(&stage, table).await;
    }
}

/// Clients that never write a default port are safe under both readings.
#[tokio::test]
async fn a_default_port_can_be_stripped_before_the_signature_is_checked() {
    for (mode, verdict) in [("asSent", "200 OK"), ("stripped", FAILURE)] {
        let stage = Stage::with("", &format!("transport: {{ defaultPort: {mode} }}\n")).await;
        let host = |host: &str| look(&stage).with(|one| one.host = host.to_owned());
        let table = vec![
            ("no port", host("console.zenlayer.com"), "200 OK"),
            ("another port", host("console.zenlayer.com:8443"), "200 OK"),
            ("the port of TLS", host("console.zenlayer.com:443"), verdict),
            ("the port of HTTP", host("console.zenlayer.com:80"), verdict),
        ];
        verdicts(&stage, table).await;
    }
}

#[tokio::test]
async fn the_date_header_is_the_services_clock() {
    let stage = Stage::given().await;
    assert_eq!(stage.look().await.header("date"), Some("Thu, 01 Jan 2026 00:00:00 GMT"));
    stage.step(3 * 24 * 3600 + 61).await;
    assert_eq!(stage.look().await.header("date"), Some("Sun, 04 Jan 2026 00:01:01 GMT"));
    let control = stage.control("GET", "clock", Value::Null).await;
    assert_eq!(control.header("date"), Some("Sun, 04 Jan 2026 00:01:01 GMT"));
}

/// One run: the bytes of all answers.
async fn run(seed: u64) -> Vec<String> {
    let more = format!(
        "transport: {{ seed: {seed} }}\nfaults:\n\
         - {{ kind: error, code: INTERNAL_SERVER_ERROR, probability: 0.3, seed: {seed}, times: always }}\n\
         - {{ kind: extraFields, probability: 0.5, seed: {seed}, times: always }}\n"
    );
    let stage = Stage::with("", &more).await;
    let mut answers = Vec::new();
    for _ in 0..30 {
        for request in [look(&stage), stage.modify()] {
            let answer = stage.send(&request).await;
            answers.push(format!("{}\n{}", answer.head, answer.text()));
        }
        stage.step(20).await;
    }
    answers
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_twice() {
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
}

/// Each row breaks one rule more than the next: the earliest check answers.
#[tokio::test]
async fn each_check_comes_before_the_next() {
    let more = "transport:
  rateLimit: { perSecond: 0.001, burst: 4 }
  unknownAction: { status: 400, code: ACTION }
  unknownVersion: { status: 400, code: VERSION }
  noPermission: { status: 400, code: PERMISSION }
";
    let stage = Stage::with(MORE_CREDENTIALS, more).await;
    let reader = |one: &mut Request| (one.key_id, one.secret) = ("READER".into(), "reader".into());
    let version = |one: &mut Request| one.version = Some("1".into());
    let modify = stage.request("ModifyInstanceType", json!({}));
    let pony = stage.request("CreatePony", json!({}));
    let table = vec![
        (
            "the signature first",
            pony.clone().with(version).with(|one| one.secret = "x".into()),
            FAILURE,
        ),
        ("then the action", pony.with(reader).with(version), "400 ACTION"),
        ("then the version", modify.clone().with(reader).with(version), "400 VERSION"),
        ("then the permission", modify.clone().with(reader), "400 PERMISSION"),
        ("then the world", modify.clone(), "400 MISSING_PARAMETER"),
        ("refused calls count", look(&stage).with(reader), "200 OK"),
        (
            "the rate before the action",
            modify.with(reader).with(version),
            "429 REQUEST_LIMIT_EXCEEDED",
        ),
    ];
    verdicts(&stage, table).await;
}

/// Headers and bodies that are almost right, and any bytes at all: each gets an answer in JSON.
#[tokio::test]
async fn any_bytes_get_an_answer() {
    use proptest::prelude::*;

    let stage = Stage::with("  - { token: sim-token }\n", "").await;
    let authorization = prop_oneof![
        Just(look(&stage).signed_authorization()),
        "ZC2-HMAC-SHA256 Credential=[A-Z]{0,3}, SignedHeaders=[a-z;-]{0,30}, Signature=[0-9a-f]{0,9}",
        "(ZC2-HMAC-SHA256|Bearer) [ -~]{0,60}",
        "[ -~\u{80}-\u{ff}]{0,60}",
    ];
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[{}\\[\\]\",:a-z0-9]{0,80}".prop_map(String::into_bytes),
        "\\{\"instanceIds?\":(null|[0-9]{1,30}|\\[\"vm-1\"\\]|\"[a-z]{0,5}\")\\}"
            .prop_map(String::into_bytes),
    ];
    let action = proptest::sample::select(zenlayer_sim::http::ACTIONS);
    let stamp = prop_oneof![Just(START.to_string()), "-?[0-9]{0,30}"];
    let token = prop_oneof![Just("sim-token".to_owned()), "[a-z]{0,4}"];
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let cases = (authorization, body, action, stamp, token);
    let ran = runner.run(&cases, |(authorization, body, action, stamp, token)| {
        for authorization in [authorization, format!("Bearer {token}")] {
            let mut headers = hyper::HeaderMap::new();
            let fields = [
                ("authorization", authorization.as_str()),
                ("x-zc-action", action),
                ("x-zc-version", "2026-04-01"),
                ("x-zc-timestamp", &stamp),
                ("content-type", "application/json"),
                ("host", "127.0.0.1:18980"),
            ];
            for (name, value) in fields {
                if let Ok(value) = hyper::header::HeaderValue::from_str(value) {
                    headers.insert(name, value);
                }
            }
            let arrival = Arrival::new(headers, body.clone());
            let play = stage.shared.arrive(&arrival);
            let decided = stage.shared.decide(&arrival, &play);
            let answer: Value = serde_json::from_str(&decided.draft.body).unwrap();
            prop_assert!((200..600).contains(&decided.draft.status));
            prop_assert!(answer["requestId"].is_string());
        }
        Ok(())
    });
    ran.unwrap();
    let log = stage.shows("requests").await;
    assert!(log["counts"].to_string().contains("\"OK\""), "some are let in: {}", log["counts"]);
}
