//! What reads and writes have in common: how they are sent, and how an answer is taken in.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{
    Response, StatusCode,
    header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER},
};

use super::ClientOptions;
use crate::{ApiError, causes::with_causes, decode::Failure};

/// How much of a provider's text is kept.
const MESSAGE_LIMIT: usize = 512;

/// No redirect (a signed request must not follow one), no retry, a limit on the whole.
pub fn builder(options: &ClientOptions) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(&options.user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tls_certs_merge(options.extra_roots.certificates())
        .timeout(options.total_timeout)
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(8)
}

/// Why a body could not be taken in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BodyError {
    #[error("the body exceeds {0} bytes")]
    TooLong(usize),
    #[error("{0}")]
    Broken(String),
}

/// An answer, whatever it is.
pub struct Arrived {
    pub status: StatusCode,
    pub date: Option<Timestamp>,
    pub retry_after: Option<Duration>,
    pub body: Result<Vec<u8>, BodyError>,
    /// What of the request must not be repeated to anybody.
    proof: String,
}

/// The part of an `Authorization` header that whoever has it can use: a token, or a signature.
fn proof(authorization: &HeaderValue) -> String {
    let text = authorization.to_str().unwrap_or_default();
    let last = text.rsplit(' ').next().unwrap_or_default();
    last.strip_prefix("Signature=").unwrap_or(last).to_owned()
}

impl Arrived {
    /// Reads the whole answer, up to the limit.
    pub async fn read(mut response: Response, limit: usize, authorization: &HeaderValue) -> Self {
        let status = response.status();
        let date = response.headers().get(DATE).and_then(provider_clock);
        let retry_after = retry_after(response.headers(), date);
        let mut bytes = Vec::new();
        let body = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > limit => {
                    break Err(BodyError::TooLong(limit));
                }
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break Ok(bytes),
                Err(error) => break Err(BodyError::Broken(chain(error))),
            }
        };
        Self { status, date, retry_after, body, proof: proof(authorization) }
    }

    /// The provider's error object, or what can be said without one.
    pub fn api_error(&self) -> ApiError {
        let status = self.status.as_u16();
        let failure = self.body.as_ref().ok().and_then(|body| Failure::parse(body));
        // Whoever answers may echo the header that it refuses.
        let shown = |text: &str| shortened(&text.replace(&self.proof, "(redacted)"));
        match failure {
            Some(Failure { code, message, request_id }) => {
                ApiError { status, code: Some(shown(&code)), message: shown(&message), request_id }
            }
            None => ApiError {
                status,
                code: None,
                message: "answered by something in front of the API, without its JSON".to_owned(),
                request_id: None,
            },
        }
    }
}

/// One line of bounded length: it ends up in a condition.
fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_LIMIT).collect()
}

/// A time of HTTP (an IMF-fixdate).
fn provider_clock(value: &HeaderValue) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(value.to_str().ok()?);
    parsed.ok().map(|zoned| zoned.timestamp())
}

/// `Retry-After` in seconds, or as a time by the clock of the same answer.
fn retry_after(headers: &HeaderMap, date: Option<Timestamp>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?;
    if let Ok(seconds) = value.to_str().ok()?.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = provider_clock(value)?;
    Some(Duration::try_from(until.duration_since(date?)).unwrap_or_default())
}

/// The error with its causes, without the URL (which is the same for every call).
pub fn chain(error: reqwest::Error) -> String {
    shortened(&with_causes(&error.without_url()))
}
