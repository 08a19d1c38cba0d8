//! A request between its caller and the one that is asked.

use crate::executor::{Failure, Reply, Request};

/// A request in the air, and what will become of it.
pub struct Flying {
    pub request: Request,
    pub incarnation: u32,
    /// Whether it will still be delivered.
    pub delivers: bool,
    /// Its caller gets no answer, but this.
    pub failure: Option<Failure>,
    pub reply: Option<Reply>,
    /// Its caller has its answer, or is gone.
    pub heard: bool,
}
