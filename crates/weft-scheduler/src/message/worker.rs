//! Between scheduler and workers.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Blob, Digest, Epoch, Failure, Key, Nanos, Priority, TaskId, TaskOptions, WorkerId};

/// A worker's first message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerHello {
    pub name: Arc<str>,
    /// Where peers and clients fetch results: `tcp://10.0.0.5:40331`, `unix:///…`, `inproc://…`.
    pub address: Arc<str>,
    pub host: Arc<str>,
    /// Where its nanny listens; empty if it has none.
    pub nanny: Arc<str>,
    pub pid: u32,
    pub nthreads: u32,
    /// 0: none.
    pub memory_limit: u64,
    pub resources: Vec<(Arc<str>, f64)>,
    /// Results that it holds from an earlier connection. Their tasks' new identifiers come in
    /// [`WorkerWelcome::held`], in this order.
    pub held: Vec<Held>,
    pub status: WorkerStatus,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub key: Key,
    pub nbytes: u64,
}

/// The scheduler's answer to [`WorkerHello`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerWelcome {
    pub epoch: Epoch,
    pub worker: WorkerId,
    pub held: Vec<TaskId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerStatus {
    #[default]
    Running,
    /// Gets no tasks (memory is short), but keeps what it has and serves it.
    Paused,
    /// Is handing its results over, then goes.
    Retiring,
}

/// What the scheduler says to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToWorker {
    Welcome(WorkerWelcome),
    /// Run these.
    Compute(Compute),
    /// Fetch these and keep them: for `replicate`, `rebalance`, retirement. Answered by
    /// [`FromWorker::Replicated`] or [`FromWorker::FetchFailed`].
    Replicate(Sources),
    /// New sources for inputs whose sources failed: answers [`FromWorker::FetchFailed`].
    Sources(Sources),
    /// Forget these: results are dropped, tasks that wait are removed, and what a running task
    /// returns is thrown away. No answer.
    Free {
        tasks: Vec<TaskId>,
    },
    /// Drop these copies unless a task here still needs them. Answered by
    /// [`FromWorker::Dropped`] and [`FromWorker::Kept`].
    DropReplicas {
        tasks: Vec<TaskId>,
    },
    /// Give these tasks up unless they have started. Answered by [`FromWorker::Steal`].
    Steal {
        tasks: Vec<(TaskId, u32)>,
    },
    /// Blobs that were asked for, or that come ahead of a message that names them.
    Blobs {
        blobs: Vec<Blob>,
    },
    /// No task names these any more.
    ForgetBlobs {
        digests: Vec<Digest>,
    },
    /// Hand over: finish what runs, start nothing. The scheduler moves the results and then says `Close`.
    Retire,
    /// Done: exit without being restarted.
    Close {
        reason: Arc<str>,
    },
}

/// Tasks to run. `inputs` and `sources` are flat: a task has the next `n_inputs` inputs, and an input the
/// next `n_sources` sources.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Compute {
    /// Addresses of workers in `sources` that this worker has not been told before.
    pub peers: Vec<Peer>,
    pub blobs: Vec<Blob>,
    pub tasks: Vec<Assigned>,
    pub inputs: Vec<Input>,
    pub sources: Vec<WorkerId>,
}

/// The same tables for results that are to be fetched.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sources {
    pub peers: Vec<Peer>,
    pub keys: Vec<Key>,
    pub inputs: Vec<Input>,
    pub sources: Vec<WorkerId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    pub worker: WorkerId,
    pub address: Arc<str>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assigned {
    pub task: TaskId,
    /// Counts the times that this task was sent out. Comes back with everything said about it.
    pub run: u32,
    pub key: Key,
    pub priority: Priority,
    /// How long it will take, if tasks like it have run before; 0: unknown.
    pub estimate_ns: Nanos,
    pub blob: Option<Digest>,
    /// The task's number in its layer.
    pub index: u32,
    pub payload: Bytes,
    /// In the order in which the work reads them, duplicates included.
    pub n_inputs: u32,
    /// Absent: all defaults.
    pub options: Option<Arc<TaskOptions>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    pub task: TaskId,
    pub nbytes: u64,
    /// 0: this worker has it already, or (in `Sources`) nobody has.
    pub n_sources: u32,
}

/// An input with the workers that have it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub task: TaskId,
    pub nbytes: u64,
    pub workers: &'a [WorkerId],
}

impl Compute {
    /// Each task with its inputs. Stops early if the tables do not fit, which `is_valid` tells.
    pub fn iter(&self) -> impl Iterator<Item = (&Assigned, Vec<Source<'_>>)> {
        let mut inputs = sources(&self.inputs, &self.sources);
        self.tasks.iter().map(move |task| (task, inputs.by_ref().take(task.n_inputs as usize).collect()))
    }

    /// Whether the flat tables fit together. What comes from outside must be asked.
    pub fn is_valid(&self) -> bool {
        let inputs: u64 = self.tasks.iter().map(|task| u64::from(task.n_inputs)).sum();
        inputs == self.inputs.len() as u64 && fits(&self.inputs, &self.sources)
    }
}

impl Sources {
    pub fn iter(&self) -> impl Iterator<Item = (&Key, Source<'_>)> {
        self.keys.iter().zip(sources(&self.inputs, &self.sources))
    }

    /// Whether the flat tables fit together. What comes from outside must be asked.
    pub fn is_valid(&self) -> bool {
        self.keys.len() == self.inputs.len() && fits(&self.inputs, &self.sources)
    }
}

fn fits(inputs: &[Input], sources: &[WorkerId]) -> bool {
    inputs.iter().map(|input| u64::from(input.n_sources)).sum::<u64>() == sources.len() as u64
}

fn sources<'a>(inputs: &'a [Input], workers: &'a [WorkerId]) -> impl Iterator<Item = Source<'a>> {
    let mut rest = workers;
    inputs.iter().map_while(move |input| {
        let (workers, others) = rest.split_at_checked(input.n_sources as usize)?;
        rest = others;
        Some(Source { task: input.task, nbytes: input.nbytes, workers })
    })
}

/// What a worker says to the scheduler.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromWorker {
    Hello(WorkerHello),
    Heartbeat(Heartbeat),
    /// Results that are in this worker's memory now.
    Finished(Vec<Finished>),
    Erred {
        task: TaskId,
        run: u32,
        failure: Failure,
        started_ns: Nanos,
        stopped_ns: Nanos,
    },
    /// The function asked to be run elsewhere (`Reschedule`).
    Reschedule {
        task: TaskId,
        run: u32,
    },
    /// The task left the thread pool (`secede`) after so long; it goes on running.
    LongRunning {
        task: TaskId,
        run: u32,
        ran_ns: Nanos,
    },
    /// Copies that this worker has now, because a task needed them or it was told to.
    Replicated {
        tasks: Vec<TaskId>,
    },
    /// None of the sources it was told could give these; `absent` are sources that are alive and do not
    /// have it, the others could not be reached.
    FetchFailed {
        task: TaskId,
        absent: Vec<WorkerId>,
        unreachable: Vec<WorkerId>,
    },
    /// Copies dropped, as asked.
    Dropped {
        tasks: Vec<TaskId>,
    },
    /// Copies that stay, because a task here needs them.
    Kept {
        tasks: Vec<TaskId>,
    },
    /// Which tasks were given up (`true`); `false`: it has started, is done, or is unknown.
    Steal {
        tasks: Vec<(TaskId, u32, bool)>,
    },
    /// Blobs that a task names and that this worker does not have.
    NeedBlobs {
        digests: Vec<Digest>,
    },
    Status(WorkerStatus),
    /// Please retire me (SIGTERM, `lifetime`).
    Leave {
        reason: Arc<str>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    pub task: TaskId,
    pub run: u32,
    pub nbytes: u64,
    pub started_ns: Nanos,
    pub stopped_ns: Nanos,
    /// The result's type, for whoever looks; empty: as the last of the same prefix.
    pub type_name: Arc<str>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub memory: Memory,
    /// What is on threads now: the suspects if this worker dies.
    pub executing: Vec<TaskId>,
    pub ready: u32,
    pub waiting: u32,
    pub fetching: u32,
    pub cpu_percent: f32,
    pub bandwidth_bytes_per_s: f64,
}

/// A worker's memory, told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Of the process, in bytes.
    pub process: u64,
    /// Results in memory.
    pub managed: u64,
    /// Results on disk.
    pub spilled: u64,
}
