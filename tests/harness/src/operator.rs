//! The operator as a process.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    Wire, binary, control_plane::free_port, eventually, processes::Process, proxies::http_client,
    records::Answers,
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
    answers: Arc<Mutex<Answers>>,
    _folder: TempDir,
}

fn add(answers: &Mutex<Answers>, path: &str, status: u16, text: &str) {
    answers.lock().unwrap_or_else(PoisonError::into_inner).add(path, status, text);
}

/// What `/metrics` says now. It is asked while a test ends, so without a runtime.
fn last_scrape(port: u16) -> std::io::Result<String> {
    const LIMIT: Duration = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It is scraped for the last time.
        self.process.kill();
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).keep();
    }
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
        let mut process = Process::start("vm-operator", command, &log).expect("it can be started");
        let answers = Arc::new(Mutex::new(Answers::default()));
        let kept = answers.clone();
        process.before_kill(move || {
            // One that is not up yet, or on its way down, has no metrics.
            if let Ok(text) = last_scrape(port) {
                add(&kept, "metrics", 200, &text);
            }
        });
        if let Some(wire) = &wire {
            wire.shows(process.log_file());
        }
        Self { process, port, wire, answers, _folder: folder }
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
        let text = answer.text().await.map_err(|error| error.to_string())?;
        add(&self.answers, path, status, &text);
        Ok((status, text))
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
