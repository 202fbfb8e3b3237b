//! A simulated worker process: the worker's state machine, a store, and threads that take virtual time.

use std::collections::{BTreeMap, BTreeSet};

use weft_scheduler::message::{Digest, Epoch, TaskId, WorkerId};
use weft_worker::{ExecutionId, FetchId, Worker};

use crate::work::WorkSpec;

#[derive(Debug)]
pub(crate) struct Process {
    pub machine: Worker,
    /// Which of the cluster's places it fills; its successor has the same.
    pub place: usize,
    pub alive: bool,
    /// Its connection to the scheduler, while it stands.
    pub connection: Option<WorkerId>,
    pub epoch: Epoch,
    pub store: BTreeMap<TaskId, Stored>,
    pub blobs: BTreeSet<Digest>,
    pub executing: BTreeMap<ExecutionId, Job>,
    /// Values that came with events, until the actions that follow are carried out.
    pub loose: BTreeMap<(FetchId, TaskId), Stored>,
    pub results: BTreeMap<ExecutionId, Stored>,
    /// Durations are multiplied by this.
    pub slowness: u64,
    pub paused: bool,
    pub wake_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stored {
    pub value: u64,
    pub nbytes: u64,
}

/// A task on a thread.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub spec: WorkSpec,
    pub inputs: Vec<u64>,
    pub started_ns: u64,
    pub missing_blob: Option<Digest>,
}
