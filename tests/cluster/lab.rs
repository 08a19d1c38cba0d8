//! One process in memory: the production reconcile and HTTP client against the simulator's HTTP skin,
//! under one virtual clock. In place of Kubernetes stands a table, and in place of kube's scheduler a
//! queue that obeys the next look of each pass. Each object has a credential of its own, and orders
//! are made without delay. Catalogue and prices are cached by the real clock, so of those calls only
//! their absence says something here.
//!
//! A test can have something happen right before an effect or a read: see [`Point`].

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};
use zenlayer::{
    Answer, Batch, Call, CatalogueQuery, Client, ClientOptions, Cloud, Credentials, Endpoint,
    Instance, InstanceId, InstanceIds, InstanceState, Offer, Price, PriceInquiry, Rate, ReadError,
    Reading, TypeStatus, Zone,
};
use zenlayer_sim::{
    config::Config,
    http::{Shared, bind, serve},
};
use zenlayer_vm_operator::{
    api::{POWER_FINALIZER, VmInstance, VmInstanceStatus},
    controller::{
        Age, Clock, Context, Credential, KeptSlot, Scope, Store, StoreError, read_due, reconcile,
    },
    lifecycle::{
        Counted, Defaults, Event, NextLook, ObjectKey, OrderLimits, SecretState, Slot, SlotRecord,
        Timing, backoff,
    },
    telemetry::Metrics,
};

use harness::simulator::{KEY_ID, KEY_PASSWORD};

/// Right before this happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    ReadCatalogue,
    ReadOrders,
    WriteSlot,
    WriteStatus,
    Mutate,
}

/// What a test has happen, each once, in the order in which it was given.
type Happening = Box<dyn FnOnce(&InMemory, &Virtual) + Send>;

/// What happens before which effect, and the calls that were made.
#[derive(Default)]
pub struct Script {
    happenings: Mutex<Vec<(Point, Happening)>>,
    pub calls: Mutex<Vec<Call>>,
}

impl Script {
    /// The next time that this is about to happen.
    pub fn before(&self, point: Point, act: impl FnOnce(&InMemory, &Virtual) + Send + 'static) {
        self.happenings.lock().unwrap().push((point, Box::new(act)));
    }
}

/// The client, and what the script has happen before its calls.
struct Scripted {
    inner: Client,
    store: Arc<InMemory>,
}

#[async_trait]
impl Cloud for Scripted {
    async fn describe_instances(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<Instance>>, ReadError> {
        self.inner.describe_instances(credentials, ids).await
    }

    async fn describe_states(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<InstanceState>>, ReadError> {
        self.inner.describe_states(credentials, ids).await
    }

    async fn describe_type_status(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<TypeStatus>>, ReadError> {
        self.inner.describe_type_status(credentials, id).await
    }

    async fn describe_catalogue(
        &self,
        credentials: &Credentials,
        query: &CatalogueQuery,
    ) -> Result<Reading<Vec<Offer>>, ReadError> {
        self.store.reach(Point::ReadCatalogue);
        self.inner.describe_catalogue(credentials, query).await
    }

    async fn inquire_price(
        &self,
        credentials: &Credentials,
        inquiry: &PriceInquiry,
    ) -> Result<Reading<Price>, ReadError> {
        self.inner.inquire_price(credentials, inquiry).await
    }

    async fn describe_zones(
        &self,
        credentials: &Credentials,
    ) -> Result<Reading<Vec<Zone>>, ReadError> {
        self.inner.describe_zones(credentials).await
    }

    async fn ready(&self, credentials: &Credentials) {
        self.inner.ready(credentials).await;
    }

    async fn mutate(&self, credentials: &Credentials, call: &Call) -> Answer {
        self.store.reach(Point::Mutate);
        self.store.script.calls.lock().unwrap().push(call.clone());
        self.inner.mutate(credentials, call).await
    }
}

/// Time that moves by hand, in milliseconds since the start.
pub struct Virtual {
    start: Timestamp,
    passed: AtomicU64,
}

impl Virtual {
    pub fn advance(&self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.passed.fetch_add(millis, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        self.start + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.passed.load(Ordering::SeqCst))
    }

    async fn sleep(&self, pause: Duration) {
        self.pass(pause);
    }
}

/// Kubernetes, as far as one process sees it.
#[derive(Default)]
struct Table {
    objects: BTreeMap<String, VmInstance>,
    slots: HashMap<InstanceId, Slot>,
    secrets: HashMap<String, u32>,
    writes: HashMap<String, usize>,
    version: u64,
}

/// The table, the clock, and what the script has happen before an effect.
pub struct InMemory {
    table: Mutex<Table>,
    clock: Arc<Virtual>,
    pub script: Script,
}

impl InMemory {
    fn new(clock: Arc<Virtual>) -> Self {
        Self { table: Mutex::default(), clock, script: Script::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Table) -> T) -> T {
        act(&mut self.table.lock().unwrap())
    }

    /// This is about to happen.
    fn reach(&self, point: Point) {
        let next = {
            let mut happenings = self.script.happenings.lock().unwrap();
            let index = happenings.iter().position(|(at, _)| *at == point);
            index.map(|index| happenings.remove(index).1)
        };
        if let Some(act) = next {
            act(self, &self.clock);
        }
    }

    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut VmInstance)) {
        self.with(|table| {
            table.version += 1;
            let object = table.objects.get_mut(name).unwrap();
            edit(object);
            object.metadata.resource_version = Some(table.version.to_string());
        });
    }

    /// Writes an object unless it was written since.
    fn write(
        &self,
        read: &VmInstance,
        edit: impl FnOnce(&mut VmInstance),
    ) -> Result<Arc<VmInstance>, StoreError> {
        let name = read.metadata.name.clone().unwrap();
        if self.get(&name).metadata.resource_version != read.metadata.resource_version {
            return Err(StoreError::Conflict);
        }
        self.edit(&name, edit);
        Ok(Arc::new(self.get(&name)))
    }

    pub fn slot_of(&self, instance: &str) -> SlotRecord {
        let id = InstanceId::new(instance).unwrap();
        self.with(|table| table.slots.get(&id).cloned().unwrap_or_default().record)
    }

    /// Whether anybody has ever taken it.
    pub fn has_slot(&self, instance: &str) -> bool {
        let id = InstanceId::new(instance).unwrap();
        self.with(|table| table.slots.contains_key(&id))
    }

    /// As another process writes it.
    pub fn put_slot(&self, instance: &str, record: SlotRecord) {
        self.with(|table| {
            table.version += 1;
            let slot = Slot { version: Some(table.version.to_string()), record };
            table.slots.insert(InstanceId::new(instance).unwrap(), slot);
        });
    }

    /// How many paid calls the limit counts at this time.
    pub fn counted(&self, now: Timestamp) -> usize {
        let counts = |slot: &Slot| slot.record.orders().filter(|one| one.is_recent(now)).count();
        self.with(|table| table.slots.values().map(counts).sum())
    }

    pub fn with_secret(&self, name: &str, version: u32) {
        self.with(|table| table.secrets.insert(name.to_owned(), version));
    }

    pub fn get(&self, name: &str) -> VmInstance {
        self.with(|table| table.objects[name].clone())
    }
}

#[async_trait]
impl Store for InMemory {
    async fn secret(&self, _: &ObjectKey, name: &str, _: Age) -> (SecretState, Option<Credential>) {
        let version = self.with(|table| table.secrets.get(name).copied().unwrap_or(1));
        let password = SecretString::from(KEY_PASSWORD.to_owned());
        let credentials = Credentials::AccessKey { id: KEY_ID.to_owned(), password };
        let digest = format!("{name}-{version}");
        let scope = Scope::of(&digest);
        let state = SecretState::Usable { digest, expires_requests: true };
        (state, Some(Credential { credentials, scope }))
    }

    async fn slot(&self, instance: &InstanceId, _: Age) -> Result<Slot, StoreError> {
        Ok(self.with(|table| table.slots.get(instance).cloned().unwrap_or_default()))
    }

    async fn write_slot(
        &self,
        instance: &InstanceId,
        read: &Slot,
        record: SlotRecord,
    ) -> Result<Slot, StoreError> {
        self.reach(Point::WriteSlot);
        self.with(|table| {
            let held = table.slots.get(instance).cloned().unwrap_or_default();
            if held.version != read.version {
                return Err(StoreError::Conflict);
            }
            table.version += 1;
            let written = Slot { version: Some(table.version.to_string()), record };
            table.slots.insert(instance.clone(), written.clone());
            Ok(written)
        })
    }

    async fn slots(&self) -> Result<Vec<KeptSlot>, StoreError> {
        Ok(self.with(|table| {
            let kept = table.slots.iter();
            kept.map(|(id, slot)| KeptSlot { instance: id.clone(), slot: slot.clone() }).collect()
        }))
    }

    async fn delete_slot(&self, kept: &KeptSlot) -> Result<(), StoreError> {
        self.with(|table| match table.slots.get(&kept.instance) {
            None => Err(StoreError::Gone),
            Some(slot) if slot.version != kept.slot.version => Err(StoreError::Conflict),
            Some(_) => {
                table.slots.remove(&kept.instance);
                Ok(())
            }
        })
    }

    async fn orders(&self) -> Result<Vec<Counted>, StoreError> {
        self.reach(Point::ReadOrders);
        let orders = |slot: &Slot| slot.record.orders().cloned().collect::<Vec<_>>();
        Ok(self.with(|table| table.slots.values().flat_map(orders).collect()))
    }

    async fn write_status(
        &self,
        object: &VmInstance,
        status: &VmInstanceStatus,
    ) -> Result<Arc<VmInstance>, StoreError> {
        self.reach(Point::WriteStatus);
        let name = object.metadata.name.clone().unwrap();
        let written = self.write(object, |held| held.status = Some(status.clone()))?;
        self.with(|table| *table.writes.entry(name).or_default() += 1);
        Ok(written)
    }

    async fn set_finalizer(
        &self,
        object: &VmInstance,
        set: bool,
    ) -> Result<Arc<VmInstance>, StoreError> {
        self.write(object, |held| {
            let finalizers = held.metadata.finalizers.get_or_insert_default();
            finalizers.retain(|name| name != POWER_FINALIZER);
            finalizers.extend(set.then(|| POWER_FINALIZER.to_owned()));
        })
    }

    async fn object(&self, _: &str, name: &str) -> Result<Option<Arc<VmInstance>>, StoreError> {
        Ok(self.with(|table| table.objects.get(name).cloned().map(Arc::new)))
    }

    fn claims(&self, instance: &InstanceId) -> Vec<Arc<VmInstance>> {
        self.with(|table| {
            let all = table.objects.values();
            let claims = all.filter(|one| one.spec.instance_id == instance.as_str());
            claims.cloned().map(Arc::new).collect()
        })
    }

    async fn publish_event(&self, _: &VmInstance, _: &Event) {}
}

/// Calls by instance and action.
pub type Calls = BTreeMap<(String, String), usize>;

/// One process with its own time: objects `vm-0`, `vm-1`, … of type c.1c2g that declare c.2c4g.
pub struct Lab {
    pub clock: Arc<Virtual>,
    pub shared: Arc<Shared>,
    pub store: Arc<InMemory>,
    ctx: Context,
    /// When each object is looked at next.
    queue: BTreeSet<(Duration, String)>,
    failures: HashMap<String, u32>,
    pub passes: HashMap<String, usize>,
    /// Objects that are not looked at any more.
    gone: HashSet<String>,
    pub calls: Calls,
}

impl Lab {
    pub async fn given(objects: usize) -> Self {
        // The order limit is not what is looked at here.
        Self::limited(objects, 3000).await
    }

    /// With so many orders an hour, over all objects.
    pub async fn limited(objects: usize, orders: u32) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let start: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let names: Vec<String> = (0..objects).map(|index| format!("vm-{index}")).collect();
        let mut yaml = format!(
            "clock: {{ mode: stepped, start: {start} }}\nprocessingTime: 5s\ncredentials:\n  - {{ \
             accessKeyId: {KEY_ID}, accessKeyPassword: {KEY_PASSWORD} }}\ninstances:\n"
        );
        for name in &names {
            yaml += &format!("  - {{ id: {name}, type: c.1c2g, chargeType: POSTPAID }}\n");
        }
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("simulator.yaml");
        std::fs::write(&path, yaml).unwrap();
        let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let world = |now| config.world(now);
        let shared = Arc::new(Shared::new(config.settings(), None, false, world));
        let listener = bind("--listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, None, shared.clone()));

        let clock = Arc::new(Virtual { start, passed: AtomicU64::new(0) });
        let store = Arc::new(InMemory::new(clock.clone()));
        let plenty = Rate::per_second(1e6).unwrap();
        let options = ClientOptions { requests_per_second: None, ..Default::default() };
        let signing = clock.clone();
        let endpoint = Endpoint::parse(&endpoint, false).unwrap();
        let cloud = Client::with_clock(endpoint, options, move || signing.now());
        let orders = OrderLimits { all: orders, namespace: 3000, object: 3000 };
        let timing = Timing { order_delay: Duration::ZERO, ..Timing::default() };
        let defaults = Defaults { orders, timing, ..Defaults::default() };
        let cloud = Scripted { inner: cloud.unwrap(), store: store.clone() };
        let ctx = Context::new(
            Arc::new(cloud),
            store.clone(),
            clock.clone(),
            defaults,
            Metrics::default(),
            plenty,
        );
        let mut lab = Self {
            clock,
            shared,
            store,
            ctx,
            queue: BTreeSet::new(),
            failures: HashMap::new(),
            passes: HashMap::new(),
            gone: HashSet::new(),
            calls: Calls::new(),
        };
        for name in names {
            lab.declare(&name);
        }
        lab
    }

    fn declare(&mut self, name: &str) {
        self.declare_as(name, "default", name, "2026-03-02T10:00:00Z");
    }

    /// An object of this name and namespace, for this instance.
    pub fn declare_as(&mut self, name: &str, namespace: &str, instance: &str, created: &str) {
        let object = json!({
            "apiVersion": "vm.zenlayer.com/v1alpha1", "kind": "VmInstance",
            "metadata": {
                "name": name, "namespace": namespace, "uid": format!("{name}-uid"),
                "resourceVersion": "0",
                "generation": 1, "creationTimestamp": created,
            },
            "spec": {
                "instanceId": instance, "instanceTypeId": "c.2c4g",
                "credentials": { "secretRef": { "name": name } },
            },
            "status": { "observedGeneration": -1, "phase": "Pending" },
        });
        let object = serde_json::from_value(object).unwrap();
        self.store.with(|table| table.objects.insert(name.to_owned(), object));
        self.wake(name);
    }

    pub fn fault(&self, rule: Value) {
        self.shared.lock().faults.add(serde_json::from_value(rule).unwrap());
    }

    /// As the watch, or a rotated Secret, does.
    pub fn wake(&mut self, name: &str) {
        self.leave(name);
        self.queue.insert((self.clock.monotonic(), name.to_owned()));
    }

    /// Moves both clocks, and counts the calls made so far.
    fn step_to(&mut self, time: Duration) {
        let mut service = self.shared.lock();
        for call in service.log.calls.drain(..) {
            // A read may be of several machines.
            let many = call.body.as_ref().and_then(|body| body["instanceIds"].as_array());
            let many = many.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned));
            let mut instances: BTreeSet<String> = many.collect();
            instances.extend(call.instance);
            for instance in instances {
                *self.calls.entry((instance, call.action.clone())).or_default() += 1;
            }
        }
        let by = time.saturating_sub(self.clock.monotonic());
        service.clock.step(SignedDuration::try_from(by).unwrap()).unwrap();
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.clock.passed.fetch_max(millis, Ordering::SeqCst);
    }

    /// Lets time pass, with a pass over each object whenever it is due.
    pub async fn pass_time(&mut self, time: Duration) {
        let end = self.clock.monotonic() + time;
        loop {
            let reads = self.clock.monotonic() + read_due(&self.ctx).await;
            self.hear();
            let next = self.queue.first().cloned().filter(|(due, _)| *due <= reads);
            let Some((due, name)) = next else {
                // Whole milliseconds, as the clock counts them.
                let reads = reads.max(self.clock.monotonic()) + Duration::from_millis(1);
                if reads > end {
                    break;
                }
                self.step_to(reads);
                continue;
            };
            if due > end {
                break;
            }
            self.queue.pop_first();
            self.step_to(due.max(self.clock.monotonic()));
            let next = self.look_at(&name).await;
            if let Some(pause) = next {
                // Whole milliseconds, as the clock counts them.
                let pause = Duration::from_millis(pause.as_millis().try_into().unwrap());
                self.queue.insert((self.clock.monotonic() + pause, name));
            }
        }
        self.step_to(end);
    }

    /// One pass, and the pause after it, as the controller's shell has it.
    async fn look_at(&mut self, name: &str) -> Option<Duration> {
        *self.passes.entry(name.to_owned()).or_default() += 1;
        let object = Arc::new(self.store.get(name));
        let uid = object.metadata.uid.clone().unwrap();
        let next = match Box::pin(reconcile(object, &self.ctx)).await {
            Ok(next) => next,
            Err(StoreError::Conflict | StoreError::Gone) => NextLook::Backoff,
            Err(error) => panic!("{name}: {error}"),
        };
        self.hear();
        match next {
            NextLook::After(pause) => {
                self.failures.remove(&uid);
                Some(pause)
            }
            NextLook::Backoff => {
                let count = self.failures.entry(uid.clone()).or_default();
                *count += 1;
                Some(backoff::pause(*count, &self.ctx.defaults.timing, &uid))
            }
            NextLook::OnChange => None,
            NextLook::WhenTold(pause) => Some(pause),
        }
    }

    /// Objects that are to be looked at now.
    fn hear(&mut self) {
        for (_, woken) in self.ctx.waker.take() {
            if !self.gone.contains(&woken) {
                self.wake(&woken);
            }
        }
    }

    /// Forgets what was counted.
    pub fn count_anew(&mut self) {
        self.step_to(self.clock.monotonic());
        self.calls.clear();
        self.passes.clear();
        self.store.with(|table| table.writes.clear());
    }

    /// Looks at it no more.
    pub fn leave(&mut self, name: &str) {
        self.queue.retain(|(_, other)| other != name);
    }

    /// Not looked at any more.
    pub fn retire(&mut self, name: &str) {
        self.leave(name);
        self.gone.insert(name.to_owned());
    }

    pub fn delete(&mut self, name: &str) {
        self.retire(name);
        self.store.with(|table| table.objects.remove(name));
    }

    pub fn writes_of(&self, name: &str) -> usize {
        self.store.with(|table| table.writes.get(name).copied().unwrap_or_default())
    }

    pub fn calls_of(&self, name: &str, action: &str) -> usize {
        self.calls.get(&(name.to_owned(), action.to_owned())).copied().unwrap_or_default()
    }

    pub fn all_calls_of(&self, name: &str) -> usize {
        self.calls.iter().filter(|((of, _), _)| of == name).map(|(_, count)| count).sum()
    }
}
