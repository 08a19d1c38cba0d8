//! Faults: a rule says for which calls, and how often, one kind of fault is played. Every fault is
//! such a rule; they come from the YAML file or from the control API.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `kind`, `codes` | what can go wrong, and the codes that a refusal can have |
//! | `rule` | a rule as it is written |
//! | `play` | what is played for one call |
//! | `active` | the rules that still apply |
//! | `alter` | what faults make of an answer |

mod active;
mod alter;
mod codes;
mod kind;
mod play;
mod rule;

pub use active::{Faults, Rule};
pub use alter::Draft;
pub use codes::{CODES, status_of};
pub use kind::{FaultKind, Page, Step};
pub use play::Play;
pub use rule::{Fault, Selector, Times};
