#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]
mod at_rest;
mod cancel;
mod preflight;
mod answers;
mod fences;
mod given;
mod in_flight;
mod ownership;
mod power;
mod refusals;
mod unreadable;
mod table;
