//! Notices that a Secret was changed, without list or watch on Secrets: those that an object waits
//! for are asked for by name, a few times a minute.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use kube::runtime::reflector::{ObjectRef, Store as Cache};

use super::Store;
use crate::{
    api::{Phase, VmInstance},
    lifecycle::SecretState,
};

/// A Secret by namespace and name.
type Key = (String, String);
/// The version of a Secret; `None` where there is no such Secret.
type Version = Option<String>;

/// Which version of its Secret the last pass over each object saw, by uid. What changes between a
/// pass and the next look is not missed.
#[derive(Default)]
pub struct Versions(Mutex<HashMap<String, Version>>);

impl Versions {
    /// Remembers what a pass saw. Of a Secret that could not be read nothing is known.
    pub fn saw(&self, uid: &str, secret: &SecretState) {
        if let Some(version) = version(secret) {
            self.lock().insert(uid.to_owned(), version);
        }
    }

    /// Whether the last pass over this object saw another version. No pass yet: one is to come.
    fn differs(&self, uid: &str, now: &Version) -> bool {
        self.lock().get(uid).is_some_and(|seen| seen != now)
    }

    /// Forgets all other objects.
    fn keep(&self, uids: &HashSet<String>) {
        self.lock().retain(|uid, _| uids.contains(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Version>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(secret: &SecretState) -> Option<Version> {
    match secret {
        SecretState::Unreadable { .. } => None,
        SecretState::NotFound => Some(None),
        SecretState::Usable { .. } | SecretState::Incomplete { .. } => {
            Some(secret.version().map(str::to_owned))
        }
    }
}

/// The objects whose Secret was changed, as they turn up. `pause` lies between two looks.
pub fn rotated(
    cache: Cache<VmInstance>,
    store: Arc<dyn Store>,
    seen: Arc<Versions>,
    pause: Duration,
) -> impl Stream<Item = ObjectRef<VmInstance>> {
    stream::unfold((), move |()| {
        let (cache, store, seen) = (cache.clone(), store.clone(), seen.clone());
        async move {
            tokio::time::sleep(pause).await;
            Some((stream::iter(look(&cache, store.as_ref(), &seen).await), ()))
        }
    })
    .flatten()
}

/// The objects that a changed Secret may help, by that Secret.
fn waiting(objects: Vec<Arc<VmInstance>>) -> BTreeMap<Key, Vec<Arc<VmInstance>>> {
    let mut waiting: BTreeMap<Key, Vec<_>> = BTreeMap::new();
    for object in objects {
        if object.status.as_ref().and_then(|status| status.phase) == Some(Phase::Failed) {
            let namespace = object.metadata.namespace.clone().unwrap_or_default();
            let name = object.spec.credentials.secret_ref.name.clone();
            waiting.entry((namespace, name)).or_default().push(object);
        }
    }
    waiting
}

/// Those of them whose last pass saw another version than there is now.
async fn look(
    cache: &Cache<VmInstance>,
    store: &dyn Store,
    seen: &Versions,
) -> Vec<ObjectRef<VmInstance>> {
    let objects = cache.state();
    seen.keep(&objects.iter().filter_map(|one| one.metadata.uid.clone()).collect());
    let mut woken = Vec::new();
    for ((namespace, name), objects) in waiting(objects) {
        let (state, _) = store.secret(&namespace, &name).await;
        let Some(now) = version(&state) else { continue };
        let stale = objects
            .iter()
            .filter(|one| seen.differs(one.metadata.uid.as_deref().unwrap_or_default(), &now));
        woken.extend(stale.map(|one| ObjectRef::from_obj(one.as_ref())));
    }
    woken
}
