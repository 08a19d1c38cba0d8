//! The YAML file that a simulation starts from. Unknown fields are errors.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    http::{ClockSettings, Credential, Fault, Problem, Settings, Transport},
    world::{Behaviour, Durations, InstanceSetup, Model, Setup, World, Zone},
};

/// A whole simulation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Who may call.
    pub credentials: Vec<Credential>,
    /// How requests are checked, and how answers travel.
    #[serde(default)]
    pub transport: Transport,
    /// How the service's clock runs.
    #[serde(default)]
    pub clock: ClockSettings,
    /// What goes wrong, from the start on.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// The machines that there are at the start.
    pub instances: Vec<InstanceSetup>,
    /// How long an immediate change takes, such as 4s.
    #[serde(default = "Setup::default_processing_time")]
    pub processing_time: SignedDuration,
    /// How long states last that are left by themselves.
    #[serde(default)]
    pub durations: Durations,
    /// Instance types beside, or instead of (same id), the built-in ones.
    #[serde(default)]
    pub models: Vec<Model>,
    /// Zones beside, or instead of (same id), the built-in ones.
    #[serde(default)]
    pub zones: Vec<Zone>,
    /// The account at the start, in zenPoints (1 zenPoint = 1 USD).
    #[serde(default = "Setup::default_balance")]
    #[schemars(with = "f64")]
    pub balance: Decimal,
    /// What the provider's documents leave open, and how it is played.
    #[serde(default)]
    pub behaviour: Behaviour,
}

/// Why a file is no simulation.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("read {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is not a simulation: {problem}")]
    Parse { path: String, problem: String },
    #[error("{path}: {field} {problem}")]
    Value { path: String, field: String, problem: String },
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: shown.clone(), source })?;
        let config: Self = serde_saphyr::from_str(&text).map_err(|error| ConfigError::Parse {
            path: shown.clone(),
            problem: error.to_string(),
        })?;
        config.check().map_err(|(field, problem)| ConfigError::Value {
            path: shown,
            field,
            problem,
        })?;
        Ok(config)
    }

    /// The parts that belong to the skin.
    fn check_skin(&self) -> Result<(), Problem> {
        let inside = |part: &'static str| {
            move |(field, problem): Problem| (format!("{part}.{field}"), problem)
        };
        self.transport.check().map_err(inside("transport"))?;
        self.clock.check().map_err(inside("clock"))?;
        let mut names = std::collections::BTreeSet::new();
        for (index, credential) in self.credentials.iter().enumerate() {
            let field = |name: &str| match name {
                "" => format!("credentials[{index}]"),
                name => format!("credentials[{index}].{name}"),
            };
            credential.check().map_err(|(name, problem)| (field(&name), problem))?;
            let name = credential.name.as_ref().or(credential.access_key_id.as_ref());
            if name.is_some_and(|name| !names.insert(name)) {
                return Err((field("name"), "is used twice".into()));
            }
        }
        Ok(())
    }

    /// What the skin needs of this file.
    pub fn settings(&self) -> Settings {
        Settings {
            transport: self.transport.clone(),
            clock: self.clock.clone(),
            credentials: self.credentials.clone(),
            faults: self.faults.clone(),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        self.setup().check()?;
        self.check_skin()
    }

    /// What the world starts from.
    pub fn setup(&self) -> Setup {
        Setup {
            instances: self.instances.clone(),
            models: self.models.clone(),
            zones: self.zones.clone(),
            balance: self.balance,
            processing_time: self.processing_time,
            durations: self.durations.clone(),
            behaviour: self.behaviour.clone(),
        }
    }

    /// The world of this file, started at `now`.
    pub fn world(&self, now: Timestamp) -> World {
        World::new(&self.setup(), now)
    }
}
