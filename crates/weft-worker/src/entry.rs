//! What the worker knows of a task.

use std::sync::Arc;

use bytes::Bytes;
use weft_scheduler::message::{Digest, Key, Priority, TaskId, TaskOptions, WorkerId};

use crate::event::{ExecutionId, FetchId};

/// One task: its data, its work, or both.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Known for what was computed here and for copies that were ordered; inputs come without.
    pub key: Option<Key>,
    pub data: Data,
    /// Size of the data, as the scheduler said or as it is here.
    pub nbytes: u64,
    /// Who has it, among those not yet asked in vain.
    pub sources: Vec<WorkerId>,
    /// Who was asked in vain since the scheduler last told us.
    pub absent: Vec<WorkerId>,
    pub unreachable: Vec<WorkerId>,
    /// Work here that waits for the data.
    pub readers: Vec<TaskId>,
    /// The scheduler ordered a copy.
    pub ordered: bool,
    /// How urgently it is fetched: as the most urgent reader.
    pub priority: Priority,
    pub work: Option<Box<Work>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Data {
    /// Neither here nor wanted.
    #[default]
    No,
    /// In the queue of this peer.
    Wanted(WorkerId),
    Flight(FetchId),
    /// Nobody is left to ask; the scheduler knows.
    Missing,
    Here,
}

#[derive(Debug)]
pub(crate) struct Work {
    pub run: u32,
    pub stage: Stage,
    /// Inputs (each counted once) that are not here.
    pub missing: u32,
    pub priority: Priority,
    pub blob: Option<Digest>,
    pub index: u32,
    pub payload: Bytes,
    pub inputs: Vec<TaskId>,
    pub options: Option<Arc<TaskOptions>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// For inputs, or for a blob.
    Waiting,
    Ready,
    Executing(ExecutionId),
}

impl Entry {
    /// Whether its data should be here.
    pub fn is_wanted(&self) -> bool {
        self.ordered || !self.readers.is_empty()
    }
}
