//! Between workers, and from clients that gather.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Epoch, RequestId, TaskId};

/// What a worker or a client asks of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PeerRequest {
    /// The results of these tasks. The answer holds as many, from the front, as fit in `max_nbytes`, and at least one.
    Fetch { request: RequestId, epoch: Epoch, tasks: Vec<TaskId>, max_nbytes: u64 },
    /// A call to an actor.
    Act { request: RequestId, epoch: Epoch, task: TaskId, call: Bytes },
}

/// The answer of a worker. Values follow out of band, in the order of `tasks`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PeerReply {
    Data {
        request: RequestId,
        /// Whose values follow.
        tasks: Vec<TaskId>,
        /// Asked for, but not here.
        absent: Vec<TaskId>,
    },
    /// Too many are asking, or it belongs to another epoch just now. Ask again later, or elsewhere.
    Busy {
        request: RequestId,
    },
    Acted {
        request: RequestId,
        result: Bytes,
    },
}
