//! Metrics in the OpenMetrics format. Labels come from enumerations only.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Metric, Registry},
};

use zenlayer::Answer;

use super::WatchHealth;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    result: ReconcileResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)]
enum ReconcileResult {
    success,
    error,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    answer: AnswerClass,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)]
enum AnswerClass {
    not_sent,
    refused,
    accepted,
    unknown,
}

/// One that is made, and told of.
fn metric<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// The operator's metrics; clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<ReconcileLabels, Counter>,
    durations: Histogram,
    paid_calls: Family<CallLabels, Counter>,
    status_writes: Counter,
    watch_failures: Counter,
    orders: Gauge,
    order_limit: Gauge,
    held_back: Counter,
    requests_per_second: Gauge<f64, AtomicU64>,
    waiting: Gauge,
    leader: Gauge,
    overlapping_operators: Gauge,
    watch_healthy: Gauge,
    watch_silence: Gauge,
    health: WatchHealth,
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
        let reconciles = metric(all, "reconciles", "Passes over objects by result");
        // 1 ms to about 33 s.
        let durations = Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let help = "Duration of a pass over one object";
        all.register("reconcile_duration_seconds", help, durations.clone());
        let help = "ModifyInstanceType calls by the class of their answer";
        let paid_calls = metric(all, "paid_calls", help);
        let status_writes = metric(all, "status_writes", "Statuses written");
        let watch_failures = metric(all, "watch_failures", "Failures of the watch");
        let help = "Paid calls that count against the order limit, as they were last read";
        let orders = metric(all, "orders_within_the_hour", help);
        let help = "The order limit, option --max-orders-per-hour";
        let order_limit = metric(all, "max_orders_per_hour", help);
        let help = "Objects that began to wait because the order limit is reached";
        let held_back = metric(all, "orders_held_back", help);
        let help = "The rate of calls to the provider as it is now, of the slowest credential";
        let requests_per_second = metric(all, "requests_per_second", help);
        let help = "Objects and reads that wait for a call to the provider";
        let waiting = metric(all, "calls_waiting", help);
        let leader = metric(all, "leader", "1 while this process leads, 0 while it stands by");
        let help = "Other operators of the cluster that may serve the same objects";
        let overlapping_operators = metric(all, "overlapping_operators", help);
        let help =
            "1 while the objects are listed and the Kubernetes API answers the watch, else 0";
        let watch_healthy = metric(all, "watch_healthy", help);
        let help = "Time since the Kubernetes API last answered a list or a watch";
        let watch_silence = metric(all, "watch_silence_seconds", help);
        Self {
            registry: Arc::new(registry),
            reconciles,
            durations,
            paid_calls,
            status_writes,
            watch_failures,
            orders,
            order_limit,
            held_back,
            requests_per_second,
            waiting,
            leader,
            overlapping_operators,
            watch_healthy,
            watch_silence,
            health,
        }
    }

    pub fn reconciled(&self, success: bool, elapsed: Duration) {
        let result = if success { ReconcileResult::success } else { ReconcileResult::error };
        self.reconciles.get_or_create(&ReconcileLabels { result }).inc();
        self.durations.observe(elapsed.as_secs_f64());
    }

    pub fn paid_call(&self, answer: &Answer) {
        let answer = match answer {
            Answer::NotSent { .. } => AnswerClass::not_sent,
            Answer::Refused(_) => AnswerClass::refused,
            Answer::Accepted { .. } => AnswerClass::accepted,
            Answer::Unknown { .. } => AnswerClass::unknown,
        };
        self.paid_calls.get_or_create(&CallLabels { answer }).inc();
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

    /// The rate of the slowest credential, and how many callers wait.
    pub fn quota(&self, rate: f64, waiting: usize) {
        self.requests_per_second.set(rate);
        self.waiting.set(waiting.try_into().unwrap_or(i64::MAX));
    }

    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    pub fn overlapping_operators(&self, count: usize) {
        self.overlapping_operators.set(count.try_into().unwrap_or(i64::MAX));
    }

    pub fn watch_failed(&self) {
        self.health.failed();
        self.watch_failures.inc();
    }

    /// The text of a scrape.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        self.watch_healthy.set(self.health.problem().is_none().into());
        self.watch_silence.set(self.health.silence().as_secs().try_into().unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
