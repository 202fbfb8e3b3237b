//! What a worker runs: functions, and the kernels of layers.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use weft_cluster::{Encoded, Host, Program, Task};
use weft_data::{CodecError, Lane, TaskError, Value, WorkRef};
use weft_scheduler::message::Failure;

use super::pickle::{self, damaged};
use super::{node, value};
use crate::array::raise;
use crate::array_portable;
use crate::frame_portable::{layers_from_bytes, payload_parts};
use crate::spec::Node;
use crate::task::{PyValue, error_to_py, host_error};

/// What a blob begins with.
pub(super) const FUNCTION: u8 = 0;
pub(super) const BAG: u8 = 1;
pub(super) const ARRAYS: u8 = 2;
pub(super) const FRAMES: u8 = 3;

/// Python, for the servers of a cluster.
pub(super) struct PyHost;

impl Host for PyHost {
    fn program(&self, blob: Option<&Bytes>) -> Result<Arc<dyn Program>, TaskError> {
        let Some(blob) = blob else { return Ok(Arc::new(Whole)) };
        Python::attach(|py| read_program(py, blob.clone())).map_err(host_error)
    }

    fn small(&self, value: &Value) -> Option<Encoded> {
        Python::attach(|py| value::small(py, value))
    }

    fn encode(&self, value: &Value) -> Result<Encoded, CodecError> {
        Python::attach(|py| value::encode(py, value))
    }

    fn decode(&self, encoded: &Encoded) -> Result<Value, TaskError> {
        Python::attach(|py| value::decode(py, encoded))
    }

    fn failure(&self, error: &TaskError) -> Option<Failure> {
        Python::attach(|py| {
            let error = error_to_py(py, error);
            match dump_error(py, &error) {
                Ok(None) => None,
                Ok(Some((exception, text))) => Some(Failure::Raised { exception, text: text.into() }),
                Err(_) => {
                    // Not even its description can be written.
                    let text =
                        error.get_type(py).name().map_or_else(|_| "an error".into(), |n| n.to_string());
                    Some(Failure::Raised { exception: Bytes::new(), text: text.into() })
                }
            }
        })
    }

    fn type_name(&self, value: &Value) -> Arc<str> {
        match value {
            Value::Frame(_) => "pandas.DataFrame".into(),
            Value::Array(_) => "numpy.ndarray".into(),
            Value::Bytes(_) => "bytes".into(),
            Value::Object(object) => match object.as_any().downcast_ref::<PyValue>() {
                Some(value) => Python::attach(|py| {
                    let name = value.object(py).get_type().name();
                    name.map_or_else(|_| "object".into(), |name| name.to_string().into())
                }),
                None => "native".into(),
            },
        }
    }

    fn call(&self, function: &Encoded) -> Result<Encoded, Encoded> {
        Python::attach(|py| {
            let call = || -> PyResult<Encoded> {
                let call = value::to_py(py, function)?;
                value::encode_object(&call.call0()?)
            };
            call().map_err(|error| {
                let exception = match dump_error(py, &error) {
                    Ok(Some((exception, _))) => exception,
                    _ => Bytes::new(),
                };
                Encoded { form: value::BYTES, head: exception, buffers: vec![] }
            })
        })
    }
}

/// An exception as bytes and as text; `None`: it asks to be run elsewhere.
fn dump_error(py: Python<'_>, error: &PyErr) -> PyResult<Option<(Bytes, String)>> {
    static DUMP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    // Which the exception itself may not know yet.
    if let Some(traceback) = error.traceback(py) {
        error.value(py).setattr(pyo3::intern!(py, "__traceback__"), traceback)?;
    }
    let dumped = DUMP.import(py, "weft.distributed._errors", "dump")?.call1((error.value(py),))?;
    if dumped.is_none() {
        return Ok(None);
    }
    let (exception, text): (Bound<'_, PyBytes>, String) = dumped.extract()?;
    Ok(Some((Bytes::copy_from_slice(exception.as_bytes()), text)))
}

fn read_program(py: Python<'_>, mut blob: Bytes) -> PyResult<Arc<dyn Program>> {
    let kind = pickle::take(&mut blob, 1)?[0];
    Ok(match kind {
        FUNCTION => Arc::new(Function(pickle::from_bytes(py, &mut blob)?.unbind())),
        BAG => shared(crate::bag::work_from_py(&pickle::from_bytes(py, &mut blob)?)?),
        ARRAYS => {
            let (steps, table): (_, Bound<'_, PyBytes>) = pickle::from_bytes(py, &mut blob)?.extract()?;
            let exprs = array_portable::read(steps)?;
            Arc::new(Recipe(array_works(&exprs, table.as_bytes())?))
        }
        FRAMES => Arc::new(Frames(weft_frame::works(&layers_from_bytes(py, &blob)?))),
        _ => return Err(damaged()),
    })
}

/// What the layers of a table do: each entry is the digest of an expression and the number of one of its layers.
fn array_works(exprs: &[weft_array::Expr], table: &[u8]) -> PyResult<Vec<WorkRef>> {
    let parts = weft_array::parts(exprs).map_err(raise)?;
    let (entries, rest) = table.as_chunks::<20>();
    let work = |entry: &[u8; 20]| {
        let (digest, part) = entry.split_at_checked(16)?;
        let digest = u128::from_le_bytes(digest.try_into().ok()?);
        let part = u32::from_le_bytes(part.try_into().ok()?);
        Some(parts.get(&digest)?.get(part as usize)?.work.clone())
    };
    let works: Option<Vec<WorkRef>> = entries.iter().map(work).collect();
    works.filter(|_| rest.is_empty()).ok_or_else(damaged)
}

/// Layers that were lowered here from expressions that came: a task's payload says which one it is of.
#[derive(Debug)]
struct Recipe(Vec<WorkRef>);

impl Recipe {
    fn work(&self, task: &Task) -> Option<&WorkRef> {
        let number = <[u8; 4]>::try_from(task.payload.as_ref()).ok()?;
        self.0.get(u32::from_le_bytes(number) as usize)
    }
}

impl Program for Recipe {
    fn lane(&self, task: &Task) -> Lane {
        self.work(task).map_or(Lane::Host, |work| work.lane())
    }

    fn run(&self, task: &Task, inputs: &mut [Value]) -> Result<Value, TaskError> {
        match self.work(task) {
            Some(work) => work.run(task.index, inputs),
            None => Err(host_error(damaged())),
        }
    }
}

/// Layers of frames that were lowered here: a task's payload says which one it is of, and may bring what is no
/// other task's result.
#[derive(Debug)]
struct Frames(Vec<WorkRef>);

impl Program for Frames {
    fn lane(&self, task: &Task) -> Lane {
        let number = task.payload.first_chunk::<4>().map(|number| u32::from_le_bytes(*number));
        let work = number.and_then(|number| self.0.get(number as usize));
        work.map_or(Lane::Host, |work| work.lane())
    }

    fn run(&self, task: &Task, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let damaged = || host_error(damaged());
        let (number, parcel) = payload_parts(&task.payload).ok_or_else(damaged)?;
        let work = self.0.get(number as usize).ok_or_else(damaged)?;
        let Some(parcel) = parcel else { return work.run(task.index, inputs) };
        let parcel = value::frame(&parcel).map(Value::Frame).map_err(host_error)?;
        // Taken out, so that whoever wants to write into one finds it unshared.
        let empty = || Value::Bytes(Arc::new([]));
        let own = inputs.iter_mut().map(|input| std::mem::replace(input, empty()));
        let mut all: Vec<Value> = own.chain([parcel]).collect();
        work.run(task.index, &mut all)
    }
}

/// A task whose payload says all.
#[derive(Debug)]
struct Whole;

impl Program for Whole {
    fn lane(&self, _: &Task) -> Lane {
        Lane::Host
    }

    fn run(&self, task: &Task, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Python::attach(|py| {
            let node = node::read(py, &mut task.payload.clone())?;
            evaluate(py, &node, inputs)
        })
        .map_err(host_error)
    }
}

fn evaluate(py: Python<'_>, node: &Node, inputs: &[Value]) -> PyResult<Value> {
    match node {
        Node::Input(position) => inputs.get(*position as usize).cloned().ok_or_else(damaged),
        node => Ok(PyValue::value(node.eval(py, inputs)?.unbind())),
    }
}

/// A function, called with what a task's payload says.
struct Function(Py<PyAny>);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}

impl Program for Function {
    fn lane(&self, _: &Task) -> Lane {
        Lane::Host
    }

    fn run(&self, task: &Task, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Python::attach(|py| {
            let (args, kwargs): (Vec<Node>, Vec<(Py<PyString>, Node)>) =
                node::read_arguments(py, &mut task.payload.clone())?;
            let args = args.iter().map(|arg| arg.eval(py, inputs)).collect::<PyResult<Vec<_>>>()?;
            let args = PyTuple::new(py, args)?;
            let function = self.0.bind(py);
            let result = if kwargs.is_empty() {
                function.call1(args)?
            } else {
                let named = PyDict::new(py);
                for (name, value) in &kwargs {
                    named.set_item(name, value.eval(py, inputs)?)?;
                }
                function.call(args, Some(&named))?
            };
            Ok(PyValue::value(result.unbind()))
        })
        .map_err(host_error)
    }
}

/// A layer's work: a task is told its number.
#[derive(Debug)]
struct Shared(WorkRef);

fn shared(work: WorkRef) -> Arc<dyn Program> {
    Arc::new(Shared(work))
}

impl Program for Shared {
    fn lane(&self, _: &Task) -> Lane {
        self.0.lane()
    }

    fn run(&self, task: &Task, inputs: &mut [Value]) -> Result<Value, TaskError> {
        self.0.run(task.index, inputs)
    }
}
