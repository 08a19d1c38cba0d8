//! The pure core: what is asked, what is seen, what to do, and what it meant. No async, no client,
//! no clock, no randomness, no logging; `now` is always an argument.
//!
//! | file | what it answers |
//! | --- | --- |
//! | `desired` | what does the object ask for? |
//! | `observed`, `slot`, `memory`, `change`, `plan`, `prices`, `offers` | what does the world say, and what do we remember? |
//! | `decide`, `rules` | what may be done now? An ordered list of small rules: the specification |
//! | `decision` | the nouns in between |
//! | `settle`, `report`, `announce` | what did it mean: status, conditions, events, next look |
//! | `refusal`, `backoff`, `time` | for how long does a refusal stand, and how long is a pause? |

// Time and chance are arguments: clippy.toml lists what is refused here.
#![deny(clippy::disallowed_methods)]

mod announce;
pub mod backoff;
mod change;
mod change_id;
mod decide;
mod decision;
mod desired;
mod facts;
mod invalid_status;
mod memory;
mod observed;
mod offers;
mod plan;
mod prices;
mod refusal;
mod report;
mod rules;
mod settle;
mod slot;
mod time;

pub use announce::farewell;
pub use change::{Change, Size};
pub use change_id::ChangeId;
pub use decide::decide;
pub use decision::{
    Action, Decision, Event, NextLook, Outcome, Report, Severity, Situation, Verdict,
};
pub use desired::{Defaults, Desired, InvalidSpec, ObjectKey, Timing};
pub use invalid_status::InvalidStatus;
pub use memory::{Ended, Memory, Refusal, RefusedCall, Restore, Target};
pub use observed::{Claim, Observed, OrderCount, SecretState, Standing};
pub use plan::{PlanStage, PlanView};
pub use prices::Prices;
pub use refusal::standing as standing_refusal;
pub use settle::{intent, invalid, settle};
pub use slot::{Expectation, Holding, HoldingState, Slot, SlotRecord, SlotRestore};
