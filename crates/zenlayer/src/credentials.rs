//! A credential of the provider. It has no `Display`, and its `Debug` shows no secret.

use std::fmt;

use secrecy::SecretString;

/// What a call is authorised with.
#[derive(Clone)]
pub enum Credentials {
    /// An access key: every request is signed with ZC2-HMAC-SHA256 and expires (page "Signature
    /// Algorithm v2").
    AccessKey {
        /// The key's id, which every request shows.
        id: String,
        /// The key's secret part, which signs and is never sent.
        password: SecretString,
    },
    /// A bearer token: nothing is signed, so a request never expires (page "Access Token").
    Token(SecretString),
}

impl Credentials {
    /// An access key, of its id and its password (other clients call that its secret).
    pub fn access_key(id: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self::AccessKey { id: id.into(), password: password.into() }
    }

    /// A bearer token.
    pub fn token(token: impl Into<SecretString>) -> Self {
        Self::Token(token.into())
    }

    /// Whether a request expires at the provider by itself. Only then there is a moment after which
    /// a request without an answer can no longer take effect.
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
