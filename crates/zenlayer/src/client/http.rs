//! The client itself: what it holds, and how a request is signed. What is sent is decided above.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::{ClientOptions, limiter::Limiter, transport};
use crate::{
    Call, Credentials, Ended, Endpoint, Exchange, InstanceId, Mutation,
    signature::{ALGORITHM, Signed},
};

/// The version of the `vm` API that all official clients speak since 2026-04.
const API_VERSION: &str = "2026-04-01";
/// What the official Go and Python clients send and sign, without a charset.
const JSON: &str = "application/json";
/// How long a [call](Client::call) may take to be sent.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// How long a mutating call may take to connect, where its window is not shorter.
pub(super) const WRITES_CONNECT_WITHIN: Duration = Duration::from_millis(2500);

/// Why a client could not be made: the system's certificates cannot be read, or the `User-Agent` holds
/// what no header can carry.
#[derive(Debug, thiserror::Error)]
#[error("build the HTTP client")]
pub struct ClientError(#[source] reqwest::Error);

/// Our clock, for signing.
type Now = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// Whoever is told of each request.
type Observer = Box<dyn Fn(&Exchange<'_>) + Send + Sync>;

/// A client of one endpoint. Share one (in an [`Arc`](std::sync::Arc)) among all tasks and credentials:
/// it holds the connections of reads, and the rate limit of each credential.
///
/// Its calls are those of the trait [`Cloud`](crate::Cloud), which has to be in scope, and
/// [`list_instances`](Self::list_instances). It needs a Tokio runtime with time and I/O enabled.
pub struct Client {
    pub(super) endpoint: Endpoint,
    pub(super) options: ClientOptions,
    pub(super) now: Now,
    pub(super) reads: reqwest::Client,
    pub(super) writes: reqwest::Client,
    pub(super) limiter: Option<Limiter>,
    observer: Option<Observer>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, options, now: _, reads: _, writes: _, limiter: _, observer: _ } = self;
        f.debug_struct("Client")
            .field("endpoint", endpoint)
            .field("options", options)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that signs with the system's clock. Proxies come from the environment (`HTTPS_PROXY`,
    /// `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    ///
    /// [`ClientError`]. Nothing is sent yet.
    pub fn new(endpoint: Endpoint, options: ClientOptions) -> Result<Self, ClientError> {
        Self::with_clock(endpoint, options, Timestamp::now)
    }

    /// The same with a clock of the caller, asked before each signature. The provider refuses what is
    /// signed more than [`SIGNATURE_LIFE`](crate::SIGNATURE_LIFE) off its own clock.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_clock(
        endpoint: Endpoint,
        options: ClientOptions,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, ClientError> {
        let builder = transport::builder(&options).connect_timeout(options.connect_timeout);
        let reads = builder.build().map_err(ClientError)?;
        let writes = transport::of_writes(&options, WRITES_CONNECT_WITHIN).map_err(ClientError)?;
        let limiter = options.requests_per_second.map(|rate| Limiter::new(rate, options.burst));
        let now = Box::new(now);
        Ok(Self { endpoint, options, now, reads, writes, limiter, observer: None })
    }

    /// The same client, which tells this function of every request that it sends, each try of a read by
    /// itself. It is called in between and must not block.
    #[must_use]
    pub fn observed_by(self, observer: impl Fn(&Exchange<'_>) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Box::new(observer)), ..self }
    }

    pub(super) fn observe(&self, action: &'static str, ended: Ended<'_>, took: Duration) {
        if let Some(observer) = &self.observer {
            observer(&Exchange { action, ended, took });
        }
    }

    /// A mutating call that is signed with this moment and may be sent within 10 s. Make it after the
    /// wait for the [rate limit](crate::Cloud::ready), and never send it twice: a [`Call`] of one's
    /// own making says when it was signed, whoever has to know that later.
    pub fn call(&self, mutation: Mutation, instance_id: InstanceId) -> Call {
        Call { mutation, instance_id, signed_at: (self.now)(), send_within: SEND_WITHIN }
    }

    /// Waits for the next turn of this credential, if this client keeps to a rate.
    pub(super) async fn turn(&self, credentials: &Credentials) {
        if let Some(limiter) = &self.limiter {
            limiter.turn(credentials).await;
        }
    }

    /// The provider said 429.
    pub(super) fn throttled(&self, credentials: &Credentials, retry_after: Option<Duration>) {
        if let Some(limiter) = &self.limiter {
            limiter.throttled(credentials, retry_after);
        }
    }

    /// The headers of a call, and the one that authorises it, marked so that no layer prints it.
    pub(super) fn headers(
        &self,
        credentials: &Credentials,
        action: &'static str,
        body: &[u8],
        signed_at: Timestamp,
    ) -> Result<(HeaderMap, HeaderValue), String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        for (name, value) in
            [("x-zc-action", action), ("x-zc-version", API_VERSION), ("x-zc-service", "vm")]
        {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let authorization = match credentials {
            Credentials::Token(token) => format!("Bearer {}", token.expose_secret()),
            Credentials::AccessKey { id, password } => {
                let timestamp = signed_at.as_second();
                headers.insert("x-zc-timestamp", HeaderValue::from(timestamp));
                headers.insert("x-zc-signature-method", HeaderValue::from_static(ALGORITHM));
                let host = self.endpoint.host_header();
                Signed { timestamp, host, content_type: JSON, body }
                    .authorization(id, password.expose_secret())
            }
        };
        let mut authorization = HeaderValue::from_str(&authorization).map_err(|_| {
            "the credential holds a character that no header can carry: correct it".to_owned()
        })?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization.clone());
        Ok((headers, authorization))
    }
}
