//! What can go wrong between two processes.

use std::io;
use std::sync::Arc;

/// Why a connection could not be made, or has ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NetError {
    #[error("cannot {what} {address}: {error}")]
    Transport { what: &'static str, address: String, error: Arc<io::Error> },
    #[error("{0:?} is not an address: expected tcp://host:port, unix:///path or inproc://name")]
    Address(String),
    /// The other side went away between two frames: how connections end.
    #[error("the connection was closed by the other side")]
    Closed,
    #[error("the connection broke: {0}")]
    Io(Arc<io::Error>),
    /// Bytes that no peer of ours writes.
    #[error("refused what came in: {0}")]
    Refused(String),
    #[error("the other side does not know this cluster's token")]
    Token,
    #[error("no TLS connection: {0}")]
    Tls(String),
    #[error("a message could not be written: {0}")]
    Encode(String),
}

impl From<io::Error> for NetError {
    fn from(error: io::Error) -> Self {
        NetError::Io(Arc::new(error))
    }
}
