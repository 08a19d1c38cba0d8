//! The connections to the Kubernetes API: one for each watch, one for single calls.

use std::{task::Poll, time::Duration};

use axum::{
    BoxError,
    body::{Bytes, HttpBody},
    http::{HeaderValue, Response, Uri, header},
};
use backon::ExponentialBuilder;
use futures::{StreamExt, TryStreamExt, stream};
use http_body_util::{BodyStream, StreamBody};
use hyper_util::client::proxy::matcher::Matcher;
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
    runtime::watcher::ExponentialBackoff,
};
use tower::util::MapResponseLayer;

use crate::telemetry::{USER_AGENT, WatchHealth};

/// Who owns the fields that the operator writes.
pub const FIELD_MANAGER: &str = "vm-operator";

/// Time limit of a single call.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Longest silence in a list, or at the start of a watch. A watch that runs is begun anew by itself soon
/// after its time is over.
const WATCH_SILENCE: Duration = Duration::from_secs(40);
/// The API server ends a watch after so many seconds, and it is asked anew: less than the longest
/// silence, so that a quiet watch is told from a dead one.
pub const WATCH_SECONDS: u32 = 30;

/// Longest pause before a watch that failed starts again. What the cache does not know yet holds back every
/// write of a pass, so it is not left behind for long.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Growing pauses up to this one, without chance: there is one watch.
pub fn watch_pauses(longest: Duration) -> ExponentialBackoff {
    let first = Duration::from_millis(500).min(longest);
    let growing = ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest);
    growing.without_max_times().into()
}

/// Clients of the Kubernetes API.
pub struct Connections {
    /// For lists and watches of objects: they may be quiet, but not for ever.
    pub watches: Client,
    /// The same for slots. That they are told of says nothing of the objects.
    pub slots: Client,
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
        let mut config = config().await?;
        config.headers.push((header::USER_AGENT, HeaderValue::from_static(USER_AGENT)));
        config.reset_reader_on_write = true;
        let mut calls = config.clone();
        calls.read_timeout = Some(call_limit.unwrap_or(CALL_LIMIT));
        calls.default_retry = false;
        config.read_timeout = Some(WATCH_SILENCE);
        Ok(Self {
            slots: Client::try_from(config.clone())?,
            watches: observed(config, health.clone())?,
            calls: Client::try_from(calls)?,
        })
    }
}

/// That of a kubeconfig; without one, that of the Pod.
async fn config() -> Result<Config, ConnectError> {
    let kubeconfig = match Kubeconfig::read() {
        Ok(kubeconfig) => kubeconfig,
        Err(error) if is_absent(&error) => {
            return Config::incluster().map_err(|_| no_cluster(&error));
        }
        Err(error) => return Err(no_cluster(&error)),
    };
    let named = named(&kubeconfig);
    let read = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = read.map_err(|error| match error {
        KubeconfigError::ParseProxyUrl(_) => ConnectError::Proxy,
        KubeconfigError::ParseNoProxy(_) => ConnectError::NoProxy,
        error => no_cluster(&error),
    })?;
    config.proxy_url = proxy(named, &config.cluster_url)?;
    Ok(config)
}

/// Whether nobody has named a kubeconfig, and there is none at the usual place.
fn is_absent(error: &KubeconfigError) -> bool {
    let named = std::env::var_os("KUBECONFIG").is_some_and(|paths| !paths.is_empty());
    let missing = match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(cause, _) => cause.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    missing && !named
}

/// The proxy of a kubeconfig, or the one that the environment names for the API server. kube compares
/// NO_PROXY with the address of the proxy itself, so the matcher decides that reqwest has, too.
fn proxy(named: Option<String>, server: &Uri) -> Result<Option<Uri>, ConnectError> {
    let Some(text) = named.or_else(|| of_environment(server)) else { return Ok(None) };
    let text = if text.contains("://") { text } else { format!("http://{text}") };
    let uri: Uri = text.parse().map_err(|_| ConnectError::Proxy)?;
    if uri.scheme_str() == Some("http") { Ok(Some(uri)) } else { Err(ConnectError::Proxy) }
}

/// The proxy that the current context of a kubeconfig names.
fn named(kubeconfig: &Kubeconfig) -> Option<String> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|one| one.name == *current)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|one| one.name == context.cluster)?;
    cluster.cluster.as_ref()?.proxy_url.clone().filter(|text| !text.is_empty())
}

fn of_environment(server: &Uri) -> Option<String> {
    Matcher::from_env().intercept(server)?;
    let scheme = match server.scheme_str() {
        Some("http") => ["HTTP_PROXY", "http_proxy"],
        _ => ["HTTPS_PROXY", "https_proxy"],
    };
    let names = scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]);
    names.filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
}

/// The body of an answer, as the client hands it on.
type Answered = Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send + Unpin>;

/// A client that tells when the API answers: when something of an answer comes, or its end. The headers
/// of a watch say nothing about its events.
fn observed(config: Config, health: WatchHealth) -> Result<Client, kube::Error> {
    let told = move |response: Response<Answered>| {
        let success = response.status().is_success();
        response.map(|body| if success { told_of(body, health.clone()) } else { body })
    };
    Ok(ClientBuilder::try_from(config)?.with_layer(&MapResponseLayer::new(told)).build())
}

fn told_of(body: Answered, health: WatchHealth) -> Answered {
    let ended = health.clone();
    let frames = BodyStream::new(body).inspect_ok(move |_| health.answered());
    let end = stream::poll_fn(move |_| {
        ended.answered();
        Poll::Ready(None)
    });
    Box::new(StreamBody::new(frames.chain(end)))
}

/// Why there is no connection. No text shows a proxy: its address may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "cannot find the Kubernetes API: {0}; run in a Pod, or set KUBECONFIG to a kubeconfig that can be \
         read"
    )]
    NoCluster(String),
    #[error(
        "the proxy for the Kubernetes API (HTTPS_PROXY, ALL_PROXY, or proxy-url in the kubeconfig) is not \
         valid: write it as http://HOST:PORT, or name the API server in NO_PROXY"
    )]
    Proxy,
    #[error(
        "NO_PROXY is not valid: write hosts, addresses or networks, with one comma between two and none \
         at the end"
    )]
    NoProxy,
    #[error("cannot connect to the Kubernetes API")]
    Client(#[from] kube::Error),
}

/// The first line only: the rest may quote a kubeconfig with its secrets.
fn no_cluster(error: &KubeconfigError) -> ConnectError {
    let text = error.to_string();
    ConnectError::NoCluster(text.lines().next().unwrap_or_default().to_owned())
}
