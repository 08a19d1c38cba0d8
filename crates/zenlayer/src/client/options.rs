//! What a client can be told: times, sizes, its rate, whom it trusts, and what it is called.

use std::{num::NonZeroU32, time::Duration};

use super::ExtraRoots;

/// Limits of a client. Take the default and change what you need:
///
/// ```
/// # use zenlayer::ClientOptions;
/// let options = ClientOptions { user_agent: "stocktaking/2.1".into(), ..ClientOptions::default() };
/// ```
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// DNS, TCP and TLS together: 5 s.
    pub connect_timeout: Duration,
    /// One try of a read, with its body: 10 s.
    pub try_timeout: Duration,
    /// A whole call, with its body; for a read, with all its tries and the wait for the rate limit:
    /// 30 s.
    pub total_timeout: Duration,
    /// The first pause before a read is tried again; it doubles, and jitter is added: 500 ms.
    pub retry_pause: Duration,
    /// Largest answer, after decompression, in bytes: 4 MiB.
    pub body_limit: usize,
    /// Calls a second for each credential: 5. The provider publishes no figure. `None`: the caller keeps
    /// to a rate by itself, for example with a [`Pace`](crate::Pace).
    pub requests_per_second: Option<NonZeroU32>,
    /// Calls that may come at once: 10.
    pub burst: NonZeroU32,
    /// Certificate authorities that are trusted besides those of the system: none.
    pub extra_roots: ExtraRoots,
    /// The `User-Agent` of every call: `zenlayer-rs/` and the version of this crate.
    pub user_agent: String,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            try_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(30),
            retry_pause: Duration::from_millis(500),
            body_limit: 4 << 20,
            requests_per_second: NonZeroU32::new(5),
            burst: NonZeroU32::new(10).unwrap_or(NonZeroU32::MIN),
            extra_roots: ExtraRoots::default(),
            user_agent: concat!("zenlayer-rs/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
