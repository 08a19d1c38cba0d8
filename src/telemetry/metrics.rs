//! Metrics in the OpenMetrics format. Labels come from closed sets only, so that no object, machine,
//! order or text of the provider is ever a label. `docs/metrics.md` lists them.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry, Unit},
};

use zenlayer::{Answer, Exchange};

use super::{
    WatchHealth,
    calls::{ACTIONS, action, labels},
    snapshot::{Label, Snapshot, Source},
};

type Counters<const N: usize> = Family<[Label; N], Counter>;
type Histograms = Family<[Label; 1], Histogram, fn() -> Histogram>;

/// Of one request.
const CALL_SECONDS: [f64; 10] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Of a pass, which may wait for several calls.
const PASS_SECONDS: [f64; 12] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];
/// Of a wait, which may be long where a credential has many objects.
const WAIT_SECONDS: [f64; 11] = [0.005, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0];

/// One that is made, and told of.
fn metric<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// The same, in seconds.
fn seconds<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

fn histograms(
    registry: &mut Registry,
    name: &str,
    help: &str,
    make: fn() -> Histogram,
) -> Histograms {
    let family = Histograms::new_with_constructor(make);
    registry.register_with_unit(name, help, Unit::Seconds, family.clone());
    family
}

/// The operator's metrics; clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Counters<1>,
    durations: Histograms,
    queue_delays: Histograms,
    paid_calls: Counters<1>,
    changes: Counters<2>,
    cloud_calls: Counters<3>,
    call_durations: Histograms,
    turn_waits: Histograms,
    status_writes: Counter,
    watch_failures: Counter,
    orders: Gauge,
    order_limit: Gauge,
    held_back: Counter,
    leader: Gauge,
    watch_healthy: Gauge,
    watch_silence: Gauge<f64, AtomicU64>,
    health: WatchHealth,
    source: Source,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::of(WatchHealth::default())
    }
}

impl Metrics {
    /// With what is known of the watch.
    pub fn of(health: WatchHealth) -> Self {
        let mut registry = Registry::with_prefix("zenlayer_vm");
        let all = &mut registry;
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        all.register("build", "The operator that runs", version);
        let (reconciles, durations, queue_delays) = passes(all);
        let (cloud_calls, call_durations, turn_waits) = cloud(all);
        let help = "ModifyInstanceType calls by the class of their answer";
        let paid_calls = metric(all, "paid_calls", help);
        let changes =
            metric(all, "changes", "Changes that ended, by the call and by how they ended");
        let status_writes = metric(all, "status_writes", "Statuses written");
        let watch_failures = metric(all, "watch_failures", "Failures of the watch");
        let help = "Paid calls that count against the order limit, as they were last read";
        let orders = metric(all, "orders_within_the_hour", help);
        let help = "The order limit, option --max-orders-per-hour";
        let order_limit = metric(all, "max_orders_per_hour", help);
        let help = "Objects that began to wait because an order limit is reached";
        let held_back = metric(all, "orders_held_back", help);
        let leader = metric(all, "leader", "1 while this process leads, 0 while it stands by");
        let help =
            "1 while the objects are listed and the Kubernetes API answers the watch, else 0";
        let watch_healthy = metric(all, "watch_healthy", help);
        let help = "Time since the Kubernetes API last answered a list or a watch";
        let watch_silence = seconds(all, "watch_silence", help);
        let source = Source::default();
        all.register_collector(Box::new(source.clone()));
        let metrics = Self {
            registry: Arc::new(registry),
            reconciles,
            durations,
            queue_delays,
            paid_calls,
            changes,
            cloud_calls,
            call_durations,
            turn_waits,
            status_writes,
            watch_failures,
            orders,
            order_limit,
            held_back,
            leader,
            watch_healthy,
            watch_silence,
            health,
            source,
        };
        metrics.begin();
        metrics
    }

    /// The kinds of work, and of changes with their outcomes, that will be told of.
    pub fn expect(
        &self,
        kinds: impl Iterator<Item = &'static str>,
        changes: impl Iterator<Item = (&'static str, &'static str)>,
    ) {
        for kind in kinds {
            for family in [&self.durations, &self.queue_delays, &self.turn_waits] {
                let _ = family.get_or_create(&[("kind", kind)]);
            }
        }
        for (kind, outcome) in changes {
            let _ = self.changes.get_or_create(&[("kind", kind), ("outcome", outcome)]);
        }
    }

    /// Counters begin at 0, not with their first event: an increase from nothing is none to Prometheus.
    fn begin(&self) {
        for result in ["success", "error"] {
            let _ = self.reconciles.get_or_create(&[("result", result)]);
        }
        for answer in ["not_sent", "refused", "accepted", "unknown"] {
            let _ = self.paid_calls.get_or_create(&[("answer", answer)]);
        }
        for known in ACTIONS {
            let ok = [action(known), ("code", "OK"), ("class", "ok")];
            let _ = self.cloud_calls.get_or_create(&ok);
            let _ = self.call_durations.get_or_create(&[action(known)]);
        }
    }

    /// The objects are counted by this at each scrape; `None` while others have to tell of them.
    pub fn counts(&self, count: impl Fn() -> Option<Snapshot> + Send + Sync + 'static) {
        self.source.set(count);
    }

    /// A pass has begun so long after it was due.
    pub fn began(&self, kind: &'static str, late: Duration) {
        self.queue_delays.get_or_create(&[("kind", kind)]).observe(late.as_secs_f64());
    }

    pub fn reconciled(&self, kind: &'static str, success: bool, elapsed: Duration) {
        let result = if success { "success" } else { "error" };
        self.reconciles.get_or_create(&[("result", result)]).inc();
        self.durations.get_or_create(&[("kind", kind)]).observe(elapsed.as_secs_f64());
    }

    pub fn paid_call(&self, answer: &Answer) {
        let answer = match answer {
            Answer::NotSent { .. } => "not_sent",
            Answer::Refused(_) => "refused",
            Answer::Accepted { .. } => "accepted",
            Answer::Unknown { .. } => "unknown",
        };
        self.paid_calls.get_or_create(&[("answer", answer)]).inc();
    }

    /// A change has ended so.
    pub fn change_ended(&self, kind: &'static str, outcome: &'static str) {
        self.changes.get_or_create(&[("kind", kind), ("outcome", outcome)]).inc();
    }

    /// One request to the provider.
    pub fn exchanged(&self, exchange: &Exchange<'_>) {
        self.cloud_calls.get_or_create(&labels(exchange)).inc();
        let duration = self.call_durations.get_or_create(&[action(exchange.action)]);
        duration.observe(exchange.took.as_secs_f64());
    }

    /// Somebody had to wait so long for a call to the provider.
    pub fn waited(&self, kind: &'static str, wait: Duration) {
        self.turn_waits.get_or_create(&[("kind", kind)]).observe(wait.as_secs_f64());
    }

    pub fn status_written(&self) {
        self.status_writes.inc();
    }

    pub fn order_limit(&self, limit: u32) {
        self.order_limit.set(limit.into());
    }

    pub fn orders_within_the_hour(&self, count: u32) {
        self.orders.set(count.into());
    }

    pub fn order_held_back(&self) {
        self.held_back.inc();
    }

    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    pub fn watch_failed(&self) {
        self.health.failed();
        self.watch_failures.inc();
    }

    /// The text of a scrape.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        self.watch_healthy.set(self.health.problem().is_none().into());
        self.watch_silence.set(self.health.silence().as_secs_f64());
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn passes(all: &mut Registry) -> (Counters<1>, Histograms, Histograms) {
    let reconciles = metric(all, "reconciles", "Passes over objects by result");
    let help = "Duration of a pass over one object, by the kind of work";
    let make = || Histogram::new(PASS_SECONDS);
    let durations = histograms(all, "reconcile_duration", help, make);
    let help = "Time from when a pass was due until it began, by the kind of work";
    let make = || Histogram::new(WAIT_SECONDS);
    let delays = histograms(all, "reconcile_queue_delay", help, make);
    (reconciles, durations, delays)
}

fn cloud(all: &mut Registry) -> (Counters<3>, Histograms, Histograms) {
    let help = "Requests to the provider, each try of a read by itself, by action, code of the error table \
                and class of the answer";
    let calls = metric(all, "cloud_calls", help);
    let help = "Time from the first attempt to connect until the answer was read, by action";
    let make = || Histogram::new(CALL_SECONDS);
    let durations = histograms(all, "cloud_call_duration", help, make);
    let help =
        "How long those that had to wait for a call to the provider waited, by the kind of work";
    let make = || Histogram::new(WAIT_SECONDS);
    let waits = histograms(all, "rate_limit_wait", help, make);
    (calls, durations, waits)
}
