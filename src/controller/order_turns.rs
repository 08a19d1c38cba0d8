//! Takes turns for each credential: what is read for an order must be fresh when the order is
//! made, and reads of many objects at once would wait too long for the rate limit.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Orders of one credential that may be under way at once.
const AT_ONCE: usize = 2;

/// One turn; it ends when dropped.
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The turns of all credentials.
#[derive(Default)]
pub struct OrderTurns(Mutex<HashMap<String, Arc<Semaphore>>>);

impl OrderTurns {
    /// Waits for a turn of the credential that `scope` names.
    pub async fn turn(&self, scope: &str) -> Turn {
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A queue that nobody uses is forgotten: Secrets come and go.
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
            let queue = queues.entry(scope.to_owned());
            queue.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
        };
        // The semaphore is never closed.
        Turn { _permit: queue.acquire_owned().await.ok() }
    }
}
