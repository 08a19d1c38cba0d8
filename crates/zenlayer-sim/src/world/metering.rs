//! The metering of POSTPAID use.

use super::{ChargeType, Reason, billing::usage, site::Site};

impl Site<'_> {
    /// Charges POSTPAID use up to now. It may overdraw the account.
    pub(super) fn meter(&mut self) {
        let Some(from) = self.instance.metered_to else { return };
        if self.instance.charge_type == ChargeType::Postpaid {
            let hourly = self.offered(&self.instance.type_id).map(|one| one.paid(one.hourly));
            // A machine in the recycle bin is not used.
            if let Some(hourly) = hourly.filter(|_| !self.instance.state.is_recycled()) {
                let amount = usage(hourly, self.at.duration_since(from));
                self.books.charge(self.at, &self.instance.id, amount, Reason::Usage);
            }
        }
        self.instance.metered_to = Some(self.at);
    }
}
