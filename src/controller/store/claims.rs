//! The objects that the watch has shown, and which of them name a machine: known without a look at all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::runtime::{
    reflector::{ObjectRef, Store as Cache, store::Writer},
    watcher::Event,
};
use zenlayer::InstanceId;

use crate::{
    api::VmInstance,
    controller::waker::{Name, name_of},
};

/// Nearly always one name each, so there is room for no more than there are.
type Names = HashMap<String, Vec<Name>>;

/// What the watch fills, and the way to ask for it.
#[derive(Default)]
pub struct ObjectCache {
    pub writer: Writer<VmInstance>,
    names: Arc<Mutex<Names>>,
}

/// Clones share the cache.
#[derive(Clone)]
pub struct Claims {
    pub cache: Cache<VmInstance>,
    /// By instance id. An object that is gone may be among them for a while.
    names: Arc<Mutex<Names>>,
}

impl ObjectCache {
    pub fn claims(&self) -> Claims {
        Claims { cache: self.writer.as_reader(), names: self.names.clone() }
    }
}

impl Claims {
    /// The watch has shown this.
    pub fn saw(&self, event: &Event<VmInstance>) {
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                let name = name_of(object);
                let mut names = self.lock();
                match names.get_mut(&object.spec.instance_id) {
                    Some(known) if known.contains(&name) => {}
                    Some(known) => {
                        known.reserve_exact(1);
                        known.push(name);
                    }
                    None => {
                        names.insert(object.spec.instance_id.clone(), vec![name]);
                    }
                }
            }
            Event::Delete(object) => {
                let gone = name_of(object);
                let mut names = self.lock();
                // An object that could not be read is told of by its name alone.
                match names.get_mut(&object.spec.instance_id) {
                    Some(known) if known.contains(&gone) => {
                        known.retain(|name| *name != gone);
                        if known.is_empty() {
                            names.remove(&object.spec.instance_id);
                        }
                    }
                    Some(_) | None => names.retain(|_, known| {
                        known.retain(|name| *name != gone);
                        !known.is_empty()
                    }),
                }
            }
            Event::Init | Event::InitDone => {}
        }
    }

    /// Every object that names this machine.
    pub fn of(&self, instance: &InstanceId) -> Vec<Arc<VmInstance>> {
        let names = self.lock().get(instance.as_str()).cloned().unwrap_or_default();
        let objects = names.iter().filter_map(|name| self.cached(name));
        objects.filter(|object| object.spec.instance_id == instance.as_str()).collect()
    }

    /// Forgets what is not in the cache any more.
    pub fn prune(&self) {
        let mut names = self.lock();
        for known in names.values_mut() {
            known.retain(|name| self.cached(name).is_some());
        }
        names.retain(|_, known| !known.is_empty());
    }

    fn cached(&self, (namespace, name): &Name) -> Option<Arc<VmInstance>> {
        self.cache.get(&ObjectRef::new(name).within(namespace))
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
