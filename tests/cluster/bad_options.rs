//! Options and files that the processes refuse: an exit status, and one clear line.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use harness::{
    ControlPlane, binary,
    records::{self, Channel},
};

/// Runs a binary that is meant to end at once, in an empty environment, and gives its one line.
fn refused(name: &str, program: &str, arguments: &[&str], kubeconfig: &Path) -> String {
    records::secret("the password of an endpoint", "hiddenPassword51c7");
    records::secret("the token of a broken kubeconfig", "hiddenToken0d94e");
    let Output { status, stderr, stdout } = Command::new("timeout")
        .arg("30")
        .arg(binary(program))
        .args(arguments)
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .output()
        .expect("it can be run");
    let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    records::emitted(Channel::Output, &text);
    let code = status.code();
    assert!(matches!(code, Some(1 | 2)), "{name}: ended with {status}: {text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "{name}: {text}");
    for word in ["panicked", "hidden"] {
        assert!(!text.contains(word), "{name}: {text}");
    }
    lines[0].to_owned()
}

const MISSING: &[&str] = &["cannot find the Kubernetes API", "set KUBECONFIG to a kubeconfig"];

type Row<'a> = (&'a str, Vec<&'a str>, &'a [&'a str]);

fn table(program: &str, command: &str, kubeconfig: &Path, rows: Vec<Row<'_>>) {
    for (name, arguments, words) in rows {
        let line = refused(name, program, &[&[command], &arguments[..]].concat(), kubeconfig);
        for word in words {
            assert!(line.contains(word), "{name}: no {word:?} in {line}");
        }
        println!("{name:<34} | {line}");
    }
}

#[test]
fn the_operator_refuses_options_that_cannot_be_meant() {
    let host = "only https://HOST or https://HOST:PORT is accepted";
    let https = ["--endpoint", "https://console.zenlayer.com"];
    let with = |more: &[&'static str]| [&https[..], more].concat();
    let margin = "it must be at least 60s";
    let loopback = "loopback simulator only";
    table(
        "vm-operator",
        "run",
        Path::new("/nonexistent"),
        vec![
            (
                "a path",
                vec!["--endpoint", "https://host/api"],
                &["--endpoint", "a path: remove it", host],
            ),
            (
                "a query",
                vec!["--endpoint", "https://host?a=b"],
                &["--endpoint", "a query: remove it", host],
            ),
            ("a fragment", vec!["--endpoint", "https://host#a"], &["a fragment: remove it", host]),
            (
                "user info",
                vec!["--endpoint", "https://me:hiddenPassword51c7@host"],
                &["a user name or password: remove it", host],
            ),
            (
                "another scheme",
                vec!["--endpoint", "ftp://host"],
                &["\"ftp\" is not supported: use https"],
            ),
            (
                "no URL",
                vec!["--endpoint", "host"],
                &["\"host\" is not a URL: write it as https://HOST"],
            ),
            (
                "http to another host",
                vec!["--endpoint", "http://host:8080"],
                &["host:8080 is plain http: use https", "--allow-insecure-endpoint"],
            ),
            (
                "a margin under a minute",
                with(&["--settle-margin", "59s"]),
                &["--settle-margin is 59s", margin],
            ),
            ("no margin", with(&["--settle-margin", "0s"]), &["--settle-margin is 0s", margin]),
            ("a negative margin", with(&["--settle-margin=-5m"]), &["--settle-margin", "negative"]),
            (
                "a margin without a unit",
                with(&["--settle-margin", "300"]),
                &["--settle-margin", "write it as 300s, 5m or 1h30m"],
            ),
            (
                "a deadline before a lost answer is settled twice",
                with(&["--change-deadline", "20m"]),
                &["--change-deadline is 1200s", "it must be more than 1200s"],
            ),
            (
                "a long margin beside the usual deadline",
                with(&["--settle-margin", "10m"]),
                &["--change-deadline is 1800s", "it must be more than 1800s"],
            ),
            ("a short signature, for real", with(&["--testing-signature-life", "6s"]), &[loopback]),
            ("a short margin, for real", with(&["--testing-settle-margin", "2s"]), &[loopback]),
            ("a short pause, for real", with(&["--testing-poll", "1s"]), &[loopback]),
            ("a short pause at rest, for real", with(&["--testing-drift", "1s"]), &[loopback]),
            ("a short grace, for real", with(&["--testing-grace", "1s"]), &[loopback]),
            ("a wrong clock, for real", with(&["--testing-clock-ahead", "1h"]), &[loopback]),
            ("a long wait, for real", with(&["--testing-answer-limit", "1h"]), &[loopback]),
            ("a quick sweep, for real", with(&["--testing-sweep", "1s"]), &[loopback]),
            (
                "more orders than are counted",
                with(&["--max-orders-per-hour", "3001"]),
                &["--max-orders-per-hour", "3001 is not in 0..=3000"],
            ),
            (
                "more orders of a namespace",
                with(&["--max-orders-per-namespace-per-hour", "3001"]),
                &["--max-orders-per-namespace-per-hour", "3001 is not in 0..=3000"],
            ),
            (
                "more orders of an object",
                with(&["--max-orders-per-object-per-hour", "1001"]),
                &["--max-orders-per-object-per-hour", "1001 is not in 0..=1000"],
            ),
            ("a negative delay", with(&["--order-delay=-1s"]), &["--order-delay", "negative"]),
            (
                "no requests at all",
                with(&["--requests-per-second", "0"]),
                &["--requests-per-second", "write a number from 0.01 to 1000"],
            ),
            ("no passes at once", with(&["--concurrency", "0"]), &["--concurrency"]),
            ("an address without a port", with(&["--http-listen", "0.0.0.0"]), &["--http-listen"]),
            ("a log format", with(&["--log-format", "xml"]), &["--log-format"]),
            (
                "a log filter",
                with(&["--log-filter", "a=b=c"]),
                &["log filter \"a=b=c\"", "write it as info"],
            ),
            (
                "a lease that is over before its holder stops",
                with(&["--lease-duration", "30s"]),
                &["--lease-duration is 30s and --renew-deadline is 30s", "must last longer"],
            ),
            (
                "one renewal and no more",
                with(&["--retry-period", "16s"]),
                &["--renew-deadline is 30s and --retry-period is 16s", "twice as long"],
            ),
            (
                "no pause at all",
                with(&["--retry-period", "0s"]),
                &["--retry-period is 0ns", "at least 100ms"],
            ),
            (
                "a name that no namespace has",
                with(&["--watch-namespaces", "a,"]),
                &["--watch-namespaces", "\"\" is not the name"],
            ),
            (
                "half a selector",
                with(&["--selector", "a in b"]),
                &["--selector", "\"a in b\" is not a requirement", "key in (a,b)"],
            ),
            (
                "a word that is neither true nor false",
                with(&["--leader-elect=maybe"]),
                &["--leader-elect"],
            ),
            ("an option that does not exist", with(&["--region", "x"]), &["--region"]),
        ],
    );
}

#[test]
fn the_operator_says_what_is_missing_around_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let any_port = ["--http-listen", "127.0.0.1:0"];
    let row = |name, words: &'static [&'static str]| vec![(name, any_port.to_vec(), words)];
    let nowhere = Path::new("/nonexistent");
    let busy: &[&str] = &[&address, "choose another address with --http-listen", "in use"];
    table(
        "vm-operator",
        "run",
        nowhere,
        vec![("a port in use", vec!["--http-listen", &address], busy)],
    );
    table("vm-operator", "run", nowhere, row("no kubeconfig", MISSING));
    let broken = file("broken", "users: [{ user: { token: hiddenToken0d94e } }, [");
    table("vm-operator", "run", &broken, row("an unreadable kubeconfig", MISSING));
    let plane = ControlPlane::shared();
    let stranger = plane.kubeconfig_for("stranger", "no-such-token");
    table(
        "vm-operator",
        "run",
        &stranger,
        row("a token that is not known", &["Unauthorized", "credential"]),
    );
    let text = std::fs::read_to_string(plane.kubeconfig()).unwrap();
    let mut gone: serde_json::Value = serde_json::from_str(&text).unwrap();
    gone["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
    let gone = file("gone", &gone.to_string());
    table(
        "vm-operator",
        "run",
        &gone,
        row("no API server", &["cannot list vminstances", "refused", "check the API server"]),
    );
}

#[test]
fn the_simulator_refuses_files_and_addresses_that_it_cannot_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let good = "credentials: [{ token: t }]\ninstances: []\n";
    let files = [
        ("good", good),
        ("unreadable", "instances: [\n  - {"),
        ("unknown", "credentials: []\ninstances: []\nregion: x\n"),
        (
            "nested",
            "credentials: []\ninstances: [{ id: a, type: c.1c2g, chargeType: POSTPAID, disk: 1 }]\n",
        ),
        ("type", "credentials: []\ninstances: [{ id: a, type: z.9c9g, chargeType: POSTPAID }]\n"),
        ("charge", "credentials: []\ninstances: [{ id: a, type: c.1c2g, chargeType: FREE }]\n"),
        (
            "twice",
            "credentials: []\ninstances:\n  - { id: a, type: c.1c2g, chargeType: POSTPAID }\n  - { id: a, type: c.1c2g, chargeType: POSTPAID }\n",
        ),
        ("credential", "credentials: [{ accessKeyId: a }]\ninstances: []\n"),
    ];
    let paths: Vec<String> = files
        .iter()
        .map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        })
        .collect();
    let config = |index: usize| vec!["--listen", "127.0.0.1:0", "--config", &paths[index]];
    table(
        "zenlayer-sim",
        "serve",
        Path::new("/nonexistent"),
        vec![
            ("no file", vec!["--config", "/nonexistent.yaml"], &["read /nonexistent.yaml"]),
            ("unreadable YAML", config(1), &["unreadable is not a valid simulation file", "line"]),
            ("an unknown field", config(2), &["unknown is not a valid simulation file", "region"]),
            ("an unknown field of an instance", config(3), &["disk"]),
            ("an unknown type", config(4), &["instances[0].type", "z.9c9g", "c.1c2g"]),
            ("an unknown charge type", config(5), &["FREE", "POSTPAID"]),
            ("an id used twice", config(6), &["instances[1].id", "used twice"]),
            ("half a credential", config(7), &["credentials[0]", "accessKeyPassword"]),
            (
                "a port in use",
                vec!["--listen", &address, "--config", &paths[0]],
                &[&address, "choose another address with --listen", "in use"],
            ),
        ],
    );
}
