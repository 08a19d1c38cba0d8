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

/// The lanes of all credentials.
#[derive(Default)]
pub struct Lanes(Mutex<HashMap<String, Arc<Semaphore>>>);

impl Lanes {
    /// Waits for a turn in the lane of the credential that `scope` names.
    pub async fn turn(&self, scope: &str) -> Turn {
        let lane = {
            let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A lane that nobody uses is forgotten: Secrets come and go.
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
            let lane = lanes.entry(scope.to_owned());
            lane.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
        };
        // The semaphore is never closed.
        Turn { _permit: lane.acquire_owned().await.ok() }
    }
}
