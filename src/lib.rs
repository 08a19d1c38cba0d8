//! A Kubernetes operator that resizes existing Zenlayer Cloud virtual machines in place.

pub mod sim;
pub mod zenlayer;
