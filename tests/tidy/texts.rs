//! The texts of the repository: nothing unfinished stands in them, and they name no paper that a reader
//! of the repository cannot open.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{report, root};

/// A file, by its path in the repository.
struct Text {
    path: String,
    text: String,
}

/// Folders that hold what is built, fetched or found by fuzzing.
const NOT_OURS: &[&str] = &["target", "corpus", "artifacts"];

/// All files below a folder that end so. Hidden folders stand aside, but for the settings of CI and cargo.
fn texts(folder: &str, endings: &[&str]) -> Vec<Text> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let hidden = name.starts_with('.') && ![".ci", ".cargo", ".github"].contains(&&*name);
            if path.is_dir() && !hidden && !NOT_OURS.contains(&&*name) {
                folders.push(path);
            } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(text(&path));
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn text(path: &Path) -> Text {
    let shown = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    Text { path: shown, text: fs::read_to_string(path).unwrap() }
}

/// Where a check finds something in these texts, and what.
fn faults(texts: &[Text], check: impl Fn(&str, &str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for Text { path, text } in texts {
        let mut before = "";
        for (index, line) in text.lines().enumerate() {
            let found = check(before, line);
            faults.extend(found.map(|found| format!("{path}:{}: {found}: {line}", index + 1)));
            before = line;
        }
    }
    faults
}

/// A word in capitals that keeps the place of something else.
fn placeholder(line: &str) -> Option<String> {
    // In pieces, or this file would find itself.
    let words = [("TO", "DO"), ("FIX", "ME"), ("X", "XX"), ("TI", "MES"), ("T", "BD")];
    let mut written = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    written.find(|word| words.iter().any(|(a, b)| *word == format!("{a}{b}"))).map(str::to_owned)
}

#[test]
fn no_placeholder_is_left_in_any_text() {
    let texts = texts("", &[".rs", ".md", ".sh", ".yaml", ".toml", ".lua", ".py", "Makefile"]);
    for known in ["README.md", "hack/fuzz.sh", "deploy/install.yaml", "src/lib.rs", "Makefile"] {
        assert!(texts.iter().any(|text| text.path == known), "{known} is not looked at");
    }
    report(&faults(&texts, |_, line| placeholder(line)));
}

#[test]
fn a_placeholder_is_a_whole_word_in_capitals() {
    for (a, b) in [("TO", "DO"), ("FIX", "ME"), ("X", "XX"), ("TI", "MES"), ("T", "BD")] {
        for line in [format!("{a}{b}"), format!("// {a}{b}: later"), format!("needed. {a}{b}")] {
            assert_eq!(placeholder(&line), Some(format!("{a}{b}")), "{line}");
        }
    }
    for fine in ["times", "MOST_TIMES", "SOMETIMES", "Times", "todo"] {
        assert_eq!(placeholder(fine), None, "{fine}");
    }
}

/// The words by which a text points to a paper: a number is that of a section or a question of it.
/// RFCs have sections too, and everybody can open them.
fn paper(before: &str, line: &str) -> Option<String> {
    let lower = line.to_lowercase();
    let named = ["fact sheet", "design section"].into_iter().find(|word| lower.contains(word));
    let numbered = ["section ", "sections ", "question ", "questions "].into_iter().find(|word| {
        let mut behind = lower.split(word).skip(1);
        behind.any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    let rfc = before.contains("RFC") || line.contains("RFC");
    named.or(numbered.filter(|_| !rfc)).map(|word| format!("{:?}", word.trim()))
}

#[test]
fn texts_name_no_paper_that_is_not_in_the_repository() {
    let mut looked_at = texts("crates", &[".rs", ".md", ".toml", ".yaml"]);
    looked_at.extend(texts("docs", &[".md"]));
    // The client's own test has the words that it forbids.
    looked_at.retain(|text| text.path != "crates/zenlayer/tests/client/stranger.rs");
    assert!(looked_at.len() > 100);
    report(&faults(&looked_at, paper));
}

#[test]
fn a_paper_is_found_by_its_name_and_by_its_numbers() {
    for line in
        ["(fact sheet section 1)", "open question 16", "(Console, section 8).", "Fact Sheet"]
    {
        assert!(paper("", line).is_some(), "{line}");
    }
    for (before, line) in
        [("", "RFC 9111, section 5.1"), ("/// (RFC", "9111, section 5.1"), ("", "| question | 1")]
    {
        assert_eq!(paper(before, line), None, "{line}");
    }
}

/// A version that two crates name may differ; the workspace names each once.
#[test]
fn crates_take_every_dependency_from_the_workspace() {
    let mut manifests =
        vec![PathBuf::from("Cargo.toml"), PathBuf::from("tests/harness/Cargo.toml")];
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        manifests.push(entry.unwrap().path().join("Cargo.toml"));
    }
    let mut faults = Vec::new();
    let mut seen = 0;
    for manifest in manifests {
        let Text { path, text } = text(&root().join(manifest));
        let mut inside = false;
        for line in text.lines() {
            if line.starts_with('[') {
                inside = line.ends_with("dependencies]") && line != "[workspace.dependencies]";
            } else if inside && line.contains('=') {
                seen += 1;
                if !line.contains("workspace = true") {
                    faults.push(format!("{path}: {line}"));
                }
            }
        }
    }
    assert!(seen > 80, "{seen} lines");
    report(&faults);
}
