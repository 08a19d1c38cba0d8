//! One pass over one object. Each step is a file.

mod execute;
mod observe;
mod publish;
mod reconcile;
mod record;
mod slot;

pub use reconcile::reconcile;
