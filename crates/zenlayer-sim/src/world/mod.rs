//! The world: instances, their plans, and the account. Pure: no clock, no randomness, no I/O. A
//! moment and a call go in, an answer comes out. What is due in between is carried out in the order
//! of its time, so that advancing in one step or in many leads to the same world.
//!
//! | part | what it is |
//! | --- | --- |
//! | `setup` | what a world starts from |
//! | `behaviour` | the switches for what the provider's documents leave open |
//! | `catalogue` | zones, types, prices |
//! | `instance`, `billing` | the state: instances with plans; orders, charges, balance, stock |
//! | `site` | one instance at one moment, with the books: everything that happens to it |
//! | `plan`, `power`, `expiry` | what happens: changes of type, of state, ends of cycles |
//! | `history` | what reads show that lag behind |
//! | `actions`, `describe` | the API's calls and answers |
//! | `console` | what a person does outside the API |
//! | `time` | sums of time, and the length of a month |
//! | `check` | whether a saved world can be gone on with |

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
