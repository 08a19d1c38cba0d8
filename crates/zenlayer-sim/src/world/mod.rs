//! The world: instances, their plans, and the account. Pure: no clock, no randomness, no I/O. A
//! moment and a call go in, an answer comes out. What is due in between is carried out in the order
//! of its time, so that advancing in one step or in many leads to the same world.
//!
//! Each part uses only what comes after it in this list:
//!
//! | part | what it is |
//! | --- | --- |
//! | `dispatch` | the entry for calls of the API |
//! | `console` | what a person does outside the API |
//! | `actions`, `describe` | the API's calls that change something, and those that read |
//! | `check` | whether a saved world can be gone on with |
//! | `seen` | the world as a read sees it that may lag behind |
//! | `state` | all that there is, and how it follows the time |
//! | `carry_out` | what is due at an instance first |
//! | `expiry`, `power`, `plan`, `metering` | what happens: ends of cycles, changes of state, of type, use |
//! | `site` | one instance at one moment, with the books: everything that happens to it |
//! | `setup` | what a world starts from |
//! | `rules`, `durations` | what does not change by itself |
//! | `history` | what instances looked like a while ago |
//! | `parameters`, `answer` | a call on its way in, and its answer on its way out |
//! | `catalogue` | zones, types, prices |
//! | `instance`, `billing` | instances with plans; orders, charges, balance, stock |
//! | `behaviour` | the switches for what the provider's documents leave open |
//! | `names`, `time` | the names of the actions; sums of time, and the length of a month |

mod actions;
mod answer;
mod behaviour;
mod billing;
mod carry_out;
mod catalogue;
mod check;
mod console;
mod describe;
mod dispatch;
mod durations;
mod expiry;
mod history;
mod instance;
mod metering;
mod names;
mod parameters;
mod plan;
mod power;
mod rules;
mod seen;
mod setup;
mod site;
mod state;
mod time;

pub use answer::{Call, Effect, Refused};
pub use behaviour::*;
pub use billing::{Books, Charge, Order, OrderKind, OrderOutcome, Reason};
pub use catalogue::{Catalogue, Model, Offer, Offered, Zone};
pub use console::{ConsoleChange, InstanceChange};
pub use durations::Durations;
pub use instance::{
    ChargeType, DataDisk, Details, Instance, Nic, Pending, Plan, State, SystemDisk, Transition,
    Work,
};
pub use names::{ACTIONS, reads_only};
pub use rules::Rules;
pub use setup::{InstanceSetup, Setup, SetupError};
pub use state::World;
pub use time::MONTH;
