//! The simulator's request log: what the measured program has asked of the provider.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result};
use harness::Simulator;
use jiff::Timestamp;
use serde::Deserialize;

/// How many calls beyond the expected ones are asked for.
const MARGIN: u64 = 200;

/// One call, as the simulator has answered it.
#[derive(Debug, Clone, Deserialize)]
pub struct Call {
    pub at: Timestamp,
    pub action: String,
    pub code: String,
    instance: Option<String>,
    #[serde(default)]
    body: Option<Body>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default)]
    instance_ids: Vec<String>,
}

impl Call {
    /// The instances that it names.
    pub fn instances(&self) -> Vec<&str> {
        match &self.body {
            Some(body) if !body.instance_ids.is_empty() => {
                body.instance_ids.iter().map(String::as_str).collect()
            }
            _ => self.instance.as_deref().into_iter().collect(),
        }
    }

    /// A look at instances that was answered.
    pub fn looks(&self) -> bool {
        self.action == "DescribeInstances" && self.code == "OK"
    }
}

/// Calls by action and code.
pub type Counts = BTreeMap<String, BTreeMap<String, u64>>;

#[derive(Deserialize)]
struct Log {
    counts: Counts,
    requests: Vec<Call>,
}

async fn log(sim: &Simulator, choice: &str) -> Result<Log> {
    let answer = sim.get(&format!("requests?{choice}")).await;
    serde_json::from_value(answer).context("read the simulator's request log")
}

/// All calls so far, by action and code.
pub async fn counts(sim: &Simulator) -> Result<Counts> {
    Ok(log(sim, "limit=0").await?.counts)
}

/// Counts that were added, by action.
pub fn added(before: &Counts, after: &Counts) -> BTreeMap<String, u64> {
    let of = |counts: &Counts, action: &str| -> u64 {
        counts.get(action).map_or(0, |codes| codes.values().sum())
    };
    let actions =
        after.keys().map(|action| (action.clone(), of(after, action) - of(before, action)));
    actions.filter(|(_, count)| *count > 0).collect()
}

/// How many calls were refused as too many.
pub fn throttled(counts: &Counts) -> u64 {
    counts.values().filter_map(|codes| codes.get("REQUEST_LIMIT_EXCEEDED")).sum()
}

/// The last paid call for an instance, if it came after a moment.
pub async fn ordered(sim: &Simulator, instance: &str, after: Timestamp) -> Result<Option<Call>> {
    let choice = format!("action=ModifyInstanceType&instance={instance}&limit=1");
    let call = log(sim, &choice).await?.requests.pop();
    Ok(call.filter(|call| call.at >= after))
}

/// Reads each call once. The simulator keeps the last 10,000, so it must be asked often enough.
pub struct Tail {
    seen: u64,
    limit: u64,
}

impl Tail {
    /// From now on.
    pub async fn start(sim: &Simulator) -> Result<Self> {
        Ok(Self { seen: total(&counts(sim).await?), limit: MARGIN })
    }

    /// The calls since the last time, oldest first.
    pub async fn next(&mut self, sim: &Simulator) -> Result<Vec<Call>> {
        loop {
            let Log { counts, mut requests } = log(sim, &format!("limit={}", self.limit)).await?;
            let total = total(&counts);
            let new = total - self.seen;
            let had = u64::try_from(requests.len())?;
            if new > had && had == self.limit {
                self.limit = new + MARGIN;
                continue;
            }
            anyhow::ensure!(new <= had, "the simulator has forgotten {} calls", new - had);
            self.seen = total;
            self.limit = new * 2 + MARGIN;
            return Ok(requests.split_off(usize::try_from(had - new)?));
        }
    }
}

fn total(counts: &Counts) -> u64 {
    counts.values().flat_map(BTreeMap::values).sum()
}

/// Which instances were not looked at yet, and when the last one of the others first was.
pub struct Looked {
    missing: HashSet<String>,
    pub last: Option<Timestamp>,
}

impl Looked {
    pub fn new(instances: impl IntoIterator<Item = String>) -> Self {
        Self { missing: instances.into_iter().collect(), last: None }
    }

    pub fn learn(&mut self, calls: &[Call]) {
        for call in calls.iter().filter(|call| call.looks()) {
            for instance in call.instances() {
                if self.missing.remove(instance) {
                    self.last = Some(call.at);
                }
            }
        }
    }

    pub fn missing(&self) -> usize {
        self.missing.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn call(action: &str, code: &str, body: Value) -> Call {
        let instance = body["instanceIds"][0].as_str().or(body["instanceId"].as_str());
        let at = "2026-11-26T10:00:00Z";
        let call =
            json!({ "at": at, "action": action, "code": code, "instance": instance, "body": body });
        serde_json::from_value(call).unwrap()
    }

    #[test]
    fn an_instance_is_looked_at_by_an_answered_read_that_names_it() {
        let mut looked = Looked::new(["a", "b", "c"].map(str::to_owned));
        looked.learn(&[
            call("DescribeInstances", "OK", json!({ "instanceIds": ["a", "b"] })),
            call("DescribeInstances", "REQUEST_LIMIT_EXCEEDED", json!({ "instanceIds": ["c"] })),
            call("ModifyInstanceType", "OK", json!({ "instanceId": "c" })),
        ]);
        assert_eq!(looked.missing(), 1);
        looked.learn(&[call("DescribeInstances", "OK", json!({ "instanceIds": ["c"] }))]);
        assert_eq!(looked.missing(), 0);
    }

    #[tokio::test]
    async fn each_call_is_read_once_however_many_came() {
        let key = harness::simulator::KEY_ID;
        let password = harness::simulator::KEY_PASSWORD;
        let file = format!(
            "credentials:\n  - {{ accessKeyId: {key}, accessKeyPassword: {password} }}\ninstances: []\n"
        );
        let sim = Simulator::start(&file, &[]).await;
        let http = reqwest::Client::new();
        let ask = async |times: usize| {
            for _ in 0..times {
                let url = format!("{}/api/v2/vm", sim.endpoint());
                http.post(url).header("x-zc-action", "DescribeInstances").send().await.unwrap();
            }
        };
        ask(3).await;
        let mut tail = Tail::start(&sim).await.unwrap();
        for times in [0, 2, 500, 1] {
            ask(times).await;
            assert_eq!(tail.next(&sim).await.unwrap().len(), times);
        }
        let counts = counts(&sim).await.unwrap();
        assert_eq!(added(&Counts::new(), &counts)["DescribeInstances"], 506);
        assert_eq!(throttled(&counts), 0);
    }
}
