//! The cluster's border with Python: pickles, nodes as bytes, handles on servers and futures.
//!
//! The servers are `weft-cluster`; `python/weft/distributed` is the face. What crosses the wire is made here:
//!
//! | module | between |
//! | --- | --- |
//! | `pickle` | Python objects and bytes with buffers beside them |
//! | `value` | task results and `Encoded` |
//! | `node` | a task's arguments and its payload |
//! | `program` | a blob (function, layer's kernel) and something that runs |
//! | `graph` | layers and `message::Graph` |

mod client;
mod future;
mod graph;
mod node;
pub(crate) mod pickle;
mod program;
mod server;
pub(crate) mod value;
mod worker;

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    client::register(module)?;
    future::register(module)?;
    server::register(module)?;
    worker::register(module)
}
