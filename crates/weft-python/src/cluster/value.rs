//! Results of tasks as bytes.

use std::sync::Arc;

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};
use weft_cluster::Encoded;
use weft_data::{CodecError, Decode, ErrorKind, Frame, TaskError, Value};

use super::pickle::{self, damaged};
use crate::task::{PyValue, host_error, value_to_py};

pub(crate) const NONE: u8 = 0;
pub(crate) const TRUE: u8 = 1;
pub(crate) const FALSE: u8 = 2;
pub(crate) const INT: u8 = 3;
pub(crate) const FLOAT: u8 = 4;
pub(crate) const STR: u8 = 5;
pub(crate) const BYTES: u8 = 6;
pub(crate) const PICKLE: u8 = 7;
/// `Value::Bytes`, which only native tasks make.
pub(crate) const RAW: u8 = 8;
/// An object of a native kernel: its name, then what it wrote.
pub(crate) const NATIVE: u8 = 9;

/// A frame: what it is, and its values as they lie in memory.
pub(crate) const FRAME: u8 = 10;

/// Texts and bytes up to this length are kept as bytes.
const SMALL_BYTES: usize = 512;

/// Writes an object of a type that needs no pickle; `None`: it is not.
pub(crate) fn scalar(object: &Bound<'_, PyAny>, bytes: &mut Vec<u8>) -> Option<u8> {
    if object.is_none() {
        return Some(NONE);
    }
    if object.is_exact_instance_of::<PyInt>() {
        bytes.extend(object.extract::<i64>().ok()?.to_le_bytes());
        return Some(INT);
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        // Lone surrogates are for pickle.
        bytes.extend_from_slice(text.to_cow().ok()?.as_bytes());
        return Some(STR);
    }
    if let Ok(number) = object.cast_exact::<PyFloat>() {
        bytes.extend(number.value().to_bits().to_le_bytes());
        return Some(FLOAT);
    }
    if let Ok(truth) = object.cast_exact::<PyBool>() {
        return Some(if truth.is_true() { TRUE } else { FALSE });
    }
    if let Ok(content) = object.cast_exact::<PyBytes>() {
        bytes.extend_from_slice(content.as_bytes());
        return Some(BYTES);
    }
    None
}

/// The object that [`scalar`] wrote; `None`: the form is another.
pub(crate) fn scalar_to_py<'py>(
    py: Python<'py>,
    form: u8,
    bytes: &[u8],
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let number = || <[u8; 8]>::try_from(bytes).map_err(|_| damaged());
    Ok(Some(match form {
        NONE => py.None().into_bound(py),
        TRUE => PyBool::new(py, true).to_owned().into_any(),
        FALSE => PyBool::new(py, false).to_owned().into_any(),
        INT => PyInt::new(py, i64::from_le_bytes(number()?)).into_any(),
        FLOAT => PyFloat::new(py, f64::from_bits(u64::from_le_bytes(number()?))).into_any(),
        STR => PyString::new(py, std::str::from_utf8(bytes).map_err(|_| damaged())?).into_any(),
        BYTES => PyBytes::new(py, bytes).into_any(),
        _ => return Ok(None),
    }))
}

/// A scalar as bytes, if keeping it so is cheaper than an object.
pub(crate) fn small(py: Python<'_>, value: &Value) -> Option<Encoded> {
    let Value::Object(object) = value else { return None };
    let object = object.as_any().downcast_ref::<PyValue>()?.object(py);
    let short = |length: usize| length <= SMALL_BYTES;
    if let Ok(text) = object.cast_exact::<PyString>() {
        if !text.len().is_ok_and(short) {
            return None;
        }
    } else if let Ok(bytes) = object.cast_exact::<PyBytes>()
        && !short(bytes.as_bytes().len())
    {
        return None;
    }
    let mut bytes = Vec::new();
    let form = scalar(object, &mut bytes)?;
    Some(Encoded { form, head: bytes.into(), buffers: Vec::new() })
}

pub(crate) fn encode_object(object: &Bound<'_, PyAny>) -> PyResult<Encoded> {
    let mut bytes = Vec::new();
    match scalar(object, &mut bytes) {
        Some(form) => Ok(Encoded { form, head: bytes.into(), buffers: Vec::new() }),
        None => pickle::dumps(object),
    }
}

pub(crate) fn encode(py: Python<'_>, value: &Value) -> Result<Encoded, CodecError> {
    match value {
        Value::Bytes(bytes) => {
            Ok(Encoded { form: RAW, head: Bytes::new(), buffers: vec![Bytes::from_owner(bytes.clone())] })
        }
        Value::Frame(frame) => {
            let (head, values) = py.detach(|| weft_frame::frame_to_bytes(frame))?;
            Ok(Encoded { form: FRAME, head: head.into(), buffers: vec![values.into()] })
        }
        Value::Object(object) if object.wire_name().is_some() => {
            let mut bytes = Vec::new();
            py.detach(|| object.encode(&mut bytes))?;
            let name = Bytes::from_static(object.wire_name().unwrap_or_default().as_bytes());
            Ok(Encoded { form: NATIVE, head: name, buffers: vec![bytes.into()] })
        }
        value => value_to_py(py, value)
            .and_then(|object| encode_object(&object))
            .map_err(|error| CodecError::Codec(error.to_string())),
    }
}

pub(crate) fn to_py<'py>(py: Python<'py>, encoded: &Encoded) -> PyResult<Bound<'py, PyAny>> {
    match encoded.form {
        PICKLE => pickle::loads(py, &encoded.head, &encoded.buffers),
        FRAME => crate::arrow::to_pandas(py, frame(encoded)?, crate::arrow::Lend::Writable),
        RAW => Ok(PyBytes::new(py, encoded.buffers.first().ok_or_else(damaged)?).into_any()),
        form => scalar_to_py(py, form, &encoded.head)?.ok_or_else(damaged),
    }
}

/// The frame that was encoded. Needs no GIL.
pub(crate) fn frame(encoded: &Encoded) -> PyResult<Arc<Frame>> {
    let values = encoded.buffers.first().ok_or_else(damaged)?.clone();
    if encoded.form != FRAME {
        return Err(damaged());
    }
    let frame = weft_frame::frame_from_bytes(&encoded.head, values);
    frame.map(Arc::new).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// How to read a native object, by its name.
fn decoder(name: &[u8]) -> Option<Decode> {
    weft_array::decoder(name).or_else(|| weft_frame::decoder(name))
}

pub(crate) fn decode(py: Python<'_>, encoded: &Encoded) -> Result<Value, TaskError> {
    match encoded.form {
        FRAME => frame(encoded).map(Value::Frame).map_err(host_error),
        RAW => match encoded.buffers.first() {
            Some(bytes) => Ok(Value::Bytes(bytes.as_ref().into())),
            None => Err(host_error(damaged())),
        },
        NATIVE => {
            let decode = decoder(&encoded.head).ok_or_else(|| host_error(damaged()))?;
            let bytes = encoded.buffers.first().ok_or_else(|| host_error(damaged()))?;
            let object = py.detach(|| decode(&mut bytes.as_ref()));
            object.map(Value::Object).map_err(|e| TaskError::native(ErrorKind::Value, e.to_string()))
        }
        _ => to_py(py, encoded).map(|object| PyValue::value(object.unbind())).map_err(host_error),
    }
}
