//! A Kubernetes operator that resizes existing Zenlayer Cloud virtual machines in place.

pub mod api;
pub mod config;
pub mod controller;
pub mod lifecycle;
pub mod sim;
pub mod telemetry;
pub mod zenlayer;
