//! Chunks and numbers across the border to Python.

use pyo3::exceptions::{PyNotImplementedError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyTuple};
use weft_array::kernel::{Num, Scalar};
use weft_array::plan::{self, Bounds, Sizes};
use weft_array::{AxisChunks, Chunks, Meta};

/// Tuples of ints, NaN where an extent is unknown.
pub(crate) fn chunks_from_py(chunks: &Bound<'_, PyAny>) -> PyResult<Chunks> {
    let mut axes = Vec::new();
    for axis in chunks.try_iter()? {
        axes.push(axis_from_py(&axis?)?);
    }
    Ok(Chunks::new(axes))
}

pub(crate) fn axis_from_py(axis: &Bound<'_, PyAny>) -> PyResult<AxisChunks> {
    let mut sizes: Vec<weft_array::Size> = Vec::with_capacity(axis.len().unwrap_or(0));
    let mut last: Option<Bound<'_, PyAny>> = None;
    for size in axis.try_iter()? {
        let size = size?;
        // Neighbours are mostly one object.
        if let (Some(known), Some(&n)) = (&last, sizes.last())
            && known.is(&size)
        {
            sizes.push(n);
            continue;
        }
        last = Some(size.clone());
        sizes.push(match size.extract::<usize>() {
            Ok(n) => Some(n),
            Err(_) => match size.extract::<f64>() {
                Ok(n) if n.is_nan() => None,
                Ok(n) if n >= 0.0 && n.fract() == 0.0 => Some(n as usize),
                _ => {
                    return Err(PyValueError::new_err(format!(
                        "the extent of a block must be an integer or nan, not {}",
                        size.repr()?
                    )));
                }
            },
        });
    }
    Ok(AxisChunks::new(sizes))
}

pub(crate) fn chunks_to_py<'py>(py: Python<'py>, chunks: &Chunks) -> PyResult<Bound<'py, PyTuple>> {
    let axes = chunks.axes().iter().map(|axis| axis_to_py(py, axis)).collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(py, axes)
}

pub(crate) fn axis_to_py<'py>(py: Python<'py>, axis: &AxisChunks) -> PyResult<Bound<'py, PyTuple>> {
    let mut last: Option<(weft_array::Size, Bound<'py, PyAny>)> = None;
    let sizes = axis.sizes().iter().map(|&size| match &last {
        // Neighbours are mostly equal: one object for all of them.
        Some((known, object)) if *known == size => Ok(object.clone()),
        _ => {
            let object = size_to_py(py, size)?;
            last = Some((size, object.clone()));
            Ok(object)
        }
    });
    PyTuple::new(py, sizes.collect::<PyResult<Vec<_>>>()?)
}

pub(crate) fn size_to_py(py: Python<'_>, size: weft_array::Size) -> PyResult<Bound<'_, PyAny>> {
    // NumPy's own NaN: tuples that hold the same object are equal.
    static NAN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    match size {
        Some(n) => Ok(PyInt::new(py, n).into_any()),
        None => Ok(NAN.import(py, "numpy", "nan")?.clone().into_any()),
    }
}

pub(crate) fn meta(chunks: &Bound<'_, PyAny>, dtype: &str, plain: bool) -> PyResult<Meta> {
    Ok(Meta { chunks: chunks_from_py(chunks)?, dtype: dtype.into(), plain })
}

pub(crate) fn num(dtype: &str) -> PyResult<Num> {
    Num::from_name(dtype)
        .ok_or_else(|| PyNotImplementedError::new_err(format!("no kernel computes with {dtype}")))
}

/// A Python or NumPy number.
pub(crate) fn scalar(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    if let Ok(value) = object.cast_exact::<PyBool>() {
        return Ok(Scalar::Bool(value.is_true()));
    }
    if object.is_instance_of::<PyInt>() {
        return object.extract().map(Scalar::Int).map_err(|_| {
            PyNotImplementedError::new_err(format!("no kernel computes with a number as large as {object}"))
        });
    }
    if object.is_instance_of::<PyFloat>() {
        return object.extract().map(Scalar::Float);
    }
    // NumPy's scalars become Python's.
    if object.get_type().module()?.to_cow()? == "numpy" && object.hasattr("item")? {
        let item = object.call_method0("item")?;
        if item.is_instance_of::<PyBool>()
            || item.is_instance_of::<PyInt>()
            || item.is_instance_of::<PyFloat>()
        {
            return scalar(&item);
        }
    }
    let class = object.get_type().name()?;
    Err(PyNotImplementedError::new_err(format!("no kernel computes with a {class}")))
}

/// Chunks as tuples of ints (NaN where an extent is unknown), and what they add up to along each axis (None:
/// unknown). Raises `ValueError` for what is no extent.
#[pyfunction]
fn array_settle_chunks<'py>(
    py: Python<'py>,
    chunks: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyTuple>, Vec<weft_array::Size>)> {
    let chunks = chunks_from_py(chunks)?;
    Ok((chunks_to_py(py, &chunks)?, chunks.shape()))
}

/// What steps a rechunk takes: the chunks after each. Extents are known.
#[pyfunction]
fn array_plan_rechunk(
    old: Vec<Sizes>,
    new: Vec<Sizes>,
    itemsize: usize,
    threshold: usize,
    limit: usize,
) -> Vec<Vec<Sizes>> {
    plan::plan(&old, &new, Bounds { threshold, elements: limit / itemsize.max(1), piece: usize::MAX })
}

/// Blocks joined towards `new`, while none has more than `limit` elements; and whether one would have had.
#[pyfunction]
fn array_join_chunks(old: Vec<Sizes>, new: Vec<Sizes>, limit: usize) -> (Vec<Sizes>, bool) {
    plan::join(&old, &new, limit)
}

/// Blocks split towards `new`, while the pieces of a step to `new` stay below `most`.
#[pyfunction]
fn array_split_chunks(old: Vec<Sizes>, new: Vec<Sizes>, most: usize) -> Vec<Sizes> {
    plan::split(&old, &new, most)
}

/// Blocks divided into as few as are at most `width` wide.
#[pyfunction]
fn array_divide_chunks(sizes: Sizes, width: usize) -> Sizes {
    plan::divide(&sizes, width)
}

/// Neighbours joined until there are at most `number`.
#[pyfunction]
fn array_merge_chunks(sizes: Sizes, number: usize) -> Sizes {
    plan::merge(&sizes, number)
}

/// How many pieces a step from `old` to `new` moves.
#[pyfunction]
fn array_count_pieces(old: Vec<Sizes>, new: Vec<Sizes>) -> usize {
    plan::pieces(&old, &new)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(array_settle_chunks, module)?)?;
    module.add_function(wrap_pyfunction!(array_plan_rechunk, module)?)?;
    module.add_function(wrap_pyfunction!(array_join_chunks, module)?)?;
    module.add_function(wrap_pyfunction!(array_split_chunks, module)?)?;
    module.add_function(wrap_pyfunction!(array_divide_chunks, module)?)?;
    module.add_function(wrap_pyfunction!(array_merge_chunks, module)?)?;
    module.add_function(wrap_pyfunction!(array_count_pieces, module)?)
}
