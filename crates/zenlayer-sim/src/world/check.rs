//! Whether a world that comes from outside (a state file, a snapshot) is one that can have come
//! about. What is refused here would end in a panic, in a loop, or in a change that never comes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{
    Books, Catalogue, ChargeType, Instance, OrderOutcome, Plan, Reason, Rules, SetupError, Work,
    World,
    billing::check_sum,
    setup::{PERIODS, check_model, check_times, check_zone, known},
};

type Checked = Result<(), SetupError>;

fn wrong<T>(field: impl Into<String>, problem: impl Into<String>) -> Result<T, SetupError> {
    Err((field.into(), problem.into()))
}

/// Puts the place before the name of a field.
fn inside(place: impl std::fmt::Display) -> impl FnOnce(SetupError) -> SetupError {
    move |(field, problem)| (format!("{place}.{field}"), problem)
}

impl World {
    /// Says what is wrong, by field.
    pub fn check(&self) -> Checked {
        self.rules.check().map_err(inside("rules"))?;
        let catalogue = &self.rules.catalogue;
        self.books.check(catalogue).map_err(inside("books"))?;
        for (id, instance) in &self.instances {
            let place = format!("instances.{id}");
            instance.check(id, catalogue, &self.books).map_err(inside(place))?;
        }
        self.check_past()?;
        self.check_open_orders()?;
        self.check_agenda()
    }

    fn check_past(&self) -> Checked {
        for (id, past) in &self.past {
            let mut last = Timestamp::MIN;
            for (index, one) in past.iter().enumerate() {
                let place = format!("past.{id}[{index}]");
                if one.until < last {
                    return wrong(format!("{place}.until"), "must not be before the one above it");
                }
                last = one.until;
                if let Some(instance) = &one.instance {
                    let place = format!("{place}.instance");
                    let checked = instance.check(id, &self.rules.catalogue, &self.books);
                    checked.map_err(inside(place))?;
                }
            }
        }
        Ok(())
    }

    /// An order is open as long as an instance has a plan of it, or a call that is to register.
    fn check_open_orders(&self) -> Checked {
        let mut waiting = BTreeSet::new();
        for instance in self.instances.values() {
            waiting.extend(instance.plan.open_order());
            for pending in &instance.pending {
                if let Work::Change { order_number, .. } = &pending.work {
                    waiting.insert(order_number.as_str());
                }
            }
        }
        for (index, order) in self.books.orders.iter().enumerate() {
            let open = order.outcome == OrderOutcome::Open;
            let problem = match (open, waiting.contains(order.order_number.as_str())) {
                (true, false) => "is open, but no instance has a plan for it",
                (false, true) => "is not open, but an instance still has a plan for it",
                (true, true) | (false, false) => continue,
            };
            return wrong(format!("books.orders[{index}].outcome"), problem);
        }
        Ok(())
    }

    fn check_agenda(&self) -> Checked {
        let due = self.instances.values().filter_map(|one| Some((one.due()?, one.id.clone())));
        let due: BTreeSet<(Timestamp, String)> = due.collect();
        if let Some((at, id)) = due.difference(&self.agenda).next() {
            return wrong(
                "agenda",
                format!("has no entry for {id} at {at}, when something is due there"),
            );
        }
        if let Some((at, id)) = self.agenda.difference(&due).next() {
            return wrong(
                "agenda",
                format!("has an entry for {id} at {at}, when nothing is due there"),
            );
        }
        Ok(())
    }
}

impl Rules {
    fn check(&self) -> Checked {
        let Self { behaviour, durations, processing_time, catalogue } = self;
        check_times(durations, *processing_time, behaviour)?;
        let same = |place: &str, id: &str, key: &str| {
            if id == key {
                return Ok(());
            }
            wrong(format!("{place}.id"), format!("is {id:?}, which differs from its key {key:?}"))
        };
        for (key, model) in &catalogue.models {
            let place = format!("catalogue.models.{key}");
            same(&place, &model.id, key)?;
            check_model(model).map_err(inside(place))?;
        }
        for (key, zone) in &catalogue.zones {
            let place = format!("catalogue.zones.{key}");
            same(&place, &zone.id, key)?;
            check_zone(zone, catalogue).map_err(inside(place))?;
        }
        Ok(())
    }
}

impl Books {
    fn check(&self, catalogue: &Catalogue) -> Checked {
        let Self { opening, topped_up, balance, charges, orders: _, stock } = self;
        for (name, amount) in [("opening", opening), ("toppedUp", topped_up), ("balance", balance)]
        {
            check_sum(*amount).map_err(|problem| (name.to_owned(), problem))?;
        }
        self.check_orders(catalogue)?;
        let mut paid = Decimal::ZERO;
        for (index, charge) in charges.iter().enumerate() {
            let field = |name: &str| format!("charges[{index}].{name}");
            check_paid(charge.amount).map_err(|problem| (field("amount"), problem))?;
            paid += charge.amount;
            if let Reason::Order(number) = &charge.reason
                && self.find(number).is_none()
            {
                return wrong(field("reason"), format!("is order {number}, which does not exist"));
            }
        }
        let expected = *opening + *topped_up - paid;
        if expected != *balance {
            let problem = format!("is {balance}, but opening + toppedUp - charges is {expected}");
            return wrong("balance", problem);
        }
        check_stock(stock, catalogue)
    }

    /// Orders are found by their number, which is their place.
    fn check_orders(&self, catalogue: &Catalogue) -> Checked {
        for (index, order) in self.orders.iter().enumerate() {
            let field = |name: &str| format!("orders[{index}].{name}");
            let number = Self::number(index);
            if order.order_number != number {
                let problem =
                    format!("is {:?}, but must be {number} at this place", order.order_number);
                return wrong(field("orderNumber"), problem);
            }
            for (name, type_id) in [("from", &order.from), ("to", &order.to)] {
                known(type_id, catalogue.models.keys())
                    .map_err(|problem| (field(name), problem))?;
            }
            check_paid(order.amount).map_err(|problem| (field("amount"), problem))?;
            if (order.outcome == OrderOutcome::Open) != order.settled_at.is_none() {
                let problem =
                    "and settledAt disagree: only an order that is not open has a settledAt";
                return wrong(field("outcome"), problem);
            }
        }
        Ok(())
    }
}

fn check_paid(amount: Decimal) -> Result<(), String> {
    if amount < Decimal::ZERO {
        return Err(format!("must not be negative, and is {amount}"));
    }
    check_sum(amount)
}

fn check_stock(stock: &BTreeMap<String, BTreeMap<String, u64>>, catalogue: &Catalogue) -> Checked {
    for (zone, types) in stock {
        known(zone, catalogue.zones.keys()).map_err(|problem| ("stock".to_owned(), problem))?;
        for type_id in types.keys() {
            known(type_id, catalogue.models.keys())
                .map_err(|problem| (format!("stock.{zone}"), problem))?;
        }
    }
    Ok(())
}

impl Instance {
    fn check(&self, id: &str, catalogue: &Catalogue, books: &Books) -> Checked {
        if self.id != id {
            return wrong("id", format!("is {:?}, which differs from its key {id:?}", self.id));
        }
        let field = |name: &'static str| move |problem: String| (name.to_owned(), problem);
        known(&self.type_id, catalogue.models.keys()).map_err(field("type"))?;
        known(&self.zone, catalogue.zones.keys()).map_err(field("zone"))?;
        if !PERIODS.contains(&self.period) {
            return wrong("period", "must be from 1 to 120, in months");
        }
        let prepaid = self.charge_type == ChargeType::Prepaid;
        if self.expires_at.is_some() != prepaid {
            return wrong("expiresAt", "must be set for PREPAID, and only for PREPAID");
        }
        if self.metered_to.is_some() == prepaid {
            return wrong("meteredTo", "must be set for POSTPAID, and only for POSTPAID");
        }
        check_paid(self.owed).map_err(field("owed"))?;
        self.details.check(self.charge_type).map_err(inside("details"))?;
        self.check_plan(books).map_err(inside("plan"))?;
        for (index, pending) in self.pending.iter().enumerate() {
            if let Work::Change { order_number, .. } = &pending.work {
                let place = format!("pending[{index}].work");
                self.check_order(books, order_number).map_err(inside(place))?;
            }
        }
        Ok(())
    }

    fn check_plan(&self, books: &Books) -> Checked {
        let (to, number) = match &self.plan {
            Plan::None => return Ok(()),
            Plan::Processing { to, order_number, .. }
            | Plan::WaitToEnable { to, order_number, .. }
            | Plan::Unpaid { to, order_number, .. }
            | Plan::Failed { to, order_number } => (to, order_number),
        };
        let ordered = self.check_order(books, number)?;
        if ordered != to {
            return wrong("to", format!("is {to:?}, but order {number} is for {ordered:?}"));
        }
        Ok(())
    }

    /// The type that an order of this instance is for.
    fn check_order<'b>(&self, books: &'b Books, number: &str) -> Result<&'b str, SetupError> {
        match books.find(number) {
            Some(order) if order.instance_id == self.id => Ok(&order.to),
            Some(order) => {
                let problem =
                    format!("is {number}, which is an order of instance {}", order.instance_id);
                wrong("orderNumber", problem)
            }
            None => wrong("orderNumber", format!("is {number}, which does not exist")),
        }
    }
}
