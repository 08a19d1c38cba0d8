//! The simulator: its world and its HTTP layer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod caller;
mod cli;
mod clients;
mod conformance;
mod control;
mod docs;
mod faults;
mod golden;
mod pipes;
mod stage;
mod state;
mod transport;
mod world;
