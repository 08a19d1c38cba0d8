//! Further certificate authorities: what `--endpoint-ca` takes, and that it makes a difference.

use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

use clap::Parser;
use jiff::Timestamp;
use tempfile::TempDir;
use zenlayer_vm_operator::{
    config::{Cli, Command},
    zenlayer::{Answer, Call, Client, ClientOptions, Cloud, Credentials, Endpoint, ExtraRoots},
};

use crate::{
    given::{given_call, given_modify, given_options, id},
    harness::{
        Simulator, eventually,
        simulator::{KEY_ID, KEY_PASSWORD},
    },
};

const AUTHORITY: &str = include_str!("authority.pem");

/// A simulator that also listens with TLS, under an authority that it made.
pub struct TlsSimulator {
    pub address: String,
    pub authority: PathBuf,
    _sim: Simulator,
    _folder: TempDir,
}

impl TlsSimulator {
    pub async fn start(arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let (file, authority) = (folder.path().join("tls"), folder.path().join("ca.pem"));
        let shown = [file.display().to_string(), authority.display().to_string()];
        let mut all = vec!["--tls-listen", "127.0.0.1:0", "--tls-address-file", &shown[0]];
        all.extend(["--tls-ca-file", &shown[1]]);
        all.extend(arguments);
        let sim = Simulator::start(
            &simulation("  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }\n"),
            &all,
        )
        .await;
        let address = eventually("the TLS address", Duration::from_secs(20), async || {
            std::fs::read_to_string(&file).map_err(|_| sim.process.tail())
        })
        .await;
        Self { address, authority, _sim: sim, _folder: folder }
    }
}

/// A simulation file with these instances and the key of the harness.
pub fn simulation(instances: &str) -> String {
    format!(
        "credentials:\n  - {{ accessKeyId: {KEY_ID}, accessKeyPassword: {KEY_PASSWORD} }}\n\
         processingTime: 1s\ninstances:\n{instances}"
    )
}

pub fn simulator_key() -> Credentials {
    Credentials::AccessKey { id: KEY_ID.to_owned(), password: KEY_PASSWORD.into() }
}

pub fn client_of_today(endpoint: &str, options: ClientOptions) -> Client {
    let endpoint = Endpoint::parse(endpoint, true).unwrap();
    Client::new(endpoint, options, Arc::new(Timestamp::now)).unwrap()
}

/// One read and one write, signed with this machine's clock.
pub async fn call_now(endpoint: &str, options: ClientOptions) -> (String, Answer) {
    let client = client_of_today(endpoint, options);
    let read = client.describe_type_status(&simulator_key(), &id("vm-1")).await;
    let call = Call { signed_at: Timestamp::now(), ..given_call(given_modify()) };
    let answer = client.mutate(&simulator_key(), &call).await;
    (read.map_or_else(|error| error.to_string(), |_| "ok".to_owned()), answer)
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted_and_a_given_one_is() {
    let sim = TlsSimulator::start(&[]).await;
    let endpoint = format!("https://{}", sim.address);
    let (read, answer) = call_now(&endpoint, given_options()).await;
    assert!(read.contains("certificate"), "{read}");
    assert!(matches!(answer, Answer::NotSent { .. }), "{answer:?}");
    let roots = |pem: &[u8]| ClientOptions {
        extra_roots: ExtraRoots::from_pem(pem).unwrap(),
        ..given_options()
    };
    let (_, answer) = call_now(&endpoint, roots(AUTHORITY.as_bytes())).await;
    assert!(matches!(answer, Answer::NotSent { .. }), "another authority: {answer:?}");
    let own = std::fs::read(&sim.authority).unwrap();
    // More than one may stand in a file.
    let both = [AUTHORITY.as_bytes(), &own].concat();
    let (read, answer) = call_now(&endpoint, roots(&both)).await;
    assert_eq!(read, "ok");
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
}

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
