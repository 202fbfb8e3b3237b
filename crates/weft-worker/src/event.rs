//! What goes into the worker and what comes out of it.

use std::sync::Arc;

use bytes::Bytes;
use weft_scheduler::message::{
    Blob, Digest, Epoch, Failure, FromWorker, Key, Memory, Nanos, TaskId, TaskOptions, ToWorker, WorkerId,
};

/// A fetch under way. Counted up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FetchId(pub u64);

/// A task on a thread. Counted up, over all connections: identifiers of tasks change their meaning
/// when the scheduler restarts, those of executions do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutionId(pub u64);

/// Something that happened.
///
/// Values that come with an event (of [`Event::Fetched`], [`Outcome::Finished`]) are held by the shell until it has
/// carried out the actions that follow: [`Action::Put`] says which of them to store, under which identifier. The
/// others are dropped.
#[derive(Debug)]
pub enum Event {
    /// The connection to the scheduler stands: say hello. Also after it was lost.
    Connected,
    Disconnected,
    /// A message from the scheduler.
    Scheduler(ToWorker),
    /// A peer's answer.
    Fetched {
        fetch: FetchId,
        /// What came, with its size here.
        arrived: Vec<(TaskId, u64)>,
        /// What the peer does not have. What is in neither list (the answer was full) is asked for again.
        absent: Vec<TaskId>,
    },
    /// The peer asked to be left alone for a while.
    FetchBusy {
        fetch: FetchId,
    },
    /// The peer could not be reached, or its connection broke.
    FetchFailed {
        fetch: FetchId,
    },
    /// What [`Action::Execute`] started has ended.
    Executed {
        execution: ExecutionId,
        outcome: Outcome,
        started_ns: Nanos,
        stopped_ns: Nanos,
    },
    /// It left the pool of threads and goes on running (`secede`): its thread is free.
    Seceded {
        execution: ExecutionId,
        ran_ns: Nanos,
    },
    /// It wants a thread again (`rejoin`); answered by [`Action::Rejoin`].
    Rejoin {
        execution: ExecutionId,
    },
    /// Memory went above the threshold for pausing, or below it again. (Spilling is the store's affair.)
    MemoryPressure {
        paused: bool,
    },
    /// The user, SIGTERM or `lifetime` want this worker to hand over and go.
    Leave {
        reason: Arc<str>,
    },
    /// Send a heartbeat, with what the shell has measured.
    Heartbeat {
        memory: Memory,
        cpu_percent: f32,
        bandwidth_bytes_per_s: f64,
    },
    /// Time has passed: retries of busy peers. Sent at the latest when `next_wake_ns` says.
    Tick,
}

/// How a task ended.
#[derive(Debug)]
pub enum Outcome {
    Finished {
        nbytes: u64,
        type_name: Arc<str>,
    },
    Erred(Failure),
    /// The function raised `Reschedule`.
    Reschedule,
    /// An input cannot be read from the store (a file of spilled data is damaged): it is gone from there.
    InputLost {
        input: TaskId,
    },
    /// The shell has no blob of this digest; it is asked for, and the task runs again when it is there.
    BlobMissing {
        digest: Digest,
    },
}

/// Something to be done by the shell, in order.
#[derive(Debug)]
pub enum Action {
    /// Send this.
    Scheduler(FromWorker),
    /// Peers are addressed by these from now on.
    Address {
        worker: WorkerId,
        address: Arc<str>,
    },
    /// The connection stands. Results keep their values under new identifiers (old, new); the store renames
    /// all at once, and holds nothing else any more.
    Renamed {
        epoch: Epoch,
        worker: WorkerId,
        tasks: Vec<(TaskId, TaskId)>,
    },
    Store {
        blobs: Vec<Blob>,
    },
    Forget {
        digests: Vec<Digest>,
    },
    /// Ask a peer for these.
    Fetch {
        fetch: FetchId,
        peer: WorkerId,
        tasks: Vec<TaskId>,
        max_nbytes: u64,
    },
    /// Run this on a free thread; there is one. The shell takes hold of the inputs' values at once: later actions may
    /// drop them from the store.
    Execute(Box<Execute>),
    /// What asked to rejoin has a thread again.
    Rejoin {
        execution: ExecutionId,
    },
    /// Nobody wants what this will return: tell its function, if it can be told.
    Cancel {
        execution: ExecutionId,
    },
    /// Store a value that came with an event.
    Put {
        task: TaskId,
        from: Origin,
    },
    /// Remove these values from the store.
    Drop {
        tasks: Vec<TaskId>,
    },
    /// Exit, without being restarted.
    Close {
        reason: Arc<str>,
    },
}

/// Which event a value came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Execution(ExecutionId),
    /// The value that the peer sent for the same task.
    Fetch(FetchId),
}

/// A task and all that is needed to run it.
#[derive(Debug)]
pub struct Execute {
    pub execution: ExecutionId,
    pub task: TaskId,
    pub run: u32,
    pub key: Key,
    pub blob: Option<Digest>,
    /// The task's number in its layer.
    pub index: u32,
    pub payload: Bytes,
    /// In the order in which the work reads them, duplicates included.
    pub inputs: Vec<TaskId>,
    pub options: Option<Arc<TaskOptions>>,
}

/// What can be set. The shell fills it from the configuration and the command line.
#[derive(Clone, Debug)]
pub struct Config {
    pub hello: weft_scheduler::message::WorkerHello,
    /// `distributed.worker.connections.outgoing`: fetches under way at one time.
    pub max_fetches: usize,
    /// `distributed.worker.transfer.message-bytes-limit`: how much one fetch asks for.
    pub max_fetch_nbytes: u64,
    /// How much all fetches under way ask for together. One is always allowed.
    pub max_incoming_nbytes: u64,
    /// How long a busy peer is left alone.
    pub busy_retry_ns: Nanos,
}

impl Config {
    pub fn new(hello: weft_scheduler::message::WorkerHello) -> Self {
        Config {
            hello,
            max_fetches: 50,
            max_fetch_nbytes: 50 << 20,
            max_incoming_nbytes: 1 << 30,
            busy_retry_ns: 50_000_000,
        }
    }
}
