//! The first minutes in a cluster that is not a friendly one: proxies, IPv6 alone, connections that fall
//! silent, other people's conditions.

use std::{
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use harness::{
    Operator, binary, eventually,
    processes::Process,
    proxies::http_client,
    wire::{Broken, Fault, Select, Verb},
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::stage::{LIMIT, ONE_POSTPAID, Stage};

/// A proxy that refuses everything but CONNECT, and the first lines of the requests that it had.
struct ConnectProxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    /// Whatever host is asked for, it leads there.
    async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(tunnel(near, target.clone(), log.clone()));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn tunnel(mut near: TcpStream, target: String, log: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match near.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let first = text.lines().next().unwrap_or_default().to_owned();
    let connects = first.starts_with("CONNECT ");
    log.lock().unwrap().push(first);
    if !connects {
        let refused = b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n";
        let _ = near.write_all(refused).await;
        return;
    }
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    let _ = near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let _ = copy_bidirectional(&mut near, &mut far).await;
}

/// An operator of this stage whose kubeconfig names the API server by a name of the cluster, with these
/// variables of the environment.
fn operator_by_name(stage: &Stage, folder: &tempfile::TempDir, env: &[(&str, &str)]) -> Process {
    let text = std::fs::read_to_string(stage.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["clusters"][0]["cluster"]["server"] = json!("https://kubernetes.default.svc:6443");
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let mut command = Command::new(binary("vm-operator"));
    command
        .env("KUBECONFIG", &kubeconfig)
        .envs(env.iter().copied())
        .args(["run", "--log-format", "text", "--endpoint", &stage.sim.endpoint()])
        .args(["--slot-namespace", &stage.slot_namespace])
        .args(["--watch-namespaces", &stage.namespace])
        .args(["--http-listen", "127.0.0.1:0", "--testing-poll", "1s"]);
    Process::start("vm-operator", command, &folder.path().join("log")).unwrap()
}

/// Waits for an operator that is not of the stage.
async fn in_sync(stage: &Stage, log: impl Fn() -> String) {
    eventually("vm-1 in sync", LIMIT, async || {
        let status = stage.get("vm-1").await.status.unwrap_or_default();
        let done = status.phase == Some(Phase::InSync);
        if done { Ok(()) } else { Err(format!("{status:?}\n{}", log())) }
    })
    .await;
}

#[tokio::test]
async fn the_kubernetes_api_is_reached_through_a_proxy_that_only_speaks_connect() {
    let stage = Stage::given(ONE_POSTPAID).await;
    stage.declare("c.2c4g").await;
    let text = std::fs::read_to_string(stage.kubeconfig()).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap();
    let proxy = ConnectProxy::to(server.trim_start_matches("https://").to_owned()).await;
    let folder = tempfile::tempdir().unwrap();
    let variables =
        [("HTTPS_PROXY", &*proxy.url), ("HTTP_PROXY", &*proxy.url), ("NO_PROXY", "127.0.0.1")];
    let operator = operator_by_name(&stage, &folder, &variables);
    in_sync(&stage, || operator.tail()).await;
    let asked = proxy.asked();
    assert!(!asked.is_empty());
    for line in &asked {
        assert_eq!(line, "CONNECT kubernetes.default.svc:6443 HTTP/1.1");
    }
    println!("{} tunnels, nothing else", asked.len());
}

/// What an operator with these variables says before it ends.
async fn refused(stage: &Stage, variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut operator = operator_by_name(stage, &folder, variables);
    let ended = tokio::task::block_in_place(|| operator.wait(LIMIT)).expect("it cannot start");
    let log = operator.log();
    assert!(!ended.success(), "{log}");
    let line =
        log.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{log}"));
    line.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_not_used_for_what_no_proxy_names() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let proxy = ConnectProxy::to("127.0.0.1:9".to_owned()).await;
    let variables = [("HTTPS_PROXY", &*proxy.url), ("NO_PROXY", "127.0.0.1,.svc")];
    // Nothing resolves that name here, and it is not asked of the proxy.
    let line = refused(&stage, &variables).await;
    assert!(line.contains("dns error"), "{line}");
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_cannot_be_used_is_named_without_its_password() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let good = "http://127.0.0.1:9";
    harness::records::secret("the password of a proxy", "hiddenPassword51c7");
    for (name, variables, words) in [
        ("no address", vec![("HTTPS_PROXY", "http://")], "write it as http://HOST:PORT"),
        (
            "socks",
            vec![("ALL_PROXY", "socks5://me:hiddenPassword51c7@h:1")],
            "write it as http://HOST:PORT",
        ),
        ("a comma at the end", vec![("HTTPS_PROXY", good), ("NO_PROXY", "localhost,")], "NO_PROXY"),
    ] {
        let line = refused(&stage, &variables).await;
        assert!(line.contains(words) && !line.contains("hidden"), "{name}: {line}");
        println!("{name:<20} | {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_for_the_slots_that_does_not_exist_is_named_at_start() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let kubeconfig = stage.plane.kubeconfig();
    let mut command = Command::new(binary("vm-operator"));
    command
        .env("KUBECONFIG", kubeconfig)
        .args(["run", "--log-format", "text", "--endpoint", &stage.sim.endpoint()])
        .args(["--slot-namespace", "nowhere", "--http-listen", "127.0.0.1:0"]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut operator = Process::start("vm-operator", command, &log).unwrap();
    let ended = tokio::task::block_in_place(|| operator.wait(LIMIT)).expect("it cannot start");
    let log = operator.log();
    assert!(!ended.success(), "{log}");
    assert!(log.contains("namespace nowhere does not exist: create it"), "{log}");
}

#[tokio::test]
async fn the_audit_log_of_the_cluster_names_the_operator() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    stage.declare("c.2c4g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let account = format!("system:serviceaccount:{}:vm-operator", stage.slot_namespace);
    let lines = stage.plane.audit_log_with(&account);
    assert!(!lines.is_empty());
    for line in lines {
        assert_eq!(line["userAgent"], concat!("vm-operator/", env!("CARGO_PKG_VERSION")), "{line}");
    }
    let object = stage.get("vm-1").await;
    let managers = object.metadata.managed_fields.unwrap();
    let of_status = managers.iter().find(|one| one.subresource.as_deref() == Some("status"));
    assert_eq!(of_status.unwrap().manager.as_deref(), Some("vm-operator"));
}

/// Waits until /readyz and the metrics tell of a connection that is silent since then; gives the seconds.
async fn noticed(operator: &Operator, silent: Instant) -> f64 {
    let limit = Duration::from_secs(60);
    eventually("/readyz and the metrics tell of the silence", limit, async || {
        let answer = operator.get("readyz").await?;
        let healthy = operator.metric("zenlayer_vm_watch_healthy").await;
        let failures = operator.metric("zenlayer_vm_watch_failures_total").await;
        let said = answer.1.contains("last answered") || failures >= 1.0;
        let told = answer.0 == 503 && healthy == 0.0 && said;
        let seconds = silent.elapsed().as_secs_f64();
        if told { Ok(seconds) } else { Err(format!("{answer:?}, {healthy}, {failures}")) }
    })
    .await
}

/// A connection stays silent until that is noticed. Prints how long that took, and how long from then on
/// until an edit that was made in between was acted on.
async fn recovers(what: &str, stage: &Stage, operator: &Operator, silence: &Broken) {
    silence.happened(1).await;
    let silent = Instant::now();
    if stage.objects().get_opt("vm-1").await.unwrap().is_none() {
        stage.declare("c.2c4g").await;
    }
    let noticed = noticed(operator, silent).await;
    silence.mend();
    let mended = Instant::now();
    stage.until_phase(operator, "vm-1", Phase::InSync).await;
    let acted = mended.elapsed().as_secs_f64();
    println!("{what:<24} | noticed after {noticed:>4.1} s | edit acted on {acted:>4.1} s later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_never_answered_is_noticed_and_repeated() {
    let stage = Stage::given(ONE_POSTPAID).await;
    stage.declare("c.2c4g").await;
    let operator = stage.operator_on_a_wire(&["--testing-answer-limit", "20s"]);
    // The first list only asks whether the type is served.
    let list = Select::verb(Verb::List, "vminstances").nth(2);
    let silence = operator.wire().fault(list, Fault::Silence);
    recovers("a list is not answered", &stage, &operator, &silence).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_start_is_never_answered_is_noticed_and_repeated() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator_on_a_wire(&["--testing-answer-limit", "20s"]);
    let watch = Select::verb(Verb::Watch, "vminstances");
    let silence = operator.wire().fault(watch, Fault::Silence);
    recovers("a watch does not start", &stage, &operator, &silence).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_watch_that_falls_silent_is_noticed_and_repeated() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator_on_a_wire(&["--testing-answer-limit", "20s"]);
    operator.ready().await;
    let watch = Select::verb(Verb::Watch, "vminstances");
    operator.wire().answered(&watch, 1).await;
    let silence = operator.wire().fault(watch, Fault::Stall);
    recovers("a watch falls silent", &stage, &operator, &silence).await;
}

#[tokio::test]
async fn conditions_of_others_stay_in_the_status() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let operator = stage.operator(&[]);
    stage.declare("c.1c2g").await;
    stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    let foreign = json!({
        "type": "BackupDone", "status": "True", "reason": "Nightly", "message": "done at 02:00",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let mut conditions = stage.get("vm-1").await.status.unwrap().conditions;
    conditions.push(serde_json::from_value(foreign).unwrap());
    let patch = json!({ "status": { "conditions": conditions } });
    let params = PatchParams::apply("backup");
    stage
        .objects()
        .patch_status("vm-1", &PatchParams { force: false, ..params }, &Patch::Merge(patch))
        .await
        .unwrap();
    stage.patch("vm-1", json!({ "spec": { "instanceTypeId": "c.2c4g" } })).await;
    let resized = |object: &VmInstance| {
        let status = object.status.as_ref().unwrap();
        status.phase == Some(Phase::InSync) && status.order_number.is_some()
    };
    let after = stage.until(&operator, "vm-1", "is resized", resized).await;
    let kept = after.status.unwrap().conditions;
    let kept = kept.iter().find(|one| one.type_ == "BackupDone").expect("it is still there");
    assert_eq!((kept.status.as_str(), kept.message.as_str()), ("True", "done at 02:00"));
}

const TALK: &str = "TEST_FOLDER_OF_SOCKETS";

/// A network that has nothing but ::1. The API server and the simulator are reached through sockets in a
/// folder, which such a network does not cut off.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the right to make a network namespace: make nightly"]
async fn on_a_network_of_ipv6_alone_the_probes_answer_and_a_change_is_made() {
    let stage = Stage::given(ONE_POSTPAID).await;
    stage.declare("c.2c4g").await;
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(stage.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    let server = config["clusters"][0]["cluster"]["server"].clone();
    let server = server.as_str().unwrap().trim_start_matches("https://").to_owned();
    let cloud = stage.sim.endpoint().trim_start_matches("http://").to_owned();
    for (name, target) in [("kubernetes", server), ("cloud", cloud)] {
        let listener = UnixListener::bind(folder.path().join(name)).unwrap();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let target = target.clone();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
    }
    config["clusters"][0]["cluster"]["server"] = json!("https://[::1]:6443");
    config["clusters"][0]["cluster"]["tls-server-name"] = json!("127.0.0.1");
    std::fs::write(folder.path().join("kubeconfig"), config.to_string()).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net", "sh", "-c"])
        .arg("ip link set lo up && ip address del 127.0.0.1/8 dev lo && exec \"$0\" \"$@\"")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "first_contact::inside", "--ignored", "--nocapture"])
        .env(TALK, folder.path())
        .env("TEST_SLOTS", &stage.slot_namespace)
        .env("TEST_OBJECTS", &stage.namespace);
    let mut inside = Process::start("inside", command, &folder.path().join("inside.log")).unwrap();
    in_sync(&stage, || inside.tail()).await;
    std::fs::write(folder.path().join("done"), "").unwrap();
    let ended = tokio::task::block_in_place(|| inside.wait(LIMIT)).expect("it ends");
    assert!(ended.success() && inside.log().contains("ready on ::1"), "{}", inside.log());
}

/// Runs in the network namespace: waits until the operator is ready, and keeps it until the change is made.
#[tokio::test]
#[ignore = "run by the test above, in a network namespace"]
async fn inside() {
    let folder = std::path::PathBuf::from(std::env::var(TALK).expect("run by the test above"));
    for (name, port) in [("kubernetes", 6443), ("cloud", 9443)] {
        let listener = TcpListener::bind(("::1", port)).await.unwrap();
        let socket = folder.join(name);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let socket = socket.clone();
                tokio::spawn(async move {
                    let Ok(mut far) = UnixStream::connect(socket).await else { return };
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
    }
    let variable = |name| std::env::var(name).expect("run by the test above");
    let mut command = Command::new(binary("vm-operator"));
    command
        .env("KUBECONFIG", folder.join("kubeconfig"))
        .args(["run", "--log-format", "text", "--endpoint", "http://[::1]:9443"])
        .args(["--slot-namespace", &variable("TEST_SLOTS")])
        .args(["--watch-namespaces", &variable("TEST_OBJECTS"), "--testing-poll", "1s"]);
    let operator = Process::start("vm-operator", command, &folder.join("operator.log")).unwrap();
    let get = async |path: &str| -> Result<String, String> {
        let url = format!("http://[::1]:8080/{path}");
        let answer = http_client().get(url).send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) }
    };
    eventually("/readyz", LIMIT, async || {
        get("readyz").await.map_err(|problem| format!("{problem}; {}", operator.tail()))
    })
    .await;
    assert!(
        http_client().get("http://127.0.0.1:8080/readyz").send().await.is_err(),
        "there is no IPv4 here"
    );
    println!("ready on ::1");
    eventually("the end of the test", LIMIT, async || {
        if folder.join("done").exists() { Ok(()) } else { Err(operator.tail()) }
    })
    .await;
}
