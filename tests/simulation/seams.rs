//! The traits through which production code reaches the world, each method as one point. A method
//! that is added or changed is a change of this file: say of which kind it is, what it does to the
//! world, and what its caller gets where there is no answer.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};
use zenlayer::{
    Answer, ApiError, Batch, Call, CatalogueQuery, ChargeType, Cloud, Credentials, Found, Instance,
    InstanceId, InstanceIds, InstanceState, InstanceTypeId, Mutation, Offer, OrderNumber,
    PlanState, Price, PriceInquiry, ReadError, Reading, SystemDisk, TypeStatus, Zone,
};
use zenlayer_vm_operator::{
    api::{VmInstance, VmInstanceStatus},
    controller::{Age, Clock, Credential, KeptSlot, Scope, Store, StoreError},
    lifecycle::{Counted, Event, ObjectKey, SecretState, Slot},
};

pub use zenlayer_vm_operator::lifecycle::SlotRecord as Record;

use crate::{
    cloud::{Order, TYPES, View, type_index},
    executor::{Failure, Hub, Kind, Point, Reply, VirtualClock},
    kube::{Content, Denied, SlotEntry},
    ledger::PostInfo,
    moments::at,
    switches::{Rule, is_off},
    world::{Answered, Presented, Trouble, World, machine_index},
};

const ZONE: &str = "FRA-A";

/// One process's way to the world.
pub struct Seam {
    pub hub: Arc<Hub>,
    pub process: usize,
}

impl Seam {
    fn ask<T: Send + 'static>(
        &self,
        kind: Kind,
        label: impl FnOnce() -> String,
        deliver: impl FnOnce(&mut World) -> T + Send + 'static,
        fail: impl FnOnce(Failure) -> T + Send + 'static,
    ) -> Point<T> {
        self.hub.ask(self.process, kind, label, move |world, _| deliver(world), fail)
    }

    /// What one answer shows of each id.
    fn batch<T: Send + 'static>(
        &self,
        action: &'static str,
        credentials: &Credentials,
        ids: &InstanceIds,
        shown: impl Fn(&InstanceId, View, bool) -> T + Send + 'static,
    ) -> Point<Result<Reading<Batch<T>>, ReadError>> {
        let (key, ids, sent_at) = (presented(credentials), ids.clone(), self.signs());
        let deliver = move |world: &mut World| {
            let mut batch = Batch::new();
            let mut date = None;
            for id in ids.iter() {
                let (found, at) = world
                    .read(0, id.as_str(), key)
                    .map_err(|trouble| read_error(trouble, sent_at))?;
                date = at;
                let found = found.map_or(Found::Missing, |(view, prepaid)| {
                    Found::Present(shown(id, view, prepaid))
                });
                batch.insert(id.clone(), found);
            }
            Ok(Reading { value: batch, date, sent_at })
        };
        self.ask(Kind::Read, || action.to_owned(), deliver, no_answer)
    }

    /// The clock that signs a request.
    fn signs(&self) -> Timestamp {
        VirtualClock { hub: self.hub.clone(), process: self.process }.now()
    }
}

// ---- Kubernetes ----

fn failed<T>(failure: Failure) -> Result<T, StoreError> {
    Err(StoreError::Failed(failure.text().to_owned()))
}

fn denied(denied: Denied) -> StoreError {
    match denied {
        Denied::Conflict => StoreError::Conflict,
        Denied::NotFound => StoreError::Gone,
        Denied::Invalid(fault) => StoreError::Failed(fault),
    }
}

fn slot_of(entry: &SlotEntry) -> Slot {
    Slot { version: entry.version.clone(), record: entry.record.clone() }
}

/// What names a credential within a process.
fn scope_of(content: Content) -> Scope {
    Scope::of(&format!("{content:?}"))
}

/// The digest is that of the data, whatever version it has.
fn secret_of(world: &World, namespace: &str) -> (SecretState, Option<Credential>) {
    let place = world.kube.namespace_of_place(namespace).unwrap_or_default();
    let content = world.kube.secrets[place];
    let usable = |expires_requests, credentials| {
        let digest = format!("{content:?}");
        let scope = scope_of(content);
        (SecretState::Usable { digest, expires_requests }, Some(Credential { credentials, scope }))
    };
    match content {
        Content::Key(number) => {
            let password = SecretString::from("password".to_owned());
            usable(true, Credentials::AccessKey { id: number.to_string(), password })
        }
        Content::Token(number) => usable(false, Credentials::Token(number.to_string().into())),
        Content::Missing => (SecretState::NotFound, None),
        Content::Incomplete => {
            let problem = "the key accessKeyPassword is missing or empty: add it".to_owned();
            (SecretState::Incomplete { problem }, None)
        }
    }
}

/// What a write names; the rest of the object is not part of it.
fn named_by(object: &VmInstance) -> VmInstance {
    let mut named = VmInstance::new("", object.spec.clone());
    named.metadata.namespace.clone_from(&object.metadata.namespace);
    named.metadata.name.clone_from(&object.metadata.name);
    named.metadata.uid.clone_from(&object.metadata.uid);
    named.metadata.resource_version.clone_from(&object.metadata.resource_version);
    named
}

#[async_trait]
impl Store for Seam {
    async fn secret(
        &self,
        object: &ObjectKey,
        _: &str,
        _: Age,
    ) -> (SecretState, Option<Credential>) {
        let namespace = object.namespace.clone();
        let label = || format!("read the Secret of {namespace}");
        let at = namespace.clone();
        let deliver = move |world: &mut World| secret_of(world, &at);
        let fail = |failure: Failure| {
            (SecretState::Unreadable { problem: failure.text().to_owned() }, None)
        };
        self.ask(Kind::Ask, label, deliver, fail).await
    }

    async fn slot(&self, instance: &InstanceId, age: Age) -> Result<Slot, StoreError> {
        let id = instance.to_string();
        let (process, kept) = (self.process, age == Age::Kept || is_off(Rule::SlotIsRead));
        let deliver = move |world: &mut World| {
            let may_lag = kept && world.rng.chance(300);
            Ok(world
                .slot_as_seen(process, &id, may_lag)
                .map(|entry| slot_of(&entry))
                .unwrap_or_default())
        };
        self.ask(Kind::Ask, || format!("read the slot of {instance}"), deliver, failed).await
    }

    async fn write_slot(
        &self,
        instance: &InstanceId,
        read: &Slot,
        record: Record,
    ) -> Result<Slot, StoreError> {
        let (id, version) = (instance.to_string(), read.version.clone());
        let label = || format!("write the slot of {instance}");
        let deliver = move |world: &mut World, origin: &_| {
            let written = world.write_slot(origin, &id, version.as_ref(), record);
            written.map(|entry| slot_of(&entry)).map_err(denied)
        };
        self.hub.ask(self.process, Kind::Write, label, deliver, failed).await
    }

    async fn slots(&self) -> Result<Vec<KeptSlot>, StoreError> {
        let deliver = |world: &mut World| {
            let kept = |(id, entry): &(String, SlotEntry)| {
                let instance = InstanceId::new(id.clone()).ok()?;
                Some(KeptSlot { instance, slot: slot_of(entry) })
            };
            Ok(world.kube.slots.iter().filter_map(kept).collect())
        };
        self.ask(Kind::Ask, || "list the slots".to_owned(), deliver, failed).await
    }

    async fn delete_slot(&self, kept: &KeptSlot) -> Result<(), StoreError> {
        let (id, version) = (kept.instance.to_string(), kept.slot.version.clone());
        let label = || format!("delete the slot of {}", kept.instance);
        let deliver =
            move |world: &mut World| world.delete_slot(&id, version.as_ref()).map_err(denied);
        self.ask(Kind::Write, label, deliver, failed).await
    }

    async fn orders(&self) -> Result<Vec<Counted>, StoreError> {
        let deliver = |world: &mut World| {
            let of = |(_, entry): &(String, SlotEntry)| {
                entry.record.orders().cloned().collect::<Vec<_>>()
            };
            Ok(world.kube.slots.iter().flat_map(of).collect())
        };
        self.ask(Kind::Ask, || "count the orders".to_owned(), deliver, failed).await
    }

    async fn write_status(
        &self,
        object: &VmInstance,
        status: &VmInstanceStatus,
    ) -> Result<Arc<VmInstance>, StoreError> {
        let label = || format!("write the status of {:?}", object.metadata.uid);
        let named = named_by(object);
        let status = status.clone();
        let deliver = move |world: &mut World, origin: &_| {
            world.write_status(origin, &named, &status).map_err(denied)
        };
        self.hub.ask(self.process, Kind::Write, label, deliver, failed).await
    }

    async fn set_finalizer(
        &self,
        object: &VmInstance,
        set: bool,
    ) -> Result<Arc<VmInstance>, StoreError> {
        let label = || format!("set the finalizer of {:?} to {set}", object.metadata.uid);
        let mut named = named_by(object);
        named.metadata.finalizers.clone_from(&object.metadata.finalizers);
        let deliver = move |world: &mut World| world.set_finalizer(&named, set).map_err(denied);
        self.ask(Kind::Write, label, deliver, failed).await
    }

    async fn object(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<VmInstance>>, StoreError> {
        let (space, called) = (namespace.to_owned(), name.to_owned());
        let deliver = move |world: &mut World| {
            let place = world.kube.place(&space, &called);
            Ok(place.and_then(|place| world.kube.object(place)).map(|one| one.object.clone()))
        };
        self.ask(Kind::Ask, || format!("read the object {name}"), deliver, failed).await
    }

    fn claims(&self, instance: &InstanceId) -> Vec<Arc<VmInstance>> {
        let inner = self.hub.lock();
        let named = |one: &&Arc<VmInstance>| one.spec.instance_id == instance.as_str();
        inner.caches[self.process].iter().filter(named).cloned().collect()
    }

    /// No law rests on an event.
    async fn publish_event(&self, _: &VmInstance, _: &Event) {}
}

// ---- The provider ----

fn presented(credentials: &Credentials) -> Presented {
    match credentials {
        Credentials::AccessKey { id, .. } => Content::Key(id.parse().unwrap_or_default()),
        Credentials::Token(token) => {
            Content::Token(token.expose_secret().parse().unwrap_or_default())
        }
    }
}

fn no_answer<T>(failure: Failure) -> Result<T, ReadError> {
    Err(ReadError::Transport { cause: failure.text().to_owned() })
}

fn read_error(trouble: Trouble, sent_at: Timestamp) -> ReadError {
    match trouble {
        Trouble::Api { status, code, date } => {
            ReadError::Api { error: api_error(status, code), date, sent_at }
        }
        Trouble::Malformed => ReadError::Malformed { cause: "HTTP 200, but no JSON".to_owned() },
    }
}

fn api_error(status: u16, code: Option<&str>) -> ApiError {
    let (code, message) = (code.map(str::to_owned), "no".to_owned());
    ApiError { status, code, message, request_id: None, retry_after: None }
}

fn type_id(index: usize) -> InstanceTypeId {
    InstanceTypeId::new(TYPES[index].0).expect("a name of a type")
}

fn shown_instance(id: &InstanceId, view: View, prepaid: bool) -> Instance {
    let (_, cores, memory, _) = TYPES[view.type_];
    Instance {
        id: id.clone(),
        name: Some("web".to_owned()),
        zone_id: Some(ZONE.to_owned()),
        type_id: type_id(view.type_),
        state: InstanceState::from_wire(view.power.name()),
        charge_type: if prepaid { ChargeType::Prepaid } else { ChargeType::Postpaid },
        cpu_count: Some(cores),
        memory_gib: Some(memory),
        bandwidth_out: Some(100),
        internet_charge_type: Some("ByBandwidth".to_owned()),
        system_disk: Some(SystemDisk { size_gb: 50, category: "SSD".to_owned() }),
        expires_at: prepaid.then(|| whole(at(view.expires))),
        auto_renew: Some(true),
    }
}

fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn shown_plan(view: View, enable: bool) -> TypeStatus {
    let current = type_id(view.type_);
    match view.plan {
        Some(plan) => {
            let state =
                if plan.scheduled { PlanState::WaitToEnable } else { PlanState::Processing };
            TypeStatus { current, target: Some(type_id(plan.to)), state: Some(state) }
        }
        None if enable => {
            TypeStatus { target: Some(current.clone()), current, state: Some(PlanState::Enable) }
        }
        None => TypeStatus { current, target: None, state: None },
    }
}

#[async_trait]
impl Cloud for Seam {
    async fn describe_instances(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<Instance>>, ReadError> {
        self.batch("DescribeInstances", credentials, ids, shown_instance).await
    }

    async fn describe_states(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<InstanceState>>, ReadError> {
        let shown = |_: &InstanceId, view: View, _| InstanceState::from_wire(view.power.name());
        self.batch("DescribeInstancesStatus", credentials, ids, shown).await
    }

    async fn describe_type_status(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<TypeStatus>>, ReadError> {
        let (key, id, sent_at) = (presented(credentials), id.to_string(), self.signs());
        let deliver = move |world: &mut World| {
            let enable = world.nature.shows_enable;
            let (found, date) =
                world.read(1, &id, key).map_err(|trouble| read_error(trouble, sent_at))?;
            Ok(Reading { value: found.map(|(view, _)| shown_plan(view, enable)), date, sent_at })
        };
        self.ask(Kind::Read, || "DescribeInstanceTypeStatus".to_owned(), deliver, no_answer).await
    }

    async fn describe_catalogue(
        &self,
        credentials: &Credentials,
        _: &CatalogueQuery,
    ) -> Result<Reading<Vec<Offer>>, ReadError> {
        let (key, sent_at) = (presented(credentials), self.signs());
        let deliver = move |world: &mut World| {
            let date = world.read_offers(key).map_err(|trouble| read_error(trouble, sent_at))?;
            let missing = world.nature.not_offered;
            let offered = (0..TYPES.len()).filter(|index| Some(*index) != missing);
            Ok(Reading { value: offered.map(offer).collect(), date, sent_at })
        };
        self.ask(Kind::Read, || "read the catalogue".to_owned(), deliver, no_answer).await
    }

    async fn inquire_price(
        &self,
        credentials: &Credentials,
        inquiry: &PriceInquiry,
    ) -> Result<Reading<Price>, ReadError> {
        let (key, sent_at) = (presented(credentials), self.signs());
        let type_ = type_index(inquiry.type_id.as_str());
        let deliver = move |world: &mut World| {
            let date = world.read_offers(key).map_err(|trouble| read_error(trouble, sent_at))?;
            let original = type_.map(|index| Decimal::from(TYPES[index].3));
            let price = Price {
                original,
                discounted: original,
                unit: None,
                discounted_unit: None,
                charge_unit: None,
            };
            Ok(Reading { value: price, date, sent_at })
        };
        self.ask(Kind::Read, || "read a price".to_owned(), deliver, no_answer).await
    }

    async fn describe_zones(
        &self,
        credentials: &Credentials,
    ) -> Result<Reading<Vec<Zone>>, ReadError> {
        let (key, sent_at) = (presented(credentials), self.signs());
        let deliver = move |world: &mut World| {
            let date = world.read_offers(key).map_err(|trouble| read_error(trouble, sent_at))?;
            Ok(Reading { value: vec![Zone { id: ZONE.to_owned(), name: None }], date, sent_at })
        };
        self.ask(Kind::Read, || "read the zones".to_owned(), deliver, no_answer).await
    }

    async fn ready(&self, _: &Credentials) {
        self.ask(Kind::Wait(0), || "wait for a turn".to_owned(), |_| (), |_| ()).await;
    }

    async fn mutate(&self, credentials: &Credentials, call: &Call) -> Answer {
        let order = match &call.mutation {
            Mutation::Modify { to } => Order::Modify(type_index(to.as_str()).unwrap_or_default()),
            Mutation::CancelDowngrade => Order::Cancel,
            Mutation::Start => Order::Start,
            Mutation::Stop | Mutation::Reboot => Order::Stop,
        };
        let key = presented(credentials);
        let info = PostInfo {
            machine: machine_index(call.instance_id.as_str()),
            order,
            signed_at: call.signed_at.as_second(),
            sent_at: at(self.hub.lock().now).as_second(),
            bearer: matches!(key, Content::Token(_)),
        };
        let label = || format!("{} {order:?}", call.mutation);
        let sent = info.clone();
        let deliver = move |world: &mut World, origin: &crate::origin::Origin| {
            let mut sent = sent;
            if is_off(Rule::SignedAt) {
                sent.signed_at = at(world.now).as_second();
            }
            if is_off(Rule::SentOnce) && world.rng.chance(200) {
                world.post(origin.request, &sent, key);
            }
            answer(world.post(origin.request, &sent, key))
        };
        let fail = |failure: Failure| match failure {
            Failure::NotSent => Answer::NotSent { cause: failure.text().to_owned() },
            Failure::TimedOut | Failure::Reset | Failure::Refused => {
                Answer::Unknown { cause: failure.text().to_owned() }
            }
        };
        self.hub.ask(self.process, Kind::Post, label, deliver, fail).of(info).await
    }
}

fn offer(index: usize) -> Offer {
    let (_, cores, memory, _) = TYPES[index];
    Offer {
        zone_id: ZONE.to_owned(),
        type_id: type_id(index),
        name: None,
        cpu_count: Some(cores),
        memory_gib: Some(memory),
        bandwidth_limit: Some(1500),
        internet_charge_types: Vec::new(),
    }
}

fn answer(answered: Answered) -> Answer {
    match answered {
        Answered::Refused { status, code } => Answer::Refused(api_error(status, Some(code))),
        Answered::Accepted { number } => Answer::Accepted {
            order_number: number.and_then(|number| OrderNumber::new(number).ok()),
            request_id: None,
        },
        Answered::Unclear { .. } => Answer::Unknown { cause: "HTTP 500".to_owned() },
    }
}

/// Whether a reply to a mutating call says that it was accepted, or certainly not; `None`: neither.
pub fn says_accepted(reply: &Reply) -> Option<bool> {
    match reply.downcast_ref::<Answer>()? {
        Answer::Accepted { .. } => Some(true),
        Answer::NotSent { .. } | Answer::Refused(_) => Some(false),
        Answer::Unknown { .. } => None,
    }
}
