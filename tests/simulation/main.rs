//! The production reconcile, explored: two processes in a hostile world under virtual time, hundreds
//! of runs a second. Nothing of the operator is copied; its futures are polled by hand, and every call
//! of a trait is a point at which it can be held, lost, refused, frozen, crashed or overtaken.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `executor`, `origin`, `moments` | the points, who reaches them, the clocks |
//! | `seams`, `shell`, `shapes` | all that knows the controller: its traits, its loop, its JSON |
//! | `run`, `flights`, `flying`, `process`, `mishaps` | the scheduler, requests in the air, the processes and what becomes of them |
//! | `people` | what people do, and trouble that lasts |
//! | `kube`, `cloud`, `world` | Kubernetes and the provider in memory |
//! | `ledger`, `laws`, `schema` | what really happened, and what must hold |
//! | `quiet` | the end of a run: trouble ends, and everything recovers |
//! | `switches` | the protocol's rules, each of which can be switched off |
//! | `nature`, `coverage` | what a run is like, and what it went through |
//!
//! `SIMULATION_SEED=n` repeats one run and prints its story (`SIMULATION_STORY=whole`: every request),
//! `SIMULATION_RUNS=n` makes as many, from `SIMULATION_FIRST=n` on,
//! `SIMULATION_STEPS=n` sets how long they are, `SIMULATION_WORLD=name` makes them all in a world of one
//! kind (`nature`), `SIMULATION_OFF=rule` switches a rule of the protocol off.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod cloud;
mod coverage;
mod executor;
mod explore;
mod flights;
mod flying;
mod kube;
mod laws;
mod ledger;
mod mishaps;
mod moments;
mod nature;
mod origin;
mod people;
mod process;
mod quiet;
mod run;
mod schema;
mod seams;
mod shapes;
mod shell;
mod switches;
mod world;
