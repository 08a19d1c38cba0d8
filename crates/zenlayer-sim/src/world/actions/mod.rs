//! The actions of the API that change instances (fact sheet sections 7.1, 7.6 and 7.7).

mod cancel;
mod modify;
mod power;
mod work;

pub(super) use modify::Ordered;
pub(super) use power::Power;
