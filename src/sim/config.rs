//! The YAML file that a simulation starts from. Unknown fields are errors.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::world::{Behaviour, Durations, InstanceSetup, Model, Setup, World, Zone};

/// A whole simulation.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Who may call.
    pub credentials: Vec<Credential>,
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
    pub balance: Decimal,
    /// What the provider's documents leave open, and how it is played.
    #[serde(default)]
    pub behaviour: Behaviour,
}

/// An access key, or a bearer token.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    pub access_key_id: Option<String>,
    pub access_key_password: Option<String>,
    pub token: Option<String>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(redacted)")
    }
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

    fn check(&self) -> Result<(), (String, String)> {
        self.setup().check()?;
        for (index, credential) in self.credentials.iter().enumerate() {
            let Credential { access_key_id, access_key_password, token } = credential;
            let complete = match (access_key_id, access_key_password, token) {
                (Some(id), Some(password), None) => !id.is_empty() && !password.is_empty(),
                (None, None, Some(token)) => !token.is_empty(),
                _ => false,
            };
            if !complete {
                return Err((
                    format!("credentials[{index}]"),
                    "needs accessKeyId and accessKeyPassword, or token".into(),
                ));
            }
        }
        Ok(())
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
