//! A Kubernetes operator that resizes existing Zenlayer Cloud virtual machines in place.
//!
//! A namespaced `VmInstance` declares an instance type. The controller makes one paid call,
//! `ModifyInstanceType`, follows the change with `DescribeInstanceTypeStatus`, and writes order
//! number, phase and conditions to the status. Three promises, in this order: never pay twice,
//! never lie, stay small and quiet.
//!
//! # The map
//!
//! | module | what it is | may use |
//! | --- | --- | --- |
//! | [`api`] | the Kubernetes types: `VmInstance`, its status, conditions, reasons, the CRD | nothing of this crate |
//! | [`lifecycle`] | the pure core: what to do, and what it meant; no I/O, no clock, no randomness | `api`, plain types of the client |
//! | [`controller`] | Kubernetes I/O around the core: watch, observe, execute, publish, slots | `api`, `lifecycle`, `telemetry` |
//! | [`telemetry`] | logs, metrics, probes | nothing of this crate |
//! | [`config`] | command line and environment | `api`, `lifecycle`, `telemetry` |
//!
//! Two crates stand beside it: `zenlayer`, the client of the provider's API, which knows nothing of
//! Kubernetes, and `zenlayer-sim`, the provider simulated, which knows nothing of either.
//!
//! `tests/tidy` enforces the last column, and that no modules use each other in a circle.
//!
//! # One pass
//!
//! [`controller::reconcile`] is the whole story. Each step is a file of its own:
//!
//! ```text
//! desired  = Desired::from_object(object)                 pure    lifecycle/desired.rs
//! decision = decide(desired, observed, now)               pure    lifecycle/decide.rs
//!            says what it needs to read, until it needs nothing more
//! observed = observe(needs).await                         reads   controller/pass/observe.rs
//! outcome  = execute(decision).await                      effect  controller/pass/execute.rs
//! verdict  = settle(desired, observed, decision, outcome) pure    lifecycle/settle.rs
//! publish(verdict).await                                  writes  controller/pass/record.rs, publish.rs
//! ```
//!
//! The traits [`Cloud`](zenlayer::Cloud), [`Store`](controller::Store) and
//! [`Clock`](controller::Clock) are the only way out of it.
//!
//! # Why nothing is paid twice
//!
//! The provider's call has no idempotency token. Three things stand in for one:
//!
//! * a *slot*: a Lease for each machine, written by compare-and-swap, with two lanes (type, power) that
//!   one change can hold each;
//! * an *intent*: the change is written to the status before the call is made;
//! * a *fence*: the call is signed with the moment of the decision, and the provider refuses a
//!   signature that is more than 300 s old. After that, and a margin, by the provider's clock and by our
//!   own, an unanswered call has either shown its effect or never will.
//!
//! # Reading order
//!
//! Ten minutes: [`api::VmInstanceSpec`], [`controller::reconcile`], the list of rules at the top
//! of `lifecycle/rules/mod.rs`, [`lifecycle::situation`], [`lifecycle::SlotRecord`],
//! [`zenlayer::Answer`]. Then `tests/lifecycle`, where every rule has its cases.

pub mod api;
pub mod config;
pub mod controller;
pub mod lifecycle;
pub mod telemetry;
