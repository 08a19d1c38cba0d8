//! Checks of a request's parameters, with the documented codes (the common error codes).

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{ChargeType, Codes, Refused, answer::refusal};

/// The parameters of a call, or of an object in it.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a> {
    pub fields: &'a Map<String, Value>,
    pub codes: &'a Codes,
}

/// How an integer is limited.
pub(super) struct Limits {
    pub default: i64,
    pub least: i64,
    pub most: i64,
}

/// Most ids in a list (page "DescribeInstances").
pub(super) const IDS: usize = 100;
/// Most tags and tag keys (page "DescribeInstances").
pub(super) const TAGS: usize = 20;

impl<'a> Parameters<'a> {
    /// Null counts as left out.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    pub fn missing(name: &str) -> Refused {
        refusal(400, "MISSING_PARAMETER", format!("{name} is required"))
    }

    /// A string that must be there.
    pub fn required(&self, name: &str) -> Result<&'a str, Refused> {
        self.text(name)?.ok_or_else(|| Self::missing(name))
    }

    /// A string, or nothing; an empty one counts as nothing.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    /// A string out of a set.
    pub fn one_of(&self, name: &str, allowed: &[&str]) -> Result<Option<&'a str>, Refused> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if allowed.contains(&text) {
            return Ok(Some(text));
        }
        let message = format!("{name} is {text}, not one of {}", allowed.join(", "));
        Err(refusal(400, "INVALID_PARAMETER_VALUE", message))
    }

    /// A charge type that must be there.
    pub fn charge_type(&self, name: &str) -> Result<ChargeType, Refused> {
        match self.one_of(name, &["PREPAID", "POSTPAID"])? {
            Some("PREPAID") => Ok(ChargeType::Prepaid),
            Some(_) => Ok(ChargeType::Postpaid),
            None => Err(Self::missing(name)),
        }
    }

    pub fn truth(&self, name: &str, default: bool) -> Result<bool, Refused> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(truth)) => Ok(*truth),
            Some(_) => Err(wrong_type(name, "true or false")),
        }
    }

    /// An integer within limits, or its default.
    pub fn integer(&self, name: &str, limits: &Limits) -> Result<i64, Refused> {
        let Limits { default, least, most } = *limits;
        let Some(value) = self.get(name) else { return Ok(default) };
        // An integer that does not fit is as good as the largest one.
        let number = match (value.as_i64(), value.as_u64()) {
            (Some(number), _) => number,
            (None, Some(_)) => i64::MAX,
            (None, None) => return Err(wrong_type(name, "an integer")),
        };
        let message = |limit: i64| format!("{name} is {number}, the limit is {limit}");
        if number < least {
            return Err(refusal(400, "INVALID_PARAMETER_LESS_MINIMUM", message(least)));
        }
        if number > most && name == "pageSize" {
            return Err(Refused::by(&self.codes.page_too_large, message(most)));
        }
        if number > most {
            return Err(refusal(400, "INVALID_PARAMETER_EXCEED_MAXIMUM", message(most)));
        }
        Ok(number)
    }

    /// A number from 0 to a limit, or nothing.
    pub fn decimal(&self, name: &str, most: Decimal) -> Result<Option<Decimal>, Refused> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let Value::Number(number) = value else { return Err(wrong_type(name, "a number")) };
        let text = number.to_string();
        let parsed = text.parse().or_else(|_| Decimal::from_scientific(&text));
        let Ok(number) = parsed else { return Err(wrong_type(name, "a number of this size")) };
        if number < Decimal::ZERO {
            let message = format!("{name} is {number}, the limit is 0");
            return Err(refusal(400, "INVALID_PARAMETER_LESS_MINIMUM", message));
        }
        if number > most {
            let message = format!("{name} is {number}, the limit is {most}");
            return Err(refusal(400, "INVALID_PARAMETER_EXCEED_MAXIMUM", message));
        }
        Ok(Some(number))
    }

    /// An object, or nothing.
    pub fn object(&self, name: &str) -> Result<Option<Parameters<'a>>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Parameters { fields, codes: self.codes })),
            Some(_) => Err(wrong_type(name, "an object")),
        }
    }

    fn list(&self, name: &str, most: usize, of: &str) -> Result<&'a [Value], Refused> {
        let items = match self.get(name) {
            None => return Ok(&[]),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(wrong_type(name, &format!("a list of {of}"))),
        };
        if items.len() > most {
            let message = format!("{name} holds {} items, at most {most} are allowed", items.len());
            return Err(Refused::by(&self.codes.too_many_items, message));
        }
        Ok(items)
    }

    /// A list of at most so many strings; left out reads as empty.
    pub fn texts(&self, name: &str, most: usize) -> Result<Vec<&'a str>, Refused> {
        let text =
            |item: &'a Value| item.as_str().ok_or_else(|| wrong_type(name, "a list of strings"));
        self.list(name, most, "strings")?.iter().map(text).collect()
    }

    /// A list of at most so many objects; left out reads as empty.
    pub fn objects(&self, name: &str, most: usize) -> Result<Vec<Parameters<'a>>, Refused> {
        let codes = self.codes;
        let object = |item: &'a Value| match item {
            Value::Object(fields) => Ok(Parameters { fields, codes }),
            _ => Err(wrong_type(name, "a list of objects")),
        };
        self.list(name, most, "objects")?.iter().map(object).collect()
    }

    /// The ids of a batch, each once, in the order of the request; at least one must be there.
    pub fn batch(&self, name: &str) -> Result<Vec<&'a str>, Refused> {
        if self.get(name).is_none() {
            return Err(Self::missing(name));
        }
        let ids = self.texts(name, IDS)?;
        if ids.is_empty() {
            let message = format!("{name} is empty, at least one id is needed");
            return Err(refusal(400, "INVALID_PARAMETER_LESS_LENGTH", message));
        }
        let mut seen = std::collections::BTreeSet::new();
        Ok(ids.into_iter().filter(|id| seen.insert(*id)).collect())
    }
}

/// A text of 1 to 64 characters (keys and values of tags, page "DescribeInstances").
pub(super) fn tag_length(name: &str, text: &str) -> Result<(), Refused> {
    let (code, limit) = match text.chars().count() {
        0 => ("INVALID_PARAMETER_LESS_LENGTH", 1),
        1..=64 => return Ok(()),
        _ => ("INVALID_PARAMETER_EXCEED_LENGTH", 64),
    };
    Err(refusal(400, code, format!("{name} has {} characters, the limit is {limit}", text.len())))
}

/// An address is an address (inferred: the code is documented, its use here is not).
pub(super) fn address(name: &str, text: &str) -> Result<(), Refused> {
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    let message = format!("{name} holds {text:?}, which is no IP address");
    Err(refusal(400, "INVALID_PARAMETER_PATTERN_ERROR", message))
}

pub(super) fn wrong_type(name: &str, expected: &str) -> Refused {
    refusal(400, "INVALID_PARAMETER_TYPE", format!("{name} must be {expected}"))
}
