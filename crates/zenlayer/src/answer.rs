//! What became of a call: the four classes of an answer to a write, and the failures of a read.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{OrderNumber, RequestId, error::ErrorClass};

/// What the provider's error object said, or what stood in its place.
///
/// Nothing in it repeats the `Authorization` header of the call, whoever echoes that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The machine-readable `code`, one line of at most 512 characters; absent where the network in
    /// front of the API answered without the provider's JSON.
    pub code: Option<String>,
    /// The provider's text, one line of at most 512 characters. For people only: the provider's page
    /// "Responses" says that it may change.
    pub message: String,
    /// What the provider's support asks for.
    pub request_id: Option<RequestId>,
    /// `Retry-After` in whole seconds, at most 65,535, where it was sent; the provider has never been
    /// seen to send one.
    pub retry_after: Option<u16>,
}

impl ApiError {
    /// How long the provider asks to wait.
    pub fn pause(&self) -> Option<Duration> {
        self.retry_after.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// The class by the [error table](crate::error::TABLE): by `code`, and by the HTTP status only
    /// where there is none, or none that the table knows.
    pub fn class(&self) -> ErrorClass {
        super::error::classify(self.status, self.code.as_deref())
    }
}

impl std::error::Error for ApiError {}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code} (HTTP {}): {}", self.status, self.message)?,
            None => write!(f, "HTTP {}: {}", self.status, self.message)?,
        }
        match &self.request_id {
            Some(id) => write!(f, ", request {id}"),
            None => Ok(()),
        }
    }
}

/// The four classes of the answer to a call that changes a machine. The request was sent at most
/// once in any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// No byte of the request left this process: it could not be signed, DNS, connect or TLS failed,
    /// or the window in which it may be sent had closed. It can safely be made again.
    NotSent {
        /// What was in the way, for people.
        cause: String,
    },
    /// It had no effect: a 4xx with a JSON `code` other than one of trouble inside the service, or
    /// 403, 429 or 451 by the network in front of the API.
    Refused(ApiError),
    /// A well-formed 200: the change has begun, or is scheduled. Never that it is complete.
    Accepted {
        /// Of a [`Modify`](crate::Mutation::Modify) only; absent where the provider left it out.
        order_number: Option<OrderNumber>,
        /// What the provider's support asks for.
        request_id: Option<RequestId>,
    },
    /// Whether it took effect, or will, is not known: time-out, reset, any 5xx, a 4xx without a
    /// code, a redirect, a 200 that is not understood. Making the call again may do it twice.
    Unknown {
        /// What came instead of an answer, for people.
        cause: String,
    },
}

/// The result of a read that was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<T> {
    /// What was read.
    pub value: T,
    /// When this very answer was made by the provider's clock, in whole seconds, or earlier: its
    /// `Date` less its `Age`, the time that it has spent in caches. `None` where there is no valid
    /// `Date`, where either came twice, or where `Age` is no count of seconds.
    ///
    /// So "has this moment passed for the provider?" is never answered too early by a cache. (RFC
    /// 9111, section 5.1, has a cache leave `Date` alone; some write it anew at delivery.)
    pub date: Option<Timestamp>,
    /// When the request was signed, right before it was sent, by the client's clock.
    pub sent_at: Timestamp,
}

impl<T> Reading<T> {
    /// How far our clock, which said `ours` when the answer came, is ahead of the provider's. The
    /// header has whole seconds, and the answer took its way: exact to a second or two, and too
    /// large by as much as the answer is old.
    pub fn skew(&self, ours: Timestamp) -> Option<SignedDuration> {
        self.date.map(|date| ours.duration_since(date))
    }
}

/// Why a read gave nothing, after the tries that it was worth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The provider, or the network in front of its API, refused or had trouble.
    #[error("{error}")]
    Api {
        /// What it said.
        error: ApiError,
        /// As [`Reading::date`].
        date: Option<Timestamp>,
        /// As [`Reading::sent_at`].
        sent_at: Timestamp,
    },
    /// No answer: the request could not be signed, or no turn of the rate limit came in time, or
    /// connecting, the connection or the time ran out.
    #[error("no answer: {cause}")]
    Transport {
        /// What happened, for people.
        cause: String,
    },
    /// A 200 that is not as documented.
    #[error("answer not understood: {cause}")]
    Malformed {
        /// What is wrong with it, for people.
        cause: String,
    },
}

impl ReadError {
    /// What a caller can do about it. What is not understood counts as passing trouble.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Api { error, .. } => error.class(),
            Self::Transport { .. } | Self::Malformed { .. } => ErrorClass::Transient,
        }
    }

    /// As [`Reading::date`], where the failed answer carried it.
    pub fn date(&self) -> Option<Timestamp> {
        match self {
            Self::Api { date, .. } => *date,
            Self::Transport { .. } | Self::Malformed { .. } => None,
        }
    }
}
