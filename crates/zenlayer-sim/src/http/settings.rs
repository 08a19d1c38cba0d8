//! The parts of the YAML file that belong to the HTTP layer: who may call, and how calls are checked.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{actions, clock::ClockSettings};

/// A field of the file, and what is wrong with it.
pub type Problem = (String, String);

/// How requests are checked and how answers are sent.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Transport {
    /// How much X-ZC-Timestamp may differ from the simulated clock, in both directions.
    pub signature_life: SignedDuration,
    /// How the values of signed headers are read (the page "Signature Algorithm v2" has them in
    /// lower case, the official clients sign them as they are).
    pub signed_values: SignedValues,
    /// Whether a default port in Host is a part of the signature (not documented).
    pub default_port: DefaultPort,
    /// The answer to an action that does not exist (documented only as "not allowed,
    /// or does not exist").
    pub unknown_action: Refusal,
    /// The answer to a version that does not exist, or is missing from a signed call (not
    /// documented).
    pub unknown_version: Refusal,
    /// The answer to a call of another product, such as a POST to /api/v2/bmc (not documented; an
    /// account that has only this product is not allowed to call another one).
    pub other_product: Refusal,
    /// The answer to another method than POST (not documented).
    pub wrong_method: Refusal,
    /// The answer to a body above 1 MiB (not documented; no limit is).
    pub body_too_large: Refusal,
    /// The answer to an action that the credential has no permission for (whether each
    /// action needs its own permission is not documented).
    pub no_permission: Refusal,
    /// The answer to an access key that is unknown, or was revoked (not documented).
    pub unknown_key: Refusal,
    /// The answer to a bearer token that is unknown, was revoked, or has expired (not documented).
    pub unknown_token: Refusal,
    /// How often one credential may call; without it there is no limit (the provider has
    /// one, and publishes no figure).
    pub rate_limit: Option<RateLimit>,
    /// Whether answers are compressed for clients that accept gzip.
    pub gzip: bool,
    /// Request ids are made from this number and a counter: the same seed gives the same ids.
    pub seed: u64,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            // "More than five minutes" (the common error codes).
            signature_life: SignedDuration::from_mins(5),
            signed_values: SignedValues::AsSent,
            default_port: DefaultPort::AsSent,
            // "Not allowed, or the action does not exist" (the common error codes).
            unknown_action: Refusal::new(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
            unknown_version: Refusal::new(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
            other_product: Refusal::new(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
            wrong_method: Refusal::new(405, "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
            body_too_large: Refusal::new(413, "INVALID_PARAMETER_EXCEED_LENGTH"),
            no_permission: Refusal::new(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
            // Inferred: no document tells a wrong key from a wrong secret.
            unknown_key: Refusal::new(401, "AUTHFAILURE_SIGNATURE_FAILURE"),
            unknown_token: Refusal::new(401, "AUTHFAILURE_INVALID_AUTHORIZATION"),
            rate_limit: None,
            gzip: true,
            seed: 0,
        }
    }
}

/// A status and a code of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refusal {
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
    pub code: String,
}

impl Refusal {
    fn new(status: u16, code: &str) -> Self {
        Self { status, code: code.to_owned() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SignedValues {
    /// As the official clients sign them.
    AsSent,
    /// Lower-cased, as the page on the signature says.
    LowerCased,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DefaultPort {
    /// `:443` and `:80` stay a part of the signed host.
    AsSent,
    /// A proxy before the service takes `:443` and `:80` away before the signature is checked.
    Stripped,
}

/// A token bucket for each credential, filled by the service's clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Calls a second, on average.
    #[schemars(range(min = 0.001))]
    pub per_second: f64,
    /// Calls that may come at once.
    #[schemars(range(min = 1))]
    pub burst: u32,
    /// Seconds in the Retry-After header; without it the header is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl RateLimit {
    pub fn check(&self) -> Result<(), Problem> {
        if !self.per_second.is_finite() || self.per_second <= 0.0 {
            return Err(("perSecond".into(), "must be above 0: write for example 5".into()));
        }
        if self.burst == 0 {
            return Err(("burst".into(), "must be at least 1".into()));
        }
        Ok(())
    }
}

impl Transport {
    pub fn check(&self) -> Result<(), Problem> {
        if self.signature_life.is_negative() || self.signature_life.is_zero() {
            return Err(("signatureLife".into(), "must be above 0: write for example 5m".into()));
        }
        let refusals = [
            ("unknownAction", &self.unknown_action),
            ("unknownVersion", &self.unknown_version),
            ("otherProduct", &self.other_product),
            ("wrongMethod", &self.wrong_method),
            ("bodyTooLarge", &self.body_too_large),
            ("noPermission", &self.no_permission),
            ("unknownKey", &self.unknown_key),
            ("unknownToken", &self.unknown_token),
        ];
        for (field, Refusal { status, code }) in refusals {
            if !(400..=599).contains(status) || code.is_empty() {
                return Err((field.into(), "needs a status of 400 to 599 and a code".into()));
            }
        }
        if let Some(limit) = &self.rate_limit {
            limit.check().map_err(|(field, problem)| (format!("rateLimit.{field}"), problem))?;
        }
        Ok(())
    }
}

/// An access key, or a bearer token.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    /// What the control API and the request log call it; an access key's id by default.
    pub name: Option<String>,
    pub access_key_id: Option<String>,
    pub access_key_password: Option<String>,
    /// A bearer token, in place of an access key.
    pub token: Option<String>,
    /// When the token ends; access keys have no end.
    pub expires_at: Option<jiff::Timestamp>,
    /// A revoked credential is refused like an unknown one.
    #[serde(default)]
    pub revoked: bool,
    /// The actions that it may call; without it, all.
    pub permissions: Option<Vec<String>>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(redacted)")
    }
}

impl Credential {
    pub fn check(&self) -> Result<(), Problem> {
        let filled = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let Self { name, access_key_id: id, access_key_password: password, token, .. } = self;
        let complete = match (id, password, token) {
            (Some(_), Some(_), None) => filled(id) && filled(password),
            (None, None, Some(_)) => filled(token),
            _ => false,
        };
        if !complete {
            let problem = "needs either accessKeyId and accessKeyPassword, or token";
            return Err((String::new(), problem.into()));
        }
        if name.as_ref().is_some_and(String::is_empty) {
            return Err(("name".into(), "must not be empty".into()));
        }
        if token.is_none() && self.expires_at.is_some() {
            return Err((
                "expiresAt".into(),
                "is set on an access key, but only a token expires: remove it".into(),
            ));
        }
        for action in self.permissions.iter().flatten() {
            actions::check(action).map_err(|problem| ("permissions".to_owned(), problem))?;
        }
        Ok(())
    }
}

/// All that the HTTP layer needs of a file.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub transport: Transport,
    pub clock: ClockSettings,
    pub credentials: Vec<Credential>,
    pub faults: Vec<super::Fault>,
}
