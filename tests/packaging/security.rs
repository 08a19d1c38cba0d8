//! `docs/security.md`: each claim names a test that exists.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{documents, read};

/// Where the tests of the first word of a name are.
const PLACES: [(&str, &str); 4] = [
    ("cluster", "tests/cluster"),
    ("packaging", "tests/packaging"),
    ("client", "crates/zenlayer/tests/client"),
    ("controller", "src/controller"),
];

/// Whether the source has a test of this name, such as `client::secrets::no_debug_text_shows_a_secret`.
fn exists(name: &str) -> bool {
    let (module, test) = name.rsplit_once("::").unwrap();
    let (first, rest) = module.split_once("::").unwrap_or((module, "main"));
    let Some((_, folder)) = PLACES.iter().find(|(place, _)| *place == first) else { return false };
    let text = read(&format!("{folder}/{}.rs", rest.replace("::", "/")));
    text.split("#[").any(|part| {
        let attribute = part.split(']').next().unwrap_or_default();
        let is_test =
            ["test", "tokio::test", "ignore"].iter().any(|one| attribute.starts_with(one));
        let head = part.split('{').next().unwrap_or_default();
        is_test && head.contains(&format!("fn {test}("))
    }) || text.contains("proptest!") && text.contains(&format!("    fn {test}("))
}

#[test]
fn every_claim_names_a_test_that_exists() {
    let page = read("docs/security.md");
    let mut claims = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains("::")) {
        let names: Vec<&str> = row.split('`').filter(|part| part.contains("::")).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(exists(name), "{name}: there is no such test");
        }
        claims += 1;
    }
    // A row of a table of claims without a test is not told from other tables by `::`.
    let rows = page
        .split("| claim | test |")
        .skip(1)
        .flat_map(|part| part.lines().skip(2).take_while(|line| line.starts_with("| ")));
    assert!(claims > 20 && rows.count() == claims, "{claims} claims name a test");
    assert!(!exists("cluster::bad_input::rests"), "a helper is no test");
}

fn names(schema: &Value, found: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(name.clone());
        names(property, found);
    }
}

/// A new field has to be looked at here: a tenant fills it in.
#[test]
fn the_spec_has_no_field_for_an_endpoint_or_a_namespace() {
    let crd = &documents("crds/vminstances.vm.zenlayer.com.yaml")[0];
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut found = BTreeSet::new();
    names(schema, &mut found);
    let known = [
        "credentials",
        "instanceId",
        "instanceTypeId",
        "managementPolicy",
        "name",
        "prepaidDowngrade",
        "prepaidUpgrade",
        "secretRef",
        "strategy",
        "suspend",
    ];
    assert!(found.iter().eq(known), "{found:?}");
}
