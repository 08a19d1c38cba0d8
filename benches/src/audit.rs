//! The API server's audit log: what the measured program has asked of Kubernetes.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Deserialize;

/// One answered request, or one watch that has begun.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    pub verb: String,
    stage: String,
    #[serde(rename = "requestReceivedTimestamp")]
    pub at: Timestamp,
    user: User,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
}

#[derive(Debug, Clone, Deserialize)]
struct User {
    username: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

impl Asked {
    /// Verb and resource, such as `update vminstances/status`.
    pub fn what(&self) -> String {
        let Object { resource, subresource, .. } = &self.object_ref;
        match (resource.as_str(), subresource.as_str()) {
            ("", _) => self.verb.clone(),
            (resource, "") => format!("{} {resource}", self.verb),
            (resource, sub) => format!("{} {resource}/{sub}", self.verb),
        }
    }

    pub fn name(&self) -> &str {
        &self.object_ref.name
    }

    pub fn code(&self) -> u16 {
        self.response_status.code
    }

    pub fn writes(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// A watch is counted where it begins, anything else where it has ended.
    fn counts(&self) -> bool {
        let begun = self.stage == "ResponseStarted";
        if self.verb == "watch" { begun } else { !begun }
    }
}

/// The log of one user, read from a place on.
pub struct Audit {
    path: PathBuf,
    user: String,
    read: u64,
}

impl Audit {
    pub fn of(path: &Path, user: &str) -> Self {
        Self { path: path.to_owned(), user: user.to_owned(), read: 0 }
    }

    /// Passes over what was asked so far.
    pub fn skip(&mut self) -> Result<()> {
        self.read = std::fs::metadata(&self.path).context("find the audit log")?.len();
        Ok(())
    }

    /// What was asked since the last time, oldest first.
    pub fn next(&mut self) -> Result<Vec<Asked>> {
        let mut file = File::open(&self.path).context("open the audit log")?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut reader = BufReader::new(file);
        let (mut line, mut asked) = (String::new(), Vec::new());
        loop {
            line.clear();
            let length = reader.read_line(&mut line)?;
            // A line that is still being written is read the next time.
            if !line.ends_with('\n') {
                break;
            }
            self.read += u64::try_from(length)?;
            if line.contains(&self.user) {
                let one: Asked = serde_json::from_str(&line).context("read the audit log")?;
                if one.user.username == self.user && one.counts() {
                    asked.push(one);
                }
            }
        }
        asked.sort_by_key(|one| one.at);
        Ok(asked)
    }
}

/// How often each was asked.
pub fn counted(asked: &[Asked]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for one in asked {
        *counts.entry(one.what()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn line(stage: &str, user: &str, verb: &str, sub: &str) -> String {
        let object = format!(r#"{{"resource":"vminstances","name":"vm-1","subresource":"{sub}"}}"#);
        format!(
            r#"{{"stage":"{stage}","verb":"{verb}","user":{{"username":"{user}"}},"objectRef":{object},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-11-26T10:00:00.000001Z"}}"#
        )
    }

    #[test]
    fn requests_of_one_user_are_counted_once_each_and_half_a_line_waits() {
        let folder = std::env::temp_dir().join(format!("audit-{}", std::process::id()));
        let mut file = File::create(&folder).unwrap();
        let mut audit = Audit::of(&folder, "me");
        for one in [
            line("ResponseStarted", "me", "watch", ""),
            line("ResponseComplete", "me", "watch", ""),
            line("ResponseStarted", "me", "list", ""),
            line("ResponseComplete", "me", "list", ""),
            line("ResponseComplete", "me", "update", "status"),
            line("ResponseComplete", "other", "update", "status"),
            line("ResponseComplete", "me too", "update", "status"),
        ] {
            writeln!(file, "{one}").unwrap();
        }
        let late = line("ResponseComplete", "me", "get", "");
        let (half, rest) = late.split_at(late.len() / 2);
        write!(file, "{half}").unwrap();
        let first = audit.next().unwrap();
        let expected = [("list vminstances", 1), ("update vminstances/status", 1)];
        let expected = expected.into_iter().chain([("watch vminstances", 1)]);
        assert!(counted(&first).iter().map(|(a, b)| (a.as_str(), *b)).eq(expected), "{first:?}");
        assert_eq!(first.iter().filter(|one| one.writes()).count(), 1);
        writeln!(file, "{rest}").unwrap();
        let second = audit.next().unwrap();
        assert_eq!(second.len(), 1);
        assert_eq!((second[0].what().as_str(), second[0].name()), ("get vminstances", "vm-1"));
        std::fs::remove_file(folder).unwrap();
    }
}
