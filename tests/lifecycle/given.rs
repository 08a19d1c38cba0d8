//! The one builder of what a pass is given. `given()` is an object whose change may be submitted;
//! every method moves one thing away from that.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ObjectMeta;
use zenlayer::{
    Answer, ApiError, ChargeType, Instance, InstanceId, InstanceState, InstanceTypeId, Offer,
    OrderNumber, PlanState, ReadError, Reading, RequestId, TypeStatus,
};
use zenlayer_vm_operator::{
    api::{
        CANCEL_PLAN_ANNOTATION, ChangeKind, ChangeState, CredentialsRef, HistoryEntry,
        HistoryOutcome, ManagementPolicy, PrepaidDowngrade, PrepaidUpgrade, RELEASE_ANNOTATION,
        REQUESTED_AT_ANNOTATION, Restore, Strategy, Target, VmInstance, VmInstanceSpec,
        VmInstanceStatus,
    },
    lifecycle::{
        Action, Change, ChangeId, Claim, Decision, Defaults, Desired, Expectation, Holding,
        HoldingState, Memory, ObjectKey, Observed, OrderCount, Outcome, Prices, SecretState, Size,
        Slot, SlotRecord, SlotRestore, Verdict, decide, settle,
    },
};

pub const SMALL: &str = "c.1c2g";
pub const LARGE: &str = "c.2c4g";
pub const HUGE: &str = "c.4c8g";
pub const UID: &str = "0c5b8a8e-0000-4000-8000-000000000001";
pub const VERSION: &str = "77";

/// The moment of every decision, `seconds` later (or earlier).
pub fn at(seconds: i64) -> Timestamp {
    let now: Timestamp = "2026-03-01T10:42:07Z".parse().unwrap();
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap()
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
    }
}

pub fn read_error(status: u16, code: Option<&str>) -> ReadError {
    ReadError::Api { error: api_error(status, code), date: Some(at(0)) }
}

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
        power_state: None,
        size: Size::default(),
        started_at,
        fence: Some(at(600 - ago)),
        submitted_at: answered.then_some(started_at),
        effective_at: None,
        deadline: Some(at(1800 - ago)),
        order_number: if answered { order("3471") } else { None },
        request_id: if answered { request("T-ORDER") } else { None },
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

pub fn given_key(uid: &str) -> ObjectKey {
    ObjectKey { namespace: "shop".into(), name: "web".into(), uid: uid.into() }
}

/// What one pass is given.
#[derive(Clone)]
pub struct Given {
    pub object: VmInstance,
    pub observed: Observed,
    pub defaults: Defaults,
    pub now: Timestamp,
    /// What becomes of the action; without it, a submit is accepted and all else is done.
    pub outcome: Option<Outcome>,
}

/// A POSTPAID instance of type SMALL that runs, declared LARGE since generation 3; reads are fresh
/// and carry a Date, the slot is free, nothing is remembered.
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
    let observed = Observed {
        memory: Ok(Memory::default()),
        secret: SecretState::Usable { version: VERSION.into(), expires_requests: true },
        began_at: at(0),
        instance: Some(Ok(Reading { value: Some(instance), date: Some(at(0)) })),
        plan: Some(Ok(Reading { value: Some(plan), date: Some(at(0)) })),
        slot: Some(Ok(Slot::default())),
        holder_exists: true,
        claim: Claim::Owner,
        catalogue: None,
        prices: Prices::default(),
        orders: None,
    };
    Given { object, observed, defaults: Defaults::default(), now: at(0), outcome: None }
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
}

// ---- What is remembered ----

impl Given {
    pub fn status(&mut self) -> &mut VmInstanceStatus {
        self.object.status.get_or_insert_default()
    }

    /// This change stands in the status; the slot is as it was.
    pub fn remembering(mut self, change: &Change) -> Self {
        let status = self.status();
        status.change = Some(change.to_api());
        status.order_number = change.order_number.clone().map(String::from);
        status.request_id = change.request_id.clone().map(String::from);
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

    /// The status that this pass would leave becomes the one that the next pass starts from.
    pub fn then(mut self) -> Self {
        let pass = self.pass();
        self.object.status = Some(pass.verdict.status);
        self.outcome = None;
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

    pub fn gone(mut self) -> Self {
        self.observed.instance = Some(Ok(Reading { value: None, date: Some(self.now) }));
        self.observed.plan = None;
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
        self.observed.plan = Some(Ok(Reading { value: None, date: Some(self.now) }));
        self
    }

    /// Neither plan nor slot was asked for, as it is when the type agrees and nothing is in flight.
    pub fn only_the_instance(mut self) -> Self {
        self.observed.plan = None;
        self.observed.slot = None;
        self
    }

    /// Nothing was read, as it is while a read stands refused.
    pub fn nothing_read(mut self) -> Self {
        self.observed.instance = None;
        self.only_the_instance()
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

    /// The reads began this long before the decision.
    pub fn read_ago(mut self, seconds: i64) -> Self {
        self.observed.began_at = at(-seconds);
        self
    }

    /// All of it happens this much later: reads, dates and decision.
    pub fn later(mut self, seconds: i64) -> Self {
        let date = Some(at(seconds));
        self.now = at(seconds);
        self.observed.began_at = at(seconds);
        self.dated(date, date)
    }
}

// ---- Slot, Secret, claims ----

pub fn holding(change: &Change, object: ObjectKey, state: HoldingState) -> Holding {
    Holding {
        change: change.id.clone(),
        kind: change.kind,
        object,
        from: change.from.clone(),
        to: change.to.clone(),
        target_generation: change.target_generation,
        started_at: change.started_at,
        fence: change.fence,
        state,
    }
}

pub fn accepted_at(at: Timestamp, number: &str) -> HoldingState {
    HoldingState::Accepted { at, order_number: order(number), request_id: request("T-ORDER") }
}

impl Given {
    pub fn slot(mut self, record: SlotRecord) -> Self {
        self.observed.slot = Some(Ok(Slot { version: Some("5".into()), record }));
        self
    }

    pub fn slot_record(&self) -> SlotRecord {
        self.observed.slot().map(|slot| slot.record.clone()).unwrap_or_default()
    }

    /// The slot is held by this object's change.
    pub fn holding(self, change: &Change, state: HoldingState) -> Self {
        let record = self.slot_record().taken(holding(change, given_key(UID), state));
        self.slot(record)
    }

    /// The slot is held by a change of another object.
    pub fn held_by(self, uid: &str, change: &Change, state: HoldingState) -> Self {
        let key = ObjectKey { namespace: "bank".into(), name: "ledger".into(), uid: uid.into() };
        let record = self.slot_record().taken(holding(change, key, state));
        self.slot(record)
    }

    pub fn holder_is_gone(mut self) -> Self {
        self.observed.holder_exists = false;
        self
    }

    /// The slot is closed by this change until then, by the provider's clock.
    pub fn closed(self, change: &Change, until: Timestamp) -> Self {
        let record = self.slot_record().closed(Expectation {
            change: change.id.clone(),
            kind: change.kind,
            from: change.from.clone(),
            to: change.to.clone(),
            until,
        });
        self.slot(record)
    }

    /// The slot was given back by this change.
    pub fn given_back(self, change: &Change) -> Self {
        let record = self.slot_record().given_back(&change.id);
        self.slot(record)
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
        self.secret(SecretState::Usable { version: VERSION.into(), expires_requests: false })
    }

    pub fn secret_version(self, version: &str) -> Self {
        self.secret(SecretState::Usable { version: version.into(), expires_requests: true })
    }

    pub fn duplicate_of(mut self, owner: Option<&str>) -> Self {
        self.observed.claim = Claim::Duplicate { owner: owner.map(str::to_owned) };
        self
    }

    /// The change is in flight as production leaves it: in the status and in the slot.
    pub fn in_flight(self, change: &Change) -> Self {
        let given = self.target(LARGE, 3).remembering(change);
        match change.state {
            ChangeState::Submitting | ChangeState::Unverified => {
                given.holding(change, HoldingState::Open)
            }
            ChangeState::Accepted => given.holding(change, accepted_at(change.started_at, "3471")),
            ChangeState::Observed => given.closed(change, at(250)),
        }
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

    /// The observation with the memory of the status in it.
    pub fn seen(&self) -> Observed {
        let status = self.object.status.clone().unwrap_or_default();
        Observed { memory: Memory::from_status(&status), ..self.observed.clone() }
    }

    pub fn decide(&self) -> Decision {
        decide(&self.desired(), &self.seen(), self.now)
    }

    pub fn pass(&self) -> Pass {
        let (desired, observed) = (self.desired(), self.seen());
        let decision = decide(&desired, &observed, self.now);
        let before = self.object.status.clone().unwrap_or_default();
        let outcome = self.outcome.clone().unwrap_or_else(|| match &decision.action {
            Action::Call { change, .. } => Outcome::Answered { answer: accepted(change.kind) },
            Action::Nothing | Action::WriteSlot { .. } => Outcome::Done,
        });
        let verdict = settle(&desired, &before, &observed, &decision, &outcome, self.now);
        Pass { desired, decision, verdict }
    }
}

/// Only an order has a number.
fn accepted(kind: ChangeKind) -> Answer {
    let order_number = (kind == ChangeKind::Modify).then(|| order("3471")).flatten();
    Answer::Accepted { order_number, request_id: request("T-ORDER") }
}

/// The slot that `controller::execute` takes for this call.
pub fn taken(
    slot: &Slot,
    change: &Change,
    object: ObjectKey,
    restore: Option<&zenlayer_vm_operator::lifecycle::Restore>,
) -> SlotRecord {
    slot.record.taken(change.holding(object)).restoring(restore.map(|one| SlotRestore {
        power_state: one.power_state.clone(),
        stopped_by: one.stopped_by.clone(),
        since: one.since,
    }))
}

/// The slot as `controller::execute` leaves it after this action; what the answer was shows in the
/// status.
pub fn with_slot_after(mut given: Given, action: &Action) -> Given {
    match action {
        Action::Nothing => given,
        Action::WriteSlot { record, .. } => given.slot(record.clone()),
        Action::Call { change, slot, restore } => {
            let record = taken(slot, change, given.desired().object, restore.as_ref());
            let status = given.status().clone();
            let left = status.change.filter(|left| left.id == change.id.0);
            let record = match left.map(|left| left.state) {
                Some(ChangeState::Accepted) => {
                    let number = (change.kind == ChangeKind::Modify).then(|| order("3471"));
                    record.accepted(change.started_at, number.flatten(), request("T-ORDER"))
                }
                Some(_) => record,
                None => record.given_back(&change.id),
            };
            given.slot(record)
        }
    }
}

// ---- More of what is declared, remembered and shown ----

impl Given {
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

    pub fn cancel_plan(self, value: &str) -> Self {
        self.annotated(CANCEL_PLAN_ANNOTATION, value)
    }

    pub fn handled_cancel(mut self, value: &str) -> Self {
        self.status().handled.cancel_plan = Some(value.into());
        self
    }

    /// The machine was stopped for a change so long ago: in the status and in the slot.
    pub fn stopped_for_a_change(mut self, ago: i64) -> Self {
        let stopped_by = ChangeId::new(UID, at(-ago));
        self.status().restore = Some(Restore {
            power_state: "RUNNING".into(),
            stopped_by: stopped_by.0.clone(),
            since: Time(at(-ago)),
        });
        let kept = SlotRestore { power_state: "RUNNING".into(), stopped_by, since: at(-ago) };
        let record = self.slot_record().restoring(Some(kept));
        self.slot(record).state("STOPPED")
    }

    pub fn offering(mut self, offers: Vec<Offer>) -> Self {
        self.observed.catalogue = Some(offers);
        self
    }

    /// List prices of the type in effect and of the declared one.
    pub fn priced(mut self, current: i64, declared: i64) -> Self {
        self.observed.prices =
            Prices { current: Some(current.into()), declared: Some(declared.into()) };
        self
    }

    pub fn ordered_within_the_hour(mut self, count: u32) -> Self {
        let oldest_ends = Some(at(120));
        self.observed.orders = Some(Ok(OrderCount { within_the_hour: count, oldest_ends }));
        self
    }

    pub fn orders_fail(mut self, problem: &str) -> Self {
        self.observed.orders = Some(Err(problem.into()));
        self
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
        ..change
    }
}
