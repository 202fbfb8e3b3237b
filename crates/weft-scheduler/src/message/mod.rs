//! What scheduler, workers and clients say to each other.
//!
//! ```text
//!            FromClient ──▶                 ◀── FromWorker
//!   client                   scheduler                        worker ◀─▶ worker
//!            ◀── ToClient                   ToWorker ──▶               PeerRequest, PeerReply
//! ```
//!
//! A message is a Rust value here; framing, transports and authentication are the business of the
//! shells. Shells wrap these enums in their own, beside what they say to each other without the
//! state machines (running a function on a worker, logs, profiles, plugins).
//!
//! # Rules
//!
//! - **One connection is a stream**: messages of one sender to one receiver arrive in order, once, or
//!   the connection is lost. Nothing is promised between connections.
//! - **Batched**: whatever concerns tasks concerns many. A shell hands over all events that it has read
//!   before it takes the actions, and writes all messages to one peer with one system call.
//! - **Integers inside, keys at the borders.** A task has a [`TaskId`] from the scheduler, a worker a
//!   [`WorkerId`], a future a [`FutureId`] from its client. Keys travel with graphs, with tasks sent
//!   to workers (users see them there), and in answers to questions.
//! - **Opaque work.** The scheduler never looks into a [`Blob`], a payload or an exception.
//! - **Functions travel once.** A blob has a [`Digest`]; tasks name it; a receiver gets it before the
//!   first message that names it.
//!
//! # A scheduler that restarts
//!
//! The scheduler keeps nothing on disk: what it knows can be told again. A worker that connects says
//! in its [`WorkerHello`] which results it holds, under which keys; tasks that it was running or waiting
//! for are dropped. A client that connects sends, again, each [`Graph`] that one of its futures still
//! needs, and [`FromClient::Want`] for all its futures. (If a graph reads results of an earlier graph whose futures are
//! gone, that graph is sent first, with futures that are released when all has been sent.) Until `recovery` has passed
//! since the first worker came back, nothing that workers hold is freed, and nothing is run that a
//! worker yet to come may hold. Every connection carries the scheduler's [`Epoch`]; identifiers of
//! tasks mean nothing outside theirs.

mod client;
mod coordinate;
mod graph;
mod peer;
mod worker;

use std::fmt;
use std::sync::Arc;

pub use bytes::Bytes;
use serde::{Deserialize, Serialize};
pub use weft_graph::Key;

pub use client::{
    Answer, ClientHello, ClientWelcome, Done, FromClient, Holders, Question, Scattered, StoryLine, TaskInfo,
    ToClient, WorkerInfo,
};
pub use coordinate::{CoordinateAnswer, CoordinateOp, Item};
pub use graph::{Blob, Digest, Graph, LayerSpec, LayerWork, Payloads, TaskOptions, Want};
pub use peer::{PeerReply, PeerRequest};
pub use worker::{
    Assigned, Compute, Finished, FromWorker, Heartbeat, Held, Input, Memory, Peer, Source, Sources, ToWorker,
    WorkerHello, WorkerStatus, WorkerWelcome,
};

/// Time since some start, in nanoseconds. The state machines compare and subtract times, and never read a clock.
pub type Nanos = u64;

/// One life of a scheduler. A fresh number (random, or a clock's) each time a scheduler starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// A task, in one epoch. Never used again for another task, so late messages about forgotten tasks
/// are recognized.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId(pub u64);

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}.{}", self.0 as u32, self.0 >> 32)
    }
}

/// A worker's connection. Counted up by the scheduler's shell, never used again in an epoch: a worker that connects
/// again is a new worker (which may hold results).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkerId(pub u32);

/// A client. Counted up by the scheduler's shell; a client that connects again within its grace period keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClientId(pub u32);

/// A future, counted up by its client. Two futures of one client may stand for one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FutureId(pub u64);

/// A question that awaits an answer; counted up by whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// When a task runs among those that could: the smallest first, field by field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Priority {
    /// Minus what the user asked for (`priority=10` comes before `priority=0`).
    pub user: i32,
    /// Earlier graphs first.
    pub generation: u32,
    /// Place in `weft_graph::order`.
    pub order: u32,
}

/// Why a task has no result. Clients make exceptions of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Failure {
    /// The task's function raised.
    Raised {
        /// The exception with its traceback, in the client's own form.
        exception: Bytes,
        /// For logs, the dashboard, and clients that cannot read the exception.
        text: Arc<str>,
    },
    /// More workers died while they ran it than `allowed-failures`.
    KilledWorker {
        deaths: u32,
        /// The last worker that died with it, by address.
        last_worker: Arc<str>,
        /// What is known: signal, exit code, memory, its last tasks.
        cause: Arc<str>,
    },
    /// Its data was put on workers by a client and all of them are gone.
    Lost { last_worker: Arc<str> },
    /// A graph reads a key that the scheduler does not know (any more).
    UnknownInput { key: Key },
    /// A client cancelled it, or one of the tasks that it reads.
    Cancelled { reason: Arc<str> },
    /// Peers lost its inputs again and again.
    Unreachable { input: Key, tries: u32 },
}
