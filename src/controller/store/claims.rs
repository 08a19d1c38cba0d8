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
    names: Arc<Mutex<Index>>,
}

/// Clones share the cache.
#[derive(Clone)]
pub struct Claims {
    pub cache: Cache<VmInstance>,
    /// By instance id. An object that is gone may be among them for a while.
    names: Arc<Mutex<Index>>,
}

#[derive(Default)]
struct Index {
    names: Names,
    /// Those of a list that is under way: the cache shows none of them before its end.
    listed: Names,
}

impl ObjectCache {
    pub fn claims(&self) -> Claims {
        Claims { cache: self.writer.as_reader(), names: self.names.clone() }
    }
}

impl Claims {
    /// The watch has shown this.
    pub fn saw(&self, event: &Event<VmInstance>) {
        let mut index = self.lock();
        match event {
            Event::Init => index.listed.clear(),
            Event::InitApply(object) => add(&mut index.listed, object),
            Event::InitDone => index.names = std::mem::take(&mut index.listed),
            Event::Apply(object) => add(&mut index.names, object),
            Event::Delete(object) => remove(&mut index.names, object),
        }
    }

    /// Every object that names this machine.
    pub fn of(&self, instance: &InstanceId) -> Vec<Arc<VmInstance>> {
        let names = self.lock().names.get(instance.as_str()).cloned().unwrap_or_default();
        let objects = names.iter().filter_map(|name| self.cached(name));
        objects.filter(|object| object.spec.instance_id == instance.as_str()).collect()
    }

    fn cached(&self, (namespace, name): &Name) -> Option<Arc<VmInstance>> {
        self.cache.get(&ObjectRef::new(name).within(namespace))
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(names: &mut Names, object: &VmInstance) {
    let name = name_of(object);
    let known = names.entry(object.spec.instance_id.clone()).or_default();
    if !known.contains(&name) {
        known.reserve_exact(1);
        known.push(name);
    }
}

fn remove(names: &mut Names, object: &VmInstance) {
    let gone = name_of(object);
    match names.get_mut(&object.spec.instance_id) {
        Some(known) if known.contains(&gone) => {
            known.retain(|name| *name != gone);
            if known.is_empty() {
                names.remove(&object.spec.instance_id);
            }
        }
        // An object that could not be read is told of by its name alone.
        Some(_) | None => names.retain(|_, known| {
            known.retain(|name| *name != gone);
            !known.is_empty()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::unreadable::named;

    fn object(name: &str) -> VmInstance {
        let meta = serde_json::json!({ "namespace": "shop", "name": name });
        let mut object = named(serde_json::from_value(meta).unwrap());
        object.spec.instance_id = "vm-1".to_owned();
        object
    }

    fn names(
        seen: &mut ObjectCache,
        claims: &Claims,
        events: Vec<Event<VmInstance>>,
    ) -> Vec<String> {
        for event in events {
            claims.saw(&event);
            seen.writer.apply_watcher_event(&event);
        }
        let of = claims.of(&InstanceId::new("vm-1").unwrap());
        let mut names: Vec<_> = of.iter().map(|object| name_of(object).1).collect();
        names.sort();
        names
    }

    #[test]
    fn the_objects_of_a_machine_are_those_of_the_last_whole_list_and_of_what_came_after() {
        let mut seen = ObjectCache::default();
        let claims = seen.claims();
        let mut names = |events| names(&mut seen, &claims, events);
        let none: [&str; 0] = [];
        assert_eq!(names(vec![Event::Init, Event::InitApply(object("a"))]), none);
        assert_eq!(names(vec![Event::InitDone, Event::Apply(object("b"))]), ["a", "b"]);
        // Another list begins: until it is whole, the one before counts.
        assert_eq!(names(vec![Event::Init, Event::InitApply(object("c"))]), ["a", "b"]);
        assert_eq!(names(vec![Event::InitDone]), ["c"]);
        let mut unread = object("c");
        unread.spec.instance_id = String::new();
        assert_eq!(names(vec![Event::Delete(unread)]), none);
        assert!(claims.lock().names.is_empty());
    }
}
