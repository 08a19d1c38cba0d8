//! What both proxies of an operator share, and the threads that they run on.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::runtime::Runtime;

use super::{classify::Memory, flow::Flows, log::Log, rules::Rules};
use crate::{processes::LogFile, wait::Deadline};

/// How long an exchange that a test waits for may take to come.
const LIMIT: Duration = Duration::from_secs(30);

/// A test may block its own runtime, while it waits for kubectl or for the end of a process; the operator
/// must be served meanwhile.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("wire")
            .enable_all()
            .build()
            .expect("threads can be started")
    })
}

/// What both proxies share.
#[derive(Default)]
pub struct Shared {
    memory: Mutex<Memory>,
    pub rules: Rules,
    pub flows: Flows,
    pub log: Log,
    /// Of the operator, for the message of a failure.
    operator: OnceLock<LogFile>,
}

impl Shared {
    /// Shows this log when something that is waited for does not come.
    pub fn shows(&self, operator: LogFile) {
        let _ = self.operator.set(operator);
    }

    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something about the exchanges is so.
    pub async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let mut deadline = Deadline::after(LIMIT);
        while !is_so() {
            if deadline.passed() {
                let operator = self.operator.get().map(LogFile::tail).unwrap_or_default();
                let waited = deadline.waited();
                panic!("waited {waited} for {what}; {}\n{operator}", self.log.tail());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
