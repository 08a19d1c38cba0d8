//! Checks JSON against the OpenAPI schema of the CRD, as the API server does: types, enumerations,
//! lengths, limits, patterns, required fields; and that no field is unknown, because the API server
//! would drop it without a word.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use jiff::Timestamp;
use serde_json::Value;
use zenlayer_vm_operator::api::crd;

/// A schema, read once.
#[derive(Debug, Default)]
struct Schema {
    type_: String,
    values: Vec<Value>,
    properties: Option<BTreeMap<String, Schema>>,
    required: Vec<String>,
    items: Option<Box<Schema>>,
    lengths: (Option<u64>, Option<u64>),
    counts: (Option<u64>, Option<u64>),
    limits: (Option<f64>, Option<f64>),
    pattern: Option<Pattern>,
    is_time: bool,
    keeps_unknown: bool,
}

/// What the API server would say against this status; nothing if it is valid. Only what differs from
/// the status before is looked at: that one was valid.
pub fn fault(before: &Value, status: &Value) -> Option<String> {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        let crd = serde_json::to_value(crd().unwrap()).unwrap();
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status";
        Schema::read(crd.pointer(path).unwrap())
    });
    let fields = status.as_object().into_iter().flatten();
    let changed = fields.filter(|(name, field)| before.get(name) != Some(field));
    let changed = changed.map(|(name, field)| (name.as_str(), field));
    schema.fault_of_fields(changed).map(|fault| fault.to_string())
}

impl Schema {
    fn read(value: &Value) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let limit = |name: &str| value.get(name).and_then(Value::as_f64);
        let list = |name: &str| value.get(name).and_then(Value::as_array).cloned();
        let named = |(name, schema): (&String, &Value)| (name.clone(), Self::read(schema));
        let properties = value.get("properties").and_then(Value::as_object);
        Self {
            type_: text("type").unwrap_or_default().to_owned(),
            values: list("enum").unwrap_or_default(),
            properties: properties.map(|all| all.iter().map(named).collect()),
            required: list("required")
                .unwrap_or_default()
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            items: value.get("items").map(|items| Box::new(Self::read(items))),
            lengths: (number("minLength"), number("maxLength")),
            counts: (number("minItems"), number("maxItems")),
            limits: (limit("minimum"), limit("maximum")),
            pattern: text("pattern").map(Pattern::parse),
            is_time: text("format") == Some("date-time"),
            keeps_unknown: value.get("x-kubernetes-preserve-unknown-fields").is_some()
                || value.get("additionalProperties").is_some(),
        }
    }

    /// The path to what is wrong, innermost first, and what it is.
    fn fault(&self, value: &Value) -> Option<Fault> {
        let type_ = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let fits = type_ == self.type_ || type_ == "integer" && self.type_ == "number";
        if !fits {
            return found(format!("{type_} in place of {}", self.type_));
        }
        if !self.values.is_empty() && !self.values.contains(value) {
            return found(format!("{value} is none of the values"));
        }
        match value {
            Value::String(text) => self.fault_of_text(text),
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or_default();
                let (least, most) = self.limits;
                let outside = least.is_some_and(|least| number < least)
                    || most.is_some_and(|most| number > most);
                if outside { found(format!("{number} is beyond the limits")) } else { None }
            }
            Value::Array(items) => self.fault_of_list(items),
            Value::Object(fields) => self.fault_of_object(fields),
            Value::Null | Value::Bool(_) => None,
        }
    }

    fn fault_of_text(&self, text: &str) -> Option<Fault> {
        let (least, most) = self.lengths;
        if least.is_some() || most.is_some() {
            let length = text.chars().count() as u64;
            if least.is_some_and(|least| length < least) || most.is_some_and(|most| length > most) {
                return found(format!("{length} characters"));
            }
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.matches(text)) {
            return found(format!("{text:?} does not match the pattern"));
        }
        let is_no_time = self.is_time && text.parse::<Timestamp>().is_err();
        if is_no_time { found("no time".to_owned()) } else { None }
    }

    fn fault_of_list(&self, items: &[Value]) -> Option<Fault> {
        let (least, most) = self.counts;
        let count = items.len() as u64;
        if least.is_some_and(|least| count < least) || most.is_some_and(|most| count > most) {
            return found(format!("{count} items"));
        }
        let schema = self.items.as_ref()?;
        items.iter().find_map(|item| schema.fault(item)).map(|fault| fault.below("[]"))
    }

    fn fault_of_object(&self, fields: &serde_json::Map<String, Value>) -> Option<Fault> {
        if let Some(missing) = self.required.iter().find(|name| !fields.contains_key(*name)) {
            return found("required".to_owned()).map(|fault| fault.below(missing));
        }
        self.fault_of_fields(fields.iter().map(|(name, field)| (name.as_str(), field)))
    }

    fn fault_of_fields<'a>(
        &self,
        mut fields: impl Iterator<Item = (&'a str, &'a Value)>,
    ) -> Option<Fault> {
        let Some(properties) = &self.properties else { return None };
        fields.find_map(|(name, field)| {
            let fault = match properties.get(name) {
                Some(schema) => schema.fault(field)?,
                None if self.keeps_unknown => return None,
                None => Fault { path: Vec::new(), what: "not in the schema".to_owned() },
            };
            Some(fault.below(name))
        })
    }
}

struct Fault {
    path: Vec<String>,
    what: String,
}

fn found(what: String) -> Option<Fault> {
    Some(Fault { path: Vec::new(), what })
}

impl Fault {
    fn below(mut self, name: &str) -> Self {
        self.path.push(name.to_owned());
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        write!(f, "status.{}: {}", path.join("."), self.what)
    }
}

thread_local! {
    /// The few texts that were found to match, by pattern: the same ones come again and again.
    static GOOD: RefCell<BTreeMap<usize, HashSet<String>>> = RefCell::default();
}

// ---- Patterns: the part of regular expressions that the CRD uses ----

#[derive(Debug)]
enum Piece {
    Any,
    Class(Vec<(char, char)>, bool),
    /// Alternatives, each a sequence.
    Group(Vec<Vec<Item>>),
}

/// A piece, and how often it may come: at least, at most.
type Item = (Piece, usize, usize);

/// An anchored pattern: literals, classes, groups, alternatives, and `*`, `+`, `?`.
#[derive(Debug)]
pub struct Pattern {
    id: usize,
    alternatives: Vec<Vec<Item>>,
}

impl Pattern {
    fn parse(text: &str) -> Self {
        let anchored = text.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
        let text: Vec<char> = anchored.expect("an anchored pattern").chars().collect();
        let mut at = 0;
        let parsed = alternatives(&text, &mut at);
        assert_eq!(at, text.len(), "a pattern that is not understood");
        static IDS: AtomicUsize = AtomicUsize::new(0);
        Self { id: IDS.fetch_add(1, Ordering::Relaxed), alternatives: parsed }
    }

    fn matches(&self, text: &str) -> bool {
        let good = |known: &BTreeMap<usize, HashSet<String>>| {
            known.get(&self.id).is_some_and(|good| good.contains(text))
        };
        if GOOD.with_borrow(good) {
            return true;
        }
        let chars: Vec<char> = text.chars().collect();
        let mut whole = |end| end == chars.len();
        let matches =
            self.alternatives.iter().any(|sequence| walk(sequence, &chars, 0, &mut whole));
        if matches {
            let text = text.to_owned();
            GOOD.with_borrow_mut(|known| known.entry(self.id).or_default().insert(text));
        }
        matches
    }
}

fn alternatives(text: &[char], at: &mut usize) -> Vec<Vec<Item>> {
    let mut all = vec![Vec::new()];
    while let Some(&next) = text.get(*at) {
        *at += 1;
        let piece = match next {
            '|' => {
                all.push(Vec::new());
                continue;
            }
            ')' => {
                *at -= 1;
                break;
            }
            '(' => {
                let group = alternatives(text, at);
                assert_eq!(text.get(*at), Some(&')'), "a group that does not end");
                *at += 1;
                Piece::Group(group)
            }
            '[' => class(text, at),
            '.' => Piece::Any,
            '\\' => {
                *at += 1;
                Piece::Class(vec![(text[*at - 1], text[*at - 1])], true)
            }
            literal => Piece::Class(vec![(literal, literal)], true),
        };
        let (least, most) = match text.get(*at) {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            _ => (1, 1),
        };
        if (least, most) != (1, 1) {
            *at += 1;
        }
        all.last_mut().unwrap().push((piece, least, most));
    }
    all
}

fn class(text: &[char], at: &mut usize) -> Piece {
    let wanted = text.get(*at) != Some(&'^');
    if !wanted {
        *at += 1;
    }
    let mut ranges = Vec::new();
    while text[*at] != ']' {
        let first = text[*at];
        let is_range = text[*at + 1] == '-' && text[*at + 2] != ']';
        let last = if is_range { text[*at + 2] } else { first };
        ranges.push((first, last));
        *at += if is_range { 3 } else { 1 };
    }
    *at += 1;
    Piece::Class(ranges, wanted)
}

/// Whether some way through the items from `at` leads to an end that is wanted.
fn walk(items: &[Item], text: &[char], at: usize, end: &mut dyn FnMut(usize) -> bool) -> bool {
    let Some(((piece, least, most), rest)) = items.split_first() else { return end(at) };
    repeat(piece, (*least, *most), rest, text, at, end)
}

fn repeat(
    piece: &Piece,
    (least, most): (usize, usize),
    rest: &[Item],
    text: &[char],
    at: usize,
    end: &mut dyn FnMut(usize) -> bool,
) -> bool {
    if most > 0 {
        let less = (least.saturating_sub(1), most.saturating_sub(1));
        let taken = match piece {
            Piece::Any => at < text.len() && repeat(piece, less, rest, text, at + 1, end),
            Piece::Class(ranges, wanted) => {
                let fits =
                    |c: &char| ranges.iter().any(|(from, to)| (from..=to).contains(&c)) == *wanted;
                text.get(at).is_some_and(fits) && repeat(piece, less, rest, text, at + 1, end)
            }
            Piece::Group(all) => all.iter().any(|sequence| {
                walk(sequence, text, at, &mut |next| {
                    next > at && repeat(piece, less, rest, text, next, end)
                })
            }),
        };
        if taken {
            return true;
        }
    }
    least == 0 && walk(rest, text, at, end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_of_conditions_are_understood() {
        let segment = "([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?";
        let name =
            Pattern::parse(&format!("^{segment}(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"));
        for good in ["Ready", "R", "example.com/Ready", "a-b.c/Is.Up"] {
            assert!(name.matches(good), "{good}");
        }
        for bad in ["", "Ready-", "/Ready", "-a/Ready", "a..b/Ready"] {
            assert!(!name.matches(bad), "{bad}");
        }
        let reason = Pattern::parse("^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$");
        assert!(reason.matches("InSync") && !reason.matches("In Sync") && !reason.matches("A,"));
    }

    #[test]
    fn a_status_that_the_api_server_refuses_has_a_fault() {
        let entry = json!({ "id": "a", "kind": "Modify", "outcome": "Completed" });
        let faults = [
            json!({ "phase": "Sleeping" }),
            json!({ "phase": 1 }),
            json!({ "observedGeneration": "1" }),
            json!({ "unknown": true }),
            json!({ "history": vec![entry.clone(); 33] }),
            json!({ "change": { "startedAt": "yesterday" } }),
            json!({ "conditions": [{ "type": "Ready", "status": "True", "reason": "a b",
                "message": "", "lastTransitionTime": "2026-03-01T00:00:00Z" }] }),
            json!({ "conditions": [{ "type": "Ready" }] }),
        ];
        for status in faults {
            assert!(fault(&Value::Null, &status).is_some(), "{status}");
        }
        let good = json!({ "phase": "InSync", "history": vec![entry; 32] });
        assert_eq!(fault(&Value::Null, &good), None);
    }
}
