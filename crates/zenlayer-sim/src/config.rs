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
    /// How requests are checked and how answers are sent.
    #[serde(default)]
    pub transport: Transport,
    /// How the simulated clock runs.
    #[serde(default)]
    pub clock: ClockSettings,
    /// What goes wrong, from the start.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// The instances that exist at the start.
    pub instances: Vec<InstanceSetup>,
    /// How long an immediate change takes, such as 4s.
    #[serde(default = "Setup::default_processing_time")]
    pub processing_time: SignedDuration,
    /// How long each passing state lasts.
    #[serde(default)]
    pub durations: Durations,
    /// Instance types in addition to the built-in ones; one with the id of a built-in type replaces
    /// it.
    #[serde(default)]
    pub models: Vec<Model>,
    /// Zones in addition to the built-in ones; one with the id of a built-in zone replaces it.
    #[serde(default)]
    pub zones: Vec<Zone>,
    /// The balance of the account at the start, in zenPoints (1 zenPoint = 1 USD).
    #[serde(default = "Setup::default_balance")]
    #[schemars(with = "f64")]
    pub balance: Decimal,
    /// How the questions that the provider's documents leave open are answered.
    #[serde(default)]
    pub behaviour: Behaviour,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is not a valid simulation file: {problem}")]
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

    /// The parts of the HTTP layer.
    fn check_http(&self) -> Result<(), Problem> {
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

    /// What the HTTP layer needs of this file.
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
        self.check_http()
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
