//! One pass over one object. Each step is a file.

mod execute;
mod observe;
mod others;
mod publish;
mod reconcile;
mod record;
mod slot;

pub use observe::class;
pub use reconcile::reconcile;
