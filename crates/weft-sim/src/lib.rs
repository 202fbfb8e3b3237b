//! The cluster in virtual time.
//!
//! One scheduler, workers and clients are driven by a queue of timed events: messages with latency, transfers with
//! bandwidth, tasks with durations. Everything random comes from one seed, so a run replays. Trouble comes
//! on top ([`Trouble`]): workers die, connections break, peers cannot reach each other, workers pause, the scheduler
//! restarts. After each event the tables of whoever handled it are validated.
//!
//! A task's value is a hash of its salt and its inputs' values, so a client can tell from its own
//! copy of the graph whether the cluster's answer is right.
//!
//! This crate is for tests and benchmarks; nothing depends on it.

mod client;
mod process;
mod random;
mod work;
mod world;

pub use client::{Client, Fate, Future};
pub use random::Random;
pub use work::{Model, WorkSpec};
pub use world::{Options, Trouble, World};
