//! The HTTP layer: the control API below `/control`, and the provider's API on all other paths.
//!
//! Each part uses only what comes after it in this list:
//!
//! | part | what it is |
//! | --- | --- |
//! | `listen` | listeners and connections |
//! | `api` | from an HTTP request to an HTTP answer, with the faults of the way |
//! | `control` | what a test or a person sees and changes |
//! | `state` | the state file |
//! | `shared` | the service as connections share it, with the waits that belong to it |
//! | `service` | one call from its bytes to its answer: no I/O |
//! | `authorise` | signature, token, rate, version, permission |
//! | `settings` | the HTTP layer's part of the YAML file |
//! | `fault` | rules: for which calls, how often, and what goes wrong |
//! | `log`, `request_id` | the request log, and the ids in it |
//! | `clock` | wall, scaled, or stepped by hand |
//! | `actions` | the path of the API, and the names of its actions |
//! | `tls`, `wire` | certificates, and connections that can end with a reset |

mod actions;
mod api;
mod authorise;
mod clock;
mod control;
mod fault;
mod listen;
mod log;
mod request_id;
mod service;
mod settings;
mod shared;
mod state;
mod tls;
mod wire;

pub use actions::ACTIONS;
pub use clock::{Clock, ClockMode, ClockSettings};
pub use control::HELP as CONTROL_HELP;
pub use fault::{CODES, Fault, FaultKind, Faults, Page, Selector, Step, Times};
pub use listen::{ListenError, bind, serve};
pub use service::{Arrival, Service, Snapshot};
pub use settings::{Credential, Problem, RateLimit, Settings, Transport};
pub use shared::Shared;
pub use state::{StateError, keep, load};
pub use tls::{Certificate, TlsError, acceptor};
