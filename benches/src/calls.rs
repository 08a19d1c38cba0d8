//! Every call of one change, to Kubernetes and to the provider, in the order in which the servers have
//! seen them.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;

use crate::{
    program::{Program, Wanted},
    provider::Tail,
    report::Report,
    say, span,
    stage::{FLEET, Machine, SECOND, SECRET, Stage, World},
    stats::number,
    subject::between,
};

/// What each kind of change is called, and its machine.
const CHANGES: [(&str, &str); 2] = [("POSTPAID", "postpaid"), ("PREPAID upgrade", "prepaid")];
/// How long after the end of a change calls still belong to it.
const AFTER: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub struct Options {
    /// How long a change takes.
    #[arg(long, value_parser = span, default_value = "8s")]
    processing: Duration,
}

/// One call to either server.
struct Line {
    at: Timestamp,
    to: &'static str,
    what: String,
    code: String,
    writes: bool,
}

pub async fn run(program: &Program, options: &Options) -> Result<Report> {
    let mut report = Report::new("The calls of one change", program)?;
    let seconds = options.processing.as_secs_f64();
    report.note(
        "set",
        format!("one object at a time, nothing else going on; a change takes {seconds} s"),
    );
    let machine =
        |(_, id): &(&str, &str)| Machine { id: (*id).to_owned(), prepaid: *id == "prepaid" };
    let world = World {
        machines: CHANGES.iter().map(machine).collect(),
        keys: Vec::new(),
        processing: options.processing,
    };
    let stage = Stage::start(program, &world).await?;
    stage.declare(FLEET, CHANGES.map(|(_, id)| id.to_owned()), SECRET).await?;
    let mut subject = stage.subject(program, &Wanted::default())?;
    subject.ready().await;
    stage.in_sync(FLEET, Duration::from_secs(60)).await;
    for (name, machine) in CHANGES {
        tokio::time::sleep(AFTER).await;
        say(&format!("changing {machine}"));
        let lines = change(&stage, machine, options).await?;
        report.text(&format!("### {name}: {}", summary(&lines.1)));
        report.table(&rows(lines.0, &lines.1));
    }
    report.finish()
}

/// Makes one change, and gives when it was declared, and its calls.
async fn change(stage: &Stage, machine: &str, options: &Options) -> Result<(Timestamp, Vec<Line>)> {
    let (mut audit, mut tail) = (stage.audit(), Tail::start(&stage.sim).await?);
    audit.skip()?;
    let (declared, _) = stage.edit(FLEET, machine, SECOND).await?;
    stage.in_sync(FLEET, Duration::from_secs(120) + options.processing).await;
    tokio::time::sleep(AFTER).await;
    let asked = audit.next()?.into_iter().map(|one| {
        let name = if one.name().is_empty() { "" } else { " " };
        Line {
            at: one.at,
            to: "Kubernetes",
            what: format!("{}{name}{}", one.what(), one.name()),
            code: one.code().to_string(),
            writes: one.writes(),
        }
    });
    let called = tail.next(&stage.sim).await?.into_iter().map(|one| Line {
        at: one.at,
        to: "provider",
        what: one.action,
        code: one.code,
        writes: false,
    });
    let mut lines: Vec<Line> = asked.chain(called).collect();
    lines.sort_by_key(|line| line.at);
    Ok((declared, lines))
}

fn summary(lines: &[Line]) -> String {
    let of = |to: &str| lines.iter().filter(|line| line.to == to).count();
    let writes = lines.iter().filter(|line| line.writes).count();
    format!(
        "{} calls to Kubernetes ({writes} of them writes), {} to the provider",
        of("Kubernetes"),
        of("provider")
    )
}

fn rows(declared: Timestamp, lines: &[Line]) -> Vec<Vec<String>> {
    let mut rows =
        vec![["", "after the patch, ms", "to", "call", "answer"].map(str::to_owned).to_vec()];
    for (index, line) in lines.iter().enumerate() {
        let Line { at, to, what, code, writes: _ } = line;
        let after = number(between(declared, *at).as_secs_f64() * 1000.0);
        let number = (index + 1).to_string();
        rows.push(vec![number, after, (*to).to_owned(), what.clone(), code.clone()]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_server() {
        let line = |to, writes| Line {
            at: Timestamp::UNIX_EPOCH,
            to,
            what: String::new(),
            code: String::new(),
            writes,
        };
        let lines = [line("Kubernetes", true), line("provider", false), line("Kubernetes", false)];
        let expected = "2 calls to Kubernetes (1 of them writes), 1 to the provider";
        assert_eq!(summary(&lines), expected);
    }
}
