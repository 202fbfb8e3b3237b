//! Why an expression cannot be built.

use weft_data::{ErrorKind, TaskError};

#[derive(Debug, Clone, thiserror::Error)]
pub enum ArrayError {
    /// There is no native kernel that gives exactly what NumPy gives: the host falls back.
    #[error("no native kernel: {0}")]
    Unsupported(String),
    /// Shapes, chunks or arguments that do not fit.
    #[error("{0}")]
    Invalid(String),
    /// An index outside the array.
    #[error("{0}")]
    Index(String),
}

impl ArrayError {
    pub fn unsupported<T>(what: impl Into<String>) -> Result<T, ArrayError> {
        Err(ArrayError::Unsupported(what.into()))
    }

    pub fn invalid<T>(what: impl Into<String>) -> Result<T, ArrayError> {
        Err(ArrayError::Invalid(what.into()))
    }
}

/// A kernel met blocks that its expression did not promise.
impl From<ArrayError> for TaskError {
    fn from(error: ArrayError) -> Self {
        let kind = match error {
            ArrayError::Unsupported(_) => ErrorKind::Type,
            ArrayError::Invalid(_) | ArrayError::Index(_) => ErrorKind::Value,
        };
        TaskError::native(kind, error.to_string())
    }
}
