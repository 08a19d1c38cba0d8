//! Reads: idempotent, so a passing failure is tried again, with jitter and within a budget.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use reqwest::{StatusCode, header::HeaderValue};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Client,
    transport::{Arrived, BodyError, chain},
};
use crate::{
    Credentials, Ended, ReadError, Reading,
    decode::{DecodeError, Success},
    error::ErrorClass,
};

/// Tries of one read, the first included.
const MOST_TRIES: usize = 3;

/// A try that gave nothing.
struct Failed {
    error: ReadError,
    retry: Retry,
}

/// One request that is about to be sent, and when it was signed.
struct Sent {
    request: reqwest::RequestBuilder,
    sent_at: Timestamp,
}

/// Whether another try may help.
enum Retry {
    Never,
    /// Not before this long.
    After(Duration),
}

impl Failed {
    fn for_good(error: ReadError) -> Self {
        Self { error, retry: Retry::Never }
    }

    fn ended(&self) -> Ended<'_> {
        match &self.error {
            ReadError::Api { error, .. } => Ended::Failed(error),
            ReadError::Transport { .. } => Ended::NoAnswer,
            ReadError::Malformed { .. } => Ended::NotUnderstood,
        }
    }

    fn in_transport(cause: String) -> Self {
        let retry = Retry::After(Duration::ZERO);
        Self { error: ReadError::Transport { cause }, retry }
    }

    /// The provider's refusal: only 429 and 5xx pass by themselves, and a 429 is left to whoever keeps to
    /// a rate.
    fn refused(arrived: &Arrived, sent_at: Timestamp, keeps_a_rate: bool) -> Self {
        let error = arrived.api_error();
        let retry = match error.class() {
            ErrorClass::Throttled if keeps_a_rate => {
                Retry::After(arrived.retry_after.unwrap_or_default())
            }
            ErrorClass::Transient if arrived.status.is_server_error() => {
                Retry::After(arrived.retry_after.unwrap_or_default())
            }
            ErrorClass::Throttled
            | ErrorClass::Transient
            | ErrorClass::Terminal(_)
            | ErrorClass::Scarce(_)
            | ErrorClass::Busy(_)
            | ErrorClass::Credentials(_)
            | ErrorClass::Unknown => Retry::Never,
        };
        Self { error: ReadError::Api { error, date: arrived.date, sent_at }, retry }
    }
}

impl Client {
    pub(super) async fn read<T: Send>(
        &self,
        credentials: &Credentials,
        action: &'static str,
        body: Value,
        decode: impl Fn(&Success<'_>) -> Result<T, DecodeError> + Send + Sync,
    ) -> Result<Reading<T>, ReadError> {
        let body = body.to_string().into_bytes();
        let deadline = Instant::now() + self.options.total_timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.options.retry_pause)
            .with_max_times(MOST_TRIES - 1)
            .with_jitter();
        let attempt = || self.attempt(credentials, action, &body, &decode, left());
        let read = attempt
            .retry(pauses)
            .when(|failed: &Failed| matches!(failed.retry, Retry::After(_)))
            .adjust(|failed, pause| {
                let Retry::After(least) = failed.retry else { return None };
                pause.map(|pause| pause.max(least)).filter(|pause| *pause < left())
            })
            .notify(|failed, pause| {
                let (error, pause_ms) = (&failed.error, pause.as_millis());
                tracing::debug!(action, %error, pause_ms, "a read is tried again");
            });
        read.await.map_err(|failed| failed.error)
    }

    /// One try, signed anew.
    async fn attempt<T>(
        &self,
        credentials: &Credentials,
        action: &'static str,
        body: &[u8],
        decode: &(impl Fn(&Success<'_>) -> Result<T, DecodeError> + Sync),
        left: Duration,
    ) -> Result<Reading<T>, Failed> {
        let started = Instant::now();
        let turn = self.turn(credentials);
        if tokio::time::timeout(left, turn).await.is_err() {
            let cause = "the rate limit of this credential left no turn in time".to_owned();
            return Err(Failed::for_good(ReadError::Transport { cause }));
        }
        let sent_at = (self.now)();
        let (headers, authorization) = self
            .headers(credentials, action, body, sent_at)
            .map_err(|cause| Failed::for_good(ReadError::Transport { cause }))?;
        let limit = left.saturating_sub(started.elapsed()).min(self.options.try_timeout);
        let request = self.reads.post(self.endpoint.url().clone()).headers(headers);
        let sent = Sent { request: request.timeout(limit).body(body.to_vec()), sent_at };
        let begun = Instant::now();
        let result = self.exchange(credentials, sent, &authorization, decode).await;
        let ended = result.as_ref().map_or_else(Failed::ended, |_| Ended::Answered);
        self.observe(action, ended, begun.elapsed());
        result
    }

    /// Sends it, and takes the answer in.
    async fn exchange<T>(
        &self,
        credentials: &Credentials,
        Sent { request, sent_at }: Sent,
        authorization: &HeaderValue,
        decode: &(impl Fn(&Success<'_>) -> Result<T, DecodeError> + Sync),
    ) -> Result<Reading<T>, Failed> {
        let response = request.send().await.map_err(|error| Failed::in_transport(chain(error)))?;
        let arrived = Arrived::read(response, self.options.body_limit, authorization).await;
        if arrived.status == StatusCode::TOO_MANY_REQUESTS {
            self.throttled(credentials, arrived.retry_after);
        }
        if arrived.status != StatusCode::OK {
            return Err(Failed::refused(&arrived, sent_at, self.limiter.is_some()));
        }
        let body = arrived.body.map_err(|error| match error {
            BodyError::Broken(cause) => Failed::in_transport(cause),
            BodyError::TooLong(_) => {
                let cause = format!("HTTP 200, but {error}");
                Failed::for_good(ReadError::Malformed { cause })
            }
        })?;
        let decoded = decoded(&body, decode).map_err(Failed::for_good);
        decoded.map(|value| Reading { value, date: arrived.date, sent_at })
    }
}

/// What a 200 says. The provider's request id stays with what cannot be understood.
fn decoded<T>(
    body: &[u8],
    decode: &impl Fn(&Success<'_>) -> Result<T, DecodeError>,
) -> Result<T, ReadError> {
    let malformed = |cause| ReadError::Malformed { cause };
    let success =
        Success::parse(body).map_err(|error| malformed(format!("HTTP 200, but {error}")))?;
    decode(&success).map_err(|error| {
        malformed(match &success.request_id {
            Some(id) => format!("HTTP 200, but {error}, request {id}"),
            None => format!("HTTP 200, but {error}"),
        })
    })
}
