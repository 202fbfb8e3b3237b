//! `ArrayExpr`: the handle that Python's arrays hold beside their NumPy meta.
//!
//! A method gives a new handle, or raises `NotImplementedError`: no native kernel gives exactly
//! NumPy's result, and the face makes a host step ([`ArrayExpr::host`]) of it.

use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyKeyError, PyNotImplementedError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyInt, PyList, PyString, PyTuple};
use weft_array::kernel::Ufunc;
use weft_array::kernel::reduce::Reduction;
use weft_array::plan::Bounds;
use weft_array::{
    ArrayError, Expr, HostReads, HostStep, Lowered, Op, Operand, Pick, Run, Seeds, SelectAxis, Selection,
    Tasks, Uniform, lower,
};
use weft_data::{TaskError, Value};
use weft_graph::{Axis, Key};

use crate::array_chunks::{axis_from_py, chunks_from_py, chunks_to_py, meta, num, scalar, size_to_py};
use crate::array_step::{Argument, Extent, PyStep, axis_rule, nested};

use crate::graph::Graph;
use crate::key::key_to_py;
use crate::ndarray;
use crate::task::{PyValue, host_error};

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
// Lowering

/// One graph for several expressions, which share what they have in common.
#[pyfunction]
fn array_lower(py: Python<'_>, exprs: Vec<PyRef<'_, ArrayExpr>>) -> PyResult<Graph> {
    let exprs: Vec<Expr> = exprs.iter().map(|handle| handle.expr.clone()).collect();
    let lowered = py.detach(|| lower(&exprs)).map_err(raise)?;
    Ok(Graph::new(lowered.iter().flat_map(Lowered::layers).collect()))
}

/// `array_lower`, and the keys of each expression as nested lists.
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

/// For each cell of the product of `blocks`, row by row, the numbers of all combinations of its axes' blocks.
fn piece_reads(blocks: &[Vec<Vec<u32>>], grid: &[u32]) -> Option<(Vec<u32>, Vec<(u32, u32)>)> {
    let fits = blocks.len() == grid.len()
        && blocks.iter().zip(grid).all(|(axis, &n)| axis.iter().flatten().all(|&block| block < n));
    if !fits {
        return None;
    }
    let cells = blocks.iter().fold(1usize, |n, axis| n.saturating_mul(axis.len()));
    let (mut starts, mut reads) = (Vec::with_capacity(cells + 1), Vec::new());
    starts.push(0);
    for cell in 0..cells {
        let mut rest = cell;
        let mut of_cell: Vec<&[u32]> = vec![&[]; blocks.len()];
        for (pieces, axis) in of_cell.iter_mut().zip(blocks).rev() {
            *pieces = &axis[rest % axis.len()];
            rest /= axis.len();
        }
        let first = reads.len();
        reads.push((0, 0));
        for (pieces, &n) in of_cell.iter().zip(grid) {
            let before: Vec<(u32, u32)> = reads.drain(first..).collect();
            reads.extend(
                before.iter().flat_map(|&(_, at)| pieces.iter().map(move |&block| (0, at * n + block))),
            );
        }
        starts.push(u32::try_from(reads.len()).ok()?);
    }
    Some((starts, reads))
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

    /// What a Python function makes of pieces: block by block of the result, the blocks of `input` in all
    /// combinations of those that `blocks` lists for each axis of it and each position along that axis.
    ///
    /// Parameters
    /// ----------
    /// function : callable
    ///     ``function(position, *blocks)``.
    /// blocks : list of list of list of int
    ///     For each axis of `input`, for each new position along it, positions of blocks.
    /// kept : list of bool
    ///     The axes that the result has; others have one position.
    /// chunks, dtype, token, name, plain, label
    ///     As for `host`.
    #[staticmethod]
    #[pyo3(signature = (function, input, blocks, kept, chunks, dtype, *, token, name, plain=true, label=None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of a Python call")]
    fn host_pieces(
        function: Py<PyAny>,
        input: PyRef<'_, ArrayExpr>,
        blocks: Vec<Vec<Vec<u32>>>,
        kept: Vec<bool>,
        chunks: &Bound<'_, PyAny>,
        dtype: &str,
        token: &str,
        name: &str,
        plain: bool,
        label: Option<String>,
    ) -> PyResult<Self> {
        let meta = meta(chunks, dtype, plain)?;
        let (starts, reads) = piece_reads(&blocks, &input.expr.chunks().numblocks())
            .ok_or_else(|| PyValueError::new_err("pieces of blocks that are not there"))?;
        let grid: Vec<u32> =
            (blocks.iter().zip(&kept)).filter(|(_, kept)| **kept).map(|(b, _)| b.len() as u32).collect();
        if grid != meta.chunks.numblocks() {
            return Err(PyValueError::new_err(format!(
                "pieces for {grid:?} blocks do not make chunks {:?}",
                meta.chunks
            )));
        }
        let label = label.unwrap_or_else(|| name.to_owned());
        let work = PyStep { function, name: label, arguments: None, grid, numbered: true };
        let reads = HostReads::Explicit { starts: starts.into(), reads: reads.into() };
        let step = HostStep { token: weft_array::digest(token), work: Arc::new(work), reads, fallback: true };
        wrap(Expr::host(step, vec![input.expr.clone()], meta, name, Some(name)))
    }

    /// What a Python function makes of each block, where blocks are counted row by row in both arrays: reshaping.
    /// ``function(position, block)``; the rest as for `host`.
    #[staticmethod]
    #[pyo3(signature = (function, input, chunks, dtype, *, token, name, plain=true, label=None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of a Python call")]
    fn host_rows(
        function: Py<PyAny>,
        input: PyRef<'_, ArrayExpr>,
        chunks: &Bound<'_, PyAny>,
        dtype: &str,
        token: &str,
        name: &str,
        plain: bool,
        label: Option<String>,
    ) -> PyResult<Self> {
        let meta = meta(chunks, dtype, plain)?;
        let count = meta.chunks.count();
        if count != input.expr.chunks().count() {
            return Err(PyValueError::new_err(format!(
                "{:?} blocks cannot become {:?}",
                input.expr.chunks().numblocks(),
                meta.chunks.numblocks()
            )));
        }
        let count = count.unwrap_or(0);
        let label = label.unwrap_or_else(|| name.to_owned());
        let grid = meta.chunks.numblocks();
        let work = PyStep { function, name: label, arguments: None, grid, numbered: true };
        let reads = HostReads::Explicit {
            starts: (0..=count).collect(),
            reads: (0..count).map(|block| (0, block)).collect(),
        };
        let step = HostStep { token: weft_array::digest(token), work: Arc::new(work), reads, fallback: true };
        wrap(Expr::host(step, vec![input.expr.clone()], meta, name, Some(name)))
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

    /// Uniform random numbers in ``low .. low + range``: block ``i`` has the stream of `numpy.random.PCG64` seeded with
    /// a `SeedSequence` of the words `words` (entropy and spawn key) and ``first + i``.
    #[staticmethod]
    #[pyo3(signature = (words, first, low, range, chunks, *, name))]
    fn uniform(
        words: Vec<u32>,
        first: u64,
        low: f64,
        range: f64,
        chunks: &Bound<'_, PyAny>,
        name: &str,
    ) -> PyResult<Self> {
        let meta = meta(chunks, "float64", true)?;
        let work = Uniform { seeds: Seeds { words, first }, low, range, chunks: meta.chunks.clone() };
        let step = HostStep {
            token: weft_array::digest(&format!("{:?}, {low:?}, {range:?}", work.seeds)),
            work: Arc::new(work),
            reads: HostReads::Grid(vec![]),
            fallback: false,
        };
        wrap(Expr::host(step, vec![], meta, name, None))
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

    /// ``argmin``, ``argmax``, ``nanargmin`` or ``nanargmax`` along `axis`, or (None) in the whole array in C order.
    #[pyo3(signature = (name, axis, *, keepdims=false))]
    fn arg(&self, name: &str, axis: Option<usize>, keepdims: bool) -> PyResult<Self> {
        let (least, skip_nan) = match name {
            "argmin" => (true, false),
            "argmax" => (false, false),
            "nanargmin" => (true, true),
            "nanargmax" => (false, true),
            _ => return Err(PyNotImplementedError::new_err(format!("no kernel for {name}"))),
        };
        wrap(self.expr.arg(least, axis, keepdims, skip_nan))
    }

    /// ``cumsum`` or ``cumprod`` along `axis`, with `dtype` the result's. With `skip_nan` NaN counts as missing.
    #[pyo3(signature = (name, axis, dtype, *, skip_nan=false))]
    fn scan(&self, name: &str, axis: usize, dtype: &str, skip_nan: bool) -> PyResult<Self> {
        let product = match name {
            "cumsum" => false,
            "cumprod" => true,
            _ => return Err(PyNotImplementedError::new_err(format!("no kernel for {name}"))),
        };
        wrap(self.expr.scan(product, axis, num(dtype)?, skip_nan))
    }

    /// The same elements in other blocks, in steps that read at most `threshold` times as many pieces as there are
    /// blocks, and whose blocks in between have at most `limit` bytes; pieces of `piece` bytes go in one step, however
    /// many they are. `shards`: see `Expr::rechunk_in_steps`. Raises `ValueError` as `rechunk` does.
    fn rechunk_in_steps(
        &self,
        chunks: &Bound<'_, PyAny>,
        itemsize: usize,
        threshold: usize,
        limit: usize,
        piece: usize,
        shards: bool,
    ) -> PyResult<Self> {
        let size = itemsize.max(1);
        let bounds = Bounds { threshold, elements: limit / size, piece: piece / size };
        wrap(self.expr.rechunk_in_steps(chunks_from_py(chunks)?, bounds, shards))
    }

    /// The same array of fewer or smaller steps, as it is computed: for people who look at the plan.
    fn optimize(&self) -> PyResult<Self> {
        let mut optimized = weft_array::optimize(std::slice::from_ref(&self.expr)).map_err(raise)?;
        wrap(optimized.pop().ok_or_else(|| ArrayError::Invalid("an array became none".to_owned())))
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

    /// New axes of extent one, at the places `at` of the result.
    fn expand(&self, at: Vec<usize>) -> PyResult<Self> {
        wrap(self.expr.expand(&at))
    }

    /// Some of the blocks: for each axis, their positions along it.
    fn some_blocks(&self, chosen: Vec<Vec<u32>>) -> PyResult<Self> {
        wrap(self.expr.some_blocks(&chosen))
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

    /// Whether a kernel makes its blocks, so that nobody else holds their memory.
    #[getter]
    fn is_fresh(&self) -> bool {
        matches!(
            self.expr.op(),
            Op::Elementwise(_)
                | Op::Fill { .. }
                | Op::Iota(_)
                | Op::Reduce { .. }
                | Op::Arg { .. }
                | Op::Scan(_)
        )
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
        let sizes = self.expr.chunks().shape();
        let sizes = sizes.into_iter().map(|size| size_to_py(py, size)).collect::<PyResult<Vec<_>>>()?;
        PyTuple::new(py, sizes)
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

    /// The same blocks under the same name, of extents that were not known before (or are no longer).
    fn with_chunks(&self, chunks: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.expr.with_chunks(chunks_from_py(chunks)?))
    }

    /// The same blocks under the same name; what is said of their dtype and kind is changed.
    fn with_dtype(&self, dtype: &str, plain: bool) -> PyResult<Self> {
        wrap(self.expr.with_dtype(dtype, plain))
    }

    /// What identifies the expression, as text.
    #[getter]
    fn token(&self) -> String {
        format!("{:032x}", self.expr.digest())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let steps = crate::array_portable::write(py, std::slice::from_ref(&self.expr), &|_| false)?;
        Ok((py.import("weft._weft")?.getattr("array_from_portable")?, PyTuple::new(py, [steps])?))
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

/// The block that a Python object is.
pub(crate) fn to_array(object: &Py<PyAny>) -> Result<Arc<weft_data::NdArray>, TaskError> {
    Python::attach(|py| ndarray::from_numpy(object.bind(py)).map(Arc::new)).map_err(host_error)
}

/// The elementwise functions that have kernels, and how many operands they take; then the reductions.
#[pyfunction]
fn array_kernels() -> (Vec<(&'static str, usize)>, Vec<&'static str>) {
    let functions = Ufunc::ALL.iter().map(|ufunc| (ufunc.name(), ufunc.arity())).collect();
    (functions, Reduction::ALL.iter().map(|reduction| reduction.name()).collect())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    crate::array_chunks::register(module)?;
    module.add_function(wrap_pyfunction!(array_kernels, module)?)?;
    module.add_class::<ArrayExpr>()?;
    module.add_function(wrap_pyfunction!(array_lower, module)?)?;
    crate::array_portable::register(module)?;
    module.add_function(wrap_pyfunction!(array_lower_many, module)?)
}
