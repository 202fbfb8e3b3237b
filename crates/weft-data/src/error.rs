//! What can go wrong with values and tasks.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Turning a value into bytes, or bytes into a value, went wrong.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The file or socket at the other end failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The value has no bytes, or the bytes are not a value.
    #[error("{0}")]
    Codec(String),
}

/// A value could not be kept, written or read back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DataError {
    #[error("cannot read {what} back from the spill file {path}: {reason}. {remedy}")]
    Unspill { what: String, path: String, reason: String, remedy: &'static str },
    #[error(
        "memory is short and cannot be freed: {used} bytes are held, the limit is {limit}, and writing {what} to \
         {path} failed: {reason}. {remedy}"
    )]
    Full { what: String, path: String, used: usize, limit: usize, reason: String, remedy: &'static str },
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
        let kind = match &error {
            DataError::Unspill { .. } => ErrorKind::File,
            DataError::Full { .. } => ErrorKind::Memory,
        };
        TaskError::native(kind, error.to_string())
    }
}
