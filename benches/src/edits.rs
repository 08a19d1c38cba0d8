//! Edits of single objects, one after another, and how long each takes to reach the provider.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{
    provider::ordered,
    stage::{FIRST, SECOND, Stage},
    stats::{number, percentile},
    subject::{Subject, between},
};

/// How long an edit is waited for.
const LIMIT: Duration = Duration::from_secs(120);
/// How often the simulator is asked whether the call has come. Its own time counts, not this.
const LOOK: Duration = Duration::from_millis(20);
/// The longest pause between two edits. They come at any time, or they would all meet the program in
/// the same state.
const PAUSE: Duration = Duration::from_millis(200);

/// Milliseconds, one for each edit.
#[derive(Default)]
pub struct Latencies {
    /// From the patch being sent to the API server to ModifyInstanceType being decided.
    pub received: Vec<f64>,
    /// From the patch being sent to its answer: what no operator can beat by much.
    pub answered: Vec<f64>,
}

/// Changes each of these objects to the second type, in turn.
pub async fn make(
    stage: &Stage,
    subject: &mut Subject,
    namespace: &str,
    names: impl IntoIterator<Item = String>,
) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for name in names {
        tokio::time::sleep(PAUSE.mul_f64(fastrand::f64())).await;
        let (sent, answered) = stage.edit(namespace, &name, SECOND).await?;
        let deadline = Instant::now() + LIMIT;
        let call = loop {
            if let Some(call) = ordered(&stage.sim, &name, sent).await? {
                break call;
            }
            if subject.process.ended().is_some() || Instant::now() > deadline {
                bail!("{name} was not changed from {FIRST}; {}", subject.process.tail());
            }
            tokio::time::sleep(LOOK).await;
        };
        latencies.received.push(between(sent, call.at).as_secs_f64() * 1000.0);
        latencies.answered.push(between(sent, answered).as_secs_f64() * 1000.0);
    }
    Ok(latencies)
}

/// The columns of a row of latencies.
pub fn head(first: &str) -> Vec<String> {
    [first, "edits", "p50, ms", "p90, ms", "p99, ms", "most, ms"].map(str::to_owned).to_vec()
}

pub fn row(name: &str, samples: &[f64]) -> Vec<String> {
    let at = |percent| percentile(samples, percent).map_or_else(|| "–".to_owned(), number);
    let count = samples.len().to_string();
    vec![name.to_owned(), count, at(50.0), at(90.0), at(99.0), at(100.0)]
}
