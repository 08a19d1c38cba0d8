//! ZC2-HMAC-SHA256 (the provider's page "Signature Algorithm v2"). Pure: the timestamp is an argument.

use std::time::Duration;

use aws_lc_rs::{digest, hmac};

/// How far the signed time may be from the provider's clock: a request that arrives later is refused
/// with `AUTHFAILURE_SIGNATURE_EXPIRED` (the provider's page of common errors).
pub const SIGNATURE_LIFE: Duration = Duration::from_secs(300);

/// The name of the algorithm, as it stands in `Authorization` and `X-ZC-Signature-Method`.
pub const ALGORITHM: &str = "ZC2-HMAC-SHA256";
/// The signed headers of every request, as all official clients send them.
const SIGNED_HEADERS: &str = "content-type;host";

/// All that a signature covers. The path, the action and the version are not covered: who sees a
/// signature can use it for another action with the same body, for as long as it lives.
///
/// [`Client`](crate::Client) signs by itself; this is for calls that it does not know.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// Unix seconds; also sent as `X-ZC-Timestamp`.
    pub timestamp: i64,
    /// The `Host` header exactly as sent, with the port where it is not the default one.
    pub host: &'a str,
    /// The `Content-Type` header exactly as sent.
    pub content_type: &'a str,
    /// The body exactly as sent.
    pub body: &'a [u8],
}

impl Signed<'_> {
    /// Lower-case hex SHA-256 of the body.
    pub fn payload_hash(&self) -> String {
        sha256_hex(self.body)
    }

    /// Lower-case hex SHA-256 of the canonical request.
    pub fn canonical_request_hash(&self) -> String {
        let Self { host, content_type, .. } = self;
        let canonical = format!(
            "POST\n/\n\ncontent-type:{content_type}\nhost:{host}\n\n{SIGNED_HEADERS}\n{}",
            self.payload_hash()
        );
        sha256_hex(canonical.as_bytes())
    }

    /// Lower-case hex HMAC-SHA256 of the string to sign, keyed with the secret's own bytes.
    pub fn signature(&self, secret: &str) -> String {
        let to_sign = format!("{ALGORITHM}\n{}\n{}", self.timestamp, self.canonical_request_hash());
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hex(hmac::sign(&key, to_sign.as_bytes()).as_ref())
    }

    /// The value of the `Authorization` header. Never log it: it can be replayed for its life.
    pub fn authorization(&self, key_id: &str, secret: &str) -> String {
        let signature = self.signature(secret);
        format!(
            "{ALGORITHM} Credential={key_id}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}"
        )
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
