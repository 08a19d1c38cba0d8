//! What the HTTP layer asks about actions: where they are posted to, which there are, which only read.

pub use crate::world::ACTIONS;

/// Where every action is posted to (fact sheet section 1).
pub const API_PATH: &str = "/api/v2/vm";

/// Whether calls of this action leave the world as it is.
pub fn reads_only(action: &str) -> bool {
    action.starts_with("Describe") || action.starts_with("Inquiry")
}

/// Refuses an action that does not exist.
pub fn check(action: &str) -> Result<(), String> {
    if ACTIONS.contains(&action) {
        return Ok(());
    }
    Err(format!("{action:?} is not one of {}", ACTIONS.join(", ")))
}
