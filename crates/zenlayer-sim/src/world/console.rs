//! What a person does in the console, outside the API.

use jiff::Timestamp;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Behaviour, Call, Effect, InstanceSetup, OrderOutcome, State, World, billing::check_amount,
    history, site::Site,
};

/// One thing that a person does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ConsoleChange {
    /// A new instance.
    Add(Box<InstanceSetup>),
    /// Changes of an instance, with no order behind them.
    Change { id: String, change: InstanceChange },
    /// The instance is gone at once.
    Remove { id: String },
    /// The instance is unsubscribed: RECYCLING, then RECYCLE, and after a while it is released.
    Recycle { id: String },
    /// The instance comes back from the recycle bin, STOPPED.
    Restore { id: String },
    /// A change of type is ordered, without the checks of the API but with its billing.
    Order {
        id: String,
        #[serde(rename = "type")]
        type_id: String,
    },
    /// A change that is running, scheduled or unpaid is dropped.
    DropPlan { id: String },
    /// An order that waits for payment is paid, and begins.
    Pay { order_number: String },
    /// Money is paid in.
    TopUp {
        #[schemars(with = "f64")]
        amount: Decimal,
    },
    /// Machines are there, or not; nothing: they are not counted any more.
    Stock {
        zone: String,
        #[serde(rename = "type")]
        type_id: String,
        left: Option<u64>,
    },
    /// The switches are set anew.
    Behaviour(Box<Behaviour>),
}

/// What changes of an instance; what is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InstanceChange {
    #[serde(rename = "type")]
    pub type_id: Option<String>,
    pub state: Option<State>,
    /// Whether a passing state ends after its time; otherwise it stays.
    pub settles: bool,
    /// Mbps.
    pub bandwidth: Option<i64>,
    pub auto_renew: Option<bool>,
    pub expires_at: Option<Timestamp>,
    pub name: Option<String>,
}

impl World {
    /// Does it, and gives what became of the instance, or of the account.
    pub fn console(&mut self, now: Timestamp, change: ConsoleChange) -> Result<Value, String> {
        self.advance(now);
        match change {
            ConsoleChange::Add(setup) => self.add(&setup),
            ConsoleChange::Change { id, change } => self.change(&id, change),
            ConsoleChange::Remove { id } => self.touch(&id, |site| {
                site.leave();
                Ok(())
            }),
            ConsoleChange::Recycle { id } => self.touch(&id, |site| {
                if site.instance.state.is_recycled() {
                    return Err(format!(
                        "instance {} is already in the recycle bin, or on its way to it",
                        site.instance.id
                    ));
                }
                site.recycle();
                Ok(())
            }),
            ConsoleChange::Restore { id } => self.touch(&id, restore),
            ConsoleChange::Order { id, type_id } => self.order(&id, &type_id),
            ConsoleChange::DropPlan { id } => self.touch(&id, |site| {
                site.drop_plan(OrderOutcome::Cancelled);
                Ok(())
            }),
            ConsoleChange::Pay { order_number } => {
                let order = self.books.find(&order_number);
                let missing = || format!("order {order_number:?} does not exist");
                let id = order.ok_or_else(missing)?.instance_id.clone();
                self.touch(&id, |site| site.pay(&order_number))
            }
            ConsoleChange::TopUp { amount } => self.top_up(amount),
            ConsoleChange::Stock { zone, type_id, left } => self.set_stock(zone, type_id, left),
            ConsoleChange::Behaviour(behaviour) => {
                let checked = behaviour.check();
                checked.map_err(|(field, problem)| format!("{field} {problem}"))?;
                self.rules.behaviour = *behaviour;
                Ok(json!(self.rules.behaviour))
            }
        }
    }

    fn touch(
        &mut self,
        id: &str,
        does: impl FnOnce(&mut Site<'_>) -> Result<(), String>,
    ) -> Result<Value, String> {
        let missing = || format!("instance {id:?} does not exist");
        self.visit(id, self.now, does).ok_or_else(missing)??;
        Ok(self.instances.get(id).map_or_else(|| json!({}), |instance| json!(instance)))
    }

    fn add(&mut self, setup: &InstanceSetup) -> Result<Value, String> {
        let known = setup.check(&self.rules.catalogue);
        known.map_err(|(field, problem)| format!("{field} {problem}"))?;
        if self.instances.contains_key(&setup.id) {
            return Err(format!("an instance with the id {:?} exists already", setup.id));
        }
        let instance = setup.start(self.now, &self.rules);
        let lag = self.rules.behaviour.longest_read_lag();
        if lag.is_positive() {
            let past = self.past.entry(instance.id.clone()).or_default();
            history::keep(past, None, self.now, lag);
        }
        self.books.take(&instance.zone, &instance.type_id);
        let shown = json!(instance);
        self.insert(instance);
        Ok(shown)
    }

    fn change(&mut self, id: &str, change: InstanceChange) -> Result<Value, String> {
        let InstanceChange { type_id, state, settles, bandwidth, auto_renew, expires_at, name } =
            change;
        if let Some(type_id) = &type_id
            && self.rules.catalogue.model(type_id).is_none()
        {
            return Err(format!("type {type_id:?} does not exist"));
        }
        if let Some(expiry) = expires_at.filter(|expiry| *expiry <= self.now) {
            return Err(format!("expiresAt {expiry} is in the past: step the clock instead"));
        }
        self.touch(id, |site| {
            // What can be refused comes first: a change is made whole or not at all.
            if let Some(expiry) = expires_at {
                site.set_expiry(expiry)?;
            }
            if let Some(type_id) = type_id {
                site.set_type(type_id);
            }
            if let Some(state) = state {
                site.set_state(state, settles);
            }
            let instance = &mut *site.instance;
            instance.bandwidth = bandwidth.unwrap_or(instance.bandwidth);
            instance.auto_renew = auto_renew.unwrap_or(instance.auto_renew);
            instance.name = name.unwrap_or_else(|| instance.name.clone());
            Ok(())
        })
    }

    fn order(&mut self, id: &str, type_id: &str) -> Result<Value, String> {
        let Some(instance) = self.instances.get(id) else {
            return Err(format!("instance {id:?} does not exist"));
        };
        if self.rules.catalogue.model(type_id).is_none() || instance.type_id == type_id {
            return Err(format!("type {type_id:?} does not exist, or is the current one"));
        }
        let call = Call { action: "", body: b"", request_id: "console", effect: Effect::Normal };
        let number = self.place_order(id, type_id, &call);
        Ok(json!(self.books.find(&number)))
    }

    fn top_up(&mut self, amount: Decimal) -> Result<Value, String> {
        check_amount(amount)?;
        self.books.balance += amount;
        self.books.topped_up += amount;
        Ok(json!({ "balance": self.books.balance }))
    }

    fn set_stock(
        &mut self,
        zone: String,
        type_id: String,
        left: Option<u64>,
    ) -> Result<Value, String> {
        let catalogue = &self.rules.catalogue;
        if !catalogue.zones.contains_key(&zone) || catalogue.model(&type_id).is_none() {
            return Err(format!("zone {zone:?} or type {type_id:?} does not exist"));
        }
        let types = self.books.stock.entry(zone).or_default();
        match left {
            Some(left) => types.insert(type_id, left),
            None => types.remove(&type_id),
        };
        Ok(json!(self.books.stock))
    }
}

/// Out of the recycle bin, STOPPED; a cycle that has ended is bought again.
fn restore(site: &mut Site<'_>) -> Result<(), String> {
    let id = site.instance.id.clone();
    if site.instance.state != State::Recycle {
        return Err(format!("instance {id} is not in the recycle bin"));
    }
    if site.instance.lapsed && !site.renew() {
        return Err(format!(
            "the balance does not cover a new cycle of instance {id}: top it up first"
        ));
    }
    // The time in the bin is not charged.
    site.meter();
    site.enter(State::Stopped);
    Ok(())
}

impl Site<'_> {
    fn set_type(&mut self, type_id: String) {
        self.meter();
        let zone = &self.instance.zone;
        self.books.take(zone, &type_id);
        self.books.give_back(zone, &self.instance.type_id);
        self.instance.type_id = type_id;
        self.show_size();
    }

    fn set_state(&mut self, state: State, settles: bool) {
        self.meter();
        self.enter(state);
        if !settles {
            self.instance.transition = None;
        }
    }

    fn set_expiry(&mut self, expiry: Timestamp) -> Result<(), String> {
        if self.instance.expires_at.is_none() {
            return Err(format!("instance {} is POSTPAID and has no expiry", self.instance.id));
        }
        self.instance.expires_at = Some(expiry);
        self.instance.lapsed = false;
        let scheduled = self.downgrade_due();
        if let super::Plan::WaitToEnable { due, .. } = &mut self.instance.plan {
            *due = scheduled;
        }
        Ok(())
    }
}
