//! What is counted at a scrape, and not kept in between: how many there are of each kind, and how old
//! the oldest is. A process that does not lead has none, so that a sum over the replicas counts once.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::SignedDuration;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue},
    metrics::MetricType,
    registry::Unit,
};

/// Name of a label, and its value: of a closed set, whatever anybody writes.
pub type Label = (&'static str, &'static str);

/// How many, and the age of the oldest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Oldest {
    pub count: u64,
    pub age: Duration,
}

impl Oldest {
    pub fn add(&mut self, age: Duration) {
        self.count += 1;
        self.age = self.age.max(age);
    }
}

/// The objects and what is known of the cloud, in numbers.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// By phase and reason of Ready.
    pub objects: BTreeMap<[Label; 2], u64>,
    /// By type and status.
    pub conditions: BTreeMap<[Label; 2], Oldest>,
    /// Changes in flight by kind and state.
    pub changes: BTreeMap<[Label; 2], Oldest>,
    /// What a person is asked to decide, by kind.
    pub decisions: BTreeMap<[Label; 1], u64>,
    /// Machines that were stopped for a change and do not run again yet.
    pub machines_off: Oldest,
    /// Machines that are followed, and the age of the oldest last successful read.
    pub inventory: Oldest,
    /// The rate of the slowest credential, in calls a second.
    pub rate: f64,
    /// Those that wait for a call to the provider, and the longest wait.
    pub waiting: Oldest,
    /// How far our clock is ahead of the provider's, once an answer has said it.
    pub skew: Option<SignedDuration>,
    /// Other operators that may serve the same objects.
    pub overlapping_operators: u64,
}

type Count = Box<dyn Fn() -> Option<Snapshot> + Send + Sync>;

/// Whoever counts; it may come after the first scrape. Clones share it.
#[derive(Clone, Default)]
pub struct Source(Arc<OnceLock<Count>>);

impl Source {
    pub fn set(&self, count: impl Fn() -> Option<Snapshot> + Send + Sync + 'static) {
        // The first one stays.
        let _ = self.0.set(Box::new(count));
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

/// Writes gauges.
struct Gauges<'a>(DescriptorEncoder<'a>);

impl Gauges<'_> {
    fn write<const N: usize>(
        &mut self,
        (name, help, unit): (&str, &str, Option<&Unit>),
        samples: impl Iterator<Item = ([Label; N], impl EncodeGaugeValue)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in samples {
            encoder.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn ages<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = ([Label; N], Oldest)>,
    ) -> fmt::Result {
        let samples = samples.map(|(labels, oldest)| (labels, oldest.age.as_secs_f64()));
        self.write((name, help, Some(&Unit::Seconds)), samples)
    }

    fn counts<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = ([Label; N], u64)>,
    ) -> fmt::Result {
        let samples =
            samples.map(|(labels, count)| (labels, i64::try_from(count).unwrap_or(i64::MAX)));
        self.write((name, help, None), samples)
    }
}

impl Collector for Source {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let counted = self.0.get().and_then(|count| count());
        let one = || counted.iter();
        let mut gauges = Gauges(encoder);
        let help = "Objects by phase and by the reason of their condition Ready";
        let objects = one().flat_map(|all| all.objects.iter());
        gauges.counts("objects", help, objects.map(|(labels, count)| (*labels, *count)))?;
        let help = "Age of the oldest condition with this status, over all objects";
        let conditions = one().flat_map(|all| all.conditions.iter());
        gauges.ages("condition_oldest_age", help, conditions.map(|(l, oldest)| (*l, *oldest)))?;
        let help = "Calls that are being made, or were accepted and are followed";
        let changes = || one().flat_map(|all| all.changes.iter());
        gauges.counts(
            "changes_in_flight",
            help,
            changes().map(|(l, oldest)| (*l, oldest.count)),
        )?;
        let help = "Time since the oldest of them was decided";
        gauges.ages("change_oldest_age", help, changes().map(|(l, oldest)| (*l, *oldest)))?;
        let help = "Objects that ask a person to decide something";
        let decisions = one().flat_map(|all| all.decisions.iter());
        gauges.counts("pending_decisions", help, decisions.map(|(l, count)| (*l, *count)))?;
        let help = "Machines that were stopped for a change and do not run again yet";
        let off = || one().map(|all| ([], all.machines_off));
        gauges.counts("machines_off", help, off().map(|(l, off)| (l, off.count)))?;
        gauges.ages("machine_off_oldest_age", "Time since the first of them was stopped", off())?;
        let help = "Machines of the inventory";
        let inventory = || one().map(|all| ([], all.inventory));
        gauges.counts("inventory_machines", help, inventory().map(|(l, all)| (l, all.count)))?;
        let help =
            "Time since the last successful read of the machine that was not read for longest";
        gauges.ages("inventory_oldest_age", help, inventory())?;
        let help = "The rate of calls to the provider as it is now, of the slowest credential";
        let rate = one().map(|all| ([], all.rate));
        gauges.write::<0>(("requests_per_second", help, None), rate)?;
        let help = "Objects and reads that wait for a call to the provider";
        let waiting = || one().map(|all| ([], all.waiting));
        gauges.counts("calls_waiting", help, waiting().map(|(l, all)| (l, all.count)))?;
        let help = "How long the one that has waited longest waits by now";
        gauges.ages("calls_longest_wait", help, waiting())?;
        let help = "How far the operator's clock is ahead of the provider's, by the last answer that says so";
        let skew = one().filter_map(|all| all.skew).map(|skew| ([], skew.as_secs_f64()));
        gauges.write::<0>(("cloud_clock_skew", help, Some(&Unit::Seconds)), skew)?;
        let help = "Other operators of the cluster that may serve the same objects";
        let others = one().map(|all| ([], all.overlapping_operators));
        gauges.counts("overlapping_operators", help, others)
    }
}
