//! Graphs on their way from a client to the scheduler.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weft_graph::{Key, Rule};

use super::FutureId;

/// The content hash of a [`Blob`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest(pub u128);

/// What many tasks share: a pickled function, a layer's kernel with its arguments, a large constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blob {
    pub digest: Digest,
    pub bytes: Bytes,
}

/// A graph, as tables. Sent by a client for `submit`, `map`, `compute`, `persist`; many calls that
/// are made together travel as one graph.
///
/// The scheduler expands only what `wants` need.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Graph {
    /// Those of `digests` that the client has not sent before. It may be wrong about that (the scheduler drops blobs
    /// that no task names): [`ToClient::NeedBlobs`](super::ToClient::NeedBlobs) asks for what is missing.
    pub blobs: Vec<Blob>,
    /// The blobs that this graph names.
    pub digests: Vec<Digest>,
    /// Layers, each after those that it reads.
    pub layers: Vec<LayerSpec>,
    /// Options that layers name; entry 0 is for those that name nothing else.
    pub options: Vec<TaskOptions>,
    /// The futures that the graph is for.
    pub wants: Vec<Want>,
    /// Places of the tasks, if the client knows better than `weft_graph::order`: one for each task of each layer.
    pub order: Option<Vec<Vec<u32>>>,
    /// Whether this graph belongs to the generation of the client's last one (`fifo_timeout`, tasks
    /// that submit tasks).
    pub same_generation: bool,
}

/// A future of the client, and the task of the graph that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Want {
    pub future: FutureId,
    /// Position in [`Graph::layers`].
    pub layer: u32,
    /// The task's number in its layer.
    pub index: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerSpec {
    pub name: Key,
    /// Positions of earlier layers.
    pub inputs: Vec<u32>,
    pub rule: Rule,
    pub work: LayerWork,
    /// Position in [`Graph::options`].
    pub options: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum LayerWork {
    /// Tasks that the scheduler knows already: results of earlier graphs, scattered data.
    Known,
    /// One blob does all; a task is told its number.
    Shared { blob: u32 },
    /// Each task has a payload; `blobs[i]` is the position in [`Graph::digests`] of the function that task `i` calls,
    /// `u32::MAX` where the payload says all. Of length 1 if it is the same for all tasks.
    Each { blobs: Vec<u32>, payloads: Payloads },
}

impl LayerWork {
    /// Bytes of the payloads.
    pub fn nbytes(&self) -> usize {
        match self {
            LayerWork::Each { payloads, .. } => payloads.bytes.len(),
            LayerWork::Known | LayerWork::Shared { .. } => 0,
        }
    }
}

/// One byte string for each task of a layer, in one buffer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Payloads {
    pub bytes: Bytes,
    /// Where each ends.
    pub ends: Vec<u32>,
}

impl Payloads {
    pub fn from_slices<S: AsRef<[u8]>>(slices: impl IntoIterator<Item = S>) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for slice in slices {
            bytes.extend_from_slice(slice.as_ref());
            ends.push(bytes.len() as u32);
        }
        Payloads { bytes: bytes.into(), ends }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether `ends` goes up and ends with the bytes. What comes from outside must be asked.
    pub fn is_valid(&self) -> bool {
        self.ends.windows(2).all(|w| w[0] <= w[1])
            && self.ends.last().copied().unwrap_or(0) as usize == self.bytes.len()
    }

    /// The payload of task `index`, sharing the buffer.
    pub fn get(&self, index: u32) -> Bytes {
        let i = index as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        self.bytes.slice(start..self.ends[i] as usize)
    }
}

/// What users ask of tasks beside their results: annotations and arguments of `submit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskOptions {
    /// Larger runs first.
    pub priority: i32,
    pub retries: u32,
    /// Names, addresses (`tcp://host:port`) or hosts of workers; empty: any.
    pub workers: Vec<Arc<str>>,
    /// Whether `workers` is only a wish.
    pub allow_other_workers: bool,
    /// Amounts of abstract resources that a worker must have, and that running takes.
    pub resources: Vec<(Arc<str>, f64)>,
    /// The result is an actor: it stays where it was made, and is never computed twice.
    pub actor: bool,
    /// Everything else, for plugins and `get_worker().get_current_task()`.
    pub annotations: Bytes,
}
