//! Many changes at once under a request quota, as the provider sees them, and an edit in the middle.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::{
    program::{Program, Wanted},
    provider::{self, Counts, Tail, ordered, throttled},
    report::Report,
    say, span,
    stage::{FLEET, Machine, SECOND, SECRET, Stage, World, names},
    stats::number,
    subject::{Subject, between},
};

/// The object that is edited in the middle.
const URGENT: &str = "urgent";
/// Patches that are sent at once.
const PATCHES: usize = 48;

#[derive(Debug, Args)]
pub struct Options {
    /// How many POSTPAID machines are changed.
    #[arg(long, default_value_t = 1000)]
    objects: usize,
    /// Calls a second that the provider allows, on average.
    #[arg(long, default_value_t = 20.0)]
    quota: f64,
    /// Calls that may come at once; by default those of two seconds.
    #[arg(long)]
    burst: Option<u32>,
    /// Calls that one change needs, for the limit.
    #[arg(long, default_value_t = 4.0)]
    calls_per_change: f64,
    /// How long a change takes.
    #[arg(long, value_parser = span, default_value = "5s")]
    processing: Duration,
    /// For so long after the first patch, answers 429 are warm-up.
    #[arg(long, value_parser = span, default_value = "10s")]
    warm_up: Duration,
}

impl Options {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a quota is small")]
    fn burst(&self) -> u32 {
        self.burst.unwrap_or((self.quota * 2.0).ceil() as u32).max(1)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a quota is small")]
    fn own_rate(&self) -> u32 {
        (self.quota.floor() as u32).max(1)
    }

    /// The time that no program can go below: the burst comes at once.
    #[allow(clippy::cast_precision_loss, reason = "objects are few")]
    fn least(&self) -> Duration {
        let calls = (self.objects as f64 + 1.0) * self.calls_per_change;
        let over = (calls - f64::from(self.burst())).max(0.0);
        Duration::from_secs_f64(over / self.quota) + self.processing
    }
}

/// What is read of the simulator's orders.
#[derive(Deserialize)]
struct Ledger {
    orders: Vec<Order>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    instance_id: String,
    at: Timestamp,
    settled_at: Option<Timestamp>,
}

struct Done {
    patched: Duration,
    last_order: Duration,
    last_landed: Duration,
    all_in_sync: Duration,
    urgent: Option<Duration>,
    /// How many objects have so many orders.
    orders: BTreeMap<usize, usize>,
    calls: BTreeMap<String, u64>,
    throttled: u64,
    throttled_after: u64,
}

pub async fn run(program: &Program, options: &Options) -> Result<Report> {
    let mut report = Report::new("Many changes under a request quota", program)?;
    let Options { objects, quota, calls_per_change, processing, .. } = options;
    report.note(
        "set",
        format!(
            "{objects} POSTPAID changes, quota {quota} requests/s with a burst of {}, a change takes {} s",
            options.burst(),
            processing.as_secs_f64()
        ),
    );
    let done = measure(program, options).await?;
    let least = options.least();
    report.text(&format!(
        "The limit is (({objects} + the edit in the middle) x {calls_per_change} calls - burst) / quota + \
         processing: {} s.",
        number(least.as_secs_f64())
    ));
    report.table(&done.rows(options));
    let mut calls =
        vec![vec!["calls to the provider".to_owned(), "in all".into(), "a change".into()]];
    for (action, count) in &done.calls {
        #[allow(clippy::cast_precision_loss, reason = "counts are small")]
        let (count, objects) = (*count as f64, *objects as f64 + 1.0);
        calls.push(vec![action.clone(), number(count), number(count / objects)]);
    }
    report.table(&calls);
    report.finish()
}

async fn measure(program: &Program, options: &Options) -> Result<Done> {
    let mut world = World::of(options.objects, options.processing);
    world.machines.push(Machine { id: URGENT.to_owned(), prepaid: false });
    let all = || names("vm", options.objects).chain([URGENT.to_owned()]);
    let stage = Stage::start(program, &world).await?;
    stage.declare(FLEET, all(), SECRET).await?;
    let limit = Duration::from_secs(240);
    let fast = Wanted { requests_per_second: Some(1000), ..Wanted::default() };
    let subject = stage.subject(program, &fast)?;
    stage.in_sync(FLEET, limit).await;
    subject.stop()?;

    // From here on under the quota; the first look at all of them is no part of the figure.
    let quota = json!({ "perSecond": options.quota, "burst": options.burst() });
    stage.sim.put("rate-limit", quota).await;
    let rate = Some(options.own_rate());
    let wanted = Wanted { requests_per_second: rate, ..Wanted::default() };
    let mut tail = Tail::start(&stage.sim).await?;
    let mut subject = stage.subject(program, &wanted)?;
    let patience = limit + options.least() * 10;
    stage.all_looked_at(&mut subject, &mut tail, all(), patience).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    say("all looked at under the quota; changing");
    change(&stage, options, &mut subject).await
}

/// Declares all changes as fast as the API server takes them, and watches them to their end.
async fn change(stage: &Stage, options: &Options, subject: &mut Subject) -> Result<Done> {
    let before = provider::counts(&stage.sim).await?;
    let (started, clock) = (Timestamp::now(), Instant::now());
    let edit = async |name: String| stage.edit(FLEET, &name, SECOND).await.map(drop);
    let edits = stream::iter(names("vm", options.objects)).map(edit).buffer_unordered(PATCHES);
    edits.try_collect::<()>().await?;
    let patched = clock.elapsed();
    let deadline = clock + Duration::from_secs(300) + options.least() * 20;
    let (mut warm, mut urgent): (Option<Counts>, Option<Timestamp>) = (None, None);
    let ledger = loop {
        let ledger = ledger(stage).await?;
        if warm.is_none() && clock.elapsed() >= options.warm_up {
            warm = Some(provider::counts(&stage.sim).await?);
        }
        if urgent.is_none() && ledger.orders.len() * 2 >= options.objects {
            urgent = Some(stage.edit(FLEET, URGENT, SECOND).await?.0);
        }
        let landed = ledger.orders.iter().filter(|order| order.settled_at.is_some()).count();
        if landed > options.objects && stage.out_of_sync(FLEET).await? == 0 {
            break ledger;
        }
        if subject.process.ended().is_some() || Instant::now() > deadline {
            let ordered = ledger.orders.len();
            bail!("{ordered} ordered, {landed} landed; {}", subject.process.tail());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let all_in_sync = clock.elapsed();
    let urgent = match urgent {
        Some(sent) => ordered(&stage.sim, URGENT, sent).await?.map(|call| between(sent, call.at)),
        None => None,
    };
    let after = provider::counts(&stage.sim).await?;
    let last = |moment: &dyn Fn(&Order) -> Option<Timestamp>| {
        let last = ledger.orders.iter().filter_map(moment).max().context("nothing was ordered");
        last.map(|last| between(started, last))
    };
    Ok(Done {
        patched,
        last_order: last(&|order| Some(order.at))?,
        last_landed: last(&|order| order.settled_at)?,
        all_in_sync,
        urgent,
        orders: orders(&ledger, options.objects + 1),
        calls: provider::added(&before, &after),
        throttled: throttled(&after) - throttled(&before),
        throttled_after: warm.map_or(0, |warm| throttled(&after) - throttled(&warm)),
    })
}

async fn ledger(stage: &Stage) -> Result<Ledger> {
    serde_json::from_value(stage.sim.get("ledger").await).context("read the simulator's ledger")
}

/// How many objects have so many orders.
fn orders(ledger: &Ledger, objects: usize) -> BTreeMap<usize, usize> {
    let mut by_object: BTreeMap<&str, usize> = BTreeMap::new();
    for order in &ledger.orders {
        *by_object.entry(&order.instance_id).or_default() += 1;
    }
    let mut counts = BTreeMap::new();
    for count in by_object.values() {
        *counts.entry(*count).or_default() += 1;
    }
    if by_object.len() < objects {
        counts.insert(0, objects - by_object.len());
    }
    counts
}

impl Done {
    fn rows(&self, options: &Options) -> Vec<Vec<String>> {
        let least = options.least().as_secs_f64();
        let seconds = |time: Duration| number(time.as_secs_f64());
        let of_limit = |time: Duration| number(time.as_secs_f64() / least);
        let row = |name: &str, value: String, ratio: String| vec![name.to_owned(), value, ratio];
        let orders: Vec<String> = self
            .orders
            .iter()
            .map(|(orders, objects)| format!("{objects} objects with {orders}"))
            .collect();
        let urgent = self.urgent.map_or_else(|| "never".to_owned(), seconds);
        let none = String::new;
        vec![
            row("figure", "value".to_owned(), "of the limit".to_owned()),
            row("all declared after, s", seconds(self.patched), none()),
            row("last order after, s", seconds(self.last_order), none()),
            row(
                "last change in effect after, s",
                seconds(self.last_landed),
                of_limit(self.last_landed),
            ),
            row(
                "all objects in sync after, s",
                seconds(self.all_in_sync),
                of_limit(self.all_in_sync),
            ),
            row("edit in the middle, received after, s", urgent, none()),
            row("orders", orders.join(", "), none()),
            row("answers 429", self.throttled.to_string(), none()),
            row("answers 429 after the warm-up", self.throttled_after.to_string(), none()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_counted_by_object_also_where_there_are_none() {
        let order = |id: &str| Order {
            instance_id: id.to_owned(),
            at: Timestamp::UNIX_EPOCH,
            settled_at: None,
        };
        let ledger = Ledger { orders: ["a", "b", "a"].map(order).into() };
        assert_eq!(orders(&ledger, 4), BTreeMap::from([(0, 2), (1, 1), (2, 1)]));
        assert_eq!(orders(&ledger, 2), BTreeMap::from([(1, 1), (2, 1)]));
    }

    #[test]
    fn the_limit_is_the_calls_by_the_quota_and_the_time_of_a_change() {
        let options = Options {
            objects: 1000,
            quota: 20.0,
            burst: None,
            calls_per_change: 4.0,
            processing: Duration::from_secs(5),
            warm_up: Duration::ZERO,
        };
        assert_eq!(options.least(), Duration::from_millis(198_200 + 5_000));
    }
}
