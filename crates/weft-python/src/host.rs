//! Steps of Python in frame expressions: pandas on a partition, and pandas objects as sources.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use ahash::AHashMap;
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use serde::{Deserialize, Serialize};
use weft_data::{
    Column, DType, ErrorKind, Frame, Index, Kind, Lane, LayerRef, TaskError, Value, Work, WorkRef,
};
use weft_frame::{Expr, Field, HostInput, HostReads, HostStep, MemorySource, Schema, Tasks};
use xxhash_rust::xxh3::xxh3_128;

use crate::arrow::{self, Lend};
use crate::frame::{FrameExpr, kind_from_name, label_from_py, wrap};
use crate::frame_portable::{pickled, unpickled};
use crate::graph::Graph;
use crate::key::key_from_py;
use crate::task::{PyValue, host_error, value_to_py};

/// A batch of a frame in memory: large enough to pay for a kernel call, small enough for a cache.
const BATCH_ROWS: usize = 1 << 15;

/// `call(partition number, *inputs)`, with the inputs as pandas objects.
struct HostCall {
    call: Py<PyAny>,
    label: String,
    lend: Lend,
}

impl fmt::Debug for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostCall({})", self.label)
    }
}

impl Work for HostCall {
    fn lane(&self) -> Lane {
        Lane::Host
    }

    fn name(&self) -> &str {
        &self.label
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Python::attach(|py| -> PyResult<Value> {
            let mut args = vec![index.into_pyobject(py)?.into_any()];
            for input in inputs {
                // Taken out, so that a frame that nobody else needs is handed over, not copied.
                args.push(match std::mem::replace(input, Value::Bytes(Arc::new([]))) {
                    Value::Frame(frame) => arrow::to_pandas(py, frame, self.lend)?,
                    value => value_to_py(py, &value)?,
                });
            }
            let result = self.call.bind(py).call1(PyTuple::new(py, args)?)?;
            Ok(PyValue::value(result.unbind()))
        })
        .map_err(host_error)
    }
}

/// Gives its one input as it is, be it a frame or Python's.
#[derive(Debug)]
struct Pass {
    label: String,
}

impl Work for Pass {
    fn name(&self) -> &str {
        &self.label
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        match inputs.first() {
            Some(value) => Ok(value.clone()),
            None => Err(TaskError::native(ErrorKind::Runtime, "a partition that is at hand has not come")),
        }
    }

    fn is_alias(&self, _index: u32) -> bool {
        true
    }
}

/// Makes a frame of a pandas object, for the native steps that follow a step of Python.
#[derive(Debug)]
struct Bridge {
    fields: Vec<Field>,
    kind: Kind,
}

impl Work for Bridge {
    fn lane(&self) -> Lane {
        Lane::Host
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn name(&self) -> &str {
        "to-frame"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        if let Value::Frame(_) = &inputs[0] {
            return Ok(inputs[0].clone());
        }
        Python::attach(|py| -> PyResult<Value> {
            let object = value_to_py(py, &inputs[0])?;
            let dtypes: Vec<Option<String>> =
                self.fields.iter().map(|field| field.dtype.as_ref().map(DType::to_string)).collect();
            let object = arrow::convert(py)?.call_method1("as_promised", (object, dtypes))?;
            let frame = arrow::from_pandas(&object)?;
            Ok(Value::Frame(Arc::new(relabel(frame, &self.fields, self.kind))))
        })
        .map_err(host_error)
    }
}

/// What is written of a step before the pickle of its function.
#[derive(Serialize, Deserialize)]
enum Written {
    Call { label: String, writes: bool },
    Bridge { fields: Vec<Field>, kind: Kind },
    Pass { label: String },
}

/// A step of Python as bytes.
pub(crate) fn work_to_bytes(py: Python<'_>, work: &WorkRef) -> PyResult<Vec<u8>> {
    let invalid = |error: postcard::Error| PyValueError::new_err(error.to_string());
    let any = work.as_any();
    if let Some(call) = any.and_then(|work| work.downcast_ref::<HostCall>()) {
        let head = Written::Call { label: call.label.clone(), writes: matches!(call.lend, Lend::Writable) };
        let mut bytes = postcard::to_stdvec(&head).map_err(invalid)?;
        bytes.extend(pickled(call.call.bind(py))?);
        return Ok(bytes);
    }
    if let Some(Pass { label }) = any.and_then(|work| work.downcast_ref()) {
        return postcard::to_stdvec(&Written::Pass { label: label.clone() }).map_err(invalid);
    }
    match any.and_then(|work| work.downcast_ref::<Bridge>()) {
        Some(bridge) => {
            let head = Written::Bridge { fields: bridge.fields.clone(), kind: bridge.kind };
            postcard::to_stdvec(&head).map_err(invalid)
        }
        None => Err(PyTypeError::new_err(format!("{} is no step of Python", work.name()))),
    }
}

/// The step that [`work_to_bytes`] wrote.
pub(crate) fn work_from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<WorkRef> {
    let (head, rest) =
        postcard::take_from_bytes(bytes).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(match head {
        Written::Call { label, writes } => {
            let lend = if writes { Lend::Writable } else { Lend::ReadOnly };
            Arc::new(HostCall { call: unpickled(py, rest)?.unbind(), label, lend })
        }
        Written::Bridge { fields, kind } => Arc::new(Bridge { fields, kind }),
        Written::Pass { label } => Arc::new(Pass { label }),
    })
}

/// The frame with the labels that its expression promised.
fn relabel(mut frame: Frame, fields: &[Field], kind: Kind) -> Frame {
    if kind != Kind::Table && frame.columns.len() == fields.len() {
        for (column, field) in frame.columns.iter_mut().zip(fields) {
            column.label = field.label.clone();
        }
    }
    frame.with_kind(kind)
}

type PyFields<'py> = Option<Vec<(Bound<'py, PyAny>, Option<String>)>>;

/// Fields of `(label, dtype name)`; a dtype without a name stays with the host.
fn fields_from_py(fields: PyFields<'_>) -> PyResult<Option<Vec<Field>>> {
    let Some(fields) = fields else { return Ok(None) };
    let field = |(label, dtype): &(Bound<'_, PyAny>, Option<String>)| {
        Ok(Field { label: label_from_py(label)?, dtype: dtype.as_deref().and_then(DType::from_name) })
    };
    fields.iter().map(field).collect::<PyResult<Vec<_>>>().map(Some)
}

/// An expression whose partitions a Python callable makes.
///
/// Parameters
/// ----------
/// label : str
///     What keys start with and pictures show.
/// token : str
///     Identifies the callable and its arguments; inputs are hashed by themselves.
/// call : callable or None
///     ``call(partition number, *partitions of the inputs)``. None: each partition is its one input as it is.
/// whole : bool
///     Every call gets all partitions of all inputs, in order.
/// lists : list of lists of int, optional
///     Call `i` gets these partitions of the one input, in this order.
/// fallback : bool
///     It stands for an operation without a kernel; otherwise it is a source or the user's function.
/// writes : bool
///     The callable may write into what it gets.
/// tasks : (Graph, list of keys), optional
///     Call `i` gets the value of the `i`-th of these tasks, and there are no inputs.
///
/// Raises `KeyError` if the graph lacks one of the keys.
#[pyfunction]
#[pyo3(signature = (label, token, call, inputs, npartitions, kind, fields, *, whole, fallback, writes, lists=None,
    tasks=None))]
#[allow(clippy::too_many_arguments, reason = "one call from one place in Python, by keyword")]
fn frame_host(
    label: String,
    token: &str,
    call: Option<Py<PyAny>>,
    inputs: Vec<PyRef<'_, FrameExpr>>,
    npartitions: u32,
    kind: &str,
    fields: PyFields<'_>,
    whole: bool,
    fallback: bool,
    writes: bool,
    lists: Option<Vec<Vec<u32>>>,
    tasks: Option<(Bound<'_, Graph>, Vec<Bound<'_, PyAny>>)>,
) -> PyResult<FrameExpr> {
    let tasks = tasks.map(|(graph, keys)| tasks_of(graph.get(), &keys)).transpose()?;
    let kind = kind_from_name(kind)?;
    let fields = fields_from_py(fields)?;
    let bridge = match &fields {
        Some(fields) if fields.iter().all(|field| field.dtype.is_some()) => {
            Some(Arc::new(Bridge { fields: fields.clone(), kind }) as Arc<dyn Work>)
        }
        _ => None,
    };
    let lend = if writes { Lend::Writable } else { Lend::ReadOnly };
    let reads = match lists {
        Some(lists) => HostReads::Listed(lists.into()),
        None if whole => HostReads::All,
        None => HostReads::Aligned,
    };
    let step = HostStep {
        name: label.clone(),
        token: xxh3_128(token.as_bytes()),
        work: match call {
            Some(call) => Arc::new(HostCall { call, label, lend }),
            None => Arc::new(Pass { label }),
        },
        bridge,
        inputs: inputs
            .iter()
            .map(|input| HostInput { expr: input.expr.clone(), reads: reads.clone() })
            .collect(),
        tasks,
        fallback,
    };
    wrap(Expr::host(step, Schema { fields: fields.unwrap_or_default(), kind }, npartitions))
}

/// Where the tasks `keys` are in the graph.
fn tasks_of(graph: &Graph, keys: &[Bound<'_, PyAny>]) -> PyResult<Tasks> {
    let mut layers: Vec<LayerRef> = Vec::new();
    let mut numbers = AHashMap::new();
    let mut reads = Vec::with_capacity(keys.len());
    for key in keys {
        let key = key_from_py(key)?;
        let Some((layer, task)) = graph.find(&key) else {
            return Err(PyKeyError::new_err(format!("{key} is not in the graph")));
        };
        let number = *numbers.entry(Arc::as_ptr(&layer)).or_insert_with(|| {
            layers.push(layer.clone());
            layers.len() as u32 - 1
        });
        reads.push((number, task));
    }
    Ok(Tasks { layers, reads: reads.into() })
}

/// An expression over pandas objects in memory, one for each partition.
///
/// Raises `weft.dataframe._convert.Inexact` if one of them has no exact form as a frame.
#[pyfunction]
fn frame_memory(label: &str, token: &str, partitions: Vec<Bound<'_, PyAny>>) -> PyResult<FrameExpr> {
    let frames = partitions.iter().map(arrow::from_pandas).collect::<PyResult<Vec<_>>>()?;
    let Some(first) = frames.first() else {
        return Err(pyo3::exceptions::PyValueError::new_err("a frame needs at least one partition"));
    };
    let fields: Vec<Field> = first
        .columns
        .iter()
        .map(|column| Field { label: column.label.clone(), dtype: Some(column.dtype.clone()) })
        .collect();
    let kind = first.kind;
    let batches = frames.into_iter().map(batches).collect();
    let source = MemorySource::new(label, xxh3_128(token.as_bytes()), fields.clone(), batches);
    let table = Expr::source(Arc::new(source));
    match kind {
        Kind::Table => wrap(Ok(table)),
        Kind::Series { named } => {
            let series = table.column(fields[0].label.clone());
            if named { wrap(series) } else { wrap(series.and_then(|series| series.rename_series(None))) }
        }
        Kind::Scalar => wrap(Ok(table)),
    }
}

fn batches(frame: Frame) -> Vec<Arc<Frame>> {
    let rows = frame.rows();
    let starts = (0..rows.max(1)).step_by(BATCH_ROWS);
    starts.map(|start| Arc::new(slice(&frame, start, BATCH_ROWS.min(rows - start)))).collect()
}

fn slice(frame: &Frame, start: usize, rows: usize) -> Frame {
    let part = |column: &Column| Column { values: column.values.slice(start, rows), ..column.clone() };
    let index = match &frame.index {
        Index::Range { start: first, step } => {
            Index::Range { start: first + step * start as i64, step: *step }
        }
        Index::Columns(levels) => {
            Index::Columns(levels.iter().map(|(name, column)| (name.clone(), part(column))).collect())
        }
    };
    Frame::new(frame.columns.iter().map(part).collect(), index, rows)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(frame_host, module)?)?;
    module.add_function(wrap_pyfunction!(frame_memory, module)?)
}
