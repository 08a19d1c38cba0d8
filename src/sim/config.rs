//! The YAML file that a simulation starts from. Unknown fields are errors.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    http::{ClockSettings, Credential, Fault, Problem, Settings, Transport},
    world::{Catalogue, ChargeType, Instance, Model, Plan, World},
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
    pub instances: Vec<InstanceConfig>,
    /// How long an immediate change takes, such as 4s.
    #[serde(default = "default_processing")]
    pub processing_time: SignedDuration,
    /// Instance types beside, or instead of (same id), the built-in ones.
    #[serde(default)]
    pub models: Vec<Model>,
}

/// One instance at the start.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceConfig {
    pub id: String,
    pub name: Option<String>,
    #[serde(default = "default_zone")]
    pub zone: String,
    #[serde(rename = "type")]
    pub type_id: String,
    pub charge_type: ChargeType,
    #[serde(default = "default_state")]
    pub state: String,
    /// End of the PREPAID cycle, as a moment.
    pub expires_at: Option<Timestamp>,
    /// End of the PREPAID cycle from the start on, such as 20d.
    pub expires_in: Option<String>,
    #[serde(default)]
    pub auto_renew: bool,
    /// Mbps.
    #[serde(default = "default_bandwidth")]
    pub bandwidth: i64,
}

fn default_processing() -> SignedDuration {
    SignedDuration::from_secs(30)
}
fn default_zone() -> String {
    "FRA-A".to_owned()
}
fn default_state() -> String {
    "RUNNING".to_owned()
}
fn default_bandwidth() -> i64 {
    100
}

/// The states of fact sheet section 9.
const STATES: &[&str] = &[
    "PENDING",
    "DEPLOYING",
    "CREATE_FAILED",
    "RUNNING",
    "STOPPED",
    "BOOTING",
    "STOPPING",
    "REBOOT",
    "REBUILDING",
    "IMAGING",
    "RECYCLE",
    "RECYCLING",
    "RELEASING",
];

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
        let catalogue = self.catalogue();
        if self.processing_time.is_negative() {
            return Err(("processingTime".into(), "must not be negative: write 4s".into()));
        }
        self.check_skin()?;
        let mut seen = std::collections::BTreeSet::new();
        for (index, one) in self.instances.iter().enumerate() {
            let field = |name: &str| format!("instances[{index}].{name}");
            if one.id.is_empty() || !seen.insert(&one.id) {
                return Err((field("id"), format!("{:?} is empty or used twice", one.id)));
            }
            if catalogue.model(&one.type_id).is_none() {
                let known: Vec<&str> =
                    catalogue.models.iter().map(|model| model.id.as_str()).collect();
                let known = known.join(", ");
                return Err((field("type"), format!("{:?} is none of {known}", one.type_id)));
            }
            if !STATES.contains(&one.state.as_str()) {
                let known = STATES.join(", ");
                return Err((field("state"), format!("{:?} is none of {known}", one.state)));
            }
            if one.expires_at.is_some() && one.expires_in.is_some() {
                return Err((field("expiresIn"), "stands beside expiresAt: keep one".into()));
            }
            one.expiry(Timestamp::UNIX_EPOCH).map_err(|problem| (field("expiresIn"), problem))?;
        }
        Ok(())
    }

    fn catalogue(&self) -> Catalogue {
        let mut catalogue = Catalogue::default();
        catalogue.models.retain(|known| self.models.iter().all(|own| own.id != known.id));
        catalogue.models.extend(self.models.iter().cloned());
        catalogue
    }

    /// The world of this file, started at `now`.
    pub fn world(&self, now: Timestamp) -> World {
        let instances = self.instances.iter().map(|one| one.start(now)).collect();
        World::new(instances, self.catalogue(), self.processing_time.as_secs())
    }
}

impl InstanceConfig {
    fn expiry(&self, now: Timestamp) -> Result<Option<Timestamp>, String> {
        let Some(text) = &self.expires_in else { return Ok(self.expires_at) };
        let remedy = |error: jiff::Error| format!("{text:?}: {error}; write it as 20d or 36h");
        let span: jiff::Span = text.parse().map_err(remedy)?;
        let zoned = now.to_zoned(jiff::tz::TimeZone::UTC);
        Ok(Some(zoned.checked_add(span).map_err(remedy)?.timestamp()))
    }

    fn start(&self, now: Timestamp) -> Instance {
        Instance {
            id: self.id.clone(),
            name: self.name.clone().unwrap_or_else(|| self.id.clone()),
            zone: self.zone.clone(),
            type_id: self.type_id.clone(),
            charge_type: self.charge_type,
            state: self.state.clone(),
            created_at: now,
            // Checked when the file was read.
            expires_at: self.expiry(now).unwrap_or_default(),
            auto_renew: self.auto_renew,
            bandwidth: self.bandwidth,
            plan: Plan::None,
        }
    }
}
