//! Notices that a Secret was changed, without list or watch on Secrets: those that an object waits
//! for are asked for by name, a few times a minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use kube::runtime::reflector::{ObjectRef, Store as Cache};

use super::Store;
use crate::api::{Phase, VmInstance};

/// A Secret by namespace and name.
type Key = (String, String);

/// The objects whose Secret was changed, as they turn up. `pause` lies between two looks.
pub fn rotated(
    cache: Cache<VmInstance>,
    store: Arc<dyn Store>,
    pause: Duration,
) -> impl Stream<Item = ObjectRef<VmInstance>> {
    let seen: BTreeMap<Key, Option<String>> = BTreeMap::new();
    stream::unfold(seen, move |seen| {
        let (cache, store) = (cache.clone(), store.clone());
        async move {
            tokio::time::sleep(pause).await;
            let now = look(&cache, store.as_ref()).await;
            let changed: BTreeSet<&Key> = now
                .iter()
                .filter(|(key, version)| seen.get(*key).is_some_and(|before| before != *version))
                .map(|(key, _)| key)
                .collect();
            let woken: Vec<ObjectRef<VmInstance>> = waiting(&cache)
                .into_iter()
                .filter(|(key, _)| changed.contains(key))
                .map(|(_, object)| ObjectRef::from_obj(object.as_ref()))
                .collect();
            Some((stream::iter(woken), now))
        }
    })
    .flatten()
}

/// The objects that a changed Secret may help, with their Secrets.
fn waiting(cache: &Cache<VmInstance>) -> Vec<(Key, Arc<VmInstance>)> {
    let stalled = |object: &Arc<VmInstance>| {
        object.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Failed))
    };
    let key = |object: Arc<VmInstance>| {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        ((namespace, object.spec.credentials.secret_ref.name.clone()), object)
    };
    cache.state().into_iter().filter(stalled).map(key).collect()
}

/// The versions of their Secrets; `None` where there is no such Secret. A Secret that could not be
/// read is left out: nothing is known of it.
async fn look(cache: &Cache<VmInstance>, store: &dyn Store) -> BTreeMap<Key, Option<String>> {
    let keys: BTreeSet<Key> = waiting(cache).into_iter().map(|(key, _)| key).collect();
    let mut versions = BTreeMap::new();
    for (namespace, name) in keys {
        let (state, _) = store.secret(&namespace, &name).await;
        if !matches!(state, crate::lifecycle::SecretState::Unreadable { .. }) {
            let version = state.version().map(str::to_owned);
            versions.insert((namespace, name), version);
        }
    }
    versions
}
