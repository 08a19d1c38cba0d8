//! Tests of the pure core: no runtime, no cluster, no clock.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `given` | the one builder of objects, memories, observations and slots |
//! | `table` | how a row is run and described |
//! | `cancel`, `power`, `preflight` | tables: changes of mind, StopFirst, what precedes an order |
//! | `at_rest`, `in_flight`, `unreadable`, `answers`, `refusals`, `ownership`, `fences` | tables |
//! | `statuses`, `messages`, `coverage` | what every status keeps to; what no table may leave out |
//! | `walks` | whole lives, with every field of status and slot |
//! | `traces` | the traces that broke earlier versions of the protocol |
//! | `properties` | arbitrary worlds and memories |
//! | `world`, `driver`, `simulation` | two controllers in a small world that breaks everything |

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod answers;
mod at_rest;
mod cancel;
mod coverage;
mod driver;
mod fences;
mod given;
mod in_flight;
mod messages;
mod ownership;
mod power;
mod preflight;
mod properties;
mod refusals;
mod simulation;
mod statuses;
mod table;
mod traces;
mod unreadable;
mod walks;
mod world;
