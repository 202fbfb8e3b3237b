//! The messages of the state machines, and what shells say to each other beside them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weft_scheduler::message::{FromClient, FromWorker, PeerRequest, RequestId, TaskId, ToClient, ToWorker};

use crate::value::Packed;

/// What the scheduler's server reads. A connection is a client's, a worker's or a nanny's by its first message.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToScheduler {
    Client(FromClient),
    Worker(FromWorker),
    /// A nanny's only word on a connection: how a process of hers has ended. `expected`: it was asked to go.
    Exited {
        nanny: Arc<str>,
        pid: u32,
        cause: Arc<str>,
        expected: bool,
    },
}

/// What the scheduler's server writes.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromScheduler {
    Client(ToClient),
    Worker(ToWorker),
}

/// What a worker reads from peers and clients.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToPeer {
    Peer(PeerRequest),
    /// Call a function that follows as a value.
    Call(Call),
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    pub request: RequestId,
    pub function: Packed,
    /// For an actor: it may take its time, and others like it are not held up.
    pub actor: bool,
}

/// What a worker answers. Values follow as buffers.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromPeer {
    Data {
        request: RequestId,
        /// Whose values follow.
        tasks: Vec<TaskId>,
        absent: Vec<TaskId>,
        /// Here, but they cannot be written, and why.
        broken: Vec<(TaskId, Arc<str>)>,
        values: Packed,
    },
    Busy {
        request: RequestId,
    },
    Returned {
        request: RequestId,
        raised: bool,
        value: Packed,
    },
}

impl FromPeer {
    pub fn request(&self) -> RequestId {
        match self {
            FromPeer::Data { request, .. }
            | FromPeer::Busy { request }
            | FromPeer::Returned { request, .. } => *request,
        }
    }
}
