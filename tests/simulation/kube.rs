//! Kubernetes in memory, with the semantics of the real API server: versions that are compared, a
//! status that is a sub-resource, generations, deletion with finalizers, Secrets, and a watch that
//! tells what was written.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;
use zenlayer_vm_operator::api::{POWER_FINALIZER, VmInstance, VmInstanceSpec, VmInstanceStatus};

use crate::{
    moments::at,
    nature::SECOND,
    seams::Record,
    switches::{self, Rule, is_off},
};

/// Where an object can be: each run has up to two names.
pub const PLACES: usize = 2;

/// Why a write is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    Conflict,
    NotFound,
    Invalid(String),
}

/// An object as it is stored, with its status as JSON beside it.
#[derive(Clone)]
pub struct Stored {
    pub object: Arc<VmInstance>,
    pub status: Arc<Value>,
}

#[derive(Clone, Default)]
pub struct SlotEntry {
    pub version: Option<String>,
    pub record: Record,
    pub json: Arc<Value>,
    /// What a watch may still show.
    pub before: Option<Box<SlotEntry>>,
}

impl SlotEntry {
    /// Versions are numbers that grow; 0 is that of a slot that is not there.
    pub fn number(&self) -> u64 {
        self.version.as_ref().and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

/// What a Secret holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The access key of this number.
    Key(u32),
    /// The bearer token of this number.
    Token(u32),
    Missing,
    Incomplete,
}

/// A status that was written: the object, and, where something changed, both statuses.
pub struct Written {
    pub object: Arc<VmInstance>,
    pub statuses: Option<(Arc<Value>, Arc<Value>)>,
}

/// What the watch tells: the place, and the object unless it is gone.
pub type Told = (usize, Option<Arc<VmInstance>>);

#[derive(Clone)]
pub struct Kube {
    version: u64,
    names: [(String, String); PLACES],
    pub objects: [Option<Stored>; PLACES],
    pub slots: Vec<(String, SlotEntry)>,
    pub secrets: [Content; PLACES],
    /// Every call fails until then.
    pub away_until: i64,
    /// What the watch has not yet passed on.
    pub told: Vec<Told>,
}

impl Kube {
    pub fn new(content: Content) -> Self {
        let name = |name: &str| (format!("of-{name}"), name.to_owned());
        Self {
            version: 100,
            names: [name("a"), name("b")],
            objects: [None, None],
            slots: Vec::new(),
            secrets: [content; PLACES],
            away_until: 0,
            told: Vec::new(),
        }
    }

    pub fn place(&self, namespace: &str, name: &str) -> Option<usize> {
        self.names.iter().position(|(space, known)| space == namespace && known == name)
    }

    pub fn place_of(&self, object: &VmInstance) -> Option<usize> {
        let meta = &object.metadata;
        self.place(meta.namespace.as_deref()?, meta.name.as_deref()?)
    }

    pub fn namespace_of_place(&self, namespace: &str) -> Option<usize> {
        self.names.iter().position(|(space, _)| space == namespace)
    }

    pub fn name(&self, place: usize) -> &str {
        &self.names[place].1
    }

    pub fn object(&self, place: usize) -> Option<&Stored> {
        self.objects[place].as_ref()
    }

    /// The place of the object with this uid.
    pub fn by_uid(&self, uid: &str) -> Option<usize> {
        let has = |stored: &Option<Stored>| {
            stored.as_ref().is_some_and(|one| one.object.metadata.uid.as_deref() == Some(uid))
        };
        self.objects.iter().position(has)
    }

    /// Grows with every write.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    fn store(
        &mut self,
        place: usize,
        mut object: VmInstance,
        status: Option<Arc<Value>>,
    ) -> Arc<VmInstance> {
        object.metadata.resource_version = Some(self.next_version());
        let object = Arc::new(object);
        let before = self.objects[place].as_ref().map(|stored| stored.status.clone());
        let status = status.or(before).unwrap_or_default();
        self.told.push((place, Some(object.clone())));
        self.objects[place] = Some(Stored { object: object.clone(), status });
        object
    }

    // ---- People ----

    pub fn create(&mut self, place: usize, spec: VmInstanceSpec, now: i64) {
        let (namespace, name) = self.names[place].clone();
        let mut object = VmInstance::new(&name, spec);
        let uid = format!("{name}{}", self.version);
        let meta = &mut object.metadata;
        meta.namespace = Some(namespace);
        // Its first eight characters name every change of the object.
        meta.uid = Some(format!("{uid:0<8}-uid"));
        meta.generation = Some(1);
        meta.creation_timestamp = Some(Time(at(now / SECOND * SECOND)));
        // As the CRD's default has it.
        let default = serde_json::json!({ "observedGeneration": -1, "phase": "Pending" });
        object.status = serde_json::from_value(default.clone()).ok();
        self.store(place, object, Some(Arc::new(default)));
    }

    /// A change of spec or metadata, by anybody; only a change of the spec is a new generation.
    pub fn edit(&mut self, place: usize, change: impl FnOnce(&mut VmInstance)) {
        let Some(stored) = &self.objects[place] else { return };
        let mut object = VmInstance::clone(&stored.object);
        change(&mut object);
        if object.spec != stored.object.spec {
            object.metadata.generation = object.metadata.generation.map(|one| one + 1);
        }
        if object.spec == stored.object.spec && object.metadata == stored.object.metadata {
            return;
        }
        if object.metadata.deletion_timestamp.is_some()
            && object.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
        {
            self.remove(place);
            return;
        }
        self.store(place, object, None);
    }

    fn remove(&mut self, place: usize) {
        self.next_version();
        let gone = self.objects[place].take();
        if is_off(Rule::SlotOutlives)
            && let Some(uid) = gone.and_then(|one| one.object.metadata.uid.clone())
        {
            self.slots.retain(|(_, entry)| !crate::shapes::mentions(&entry.json, &uid));
        }
        self.told.push((place, None));
    }

    /// With a finalizer the object stays, marked; else it is gone.
    pub fn delete(&mut self, place: usize, now: i64) {
        let Some(stored) = &self.objects[place] else { return };
        let keeps = |name: &String| name != POWER_FINALIZER || !is_off(Rule::Finalizer);
        let held = stored.object.metadata.finalizers.iter().flatten().any(keeps);
        if !held {
            self.remove(place);
            return;
        }
        if stored.object.metadata.deletion_timestamp.is_some() {
            return;
        }
        let mut object = VmInstance::clone(&stored.object);
        object.metadata.deletion_timestamp = Some(Time(at(now / SECOND * SECOND)));
        object.metadata.generation = object.metadata.generation.map(|one| one + 1);
        self.store(place, object, None);
    }

    pub fn write_secret(&mut self, place: usize, content: Content) {
        self.version += 1;
        self.secrets[place] = content;
    }

    // ---- The operator ----

    /// The object that a write of this version replaces.
    fn at_version(&self, read: &VmInstance) -> Result<(usize, &Stored), Denied> {
        let meta = &read.metadata;
        let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
        let place = self.place(namespace.unwrap_or_default(), name.unwrap_or_default());
        let place = place.ok_or(Denied::NotFound)?;
        let held = self.objects[place].as_ref().ok_or(Denied::NotFound)?;
        let now = &held.object.metadata;
        let same_version = now.resource_version == meta.resource_version;
        if now.uid != meta.uid || !same_version && !is_off(Rule::IntentVersion) {
            return Err(Denied::Conflict);
        }
        Ok((place, held))
    }

    /// The status sub-resource: it lands only at the version that it names, changes nothing else, and
    /// is no new version where it changes nothing at all.
    pub fn write_status(
        &mut self,
        read: &VmInstance,
        status: &VmInstanceStatus,
    ) -> Result<Written, Denied> {
        let (place, held) = self.at_version(read)?;
        if held.object.status.as_ref() == Some(status) {
            return Ok(Written { object: held.object.clone(), statuses: None });
        }
        let before = held.status.clone();
        let now = serde_json::to_value(status).expect("a status is JSON");
        let now = Arc::new(switches::status(now));
        if let Some(fault) = crate::schema::fault(&before, &now) {
            return Err(Denied::Invalid(fault));
        }
        let mut object = VmInstance::clone(&held.object);
        // What is read later is what JSON keeps of it.
        object.status = serde_json::from_value(Value::clone(&now)).ok();
        let object = self.store(place, object, Some(now.clone()));
        Ok(Written { object, statuses: Some((before, now)) })
    }

    pub fn slot(&self, instance: &str) -> Option<&SlotEntry> {
        self.slots.iter().find(|(id, _)| id == instance).map(|(_, entry)| entry)
    }

    /// Compare-and-swap; no new version where nothing changes.
    pub fn write_slot(
        &mut self,
        instance: &str,
        version: Option<&String>,
        record: Record,
        json: Arc<Value>,
    ) -> Result<SlotEntry, Denied> {
        let held = self.slot(instance).cloned().unwrap_or_default();
        if held.version.as_ref() != version && !is_off(Rule::SlotVersion) {
            return Err(Denied::Conflict);
        }
        if held.version.is_some() && held.json == json {
            return Ok(held);
        }
        let json = Arc::new(switches::record(&held.json, Value::clone(&json)));
        let record = serde_json::from_value(Value::clone(&json)).unwrap_or(record);
        let before = Some(Box::new(SlotEntry { before: None, ..held }));
        let entry = SlotEntry { version: Some(self.next_version()), record, json, before };
        match self.slots.iter_mut().find(|(id, _)| id == instance) {
            Some((_, old)) => *old = entry.clone(),
            None => self.slots.push((instance.to_owned(), entry.clone())),
        }
        Ok(entry)
    }

    pub fn delete_slot(&mut self, instance: &str, version: Option<&String>) -> Result<(), Denied> {
        let held = self.slot(instance).ok_or(Denied::NotFound)?;
        if held.version.as_ref() != version {
            return Err(Denied::Conflict);
        }
        self.version += 1;
        self.slots.retain(|(id, _)| id != instance);
        Ok(())
    }

    /// Somebody else deletes them all.
    pub fn lose_the_slots(&mut self) {
        self.version += 1;
        self.slots.clear();
    }

    /// The finalizers of an object as they were read, with or without the operator's own.
    pub fn set_finalizer(
        &mut self,
        read: &VmInstance,
        set: bool,
    ) -> Result<Arc<VmInstance>, Denied> {
        let (place, held) = self.at_version(read)?;
        let mut finalizers = read.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|name| name != POWER_FINALIZER);
        if set {
            finalizers.push(POWER_FINALIZER.to_owned());
        }
        let old = held.object.metadata.finalizers.clone().unwrap_or_default();
        let new = |name: &String| !old.contains(name);
        if held.object.metadata.deletion_timestamp.is_some() && finalizers.iter().any(new) {
            return Err(Denied::Invalid("no new finalizers while it is being deleted".to_owned()));
        }
        let mut written = VmInstance::clone(&held.object);
        written.metadata.finalizers = Some(finalizers.clone());
        self.edit(place, move |object| object.metadata.finalizers = Some(finalizers));
        Ok(self.object(place).map_or_else(|| Arc::new(written), |one| one.object.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Kube {
        let mut kube = Kube::new(Content::Key(1));
        let spec = serde_json::json!({ "instanceId": "vm-1", "instanceTypeId": "c.2c4g" });
        kube.create(0, serde_json::from_value(spec).unwrap(), 0);
        kube
    }

    fn now(kube: &Kube) -> Arc<VmInstance> {
        kube.object(0).unwrap().object.clone()
    }

    /// The status with this order number.
    fn status(number: &str) -> VmInstanceStatus {
        VmInstanceStatus { order_number: Some(number.to_owned()), ..VmInstanceStatus::default() }
    }

    fn write(kube: &mut Kube, read: &VmInstance, number: &str) -> Result<(), Denied> {
        kube.write_status(read, &status(number)).map(|_| ())
    }

    #[test]
    fn a_status_lands_only_at_the_version_that_it_names() {
        let mut kube = given();
        let old = now(&kube);
        assert_eq!(write(&mut kube, &old, "1"), Ok(()));
        assert_eq!(write(&mut kube, &old, "2"), Err(Denied::Conflict));
        let new = now(&kube);
        assert_eq!(new.status, Some(status("1")));
        assert_eq!((&new.spec, new.metadata.generation), (&old.spec, old.metadata.generation));
    }

    #[test]
    fn a_status_that_changes_nothing_is_no_new_version() {
        let mut kube = given();
        let first = now(&kube);
        write(&mut kube, &first, "1").unwrap();
        let second = now(&kube);
        write(&mut kube, &second, "1").unwrap();
        assert_eq!(now(&kube).metadata.resource_version, second.metadata.resource_version);
        // So what was sent before it can land after it.
        assert_eq!(write(&mut kube, &second, "2"), Ok(()));
    }

    #[test]
    fn only_a_change_of_the_spec_is_a_new_generation() {
        let mut kube = given();
        let old = now(&kube);
        kube.edit(0, |object| {
            object.metadata.annotations = Some([("a".into(), "b".into())].into())
        });
        assert_eq!(now(&kube).metadata.generation, Some(1));
        assert_ne!(now(&kube).metadata.resource_version, old.metadata.resource_version);
        kube.edit(0, |object| object.spec.suspend = true);
        assert_eq!(now(&kube).metadata.generation, Some(2));
    }

    #[test]
    fn an_object_with_a_finalizer_stays_until_it_is_taken_off() {
        let mut kube = given();
        kube.edit(0, |object| object.metadata.finalizers = Some(vec!["a/b".into()]));
        kube.delete(0, 1000);
        assert!(now(&kube).metadata.deletion_timestamp.is_some());
        kube.edit(0, |object| object.metadata.finalizers = None);
        assert!(kube.object(0).is_none());
    }

    #[test]
    fn an_object_that_is_created_again_is_another_one() {
        let mut kube = given();
        let old = now(&kube);
        kube.delete(0, 0);
        assert_eq!(write(&mut kube, &old, "1"), Err(Denied::NotFound));
        let spec = old.spec.clone();
        kube.create(0, spec, 1000);
        assert_ne!(now(&kube).metadata.uid, old.metadata.uid);
        assert_eq!(write(&mut kube, &old, "1"), Err(Denied::Conflict));
    }
}
