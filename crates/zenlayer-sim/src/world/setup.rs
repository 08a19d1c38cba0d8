//! What a world starts from, and the checks of it.

use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Behaviour, Catalogue, ChargeType, Code, Details, Durations, Instance, Model, Plan, Rules,
    State, Zone,
    billing::check_amount,
    names::{ACTIONS, reads_only},
    time::{cycle, later},
};

/// Months of a PREPAID cycle.
pub(super) const PERIODS: RangeInclusive<i64> = 1..=120;

/// Where it is wrong, and how.
pub type SetupError = (String, String);

/// All that a world starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    pub instances: Vec<InstanceSetup>,
    /// Beside, or instead of (same id), the built-in ones.
    pub models: Vec<Model>,
    /// Beside, or instead of (same id), the built-in ones.
    pub zones: Vec<Zone>,
    pub balance: Decimal,
    pub processing_time: SignedDuration,
    pub durations: Durations,
    pub behaviour: Behaviour,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            instances: Vec::new(),
            models: Vec::new(),
            zones: Vec::new(),
            balance: Self::default_balance(),
            processing_time: Self::default_processing_time(),
            durations: Durations::default(),
            behaviour: Behaviour::default(),
        }
    }
}

/// One instance at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceSetup {
    pub id: String,
    /// The id by default.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default = "default_zone")]
    pub zone: String,
    #[serde(rename = "type")]
    pub type_id: String,
    pub charge_type: ChargeType,
    #[serde(default = "default_state")]
    pub state: State,
    /// Whether a passing state ends after its time; otherwise it stays.
    #[serde(default)]
    pub settles: bool,
    /// End of the PREPAID cycle, as a time such as 2026-02-01T00:00:00Z.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// End of the PREPAID cycle, counted from the start, such as 20d. By default one whole cycle.
    #[serde(default)]
    pub expires_in: Option<String>,
    #[serde(default)]
    pub auto_renew: bool,
    /// Length of a PREPAID cycle, in months of 30 days.
    #[serde(default = "default_period")]
    pub period: i64,
    /// Mbps.
    #[serde(default = "default_bandwidth")]
    pub bandwidth: i64,
    /// What else DescribeInstances shows.
    #[serde(default)]
    pub details: Details,
}

fn default_zone() -> String {
    "FRA-A".to_owned()
}
fn default_state() -> State {
    State::Running
}
fn default_period() -> i64 {
    1
}
fn default_bandwidth() -> i64 {
    100
}

impl Setup {
    pub fn default_balance() -> Decimal {
        Decimal::from(1_000_000)
    }

    pub fn default_processing_time() -> SignedDuration {
        SignedDuration::from_secs(30)
    }

    pub(super) fn catalogue(&self) -> Catalogue {
        let mut catalogue = Catalogue::default();
        let models = self.models.iter().cloned();
        catalogue.models.extend(models.map(|model| (model.id.clone(), model)));
        let zones = self.zones.iter().cloned();
        catalogue.zones.extend(zones.map(|zone| (zone.id.clone(), zone)));
        catalogue
    }

    /// Says what is wrong, by field.
    pub fn check(&self) -> Result<(), SetupError> {
        let catalogue = self.catalogue();
        check_times(&self.durations, self.processing_time, &self.behaviour)?;
        check_amount(self.balance).map_err(|problem| ("balance".to_owned(), problem))?;
        for (index, model) in self.models.iter().enumerate() {
            check_model(model)
                .map_err(|(name, problem)| (format!("models[{index}].{name}"), problem))?;
        }
        for (index, zone) in self.zones.iter().enumerate() {
            check_zone(zone, &catalogue)
                .map_err(|(name, problem)| (format!("zones[{index}].{name}"), problem))?;
        }
        let mut seen = std::collections::BTreeSet::new();
        for (index, one) in self.instances.iter().enumerate() {
            one.check(&catalogue)
                .map_err(|(name, problem)| (format!("instances[{index}].{name}"), problem))?;
            if !seen.insert(&one.id) {
                let problem = format!("{:?} is used twice", one.id);
                return Err((format!("instances[{index}].id"), problem));
            }
        }
        Ok(())
    }
}

pub(super) fn check_model(model: &Model) -> Result<(), SetupError> {
    for (name, price) in
        [("monthlyPrice", model.monthly_price), ("hourlyPrice", model.hourly_price)]
    {
        check_price(price).map_err(|problem| (name.to_owned(), problem))?;
    }
    Ok(())
}

fn check_price(price: Decimal) -> Result<(), String> {
    if price < Decimal::ZERO {
        return Err(format!("must not be negative, and is {price}"));
    }
    check_amount(price)
}

pub(super) fn check_zone(zone: &Zone, catalogue: &Catalogue) -> Result<(), SetupError> {
    let wrong = |field: &str| {
        let field = field.to_owned();
        move |problem: String| (field, problem)
    };
    if zone.discount < Decimal::ZERO || zone.discount > Decimal::ONE_HUNDRED {
        let problem =
            "is the percentage of the price that is paid, from 0 to 100: write 95 for 5 % off"
                .to_owned();
        return Err(wrong("discount")(problem));
    }
    for offer in &zone.offers {
        known(&offer.type_id, catalogue.models.keys()).map_err(wrong("offers"))?;
        for price in [offer.monthly_price, offer.hourly_price].into_iter().flatten() {
            check_price(price).map_err(wrong("offers"))?;
        }
    }
    for type_id in zone.stock.keys() {
        known(type_id, catalogue.models.keys()).map_err(wrong("stock"))?;
    }
    Ok(())
}

pub(super) fn check_times(
    durations: &Durations,
    processing_time: SignedDuration,
    behaviour: &Behaviour,
) -> Result<(), SetupError> {
    let durations = durations.all().map(|(name, time)| (format!("durations.{name}"), time));
    let processing = ("processingTime".to_owned(), processing_time);
    for (name, time) in durations.into_iter().chain([processing]) {
        not_negative(time).map_err(|problem| (name, problem))?;
    }
    let inside = |(name, problem)| (format!("behaviour.{name}"), problem);
    behaviour.check().map_err(inside)
}

fn not_negative(time: SignedDuration) -> Result<(), String> {
    if time.is_negative() {
        return Err("must not be negative: write for example 4s".into());
    }
    Ok(())
}

impl Behaviour {
    pub(super) fn check(&self) -> Result<(), SetupError> {
        let times = [("enableAtStart", self.enable_at_start), ("enableAtEnd", self.enable_at_end)];
        for (name, time) in times {
            not_negative(time).map_err(|problem| (name.to_owned(), problem))?;
        }
        for (part, lags, reads) in
            [("readLag", &self.read_lag, true), ("registrationLag", &self.registration_lag, false)]
        {
            let actions = ACTIONS.iter().filter(|action| reads_only(action) == reads);
            for (action, lag) in lags {
                known(action, actions.clone()).map_err(|problem| (part.to_owned(), problem))?;
                not_negative(*lag).map_err(|problem| (format!("{part}.{action}"), problem))?;
            }
        }
        for (name, Code { status, code }) in self.codes.all() {
            if !(400..=599).contains(status) || code.is_empty() {
                let problem = "needs a status of 400 to 599 and a code".to_owned();
                return Err((format!("codes.{name}"), problem));
            }
        }
        Ok(())
    }
}

pub(super) fn known(
    value: &str,
    all: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<(), String> {
    let all: Vec<String> = all.into_iter().map(|one| one.as_ref().to_owned()).collect();
    if all.iter().any(|one| one == value) {
        return Ok(());
    }
    Err(format!("{value:?} is not one of {}", all.join(", ")))
}

impl InstanceSetup {
    pub(super) fn check(&self, catalogue: &Catalogue) -> Result<(), SetupError> {
        let wrong = |field: &str, problem: String| Err((field.to_owned(), problem));
        if self.id.is_empty() {
            return wrong("id", "must not be empty".into());
        }
        if let Err(problem) = known(&self.type_id, catalogue.models.keys()) {
            return wrong("type", problem);
        }
        if let Err(problem) = known(&self.zone, catalogue.zones.keys()) {
            return wrong("zone", problem);
        }
        if !PERIODS.contains(&self.period) {
            return wrong("period", "must be from 1 to 120, in months".into());
        }
        if self.expires_at.is_some() && self.expires_in.is_some() {
            return wrong(
                "expiresIn",
                "is given together with expiresAt: keep only one of them".into(),
            );
        }
        let inside = |(field, problem)| (format!("details.{field}"), problem);
        self.details.check(self.charge_type).map_err(inside)?;
        self.expiry(Timestamp::UNIX_EPOCH)
            .map(|_| ())
            .map_err(|problem| ("expiresIn".to_owned(), problem))
    }

    fn expiry(&self, now: Timestamp) -> Result<Option<Timestamp>, String> {
        let Some(text) = &self.expires_in else { return Ok(self.expires_at) };
        let remedy =
            |error: jiff::Error| format!("{text:?}: {error}; write for example 20d or 36h");
        let span: jiff::Span = text.parse().map_err(remedy)?;
        let zoned = now.to_zoned(jiff::tz::TimeZone::UTC);
        Ok(Some(zoned.checked_add(span).map_err(remedy)?.timestamp()))
    }

    pub(super) fn start(&self, now: Timestamp, rules: &Rules) -> Instance {
        let prepaid = self.charge_type == ChargeType::Prepaid;
        let model = rules.catalogue.model(&self.type_id);
        // Checked before; what cannot be read counts as left out.
        let expiry = self.expiry(now).unwrap_or_default();
        Instance {
            id: self.id.clone(),
            name: self.name.clone().unwrap_or_else(|| self.id.clone()),
            zone: self.zone.clone(),
            type_id: self.type_id.clone(),
            charge_type: self.charge_type,
            state: self.state,
            created_at: now,
            expires_at: prepaid.then(|| expiry.unwrap_or_else(|| later(now, cycle(self.period)))),
            auto_renew: self.auto_renew,
            bandwidth: self.bandwidth,
            plan: Plan::None,
            cpu_count: model.map_or(0, |model| model.cpu_count),
            memory: model.map_or(0, |model| model.memory),
            period: self.period,
            details: self.details.clone(),
            transition: self.settles.then(|| rules.durations.after(self.state, now)).flatten(),
            pending: Vec::new(),
            lapsed: false,
            owed: Decimal::ZERO,
            metered_to: (!prepaid).then_some(now),
        }
    }
}
