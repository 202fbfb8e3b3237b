//! What only the host language can do.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use weft_data::{CodecError, Lane, TaskError, Value};
use weft_scheduler::message::{Failure, Key, TaskId, TaskOptions};

use crate::Encoded;

/// The host language of a worker. Called by threads that the host made, inside its lock.
pub trait Host: Send + Sync + 'static {
    /// What a blob describes; without a blob, a task's payload says all.
    fn program(&self, blob: Option<&Bytes>) -> Result<Arc<dyn Program>, TaskError>;

    /// A value that is cheaper to keep as bytes than as an object.
    fn small(&self, value: &Value) -> Option<Encoded>;

    fn encode(&self, value: &Value) -> Result<Encoded, CodecError>;

    fn decode(&self, encoded: &Encoded) -> Result<Value, TaskError>;

    /// `None`: the task asks to be run elsewhere.
    fn failure(&self, error: &TaskError) -> Option<Failure>;

    fn type_name(&self, value: &Value) -> Arc<str>;

    /// A function that a client wants to be called here. Its result comes back as a value, its
    /// exception as `Err`.
    fn call(&self, function: &Encoded) -> Result<Encoded, Encoded>;
}

/// A function, or a layer's kernel: what many tasks share.
pub trait Program: Send + Sync + fmt::Debug {
    fn lane(&self, task: &Task) -> Lane;

    fn run(&self, task: &Task, inputs: &mut [Value]) -> Result<Value, TaskError>;
}

/// A task as its program and the user's code see it.
#[derive(Clone, Debug)]
pub struct Task {
    pub task: TaskId,
    pub run: u32,
    pub key: Key,
    /// Its number in its layer.
    pub index: u32,
    pub payload: Bytes,
    pub options: Option<Arc<TaskOptions>>,
}
