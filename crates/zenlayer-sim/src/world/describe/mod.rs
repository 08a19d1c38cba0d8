//! The answers of the read actions. Every key is there
//! unless the simulation is told to leave it out: the Python SDK has no attribute for an
//! object-valued key that is missing.

mod instances;
mod page;
mod price;
mod status;
mod zones;

pub(super) use instances::{Item, instances};
pub(super) use page::Page;
pub(super) use price::{Prices, prices};
pub(super) use status::{StateItem, TypeStatus, states, type_status};
pub(super) use zones::{Offers, Zones, offers, zones};
