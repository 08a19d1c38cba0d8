//! The source lints itself: who may use whom, how long things are, and what must not be left behind.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Module of the operator, what it may use of the others. `src/lib.rs` says why; what is a crate of
/// its own (the client, the simulator) needs no row: Cargo keeps those walls.
const MAY_USE: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("lifecycle", &["api"]),
    ("telemetry", &[]),
    ("config", &["api", "lifecycle", "telemetry"]),
    ("controller", &["api", "lifecycle", "telemetry"]),
    ("main", &["api", "config", "controller", "lifecycle", "telemetry"]),
    ("lib", &[]),
];

/// Folders with the source of a product.
const PRODUCTS: &[&str] = &["src", "crates/zenlayer/src", "crates/zenlayer-sim/src"];

/// Folders with tests.
const TESTS: &[&str] = &["tests", "crates/zenlayer/tests", "crates/zenlayer-sim/tests"];

/// What does I/O in the client, and so is not for the pure core.
const NOT_FOR_THE_CORE: &[&str] = &["Client", "ClientOptions", "Cloud", "Credentials", "Endpoint"];

/// Files longer than the limit, with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Files that may turn a secret into text: they sign with it.
const MAY_EXPOSE_SECRETS: &[&str] = &["crates/zenlayer/src/"];

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
const RECONCILE_LINES: usize = 50;
const LIB_LINES: usize = 100;

struct Source {
    path: String,
    text: String,
    /// The text without comments and without what stands behind `#[cfg(test)]`.
    code: String,
}

impl Source {
    /// The module of the crate that the file belongs to.
    fn module(&self) -> &str {
        let inner = self.path.trim_start_matches("src/");
        inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
    }

    /// The file's place in the tree of modules.
    fn module_path(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inner.split('/').filter(|part| *part != "mod").collect()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    files(&root().join(folder), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        Source { path, code: code_of(&text), text }
    };
    paths.into_iter().map(read).collect()
}

fn all(folders: &[&str]) -> Vec<Source> {
    folders.iter().flat_map(|folder| sources(folder)).collect()
}

fn code_of(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    let without_comment = |line: &str| {
        // A comment begins with // at the line's start or after a space; `https://` does not.
        let start = line.trim_start();
        if start.starts_with("//") {
            return String::new();
        }
        line.split(" // ").next().unwrap_or_default().to_owned()
    };
    before_tests.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// The first names of all paths that begin with `start`, groups in braces included.
fn heads(code: &str, start: &str) -> BTreeSet<String> {
    let dense: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = BTreeSet::new();
    for (at, _) in dense.match_indices(start) {
        let inside_word =
            dense[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        if inside_word {
            continue;
        }
        let rest = dense[at + start.len()..].trim_start();
        let mut depth = 0;
        let mut item = String::new();
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth <= 1 => break,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    found.insert(first_name(&item));
                    item.clear();
                    continue;
                }
                _ if depth == 0 && !(c.is_alphanumeric() || c == '_' || c == ':') => break,
                _ => {}
            }
            if depth > 0 || c != '{' {
                item.push(c);
            }
        }
        found.insert(first_name(&item));
    }
    found.remove("");
    found
}

fn first_name(item: &str) -> String {
    let item = item.trim_start_matches(['{', ' ']);
    item.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The modules of this crate that a file uses.
fn used(source: &Source) -> BTreeSet<String> {
    let mut used = heads(&source.code, "crate::");
    used.extend(heads(&source.code, "zenlayer_vm_operator::"));
    // super:: that leads out of the module's own folder.
    let depth = source.module_path().len();
    let out = "super::".repeat(depth);
    used.extend(heads(&source.code, &out).into_iter().filter(|name| name != "super"));
    used
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn paths_are_found_in_groups_and_alone() {
    let code = "use crate::{\n    api::{Phase, Reason},\n    zenlayer::Instance,\n};\nlet x = crate::sim::World;";
    let names: Vec<_> = heads(code, "crate::").into_iter().collect();
    assert_eq!(names, ["api", "sim", "zenlayer"]);
    assert!(heads("use my_crate::api;", "crate::").is_empty());
    let (path, code) =
        ("src/lifecycle/decide/facts.rs".to_owned(), code_of("use super::super::super::sim;"));
    let deep = Source { path, text: String::new(), code };
    assert_eq!(used(&deep).into_iter().collect::<Vec<_>>(), ["sim"]);
}

#[test]
fn modules_use_only_what_they_may() {
    let mut faults = Vec::new();
    for source in sources("src") {
        let module = source.module();
        let Some((_, may)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            faults.push(format!("{}: module {module} has no row in MAY_USE", source.path));
            continue;
        };
        for other in used(&source) {
            let known = MAY_USE.iter().any(|(name, _)| *name == other);
            if known && other != module && !may.contains(&other.as_str()) {
                faults.push(format!("{}: {module} may not use {other}", source.path));
            }
        }
    }
    report(&faults);
}

#[test]
fn the_core_uses_only_plain_types_of_the_client() {
    let mut faults = Vec::new();
    for source in sources("src/lifecycle") {
        // A class of errors bears the same name as the type.
        let code = source.code.replace("ErrorClass::Credentials", "");
        for name in NOT_FOR_THE_CORE {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            if code.split(|c| !word(c)).any(|found| found == *name) {
                faults.push(format!("{}: {name}", source.path));
            }
        }
        let impure = [
            "async ",
            ".await",
            "tokio",
            "sleep",
            "tracing",
            "reqwest",
            "kube::",
            "::now()",
            "SystemTime",
            "Instant::",
            "rand::",
            "uuid",
            "std::env",
            "std::fs",
            "std::net",
        ];
        for what in impure {
            if source.code.contains(what) {
                faults.push(format!("{}: {what} in the pure core", source.path));
            }
        }
    }
    report(&faults);
}

#[test]
fn the_core_denies_the_clock_to_itself() {
    // clippy.toml lists the methods; the attribute makes clippy refuse them where purity matters.
    let core = fs::read_to_string(root().join("src/lifecycle/mod.rs")).unwrap();
    assert!(core.contains("#![deny(clippy::disallowed_methods)]"));
    let list = fs::read_to_string(root().join("clippy.toml")).unwrap();
    for method in ["jiff::Timestamp::now", "std::time::SystemTime::now", "std::time::Instant::now"]
    {
        assert!(list.contains(method), "{method}");
    }
}

/// Functions with their first line's number and length, as rustfmt lays them out.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let start = line.trim_start();
        let words: Vec<_> = start.split(' ').collect();
        let Some(at) = words.iter().position(|word| *word == "fn") else { continue };
        let qualifiers = ["pub", "async", "const", "unsafe", "pub(super)", "pub(crate)"];
        if !words[..at].iter().all(|word| qualifiers.contains(word) || word.starts_with("pub(")) {
            continue;
        }
        let indent = line.len() - start.len();
        let is_end = |line: &&str| {
            line.len() - line.trim_start().len() == indent
                && (line.trim() == "}" || line.trim_end().ends_with(';') || line.ends_with("{}"))
        };
        let one_line = start.ends_with('}') || start.ends_with(';');
        let length = if one_line {
            1
        } else {
            lines[index + 1..].iter().position(is_end).map_or(1, |end| end + 2)
        };
        let name =
            words.get(at + 1).map_or("", |name| name.split(['(', '<']).next().unwrap_or(name));
        found.push((name.to_owned(), index + 1, length));
    }
    found
}

#[test]
fn functions_are_measured() {
    let text = "    pub async fn one(\n        a: u8,\n    ) -> u8 {\n        a\n    }\n\n    fn two() {}\nfn three(\n    a: u8,\n);\n";
    let lengths: Vec<_> =
        functions(text).into_iter().map(|(name, _, length)| (name, length)).collect();
    let expected = [("one", 5), ("two", 1), ("three", 3)];
    assert_eq!(lengths, expected.map(|(name, length)| (name.to_owned(), length)));
}

#[test]
fn files_and_functions_are_short() {
    let mut faults = Vec::new();
    for source in all(PRODUCTS) {
        let lines = source.text.lines().count();
        let excused = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        if lines > FILE_LINES && !excused {
            faults.push(format!("{}: {lines} lines, the limit is {FILE_LINES}", source.path));
        }
        for (name, line, length) in functions(&source.text) {
            let limit = if name == "reconcile" { RECONCILE_LINES } else { FUNCTION_LINES };
            if length > limit {
                faults.push(format!(
                    "{}:{line}: {name} has {length} lines, not {limit}",
                    source.path
                ));
            }
        }
    }
    for (path, _) in LONG_FILES {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        if text.lines().count() <= FILE_LINES {
            faults.push(format!("{path}: no longer too long, remove its exception"));
        }
    }
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    if lib.lines().count() > LIB_LINES {
        faults.push(format!("src/lib.rs: more than {LIB_LINES} lines are no ten-minute page"));
    }
    report(&faults);
}

#[test]
fn every_file_begins_with_its_contract() {
    let mut sources = all(&[PRODUCTS, TESTS].concat());
    sources.retain(|source| !source.text.starts_with("//! "));
    let faults: Vec<_> = sources.into_iter().map(|source| source.path).collect();
    report(&faults);
}

#[test]
fn nothing_is_left_behind() {
    let mut faults = Vec::new();
    // In pieces, or this file would find itself.
    let leftovers = ["dbg", "todo", "unimplemented"].map(|name| format!("{name}!"));
    let marks = ["TO", "FIX", "XX"].map(|start| match start {
        "TO" => format!("{start}DO"),
        "FIX" => format!("{start}ME"),
        _ => format!("{start}X"),
    });
    for source in all(&[PRODUCTS, TESTS].concat()) {
        for (index, line) in source.text.lines().enumerate() {
            let marked = |mark: &&String| line.contains(mark.as_str());
            for found in leftovers.iter().chain(&marks).filter(marked) {
                faults.push(format!("{}:{}: {found}", source.path, index + 1));
            }
        }
    }
    for source in all(PRODUCTS) {
        for found in [".unwrap()", ".unwrap_err()", "panic!(", "unreachable!("] {
            if source.code.contains(found) {
                faults.push(format!("{}: {found} outside tests", source.path));
            }
        }
    }
    report(&faults);
}

#[test]
fn no_secret_becomes_text() {
    let mut faults = Vec::new();
    for source in all(PRODUCTS) {
        let may = MAY_EXPOSE_SECRETS.iter().any(|folder| source.path.starts_with(folder));
        if source.code.contains("expose_secret") && !may {
            faults.push(format!("{}: exposes a secret", source.path));
        }
        for (index, line) in source.code.lines().enumerate() {
            let prints =
                ["tracing::", "info!", "warn!", "error!", "debug!", "println!", "eprintln!"];
            let shows = ["expose_secret", "password", "authorization", "token"];
            let lower = line.to_lowercase();
            if prints.iter().any(|word| line.contains(word))
                && shows.iter().any(|word| lower.contains(word))
            {
                faults.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    report(&faults);
}
