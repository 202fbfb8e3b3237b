//! The cluster's scheduler as a pure state machine, and the messages of the cluster.
//!
//! Events and the time come in, actions go out:
//!
//! ```text
//!   shell:  read sockets ──▶ handle(event, now) … handle(event, now) ──▶ drain() ──▶ write sockets
//! ```
//!
//! This crate does no I/O, reads no clock, spawns nothing, and knows no Python and no Arrow. The shell
//! (`weft-cluster`) owns connections and timers; the simulator (`weft-worker`, tests) owns virtual time.

mod event;
pub mod message;

pub use event::{Action, Config, Event};
