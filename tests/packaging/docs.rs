//! `docs/lifecycle.md` names what the types have, and nothing else. Its lists that follow from the
//! source are generated: `UPDATE_DOCS=1 cargo test --test packaging docs` writes them anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value;
use zenlayer::error::{ErrorClass, Problem, TABLE};
use zenlayer_vm_operator::api::{self, Reason};

use crate::read;

const PAGE: &str = "docs/lifecycle.md";
const AGAIN: &str = "run UPDATE_DOCS=1 cargo test --test packaging";

/// Values of an enumeration of the status, as the CRD has them.
fn values(path: &[&str]) -> BTreeSet<String> {
    let crd = serde_json::to_value(api::crd().unwrap()).unwrap();
    let mut at = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
    for name in path {
        at = match *name {
            "[]" => &at["items"],
            name => &at["properties"][name],
        };
    }
    let listed = at["enum"].as_array().unwrap_or_else(|| panic!("{path:?} has no values: {at}"));
    listed.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn phases() -> BTreeSet<String> {
    values(&["phase"])
}

/// The text below a heading, up to the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = format!("\n## {heading}\n");
    let at = page.find(&start).unwrap_or_else(|| panic!("{PAGE} has no section {heading}"));
    let rest = &page[at + start.len()..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// What stands in backticks in the first column of the tables of a section.
fn first_column(section: &str) -> Vec<String> {
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|line| line.split('`').nth(1)).map(str::to_owned).collect()
}

fn names_exactly(heading: &str, expected: &BTreeSet<String>) {
    let page = read(PAGE);
    let named = first_column(section(&page, heading));
    let unique: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(named.len(), unique.len(), "{heading}: a row stands twice");
    assert_eq!(unique, *expected, "the rows of {heading}");
}

#[test]
fn the_page_has_a_row_for_each_phase_kind_outcome_reason_and_code_and_no_other() {
    names_exactly("Phases", &phases());
    names_exactly("Calls", &values(&["change", "kind"]));
    names_exactly("How far a call has come", &values(&["change", "state"]));
    names_exactly("How a change ends", &values(&["history", "[]", "outcome"]));
    names_exactly("Codes", &TABLE.iter().map(|(code, _)| (*code).to_owned()).collect());
}

#[test]
fn the_diagram_shows_each_phase_and_no_other() {
    let page = read(PAGE);
    let diagram = page.split("```mermaid\n").nth(1).and_then(|rest| rest.split("```").next());
    let mut shown = BTreeSet::new();
    for line in diagram.unwrap().lines().filter(|line| line.contains("-->")) {
        let line = line.split(':').next().unwrap();
        shown.extend(line.split("-->").map(|end| end.trim().to_owned()));
    }
    shown.remove("[*]");
    assert_eq!(shown, phases());
}

/// Words of the sources that are shown to people as the reason of an event.
fn events_of_the_source() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut texts = sources("src/lifecycle/situation");
    texts.extend(sources("src/lifecycle/situation/type_change"));
    texts.push(read("src/controller/pass/publish.rs"));
    for text in texts {
        for word in text.split('"').skip(1).step_by(2).filter(|word| is_camel(word)) {
            found.insert(word.to_owned());
        }
    }
    found
}

/// The texts of the files of a folder.
fn sources(folder: &str) -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|file| file.is_file());
    files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

fn is_camel(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(|one| one.is_ascii_alphanumeric())
        && word.contains(|one: char| one.is_ascii_lowercase())
}

#[test]
fn the_page_names_each_event() {
    let mut expected = events_of_the_source();
    let reasons = [
        Reason::OutcomeUnknown,
        Reason::OrderLimitReached,
        Reason::NamespaceOrderLimitReached,
        Reason::ObjectOrderLimitReached,
        Reason::ServedTwice,
    ];
    expected.extend(reasons.map(|reason| reason.as_str().to_owned()));
    names_exactly("Events", &expected);
}

/// No word that looks like a name of this operator, or like a code, is made up.
#[test]
fn every_name_anywhere_on_the_page_exists() {
    let page = read(PAGE);
    let mut known: BTreeSet<String> = phases();
    known.extend(values(&["change", "kind"]));
    known.extend(values(&["change", "state"]));
    known.extend(values(&["change", "direction"]));
    known.extend(values(&["history", "[]", "outcome"]));
    known.extend(Reason::ALL.iter().map(|one| one.as_str().to_owned()));
    known.extend(events_of_the_source());
    let others = [
        // Conditions, kinds of objects.
        "Ready",
        "InSync",
        "Reconciling",
        "Stalled",
        "VmInstance",
        "Secret",
        "Lease",
        "True",
        "False",
        // Values of the spec.
        "Enforce",
        "Observe",
        "InPlace",
        "StopFirst",
        "Allow",
        "Deny",
        "Schedule",
        // The provider's actions, and what it shows of a plan.
        "ModifyInstanceType",
        "CancelInstanceDowngrade",
        "StopInstances",
        "StartInstances",
        "DescribeInstances",
        "DescribeInstanceTypeStatus",
        "DescribeZoneInstanceConfigInfos",
        "InquiryPriceCreateInstance",
        "Date",
    ];
    known.extend(others.map(str::to_owned));
    let codes: BTreeSet<&str> = TABLE.iter().map(|(code, _)| *code).collect();
    for word in page.split('`').skip(1).step_by(2) {
        assert!(!is_camel(word) || known.contains(word), "{word} does not exist");
        let like_a_code =
            word.contains('_') && word.chars().all(|one| one.is_ascii_uppercase() || one == '_');
        assert!(!like_a_code || codes.contains(word), "{word} is no code of the table");
    }
}

/// A generated part of the page: between two comments that name it.
fn generated(name: &str, text: &str) {
    generated_in(PAGE, name, text);
}

/// The same of another page.
pub fn generated_in(file: &str, name: &str, text: &str) {
    let page = read(file);
    let (begin, end) = (format!("<!-- {name}: generated -->\n"), format!("<!-- end of {name} -->"));
    let start = page.find(&begin).unwrap_or_else(|| panic!("{file} has no part {name}"));
    let start = start + begin.len();
    let stop = start + page[start..].find(&end).unwrap_or_else(|| panic!("{name} has no end"));
    if page[start..stop] == *text {
        return;
    }
    assert!(std::env::var_os("UPDATE_DOCS").is_some(), "{name} is out of date: {AGAIN}");
    let written = format!("{}{text}{}", &page[..start], &page[stop..]);
    std::fs::write(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file), written).unwrap();
}

/// The first sentence above each public function of the rules.
fn sentences() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for text in sources("src/lifecycle/rules") {
        let mut doc = String::new();
        for line in text.lines() {
            if let Some(words) = line.strip_prefix("/// ") {
                doc = format!("{doc} {words}");
            } else if let Some(rest) = line.strip_prefix("pub fn ") {
                let name = rest.split('(').next().unwrap().to_owned();
                found.insert(name, first_sentence(doc.trim()));
                doc.clear();
            } else {
                doc.clear();
            }
        }
    }
    found
}

/// Up to the first full stop that ends a sentence.
fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    text[..end].to_owned()
}

/// The list of rules as `rules/mod.rs` has it, each with the first sentence above it.
fn rules() -> String {
    let source = read("src/lifecycle/rules/mod.rs");
    let list = source.split("const RULES: &[Rule] = &[\n").nth(1).unwrap();
    let list = list.split("];").next().unwrap();
    let sentences = sentences();
    let (mut text, mut count) = (String::new(), 0);
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(group) = line.strip_prefix("// ") {
            let gap = if text.is_empty() { "" } else { "\n" };
            text += &format!("{gap}{group}\n\n");
            continue;
        }
        count += 1;
        let name = line.trim_end_matches(',');
        let sentence = sentences.get(name).unwrap_or_else(|| panic!("{name} is in no file"));
        assert!(sentence.ends_with('.'), "{name} has no sentence of its own");
        text += &format!("{count}. `{name}`: {sentence}\n");
    }
    assert!(count > 20, "{count} rules were found");
    text
}

/// What the operator does after a code, in the order of the page; where it shows, and which codes.
fn reaction(class: ErrorClass) -> (&'static str, &'static str) {
    match class {
        ErrorClass::Terminal(Problem::ZoneNotSupported | Problem::ResourceGroupNotFound)
        | ErrorClass::Credentials(Problem::CredentialsRejected | Problem::PermissionDenied) => (
            "Refused for a reason of the account",
            "`Failed`. One object tries again for all of the credential, with pauses that grow from 30 minutes \
             to 6 hours; at once where the data of the Secret changes, or a user sets \
             `vm.zenlayer.com/requested-at` to a new value.",
        ),
        ErrorClass::Terminal(_) => (
            "Refused for good",
            "`Failed`. No call is made until the pair of types, the machine or the data of the Secret changes, \
             or a user sets `vm.zenlayer.com/requested-at` to a new value.",
        ),
        ErrorClass::Scarce(_) => {
            ("Refused for want of stock", "`Failed`. It is tried again every 30 minutes.")
        }
        ErrorClass::Credentials(_) => (
            "Refused for a reason outside the object",
            "`Failed`. It is tried again every 5 minutes.",
        ),
        ErrorClass::Busy(_) => {
            ("Refused for now", "`Waiting`. It is tried again with growing pauses.")
        }
        ErrorClass::Throttled => (
            "Too many requests",
            "`Waiting` `RateLimited`. The rate of the credential is halved and recovers by itself.",
        ),
        ErrorClass::Transient => (
            "Trouble at the provider",
            "A read: `Waiting` `ApiUnavailable`, tried again with growing pauses. A call that changes the \
             machine: its outcome is unknown (`Submitting` `OutcomeUnknown`), and it is not repeated \
             before that is settled.",
        ),
        ErrorClass::Unknown => (
            "Any other code of a 4xx answer",
            "`Failed` `RefusedByProvider`. It is tried again with pauses that grow from 30 minutes to 6 hours.",
        ),
    }
}

fn codes() -> String {
    let mut groups: Vec<((&str, &str), Vec<String>)> = Vec::new();
    for (code, class) in TABLE {
        let problem = match *class {
            ErrorClass::Terminal(problem)
            | ErrorClass::Scarce(problem)
            | ErrorClass::Credentials(problem)
            | ErrorClass::Busy(problem) => format!(" | `{}` |", Reason::from(problem).as_str()),
            ErrorClass::Throttled | ErrorClass::Transient => " | |".to_owned(),
            ErrorClass::Unknown => panic!("{code}: a row has a class"),
        };
        let row = format!("| `{code}`{problem}");
        match groups.iter_mut().find(|(known, _)| *known == reaction(*class)) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((reaction(*class), vec![row])),
        }
    }
    groups.push((reaction(ErrorClass::Unknown), Vec::new()));
    let mut text = String::new();
    for ((title, what), rows) in groups {
        text += &format!("### {title}\n\n{what}\n\n");
        if !rows.is_empty() {
            text += &format!("| code | reason |\n| --- | --- |\n{}\n\n", rows.join("\n"));
        }
    }
    text
}

/// The page for whoever reads a reason and wonders.
fn troubleshooting() -> String {
    let rows = Reason::ALL.iter().map(|reason| {
        format!("| `{}` | {} | {} |\n", reason.as_str(), reason.sentence(), reason.what_to_do())
    });
    let rows: String = rows.collect();
    format!("| it says | it means | what to do |\n| --- | --- | --- |\n{rows}")
}

/// One test, because the parts are written into one file.
#[test]
fn the_generated_parts_are_what_the_source_says() {
    generated("rules", &rules());
    generated("codes", &codes());
    generated_in("docs/troubleshooting.md", "reasons", &troubleshooting());
}

#[test]
fn every_problem_of_the_error_table_is_used_or_comes_from_the_edge() {
    let used: BTreeSet<Problem> = TABLE
        .iter()
        .filter_map(|(_, class)| match class {
            ErrorClass::Terminal(problem)
            | ErrorClass::Scarce(problem)
            | ErrorClass::Busy(problem)
            | ErrorClass::Credentials(problem) => Some(*problem),
            ErrorClass::Throttled | ErrorClass::Transient | ErrorClass::Unknown => None,
        })
        .chain([Problem::BlockedByEdge])
        .collect();
    let unused: Vec<_> = Problem::ALL.iter().filter(|one| !used.contains(one)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}
