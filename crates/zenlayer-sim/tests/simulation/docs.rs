//! `docs/simulator.md` says what is played and which test shows it: no row may point to nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use harness::root;

fn page() -> String {
    std::fs::read_to_string(root().join("docs/simulator.md")).unwrap()
}

/// The text of each module of this test crate, by its path, such as `simulation::world::plans`.
fn modules() -> BTreeMap<String, String> {
    fn visit(folder: &Path, module: &str, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                visit(&path, &format!("{module}::{name}"), found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let own = ["main", "mod"].contains(&name.as_str());
                let module = if own { module.to_owned() } else { format!("{module}::{name}") };
                found.insert(module, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    visit(&root().join("crates/zenlayer-sim/tests/simulation"), "simulation", &mut found);
    found
}

/// The names in backticks that are paths of tests.
fn named(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.starts_with("simulation::")).map(str::to_owned).collect()
}

#[test]
fn every_test_that_the_page_names_exists() {
    let (page, modules) = (page(), modules());
    let names = named(&page);
    assert!(names.len() > 30, "{} tests are named", names.len());
    for name in &names {
        let (module, test) = name.rsplit_once("::").unwrap();
        let text = modules.get(module).unwrap_or_else(|| panic!("{name}: no module {module}"));
        let test = format!("fn {test}(");
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|line| line.contains(&test));
        let at = at.unwrap_or_else(|| panic!("{name}: there is no such test"));
        let marked = lines[at.saturating_sub(3)..at].iter().any(|line| line.contains("test]"));
        assert!(marked, "{name} is no test");
    }
}

#[test]
fn every_row_with_a_column_for_a_test_names_one() {
    let page = page();
    let (mut column, mut rows) = (None, 0);
    for line in page.lines() {
        if !line.starts_with('|') {
            column = None;
            continue;
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        match column {
            None => {
                column = Some(cells.iter().position(|cell| cell.trim_matches(['|', ' ']) == "test"))
            }
            Some(Some(index)) if !line.starts_with("| ---") => {
                rows += 1;
                let cell =
                    cells.get(index).unwrap_or_else(|| panic!("a cell is missing in {line}"));
                assert!(!named(cell).is_empty(), "no test in {line}");
            }
            Some(_) => {}
        }
    }
    assert!(rows > 30, "{rows} rows name a test");
}

#[test]
fn all_twenty_open_questions_are_answered() {
    let page = page();
    for question in 1..=20 {
        let row = format!("| {question} | ");
        assert!(page.contains(&row), "open question {question} has no row");
    }
}

/// The lines up to the server are run as they are written; the others need a port of their own.
#[test]
fn the_readme_starts_a_simulation_in_five_lines() {
    let readme = root().join("crates/zenlayer-sim/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let start = readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let lines: Vec<&str> = start.lines().collect();
    assert_eq!(lines.len(), 5, "{start}");
    assert!(lines[0].starts_with("cargo install --path crates/zenlayer-sim"), "{start}");
    assert!(lines[3].starts_with("zenlayer-sim serve --config sim.yaml"), "{start}");
    let folder = tempfile::TempDir::new().unwrap();
    let tools = harness::binary("zenlayer-sim");
    let path = format!("{}:/usr/bin:/bin", tools.parent().unwrap().display());
    for line in &lines[1..3] {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-ec", line]).env("PATH", &path).current_dir(folder.path());
        assert!(shell.status().unwrap().success(), "{line}");
    }
    assert!(readme.contains("(../../docs/simulator.md)"));
    assert!(!readme.to_lowercase().contains("operator"), "it is a product of its own");
}

#[test]
fn every_client_of_the_vendor_is_told_how_to_connect() {
    let page = page();
    let table = page.split("| client | plain HTTP | TLS |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    for client in ["Python SDK", "Go SDK", "Java SDK", "command line `zeno`", "Terraform provider"]
    {
        let row = table.lines().find(|line| line.starts_with(&format!("| {client} |")));
        let cells = row.unwrap_or_else(|| panic!("{client} has no row")).matches(" | ").count();
        assert_eq!(cells, 2, "{client}");
    }
    assert!(table.contains("`zeno` | not possible: it always speaks TLS"), "{table}");
    let readme = std::fs::read_to_string(root().join("crates/zenlayer-sim/README.md")).unwrap();
    assert!(
        readme.contains("(`zeno` over TLS alone)"),
        "the README promises no more than the page"
    );
}
