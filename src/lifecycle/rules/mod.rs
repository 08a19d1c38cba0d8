//! The rules of `decide`, by the part of the list in which they stand. Each one looks at the facts
//! and either says nothing or decides.

pub mod at_rest;
pub mod in_flight;
pub mod looking;
pub mod ordering;
pub mod permits;
pub mod power;
