//! The actions of the API that change instances.

mod cancel;
mod modify;
mod power;
mod work;

pub(super) use modify::Ordered;
pub(super) use power::Power;
