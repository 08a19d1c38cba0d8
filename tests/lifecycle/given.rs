//! The one builder of what a pass is given. `given()` is an object whose change may be ordered; every
//! method moves one thing away from that.
//!
//! What this process knows, it has known for ever unless a test says otherwise, so that the clock of
//! the provider decides alone whether a fence has passed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;
use serde_json::{Value, json};
use zenlayer::{
    Answer, ApiError, ChargeType, Instance, InstanceId, InstanceState, InstanceTypeId, Offer,
    OrderNumber, PlanState, ReadError, Reading, RequestId, TypeStatus,
};
use zenlayer_vm_operator::{
    api::{
        self, CANCEL_PLAN_ANNOTATION, ChangeKind, ChangeState, CredentialsRef, HistoryEntry,
        HistoryOutcome, ManagementPolicy, POWER_FINALIZER, PrepaidDowngrade, PrepaidUpgrade,
        RELEASE_ANNOTATION, REQUESTED_AT_ANNOTATION, Reason, Strategy, Target, VmInstance,
        VmInstanceSpec, VmInstanceStatus,
    },
    lifecycle::{
        Action, Change, ChangeId, Claim, Decision, Defaults, Desired, Expectation, Holder, Holders,
        Holding, HoldingState, Known, LaneName, Memory, ObjectKey, Observed, Order, OrderCount,
        Outcome, Owner, Peer, PerLane, Prices, Read, Restore, SecretState, Selection, Since, Size,
        Slot, SlotRecord, Trouble, TypePrice, Verdict, decide, needs, settle, speaks_of_rest,
    },
};

pub const SMALL: &str = "c.1c2g";
pub const LARGE: &str = "c.2c4g";
pub const HUGE: &str = "c.4c8g";
pub const UID: &str = "0c5b8a8e-0000-4000-8000-000000000001";
pub const CREDENTIAL: &str = "digest-77";

/// For how long this process has known everything.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

/// The moment of every decision, `seconds` later (or earlier).
pub fn at(seconds: i64) -> Timestamp {
    let now: Timestamp = "2026-03-01T10:42:07Z".parse().unwrap();
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn type_id(name: &str) -> InstanceTypeId {
    InstanceTypeId::new(name).unwrap()
}

pub fn order(number: &str) -> Option<OrderNumber> {
    Some(OrderNumber::new(number).unwrap())
}

pub fn request(id: &str) -> Option<RequestId> {
    Some(RequestId::new(id).unwrap())
}

pub fn api_error(status: u16, code: Option<&str>) -> ApiError {
    ApiError {
        status,
        code: code.map(str::to_owned),
        message: "the provider's text".into(),
        request_id: request("T-REQUEST"),
        retry_after: None,
    }
}

pub fn refused(status: u16, code: &str) -> Answer {
    Answer::Refused(api_error(status, Some(code)))
}

pub fn not_sent() -> Answer {
    Answer::NotSent { cause: "connection refused".into() }
}

pub fn no_answer() -> Answer {
    Answer::Unknown { cause: "time-out".into() }
}

pub fn read_error(status: u16, code: Option<&str>) -> ReadError {
    ReadError::Api { error: api_error(status, code), date: Some(at(0)), sent_at: at(0) }
}

pub fn transport() -> ReadError {
    ReadError::Transport { cause: "connection reset".into() }
}

// ---- Changes ----

/// A change of this object from SMALL to LARGE, its call made `ago` seconds before now.
pub fn given_change(state: ChangeState, ago: i64) -> Change {
    let started_at = at(-ago);
    let answered = match state {
        ChangeState::Accepted | ChangeState::Observed => true,
        ChangeState::Submitting | ChangeState::Unverified => false,
    };
    Change {
        id: ChangeId::new(UID, started_at),
        kind: ChangeKind::Modify,
        from: type_id(SMALL),
        to: type_id(LARGE),
        target_generation: 3,
        state,
        adopted: false,
        direction: None,
        size: Size::default(),
        started_at,
        fence: Some(at(600 - ago)),
        submitted_at: answered.then_some(started_at),
        seen_at: None,
        effective_at: None,
        deadline: Some(at(1800 - ago)),
        order_number: if answered { order("3471") } else { None },
        request_id: if answered { request("T-ORDER") } else { None },
    }
}

/// A call of this kind on the way from SMALL to LARGE; a cancellation takes LARGE back.
pub fn given_call(kind: ChangeKind, state: ChangeState, ago: i64) -> Change {
    let change = given_change(state, ago);
    let limit = match kind {
        ChangeKind::Stop | ChangeKind::Start => 300,
        ChangeKind::Modify | ChangeKind::CancelDowngrade => 1800,
    };
    let (from, to) = match kind {
        ChangeKind::CancelDowngrade => (LARGE, SMALL),
        ChangeKind::Modify | ChangeKind::Stop | ChangeKind::Start => (SMALL, LARGE),
    };
    Change {
        kind,
        from: type_id(from),
        to: type_id(to),
        deadline: Some(at(limit - ago)),
        order_number: None,
        request_id: None,
        ..change
    }
}

pub fn to(change: Change, to: &str) -> Change {
    Change { to: type_id(to), ..change }
}

pub fn without_fence(change: Change) -> Change {
    Change { fence: None, ..change }
}

/// A change that ended an hour ago.
pub fn given_entry(from: &str, to: &str, generation: i64, outcome: HistoryOutcome) -> HistoryEntry {
    HistoryEntry {
        id: format!("0c5b8a8e-{from}-{to}-{generation}"),
        kind: ChangeKind::Modify,
        from: from.into(),
        to: to.into(),
        adopted: false,
        target_generation: generation,
        order_number: Some("3400".into()),
        request_id: None,
        started_at: Time(at(-4000)),
        ended_at: Time(at(-3600)),
        outcome,
    }
}

pub fn offer(name: &str, cores: i64, memory: i64) -> Offer {
    Offer {
        zone_id: "SEL-A".into(),
        type_id: type_id(name),
        name: None,
        cpu_count: Some(cores),
        memory_gib: Some(memory),
        bandwidth_limit: None,
        internet_charge_types: Vec::new(),
    }
}

pub fn trouble(reason: Reason, person: bool, again_in: u64) -> Trouble {
    Trouble {
        reason,
        problem: "the trouble of another object".into(),
        person,
        again_in: secs(again_in),
    }
}

// ---- What a pass is given ----

/// What one pass is given.
#[derive(Clone)]
pub struct Given {
    pub object: VmInstance,
    pub observed: Observed,
    pub defaults: Defaults,
    pub now: Timestamp,
    /// What becomes of the action; without it, a call is accepted and all else is done.
    pub outcome: Option<Outcome>,
    list_prices: ListPrices,
}

/// What the price list says of the type in effect and of the declared one.
#[derive(Clone)]
enum ListPrices {
    Unread,
    /// Read for what is not POSTPAID, and it names no price.
    Unnamed,
    Known(i64, i64),
    /// Of these types.
    Of(Prices),
    Failed(ReadError),
}

/// A POSTPAID instance of type SMALL that runs, declared LARGE since generation 3; all reads are fresh,
/// made for a call, and carry a Date; the slot is free, nothing is remembered.
pub fn given() -> Given {
    let spec = VmInstanceSpec {
        instance_id: "vm-1".into(),
        instance_type_id: LARGE.into(),
        credentials: CredentialsRef::default(),
        management_policy: ManagementPolicy::Enforce,
        suspend: false,
        prepaid_upgrade: None,
        prepaid_downgrade: None,
        strategy: Strategy::InPlace,
    };
    let mut object = VmInstance::new("web", spec);
    object.metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some("web".into()),
        uid: Some(UID.into()),
        generation: Some(3),
        resource_version: Some("1".into()),
        ..ObjectMeta::default()
    };
    Given {
        object,
        observed: observed(),
        defaults: Defaults::default(),
        now: at(0),
        outcome: None,
        list_prices: ListPrices::Unnamed,
    }
}

fn reading<T>(value: T) -> Reading<Option<T>> {
    Reading { value: Some(value), date: Some(at(0)), sent_at: at(0) }
}

fn observed() -> Observed {
    let instance = Instance {
        id: InstanceId::new("vm-1").unwrap(),
        name: Some("web".into()),
        zone_id: Some("SEL-A".into()),
        type_id: type_id(SMALL),
        state: InstanceState::Running,
        charge_type: ChargeType::Postpaid,
        cpu_count: Some(1),
        memory_gib: Some(2),
        bandwidth_out: None,
        internet_charge_type: None,
        system_disk: None,
        expires_at: None,
        auto_renew: None,
    };
    let plan = TypeStatus { current: type_id(SMALL), target: None, state: None };
    Observed {
        memory: Ok(Memory::default()),
        status_is_current: true,
        secret: SecretState::Usable { digest: CREDENTIAL.into(), expires_requests: true },
        claim: Claim::Owner,
        since: Since {
            lanes: PerLane { of_type: Known(FOR_EVER), of_power: Known(FOR_EVER) },
            spec: FOR_EVER,
            missing: None,
            undone: Some(FOR_EVER),
            disagree: None,
            plan_is_due: false,
        },
        instance: Some(Ok(reading(instance))),
        plan: Some(Ok(reading(plan))),
        slot: Some(Ok(Slot::default())),
        slot_is_anew: true,
        holders: Holders::default(),
        orders: Some(Ok(OrderCount::default())),
        catalogue: Some(Ok(Vec::new())),
        prices: None,
        for_a_call: true,
        quota: None,
        trouble: None,
        account: None,
        refused_in_a_row: 0,
        served_by: Vec::new(),
    }
}

/// The decision and the verdict of one pass.
pub struct Pass {
    pub desired: Desired,
    pub decision: Decision,
    pub verdict: Verdict,
}

// ---- What is declared ----

impl Given {
    pub fn wants(mut self, name: &str) -> Self {
        self.object.spec.instance_type_id = name.into();
        self
    }

    pub fn generation(mut self, generation: i64) -> Self {
        self.object.metadata.generation = Some(generation);
        self
    }

    pub fn suspended(mut self) -> Self {
        self.object.spec.suspend = true;
        self
    }

    pub fn observing(mut self) -> Self {
        self.object.spec.management_policy = ManagementPolicy::Observe;
        self
    }

    pub fn stop_first(mut self) -> Self {
        self.object.spec.strategy = Strategy::StopFirst;
        self
    }

    pub fn denies_upgrades(mut self) -> Self {
        self.object.spec.prepaid_upgrade = Some(PrepaidUpgrade::Deny);
        self
    }

    pub fn denies_downgrades(mut self) -> Self {
        self.object.spec.prepaid_downgrade = Some(PrepaidDowngrade::Deny);
        self
    }

    fn annotated(mut self, key: &str, value: &str) -> Self {
        let annotations = self.object.metadata.annotations.get_or_insert_default();
        annotations.insert(key.into(), value.into());
        self
    }

    pub fn released(self, id: &str) -> Self {
        self.annotated(RELEASE_ANNOTATION, id)
    }

    pub fn requested_at(self, value: &str) -> Self {
        self.annotated(REQUESTED_AT_ANNOTATION, value)
    }

    pub fn cancel_plan(self, value: &str) -> Self {
        self.annotated(CANCEL_PLAN_ANNOTATION, value)
    }

    /// The object is being deleted since so long; its finalizer is as it was.
    pub fn deleted(mut self, ago: i64) -> Self {
        self.object.metadata.deletion_timestamp = Some(Time(at(-ago)));
        self
    }

    pub fn finalizer(mut self, set: bool) -> Self {
        self.object.metadata.finalizers = set.then(|| vec![POWER_FINALIZER.to_owned()]);
        self
    }
}

// ---- What is remembered ----

impl Given {
    pub fn status(&mut self) -> &mut VmInstanceStatus {
        self.object.status.get_or_insert_default()
    }

    /// This change stands in the status; the slot is as it was.
    pub fn remembering(mut self, change: &Change) -> Self {
        let status = self.status();
        match change.lane() {
            LaneName::Type => status.change = Some(change.to_api().into()),
            LaneName::Power => status.power.change = Some(change.to_api().into()),
        }
        if change.kind == ChangeKind::Modify {
            status.order_number = change.order_number.clone().map(String::from);
            status.request_id = change.request_id.clone().map(String::from);
        }
        self
    }

    pub fn target(mut self, name: &str, since_generation: i64) -> Self {
        self.status().target = Some(Target { type_id: name.into(), since_generation });
        self
    }

    pub fn ended(mut self, entry: HistoryEntry) -> Self {
        self.status().history.push(entry);
        self
    }

    pub fn handled_release(mut self, id: &str) -> Self {
        self.status().handled.release = Some(id.into());
        self
    }

    pub fn handled_retry(mut self, value: &str) -> Self {
        self.status().handled.requested_at = Some(value.into());
        self
    }

    pub fn handled_cancel(mut self, value: &str) -> Self {
        self.status().handled.cancel_plan = Some(value.into());
        self
    }

    pub fn withdrawn(mut self, change: &Change) -> Self {
        self.status().withdrawn = Some(change.id.0.clone());
        self
    }
}

// ---- What the provider shows ----

impl Given {
    pub fn instance(mut self, change: impl FnOnce(&mut Instance)) -> Self {
        if let Some(Ok(Reading { value: Some(instance), .. })) = &mut self.observed.instance {
            change(instance);
        }
        self
    }

    pub fn type_status(mut self, change: impl FnOnce(&mut TypeStatus)) -> Self {
        if let Some(Ok(Reading { value: Some(status), .. })) = &mut self.observed.plan {
            change(status);
        }
        self
    }

    /// Both reads show this type.
    pub fn of_type(self, name: &str) -> Self {
        self.instance(|instance| instance.type_id = type_id(name))
            .type_status(|status| status.current = type_id(name))
    }

    pub fn state(self, state: &str) -> Self {
        self.instance(|instance| instance.state = InstanceState::from_wire(state))
    }

    /// Billed in advance; the cycle ends in ten days.
    pub fn prepaid(self) -> Self {
        self.instance(|instance| {
            instance.charge_type = ChargeType::Prepaid;
            instance.expires_at = Some(at(864_000));
        })
    }

    pub fn charged(self, kind: &str) -> Self {
        self.instance(|instance| instance.charge_type = ChargeType::from_wire(kind))
    }

    /// `DescribeInstanceTypeStatus` shows this target and state.
    pub fn plan(self, target: Option<&str>, state: Option<&str>) -> Self {
        self.type_status(|status| {
            status.target = target.map(type_id);
            status.state = state.map(PlanState::from_wire);
        })
    }

    pub fn processing(self, target: &str) -> Self {
        self.plan(Some(target), Some("Processing"))
    }

    pub fn scheduled(self, target: &str) -> Self {
        self.plan(Some(target), Some("WaitToEnable"))
    }

    /// Since so many seconds, nothing shows of an effect that was seen.
    pub fn undone_for(mut self, seconds: u64) -> Self {
        self.observed.since.undone = Some(secs(seconds));
        self
    }

    /// The instance is not there, for long enough to be believed.
    pub fn gone(self) -> Self {
        self.missing_for(3600)
    }

    /// The instance is not there since so long.
    pub fn missing_for(mut self, seconds: u64) -> Self {
        let read = Reading { value: None, date: Some(self.now), sent_at: self.now };
        self.observed.instance = Some(Ok(read));
        self.observed.plan = None;
        self.observed.since.missing = Some(secs(seconds));
        self
    }

    pub fn instance_fails(mut self, error: ReadError) -> Self {
        self.observed.instance = Some(Err(error));
        self.observed.plan = None;
        self
    }

    pub fn plan_fails(mut self, error: ReadError) -> Self {
        self.observed.plan = Some(Err(error));
        self
    }

    /// The type status knows no such instance.
    pub fn plan_is_missing(mut self) -> Self {
        let read = Reading { value: None, date: Some(self.now), sent_at: self.now };
        self.observed.plan = Some(Ok(read));
        self
    }

    /// Reads work again, and show what they showed at first.
    pub fn read_again(mut self) -> Self {
        self.observed = observed();
        let seconds = self.now.duration_since(at(0)).as_secs();
        self.later(seconds)
    }

    /// Everything can be read, and nothing holds anything back; slot and claim are as they were.
    pub fn all_works(mut self) -> Self {
        let before = std::mem::replace(&mut self.observed, observed());
        self.observed.slot = before.slot.filter(Result::is_ok).or(Some(Ok(Slot::default())));
        self.observed.claim = before.claim;
        if matches!(self.list_prices, ListPrices::Unread | ListPrices::Failed(_)) {
            self.list_prices = ListPrices::Unnamed;
        }
        self
    }

    /// The provider's `Date` on both reads.
    pub fn dated(self, instance: Option<Timestamp>, plan: Option<Timestamp>) -> Self {
        let mut given = self;
        if let Some(Ok(reading)) = &mut given.observed.instance {
            reading.date = instance;
        }
        if let Some(Ok(reading)) = &mut given.observed.plan {
            reading.date = plan;
        }
        given
    }

    pub fn without_date(self) -> Self {
        self.dated(None, None)
    }

    /// Our clock is this far ahead of the provider's.
    pub fn clock_ahead(self, seconds: i64) -> Self {
        let date = Some(at(-seconds));
        self.dated(date, date)
    }

    fn sent_at(mut self, time: Timestamp) -> Self {
        if let Some(Ok(reading)) = &mut self.observed.instance {
            reading.sent_at = time;
        }
        if let Some(Ok(reading)) = &mut self.observed.plan {
            reading.sent_at = time;
        }
        self
    }

    /// Both reads were sent, and dated, this long before the decision.
    pub fn read_ago(self, seconds: i64) -> Self {
        let time = at(-seconds);
        self.sent_at(time).dated(Some(time), Some(time))
    }

    /// All of it happens this much later: reads, dates and decision.
    pub fn later(mut self, seconds: i64) -> Self {
        let date = Some(at(seconds));
        self.now = at(seconds);
        self.sent_at(at(seconds)).dated(date, date)
    }

    pub fn offering(mut self, offers: Vec<Offer>) -> Self {
        self.observed.catalogue = Some(Ok(offers));
        self
    }

    /// List prices of the type in effect and of the declared one.
    pub fn priced(mut self, current: i64, declared: i64) -> Self {
        self.list_prices = ListPrices::Known(current, declared);
        self
    }

    /// List prices of these two types, whatever the instance is of by now.
    pub fn priced_as(mut self, current: (&str, i64), declared: (&str, i64)) -> Self {
        let price = |(name, price): (&str, i64)| TypePrice {
            type_id: type_id(name),
            price: Ok(Some(price.into())),
        };
        self.list_prices =
            ListPrices::Of(Prices { current: price(current), declared: price(declared) });
        self
    }

    pub fn price_fails(mut self, error: ReadError) -> Self {
        self.list_prices = ListPrices::Failed(error);
        self
    }
}

// ---- What was not read, and since when what was read has been known ----

impl Given {
    /// Nothing was read, as at the beginning of every pass.
    pub fn nothing_read(mut self) -> Self {
        self.observed.instance = None;
        self.only_the_instance()
    }

    /// Nothing was read of the cloud.
    pub fn cloud_unread(mut self) -> Self {
        let slot = self.observed.slot.clone();
        self = self.nothing_read();
        self.observed.slot = slot;
        self
    }

    /// The instance was read, and nothing else.
    pub fn only_the_instance(mut self) -> Self {
        let one = &mut self.observed;
        (one.plan, one.slot, one.orders, one.catalogue) = (None, None, None, None);
        one.slot_is_anew = false;
        one.for_a_call = false;
        self.list_prices = ListPrices::Unread;
        self
    }

    pub fn without(mut self, read: Read) -> Self {
        let one = &mut self.observed;
        match read {
            Read::Instance => one.instance = None,
            Read::Plan => one.plan = None,
            Read::Slot => one.slot = None,
            Read::SlotAnew => one.slot_is_anew = false,
            Read::Orders => one.orders = None,
            Read::Catalogue => one.catalogue = None,
            Read::Prices => self.list_prices = ListPrices::Unread,
            Read::ForACall => one.for_a_call = false,
        }
        self
    }

    /// What another world shows is read.
    pub fn read_from(mut self, world: &Self, read: Read) -> Self {
        let (one, shown) = (&mut self.observed, &world.observed);
        match read {
            Read::Instance => one.instance.clone_from(&shown.instance),
            Read::Plan => one.plan = shown.plan.clone().or(observed().plan),
            Read::Slot => one.slot = shown.slot.clone().or(observed().slot),
            Read::SlotAnew => one.slot_is_anew = true,
            Read::Orders => one.orders = shown.orders.clone().or(observed().orders),
            Read::Catalogue => one.catalogue = shown.catalogue.clone().or(observed().catalogue),
            Read::Prices => self.list_prices = ListPrices::Unnamed,
            Read::ForACall => one.for_a_call = true,
        }
        if one.instance.is_none() && ![Read::Slot, Read::SlotAnew].contains(&read) {
            one.instance = observed().instance;
        }
        self
    }

    /// This process has known the records of both lanes for so long.
    pub fn known_for(mut self, seconds: u64) -> Self {
        let known = Known(secs(seconds));
        self.observed.since.lanes = PerLane { of_type: known, of_power: known };
        self
    }

    pub fn spec_known_for(mut self, time: Duration) -> Self {
        self.observed.since.spec = time;
        self
    }

    pub fn disagreeing_for(mut self, seconds: u64) -> Self {
        self.observed.since.disagree = Some(secs(seconds));
        self
    }

    pub fn plan_is_due(mut self) -> Self {
        self.observed.since.plan_is_due = true;
        self
    }
}

// ---- Slot, Secret, claims, limits ----

pub fn given_key(uid: &str) -> ObjectKey {
    ObjectKey { namespace: "shop".into(), name: "web".into(), uid: uid.into() }
}

/// Of another namespace.
pub fn other_key(uid: &str) -> ObjectKey {
    ObjectKey { namespace: "bank".into(), name: "ledger".into(), uid: uid.into() }
}

pub fn holding(change: &Change, object: ObjectKey, state: HoldingState) -> Holding {
    Holding { state, ..change.holding(object) }
}

pub fn accepted_at(at: Timestamp, number: &str) -> HoldingState {
    HoldingState::Accepted { at, order_number: order(number), request_id: request("T-ORDER") }
}

pub fn expectation(change: &Change, until: Timestamp) -> Expectation {
    Expectation {
        change: change.id.clone(),
        kind: change.kind,
        from: change.from.clone(),
        to: change.to.clone(),
        until,
        order_number: change.order_number.clone(),
        request_id: change.request_id.clone(),
    }
}

pub fn restore(stopped_by: &ChangeId, since: Timestamp) -> Restore {
    Restore { power_state: "RUNNING".into(), stopped_by: stopped_by.clone(), object: None, since }
}

/// The name of a lane in the JSON of a slot.
pub fn lane_key(lane: LaneName) -> &'static str {
    match lane {
        LaneName::Type => "type",
        LaneName::Power => "power",
    }
}

impl Given {
    pub fn slot(mut self, record: SlotRecord) -> Self {
        self.observed.slot = Some(Ok(Slot { version: Some("5".into()), record }));
        self
    }

    pub fn free_slot(self) -> Self {
        self.slot(SlotRecord::default())
    }

    pub fn slot_record(&self) -> SlotRecord {
        self.observed.slot().map(|slot| slot.record.clone()).unwrap_or_default()
    }

    /// The JSON of the slot, changed: so a record of any form can be given, also one that no version
    /// writes.
    pub fn raw_slot(self, change: impl FnOnce(&mut Value)) -> Self {
        let mut raw = serde_json::to_value(self.slot_record()).unwrap();
        change(&mut raw);
        self.slot(serde_json::from_value(raw).unwrap())
    }

    pub fn held(self, lane: LaneName, holding: &Holding) -> Self {
        self.raw_slot(|raw| raw[lane_key(lane)]["holding"] = json!(holding))
    }

    /// The change's lane is held by this object's change.
    pub fn holding(self, change: &Change, state: HoldingState) -> Self {
        self.held(change.lane(), &holding(change, given_key(UID), state))
    }

    /// The change's lane is held by a change of another object.
    pub fn held_by(self, uid: &str, change: &Change, state: HoldingState) -> Self {
        self.held(change.lane(), &holding(change, other_key(uid), state))
    }

    pub fn holder_is_gone(mut self) -> Self {
        self.observed.holders =
            PerLane { of_type: Holder::DoesNotCount, of_power: Holder::DoesNotCount };
        self
    }

    /// The change's lane is closed by it until then, by the provider's clock.
    pub fn closed(self, change: &Change, until: Timestamp) -> Self {
        let expects = expectation(change, until);
        self.raw_slot(|raw| raw[lane_key(change.lane())] = json!({ "expects": expects }))
    }

    /// The change's lane is free, and expects nothing.
    pub fn freed(self, change: &Change) -> Self {
        self.raw_slot(|raw| raw[lane_key(change.lane())] = json!({}))
    }

    /// The lane was given back by this change.
    pub fn given_back(self, change: &Change) -> Self {
        let record = self.slot_record().given_back(&change.id).unwrap();
        self.slot(record)
    }

    /// A lane as a later version may have written it.
    pub fn of_another_version(self, lane: LaneName) -> Self {
        self.raw_slot(|raw| raw[lane_key(lane)] = json!({ "holding": { "form": "of the future" } }))
    }

    /// What the machine is brought back to, by the slot.
    pub fn restoring(self, restore: &Restore) -> Self {
        self.raw_slot(|raw| raw["restore"] = json!(restore))
    }

    /// The machine was stopped for a change so long ago: in the status and in the slot; and the object
    /// is kept until it runs again.
    pub fn stopped_for_a_change(mut self, ago: i64) -> Self {
        let restore = restore(&ChangeId::new(UID, at(-ago - 30)), at(-ago));
        self.status().power.restore = Some(api::Restore {
            power_state: restore.power_state.clone(),
            stopped_by: restore.stopped_by.0.clone(),
            since: Time(restore.since),
        });
        self.restoring(&restore).state("STOPPED").finalizer(true)
    }

    pub fn slot_fails(mut self, problem: &str) -> Self {
        self.observed.slot = Some(Err(problem.into()));
        self
    }

    pub fn secret(mut self, secret: SecretState) -> Self {
        self.observed.secret = secret;
        self
    }

    pub fn bearer(self) -> Self {
        self.secret(SecretState::Usable { digest: CREDENTIAL.into(), expires_requests: false })
    }

    pub fn credential(self, digest: &str) -> Self {
        self.secret(SecretState::Usable { digest: digest.into(), expires_requests: true })
    }

    pub fn duplicate_of(mut self, owner: Option<&str>) -> Self {
        let owner = owner.map(|name| Owner { name: name.to_owned(), passive: None });
        self.observed.claim = Claim::Duplicate { owner, young: false };
        self
    }

    /// The change is in flight as production leaves it: in the status and in the slot.
    pub fn in_flight(self, change: &Change) -> Self {
        let known = self.object.status.as_ref().is_some_and(|status| status.target.is_some());
        let given = if known { self } else { self.target(LARGE, 3) };
        let given = given.remembering(change);
        match change.state {
            ChangeState::Submitting => given.holding(change, HoldingState::Open),
            ChangeState::Unverified => given.holding(change, HoldingState::Unverified),
            ChangeState::Accepted => {
                let state = HoldingState::Accepted {
                    at: change.started_at,
                    order_number: change.order_number.clone(),
                    request_id: change.request_id.clone(),
                };
                given.holding(change, state)
            }
            ChangeState::Observed => given.closed(change, at(250)),
        }
    }

    pub fn orders(mut self, count: OrderCount) -> Self {
        self.observed.orders = Some(Ok(count));
        self
    }

    pub fn orders_fail(mut self, problem: &str) -> Self {
        self.observed.orders = Some(Err(problem.into()));
        self
    }

    pub fn in_trouble(mut self, trouble: Trouble) -> Self {
        self.observed.trouble = Some(trouble);
        self
    }

    pub fn served_by(mut self, holder: &str, namespaces: &[&str], selector: &str) -> Self {
        let selection = Selection::parse(namespaces.iter().copied(), selector).unwrap();
        self.observed.served_by.push(Peer { holder: holder.into(), selection });
        self
    }

    pub fn account_refused(mut self, trouble: Trouble) -> Self {
        self.observed.account = Some(trouble);
        self
    }
}

// ---- The pass ----

impl Given {
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    pub fn answered(self, answer: Answer) -> Self {
        self.outcome(Outcome::Answered { answer })
    }

    pub fn desired(&self) -> Desired {
        Desired::from_object(&self.object, &self.defaults).unwrap()
    }

    /// The observation, with what the status says and with the prices of the types that it shows.
    pub fn seen(&self) -> Observed {
        let status = self.object.status.clone().unwrap_or_default();
        Observed {
            memory: Memory::from_status(&status),
            status_is_current: speaks_of_rest(
                &status,
                self.object.metadata.generation.unwrap_or(0),
            ),
            prices: self.prices(),
            ..self.observed.clone()
        }
    }

    fn prices(&self) -> Option<Prices> {
        let instance = self.observed.instance()?;
        let (current, declared) = match &self.list_prices {
            ListPrices::Unread => return None,
            ListPrices::Unnamed if instance.charge_type == ChargeType::Postpaid => return None,
            ListPrices::Unnamed => (Ok(None), Ok(None)),
            ListPrices::Known(current, declared) => {
                (Ok(Some((*current).into())), Ok(Some((*declared).into())))
            }
            ListPrices::Of(prices) => return Some(prices.clone()),
            ListPrices::Failed(error) => (Err(error.clone()), Err(error.clone())),
        };
        let declared_type = InstanceTypeId::new(&*self.object.spec.instance_type_id).unwrap();
        Some(Prices {
            current: TypePrice { type_id: instance.type_id.clone(), price: current },
            declared: TypePrice { type_id: declared_type, price: declared },
        })
    }

    pub fn decide(&self) -> Decision {
        decide(&self.desired(), &self.seen(), self.now)
    }

    /// What has to be read next.
    pub fn needs(&self) -> &'static [Read] {
        needs(&self.desired(), &self.seen(), self.now)
    }

    /// The call that is made.
    pub fn order(&self) -> Order {
        match self.decide().action {
            Action::Call(order) => order,
            action => panic!("no call, but {action:?}"),
        }
    }

    pub fn pass(&self) -> Pass {
        let (desired, observed) = (self.desired(), self.seen());
        let decision = decide(&desired, &observed, self.now);
        let before = self.object.status.clone().unwrap_or_default();
        let outcome = self.outcome.clone().unwrap_or_else(|| match &decision.action {
            Action::Call(order) => Outcome::Answered { answer: accepted(order.change.kind) },
            Action::Nothing | Action::WriteSlot { .. } | Action::SetFinalizer(_) => Outcome::Done,
        });
        let verdict = settle(&desired, &before, &observed, &decision, &outcome, self.now);
        Pass { desired, decision, verdict }
    }

    /// The status that this pass leaves is the one that the next pass starts from; slot and finalizer
    /// are as they were, as if the process had ended before it wrote them.
    pub fn then(mut self) -> Self {
        self.object.status = Some(self.pass().verdict.status);
        self.outcome = None;
        self
    }

    /// The next pass starts from all that this pass leaves: status, slot and finalizer.
    pub fn step(self) -> Self {
        let decision = self.pass().decision;
        let done = !matches!(self.outcome, Some(Outcome::LostRace | Outcome::StoreFailed { .. }));
        let given = self.then();
        if done { given.with_effect(&decision.action) } else { given }
    }

    /// The process ended between the intent and the call: slot and status have it.
    pub fn crashed_before_the_call(mut self) -> Self {
        let order = self.order();
        let before = self.object.status.clone().unwrap_or_default();
        let status = zenlayer_vm_operator::lifecycle::intent(
            &self.desired(),
            &before,
            &self.seen(),
            &order,
            self.now,
        );
        self.object.status = Some(status);
        self.slot(order.taken)
    }

    /// Slot and finalizer as the controller leaves them after this action; what the answer was shows in
    /// the status.
    fn with_effect(self, action: &Action) -> Self {
        match action {
            Action::Nothing => self,
            Action::WriteSlot { record, .. } => self.slot(record.clone()),
            Action::SetFinalizer(set) => self.finalizer(*set),
            Action::Call(order) => {
                let record = self.answered_slot(order);
                self.slot(record)
            }
        }
    }

    fn answered_slot(&self, order: &Order) -> SlotRecord {
        let change = &order.change;
        let status = self.object.status.clone().unwrap_or_default();
        let left = match change.lane() {
            LaneName::Type => status.change,
            LaneName::Power => status.power.change,
        };
        let left = left.filter(|left| left.id == change.id.0);
        match left.map(|left| left.state) {
            Some(ChangeState::Accepted) => {
                let number =
                    (change.kind == ChangeKind::Modify).then(|| order_number(status.order_number));
                let state = HoldingState::Accepted {
                    at: self.now,
                    order_number: number.flatten(),
                    request_id: request("T-ORDER"),
                };
                order.taken.answered(&change.id, state).unwrap()
            }
            Some(_) => order.taken.clone(),
            None => order.taken.given_back(&change.id).unwrap(),
        }
    }
}

fn order_number(number: Option<String>) -> Option<OrderNumber> {
    number.and_then(|number| order(&number))
}

/// Only an order has a number.
fn accepted(kind: ChangeKind) -> Answer {
    let order_number = (kind == ChangeKind::Modify).then(|| order("3471")).flatten();
    Answer::Accepted { order_number, request_id: request("T-ORDER") }
}
