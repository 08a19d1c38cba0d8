//! Orders, charges, the balance, and the machines that are left. Amounts are exact decimals in
//! zenPoints (1 zenPoint = 1 USD, says the console guide).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::time::MONTH;

/// Orders are numbered from here on.
const FIRST_ORDER: u64 = 260_000_000_000_000_001;

/// No amount is larger, and none is finer than a hundredth of a cent: so sums stay exact.
const LARGEST: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);
const DIGITS: u32 = 4;

/// Says what is wrong with an amount that comes from outside.
pub(super) fn check_amount(amount: Decimal) -> Result<(), String> {
    if amount.abs() > LARGEST {
        return Err(format!("{amount} is beyond {LARGEST}: write a smaller amount"));
    }
    check_digits(amount)
}

/// Of many amounts; more than any account comes to.
const LARGEST_SUM: Decimal = Decimal::from_parts(2_808_348_672, 232_830_643, 0, false, 0);

/// Says what is wrong with a sum of amounts that comes from outside.
pub(super) fn check_sum(sum: Decimal) -> Result<(), String> {
    if sum.abs() > LARGEST_SUM {
        return Err(format!("{sum} is beyond {LARGEST_SUM}: write a smaller amount"));
    }
    check_digits(sum)
}

fn check_digits(amount: Decimal) -> Result<(), String> {
    if amount.normalize().scale() > DIGITS {
        return Err(format!("{amount} has more than {DIGITS} digits after the point: round it"));
    }
    Ok(())
}

/// When an order takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OrderKind {
    /// POSTPAID, or a PREPAID upgrade.
    Immediate,
    /// A PREPAID downgrade.
    NextCycle,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OrderOutcome {
    Open,
    /// The instance has the type.
    Landed,
    /// Cancelled by CancelInstanceDowngrade, or by a person.
    Cancelled,
    Failed,
    /// Replaced by a later order, or its instance is gone.
    Lost,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    pub order_number: String,
    pub instance_id: String,
    pub from: String,
    pub to: String,
    pub kind: OrderKind,
    /// What it costs; see the charges for when it was paid.
    pub amount: Decimal,
    pub at: Timestamp,
    /// Of the call; `console` if a person ordered.
    pub request_id: String,
    pub outcome: OrderOutcome,
    pub settled_at: Option<Timestamp>,
}

/// What was paid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// A change, by its order number.
    Order(String),
    /// Changes that were to be paid at the end of the cycle.
    Owed,
    /// A further PREPAID cycle.
    Renewal,
    /// POSTPAID use.
    Usage,
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Charge {
    pub at: Timestamp,
    pub instance_id: String,
    pub amount: Decimal,
    pub reason: Reason,
}

/// The account: `opening + topped_up - charges = balance`, always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Books {
    pub opening: Decimal,
    pub topped_up: Decimal,
    pub balance: Decimal,
    pub charges: Vec<Charge>,
    pub orders: Vec<Order>,
    /// Machines left, by zone and type, where they are counted.
    pub stock: BTreeMap<String, BTreeMap<String, u64>>,
}

/// What an order is made of.
pub(super) struct NewOrder<'a> {
    pub instance_id: &'a str,
    pub from: &'a str,
    pub to: &'a str,
    pub kind: OrderKind,
    pub amount: Decimal,
    pub at: Timestamp,
    pub request_id: &'a str,
}

impl Books {
    pub(super) fn new(balance: Decimal, stock: BTreeMap<String, BTreeMap<String, u64>>) -> Self {
        Self {
            opening: balance,
            topped_up: Decimal::ZERO,
            balance,
            charges: Vec::new(),
            orders: Vec::new(),
            stock,
        }
    }

    /// Whether the account can pay this. What costs nothing it can, even when it is overdrawn.
    pub(super) fn covers(&self, amount: Decimal) -> bool {
        amount <= Decimal::ZERO || self.balance >= amount
    }

    /// Takes money; nothing is recorded for nothing.
    pub(super) fn charge(&mut self, at: Timestamp, id: &str, amount: Decimal, reason: Reason) {
        if amount.is_zero() {
            return;
        }
        self.balance -= amount;
        self.charges.push(Charge { at, instance_id: id.to_owned(), amount, reason });
    }

    pub(super) fn order(&mut self, new: NewOrder<'_>) -> String {
        let NewOrder { instance_id, from, to, kind, amount, at, request_id } = new;
        let order_number = Self::number(self.orders.len());
        self.orders.push(Order {
            order_number: order_number.clone(),
            instance_id: instance_id.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            kind,
            amount,
            at,
            request_id: request_id.to_owned(),
            outcome: OrderOutcome::Open,
            settled_at: None,
        });
        order_number
    }

    /// The number of the order at a place.
    pub(super) fn number(place: usize) -> String {
        FIRST_ORDER.saturating_add(u64::try_from(place).unwrap_or(u64::MAX)).to_string()
    }

    /// Found by its number, which is its place.
    pub(super) fn find(&self, order_number: &str) -> Option<&Order> {
        self.orders.get(place(order_number)?)
    }

    /// Closes an order that is open, and says whether it was.
    pub(super) fn settle(&mut self, number: &str, at: Timestamp, outcome: OrderOutcome) -> bool {
        let found = place(number).and_then(|place| self.orders.get_mut(place));
        match found {
            Some(order) if order.outcome == OrderOutcome::Open => {
                order.outcome = outcome;
                order.settled_at = Some(at);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Machines left; nothing if they are not counted.
    pub(super) fn left(&self, zone: &str, type_id: &str) -> Option<u64> {
        self.stock.get(zone)?.get(type_id).copied()
    }

    pub(super) fn take(&mut self, zone: &str, type_id: &str) {
        if let Some(left) = self.stock.get_mut(zone).and_then(|types| types.get_mut(type_id)) {
            *left = left.saturating_sub(1);
        }
    }

    pub(super) fn give_back(&mut self, zone: &str, type_id: &str) {
        if let Some(left) = self.stock.get_mut(zone).and_then(|types| types.get_mut(type_id)) {
            *left = left.saturating_add(1);
        }
    }
}

fn place(order_number: &str) -> Option<usize> {
    let number: u64 = order_number.parse().ok()?;
    usize::try_from(number.checked_sub(FIRST_ORDER)?).ok()
}

/// Difference x remaining months of 30 days, to the cent (the console guide).
pub(super) fn rest_of_cycle(difference: Decimal, left: SignedDuration) -> Decimal {
    let seconds = Decimal::from(left.as_secs().max(0));
    (difference * seconds / Decimal::from(MONTH.as_secs())).round_dp(2)
}

/// What so long a use costs, to the hundredth of a cent.
pub(super) fn usage(hourly: Decimal, used: SignedDuration) -> Decimal {
    (hourly * Decimal::from(used.as_secs().max(0)) / Decimal::from(3600)).round_dp(4)
}
