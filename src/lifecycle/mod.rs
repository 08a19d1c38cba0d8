//! The pure core: what is asked, what is seen, what to do, and what it meant. No async, no client,
//! no clock, no randomness, no logging; `now` is always an argument.
//!
//! | file | what it answers |
//! | --- | --- |
//! | `desired`, `timing` | what does the object ask for, and which limits apply? |
//! | `observed`, `memory`, `ended`, `standing` | what does the world say, what do we remember, and what do both say together? |
//! | `protocol` | what makes sure that a call is made once: lanes, slot, fence, ledger |
//! | `read`, `needs` | what has to be read? |
//! | `facts`, `rules`, `decide` | what may be done now? `rules/mod.rs` is an ordered list of small rules: the specification |
//! | `situation` | what does each situation say, which event, when to look again, what is remembered? |
//! | `settle`, `remember`, `recorded`, `write` | what did the pass mean for the status? |
//! | `selection` | which objects does an operator serve, and may another one serve them, too? |
//! | `refusal`, `backoff`, `offers`, `plan`, `prices`, `time` | what a refusal rests on, how long a pause is, what the provider offers and plans |

// Time and chance are arguments: clippy.toml lists what is refused here.
#![deny(clippy::disallowed_methods)]

pub mod backoff;
mod decide;
mod decision;
mod desired;
mod ended;
mod facts;
mod invalid_status;
mod memory;
mod needs;
mod object_key;
mod observed;
mod offers;
mod plan;
mod prices;
pub mod protocol;
mod read;
mod recorded;
mod refusal;
mod remember;
mod rules;
mod selection;
mod settle;
pub mod situation;
mod standing;
mod time;
mod timing;
mod write;

pub use decide::decide;
pub use decision::{Action, Decision, Order, Outcome, Verdict};
pub use desired::{Defaults, Desired, InvalidSpec, kept_for};
pub use ended::Ended;
pub use invalid_status::InvalidStatus;
pub use memory::{Memory, Refusal, Target};
pub use needs::needs;
pub use object_key::ObjectKey;
pub use observed::{
    Claim, Holder, Holders, Observed, Owner, PerLane, SecretState, Since, Trouble, speaks_of_rest,
};
pub use plan::{PlanStage, PlanView};
pub use prices::{Prices, TypePrice};
pub use protocol::{
    Change, ChangeId, Counted, Expectation, Held, Holding, HoldingState, Known, Lane, LaneName,
    Limit, OrderCount, OrderLimits, Restore, Size, Slot, SlotRecord,
};
pub use read::Read;
pub use recorded::{answer_put_in, taken_out, withdrawn};
pub use refusal::of_reads as problem_of_reads;
pub use selection::{InvalidSelection, Peer, Selection};
pub use settle::{intent, invalid, settle};
pub use situation::{Event, NextLook, Situation, farewell};
pub use standing::Standing;
pub use timing::{LeaseTimes, Timing};
