//! Verifies ZC2-HMAC-SHA256 (page "Signature Algorithm v2") over what arrived: raw body,
//! raw `Host`, raw `Content-Type`. Written apart from the client's code on purpose.

use std::borrow::Cow;

use aws_lc_rs::{constant_time, digest, hmac};

pub const SCHEME: &str = "ZC2-HMAC-SHA256";

/// The parts of an `Authorization` header of this scheme.
#[derive(Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    pub key_id: &'a str,
    pub signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Parses the header; `None` if it is malformed, or lacks a mandatory signed header.
    pub fn parse(header: &'a str) -> Option<Self> {
        let fields = header.strip_prefix(SCHEME)?.strip_prefix(' ')?;
        let (mut key_id, mut signed, mut signature) = (None, None, None);
        for field in fields.split(',') {
            match field.trim().split_once('=')? {
                ("Credential", value) => key_id = Some(value),
                ("SignedHeaders", value) => signed = Some(value),
                ("Signature", value) => signature = Some(value),
                _ => return None,
            }
        }
        let signed_headers: Vec<&str> = signed?.split(';').collect();
        let mandatory = ["content-type", "host"];
        if !mandatory.iter().all(|name| signed_headers.contains(name)) {
            return None;
        }
        let key_id = key_id.filter(|id| !id.is_empty())?;
        Some(Self { key_id, signed_headers, signature: signature? })
    }

    /// Whether the signature is that of these parts. `header` gives a header's value by its
    /// lower-case name, in the bytes that the service signs.
    pub fn verifies<'h>(
        &self,
        secret: &str,
        timestamp: &str,
        body: &[u8],
        header: impl Fn(&str) -> Option<Cow<'h, [u8]>>,
    ) -> bool {
        let mut names = self.signed_headers.clone();
        names.sort_unstable();
        let mut canonical = b"POST\n/\n\n".to_vec();
        for name in &names {
            let Some(value) = header(name) else { return false };
            canonical.extend_from_slice(name.as_bytes());
            canonical.push(b':');
            canonical.extend_from_slice(value.trim_ascii());
            canonical.push(b'\n');
        }
        canonical.push(b'\n');
        canonical.extend_from_slice(self.signed_headers.join(";").as_bytes());
        canonical.push(b'\n');
        canonical.extend_from_slice(sha256(body).as_bytes());
        let message = [SCHEME, timestamp, &sha256(&canonical)].join("\n");
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let expected = lower_hex(hmac::sign(&key, message.as_bytes()).as_ref());
        constant_time::verify_slices_are_equal(expected.as_bytes(), self.signature.as_bytes())
            .is_ok()
    }
}

fn sha256(bytes: &[u8]) -> String {
    lower_hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn lower_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
