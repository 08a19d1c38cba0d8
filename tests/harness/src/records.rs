//! What the operators of the tests emitted, and the secrets that they were given: kept in a folder, so that the
//! one is looked for in the other once all tests are over (`tests/cluster/emitted.rs`).

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::json;
use tempfile::TempDir;

use crate::sweep::swept_after_us;

/// The folder stays there if this variable names it; else it goes with this process.
pub const FOLDER: &str = "ZENLAYER_AUDIT_FOLDER";

/// The shortest text that is a secret: a shorter one is part of other words, so finding it says nothing.
const SHORTEST: usize = 12;

/// A way out of the operator's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Standard output and standard error: its log, and what it says when it crashes.
    Output,
    /// Its requests to the API server, with what it wrote: the audit logs.
    Api,
    Metrics,
    /// The answers of its probes.
    Probes,
}

impl Channel {
    pub const ALL: [Self; 4] = [Self::Output, Self::Api, Self::Metrics, Self::Probes];

    /// Its folder in that of the records. The audit logs have always been in the root.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Api => "",
            Self::Metrics => "metrics",
            Self::Probes => "probes",
        }
    }
}

/// Where the secrets are written down.
pub const SECRETS: &str = "secrets";

/// The folder of this process's records.
pub fn folder() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let folder = std::env::var_os(FOLDER).map_or_else(temporary, PathBuf::from);
        let parts = Channel::ALL.map(Channel::folder);
        for part in parts.into_iter().chain([SECRETS]) {
            std::fs::create_dir_all(folder.join(part)).expect("the records can be written");
        }
        folder
    })
}

fn temporary() -> PathBuf {
    let folder = TempDir::new().expect("a temporary folder can be made").keep();
    swept_after_us(&folder).expect("a shell can be started");
    folder
}

/// A new file for what goes out this way, by the name of the test that is running.
pub fn file(channel: Channel) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed").replace("::", ".");
    let test: String =
        test.chars().filter(|one| one.is_alphanumeric() || "._-".contains(*one)).collect();
    folder().join(channel.folder()).join(format!("{test}.{}-{count}.log", std::process::id()))
}

/// Writes down what went out this way.
pub fn emitted(channel: Channel, text: &str) {
    std::fs::write(file(channel), text).expect("the records can be written");
}

/// Whoever gives the operator a secret says so. An empty one is none.
pub fn secret(name: &str, value: &str) {
    static KNOWN: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    assert!(
        value.is_empty() || value.len() >= SHORTEST,
        "{name} has less than {SHORTEST} characters, so it cannot be told from other text"
    );
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if !value.is_empty() && known.get_or_insert_default().insert(value.to_owned()) {
        let path = folder().join(SECRETS).join(format!("{}.jsonl", std::process::id()));
        let file = File::options().create(true).append(true).open(path);
        let line = json!({ "name": name, "value": value });
        writeln!(file.expect("the records can be written"), "{line}").expect("the disk has room");
    }
}

/// The signature of a call. There are thousands, so some stand for all.
pub fn signature(value: &str) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    if COUNT.fetch_add(1, Ordering::Relaxed) < 200 {
        secret("the signature of a call", value);
    }
}

/// What one operator said over HTTP: the last line of each series, and each answer of a probe.
#[derive(Debug, Default)]
pub struct Answers {
    series: BTreeMap<String, String>,
    probes: BTreeSet<String>,
}

impl Answers {
    pub fn add(&mut self, path: &str, status: u16, text: &str) {
        if path != "metrics" {
            self.probes.insert(format!("{path} {status} {text}"));
            return;
        }
        for line in text.lines() {
            let comment = line.starts_with('#');
            let series = line.rsplit_once(' ').filter(|_| !comment).map_or(line, |(name, _)| name);
            self.series.insert(series.to_owned(), line.to_owned());
        }
    }

    pub fn keep(&self) {
        if !self.series.is_empty() {
            let lines: Vec<&str> = self.series.values().map(String::as_str).collect();
            emitted(Channel::Metrics, &lines.join("\n"));
        }
        if !self.probes.is_empty() {
            let answers: Vec<&str> = self.probes.iter().map(String::as_str).collect();
            emitted(Channel::Probes, &answers.join("\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_of_every_scrape_is_kept_and_every_answer_of_a_probe() {
        let mut answers = Answers::default();
        answers.add("metrics", 200, "# HELP a A.\na{b=\"1\"} 1\nc 7\n");
        answers.add("metrics", 200, "# HELP a A.\na{b=\"2\"} 1\nc 8\n");
        answers.add("readyz", 503, "starting");
        answers.add("readyz", 200, "ok");
        let lines: Vec<_> = answers.series.values().map(String::as_str).collect();
        assert_eq!(lines, ["# HELP a A.", "a{b=\"1\"} 1", "a{b=\"2\"} 1", "c 8"]);
        let probes: Vec<_> = answers.probes.iter().map(String::as_str).collect();
        assert_eq!(probes, ["readyz 200 ok", "readyz 503 starting"]);
    }

    #[test]
    #[should_panic(expected = "cannot be told from other text")]
    fn a_secret_that_is_part_of_other_words_is_refused() {
        secret("a password", "wrong");
    }
}
