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
    leases::{instance_of, is_slot, slot_name, slot_of},
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
        let version = lease.metadata.resource_version.clone();
        Self { instance: instance_of(lease), slot: slot_of(lease), version }
    }

    fn readable(&self) -> Option<KeptSlot> {
        let (instance, slot) = (self.instance.clone()?, self.slot.clone().ok()?);
        Some(KeptSlot { instance, slot })
    }

    /// Versions are numbers that grow (Kubernetes 1.33 and later say so of every server); what is none is
    /// taken for newer.
    fn is_older_than(&self, other: &Self) -> bool {
        let number = |kept: &Self| kept.version.as_ref().and_then(|text| text.parse::<u64>().ok());
        number(self).zip(number(other)).is_some_and(|(one, other)| one < other)
    }
}

/// The slot in a Lease; none in one that cannot be read: it stays as it is.
pub fn kept_slot(lease: &Lease) -> Option<KeptSlot> {
    Kept::of(lease).readable()
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
        known.is_complete.then(|| known.slots.values().filter_map(Kept::readable).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::ChangeKind,
        controller::store::leases::lease_of,
        lifecycle::{ChangeId, Holding, HoldingState, ObjectKey, SlotRecord},
    };

    fn id() -> InstanceId {
        InstanceId::new("vm-1".to_owned()).unwrap()
    }

    /// Taken by a change of this name.
    fn taken(change: &str) -> SlotRecord {
        let name = "web".to_owned();
        let object = ObjectKey { namespace: "shop".to_owned(), uid: name.clone(), name };
        let type_id = |text: &str| text.to_owned().try_into().unwrap();
        let holding = Holding {
            change: ChangeId(change.to_owned()),
            kind: ChangeKind::Modify,
            object,
            from: type_id("c.1c2g"),
            to: type_id("c.2c4g"),
            target_generation: 1,
            started_at: "2026-03-02T10:00:00Z".parse().unwrap(),
            fence: None,
            taken_by: None,
            state: HoldingState::Open,
        };
        SlotRecord::default().taken(holding, None).unwrap()
    }

    fn slot(version: &str, change: &str) -> Slot {
        Slot { version: Some(version.to_owned()), record: taken(change) }
    }

    fn lease(version: &str, change: &str) -> Lease {
        lease_of(&id(), Some(version.to_owned()), &taken(change)).unwrap()
    }

    fn listed(leases: &[Lease]) -> SlotCache {
        let cache = SlotCache::default();
        cache.saw(&Event::Init);
        leases.iter().for_each(|lease| cache.saw(&Event::InitApply(lease.clone())));
        cache.saw(&Event::InitDone);
        cache
    }

    /// The version that is known; `-`: that there is no slot; `?`: nothing.
    fn known(cache: &SlotCache) -> String {
        match cache.slot(&id()) {
            None => "?".to_owned(),
            Some(slot) => slot.unwrap().version.unwrap_or_else(|| "-".to_owned()),
        }
    }

    #[test]
    fn nothing_is_known_before_the_first_list_is_complete() {
        let cache = SlotCache::default();
        cache.saw(&Event::Init);
        cache.saw(&Event::InitApply(lease("5", "a")));
        assert_eq!((known(&cache), cache.all(), cache.orders()), ("?".to_owned(), None, None));
        cache.saw(&Event::InitDone);
        assert_eq!((known(&cache), cache.all().unwrap().len()), ("5".to_owned(), 1));
        assert_eq!(cache.orders().unwrap()[0].change.0, "a");
        assert_eq!(known(&listed(&[])), "-");
    }

    #[test]
    fn what_this_process_wrote_is_not_forgotten_for_what_is_told_late() {
        let cache = listed(&[lease("5", "a")]);
        cache.is(&id(), &slot("10", "b"));
        cache.saw(&Event::Apply(lease("7", "a")));
        assert_eq!(known(&cache), "10");
        // A list that was made before the write.
        cache.saw(&Event::Init);
        cache.saw(&Event::InitApply(lease("7", "a")));
        cache.saw(&Event::InitDone);
        assert_eq!(known(&cache), "10");
        cache.saw(&Event::Delete(lease("7", "a")));
        assert_eq!(known(&cache), "10");
        // Versions are numbers: 9 comes before 11.
        cache.saw(&Event::Apply(lease("11", "c")));
        assert_eq!(known(&cache), "11");
        cache.saw(&Event::Delete(lease("12", "c")));
        assert_eq!(known(&cache), "-");
    }

    #[test]
    fn what_is_doubted_is_known_again_once_something_as_new_is_seen() {
        let cache = listed(&[lease("5", "a")]);
        cache.doubt(&id());
        assert_eq!(known(&cache), "?");
        cache.saw(&Event::Apply(lease("4", "a")));
        assert_eq!(known(&cache), "?", "it is older than what was in doubt");
        cache.saw(&Event::Apply(lease("6", "b")));
        assert_eq!(known(&cache), "6");
        cache.doubt(&id());
        cache.is(&id(), &slot("6", "b"));
        assert_eq!(known(&cache), "6", "it was read");
        cache.doubt(&id());
        cache.saw(&Event::Delete(lease("8", "b")));
        assert_eq!(known(&cache), "-");
    }

    #[test]
    fn one_that_cannot_be_read_is_not_taken_for_none() {
        let mut odd = lease("5", "a");
        odd.metadata.annotations.as_mut().unwrap().remove("vm.zenlayer.com/slot");
        let cache = listed(&[odd]);
        assert!(cache.slot(&id()).unwrap().is_err());
        assert_eq!(cache.all().unwrap().len(), 0);
    }

    #[test]
    fn the_lease_of_a_leader_is_no_slot() {
        let mut other = lease("5", "a");
        other.metadata.name = Some("zvm-leader".to_owned());
        assert_eq!(listed(&[other]).all().unwrap().len(), 0);
    }
}
