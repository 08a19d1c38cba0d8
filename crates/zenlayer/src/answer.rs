//! What became of a call: the four classes of an answer to a write, and the failures of a read.

use jiff::{SignedDuration, Timestamp};

use super::{OrderNumber, RequestId, error::ErrorClass};

/// What the provider's error object said, or what stood in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The machine-readable `code`; absent when the edge answered without the provider's JSON.
    pub code: Option<String>,
    /// The provider's text, shortened; unstable, for people only.
    pub message: String,
    pub request_id: Option<RequestId>,
}

impl ApiError {
    /// The class by the error table: by `code`, and by the HTTP status only where there is none.
    pub fn class(&self) -> ErrorClass {
        super::error::classify(self.status, self.code.as_deref())
    }
}

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

/// The four classes of the answer to a mutating call (design section 4, rule 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// No byte of the request left this process: DNS, connect, TLS, or the window had closed.
    NotSent { cause: String },
    /// A 4xx with a JSON `code`, or 403, 429 or 451 from the edge.
    Refused(ApiError),
    /// A well-formed 200. The order number is absent when the provider left it out.
    Accepted { order_number: Option<OrderNumber>, request_id: Option<RequestId> },
    /// Everything else: time-out, reset, any 5xx, an unparsable 200, a redirect.
    Unknown { cause: String },
}

/// The result of a read that was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<T> {
    pub value: T,
    /// The provider's clock: the `Date` header of this very answer, if it had a valid one.
    pub date: Option<Timestamp>,
}

impl<T> Reading<T> {
    /// How far our clock, which said `ours` when the answer came, is ahead of the provider's. The
    /// header has whole seconds, and the answer took its way: exact to a second or two.
    pub fn skew(&self, ours: Timestamp) -> Option<SignedDuration> {
        self.date.map(|date| ours.duration_since(date))
    }
}

/// Why a read gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The provider (or its edge) refused, or had trouble.
    #[error("{error}")]
    Api { error: ApiError, date: Option<Timestamp> },
    /// No answer: connect, time-out, reset.
    #[error("no answer: {cause}")]
    Transport { cause: String },
    /// An answer that is not the documented envelope.
    #[error("answer not understood: {cause}")]
    Malformed { cause: String },
}

impl ReadError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Api { error, .. } => error.class(),
            Self::Transport { .. } | Self::Malformed { .. } => ErrorClass::Transient,
        }
    }

    /// The provider's clock, where the failed answer carried it.
    pub fn date(&self) -> Option<Timestamp> {
        match self {
            Self::Api { date, .. } => *date,
            Self::Transport { .. } | Self::Malformed { .. } => None,
        }
    }
}
