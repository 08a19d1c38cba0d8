//! The simulator: its world, and its skin over HTTP.

#[path = "../harness/mod.rs"]
mod harness;

mod caller;
mod cli;
mod conformance;
mod control;
mod docs;
mod faults;
mod golden;
mod stage;
mod transport;
