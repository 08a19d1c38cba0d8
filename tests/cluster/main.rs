//! Tests on a real etcd and kube-apiserver, with the operator and the simulator as processes.

#[path = "../harness/mod.rs"]
mod harness;

mod control_plane;
mod crash;
mod resize;
mod stage;
