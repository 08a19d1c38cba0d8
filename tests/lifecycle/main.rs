//! Tests of the pure core: no runtime, no cluster, no clock.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `given` | the one builder of objects, memories, observations and slots |
//! | `table` | how a row is run and described |
//! | `edges` | what each of two things decides alone, and moments to the second |
//! | `at_rest`, `in_flight`, `unreadable`, `answers`, `refusals`, `ownership`, `fences` | tables |

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod answers;
mod at_rest;
mod cancel;
mod coverage;
mod edges;
mod fences;
mod findings;
mod given;
mod in_flight;
mod lanes;
mod lenient;
mod liveness;
mod messages;
mod more_of_a_kind;
mod needs;
mod ownership;
mod power;
mod preflight;
mod properties;
mod refusals;
mod schema;
mod statuses;
mod table;
mod traces;
mod unreadable;
mod walks;
mod worlds;
