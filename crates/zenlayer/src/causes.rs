//! The text of an error with its causes: the one place where a chain is printed.

use std::error::Error;

/// The error and what it came of, joined by colons. A cause that the text repeats already (some
/// libraries print their source) is not said twice.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
