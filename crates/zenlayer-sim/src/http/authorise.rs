//! Who calls, and whether they may: signature or token, then the rate, then the action, its
//! version and the permission for it.

use std::borrow::Cow;

use hyper::header::HeaderMap;
use jiff::Timestamp;

use super::{
    actions::{ACTIONS, API_PATH},
    settings::{Credential, DefaultPort, RateLimit, Refusal, SignedValues, Transport},
};
use crate::signature::{Authorization, SCHEME};

/// What the API accepts: the newer one is what the SDKs send, the older one what Terraform sends.
const VERSIONS: &[&str] = &["2026-04-01", "2023-03-13"];
const MALFORMED: &str = "AUTHFAILURE_INVALID_AUTHORIZATION";

/// Why a call is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub status: u16,
    pub code: String,
    pub message: String,
    /// Seconds of a Retry-After header.
    pub retry_after: Option<u64>,
}

impl Denied {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), retry_after: None }
    }

    pub fn as_set(refusal: &Refusal, message: impl Into<String>) -> Self {
        Self::new(refusal.status, &refusal.code, message)
    }
}

/// A credential with what is left of its rate.
pub struct Account {
    pub name: String,
    pub credential: Credential,
    bucket: Option<Bucket>,
}

impl Account {
    /// The `index`th credential of a simulation.
    pub fn new(credential: Credential, index: usize) -> Self {
        let own = credential.name.clone().or_else(|| credential.access_key_id.clone());
        let name = own.unwrap_or_else(|| format!("token-{index}"));
        Self { name, credential, bucket: None }
    }

    /// The next call finds the whole burst.
    pub fn refill(&mut self) {
        self.bucket = None;
    }
}

/// What is left of a credential's rate.
struct Bucket {
    tokens: f64,
    filled_at: Timestamp,
}

impl Bucket {
    /// Takes one call, if one is left.
    fn take(&mut self, limit: RateLimit, now: Timestamp) -> bool {
        let passed = now.duration_since(self.filled_at).as_secs_f64().max(0.0);
        self.tokens = passed.mul_add(limit.per_second, self.tokens).min(f64::from(limit.burst));
        self.filled_at = now;
        let left = self.tokens >= 1.0;
        if left {
            self.tokens -= 1.0;
        }
        left
    }
}

/// A call at the door.
pub struct Request<'a> {
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    pub action: &'a str,
    /// The path, if it is not the one of the API.
    pub other_path: Option<&'a str>,
    /// The service's time, as the service reads it.
    pub now: Timestamp,
}

/// Lets a call in, and says on whose account it goes.
pub fn admit<'a>(
    accounts: &'a mut [Account],
    transport: &Transport,
    request: &Request<'_>,
) -> (Option<&'a str>, Result<(), Denied>) {
    let index = match authenticate(accounts, transport, request) {
        Ok(index) => index,
        Err(denied) => return (None, Err(denied)),
    };
    let Some(account) = accounts.get_mut(index) else { return (None, Ok(())) };
    let admitted = within_rate(account, transport, request.now)
        .and_then(|()| known_call(transport, request))
        .and_then(|()| permitted(account, transport, request.action));
    (Some(&account.name), admitted)
}

fn authenticate(
    accounts: &[Account],
    transport: &Transport,
    request: &Request<'_>,
) -> Result<usize, Denied> {
    let malformed = |message: &str| Denied::new(401, MALFORMED, message);
    let Some(header) = text(request.headers, "authorization") else {
        return Err(malformed("the Authorization header is missing"));
    };
    if let Some(token) = header.strip_prefix("Bearer ") {
        return accounts
            .iter()
            .position(|one| one.credential.token.as_deref() == Some(token))
            .filter(|index| usable(accounts, *index, request.now))
            .ok_or_else(|| Denied::as_set(&transport.unknown_token, "the token is not valid"));
    }
    let Some(authorization) = Authorization::parse(header) else {
        return Err(malformed("the Authorization header is malformed"));
    };
    // Old pages spell the method with an underscore; no client does.
    if text(request.headers, "x-zc-signature-method").is_some_and(|method| method != SCHEME) {
        return Err(malformed("X-ZC-Signature-Method must be ZC2-HMAC-SHA256"));
    }
    let stamp = text(request.headers, "x-zc-timestamp").unwrap_or_default();
    let Some(signed_at) = stamp.parse().ok().and_then(|stamp| Timestamp::from_second(stamp).ok())
    else {
        return Err(malformed("X-ZC-Timestamp must be Unix seconds"));
    };
    let key_id = Some(authorization.key_id);
    let index = accounts
        .iter()
        .position(|one| one.credential.access_key_id.as_deref() == key_id)
        .filter(|index| usable(accounts, *index, request.now))
        .ok_or_else(|| Denied::as_set(&transport.unknown_key, "the access key is not valid"))?;
    let password =
        accounts.get(index).and_then(|one| one.credential.access_key_password.as_deref());
    let value = |name: &str| signed_value(transport, request.headers, name);
    if !authorization.verifies(password.unwrap_or_default(), stamp, request.body, value) {
        let message = "the signature does not verify";
        return Err(Denied::new(401, "AUTHFAILURE_SIGNATURE_FAILURE", message));
    }
    if request.now.duration_since(signed_at).abs() > transport.signature_life {
        let message = "X-ZC-Timestamp is too far from the time of the service";
        return Err(Denied::new(401, "AUTHFAILURE_SIGNATURE_EXPIRED", message));
    }
    Ok(index)
}

/// Neither revoked nor expired.
fn usable(accounts: &[Account], index: usize, now: Timestamp) -> bool {
    accounts.get(index).is_some_and(|Account { credential, .. }| {
        !credential.revoked && credential.expires_at.is_none_or(|end| now < end)
    })
}

/// The bytes that the service signs for a header: as they came, or as a switch plays it.
fn signed_value<'h>(
    transport: &Transport,
    headers: &'h HeaderMap,
    name: &str,
) -> Option<Cow<'h, [u8]>> {
    let mut value = headers.get(name)?.as_bytes();
    if name == "host" && transport.default_port == DefaultPort::Stripped {
        value = value.strip_suffix(b":443").or(value.strip_suffix(b":80")).unwrap_or(value);
    }
    Some(match transport.signed_values {
        SignedValues::AsSent => Cow::Borrowed(value),
        SignedValues::LowerCased => Cow::Owned(value.to_ascii_lowercase()),
    })
}

fn within_rate(account: &mut Account, transport: &Transport, now: Timestamp) -> Result<(), Denied> {
    let Some(limit) = transport.rate_limit else { return Ok(()) };
    let full = || Bucket { tokens: f64::from(limit.burst), filled_at: now };
    if account.bucket.get_or_insert_with(full).take(limit, now) {
        return Ok(());
    }
    let message = "too many calls of this credential";
    let denied = Denied::new(429, "REQUEST_LIMIT_EXCEEDED", message);
    Err(Denied { retry_after: limit.retry_after, ..denied })
}

/// The product, the action and the version exist (after the signature, which is inferred).
fn known_call(transport: &Transport, request: &Request<'_>) -> Result<(), Denied> {
    if let Some(path) = request.other_path {
        let message = format!("{path} is not simulated, only {API_PATH} is");
        return Err(Denied::as_set(&transport.other_product, message));
    }
    let action = request.action;
    if !ACTIONS.contains(&action) {
        let message = format!("action {action:?} is not known");
        return Err(Denied::as_set(&transport.unknown_action, message));
    }
    let signed = request.headers.contains_key("x-zc-timestamp");
    match text(request.headers, "x-zc-version") {
        Some(version) if VERSIONS.contains(&version) => Ok(()),
        // The documented bearer sample leaves the version out (page "Access Token").
        None if !signed => Ok(()),
        version => {
            let message = format!("version {:?} is not known", version.unwrap_or_default());
            Err(Denied::as_set(&transport.unknown_version, message))
        }
    }
}

fn permitted(account: &Account, transport: &Transport, action: &str) -> Result<(), Denied> {
    let permissions = &account.credential.permissions;
    if permissions.as_ref().is_none_or(|allowed| allowed.iter().any(|one| one == action)) {
        return Ok(());
    }
    let message = format!("credential {} has no permission for {action}", account.name);
    Err(Denied::as_set(&transport.no_permission, message))
}

pub fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
