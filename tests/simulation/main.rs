//! The simulator: its world, and its skin over HTTP.

mod world;
