//! A rule as it is written in a file or sent to the control API: for which calls, how often, and
//! what goes wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};

use super::kind::FaultKind;
use crate::http::actions;

/// A rule: a selector and a kind.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    #[serde(flatten)]
    pub selector: Selector,
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// The calls that a rule is played for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Selector {
    /// Only calls of this action; without it, calls of every action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only calls whose body names this instance; without it, all calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Start with the nth of these calls, counted from 1.
    #[schemars(range(min = 1))]
    pub nth: u64,
    /// How many times the fault is played, or `always`; once by default.
    pub times: Times,
    /// The probability, from 0 to 1, that the fault is played for a call; without it, it always is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: Option<f64>,
    /// Seed of the rule's own random numbers: the same seed chooses the same calls.
    pub seed: u64,
    /// Whether the call still takes effect; without it, as the kind says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<bool>,
}

impl Default for Selector {
    fn default() -> Self {
        Self {
            action: None,
            instance: None,
            nth: 1,
            times: Times::Count(1),
            probability: None,
            seed: 0,
            effect: None,
        }
    }
}

/// How often a rule is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "times must be a number of calls, or always")]
pub enum Times {
    Count(u64),
    Always(Always),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Always {
    Always,
}

/// The names of [`Selector`]; the other fields of a rule belong to its kind.
const SELECTOR_FIELDS: &[&str] =
    &["action", "instance", "nth", "times", "probability", "seed", "effect"];

impl<'de> Deserialize<'de> for Fault {
    // By hand, because serde cannot refuse unknown fields of a flattened struct.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut selector, mut kind) = (Map::new(), Map::new());
        for (name, value) in Map::<String, Value>::deserialize(deserializer)? {
            let part =
                if SELECTOR_FIELDS.contains(&name.as_str()) { &mut selector } else { &mut kind };
            part.insert(name, value);
        }
        let selector = Selector::deserialize(Value::Object(selector)).map_err(D::Error::custom)?;
        let kind = FaultKind::deserialize(Value::Object(kind)).map_err(D::Error::custom)?;
        let fault = Self { selector, kind };
        fault.check().map_err(|(field, problem)| D::Error::custom(format!("{field} {problem}")))?;
        Ok(fault)
    }
}

impl Fault {
    fn check(&self) -> Result<(), (String, String)> {
        let Selector { action, nth, times, probability, .. } = &self.selector;
        if let Some(action) = action {
            actions::check(action).map_err(|problem| ("action".to_owned(), problem))?;
        }
        if *nth == 0 {
            return Err(("nth".into(), "must be at least 1".into()));
        }
        if *times == Times::Count(0) {
            return Err(("times".into(), "must be at least 1, or always".into()));
        }
        if probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
            return Err(("probability".into(), "must be from 0 to 1".into()));
        }
        self.kind.check()
    }
}
