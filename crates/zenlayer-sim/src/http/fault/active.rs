//! The rules that still apply, with what each has seen: which of them are played for a call.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    play::Play,
    rule::{Fault, Selector, Times},
};
use crate::http::request_id::fraction;

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
