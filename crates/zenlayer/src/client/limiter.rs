//! One [`Pace`] for each credential, under the monotonic clock.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest;
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep};

use crate::{Credentials, Pace};

/// Tells credentials apart without keeping them.
type Key = Vec<u8>;

pub struct Limiter {
    per_second: NonZeroU32,
    burst: NonZeroU32,
    started: Instant,
    paces: Mutex<HashMap<Key, Pace>>,
}

impl Limiter {
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        Self { per_second, burst, started: Instant::now(), paces: Mutex::default() }
    }

    /// Waits for the next turn of this credential. Who waits no longer gives the turn back, or turns
    /// that nobody uses would hold up all that come later.
    pub async fn turn(&self, credentials: &Credentials) {
        let wait = self.with(credentials, Pace::take);
        if wait.is_zero() {
            return;
        }
        let mut taken = Taken { limiter: self, credentials, used: false };
        sleep(wait).await;
        taken.used = true;
    }

    /// The provider said 429.
    pub fn throttled(&self, credentials: &Credentials, retry_after: Option<Duration>) {
        self.with(credentials, |pace, now| pace.throttled(now, retry_after));
    }

    fn with<T>(&self, credentials: &Credentials, act: impl FnOnce(&mut Pace, Duration) -> T) -> T {
        let mut paces = self.lock();
        let now = self.started.elapsed();
        let key = key(credentials);
        if !paces.contains_key(&key) {
            // A rotated credential leaves nothing behind.
            paces.retain(|_, pace| !pace.is_idle(now));
        }
        let pace = paces.entry(key).or_insert_with(|| Pace::new(self.per_second, self.burst));
        act(pace, now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Pace>> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn that has not come yet. It goes back when the wait for it is dropped.
struct Taken<'a> {
    limiter: &'a Limiter,
    credentials: &'a Credentials,
    used: bool,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.used {
            self.limiter.with(self.credentials, |pace, _| pace.give_back(1));
        }
    }
}

fn key(credentials: &Credentials) -> Key {
    let secret = match credentials {
        Credentials::AccessKey { id, .. } => id.as_str(),
        Credentials::Token(token) => token.expose_secret(),
    };
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().to_vec()
}
