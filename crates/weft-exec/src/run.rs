//! One computation on the threads of this process.

use std::sync::Arc;
use std::time::Duration;

use weft_data::{TaskError, Value, WorkRef};
use weft_graph::{Expanded, TaskId};

/// The host language's lock, as a worker thread sees it.
///
/// A thread enters [`Run::work`] outside the lock. The engine calls `enter` before it runs a task of
/// [`Lane::Host`](weft_data::Lane) and `leave` before it waits or runs a native task. It stays
/// inside for a batch of host tasks, because entering costs more than a small task.
pub trait Gate {
    fn enter(&mut self);
    fn leave(&mut self);
    /// Inside, between two host tasks: lets another thread in if one asks for it.
    fn pause(&mut self) {}
}

/// For engines without a host language.
#[derive(Debug, Default)]
pub struct NoGate;

impl Gate for NoGate {
    fn enter(&mut self) {}
    fn leave(&mut self) {}
}

#[derive(Clone, Debug)]
pub struct RunOptions {
    /// At most this many threads serve the run at a time.
    pub concurrency: usize,
    /// Record [`Event`]s.
    pub events: bool,
}

/// What happened to a task, in order; for progress bars, profilers and callbacks.
#[derive(Clone, Debug)]
pub enum Event {
    Started { task: TaskId, thread: u64, seconds: f64 },
    Finished { task: TaskId, thread: u64, seconds: f64, value: Option<Value>, nbytes: usize },
    Failed { task: TaskId, thread: u64, seconds: f64 },
}

/// Why a run ended without an answer.
#[derive(Clone, Debug)]
pub enum Stop {
    /// A task failed; no task starts after that.
    Failed {
        task: TaskId,
        error: TaskError,
    },
    Cancelled,
}

/// One computation. Cheap to share between threads.
#[derive(Clone)]
pub struct Run {
    _tasks: Arc<Expanded<WorkRef>>,
}

impl Run {
    /// Prepares a run: orders the tasks and queues those that depend on nothing.
    pub fn new(_tasks: Arc<Expanded<WorkRef>>, _options: RunOptions) -> Run {
        Run { _tasks }
    }

    /// Serves the run from this thread until it is over, or until more threads serve it than
    /// may.
    pub fn work(&self, _gate: &mut dyn Gate) {}

    /// Waits until the run is over or `timeout` has passed; true if it is over.
    pub fn wait(&self, _timeout: Duration) -> bool {
        true
    }

    /// Events since the last call, in the order in which they happened.
    pub fn events(&self) -> Vec<Event> {
        Vec::new()
    }

    /// No task starts after this; those that are running finish unobserved.
    pub fn cancel(&self) {}

    /// The outputs, once the run is over.
    pub fn outputs(&self) -> Result<Vec<Value>, Stop> {
        Err(Stop::Cancelled)
    }
}
