//! Checks of a request's parameters, with the documented codes (fact sheet section 5).

use serde_json::{Map, Value};

use super::Refused;

/// The parameters of a call.
pub struct Parameters<'a>(pub &'a Map<String, Value>);

impl<'a> Parameters<'a> {
    /// A string that must be there.
    pub fn required(&self, name: &str) -> Result<&'a str, Refused> {
        self.text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Refused::new(400, "MISSING_PARAMETER", format!("{name} is required")))
    }

    /// A string, or nothing.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, Refused> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    /// An integer within limits, or its default. The codes of the limits are INF (section 12 #14).
    pub fn integer(&self, name: &str, default: u64, most: u64) -> Result<u64, Refused> {
        let value = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(default),
            Some(value) => value,
        };
        let Some(number) = value.as_i64() else { return Err(wrong_type(name, "an integer")) };
        let refuse = |code: &str, limit: u64| {
            Err(Refused::new(400, code, format!("{name} is {number}, the limit is {limit}")))
        };
        match u64::try_from(number) {
            Ok(0) | Err(_) => refuse("INVALID_PARAMETER_LESS_MINIMUM", 1),
            Ok(number) if number > most => refuse("INVALID_PARAMETER_EXCEED_MAXIMUM", most),
            Ok(number) => Ok(number),
        }
    }

    /// A list of at most `most` strings; absent reads as empty.
    pub fn texts(&self, name: &str, most: usize) -> Result<Vec<&'a str>, Refused> {
        let items = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(wrong_type(name, "a list of strings")),
        };
        if items.len() > most {
            let message = format!("{name} holds {} items, at most {most} are allowed", items.len());
            return Err(Refused::new(400, "INVALID_PARAMETER_EXCEED_LENGTH", message));
        }
        let text =
            |item: &'a Value| item.as_str().ok_or_else(|| wrong_type(name, "a list of strings"));
        items.iter().map(text).collect()
    }
}

fn wrong_type(name: &str, expected: &str) -> Refused {
    Refused::new(400, "INVALID_PARAMETER_TYPE", format!("{name} must be {expected}"))
}
