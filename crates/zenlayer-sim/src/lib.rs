//! `zenlayer-sim`: the provider's `vm` API, simulated, for tests of any program that calls it. It
//! shares no code with such a program, or it would share its misunderstandings.
//!
//! Each part uses only what comes after it in this list; `http` and `world` have such a list, too:
//!
//! | part | what it is |
//! | --- | --- |
//! | `describe` | what the command line tells about files and faults |
//! | `config` | the YAML file that a simulation starts from |
//! | `http` | the API and the control API over HTTP |
//! | `signature` | ZC2-HMAC-SHA256, verified over the raw bytes |
//! | `world` | instances, plans, orders: pure, `now` is an argument |

pub mod config;
pub mod describe;
pub mod http;
pub mod signature;
pub mod world;
