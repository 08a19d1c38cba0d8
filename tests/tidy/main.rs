//! The source lints itself: who may use whom, how long things are, and what must not be left behind.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod modules;
mod texts;

use std::{
    fs,
    path::{Path, PathBuf},
};

use modules::{Modules, circles};

/// Module of the operator, what it may use of the others. `src/lib.rs` says why; what is a crate of
/// its own (the client, the simulator) needs no row: Cargo keeps those walls.
const MAY_USE: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("lifecycle", &["api"]),
    ("telemetry", &[]),
    ("config", &["api", "lifecycle", "telemetry"]),
    ("controller", &["api", "lifecycle", "telemetry"]),
    // lib.rs
    ("", &[]),
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

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn modules_use_only_what_they_may() {
    let mut faults = Vec::new();
    let top = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    for (module, uses) in Modules::read(&root().join("src/lib.rs")).uses() {
        let name = top(&module);
        let Some((_, may)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            faults.push(format!("module {name:?} has no row in MAY_USE"));
            continue;
        };
        let outside = uses.iter().map(|used| top(used)).filter(|used| *used != name);
        for used in outside.filter(|used| !may.contains(&used.as_str())) {
            faults.push(format!("{module} may not use {used}"));
        }
    }
    report(&faults);
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let mut faults = Vec::new();
    let paths = all(&[PRODUCTS, TESTS, &["hack"]].concat()).into_iter().map(|source| source.path);
    let roots: Vec<_> = paths.filter(|path| is_root(path)).collect();
    for known in ["src/lib.rs", "crates/zenlayer-sim/src/main.rs", "tests/harness/src/lib.rs"] {
        assert!(roots.iter().any(|path| path == known), "{known} is not looked at: {roots:?}");
    }
    for path in roots {
        let found = circles(&Modules::read(&root().join(&path)).uses());
        faults.extend(found.into_iter().map(|circle| format!("{path}: {circle}")));
    }
    report(&faults);
}

/// Whether a crate begins here: a library, a program, or tests of several files.
fn is_root(path: &str) -> bool {
    path.ends_with("/lib.rs") || path.ends_with("/main.rs")
}

/// Files of a crate that a test writes.
struct Planted(tempfile::TempDir);

impl Planted {
    fn new(files: &[(&str, &str)]) -> Self {
        let planted = Self(tempfile::TempDir::new().unwrap());
        files.iter().for_each(|(name, text)| planted.write(name, text));
        planted
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn modules(&self) -> Modules {
        Modules::read(&self.0.path().join("lib.rs"))
    }

    fn circles(&self) -> Vec<String> {
        circles(&self.modules().uses())
    }

    fn used_by(&self, module: &str) -> Vec<String> {
        self.modules().uses()[module].iter().cloned().collect()
    }
}

#[test]
fn a_circle_is_found_through_a_re_export() {
    let planted = Planted::new(&[
        ("lib.rs", "mod a; mod b; pub mod c;"),
        ("a.rs", "use crate::c::Thing; pub struct A; fn f(_: Thing) {}"),
        ("b.rs", "pub fn g() { log!(crate::a::A); }"),
        ("c/mod.rs", "mod inner; pub use inner::Thing;"),
        ("c/inner.rs", "pub struct Thing;"),
    ]);
    assert_eq!(planted.circles(), Vec::<String>::new());
    assert_eq!(planted.used_by("a"), ["c::inner"]);
    planted.write("c/inner.rs", "pub struct Thing; fn h() { crate::b::g() }");
    assert_eq!(planted.circles(), ["a -> c::inner -> b"]);
}

#[test]
fn a_circle_is_found_through_a_name_that_a_macro_makes() {
    let uses_b = "fn f(_: super::b::B) {}";
    // How `b` names what the macro in `a` makes, through what the root hands on or itself.
    for (name, root, b) in [
        ("imported", "", "use crate::a::Made; pub struct B(Made);"),
        ("named in full", "", "pub struct B(crate::a::Made);"),
        ("one of its parts", "", "pub struct B; fn g() -> u8 { super::a::Made::part() }"),
        ("imported in a function", "", "pub struct B; fn g() { use crate::a::{Made, c::D}; }"),
        ("handed on", "pub use a::Made;", "use crate::Made; pub struct B(Made);"),
        ("handed on with all else", "pub use a::*;", "use crate::Made; pub struct B(Made);"),
    ] {
        let (root, a) = (format!("mod a; mod b; {root}"), format!("make! {{ Made }} {uses_b}"));
        let planted = Planted::new(&[("lib.rs", &root), ("a.rs", &a), ("b.rs", b)]);
        assert_eq!(planted.circles(), ["a -> b"], "{name}");
    }
}

#[test]
fn names_of_other_crates_are_no_use_of_a_module() {
    let planted = Planted::new(&[
        ("lib.rs", "mod a; pub use a::*; use far::*; fn f() -> Vec<u8> { Vec::new() }"),
        ("a.rs", "make! { Made } use std::fmt; use self::c::{self}; mod c; pub use c::*;"),
        (
            "a/c.rs",
            "use super::fmt; make! { Other } pub use super::*; use near::near;
                    fn g() -> fmt::Result { serde::to(near::x()) }",
        ),
    ]);
    for module in ["", "a", "a::c"] {
        assert_eq!(planted.used_by(module), Vec::<String>::new(), "{module:?}");
    }
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
    for source in all(&[PRODUCTS, TESTS].concat()) {
        for (index, line) in source.text.lines().enumerate() {
            for found in leftovers.iter().filter(|found| line.contains(found.as_str())) {
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
