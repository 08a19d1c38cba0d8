//! Child processes that never outlive this one: not when a test panics, and not when the test
//! process itself is killed.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use crate::{
    proxies,
    records::{self, Channel},
    wait::{Deadline, eventually},
};

/// How soon a signal has reached every thread of a process.
const FROZEN_WITHIN: Duration = Duration::from_secs(10);

type Request = (Command, mpsc::Sender<io::Result<Child>>);

/// Spawns from one thread that never ends: the kernel's parent-death signal follows the thread
/// that spawned the child, and a test's thread ends with the test.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, answer) in requests {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (sender, answer) = mpsc::channel();
    spawner.send((command, sender)).expect("the spawner never ends");
    answer.recv().expect("the spawner answers each request")
}

/// Asks the kernel to kill the child when this process is gone.
#[allow(unsafe_code)]
fn dies_with_us(command: &mut Command) {
    // SAFETY: prctl is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// The output of a process.
#[derive(Debug, Clone)]
pub struct LogFile {
    name: String,
    path: PathBuf,
}

impl LogFile {
    /// All that it has written.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// The last lines that it has written, for the message of a failure.
    pub fn tail(&self) -> String {
        let text = self.end().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n  ");
        format!("the last lines of {}:\n  {tail}", self.name)
    }

    /// Its last 16 KiB: tests that wait look often, and logs grow long.
    fn end(&self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        let start = file.metadata()?.len().saturating_sub(16 << 10);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A running child, killed when dropped. Its output goes to a file.
pub struct Process {
    child: Child,
    log: LogFile,
    before_kill: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Process {
    /// Starts `command` with both outputs in `log`, without the proxies of this environment. An operator's
    /// outputs are kept among the records instead.
    pub fn start(name: &str, mut command: Command, log: &Path) -> io::Result<Self> {
        let operator = Path::new(command.get_program()).ends_with("vm-operator");
        let log = if operator { records::file(Channel::Output) } else { log.to_owned() };
        let file = File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        proxies::keep_out(&mut command);
        dies_with_us(&mut command);
        let child = spawn(command)?;
        Ok(Self { child, log: LogFile { name: name.to_owned(), path: log }, before_kill: None })
    }

    /// Starts `command` with this process's own outputs.
    pub fn attached(name: &str, mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null());
        proxies::keep_out(&mut command);
        dies_with_us(&mut command);
        let log = LogFile { name: name.to_owned(), path: PathBuf::new() };
        Ok(Self { child: spawn(command)?, log, before_kill: None })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// The last lines that it has written, for the message of a failure.
    pub fn tail(&self) -> String {
        self.log.tail()
    }

    /// Where it writes; to be read also by who does not own the process.
    pub fn log_file(&self) -> LogFile {
        self.log.clone()
    }

    /// Sends a signal, such as `libc::SIGKILL`.
    #[allow(unsafe_code)]
    pub fn signal(&self, signal: i32) {
        let id = i32::try_from(self.id()).expect("process ids are small");
        // SAFETY: kill touches no memory; the child is not reaped yet, so the id is its own.
        unsafe { libc::kill(id, signal) };
    }

    /// Stops it, and waits until none of its threads runs any more: the signal alone is only on its way.
    pub async fn freeze(&self) {
        self.signal(libc::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.id());
        eventually("every thread to be stopped", FROZEN_WITHIN, async || {
            let runs = |stat: &String| !stat.rsplit(") ").next().unwrap_or("").starts_with('T');
            let tasks = std::fs::read_dir(&tasks).map_err(|error| error.to_string())?;
            let stats =
                tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("stat")));
            match stats.flatten().find(runs) {
                None => Ok(()),
                Some(running) => Err(running),
            }
        })
        .await;
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    /// The exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        let mut deadline = Deadline::after(limit);
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if deadline.passed() {
                return Err(format!("{} still runs; {}", self.log.name, self.tail()));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Does this once, right before it is killed, if it still answers then.
    pub fn before_kill(&mut self, act: impl FnOnce() + Send + Sync + 'static) {
        self.before_kill = Some(Box::new(act));
    }

    /// Whether it runs and is not stopped.
    fn answers(&mut self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.id()));
        // The name of the program stands in brackets before the letter.
        let stopped = status
            .is_ok_and(|text| text.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T")));
        self.ended().is_none() && !stopped
    }

    /// Kills it at once and waits for its end.
    pub fn kill(&mut self) {
        if let Some(act) = self.before_kill.take()
            && self.answers()
        {
            act();
        }
        let _ = self.child.kill();
        let status = self.child.wait().expect("a killed child can be waited for");
        debug_assert!(status.signal().is_some() || status.code().is_some());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill();
        }
    }
}
