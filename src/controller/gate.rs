//! For tests of real processes: a cloud and a store that stop right before or right after an effect
//! until the test lets them go on. Reached through a hidden flag that is refused for an endpoint that
//! is not loopback.
//!
//! An effect is a write of the slot, a write of the status, or a mutating call. Each has a gate before
//! it and one after it:
//!
//! | gate | effect |
//! | --- | --- |
//! | `slot-KIND` | the slot is taken for a call of this kind |
//! | `intent-KIND` | the intent is written |
//! | `call-KIND` | the call is made |
//! | `answer-KIND` | the slot learns that the call was accepted |
//! | `publish-KIND-STATE` | the status learns how far the call has come, `ended` at last |
//! | `close-KIND` | the slot closes: the effect was seen |
//! | `return`, `forget` | the slot is given back; what a machine is brought back to is forgotten |
//! | `call`, `publish` | any of those |
//!
//! KIND is modify, canceldowngrade, stop or start; STATE is submitting, accepted, observed or unverified.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Counted, OrderLedger, Store, StoreError};
use crate::{
    api::{ChangeKind, ChangeState, VmInstance, VmInstanceStatus},
    lifecycle::{Event, HoldingState, SecretState, Slot, SlotRecord},
};
use zenlayer::{
    Answer, Batch, Call, CatalogueQuery, Cloud, Credentials, Instance, InstanceId, InstanceIds,
    InstanceState, Mutation, Offer, Price, PriceInquiry, ReadError, Reading, TypeStatus, Zone,
};

/// A folder of gates. Where it holds a file `before-GATE` or `after-GATE`, alone or followed by
/// `.INSTANCE`, the effect stops there: a file `…-reached` appears, and it goes on once the first
/// one is gone.
#[derive(Clone)]
pub struct Gates {
    folder: PathBuf,
}

impl Gates {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    async fn pass(&self, side: &str, gates: &[String], instance: &str) {
        for gate in gates {
            self.stop_at(&format!("{side}-{gate}")).await;
            self.stop_at(&format!("{side}-{gate}.{instance}")).await;
        }
    }

    async fn stop_at(&self, gate: &str) {
        let closed = self.folder.join(gate);
        if !closed.exists() {
            return;
        }
        let reached = self.folder.join(format!("{gate}-reached"));
        if let Err(error) = std::fs::write(&reached, "") {
            tracing::warn!(%error, gate, "cannot say that the gate is reached");
        }
        while closed.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn kind_of(kind: ChangeKind) -> String {
    format!("{kind:?}").to_lowercase()
}

/// What a write of the slot does.
fn slot_gates(read: &SlotRecord, written: &SlotRecord) -> Vec<String> {
    let holder = |record: &SlotRecord| record.holding.as_ref().map(|held| held.change.clone());
    if let Some(last) = written.closed.last().filter(|_| written.closed != read.closed) {
        return vec![format!("close-{}", kind_of(last.kind))];
    }
    if written.returned.is_some() && written.returned != read.returned {
        return vec!["return".to_owned()];
    }
    if read.restore.is_some() && written.restore.is_none() {
        return vec!["forget".to_owned()];
    }
    match &written.holding {
        Some(held) if holder(read) != holder(written) => {
            vec![format!("slot-{}", kind_of(held.kind))]
        }
        Some(held) if matches!(held.state, HoldingState::Accepted { .. }) => {
            vec![format!("answer-{}", kind_of(held.kind))]
        }
        _ => Vec::new(),
    }
}

/// What a write of the status does.
fn status_gates(before: Option<&VmInstanceStatus>, written: &VmInstanceStatus) -> Vec<String> {
    let before = before.and_then(|status| status.change.as_ref());
    match (&written.change, before) {
        (Some(change), before)
            if change.state == ChangeState::Submitting
                && before.is_none_or(|before| before.id != change.id) =>
        {
            vec![format!("intent-{}", kind_of(change.kind))]
        }
        (Some(change), _) => {
            let state = format!("{:?}", change.state).to_lowercase();
            vec!["publish".to_owned(), format!("publish-{}-{state}", kind_of(change.kind))]
        }
        (None, Some(ended)) => {
            vec!["publish".to_owned(), format!("publish-{}-ended", kind_of(ended.kind))]
        }
        (None, None) => vec!["publish".to_owned()],
    }
}

/// The provider behind gates.
pub struct GatedCloud {
    inner: Arc<dyn Cloud>,
    gates: Gates,
}

impl GatedCloud {
    pub fn new(inner: Arc<dyn Cloud>, gates: Gates) -> Self {
        Self { inner, gates }
    }
}

#[async_trait]
impl Cloud for GatedCloud {
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
        let kind = match &call.mutation {
            Mutation::Modify { .. } => "call-modify",
            Mutation::CancelDowngrade => "call-canceldowngrade",
            Mutation::Start => "call-start",
            Mutation::Stop => "call-stop",
            Mutation::Reboot => "call-reboot",
        };
        let gates = ["call".to_owned(), kind.to_owned()];
        self.gates.pass("before", &gates, call.instance_id.as_str()).await;
        let answer = self.inner.mutate(credentials, call).await;
        self.gates.pass("after", &gates, call.instance_id.as_str()).await;
        answer
    }
}

/// Kubernetes behind gates.
pub struct GatedStore {
    inner: Arc<dyn Store>,
    gates: Gates,
}

impl GatedStore {
    pub fn new(inner: Arc<dyn Store>, gates: Gates) -> Self {
        Self { inner, gates }
    }
}

#[async_trait]
impl Store for GatedStore {
    async fn secret(&self, namespace: &str, name: &str) -> (SecretState, Option<Credentials>) {
        self.inner.secret(namespace, name).await
    }

    async fn slot(&self, instance: &InstanceId) -> Result<Slot, StoreError> {
        self.inner.slot(instance).await
    }

    async fn write_slot(
        &self,
        instance: &InstanceId,
        read: &Slot,
        record: SlotRecord,
    ) -> Result<Slot, StoreError> {
        let gates = slot_gates(&read.record, &record);
        self.gates.pass("before", &gates, instance.as_str()).await;
        let written = self.inner.write_slot(instance, read, record).await;
        self.gates.pass("after", &gates, instance.as_str()).await;
        written
    }

    async fn orders(&self) -> Result<OrderLedger, StoreError> {
        self.inner.orders().await
    }

    async fn write_orders(
        &self,
        read: &OrderLedger,
        record: Vec<Counted>,
    ) -> Result<(), StoreError> {
        self.inner.write_orders(read, record).await
    }

    async fn write_status(
        &self,
        object: &VmInstance,
        status: &VmInstanceStatus,
    ) -> Result<Arc<VmInstance>, StoreError> {
        let gates = status_gates(object.status.as_ref(), status);
        self.gates.pass("before", &gates, &object.spec.instance_id).await;
        let written = self.inner.write_status(object, status).await;
        self.gates.pass("after", &gates, &object.spec.instance_id).await;
        written
    }

    async fn object(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<VmInstance>>, StoreError> {
        self.inner.object(namespace, name).await
    }

    fn claims(&self, instance: &InstanceId) -> Vec<Arc<VmInstance>> {
        self.inner.claims(instance)
    }

    async fn publish_event(&self, object: &VmInstance, event: &Event) {
        self.inner.publish_event(object, event).await;
    }
}
