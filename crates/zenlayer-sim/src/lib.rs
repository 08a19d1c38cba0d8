//! `zenlayer-sim`: the provider's `vm` API, simulated. It knows nothing of the operator and shares
//! no code with the client that is tested against it, or it would share its misunderstandings.
//!
//! | part | what it is |
//! | --- | --- |
//! | `config` | the YAML file that a simulation starts from |
//! | `world` | instances, plans, orders: pure, `now` is an argument |
//! | `signature` | ZC2-HMAC-SHA256, verified over the raw bytes |
//! | `describe` | what the command line tells about files and faults |
//! | `http` | the API and the control API over HTTP |

pub mod config;
pub mod describe;
pub mod http;
pub mod signature;
pub mod world;
