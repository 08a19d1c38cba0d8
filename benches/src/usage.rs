//! What a process has used, by /proc.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Bytes of a megabyte, in which memory is shown.
const MEGABYTE: f64 = 1_000_000.0;

pub struct Usage {
    folder: PathBuf,
}

/// Memory that is resident, in megabytes (of 1,000,000 bytes).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    pub now: f64,
    /// The most since the process was started.
    pub peak: f64,
}

impl Usage {
    pub fn of(process: u32) -> Self {
        Self { folder: PathBuf::from(format!("/proc/{process}")) }
    }

    pub fn memory(&self) -> Result<Memory> {
        let text = self.read("status")?;
        memory(&text).context("the process has no memory: it has ended")
    }

    /// Seconds of processor time, of the program and of the kernel for it.
    pub fn processor(&self) -> Result<f64> {
        let text = self.read("stat")?;
        let ticks = ticks(&text).context("/proc has an unknown form")?;
        #[allow(clippy::cast_precision_loss, reason = "ticks of minutes are few")]
        let seconds = ticks as f64 / 100.0;
        Ok(seconds)
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.folder.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    }
}

fn memory(status: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024.0 / MEGABYTE)
    };
    Some(Memory { now: field("VmRSS:")?, peak: field("VmHWM:")? })
}

/// Fields 14 and 15 of /proc/PID/stat, in hundredths of a second. The second field is the program's
/// name and may hold anything, so what is read stands behind its closing parenthesis.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let program: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(program + kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "7 (a ) 1 b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 8 0 1 2 3";
        assert_eq!(ticks(stat), Some(300));
    }

    #[test]
    fn memory_is_in_megabytes() {
        let status = "Name:\tx\nVmHWM:\t    2000 kB\nVmRSS:\t    1000 kB\n";
        assert_eq!(memory(status), Some(Memory { now: 1.024, peak: 2.048 }));
    }

    #[test]
    fn this_process_uses_something() {
        let own = Usage::of(std::process::id());
        let memory = own.memory().unwrap();
        assert!(memory.now > 0.5 && memory.peak >= memory.now, "{memory:?}");
        assert!(own.processor().unwrap() >= 0.0);
    }
}
