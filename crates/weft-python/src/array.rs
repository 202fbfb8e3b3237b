//! `ArrayExpr`: the handle that Python's arrays hold beside their NumPy meta.
//!
//! A method gives a new handle, or raises `NotImplementedError`: no native kernel gives exactly
//! NumPy's result, and the face makes a host step ([`ArrayExpr::host`]) of it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyKeyError, PyNotImplementedError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString, PyTuple};
use weft_array::kernel::reduce::Reduction;
use weft_array::kernel::{Num, Scalar, Ufunc};
use weft_array::{
    ArrayError, AxisChunks, Chunks, Expr, HostReads, HostStep, Lowered, Meta, Op, Operand, Pick, Run,
    SelectAxis, Selection, Tasks, lower,
};
use weft_data::{Lane, TaskError, Value, Work};
use weft_graph::{Axis, Key};

use crate::graph::Graph;
use crate::key::key_to_py;
use crate::ndarray;
use crate::task::{PyValue, host_error, value_to_py};

/// An expression over arrays: immutable, shared, named by its content.
///
/// Two handles are equal when they describe the same array, cut the same way.
#[pyclass(frozen, name = "ArrayExpr", module = "weft._weft")]
pub(crate) struct ArrayExpr {
    pub(crate) expr: Expr,
    /// As Python shows them, once somebody has asked.
    chunks: PyOnceLock<Py<PyTuple>>,
}

impl From<Expr> for ArrayExpr {
    fn from(expr: Expr) -> Self {
        ArrayExpr { expr, chunks: PyOnceLock::new() }
    }
}

pub(crate) fn raise(error: ArrayError) -> PyErr {
    match error {
        ArrayError::Unsupported(what) => PyNotImplementedError::new_err(what),
        ArrayError::Invalid(message) => PyValueError::new_err(message),
        ArrayError::Index(message) => PyIndexError::new_err(message),
    }
}

pub(crate) fn wrap(expr: Result<Expr, ArrayError>) -> PyResult<ArrayExpr> {
    expr.map(ArrayExpr::from).map_err(raise)
}

// ---------------------------------------------------------------------------------------------
// Chunks

/// Tuples of ints, NaN where an extent is unknown.
pub(crate) fn chunks_from_py(chunks: &Bound<'_, PyAny>) -> PyResult<Chunks> {
    let mut axes = Vec::new();
    for axis in chunks.try_iter()? {
        axes.push(axis_from_py(&axis?)?);
    }
    Ok(Chunks::new(axes))
}

pub(crate) fn axis_from_py(axis: &Bound<'_, PyAny>) -> PyResult<AxisChunks> {
    let mut sizes = Vec::with_capacity(axis.len().unwrap_or(0));
    for size in axis.try_iter()? {
        let size = size?;
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

fn axis_to_py<'py>(py: Python<'py>, axis: &AxisChunks) -> PyResult<Bound<'py, PyTuple>> {
    let mut last: Option<(weft_array::Size, Bound<'py, PyAny>)> = None;
    let sizes = axis.sizes().iter().map(|&size| match &last {
        // Neighbours are mostly equal: one object for all of them.
        Some((known, object)) if *known == size => object.clone(),
        _ => {
            let object = size_to_py(py, size);
            last = Some((size, object.clone()));
            object
        }
    });
    PyTuple::new(py, sizes.collect::<Vec<_>>())
}

fn size_to_py(py: Python<'_>, size: weft_array::Size) -> Bound<'_, PyAny> {
    match size {
        Some(n) => PyInt::new(py, n).into_any(),
        None => PyFloat::new(py, f64::NAN).into_any(),
    }
}

fn meta(chunks: &Bound<'_, PyAny>, dtype: &str, plain: bool) -> PyResult<Meta> {
    Ok(Meta { chunks: chunks_from_py(chunks)?, dtype: dtype.into(), plain })
}

// ---------------------------------------------------------------------------------------------
// Steps of Python

/// An argument of a step's function.
enum Argument {
    /// The next block that the task reads.
    Block,
    /// The next blocks, as nested lists: one level for each axis that the task reads more than one
    /// position of.
    Blocks(Vec<Extent>),
    Constant(Py<PyAny>),
}

/// How many positions a task reads along one axis of an operand.
enum Extent {
    All(u32),
    Group { own: u32, size: u32, of: u32 },
}

/// `function(*arguments)`, with the block's position first if `numbered`.
struct PyStep {
    function: Py<PyAny>,
    name: String,
    /// `None`: all blocks that the task reads, one after the other.
    arguments: Option<Vec<Argument>>,
    grid: Vec<u32>,
    numbered: bool,
}

impl fmt::Debug for PyStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PyStep({})", self.name)
    }
}

impl PyStep {
    fn position(&self, index: u32) -> Vec<u32> {
        let mut rest = index;
        let mut position = vec![0; self.grid.len()];
        for (at, &n) in position.iter_mut().zip(&self.grid).rev() {
            *at = rest % n;
            rest /= n;
        }
        position
    }

    fn call<'py>(&self, py: Python<'py>, index: u32, inputs: &mut [Value]) -> PyResult<Bound<'py, PyAny>> {
        let position = self.position(index);
        let mut args = Vec::with_capacity(inputs.len() + 1);
        if self.numbered {
            args.push(PyTuple::new(py, &position)?.into_any());
        }
        let mut blocks = inputs.iter_mut().map(|input| {
            // Taken out, so that memory that nobody else looks at goes with the object.
            let value = std::mem::replace(input, Value::Bytes(Arc::new([])));
            value_to_py(py, &value)
        });
        let mut next = || {
            let missing = || PyValueError::new_err(format!("{} got too few blocks", self.name));
            blocks.next().unwrap_or_else(|| Err(missing()))
        };
        match &self.arguments {
            None => {
                for block in blocks {
                    args.push(block?);
                }
            }
            Some(arguments) => {
                for argument in arguments {
                    args.push(match argument {
                        Argument::Block => next()?,
                        Argument::Blocks(extents) => {
                            let counts: Vec<u32> = extents
                                .iter()
                                .map(|extent| match *extent {
                                    Extent::All(n) => n,
                                    Extent::Group { own, size, of } => {
                                        size.min(of.saturating_sub(position[own as usize] * size))
                                    }
                                })
                                .collect();
                            nested(py, &counts, &mut next)?
                        }
                        Argument::Constant(object) => object.bind(py).clone(),
                    });
                }
            }
        }
        self.function.bind(py).call1(PyTuple::new(py, args)?)
    }
}

fn nested<'py>(
    py: Python<'py>,
    counts: &[u32],
    next: &mut dyn FnMut() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some((&n, inner)) = counts.split_first() else { return next() };
    let list = PyList::empty(py);
    for _ in 0..n {
        list.append(nested(py, inner, next)?)?;
    }
    Ok(list.into_any())
}

impl Work for PyStep {
    fn lane(&self) -> Lane {
        Lane::Host
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Python::attach(|py| self.call(py, index, inputs).map(|block| PyValue::value(block.unbind())))
            .map_err(host_error)
    }
}

/// How a block's position gives positions along an axis of an operand: an int (the output axis), None
/// (all), ``("at", i)``, ``("group", axis, size)``, ``("along", axis, offset)``.
fn axis_rule(rule: &Bound<'_, PyAny>, of: u32, grid: &[u32]) -> PyResult<Axis> {
    let known = |own: u32| match grid.get(own as usize) {
        Some(&n) => Ok(n),
        None => {
            Err(PyValueError::new_err(format!("there is no axis {own} among {} output axes", grid.len())))
        }
    };
    if rule.is_none() {
        return Ok(Axis::All);
    }
    if let Ok(own) = rule.extract::<u32>() {
        let n = known(own)?;
        return match of {
            1 if n != 1 => Ok(Axis::At(0)),
            _ if of == n => Ok(Axis::Along { own, offset: 0 }),
            _ => Err(PyValueError::new_err(format!(
                "an operand has {of} blocks along an axis on which the result has {n}"
            ))),
        };
    }
    let parts = rule.cast::<PyTuple>()?;
    let kind: String = parts.get_item(0)?.extract()?;
    let number = |i: usize| parts.get_item(i)?.extract::<u32>();
    match kind.as_str() {
        "at" => Ok(Axis::At(number(1)?)),
        "group" => Ok(Axis::Group { own: number(1)?, size: number(2)? }),
        "along" => Ok(Axis::Along { own: number(1)?, offset: parts.get_item(2)?.extract()? }),
        other => Err(PyValueError::new_err(format!("an axis is 'at', 'group' or 'along', not {other:?}"))),
    }
}

// ---------------------------------------------------------------------------------------------
// Lowering

/// One graph for several expressions, which share what they have in common, and the keys of each as
/// nested lists.
#[pyfunction]
fn array_lower_many<'py>(
    py: Python<'py>,
    exprs: Vec<PyRef<'py, ArrayExpr>>,
) -> PyResult<(Graph, Vec<Bound<'py, PyAny>>)> {
    let exprs: Vec<Expr> = exprs.iter().map(|handle| handle.expr.clone()).collect();
    let lowered = py.detach(|| lower(&exprs)).map_err(raise)?;
    let graph = Graph::new(lowered.iter().flat_map(Lowered::layers).collect());
    let keys = exprs.iter().map(|expr| nested_keys(py, expr)).collect::<PyResult<_>>()?;
    Ok((graph, keys))
}

fn nested_keys<'py>(py: Python<'py>, expr: &Expr) -> PyResult<Bound<'py, PyAny>> {
    let mut index = 0;
    let counts = expr.chunks().numblocks();
    let name = PyString::new(py, expr.name());
    // Small ints are shared objects; a key is then one tuple.
    let longest = counts.iter().copied().max().unwrap_or(0);
    let numbers: Vec<Bound<'py, PyInt>> = (0..longest).map(|i| PyInt::new(py, i)).collect();
    let mut next = || -> PyResult<Bound<'py, PyAny>> {
        let key = match expr.op() {
            Op::Tasks(tasks) => {
                let (layer, task) = &tasks.blocks[index as usize];
                key_to_py(py, &layer.key(*task))?
            }
            _ => {
                let position = expr.chunks().position(index);
                let parts = std::iter::once(name.clone().into_any())
                    .chain(position.iter().map(|&i| numbers[i as usize].clone().into_any()));
                PyTuple::new(py, parts.collect::<Vec<_>>())?.into_any()
            }
        };
        index += 1;
        Ok(key)
    };
    if counts.is_empty() {
        let list = PyList::empty(py);
        list.append(next()?)?;
        return Ok(list.into_any());
    }
    nested(py, &counts, &mut next)
}

/// For each new block, its pieces: (block, what of it).
type PyBlocks<'py> = Vec<Vec<(u32, Bound<'py, PyAny>)>>;

#[pymethods]
impl ArrayExpr {
    /// Blocks at hand.
    ///
    /// Parameters
    /// ----------
    /// blocks : list of numpy.ndarray
    ///     Row by row. Their memory is borrowed, not copied.
    /// chunks : tuple of tuple
    /// dtype : str
    /// token : str
    ///     Identifies the blocks.
    /// name : str
    ///     What keys start with; all of it with `exact`.
    /// plain : bool
    ///     The blocks are NumPy arrays without objects, which kernels can read; otherwise they stay
    ///     Python objects.
    #[staticmethod]
    #[pyo3(signature = (blocks, chunks, dtype, *, token, name, exact=false, plain=true))]
    fn blocks(
        blocks: Vec<Bound<'_, PyAny>>,
        chunks: &Bound<'_, PyAny>,
        dtype: &str,
        token: &str,
        name: &str,
        exact: bool,
        plain: bool,
    ) -> PyResult<Self> {
        let value = |block: &Bound<'_, PyAny>| {
            if plain {
                ndarray::from_numpy(block).map(|array| Value::Array(Arc::new(array)))
            } else {
                Ok(PyValue::value(block.clone().unbind()))
            }
        };
        let values = blocks.iter().map(value).collect::<PyResult<Vec<_>>>()?;
        wrap(Expr::blocks(values, weft_array::digest(token), meta(chunks, dtype, plain)?, name, exact))
    }

    /// One NumPy array, cut into blocks that share its memory.
    #[staticmethod]
    #[pyo3(signature = (array, chunks, dtype, *, token, name, exact=false))]
    fn buffer(
        array: &Bound<'_, PyAny>,
        chunks: &Bound<'_, PyAny>,
        dtype: &str,
        token: &str,
        name: &str,
        exact: bool,
    ) -> PyResult<Self> {
        let array = ndarray::from_numpy(array)?;
        let meta = meta(chunks, dtype, true)?;
        wrap(Expr::buffer(&array, weft_array::digest(token), meta, name, exact))
    }

    /// Blocks that tasks of a graph make: those with the keys ``(name, i, j, …)``, or `keys` (row by row).
    ///
    /// Raises `KeyError` if the graph lacks one of them.
    #[staticmethod]
    #[pyo3(signature = (graph, name, chunks, dtype, *, token, keys=None, plain=true))]
    fn tasks(
        graph: &Bound<'_, Graph>,
        name: &str,
        chunks: &Bound<'_, PyAny>,
        dtype: &str,
        token: &str,
        keys: Option<Vec<Bound<'_, PyAny>>>,
        plain: bool,
    ) -> PyResult<Self> {
        let meta = meta(chunks, dtype, plain)?;
        let count = meta.chunks.count().unwrap_or(u32::MAX);
        let graph = graph.get();
        let find = |key: &Key| {
            graph.find(key).ok_or_else(|| PyKeyError::new_err(format!("{key} is not in the graph")))
        };
        let blocks = match keys {
            Some(keys) if keys.len() != count as usize => {
                return Err(PyValueError::new_err(format!(
                    "{} keys were given for {count} blocks",
                    keys.len()
                )));
            }
            Some(keys) => {
                keys.iter().map(|key| find(&crate::key::key_from_py(key)?)).collect::<PyResult<Vec<_>>>()?
            }
            None => (0..count)
                .map(|i| {
                    let mut parts = vec![Key::from(name)];
                    parts.extend(meta.chunks.position(i).into_iter().map(|i| Key::Int(i as i64)));
                    find(&Key::Tuple(parts.into()))
                })
                .collect::<PyResult<Vec<_>>>()?,
        };
        let tasks = Tasks { graph: graph.layers().to_vec(), blocks: blocks.into() };
        wrap(Expr::tasks(tasks, weft_array::digest(token), meta, name))
    }

    /// What a Python function makes of blocks: `blockwise`, `map_blocks`, a level of a tree, a source.
    ///
    /// Parameters
    /// ----------
    /// function : callable
    ///     ``function(*arguments)``; with `numbered` the block's position (a tuple) comes first.
    /// operands : list of (ArrayExpr, tuple) or (object, None)
    ///     Arrays with one rule for each of their axes, which says what a block reads along it: an int
    ///     (the block at the same position as along that axis of the result, or the only one),
    ///     None (all), ``("at", i)``, ``("group", axis, size)`` (positions ``size * i`` and on),
    ///     ``("along", axis, offset)``. Axes with None or a group make nested lists. Other objects
    ///     are passed as they are.
    /// chunks, dtype
    ///     Of the result.
    /// token : str
    ///     Identifies function and constants.
    /// name : str
    ///     What keys start with; all of it with `exact`.
    /// plain : bool
    ///     The function gives NumPy arrays without objects, which native steps can read.
    /// fallback : bool
    ///     It stands for an operation without a kernel; otherwise it is the user's function, or a source.
    #[staticmethod]
    #[pyo3(signature = (function, operands, chunks, dtype, *, token, name, exact=false, plain=true, numbered=false, fallback=true, label=None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of a Python call")]
    fn host(
        function: Py<PyAny>,
        operands: Vec<(Bound<'_, PyAny>, Option<Bound<'_, PyTuple>>)>,
        chunks: &Bound<'_, PyAny>,
        dtype: &str,
        token: &str,
        name: &str,
        exact: bool,
        plain: bool,
        numbered: bool,
        fallback: bool,
        label: Option<String>,
    ) -> PyResult<Self> {
        let meta = meta(chunks, dtype, plain)?;
        let grid = meta.chunks.numblocks();
        let mut inputs: Vec<Expr> = Vec::new();
        let mut reads = Vec::new();
        let mut arguments = Vec::with_capacity(operands.len());
        for (object, rules) in &operands {
            let Some(rules) = rules else {
                arguments.push(Argument::Constant(object.clone().unbind()));
                continue;
            };
            let expr = &object.cast::<ArrayExpr>()?.get().expr;
            let theirs = expr.chunks().numblocks();
            if rules.len() != theirs.len() {
                return Err(PyValueError::new_err(format!(
                    "{} rules were given for the {} axes of {}",
                    rules.len(),
                    theirs.len(),
                    expr.name()
                )));
            }
            let axes = rules
                .iter()
                .zip(&theirs)
                .map(|(rule, &of)| axis_rule(&rule, of, &grid))
                .collect::<PyResult<Vec<_>>>()?;
            let extents: Vec<Extent> = axes
                .iter()
                .zip(&theirs)
                .filter_map(|(axis, &of)| match *axis {
                    Axis::All => Some(Extent::All(of)),
                    Axis::Group { own, size } => Some(Extent::Group { own, size, of }),
                    _ => None,
                })
                .collect();
            let input = inputs.iter().position(|known| known == expr).unwrap_or_else(|| {
                inputs.push(expr.clone());
                inputs.len() - 1
            });
            reads.push((input as u32, axes));
            arguments.push(if extents.is_empty() { Argument::Block } else { Argument::Blocks(extents) });
        }
        let label = label.unwrap_or_else(|| name.to_owned());
        let step = HostStep {
            token: weft_array::digest(token),
            work: Arc::new(PyStep { function, name: label, arguments: Some(arguments), grid, numbered }),
            reads: HostReads::Grid(reads),
            fallback,
        };
        wrap(Expr::host(step, inputs, meta, name, exact.then_some(name)))
    }

    /// What a Python function makes of listed blocks: indexing with arrays, reshaping, whatever
    /// follows no rule.
    ///
    /// Parameters
    /// ----------
    /// function : callable
    ///     ``function(*blocks)``; with `numbered` the block's position (a tuple) comes first.
    /// inputs : list of ArrayExpr
    /// reads : list of list of (int, int)
    ///     For each block, row by row, what it reads: (input, number of the block in it, row by row).
    /// chunks, dtype, token, name, exact, plain, numbered, fallback
    ///     As for `host`.
    #[staticmethod]
    #[pyo3(signature = (function, inputs, reads, chunks, dtype, *, token, name, exact=false, plain=true, numbered=false, fallback=true, label=None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of a Python call")]
    fn host_listed(
        function: Py<PyAny>,
        inputs: Vec<PyRef<'_, ArrayExpr>>,
        reads: Vec<Vec<(u32, u32)>>,
        chunks: &Bound<'_, PyAny>,
        dtype: &str,
        token: &str,
        name: &str,
        exact: bool,
        plain: bool,
        numbered: bool,
        fallback: bool,
        label: Option<String>,
    ) -> PyResult<Self> {
        let meta = meta(chunks, dtype, plain)?;
        let grid = meta.chunks.numblocks();
        if meta.chunks.count() != Some(reads.len() as u32) {
            return Err(PyValueError::new_err(format!(
                "reads of {} blocks were given for {grid:?} blocks",
                reads.len()
            )));
        }
        let mut starts = vec![0u32];
        let mut flat = Vec::new();
        for of_block in &reads {
            flat.extend_from_slice(of_block);
            starts.push(flat.len() as u32);
        }
        let label = label.unwrap_or_else(|| name.to_owned());
        let step = HostStep {
            token: weft_array::digest(token),
            work: Arc::new(PyStep { function, name: label, arguments: None, grid, numbered }),
            reads: HostReads::Explicit { starts: starts.into(), reads: flat.into() },
            fallback,
        };
        let inputs = inputs.iter().map(|input| input.expr.clone()).collect();
        wrap(Expr::host(step, inputs, meta, name, exact.then_some(name)))
    }

    /// One number everywhere: `ones`, `zeros`, `full`. It costs no memory until somebody looks at a block.
    #[staticmethod]
    #[pyo3(signature = (value, chunks, dtype, *, name="full"))]
    fn fill(value: &Bound<'_, PyAny>, chunks: &Bound<'_, PyAny>, dtype: &str, name: &str) -> PyResult<Self> {
        wrap(Expr::fill(scalar(value)?, num(dtype)?, chunks_from_py(chunks)?, name))
    }

    /// ``start + step * i`` in blocks of the extents `chunks`: `arange`, `linspace`.
    #[staticmethod]
    #[pyo3(signature = (start, step, chunks, dtype, *, name="arange"))]
    fn iota(
        start: &Bound<'_, PyAny>,
        step: &Bound<'_, PyAny>,
        chunks: &Bound<'_, PyAny>,
        dtype: &str,
        name: &str,
    ) -> PyResult<Self> {
        wrap(Expr::iota(scalar(start)?, scalar(step)?, num(dtype)?, axis_from_py(chunks)?, name))
    }

    /// A ufunc of NumPy (also ``where``, ``clip``, ``astype``) of arrays that are cut alike and numbers.
    ///
    /// `loop_dtype` is the dtype that NumPy computes in (``ufunc.resolve_dtypes``), to which operands are
    /// converted; of ``astype`` the operand's own; `dtype` is the result's. Along an axis on which an operand has one
    /// element it is broadcast; otherwise chunks must be equal (`unify_chunks` first). Raises
    /// `NotImplementedError` without a kernel, `ValueError` for chunks that do not fit.
    #[staticmethod]
    fn elementwise(
        op: &str,
        operands: Vec<Bound<'_, PyAny>>,
        loop_dtype: &str,
        dtype: &str,
    ) -> PyResult<Self> {
        let Some(ufunc) = Ufunc::from_name(op) else {
            return Err(PyNotImplementedError::new_err(format!("no kernel for {op}")));
        };
        let operands = operands
            .iter()
            .map(|operand| match operand.cast::<ArrayExpr>() {
                Ok(handle) => Ok(Operand::Array(handle.get().expr.clone())),
                Err(_) => scalar(operand).map(Operand::Scalar),
            })
            .collect::<PyResult<_>>()?;
        wrap(Expr::elementwise(ufunc, operands, num(loop_dtype)?, num(dtype)?))
    }

    /// The same numbers in another dtype, as NumPy's ``astype`` with ``casting="unsafe"``.
    fn astype(&self, dtype: &str) -> PyResult<Self> {
        let operand = Operand::Array(self.expr.clone());
        wrap(Expr::elementwise(Ufunc::Cast, vec![operand], num(self.expr.dtype())?, num(dtype)?))
    }

    /// ``sum``, ``prod``, ``min``, ``max``, ``any``, ``all``, ``count_nonzero``, ``mean``, ``var`` or ``std`` along
    /// `axes`, with `dtype` the result's (NumPy's rules: ``int64`` for sums of ``int32``). With `skip_nan` NaN
    /// counts as missing.
    #[pyo3(signature = (name, axes, dtype, *, keepdims=false, skip_nan=false, ddof=0))]
    fn reduce(
        &self,
        name: &str,
        axes: Vec<usize>,
        dtype: &str,
        keepdims: bool,
        skip_nan: bool,
        ddof: i64,
    ) -> PyResult<Self> {
        let Some(reduction) = Reduction::from_name(name) else {
            return Err(PyNotImplementedError::new_err(format!("no kernel for {name}")));
        };
        wrap(self.expr.reduce(reduction, &axes, keepdims, num(dtype)?, skip_nan, ddof))
    }

    /// Axis ``i`` of the result is axis ``order[i]``.
    fn transpose(&self, order: Vec<usize>) -> PyResult<Self> {
        wrap(self.expr.transpose(order))
    }

    /// The same elements in other blocks, in one step. Raises `ValueError` where unknown extents or sums
    /// do not allow it.
    fn rechunk(&self, chunks: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.expr.rechunk(chunks_from_py(chunks)?))
    }

    /// Arrays that are cut alike, one after the other along `axis`.
    #[staticmethod]
    fn concatenate(inputs: Vec<PyRef<'_, ArrayExpr>>, axis: usize) -> PyResult<Self> {
        wrap(Expr::concatenate(inputs.iter().map(|input| input.expr.clone()).collect(), axis))
    }

    /// Arrays that are cut alike, side by side along a new axis.
    #[staticmethod]
    fn stack(inputs: Vec<PyRef<'_, ArrayExpr>>, axis: usize) -> PyResult<Self> {
        wrap(Expr::stack(inputs.iter().map(|input| input.expr.clone()).collect(), axis))
    }

    /// Blocks made of pieces of this array's blocks: every kind of index that goes axis by axis.
    ///
    /// Parameters
    /// ----------
    /// axes : list
    ///     For each axis of the result: None (a new axis of extent one), or ``(axis, blocks)`` with a list
    ///     of pieces for each new block along it: a piece is ``(block, None)`` (all of that block),
    ///     ``(block, (start, step, n))`` or ``(block, array of positions in it)``.
    /// fixed : list of (int, int, int)
    ///     Axes that vanish: ``(axis, block, position in it)``.
    /// chunks : tuple of tuple
    ///     Of the result.
    #[pyo3(signature = (axes, fixed, chunks, *, name="getitem"))]
    fn select(
        &self,
        axes: Vec<Option<(usize, PyBlocks<'_>)>>,
        fixed: Vec<(usize, u32, usize)>,
        chunks: &Bound<'_, PyAny>,
        name: &str,
    ) -> PyResult<Self> {
        let run = |(block, pick): &(u32, Bound<'_, PyAny>)| -> PyResult<Run> {
            let pick = if pick.is_none() {
                Pick::All
            } else if let Ok((start, step, n)) = pick.extract::<(usize, isize, usize)>()
                && pick.is_instance_of::<PyTuple>()
            {
                Pick::Range { start, step, n }
            } else {
                Pick::At(pick.extract::<Vec<usize>>()?.into())
            };
            Ok(Run { input: 0, block: *block, pick })
        };
        let axes = axes
            .iter()
            .map(|axis| match axis {
                None => Ok(SelectAxis::New),
                Some((axis, blocks)) => {
                    let blocks = blocks
                        .iter()
                        .map(|runs| runs.iter().map(run).collect::<PyResult<Vec<_>>>())
                        .collect::<PyResult<_>>()?;
                    Ok(SelectAxis::From { axis: *axis, blocks })
                }
            })
            .collect::<PyResult<_>>()?;
        let selection = Selection { axes, fixed };
        wrap(Expr::select(vec![self.expr.clone()], selection, chunks_from_py(chunks)?, name))
    }

    /// What keys start with; deterministic.
    #[getter]
    fn name(&self) -> &str {
        self.expr.name()
    }

    /// NumPy's name of the dtype.
    #[getter]
    fn dtype(&self) -> &str {
        self.expr.dtype()
    }

    /// Whether blocks are NumPy arrays without objects.
    #[getter]
    fn plain(&self) -> bool {
        self.expr.is_plain()
    }

    #[getter]
    fn ndim(&self) -> usize {
        self.expr.chunks().ndim()
    }

    /// The extents of the blocks along each axis; unknown ones are NaN.
    #[getter]
    fn chunks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let make = || chunks_to_py(py, self.expr.chunks()).map(Bound::unbind);
        Ok(self.chunks.get_or_try_init(py, make)?.bind(py).clone())
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.expr.chunks().shape().into_iter().map(|size| size_to_py(py, size)))
    }

    #[getter]
    fn numblocks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.expr.chunks().numblocks())
    }

    /// ``"native"``, ``"fallback"`` or ``"host"``: who makes the blocks.
    #[getter]
    fn lane(&self) -> &'static str {
        self.expr.lane()
    }

    /// What it is made of, step by step.
    fn explain(&self) -> String {
        self.expr.explain()
    }

    /// The graph that makes its blocks.
    fn graph(&self, py: Python<'_>) -> PyResult<Graph> {
        let expr = self.expr.clone();
        let lowered = py.detach(|| lower(&[expr])).map_err(raise)?;
        Ok(Graph::new(lowered.iter().flat_map(Lowered::layers).collect()))
    }

    /// The keys of its blocks, as nested lists.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        nested_keys(py, &self.expr)
    }

    /// The same array under another name.
    fn rename(&self, name: &str) -> PyResult<Self> {
        wrap(self.expr.rename(name))
    }

    fn __repr__(&self) -> String {
        format!("<weft.ArrayExpr {} {} {:?}>", self.expr.name(), self.expr.dtype(), self.expr.chunks())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<ArrayExpr>().is_ok_and(|other| other.get().expr == self.expr)
    }

    fn __hash__(&self) -> u64 {
        self.expr.digest() as u64
    }
}

fn num(dtype: &str) -> PyResult<Num> {
    Num::from_name(dtype)
        .ok_or_else(|| PyNotImplementedError::new_err(format!("no kernel computes with {dtype}")))
}

/// A Python or NumPy number.
fn scalar(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
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

/// The block that a Python object is.
pub(crate) fn to_array(object: &Py<PyAny>) -> Result<Arc<weft_data::NdArray>, TaskError> {
    Python::attach(|py| ndarray::from_numpy(object.bind(py)).map(Arc::new)).map_err(host_error)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ArrayExpr>()?;
    module.add_function(wrap_pyfunction!(array_lower_many, module)?)
}
