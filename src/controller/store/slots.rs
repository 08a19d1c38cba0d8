//! The slots as a watch shows them, and as this process has written them since. What is here may be older
//! than what the API server holds, but never older than what this process wrote.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::Event;
use zenlayer::InstanceId;

use super::{
    KeptSlot, StoreError,
    leases::{INSTANCE_ANNOTATION, SLOT_ANNOTATION, is_slot, record_of, slot_name},
};
use crate::lifecycle::{Counted, Slot};

/// Clones share what they know.
#[derive(Clone, Default)]
pub struct SlotCache(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// By the name of the Lease.
    slots: HashMap<String, Kept>,
    /// The first list, while it comes, and whether one is complete.
    coming: HashMap<String, Kept>,
    is_complete: bool,
    /// Those of which more was written than is known.
    doubted: HashSet<String>,
}

/// A slot, or why it cannot be read.
struct Kept {
    instance: Option<InstanceId>,
    version: Option<String>,
    slot: Result<Slot, StoreError>,
}

impl Kept {
    fn of(lease: &Lease) -> Self {
        let id = lease.metadata.annotations.as_ref().and_then(|all| all.get(INSTANCE_ANNOTATION));
        let version = lease.metadata.resource_version.clone();
        Self {
            instance: id.and_then(|id| InstanceId::new(id.clone()).ok()),
            slot: slot_of(lease),
            version,
        }
    }

    /// Versions are numbers that grow (Kubernetes 1.33 and later say so of every server); what is none is
    /// taken for newer.
    fn is_older_than(&self, other: &Self) -> bool {
        let number = |kept: &Self| kept.version.as_ref().and_then(|text| text.parse::<u64>().ok());
        number(self).zip(number(other)).is_some_and(|(one, other)| one < other)
    }
}

/// The slot that a Lease holds.
pub fn slot_of(lease: &Lease) -> Result<Slot, StoreError> {
    let record = record_of(lease, SLOT_ANNOTATION)?;
    Ok(Slot { version: lease.metadata.resource_version.clone(), record })
}

impl SlotCache {
    /// An event of the watch.
    pub fn saw(&self, event: &Event<Lease>) {
        // Other Leases of the operator bear its label, too.
        if let Event::InitApply(lease) | Event::Apply(lease) | Event::Delete(lease) = event
            && !is_slot(lease)
        {
            return;
        }
        let mut known = self.lock();
        let named =
            |lease: &Lease| (lease.metadata.name.clone().unwrap_or_default(), Kept::of(lease));
        match event {
            Event::Init => known.coming.clear(),
            Event::InitApply(lease) => {
                let (name, kept) = named(lease);
                known.coming.insert(name, kept);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut known.coming);
                let before = std::mem::replace(&mut known.slots, listed);
                // This process may have written since the list was made.
                for (name, kept) in before {
                    let newer = known.slots.get(&name).is_some_and(|one| one.is_older_than(&kept));
                    if newer {
                        known.slots.insert(name, kept);
                    }
                }
                known.is_complete = true;
                known.doubted.clear();
            }
            Event::Apply(lease) => {
                let (name, kept) = named(lease);
                known.put(name, kept);
            }
            Event::Delete(lease) => {
                let (name, kept) = named(lease);
                if known.slots.get(&name).is_some_and(|one| !kept.is_older_than(one)) {
                    known.slots.remove(&name);
                    known.doubted.remove(&name);
                }
            }
        }
    }

    /// What this process has just written, or read.
    pub fn is(&self, instance: &InstanceId, slot: &Slot) {
        let kept = Kept {
            instance: Some(instance.clone()),
            version: slot.version.clone(),
            slot: Ok(slot.clone()),
        };
        self.lock().put(slot_name(instance), kept);
    }

    /// More was written than is known: until that is seen, nothing is known.
    pub fn doubt(&self, instance: &InstanceId) {
        self.lock().doubted.insert(slot_name(instance));
    }

    /// The slot of an instance; `None`: nothing is known.
    pub fn slot(&self, instance: &InstanceId) -> Option<Result<Slot, StoreError>> {
        let known = self.lock();
        let name = slot_name(instance);
        if !known.is_complete || known.doubted.contains(&name) {
            return None;
        }
        Some(known.slots.get(&name).map_or_else(|| Ok(Slot::default()), |kept| kept.slot.clone()))
    }

    /// Every slot that can be read; `None`: the first list is not complete.
    pub fn all(&self) -> Option<Vec<KeptSlot>> {
        let known = self.lock();
        let kept = |kept: &Kept| {
            let (instance, slot) = (kept.instance.clone()?, kept.slot.clone().ok()?);
            Some(KeptSlot { instance, slot })
        };
        known.is_complete.then(|| known.slots.values().filter_map(kept).collect())
    }

    /// The orders in all of them; `None`: the first list is not complete.
    pub fn orders(&self) -> Option<Vec<Counted>> {
        let known = self.lock();
        let slots = known.slots.values().filter_map(|kept| kept.slot.as_ref().ok());
        known.is_complete.then(|| slots.flat_map(|slot| slot.record.orders()).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Unless something newer is known.
    fn put(&mut self, name: String, kept: Kept) {
        if self.slots.get(&name).is_some_and(|one| kept.is_older_than(one)) {
            return;
        }
        self.doubted.remove(&name);
        self.slots.insert(name, kept);
    }
}
