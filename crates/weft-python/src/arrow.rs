//! Frames across the border to pandas, without copying numbers.
//!
//! Rust owns memory that Python may see ([`Memory`], through the buffer protocol) and borrows
//! memory that Python owns ([`Borrowed`]); strings travel as Arrow PyCapsules. What a column is in
//! pandas' words (dtypes, masks, indexes) is spelled out in `weft/dataframe/_convert.py`, which
//! takes frames apart and puts them together; this file moves the bytes.
//!
//! Who may write. pandas writes into a column in place when it believes that nobody else looks
//! at it. A buffer that nothing else holds is therefore handed over for good, writable; a shared one is
//! copied, or lent read-only to code that is known not to write. In the other direction the
//! owner that we keep alive is a pandas object, so that pandas sees the second reference and copies
//! before it writes.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::cast::AsArray;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use arrow_array::types as t;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyCapsule, PyInt, PyList, PyString, PyTuple};
use weft_data::{ArrowType, Column, DType, Frame, Index, Kind};
use weft_graph::Key;

const CONVERT: &str = "weft.dataframe._convert";

/// What the receiver may do with the numbers of a frame that other holders still see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lend {
    /// The receiver only reads: arrays over shared buffers are read-only.
    ReadOnly,
    /// The receiver is free to write: shared buffers are copied.
    Writable,
}

/// The DataFrame, Series or scalar that `frame` is; takes it over if nobody else holds it.
pub(crate) fn to_pandas<'py>(py: Python<'py>, frame: Arc<Frame>, lend: Lend) -> PyResult<Bound<'py, PyAny>> {
    let frame = Arc::unwrap_or_clone(frame);
    let rows = frame.rows();
    let Frame { columns, index, kind, .. } = frame;
    let kind = match kind {
        Kind::Table => "table",
        Kind::Series { named: true } => "series",
        Kind::Series { named: false } => "unnamed",
        Kind::Scalar => "scalar",
    };
    let index = match index {
        Index::Range { start, step } => (start, step).into_pyobject(py)?.into_any(),
        Index::Columns(levels) => {
            let list = PyList::empty(py);
            for (name, column) in levels {
                let name = name.map(|name| label_to_py(py, &name)).transpose()?;
                list.append((name, column_to_py(py, column, lend)?))?;
            }
            list.into_any()
        }
    };
    let list = PyList::empty(py);
    for column in columns {
        let label = label_to_py(py, &column.label)?;
        list.append((label, column_to_py(py, column, lend)?))?;
    }
    convert(py)?.call_method1("assemble", (kind, rows, list, index))
}

/// The frame of a pandas DataFrame or Series. Raises
/// `weft.dataframe._convert.Inexact` for what has no exact form: such a partition stays a pandas object.
pub(crate) fn from_pandas(object: &Bound<'_, PyAny>) -> PyResult<Frame> {
    let py = object.py();
    let parts = convert(py)?.call_method1("dissect", (object,))?;
    let (kind, rows, columns, index): (String, usize, Bound<'_, PyList>, Bound<'_, PyAny>) =
        parts.extract()?;
    let kind = match kind.as_str() {
        "series" => Kind::Series { named: true },
        "unnamed" => Kind::Series { named: false },
        _ => Kind::Table,
    };
    let columns = columns.iter().map(|column| column_from_py(&column, rows)).collect::<PyResult<_>>()?;
    let index = match index.extract::<(i64, i64)>() {
        Ok((start, step)) => Index::Range { start, step },
        Err(_) => {
            let mut levels = Vec::new();
            for level in index.try_iter()? {
                let (name, column): (Option<Bound<'_, PyAny>>, Bound<'_, PyAny>) = level?.extract()?;
                let name = name.map(|name| label_from_py(&name)).transpose()?;
                levels.push((name, column_from_py(&column, rows)?));
            }
            Index::Columns(levels)
        }
    };
    Ok(Frame::new(columns, index, rows).with_kind(kind))
}

pub(crate) fn convert(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static MODULE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || Ok::<_, PyErr>(py.import(CONVERT)?.into_any().unbind()))?;
    Ok(module.bind(py).clone())
}

/// A partition of a dataframe that lives in Rust.
#[pyclass(frozen, name = "Frame", module = "weft._weft")]
#[derive(Debug)]
pub(crate) struct PyFrame {
    pub(crate) frame: Arc<Frame>,
}

#[pymethods]
impl PyFrame {
    /// The frame of a pandas DataFrame or Series.
    #[staticmethod]
    fn from_pandas(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(PyFrame { frame: Arc::new(from_pandas(object)?) })
    }

    /// The pandas object it is; with `writable`, one that the caller may write into.
    #[pyo3(signature = (writable = true))]
    fn to_pandas<'py>(&self, py: Python<'py>, writable: bool) -> PyResult<Bound<'py, PyAny>> {
        to_pandas(py, self.frame.clone(), if writable { Lend::Writable } else { Lend::ReadOnly })
    }

    #[getter]
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.frame.columns.iter().map(|column| label_to_py(py, &column.label)).collect()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.frame.nbytes()
    }

    fn __len__(&self) -> usize {
        self.frame.rows()
    }

    fn __repr__(&self) -> String {
        format!("<weft.Frame {} rows x {} columns>", self.frame.rows(), self.frame.columns.len())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let rebuild = slf.get_type().getattr("from_pandas")?;
        let frame = to_pandas(py, slf.get().frame.clone(), Lend::ReadOnly)?;
        Ok((rebuild, (frame,)).into_pyobject(py)?.into_any())
    }
}

// ---------------------------------------------------------------------------------------------
// Labels

/// Text, integers and tuples of them; the empty tuple labels what has no name.
pub(crate) fn label_to_py<'py>(py: Python<'py>, label: &Key) -> PyResult<Bound<'py, PyAny>> {
    Ok(match label {
        Key::Str(text) => PyString::new(py, text).into_any(),
        Key::Int(number) => PyInt::new(py, *number).into_any(),
        Key::Float(bits) => f64::from_bits(*bits).into_pyobject(py)?.into_any(),
        Key::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Key::Tuple(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| label_to_py(py, part)).collect::<PyResult<_>>()?;
            PyTuple::new(py, parts)?.into_any()
        }
    })
}

pub(crate) fn label_from_py(label: &Bound<'_, PyAny>) -> PyResult<Key> {
    if let Ok(text) = label.cast::<PyString>() {
        return Ok(Key::from(text.extract::<String>()?));
    }
    if let Ok(parts) = label.cast::<PyTuple>() {
        let parts: Vec<Key> = parts.iter().map(|part| label_from_py(&part)).collect::<PyResult<_>>()?;
        return Ok(Key::Tuple(parts.into()));
    }
    match label.extract::<i64>() {
        Ok(number) if !label.is_instance_of::<pyo3::types::PyBool>() => Ok(Key::Int(number)),
        _ => Err(PyTypeError::new_err(format!(
            "a column label must be text, an integer or a tuple, not {}",
            label.repr()?
        ))),
    }
}

// ---------------------------------------------------------------------------------------------
// Columns

/// `(dtype, values, mask)`: values as [`Memory`] (numbers, by bytes), or [`Capsules`] for text;
/// mask as [`Memory`] of one byte a row, 1 where missing, or None.
fn column_to_py<'py>(py: Python<'py>, column: Column, lend: Lend) -> PyResult<Bound<'py, PyAny>> {
    let Column { dtype, values, .. } = column;
    let name = dtype.to_string();
    if in_capsules(&dtype) {
        return Ok((name, Capsules { array: values }, py.None()).into_pyobject(py)?.into_any());
    }
    let mask = match (&dtype, values.nulls()) {
        (DType::Nullable(_), nulls) => Some(Memory::owned(
            nulls.map_or_else(|| vec![0; values.len()], |n| n.iter().map(|ok| !ok as u8).collect()),
        )),
        _ => None,
    };
    let storage = storage(&dtype);
    let memory = if storage == DType::Bool {
        let bits = values.as_boolean_opt().ok_or_else(|| wrong(&dtype, &values))?;
        Memory::owned(bits.values().iter().map(|bit| bit as u8).collect())
    } else {
        let expected = data_type(&storage);
        if values.data_type() != &expected {
            return Err(wrong(&dtype, &values));
        }
        primitive_memory(values, &storage, lend)
    };
    Ok((name, memory, mask).into_pyobject(py)?.into_any())
}

fn wrong(dtype: &DType, values: &ArrayRef) -> PyErr {
    PyTypeError::new_err(format!("a {dtype:?} column holds an Arrow array of {}", values.data_type()))
}

macro_rules! by_storage {
    ($storage:expr, $run:ident ( $($argument:expr),* ), $other:expr) => {
        match $storage {
            DType::Int8 => $run::<t::Int8Type>($($argument),*),
            DType::Int16 => $run::<t::Int16Type>($($argument),*),
            DType::Int32 => $run::<t::Int32Type>($($argument),*),
            DType::Int64 => $run::<t::Int64Type>($($argument),*),
            DType::UInt8 => $run::<t::UInt8Type>($($argument),*),
            DType::UInt16 => $run::<t::UInt16Type>($($argument),*),
            DType::UInt32 => $run::<t::UInt32Type>($($argument),*),
            DType::UInt64 => $run::<t::UInt64Type>($($argument),*),
            DType::Float32 => $run::<t::Float32Type>($($argument),*),
            DType::Float64 => $run::<t::Float64Type>($($argument),*),
            _ => $other,
        }
    };
}

/// The numbers of an array: its buffer itself, writable if nothing else holds it.
fn primitive_memory(values: ArrayRef, storage: &DType, lend: Lend) -> Memory {
    fn buffer<T: ArrowPrimitiveType>(values: &ArrayRef) -> Buffer {
        values.as_primitive::<T>().values().inner().clone()
    }
    let buffer = by_storage!(storage, buffer(&values), Buffer::from(Vec::<u8>::new()));
    // Whether the buffer is ours alone shows when the array's own hold on it is gone.
    drop(values);
    match buffer.into_mutable() {
        Ok(own) => Memory(Bytes::Own(own)),
        Err(shared) => Memory::lend(shared, lend),
    }
}

/// Label, dtype, values, mask, and the pandas object that owns the memory.
type Parts<'py> =
    (Bound<'py, PyAny>, String, Bound<'py, PyAny>, Option<Bound<'py, PyAny>>, Bound<'py, PyAny>);

fn column_from_py(parts: &Bound<'_, PyAny>, rows: usize) -> PyResult<Column> {
    let (label, name, values, mask, owner): Parts<'_> = parts.extract()?;
    let label = label_from_py(&label)?;
    let dtype =
        DType::from_name(&name).ok_or_else(|| PyTypeError::new_err(format!("no native dtype {name}")))?;
    let values: ArrayRef = if in_capsules(&dtype) {
        import_array(&values, &data_type(&storage(&dtype)))?
    } else {
        let nulls = match mask {
            Some(mask) => {
                let mask = PyBuffer::<u8>::get(&mask)?;
                let missing = mask.to_vec(parts.py())?;
                let valid = BooleanBuffer::from_iter(missing.iter().map(|&missing| missing == 0));
                Some(NullBuffer::new(valid)).filter(|nulls| nulls.null_count() > 0)
            }
            None => None,
        };
        let storage = storage(&dtype);
        if storage == DType::Bool {
            let bytes = PyBuffer::<u8>::get(&values)?.to_vec(parts.py())?;
            let mut bits = BooleanBufferBuilder::new(bytes.len());
            bytes.iter().for_each(|&byte| bits.append(byte != 0));
            Arc::new(BooleanArray::new(bits.finish(), nulls))
        } else {
            fn build<T: ArrowPrimitiveType>(
                buffer: Buffer,
                rows: usize,
                nulls: Option<NullBuffer>,
            ) -> ArrayRef {
                Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::new(buffer, 0, rows), nulls))
            }
            let buffer = borrow(&values, owner)?;
            let width = data_type(&storage).primitive_width().unwrap_or(1);
            if buffer.len() != rows * width {
                return Err(PyValueError::new_err(format!(
                    "column {label} holds {} bytes, expected {}",
                    buffer.len(),
                    rows * width
                )));
            }
            by_storage!(
                storage,
                build(buffer, rows, nulls),
                return Err(PyTypeError::new_err(format!("no storage for {name}")))
            )
        }
    };
    if values.len() != rows {
        return Err(PyValueError::new_err(format!(
            "column {label} has {} rows, expected {rows}",
            values.len()
        )));
    }
    Ok(Column { label, dtype, values })
}

/// Memory that Python owns, and the pandas object that tells pandas of our reference to it.
struct Borrowed {
    _buffer: PyBuffer<u8>,
    _owner: Py<PyAny>,
}

/// Nothing is ever read through it: it only keeps memory alive.
impl std::panic::RefUnwindSafe for Borrowed {}

fn borrow(bytes: &Bound<'_, PyAny>, owner: Bound<'_, PyAny>) -> PyResult<Buffer> {
    let buffer = PyBuffer::<u8>::get(bytes)?;
    let length = buffer.len_bytes();
    if length == 0 {
        return Ok(Buffer::from(Vec::<u64>::new()));
    }
    if !buffer.is_c_contiguous() {
        return Err(PyBufferError::new_err("the memory of a column must be contiguous"));
    }
    let pointer = buffer.buf_ptr() as *mut u8;
    if !(pointer as usize).is_multiple_of(8) {
        // Arrow needs aligned numbers; arrays read out of the middle of a file may not be.
        let copy = MutableBuffer::from_iter(buffer.to_vec(bytes.py())?);
        return Ok(copy.into());
    }
    let pointer = NonNull::new(pointer).ok_or_else(|| PyBufferError::new_err("a column without memory"))?;
    let owner = Arc::new(Borrowed { _buffer: buffer, _owner: owner.unbind() });
    // SAFETY: the pointer is valid for `length` bytes as long as the Python buffer is held,
    // which `owner` does; pandas copies before it writes, because it sees `_owner`.
    Ok(unsafe { Buffer::from_custom_allocation(pointer, length, owner) })
}

// ---------------------------------------------------------------------------------------------
// Text, through the Arrow PyCapsule interface

/// An Arrow array that any Arrow library imports without a copy.
#[pyclass(frozen, module = "weft._weft")]
struct Capsules {
    array: ArrayRef,
}

const ARRAY: &CStr = c"arrow_array";
const SCHEMA: &CStr = c"arrow_schema";

#[pymethods]
impl Capsules {
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema; // A request, not a demand: the consumer casts.
        let (array, schema) =
            to_ffi(&self.array.to_data()).map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok((PyCapsule::new_with_value(py, schema, SCHEMA)?, PyCapsule::new_with_value(py, array, ARRAY)?))
    }
}

fn import_array(exporter: &Bound<'_, PyAny>, expected: &DataType) -> PyResult<ArrayRef> {
    let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) =
        exporter.call_method0("__arrow_c_array__")?.extract()?;
    let schema = schema.pointer_checked(Some(SCHEMA))?.as_ptr() as *mut FFI_ArrowSchema;
    let array = array.pointer_checked(Some(ARRAY))?.as_ptr() as *mut FFI_ArrowArray;
    // SAFETY: capsules of these names hold these structures; `from_raw` moves the array out and
    // marks the capsule's as released, so that only we release it.
    let data = unsafe { from_ffi(FFI_ArrowArray::from_raw(array), &*schema) };
    let array = make_array(data.map_err(|e| PyValueError::new_err(e.to_string()))?);
    if array.data_type() != expected {
        let found = array.data_type();
        return Err(PyTypeError::new_err(format!("a column must come as {expected}, not {found}")));
    }
    Ok(array)
}

// ---------------------------------------------------------------------------------------------
// Memory that Python sees through the buffer protocol

#[pyclass(frozen, module = "weft._weft")]
struct Memory(Bytes);

enum Bytes {
    /// Ours alone: the receiver may write.
    Own(MutableBuffer),
    Shared(Buffer),
}

impl Memory {
    fn owned(bytes: Vec<u8>) -> Self {
        Memory(Bytes::Own(MutableBuffer::from(bytes)))
    }

    fn lend(buffer: Buffer, lend: Lend) -> Self {
        match lend {
            Lend::ReadOnly => Memory(Bytes::Shared(buffer)),
            Lend::Writable => {
                let mut own = MutableBuffer::new(buffer.len());
                own.extend_from_slice(&buffer);
                Memory(Bytes::Own(own))
            }
        }
    }
}

#[pymethods]
impl Memory {
    /// # Safety
    /// Called by Python with a view to fill, or null.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        let (pointer, length, read_only) = match &slf.get().0 {
            Bytes::Own(buffer) => (buffer.as_ptr(), buffer.len(), false),
            Bytes::Shared(buffer) => (buffer.as_ptr(), buffer.len(), true),
        };
        // SAFETY: `view` is valid; the memory lives as long as `slf`, whose reference count the
        // call raises. It fails, with an exception set, if a writable view of shared memory is asked for.
        let status = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                pointer as *mut c_void,
                length as isize,
                read_only as c_int,
                flags,
            )
        };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

// ---------------------------------------------------------------------------------------------
// Storage

/// Whether columns of a dtype cross as Arrow arrays, not as numbers and a mask.
fn in_capsules(dtype: &DType) -> bool {
    matches!(storage(dtype), DType::Str | DType::Arrow(_))
}

/// The numbers that a dtype is stored as.
fn storage(dtype: &DType) -> DType {
    match dtype {
        DType::Datetime { .. } | DType::Timedelta(_) => DType::Int64,
        DType::Nullable(inner) => storage(inner),
        other => other.clone(),
    }
}

fn data_type(storage: &DType) -> DataType {
    match storage {
        DType::Bool => DataType::Boolean,
        DType::Int8 => DataType::Int8,
        DType::Int16 => DataType::Int16,
        DType::Int32 => DataType::Int32,
        DType::UInt8 => DataType::UInt8,
        DType::UInt16 => DataType::UInt16,
        DType::UInt32 => DataType::UInt32,
        DType::UInt64 => DataType::UInt64,
        DType::Float32 => DataType::Float32,
        DType::Float64 => DataType::Float64,
        DType::Str => DataType::LargeUtf8,
        DType::Arrow(ArrowType::Bool) => DataType::Boolean,
        DType::Arrow(ArrowType::Double) => DataType::Float64,
        DType::Arrow(ArrowType::Date) => DataType::Date32,
        DType::Arrow(ArrowType::Decimal { precision, scale }) => DataType::Decimal128(*precision, *scale),
        _ => DataType::Int64,
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyFrame>()
}
