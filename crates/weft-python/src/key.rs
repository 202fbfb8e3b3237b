//! Keys between Python and Rust.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyString, PyTuple};
use weft_graph::Key;

/// A key from `str`, `bytes`, `int`, `float` or a tuple of those (subclasses too).
///
/// Raises `TypeError` for anything else, as the face does wherever a user gives a key.
pub(crate) fn key_from_py(object: &Bound<'_, PyAny>) -> PyResult<Key> {
    match try_key(object)? {
        Some(key) => Ok(key),
        None => Err(PyTypeError::new_err(format!(
            "Unexpected key type {}: a key is a str, bytes, int, float or a tuple of those; got {}",
            object.get_type().name()?,
            // What is nested without end has no repr.
            object.repr().map_or_else(|_| "something nested too deeply".to_owned(), |repr| repr.to_string()),
        ))),
    }
}

/// The key that `object` is, or `None` where its type cannot be one.
pub(crate) fn try_key(object: &Bound<'_, PyAny>) -> PyResult<Option<Key>> {
    try_key_within(object, Key::MAX_DEPTH)
}

fn try_key_within(object: &Bound<'_, PyAny>, depth: u32) -> PyResult<Option<Key>> {
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Some(Key::Str(text.to_cow()?.as_ref().into())));
    }
    if let Ok(parts) = object.cast::<PyTuple>() {
        // What nests deeper is no key: it could not be sent.
        let Some(depth) = depth.checked_sub(1) else { return Ok(None) };
        let mut keys = Vec::with_capacity(parts.len());
        for part in parts.iter() {
            match try_key_within(&part, depth)? {
                Some(key) => keys.push(key),
                None => return Ok(None),
            }
        }
        return Ok(Some(Key::Tuple(keys.into())));
    }
    if object.is_instance_of::<PyInt>() {
        return match object.extract::<i64>() {
            Ok(number) => Ok(Some(Key::Int(number))),
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
                Err(PyOverflowError::new_err(format!(
                    "the key {object} does not fit into 64 bits: use a str key instead"
                )))
            }
            Err(error) => Err(error),
        };
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(Some(float_key(number.value())));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Some(Key::Bytes(bytes.as_bytes().into())));
    }
    Ok(None)
}

/// Python finds a whole float under the equal integer, so both are one key here too.
fn float_key(number: f64) -> Key {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        Key::Int(number as i64)
    } else {
        Key::Float(number.to_bits())
    }
}

pub(crate) fn key_to_py<'py>(py: Python<'py>, key: &Key) -> PyResult<Bound<'py, PyAny>> {
    Ok(match key {
        Key::Str(text) => PyString::new(py, text).into_any(),
        Key::Int(number) => number.into_pyobject(py)?.into_any(),
        Key::Float(bits) => PyFloat::new(py, f64::from_bits(*bits)).into_any(),
        Key::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Key::Tuple(parts) => {
            let parts = parts.iter().map(|part| key_to_py(py, part)).collect::<PyResult<Vec<_>>>()?;
            PyTuple::new(py, parts)?.into_any()
        }
    })
}

/// The key as `weft._weft` normalizes it; raises `TypeError` if it cannot be one.
#[pyfunction]
fn check_key<'py>(py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    key_to_py(py, &key_from_py(key)?)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(check_key, module)?)
}
