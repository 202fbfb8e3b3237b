//! Why an expression cannot be built.

use weft_data::{ErrorKind, TaskError};
use weft_graph::Key;

#[derive(Debug, Clone, thiserror::Error)]
pub enum ExprError {
    /// There is no native kernel that gives exactly what pandas gives: the host falls back.
    #[error("no native kernel: {0}")]
    Unsupported(String),
    #[error("there is no column {label}; the columns are {have}")]
    NoColumn { label: Key, have: String },
    #[error("{0}")]
    Invalid(String),
}

impl ExprError {
    pub fn unsupported<T>(what: impl Into<String>) -> Result<T, ExprError> {
        Err(ExprError::Unsupported(what.into()))
    }
}

/// A kernel met data that its expression did not promise.
impl From<ExprError> for TaskError {
    fn from(error: ExprError) -> Self {
        let kind = match error {
            ExprError::Unsupported(_) => ErrorKind::Type,
            ExprError::NoColumn { .. } => ErrorKind::Key,
            ExprError::Invalid(_) => ErrorKind::Value,
        };
        TaskError::native(kind, error.to_string())
    }
}
