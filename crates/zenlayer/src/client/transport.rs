//! What reads and writes have in common: how they are sent, and how an answer is taken in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::{
    Response, StatusCode,
    header::{AGE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
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

/// For mutating calls: no pool, so each has a connection of its own, and hyper has no dead one on which it
/// would repeat the request; and HTTP/1.1, so no GOAWAY makes it do so.
pub fn of_writes(options: &ClientOptions, connect: Duration) -> reqwest::Result<reqwest::Client> {
    builder(options)
        .connect_timeout(options.connect_timeout.min(connect))
        .pool_max_idle_per_host(0)
        .http1_only()
        .build()
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

/// The part of an `Authorization` header that whoever has it can use: a whole token (spaces and all,
/// except at its ends, where HTTP drops them), or a signature. It may be empty.
fn proof(authorization: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(authorization.as_bytes());
    let token = text.strip_prefix("Bearer ");
    let proof = token.or_else(|| text.rsplit_once("Signature=").map(|(_, signature)| signature));
    proof.unwrap_or(&text).trim().to_owned()
}

impl Arrived {
    /// Reads the whole answer, up to the limit.
    pub async fn read(mut response: Response, limit: usize, authorization: &HeaderValue) -> Self {
        let status = response.status();
        let date = generated_at(response.headers());
        let retry_after = retry_after(response.headers());
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

    /// Without the proof. An empty one is found between all characters, and hides nothing.
    fn redacted(&self, text: &str) -> String {
        if self.proof.is_empty() {
            return text.to_owned();
        }
        text.replace(&self.proof, "(redacted)")
    }

    /// The provider's error object, or what can be said without one.
    pub fn api_error(&self) -> ApiError {
        let status = self.status.as_u16();
        let failure = self.body.as_ref().ok().and_then(|body| Failure::parse(body));
        // Whoever answers may echo the header that it refuses.
        let shown = |text: &str| shortened(&self.redacted(text));
        let retry_after =
            self.retry_after.map(|pause| u16::try_from(pause.as_secs()).unwrap_or(u16::MAX));
        match failure {
            Some(Failure { code, message, request_id }) => {
                let (code, message) = (Some(shown(&code)), shown(&message));
                ApiError { status, code, message, request_id, retry_after }
            }
            None => ApiError {
                status,
                code: None,
                message: "answered by something in front of the API, without its JSON".to_owned(),
                request_id: None,
                retry_after,
            },
        }
    }
}

/// One line of bounded length: it ends up in a condition.
fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_LIMIT).collect()
}

/// When the answer was made, by the provider's clock, or earlier: `Date` less `Age`.
///
/// `Age` is the time that an answer has spent in caches (RFC 9111, section 5.1). A cache that keeps
/// to the rules leaves `Date` as the origin wrote it, and one that does not may write the time of
/// delivery; the difference is too early for the one and right for the other. Too early is safe for
/// whoever asks "has that moment passed for the provider?"; too late is not. A header that came twice,
/// or an `Age` that is no count of seconds, leaves nothing to rely on.
fn generated_at(headers: &HeaderMap) -> Option<Timestamp> {
    let date = http_time(only(headers, DATE)?)?;
    if !headers.contains_key(AGE) {
        return Some(date);
    }
    let age = SignedDuration::from_secs(delta_seconds(only(headers, AGE)?)?);
    date.checked_sub(age).ok()
}

/// The header's value, where it came once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// A time of HTTP (an IMF-fixdate).
fn http_time(value: &HeaderValue) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(value.to_str().ok()?);
    parsed.ok().map(|zoned| zoned.timestamp())
}

/// A time span of HTTP: digits, and nothing else.
fn delta_seconds(value: &HeaderValue) -> Option<i64> {
    let text = value.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `Retry-After` in seconds, or as a time by the `Date` of the same answer.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = only(headers, RETRY_AFTER)?;
    if let Some(seconds) = delta_seconds(value) {
        return u64::try_from(seconds).ok().map(Duration::from_secs);
    }
    let until = http_time(value)?;
    let date = http_time(only(headers, DATE)?)?;
    Some(Duration::try_from(until.duration_since(date)).unwrap_or_default())
}

/// The error with its causes, without the URL (which is the same for every call).
pub fn chain(error: reqwest::Error) -> String {
    shortened(&with_causes(&error.without_url()))
}
