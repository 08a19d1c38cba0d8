//! The HTTP client of the provider's `vm` API: it signs, sends, limits and classifies. One POST a
//! call; no layer below repeats a write.

use std::{error::Error as _, num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::digest;
use governor::DefaultKeyedRateLimiter;
use jiff::Timestamp;
use reqwest::{
    Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    Answer, ApiError, Cloud, Credentials, Endpoint, Instance, InstanceId, ModifyInstanceType,
    ReadError, Reading, TypeStatus,
    decode::{self, DecodeError},
    error::{ErrorClass, Problem},
    signature::{ALGORITHM, Signed},
};

/// The version of the `vm` API (fact sheet section 1).
const API_VERSION: &str = "2026-04-01";
/// What all official clients send and sign, without a charset (fact sheet 2.1).
const JSON: &str = "application/json";
/// How much of a provider's text is kept.
const MESSAGE_LIMIT: usize = 512;

/// Our clock, for signing reads.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Limits of a client.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// A whole call, with its body.
    pub total_timeout: Duration,
    /// Largest answer, after decompression, in bytes.
    pub body_limit: usize,
    /// Calls a second for each credential. The provider publishes no figure (fact sheet section 6).
    pub requests_per_second: NonZeroU32,
    /// Calls that may come at once.
    pub burst: NonZeroU32,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(30),
            body_limit: 4 << 20,
            requests_per_second: NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN),
            burst: NonZeroU32::new(10).unwrap_or(NonZeroU32::MIN),
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
    limiter: DefaultKeyedRateLimiter<Vec<u8>>,
}

/// A 200 with its body, or whatever else came.
struct Arrived {
    status: StatusCode,
    date: Option<Timestamp>,
    body: Result<Vec<u8>, String>,
}

impl Client {
    pub fn new(endpoint: Endpoint, options: ClientOptions, now: Now) -> Result<Self, ClientError> {
        let reads = builder(&options).connect_timeout(options.connect_timeout).build()?;
        let quota =
            governor::Quota::per_second(options.requests_per_second).allow_burst(options.burst);
        let limiter = DefaultKeyedRateLimiter::keyed(quota);
        Ok(Self { endpoint, options, now, reads, limiter })
    }

    async fn wait_for_turn(&self, credentials: &Credentials) {
        self.limiter.until_key_ready(&limiter_key(credentials)).await;
    }

    /// The headers of a call; those that authorise are marked so that no layer prints them.
    fn headers(
        &self,
        credentials: &Credentials,
        action: &'static str,
        body: &[u8],
        signed_at: Timestamp,
    ) -> Result<HeaderMap, String> {
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
            "the credential holds a character that no header can carry: correct the Secret"
                .to_owned()
        })?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        Ok(headers)
    }

    /// Reads the whole answer, up to the limit.
    async fn arrived(&self, mut response: Response) -> Arrived {
        let status = response.status();
        let date = response.headers().get(DATE).and_then(provider_clock);
        let mut bytes = Vec::new();
        let body = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > self.options.body_limit => {
                    break Err(format!("the body exceeds {} bytes", self.options.body_limit));
                }
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break Ok(bytes),
                Err(error) => break Err(chain(error)),
            }
        };
        Arrived { status, date, body }
    }

    /// One read. `None`: the provider says that there is no such instance.
    async fn read<T>(
        &self,
        credentials: &Credentials,
        action: &'static str,
        body: Value,
        decoder: impl Fn(&serde_json::Map<String, Value>) -> Result<Option<T>, DecodeError> + Send,
    ) -> Result<Reading<Option<T>>, ReadError> {
        self.wait_for_turn(credentials).await;
        let transport = |cause| ReadError::Transport { cause };
        let body = body.to_string().into_bytes();
        let headers = self.headers(credentials, action, &body, (self.now)()).map_err(transport)?;
        let request = self.reads.post(self.endpoint.url().clone()).headers(headers).body(body);
        let response = request.send().await.map_err(|error| transport(chain(error)))?;
        let Arrived { status, date, body } = self.arrived(response).await;
        if status != StatusCode::OK {
            let error = api_error(status, body.as_deref().unwrap_or_default());
            return match error.class() {
                ErrorClass::Terminal(Problem::InstanceNotFound) => {
                    Ok(Reading { value: None, date })
                }
                _ => Err(ReadError::Api { error, date }),
            };
        }
        let body = body.map_err(transport)?;
        let value = decode::envelope(&body)
            .and_then(|response| decoder(&response))
            .map_err(|error| ReadError::Malformed { cause: error.to_string() })?;
        Ok(Reading { value, date })
    }
}

#[async_trait]
impl Cloud for Client {
    async fn ready(&self, credentials: &Credentials) {
        self.wait_for_turn(credentials).await;
    }

    async fn describe_instance(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<Instance>>, ReadError> {
        let body = json!({ "instanceIds": [id.as_str()], "pageSize": 1, "pageNum": 1 });
        self.read(credentials, "DescribeInstances", body, |response| decode::instance(response, id))
            .await
    }

    async fn describe_type_status(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<TypeStatus>>, ReadError> {
        let body = json!({ "instanceId": id.as_str() });
        self.read(credentials, "DescribeInstanceTypeStatus", body, |response| {
            decode::type_status(response, id).map(Some)
        })
        .await
    }

    async fn modify_instance_type(
        &self,
        credentials: &Credentials,
        call: &ModifyInstanceType,
    ) -> Answer {
        let not_sent = |cause| Answer::NotSent { cause };
        if call.send_within.is_zero() {
            return not_sent("the window in which it may be sent has passed".to_owned());
        }
        let body = json!({
            "instanceId": call.instance_id.as_str(),
            "instanceTypeId": call.instance_type_id.as_str(),
        });
        let body = body.to_string().into_bytes();
        let headers = match self.headers(credentials, "ModifyInstanceType", &body, call.signed_at) {
            Ok(headers) => headers,
            Err(cause) => return not_sent(cause),
        };
        // A client of its own: no pool, so hyper has no dead connection on which it would repeat
        // the request, and HTTP/1.1, so no GOAWAY does. Connecting counts against the window.
        let client = builder(&self.options)
            .connect_timeout(call.send_within.min(self.options.connect_timeout))
            .pool_max_idle_per_host(0)
            .http1_only()
            .build();
        let client = match client {
            Ok(client) => client,
            Err(error) => return not_sent(chain(error)),
        };
        let request = client.post(self.endpoint.url().clone()).headers(headers).body(body);
        match request.send().await {
            Ok(response) => write_answer(self.arrived(response).await),
            Err(error) if error.is_connect() || error.is_builder() => not_sent(chain(error)),
            Err(error) => Answer::Unknown { cause: chain(error) },
        }
    }
}

/// What reads and writes have in common: no redirect (a signed request must not follow one), no
/// retry, a limit on the whole.
fn builder(options: &ClientOptions) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("zenlayer-vm-operator/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(options.total_timeout)
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(8)
}

/// The class of an answer to a write (design section 4, rule 4).
fn write_answer(arrived: Arrived) -> Answer {
    let Arrived { status, body, .. } = arrived;
    if status == StatusCode::OK {
        let decoded =
            body.and_then(|body| decode::envelope(&body).map_err(|error| error.to_string()));
        return match decoded {
            Ok(response) => Answer::Accepted {
                order_number: decode::order_number(&response),
                request_id: decode::request_id(&response),
            },
            Err(cause) => Answer::Unknown { cause: format!("HTTP 200, but {cause}") },
        };
    }
    let error = api_error(status, body.as_deref().unwrap_or_default());
    let by_code = status.is_client_error() && error.code.is_some();
    let by_edge = matches!(status.as_u16(), 403 | 429 | 451);
    if by_code || by_edge {
        return Answer::Refused(error);
    }
    Answer::Unknown { cause: error.to_string() }
}

/// The provider's error object, or what can be said without one.
fn api_error(status: StatusCode, body: &[u8]) -> ApiError {
    match decode::error_object(body) {
        Some((code, message, request_id)) => ApiError {
            status: status.as_u16(),
            code: Some(shortened(&code)),
            message: shortened(&message),
            request_id,
        },
        None => ApiError {
            status: status.as_u16(),
            code: None,
            message: "answered by something in front of the API, without its JSON".to_owned(),
            request_id: None,
        },
    }
}

/// One line of bounded length: it ends up in a condition.
fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_LIMIT).collect()
}

/// The `Date` header (an IMF-fixdate).
fn provider_clock(value: &HeaderValue) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(value.to_str().ok()?);
    parsed.ok().map(|zoned| zoned.timestamp())
}

/// The error with its causes, without the URL (which is the same for every call).
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    shortened(&text)
}

/// Tells credentials apart without keeping them.
fn limiter_key(credentials: &Credentials) -> Vec<u8> {
    let secret = match credentials {
        Credentials::AccessKey { id, .. } => id.as_str(),
        Credentials::Token(token) => token.expose_secret(),
    };
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().to_vec()
}
