//! The name of a change.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Names one change for ever. Made of the object's uid, the moment of the decision and the process that
/// decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeId(pub String);

impl ChangeId {
    /// The id of the change that is decided for `uid` at `started_at`.
    pub fn new(uid: &str, started_at: Timestamp) -> Self {
        let head: String = uid.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        Self(format!("{head}-{}", started_at.as_second()))
    }

    /// That of a process. Two processes may decide for one object in one second; whoever finds the slot
    /// taken after a write without an answer must not take the other's record for its own.
    pub fn made_by(self, process: &str) -> Self {
        if process.is_empty() { self } else { Self(format!("{}-{process}", self.0)) }
    }
}

impl std::fmt::Display for ChangeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
