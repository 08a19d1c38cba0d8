//! The HTTP client of the provider's `vm` API: it signs, sends, limits and classifies. One POST a
//! call; a read may be repeated, no layer ever repeats a write.
//!
//! Proxies are taken from the environment as reqwest takes them (`HTTPS_PROXY`, `HTTP_PROXY`,
//! `ALL_PROXY`, `NO_PROXY`).

mod limiter;
mod list;
mod read;
mod roots;
mod transport;
mod write;

use std::{fmt, num::NonZeroU32, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::{
    Answer, Batch, Call, CatalogueQuery, Cloud, Credentials, Endpoint, Found, Instance, InstanceId,
    InstanceIds, InstanceState, Mutation, Offer, Price, PriceInquiry, ReadError, Reading,
    TypeStatus, Zone,
    decode::DecodeError,
    error::{ErrorClass, Problem},
    request,
    signature::{ALGORITHM, Signed},
};
use limiter::Limiter;
pub use roots::{ExtraRoots, InvalidRoots};

/// The version of the `vm` API that all official clients speak since 2026-04.
const API_VERSION: &str = "2026-04-01";
/// What the official Go and Python clients send and sign, without a charset.
const JSON: &str = "application/json";
/// How long a [call](Client::call) may take to be sent.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// Our clock, for signing.
type Now = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// Limits of a client. Take the default and change what you need:
///
/// ```
/// # use zenlayer::ClientOptions;
/// let options = ClientOptions { user_agent: "stocktaking/2.1".into(), ..ClientOptions::default() };
/// ```
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// DNS, TCP and TLS together: 5 s.
    pub connect_timeout: Duration,
    /// One try of a read, with its body: 10 s.
    pub try_timeout: Duration,
    /// A whole call, with its body; for a read, with all its tries and the wait for the rate limit:
    /// 30 s.
    pub total_timeout: Duration,
    /// The first pause before a read is tried again; it doubles, and jitter is added: 500 ms.
    pub retry_pause: Duration,
    /// Largest answer, after decompression, in bytes: 4 MiB.
    pub body_limit: usize,
    /// Calls a second for each credential: 5. The provider publishes no figure.
    pub requests_per_second: NonZeroU32,
    /// Calls that may come at once: 10.
    pub burst: NonZeroU32,
    /// Certificate authorities that are trusted besides those of the system: none.
    pub extra_roots: ExtraRoots,
    /// The `User-Agent` of every call: `zenlayer-rs/` and the version of this crate.
    pub user_agent: String,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            try_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(30),
            retry_pause: Duration::from_millis(500),
            body_limit: 4 << 20,
            requests_per_second: NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN),
            burst: NonZeroU32::new(10).unwrap_or(NonZeroU32::MIN),
            extra_roots: ExtraRoots::default(),
            user_agent: concat!("zenlayer-rs/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why a client could not be made: the system's certificates cannot be read, or the `User-Agent` holds
/// what no header can carry.
#[derive(Debug, thiserror::Error)]
#[error("build the HTTP client")]
pub struct ClientError(#[source] reqwest::Error);

/// A client of one endpoint. Share one (in an [`Arc`](std::sync::Arc)) among all tasks and credentials:
/// it holds the connections of reads, and the rate limit of each credential.
///
/// Its calls are those of the trait [`Cloud`], which has to be in scope, and
/// [`list_instances`](Self::list_instances). It needs a Tokio runtime with time and I/O enabled.
pub struct Client {
    endpoint: Endpoint,
    options: ClientOptions,
    now: Now,
    reads: reqwest::Client,
    limiter: Limiter,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, options, now: _, reads: _, limiter: _ } = self;
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
        let limiter = Limiter::new(options.requests_per_second, options.burst);
        Ok(Self { endpoint, options, now: Box::new(now), reads, limiter })
    }

    /// A mutating call that is signed with this moment and may be sent within 10 s. Make it after the
    /// wait for the [rate limit](Cloud::ready), and never send it twice: a [`Call`] of one's own
    /// making says when it was signed, whoever has to know that later.
    pub fn call(&self, mutation: Mutation, instance_id: InstanceId) -> Call {
        Call { mutation, instance_id, signed_at: (self.now)(), send_within: SEND_WITHIN }
    }

    /// The headers of a call, and the one that authorises it, marked so that no layer prints it.
    fn headers(
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

    /// A batch; of one id, "no such instance" is an answer (the official Terraform provider takes it
    /// for one, too, beside an empty list).
    async fn read_batch<T: Send>(
        &self,
        credentials: &Credentials,
        action: &'static str,
        ids: &InstanceIds,
        decode: impl Fn(&super::decode::Success<'_>) -> Result<Batch<T>, DecodeError> + Send + Sync,
    ) -> Result<Reading<Batch<T>>, ReadError> {
        let read = self.read(credentials, action, request::by_ids(ids), decode).await;
        match ids.only() {
            Some(id) => or_gone(read, || Batch::from([(id.clone(), Found::Missing)])),
            None => read,
        }
    }
}

/// Turns the refusal "no such instance" into a value.
fn or_gone<T>(
    read: Result<Reading<T>, ReadError>,
    gone: impl FnOnce() -> T,
) -> Result<Reading<T>, ReadError> {
    match read {
        Err(ReadError::Api { error, date })
            if error.class() == ErrorClass::Terminal(Problem::InstanceNotFound) =>
        {
            Ok(Reading { value: gone(), date })
        }
        read => read,
    }
}

#[async_trait]
impl Cloud for Client {
    async fn describe_instances(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<Instance>>, ReadError> {
        self.read_batch(credentials, "DescribeInstances", ids, |body| body.instances(ids)).await
    }

    async fn describe_states(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<InstanceState>>, ReadError> {
        self.read_batch(credentials, "DescribeInstancesStatus", ids, |body| body.states(ids)).await
    }

    async fn describe_type_status(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<TypeStatus>>, ReadError> {
        let action = "DescribeInstanceTypeStatus";
        let decode = |body: &super::decode::Success<'_>| body.type_status(id).map(Some);
        or_gone(self.read(credentials, action, request::by_id(id), decode).await, || None)
    }

    async fn describe_catalogue(
        &self,
        credentials: &Credentials,
        query: &CatalogueQuery,
    ) -> Result<Reading<Vec<Offer>>, ReadError> {
        let action = "DescribeZoneInstanceConfigInfos";
        let decode = |body: &super::decode::Success<'_>| body.catalogue(query);
        self.read(credentials, action, request::catalogue(query), decode).await
    }

    async fn inquire_price(
        &self,
        credentials: &Credentials,
        inquiry: &PriceInquiry,
    ) -> Result<Reading<Price>, ReadError> {
        let body = request::price(inquiry);
        self.read(credentials, "InquiryPriceCreateInstance", body, |body| body.price()).await
    }

    async fn describe_zones(
        &self,
        credentials: &Credentials,
    ) -> Result<Reading<Vec<Zone>>, ReadError> {
        let body = serde_json::json!({});
        self.read(credentials, "DescribeZones", body, |body| body.zones()).await
    }

    async fn ready(&self, credentials: &Credentials) {
        self.limiter.turn(credentials).await;
    }

    async fn mutate(&self, credentials: &Credentials, call: &Call) -> Answer {
        self.write(credentials, call).await
    }
}
