//! Expressions as plain Python objects, for pickling: a list of steps, inputs before what reads them, so that
//! a chain of any length pickles without recursion, and what steps share is written once.

use std::sync::Arc;

use ahash::AHashMap;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use weft_array::kernel::arg::Arg;
use weft_array::kernel::reduce::{Reduction, Spec};
use weft_array::kernel::scan::Scan;
use weft_array::kernel::{Count, Num, Ufunc};
use weft_array::{
    Chunks, Expr, HostReads, HostStep, Meta, Op, Pick, Run, Seeds, SelectAxis, Selection, Step, StepArg,
    Tasks, Uniform,
};
use weft_data::Value;
use weft_graph::Axis;

use crate::array::{ArrayExpr, raise};
use crate::array_chunks::{chunks_from_py, chunks_to_py, num};
use crate::array_step::{Argument, Extent, PyStep};
use crate::graph::Graph;
use crate::key::{key_from_py, key_to_py};
use crate::task::{PyValue, value_to_py};

/// A step: what it does, the numbers of its inputs, chunks, dtype, whether it is plain, digest, name.
pub(crate) type Portable<'py> =
    (Bound<'py, PyAny>, Vec<usize>, Bound<'py, PyAny>, String, bool, Bound<'py, PyBytes>, String);

fn tuple<'py>(
    op: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
    py: Python<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(op.into_pyobject(py)?.into_any())
}

/// Expressions and all below them, inputs first, each once. Blocks of those that `elsewhere` holds for are not
/// written, nor what they are made of: whoever reads this must not ask for them.
pub(crate) fn write<'py>(
    py: Python<'py>,
    exprs: &[Expr],
    elsewhere: &dyn Fn(&Expr) -> bool,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    let mut numbers: AHashMap<u128, usize> = AHashMap::new();
    let mut pending: Vec<(Expr, bool)> = exprs.iter().rev().map(|expr| (expr.clone(), false)).collect();
    while let Some((expr, ready)) = pending.pop() {
        if numbers.contains_key(&expr.digest()) {
            continue;
        }
        if !ready {
            pending.push((expr.clone(), true));
            pending.extend(expr.inputs().iter().rev().map(|input| (input.clone(), false)));
            continue;
        }
        let inputs: Vec<usize> = expr.inputs().iter().map(|input| numbers[&input.digest()]).collect();
        let step: Portable<'py> = (
            if elsewhere(&expr) { tuple(("elsewhere",), py)? } else { write_op(py, expr.op())? },
            inputs,
            chunks_to_py(py, expr.chunks())?.into_any(),
            expr.dtype().to_string(),
            expr.is_plain(),
            PyBytes::new(py, &expr.digest().to_le_bytes()),
            expr.name().to_string(),
        );
        numbers.insert(expr.digest(), list.len());
        list.append(step)?;
    }
    Ok(list)
}

fn write_op<'py>(py: Python<'py>, op: &Op) -> PyResult<Bound<'py, PyAny>> {
    match op {
        Op::Blocks(blocks) => {
            let blocks = blocks.iter().map(|block| value_to_py(py, block)).collect::<PyResult<Vec<_>>>()?;
            tuple(("blocks", blocks), py)
        }
        Op::Tasks(tasks) => {
            let keys = tasks.blocks.iter().map(|(layer, task)| key_to_py(py, &layer.key(*task)));
            let keys = keys.collect::<PyResult<Vec<_>>>()?;
            tuple(("tasks", Graph::new(tasks.graph.clone()), keys), py)
        }
        Op::Rename => tuple(("rename",), py),
        Op::Fill { num, bits } => tuple(("fill", num.dtype().name(), *bits), py),
        Op::Iota(count) => {
            let places = (count.int_start, count.int_step, count.first, count.stride);
            tuple(("iota", count.start, count.step, places), py)
        }
        Op::Elementwise(step) => {
            let args: Vec<(bool, u64)> = step
                .args
                .iter()
                .map(|arg| match *arg {
                    StepArg::Input(i) => (false, i as u64),
                    StepArg::Const(bits) => (true, bits),
                })
                .collect();
            tuple(("elementwise", step.op.name(), step.num.dtype().name(), step.to.dtype().name(), args), py)
        }
        Op::Transpose(order) => tuple(("transpose", order.clone()), py),
        Op::Reduce { spec, reduced, keepdims, shared } => tuple(
            (
                "reduce",
                spec.reduction.name(),
                spec.skip_nan,
                spec.input.dtype().name(),
                spec.output.dtype().name(),
                spec.ddof,
                reduced.clone(),
                *keepdims,
                *shared,
            ),
            py,
        ),
        Op::Arg { arg, keepdims } => {
            tuple(("arg", arg.least, arg.skip_nan, arg.axis, arg.num.dtype().name(), *keepdims), py)
        }
        Op::Scan(scan) => {
            tuple(("scan", scan.product, scan.skip_nan, scan.axis, scan.num.dtype().name()), py)
        }
        Op::Select(selection) => tuple(("select", write_axes(py, selection)?, selection.fixed.clone()), py),
        Op::Host(step) => {
            if let Some(work) = step.work.as_any().and_then(|work| work.downcast_ref::<Uniform>()) {
                let Seeds { words, first } = work.seeds.clone();
                let token = PyBytes::new(py, &step.token.to_le_bytes());
                return tuple(("uniform", token, words, first, work.low, work.range), py);
            }
            let Some(work) = step.work.as_any().and_then(|work| work.downcast_ref::<PyStep>()) else {
                let name = step.work.name();
                return Err(PyTypeError::new_err(format!(
                    "the step {name} is not Python's and cannot be pickled"
                )));
            };
            let arguments = match &work.arguments {
                None => py.None().into_bound(py),
                Some(arguments) => PyList::new(
                    py,
                    arguments
                        .iter()
                        .map(|argument| write_argument(py, argument))
                        .collect::<PyResult<Vec<_>>>()?,
                )?
                .into_any(),
            };
            let reads = match &step.reads {
                HostReads::Grid(operands) => {
                    let operands: Vec<(u32, Vec<(u8, i64, i64)>)> = operands
                        .iter()
                        .map(|(input, axes)| (*input, axes.iter().copied().map(write_axis).collect()))
                        .collect();
                    operands.into_pyobject(py)?.into_any()
                }
                HostReads::Explicit { starts, reads } => tuple((starts.to_vec(), reads.to_vec()), py)?,
            };
            tuple(
                (
                    "host",
                    PyBytes::new(py, &step.token.to_le_bytes()),
                    work.function.bind(py).clone(),
                    arguments,
                    work.grid.clone(),
                    work.numbered,
                    work.name.clone(),
                    step.fallback,
                    reads,
                ),
                py,
            )
        }
    }
}

fn write_axes<'py>(py: Python<'py>, selection: &Selection) -> PyResult<Bound<'py, PyList>> {
    let axes = PyList::empty(py);
    for axis in &selection.axes {
        match axis {
            SelectAxis::New => axes.append(py.None())?,
            SelectAxis::Stack => axes.append(true)?,
            SelectAxis::From { axis, blocks } => {
                let mut made = Vec::with_capacity(blocks.len());
                for runs in blocks {
                    let runs = runs.iter().map(|run| {
                        let pick = match &run.pick {
                            Pick::All => py.None().into_bound(py),
                            Pick::Range { start, step, n } => tuple((*start, *step, *n), py)?,
                            Pick::At(at) => PyList::new(py, at.iter())?.into_any(),
                        };
                        Ok((run.input, run.block, pick))
                    });
                    made.push(runs.collect::<PyResult<Vec<_>>>()?);
                }
                axes.append((*axis, made))?;
            }
        }
    }
    Ok(axes)
}

fn write_argument<'py>(py: Python<'py>, argument: &Argument) -> PyResult<Bound<'py, PyAny>> {
    Ok(match argument {
        Argument::Block => py.None().into_bound(py),
        Argument::Constant(object) => tuple((object.bind(py).clone(),), py)?,
        Argument::Blocks(extents) => {
            let extents: Vec<(bool, u32, u32, u32)> = extents
                .iter()
                .map(|extent| match *extent {
                    Extent::All(n) => (true, n, 0, 0),
                    Extent::Group { own, size, of } => (false, own, size, of),
                })
                .collect();
            extents.into_pyobject(py)?.into_any()
        }
    })
}

fn write_axis(axis: Axis) -> (u8, i64, i64) {
    match axis {
        Axis::Along { own, offset } => (0, own as i64, offset as i64),
        Axis::Group { own, size } => (1, own as i64, size as i64),
        Axis::All => (2, 0, 0),
        Axis::At(i) => (3, i as i64, 0),
    }
}

fn damaged() -> PyErr {
    PyValueError::new_err("the pickled array is damaged: a step is missing or unknown")
}

fn read_axis((kind, a, b): (u8, i64, i64)) -> PyResult<Axis> {
    Ok(match kind {
        0 => Axis::Along { own: a as u32, offset: b as i32 },
        1 => Axis::Group { own: a as u32, size: b as u32 },
        2 => Axis::All,
        3 => Axis::At(a as u32),
        _ => return Err(damaged()),
    })
}

/// The expression that `ArrayExpr.__reduce__` wrote.
#[pyfunction]
fn array_from_portable(steps: Vec<Portable<'_>>) -> PyResult<ArrayExpr> {
    read(steps)?.pop().map(ArrayExpr::from).ok_or_else(damaged)
}

/// The expressions that [`write`] wrote.
pub(crate) fn read(steps: Vec<Portable<'_>>) -> PyResult<Vec<Expr>> {
    let mut read: Vec<Expr> = Vec::with_capacity(steps.len());
    for (op, inputs, chunks, dtype, plain, digest, name) in steps {
        let inputs =
            inputs.iter().map(|&i| read.get(i).cloned().ok_or_else(damaged)).collect::<PyResult<_>>()?;
        let meta = Meta { chunks: chunks_from_py(&chunks)?, dtype: dtype.as_str().into(), plain };
        let digest = u128::from_le_bytes(digest.as_bytes().try_into().map_err(|_| damaged())?);
        let op = read_op(op.cast::<PyTuple>()?, plain, &meta.chunks)?;
        read.push(Expr::restore(op, inputs, meta, digest, &name).map_err(raise)?);
    }
    Ok(read)
}

fn read_op(op: &Bound<'_, PyTuple>, plain: bool, chunks: &Chunks) -> PyResult<Op> {
    let kind: String = op.get_item(0)?.extract()?;
    let at = |i: usize| op.get_item(i);
    let number = |i: usize| -> PyResult<Num> { num(&at(i)?.extract::<String>()?) };
    Ok(match kind.as_str() {
        "blocks" => {
            let blocks: Vec<Bound<'_, PyAny>> = at(1)?.extract()?;
            let value = |block: &Bound<'_, PyAny>| match plain {
                true => crate::ndarray::from_numpy(block).map(|array| Value::Array(Arc::new(array))),
                false => Ok(PyValue::value(block.clone().unbind())),
            };
            Op::Blocks(blocks.iter().map(value).collect::<PyResult<Vec<_>>>()?.into())
        }
        "tasks" => {
            let graph = at(1)?;
            let graph = graph.cast::<Graph>()?.get();
            let keys: Vec<Bound<'_, PyAny>> = at(2)?.extract()?;
            let find = |key: &Bound<'_, PyAny>| graph.find(&key_from_py(key)?).ok_or_else(damaged);
            let blocks = keys.iter().map(find).collect::<PyResult<Vec<_>>>()?;
            Op::Tasks(Tasks { graph: graph.layers().to_vec(), blocks: blocks.into() })
        }
        "elsewhere" => Op::Blocks([].into()),
        "rename" => Op::Rename,
        "fill" => Op::Fill { num: number(1)?, bits: at(2)?.extract()? },
        "iota" => {
            let (int_start, int_step, first, stride) = at(3)?.extract()?;
            let (start, step) = (at(1)?.extract()?, at(2)?.extract()?);
            Op::Iota(Count { start, step, int_start, int_step, first, stride })
        }
        "elementwise" => {
            let args: Vec<(bool, u64)> = at(4)?.extract()?;
            let arg = |&(constant, value): &(bool, u64)| match constant {
                true => StepArg::Const(value),
                false => StepArg::Input(value as u32),
            };
            Op::Elementwise(Step {
                op: Ufunc::from_name(&at(1)?.extract::<String>()?).ok_or_else(damaged)?,
                num: number(2)?,
                to: number(3)?,
                args: args.iter().map(arg).collect(),
            })
        }
        "transpose" => Op::Transpose(at(1)?.extract()?),
        "reduce" => Op::Reduce {
            spec: Spec {
                reduction: Reduction::from_name(&at(1)?.extract::<String>()?).ok_or_else(damaged)?,
                skip_nan: at(2)?.extract()?,
                input: number(3)?,
                output: number(4)?,
                ddof: at(5)?.extract()?,
            },
            reduced: at(6)?.extract()?,
            keepdims: at(7)?.extract()?,
            shared: at(8)?.extract()?,
        },
        "arg" => Op::Arg {
            arg: Arg {
                least: at(1)?.extract()?,
                skip_nan: at(2)?.extract()?,
                axis: at(3)?.extract()?,
                num: number(4)?,
            },
            keepdims: at(5)?.extract()?,
        },
        "scan" => Op::Scan(Scan {
            product: at(1)?.extract()?,
            skip_nan: at(2)?.extract()?,
            axis: at(3)?.extract()?,
            num: number(4)?,
        }),
        "select" => {
            let axes = at(1)?.try_iter()?.map(|axis| read_select_axis(&axis?)).collect::<PyResult<_>>()?;
            Op::Select(Arc::new(Selection { axes, fixed: at(2)?.extract()? }))
        }
        "uniform" => {
            let seeds = Seeds { words: at(2)?.extract()?, first: at(3)?.extract()? };
            let (low, range) = (at(4)?.extract()?, at(5)?.extract()?);
            let work = Uniform { seeds, low, range, chunks: chunks.clone() };
            let reads = HostReads::Grid(vec![]);
            Op::Host(HostStep { token: read_token(&at(1)?)?, work: Arc::new(work), reads, fallback: false })
        }
        "host" => Op::Host(read_host(op)?),
        _ => return Err(damaged()),
    })
}

fn read_select_axis(axis: &Bound<'_, PyAny>) -> PyResult<SelectAxis> {
    if axis.is_none() {
        return Ok(SelectAxis::New);
    }
    let Ok((axis, blocks)) = axis.extract::<(usize, Vec<Vec<(u32, u32, Bound<'_, PyAny>)>>)>() else {
        return Ok(SelectAxis::Stack);
    };
    let run = |(input, block, pick): &(u32, u32, Bound<'_, PyAny>)| -> PyResult<Run> {
        let pick = if pick.is_none() {
            Pick::All
        } else if pick.is_instance_of::<PyTuple>() {
            let (start, step, n) = pick.extract()?;
            Pick::Range { start, step, n }
        } else {
            Pick::At(pick.extract::<Vec<usize>>()?.into())
        };
        Ok(Run { input: *input, block: *block, pick })
    };
    let blocks = blocks.iter().map(|runs| runs.iter().map(run).collect()).collect::<PyResult<_>>()?;
    Ok(SelectAxis::From { axis, blocks })
}

fn read_token(token: &Bound<'_, PyAny>) -> PyResult<u128> {
    Ok(u128::from_le_bytes(token.cast::<PyBytes>()?.as_bytes().try_into().map_err(|_| damaged())?))
}

fn read_host(op: &Bound<'_, PyTuple>) -> PyResult<HostStep> {
    let at = |i: usize| op.get_item(i);
    let token = read_token(&at(1)?)?;
    let arguments = at(3)?;
    let arguments = match arguments.is_none() {
        true => None,
        false => Some(arguments.try_iter()?.map(|a| read_argument(&a?)).collect::<PyResult<Vec<_>>>()?),
    };
    let reads = at(8)?;
    let reads = match reads.extract::<(Vec<u32>, Vec<(u32, u32)>)>() {
        Ok((starts, reads)) if reads_are_listed(&at(8)?) => {
            HostReads::Explicit { starts: starts.into(), reads: reads.into() }
        }
        _ => {
            let operands: Vec<(u32, Vec<(u8, i64, i64)>)> = reads.extract()?;
            let operand = |(input, axes): (u32, Vec<(u8, i64, i64)>)| -> PyResult<(u32, Vec<Axis>)> {
                Ok((input, axes.into_iter().map(read_axis).collect::<PyResult<_>>()?))
            };
            HostReads::Grid(operands.into_iter().map(operand).collect::<PyResult<_>>()?)
        }
    };
    let work = PyStep {
        function: at(2)?.unbind(),
        name: at(6)?.extract()?,
        arguments,
        grid: at(4)?.extract()?,
        numbered: at(5)?.extract()?,
    };
    Ok(HostStep { token, work: Arc::new(work), reads, fallback: at(7)?.extract()? })
}

/// Reads by rule are a list, listed ones a tuple.
fn reads_are_listed(reads: &Bound<'_, PyAny>) -> bool {
    reads.is_instance_of::<PyTuple>()
}

fn read_argument(argument: &Bound<'_, PyAny>) -> PyResult<Argument> {
    if argument.is_none() {
        return Ok(Argument::Block);
    }
    if let Ok(constant) = argument.cast::<PyTuple>() {
        return Ok(Argument::Constant(constant.get_item(0)?.unbind()));
    }
    let extents: Vec<(bool, u32, u32, u32)> = argument.extract()?;
    let extent = |(all, a, b, c): (bool, u32, u32, u32)| match all {
        true => Extent::All(a),
        false => Extent::Group { own: a, size: b, of: c },
    };
    Ok(Argument::Blocks(extents.into_iter().map(extent).collect()))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(array_from_portable, module)?)
}
