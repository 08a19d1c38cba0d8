//! What `zenlayer-sim` tells about its files: the schema, an example, and the kinds of faults, all
//! made of the types that the files are read into.

use schemars::{Schema, schema_for};
use serde_json::Value;

use super::{
    config::Config,
    http::{CODES, FaultKind, Selector},
};

/// A simulation file that shows what can be written.
pub const EXAMPLE: &str = include_str!("example.yaml");

/// The JSON Schema of a simulation file.
pub fn schema() -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&schema_for!(Config))
}

/// The kinds of faults, as a page of text.
pub fn faults() -> String {
    let mut page = String::from(FAULTS_INTRODUCTION);
    page.push_str("\nFields that choose the calls of a rule\n\n");
    fields(&mut page, &schema_for!(Selector));
    page.push_str("\nKinds of faults, with their own fields\n\n");
    let kinds = schema_for!(FaultKind);
    for kind in kinds.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        let name = kind["properties"]["kind"]["const"].as_str().unwrap_or_default();
        let own = kind["properties"].as_object().into_iter().flatten().map(|(name, _)| name);
        let own: Vec<&str> = own.map(String::as_str).filter(|name| *name != "kind").collect();
        let own = if own.is_empty() { String::new() } else { format!(" ({})", own.join(", ")) };
        entry(&mut page, &format!("{name}{own}"), kind["description"].as_str().unwrap_or_default());
    }
    page.push_str(
        "\nPages of the kind page: internalError, badGateway, unavailable, challenge, blocked\n",
    );
    page.push_str("\nCodes, with the HTTP status of each\n\n");
    for (code, status) in CODES {
        page.push_str(&format!("  {status} {code}\n"));
    }
    page
}

const FAULTS_INTRODUCTION: &str = "\
A fault is a rule that says for which calls, how often, and what goes wrong. Write rules into the
simulation file:

  faults:
    - { action: ModifyInstanceType, kind: dropAfter }
    - { action: DescribeInstances, kind: error, code: REQUEST_LIMIT_EXCEEDED, retryAfter: 2, times: 3 }
    - { kind: delayAnswer, seconds: 1.5, probability: 0.1, seed: 7, times: always }

or add them while the simulator runs:

  curl -d '{\"action\": \"ModifyInstanceType\", \"kind\": \"dropAfter\"}' http://127.0.0.1:18080/control/faults

A call has six steps: arrival, clock, decision, answer, delivery, date. In each step, the first rule
that matches is played, so that a request can arrive late and its answer can be lost as well. Rules
apply to calls of the simulated API only.
";

fn fields(page: &mut String, schema: &Schema) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, field) in properties.into_iter().flatten() {
        entry(page, name, field["description"].as_str().unwrap_or_default());
    }
}

/// A name, and its text below it, broken into lines.
fn entry(page: &mut String, name: &str, text: &str) {
    page.push_str(&format!("  {name}\n"));
    let mut line = String::from("     ");
    for word in text.split_whitespace() {
        if line.len() + word.len() >= 96 {
            page.push_str(&line);
            page.push('\n');
            line = String::from("     ");
        }
        line.push(' ');
        line.push_str(word);
    }
    page.push_str(&line);
    page.push('\n');
}
