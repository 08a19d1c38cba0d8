//! `docs/tutorial.md`, and `docs/howto.md` after it: each command is run as it stands there, in order, and what
//! the page shows is what comes out, but for numbers and times.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use harness::{
    Process, binary, eventually, proxies, root,
    simulator::{KEY_ID, KEY_PASSWORD},
};

const PAGES: [&str; 2] = ["docs/tutorial.md", "docs/howto.md"];
/// Comes after the output of each block.
const END: &str = "this is the end of a block";

/// A block of commands, and what the page shows below it.
struct Step {
    commands: String,
    shown: String,
}

fn steps(page: &str) -> Vec<Step> {
    // A block of a list is indented, and its commands are not.
    let page: String = page
        .lines()
        .map(|line| line.strip_prefix("   ").unwrap_or(line).to_owned() + "\n")
        .collect();
    let mut steps: Vec<Step> = Vec::new();
    for block in page.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap();
        match kind {
            "sh" => steps.push(Step { commands: text.to_owned(), shown: String::new() }),
            "text" => text.clone_into(&mut steps.last_mut().unwrap().shown),
            "hcl" => {}
            other => panic!("a block of the kind {other:?} is not looked at"),
        }
    }
    steps
}

/// A word that is another one in each run says only what it is.
fn word(word: &str) -> &str {
    let word = word.trim_end_matches(',');
    let digits = word.chars().all(|one| one.is_ascii_digit());
    let age = word.starts_with(|one: char| one.is_ascii_digit())
        && word.ends_with(['s', 'm', 'h', 'd'])
        && word.chars().all(|one| one.is_ascii_digit() || "smhd".contains(one));
    let time = word.len() > 10 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    match () {
        () if digits && word.len() >= 15 => "ORDER",
        () if age => "AGE",
        () if time => "TIME",
        () => word,
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().map(word).collect()
}

/// The first line of the page that did not come out, in this order.
fn missing<'a>(shown: &'a str, output: &str) -> Option<&'a str> {
    let mut output = output.lines().map(words);
    shown.lines().find(|line| {
        let mut expected = words(line);
        let open = expected.last() == Some(&"…");
        expected.truncate(expected.len() - usize::from(open));
        !output.any(|seen| if open { seen.starts_with(&expected) } else { seen == expected })
    })
}

/// The second terminal of the page.
struct Terminal {
    shell: std::process::Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Terminal {
    fn open(folder: &Path) -> Self {
        let mut command = Command::new("bash");
        proxies::keep_out(&mut command);
        command
            .current_dir(folder)
            .env("HOME", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        writeln!(shell.stdin.as_mut().unwrap(), "exec 2>&1; set -eo pipefail").unwrap();
        let output = BufReader::new(shell.stdout.take().unwrap());
        Self { shell, output }
    }

    /// What the commands print. They must succeed.
    fn run(&mut self, commands: &str) -> String {
        let stdin = self.shell.stdin.as_mut().unwrap();
        writeln!(stdin, "{commands}\necho {END}").unwrap();
        let mut text = String::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).unwrap();
            assert!(read > 0, "one of these commands failed:\n{commands}\nThey printed:\n{text}");
            if line.trim_end() == END {
                return text;
            }
            text += &line;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Follows the page in a folder; `path` comes first where its first terminal looks for programs.
async fn follow(folder: &Path, path: &str, limit: Duration) {
    let pages = PAGES.map(|page| std::fs::read_to_string(root().join(page)).unwrap());
    let steps = pages.map(|page| steps(&page));
    assert!(steps[0].len() > 8 && steps[1].len() > 6);
    let mut steps = steps.into_iter().flatten();
    // The key that one of the pages writes into a Secret.
    for (name, value) in [("accessKeyId", KEY_ID), ("accessKeyPassword", KEY_PASSWORD)] {
        std::fs::write(folder.join(name), value).unwrap();
    }
    let mut first = Command::new("bash");
    first.args(["-c", &steps.next().unwrap().commands]).current_dir(folder).env("PATH", path);
    let demo = Process::start("the demo", first, &folder.join("demo.log")).unwrap();
    eventually("the demo stays up", limit, async || {
        let log = demo.log();
        if log.contains("It stays up until Ctrl-C") { Ok(()) } else { Err(demo.tail()) }
    })
    .await;
    let folder = folder.to_owned();
    let followed = tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::open(&folder);
        for Step { commands, shown } in steps {
            let output = terminal.run(&commands);
            println!("{commands}{output}");
            let missing = missing(&shown, &output);
            assert!(
                missing.is_none(),
                "the page shows\n{}\nthis came:\n{output}",
                missing.unwrap()
            );
        }
    });
    followed.await.unwrap();
}

/// In a folder in which `make demo` starts what was built with the tests.
#[tokio::test(flavor = "multi_thread")]
async fn each_command_of_the_tutorial_shows_what_the_page_shows() {
    let folder = tempfile::tempdir().unwrap();
    let tools = folder.path().join("tools");
    std::fs::create_dir_all(&tools).unwrap();
    for name in ["hack", ".tools"] {
        std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
    }
    let make = tools.join("make");
    let demo = binary("examples/demo");
    std::fs::write(&make, format!("#!/bin/sh\n[ \"$*\" = demo ] && exec {}\n", demo.display()))
        .unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&make, executable).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    follow(folder.path(), &path, Duration::from_secs(120)).await;
}

/// Of what is committed, built from nothing but the tools.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds everything once more: make nightly"]
async fn the_tutorial_can_be_followed_from_an_empty_clone() {
    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path().join("clone");
    let mut git = Command::new("git");
    let status = git.args(["clone", "--quiet"]).arg(root()).arg(&clone).status().unwrap();
    assert!(status.success());
    follow(&clone, &std::env::var("PATH").unwrap(), Duration::from_secs(3600)).await;
}

#[test]
fn what_did_not_come_out_is_found_but_for_numbers_and_times() {
    let shown = "NAME  ORDER   AGE\nweb-1   260000000000000003   10s\nzvm \"a\" deleted …\n";
    for (output, expected) in [
        ("NAME ORDER AGE\nweb-1 260000000000000999 1m5s\nzvm \"a\" deleted from x", None),
        ("a line\nNAME ORDER AGE\nweb-1 260000000000000999 1s\nzvm \"a\" deleted", None),
        ("NAME ORDER AGE\nweb-1 1s\nzvm \"a\" deleted", Some("web-1   260000000000000003   10s")),
        ("web-1 260000000000000999 1s\nNAME ORDER AGE", Some("web-1   260000000000000003   10s")),
        ("NAME ORDER\n", Some("NAME  ORDER   AGE")),
    ] {
        assert_eq!(missing(shown, output), expected, "{output}");
    }
}
