//! `zenlayer-sim` as a process: its help, its errors, its listeners, and what survives a kill.

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    caller::{Request, exchange, send},
    stage::file,
};
use harness::{Process, binary, eventually, proxies::http_client};

const LIMIT: Duration = Duration::from_secs(20);

fn run(arguments: &[&str]) -> Output {
    Command::new(binary("zenlayer-sim")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with a simulation file.
struct Folder(TempDir);

impl Folder {
    fn with(file: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("sim.yaml"), file).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Starts it and waits until it listens.
    async fn serve(&self, arguments: &[&str]) -> (Process, String) {
        let address_file = self.path("address");
        let _ = std::fs::remove_file(&address_file);
        let mut command = Command::new(binary("zenlayer-sim"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--config", &self.path("sim.yaml")]);
        command.args(["--address-file", &address_file]).args(arguments);
        let log = self.0.path().join("log");
        let process = Process::start("zenlayer-sim", command, &log).unwrap();
        let address = eventually("the address", LIMIT, async || {
            std::fs::read_to_string(&address_file).map_err(|_| process.tail())
        });
        let address = address.await;
        (process, address)
    }
}

async fn control(address: &str, path: &str) -> Value {
    let url = format!("http://{address}/control/{path}");
    http_client().get(url).send().await.unwrap().json().await.unwrap()
}

fn modify(timestamp: i64) -> Request {
    let body = json!({ "instanceId": "vm-1", "instanceTypeId": "c.2c4g" });
    Request::new("ModifyInstanceType", body.to_string(), timestamp)
}

#[test]
fn the_help_tells_a_newcomer_what_to_do_first() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    let help = text(&help.stdout);
    for word in ["serve", "check", "example", "schema", "faults", "control", "Start here"] {
        assert!(help.contains(word), "{word} is missing in {help}");
    }
    let serve = text(&run(&["serve", "--help"]).stdout);
    for word in ["--config", "--tls-ca-file", "--state", "--time-scale", "/control/faults"] {
        assert!(serve.contains(word), "{word} is missing in {serve}");
    }
}

#[test]
fn the_example_is_a_simulation() {
    let example = run(&["example"]);
    let folder = Folder::with(&text(&example.stdout));
    let checked = run(&["check", &folder.path("sim.yaml")]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("3 instances, 4 credentials, 2 faults"));
}

#[test]
fn the_schema_names_every_part_of_the_example() {
    let schema: Value = serde_json::from_slice(&run(&["schema"]).stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let properties = schema["properties"].as_object().unwrap();
    for part in ["credentials", "transport", "clock", "instances", "faults"] {
        assert!(properties.contains_key(part), "{part} is missing");
    }
    for (name, property) in properties {
        let told = property.get("description").is_some() || property.get("$ref").is_some();
        assert!(told, "{name} has no description: {property}");
    }
}

#[test]
fn the_page_of_faults_lists_every_kind_with_its_fields() {
    let page = text(&run(&["faults"]).stdout);
    for part in [
        "lateRequest (seconds)",
        "dropBefore",
        "dropAfter",
        "refuseConnections (seconds)",
        "overlongBody (bytes)",
        "probability",
        "429 REQUEST_LIMIT_EXCEEDED",
        "failsSilently",
    ] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
}

fn scaled(file: &str, scale: &str) -> String {
    file.replace("mode: stepped", &format!("mode: scaled, scale: {scale}"))
}

#[test]
fn a_bad_file_is_refused_with_its_field_and_the_remedy() {
    let good = file("", "");
    let table = [
        ("no YAML", "credentials: [".to_owned(), "is not a valid simulation file"),
        ("an unknown field", format!("{good}color: red\n"), "color"),
        (
            "a misspelt field",
            good.replace("chargeType: POSTPAID", "chargetype: POSTPAID"),
            "chargetype",
        ),
        ("an unknown type", good.replace("c.1c2g", "x.1c1g"), "instances[0].type"),
        ("half a key", file("  - { accessKeyId: AK }\n", ""), "credentials[1]"),
        (
            "an unknown action",
            file("  - { token: a, permissions: [Fly] }\n", ""),
            "credentials[1].permissions",
        ),
        (
            "a key that ends",
            file(
                "  - { accessKeyId: AK, accessKeyPassword: b, expiresAt: 2026-01-01T00:00:00Z }\n",
                "",
            ),
            "credentials[1].expiresAt",
        ),
        (
            "a name twice",
            file("  - { name: a, token: a }\n  - { name: a, token: b }\n", ""),
            "credentials[2].name",
        ),
        (
            "no rate",
            file("", "transport: { rateLimit: { perSecond: 0, burst: 1 } }\n"),
            "transport.rateLimit.perSecond",
        ),
        ("no life", file("", "transport: { signatureLife: 0s }\n"), "transport.signatureLife"),
        (
            "no refusal",
            file("", "transport: { unknownKey: { status: 200, code: A } }\n"),
            "transport.unknownKey",
        ),
        ("no scale", good.replace("mode: stepped", "mode: scaled"), "clock.scale"),
        (
            "a scale on a stepped clock",
            good.replace("mode: stepped", "mode: stepped, scale: 2"),
            "clock.scale",
        ),
        ("a scale of nothing", scaled(&good, "0"), "clock.scale is 0.0: write"),
        ("a scale below nothing", scaled(&good, "-2"), "clock.scale is -2.0: write"),
        ("a scale beyond all bounds", scaled(&good, "1e308"), "clock.scale is 1e308: write"),
        ("a scale that halts", scaled(&good, "1e-300"), "clock.scale is 1e-300: write"),
        ("an infinite scale", scaled(&good, ".inf"), "clock.scale is inf: write"),
        ("a scale that is no number", scaled(&good, ".nan"), "clock.scale is NaN: write"),
        ("an unknown fault", file("", "faults: [{ kind: explode }]\n"), "explode"),
        (
            "an unknown field of a fault",
            file("", "faults: [{ kind: dropAfter, tims: 1 }]\n"),
            "tims",
        ),
    ];
    for (name, file, field) in table {
        let folder = Folder::with(&file);
        let path = folder.path("sim.yaml");
        for arguments in [vec!["check", &path], vec!["serve", "--config", &path]] {
            let refused = run(&arguments);
            assert_eq!(refused.status.code(), Some(1), "{name}");
            let error = text(&refused.stderr);
            let line = error.lines().last().unwrap_or_default();
            assert!(error.contains(field) && error.contains(&path), "{name}: {error}");
            assert!(!line.contains("simSecret"), "{name}: {error}");
        }
    }
    let missing = run(&["check", "/nowhere/sim.yaml"]);
    assert!(text(&missing.stderr).contains("/nowhere/sim.yaml"));
}

#[test]
fn flags_that_cannot_work_are_refused_by_name() {
    let folder = Folder::with(&file("", ""));
    let config = folder.path("sim.yaml");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (taken, address.to_string())).unwrap();
    let (bad, good) = (folder.path("bad.pem"), folder.path("state"));
    std::fs::write(&bad, "no PEM").unwrap();
    std::fs::write(&good, "no JSON").unwrap();
    let tls = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"];
    let table: Vec<(&str, Vec<&str>, &str)> = vec![
        ("a port in use", vec!["--listen", &taken.1], "--listen"),
        (
            "a TLS port in use",
            vec!["--listen", "127.0.0.1:0", "--tls-listen", &taken.1],
            "--tls-listen",
        ),
        (
            "a bad certificate",
            [&tls[..], &["--tls-cert", &bad, "--tls-key", &bad]].concat(),
            "--tls-cert",
        ),
        ("a certificate without a key", [&tls[..], &["--tls-cert", &bad]].concat(), "--tls-key"),
        ("a certificate without TLS", vec!["--tls-ca-file", "ca.pem"], "--tls-listen"),
        ("a name that is none", [&tls[..], &["--tls-name", "no näme"]].concat(), "--tls-name"),
        (
            "an authority that cannot be written",
            [&tls[..], &["--tls-ca-file", "/nowhere/ca.pem"]].concat(),
            "--tls-ca-file",
        ),
        ("a state file that is none", vec!["--state", &good], "--state"),
        (
            "a state file that cannot be written",
            vec!["--listen", "127.0.0.1:0", "--state", "/nowhere/state"],
            "--state",
        ),
        ("a scaled clock without a scale", vec!["--clock", "scaled"], "--time-scale"),
        (
            "a stepped clock with a scale",
            vec!["--clock", "stepped", "--time-scale", "2"],
            "--time-scale",
        ),
        ("no time passes", vec!["--time-scale", "0"], "--time-scale is 0.0: write"),
        ("time runs back", vec!["--time-scale", "-1"], "--time-scale is -1.0: write"),
        ("time without bounds", vec!["--time-scale", "1e308"], "--time-scale is 1e308: write"),
        ("infinite time", vec!["--time-scale", "inf"], "--time-scale is inf: write"),
        ("time that is no number", vec!["--time-scale", "NaN"], "--time-scale is NaN: write"),
        ("a signature without life", vec!["--signature-life", "0"], "--signature-life"),
    ];
    for (name, arguments, flag) in table {
        let refused = run(&[&["serve", "--config", &config], &arguments[..]].concat());
        assert!(!refused.status.success(), "{name}");
        let error = text(&refused.stderr);
        assert!(error.contains(flag), "{name}: {error}");
    }
}

#[tokio::test]
async fn an_order_that_was_answered_survives_a_kill() {
    let folder = Folder::with(&file("", ""));
    let state = folder.path("state.json");
    let mut answered = Vec::new();
    let mut ids = Vec::new();
    for round in 0..4 {
        let (mut process, address) = folder.serve(&["--state", &state]).await;
        let orders = control(&address, "ledger").await["orders"].clone();
        let known: Vec<&Value> =
            orders.as_array().unwrap().iter().map(|order| &order["orderNumber"]).collect();
        assert_eq!(known, answered.iter().collect::<Vec<_>>(), "round {round}");
        let step = http_client().post(format!("http://{address}/control/clock"));
        let step = step.json(&json!({ "advanceSeconds": 100 })).send().await.unwrap();
        let clock: Value = step.json().await.unwrap();
        let now: Timestamp = clock["now"].as_str().unwrap().parse().unwrap();
        let expected = crate::stage::START + 100 * (round + 1);
        assert_eq!(now.as_second(), expected, "round {round}");
        let to = if round % 2 == 0 { "c.2c4g" } else { "c.1c2g" };
        let body = json!({ "instanceId": "vm-1", "instanceTypeId": to }).to_string();
        let request = Request::new("ModifyInstanceType", body, now.as_second());
        let answer = send(address.parse().unwrap(), &request.bytes()).await.unwrap();
        // Killed with the answer in hand: what it rests on must be on the disk.
        process.signal(libc::SIGKILL);
        process.wait(LIMIT).unwrap();
        assert_eq!(answer.verdict(), "200 OK", "round {round}");
        ids.push(answer.json()["requestId"].clone());
        answered.push(answer.json()["response"]["orderNumber"].clone());
    }
    let unique: std::collections::BTreeSet<String> = ids.iter().map(Value::to_string).collect();
    assert_eq!(unique.len(), ids.len(), "no request id comes twice");
}

/// Each start takes an epoch of its own; behind the last one, ids would come again.
#[tokio::test]
async fn the_last_epoch_is_one_start_and_the_next_start_is_refused() {
    const LAST: u64 = (1 << 24) - 1;
    let folder = Folder::with(&file("", ""));
    let path = folder.path("state.json");
    let state = || -> Value { serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap() };
    let mut ids = Vec::new();
    for epoch in [1, LAST] {
        let (mut process, address) = folder.serve(&["--state", &path]).await;
        let answer = send(address.parse().unwrap(), &modify(crate::stage::START).bytes()).await;
        ids.push(answer.unwrap().json()["requestId"].clone());
        process.signal(libc::SIGTERM);
        process.wait(LIMIT).unwrap();
        let mut kept = state();
        assert_eq!(kept["epoch"], epoch);
        if epoch == 1 {
            kept["epoch"] = (LAST - 1).into();
            std::fs::write(&path, kept.to_string()).unwrap();
        }
    }
    assert!(ids[0].is_string() && ids[0] != ids[1], "{ids:?}");
    // It ends in any case: this address cannot be written.
    let (config, nowhere) = (folder.path("sim.yaml"), "/nowhere/address");
    let refused = run(&[
        &["serve", "--listen", "127.0.0.1:0", "--config", &config, "--state", &path],
        &["--address-file", nowhere][..],
    ]
    .concat());
    assert_eq!(refused.status.code(), Some(1));
    let errors = text(&refused.stderr);
    assert!(
        errors.contains("epoch is 16777215") && errors.contains("move the file away"),
        "{errors}"
    );
}

/// Kills it at any moment of many changes: what was answered is there, and the file can be read.
#[tokio::test]
async fn a_kill_in_the_middle_of_writing_leaves_a_whole_state() {
    let folder = Folder::with(&file("", ""));
    let state = folder.path("state.json");
    let mut steps = 0;
    for round in 0..5 {
        let (mut process, address) = folder.serve(&["--state", &state]).await;
        let clock = control(&address, "clock").await;
        let now: Timestamp = clock["now"].as_str().unwrap().parse().unwrap();
        let passed = now.as_second() - crate::stage::START;
        assert!(passed >= steps, "{passed} of {steps} steps are left in round {round}");
        let stepping = tokio::spawn(async move {
            let client = http_client();
            let mut answered = passed;
            loop {
                let step = client.post(format!("http://{address}/control/clock"));
                let sent = step.json(&json!({ "advanceSeconds": 1 })).send().await;
                if !sent.is_ok_and(|answer| answer.status().is_success()) {
                    return answered;
                }
                answered += 1;
            }
        });
        let before = std::fs::metadata(&state).unwrap().modified().unwrap();
        eventually("some changes", LIMIT, async || {
            let now = std::fs::metadata(&state).unwrap().modified().unwrap();
            if now > before { Ok(()) } else { Err("none".to_owned()) }
        })
        .await;
        process.signal(libc::SIGKILL);
        process.wait(LIMIT).unwrap();
        steps = stepping.await.unwrap();
    }
    assert!(steps > 0);
}

fn trusting(ca_file: &str) -> reqwest::Client {
    let authority = reqwest::Certificate::from_pem(&std::fs::read(ca_file).unwrap()).unwrap();
    reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap()
}

/// A signed look with the client's own Host.
async fn look(client: &reqwest::Client, url: &str, host: &str, now: i64) -> reqwest::Result<u16> {
    let request = Request::new("DescribeInstances", "{}", now).with(|one| one.host = host.into());
    let sent = client
        .post(url)
        .header("content-type", "application/json")
        .header("x-zc-action", "DescribeInstances")
        .header("x-zc-version", "2026-04-01")
        .header("x-zc-timestamp", now.to_string())
        .header("authorization", request.signed_authorization())
        .body("{}");
    Ok(sent.send().await?.status().as_u16())
}

#[tokio::test]
async fn tls_has_an_authority_of_its_own() {
    let folder = Folder::with(&file("", ""));
    let (ca, tls_address) = (folder.path("ca.pem"), folder.path("tls-address"));
    let arguments =
        ["--tls-listen", "127.0.0.1:0", "--tls-ca-file", &ca, "--tls-address-file", &tls_address];
    let (_process, plain) = folder.serve(&arguments).await;
    let secure = std::fs::read_to_string(&tls_address).unwrap();
    let url = format!("https://{secure}/api/v2/vm");
    let status = look(&trusting(&ca), &url, &secure, crate::stage::START).await.unwrap();
    assert_eq!(status, 200);
    assert!(look(&http_client(), &url, &secure, crate::stage::START).await.is_err());
    // Plain HTTP is served beside it, from the same world.
    let url = format!("http://{plain}/api/v2/vm");
    let status = look(&http_client(), &url, &plain, crate::stage::START).await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(control(&plain, "requests").await["counts"]["DescribeInstances"]["OK"], 2);
}

#[tokio::test]
async fn tls_takes_a_certificate_of_files() {
    let folder = Folder::with(&file("", ""));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path("cert.pem"), folder.path("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls_address = folder.path("tls-address");
    let arguments = [
        "--tls-listen",
        "127.0.0.1:0",
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--tls-address-file",
        &tls_address,
    ];
    let (_process, _) = folder.serve(&arguments).await;
    let secure: std::net::SocketAddr =
        std::fs::read_to_string(&tls_address).unwrap().parse().unwrap();
    let host = format!("localhost:{}", secure.port());
    let url = format!("https://{host}/api/v2/vm");
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()])
        .resolve("localhost", secure)
        .build()
        .unwrap();
    assert_eq!(look(&client, &url, &host, crate::stage::START).await.unwrap(), 200);
}

#[tokio::test]
async fn a_time_scale_lets_a_month_pass_in_a_second() {
    let folder = Folder::with(&file("", "").replace("mode: stepped, ", ""));
    let (_process, address) = folder.serve(&["--time-scale", "2592000"]).await;
    eventually("a month", LIMIT, async || {
        let clock = control(&address, "clock").await;
        let now: Timestamp = clock["now"].as_str().unwrap().parse().unwrap();
        let left = crate::stage::START + 30 * 24 * 3600 - now.as_second();
        if left <= 0 { Ok(()) } else { Err(format!("{left} s are left")) }
    })
    .await;
}

#[tokio::test]
async fn each_call_is_a_line_of_json_without_secrets_and_a_signal_ends_it_well() {
    let folder = Folder::with(&file("", ""));
    let (mut process, address) = folder.serve(&["--log-format", "json"]).await;
    let request = modify(crate::stage::START);
    let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    assert_eq!(exchange(stream, &request.bytes()).await.unwrap().verdict(), "200 OK");
    process.signal(libc::SIGTERM);
    assert!(process.wait(LIMIT).unwrap().success());
    let log = process.log();
    let line = log.lines().find(|line| line.contains("answered")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["action"], "ModifyInstanceType");
    assert_eq!((&line["code"], &line["status"]), (&json!("OK"), &json!(200)));
    assert_eq!(line["instance"], "vm-1");
    assert!(!log.contains("simSecret") && !log.contains("Signature="), "{log}");
    assert!(Path::new(&folder.path("sim.yaml")).exists());
}
