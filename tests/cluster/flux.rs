//! Flux end to end: its real kustomize-controller applies what is committed, and waits for it. The test stands for
//! source-controller: it serves each revision, and writes the GitRepository's status.

use std::{
    collections::HashMap,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use axum::{Router, extract, http::StatusCode, routing::get};
use harness::{Process, control_plane::free_port, eventually, scripts::printed};
use serde_json::{Value, json};
use zenlayer_vm_operator::api::Phase;

use crate::{
    gitops::{
        AT_ONCE, CHANGED, Figures, Place, Tool, Vm, all_kinds_are_served, example, file,
        renames_and_moves_order_nothing,
    },
    stage::shown,
};

const NAMESPACE: &str = "flux-system";
const SOURCES: [(&str, &str); 3] = [
    ("GitRepository", "gitrepositories"),
    ("OCIRepository", "ocirepositories"),
    ("Bucket", "buckets"),
];

/// The kinds that kustomize-controller watches and source-controller would define, without a schema.
fn source_kinds() -> String {
    let kind = |(kind, plural): (&str, &str)| {
        let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let version = json!({
            "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
            "schema": { "openAPIV3Schema": schema },
        });
        let group = "source.toolkit.fluxcd.io";
        let names = json!({ "kind": kind, "plural": plural });
        let spec =
            json!({ "group": group, "names": names, "scope": "Namespaced", "versions": [version] });
        let crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{group}") }, "spec": spec,
        });
        format!("---\n{crd}\n")
    };
    SOURCES.into_iter().map(kind).collect()
}

/// The folder `vms` with this file in it, packed.
fn packed(text: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("vms")).unwrap();
    std::fs::write(folder.path().join("vms/vms.yaml"), text).unwrap();
    let mut tar = Command::new("tar");
    let output = tar.arg("-czf").arg("-").arg("-C").arg(folder.path()).arg("vms").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

type Served = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// Serves what is packed, each by its name.
async fn server(served: Served) -> String {
    let give = async |extract::State(served): extract::State<Served>,
                      extract::Path(name): extract::Path<String>| {
        let found = served.lock().unwrap().get(&name).cloned();
        found.ok_or(StatusCode::NOT_FOUND)
    };
    let router = Router::new().route("/{name}", get(give)).with_state(served);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    url
}

/// A kustomize-controller, and the Kustomization of `deploy/examples`.
struct Flux<'a> {
    place: &'a Place,
    served: Served,
    url: String,
    revision: String,
    committed: Instant,
    controller: Process,
    _folder: tempfile::TempDir,
}

impl<'a> Flux<'a> {
    async fn given(place: &'a Place) -> Self {
        let plane = place.plane();
        let [binary, crds] = printed("hack/build-flux.sh", ["FLUX", "FLUX_CRDS"]);
        plane.kubectl_ok(&["apply", "--server-side", "-f", crds.to_str().unwrap()]);
        let (created, said) = plane.kubectl_with(&["create", "-f", "-"], &source_kinds());
        assert!(created, "{said}");
        all_kinds_are_served(plane).await;
        plane.kubectl_ok(&["create", "namespace", NAMESPACE]);
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary);
        command
            .env("KUBECONFIG", plane.kubeconfig())
            .env("RUNTIME_NAMESPACE", NAMESPACE)
            .env("TMPDIR", folder.path())
            .arg(format!("--metrics-addr=127.0.0.1:{}", free_port()))
            .arg(format!("--health-addr=127.0.0.1:{}", free_port()));
        let log = folder.path().join("kustomize-controller.log");
        let controller = Process::start("kustomize-controller", command, &log).unwrap();
        let served = Served::default();
        let url = server(served.clone()).await;
        let (revision, committed) = (String::new(), Instant::now());
        Self { place, served, url, revision, committed, controller, _folder: folder }
    }

    /// The example, whose objects say themselves in which namespace they are.
    fn kustomization(&self) {
        let mut kustomization = example("flux-kustomization.yaml");
        let spec = kustomization["spec"].as_object_mut().unwrap();
        assert_eq!(spec.remove("targetNamespace"), Some(json!("default")));
        let create = ["create", "-f", "-"];
        let (created, said) = self.place.plane().kubectl_with(&create, &kustomization.to_string());
        assert!(created, "{said}");
    }

    /// A new revision, in which these are all declarations.
    fn commit(&mut self, vms: &[Vm]) {
        let artifact = packed(&file(vms));
        let digest = hex(digest::digest(&digest::SHA256, &artifact).as_ref());
        let name = format!("{digest}.tar.gz");
        self.revision = format!("main@sha1:{}", &digest[..40]);
        let status = json!({
            "observedGeneration": 1,
            "artifact": {
                "url": format!("{}/{name}", self.url), "path": name, "size": artifact.len(),
                "digest": format!("sha256:{digest}"), "revision": self.revision,
                "lastUpdateTime": jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
            },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored",
                "lastTransitionTime": jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
            }],
        });
        self.served.lock().unwrap().insert(name, artifact);
        let plane = self.place.plane();
        if self.place.object("gitrepository", NAMESPACE, "infrastructure").is_none() {
            let metadata = json!({ "name": "infrastructure", "namespace": NAMESPACE });
            let version = "source.toolkit.fluxcd.io/v1";
            let repository =
                json!({ "apiVersion": version, "kind": "GitRepository", "metadata": metadata });
            let (created, said) =
                plane.kubectl_with(&["create", "-f", "-"], &repository.to_string());
            assert!(created, "{said}");
        }
        let patch = json!({ "status": status }).to_string();
        let repository = ["patch", "gitrepository", "infrastructure", "-n", NAMESPACE];
        let merge = ["--subresource=status", "--type=merge", "-p", &patch];
        self.committed = Instant::now();
        plane.kubectl_ok(&[&repository[..], &merge].concat());
    }

    /// What the Kustomization says of the newest revision: status, reason and message of Ready.
    fn said(&self) -> Result<[String; 3], String> {
        let shown = || self.controller.tail();
        let object =
            self.place.object("kustomization", NAMESPACE, "zenlayer-vms").ok_or_else(shown)?;
        let status = &object["status"];
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|one| one["type"] == "Ready").ok_or_else(shown)?;
        let is_newest = |name: &str| status[name] == self.revision.as_str();
        let text = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        let said = [text("status"), text("reason"), text("message")];
        let ended = match said[0].as_str() {
            "True" => is_newest("lastAppliedRevision"),
            "False" => is_newest("lastAttemptedRevision"),
            _ => false,
        };
        if ended { Ok(said) } else { Err(format!("{status}\n{}", shown())) }
    }

    /// Waits until the newest revision is Ready; it may not fail before that.
    async fn is_ready(&self, limit: Duration) {
        let [status, _, message] = self.ends(limit).await;
        assert_eq!(status, "True", "{message}\n{}", self.place.operator.process.tail());
    }

    async fn ends(&self, limit: Duration) -> [String; 3] {
        eventually("the end of the newest revision", limit, async || self.said()).await
    }
}

fn timeout_of(kustomization: &Value) -> Duration {
    let text = kustomization["spec"]["timeout"].as_str().unwrap();
    let minutes = text.strip_suffix('m').unwrap().parse::<u64>().unwrap();
    Duration::from_secs(minutes * 60)
}

impl Tool for Flux<'_> {
    fn commit(&mut self, vms: &[Vm]) {
        Flux::commit(self, vms);
    }

    fn follow(&self) {
        self.kustomization();
    }

    async fn settles(&self, limit: Duration) {
        self.is_ready(limit).await;
    }

    fn committed(&self) -> Instant {
        self.committed
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kustomize-controller: make nightly"]
async fn flux_waits_for_a_resize_fails_fast_by_a_refusal_and_passes_a_scheduled_downgrade() {
    let _permit = harness::permit::heavy().await;
    let place = Place::given("8s").await;
    let mut flux = Flux::given(&place).await;
    let home = place.stage.namespace.clone();
    let mut figures = Figures::new();

    flux.commit(&[place.vm("web", "c.1c2g"), place.vm("db", "c.4c8g")]);
    flux.kustomization();
    flux.is_ready(AT_ONCE).await;
    figures.add("two machines as they are: Ready", flux.committed);
    assert_eq!(place.orders().await, [0; 4]);

    flux.commit(&[place.vm("web", "c.2c4g"), place.vm("db", "c.4c8g")]);
    flux.is_ready(CHANGED).await;
    let seconds = figures.add("a resize of 8 s: Ready", flux.committed);
    // Not before it is so.
    assert!(seconds >= 8.0, "{seconds}");
    assert_eq!(place.type_of("web").await, "c.2c4g");
    assert_eq!(place.phase(&home, "web"), Some(Phase::InSync));
    assert_eq!(place.orders().await, [0, 0, 0, 1]);

    flux.commit(&[place.vm("web", "c.2c4g"), place.vm("db", "c.2c4g")]);
    flux.is_ready(AT_ONCE).await;
    figures.add("a PREPAID downgrade, scheduled: Ready", flux.committed);
    assert_eq!(place.type_of("db").await, "c.4c8g");
    assert_eq!(place.phase(&home, "db"), Some(Phase::Scheduled));
    assert_eq!(place.orders().await, [0, 1, 0, 1]);

    let refused =
        || [place.vm("web", "c.2c4g"), place.vm("db", "c.2c4g"), place.vm("series", "c.1c2g")];
    flux.commit(&refused());
    let [status, reason, message] = flux.ends(AT_ONCE).await;
    let seconds = figures.add("a refusal: failed", flux.committed);
    assert_eq!((status.as_str(), reason.as_str()), ("False", "HealthCheckFailed"), "{message}");
    assert!(message.contains("series status: 'Failed'"), "{message}");
    let timeout = timeout_of(&example("flux-kustomization.yaml"));
    assert!(seconds * 10.0 < timeout.as_secs_f64(), "{seconds} s of {timeout:?}");
    assert_eq!(
        shown(&place.vm_object(&home, "series").unwrap(), "Stalled"),
        "True InstanceTypeUnsupported"
    );

    // The commit that mends it is not held up by the one that failed, and passes with what is scheduled.
    flux.commit(&[
        place.vm("web", "c.2c4g"),
        place.vm("db", "c.2c4g"),
        place.vm("series", "s.1c1g"),
    ]);
    flux.is_ready(AT_ONCE).await;
    figures.add("the refused declaration corrected: Ready", flux.committed);
    assert_eq!(place.orders().await, [0, 1, 0, 1]);
    figures.show("Flux, from the commit on");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kustomize-controller: make nightly"]
async fn under_flux_a_rename_and_a_move_to_another_namespace_are_ready_in_seconds_and_order_nothing()
 {
    let _permit = harness::permit::heavy().await;
    let place = Place::given("8s").await;
    let mut flux = Flux::given(&place).await;
    renames_and_moves_order_nothing(
        &mut flux,
        &place,
        "Flux with renames and moves, from the commit to Ready",
    )
    .await;
}
