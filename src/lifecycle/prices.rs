//! Which way a PREPAID change goes: by the list prices of the two types.

use rust_decimal::Decimal;
use zenlayer::{InstanceTypeId, ReadError};

use crate::api::Direction;

/// The list price of one type for one month, with the type that it is of, so that a price is never
/// taken for that of another type.
#[derive(Debug, Clone, PartialEq)]
pub struct TypePrice {
    pub type_id: InstanceTypeId,
    /// `None`: the provider names no price.
    pub price: Result<Option<Decimal>, ReadError>,
}

/// List prices of the type in effect and of the declared one.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    pub current: TypePrice,
    pub declared: TypePrice,
}

impl Prices {
    /// Unknown where a price is missing, where it is of another type, or where both are equal: for that
    /// case the provider's behaviour is undefined.
    pub fn direction(&self, from: &InstanceTypeId, to: &InstanceTypeId) -> Direction {
        match (self.current.of(from), self.declared.of(to)) {
            (Some(current), Some(declared)) if declared > current => Direction::Upgrade,
            (Some(current), Some(declared)) if declared < current => Direction::Downgrade,
            _ => Direction::Unknown,
        }
    }

    /// The read that failed, if one did.
    pub fn failure(&self) -> Option<&ReadError> {
        [&self.current, &self.declared].into_iter().find_map(|one| one.price.as_ref().err())
    }
}

impl TypePrice {
    pub fn of(&self, type_id: &InstanceTypeId) -> Option<Decimal> {
        self.price.as_ref().ok().copied().flatten().filter(|_| self.type_id == *type_id)
    }
}
