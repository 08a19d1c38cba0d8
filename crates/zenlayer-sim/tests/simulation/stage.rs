//! A simulator in this process, on a free port, with a clock that moves by hand.

use std::{io, net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};
use zenlayer_sim::{
    config::Config,
    http::{Shared, bind, serve},
};

use crate::caller::{Answer, Request, send};

/// When every stage starts: 2026-01-01T00:00:00Z.
pub const START: i64 = 1_767_225_600;

/// The instances and the first access key of every stage; a test adds to it.
pub const BASE: &str = "\
clock: { mode: stepped, start: 2026-01-01T00:00:00Z }
processingTime: 30s
instances:
  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-2, type: c.2c4g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }
";

/// A file of [`BASE`], the access key, and more.
pub fn file(credentials: &str, more: &str) -> String {
    let (id, password) = (harness::simulator::KEY_ID, harness::simulator::KEY_PASSWORD);
    format!(
        "{BASE}credentials:\n  - {{ accessKeyId: {id}, accessKeyPassword: {password} }}\n\
         {credentials}{more}"
    )
}

pub struct Stage {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
}

impl Stage {
    pub async fn given() -> Self {
        Self::with("", "").await
    }

    /// With further credentials, and further parts of the file.
    pub async fn with(credentials: &str, more: &str) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("simulator.yaml");
        std::fs::write(&path, file(credentials, more)).unwrap();
        let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let world = |now| config.world(now);
        let shared = Arc::new(Shared::new(config.settings(), None, false, world));
        let listener = bind("--listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, None, shared.clone()));
        Self { address, shared }
    }

    pub fn now(&self) -> i64 {
        self.shared.lock().clock.now(Timestamp::now()).as_second()
    }

    /// A request that is signed now.
    pub fn request(&self, action: &str, body: Value) -> Request {
        Request::new(action, body.to_string(), self.now())
    }

    pub async fn try_send(&self, request: &Request) -> io::Result<Answer> {
        send(self.address, &request.bytes()).await
    }

    pub async fn send(&self, request: &Request) -> Answer {
        self.try_send(request).await.unwrap_or_else(|error| panic!("{}: {error}", request.action))
    }

    pub async fn call(&self, action: &str, body: Value) -> Answer {
        self.send(&self.request(action, body)).await
    }

    /// A look that always works.
    pub async fn look(&self) -> Answer {
        self.call("DescribeInstances", json!({ "instanceIds": ["vm-1"] })).await
    }

    /// Orders the change of vm-1 to another type.
    pub fn modify(&self) -> Request {
        let body = json!({ "instanceId": "vm-1", "instanceTypeId": "c.2c4g" });
        self.request("ModifyInstanceType", body)
    }

    pub async fn control(&self, method: &str, path: &str, body: Value) -> Answer {
        self.try_control(method, path, body).await.expect("the control API answers")
    }

    async fn try_control(&self, method: &str, path: &str, body: Value) -> io::Result<Answer> {
        let body = if body.is_null() && method == "GET" { String::new() } else { body.to_string() };
        let request = format!(
            "{method} /control/{path} HTTP/1.1\r\nhost: control\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        send(self.address, request.as_bytes()).await
    }

    /// What the control API shows, if there is a connection.
    pub async fn try_shows(&self, path: &str) -> Result<Value, String> {
        let answer = self.try_control("GET", path, Value::Null).await;
        answer.map(|answer| answer.json()).map_err(|error| error.to_string())
    }

    /// Does something by the control API that must work.
    pub async fn does(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.control(method, path, body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        answer.json()
    }

    pub async fn shows(&self, path: &str) -> Value {
        self.does("GET", path, Value::Null).await
    }

    pub async fn fault(&self, fault: Value) {
        self.does("POST", "faults", fault).await;
    }

    pub async fn step(&self, seconds: i64) {
        self.does("POST", "clock", json!({ "advanceSeconds": seconds })).await;
    }

    /// How many orders were accepted.
    pub async fn orders(&self) -> usize {
        self.shows("ledger").await["orders"].as_array().unwrap().len()
    }
}
