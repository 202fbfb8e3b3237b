//! What the tasks of a layer do.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::{Origin, TaskError, Value};

/// Where a task must run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// On a thread that holds the host language's lock (Python's GIL).
    Host,
    /// On any thread, without that lock.
    Native,
}

/// What the tasks of one layer do. One object serves all tasks of a layer, from many threads.
pub trait Work: Send + Sync + fmt::Debug {
    fn lane(&self) -> Lane {
        Lane::Native
    }

    /// What a picture, a progress bar or a profile calls it: `inc`, `read-csv`, `sum-chunk`.
    fn name(&self) -> &str;

    /// Runs task `index` of the layer. `inputs` are the values of the tasks it reads, in order;
    /// it may take them out (to reuse a buffer that nothing else holds).
    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError>;

    /// Whether task `index` only passes its first input on: engines need not schedule it.
    fn is_alias(&self, _index: u32) -> bool {
        false
    }

    /// What the layer was lowered from, with others: who sends it elsewhere sends that. `None`: the host knows
    /// how it travels, or it does not.
    fn origin(&self) -> Option<Origin<'_>> {
        None
    }

    /// A value in memory that task `index` works on and no other task makes. An engine that runs the task in
    /// another process hands it over as one more input, after the others.
    fn parcel(&self, _index: u32) -> Result<Option<Value>, TaskError> {
        Ok(None)
    }

    /// Whether a task that reads nothing is better run again than its result brought back from disk. It gives
    /// the same each time.
    fn is_cheap(&self) -> bool {
        false
    }

    /// For the host, which shows its users what their tasks are made of.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
}

pub type WorkRef = Arc<dyn Work>;

/// The layers that engines run.
pub type LayerRef = weft_graph::LayerRef<WorkRef>;
