//! The two connections to the Kubernetes API: one for the watch, one for single calls.

use std::time::Duration;

use axum::http::{HeaderValue, Response, header::USER_AGENT};
use kube::{Client, Config, client::ClientBuilder};
use tower::util::MapResponseLayer;

use crate::telemetry::WatchHealth;

/// How the operator names itself to the Kubernetes API and to the provider.
pub const USER_AGENT_NAME: &str = concat!("vm-operator/", env!("CARGO_PKG_VERSION"));
/// Who owns the fields that the operator writes.
pub const FIELD_MANAGER: &str = "vm-operator";

/// Time limit of a single call.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Longest silence in a list, at the start of a watch, or in a watch.
const WATCH_SILENCE: Duration = Duration::from_secs(40);
/// The API server ends a watch after so many seconds, and it is asked anew: less than the longest
/// silence, so that a quiet watch is told from a dead one.
pub const WATCH_SECONDS: u32 = 30;

/// Clients of the Kubernetes API.
pub struct Connections {
    /// For lists and watches: they may be quiet, but not for ever.
    pub watches: Client,
    /// For single calls: short limits and no retry, because a repeated write would hide a conflict.
    pub calls: Client,
}

impl Connections {
    /// Connects as the Pod's ServiceAccount, or as KUBECONFIG says.
    /// `call_limit` takes the place of the usual time limit of a single call.
    pub async fn open(
        health: &WatchHealth,
        call_limit: Option<Duration>,
    ) -> Result<Self, ConnectError> {
        let mut config = Config::infer().await.map_err(|error| no_cluster(&error))?;
        config.headers.push((USER_AGENT, HeaderValue::from_static(USER_AGENT_NAME)));
        config.reset_reader_on_write = true;
        let mut calls = config.clone();
        calls.read_timeout = Some(call_limit.unwrap_or(CALL_LIMIT));
        calls.default_retry = false;
        config.read_timeout = Some(WATCH_SILENCE);
        Ok(Self { watches: observed(config, health.clone())?, calls: Client::try_from(calls)? })
    }
}

/// A client that tells when the API answers.
fn observed(config: Config, health: WatchHealth) -> Result<Client, kube::Error> {
    let told = move |response: Response<_>| {
        if response.status().is_success() {
            health.answered();
        }
        response
    };
    Ok(ClientBuilder::try_from(config)?.with_layer(&MapResponseLayer::new(told)).build())
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "find the Kubernetes API: {0}; run in a Pod, or set KUBECONFIG to a kubeconfig that can be read"
    )]
    NoCluster(String),
    #[error("connect to the Kubernetes API")]
    Client(#[from] kube::Error),
}

/// The first line only: the rest may quote a kubeconfig with its secrets.
fn no_cluster(error: &kube::config::InferConfigError) -> ConnectError {
    let text = error.to_string();
    ConnectError::NoCluster(text.lines().next().unwrap_or_default().to_owned())
}
