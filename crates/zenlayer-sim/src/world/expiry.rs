//! Ends of PREPAID cycles.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{
    Expiry, Plan, Reason,
    site::Site,
    time::{cycle, later},
};

impl Site<'_> {
    /// The end of a PREPAID cycle: renewed and charged, or not.
    pub(super) fn end_cycle(&mut self) {
        if self.instance.state.is_recycled() || !self.instance.auto_renew || !self.renew() {
            self.lapse();
        }
    }

    /// Starts and charges the next cycle, if the money is there.
    pub(super) fn renew(&mut self) -> bool {
        let (price, owed) = (self.renewal_price(), self.instance.owed);
        let next = later(self.at, cycle(self.instance.period));
        if !self.books.covers(price + owed) || next == Timestamp::MAX {
            return false;
        }
        self.instance.owed = Decimal::ZERO;
        self.books.charge(self.at, &self.instance.id, owed, Reason::Owed);
        self.books.charge(self.at, &self.instance.id, price, Reason::Renewal);
        self.instance.expires_at = Some(next);
        self.instance.lapsed = false;
        true
    }

    /// Of the type that the next cycle has: a scheduled downgrade lands with the renewal
    /// (inferred).
    fn renewal_price(&self) -> Decimal {
        let type_id = match &self.instance.plan {
            Plan::WaitToEnable { to, .. } => to,
            Plan::None | Plan::Processing { .. } | Plan::Unpaid { .. } | Plan::Failed { .. } => {
                &self.instance.type_id
            }
        };
        let month = self.offered(type_id).map_or(Decimal::ZERO, |one| one.paid(one.monthly));
        (month * Decimal::from(self.instance.period)).round_dp(2)
    }

    /// What follows is not documented.
    fn lapse(&mut self) {
        self.instance.lapsed = true;
        match self.rules.behaviour.expiry {
            Expiry::Recycled if self.instance.state.is_recycled() => {}
            Expiry::Recycled => self.recycle(),
            Expiry::DowngradeLands => {}
            Expiry::DowngradeWaits => {
                if let Plan::WaitToEnable { due, .. } = &mut self.instance.plan {
                    *due = Timestamp::MAX;
                }
            }
        }
    }
}
