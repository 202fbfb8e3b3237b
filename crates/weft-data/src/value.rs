//! What a task returns.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::{DataError, Frame};

/// What a task returns. Cloning shares.
#[derive(Clone, Debug)]
pub enum Value {
    /// A table: a partition of a dataframe.
    Frame(Arc<Frame>),
    Bytes(Arc<[u8]>),
    /// Something only the host language understands.
    Object(Arc<dyn Object>),
}

/// An object of the host language, as the store and the engines see it.
pub trait Object: Any + Send + Sync + fmt::Debug {
    /// Estimate of the memory that dropping it would free, in bytes.
    fn nbytes(&self) -> usize;

    /// Its bytes, for disk or wire, or why it has none.
    fn encode(&self) -> Result<Vec<u8>, DataError>;

    /// A new object of the same host from what [`Object::encode`] wrote.
    fn decode(&self, bytes: &[u8]) -> Result<Arc<dyn Object>, DataError>;

    fn as_any(&self) -> &dyn Any;
}

impl Value {
    pub fn nbytes(&self) -> usize {
        match self {
            Value::Frame(frame) => frame.nbytes(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Object(object) => object.nbytes(),
        }
    }
}
