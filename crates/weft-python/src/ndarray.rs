//! Blocks of arrays across the border to NumPy, without copies.
//!
//! In: a NumPy array's memory is borrowed, and the array kept alive. Out: [`Memory`] shows a block's
//! memory through the buffer protocol, and NumPy puts a strided view on it. As between tasks of
//! NumPy, whoever writes into a block writes into what others see.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_buffer::Buffer;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{ffi, intern};
use weft_data::{Borrow, NdArray, NdType, Shape, Strides, c_strides};

/// The memory of a block, for NumPy.
#[pyclass(frozen, module = "weft._weft")]
struct Memory {
    bytes: Buffer,
    writable: bool,
}

#[pymethods]
impl Memory {
    /// # Safety
    /// Called by Python with a view to fill, or null.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        let memory = slf.get();
        // SAFETY: `view` is valid; the memory lives as long as `slf`, whose reference count the
        // call raises. Kernels write only into memory that they have just made, before it is shown.
        let status = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                memory.bytes.as_ptr() as *mut c_void,
                memory.bytes.len() as isize,
                !memory.writable as c_int,
                flags,
            )
        };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// NumPy's array over the block's memory.
pub(crate) fn to_numpy<'py>(py: Python<'py>, array: &NdArray) -> PyResult<Bound<'py, PyAny>> {
    static NDARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static DTYPES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let ndarray = NDARRAY.import(py, "numpy", "ndarray")?;
    // A dtype by name costs a parse; most programs use two or three.
    let dtypes = DTYPES.get_or_init(py, || PyDict::new(py).unbind()).bind(py);
    let name = array.dtype().name();
    let dtype = match dtypes.get_item(name)? {
        Some(dtype) => dtype,
        None => {
            let dtype = py.import("numpy")?.call_method1("dtype", (name,))?;
            dtypes.set_item(name, &dtype)?;
            dtype
        }
    };
    let shape = PyTuple::new(py, array.shape())?;
    if array.is_empty() {
        return ndarray.call1((shape, dtype));
    }
    let writable = array.borrow() != Some(Borrow::ReadOnly);
    // Elements that are one in memory (a block of ones) become many before anybody writes into one.
    let one =
        array.borrow().is_none() && array.shape().iter().zip(array.strides()).any(|(&n, &s)| n > 1 && s == 0);
    let many = if one { Some(array.to_contiguous()) } else { None };
    let array = many.as_ref().unwrap_or(array);
    let memory = Memory { bytes: array.memory().clone(), writable };
    let strides = PyTuple::new(py, array.strides())?;
    let made = ndarray.call1((shape, dtype, memory, array.offset(), strides))?;
    // What kernels make of one element is a scalar, as from NumPy's functions; an array of the user's stays one.
    if array.ndim() == 0 && array.borrow().is_none() { made.get_item(PyTuple::empty(py)) } else { Ok(made) }
}

/// Keeps a NumPy array alive for as long as its memory is looked at.
struct Owner {
    _array: Py<PyAny>,
}

/// Nothing is ever read through it: it only keeps memory alive.
impl std::panic::RefUnwindSafe for Owner {}

/// The block that a NumPy array or scalar is. Raises `TypeError` for elements that are Python objects.
pub(crate) fn from_numpy(object: &Bound<'_, PyAny>) -> PyResult<NdArray> {
    let py = object.py();
    if let Some(array) = view(object)? {
        return Ok(array);
    }
    // Scalars, other array types, memory that is not aligned: NumPy makes an array.
    let copy = py.import("numpy")?.call_method1("array", (object,))?;
    match view(&copy)? {
        Some(array) => Ok(array),
        None => {
            let class = object.get_type().name()?;
            Err(PyTypeError::new_err(format!("NumPy cannot make a block of an array from a {class}")))
        }
    }
}

/// The block over a NumPy array's own memory; `None`: it is not one, or its numbers are not aligned.
fn view(object: &Bound<'_, PyAny>) -> PyResult<Option<NdArray>> {
    static NDARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    if !object.is_instance(NDARRAY.import(py, "numpy", "ndarray")?)? {
        return Ok(None);
    }
    let interface = object.getattr(intern!(py, "__array_interface__"))?.cast_into::<PyDict>()?;
    let item = |name| {
        let missing = || PyValueError::new_err(format!("the array interface has no {name}"));
        interface.get_item(name)?.ok_or_else(missing)
    };
    let (address, read_only): (usize, bool) = item(intern!(py, "data"))?.extract()?;
    let shape: Shape = item(intern!(py, "shape"))?.extract::<Vec<usize>>()?.into();
    let dtype = item(intern!(py, "typestr"))?.extract::<String>()?;
    let dtype = dtype_from_typestr(&dtype)?;
    let nbytes = dtype.nbytes();
    let strides: Strides = match item(intern!(py, "strides"))? {
        strides if strides.is_none() => c_strides(&shape, nbytes),
        strides => strides.extract::<Vec<isize>>()?.into(),
    };
    let empty = shape.contains(&0);
    // Kernels read numbers where they lie.
    let misaligned = |at: isize| dtype.is_number() && at % nbytes as isize != 0;
    if !empty && (misaligned(address as isize) || strides.iter().any(|&stride| misaligned(stride))) {
        return Ok(None);
    }
    let (mut low, mut high) = (0isize, nbytes as isize);
    for (&n, &stride) in shape.iter().zip(&strides) {
        let reach = (n as isize - 1) * stride;
        if reach < 0 { low += reach } else { high += reach }
    }
    let borrow = if read_only { Borrow::ReadOnly } else { Borrow::Writable };
    let start = NonNull::new(address.wrapping_add_signed(low) as *mut u8);
    let memory = match start {
        Some(start) if !empty => {
            let owner = Arc::new(Owner { _array: object.clone().unbind() });
            // SAFETY: NumPy's elements lie between these bytes, for as long as the array
            // lives, which `owner` sees to (NumPy refuses to resize an array that has other references).
            unsafe { Buffer::from_custom_allocation(start, (high - low) as usize, owner) }
        }
        _ => Buffer::from(Vec::<u8>::new()),
    };
    let offset = if empty { 0 } else { -low as usize };
    NdArray::new(memory, offset, dtype, &shape, &strides)
        .map(|array| Some(array.borrowed(borrow)))
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The element type of NumPy's `typestr`: byte order, kind, bytes.
fn dtype_from_typestr(text: &str) -> PyResult<NdType> {
    let (order, rest) = text.split_at(1);
    let native = order == "|" || (order == "<") == cfg!(target_endian = "little");
    let number = match rest {
        "b1" => Some(NdType::Bool),
        "i1" => Some(NdType::Int8),
        "i2" => Some(NdType::Int16),
        "i4" => Some(NdType::Int32),
        "i8" => Some(NdType::Int64),
        "u1" => Some(NdType::UInt8),
        "u2" => Some(NdType::UInt16),
        "u4" => Some(NdType::UInt32),
        "u8" => Some(NdType::UInt64),
        "f4" => Some(NdType::Float32),
        "f8" => Some(NdType::Float64),
        _ => None,
    };
    if let Some(number) = number
        && native
    {
        return Ok(number);
    }
    let unit = rest.find('[').unwrap_or(rest.len());
    let nbytes = rest.get(1..unit).and_then(|digits| digits.parse::<usize>().ok());
    // Text counts characters of four bytes.
    let width = if rest.starts_with('U') { 4 } else { 1 };
    match nbytes {
        Some(nbytes) if !rest.starts_with(['O', 'V', 't']) => {
            Ok(NdType::Opaque { name: text.into(), nbytes: nbytes * width })
        }
        _ => Err(PyTypeError::new_err(format!("elements of type {text} stay with Python"))),
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Memory>()
}
