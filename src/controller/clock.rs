//! The one clock of the controller.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;

/// Wall and monotonic time, and the passing of it, handed in so that a simulation can own all three.
#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
    async fn sleep(&self, pause: Duration);
}

/// The system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
    ahead: Duration,
}

impl SystemClock {
    /// Wall time that is so much later than it is: for tests in which months pass.
    pub fn ahead_by(ahead: Duration) -> Self {
        Self { ahead, ..Self::default() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now(), ahead: Duration::ZERO }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now().checked_add(self.ahead).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}
