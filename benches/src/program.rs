//! The program that is measured: which one, its version, and its flags. All flags that a bench passes
//! are made here, and only those that the program knows.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::machine::first_line;

/// The namespace in which the program may keep what it likes.
pub const NAMESPACE: &str = "bench";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// This operator, of any version.
    Operator,
    /// The Go program of `benches/yardstick`.
    Yardstick,
}

/// A program that can be started any number of times.
pub struct Program {
    pub kind: Kind,
    pub path: PathBuf,
    pub version: String,
    /// What its `--help` says.
    help: String,
}

/// What a bench asks of the program; what a program does not know is left out.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The pause between looks at an object at rest; without it, its own default.
    pub drift: Option<Duration>,
    /// Its share of the provider's quota, for each credential.
    pub requests_per_second: Option<u32>,
    /// Several of them, of which one works.
    pub leader_election: bool,
}

/// Where a program finds its servers, and where it is asked.
pub struct Addresses<'a> {
    pub kubeconfig: &'a Path,
    pub endpoint: &'a str,
    /// Of its metrics.
    pub port: u16,
    /// Of the yardstick's probes.
    pub probes: u16,
}

impl Program {
    /// `path`, or the one that is built beside this one (the yardstick is built now).
    pub fn find(kind: Kind, path: Option<&Path>) -> Result<Self> {
        let path = match (path, kind) {
            (Some(path), _) => path.to_owned(),
            (None, Kind::Operator) => harness::binary("vm-operator"),
            (None, Kind::Yardstick) => build_yardstick()?,
        };
        let shown = path.display();
        let mut command = Command::new(&path);
        if kind == Kind::Operator {
            command.arg("run");
        }
        let output = command.arg("--help").output().with_context(|| format!("run {shown}"))?;
        // Go prints its help as an error.
        let help = [output.stdout, output.stderr].concat();
        let help = String::from_utf8_lossy(&help).into_owned();
        if !help.contains("-endpoint") {
            bail!("{shown} is no program that can be measured: its help has no --endpoint");
        }
        Ok(Self { kind, version: version(kind, &path), help, path })
    }

    /// The CRD that it works with.
    pub fn crd(&self) -> Result<String> {
        if self.kind == Kind::Operator {
            let output = Command::new(&self.path).arg("crds").output()?;
            if output.status.success() {
                return Ok(String::from_utf8(output.stdout)?);
            }
        }
        let file = harness::root().join("crds/vminstances.vm.zenlayer.com.yaml");
        std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))
    }

    /// Whether it can run in several replicas.
    pub fn elects_a_leader(&self) -> bool {
        self.help.contains("leader-elect")
    }

    fn knows(&self, flag: &str) -> bool {
        self.help.contains(flag)
    }

    /// The one place for flags.
    pub fn command(&self, wanted: &Wanted, addresses: &Addresses<'_>) -> Command {
        let Addresses { kubeconfig, endpoint, port, probes } = addresses;
        let mut command = Command::new(&self.path);
        command.env("KUBECONFIG", kubeconfig).env("POD_NAMESPACE", NAMESPACE);
        let mut flags = vec![
            ("--endpoint", (*endpoint).to_owned()),
            ("--http-listen", format!("127.0.0.1:{port}")),
        ];
        if let Some(drift) = wanted.drift {
            let hidden = self.kind == Kind::Operator && !self.knows("-drift-interval");
            let flag = if hidden { "--testing-drift" } else { "--drift-interval" };
            flags.push((flag, format!("{}s", drift.as_secs())));
        }
        match self.kind {
            Kind::Operator => {
                command.arg("run");
                flags.push((self.namespace_flag(), NAMESPACE.to_owned()));
                flags.push(("--max-orders-per-hour", "3000".to_owned()));
                if let Some(rate) = wanted.requests_per_second {
                    flags.push(("--requests-per-second", rate.to_string()));
                }
                if self.knows("--order-delay") {
                    flags.push(("--order-delay", "0s".to_owned()));
                }
            }
            Kind::Yardstick => {
                flags.push(("--probe-listen", format!("127.0.0.1:{probes}")));
                flags.push(("--leader-namespace", NAMESPACE.to_owned()));
            }
        }
        command.args(flags.iter().flat_map(|(flag, value)| [*flag, value.as_str()]));
        if wanted.leader_election {
            command.arg("--leader-elect");
        }
        command
    }

    /// Where the slots are kept: the flag was renamed.
    fn namespace_flag(&self) -> &'static str {
        if self.knows("--slot-namespace") { "--slot-namespace" } else { "--operator-namespace" }
    }

    /// Which of its ports says whether it is ready.
    pub fn probe_port(&self, addresses: &Addresses<'_>) -> u16 {
        match self.kind {
            Kind::Operator => addresses.port,
            Kind::Yardstick => addresses.probes,
        }
    }

    /// Its name, version, build and size.
    pub fn describe(&self) -> String {
        let size = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        let build = |name: &str| self.path.components().any(|part| part.as_os_str() == name);
        let build = match self.kind {
            Kind::Yardstick => "go build",
            Kind::Operator if build("release") => "release build",
            Kind::Operator if build("debug") => "DEBUG build, no figure to rely on",
            Kind::Operator => "build unknown",
        };
        format!("{}, {build}, {} KiB", self.version, size >> 10)
    }
}

fn version(kind: Kind, path: &Path) -> String {
    let library = "sigs.k8s.io/controller-runtime";
    let line = match kind {
        Kind::Operator => first_line(Command::new(path).arg("--version")),
        Kind::Yardstick => module_version(path, library).map(|at| {
            let go = first_line(Command::new("go").arg("version")).unwrap_or_default();
            let go = go.split(' ').nth(2).unwrap_or("Go").to_owned();
            format!("yardstick, controller-runtime {at}, {go}")
        }),
    };
    line.unwrap_or_else(|| "version unknown".to_owned())
}

/// The version of a module that a Go program was built with.
fn module_version(path: &Path, module: &str) -> Option<String> {
    let output = Command::new("go").args(["version", "-m"]).arg(path).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains(module))?;
    line.split_whitespace().nth(2).map(str::to_owned)
}

fn build_yardstick() -> Result<PathBuf> {
    let root = harness::root();
    let target = root.join("target/yardstick");
    eprintln!("building the yardstick; the first time this takes some minutes");
    let status = Command::new("go")
        .current_dir(root.join("benches/yardstick"))
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(&target)
        .arg(".")
        .stdout(Stdio::null())
        .status()
        .context("run go: it must be on the PATH to build the yardstick")?;
    if !status.success() {
        bail!("the yardstick does not build: its messages stand above");
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(kind: Kind, help: &str) -> Program {
        let (path, version) = (PathBuf::from("x"), String::new());
        Program { kind, path, version, help: help.to_owned() }
    }

    fn arguments(kind: Kind, help: &str) -> String {
        let kubeconfig = Path::new("k");
        let addresses = Addresses { kubeconfig, endpoint: "http://e", port: 1, probes: 2 };
        let wanted = Wanted {
            drift: Some(Duration::from_secs(60)),
            requests_per_second: Some(20),
            leader_election: false,
        };
        let command = program(kind, help).command(&wanted, &addresses);
        let arguments = command.get_args().map(|one| one.to_string_lossy().into_owned());
        arguments.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_program_gets_the_flags_that_it_knows() {
        let old = arguments(Kind::Operator, "--endpoint --operator-namespace");
        assert!(old.starts_with("run --endpoint http://e --http-listen 127.0.0.1:1"), "{old}");
        assert!(old.contains("--testing-drift 60s --operator-namespace bench"), "{old}");
        assert!(old.contains("--requests-per-second 20") && !old.contains("order-delay"), "{old}");
        let new = "--endpoint --slot-namespace --order-delay --drift-interval";
        let new = arguments(Kind::Operator, new);
        assert!(new.contains("--drift-interval 60s --slot-namespace bench"), "{new}");
        assert!(new.ends_with("--order-delay 0s"), "{new}");
        let go = arguments(Kind::Yardstick, "-endpoint -drift-interval");
        assert!(go.contains("--drift-interval 60s --probe-listen 127.0.0.1:2"), "{go}");
        assert!(!go.contains("requests"), "{go}");
    }
}
