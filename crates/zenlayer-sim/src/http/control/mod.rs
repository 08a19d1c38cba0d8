//! The control API: what a test or a person sees and changes from outside the simulation.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `routes` | the paths, and their list |
//! | `cloud` | instances, plans, orders, balance |
//! | `faults` | fault rules, and listeners that refuse |
//! | `time` | the clock |
//! | `access` | credentials and the rate limit |
//! | `records` | the request log, snapshot and restore |
//! | `answer` | what they all share: bodies, refusals, answers |

mod access;
mod answer;
mod cloud;
mod faults;
mod records;
mod routes;
mod time;

pub use routes::{HELP, router};
