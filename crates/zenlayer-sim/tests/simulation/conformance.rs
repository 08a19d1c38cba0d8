//! The official Python SDK against the simulator as a process: over HTTP and over TLS, signed and
//! with a token. What the SDK parses is compared, attribute by attribute, with the cases in
//! `hack/python-sdk/cases.json`.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use zenlayer_sim::http::ACTIONS;

use harness::{Simulator, eventually, root};

/// The interpreter that has the SDK.
fn python() -> String {
    let script = root().join("hack/python-sdk.sh");
    let made = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(made.status.success(), "hack/python-sdk.sh failed");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// One run of all cases.
fn drive(python: &str, setup: &Value) -> Value {
    let folder = root().join("hack/python-sdk");
    let mut command = Command::new(python);
    command.arg(folder.join("drive.py")).arg(folder.join("cases.json"));
    // A proxy of the surroundings is not asked for a loopback address.
    harness::proxies::keep_out(&mut command);
    let mut driver = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    driver.stdin.take().unwrap().write_all(setup.to_string().as_bytes()).unwrap();
    let output = driver.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the driver failed:\n{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

async fn run(python: &str, secure: bool, signed: bool) -> Value {
    let folder = TempDir::new().unwrap();
    let (ca, tls_file) = (folder.path().join("ca.pem"), folder.path().join("tls"));
    let (ca, tls_file) = (ca.to_str().unwrap().to_owned(), tls_file.to_str().unwrap().to_owned());
    let simulation =
        std::fs::read_to_string(root().join("hack/python-sdk/simulator.yaml")).unwrap();
    let arguments =
        ["--tls-listen", "127.0.0.1:0", "--tls-ca-file", &ca, "--tls-address-file", &tls_file];
    let simulator = Simulator::start(&simulation, &arguments).await;
    let control = simulator.endpoint();
    let plain = control.strip_prefix("http://").unwrap();
    let tls = eventually("the TLS address", Duration::from_secs(20), async || {
        std::fs::read_to_string(&tls_file).map_err(|error| error.to_string())
    })
    .await;
    let setup = json!({
        "scheme": if secure { "https" } else { "http" },
        "domain": if secure { &tls } else { plain },
        "control": control,
        "ca": secure.then_some(&ca),
        "signed": signed,
    });
    let python = python.to_owned();
    tokio::task::spawn_blocking(move || drive(&python, &setup)).await.unwrap()
}

#[tokio::test]
async fn the_official_python_sdk_parses_what_is_documented() {
    let python = python();
    let mut differences = Vec::new();
    for (name, secure, signed) in [
        ("HTTP, signed", false, true),
        ("HTTP, token", false, false),
        ("TLS, signed", true, true),
        ("TLS, token", true, false),
    ] {
        let report = run(&python, secure, signed).await;
        let count = |field: &str| report[field].as_u64().unwrap();
        let (calls, refusals) = (count("calls"), count("refusals"));
        let found = report["differences"].as_array().unwrap();
        println!("{name}: {calls} calls, {refusals} of them refused, {} differences", found.len());
        differences.extend(found.iter().map(|one| format!("{name}: {}", one.as_str().unwrap())));
        assert!(calls >= 60 && refusals * 2 >= calls, "{name}: {calls} calls, {refusals} refused");
        let called = report["actions"].as_array().unwrap().iter();
        let called: BTreeSet<&str> = called.filter_map(Value::as_str).collect();
        assert_eq!(called, ACTIONS.iter().copied().collect(), "{name}: every action is called");
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
