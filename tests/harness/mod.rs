//! What the tests of real processes, and the demo, stand on: a real etcd and kube-apiserver, the
//! operator and the simulator as processes, and waits with a deadline.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of the harness")]
#![allow(clippy::panic, reason = "a test fails by panicking")]

pub mod control_plane;
pub mod operator;
pub mod processes;
pub mod simulator;
pub mod table;
pub mod wait;

use std::path::PathBuf;

pub use control_plane::ControlPlane;
pub use operator::Operator;
pub use processes::Process;
pub use simulator::Simulator;
pub use wait::eventually;

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A binary of this package, built beside the running test or example.
pub fn binary(name: &str) -> PathBuf {
    let mut folder = std::env::current_exe().expect("a running program has a path");
    folder.pop();
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.pop();
    }
    folder.join(name)
}
