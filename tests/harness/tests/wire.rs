//! The proxy, between a client and a small server of this file: what a test programs happens, and all
//! else passes unchanged.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    convert::Infallible,
    io::ErrorKind,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, future::join_all, stream};
use harness::{
    Wire, eventually,
    wire::{Fault, Select, Upstream, Verb},
};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

const LIMIT: Duration = Duration::from_secs(20);

/// Method, path, `Host`, `Authorization` and body of a request that has arrived.
type Arrived = (String, String, String, String, String);
/// What each watch that has begun is shown.
type Watches = Arc<Mutex<Vec<mpsc::UnboundedSender<Result<Bytes, Broken>>>>>;

/// A server that answers each request with `200 served`, with three exceptions: `/broken` ends in the
/// middle of the body, a watch shows what the test sends, and a write is echoed with a version.
struct Behind {
    url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    watches: Watches,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken off")
    }
}

impl std::error::Error for Broken {}

type Body = UnsyncBoxBody<Bytes, Broken>;

fn whole(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

impl Behind {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (arrived, watches) = (Arc::default(), Arc::default());
        let (seen, begun) = (Arc::clone(&arrived), Arc::clone(&watches));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (seen, begun) = (Arc::clone(&seen), Arc::clone(&begun));
                let service = service_fn(move |request| {
                    serve(request, Arc::clone(&seen), Arc::clone(&begun))
                });
                let served = http1::Builder::new()
                    .auto_date_header(false)
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(served);
            }
        });
        Self { url, arrived, watches, task }
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    fn paths(&self) -> Vec<String> {
        self.arrived().into_iter().map(|one| one.1).collect()
    }

    /// Shows something in every watch that runs.
    fn show(&self, text: &str) {
        for watch in self.watches.lock().unwrap().iter() {
            let _ = watch.send(Ok(Bytes::from(text.to_owned())));
        }
    }
}

async fn serve(
    request: Request<Incoming>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    watches: Watches,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header =
        |name: &str| parts.headers.get(name).map_or("", |one| one.to_str().unwrap()).to_owned();
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let text = String::from_utf8(body.to_vec()).unwrap();
    let one = (method, path.clone(), header("host"), header("authorization"), text);
    arrived.lock().unwrap().push(one);
    if parts.uri.query().is_some_and(|query| query.contains("watch=true")) {
        let (sender, shown) = mpsc::unbounded_channel();
        watches.lock().unwrap().push(sender);
        let frames = stream::unfold(shown, async |mut shown| {
            let shown_now: Result<Bytes, Broken> = shown.recv().await?;
            Some((shown_now.map(Frame::data), shown))
        });
        return Ok(Response::new(StreamBody::new(frames).boxed_unsync()));
    }
    if path == "/broken" {
        let half = stream::iter([Ok(Frame::data(Bytes::from_static(b"half")))]);
        // What came before the end is written first.
        let end = stream::once(async {
            tokio::task::yield_now().await;
            Err(Broken)
        });
        let frames = half.chain(end);
        return Ok(Response::new(StreamBody::new(frames).boxed_unsync()));
    }
    if parts.method == Method::PUT {
        let mut object: Value = serde_json::from_slice(&body).unwrap();
        let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        object["metadata"]["resourceVersion"] = (version + 1).to_string().into();
        return Ok(Response::new(whole(object.to_string())));
    }
    Ok(Response::new(whole("served".to_owned())))
}

struct Given {
    behind: Behind,
    wire: Wire,
    client: Client,
}

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/op/leases/zvm-slot-1";
const STATUS: &str = "/apis/vm.zenlayer.com/v1alpha1/namespaces/t/vminstances/a/status";
const OBJECTS: &str = "/apis/vm.zenlayer.com/v1alpha1/namespaces/t/vminstances";
const WATCH: &str = "/apis/vm.zenlayer.com/v1alpha1/namespaces/t/vminstances?watch=true";

impl Given {
    /// Both servers of the wire are the same one here.
    async fn wire() -> Self {
        let behind = Behind::start().await;
        let wire = Wire::start(Upstream::plain(&behind.url), Upstream::plain(&behind.url));
        // What never ends fails.
        let client = Client::builder().no_proxy().timeout(2 * LIMIT).build().unwrap();
        Self { behind, wire, client }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.wire.kubernetes.url())
    }

    /// Status and body of a GET.
    async fn get(&self, path: &str) -> Result<(u16, String), reqwest::Error> {
        let answer = self.client.get(self.url(path)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// The same, from a task of its own.
    fn getting(&self, path: &str) -> JoinHandle<Result<(u16, String), reqwest::Error>> {
        let request = self.client.get(self.url(path));
        tokio::spawn(async move {
            let answer = request.send().await?;
            Ok((answer.status().as_u16(), answer.text().await?))
        })
    }

    /// A paid call to the cloud for this instance, from a task of its own.
    fn calling(&self, instance: &str) -> JoinHandle<Result<(u16, String), reqwest::Error>> {
        let request = self
            .client
            .post(format!("{}/api/v2/vm", self.wire.cloud.url()))
            .header("x-zc-action", "ModifyInstanceType")
            .body(json!({ "instanceId": instance }).to_string());
        tokio::spawn(async move {
            let answer = request.send().await?;
            Ok((answer.status().as_u16(), answer.text().await?))
        })
    }

    async fn until_arrived(&self, path: &str) {
        eventually(&format!("{path} at the server"), LIMIT, async || {
            let paths = self.behind.paths();
            if paths.iter().any(|one| one == path) { Ok(()) } else { Err(format!("{paths:?}")) }
        })
        .await;
    }

    /// Sends a request over a connection of its own, and gives how that ends.
    async fn raw(&self, path: &str) -> ErrorKind {
        let mut stream = self.raw_connection().await;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
        let read = read.expect("its connection ends");
        read.expect_err(&String::from_utf8_lossy(&answer)).kind()
    }

    async fn raw_connection(&self) -> TcpStream {
        let address = self.wire.kubernetes.url();
        TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap()
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_sent_and_its_answer_comes_as_it_was_given() {
    let given = Given::wire().await;
    let request = given
        .client
        .put(given.url(STATUS))
        .header("authorization", "Bearer t")
        .header("accept-encoding", "gzip")
        .body(r#"{"metadata":{"resourceVersion":"3"}}"#);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers().get("date"), None);
    assert_eq!(answer.text().await.unwrap(), r#"{"metadata":{"resourceVersion":"4"}}"#);
    let host = given.wire.kubernetes.url().strip_prefix("http://").unwrap().to_owned();
    let body = r#"{"metadata":{"resourceVersion":"3"}}"#;
    let expected = ["PUT", STATUS, &host, "Bearer t", body].map(str::to_owned);
    let [method, path, host, token, body] = expected;
    assert_eq!(given.behind.arrived(), [(method, path, host, token, body)]);
}

#[tokio::test]
async fn many_connections_are_served_side_by_side() {
    let given = Given::wire().await;
    let hold = given.wire.hold_answers(Select::kubernetes().path("/one/*"));
    let held: Vec<_> = (0..80).map(|index| given.getting(&format!("/one/{index}"))).collect();
    eventually("all at once", LIMIT, async || {
        if hold.waiting() == 80 { Ok(()) } else { Err(hold.waiting().to_string()) }
    })
    .await;
    hold.release();
    for answer in join_all(held).await {
        assert_eq!(answer.unwrap().unwrap(), (200, "served".to_owned()));
    }
}

#[tokio::test]
async fn a_watch_comes_piece_by_piece() {
    let given = Given::wire().await;
    let mut pieces = given.client.get(given.url(WATCH)).send().await.unwrap().bytes_stream();
    for text in ["one", " and a half\n", "two\n"] {
        given.behind.show(text);
        assert_eq!(pieces.next().await.unwrap().unwrap(), text);
    }
    given.behind.watches.lock().unwrap().clear();
    assert!(pieces.next().await.is_none());
}

#[tokio::test]
async fn a_watch_ends_at_the_server_when_the_client_leaves() {
    let given = Given::wire().await;
    let answer = given.client.get(given.url(WATCH)).send().await.unwrap();
    drop(answer);
    eventually("the end at the server", LIMIT, async || {
        let ended = given.behind.watches.lock().unwrap()[0].is_closed();
        if ended { Ok(()) } else { Err("it runs".to_owned()) }
    })
    .await;
}

#[tokio::test]
async fn a_held_request_arrives_once_it_is_released() {
    let given = Given::wire().await;
    let hold = given.wire.hold("before-call-modify.vm-1");
    let held = given.calling("vm-1");
    hold.reached().await;
    // One of another instance is not meant.
    assert!(given.calling("vm-2").await.unwrap().is_ok());
    assert_eq!(given.behind.arrived().len(), 1);
    hold.release();
    assert!(held.await.unwrap().is_ok());
    assert_eq!(given.behind.arrived().len(), 2);
    assert!(given.calling("vm-1").await.unwrap().is_ok());
}

#[tokio::test]
async fn a_held_request_never_arrives_when_its_client_has_left() {
    let given = Given::wire().await;
    let hold = given.wire.hold_requests(Select::kubernetes().path("/one"));
    let held = given.getting("/one");
    hold.reached().await;
    assert_eq!(hold.waiting(), 1);
    held.abort();
    eventually("the end of the exchange", LIMIT, async || {
        if hold.waiting() == 0 { Ok(()) } else { Err("it waits".to_owned()) }
    })
    .await;
    hold.release();
    given.get("/two").await.unwrap();
    assert_eq!(given.behind.paths(), ["/two"]);
}

#[tokio::test]
async fn a_held_answer_is_given_once_it_is_released() {
    let given = Given::wire().await;
    let hold = given.wire.hold("after-call");
    let mut held = given.calling("vm-1");
    hold.reached().await;
    assert_eq!(given.behind.arrived().len(), 1);
    given.get("/two").await.unwrap();
    assert!((&mut held).now_or_never().is_none());
    hold.release();
    assert_eq!(held.await.unwrap().unwrap().1, "served");
}

/// The record before is that of an answer that has passed; the record after is in the request.
#[tokio::test]
async fn a_write_is_named_by_what_answers_have_shown() {
    let given = Given::wire().await;
    let put = async |version: &str, state: &str| {
        let record = json!({ "power": { "holding": {
            "change": "c-1", "kind": "Stop", "state": { "is": state },
        } } });
        let lease = json!({ "metadata": {
            "name": "zvm-slot-1", "namespace": "op", "resourceVersion": version,
            "annotations": {
                "vm.zenlayer.com/slot": record.to_string(), "vm.zenlayer.com/instance-id": "vm-1",
            },
        } });
        let request = given.client.put(given.url(LEASE)).body(lease.to_string());
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    };
    put("1", "open").await;
    put("2", "accepted").await;
    let log = given.wire.exchanges_of(&Select::verb(Verb::Update, "leases").instance("vm-1"));
    let names: Vec<_> = log.iter().map(|one| (one.class.names.join(" "), one.status)).collect();
    let expected = ["slot-stop", "answer-stop"].map(|name| (name.to_owned(), Some(200)));
    assert_eq!(names, expected);
    given.wire.answered(&Select::named("answer-stop"), 1).await;
}

#[tokio::test]
async fn a_watch_shows_what_a_write_is_compared_with() {
    let given = Given::wire().await;
    let object = |status: Value| {
        json!({
            "metadata": { "name": "a", "namespace": "t", "resourceVersion": "3" },
            "spec": { "instanceId": "vm-1" }, "status": status,
        })
    };
    let intent = json!({ "change": { "id": "c-1", "kind": "Modify", "state": "Submitting" } });
    let event = json!({ "type": "ADDED", "object": object(intent) }).to_string() + "\n";
    let mut pieces = given.client.get(given.url(WATCH)).send().await.unwrap().bytes_stream();
    // In two pieces: an event ends with its line.
    for piece in [&event[..40], &event[40..]] {
        given.behind.show(piece);
        assert_eq!(pieces.next().await.unwrap().unwrap(), piece);
    }
    let written = object(json!({ "phase": "InSync" })).to_string();
    given.client.put(given.url(STATUS)).body(written).send().await.unwrap();
    let ended = Select::named("publish-modify-ended").instance("vm-1");
    assert_eq!(given.wire.exchanges_of(&ended).len(), 1);
}

#[tokio::test]
async fn a_lost_request_ends_in_a_reset_and_does_not_arrive() {
    let given = Given::wire().await;
    let broken = given.wire.fault(Select::kubernetes().path("/one").times(1), Fault::LoseRequest);
    assert_eq!(given.raw("/one").await, ErrorKind::ConnectionReset);
    broken.happened(1).await;
    assert!(given.behind.arrived().is_empty());
    given.get("/one").await.unwrap();
    assert_eq!(given.behind.paths(), ["/one"]);
}

#[tokio::test]
async fn a_lost_answer_ends_in_a_reset_after_the_request_has_arrived() {
    let given = Given::wire().await;
    let lost = given.wire.fault(Select::kubernetes().path("/one"), Fault::LoseAnswer);
    assert_eq!(given.raw("/one").await, ErrorKind::ConnectionReset);
    assert_eq!(given.behind.paths(), ["/one"]);
    let log = given.wire.exchanges();
    assert_eq!((log[0].status, log[0].delivered), (Some(200), false));
    lost.mend();
    assert_eq!(given.get("/one").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_delayed_answer_comes_later_and_others_do_not() {
    let given = Given::wire().await;
    let time = Duration::from_millis(300);
    given.wire.fault(Select::kubernetes().path("/one"), Fault::DelayAnswer(time));
    let started = Instant::now();
    let mut delayed = given.getting("/one");
    given.until_arrived("/one").await;
    given.get("/two").await.unwrap();
    assert!(started.elapsed() > time || (&mut delayed).now_or_never().is_none());
    assert_eq!(delayed.await.unwrap().unwrap().1, "served");
    assert!(started.elapsed() >= time);
}

#[tokio::test]
async fn an_answer_of_the_test_comes_in_the_servers_place() {
    let given = Given::wire().await;
    for code in [409, 429, 500, 504] {
        let broken = given.wire.fault(Select::kubernetes().method("GET"), Fault::status(code));
        let answer = given.client.get(given.url("/one")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), code);
        assert_eq!(answer.headers().contains_key("retry-after"), code == 429);
        let body: Value = answer.json().await.unwrap();
        assert_eq!((&body["kind"], &body["code"]), (&json!("Status"), &json!(code)));
        broken.mend();
    }
    assert!(given.behind.arrived().is_empty());
    assert_eq!(given.wire.exchanges()[3].status, Some(504));
    let second = given.wire.fault(Select::cloud().nth(2), Fault::Answer(418, json!({})));
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(given.calling("vm-1").await.unwrap().unwrap().0);
    }
    assert_eq!(codes, [200, 418, 200]);
    second.happened(1).await;
}

#[tokio::test]
async fn a_server_that_is_away_refuses_connections_and_ends_those_that_are_open() {
    let given = Given::wire().await;
    let mut idle = given.raw_connection().await;
    let watch = given.client.get(given.url(WATCH)).send().await.unwrap();
    let hold = given.wire.hold_requests(Select::kubernetes().path("/one"));
    let held = given.getting("/one");
    hold.reached().await;
    given.wire.kubernetes.refuse_connections().await;
    let end = tokio::time::timeout(LIMIT, idle.read_u8()).await.expect("its connection ends");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(watch.bytes().await.is_err());
    assert!(held.await.unwrap().is_err());
    let refused = given.get("/two").await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
    // The other server is there.
    assert!(given.calling("vm-1").await.unwrap().is_ok());
    given.wire.kubernetes.accept_connections();
    given.get("/two").await.unwrap();
    assert!(!given.behind.paths().contains(&"/one".to_owned()));
}

#[tokio::test]
async fn a_silent_list_never_answers_and_its_connection_stays_open() {
    let given = Given::wire().await;
    let silent = given.wire.fault(Select::verb(Verb::List, "vminstances"), Fault::Silence);
    let mut asked = given.getting(OBJECTS);
    silent.happened(1).await;
    assert_eq!(given.get("/two").await.unwrap().0, 200);
    assert_eq!(given.behind.paths(), ["/two"]);
    assert!((&mut asked).now_or_never().is_none(), "it has ended");
    // Another verb is not meant.
    given.client.get(given.url(WATCH)).send().await.unwrap();
}

#[tokio::test]
async fn the_start_of_a_watch_can_be_silent_and_lists_go_on() {
    let given = Given::wire().await;
    let silent = given.wire.fault(Select::verb(Verb::Watch, "vminstances"), Fault::Silence);
    let mut asked = given.getting(WATCH);
    silent.happened(1).await;
    assert_eq!(given.get(OBJECTS).await.unwrap().0, 200);
    assert!((&mut asked).now_or_never().is_none(), "it has begun");
    silent.mend();
    given.client.get(given.url(WATCH)).send().await.unwrap();
}

#[tokio::test]
async fn a_running_watch_stalls_and_goes_on_without_a_loss() {
    let given = Given::wire().await;
    let mut pieces = given.client.get(given.url(WATCH)).send().await.unwrap().bytes_stream();
    given.behind.show("one\n");
    assert_eq!(pieces.next().await.unwrap().unwrap(), "one\n");
    let stalled = given.wire.fault(Select::verb(Verb::Watch, "vminstances"), Fault::Stall);
    stalled.happened(1).await;
    given.behind.show("two\n");
    // One that begins now stalls too; its headers come.
    let other = given.client.get(given.url(WATCH)).send().await.unwrap();
    stalled.happened(2).await;
    given.behind.show("three\n");
    assert_eq!(given.get("/two").await.unwrap().0, 200);
    assert!(pieces.next().now_or_never().is_none(), "a byte has come");
    stalled.mend();
    let mut rest = Vec::new();
    while rest.len() < 10 {
        rest.extend(pieces.next().await.unwrap().unwrap());
    }
    assert_eq!(rest, b"two\nthree\n");
    assert_eq!(other.bytes_stream().next().await.unwrap().unwrap(), "three\n");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let given = Given::wire().await;
    assert!(given.get("/broken").await.is_err());
    let url = format!("{}/broken", given.wire.cloud.url());
    let mut pieces = given.client.get(url).send().await.unwrap().bytes_stream();
    assert_eq!(pieces.next().await.unwrap().unwrap(), "half");
    assert!(pieces.next().await.unwrap().is_err());
}

#[tokio::test]
async fn a_server_that_is_gone_ends_in_a_reset() {
    let given = Given::wire().await;
    given.behind.task.abort();
    eventually("the end of the server", LIMIT, async || {
        let address = given.behind.url.strip_prefix("http://").unwrap();
        match TcpStream::connect(address).await {
            Ok(_) => Err("it accepts".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await;
    assert_eq!(given.raw("/one").await, ErrorKind::ConnectionReset);
}
