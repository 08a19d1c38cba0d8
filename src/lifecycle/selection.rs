//! Which objects an operator serves: those of some namespaces, with some labels. Two operators of one
//! cluster are to share none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Namespaces and a label selector. Equal selections read the same, however they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// None of them: all.
    namespaces: BTreeSet<String>,
    requirements: BTreeSet<Requirement>,
}

/// What a label must be like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Requirement {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Exists(String),
    Absent(String),
}

/// An operator of the cluster that holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its process, as the lease names it.
    pub holder: String,
    pub selection: Selection,
}

/// Why a selection cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelection {
    #[error("{0:?} is not the name of a namespace")]
    Namespace(String),
    #[error(
        "{0:?} is not a requirement: write key=value, key!=value, key in (a,b), key notin (a,b), key or !key"
    )]
    Requirement(String),
}

impl Selection {
    /// Of names and a selector in kubectl's syntax; without any, everything.
    pub fn parse<'a>(
        namespaces: impl IntoIterator<Item = &'a str>,
        selector: &str,
    ) -> Result<Self, InvalidSelection> {
        let namespaces: BTreeSet<String> =
            namespaces.into_iter().map(|name| name.trim().to_owned()).collect();
        if let Some(bad) = namespaces.iter().find(|name| !is_dns_label(name)) {
            return Err(InvalidSelection::Namespace(bad.clone()));
        }
        let parts = if selector.trim().is_empty() { Vec::new() } else { parts(selector) };
        let requirements = parts.into_iter().map(requirement).collect::<Result<_, _>>()?;
        Ok(Self { namespaces, requirements })
    }

    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// In the order of their names; none: all.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(String::as_str)
    }

    /// The label selector, as the Kubernetes API takes it; empty: any labels.
    pub fn selector(&self) -> String {
        let all: Vec<String> = self.requirements.iter().map(ToString::to_string).collect();
        all.join(",")
    }

    /// Whether an object is among those that are selected.
    pub fn includes(&self, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let here = self.namespaces.is_empty() || self.namespaces.contains(namespace);
        let label = |key: &str| labels.and_then(|all| all.get(key));
        here && self.requirements.iter().all(|one| one.is_met(label))
    }

    /// Whether there may be an object that both select.
    pub fn may_overlap(&self, other: &Self) -> bool {
        let anywhere = self.namespaces.is_empty() || other.namespaces.is_empty();
        let apart = !anywhere && self.namespaces.is_disjoint(&other.namespaces);
        let contradict = |one: &Requirement| {
            other.requirements.iter().any(|two| one.rules_out(two) || two.rules_out(one))
        };
        !apart && !self.requirements.iter().any(contradict)
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespaces: Vec<&str> = self.namespaces().collect();
        match (namespaces.as_slice(), self.selector().as_str()) {
            ([], "") => f.write_str("all objects"),
            ([], selector) => write!(f, "objects with {selector}"),
            (some, "") => write!(f, "objects in {}", some.join(",")),
            (some, selector) => write!(f, "objects in {} with {selector}", some.join(",")),
        }
    }
}

impl Requirement {
    fn is_met<'a>(&self, label: impl Fn(&str) -> Option<&'a String>) -> bool {
        match self {
            Self::In(key, values) => label(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => label(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
        }
    }

    /// Whether no object meets both. What cannot be told easily may overlap.
    fn rules_out(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::In(a, some), Self::In(b, others)) => a == b && some.is_disjoint(others),
            (Self::In(a, some), Self::NotIn(b, none)) => a == b && some.is_subset(none),
            (Self::In(a, _) | Self::Exists(a), Self::Absent(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &BTreeSet<String>| {
            let all: Vec<&str> = values.iter().map(String::as_str).collect();
            all.join(",")
        };
        match self {
            Self::In(key, values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Self::In(key, values) => write!(f, "{key} in ({})", list(values)),
            Self::NotIn(key, values) if values.len() == 1 => write!(f, "{key}!={}", list(values)),
            Self::NotIn(key, values) => write!(f, "{key} notin ({})", list(values)),
            Self::Exists(key) => f.write_str(key),
            Self::Absent(key) => write!(f, "!{key}"),
        }
    }
}

/// What commas outside of parentheses part.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0_u32, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[start..]);
    found
}

fn requirement(text: &str) -> Result<Requirement, InvalidSelection> {
    let text = text.trim();
    let bad = || InvalidSelection::Requirement(text.to_owned());
    let one = |value: &str| BTreeSet::from([value.trim().to_owned()]);
    let listed = |value: &str| -> Option<BTreeSet<String>> {
        let inside = value.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inside.split(',').map(|one| one.trim().to_owned()).collect())
    };
    let words = text.split_once(char::is_whitespace).map(|(key, rest)| (key, rest.trim()));
    let made = if let Some((key, value)) = text.split_once("!=") {
        Some((key, Requirement::NotIn as fn(_, _) -> _, one(value)))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        Some((key, Requirement::In as fn(_, _) -> _, one(value)))
    } else if let Some((key, rest)) = words {
        match (rest.strip_prefix("in"), rest.strip_prefix("notin")) {
            (Some(values), _) => Some((key, Requirement::In as _, listed(values).ok_or_else(bad)?)),
            (_, Some(values)) => {
                Some((key, Requirement::NotIn as _, listed(values).ok_or_else(bad)?))
            }
            (None, None) => return Err(bad()),
        }
    } else {
        None
    };
    match made {
        Some((key, make, values)) => {
            let key = key.trim();
            let usable = is_key(key) && values.iter().all(|value| is_value(value));
            if usable { Ok(make(key.to_owned(), values)) } else { Err(bad()) }
        }
        None => match text.strip_prefix('!') {
            Some(key) if is_key(key) => Ok(Requirement::Absent(key.to_owned())),
            None if is_key(text) => Ok(Requirement::Exists(text.to_owned())),
            Some(_) | None => Err(bad()),
        },
    }
}

fn is_dns_label(name: &str) -> bool {
    let letter = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit();
    let inside = |one: u8| letter(one) || one == b'-';
    let ends = name.bytes().next().zip(name.bytes().next_back());
    name.len() <= 63
        && ends.is_some_and(|(a, b)| letter(a) && letter(b))
        && name.bytes().all(inside)
}

/// The name of a label, with or without a prefix.
fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => {
            prefix.len() <= 253
                && prefix.split('.').all(is_dns_label)
                && !name.is_empty()
                && is_value(name)
        }
        None => !key.is_empty() && is_value(key),
    }
}

fn is_value(value: &str) -> bool {
    let letter = |one: u8| one.is_ascii_alphanumeric();
    let inside = |one: u8| letter(one) || matches!(one, b'-' | b'_' | b'.');
    let ends = value.bytes().next().zip(value.bytes().next_back());
    value.len() <= 63
        && ends.is_none_or(|(a, b)| letter(a) && letter(b))
        && value.bytes().all(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(namespaces: &str, selector: &str) -> Selection {
        let names = namespaces.split(',').filter(|name| !name.is_empty());
        Selection::parse(names, selector).unwrap()
    }

    #[test]
    fn equal_selections_read_the_same_however_they_were_written() {
        for (namespaces, selector, shown) in [
            ("", "", "all objects"),
            ("", "  ", "all objects"),
            ("b,a,b", "", "objects in a,b"),
            ("", "shard==1", "objects with shard=1"),
            ("", "b!=1 , a in ( y,x )", "objects with a in (x,y),b!=1"),
            (
                "a",
                "x.io/t notin (1, 2),!gone,there",
                "objects in a with x.io/t notin (1,2),there,!gone",
            ),
            ("", "shard in (1)", "objects with shard=1"),
            ("", "empty=", "objects with empty="),
        ] {
            assert_eq!(selection(namespaces, selector).to_string(), shown);
        }
        assert!(selection("", "").is_everything() && !selection("a", "").is_everything());
    }

    #[test]
    fn what_is_no_selection_is_refused() {
        for (namespaces, selector) in [
            (&["a", ""][..], ""),
            (&["A"], ""),
            (&["-a"], ""),
            (&[], "a=b,"),
            (&[], ","),
            (&[], "a b"),
            (&[], "a in b"),
            (&[], "a in (b"),
            (&[], "=b"),
            (&[], "a=b=c"),
            (&[], "!"),
            (&[], "a/b/c=1"),
            (&[], "a=-"),
        ] {
            let parsed = Selection::parse(namespaces.iter().copied(), selector);
            assert!(parsed.is_err(), "{namespaces:?} {selector:?}: {parsed:?}");
        }
    }

    #[test]
    fn an_object_is_selected_by_its_namespace_and_its_labels() {
        let labels = BTreeMap::from([("shard".to_owned(), "1".to_owned())]);
        for (namespaces, selector, expected) in [
            ("", "", true),
            ("a,b", "", true),
            ("b", "", false),
            ("", "shard=1", true),
            ("", "shard=2", false),
            ("", "shard!=2", true),
            ("", "shard in (1,2)", true),
            ("", "shard notin (1,2)", false),
            ("", "shard", true),
            ("", "!shard", false),
            ("", "tier!=x", true),
            ("", "tier notin (x)", true),
            ("", "tier", false),
            ("", "!tier", true),
            ("", "shard=1,tier=x", false),
        ] {
            let includes = selection(namespaces, selector).includes("a", Some(&labels));
            assert_eq!(includes, expected, "{namespaces} {selector}");
        }
        assert!(!selection("", "shard").includes("a", None));
    }

    #[test]
    fn selections_overlap_unless_they_contradict_each_other() {
        let everything = ("", "");
        for (one, two, expected) in [
            (everything, everything, true),
            (everything, ("a", "shard=1"), true),
            (("a", ""), ("b", ""), false),
            (("a,b", ""), ("b,c", ""), true),
            (("a", "x=1"), ("b", "x=1"), false),
            (("", "shard=1"), ("", "shard=2"), false),
            (("", "shard=1"), ("", "tier=2"), true),
            (("", "shard=1"), ("", "shard!=1"), false),
            (("", "shard=1"), ("", "shard!=2"), true),
            (("", "shard in (1,2)"), ("", "shard in (2,3)"), true),
            (("", "shard in (1,2)"), ("", "shard notin (2,1)"), false),
            (("", "shard"), ("", "!shard"), false),
            (("", "shard=1"), ("", "!shard"), false),
            (("", "shard!=1"), ("", "!shard"), true),
            (("", "shard!=1"), ("", "shard!=2"), true),
        ] {
            let (one, two) = (selection(one.0, one.1), selection(two.0, two.1));
            assert_eq!(one.may_overlap(&two), expected, "{one} / {two}");
            assert_eq!(two.may_overlap(&one), expected, "{two} / {one}");
        }
    }
}
