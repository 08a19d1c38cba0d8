//! What a bench prints: a head with all that its figures depend on, then tables, in Markdown.

use std::fmt;

use anyhow::Result;
use jiff::{Timestamp, Unit};

use crate::{
    machine::{Work, commit, first_line, machine},
    program::Program,
    stats::number,
};

pub struct Report {
    title: String,
    head: Vec<(&'static str, String)>,
    body: String,
    work: Work,
}

impl Report {
    /// Begins with what is known before anything was measured.
    pub fn new(title: &str, program: &Program) -> Result<Self> {
        let assets = &harness::control_plane::binaries().assets;
        let version = |name: &str| {
            first_line(std::process::Command::new(assets.join(name)).arg("--version"))
                .unwrap_or_else(|| "unknown".to_owned())
        };
        let now = Timestamp::now().round(Unit::Second)?;
        let command: Vec<String> = std::env::args().skip(1).collect();
        let head = vec![
            ("date", now.to_string()),
            ("command", format!("`benches/run {}`", command.join(" "))),
            ("commit", commit(&harness::root())),
            ("measured", program.describe()),
            ("machine", machine()),
            ("servers", format!("{}, {}", version("kube-apiserver"), version("etcd"))),
            ("simulator", simulator()),
        ];
        let work = Work::now()?;
        Ok(Self { title: title.to_owned(), head, body: String::new(), work })
    }

    /// A further line of the head: what was set.
    pub fn note(&mut self, name: &'static str, text: String) {
        self.head.push((name, text));
    }

    /// A table; its first row is the head.
    pub fn table(&mut self, rows: &[Vec<String>]) {
        let mut rows = rows.iter();
        let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
        if let Some(head) = rows.next() {
            self.body += &line(head);
            self.body += &format!("|{}\n", " --- |".repeat(head.len()));
        }
        self.body.extend(rows.map(line));
        self.body += "\n";
    }

    pub fn text(&mut self, text: &str) {
        self.body += text;
        self.body += "\n\n";
    }

    /// Ends with how busy the machine was: figures of a busy one are worth less.
    pub fn finish(mut self) -> Result<Self> {
        let busy = Work::now()?.busy_since(self.work);
        let all = "with the servers, the simulator, the bench, and whatever else ran";
        self.head.push(("processors in use", format!("{} % ({all})", number(busy))));
        Ok(self)
    }
}

/// Whether the simulator was built as the bench was.
fn simulator() -> String {
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    format!("zenlayer-sim, {build}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n", self.title)?;
        for (name, text) in &self.head {
            writeln!(f, "* {name}: {text}")?;
        }
        write!(f, "\n{}", self.body)
    }
}
