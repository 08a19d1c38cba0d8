//! Tests on a real etcd and kube-apiserver, with the operator and the simulator as processes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

mod admission;
mod bad_input;
mod bad_options;
mod bad_state;
mod breaker;
mod claims;
mod control_plane;
mod crash;
mod error_codes;
mod kubectl;
mod pod_security;
mod probes;
mod rbac;
mod resize;
mod stage;
mod status_contract;
mod trail;
