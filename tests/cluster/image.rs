//! The image, as `make image` left it: it holds what it should and nothing else, and from inside of it, as its
//! user, with names from the files that a kubelet writes, a machine is resized.

use std::{
    collections::BTreeSet,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use zenlayer_vm_operator::api::Phase;

use crate::stage::{LIMIT, ONE_POSTPAID, Rules, Stage};
use harness::{Process, eventually, root};

/// Where the layout is; without it, where `make image` writes it.
const IMAGE: &str = "IMAGE";
const ROOTS: &str = "etc/ssl/certs/ca-certificates.crt";
/// At most this much is pulled for one architecture.
const MOST: u64 = 25_000_000;

/// A layout whose every part is what its digest says.
struct Image {
    folder: PathBuf,
    manifest: Value,
    config: Value,
    layers: Vec<PathBuf>,
}

impl Image {
    fn read() -> Self {
        let folder =
            std::env::var_os(IMAGE).map_or_else(|| root().join("target/image"), Into::into);
        let layout = folder.join("layout");
        let index = std::fs::read(layout.join("index.json"))
            .unwrap_or_else(|error| panic!("{}: {error}: run `make image`", layout.display()));
        let index: Value = serde_json::from_slice(&index).unwrap();
        let blob = |of: &Value| {
            let hex = of["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let path = layout.join("blobs/sha256").join(hex);
            let bytes = std::fs::read(&path).unwrap();
            let found: String =
                digest(&SHA256, &bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((found.as_str(), bytes.len() as u64), (hex, of["size"].as_u64().unwrap()));
            (path, bytes)
        };
        let json = |of: &Value| serde_json::from_slice::<Value>(&blob(of).1).unwrap();
        let manifest = json(&index["manifests"][0]);
        let config = json(&manifest["config"]);
        let layers = manifest["layers"].as_array().unwrap().iter().map(|one| blob(one).0).collect();
        Self { folder, manifest, config, layers }
    }

    fn unpack(&self, into: &Path) {
        for layer in &self.layers {
            let mut tar = Command::new("tar");
            tar.args([
                "--extract",
                "--gzip",
                "--preserve-permissions",
                "--numeric-owner",
                "--file",
            ]);
            let ended = tar.arg(layer).arg("--directory").arg(into).status().unwrap();
            assert!(ended.success(), "{ended}");
        }
    }
}

fn files(folder: &Path, below: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.strip_prefix(below).unwrap().to_owned());
        if path.is_dir() {
            files(&path, below, found);
        }
    }
}

/// What is said to be in it is what it is licensed by, and is no more than what is linked.
fn names_what_it_holds(image: &Image, root: &Path) {
    let licences = std::fs::read_to_string(root.join("licenses/THIRD-PARTY")).unwrap();
    let sbom = std::fs::read(image.folder.join("sbom.json")).unwrap();
    let sbom: Value = serde_json::from_slice(&sbom).unwrap();
    let crates: Vec<&str> = sbom["components"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["purl"].as_str().unwrap().strip_prefix("pkg:cargo/"))
        .collect();
    for one in &crates {
        let line = format!("\n{} ", one.replace('@', " "));
        assert!(licences.contains(&line), "{one} has no licence");
    }
    for name in ["aws-lc-sys@", "tokio@", "webpki-root-certs@", "zenlayer-vm-operator@"] {
        assert!(crates.iter().any(|one| one.starts_with(name)), "{name}: {crates:?}");
    }
    // It is in the lock file alone.
    assert!(!crates.iter().any(|one| one.starts_with("ring@")), "{crates:?}");
    for text in ["Permission is hereby granted", "Apache License", "LGPL"] {
        assert!(licences.contains(text), "{text}");
    }
}

#[test]
#[ignore = "needs the image, and to be root: make image image-test"]
fn the_image_is_one_program_with_roots_and_licences_and_has_the_user_of_deploy() {
    let image = Image::read();
    let text =
        std::fs::read_to_string(root().join("deploy/kustomize/base/deployment.yaml")).unwrap();
    let deployment: Value = serde_saphyr::from_str(&text).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let (user, container) = (&pod["securityContext"], &pod["containers"][0]);
    let config = &image.config["config"];
    assert_eq!(config["User"], format!("{}:{}", user["runAsUser"], user["runAsGroup"]));
    assert_eq!(config["Entrypoint"], serde_json::json!(["/vm-operator"]));
    assert_eq!(config["Cmd"], container["args"]);
    let port = format!("{}/tcp", container["ports"][0]["containerPort"]);
    assert!(config["ExposedPorts"][&port].is_object(), "{config}");
    assert!(config["Env"].is_null(), "{config}");
    let layers = image.manifest["layers"].as_array().unwrap();
    let size: u64 = layers.iter().map(|layer| layer["size"].as_u64().unwrap()).sum();
    println!("{size} bytes are pulled");
    assert!(size <= MOST, "{size}");

    let folder = TempDir::new().unwrap();
    image.unpack(folder.path());
    let mut found = Vec::new();
    files(folder.path(), folder.path(), &mut found);
    let expected = [
        "etc",
        "etc/ssl",
        "etc/ssl/certs",
        ROOTS,
        "licenses",
        "licenses/LICENSE",
        "licenses/THIRD-PARTY",
        "vm-operator",
    ];
    let found: BTreeSet<&Path> = found.iter().map(PathBuf::as_path).collect();
    assert_eq!(found, expected.iter().map(Path::new).collect());
    for path in found {
        let about = folder.path().join(path).symlink_metadata().unwrap();
        let executable = about.is_dir() || path == Path::new("vm-operator");
        let mode = if executable { 0o755 } else { 0o644 };
        assert_eq!((about.uid(), about.gid()), (0, 0), "{}", path.display());
        assert_eq!(about.permissions().mode() & 0o7777, mode, "{}", path.display());
    }
    let roots = std::fs::read(folder.path().join(ROOTS)).unwrap();
    zenlayer::ExtraRoots::from_pem(&roots).unwrap();
    names_what_it_holds(&image, folder.path());
}

/// A name server for one name, at the port that a resolver asks.
async fn name_server(address: &str, name: &'static str) {
    let socket = UdpSocket::bind((address, 53)).await.unwrap();
    let mut wanted = Vec::new();
    for label in name.split('.') {
        wanted.push(u8::try_from(label.len()).unwrap());
        wanted.extend(label.as_bytes());
    }
    wanted.push(0);
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let question = &query[12..length];
            let end = question.iter().position(|byte| *byte == 0).unwrap();
            let (known, kind) = (question[..=end] == wanted, question[end + 2]);
            let address = known && kind == 1;
            let mut answer = query[..2].to_vec();
            // An answer, recursion available; of a name that it does not know: there is none.
            answer.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(address)]);
            answer.extend([0; 4]);
            // Without what may follow the question.
            answer.extend(&question[..end + 5]);
            if address {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 127, 0, 0, 1]);
            }
            socket.send_to(&answer, from).await.unwrap();
        }
    });
}

/// What a runtime and a kubelet put into a container: devices, names, and the token of the account. Randomness
/// comes from a device: a static program finds no `getrandom` in its C library.
async fn mounted(stage: &Stage, inside: &Path, resolver: &str) {
    let text = std::fs::read_to_string(stage.kubeconfig()).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let authority = config["clusters"][0]["cluster"]["certificate-authority"].as_str().unwrap();
    let account = inside.join("var/run/secrets/kubernetes.io/serviceaccount");
    std::fs::create_dir_all(&account).unwrap();
    std::fs::copy(authority, account.join("ca.crt")).unwrap();
    let token = stage.plane.service_account_token(&stage.slot_namespace, "vm-operator").await;
    std::fs::write(account.join("token"), token).unwrap();
    std::fs::write(account.join("namespace"), &stage.slot_namespace).unwrap();
    std::fs::create_dir(inside.join("dev")).unwrap();
    for (name, minor) in [("null", "3"), ("random", "8"), ("urandom", "9")] {
        let mut device = Command::new("mknod");
        device.arg("--mode=666").arg(inside.join("dev").join(name)).args(["c", "1", minor]);
        assert!(device.status().unwrap().success(), "{name}");
    }
    let hosts = "127.0.0.1 localhost\n127.0.0.1 kubernetes.default.svc\n";
    std::fs::write(inside.join("etc/hosts"), hosts).unwrap();
    let names =
        format!("search svc.example cloud.example\nnameserver {resolver}\noptions ndots:5\n");
    std::fs::write(inside.join("etc/resolv.conf"), names).unwrap();
}

/// As a kubelet starts it: the image's root and user, no other environment.
fn started(stage: &Stage, inside: &Path, endpoint: &str, log: &Path) -> Process {
    let text = std::fs::read_to_string(stage.kubeconfig()).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap();
    let mut command = Command::new("chroot");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        .env("KUBERNETES_SERVICE_PORT", server.rsplit(':').next().unwrap())
        .args(["--userspec=65532:65532", "--groups="])
        .arg(inside)
        .args(["/vm-operator", "run", "--endpoint", endpoint, "--http-listen", "127.0.0.1:0"])
        .args(["--slot-namespace", &stage.slot_namespace, "--order-delay", "0s"])
        .args(["--watch-namespaces", &stage.namespace]);
    Process::start("vm-operator in the image", command, log).unwrap()
}

/// Names: the provider's by DNS, over a search list as in a Pod; the API server's by /etc/hosts. Trust: the file
/// of the image, to which the authority of the simulated provider is added.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the image, and to be root: make image image-test"]
async fn in_a_chroot_of_the_image_as_its_user_a_machine_is_resized() {
    let folder = TempDir::new().unwrap();
    let [address, authority] = ["address", "authority"].map(|name| folder.path().join(name));
    let shown = |path: &Path| path.display().to_string();
    let tls = [
        "--tls-listen",
        "127.0.0.1:0",
        "--tls-name",
        "console.zenlayer",
        "--tls-address-file",
        &shown(&address),
        "--tls-ca-file",
        &shown(&authority),
    ];
    let stage = Stage::with(ONE_POSTPAID, &Rules::of_deploy(), &tls).await;
    stage.declare("c.2c4g").await;
    let resolver = "127.65.53.2";
    name_server(resolver, "console.zenlayer.cloud.example").await;

    let inside = folder.path().join("root");
    std::fs::create_dir(&inside).unwrap();
    // The user must reach it; a temporary folder is its owner's.
    for path in [folder.path(), &inside] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    Image::read().unpack(&inside);
    mounted(&stage, &inside, resolver).await;
    let mut roots = std::fs::read(inside.join(ROOTS)).unwrap();
    roots.extend(std::fs::read(&authority).unwrap());
    std::fs::write(inside.join(ROOTS), roots).unwrap();
    let address = std::fs::read_to_string(&address).unwrap();
    let endpoint = format!("https://console.zenlayer:{}", address.rsplit(':').next().unwrap());

    let operator = started(&stage, &inside, &endpoint, &folder.path().join("log"));
    eventually("vm-1 in sync", LIMIT, async || {
        let status = stage.get("vm-1").await.status.unwrap_or_default();
        let done = status.phase == Some(Phase::InSync);
        if done { Ok(()) } else { Err(format!("{status:?}\n{}", operator.tail())) }
    })
    .await;
    let orders = stage.sim.orders("vm-1").await;
    assert_eq!(orders.len(), 1, "{orders:?}");

    let process = PathBuf::from(format!("/proc/{}", operator.id()));
    assert_eq!(std::fs::read_link(process.join("root")).unwrap(), inside);
    let about = std::fs::read_to_string(process.join("status")).unwrap();
    for line in ["Uid:\t65532\t65532\t65532\t65532", "Gid:\t65532\t65532\t65532\t65532"] {
        assert!(about.contains(line), "{about}");
    }
    let maps = std::fs::read_to_string(process.join("maps")).unwrap();
    let mapped: BTreeSet<&str> =
        maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..])).collect();
    assert_eq!(mapped.len(), 1, "{mapped:?}");
    for line in about.lines().filter(|line| line.starts_with("Rss") || line.starts_with("VmRSS")) {
        println!("{line}");
    }
}
