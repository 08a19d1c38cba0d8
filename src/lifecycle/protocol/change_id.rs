//! The name of a change.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Names one change for ever. Made of the object's uid and the moment of the decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeId(pub String);

impl ChangeId {
    /// The id of the change that `uid` decides at `started_at`. Two processes that decide for one
    /// object in one second make the same id; only one of them gets the slot, which
    /// says who.
    pub fn new(uid: &str, started_at: Timestamp) -> Self {
        let head: String = uid.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        Self(format!("{head}-{}", started_at.as_second()))
    }
}

impl std::fmt::Display for ChangeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
