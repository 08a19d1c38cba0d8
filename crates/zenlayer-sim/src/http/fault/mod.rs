//! Faults: a rule says for which calls, and how often, one kind of fault is played. Every fault is
//! such a rule; they come from the YAML file or from the control API.

mod alter;
mod codes;
mod kind;
mod play;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};

pub use alter::Draft;
pub use codes::{CODES, status_of};
pub use kind::{FaultKind, Page, Step};
pub use play::Play;

use super::{actions, request_id::fraction};

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

/// A rule with what it has seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    pub id: u64,
    /// Calls that the selector matched.
    pub matched: u64,
    /// Calls that it was played for.
    pub played: u64,
    pub fault: Fault,
}

impl Rule {
    /// Whether the fault is due for a call that the selector matches; counts the call.
    fn due(&mut self) -> bool {
        let Selector { nth, probability, seed, .. } = self.fault.selector;
        self.matched += 1;
        self.matched >= nth
            && probability.is_none_or(|probability| fraction(seed, self.matched) < probability)
    }

    fn used_up(&self) -> bool {
        matches!(self.fault.selector.times, Times::Count(times) if self.played >= times)
    }
}

/// The rules that still apply, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Faults {
    pub rules: Vec<Rule>,
    next_id: u64,
}

/// Far above all that is ever counted, and far below what a number holds.
const LARGEST_COUNT: u64 = 1 << 53;

impl Faults {
    /// Says what is wrong with rules that come from outside. What they ask for was checked when
    /// they were read.
    pub fn check(&self) -> Result<(), (String, String)> {
        let mut ids = BTreeSet::new();
        for (index, Rule { id, matched, played, fault: _ }) in self.rules.iter().enumerate() {
            let wrong =
                |name: &str, problem: String| Err((format!("rules[{index}].{name}"), problem));
            if !ids.insert(id) {
                return wrong("id", format!("{id} is used twice"));
            }
            if *matched > LARGEST_COUNT {
                return wrong("matched", format!("is {matched}: write at most {LARGEST_COUNT}"));
            }
            if played > matched {
                return wrong("played", format!("is {played}, and matched is only {matched}"));
            }
        }
        let least = ids.last().map_or(0, |id| **id);
        if !(least..=LARGEST_COUNT).contains(&self.next_id) {
            let problem =
                format!("is {}: write a number from {least} to {LARGEST_COUNT}", self.next_id);
            return Err(("nextId".to_owned(), problem));
        }
        Ok(())
    }

    pub fn add(&mut self, fault: Fault) -> u64 {
        self.next_id += 1;
        self.rules.push(Rule { id: self.next_id, matched: 0, played: 0, fault });
        self.next_id
    }

    /// Whether there was such a rule.
    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.rules.len() < before
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Takes, for each step of a call, the first rule that is due, and uses it up by one.
    pub fn take(&mut self, action: &str, instances: &[String]) -> Play {
        let mut play = Play::default();
        for rule in &mut self.rules {
            let Selector { action: wanted, instance, .. } = &rule.fault.selector;
            let matches = wanted.as_ref().is_none_or(|wanted| wanted == action)
                && instance.as_ref().is_none_or(|wanted| instances.contains(wanted));
            if matches && rule.due() && play.accept(&rule.fault) {
                rule.played += 1;
            }
        }
        self.rules.retain(|rule| !rule.used_up());
        play
    }
}
