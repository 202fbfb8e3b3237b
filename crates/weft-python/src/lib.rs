//! The Python extension `weft._weft`: conversions and handles, no logic.
//!
//! Each module registers its own classes and functions; this file only lists them.

use pyo3::prelude::*;

mod array;
mod array_chunks;
mod array_portable;
mod array_step;
mod arrow;
mod bag;
mod cluster;
mod csv;
mod delayed;
mod engine;
mod frame;
mod frame_portable;
mod graph;
mod host;
mod key;
mod moves;
mod native;
mod ndarray;
mod parquet;
mod picture;
mod portable;
mod spec;
mod task;
mod text;
mod tokenize;

#[pymodule]
fn _weft(module: &Bound<'_, PyModule>) -> PyResult<()> {
    key::register(module)?;
    task::register(module)?;
    graph::register(module)?;
    delayed::register(module)?;
    portable::register(module)?;
    engine::register(module)?;
    tokenize::register(module)?;
    picture::register(module)?;
    arrow::register(module)?;
    native::register(module)?;
    ndarray::register(module)?;
    array::register(module)?;
    csv::register(module)?;
    frame::register(module)?;
    frame_portable::register(module)?;
    host::register(module)?;
    bag::register(module)?;
    cluster::register(module)?;
    moves::register(module)?;
    parquet::register(module)?;
    Ok(())
}
