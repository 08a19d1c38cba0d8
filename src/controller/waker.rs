//! Objects that something else than their own change wakes: a rotated Secret, an owner that is deleted,
//! a credential that works again.

use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, stream};
use kube::ResourceExt;
use tokio::sync::Notify;

use crate::{api::VmInstance, lifecycle::ObjectKey};

/// Namespace and name.
pub type Name = (String, String);

/// That of an object.
pub fn name_of(object: &VmInstance) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// A queue of objects; clones share it.
#[derive(Clone, Default)]
pub struct Waker(Arc<Queue>);

#[derive(Default)]
struct Queue {
    names: Mutex<Vec<Name>>,
    news: Notify,
}

impl Waker {
    pub fn wake(&self, names: impl IntoIterator<Item = Name>) {
        let mut queue = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        queue.extend(names);
        if !queue.is_empty() {
            self.0.news.notify_one();
        }
    }

    pub fn wake_keys(&self, keys: Vec<ObjectKey>) {
        self.wake(keys.into_iter().map(|key| (key.namespace, key.name)));
    }

    /// Those that were woken since the last call.
    pub fn take(&self) -> Vec<Name> {
        std::mem::take(&mut *self.0.names.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All of them, as they are woken.
    pub fn woken(&self) -> impl Stream<Item = Name> + Send + 'static + use<> {
        let queue = self.clone();
        stream::unfold((queue, Vec::new()), |(queue, mut left)| async move {
            loop {
                if let Some(name) = left.pop() {
                    return Some((name, (queue, left)));
                }
                queue.0.news.notified().await;
                left = queue.take();
            }
        })
    }
}
