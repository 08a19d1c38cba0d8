//! The harness itself: what it starts, it ends.

use std::{process::Command, time::Duration};

use harness::{ControlPlane, eventually};

#[test]
fn a_failed_start_shows_the_end_of_the_log() {
    let Err(problem) = ControlPlane::start(&["--no-such-flag"]) else {
        panic!("kube-apiserver accepts any flag")
    };
    assert!(problem.contains("unknown flag: --no-such-flag"), "{problem}");
    assert!(problem.contains("the last lines of kube-apiserver"), "{problem}");
}

/// Not a test of its own: the child of the next one. It starts a process and never ends.
#[test]
#[ignore = "the child of a_killed_test_leaves_no_process_and_no_file_behind"]
fn child_that_waits_to_be_killed() {
    let Ok(file) = std::env::var("HARNESS_CHILD_FILE") else { return };
    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    let log = std::path::Path::new(&file).with_extension("log");
    let process = harness::Process::start("sleep", sleep, &log).expect("it starts");
    let swept = std::path::Path::new(&file).with_extension("swept");
    std::fs::create_dir(&swept).expect("it can be made");
    harness::sweep::swept_after_us(&swept).expect("sh is there");
    std::fs::write(&file, process.id().to_string()).expect("it can be written");
    loop {
        std::thread::park();
    }
}

/// All that a test starts and asks is on this machine: control plane, kubectl, simulator, operator.
#[tokio::test(flavor = "multi_thread")]
async fn tests_pass_though_the_developer_has_proxies() {
    let _permit = harness::permit::heavy().await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "rbac::a_resize_with_its_events_succeeds_with_the_rbac_of_deploy"]);
    // Nobody listens on that port.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        child.env(name, "http://127.0.0.1:9").env(name.to_lowercase(), "http://127.0.0.1:9");
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = tokio::task::block_in_place(|| child.output()).unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn a_killed_test_leaves_no_process_and_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "control_plane::child_that_waits_to_be_killed"])
        .env("HARNESS_CHILD_FILE", &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let limit = Duration::from_secs(20);
    let pid: u32 = eventually("the grandchild", limit, async || {
        let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        text.parse().map_err(|_| text)
    })
    .await;
    let alive = || std::path::Path::new(&format!("/proc/{pid}/exe")).exists();
    let swept = file.with_extension("swept");
    assert!(alive() && swept.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the grandchild's end", limit, async || {
        if alive() { Err(format!("{pid} lives")) } else { Ok(()) }
    })
    .await;
    eventually("the folder's end", limit, async || {
        if swept.exists() { Err(format!("{} is left", swept.display())) } else { Ok(()) }
    })
    .await;
}
