//! What a task returns.

use std::any::Any;
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use crate::{CodecError, ErrorKind, Frame, NdArray, TaskError};

/// What a task returns. Cloning shares.
#[derive(Clone, Debug)]
pub enum Value {
    /// A table: a partition of a dataframe.
    Frame(Arc<Frame>),
    /// A block of an array.
    Array(Arc<NdArray>),
    Bytes(Arc<[u8]>),
    /// Something only the host language understands.
    Object(Arc<dyn Object>),
}

/// Reads back what [`Object::encode`] wrote. A plain function, so that nothing of the object has to
/// stay in memory while its bytes are elsewhere.
pub type Decode = fn(&mut (dyn Read + Send)) -> Result<Arc<dyn Object>, CodecError>;

/// An object of the host language, as the store and the engines see it.
pub trait Object: Any + Send + Sync + fmt::Debug {
    /// Estimate of the memory that dropping it would free, in bytes.
    fn nbytes(&self) -> usize;

    /// Writes its bytes, for disk or wire. Large buffers are written as they lie in memory: an
    /// object that leaves because memory is short must not be copied first.
    fn encode(&self, sink: &mut (dyn Write + Send)) -> Result<(), CodecError>;

    /// How to read back what [`Object::encode`] wrote.
    fn decoder(&self) -> Decode;

    fn as_any(&self) -> &dyn Any;

    /// By what other processes know how to read back what [`Object::encode`] wrote; `None`: only the host does.
    fn wire_name(&self) -> Option<&'static str> {
        None
    }

    /// The block of an array that it is, over the object's own memory.
    fn to_array(&self) -> Result<Arc<NdArray>, TaskError> {
        Err(TaskError::native(ErrorKind::Type, format!("expected a block of an array, got {self:?}")))
    }
}

impl Value {
    pub fn nbytes(&self) -> usize {
        match self {
            Value::Frame(frame) => crate::sizes::frame_nbytes(frame),
            Value::Array(array) => crate::sizes::array_allocation(array).nbytes,
            Value::Bytes(bytes) => bytes.len(),
            Value::Object(object) => object.nbytes(),
        }
    }

    /// Whether anybody else holds the same value: dropping ours then frees nothing.
    pub fn is_shared(&self) -> bool {
        match self {
            Value::Frame(frame) => Arc::strong_count(frame) > 1,
            Value::Array(array) => Arc::strong_count(array) > 1,
            Value::Bytes(bytes) => Arc::strong_count(bytes) > 1,
            Value::Object(object) => Arc::strong_count(object) > 1,
        }
    }
}
