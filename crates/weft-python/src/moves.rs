//! Expressions that move rows between partitions: shuffles, sorts, joins.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use weft_data::DType;
use weft_frame::{By, Expr, How, JoinColumn, JoinSpec, KeyRef, Side, SortBy};

use crate::frame::{FrameExpr, label_from_py, unsupported, wrap};

/// A column's label; None is the index.
type PyKey<'py> = Option<Bound<'py, PyAny>>;

fn key_from_py(key: &PyKey<'_>) -> PyResult<KeyRef> {
    match key {
        Some(label) => Ok(KeyRef::Column(label_from_py(label)?)),
        None => Ok(KeyRef::Index(0)),
    }
}

/// ``[(key, ascending), …]``.
fn keys_from_py(keys: &[(PyKey<'_>, bool)], missing_first: bool) -> PyResult<Vec<SortBy>> {
    keys.iter()
        .map(|(key, ascending)| Ok(SortBy { key: key_from_py(key)?, ascending: *ascending, missing_first }))
        .collect()
}

fn dtype_from_py(name: &str) -> PyResult<DType> {
    DType::from_name(name).ok_or_else(|| unsupported(format!("the dtype {name}")))
}

/// Rows with equal keys in the same partition. `keys`: ``[(label, None for the index; dtype name as which
/// it is hashed, or None), …]``.
#[pyfunction]
#[pyo3(signature = (expr, keys, npartitions, *, keep_index=true))]
fn frame_shuffle(
    expr: &FrameExpr,
    keys: Vec<(PyKey<'_>, Option<String>)>,
    npartitions: u32,
    keep_index: bool,
) -> PyResult<FrameExpr> {
    let keys = keys
        .iter()
        .map(|(key, dtype)| Ok((key_from_py(key)?, dtype.as_deref().map(dtype_from_py).transpose()?)))
        .collect::<PyResult<_>>()?;
    wrap(expr.expr.shuffle(By::Hash(keys), npartitions, keep_index))
}

/// Rows in the partition whose number is in the column `label`.
#[pyfunction]
#[pyo3(signature = (expr, label, npartitions, *, keep_index=true))]
fn frame_scatter(
    expr: &FrameExpr,
    label: Bound<'_, PyAny>,
    npartitions: u32,
    keep_index: bool,
) -> PyResult<FrameExpr> {
    let by = By::Number(KeyRef::Column(label_from_py(&label)?));
    wrap(expr.expr.shuffle(by, npartitions, keep_index))
}

/// Partitions in order of keys, cut at the rows of `boundaries` (a table of one partition).
#[pyfunction]
#[pyo3(signature = (expr, keys, boundaries, npartitions, *, missing_first=false, keep_index=true))]
fn frame_range(
    expr: &FrameExpr,
    keys: Vec<(PyKey<'_>, bool)>,
    boundaries: &FrameExpr,
    npartitions: u32,
    missing_first: bool,
    keep_index: bool,
) -> PyResult<FrameExpr> {
    let by = By::Range { keys: keys_from_py(&keys, missing_first)?, boundaries: boundaries.expr.clone() };
    wrap(expr.expr.shuffle(by, npartitions, keep_index))
}

/// The boundaries of `n` partitions of about the same size: a table of one partition with columns 0, 1, …;
/// `ends`: with the smallest and the largest key.
#[pyfunction]
#[pyo3(signature = (expr, keys, dtypes, n, *, ends=false, missing_first=false))]
fn frame_boundaries(
    expr: &FrameExpr,
    keys: Vec<(PyKey<'_>, bool)>,
    dtypes: Vec<String>,
    n: u32,
    ends: bool,
    missing_first: bool,
) -> PyResult<FrameExpr> {
    let dtypes = dtypes.iter().map(|name| dtype_from_py(name)).collect::<PyResult<_>>()?;
    wrap(expr.expr.boundaries(keys_from_py(&keys, missing_first)?, dtypes, n, ends))
}

/// The rows of each partition in order of keys.
#[pyfunction]
#[pyo3(signature = (expr, keys, *, missing_first=false, keep_index=true))]
fn frame_sort(
    expr: &FrameExpr,
    keys: Vec<(PyKey<'_>, bool)>,
    missing_first: bool,
    keep_index: bool,
) -> PyResult<FrameExpr> {
    wrap(expr.expr.sort_rows(keys_from_py(&keys, missing_first)?, keep_index))
}

/// A column as the index called `name`.
#[pyfunction]
#[pyo3(signature = (expr, label, name, *, drop=true))]
fn frame_set_index(
    expr: &FrameExpr,
    label: Bound<'_, PyAny>,
    name: Option<Bound<'_, PyAny>>,
    drop: bool,
) -> PyResult<FrameExpr> {
    let name = name.as_ref().map(label_from_py).transpose()?;
    wrap(expr.expr.set_index(label_from_py(&label)?, name, drop))
}

/// Joins partitions one by one.
///
/// `columns` is ``[(label, side, label in its table), …]`` with the side ``"left"``, ``"right"`` or the number
/// of a key; `index` is ``(name,)`` if the keys become the index.
#[pyfunction]
#[pyo3(signature = (left, right, how, left_on, right_on, columns, index=None))]
fn frame_join(
    left: &FrameExpr,
    right: &FrameExpr,
    how: &str,
    left_on: Vec<PyKey<'_>>,
    right_on: Vec<PyKey<'_>>,
    columns: Vec<(Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>)>,
    index: Option<(PyKey<'_>,)>,
) -> PyResult<FrameExpr> {
    let columns = columns
        .iter()
        .map(|(label, side, source)| {
            let side = match side.extract::<usize>() {
                Ok(key) if key < left_on.len() => Side::Key(key),
                Ok(key) => return Err(PyValueError::new_err(format!("there is no key {key}"))),
                Err(_) => match side.extract::<String>()?.as_str() {
                    "left" => Side::Left,
                    "right" => Side::Right,
                    other => return Err(PyValueError::new_err(format!("there is no side {other:?}"))),
                },
            };
            Ok(JoinColumn { label: label_from_py(label)?, side, source: label_from_py(source)? })
        })
        .collect::<PyResult<_>>()?;
    let spec = JoinSpec {
        how: How::from_name(how).ok_or_else(|| unsupported(format!("how={how:?}")))?,
        left: left_on.iter().map(key_from_py).collect::<PyResult<_>>()?,
        right: right_on.iter().map(key_from_py).collect::<PyResult<_>>()?,
        columns,
        index: match index {
            None => None,
            Some((name,)) => Some(name.as_ref().map(label_from_py).transpose()?),
        },
    };
    wrap(Expr::join(&left.expr, &right.expr, spec))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(frame_shuffle, module)?)?;
    module.add_function(wrap_pyfunction!(frame_scatter, module)?)?;
    module.add_function(wrap_pyfunction!(frame_range, module)?)?;
    module.add_function(wrap_pyfunction!(frame_boundaries, module)?)?;
    module.add_function(wrap_pyfunction!(frame_sort, module)?)?;
    module.add_function(wrap_pyfunction!(frame_set_index, module)?)?;
    module.add_function(wrap_pyfunction!(frame_join, module)?)
}
