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
    /// The request is delivered late: everything about it is decided only after so many seconds of
    /// the service's clock, also when its signature has expired by then, and also when the client
    /// has gone away.
    LateRequest { seconds: f64 },
    /// The service's clock is ahead by so many seconds (negative: behind) when it judges the
    /// signature, and in the Date header.
    ClockSkew { seconds: f64 },
    /// The call is refused with this code, before anything happens. Without a status it is the one
    /// that belongs to the code; without retryAfter there is no such header.
    Error {
        code: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// The call is accepted; its effect begins only so many seconds of the service's clock later.
    RegistrationLag { seconds: f64 },
    /// The call is accepted and never takes effect.
    FailsSilently {},
    /// A page that is no JSON, of the service or of the network edge before it.
    Page { page: Page },
    /// This body comes instead of the answer.
    Body {
        status: u16,
        body: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
    },
    /// The effect happens; `response` is null.
    NullResponse {},
    /// The effect happens; the answer has no `response`.
    MissingResponse {},
    /// The effect happens; the answer is of status 200 and carries a code and a message in place
    /// of `response`.
    SuccessWithCode {
        #[serde(default = "internal")]
        code: String,
    },
    /// The effect happens; the answer names this content type.
    ContentType { value: String },
    /// The effect happens; a field of `response` has this value, such as
    /// `dataSet.*.instanceStatus`, where `*` stands for each item of a list.
    SetField { path: String, value: Value },
    /// The effect happens; a field of `response` is missing, named as in setField.
    RemoveField { path: String },
    /// The effect happens; every object of the answer has a field that nobody knows.
    ExtraFields {},
    /// The effect happens; the body ends after so many bytes, although its length promises more.
    TruncatedBody {
        #[serde(default)]
        bytes: usize,
    },
    /// The effect happens; spaces follow the answer until it has so many bytes. It is not
    /// compressed, whatever the client accepts.
    OverlongBody { bytes: usize },
    /// The effect happens; the body comes in small pieces, over so many real seconds.
    SlowBody { seconds: f64 },
    /// The effect happens; the answer comes so many real seconds later.
    DelayAnswer { seconds: f64 },
    /// The connection is reset before anything happens.
    DropBefore {},
    /// The effect happens; the connection is reset without an answer.
    DropAfter {},
    /// The connection is reset before anything happens, and the listeners are closed for so many
    /// real seconds: whoever connects is refused by the operating system.
    RefuseConnections { seconds: f64 },
    /// The Date header is ahead by so many seconds (negative: behind).
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
    /// 500, as a web server prints it.
    InternalError,
    /// 502, as a proxy before the service prints it.
    BadGateway,
    /// 503, as a proxy before the service prints it.
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
            Err(("seconds".to_owned(), format!("is {seconds}: write {least} to 1e9")))
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
                Err(("status".to_owned(), format!("is {status}: write 200 to 599")))
            }
            Self::OverlongBody { bytes } if *bytes > 1 << 30 => {
                Err(("bytes".to_owned(), "is above 1 GiB: write less".to_owned()))
            }
            _ => Ok(()),
        }
    }
}
