//! The reference pages follow from the source: `docs/api.md` from the types, `docs/options.md` from the
//! command line. `UPDATE_DOCS=1 cargo test --test packaging reference` writes them anew.

use clap::{Arg, CommandFactory};
use serde_json::Value;
use zenlayer_vm_operator::{api, config::Cli};

use crate::docs::generated_in;

/// A text in one cell of a table.
fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|").replace("\n\n", "<br>").replace('\n', " ")
}

/// The values of an enumeration stand in its description as a list, one a line.
fn described(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let (text, values) = text.split_once("\n\nPossible enum values:\n").unwrap_or((text, ""));
    let values = values.lines().map(|line| {
        let line = line.trim_start_matches(" - ").replace("`\"", "`").replace("\"`", "`");
        format!("<br>{}", cell(&line))
    });
    cell(text) + &values.collect::<String>()
}

fn type_of(schema: &Value) -> String {
    let named = |schema: &Value| {
        let format = schema["format"].as_str().filter(|format| *format == "date-time");
        format.or(schema["type"].as_str()).unwrap_or_default().to_owned()
    };
    match schema["enum"].is_array() {
        true => "enumeration".to_owned(),
        false if schema["type"] == "array" => format!("list of {}", named(&schema["items"])),
        false => named(schema),
    }
}

/// Every field below this one, each after its object.
fn rows(path: &str, schema: &Value, text: &mut String) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{path}.{name}");
        let needed = if required.contains(&Value::from(name.as_str())) { ", required" } else { "" };
        *text += &format!("| `{at}` | {}{needed} | {} |\n", type_of(child), described(child));
        rows(&at, child, text);
        if child["items"]["properties"].is_object() {
            rows(&format!("{at}[]"), &child["items"], text);
        }
    }
}

fn fields(part: &str) -> String {
    let crd = serde_json::to_value(api::crd().unwrap()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part];
    let mut text = "| field | type | meaning |\n| --- | --- | --- |\n".to_owned();
    rows(part, schema, &mut text);
    text
}

fn columns() -> String {
    let crd = serde_json::to_value(api::crd().unwrap()).unwrap();
    let mut text = "| column | shows | with `-o wide` only |\n| --- | --- | --- |\n".to_owned();
    for column in crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap() {
        let wide = if column["priority"].is_null() { "" } else { "yes" };
        let (name, path) = (column["name"].as_str().unwrap(), column["jsonPath"].as_str().unwrap());
        text += &format!("| {} | `{path}` | {wide} |\n", name.to_uppercase());
    }
    text
}

#[test]
fn the_page_of_the_api_is_what_the_types_say() {
    for (name, text) in
        [("spec", fields("spec")), ("status", fields("status")), ("columns", columns())]
    {
        assert!(text.lines().count() > 10, "{name}: {text}");
        generated_in("docs/api.md", name, &text);
    }
}

/// What `vm-operator run --help` says of one option.
fn option(arg: &Arg) -> String {
    let name = format!("--{}", arg.get_long().unwrap());
    let first = |words: &[clap::builder::Str]| words.first().map(ToString::to_string);
    let value = arg.get_value_names().and_then(first).unwrap_or_default();
    let takes =
        arg.get_action().takes_values() && !arg.get_value_names().is_none_or(<[_]>::is_empty);
    let shown = if takes { format!("{name} {value}") } else { name };
    let default: Vec<_> =
        arg.get_default_values().iter().map(|one| one.to_string_lossy()).collect();
    let default = default.join(",");
    let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
    let env = arg.get_env().map(|one| format!("`{}`", one.to_string_lossy())).unwrap_or_default();
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut help = cell(&help);
    for one in arg.get_possible_values().iter().filter(|_| takes) {
        let what = one.get_help().map(|help| format!(": {help}")).unwrap_or_default();
        help += &format!("<br>`{}`{what}", one.get_name());
    }
    let help = help.trim_start_matches("<br>");
    format!("| `{}` | {default} | {env} | {help} |\n", shown.replace('|', "\\|"))
}

#[test]
fn the_page_of_the_options_is_what_help_says() {
    let mut command = Cli::command();
    command.build();
    let run = command.find_subcommand("run").unwrap();
    let options = run.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help");
    let mut rows: Vec<String> = options.map(option).collect();
    rows.sort();
    assert!(rows.len() > 20, "{rows:?}");
    let head = "| option | default | variable | meaning |\n| --- | --- | --- | --- |\n";
    generated_in("docs/options.md", "options", &format!("{head}{}", rows.concat()));
}
