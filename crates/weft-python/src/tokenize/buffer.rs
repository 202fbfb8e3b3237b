//! Hashing the memory of objects that export a contiguous buffer, in place.

use std::ffi::c_int;

use parking_lot::Mutex;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::hex;

/// Hashing less than this takes less time than to release the interpreter and take it back.
const DETACH_FROM_BYTES: usize = 1 << 18;

/// The buffer of an object, exported until this is dropped.
struct Export(Box<ffi::Py_buffer>);

// SAFETY: a Py_buffer is plain data. It is only released while attached to the interpreter, which `drop` makes sure.
unsafe impl Send for Export {}
// SAFETY: as above; a shared reference only reads `buf` and `len`.
unsafe impl Sync for Export {}

impl Export {
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Export> {
        // No format is asked for: NumPy exports dates that way, for which the protocol has no format.
        const FLAGS: c_int = ffi::PyBUF_SIMPLE;
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: `view` is a valid, writable Py_buffer at an address that stays, and we are attached.
        let status = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut *view, FLAGS) };
        if status == -1 {
            return Err(PyErr::fetch(object.py()));
        }
        Ok(Export(view))
    }

    fn bytes(&self) -> &[u8] {
        if self.0.buf.is_null() || self.0.len <= 0 {
            return &[];
        }
        // SAFETY: the exporter keeps `len` readable bytes at `buf` until the export is released. Python code in
        // another thread may write to them meanwhile; the digest is then that of neither content, as for any reader.
        unsafe { std::slice::from_raw_parts(self.0.buf as *const u8, self.0.len as usize) }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // SAFETY: the view was filled by PyObject_GetBuffer and is released once, while attached.
        Python::attach(|_| unsafe { ffi::PyBuffer_Release(&mut *self.0) });
    }
}

/// XXH3-128 of an object's contiguous buffer.
pub(super) fn digest(object: &Bound<'_, PyAny>) -> PyResult<u128> {
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        let bytes = bytes.as_bytes();
        if bytes.len() < DETACH_FROM_BYTES {
            return Ok(xxh3_128(bytes));
        }
    }
    let export = Export::new(object)?;
    let bytes = export.bytes();
    Ok(if bytes.len() < DETACH_FROM_BYTES { xxh3_128(bytes) } else { object.py().detach(|| xxh3_128(bytes)) })
}

/// The 128-bit digest of a contiguous buffer, as 16 bytes.
#[pyfunction]
#[pyo3(name = "_hash_buffer")]
pub(super) fn hash_buffer<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(object.py(), &digest(object)?.to_be_bytes()))
}

/// The digest of data that comes in pieces; how it is cut does not matter.
#[pyclass(frozen, module = "weft._weft", name = "_BufferHasher")]
pub(super) struct BufferHasher(Mutex<Box<Xxh3>>);

#[pymethods]
impl BufferHasher {
    #[new]
    fn new() -> Self {
        BufferHasher(Mutex::new(Box::new(Xxh3::new())))
    }

    /// Appends the content of a contiguous buffer.
    fn update(&self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let export = Export::new(object)?;
        let mut state = self
            .0
            .try_lock()
            .ok_or_else(|| PyBufferError::new_err("the hasher is in use in another thread"))?;
        let bytes = export.bytes();
        if bytes.len() < DETACH_FROM_BYTES {
            state.update(bytes);
        } else {
            let state = &mut *state;
            object.py().detach(|| state.update(bytes));
        }
        Ok(())
    }

    fn hexdigest(&self) -> String {
        hex(self.0.lock().digest128())
    }
}
