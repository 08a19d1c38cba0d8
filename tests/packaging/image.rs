//! The image: both ways to build it, and the deployment, agree; the release workflow and the policy by which a user
//! verifies it, too.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{documents, read};

/// The simulator has no place where production credentials are.
#[test]
fn the_production_image_is_built_without_the_simulator() {
    assert!(read("deploy/Dockerfile").contains("\nRUN hack/image-root.sh /image\n"));
    let script = read("hack/image-root.sh");
    assert!(script.contains(" -p zenlayer-vm-operator --bin vm-operator\n"), "{script}");
    assert!(!script.contains("zenlayer-sim"), "{script}");
}

#[test]
fn image_dockerfile_and_deployment_have_the_same_user_command_and_port() {
    let deployment = &documents("deploy/kustomize/base/deployment.yaml")[0];
    let pod = &deployment["spec"]["template"]["spec"];
    let (user, container) = (&pod["securityContext"], &pod["containers"][0]);
    let user = format!("{}:{}", user["runAsUser"], user["runAsGroup"]);
    let port = &container["ports"][0]["containerPort"];
    assert_eq!(container["args"], serde_json::json!(["run"]));
    let file = read("deploy/Dockerfile");
    let (packer, chart) = (
        read("hack/tools/release/main.go"),
        read("deploy/helm/vm-operator/templates/deployment.yaml"),
    );
    for (name, text, line) in [
        ("Dockerfile", &file, format!("\nUSER {user}\n")),
        ("Dockerfile", &file, format!("\nEXPOSE {port}\n")),
        ("Dockerfile", &file, "\nENTRYPOINT [\"/vm-operator\"]\nCMD [\"run\"]\n".to_owned()),
        ("packer", &packer, format!("\nconst user = \"{user}\"\n")),
        ("packer", &packer, format!("{{\"{port}/tcp\": {{}}}}")),
        ("packer", &packer, "[]string{\"/vm-operator\"}".to_owned()),
        ("packer", &packer, "[]string{\"run\"}".to_owned()),
        ("chart", &chart, format!("runAsUser: {}\n", user.split(':').next().unwrap())),
        ("chart", &chart, format!("runAsGroup: {}\n", user.split(':').next_back().unwrap())),
    ] {
        assert!(text.contains(&line), "{name} has no {line}");
    }
}

fn copied(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            if name != "target" {
                copied(&from.join(&name), &to.join(&name));
            }
        }
    } else {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    }
}

/// Docker sends the build what `.dockerignore` excepts from "everything".
#[test]
fn a_docker_build_has_every_file_that_cargo_and_the_script_need() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let ignored = read(".dockerignore");
    assert!(ignored.starts_with("*\n"), "{ignored}");
    for path in ignored.lines().filter_map(|line| line.strip_prefix('!')) {
        copied(&root.join(path), &folder.path().join(path));
    }
    for path in ignored.lines().skip(1).filter(|line| !line.starts_with('!')) {
        std::fs::remove_dir_all(folder.path().join(path)).unwrap();
    }
    let script = std::fs::read_to_string(folder.path().join("hack/image-root.sh")).unwrap();
    for needed in ["hack/progress.sh", "hack/licenses.sh", "LICENSE"] {
        assert!(script.contains(needed), "{needed}");
        assert!(folder.path().join(needed).exists(), "{needed}");
    }
    let mut cargo = Command::new(env!("CARGO"));
    // Says what the workspace has, and fails if a member or a target is missing, or the lock file is not its own.
    cargo.args(["tree", "--locked", "--offline", "-p", "zenlayer-vm-operator", "-p", "roots"]);
    let output = cargo.current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Who verifies asks for what the workflow attests, by the name that the workflow has.
#[test]
fn the_policy_asks_for_what_the_release_workflow_attests() {
    let policy = &documents("deploy/verification/cluster-image-policy.yaml")[0];
    let authority = &policy["spec"]["authorities"][0];
    let identity = &authority["keyless"]["identities"][0];
    let subject = identity["subjectRegExp"].as_str().unwrap();
    let repository = "example/zenlayer-vm-operator";
    let workflow = "/\\.github/workflows/release\\.yaml@refs/tags/v[0-9.]+$";
    assert_eq!(subject, format!("^https://github\\.com/{repository}{workflow}"));
    let image = policy["spec"]["images"][0]["glob"].as_str().unwrap();
    assert!(image.starts_with(&format!("ghcr.io/{repository}")), "{image}");
    let attested = read(".github/workflows/release.yaml");
    let tests = "https://in-toto.io/attestation/test-result/v0.1";
    assert!(attested.contains(&format!("predicate-type: {tests}\n")));
    let asked: Vec<&Value> = authority["attestations"].as_array().unwrap().iter().collect();
    let asked: Vec<&str> = asked.iter().map(|one| one["predicateType"].as_str().unwrap()).collect();
    // The first is what the action attests without a type or an SBOM.
    assert_eq!(asked, ["https://slsa.dev/provenance/v1", tests]);
    let page = read("docs/install.md");
    for shown in [subject, tests] {
        assert!(page.contains(shown), "docs/install.md does not show {shown}");
    }
}

/// A tag can be moved to other code, a commit cannot.
#[test]
fn the_workflow_uses_actions_by_commit_and_lets_one_job_write() {
    let text = read(".github/workflows/release.yaml");
    for line in text.lines().filter_map(|line| line.split_once("uses: ").map(|(_, action)| action))
    {
        let (_, pinned) = line.split_once('@').unwrap();
        let (commit, version) = pinned.split_once(" # v").unwrap();
        assert!(
            commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{line}"
        );
        assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{line}");
    }
    let workflow = &documents(".github/workflows/release.yaml")[0];
    assert_eq!(workflow["permissions"], serde_json::json!({}));
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        let writes = job["permissions"].as_object().unwrap().values().any(|right| right == "write");
        assert_eq!(writes, name == "publish", "{name}");
    }
}
