//! No secret that a test gave to an operator is in anything that an operator emitted: its output, its requests
//! to the API server, its metrics, the answers of its probes.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use harness::{
    control_plane::random_hex,
    eventually,
    records::{self, Channel},
    scan::{Scanner, Secret, files, forms, scan, secrets},
};
use serde_json::json;

use crate::stage::{LIMIT, ONE_POSTPAID, Stage};

fn secret(name: &str, value: &str) -> Secret {
    Secret { name: name.to_owned(), value: value.to_owned() }
}

/// Every kind of secret, by how the name of one begins; the tests use them all.
const KINDS: [&str; 7] = [
    "accessKeyId of Secret",
    "accessKeyPassword of Secret",
    "token of Secret",
    "the token of ServiceAccount",
    "the administrator's token",
    "the password of",
    "the signature of a call",
];

#[test]
#[ignore = "make test runs it at the end, over the records of all tests"]
fn no_secret_is_in_anything_that_the_suite_emitted_and_a_planted_one_is_found() {
    let folder = PathBuf::from(std::env::var_os(records::FOLDER).expect("the folder is named"));
    let secrets = secrets(&folder);
    let scanner = Scanner::of(&secrets);
    let report = scan(&folder, &scanner);
    println!("{} secrets\n{report}", secrets.len());
    assert!(report.hits.is_empty(), "secrets were emitted:\n{report}");
    for (channel, least) in Channel::ALL.into_iter().zip([2000, 5000, 20_000, 200]) {
        assert!(report.seen[&channel][1] >= least, "{channel:?} is hardly recorded:\n{report}");
    }
    let one_of_each: BTreeSet<Secret> = KINDS
        .iter()
        .map(|kind| {
            secrets
                .iter()
                .find(|one| one.name.starts_with(kind))
                .unwrap_or_else(|| panic!("{kind}"))
        })
        .cloned()
        .collect();
    let copies = tempfile::tempdir().unwrap();
    for channel in Channel::ALL {
        let found = plant(channel, &folder, copies.path(), &one_of_each);
        println!("{channel:?}: {found} planted secrets are found");
    }
}

/// Plants each secret in each form in a copy of a real record; each is found at its line, and nothing else is.
fn plant(channel: Channel, records: &Path, copies: &Path, secrets: &BTreeSet<Secret>) -> usize {
    let ours =
        |line: &&str| channel != Channel::Api || line.contains("\"userAgent\":\"vm-operator/");
    let written = |line: &&str| channel != Channel::Api || line.contains("\"requestObject\":{");
    let eligible = |path: &PathBuf| {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        text.lines().any(|line| ours(&line) && written(&line)).then_some(text)
    };
    let mut sizes: Vec<_> = files(&records.join(channel.folder()))
        .into_iter()
        .map(|path| (path.metadata().unwrap().len(), path))
        .collect();
    sizes.sort();
    let text = sizes.iter().find_map(|(_, path)| eligible(path)).expect("something is recorded");
    let lines: Vec<&str> = text.lines().collect();
    let template = lines.iter().find(|line| ours(line) && written(line)).unwrap();
    let (mut copy, mut expected) = (lines[..lines.len() / 2].join("\n"), BTreeSet::new());
    for Secret { name, value } in secrets {
        for (text, form) in forms(value) {
            let line = match channel {
                Channel::Api => {
                    let planted = format!("\"requestObject\":{{\"planted\":{},", json!(text));
                    template.replacen("\"requestObject\":{", &planted, 1)
                }
                Channel::Output | Channel::Metrics | Channel::Probes => {
                    format!("{template} {text}")
                }
            };
            copy = format!("{copy}\n{line}");
            expected.insert(format!("{name}, {form}"));
        }
    }
    let place = copies.join(format!("{channel:?}"));
    let folder = place.join(channel.folder());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("copy"), format!("{copy}\n{}", lines[lines.len() / 2..].join("\n")))
        .unwrap();
    let report = scan(&place, &Scanner::of(secrets));
    let by_name = |what: &String| secrets.iter().any(|one| what.starts_with(&one.name));
    let found: BTreeSet<String> =
        report.hits.into_iter().map(|hit| hit.3).filter(by_name).collect();
    assert_eq!(found, expected, "{channel:?}");
    found.len()
}

/// What is planted is no secret of any other test, or the one above would find it.
#[tokio::test]
async fn what_an_operator_emits_is_recorded_whichever_way_it_goes_out() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let planted = format!("planted-{}", random_hex());
    let operator = stage.operator(&["--selector", &format!("shard={planted}")]);
    operator.ready().await;
    // The lease of the leader says what it serves.
    eventually("the lease", LIMIT, async || {
        let leases = stage.slots().list(&Default::default()).await.unwrap();
        let leases = serde_json::to_string(&leases).unwrap();
        if leases.contains(&planted) { Ok(()) } else { Err(leases) }
    })
    .await;
    drop(operator);
    let looked_for = BTreeSet::from([
        secret("planted", &planted),
        // It stands in the address of a list, too; what is written is in the bodies alone.
        secret("a write", &format!("\"vm.zenlayer.com/selector\":\"shard={planted}\"")),
        secret("a metric", "zenlayer_vm_objects"),
        secret("a probe", "readyz 200 ok"),
    ]);
    let scanner = Scanner::of(&looked_for);
    let audit = stage.plane.audit_log_file();
    assert_eq!(audit.parent(), Some(records::folder()));
    for (channel, expected) in [
        (Channel::Output, "planted, as it is"),
        (Channel::Api, "a write, as it is"),
        (Channel::Metrics, "a metric, as it is"),
        (Channel::Probes, "a probe, as it is"),
    ] {
        let all = files(&records::folder().join(channel.folder()));
        let mine = all.into_iter().filter(|path| match channel {
            Channel::Api => *path == audit,
            _ => path.to_string_lossy().contains("what_an_operator_emits_is_recorded"),
        });
        let text: Vec<u8> = mine.flat_map(|path| std::fs::read(path).unwrap()).collect();
        assert!(scanner.found(&text).contains(expected), "{channel:?}: {}", text.len());
    }
}
