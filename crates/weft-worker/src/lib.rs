//! The cluster's worker as a pure state machine.
//!
//! Events and the time come in, actions go out:
//!
//! ```text
//!   shell:  sockets, threads, store ──▶ handle(event, now) … ──▶ drain() ──▶ sockets, threads, store
//! ```
//!
//! The state machine decides what to fetch, what to run and what to drop. The shell (`weft-cluster`) owns
//! the connections, the threads that run tasks, and the store with the values, which it keeps under the same
//! [`TaskId`](weft_scheduler::message::TaskId)s. It answers peers that fetch from the store by itself.
//!
//! A task has two sides here, which do not know of each other: its *data* (fetched, being fetched, here) and
//! its *work* (waiting for inputs, ready, executing). A result that was to be computed may come from a peer
//! first, and one that was being fetched may be computed.
//!
//! This crate does no I/O, reads no clock, spawns nothing, and knows no Python and no Arrow.

mod entry;
mod event;
mod fetch;
mod machine;
mod run;
mod validate;

pub use event::{Action, Config, Event, Execute, ExecutionId, FetchId, Origin, Outcome};
pub use machine::Worker;
