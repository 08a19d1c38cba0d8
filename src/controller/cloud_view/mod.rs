//! What this process knows of the cloud, and what it may ask of it: one rate and one back-off for each
//! credential, answers that are kept for a while, and since when something has been known.

mod inventory;
mod limiter;
mod machine;
mod offers;
mod reading;
mod rotation;
mod shelf;
mod sightings;
mod troubles;

#[cfg(test)]
mod tests;

pub use inventory::Inventory;
pub use limiter::{Ask, Caller, Class, Limiter};
pub use machine::{InstanceRead, Interest};
pub use offers::OfferCache;
pub use reading::{read_due, read_machines, trouble_of};
pub use rotation::{Digests, rotated};
pub use sightings::Sightings;
pub use troubles::{Troubles, throttled};
