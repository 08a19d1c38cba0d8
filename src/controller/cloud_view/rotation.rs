//! Notices that a Secret was changed, without list or watch on Secrets: those that an object waits
//! for are asked for by name, a few times a minute.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use kube::runtime::reflector::{ObjectRef, Store as Cache};

use crate::{
    api::{Phase, VmInstance},
    controller::store::{Age, Store},
    lifecycle::{ObjectKey, SecretState},
};

/// A Secret by namespace and name.
type Key = (String, String);
/// The digest of the data of a Secret, salted with the uid of an object; `None` where there is none.
type Digest = Option<String>;

/// What the last pass over each object saw of its Secret, by uid. What changes between a pass and the
/// next look is not missed.
#[derive(Default)]
pub struct Digests(Mutex<HashMap<String, Digest>>);

impl Digests {
    /// Remembers what a pass saw. Of a Secret that could not be read nothing is known.
    pub fn saw(&self, uid: &str, secret: &SecretState) {
        if let Some(digest) = digest(secret) {
            self.lock().insert(uid.to_owned(), digest);
        }
    }

    /// Whether the last pass over this object saw something else. No pass yet: one is to come.
    fn differs(&self, uid: &str, now: &Digest) -> bool {
        self.lock().get(uid).is_some_and(|seen| seen != now)
    }

    /// Forgets all other objects.
    fn keep(&self, uids: &HashSet<String>) {
        self.lock().retain(|uid, _| uids.contains(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(secret: &SecretState) -> Option<Digest> {
    match secret {
        SecretState::Unreadable { .. } => None,
        SecretState::NotFound => Some(None),
        SecretState::Incomplete { problem } | SecretState::WrongType { problem } => {
            Some(Some(problem.clone()))
        }
        SecretState::Usable { digest, .. } => Some(Some(digest.clone())),
    }
}

/// The objects whose Secret was changed, as they turn up. `pause` lies between two looks.
pub fn rotated(
    cache: Cache<VmInstance>,
    store: Arc<dyn Store>,
    seen: Arc<Digests>,
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

/// Those of them whose last pass saw something else than there is now.
async fn look(
    cache: &Cache<VmInstance>,
    store: &dyn Store,
    seen: &Digests,
) -> Vec<ObjectRef<VmInstance>> {
    let objects = cache.state();
    seen.keep(&objects.iter().filter_map(|one| one.metadata.uid.clone()).collect());
    let mut woken = Vec::new();
    for ((namespace, name), objects) in waiting(objects) {
        // Once for all of them.
        let mut age = Age::Anew;
        for object in objects {
            let uid = object.metadata.uid.clone().unwrap_or_default();
            let object_name = object.metadata.name.clone().unwrap_or_default();
            let key = ObjectKey { namespace: namespace.clone(), name: object_name, uid };
            let (state, _) = store.secret(&key, &name, age).await;
            age = Age::Kept;
            if digest(&state).is_some_and(|now| seen.differs(&key.uid, &now)) {
                woken.push(ObjectRef::from_obj(object.as_ref()));
            }
        }
    }
    woken
}
