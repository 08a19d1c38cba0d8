//! Other operators of the cluster that may serve the same objects, as far as their leases show them. Pure:
//! `election` lists the leases now and then.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::{leader::Record, unchanged::Unchanged};
use crate::{
    api::VmInstance,
    lifecycle::{Peer, Selection},
};

/// The operators whose selections may overlap with ours; clones share them.
#[derive(Clone, Default)]
pub struct Neighbours(Arc<Known>);

#[derive(Default)]
struct Known {
    /// Ourselves, where we take part in an election.
    me: Option<Peer>,
    others: Mutex<Vec<Peer>>,
    news: Notify,
}

impl Neighbours {
    pub fn of(me: Peer) -> Self {
        Self(Arc::new(Known { me: Some(me), ..Known::default() }))
    }

    /// All that serve this object, we among them; none, if we alone do.
    pub fn serving(&self, object: &VmInstance) -> Vec<Peer> {
        let meta = &object.metadata;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let serves = |one: &&Peer| one.selection.includes(namespace, meta.labels.as_ref());
        let mut all: Vec<Peer> = self.lock().iter().filter(serves).cloned().collect();
        if !all.is_empty() {
            all.extend(self.0.me.clone());
            all.sort_by(|one, two| one.holder.cmp(&two.holder));
        }
        all
    }

    pub fn all(&self) -> Vec<Peer> {
        self.lock().clone()
    }

    pub fn set(&self, others: Vec<Peer>) {
        let before = std::mem::replace(&mut *self.lock(), others.clone());
        if before != others {
            self.0.news.notify_one();
        }
    }

    /// Resolves once others are known than before.
    pub async fn news(&self) {
        self.0.news.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Peer>> {
        self.0.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease of a leader, as a list shows it.
pub struct Listed {
    pub name: String,
    pub version: Option<String>,
    pub record: Record,
    /// What cannot be read may be everything.
    pub selection: Selection,
}

/// Since when each lease has been as it is, by our clock: one that its holder does not renew is nobody's.
pub struct Roll {
    /// Our own lease, and what we serve.
    own: String,
    selection: Selection,
    /// How long a lease lasts that does not say it.
    usual: Duration,
    unchanged: Unchanged,
}

impl Roll {
    pub fn new(own: String, selection: Selection, usual: Duration) -> Self {
        Self { own, selection, usual, unchanged: Unchanged::default() }
    }

    /// The operators that may serve what we serve. One that is seen for the first time counts: it may
    /// be at work.
    pub fn look(&mut self, listed: Vec<Listed>, now: Duration) -> Vec<Peer> {
        self.unchanged.keep(listed.iter().map(|one| one.name.as_str()));
        let mut others = Vec::new();
        for Listed { name, version, record, selection } in listed {
            let lasts = record.duration.unwrap_or(self.usual);
            let lives = self.unchanged.age(&name, &version, now) < lasts;
            let Some(holder) = record.holder.filter(|_| lives && name != self.own) else {
                continue;
            };
            if selection.may_overlap(&self.selection) {
                others.push(Peer { holder, selection });
            }
        }
        others.sort_by(|one, two| one.holder.cmp(&two.holder));
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(selector: &str) -> Selection {
        Selection::parse([], selector).unwrap()
    }

    fn lease(name: &str, version: u64, holder: Option<&str>, selector: &str) -> Listed {
        let duration = Some(Duration::from_secs(35));
        let holder = holder.map(str::to_owned);
        Listed {
            name: name.to_owned(),
            version: Some(version.to_string()),
            record: Record { holder, duration, ..Record::default() },
            selection: selected(selector),
        }
    }

    #[test]
    fn an_operator_counts_while_its_lease_is_held_and_renewed_and_its_selection_may_overlap() {
        let mut roll = Roll::new("own".into(), selected("shard=1"), Duration::from_secs(35));
        let mut holders = |at: u64, leases: Vec<Listed>| -> Vec<String> {
            let others = roll.look(leases, Duration::from_secs(at));
            others.into_iter().map(|one| one.holder).collect()
        };
        let all = |version| {
            vec![
                lease("own", 1, Some("me"), "shard=1"),
                lease("a", version, Some("a"), ""),
                lease("b", 1, Some("b"), "shard=2"),
                lease("c", 1, None, ""),
                lease("d", 1, Some("d"), "tier=x"),
            ]
        };
        assert_eq!(holders(0, all(1)), ["a", "d"]);
        assert_eq!(holders(34, all(2)), ["a", "d"]);
        assert_eq!(holders(35, all(2)), ["a"], "d was not renewed");
        assert_eq!(holders(68, all(2)), ["a"]);
        assert_eq!(holders(69, all(2)), [""; 0]);
        // It is back; and one that was forgotten is new.
        assert_eq!(holders(70, all(3)), ["a"]);
        assert_eq!(holders(71, vec![]), [""; 0]);
        assert_eq!(holders(72, vec![lease("d", 1, Some("d"), "")]), ["d"]);
    }

    #[test]
    fn an_object_that_only_we_select_is_not_served_by_the_other_one() {
        let peer =
            |holder: &str, selector| Peer { holder: holder.into(), selection: selected(selector) };
        let neighbours = Neighbours::of(peer("me", ""));
        neighbours.set(vec![peer("other", "shard=1"), peer("another", "tier")]);
        let spec = serde_json::json!({ "instanceId": "vm-1", "instanceTypeId": "c.2c4g" });
        let mut object = VmInstance::new("vm-1", serde_json::from_value(spec).unwrap());
        assert_eq!(neighbours.serving(&object), []);
        object.metadata.labels = Some([("shard".to_owned(), "1".to_owned())].into());
        assert_eq!(neighbours.serving(&object), [peer("me", ""), peer("other", "shard=1")]);
    }
}
