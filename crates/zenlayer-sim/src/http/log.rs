//! The request log. It holds no header, and no value of a field that could be a secret.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::actions::ACTIONS;

/// How many calls it keeps.
const LOG_LIMIT: usize = 10_000;
/// The longest body that it keeps.
const BODY_LIMIT: usize = 2_048;
/// How many characters it keeps of the name of an instance.
const NAME_LIMIT: usize = 256;
/// How many codes are counted for an action, each by itself.
const CODES_LIMIT: usize = 256;
/// What is counted together: clients choose these names, and rules choose codes.
const UNKNOWN_ACTION: &str = "unknown action";
const OTHER_PATH: &str = "another path";
const OTHER_CODES: &str = "other codes";

/// One call.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logged {
    pub at: Timestamp,
    pub action: String,
    /// The path, if it is not the one of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The first instance that the body names.
    pub instance: Option<String>,
    /// `OK`, the code of the refusal, or what was played instead of a decision.
    pub code: String,
    /// 0: the connection was reset.
    pub status: u16,
    pub request_id: String,
    /// The credential's name.
    pub credential: Option<String>,
    /// The faults that were played.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<&'static str>,
    /// The body, if it is a short JSON object; secrets are masked.
    pub body: Option<Value>,
}

#[derive(Debug, Default)]
pub struct RequestLog {
    /// The last calls, oldest first.
    pub calls: VecDeque<Logged>,
    /// All calls by action and code, also those that are not kept. What is not an action of the
    /// API is counted together.
    pub counts: BTreeMap<String, BTreeMap<String, u64>>,
}

impl RequestLog {
    pub fn record(&mut self, logged: Logged) {
        let Logged { action, instance, code, status, request_id, credential, .. } = &logged;
        tracing::info!(action, instance, code, status, request_id, credential, "answered");
        self.count(&logged);
        if self.calls.len() >= LOG_LIMIT {
            self.calls.pop_front();
        }
        self.calls.push_back(logged);
    }

    /// The counts are not longer than the lists of actions and of codes, whatever is sent.
    fn count(&mut self, logged: &Logged) {
        let Logged { action, path, code, .. } = logged;
        let action = match path {
            Some(_) => OTHER_PATH,
            None if ACTIONS.contains(&action.as_str()) => action,
            None => UNKNOWN_ACTION,
        };
        let codes = self.counts.entry(action.to_owned()).or_default();
        let known = codes.contains_key(code) || codes.len() < CODES_LIMIT;
        let code = if known { code } else { OTHER_CODES };
        *codes.entry(code.to_owned()).or_default() += 1;
    }

    pub fn clear(&mut self) {
        self.calls.clear();
        self.counts.clear();
    }
}

/// The body as it may be kept.
pub fn redacted(bytes: &[u8], body: &Value) -> Option<Value> {
    if bytes.len() > BODY_LIMIT || !body.is_object() {
        return None;
    }
    let mut body = body.clone();
    mask(&mut body);
    Some(body)
}

fn mask(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.to_ascii_lowercase();
                let secret = ["password", "secret", "token", "authorization", "initscript"];
                if secret.iter().any(|part| name.contains(part)) {
                    *field = "(redacted)".into();
                } else {
                    mask(field);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The name of an instance as it may be kept.
pub fn shortened(name: &str) -> String {
    name.chars().take(NAME_LIMIT).collect()
}

/// The instances that a body names.
pub fn instances(body: &Value) -> Vec<String> {
    let one = body["instanceId"].as_str();
    let many = body["instanceIds"].as_array().into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many).map(str::to_owned).collect()
}
