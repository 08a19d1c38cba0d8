//! `zenlayer-sim`: the provider's `vm` API, simulated, for tests of any program that calls it. It
//! shares no code with such a program, or it would share its misunderstandings.
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
