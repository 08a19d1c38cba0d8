//! A real etcd and kube-apiserver on free ports, with RBAC, bearer tokens and an audit log.

use std::{
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{self, KeyPair},
};
use base64::Engine;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams, config::KubeConfigOptions};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    processes::Process,
    proxies,
    records::{self, Channel},
    scripts::printed,
    sweep::swept_after_us,
    wait::Deadline,
};

/// Where the binaries are.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub assets: PathBuf,
    pub kubectl: PathBuf,
}

/// Finds them, or builds them once (progress goes to the terminal).
pub fn binaries() -> &'static Binaries {
    static FOUND: OnceLock<Binaries> = OnceLock::new();
    FOUND.get_or_init(|| {
        let [assets, kubectl] =
            printed("hack/build-control-plane.sh", ["KUBEBUILDER_ASSETS", "KUBECTL"]);
        Binaries { assets, kubectl }
    })
}

/// A running control plane. Its processes and files go with it.
pub struct ControlPlane {
    port: u16,
    kubeconfig: PathBuf,
    _apiserver: Process,
    _etcd: Process,
    folder: TempDir,
    audit: PathBuf,
}

/// What an account writes stands there too: it must hold no secret.
const AUDIT_POLICY: &str = r#"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[
{"level":"Request","userGroups":["system:serviceaccounts"],"verbs":["create","update","patch"],"omitManagedFields":true},
{"level":"Metadata"}]}"#;

impl ControlPlane {
    /// The one that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(|| match Self::start(&[]) {
            Ok(started) => started,
            Err(problem) => panic!("{problem}"),
        })
    }

    /// Starts one; `extra` are further flags of kube-apiserver. The error shows the end of the log
    /// of the process that failed.
    pub fn start(extra: &[&str]) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let dir = folder.path();
        swept_after_us(dir).map_err(|error| error.to_string())?;
        let [client, peer, port] = free_ports();
        let token = random_hex();
        records::secret("the administrator's token", &token);
        let write = |name: &str, text: &str| -> Result<PathBuf, String> {
            let path = dir.join(name);
            std::fs::write(&path, text).map_err(|error| error.to_string())?;
            Ok(path)
        };
        let tokens = write("tokens.csv", &format!("{token},admin,admin,system:masters\n"))?;
        let (private, public) = key_pair();
        let private = write("sa.key", &private)?;
        let public = write("sa.pub", &public)?;
        let policy = write("audit-policy.json", AUDIT_POLICY)?;
        let audit = records::file(Channel::Api);
        let assets = &binaries().assets;

        let etcd_url = format!("http://127.0.0.1:{client}");
        let peer_url = format!("http://127.0.0.1:{peer}");
        let mut etcd = Command::new(assets.join("etcd"));
        etcd.arg("--data-dir")
            .arg(dir.join("etcd"))
            .args(["--listen-client-urls", &etcd_url, "--advertise-client-urls", &etcd_url])
            .args(["--listen-peer-urls", &peer_url, "--log-level", "warn", "--unsafe-no-fsync"]);
        let mut etcd = start(dir, "etcd", etcd)?;

        let mut server = Command::new(assets.join("kube-apiserver"));
        let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
        server
            .arg(format!("--etcd-servers={etcd_url}"))
            .arg(format!("--secure-port={port}"))
            .arg("--bind-address=127.0.0.1")
            .arg(flag("cert-dir", &dir.join("certs")))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(flag("service-account-key-file", &public))
            .arg(flag("service-account-signing-key-file", &private))
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            .arg(flag("token-auth-file", &tokens))
            .arg("--authorization-mode=RBAC")
            .arg("--disable-admission-plugins=ServiceAccount")
            .arg(flag("audit-policy-file", &policy))
            .arg(flag("audit-log-path", &audit))
            .arg("--audit-log-maxsize=100000")
            .args(extra);
        let mut apiserver = start(dir, "kube-apiserver", server)?;
        let ca = dir.join("certs/apiserver.crt");
        wait_until_ready(port, &token, &ca, [&mut etcd, &mut apiserver])?;
        let kubeconfig = dir.join("admin.kubeconfig");
        write_kubeconfig(&kubeconfig, port, &ca, &token);
        Ok(Self { port, kubeconfig, _apiserver: apiserver, _etcd: etcd, folder, audit })
    }

    /// A kubeconfig of the administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubeconfig for any bearer token.
    pub fn kubeconfig_for(&self, name: &str, token: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{name}.kubeconfig"));
        write_kubeconfig(&path, self.port, &self.folder.path().join("certs/apiserver.crt"), token);
        path
    }

    /// A client of the administrator. It belongs to the runtime that calls.
    pub async fn client(&self) -> Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(&self.kubeconfig)
            .expect("the harness wrote a valid kubeconfig");
        let mut config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .expect("the harness wrote a valid kubeconfig");
        // kube takes the proxy of the environment where a kubeconfig names none.
        config.proxy_url = None;
        Client::try_from(config).expect("a client can be made of it")
    }

    /// Runs the real helm as the administrator; the error is all that it said.
    pub fn helm(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = crate::helm::command(self.folder.path());
        let output = command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments).output();
        let output = output.expect("helm can be run");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(text) } else { Err(text) }
    }

    /// Runs helm, which must succeed.
    pub fn helm_ok(&self, arguments: &[&str]) -> String {
        self.helm(arguments).unwrap_or_else(|text| panic!("helm {arguments:?} failed:\n{text}"))
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_command(arguments).output().expect("kubectl can be run")
    }

    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&binaries().kubectl);
        proxies::keep_out(&mut command);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        // Ports are used again; what was discovered at one must not be.
        command.arg("--cache-dir").arg(self.folder.path().join("kubectl-cache")).args(arguments);
        command
    }

    /// Runs kubectl with an input: whether it succeeded, and both outputs as a user reads them.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut command = self.kubectl_command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl can be run");
        let mut stdin = child.stdin.take().expect("its input is a pipe");
        // It may end before it reads.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("kubectl ends");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs kubectl, which must succeed, and gives its output.
    pub fn kubectl_ok(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments:?} failed:\n{out}{err}");
        out.into_owned()
    }

    /// A token of a ServiceAccount, through the TokenRequest API.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> String {
        let api: Api<ServiceAccount> = Api::namespaced(self.client().await, namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec { expiration_seconds: Some(3600), ..Default::default() }),
            ..Default::default()
        };
        let answer = api
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .expect("the administrator may ask for a token");
        let token = answer.status.and_then(|status| status.token).expect("an answer has a token");
        records::secret(&format!("the token of ServiceAccount {namespace}/{name}"), &token);
        token
    }

    /// Where the audit log is, for who reads a long one piece by piece.
    pub fn audit_log_file(&self) -> PathBuf {
        self.audit.clone()
    }

    /// The lines of the audit log so far.
    pub fn audit_log(&self) -> Vec<serde_json::Value> {
        self.audit_log_with("")
    }

    /// Those that hold this text.
    pub fn audit_log_with(&self, text: &str) -> Vec<serde_json::Value> {
        let log = std::fs::read_to_string(&self.audit).unwrap_or_default();
        let lines = log.lines().filter(|line| line.contains(text));
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

fn start(dir: &Path, name: &str, command: Command) -> Result<Process, String> {
    Process::start(name, command, &dir.join(format!("{name}.log")))
        .map_err(|error| format!("start {name}: {error}"))
}

fn wait_until_ready(
    port: u16,
    token: &str,
    ca: &Path,
    mut processes: [&mut Process; 2],
) -> Result<(), String> {
    let mut deadline = Deadline::after(Duration::from_secs(90));
    loop {
        for process in &mut processes {
            if let Some(status) = process.ended() {
                return Err(format!("ended with {status}; {}", process.tail()));
            }
        }
        let probe = Path::new(&ca).exists() && readyz(port, token, ca);
        if probe {
            return Ok(());
        }
        if deadline.passed() {
            let [etcd, server] = processes;
            let waited = deadline.waited();
            return Err(format!("not ready in {waited}; {}\n{}", server.tail(), etcd.tail()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Asks with kubectl, which the tests need anyway.
fn readyz(port: u16, token: &str, ca: &Path) -> bool {
    let mut command = Command::new(&binaries().kubectl);
    command
        .arg(format!("--server=https://127.0.0.1:{port}"))
        .arg(format!("--certificate-authority={}", ca.display()))
        .arg(format!("--token={token}"))
        .args(["get", "--raw", "/readyz", "--request-timeout=2s"])
        .env("KUBECONFIG", "/dev/null");
    proxies::keep_out(&mut command);
    command.output().is_ok_and(|output| output.status.success())
}

fn write_kubeconfig(path: &Path, port: u16, ca: &Path, token: &str) {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{ "name": "test", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": ca,
        }}],
        "users": [{ "name": "test", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
    });
    std::fs::write(path, config.to_string()).expect("a temporary folder can be written");
}

/// Ports that nobody listens on, all different.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| {
        TcpListener::bind("127.0.0.1:0").expect("the machine has a free port")
    });
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}

/// A free port.
pub fn free_port() -> u16 {
    let [port] = free_ports();
    port
}

/// An ECDSA key pair as PEM, for ServiceAccount tokens.
fn key_pair() -> (String, String) {
    let kind = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let private = signature::EcdsaKeyPair::generate_pkcs8(kind, &SystemRandom::new())
        .expect("a key can be generated");
    let pair = signature::EcdsaKeyPair::from_pkcs8(kind, private.as_ref())
        .expect("a generated key can be read");
    let public: PublicKeyX509Der<'_> =
        pair.public_key().as_der().expect("a public key can be written");
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub fn random_hex() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
