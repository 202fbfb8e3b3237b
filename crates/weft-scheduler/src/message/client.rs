//! Between scheduler and clients.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Blob, ClientId, CoordinateAnswer, CoordinateOp, Digest, Epoch, Failure, FutureId, Graph, Key, Memory,
    Nanos, Peer, RequestId, TaskId, WorkerId, WorkerStatus,
};

/// A client's first message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientHello {
    /// Unique and chosen by the client (`Client-3f…`): a client that connects again uses the same.
    pub name: Arc<str>,
    /// The epoch of its last connection.
    pub last_epoch: Option<Epoch>,
}

/// The scheduler's answer. After a connection was lost, to this scheduler or an earlier one, the client says again what
/// it wants (graphs with their futures, then [`FromClient::Want`] for all futures) and then [`FromClient::Resumed`].
/// Saying something twice does no harm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientWelcome {
    pub epoch: Epoch,
    pub client: ClientId,
}

/// What a client says to the scheduler.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromClient {
    Hello(ClientHello),
    /// Run this. Shells may plan it elsewhere (`Plan::new`) before they hand it to the scheduler.
    Graph(Graph),
    /// Answers [`ToClient::NeedBlobs`].
    Blobs {
        blobs: Vec<Blob>,
    },
    /// Futures for tasks that exist: unpickled ones, published ones, after a scheduler's restart. A key
    /// that nobody knows is answered by [`ToClient::Cancelled`].
    Want {
        futures: Vec<(FutureId, Key)>,
    },
    /// Everything has been said again since `Hello`: futures that were not named are gone.
    Resumed,
    /// These futures are gone.
    Release {
        futures: Vec<FutureId>,
    },
    /// Forget the tasks of these futures, whoever else wants them if `force`. Everybody who wanted one hears `Cancelled`.
    Cancel {
        futures: Vec<FutureId>,
        force: bool,
        reason: Arc<str>,
    },
    /// Run the failed ones again, and what failed below them.
    Retry {
        futures: Vec<FutureId>,
    },
    /// `fire_and_forget`: wanted until done, whatever happens to this client's futures.
    Detach {
        futures: Vec<FutureId>,
    },
    /// Data that the client has put on workers.
    Scattered {
        data: Vec<Scattered>,
    },
    /// Have this many copies (0: on all) of each, on these workers (empty: any).
    Replicate {
        request: RequestId,
        keys: Vec<Key>,
        copies: u32,
        workers: Vec<Arc<str>>,
    },
    /// Even out the memory of these workers (empty: all), moving these keys (empty: any).
    Rebalance {
        request: RequestId,
        keys: Vec<Key>,
        workers: Vec<Arc<str>>,
    },
    /// Move what these workers hold elsewhere and close them.
    RetireWorkers {
        request: RequestId,
        workers: Vec<Arc<str>>,
        close: bool,
    },
    /// Forget every task of every client. The shell restarts the workers.
    Restart {
        request: RequestId,
    },
    /// Stop running new tasks, or go on.
    Pause {
        paused: bool,
    },
    Ask {
        request: RequestId,
        question: Question,
    },
    /// Locks, events, queues, … See [`CoordinateOp`].
    Coordinate {
        request: RequestId,
        op: CoordinateOp,
    },
    /// The client goes; all its futures are released.
    Goodbye,
}

/// Data that a client has put on workers, and the future for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scattered {
    pub future: FutureId,
    pub key: Key,
    pub nbytes: u64,
    pub workers: Vec<WorkerId>,
}

/// What the scheduler says to a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToClient {
    Welcome(ClientWelcome),
    /// A graph that this client has just sent waits for these.
    NeedBlobs {
        digests: Vec<Digest>,
    },
    /// A graph that cannot be run at all (rules that do not fit, a cycle, tables that do not agree); none of its
    /// futures will be heard of again.
    Refused {
        futures: Vec<FutureId>,
        reason: Arc<str>,
    },
    /// Futures that are done. Said again when a lost result has been computed again.
    Done {
        peers: Vec<Peer>,
        futures: Vec<Done>,
    },
    Erred {
        futures: Vec<FutureId>,
        key: Key,
        failure: Arc<Failure>,
    },
    Cancelled {
        futures: Vec<FutureId>,
        reason: Arc<str>,
    },
    /// Results that were done and are lost; they are being computed again.
    Lost {
        futures: Vec<FutureId>,
    },
    /// Failed futures that run again.
    Retried {
        futures: Vec<FutureId>,
    },
    Answer {
        request: RequestId,
        answer: Answer,
    },
    Coordinate {
        request: RequestId,
        answer: CoordinateAnswer,
    },
    /// A message on a topic that this client subscribed.
    Topic {
        topic: Arc<str>,
        message: Bytes,
    },
    /// Events that were asked for (`subscribe_topic`, event logs): the shell's.
    Close {
        reason: Arc<str>,
    },
}

/// A result, and one worker to fetch it from. Others: [`Question::WhoHas`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    pub future: FutureId,
    pub task: TaskId,
    pub worker: WorkerId,
    pub nbytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// Of these keys (empty: all).
    WhoHas {
        keys: Vec<Key>,
    },
    /// By futures, for gathering; unknown ones are answered without holders.
    Locate {
        futures: Vec<FutureId>,
    },
    /// By workers (empty: all).
    HasWhat {
        workers: Vec<Arc<str>>,
    },
    Processing {
        workers: Vec<Arc<str>>,
    },
    Workers,
    Nbytes {
        keys: Vec<Key>,
    },
    Tasks {
        keys: Vec<Key>,
    },
    /// What happened to these keys.
    Story {
        keys: Vec<Key>,
    },
    /// Which workers data of so many bytes should be put on.
    Place {
        nbytes: Vec<u64>,
        workers: Vec<Arc<str>>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    Holders(Vec<Holders>),
    HasWhat(Vec<(Arc<str>, Vec<Key>)>),
    Processing(Vec<(Arc<str>, Vec<Key>)>),
    Workers(Vec<WorkerInfo>),
    Nbytes(Vec<(Key, u64)>),
    Tasks(Vec<TaskInfo>),
    Story(Vec<StoryLine>),
    Place {
        peers: Vec<Peer>,
        workers: Vec<WorkerId>,
    },
    /// A request is through (`replicate`, `rebalance`, `retire`, `restart`): these workers were concerned.
    Ok {
        workers: Vec<Arc<str>>,
    },
    /// It is not, and why.
    Failed {
        reason: Arc<str>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holders {
    pub key: Key,
    /// `None`: unknown to the scheduler.
    pub task: Option<TaskId>,
    pub workers: Vec<Peer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    pub worker: WorkerId,
    pub name: Arc<str>,
    pub address: Arc<str>,
    pub host: Arc<str>,
    pub nanny: Arc<str>,
    pub pid: u32,
    pub nthreads: u32,
    pub memory_limit: u64,
    pub resources: Vec<(Arc<str>, f64)>,
    pub status: WorkerStatus,
    pub processing: u32,
    pub in_memory: u32,
    /// Bytes of the results that it holds, as the scheduler knows them.
    pub nbytes: u64,
    pub occupancy_ns: Nanos,
    pub memory: Memory,
    pub cpu_percent: f32,
    pub bandwidth_bytes_per_s: f64,
    pub last_seen_ns: Nanos,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskInfo {
    pub key: Key,
    pub state: Arc<str>,
    pub prefix: Arc<str>,
    pub priority: super::Priority,
    pub nbytes: Option<u64>,
    pub processing_on: Option<WorkerId>,
    pub holders: Vec<WorkerId>,
    pub dependencies: Vec<Key>,
    pub dependents: Vec<Key>,
    pub retries: u32,
    pub suspicious: u32,
    pub failure: Option<Arc<Failure>>,
}

/// One step in a task's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoryLine {
    pub key: Key,
    pub at_ns: Nanos,
    pub from: Arc<str>,
    pub to: Arc<str>,
    /// What caused it.
    pub cause: Arc<str>,
    pub worker: Option<WorkerId>,
}
