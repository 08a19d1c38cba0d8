//! What the HTTP layer asks about actions.

pub use crate::world::ACTIONS;

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
