//! What can go wrong with a call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The steps of a call. Of the rules that match a call, one is played in each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// On the way to the service.
    Arrival,
    /// The time that the service reads.
    Clock,
    /// What the service decides.
    Decision,
    /// What the answer says.
    Answer,
    /// How the answer travels.
    Delivery,
    /// The Date header.
    Date,
}

// Struct variants also where nothing is inside: serde ignores unknown fields of unit variants.
/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum FaultKind {
    /// The request arrives late: it is only looked at after this many seconds of the simulated
    /// clock, even if its signature has expired or the client has gone away by then.
    LateRequest { seconds: f64 },
    /// The simulated clock is ahead by this many seconds (negative: behind) when the signature is
    /// checked, and in the Date header.
    ClockSkew { seconds: f64 },
    /// The call is refused with this code and has no effect. Without a status, the one that belongs
    /// to the code is sent; without retryAfter, there is no Retry-After header.
    Error {
        code: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// The call is accepted, but its effect begins only after this many seconds of the simulated
    /// clock.
    RegistrationLag { seconds: f64 },
    /// The call is accepted, but never has an effect.
    FailsSilently {},
    /// An HTML page instead of JSON, as from the service or from a proxy in front of it.
    Page { page: Page },
    /// This body is sent instead of the answer; the call has no effect.
    Body {
        status: u16,
        body: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
    },
    /// The call has its effect; `response` is null.
    NullResponse {},
    /// The call has its effect; the answer has no `response`.
    MissingResponse {},
    /// The call has its effect; the answer has status 200, and a code and a message instead of
    /// `response`.
    SuccessWithCode {
        #[serde(default = "internal")]
        code: String,
    },
    /// The call has its effect; the answer has this content type.
    ContentType { value: String },
    /// The call has its effect; a field of `response` has this value. The path is written like
    /// `dataSet.*.instanceStatus`, where `*` means each item of a list.
    SetField { path: String, value: Value },
    /// The call has its effect; a field of `response` is missing. The path is written as in
    /// setField.
    RemoveField { path: String },
    /// The call has its effect; every object of the answer has an additional, unknown field.
    ExtraFields {},
    /// The call has its effect; the body ends after this many bytes, fewer than Content-Length says.
    TruncatedBody {
        #[serde(default)]
        bytes: usize,
    },
    /// The call has its effect; the answer is filled up with spaces to this many bytes. It is sent
    /// uncompressed, whatever the client accepts.
    OverlongBody { bytes: usize },
    /// The call has its effect; the body is sent in small pieces, over this many real seconds.
    SlowBody { seconds: f64 },
    /// The call has its effect at once; the answer is sent after this many real seconds.
    DelayAnswer { seconds: f64 },
    /// The connection is reset; the call has no effect.
    DropBefore {},
    /// The call has its effect; the connection is reset without an answer.
    DropAfter {},
    /// The connection is reset, the call has no effect, and the listeners are closed for this many
    /// real seconds: the operating system refuses new connections.
    RefuseConnections { seconds: f64 },
    /// The Date header is ahead by this many seconds (negative: behind).
    DateSkew { seconds: f64 },
    /// The Date header is missing.
    DateMissing {},
}

fn internal() -> String {
    "INTERNAL_SERVER_ERROR".to_owned()
}

/// The pages of [`FaultKind::Page`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Page {
    /// 500, as a web server sends it.
    InternalError,
    /// 502, as a proxy in front of the service sends it.
    BadGateway,
    /// 503, as a proxy in front of the service sends it.
    Unavailable,
    /// 403 with `cf-mitigated: challenge`.
    Challenge,
    /// 451.
    Blocked,
}

impl Page {
    pub fn status(self) -> u16 {
        match self {
            Self::InternalError => 500,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
            Self::Challenge => 403,
            Self::Blocked => 451,
        }
    }

    pub fn html(self) -> String {
        let title = match self {
            Self::InternalError => "500 Internal Server Error",
            Self::BadGateway => "502 Bad Gateway",
            Self::Unavailable => "503 Service Temporarily Unavailable",
            Self::Challenge => "Just a moment...",
            Self::Blocked => "451 Unavailable For Legal Reasons",
        };
        format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\
             <body><h1>{title}</h1></body></html>\n"
        )
    }
}

impl FaultKind {
    pub fn step(&self) -> Step {
        match self {
            Self::LateRequest { .. } => Step::Arrival,
            Self::ClockSkew { .. } => Step::Clock,
            Self::Error { .. } | Self::RegistrationLag { .. } | Self::FailsSilently {} => {
                Step::Decision
            }
            Self::Page { .. }
            | Self::Body { .. }
            | Self::NullResponse {}
            | Self::MissingResponse {}
            | Self::SuccessWithCode { .. }
            | Self::ContentType { .. }
            | Self::SetField { .. }
            | Self::RemoveField { .. }
            | Self::ExtraFields {} => Step::Answer,
            Self::TruncatedBody { .. }
            | Self::OverlongBody { .. }
            | Self::SlowBody { .. }
            | Self::DelayAnswer { .. }
            | Self::DropBefore {}
            | Self::DropAfter {}
            | Self::RefuseConnections { .. } => Step::Delivery,
            Self::DateSkew { .. } | Self::DateMissing {} => Step::Date,
        }
    }

    /// Whether the call takes effect beneath the fault, where the rule doesn't say.
    pub fn has_effect(&self) -> bool {
        !matches!(
            self,
            Self::Error { .. }
                | Self::Page { .. }
                | Self::Body { .. }
                | Self::DropBefore {}
                | Self::RefuseConnections { .. }
        )
    }

    /// What the request log calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LateRequest { .. } => "lateRequest",
            Self::ClockSkew { .. } => "clockSkew",
            Self::Error { .. } => "error",
            Self::RegistrationLag { .. } => "registrationLag",
            Self::FailsSilently {} => "failsSilently",
            Self::Page { .. } => "page",
            Self::Body { .. } => "body",
            Self::NullResponse {} => "nullResponse",
            Self::MissingResponse {} => "missingResponse",
            Self::SuccessWithCode { .. } => "successWithCode",
            Self::ContentType { .. } => "contentType",
            Self::SetField { .. } => "setField",
            Self::RemoveField { .. } => "removeField",
            Self::ExtraFields {} => "extraFields",
            Self::TruncatedBody { .. } => "truncatedBody",
            Self::OverlongBody { .. } => "overlongBody",
            Self::SlowBody { .. } => "slowBody",
            Self::DelayAnswer { .. } => "delayAnswer",
            Self::DropBefore {} => "dropBefore",
            Self::DropAfter {} => "dropAfter",
            Self::RefuseConnections { .. } => "refuseConnections",
            Self::DateSkew { .. } => "dateSkew",
            Self::DateMissing {} => "dateMissing",
        }
    }

    /// Refuses numbers that cannot be played.
    pub fn check(&self) -> Result<(), (String, String)> {
        let seconds = |seconds: f64, least: f64| {
            if (least..=1e9).contains(&seconds) {
                return Ok(());
            }
            Err(("seconds".to_owned(), format!("is {seconds}: write a number from {least} to 1e9")))
        };
        match self {
            Self::LateRequest { seconds: length }
            | Self::RegistrationLag { seconds: length }
            | Self::SlowBody { seconds: length }
            | Self::DelayAnswer { seconds: length }
            | Self::RefuseConnections { seconds: length } => seconds(*length, 0.0),
            Self::ClockSkew { seconds: length } | Self::DateSkew { seconds: length } => {
                seconds(*length, -1e9)
            }
            Self::Error { status: Some(status), .. } | Self::Body { status, .. }
                if !(200..=599).contains(status) =>
            {
                Err(("status".to_owned(), format!("is {status}: write a number from 200 to 599")))
            }
            Self::OverlongBody { bytes } if *bytes > 1 << 30 => {
                Err(("bytes".to_owned(), "is above 1 GiB: write at most 1073741824".to_owned()))
            }
            _ => Ok(()),
        }
    }
}
