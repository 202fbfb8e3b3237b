//! What can go wrong with values and tasks.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A value could not be kept, written or read back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DataError {
    #[error("cannot write {what} to {path}: {reason}")]
    Spill { what: String, path: String, reason: String },
    #[error("cannot read {what} back from {path}: {reason}")]
    Unspill { what: String, path: String, reason: String },
    #[error("cannot turn {what} into bytes: {reason}")]
    Encode { what: String, reason: String },
    #[error("cannot turn bytes into {what}: {reason}")]
    Decode { what: String, reason: String },
}

/// Why a task failed.
#[derive(Clone)]
pub enum TaskError {
    /// An exception of the host language, carried through untouched so that the user sees the
    /// original with its traceback. Only the host looks inside.
    Host(Arc<dyn Any + Send + Sync>),
    /// A failure of a native step; `kind` chooses the exception that the user sees.
    Native { kind: ErrorKind, message: String },
}

/// The families of errors that users handle differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    Value,
    Type,
    Key,
    File,
    NotFound,
    Memory,
    Runtime,
}

impl TaskError {
    pub fn native(kind: ErrorKind, message: impl Into<String>) -> Self {
        TaskError::Native { kind, message: message.into() }
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Host(_) => f.write_str("TaskError::Host(..)"),
            TaskError::Native { kind, message } => write!(f, "TaskError::Native({kind:?}: {message})"),
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Host(_) => f.write_str("a task raised an exception"),
            TaskError::Native { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for TaskError {}

impl From<DataError> for TaskError {
    fn from(error: DataError) -> Self {
        TaskError::native(ErrorKind::Runtime, error.to_string())
    }
}
