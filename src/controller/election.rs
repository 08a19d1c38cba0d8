//! Takes part in the election of the leader: reads and writes the lease as `leader` says, without kube's
//! own retry, and each call under a limit of its own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ListParams, ObjectMeta, PostParams},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

use super::{
    Clock,
    connect::FIELD_MANAGER,
    leader::{Elector, Record, Step, Term, Written},
    leadership::Leadership,
    neighbours::{Listed, Neighbours, Roll},
    store::{MANAGED_BY, problem, short_hash},
};
use crate::lifecycle::{LeaseTimes, Peer, Selection};

/// The label of the leases of leaders, and its value.
pub const LEADERS: (&str, &str) = ("app.kubernetes.io/component", "leader-election");
/// Which process holds it; its holder says in which Pod.
const PROCESS_LABEL: &str = "vm.zenlayer.com/process";
/// What the holder serves. Absent: everything.
pub const NAMESPACES_ANNOTATION: &str = "vm.zenlayer.com/watch-namespaces";
pub const SELECTOR_ANNOTATION: &str = "vm.zenlayer.com/selector";

/// How long the lease is tried to be released at the end.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// Who stands for election, and for what.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Where the slots are.
    pub namespace: String,
    /// The Pod.
    pub pod: String,
    /// Tells this process from every other one.
    pub process: String,
    pub selection: Selection,
    pub times: LeaseTimes,
}

impl Candidate {
    /// How the lease names its holder.
    fn identity(&self) -> String {
        format!("{}_{}", self.pod, self.process)
    }
}

/// One lease for each selection: who serves the same objects waits for the same lease.
pub fn lease_name(selection: &Selection) -> String {
    if selection.is_everything() {
        return "zvm-leader".to_owned();
    }
    let text = format!("{}/{}", namespaces(selection), selection.selector());
    format!("zvm-leader-{}", short_hash(&text, 8))
}

fn namespaces(selection: &Selection) -> String {
    let names: Vec<&str> = selection.namespaces().collect();
    names.join(",")
}

/// An election that goes on beside everything else.
pub struct Election {
    leadership: Leadership,
    neighbours: Neighbours,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Election {
    /// `client` makes single calls, and none twice.
    pub fn begin(client: Client, candidate: Candidate, clock: Arc<dyn Clock>) -> Self {
        let (told, term) = watch::channel(None);
        let (end, ended) = oneshot::channel();
        let name = lease_name(&candidate.selection);
        let me = Peer { holder: candidate.identity(), selection: candidate.selection.clone() };
        let neighbours = Neighbours::of(me);
        let booth = Booth {
            leases: Api::namespaced(client, &candidate.namespace),
            roll: Roll::new(name.clone(), candidate.selection.clone(), candidate.times.lease),
            neighbours: neighbours.clone(),
            look: Duration::ZERO,
            name,
            elector: Elector::new(candidate.identity(), candidate.times),
            candidate,
            clock,
            told,
        };
        let task = tokio::spawn(booth.stand(ended));
        Self { leadership: Leadership::elected(term), neighbours, end, task }
    }

    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    pub fn neighbours(&self) -> Neighbours {
        self.neighbours.clone()
    }

    /// Hands the lease back, so that the next one takes it at once.
    pub async fn end(self) {
        let Self { leadership: _, neighbours: _, end, task } = self;
        let _ = end.send(());
        let _ = task.await;
    }
}

struct Booth {
    leases: Api<Lease>,
    name: String,
    candidate: Candidate,
    elector: Elector,
    clock: Arc<dyn Clock>,
    told: watch::Sender<Option<Term>>,
    roll: Roll,
    neighbours: Neighbours,
    /// When to look for others again.
    look: Duration,
}

impl Booth {
    async fn stand(mut self, mut ended: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                biased;
                _ = &mut ended => break,
                () = self.step() => {}
            }
        }
        self.tell(None);
        if tokio::time::timeout(RELEASE_LIMIT, self.release()).await.is_err() {
            tracing::warn!(lease = self.name, "cannot release the lease in time; it runs out");
        }
    }

    async fn step(&mut self) {
        let now = self.clock.monotonic();
        match self.elector.next(now, self.clock.now()) {
            Step::Pause(pause) => self.clock.sleep(pause).await,
            Step::Read => {
                let read = within(self.limit(now), self.leases.get_opt(&self.name)).await;
                match read {
                    Ok(found) => {
                        let found = found.and_then(|lease| {
                            let version = lease.metadata.resource_version.clone()?;
                            Some((version, record_of(&lease)))
                        });
                        self.elector.read(found, self.clock.monotonic());
                    }
                    Err(problem) => {
                        tracing::warn!(lease = self.name, %problem, "cannot read the lease");
                        self.elector.failed(now);
                    }
                }
            }
            Step::Write(version, record) => {
                // What is not read before the next step counts as unknown.
                self.elector.failed(now);
                let limit = self.limit(now);
                let written = self.write(version, &record, limit).await;
                self.elector.wrote(record, written, now, self.clock.monotonic());
            }
        }
        let now = self.clock.monotonic();
        if let Some(term) = self.elector.term(now) {
            // Before anything is begun, and now and then: whoever comes later sees us.
            if self.told.borrow().is_none() || now >= self.look {
                self.look_for_others(now).await;
            }
            let goes_on = self.elector.term(self.clock.monotonic()).filter(|one| *one == term);
            self.tell(goes_on);
        } else {
            self.tell(None);
        }
    }

    /// What cannot be listed is as it was. The slots see to it that nothing is ordered twice.
    async fn look_for_others(&mut self, now: Duration) {
        let LeaseTimes { lease, retry, .. } = self.candidate.times;
        let label = |(key, value): (&str, &str)| format!("{key}={value}");
        let leaders = format!("{},{}", label(MANAGED_BY), label(LEADERS));
        let params = ListParams::default().labels(&leaders);
        match within(self.limit(now), self.leases.list(&params)).await {
            Ok(list) => {
                let listed = list.items.iter().map(listed).collect();
                self.neighbours.set(self.roll.look(listed, self.clock.monotonic()));
                self.look = now.saturating_add(lease / 2);
            }
            Err(problem) => {
                tracing::warn!(%problem, "cannot list the leases of other operators");
                self.look = now.saturating_add(retry);
            }
        }
    }

    /// Several tries fit between two renewals that are needed.
    fn limit(&mut self, now: Duration) -> Duration {
        let usual = self.candidate.times.renew / 3;
        self.elector.term(now).map_or(usual, |term| usual.min(term.until.saturating_sub(now)))
    }

    fn tell(&self, term: Option<Term>) {
        self.told.send_if_modified(|told| std::mem::replace(told, term) != term);
    }

    async fn write(&self, version: Option<String>, record: &Record, limit: Duration) -> Written {
        let lease = self.lease(version.clone(), record);
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let written = async {
            match version {
                Some(_) => self.leases.replace(&self.name, &params, &lease).await,
                None => self.leases.create(&params, &lease).await,
            }
        };
        match tokio::time::timeout(limit, written).await {
            Ok(Ok(lease)) => Written::Done(lease.metadata.resource_version),
            Ok(Err(kube::Error::Api(status)))
                if status.is_conflict() || status.is_already_exists() || status.is_not_found() =>
            {
                Written::Conflict
            }
            Ok(Err(error)) => {
                let problem = problem(&error);
                tracing::warn!(lease = self.name, %problem, "cannot write the lease");
                Written::Unknown
            }
            Err(_) => {
                tracing::warn!(lease = self.name, "the write of the lease was not answered");
                Written::Unknown
            }
        }
    }

    /// The second try is for a lease of which nobody knows how it is.
    async fn release(&mut self) {
        for _ in 0..2 {
            if let Some((version, record)) = self.elector.release()
                && let Written::Done(_) = self.write(version, &record, RELEASE_LIMIT).await
            {
                tracing::info!(lease = self.name, "released the lease");
                return;
            }
            let Ok(Some(lease)) = self.leases.get_opt(&self.name).await else { return };
            let version = lease.metadata.resource_version.clone().unwrap_or_default();
            self.elector.read(Some((version, record_of(&lease))), self.clock.monotonic());
        }
    }

    fn lease(&self, version: Option<String>, record: &Record) -> Lease {
        let labels = [MANAGED_BY, LEADERS, (PROCESS_LABEL, &self.candidate.process)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let selection = &self.candidate.selection;
        let annotations = [
            (NAMESPACES_ANNOTATION, namespaces(selection)),
            (SELECTOR_ANNOTATION, selection.selector()),
        ];
        let annotations = annotations.into_iter().filter(|(_, value)| !value.is_empty());
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: version,
                labels: Some(BTreeMap::from(labels)),
                annotations: Some(
                    annotations.map(|(key, value)| (key.to_owned(), value)).collect(),
                ),
                ..ObjectMeta::default()
            },
            spec: Some(spec_of(record)),
        }
    }
}

fn listed(lease: &Lease) -> Listed {
    let annotation = |key: &str| {
        let all = lease.metadata.annotations.as_ref();
        all.and_then(|all| all.get(key)).map(String::as_str).unwrap_or_default()
    };
    let namespaces = annotation(NAMESPACES_ANNOTATION).split(',').filter(|name| !name.is_empty());
    Listed {
        name: lease.metadata.name.clone().unwrap_or_default(),
        version: lease.metadata.resource_version.clone(),
        record: record_of(lease),
        selection: Selection::parse(namespaces, annotation(SELECTOR_ANNOTATION))
            .unwrap_or_default(),
    }
}

/// The answer, or what is wrong.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(problem(&error)),
        Err(_) => Err("it was not answered".to_owned()),
    }
}

fn spec_of(record: &Record) -> LeaseSpec {
    // Whole seconds, and never less than the holder counts on.
    let seconds = record.duration.map(|duration| duration.as_millis().div_ceil(1000));
    LeaseSpec {
        holder_identity: record.holder.clone(),
        lease_duration_seconds: seconds.and_then(|seconds| i32::try_from(seconds).ok()),
        acquire_time: record.acquired.map(MicroTime),
        renew_time: record.renewed.map(MicroTime),
        lease_transitions: Some(record.transitions),
        ..LeaseSpec::default()
    }
}

/// What a lease says. A duration that cannot be meant is none.
pub fn record_of(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        acquired: spec.acquire_time.map(|time| time.0),
        renewed: spec.renew_time.map(|time| time.0),
        transitions: spec.lease_transitions.unwrap_or(0),
    }
}
