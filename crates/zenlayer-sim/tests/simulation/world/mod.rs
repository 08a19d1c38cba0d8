//! The pure world: what it answers, and what happens in it as time goes by.

mod billing;
mod checks;
mod console;
mod describe;
mod given;
mod laws;
mod open;
mod plans;
mod power;
mod random;
mod setup;
