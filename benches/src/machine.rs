//! What a figure depends on beside the program: the machine, the versions, and how busy it was.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

/// The work of all processors so far, in ticks.
#[derive(Clone, Copy)]
pub struct Work {
    busy: u64,
    all: u64,
}

impl Work {
    pub fn now() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/stat").context("read /proc/stat")?;
        Self::parse(&text).context("/proc/stat has no line of all processors")
    }

    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let fields: Vec<u64> =
            line.split_whitespace().map_while(|field| field.parse().ok()).take(8).collect();
        let all = fields.iter().sum();
        // Idle, and waiting for the disk.
        let idle: u64 = fields.get(3..5)?.iter().sum();
        Some(Self { busy: all - idle, all })
    }

    /// How busy the machine was since then, in percent of all its processors.
    pub fn busy_since(self, then: Self) -> f64 {
        let (busy, all) = (self.busy - then.busy, (self.all - then.all).max(1));
        #[allow(clippy::cast_precision_loss, reason = "ticks of minutes are few")]
        let share = busy as f64 / all as f64;
        share * 100.0
    }
}

/// Processor, memory, kernel, load.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let model = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let memory: u64 = memory.split(' ').next().and_then(|kb| kb.parse().ok()).unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!(
        "{cores} processors ({model}), {} GiB, Linux {kernel}, load average at the start {}",
        memory >> 20,
        load.join(" ")
    )
}

/// The commit of the source, with a mark if files differ from it.
pub fn commit(root: &Path) -> String {
    first_line(Command::new("git").arg("-C").arg(root).args([
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
        "--exclude=*",
    ]))
    .unwrap_or_else(|| "unknown".to_owned())
}

/// What a program prints first.
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_work_leaves_idle_time_out() {
        let then = Work::parse("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2").unwrap();
        let now = Work::parse("cpu  150 0 110 820 20 0 0 0 0 0").unwrap();
        assert!((now.busy_since(then) - 60.0).abs() < 1e-9);
    }
}
