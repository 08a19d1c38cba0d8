//! The Host header that is sent is, byte by byte, the one that is signed. (A default port, and a
//! host that is no address, are shown through a proxy: `proxy`.)

use zenlayer::{Cloud, Endpoint};
use zenlayer_sim::signature::Authorization;

use crate::{
    given::{PASSWORD, given_call, given_client, given_key, given_modify, id},
    raw::{Captured, RawServer, envelope, json},
};

pub fn assert_signed_for(request: &Captured, host: &str) {
    assert_eq!(request.header("host"), Some(host));
    let authorization = Authorization::parse(request.header("authorization").unwrap()).unwrap();
    let stamp = request.header("x-zc-timestamp").unwrap();
    let header = |name: &str| request.header(name).map(|value| value.as_bytes().into());
    assert!(authorization.verifies(PASSWORD, stamp, &request.body, header), "{host}");
}

#[tokio::test]
async fn the_host_that_is_sent_is_the_host_that_is_signed() {
    let answer = || vec![json(200, &envelope(r#""instanceType":"c.1c2g""#))];
    for (listen, url) in [
        ("127.0.0.1:0", "http://127.0.0.1"),
        ("127.0.0.1:0", "http://LocalHost"),
        ("[::1]:0", "http://[0:0::1]"),
    ] {
        let server = match RawServer::start_at(listen, answer()).await {
            Ok(server) => server,
            Err(error) if listen.starts_with('[') => {
                println!("left out: this machine has no IPv6 loopback ({error})");
                continue;
            }
            Err(error) => panic!("{listen}: {error}"),
        };
        let url = format!("{url}:{}", server.address().port());
        let host = Endpoint::parse(&url, false).unwrap().host_header().to_owned();
        let client = given_client(&url);
        client.describe_type_status(&given_key(), &id("vm-1")).await.unwrap();
        client.mutate(&given_key(), &given_call(given_modify())).await;
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{url}");
        for request in &requests {
            assert_signed_for(request, &host);
        }
    }
}
