//! What the page shows, as it travels: times in milliseconds since the Unix epoch, sizes in bytes.

use std::sync::Arc;

use serde::Serialize;

/// The cluster now.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct State {
    pub id: String,
    pub address: String,
    pub version: String,
    pub now_ms: f64,
    pub started_ms: f64,
    pub clients: Vec<String>,
    pub workers: Vec<Worker>,
    /// Tasks by name.
    pub prefixes: Vec<Prefix>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Worker {
    pub name: Arc<str>,
    pub address: Arc<str>,
    pub host: Arc<str>,
    pub pid: u32,
    pub nthreads: u32,
    /// `running`, `paused`, `retiring`.
    pub status: Arc<str>,
    /// 0: none.
    pub memory_limit: u64,
    /// Of the process.
    pub memory: u64,
    /// Results in memory, and on disk.
    pub managed: u64,
    pub spilled: u64,
    pub cpu_percent: f32,
    pub bandwidth_bytes_per_s: f64,
    /// Tasks assigned, and results held.
    pub processing: u32,
    pub in_memory: u32,
    /// How long what is assigned will take.
    pub occupancy_s: f64,
    /// How long ago it was heard of.
    pub silent_s: f64,
}

/// How many tasks with one name are in each state.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Prefix {
    pub name: Arc<str>,
    pub waiting: u64,
    pub queued: u64,
    pub processing: u64,
    pub memory: u64,
    /// Done, and let go because nothing needs them.
    pub released: u64,
    pub erred: u64,
    /// Time spent so far, and bytes held now.
    pub seconds: f64,
    pub nbytes: u64,
}

/// What a thread of a worker did for a while.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    pub worker: Arc<str>,
    pub thread: u32,
    pub name: Arc<str>,
    /// Of the last task in it.
    pub key: Arc<str>,
    pub kind: Kind,
    pub start_ms: f64,
    pub stop_ms: f64,
    /// More than one where short tasks that followed each other were put together.
    pub count: u32,
    pub nbytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Compute,
    Transfer,
    Disk,
    Erred,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub at_ms: f64,
    /// `info`, `warning`, `error`.
    pub level: &'static str,
    /// `scheduler`, or a worker's name.
    pub from: Arc<str>,
    pub text: Arc<str>,
}

/// One task, for its page.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Task {
    pub key: String,
    pub name: Arc<str>,
    pub state: Arc<str>,
    pub nbytes: Option<u64>,
    pub workers: Vec<Arc<str>>,
    pub dependencies: Vec<String>,
    pub dependents: Vec<String>,
    pub retries: u32,
    /// Deaths of workers that it has seen.
    pub suspicious: u32,
    /// The exception with its traceback.
    pub failure: Option<String>,
    pub story: Vec<Step>,
}

/// One step in a task's life.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    pub at_ms: f64,
    pub from: Arc<str>,
    pub to: Arc<str>,
    pub cause: Arc<str>,
    pub worker: Option<Arc<str>>,
}
