//! Graphs that compute something whose right answer is easy to know, and threads to run them.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use weft_data::{Lane, TaskError, Value, Work, WorkRef};
use weft_exec::{NoGate, Pool, Run, RunOptions, Stop};
use weft_graph::{Expanded, Key, Layer, LayerRef, Rule, expand};

type Function = dyn Fn(u32, &mut [Value]) -> Result<Value, TaskError> + Send + Sync;

pub struct Call {
    pub lane: fn(u32) -> Lane,
    pub function: Box<Function>,
    pub alias: fn(u32) -> bool,
}

impl Call {
    pub fn new(
        function: impl Fn(u32, &mut [Value]) -> Result<Value, TaskError> + Send + Sync + 'static,
    ) -> Call {
        Call { lane: |_| Lane::Native, function: Box::new(function), alias: |_| false }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

impl Work for Call {
    fn lane(&self) -> Lane {
        (self.lane)(0)
    }

    fn name(&self) -> &str {
        "call"
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        (self.function)(index, inputs)
    }

    fn is_alias(&self, index: u32) -> bool {
        (self.alias)(index)
    }
}

pub fn number(n: u64) -> Value {
    Value::Bytes(Arc::from(n.to_le_bytes()))
}

/// The first eight bytes of a value.
pub fn read(value: &Value) -> u64 {
    match value {
        Value::Bytes(bytes) => u64::from_le_bytes(bytes[..8].try_into().unwrap()),
        other => panic!("{other:?}"),
    }
}

/// A layer whose task `i` reads the tasks `dependencies[i]` of the same layer.
pub fn layer(dependencies: &[Vec<u32>], call: Call) -> LayerRef<WorkRef> {
    let keys: Arc<[Key]> = (0..dependencies.len()).map(|i| Key::from(format!("t{i}"))).collect();
    let mut starts = vec![0];
    let mut reads = Vec::new();
    for inputs in dependencies {
        reads.extend(inputs.iter().map(|&input| (u32::MAX, input)));
        starts.push(reads.len() as u32);
    }
    Layer::new(Key::from("graph"), vec![], Rule::Explicit { keys, starts, reads }, Arc::new(call) as WorkRef)
        .unwrap()
}

pub fn graph(dependencies: &[Vec<u32>], outputs: &[u32], call: Call) -> Arc<Expanded<WorkRef>> {
    let layer = layer(dependencies, call);
    let outputs: Vec<_> = outputs.iter().map(|&task| (layer.clone(), task)).collect();
    Arc::new(expand(&outputs))
}

/// A pool with threads of its own, ended when dropped.
pub struct Crew {
    pub pool: Pool,
    threads: parking_lot::Mutex<Vec<JoinHandle<()>>>,
}

impl Crew {
    pub fn new(keep: usize) -> Crew {
        Crew { pool: Pool::new(keep), threads: Default::default() }
    }

    pub fn start(&self, run: &Run, wanted: usize) {
        for _ in 0..self.pool.register(run, wanted) {
            let pool = self.pool.clone();
            self.threads.lock().push(std::thread::spawn(move || pool.serve(&mut NoGate)));
        }
    }

    pub fn run(&self, tasks: Arc<Expanded<WorkRef>>, options: RunOptions) -> Result<Vec<Value>, Stop> {
        let wanted = options.concurrency;
        let run = Run::new(tasks, options).unwrap();
        self.start(&run, wanted);
        while !run.wait(Duration::from_secs(60)) {}
        let outputs = run.outputs();
        self.pool.forget(&run);
        outputs
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.pool.close();
        for thread in self.threads.lock().drain(..) {
            thread.join().unwrap();
        }
    }
}
