//! The HTTP client of the provider's `vm` API: it signs, sends, limits and classifies. One POST a
//! call; a read may be repeated, no layer ever repeats a write.
//!
//! Proxies are taken from the environment as reqwest takes them (`HTTPS_PROXY`, `HTTP_PROXY`,
//! `ALL_PROXY`, `NO_PROXY`).
//!
//! Each file uses only what comes after it in this list:
//!
//! | file | what it is |
//! | --- | --- |
//! | `actions`, `list` | the provider's actions |
//! | `read`, `write` | a read with its tries, and a call that is sent once |
//! | `http` | the client itself: connections, headers, signature |
//! | `transport` | how anything is sent, and how an answer is taken in |
//! | `limiter` | the rate of each credential |
//! | `options`, `roots` | what a client can be told |

mod actions;
mod http;
mod limiter;
mod list;
mod options;
mod read;
mod roots;
mod transport;
mod write;

pub use http::{Client, ClientError};
pub use options::ClientOptions;
pub use roots::{ExtraRoots, InvalidRoots};
