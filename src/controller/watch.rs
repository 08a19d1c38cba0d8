//! The watch of what an operator serves: one of all namespaces, or one of each that was named. Several are
//! told as one, so that the cache behind them is whole or not there at all.

use std::{
    collections::{HashMap, HashSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client, ResourceExt,
    api::ObjectMeta,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};

use super::{
    SlotCache, Store,
    connect::{LONGEST_PAUSE, WATCH_SECONDS, watch_pauses},
    unreadable,
};
use crate::{
    api::{CANCEL_PLAN_ANNOTATION, RELEASE_ANNOTATION, REQUESTED_AT_ANNOTATION, VmInstance},
    lifecycle::Selection,
};

type Seen<K> = watcher::Result<Event<K>>;
pub type Objects = Api<DeserializeGuard<VmInstance>>;

/// The objects that are selected, one way for each namespace that is named.
pub fn objects(client: &Client, selection: &Selection) -> Vec<Objects> {
    let mut named: Vec<_> =
        selection.namespaces().map(|name| Api::namespaced(client.clone(), name)).collect();
    if named.is_empty() {
        named.push(Api::all(client.clone()));
    }
    named
}

/// Keeps what is known of the slots as it is. While this watch fails, writes that rest on an old slot fail,
/// and the slot is read by itself.
pub async fn watch_slots(client: &Client, namespace: &str, slots: SlotCache) {
    // Whatever labels a person has left on them.
    let all = watcher::Config::default().timeout(WATCH_SECONDS);
    let leases = Api::<Lease>::namespaced(client.clone(), namespace);
    let events = watcher::watcher(leases, all).backoff(watch_pauses(LONGEST_PAUSE));
    events
        .for_each(|event| {
            match event {
                Ok(event) => slots.saw(&event),
                Err(error) => {
                    tracing::warn!(%error, "the watch of the slots failed; it starts again");
                }
            }
            std::future::ready(())
        })
        .await;
}

/// Everything that happens to them.
pub fn watch(
    client: &Client,
    selection: &Selection,
    store: &Arc<dyn Store>,
) -> impl Stream<Item = Seen<VmInstance>> + Send + 'static + use<> {
    let apis = objects(client, selection);
    let mut config = watcher::Config::default().timeout(WATCH_SECONDS);
    if !selection.selector().is_empty() {
        config = config.labels(&selection.selector());
    }
    let mut merge = Merge::of(apis.len());
    let store = store.clone();
    let each = apis.into_iter().enumerate().map(move |(place, api)| {
        let store = store.clone();
        let seen = watcher::watcher(api, config.clone())
            .backoff(watch_pauses(LONGEST_PAUSE))
            .filter_map(move |event| std::future::ready(unreadable::readable(event, &store)));
        seen.map(move |event| (place, event)).boxed()
    });
    stream::select_all(each).flat_map(move |(place, event)| {
        let events = match event {
            Ok(event) => merge.event(place, event).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(events)
    })
}

/// What would only take memory.
pub fn forget_what_nobody_reads(object: &mut VmInstance) {
    object.metadata.managed_fields = None;
    if let Some(annotations) = &mut object.metadata.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Those of others wake nobody.
pub fn our_annotations(object: &VmInstance) -> Option<u64> {
    let annotations = object.metadata.annotations.as_ref();
    let ours = [RELEASE_ANNOTATION, REQUESTED_AT_ANNOTATION, CANCEL_PLAN_ANNOTATION]
        .map(|name| annotations.and_then(|all| all.get(name)));
    let mut hasher = std::hash::DefaultHasher::new();
    ours.hash(&mut hasher);
    Some(hasher.finish())
}

/// An object that is about to be deleted has to be looked at.
pub fn deletion(object: &VmInstance) -> Option<u64> {
    Some(u64::from(object.metadata.deletion_timestamp.is_some()))
}

type Name = (Option<String>, String);

/// Makes the events of one watch of those of several. Until each has listed its objects nothing is told; a
/// list that is made anew later is told as what has changed.
struct Merge {
    parts: Vec<Part>,
    told: bool,
}

#[derive(Default)]
struct Part {
    /// It has listed its objects once.
    listed: bool,
    /// Until all have: what it has shown.
    first: HashMap<Name, VmInstance>,
    /// After that: the objects that were told, and the list that is under way.
    known: HashSet<Name>,
    list: Vec<VmInstance>,
}

fn name(object: &VmInstance) -> Name {
    (object.namespace(), object.name_any())
}

impl Merge {
    fn of(parts: usize) -> Self {
        Self { parts: (0..parts).map(|_| Part::default()).collect(), told: false }
    }

    fn event(&mut self, place: usize, event: Event<VmInstance>) -> Vec<Event<VmInstance>> {
        if self.parts.len() == 1 {
            return vec![event];
        }
        let Some(part) = self.parts.get_mut(place) else { return Vec::new() };
        if self.told {
            return part.later(event);
        }
        part.first(event);
        if !self.parts.iter().all(|part| part.listed) {
            return Vec::new();
        }
        self.told = true;
        let objects = self.parts.iter_mut().flat_map(Part::all).map(Event::InitApply);
        [Event::Init].into_iter().chain(objects).chain([Event::InitDone]).collect()
    }
}

impl Part {
    fn first(&mut self, event: Event<VmInstance>) {
        match event {
            Event::Init => self.first.clear(),
            Event::InitApply(object) | Event::Apply(object) => {
                self.first.insert(name(&object), object);
            }
            Event::Delete(object) => {
                self.first.remove(&name(&object));
            }
            Event::InitDone => self.listed = true,
        }
    }

    fn all(&mut self) -> Vec<VmInstance> {
        self.known = self.first.keys().cloned().collect();
        std::mem::take(&mut self.first).into_values().collect()
    }

    fn later(&mut self, event: Event<VmInstance>) -> Vec<Event<VmInstance>> {
        match event {
            Event::Init => {
                self.list.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.list.push(object);
                Vec::new()
            }
            Event::InitDone => {
                let list = std::mem::take(&mut self.list);
                let now: HashSet<Name> = list.iter().map(name).collect();
                let gone = std::mem::replace(&mut self.known, now);
                let gone: Vec<Name> = gone.difference(&self.known).cloned().collect();
                let deleted = gone.into_iter().map(|name| Event::Delete(stand_in(name)));
                deleted.chain(list.into_iter().map(Event::Apply)).collect()
            }
            Event::Apply(object) => {
                self.known.insert(name(&object));
                vec![Event::Apply(object)]
            }
            Event::Delete(object) => {
                self.known.remove(&name(&object));
                vec![Event::Delete(object)]
            }
        }
    }
}

/// Of an object that is gone only the name is known.
fn stand_in((namespace, name): Name) -> VmInstance {
    let metadata = ObjectMeta { name: Some(name), namespace, ..ObjectMeta::default() };
    unreadable::named(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> VmInstance {
        stand_in((Some("ns".into()), name.into()))
    }

    /// What is told after each of these events, in short.
    fn told(parts: usize, events: Vec<(usize, Event<VmInstance>)>) -> Vec<String> {
        let mut merge = Merge::of(parts);
        let mut told = Vec::new();
        for (place, event) in events {
            let mut some: Vec<String> =
                merge.event(place, event).iter().map(|event| format!("{}", Short(event))).collect();
            // The objects of one list have no order.
            if let [first, objects @ .., _] = some.as_mut_slice()
                && first == "("
            {
                objects.sort();
            } else {
                some.sort();
            }
            told.push(some.join(" "));
        }
        told
    }

    struct Short<'a>(&'a Event<VmInstance>);

    impl std::fmt::Display for Short<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self.0 {
                Event::Init => f.write_str("("),
                Event::InitDone => f.write_str(")"),
                Event::InitApply(object) => f.write_str(&object.name_any()),
                Event::Apply(object) => write!(f, "+{}", object.name_any()),
                Event::Delete(object) => write!(f, "-{}", object.name_any()),
            }
        }
    }

    #[test]
    fn nothing_is_told_before_all_have_listed_and_then_all_at_once() {
        let events = vec![
            (0, Event::Init),
            (0, Event::InitApply(object("a"))),
            (0, Event::InitApply(object("gone"))),
            (0, Event::InitDone),
            (0, Event::Apply(object("b"))),
            (0, Event::Delete(object("gone"))),
            (1, Event::Init),
            (1, Event::InitApply(object("given up"))),
            (1, Event::Init),
            (1, Event::InitApply(object("c"))),
            (1, Event::InitDone),
            (0, Event::Apply(object("d"))),
        ];
        let told = told(2, events);
        assert_eq!(told[..10], [""; 10]);
        assert_eq!(told[10..], ["( a b c )", "+d"]);
    }

    #[test]
    fn a_list_that_is_made_anew_tells_what_has_changed_and_leaves_the_others() {
        let events = vec![
            (0, Event::Init),
            (0, Event::InitApply(object("a"))),
            (0, Event::InitApply(object("b"))),
            (0, Event::InitDone),
            (1, Event::Init),
            (1, Event::InitApply(object("c"))),
            (1, Event::InitDone),
            (0, Event::Init),
            (0, Event::InitApply(object("b"))),
            (0, Event::InitApply(object("d"))),
            (0, Event::InitDone),
            (1, Event::Delete(object("c"))),
            (1, Event::Init),
            (1, Event::InitDone),
        ];
        let told = told(2, events);
        assert_eq!(told[6..], ["( a b c )", "", "", "", "+b +d -a", "-c", "", ""]);
    }

    #[test]
    fn one_alone_is_told_as_it_is() {
        let events =
            vec![(0, Event::Init), (0, Event::InitApply(object("a"))), (0, Event::InitDone)];
        assert_eq!(told(1, events), ["(", "a", ")"]);
    }
}
