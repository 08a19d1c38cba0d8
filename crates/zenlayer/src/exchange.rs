//! One request and what came of it, for whoever counts them.

use std::time::Duration;

use crate::ApiError;

/// One request to the provider, a single try of a read or a mutating call: for metrics, and for nothing
/// that a decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The provider's name of the action.
    pub action: &'static str,
    /// What came of it.
    pub ended: Ended<'a>,
    /// From the first attempt to connect until the answer was read, or until there was none.
    pub took: Duration,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub enum Ended<'a> {
    /// A 200 that is as documented.
    Answered,
    /// The provider, or the network in front of its API, refused or had trouble.
    Failed(&'a ApiError),
    /// A 200 that is not as documented.
    NotUnderstood,
    /// No answer, or only a part of one: connecting, the connection or the time ran out.
    NoAnswer,
}
