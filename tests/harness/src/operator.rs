//! The operator as a process.

use std::{path::Path, process::Command, time::Duration};

use tempfile::TempDir;

use crate::{
    Wire, binary, control_plane::free_port, eventually, processes::Process, proxies::http_client,
};

/// How an operator is started.
pub struct OperatorOptions<'a> {
    pub kubeconfig: &'a Path,
    pub endpoint: &'a str,
    pub slot_namespace: &'a str,
    pub watch_namespace: Option<&'a str>,
    pub arguments: Vec<String>,
    /// With a proxy between it and its servers, which a test programs.
    pub wired: bool,
}

pub struct Operator {
    // Ends before its wire: what is held there must not reach it any more.
    pub process: Process,
    port: u16,
    wire: Option<Wire>,
    _folder: TempDir,
}

impl Operator {
    /// Starts one; it may not be ready yet.
    pub fn start(options: &OperatorOptions<'_>) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let proxied = folder.path().join("kubeconfig");
        let between = || Wire::between(options.kubeconfig, options.endpoint, &proxied);
        let wire = options.wired.then(between);
        let (kubeconfig, endpoint) = match &wire {
            Some(wire) => (proxied.as_path(), wire.cloud.url()),
            None => (options.kubeconfig, options.endpoint.to_owned()),
        };
        let port = free_port();
        let mut command = Command::new(binary("vm-operator"));
        command
            .env("KUBECONFIG", kubeconfig)
            .args(["run", "--log-format", "text", "--endpoint", &endpoint])
            .args(["--slot-namespace", options.slot_namespace])
            .args(["--http-listen", &format!("127.0.0.1:{port}")])
            .args(&options.arguments);
        if let Some(namespace) = options.watch_namespace {
            command.args(["--watch-namespaces", namespace]);
        }
        let log = folder.path().join("vm-operator.log");
        let process = Process::start("vm-operator", command, &log).expect("it can be started");
        if let Some(wire) = &wire {
            wire.shows(process.log_file());
        }
        Self { process, port, wire, _folder: folder }
    }

    /// The proxy between it and its servers.
    pub fn wire(&self) -> &Wire {
        self.wire.as_ref().expect("it was started with a wire")
    }

    /// Waits until /readyz answers 200.
    pub async fn ready(&self) {
        eventually("the operator's /readyz", Duration::from_secs(30), async || {
            match self.get("readyz").await {
                Ok((200, _)) => Ok(()),
                other => Err(format!("{other:?}; {}", self.process.tail())),
            }
        })
        .await;
    }

    /// Where its probes and metrics are.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Status and body of a path.
    pub async fn get(&self, path: &str) -> Result<(u16, String), String> {
        let url = format!("{}/{path}", self.url());
        let answer = http_client().get(url).send().await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(|error| error.to_string())?))
    }

    /// The sum of a metric over its labels; 0 where it does not exist yet.
    pub async fn metric(&self, name: &str) -> f64 {
        let Ok((200, text)) = self.get("metrics").await else { return 0.0 };
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            if rest.starts_with(['{', ' ']) {
                rest.rsplit(' ').next()?.parse::<f64>().ok()
            } else {
                None
            }
        });
        values.sum()
    }

    /// Passes that have ended.
    pub async fn passes(&self) -> f64 {
        self.metric("zenlayer_vm_reconciles_total").await
    }

    /// Waits until so many further passes have ended.
    pub async fn further_passes(&self, count: f64) {
        let before = self.passes().await;
        self.passes_beyond(before + count).await;
    }

    /// Waits until so many passes have ended. Where something else causes one, its number is taken before.
    pub async fn passes_beyond(&self, wanted: f64) {
        eventually("further passes", Duration::from_secs(30), async || {
            let now = self.passes().await;
            if now >= wanted { Ok(()) } else { Err(format!("{now} of {wanted}")) }
        })
        .await;
    }
}
