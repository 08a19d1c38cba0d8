//! Which way a PREPAID change goes: by the list prices of the two types (fact sheet section 8).

use rust_decimal::Decimal;

use crate::api::Direction;

/// List prices for one month, where they could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prices {
    /// Of the type in effect.
    pub current: Option<Decimal>,
    /// Of the declared type.
    pub declared: Option<Decimal>,
}

impl Prices {
    /// Unknown where a price is missing, or where both are equal: for that case the provider's
    /// behaviour is undefined.
    pub fn direction(&self) -> Direction {
        match (self.current, self.declared) {
            (Some(current), Some(declared)) if declared > current => Direction::Upgrade,
            (Some(current), Some(declared)) if declared < current => Direction::Downgrade,
            _ => Direction::Unknown,
        }
    }
}
