//! What a cluster is doing, for people: one page that works offline, a JSON API, and metrics.
//!
//! Whoever runs a cluster implements [`Source`], which answers questions about the present, and tells a
//! [`Board`] what happens: tasks that ran, lines of the log. [`serve`] answers browsers from both.
//!
//! ```text
//! scheduler --[Run, Line]--> Board --+
//!                                    +--> serve --> /status   the page
//! scheduler <--state(), task()-- Source               /events   live, as server-sent events
//!                                                     /api/…    JSON
//!                                                     /metrics  Prometheus
//!                                                     /health
//! ```
//!
//! **Nobody watches: nothing is computed.** The source is asked when a browser asks, at most every
//! 200 ms however many browsers look; the board costs a lock and a push for each batch of runs, and
//! has a fixed size.
//!
//! **What is open.** On loopback everything, to requests that name a loopback host (so that no web page
//! can reach it through a name of its own that points here). Beyond loopback only `/health`, unless the
//! request has the cluster's secret.

mod access;
mod board;
mod metrics;
mod model;
mod server;

pub use access::Secret;
pub use board::Board;
pub use model::{Kind, Line, Prefix, Run, State, Step, Task, Worker};
pub use server::{Answer, Source, serve};
