//! One instance at one moment, with the books that it is written into. `plan`, `power`, `expiry` and
//! `metering` say what can happen here, and `carry_out` in which order.

use jiff::Timestamp;

use super::{Books, Instance, Rules, catalogue::Offered};

pub(super) struct Site<'w> {
    pub rules: &'w Rules,
    pub books: &'w mut Books,
    pub instance: &'w mut Instance,
    pub at: Timestamp,
    /// The instance is gone.
    pub gone: bool,
}

impl Site<'_> {
    /// A type as this instance can have it.
    pub fn offered(&self, type_id: &str) -> Option<Offered<'_>> {
        let Instance { zone, charge_type, .. } = &*self.instance;
        self.rules.catalogue.offered(zone, *charge_type, type_id)
    }
}
