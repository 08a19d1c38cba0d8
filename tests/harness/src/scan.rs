//! Looks for secrets in what operators emitted. What it finds is told by the names of the secret and of the
//! record, never by the secret itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use aho_corasick::AhoCorasick;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use serde_json::Value;

use crate::records::{Channel, SECRETS};

/// Only what the operator asked of the API server goes out of it; the tests ask, too.
const OURS: &[u8] = b"\"userAgent\":\"vm-operator/";

/// The beginnings of what is secret by its form alone, whatever its value: name, beginning, and how many
/// characters of such a value follow at least.
const SHAPES: [(&str, &str, usize); 4] = [
    ("the signature of an Authorization header", "Signature=", 16),
    ("the token of an Authorization header", "Bearer ", 12),
    ("a JSON web token", "eyJhbGciOi", 12),
    ("a private key", "PRIVATE KEY-----", 0),
];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret {
    pub name: String,
    pub value: String,
}

/// The ways in which a text may be written, each with its name.
pub fn forms(value: &str) -> BTreeMap<String, &'static str> {
    let bytes = value.as_bytes();
    let mut all = BTreeMap::from([(value.to_owned(), "as it is")]);
    let mut add = |text: String, form| {
        all.entry(text).or_insert(form);
    };
    // Inside a longer text it begins at any of three places of a group; the characters at both ends then
    // depend on what is beside it.
    for (before, first) in [(0, 0), (1, 2), (2, 3)] {
        let shifted = [&[0; 2][..before], bytes].concat();
        let whole = shifted.len() * 8 / 6;
        for engine in [STANDARD, URL_SAFE] {
            add(engine.encode(&shifted)[first..whole].to_owned(), "in base64");
        }
    }
    let percent = |keep: fn(u8) -> bool| -> String {
        let one = |byte: &u8| {
            if keep(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
        };
        bytes.iter().map(one).collect()
    };
    add(percent(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)), "URL-encoded");
    add(bytes.iter().map(|byte| format!("{byte:02x}")).collect(), "in hexadecimal digits");
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    add(numbers.join(", "), "as a list of bytes");
    all
}

/// Finds secrets in texts.
pub struct Scanner {
    automaton: AhoCorasick,
    needles: Vec<Needle>,
}

struct Needle {
    what: String,
    /// At least so many characters of a value follow.
    followed_by: usize,
}

impl Scanner {
    pub fn of(secrets: &BTreeSet<Secret>) -> Self {
        let (mut texts, mut needles) = (Vec::new(), Vec::new());
        for Secret { name, value } in secrets {
            for (text, form) in forms(value) {
                texts.push(text);
                needles.push(Needle { what: format!("{name}, {form}"), followed_by: 0 });
            }
        }
        for (name, beginning, followed_by) in SHAPES {
            texts.push(beginning.to_owned());
            needles.push(Needle { what: name.to_owned(), followed_by });
        }
        let automaton = AhoCorasick::new(&texts).expect("there are not too many secrets");
        Self { automaton, needles }
    }

    /// What a text shows, in which form.
    pub fn found(&self, text: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for hit in self.automaton.find_overlapping_iter(text) {
            let needle = &self.needles[hit.pattern().as_usize()];
            let value = text[hit.end()..].iter().take_while(|one| is_of_a_value(**one)).count();
            if value >= needle.followed_by {
                found.insert(needle.what.as_str());
            }
        }
        found
    }
}

fn is_of_a_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Files, lines and bytes.
    pub seen: BTreeMap<Channel, [usize; 3]>,
    /// Channel, file, line, and what it shows.
    pub hits: BTreeSet<(Channel, String, usize, String)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for channel in Channel::ALL {
            let [files, lines, bytes] = self.seen.get(&channel).copied().unwrap_or_default();
            let hits = self.hits.iter().filter(|hit| hit.0 == channel).count();
            let name = format!("{channel:?}");
            writeln!(
                f,
                "{name:<8} | {files:>5} files | {lines:>8} lines | {bytes:>10} bytes | {hits} hits"
            )?;
        }
        for (channel, file, line, what) in &self.hits {
            writeln!(f, "{channel:?}, {file}:{line}: {what}")?;
        }
        Ok(())
    }
}

/// The secrets that were written down in a folder of records.
pub fn secrets(records: &Path) -> BTreeSet<Secret> {
    let mut all = BTreeSet::new();
    for file in files(&records.join(SECRETS)) {
        for line in std::fs::read_to_string(file).expect("a record can be read").lines() {
            let line: Value = serde_json::from_str(line).expect("a secret is a line of JSON");
            let text = |key: &str| line[key].as_str().expect("a text").to_owned();
            all.insert(Secret { name: text("name"), value: text("value") });
        }
    }
    all
}

/// Looks through all records of a folder.
pub fn scan(records: &Path, scanner: &Scanner) -> Report {
    let mut report = Report::default();
    for channel in Channel::ALL {
        for path in files(&records.join(channel.folder())) {
            let text = std::fs::read(&path).expect("a record can be read");
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let [files, lines, bytes] = report.seen.entry(channel).or_default();
            *files += 1;
            for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
                if channel == Channel::Api && !line.windows(OURS.len()).any(|part| part == OURS) {
                    continue;
                }
                *lines += 1;
                *bytes += line.len();
                for what in scanner.found(line) {
                    report.hits.insert((channel, name.clone(), index + 1, what.to_owned()));
                }
            }
        }
    }
    report
}

/// The files of a folder, not those below it.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "a+sentinel/Password 7f3a91";

    fn scanner() -> Scanner {
        let secret = Secret { name: "the password".to_owned(), value: VALUE.to_owned() };
        Scanner::of(&BTreeSet::from([secret]))
    }

    #[test]
    fn a_secret_is_found_in_every_form_and_told_by_its_name_alone() {
        let scanner = scanner();
        let within = |before: &str| STANDARD.encode(format!("{before}{VALUE}:rest"));
        for (text, form) in [
            (format!("key={VALUE} rest"), "as it is"),
            (within(""), "in base64"),
            (within("u"), "in base64"),
            (within("us"), "in base64"),
            (within("use"), "in base64"),
            (URL_SAFE.encode(VALUE), "in base64"),
            ("?key=a%2Bsentinel%2FPassword%207f3a91&b".to_owned(), "URL-encoded"),
            (format!("{:?}", VALUE.as_bytes()), "as a list of bytes"),
            (VALUE.bytes().map(|byte| format!("{byte:02x}")).collect(), "in hexadecimal digits"),
        ] {
            let found = scanner.found(text.as_bytes());
            assert_eq!(found, BTreeSet::from([&*format!("the password, {form}")]), "{text}");
        }
        for text in ["a+sentinel/Password 7f3a9", "", "a sentinel Password 7f3a91"] {
            assert!(scanner.found(text.as_bytes()).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_header_that_authorizes_is_found_by_its_form() {
        let scanner = scanner();
        for (text, expected) in [
            ("ZC2-HMAC-SHA256 Credential=a, Signature=0123456789abcdef01", 1),
            ("authorization: Bearer sim-token-unknown", 1),
            ("eyJhbGciOiJFUzI1NiIsImtpZCI6In.eyJ.abc", 1),
            ("-----BEGIN EC PRIVATE KEY-----", 1),
            ("the header has a Signature= and a Bearer token", 0),
            ("Bearer tokens are refused", 0),
        ] {
            assert_eq!(scanner.found(text.as_bytes()).len(), expected, "{text}");
        }
    }
}
