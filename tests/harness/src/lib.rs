//! What the tests of real processes, and the demo, stand on: a real etcd and kube-apiserver, the
//! operator and the simulator as processes, a proxy between them that lets exchanges wait or go wrong,
//! and waits with a deadline.

#![allow(clippy::panic, reason = "a test fails by panicking")]

#[cfg(feature = "cluster")]
pub mod control_plane;
pub mod exposition;
#[cfg(feature = "cluster")]
pub mod helm;
pub mod load;
#[cfg(feature = "cluster")]
pub mod operator;
pub mod permit;
pub mod processes;
pub mod proxies;
pub mod records;
pub mod rng;
#[cfg(feature = "scan")]
pub mod scan;
#[cfg(feature = "cluster")]
pub mod scripts;
pub mod simulator;
pub mod sweep;
pub mod table;
pub mod wait;
#[cfg(feature = "wire")]
pub mod wire;

use std::path::PathBuf;

#[cfg(feature = "cluster")]
pub use control_plane::ControlPlane;
#[cfg(feature = "cluster")]
pub use operator::Operator;
pub use processes::Process;
pub use simulator::Simulator;
pub use wait::eventually;
#[cfg(feature = "wire")]
pub use wire::Wire;

/// The root of the repository.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    // tests/harness
    root.pop();
    root.pop();
    root
}

/// A binary of the workspace, built beside the running test or example.
pub fn binary(name: &str) -> PathBuf {
    let mut folder = std::env::current_exe().expect("a running program has a path");
    folder.pop();
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.pop();
    }
    let binary = folder.join(name);
    assert!(binary.exists(), "{} is missing: cargo build --workspace --bins", binary.display());
    binary
}
