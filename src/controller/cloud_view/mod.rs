//! What this process knows of the cloud, and what it may ask of it: one rate and one back-off for each
//! credential, answers that are kept for a while, and since when something has been known.

mod limiter;
mod offers;
mod rotation;
mod sightings;
mod troubles;

pub use limiter::Limiter;
pub use offers::OfferCache;
pub use rotation::{Digests, rotated};
pub use sightings::Sightings;
pub use troubles::{ReadResult, Troubles};
