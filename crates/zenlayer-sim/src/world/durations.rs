//! How long each passing state lasts, and which state follows it.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{State, Transition, time::later};

/// How long each passing state lasts. The documents name none of these times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Durations {
    /// PENDING, then DEPLOYING.
    pub pending: SignedDuration,
    /// DEPLOYING, then RUNNING.
    pub deploying: SignedDuration,
    /// BOOTING, then RUNNING.
    pub boot: SignedDuration,
    /// STOPPING, then STOPPED.
    pub stop: SignedDuration,
    /// REBOOT, then RUNNING.
    pub reboot: SignedDuration,
    /// REBUILDING, then RUNNING.
    pub rebuilding: SignedDuration,
    /// IMAGING, then RUNNING.
    pub imaging: SignedDuration,
    /// RECYCLING, then RECYCLE.
    pub recycling: SignedDuration,
    /// RECYCLE, then RELEASING.
    pub recycle: SignedDuration,
    /// RELEASING, then the instance is gone.
    pub releasing: SignedDuration,
}

impl Default for Durations {
    fn default() -> Self {
        let seconds = SignedDuration::from_secs;
        Self {
            pending: seconds(5),
            deploying: seconds(30),
            boot: seconds(10),
            stop: seconds(10),
            reboot: seconds(15),
            rebuilding: seconds(60),
            imaging: seconds(60),
            recycling: seconds(5),
            recycle: SignedDuration::from_hours(7 * 24),
            releasing: seconds(10),
        }
    }
}

impl Durations {
    pub(super) fn all(&self) -> [(&'static str, SignedDuration); 10] {
        let Self {
            pending,
            deploying,
            boot,
            stop,
            reboot,
            rebuilding,
            imaging,
            recycling,
            recycle,
            releasing,
        } = self;
        [
            ("pending", *pending),
            ("deploying", *deploying),
            ("boot", *boot),
            ("stop", *stop),
            ("reboot", *reboot),
            ("rebuilding", *rebuilding),
            ("imaging", *imaging),
            ("recycling", *recycling),
            ("recycle", *recycle),
            ("releasing", *releasing),
        ]
    }

    /// How a state is left by itself, when it was entered at this moment; nothing if it stays.
    pub(super) fn after(&self, state: State, at: Timestamp) -> Option<Transition> {
        let (lasts, to) = match state {
            State::Pending => (self.pending, Some(State::Deploying)),
            State::Deploying => (self.deploying, Some(State::Running)),
            State::Booting => (self.boot, Some(State::Running)),
            State::Stopping => (self.stop, Some(State::Stopped)),
            State::Reboot => (self.reboot, Some(State::Running)),
            State::Rebuilding => (self.rebuilding, Some(State::Running)),
            State::Imaging => (self.imaging, Some(State::Running)),
            State::Recycling => (self.recycling, Some(State::Recycle)),
            State::Recycle => (self.recycle, Some(State::Releasing)),
            State::Releasing => (self.releasing, None),
            State::Running | State::Stopped | State::CreateFailed => return None,
        };
        Some(Transition { until: later(at, lasts), to })
    }
}
