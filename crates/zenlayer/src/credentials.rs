//! A credential of the provider. It has no `Display`, and its `Debug` shows no secret.

use std::fmt;

use secrecy::SecretString;

/// What a call is authorised with.
#[derive(Clone)]
pub enum Credentials {
    /// An access key: every request is signed with ZC2-HMAC-SHA256 and expires (fact sheet 2).
    AccessKey { id: String, password: SecretString },
    /// A bearer token: nothing is signed, so a request never expires (fact sheet 1).
    Token(SecretString),
}

impl Credentials {
    /// Whether a request expires at the provider: the precondition of a fence.
    pub fn expires_requests(&self) -> bool {
        matches!(self, Self::AccessKey { .. })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessKey { .. } => f.write_str("AccessKey(redacted)"),
            Self::Token(_) => f.write_str("Token(redacted)"),
        }
    }
}
