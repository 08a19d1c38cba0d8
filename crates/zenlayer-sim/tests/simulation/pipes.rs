//! Readers that go away: `zenlayer-sim schema | head -1`. Each test holds a real pipe whose reading
//! end is closed.

use std::{
    io::{BufRead, BufReader, Read, pipe},
    process::{Child, Command, Stdio},
    time::Duration,
};

use harness::{binary, eventually};
use tempfile::TempDir;

use crate::{
    caller::{Request, send},
    stage::{START, file},
};

/// A pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

fn simulation() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sim.yaml");
    std::fs::write(&path, file("", "")).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn every_printing_command_ends_quietly_when_its_reader_is_gone() {
    let (_folder, config) = simulation();
    let commands: [&[&str]; 9] = [
        &["example"],
        &["schema"],
        &["faults"],
        &["control"],
        &["check", &config],
        &["--help"],
        &["--version"],
        &["serve", "--help"],
        &["help", "check"],
    ];
    for arguments in commands {
        let mut command = Command::new(binary("zenlayer-sim"));
        let ended = command.args(arguments).stdout(closed()).output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{arguments:?}: {} {errors}", ended.status);
        assert_eq!(errors, "", "{arguments:?}");
    }
}

#[test]
fn a_reader_that_stops_after_a_line_gets_that_line() {
    for (command, line) in [("schema", "{"), ("faults", "A fault is a rule"), ("example", "# A")] {
        let (reader, writer) = pipe().unwrap();
        let mut child = Command::new(binary("zenlayer-sim"));
        let child = child.arg(command).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let mut read = BufReader::with_capacity(16, reader);
        let mut first = String::new();
        read.read_line(&mut first).unwrap();
        drop(read);
        let ended = child.wait_with_output().unwrap();
        assert!(first.starts_with(line), "{command}: {first}");
        assert!(ended.status.success(), "{command}: {}", ended.status);
        assert!(ended.stderr.is_empty(), "{command}");
    }
}

#[test]
fn an_error_that_nobody_reads_is_still_an_error_and_no_panic() {
    let mut command = Command::new(binary("zenlayer-sim"));
    command.args(["check", "/nowhere/sim.yaml"]).stderr(closed());
    assert_eq!(command.status().unwrap().code(), Some(1));
}

#[test]
fn output_that_cannot_be_written_is_an_error_that_says_so() {
    for command in ["example", "schema", "faults", "control"] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut ended = Command::new(binary("zenlayer-sim"));
        let ended = ended.arg(command).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{command}: {errors}");
        assert!(
            errors.starts_with("error: cannot write to standard output"),
            "{command}: {errors}"
        );
    }
}

/// Ends the process when a test is over.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_simulator_whose_output_nobody_reads_goes_on_serving() {
    let (folder, config) = simulation();
    let address = folder.path().join("address");
    let mut command = Command::new(binary("zenlayer-sim"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--config", &config, "--address-file"]);
    let child = command.arg(&address).stdout(closed()).stderr(closed()).spawn().unwrap();
    let mut process = Ended(child);
    let address = eventually("the address", Duration::from_secs(20), async || {
        std::fs::read_to_string(&address).map_err(|error| error.to_string())
    });
    let address = address.await.parse().unwrap();
    for _ in 0..3 {
        let request = Request::new("DescribeZones", "{}", START);
        assert_eq!(send(address, &request.bytes()).await.unwrap().verdict(), "200 OK");
    }
    assert!(process.0.try_wait().unwrap().is_none(), "it is still there");
}

/// The help of the test itself: a closed pipe is closed.
#[test]
fn nothing_can_be_written_to_a_closed_pipe() {
    let mut child = Command::new("sh");
    child.args(["-c", "trap '' PIPE; echo text 2>/dev/null || exit 7"]).stdout(closed());
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7), "{errors}");
}
