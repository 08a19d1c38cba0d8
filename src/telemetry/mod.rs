//! What the operator tells of itself: logs, metrics, and the probes.

mod logging;
mod metrics;
mod server;
mod watch_health;

pub use logging::{LogFormat, init_logging};
pub use metrics::Metrics;
pub use server::{ServeError, bind, serve};
pub use watch_health::WatchHealth;
