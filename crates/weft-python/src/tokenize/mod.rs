//! Tokens: 128-bit names of Python values, equal in every process where the values are equal.
//!
//! A value is written as bytes that depend on its type and content alone (`walk`), and XXH3-128 of those bytes is
//! its token. XXH3 is not a cryptographic hash: two values that nobody chose to collide do not, but tokens must
//! not decide about trust.
//!
//! Builtins are written here. For everything else `weft.tokenize` describes the value in terms of builtins, and the
//! description is written: there live the normalizers of NumPy, pandas and Arrow, and those of users.

mod buffer;
mod walk;

use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use walk::Walker;

/// The token of one object, as `weft.tokenize.tokenize(object)` gives it.
#[allow(dead_code)] // for pure delayed calls
pub(crate) fn tokenize(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<u128> {
    tokenize_call(&PyTuple::new(py, [object])?, None)
}

/// The token of the arguments of a call, as `weft.tokenize.tokenize(*args, **kwargs)` gives it.
pub(crate) fn tokenize_call(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<u128> {
    let mut walker = Walker::new(args.py());
    walker.call(args, kwargs)?;
    Ok(walker.finish())
}

/// A token as text: 32 hexadecimal digits.
pub(crate) fn hex(token: u128) -> String {
    format!("{token:032x}")
}

/// The token of positional and keyword arguments.
#[pyfunction]
#[pyo3(name = "_tokenize")]
fn tokenize_py(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<String> {
    Ok(hex(tokenize_call(args, kwargs)?))
}

/// Says that some builtin type has a normalizer of the user's, which then comes first.
#[pyfunction]
#[pyo3(name = "_tokenize_override")]
fn override_builtins() {
    walk::OVERRIDDEN.store(true, Ordering::Release);
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(tokenize_py, module)?)?;
    module.add_function(wrap_pyfunction!(override_builtins, module)?)?;
    module.add_function(wrap_pyfunction!(buffer::hash_buffer, module)?)?;
    module.add_class::<buffer::BufferHasher>()?;
    Ok(())
}
