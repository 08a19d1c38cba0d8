//! Keeps an object that this version cannot read from hiding all the others: one such object would
//! fail the whole list. It can come from a newer version, or from an older schema in the cluster.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{
    api::ObjectMeta,
    core::DeserializeGuard,
    runtime::watcher::{self, Event as Watched},
};

use super::Store;
use crate::{
    api::{CredentialsRef, ManagementPolicy, Reason, Strategy, VmInstance, VmInstanceSpec},
    lifecycle::{Event, Timing, kept_for},
};

/// The event as the rest of the controller takes it. An object that cannot be read is as good as
/// deleted: nothing is done for it, its status stays as it is, and its slot stays taken. It is said
/// in the log and in an event of the object.
pub fn readable(
    event: watcher::Result<Watched<DeserializeGuard<VmInstance>>>,
    store: &Arc<dyn Store>,
) -> Option<watcher::Result<Watched<VmInstance>>> {
    let event = match event {
        Ok(event) => event,
        Err(error) => return Some(Err(error)),
    };
    Some(Ok(match event {
        Watched::Init => Watched::Init,
        Watched::InitDone => Watched::InitDone,
        Watched::InitApply(DeserializeGuard(Ok(object))) => Watched::InitApply(object),
        Watched::Apply(DeserializeGuard(Ok(object))) => Watched::Apply(object),
        Watched::Delete(DeserializeGuard(Ok(object))) => Watched::Delete(object),
        Watched::Delete(DeserializeGuard(Err(bad))) => Watched::Delete(named(bad.metadata)),
        Watched::InitApply(DeserializeGuard(Err(bad))) => {
            tell(bad.metadata, &bad.error, store);
            return None;
        }
        Watched::Apply(DeserializeGuard(Err(bad))) => {
            Watched::Delete(tell(bad.metadata, &bad.error, store))
        }
    }))
}

/// A stand-in that carries the name alone.
pub fn named(metadata: ObjectMeta) -> VmInstance {
    let spec = VmInstanceSpec {
        instance_id: String::new(),
        instance_type_id: String::new(),
        credentials: CredentialsRef::default(),
        management_policy: ManagementPolicy::Observe,
        suspend: true,
        prepaid_upgrade: None,
        prepaid_downgrade: None,
        strategy: Strategy::InPlace,
    };
    VmInstance { metadata, spec, status: None }
}

/// Says what cannot be read, without holding up the watch.
fn tell(metadata: ObjectMeta, problem: &str, store: &Arc<dyn Store>) -> VmInstance {
    let object = named(metadata);
    let note = format!(
        "this version of the operator cannot read the object, and leaves it alone: {problem}; \
         correct the object, and apply the CRD of this version"
    );
    tracing::error!(
        namespace = object.metadata.namespace.as_deref().unwrap_or_default(),
        name = object.metadata.name.as_deref().unwrap_or_default(),
        "{note}"
    );
    release(&object, store);
    let (told, store) = (object.clone(), store.clone());
    tokio::spawn(async move {
        let event = Event { warning: true, reason: Reason::InvalidSpec.as_str(), note };
        store.publish_event(&told, &event).await;
    });
    object
}

/// One that is being deleted is kept no longer than any other, if it was kept for its machine.
fn release(object: &VmInstance, store: &Arc<dyn Store>) {
    let Some(left) = kept_for(object, &Timing::default(), Timestamp::now()) else { return };
    let (object, store) = (object.clone(), store.clone());
    tokio::spawn(async move {
        tokio::time::sleep(left).await;
        // One that was changed meanwhile is looked at anew.
        if let Err(problem) = store.set_finalizer(&object, false).await {
            tracing::warn!(%problem, "cannot release an object that cannot be read");
        }
    });
}
