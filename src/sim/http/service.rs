//! One call from its bytes to its bytes: authorisation, version, fault, world, envelope, log.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::header::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::fault::{self, Fault, FaultKind};
use crate::sim::{
    config::{Config, Credential},
    signature::Authorization,
    world::{Call, Effect, Refused, World},
};

/// What the API accepts (fact sheet section 1; the older one is what Terraform sends).
const VERSIONS: &[&str] = &["2026-04-01", "2023-03-13"];
/// How many calls the log keeps.
const LOG_LIMIT: usize = 10_000;

/// A request as it arrived.
pub struct Arrival<'a> {
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// What goes back, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: String,
    pub delay: Option<Duration>,
    pub dropped: bool,
}

/// A line of the request log. It holds no header and no secret.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logged {
    pub at: Timestamp,
    pub action: String,
    pub instance: Option<String>,
    /// `OK`, or the code of the refusal.
    pub code: String,
    pub status: u16,
    pub request_id: String,
}

/// All state behind the HTTP skin.
pub struct Service {
    pub world: World,
    pub faults: Vec<Fault>,
    pub log: Vec<Logged>,
    /// Calls by action and code, also those that the log has dropped.
    pub counts: BTreeMap<String, BTreeMap<String, u64>>,
    /// The service's clock, ahead of this machine's.
    pub offset: SignedDuration,
    credentials: Vec<Credential>,
    signature_life: SignedDuration,
    requests: u64,
}

/// The service, shared by connections.
pub struct Shared(Mutex<Service>);

impl Shared {
    pub fn new(config: &Config, signature_life: Duration) -> Self {
        Self(Mutex::new(Service {
            world: config.world(Timestamp::now()),
            faults: Vec::new(),
            log: Vec::new(),
            counts: BTreeMap::new(),
            offset: SignedDuration::ZERO,
            credentials: config.credentials.clone(),
            signature_life: SignedDuration::try_from(signature_life).unwrap_or(SignedDuration::MAX),
            requests: 0,
        }))
    }

    pub fn lock(&self) -> MutexGuard<'_, Service> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn answer(&self, arrival: &Arrival<'_>) -> Reply {
        let mut service = self.lock();
        let now = service.now(Timestamp::now());
        service.answer(now, arrival)
    }

    /// The service's clock as an IMF-fixdate.
    pub fn date_header(&self) -> HeaderValue {
        let now = self.lock().now(Timestamp::now());
        let text = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
    }
}

impl Service {
    /// The service's clock when this machine's says `wall`.
    pub fn now(&self, wall: Timestamp) -> Timestamp {
        wall.checked_add(self.offset).unwrap_or(wall)
    }

    /// Answers one request at the service's `now`.
    pub fn answer(&mut self, now: Timestamp, arrival: &Arrival<'_>) -> Reply {
        self.requests += 1;
        let request_id = request_id(self.requests);
        let action = text(arrival.headers, "x-zc-action").unwrap_or_default().to_owned();
        let fault = fault::take(&mut self.faults, &action, arrival.body);
        let mut reply = Reply { status: 200, body: String::new(), delay: None, dropped: false };
        let result = match &fault {
            Some(FaultKind::Error { status, code }) => {
                Err(Refused::new(*status, code, "as a fault asks for"))
            }
            Some(FaultKind::DropBefore) => Err(Refused::new(0, "DROPPED", "")),
            Some(FaultKind::Body { status, .. }) => Err(Refused::new(*status, "BODY", "")),
            Some(FaultKind::DelayAnswer { .. } | FaultKind::DropAfter) | None => {
                self.call(now, arrival, &action, &request_id)
            }
        };
        let code = result.as_ref().map_or_else(|refused| refused.code.clone(), |_| "OK".to_owned());
        (reply.status, reply.body) = envelope(result, &request_id);
        match fault {
            Some(FaultKind::DelayAnswer { seconds }) => {
                reply.delay = Duration::try_from_secs_f64(seconds).ok();
            }
            Some(FaultKind::DropBefore | FaultKind::DropAfter) => reply.dropped = true,
            Some(FaultKind::Body { status, body }) => (reply.status, reply.body) = (status, body),
            Some(FaultKind::Error { .. }) | None => {}
        }
        self.record(now, arrival.body, action, code, reply.status, request_id);
        reply
    }

    /// Authorisation, then action and version, then the world (fact sheet section 12 #12).
    fn call(
        &mut self,
        now: Timestamp,
        arrival: &Arrival<'_>,
        action: &str,
        request_id: &str,
    ) -> Result<serde_json::Map<String, Value>, Refused> {
        self.authorise(now, arrival)?;
        let version = text(arrival.headers, "x-zc-version");
        // The documented bearer sample leaves the version out (fact sheet section 1).
        if version.is_some_and(|version| !VERSIONS.contains(&version)) {
            let message = "the version is not known";
            return Err(Refused::new(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION", message));
        }
        self.world
            .call(now, Call { action, body: arrival.body, request_id, effect: Effect::Normal })
    }

    fn authorise(&self, now: Timestamp, arrival: &Arrival<'_>) -> Result<(), Refused> {
        let refuse = |code: &str, message: &str| Err(Refused::new(401, code, message));
        let malformed = "AUTHFAILURE_INVALID_AUTHORIZATION";
        let Some(header) = text(arrival.headers, "authorization") else {
            return refuse(malformed, "the Authorization header is missing");
        };
        if let Some(token) = header.strip_prefix("Bearer ") {
            let known = self.credentials.iter().any(|one| one.token.as_deref() == Some(token));
            return if known { Ok(()) } else { refuse(malformed, "the token is not known") };
        }
        let Some(authorization) = Authorization::parse(header) else {
            return refuse(malformed, "the Authorization header is malformed");
        };
        let stamp = text(arrival.headers, "x-zc-timestamp").unwrap_or_default();
        let Some(signed_at) =
            stamp.parse().ok().and_then(|stamp| Timestamp::from_second(stamp).ok())
        else {
            return refuse(malformed, "X-ZC-Timestamp must be Unix seconds");
        };
        let password = self.credentials.iter().find_map(|one| {
            let known = one.access_key_id.as_deref() == Some(authorization.key_id);
            known.then_some(one.access_key_password.as_deref()).flatten()
        });
        let Some(password) = password else {
            return refuse("AUTHFAILURE_SIGNATURE_FAILURE", "the access key is not known");
        };
        let value = |name: &str| text(arrival.headers, name);
        if !authorization.verifies(password, stamp, arrival.body, value) {
            return refuse("AUTHFAILURE_SIGNATURE_FAILURE", "the signature does not verify");
        }
        if now.duration_since(signed_at).unsigned_abs() > self.signature_life.unsigned_abs() {
            return refuse(
                "AUTHFAILURE_SIGNATURE_EXPIRED",
                "X-ZC-Timestamp is too far from the time of the service",
            );
        }
        Ok(())
    }

    fn record(
        &mut self,
        at: Timestamp,
        body: &[u8],
        action: String,
        code: String,
        status: u16,
        request_id: String,
    ) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let id = body["instanceId"].as_str().or_else(|| body["instanceIds"][0].as_str());
        let instance = id.map(str::to_owned);
        tracing::info!(action, instance, code, status, request_id, "answered");
        *self.counts.entry(action.clone()).or_default().entry(code.clone()).or_default() += 1;
        if self.log.len() >= LOG_LIMIT {
            self.log.drain(..LOG_LIMIT / 2);
        }
        self.log.push(Logged { at, action, instance, code, status, request_id });
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The two-level envelope of a success, or the flat object of a refusal (fact sheet section 4).
fn envelope(
    result: Result<serde_json::Map<String, Value>, Refused>,
    request_id: &str,
) -> (u16, String) {
    match result {
        Ok(mut response) => {
            response.insert("requestId".to_owned(), request_id.into());
            (200, json!({ "requestId": request_id, "response": response }).to_string())
        }
        Err(Refused { status, code, message }) => {
            let body = json!({ "requestId": request_id, "code": code, "message": message });
            (status, body.to_string())
        }
    }
}

/// `T` and a UUID of version 4 in upper case (fact sheet section 4), made of a counter, so that
/// the same calls get the same ids.
fn request_id(counter: u64) -> String {
    let high = mix(counter.wrapping_mul(2));
    let low = mix(counter.wrapping_mul(2).wrapping_add(1));
    format!(
        "T{:08X}-{:04X}-4{:03X}-{:04X}-{:012X}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFF,
        0x8000 | ((low >> 48) & 0x3FFF),
        low & 0xFFFF_FFFF_FFFF
    )
}

/// The finaliser of SplitMix64.
fn mix(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
