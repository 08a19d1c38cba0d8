//! Every link of a page leads to something: a file or a folder of the repository, and its heading. The site
//! is checked once more after it is built (`make site`), by the anchors that mdBook has made.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::read;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder of the repository that end so, by their path in it.
fn below(folder: &Path, ending: &str, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            below(&path, ending, found);
        } else if path.is_file() && name.ends_with(ending) {
            found.insert(path);
        }
    }
}

/// The lines of a page that are no code, with their numbers.
fn prose(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    page.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The name of a heading's anchor, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|one| one.is_alphanumeric() || [' ', '-', '_'].contains(one));
    kept.map(|one| if one == ' ' { '-' } else { one }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter_map(|(_, line)| {
        let text = line.trim_start_matches('#');
        (text.len() < line.len()).then(|| text.strip_prefix(' ')).flatten()
    });
    headings.map(anchor).collect()
}

/// The targets of the links of a line. What stands in backticks is no link.
fn targets(line: &str) -> Vec<String> {
    let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(target, _)| target.to_owned()).collect()
}

/// What is wrong with a link from this page.
fn fault(page: &Path, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() { page.to_owned() } else { page.parent()?.join(path) };
    if !file.exists() {
        return Some("there is no such file".to_owned());
    }
    if heading.is_empty() {
        return None;
    }
    let text = std::fs::read_to_string(file).unwrap_or_default();
    (!anchors(&text).contains(heading)).then(|| "there is no such heading".to_owned())
}

#[test]
fn every_link_of_every_page_leads_to_something() {
    let (mut pages, mut links, mut faults) = (BTreeSet::new(), 0, Vec::new());
    below(&root(), ".md", &mut pages);
    for page in &pages {
        // It is for the site, where every page is at its place in the repository.
        let at = if page.ends_with("hack/site/SUMMARY.md") {
            root().join("SUMMARY.md")
        } else {
            page.clone()
        };
        let text = std::fs::read_to_string(page).unwrap();
        for (index, line) in prose(&text) {
            for target in targets(line) {
                links += 1;
                let found = fault(&at, &target);
                faults.extend(
                    found.map(|what| format!("{}:{}: {target}: {what}", page.display(), index + 1)),
                );
            }
        }
    }
    assert!(pages.len() > 15 && links > 80, "{} pages, {links} links", pages.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_link_to_nothing_is_found() {
    let page = root().join("docs/install.md");
    for (line, wrong) in [
        ("see [this](operations.md#replicas), and [that](#upgrade)", 0),
        ("see [this](operations.md#replica)", 1),
        ("see [this](nothing.md), and [that](#nothing)", 2),
        ("see [this](../deploy/nothing), [that](https://example.com/a)", 1),
        ("`[this](nothing.md)`", 0),
    ] {
        let found: Vec<_> = targets(line).iter().filter_map(|one| fault(&page, one)).collect();
        assert_eq!(found.len(), wrong, "{line}: {found:?}");
    }
    assert_eq!(anchor("What `make test` does, and why"), "what-make-test-does-and-why");
}

#[test]
fn every_page_of_the_documentation_is_in_the_table_of_contents() {
    let summary = read("hack/site/SUMMARY.md");
    let listed: BTreeSet<String> = summary.lines().flat_map(targets).collect();
    let mut pages = BTreeSet::new();
    below(&root().join("docs"), ".md", &mut pages);
    for page in pages {
        let name = page.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        assert!(listed.contains(&name), "{name} is not in hack/site/SUMMARY.md");
    }
}

/// The values of an attribute of a page of HTML.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let before = format!(" {attribute}=\"");
    html.split(&before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
#[ignore = "make site runs it, over the site that it has built"]
fn every_link_of_the_site_leads_to_something() {
    let site = root().join("target/site");
    let mut pages = BTreeSet::new();
    below(&site, ".html", &mut pages);
    let mut ids: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for page in &pages {
        let html = std::fs::read_to_string(page).unwrap();
        let found = values(&html, "id").into_iter().map(str::to_owned).collect();
        ids.insert(page.canonicalize().unwrap(), found);
    }
    let (mut links, mut faults) = (0, Vec::new());
    for page in
        pages.iter().filter(|page| !page.ends_with("print.html") && !page.ends_with("404.html"))
    {
        let html = std::fs::read_to_string(page).unwrap();
        for link in values(&html, "href").into_iter().chain(values(&html, "src")) {
            if link.contains("://") || link.starts_with("data:") {
                continue;
            }
            links += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let mut file =
                if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            if file.is_dir() {
                file = file.join("index.html");
            }
            let known = file.canonicalize().ok();
            let right = known.as_ref().is_some_and(|file| {
                heading.is_empty() || ids.get(file).is_some_and(|ids| ids.contains(heading))
            });
            if !right {
                faults.push(format!("{}: {link}", page.strip_prefix(&site).unwrap().display()));
            }
        }
    }
    assert!(pages.len() > 15 && links > 500, "{} pages, {links} links", pages.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    println!("{} pages, {links} links", pages.len());
}
