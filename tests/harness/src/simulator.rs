//! The simulator as a process, and its control API.

use std::{path::Path, process::Command, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{binary, eventually, processes::Process, proxies::http_client};

/// The access key of every simulation file of the tests.
pub const KEY_ID: &str = "AKIDSIM0000000000001";
pub const KEY_PASSWORD: &str = "simSecretKeyPassword0001";

pub struct Simulator {
    pub process: Process,
    address: String,
    http: reqwest::Client,
    _folder: TempDir,
}

impl Simulator {
    /// Starts one from the text of a simulation file.
    pub async fn start(yaml: &str, arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let file = folder.path().join("simulator.yaml");
        std::fs::write(&file, yaml).expect("a temporary folder can be written");
        Self::start_file(&file, arguments, folder).await
    }

    pub async fn start_file(file: &Path, arguments: &[&str], folder: TempDir) -> Self {
        let address_file = folder.path().join("address");
        let mut command = Command::new(binary("zenlayer-sim"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(file)
            .arg("--address-file")
            .arg(&address_file)
            .args(arguments);
        let log = folder.path().join("zenlayer-sim.log");
        let process = Process::start("zenlayer-sim", command, &log).expect("it can be started");
        let address = eventually("the simulator's address", Duration::from_secs(20), async || {
            std::fs::read_to_string(&address_file).map_err(|_| process.tail())
        })
        .await;
        let http = http_client();
        Self { process, address, http, _folder: folder }
    }

    /// What the operator takes as --endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn get(&self, path: &str) -> Value {
        let url = format!("{}/control/{path}", self.endpoint());
        let answer = self.http.get(url).send().await.expect("the simulator answers");
        answer.json().await.expect("the control API answers in JSON")
    }

    pub async fn post(&self, path: &str, body: Value) {
        let url = format!("{}/control/{path}", self.endpoint());
        let answer = self.http.post(url).json(&body).send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{path} {body}: {:?}", answer.text().await);
    }

    /// Takes something away, such as `faults`.
    pub async fn delete(&self, path: &str) {
        let url = format!("{}/control/{path}", self.endpoint());
        let answer = self.http.delete(url).send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{path}: {:?}", answer.text().await);
    }

    /// Sets something anew, such as `behaviour`.
    pub async fn put(&self, path: &str, body: Value) {
        let url = format!("{}/control/{path}", self.endpoint());
        let answer = self.http.put(url).json(&body).send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{path} {body}: {:?}", answer.text().await);
    }

    /// What a person does in the console.
    pub async fn change_instance(&self, id: &str, body: Value) {
        let url = format!("{}/control/instances/{id}", self.endpoint());
        let answer = self.http.patch(url).json(&body).send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{id} {body}: {:?}", answer.text().await);
    }

    /// The orders of one instance.
    pub async fn orders(&self, instance: &str) -> Vec<Value> {
        let ledger = self.get("ledger").await;
        let orders = ledger["orders"].as_array().expect("a ledger is a list").iter();
        orders.filter(|order| order["instanceId"] == instance).cloned().collect()
    }

    /// Calls of an action for an instance, by the code of their answer.
    pub async fn calls(&self, action: &str, instance: &str) -> Vec<String> {
        let log = self.get("requests").await;
        let requests = log["requests"].as_array().expect("a log is a list").iter();
        requests
            .filter(|one| one["action"] == action && one["instance"] == instance)
            .map(|one| one["code"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    pub async fn fault(&self, fault: Value) {
        self.post("faults", fault).await;
    }

    /// From now on it refuses these calls for this instance.
    pub async fn refuses(&self, action: &str, instance: &str, code: &str) {
        self.fault(json!({
            "action": action, "instance": instance, "kind": "error", "code": code, "status": 400,
            "times": "always",
        }))
        .await;
    }

    /// Puts the service's clock ahead of this machine's (negative: behind), from now on.
    pub async fn skew(&self, seconds: i64) {
        self.forget_faults().await;
        self.fault(json!({ "kind": "clockSkew", "seconds": seconds, "times": "always" })).await;
    }

    /// From now on nothing goes wrong.
    pub async fn forget_faults(&self) {
        self.delete("faults").await;
    }

    pub async fn advance(&self, seconds: i64) {
        self.post("clock", json!({ "advanceSeconds": seconds })).await;
    }
}
