//! The client of the provider's API: signatures, endpoints, errors, decoding, and what it sends
//! and concludes, against raw TCP servers and against the simulator as a process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod actions;
mod decoding;
mod endpoint;
mod errors;
mod faults;
mod given;
mod host;
mod kept;
mod list;
mod money;
mod observed;
mod pace;
mod proxy;
mod raw;
mod reads;
mod requests;
mod roots;
mod secrets;
mod signature;
mod stranger;
mod writes;
