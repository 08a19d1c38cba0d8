//! Argo CD end to end: its real application controller and repo server apply what is committed to a repository,
//! with the health of `deploy/argocd` in their configuration.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use harness::{Process, control_plane::free_port, eventually, scripts::printed};
use serde_json::{Value, json};
use zenlayer_vm_operator::api::Phase;

use crate::{
    gitops::{
        AT_ONCE, CHANGED, Figures, Place, Tool, Vm, all_kinds_are_served, example, file,
        renames_and_moves_order_nothing,
    },
    stage::LIMIT,
};

const NAMESPACE: &str = "argocd";
const NAME: &str = "zenlayer-vms";

/// What `deploy/` of Argo CD would create. Its API server, which is not here, makes the project.
fn configuration() -> String {
    let named = |name: &str| {
        let labels = json!({ "app.kubernetes.io/part-of": "argocd" });
        json!({ "name": name, "namespace": NAMESPACE, "labels": labels })
    };
    let anywhere = json!({ "server": "*", "namespace": "*" });
    let anything = json!({ "group": "*", "kind": "*" });
    let project = json!({
        "sourceRepos": ["*"], "destinations": [anywhere], "clusterResourceWhitelist": [anything],
    });
    [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": named("argocd-cm") }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": named("argocd-secret"),
            "stringData": { "server.secretkey": "of-a-test" },
        }),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": named("default"), "spec": project,
        }),
    ]
    .map(|object| format!("---\n{object}\n"))
    .concat()
}

fn git(repository: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository);
    // Nothing of the user's is read.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Argo CD, and the Application of `deploy/examples` for a repository of the test.
struct Argo<'a> {
    place: &'a Place,
    revision: String,
    committed: Instant,
    controller: Process,
    _others: [Process; 2],
    folder: tempfile::TempDir,
}

impl<'a> Argo<'a> {
    async fn given(place: &'a Place) -> Self {
        let plane = place.plane();
        let [binary, crds] = printed("hack/build-argocd.sh", ["ARGOCD", "ARGOCD_CRDS"]);
        let [redis] = printed("hack/redis.sh", ["REDIS"]);
        plane.kubectl_ok(&["apply", "--server-side", "-k", crds.to_str().unwrap()]);
        all_kinds_are_served(plane).await;
        let (created, said) = plane.kubectl_with(&["create", "-f", "-"], &configuration());
        assert!(created, "{said}");
        // As docs/gitops.md says.
        let patch = ["patch", "configmap", "argocd-cm", "--type", "merge"];
        let file = ["--patch-file", "deploy/argocd/argocd-cm.yaml"];
        plane.kubectl_ok(&[&["-n", NAMESPACE], &patch[..], &file].concat());

        let folder = tempfile::tempdir().unwrap();
        let [redis_port, repo_port] = [free_port(), free_port()].map(|port| port.to_string());
        let mut command = Command::new(redis);
        command.current_dir(folder.path());
        command.args(["--bind", "127.0.0.1", "--port", &redis_port, "--save", ""]);
        let log = folder.path().join("redis.log");
        let redis = Process::start("redis", command, &log).unwrap();
        let start = |name: &str, arguments: &[&str]| {
            let mut command = Command::new(&binary);
            command
                .env("ARGOCD_BINARY_NAME", name)
                .env("ARGOCD_FAKE_IN_CLUSTER", "true")
                .env("ARGOCD_GPG_ENABLED", "false")
                .env("ARGOCD_TLS_DATA_PATH", folder.path())
                .env("ARGOCD_SSH_DATA_PATH", folder.path())
                .env("KUBECONFIG", plane.kubeconfig())
                .env("HOME", folder.path())
                .env("TMPDIR", folder.path())
                .args(["--logformat", "text"])
                .args(["--redis", &format!("127.0.0.1:{redis_port}")])
                .args(["--metrics-port", &free_port().to_string()])
                .args(arguments);
            let log = folder.path().join(format!("{name}.log"));
            Process::start(name, command, &log).unwrap()
        };
        let local = ["--address", "127.0.0.1", "--metrics-address", "127.0.0.1"];
        let repo = ["--disable-tls", "--port", &repo_port];
        let repo = start("argocd-repo-server", &[&local[..], &repo].concat());
        let address = format!("127.0.0.1:{repo_port}");
        eventually("the repo server's port", LIMIT, async || {
            let connected = tokio::net::TcpStream::connect(&address).await;
            connected.map(drop).map_err(|error| format!("{error}; {}", repo.tail()))
        })
        .await;
        let server = ["--repo-server", &address, "--repo-server-plaintext"];
        let arguments = [&["--namespace", NAMESPACE], &server[..]].concat();
        let controller = start("argocd-application-controller", &arguments);
        let repository = folder.path().join("repository");
        std::fs::create_dir_all(repository.join("vms")).unwrap();
        git(&repository, &["init", "--quiet", "--initial-branch", "main"]);
        let (revision, committed) = (String::new(), Instant::now());
        Self { place, revision, committed, controller, _others: [redis, repo], folder }
    }

    fn repository(&self) -> std::path::PathBuf {
        self.folder.path().join("repository")
    }

    /// The example, with these options of its syncs.
    fn application(&self, options: &[&str]) {
        let mut application = example("argocd-application.yaml");
        let url = format!("file://{}", self.repository().display());
        application["spec"]["source"]["repoURL"] = json!(url);
        // Without a kube-controller-manager nobody ends a deletion in the foreground.
        let options = [&["PrunePropagationPolicy=background"], options].concat();
        application["spec"]["syncPolicy"]["syncOptions"] = json!(options);
        let apply = ["apply", "-f", "-"];
        let (applied, said) = self.place.plane().kubectl_with(&apply, &application.to_string());
        assert!(applied, "{said}");
    }

    /// A new commit, in which these are all declarations.
    fn commit(&mut self, vms: &[Vm]) {
        let repository = self.repository();
        std::fs::write(repository.join("vms/vms.yaml"), file(vms)).unwrap();
        git(&repository, &["add", "--all"]);
        git(&repository, &["commit", "--quiet", "--message", "change the declarations"]);
        self.revision = git(&repository, &["rev-parse", "HEAD"]);
        self.committed = Instant::now();
        if self.place.object("application", NAMESPACE, NAME).is_some() {
            self.refresh("normal");
        }
    }

    /// As a webhook of the repository does it.
    fn refresh(&self, how: &str) {
        let refresh = format!("argocd.argoproj.io/refresh={how}");
        let annotate = ["annotate", "application", NAME, "-n", NAMESPACE, "--overwrite", &refresh];
        self.place.plane().kubectl_ok(&annotate);
    }

    /// The status once all is rendered and compared anew: the request is taken away then.
    async fn compared_anew(&self) -> Value {
        self.refresh("hard");
        eventually("a comparison", AT_ONCE, async || {
            let object = self.place.object("application", NAMESPACE, NAME).unwrap();
            let asked = &object["metadata"]["annotations"]["argocd.argoproj.io/refresh"];
            if asked.is_null() { Ok(object["status"].clone()) } else { Err(self.controller.tail()) }
        })
        .await
    }

    fn status(&self) -> Value {
        let object = self.place.object("application", NAMESPACE, NAME).unwrap();
        object["status"].clone()
    }

    /// Waits until the status says so of the newest commit.
    async fn until(&self, what: &str, limit: Duration, test: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the Application {what}"), limit, async || {
            let status = self.status();
            let compared = status["sync"]["revision"] == self.revision.as_str();
            if compared && test(&status) {
                return Ok(status);
            }
            let operator = self.place.operator.process.tail();
            let shown = serde_json::to_string_pretty(&status).unwrap();
            Err(format!("{shown}\n{}\n{operator}", self.controller.tail()))
        })
        .await
    }

    /// Waits until the newest commit is applied and all is Healthy.
    async fn is_healthy(&self, limit: Duration) -> Value {
        self.until("is synced and Healthy", limit, |status| {
            let operation = &status["operationState"];
            operation["phase"] == "Succeeded"
                && operation["syncResult"]["revision"] == self.revision.as_str()
                && status["sync"]["status"] == "Synced"
                && status["health"]["status"] == "Healthy"
        })
        .await
    }
}

impl Tool for Argo<'_> {
    fn commit(&mut self, vms: &[Vm]) {
        Argo::commit(self, vms);
    }

    fn follow(&self) {
        self.application(&[]);
    }

    async fn settles(&self, limit: Duration) {
        self.is_healthy(limit).await;
    }

    fn committed(&self) -> Instant {
        self.committed
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Argo CD: make nightly"]
async fn argo_cd_waits_for_a_resize_is_degraded_by_a_refusal_and_passes_a_scheduled_downgrade() {
    let _permit = harness::permit::heavy().await;
    let place = Place::given("8s").await;
    let mut argo = Argo::given(&place).await;
    let home = place.stage.namespace.clone();
    let mut figures = Figures::new();
    argo.commit(&[place.vm("web", "c.1c2g"), place.vm("db", "c.4c8g")]);
    argo.application(&[]);
    argo.is_healthy(CHANGED).await;
    figures.add("two machines as they are: Healthy", argo.committed);
    assert_eq!(place.orders().await, [0; 4]);

    argo.commit(&[place.vm("web", "c.2c4g"), place.vm("db", "c.4c8g")]);
    argo.until("waits", AT_ONCE, |status| status["health"]["status"] == "Progressing").await;
    argo.is_healthy(CHANGED).await;
    let seconds = figures.add("a resize of 8 s: Healthy", argo.committed);
    // Not before it is so.
    assert!(seconds >= 8.0, "{seconds}");
    assert_eq!(place.type_of("web").await, "c.2c4g");
    assert_eq!(place.phase(&home, "web"), Some(Phase::InSync));
    assert_eq!(place.orders().await, [0, 0, 0, 1]);

    argo.commit(&[place.vm("web", "c.2c4g"), place.vm("db", "c.2c4g")]);
    argo.is_healthy(AT_ONCE).await;
    figures.add("a PREPAID downgrade, scheduled: Healthy", argo.committed);
    assert_eq!(place.type_of("db").await, "c.4c8g");
    assert_eq!(place.phase(&home, "db"), Some(Phase::Scheduled));
    assert_eq!(place.orders().await, [0, 1, 0, 1]);

    let all = |series: &'static str| {
        [place.vm("web", "c.2c4g"), place.vm("db", "c.2c4g"), place.vm("series", series)]
    };
    argo.commit(&all("c.1c2g"));
    let is_degraded = |status: &Value| status["health"]["status"] == "Degraded";
    argo.until("is Degraded", AT_ONCE, is_degraded).await;
    figures.add("a refusal: Degraded", argo.committed);
    argo.commit(&all("s.1c1g"));
    argo.is_healthy(AT_ONCE).await;
    figures.add("the refused declaration corrected: Healthy", argo.committed);
    assert_eq!(place.orders().await, [0, 1, 0, 1]);
    figures.show("Argo CD, from the commit on");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Argo CD: make nightly"]
async fn a_wave_of_argo_cd_passes_what_is_suspended_or_scheduled_and_fails_by_a_refusal() {
    let _permit = harness::permit::heavy().await;
    let place = Place::given("4s").await;
    let mut argo = Argo::given(&place).await;
    let home = place.stage.namespace.clone();
    let mut figures = Figures::new();
    let first = |machine, type_id| place.vm(machine, type_id).in_wave(0);
    let second = |type_id| place.vm("cache", type_id).in_wave(1);
    let suspended = || first("web", "c.2c4g").with(json!({ "suspend": true }));
    argo.commit(&[suspended(), first("db", "c.2c4g"), second("c.2c4g")]);
    argo.application(&[]);
    argo.is_healthy(CHANGED).await;
    figures.add("a wave after a suspended and a scheduled object: Healthy", argo.committed);
    assert_eq!(place.phase(&home, "web"), Some(Phase::Suspended));
    assert_eq!(place.phase(&home, "db"), Some(Phase::Scheduled));
    assert_eq!(place.type_of("cache").await, "c.2c4g");
    assert_eq!(place.orders().await, [1, 1, 0, 0]);

    argo.commit(&[first("web", "c.2c4g"), first("db", "c.2c4g"), second("c.2c4g")]);
    argo.is_healthy(CHANGED).await;
    figures.add("the suspension ended, a resize of 4 s: Healthy", argo.committed);
    assert_eq!(place.type_of("web").await, "c.2c4g");
    assert_eq!(place.orders().await, [1, 1, 0, 1]);

    // The second wave, and what it would pay, waits for what the first one declares.
    let all = |series: &'static str| {
        let machines = [first("web", "c.2c4g"), first("db", "c.2c4g"), first("series", series)];
        machines.into_iter().chain([second("c.4c8g")]).collect::<Vec<_>>()
    };
    argo.commit(&all("c.1c2g"));
    let message = |status: &Value| status["operationState"]["message"].to_string();
    argo.until("has failed", AT_ONCE, |status| message(status).contains("unsuccessfully")).await;
    figures.add("a wave with a refusal: failed", argo.committed);
    assert_eq!(place.orders().await, [1, 1, 0, 1]);

    argo.commit(&all("s.1c1g"));
    argo.is_healthy(CHANGED).await;
    figures.add("the commit that corrects it, by the next retry: Healthy", argo.committed);
    assert_eq!(place.type_of("cache").await, "c.4c8g");
    assert_eq!(place.orders().await, [2, 1, 0, 1]);
    figures.show("Argo CD with waves, from the commit on");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Argo CD: make nightly"]
async fn under_argo_cd_a_rename_and_a_move_to_another_namespace_are_ready_in_seconds_and_order_nothing()
 {
    let _permit = harness::permit::heavy().await;
    let place = Place::given("8s").await;
    let mut argo = Argo::given(&place).await;
    renames_and_moves_order_nothing(
        &mut argo,
        &place,
        "Argo CD with renames and moves, from the commit to Healthy",
    )
    .await;
}

/// How an Application compares and applies: options of its syncs, and how it compares.
const WAYS: [(&str, &[&str], &str); 3] = [
    ("client-side", &[], "ServerSideDiff=false"),
    ("server-side apply", &["ServerSideApply=true"], "ServerSideDiff=false"),
    ("server-side apply and diff", &["ServerSideApply=true"], "ServerSideDiff=true"),
];

/// Waits until the newest commit is compared and found applied, and gives how many syncs there have been.
async fn syncs(argo: &Argo<'_>) -> usize {
    let is_synced = |status: &Value| {
        status["sync"]["status"] == "Synced"
            && status["health"]["status"] == "Healthy"
            && status["operationState"]["phase"] == "Succeeded"
    };
    let status = argo.until("is Synced", AT_ONCE, is_synced).await;
    status["history"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Argo CD: make nightly"]
async fn argo_cd_sees_no_difference_with_all_defaults_written_out_or_none_however_it_applies() {
    let _permit = harness::permit::heavy().await;
    let place = Place::given("4s").await;
    let mut argo = Argo::given(&place).await;
    let home = place.stage.namespace.clone();
    let web = || place.vm_object(&home, "web").unwrap();
    let patch = |patch: Value| {
        let patch = patch.to_string();
        let merge = ["patch", "zvm", "web", "-n", &home, "--type=merge", "-p", &patch];
        place.plane().kubectl_ok(&merge);
    };
    argo.commit(&[place.vm("web", "c.1c2g")]);
    argo.application(&[]);
    argo.is_healthy(CHANGED).await;
    // What the API server has filled in is what can be written out.
    let whole = serde_json::to_value(&web().spec).unwrap();
    assert!(whole.as_object().unwrap().len() > 5, "{whole}");
    let mut wave = 0;
    for (name, options, compare) in WAYS {
        argo.application(options);
        let compare = format!("argocd.argoproj.io/compare-options={compare}");
        let annotate = ["annotate", "application", NAME, "-n", NAMESPACE, "--overwrite", &compare];
        place.plane().kubectl_ok(&annotate);
        // Another wave is a difference, so that it is applied in this way.
        for (what, written_out, is_new) in [
            ("none of them", false, true),
            ("all written out", true, false),
            ("none again", false, false),
            ("all of them", true, true),
        ] {
            let before = syncs(&argo).await;
            wave += u8::from(is_new);
            let more = if written_out { whole.clone() } else { json!({}) };
            argo.commit(&[place.vm("web", "c.1c2g").with(more).in_wave(wave)]);
            let after = syncs(&argo).await;
            assert_eq!(after, before + usize::from(is_new), "{name}, {what}: syncs");
            // What an action sets beside Git is no difference either.
            let stamp = json!({ "vm.zenlayer.com/requested-at": argo.revision });
            patch(json!({ "metadata": { "annotations": stamp } }));
            let status = argo.compared_anew().await;
            assert_eq!(status["sync"]["status"], "Synced", "{name}, {what}: {status}");
            assert_eq!(syncs(&argo).await, after, "{name}, {what}: {status}");
            let object = web();
            assert_eq!(serde_json::to_value(&object.spec).unwrap(), whole, "{name}, {what}");
            assert_eq!(object.metadata.generation, Some(1), "{name}, {what}: nothing was changed");
        }
    }
    // As the action does it; it stays where Git says nothing of it.
    argo.commit(&[place.vm("web", "c.1c2g").in_wave(wave + 1)]);
    argo.is_healthy(CHANGED).await;
    patch(json!({ "spec": { "suspend": true } }));
    argo.compared_anew().await;
    syncs(&argo).await;
    assert!(web().spec.suspend, "it is taken back");
}
