//! Python objects as bytes for other processes.

use bytes::Bytes;
use memchr::memmem;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList};
use weft_cluster::Encoded;

use super::value::PICKLE;

fn cached<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    module: &str,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    cell.import(py, module, name)
}

/// Pickles an object; buffers of some size stay beside the stream.
///
/// By reference where the other process can find the same object: not what `__main__` defines, which is another module
/// there.
pub(crate) fn dumps(object: &Bound<'_, PyAny>) -> PyResult<Encoded> {
    static PICKLE_DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static CLOUD_DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let with = |dumps: &Bound<'_, PyAny>| -> PyResult<(Bytes, Vec<Bytes>)> {
        let buffers = PyList::empty(py);
        let options = PyDict::new(py);
        options.set_item(intern!(py, "protocol"), 5)?;
        options.set_item(intern!(py, "buffer_callback"), buffers.getattr(intern!(py, "append"))?)?;
        let stream = dumps.call((object,), Some(&options))?.cast_into::<PyBytes>()?;
        let buffers = buffers
            .iter()
            .map(|buffer| {
                let view = PyBuffer::<u8>::get(&buffer.call_method0(intern!(py, "raw"))?)?;
                // SAFETY: `raw()` gives contiguous bytes, which the view keeps alive while they are copied.
                Ok(Bytes::copy_from_slice(unsafe {
                    std::slice::from_raw_parts(view.buf_ptr().cast::<u8>(), view.len_bytes())
                }))
            })
            .collect::<PyResult<_>>()?;
        Ok((Bytes::copy_from_slice(stream.as_bytes()), buffers))
    };
    let plain = with(cached(py, &PICKLE_DUMPS, "pickle", "dumps")?);
    let (head, buffers) = match plain {
        Ok(plain) if memmem::find(&plain.0, b"__main__").is_none() => plain,
        _ => with(cached(py, &CLOUD_DUMPS, "cloudpickle", "dumps")?)?,
    };
    Ok(Encoded { form: PICKLE, head, buffers })
}

pub(crate) fn loads<'py>(py: Python<'py>, head: &[u8], buffers: &[Bytes]) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let loads = cached(py, &LOADS, "pickle", "loads")?;
    if buffers.is_empty() {
        return loads.call1((PyBytes::new(py, head),));
    }
    let options = PyDict::new(py);
    // Arrays over a bytearray can be written to, as they could before.
    let buffers = PyList::new(py, buffers.iter().map(|bytes| PyByteArray::new(py, bytes)))?;
    options.set_item(intern!(py, "buffers"), buffers)?;
    loads.call((PyBytes::new(py, head),), Some(&options))
}

/// A pickle with its buffers as one byte string.
pub(crate) fn to_bytes(encoded: &Encoded, into: &mut Vec<u8>) {
    into.extend((encoded.buffers.len() as u32).to_le_bytes());
    for part in std::iter::once(&encoded.head).chain(&encoded.buffers) {
        into.extend((part.len() as u64).to_le_bytes());
        into.extend_from_slice(part);
    }
}

pub(crate) fn damaged() -> PyErr {
    PyValueError::new_err("bytes from another process make no sense: is it the same version of weft?")
}

/// Takes `n` bytes from the front.
pub(crate) fn take(bytes: &mut Bytes, n: usize) -> PyResult<Bytes> {
    if n > bytes.len() { Err(damaged()) } else { Ok(bytes.split_to(n)) }
}

fn take_length(bytes: &mut Bytes) -> PyResult<usize> {
    let length = take(bytes, 8)?;
    let length: [u8; 8] = length.as_ref().try_into().map_err(|_| damaged())?;
    usize::try_from(u64::from_le_bytes(length)).map_err(|_| damaged())
}

/// What [`to_bytes`] wrote; takes it from the front.
pub(crate) fn from_bytes<'py>(py: Python<'py>, bytes: &mut Bytes) -> PyResult<Bound<'py, PyAny>> {
    let encoded = encoded_from_bytes(PICKLE, bytes)?;
    loads(py, &encoded.head, &encoded.buffers)
}

/// What [`to_bytes`] wrote of something of this form; takes it from the front.
pub(crate) fn encoded_from_bytes(form: u8, bytes: &mut Bytes) -> PyResult<Encoded> {
    let count = take(bytes, 4)?;
    let count: [u8; 4] = count.as_ref().try_into().map_err(|_| damaged())?;
    let length = take_length(bytes)?;
    let head = take(bytes, length)?;
    let mut buffers = Vec::new();
    for _ in 0..u32::from_le_bytes(count) {
        let length = take_length(bytes)?;
        buffers.push(take(bytes, length)?);
    }
    Ok(Encoded { form, head, buffers })
}
