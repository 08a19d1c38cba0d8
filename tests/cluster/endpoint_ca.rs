//! What `--endpoint-ca` takes.

use std::error::Error;

use clap::Parser;
use tempfile::TempDir;
use zenlayer_vm_operator::config::{Cli, Command};

const AUTHORITY: &str = include_str!("../../crates/zenlayer/tests/client/authority.pem");

/// The message with its causes, as main prints it.
fn problem(content: Option<&str>) -> Option<String> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    if let Some(content) = content {
        std::fs::write(&file, content).unwrap();
    }
    let shown = file.display().to_string();
    let cli = Cli::try_parse_from(["vm-operator", "run", "--endpoint-ca", &shown]).unwrap();
    let Command::Run(args) = cli.command else { panic!("run was asked for") };
    let error = args.extra_roots().err()?;
    let mut text = error.to_string().replace(&shown, "FILE");
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Some(text)
}

#[test]
fn endpoint_ca_takes_pem_and_says_what_that_is() {
    assert_eq!(problem(Some(AUTHORITY)), None);
    assert_eq!(problem(Some(&format!("a comment\n{AUTHORITY}{AUTHORITY}"))), None);
    let cut = AUTHORITY.replace("MII", "AAA");
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let no_certificate = "--endpoint-ca FILE: it holds no certificate: a PEM file has lines from \
                          -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
    let unreadable = "--endpoint-ca FILE: a certificate in it cannot be read: write each as PEM";
    for (name, content, expected) in [
        ("no file", None, "--endpoint-ca FILE: cannot read the file: No such file"),
        ("an empty file", Some(""), no_certificate),
        ("another text", Some("subject=CN = test"), no_certificate),
        ("a key", Some(key), no_certificate),
        ("a spoiled certificate", Some(cut.as_str()), unreadable),
        (
            "no base64",
            Some("-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n"),
            unreadable,
        ),
    ] {
        let problem = problem(content).expect(name);
        assert!(problem.starts_with(expected), "{name}: {problem}");
    }
}
