//! A call is about to be made.

use super::{
    told::{AT_ONCE, Scene, Told},
    words::purpose,
};
use crate::{
    api::{Phase, Reason},
    lifecycle::protocol::Change,
};

/// The call is about to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Calling {
    pub change: Change,
}

impl Calling {
    pub fn settles_the_type(&self) -> bool {
        false
    }

    pub fn told(&self, _: &Scene) -> Told {
        let message = format!("{}: the call is about to be made", purpose(&self.change));
        Told::going_on(Phase::Submitting, Reason::Submitting, message, AT_ONCE)
    }
}
