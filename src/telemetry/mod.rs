//! What the operator tells of itself: logs, metrics, and the probes.

mod calls;
mod logging;
mod metrics;
mod server;
mod snapshot;
mod watch_health;

pub use calls::OTHER;
pub use logging::{LogFormat, init_logging};
pub use metrics::Metrics;
pub use server::{ServeError, bind, serve};
pub use snapshot::{Label, Oldest, Snapshot};
pub use watch_health::WatchHealth;

/// How the operator names itself, to the Kubernetes API and to the provider.
pub const USER_AGENT: &str = concat!("vm-operator/", env!("CARGO_PKG_VERSION"));
