//! The cluster's scheduler as a pure state machine, and the messages of the cluster.
//!
//! Events and the time come in, actions go out:
//!
//! ```text
//!   shell:  read sockets ──▶ handle(event, now) … handle(event, now) ──▶ drain() ──▶ write sockets
//! ```
//!
//! | what | module |
//! | --- | --- |
//! | what is said between scheduler, workers and clients | [`message`] |
//! | events, actions, configuration | `event` |
//! | a client's graph becomes tasks in order | `plan`, `submit` |
//! | the tables | `task`, `links`, `layers`, `worker`, `queue` |
//! | changes of state | `transition` |
//! | which worker runs a task | `place`, `steal` |
//! | copies, rebalancing, retirement | `replicate` |
//! | questions, stories | `query`, `story` |
//! | what people are shown | `observe` |
//! | what must hold | `validate` |
//!
//! This crate does no I/O, reads no clock, spawns nothing, and knows no Python and no Arrow. The shell
//! (`weft-cluster`) owns connections and timers; the simulator (tests of `weft-worker`) owns virtual time. Equal
//! events at equal times give equal actions.

mod coordinate;
mod event;
mod layers;
mod links;
pub mod message;
mod observe;
mod outbox;
mod place;
mod plan;
mod query;
mod queue;
mod replicate;
mod scheduler;
mod steal;
mod story;
mod submit;
mod task;
mod transition;
mod validate;
mod worker;

pub use event::{Action, Config, Event};
pub use observe::PrefixCount;
pub use plan::{BadGraph, Plan};
pub use query::Usage;
pub use scheduler::Scheduler;
