//! The HTTP client of the provider's `vm` API: it signs, sends, limits and classifies. One POST a
//! call; a read may be repeated, no layer ever repeats a write.
//!
//! Proxies are taken from the environment as reqwest takes them (`HTTPS_PROXY`, `HTTP_PROXY`,
//! `ALL_PROXY`, `NO_PROXY`).

mod limiter;
mod read;
mod roots;
mod transport;
mod write;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::{
    Answer, Batch, Call, CatalogueQuery, Cloud, Credentials, Endpoint, Found, Instance, InstanceId,
    InstanceIds, InstanceState, Offer, Price, PriceInquiry, ReadError, Reading, TypeStatus, Zone,
    decode::DecodeError,
    error::{ErrorClass, Problem},
    request,
    signature::{ALGORITHM, Signed},
};
use limiter::Limiter;
pub use roots::{ExtraRoots, InvalidRoots};

/// The version of the `vm` API (fact sheet section 1).
const API_VERSION: &str = "2026-04-01";
/// What all official clients send and sign, without a charset (fact sheet 2.1).
const JSON: &str = "application/json";

/// Our clock, for signing reads.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Limits of a client.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// One try of a read, with its body.
    pub try_timeout: Duration,
    /// A whole call, with its body; for a read, with all its tries.
    pub total_timeout: Duration,
    /// The first pause before a read is tried again; it doubles, and jitter is added.
    pub retry_pause: Duration,
    /// Largest answer, after decompression, in bytes.
    pub body_limit: usize,
    /// Calls a second for each credential. The provider publishes no figure (fact sheet section 6).
    pub requests_per_second: NonZeroU32,
    /// Calls that may come at once.
    pub burst: NonZeroU32,
    /// Certificate authorities that are trusted besides those of the system.
    pub extra_roots: ExtraRoots,
    /// The `User-Agent` of every call: a product and its version, as a header can carry it.
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

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("build the HTTP client")]
pub struct ClientError(#[from] reqwest::Error);

/// A client of one endpoint, shared by all credentials.
pub struct Client {
    endpoint: Endpoint,
    options: ClientOptions,
    now: Now,
    reads: reqwest::Client,
    limiter: Limiter,
}

impl Client {
    pub fn new(endpoint: Endpoint, options: ClientOptions, now: Now) -> Result<Self, ClientError> {
        let reads =
            transport::builder(&options).connect_timeout(options.connect_timeout).build()?;
        let limiter = Limiter::new(options.requests_per_second, options.burst);
        Ok(Self { endpoint, options, now, reads, limiter })
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

    /// A batch; of one id, "no such instance" is an answer (fact sheet section 7.3).
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
