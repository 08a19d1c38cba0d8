//! The objects that the watch has shown, and which of them name a machine: known without a look at all.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::runtime::{
    reflector::{ObjectRef, Store as Cache, store::Writer},
    watcher::Event,
};
use zenlayer::InstanceId;

use crate::api::VmInstance;

type Names = HashMap<String, HashSet<ObjectRef<VmInstance>>>;

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
                let name = ObjectRef::from_obj(object);
                self.lock().entry(object.spec.instance_id.clone()).or_default().insert(name);
            }
            Event::Delete(object) => {
                let gone = ObjectRef::from_obj(object);
                let mut names = self.lock();
                // An object that could not be read is told of by its name alone.
                let known = names.get_mut(&object.spec.instance_id);
                if !known.is_some_and(|known| known.remove(&gone)) {
                    names.values_mut().for_each(|known| {
                        known.remove(&gone);
                    });
                }
                names.retain(|_, known| !known.is_empty());
            }
            Event::Init | Event::InitDone => {}
        }
    }

    /// Every object that names this machine.
    pub fn of(&self, instance: &InstanceId) -> Vec<Arc<VmInstance>> {
        let names = self.lock().get(instance.as_str()).cloned().unwrap_or_default();
        let objects = names.iter().filter_map(|name| self.cache.get(name));
        objects.filter(|object| object.spec.instance_id == instance.as_str()).collect()
    }

    /// Forgets what is not in the cache any more.
    pub fn prune(&self) {
        let mut names = self.lock();
        for known in names.values_mut() {
            known.retain(|name| self.cache.get(name).is_some());
        }
        names.retain(|_, known| !known.is_empty());
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
