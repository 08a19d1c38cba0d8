//! The world: instances, their plans, and the ledger. Pure: no clock, no randomness, no I/O. A call
//! and a moment go in, an answer comes out.

mod actions;
mod catalogue;
mod describe;
mod parameters;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use actions::{Call, Refused};
pub use catalogue::{Catalogue, Micros, Model};

/// Billing (fact sheet section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChargeType {
    Prepaid,
    Postpaid,
}

/// A change that has been accepted and is not in effect yet (fact sheet section 7.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "status")]
pub enum Plan {
    None,
    Processing {
        to: String,
        until: Timestamp,
    },
    /// A PREPAID downgrade; in effect at the instance's `expires_at`.
    WaitToEnable {
        to: String,
    },
}

/// One virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    pub id: String,
    pub name: String,
    pub zone: String,
    #[serde(rename = "type")]
    pub type_id: String,
    pub charge_type: ChargeType,
    pub state: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub auto_renew: bool,
    /// Mbps.
    pub bandwidth: i64,
    pub plan: Plan,
}

/// What an order was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OrderKind {
    /// POSTPAID, or a PREPAID upgrade.
    Immediate,
    /// A PREPAID downgrade.
    NextCycle,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub order_number: String,
    pub instance_id: String,
    pub from: String,
    pub to: String,
    pub kind: OrderKind,
    /// Charged at once, in millionths.
    pub charged_micros: Micros,
    pub at: Timestamp,
    pub request_id: String,
}

/// The state of the simulated provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct World {
    pub catalogue: Catalogue,
    pub instances: BTreeMap<String, Instance>,
    pub orders: Vec<Order>,
    /// How long an immediate change takes, in seconds.
    pub processing_seconds: i64,
    /// Counts orders; their numbers are made of it.
    pub next_order: u64,
}

impl World {
    pub fn new(instances: Vec<Instance>, catalogue: Catalogue, processing_seconds: i64) -> Self {
        Self {
            catalogue,
            instances: instances.into_iter().map(|one| (one.id.clone(), one)).collect(),
            orders: Vec::new(),
            processing_seconds,
            next_order: 1,
        }
    }

    /// Carries out all that was due by `now`.
    pub fn advance(&mut self, now: Timestamp) {
        let processing = SignedDuration::from_secs(self.processing_seconds);
        for instance in self.instances.values_mut() {
            instance.advance(now, processing);
        }
    }
}

impl Instance {
    fn advance(&mut self, now: Timestamp, processing: SignedDuration) {
        // A downgrade is carried out from the moment at which the cycle ends, not from the moment
        // at which somebody looks (INF: "next cycle" is all that is documented).
        if let (Plan::WaitToEnable { to }, Some(expiry)) = (&self.plan, self.expires_at)
            && expiry <= now
        {
            let until = expiry.checked_add(processing).unwrap_or(expiry);
            self.plan = Plan::Processing { to: to.clone(), until };
        }
        if let Plan::Processing { to, until } = &self.plan
            && *until <= now
        {
            self.type_id = to.clone();
            self.plan = Plan::None;
        }
        self.renew(now);
    }

    /// A renewed PREPAID instance starts its next cycle of 30 days (Console, section 8).
    fn renew(&mut self, now: Timestamp) {
        let cycle = SignedDuration::from_hours(30 * 24);
        while self.auto_renew
            && let Some(expiry) = self.expires_at
            && expiry <= now
        {
            match expiry.checked_add(cycle) {
                Ok(next) => self.expires_at = Some(next),
                Err(_) => return,
            }
        }
    }
}
