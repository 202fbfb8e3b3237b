//! What can go wrong between the cluster's processes.

use std::sync::Arc;

use weft_net::NetError;
use weft_scheduler::message::{Failure, Key};

#[derive(Clone, Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("cannot start {what}: {reason}")]
    Start { what: &'static str, reason: String },
    /// The connection to the scheduler is gone.
    #[error("the connection to the scheduler is closed: {0}")]
    Closed(Arc<str>),
    #[error("task {key} has no result: {}", describe(.failure))]
    Failed { key: Key, failure: Arc<Failure> },
    #[error("{key} was cancelled: {reason}")]
    Cancelled { key: Key, reason: Arc<str> },
    #[error("the result of {key} could not be fetched: {reason}")]
    Fetch { key: Key, reason: String },
    #[error("not done in time")]
    TimedOut,
    #[error("{0}")]
    Refused(String),
}

/// A failure in words, for logs and for hosts that cannot read the exception.
pub fn describe(failure: &Failure) -> String {
    match failure {
        Failure::Raised { text, .. } => text.to_string(),
        Failure::KilledWorker { deaths, last_worker, cause } => {
            format!("{deaths} workers died while they ran it; the last one was {last_worker}: {cause}")
        }
        Failure::Lost { last_worker } => {
            format!("its data was lost with the worker {last_worker}, and nobody knows how to make it again")
        }
        Failure::UnknownInput { key } => {
            format!("it reads {key}, which the scheduler does not know (any more)")
        }
        Failure::Cancelled { reason } => format!("it was cancelled: {reason}"),
        Failure::Unreachable { input, tries } => {
            format!("its input {input} could not be fetched from any worker in {tries} tries")
        }
    }
}
