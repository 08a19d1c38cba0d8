//! Each code of the error table, forced by the simulator on ModifyInstanceType: where the object
//! ends up, and what it costs in the day that follows.
//!
//! A day can't pass on a real API server, so there is none here. All else is the product: the
//! production reconcile and HTTP client against the simulator's HTTP skin, in one process, under
//! one virtual clock. In place of Kubernetes stands a table, and in place of kube's scheduler a
//! queue that obeys the next look of each pass. Catalogue and prices are cached by the real clock,
//! so of those calls only their absence says something here.
//!
//! What is called at a pace of its own is followed for two hours and not for the day, because its
//! calls are many; `WHOLE_DAY=1` follows all of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::NonZeroU32,
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
use zenlayer_vm_operator::{
    api::{Phase, VmInstance, VmInstanceStatus},
    controller::{Clock, Context, Counted, OrderLedger, Store, StoreError, reconcile},
    lifecycle::{Defaults, Event, NextLook, SecretState, Slot, SlotRecord, backoff},
    sim::{
        config::Config,
        http::{Shared, bind, serve},
    },
    telemetry::Metrics,
    zenlayer::{Client, ClientOptions, Credentials, Endpoint, InstanceId, error::TABLE},
};

use crate::{
    harness::{
        simulator::{KEY_ID, KEY_PASSWORD},
        table,
    },
    stage::{Rules, Stage, message, shown},
};

/// How often the paid call is made in the day after it was refused.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Again {
    /// Never, nor is anything read but the instance, at the pace of the drift look.
    Never,
    EachHalfHour,
    /// At the pace of the drift look.
    EachFiveMinutes,
    /// With pauses that grow to five minutes.
    Soon,
    /// Nobody knows whether it landed: twice more, each after its fence, then a person is asked.
    TwiceMore,
}
use Again::*;

/// Code, HTTP status, phase and reason, calls in the following day.
const ROWS: &[(&str, u16, &str, &str, Again)] = &[
    ("INTERNAL_SERVER_ERROR", 500, "Submitting", "OutcomeUnknown", TwiceMore),
    ("SERVICE_TEMPORARY_UNAVAILABLE", 503, "Submitting", "OutcomeUnknown", TwiceMore),
    ("REQUEST_TIMED_OUT", 503, "Submitting", "OutcomeUnknown", TwiceMore),
    ("AUTHFAILURE_INVALID_AUTHORIZATION", 401, "Failed", "CredentialsRejected", Never),
    ("AUTHFAILURE_SIGNATURE_FAILURE", 401, "Failed", "CredentialsRejected", Never),
    ("AUTHFAILURE_SIGNATURE_EXPIRED", 401, "Failed", "ClockSkewed", EachFiveMinutes),
    ("AUTHFAILURE_UNAUTHORIZED_OPERATION", 401, "Failed", "PermissionDenied", Never),
    ("MISSING_PARAMETER", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_TYPE", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_EXCEED_MAXIMUM", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_LESS_MINIMUM", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_EXCEED_LENGTH", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_LESS_LENGTH", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_PATTERN_ERROR", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_DATE_FORMAT_ERROR", 400, "Failed", "RequestInvalid", Never),
    ("INVALID_PARAMETER_VALUE", 400, "Failed", "RequestInvalid", Never),
    ("OPERATION_FAILED_FOR_RECYCLE_RESOURCE", 403, "Failed", "InstanceRecycled", Never),
    ("OPERATION_FAILED_RESOURCE_GROUP_NOT_FOUND", 404, "Failed", "ResourceGroupNotFound", Never),
    ("OPERATION_FAILED_RESOURCE_NOT_FOUND", 404, "Failed", "InstanceNotFound", Never),
    ("INVALID_INSTANCE_NOT_FOUND", 404, "Failed", "InstanceNotFound", Never),
    ("INVALID_INSTANCE_TYPE_NOT_CHANGED", 400, "Waiting", "ReadsDisagree", Soon),
    ("OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED", 400, "Failed", "InstanceTypeUnsupported", Never),
    ("OPERATION_DENIED_INSTANCE_EXIST_PLAN", 403, "Waiting", "ForeignPlan", Soon),
    ("OPERATION_DENIED_INSTANCE_PLAN_PROCESSING", 403, "Waiting", "ForeignPlan", Soon),
    ("UNSUPPORTED_OPERATION_INSTANCE_STATUS", 400, "Waiting", "InstanceBusy", Soon),
    ("UNSUPPORTED_OPERATION_ZONE_NOT_SUPPORT", 400, "Failed", "ZoneNotSupported", Never),
    ("UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE", 400, "Failed", "InstanceRecycled", Never),
    ("INVALID_PRODUCT_NOT_FOUND", 404, "Failed", "InstanceTypeNotFound", Never),
    ("OPERATION_DENIED_DOWNGRADE_NOT_EXIST", 403, "Waiting", "ReadsDisagree", Soon),
    ("OPERATION_DENIED_INSTANCE_RECYCLED", 403, "Failed", "InstanceRecycled", Never),
    ("OPERATION_DENIED_INSTANCE_NOT_STOPPED", 403, "Waiting", "InstanceBusy", Soon),
    ("OPERATION_DENIED_INSTANCE_NOT_RUNNING", 403, "Waiting", "InstanceBusy", Soon),
    ("OPERATION_DENIED_INSTANCE_STATUS", 403, "Waiting", "InstanceBusy", Soon),
    ("INVALID_ZONE_NOT_FOUND", 404, "Failed", "ZoneNotSupported", Never),
    ("INVALID_OPERATION_TIMEOUT", 400, "Submitting", "OutcomeUnknown", TwiceMore),
    ("STOCK_INSUFFICIENT", 400, "Failed", "OutOfStock", EachHalfHour),
    ("RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT", 400, "Failed", "OutOfStock", EachHalfHour),
    ("RESOURCES_SOLDOUT_INSTANCE_TYPE", 400, "Failed", "OutOfStock", EachHalfHour),
    ("REQUEST_LIMIT_EXCEEDED", 429, "Waiting", "RateLimited", Soon),
    // Outside the table.
    ("SOME_NEW_REFUSAL", 400, "Failed", "RefusedByProvider", EachHalfHour),
    ("SOME_NEW_TROUBLE", 500, "Submitting", "OutcomeUnknown", TwiceMore),
    ("SOME_NEW_LIMIT", 429, "Waiting", "RateLimited", Soon),
    ("(a challenge page)", 403, "Failed", "BlockedByEdge", EachFiveMinutes),
    ("(blocked for legal reasons)", 451, "Failed", "BlockedByEdge", EachFiveMinutes),
];

/// The fault that plays a row for an instance, each time.
fn fault(code: &str, status: u16, instance: &str) -> Value {
    let mut fault = match status {
        403 | 451 if code.starts_with('(') => {
            json!({ "kind": "page", "page": if status == 403 { "challenge" } else { "blocked" } })
        }
        _ => json!({ "kind": "error", "code": code, "status": status }),
    };
    fault["action"] = json!("ModifyInstanceType");
    fault["instance"] = json!(instance);
    fault["times"] = json!("always");
    fault
}

/// Time that moves by hand, in milliseconds since the start.
struct Virtual {
    start: Timestamp,
    passed: AtomicU64,
}

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        self.start + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.passed.load(Ordering::SeqCst))
    }
}

/// Kubernetes, as far as one process sees it.
#[derive(Default)]
struct Table {
    objects: BTreeMap<String, VmInstance>,
    slots: HashMap<InstanceId, Slot>,
    orders: OrderLedger,
    secrets: HashMap<String, u32>,
    writes: HashMap<String, usize>,
    version: u64,
}

#[derive(Default)]
pub struct InMemory(Mutex<Table>);

impl InMemory {
    fn with<T>(&self, act: impl FnOnce(&mut Table) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut VmInstance)) {
        self.with(|table| {
            table.version += 1;
            let object = table.objects.get_mut(name).unwrap();
            edit(object);
            object.metadata.resource_version = Some(table.version.to_string());
        });
    }

    pub fn get(&self, name: &str) -> VmInstance {
        self.with(|table| table.objects[name].clone())
    }
}

#[async_trait]
impl Store for InMemory {
    async fn secret(&self, _: &str, name: &str) -> (SecretState, Option<Credentials>) {
        let version = self.with(|table| table.secrets.get(name).copied().unwrap_or(1).to_string());
        let password = SecretString::from(KEY_PASSWORD.to_owned());
        let credentials = Credentials::AccessKey { id: KEY_ID.to_owned(), password };
        (SecretState::Usable { version, expires_requests: true }, Some(credentials))
    }

    async fn slot(&self, instance: &InstanceId) -> Result<Slot, StoreError> {
        Ok(self.with(|table| table.slots.get(instance).cloned().unwrap_or_default()))
    }

    async fn write_slot(
        &self,
        instance: &InstanceId,
        read: &Slot,
        record: SlotRecord,
    ) -> Result<Slot, StoreError> {
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

    async fn orders(&self) -> Result<OrderLedger, StoreError> {
        Ok(self.with(|table| table.orders.clone()))
    }

    async fn write_orders(
        &self,
        read: &OrderLedger,
        record: Vec<Counted>,
    ) -> Result<(), StoreError> {
        self.with(|table| {
            if table.orders.version != read.version {
                return Err(StoreError::Conflict);
            }
            table.version += 1;
            table.orders = OrderLedger { version: Some(table.version.to_string()), record };
            Ok(())
        })
    }

    async fn write_status(
        &self,
        object: &VmInstance,
        status: &VmInstanceStatus,
    ) -> Result<Arc<VmInstance>, StoreError> {
        let name = object.metadata.name.clone().unwrap();
        if self.get(&name).metadata.resource_version != object.metadata.resource_version {
            return Err(StoreError::Conflict);
        }
        self.edit(&name, |held| held.status = Some(status.clone()));
        self.with(|table| *table.writes.entry(name.clone()).or_default() += 1);
        Ok(Arc::new(self.get(&name)))
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
type Calls = BTreeMap<(String, String), usize>;

/// One process with its own time: objects `vm-0`, `vm-1`, … of type c.1c2g that declare c.2c4g.
pub struct Lab {
    clock: Arc<Virtual>,
    shared: Arc<Shared>,
    pub store: Arc<InMemory>,
    ctx: Context,
    /// When each object is looked at next.
    queue: BTreeSet<(Duration, String)>,
    failures: HashMap<String, u32>,
    passes: HashMap<String, usize>,
    calls: Calls,
}

impl Lab {
    pub async fn given(objects: usize) -> Self {
        // The order limit is not what is looked at here.
        Self::limited(objects, 3000).await
    }

    pub async fn limited(objects: usize, max_orders_per_hour: u32) -> Self {
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
        let store = Arc::new(InMemory::default());
        let plenty = NonZeroU32::new(1_000_000).unwrap();
        let options =
            ClientOptions { requests_per_second: plenty, burst: plenty, ..Default::default() };
        let signing = clock.clone();
        let cloud = Client::new(
            Endpoint::parse(&endpoint, false).unwrap(),
            options,
            Arc::new(move || signing.now()),
        );
        let defaults = Defaults { max_orders_per_hour, ..Defaults::default() };
        let ctx = Context::new(
            Arc::new(cloud.unwrap()),
            store.clone(),
            clock.clone(),
            defaults,
            Metrics::default(),
        );
        let mut lab = Self {
            clock,
            shared,
            store,
            ctx,
            queue: BTreeSet::new(),
            failures: HashMap::new(),
            passes: HashMap::new(),
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

    fn fault(&self, rule: Value) {
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
            let instance = call.instance.unwrap_or_default();
            *self.calls.entry((instance, call.action)).or_default() += 1;
        }
        let by = time.saturating_sub(self.clock.monotonic());
        service.clock.step(SignedDuration::try_from(by).unwrap()).unwrap();
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.clock.passed.fetch_max(millis, Ordering::SeqCst);
    }

    /// Lets time pass, with a pass over each object whenever it is due.
    pub async fn pass_time(&mut self, time: Duration) {
        let end = self.clock.monotonic() + time;
        while let Some((due, name)) = self.queue.first().cloned()
            && due <= end
        {
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
        match reconcile(object, &self.ctx).await.unwrap() {
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
    fn leave(&mut self, name: &str) {
        self.queue.retain(|(_, other)| other != name);
    }

    pub fn delete(&mut self, name: &str) {
        self.leave(name);
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

const PAID: &str = "ModifyInstanceType";

/// Phase and reason.
fn stands(object: &VmInstance) -> (Phase, String) {
    let phase = object.status.as_ref().unwrap().phase.unwrap();
    let ready = shown(object, "Ready");
    (phase, ready.split_once(' ').unwrap().1.to_owned())
}

#[test]
fn every_code_of_the_table_has_a_row() {
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.0).collect();
    let missing: Vec<_> = TABLE.iter().filter(|(code, _)| !rows.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(rows.len(), ROWS.len());
}

/// For how many hours a row is followed.
fn hours(again: Again) -> usize {
    match again {
        Never | EachHalfHour | TwiceMore => 24,
        _ if std::env::var_os("WHOLE_DAY").is_some() => 24,
        EachFiveMinutes | Soon => 2,
    }
}

/// How many calls there may be in so many hours, with the spread of pauses by a tenth; failures
/// that pass begin with shorter pauses.
fn paid_calls(again: Again, hours: usize) -> std::ops::RangeInclusive<usize> {
    match again {
        Never => 0..=0,
        EachHalfHour => hours * 5 / 3..=hours * 9 / 4,
        EachFiveMinutes => hours * 10..=hours * 14,
        Soon => hours * 10..=hours * 14 + 6,
        TwiceMore => 2..=2,
    }
}

#[tokio::test]
async fn each_code_leads_to_its_phase_and_to_its_calls_in_the_following_day() {
    let mut lab = Lab::given(ROWS.len()).await;
    for (index, (code, status, ..)) in ROWS.iter().enumerate() {
        lab.fault(fault(code, *status, &format!("vm-{index}")));
    }
    lab.pass_time(Duration::from_secs(4)).await;
    let first: Vec<VmInstance> =
        (0..ROWS.len()).map(|index| lab.store.get(&format!("vm-{index}"))).collect();
    for (index, (code, ..)) in ROWS.iter().enumerate() {
        assert_eq!(lab.calls_of(&format!("vm-{index}"), PAID), 1, "{code}");
    }
    lab.count_anew();
    let hour = Duration::from_secs(3600);
    lab.pass_time(2 * hour).await;
    for (index, row) in ROWS.iter().enumerate().filter(|(_, row)| hours(row.4) == 2) {
        assert!(lab.calls_of(&format!("vm-{index}"), PAID) > 0, "{row:?}");
        lab.leave(&format!("vm-{index}"));
    }
    lab.pass_time(22 * hour).await;

    let head = ["CODE", "HTTP", "PHASE", "REASON", "HOURS", "PAID", "INSTANCE", "PLAN", "WRITES"];
    let mut rows = vec![head.map(str::to_owned)];
    for (index, (code, status, phase, reason, again)) in ROWS.iter().enumerate() {
        let name = format!("vm-{index}");
        let (was, is) = (stands(&first[index]), stands(&lab.store.get(&name)));
        assert_eq!((format!("{:?}", was.0), was.1.as_str()), ((*phase).to_owned(), *reason));
        let text = message(&first[index]);
        if *again != TwiceMore {
            let named = if code.starts_with('(') { "HTTP" } else { *code };
            assert!(text.contains(named), "{code}: {text}");
            assert!(text.contains("; "), "{code}: no next step in {text}");
            let asked = code.starts_with('(') || text.contains(", request T");
            assert!(asked, "{code}: no request id in {text}");
            assert_eq!(was, is, "{code} stands a day later");
        }
        if *again == TwiceMore {
            assert_eq!(is, (Phase::Failed, "OutcomeUnverified".to_owned()), "{code}");
        }
        let paid = lab.calls_of(&name, PAID);
        let hours = hours(*again);
        assert!(paid_calls(*again, hours).contains(&paid), "{code}: {paid} paid calls, {again:?}");
        let (reads, plans) = (
            lab.calls_of(&name, "DescribeInstances"),
            lab.calls_of(&name, "DescribeInstanceTypeStatus"),
        );
        let writes = lab.writes_of(&name);
        if *again == Never {
            // One read of the instance for each drift look, and nothing else at all.
            assert_eq!(lab.all_calls_of(&name), reads, "{code}: {:?}", lab.calls);
            assert_eq!(reads, lab.passes[&name], "{code}");
            assert!((262..=320).contains(&reads), "{code}: {reads} drift looks");
            assert_eq!(writes, 0, "{code}: writes of an unchanged status");
        }
        let counts = [paid, reads, plans, writes].map(|count| count.to_string());
        let [paid, reads, plans, writes] = counts;
        let cells = [*code, &status.to_string(), *phase, *reason].map(str::to_owned);
        let [code, status, phase, reason] = cells;
        rows.push([code, status, phase, reason, hours.to_string(), paid, reads, plans, writes]);
    }
    assert_eq!(lab.shared.lock().world.books().orders.len(), 0, "nothing was ordered");
    table::show("Each code on ModifyInstanceType, and the calls of the day that follows", &rows);
}

/// What lets a refused call be made again.
const REARMS: [&str; 4] = ["annotation", "spec", "Secret", "instance"];

impl Lab {
    fn rearm(&mut self, name: &str, by: &str, value: &str) {
        match by {
            "annotation" => self.store.edit(name, |object| {
                let annotations = object.metadata.annotations.get_or_insert_default();
                annotations.insert("vm.zenlayer.com/retry-at".to_owned(), value.to_owned());
            }),
            "spec" => self.store.edit(name, |object| {
                object.spec.instance_type_id = "c.4c8g".to_owned();
                object.metadata.generation = Some(2);
            }),
            "Secret" => self.store.with(|table| {
                table.secrets.insert(name.to_owned(), 2);
            }),
            _ => {
                let stopped = json!({ "state": "STOPPED" });
                let change = serde_json::from_value(stopped).unwrap();
                let mut service = self.shared.lock();
                let now = self.clock.now();
                service
                    .world
                    .console(
                        now,
                        zenlayer_vm_operator::sim::world::ConsoleChange::Change {
                            id: name.to_owned(),
                            change,
                        },
                    )
                    .unwrap();
            }
        }
        // The watch, the look at Secrets, or the drift look.
        self.wake(name);
    }
}

#[tokio::test]
async fn whatever_a_refusal_rests_on_lets_the_call_be_made_once_more() {
    let terminal: Vec<_> = ROWS.iter().filter(|row| row.4 == Never).collect();
    let mut lab = Lab::given(terminal.len() * REARMS.len()).await;
    let mut cases = Vec::new();
    for row in &terminal {
        for by in REARMS {
            let name = format!("vm-{}", cases.len());
            lab.fault(fault(row.0, row.1, &name));
            cases.push((name, row.0, by));
        }
    }
    lab.pass_time(Duration::from_secs(4)).await;
    lab.count_anew();
    for (name, _, by) in &cases {
        lab.rearm(name, by, "1");
    }
    // A changed instance is seen at one look, and acted on at the next.
    lab.pass_time(Duration::from_secs(340)).await;
    for (name, code, by) in &cases {
        assert_eq!(lab.calls_of(name, PAID), 1, "{code} after another {by}");
        assert_eq!(stands(&lab.store.get(name)).0, Phase::Failed, "{code} after another {by}");
    }
    // The same annotation again is no new word of anybody.
    lab.count_anew();
    for (name, ..) in &cases {
        lab.wake(name);
    }
    lab.pass_time(Duration::from_secs(340)).await;
    for (name, code, by) in &cases {
        assert_eq!(lab.calls_of(name, PAID), 0, "{code} after another {by}");
    }
    println!("{} codes were made again by each of {REARMS:?}, once", terminal.len());
}

/// On the real API server, with the real pauses: the drift look is 5 minutes away.
#[tokio::test]
async fn a_changed_secret_wakes_its_object_within_a_minute_though_nobody_may_list_or_watch_secrets()
{
    let rules = Rules::of_deploy();
    for rule in rules.cluster.iter().chain(&rules.slots) {
        let secrets = rule.resources.iter().flatten().any(|resource| resource == "secrets");
        assert!(!secrets || rule.verbs == ["get"], "{rule:?}");
    }
    let instances = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-2, type: c.1c2g, chargeType: POSTPAID }
";
    let stage = Stage::given(instances).await;
    stage.secret("wrong", json!({ "token": "wrong" })).await;
    let operator = stage.operator_at_its_own_pace();
    operator.ready().await;
    for (name, secret) in [("vm-1", "wrong"), ("vm-2", "missing")] {
        let spec = json!({
            "instanceId": name, "instanceTypeId": "c.2c4g",
            "credentials": { "secretRef": { "name": secret } },
        });
        stage.create(name, spec).await;
        stage.until_phase(&operator, name, Phase::Failed).await;
    }
    // At once, before anybody has looked at the Secrets for the first time.
    let changed = std::time::Instant::now();
    stage.credentials("wrong").await;
    stage.credentials("missing").await;
    for name in ["vm-1", "vm-2"] {
        stage
            .until(&operator, name, "is ordered", |object| {
                object.status.as_ref().is_some_and(|status| status.order_number.is_some())
            })
            .await;
    }
    let passed = changed.elapsed();
    assert!(passed < Duration::from_secs(60), "{passed:?}");
    println!("ordered {:.1} s after the Secrets were changed", passed.as_secs_f64());
}
