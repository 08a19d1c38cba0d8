//! Proxies come from the environment, so each case is a process of its own: this test binary,
//! told to run `child` alone.

use std::process::Command;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use zenlayer::{Cloud, ExtraRoots};

use crate::{
    given::{given_call, given_client_with, given_key, given_modify, given_options, id},
    host::assert_signed_for,
    raw::{Play, RawServer, envelope, json},
    roots::{TlsSimulator, call_now},
};

const ENDPOINT: &str = "TEST_ENDPOINT";
const ROOTS: &str = "TEST_ROOTS";

/// One read and one write to the endpoint of the environment; says what became of them.
#[tokio::test]
#[ignore = "run by the other tests of this file, in an environment with proxies"]
async fn child() {
    let endpoint = std::env::var(ENDPOINT).expect("it is run by the other tests of this file");
    let mut options = given_options();
    if let Ok(file) = std::env::var(ROOTS) {
        options.extra_roots = ExtraRoots::from_pem(&std::fs::read(file).unwrap()).unwrap();
        let (read, answer) = call_now(&endpoint, options).await;
        println!("child: {read} | {answer:?}");
        return;
    }
    let client = given_client_with(&endpoint, options);
    let read = client.describe_type_status(&given_key(), &id("vm-1")).await;
    let answer = client.mutate(&given_key(), &given_call(given_modify())).await;
    println!(
        "child: {} | {answer:?}",
        read.map_or_else(|error| error.to_string(), |_| "ok".into())
    );
}

/// Runs the child with these variables and no other proxy variable; gives what it said.
async fn run_child(endpoint: &str, variables: &[(&str, String)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "proxy::child", "--ignored", "--nocapture"]);
    command.env(ENDPOINT, endpoint).envs(variables.iter().map(|(name, value)| (name, value)));
    harness::proxies::keep_out(&mut command);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = text.lines().find_map(|line| line.split_once("child: "));
    said.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))).1.to_owned()
}

#[tokio::test]
async fn http_goes_through_the_proxy_of_the_environment_unless_no_proxy_names_the_host() {
    let answer = || vec![json(200, &envelope(r#""instanceType":"c.1c2g""#))];
    // name, endpoint (or that of the server), variable, NO_PROXY, whether the proxy is used
    let table = [
        ("a host", Some("http://api.example"), "HTTP_PROXY", "", true),
        ("a host and a port", Some("http://api.example:8080"), "http_proxy", "", true),
        ("all schemes", Some("http://api.example"), "ALL_PROXY", "", true),
        ("loopback, too", None, "HTTP_PROXY", "", true),
        ("loopback in NO_PROXY", None, "HTTP_PROXY", "localhost,127.0.0.1", false),
        ("a proxy for https only", None, "HTTPS_PROXY", "", false),
    ];
    for (name, endpoint, variable, no_proxy, proxied) in table {
        let (proxy, server) = (RawServer::start(answer()).await, RawServer::start(answer()).await);
        let endpoint = endpoint.map_or_else(|| server.endpoint(), str::to_owned);
        let variables = [(variable, proxy.endpoint()), ("NO_PROXY", no_proxy.to_owned())];
        let said = run_child(&endpoint, &variables).await;
        assert!(said.starts_with("ok | Accepted"), "{name}: {said}");
        let (used, other) = if proxied { (&proxy, &server) } else { (&server, &proxy) };
        assert_eq!((used.requests().len(), other.connections()), (2, 0), "{name}");
        for request in used.requests() {
            let target =
                if proxied { format!("{endpoint}/api/v2/vm") } else { "/api/v2/vm".into() };
            assert_eq!(request.line, format!("POST {target} HTTP/1.1"), "{name}");
            assert_signed_for(&request, endpoint.strip_prefix("http://").unwrap());
        }
    }
}

/// Before the tunnel stands, nothing of the request has left.
#[tokio::test]
async fn a_tunnel_that_is_refused_is_not_sent() {
    for play in [json(407, ""), json(502, ""), Play::Close, Play::Reset] {
        let proxy = RawServer::start(vec![play.clone()]).await;
        let said = run_child("https://api.example", &[("HTTPS_PROXY", proxy.endpoint())]).await;
        assert!(said.contains("| NotSent"), "{play:?}: {said}");
        for request in proxy.requests() {
            assert_eq!(request.line, "CONNECT api.example:443 HTTP/1.1");
            assert_eq!(request.header("authorization"), None);
        }
    }
}

/// The whole way: HTTPS_PROXY, a tunnel, TLS under a certificate authority of our own, and a
/// signature over a host with its default port, which the simulator checks.
#[tokio::test]
async fn https_goes_through_a_tunnel_to_a_host_with_its_default_port() {
    let sim = TlsSimulator::start(&["--tls-name", "api.example"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let target = sim.address.clone();
    let tunnel = tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let target = target.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(near.read_u8().await.unwrap());
                }
                assert!(head.starts_with(b"CONNECT api.example:443 "));
                near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut far = TcpStream::connect(target).await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let roots = sim.authority.display().to_string();
    let said = run_child("https://api.example", &[("HTTPS_PROXY", proxy), (ROOTS, roots)]).await;
    tunnel.abort();
    assert!(said.starts_with("ok | Accepted"), "{said}");
}
