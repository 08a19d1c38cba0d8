//! The service's clock: this machine's, a faster one, or one that moves by hand only. The time of
//! this machine is an argument.

use std::{ops::RangeInclusive, time::Duration};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClockMode {
    /// As this machine's clock.
    #[default]
    Wall,
    /// `scale` times as fast as this machine's clock.
    Scaled,
    /// Only by steps of the control API.
    Stepped,
}

/// A slower clock is a halted one, and a faster one is at the end of time within minutes.
const SCALES: RangeInclusive<f64> = 1e-6..=1e9;

/// The clock of a file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClockSettings {
    pub mode: ClockMode,
    /// How many seconds pass in one second; for the mode scaled.
    #[schemars(range(min = 0.000001, max = 1_000_000_000.0))]
    pub scale: Option<f64>,
    /// The moment at which the simulation starts; without it, now.
    pub start: Option<Timestamp>,
}

impl ClockSettings {
    pub fn check(&self) -> Result<(), (String, String)> {
        let problem = match (self.mode, self.scale) {
            (ClockMode::Scaled, Some(scale)) if SCALES.contains(&scale) => return Ok(()),
            (ClockMode::Wall | ClockMode::Stepped, None) => return Ok(()),
            (ClockMode::Scaled, Some(scale)) => {
                format!("is {scale:?}: write a number from 0.000001 to 1000000000, such as 3600")
            }
            (ClockMode::Scaled, None) => {
                "is missing, and the mode scaled needs it: write a number such as 3600".to_owned()
            }
            (ClockMode::Wall | ClockMode::Stepped, Some(_)) => {
                "is for the mode scaled only: remove it, or choose that mode".to_owned()
            }
        };
        Err(("scale".to_owned(), problem))
    }
}

/// A clock that said `service` when this machine's said `wall`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clock {
    mode: ClockMode,
    scale: f64,
    wall: Timestamp,
    service: Timestamp,
}

/// A moment that no timestamp can hold.
#[derive(Debug, thiserror::Error)]
#[error(
    "the clock cannot be stepped by {0} s: it moves forward, and no further than the year 9999"
)]
pub struct StepError(i64);

impl Clock {
    pub fn start(settings: &ClockSettings, wall: Timestamp) -> Self {
        let ClockSettings { mode, scale, start } = *settings;
        Self { mode, scale: scale.unwrap_or(1.0), wall, service: start.unwrap_or(wall) }
    }

    /// A saved clock goes on as it was, unless the settings ask for another way to run.
    pub fn resume(self, settings: &ClockSettings, wall: Timestamp) -> Self {
        let scale = settings.scale.unwrap_or(1.0);
        if self.mode == settings.mode && self.scale.total_cmp(&scale).is_eq() {
            return self;
        }
        Self { mode: settings.mode, scale, wall, service: self.now(wall) }
    }

    /// Says what is wrong with a clock that comes from outside.
    pub fn check(&self) -> Result<(), (String, String)> {
        let Self { mode, scale, .. } = self;
        // A clock that is not scaled is kept with a scale of 1.
        let own = (*mode == ClockMode::Scaled).then_some(*scale);
        if own.is_none() && scale.total_cmp(&1.0).is_ne() {
            let problem = format!("is {scale:?}, and must be 1 in the modes wall and stepped");
            return Err(("scale".to_owned(), problem));
        }
        ClockSettings { mode: *mode, scale: own, start: None }.check()
    }

    pub fn mode(&self) -> ClockMode {
        self.mode
    }

    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The service's time when this machine's is `wall`.
    pub fn now(&self, wall: Timestamp) -> Timestamp {
        let passed = wall.duration_since(self.wall);
        let passed = match self.mode {
            ClockMode::Wall => passed,
            ClockMode::Scaled => {
                let seconds = passed.as_secs_f64() * self.scale;
                SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX)
            }
            ClockMode::Stepped => SignedDuration::ZERO,
        };
        self.service.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Moves it forward.
    pub fn step(&mut self, by: SignedDuration) -> Result<(), StepError> {
        let stepped = self.service.checked_add(by).ok().filter(|_| !by.is_negative());
        self.service = stepped.ok_or(StepError(by.as_secs()))?;
        Ok(())
    }

    /// How long this machine must wait until the service's clock says `until`; nothing if only a
    /// step can bring it there.
    pub fn wait(&self, until: Timestamp, wall: Timestamp) -> Option<Duration> {
        let left = until.duration_since(self.now(wall)).as_secs_f64().max(0.0);
        let real = match self.mode {
            ClockMode::Wall => left,
            ClockMode::Scaled => left / self.scale,
            ClockMode::Stepped if left > 0.0 => return None,
            ClockMode::Stepped => 0.0,
        };
        Some(Duration::try_from_secs_f64(real).unwrap_or(Duration::MAX))
    }
}
