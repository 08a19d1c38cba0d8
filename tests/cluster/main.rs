//! Tests on a real etcd and kube-apiserver, with the operator and the simulator as processes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod admission;
mod audit;
mod away;
mod bad_input;
mod bad_options;
mod bad_state;
mod billing;
mod breaker;
mod changes_of_mind;
mod chart;
mod claims;
mod control_plane;
mod crash;
mod crowd;
mod drift;
mod endpoint_ca;
mod error_codes;
mod farewell;
mod first_contact;
mod foreign_conditions;
mod foreign_plans;
mod glue;
mod image;
mod install;
mod kubectl;
mod lab;
mod metrics;
mod month;
mod pod_security;
mod preflight;
mod probes;
mod rbac;
mod replicas;
mod resize;
mod stage;
mod status_contract;
mod stop_first;
mod stop_first_faults;
mod tally;
mod trail;
mod verification;
