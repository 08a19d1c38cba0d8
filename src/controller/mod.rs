//! Kubernetes I/O around the pure core: watch, observe, execute, record, publish.
//!
//! The traits [`Store`], [`Cloud`](zenlayer::Cloud) and [`Clock`] are its only way to the
//! world.

mod backlog;
mod census;
mod clock;
mod cloud_view;
mod connect;
mod context;
mod election;
mod field_managers;
mod leader;
mod leadership;
mod neighbours;
mod orders;
mod pass;
mod run;
mod seen;
mod shell;
mod store;
mod sweep;
mod term;
mod unchanged;
mod unreadable;
mod waker;
mod watch;

pub use clock::{Clock, SystemClock};
pub use cloud_view::read_due;
pub use connect::{ConnectError, Connections, FIELD_MANAGER};
pub use context::Context;
pub use election::{Candidate, Election, LEADERS};
pub use pass::reconcile;
pub use run::{GRACE, RunError, Settings, check, run};
pub use store::{
    Age, Claims, Credential, KeptSlot, KubeStore, ObjectCache, SECRET_TYPE, Scope, SlotCache,
    SlotsError, Store, StoreError, slot_name,
};
pub use sweep::{SWEEP, Sweep};
pub use waker::{Name, Waker};
