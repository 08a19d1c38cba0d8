//! Further certificate authorities: that they make a difference.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use tempfile::TempDir;
use zenlayer::{Answer, Call, Client, ClientOptions, Cloud, Credentials, Endpoint, ExtraRoots};

use crate::given::{given_call, given_modify, given_options, id};
use harness::{
    Simulator, eventually,
    simulator::{KEY_ID, KEY_PASSWORD},
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
    Client::new(endpoint, options).unwrap()
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
