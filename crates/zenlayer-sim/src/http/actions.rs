//! What the HTTP layer asks about actions: where they are posted to, which there are, and which of
//! them only read.

pub use crate::world::{ACTIONS, reads_only};

/// Where every action is posted to (page "Request Structure").
pub const API_PATH: &str = "/api/v2/vm";

/// Refuses an action that does not exist.
pub fn check(action: &str) -> Result<(), String> {
    if ACTIONS.contains(&action) {
        return Ok(());
    }
    Err(format!("{action:?} is not one of {}", ACTIONS.join(", ")))
}
