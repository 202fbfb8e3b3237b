//! Python values and Python calls as the engines see them.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::{
    PyFileNotFoundError, PyKeyError, PyMemoryError, PyOSError, PyRuntimeError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};
use weft_data::{DataError, ErrorKind, Lane, Object, TaskError, Value, Work};

use crate::spec::Node;

/// A Python object as a task's result.
pub(crate) struct PyValue {
    object: Py<PyAny>,
    /// Its size once it was asked for; `usize::MAX` before.
    nbytes: AtomicUsize,
}

impl PyValue {
    pub(crate) fn value(object: Py<PyAny>) -> Value {
        Value::Object(Arc::new(PyValue { object, nbytes: AtomicUsize::new(usize::MAX) }))
    }

    pub(crate) fn object(&self) -> &Py<PyAny> {
        &self.object
    }

    fn failure(&self, py: Python<'_>, error: &PyErr) -> (String, String) {
        let kind = self.object.bind(py).get_type().name().map_or("an object".to_string(), |n| n.to_string());
        (kind, error.to_string())
    }
}

impl fmt::Debug for PyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PyValue(..)")
    }
}

impl Object for PyValue {
    fn nbytes(&self) -> usize {
        let known = self.nbytes.load(Ordering::Relaxed);
        if known != usize::MAX {
            return known;
        }
        let nbytes = Python::attach(|py| sizeof(self.object.bind(py)));
        self.nbytes.store(nbytes, Ordering::Relaxed);
        nbytes
    }

    fn encode(&self) -> Result<Vec<u8>, DataError> {
        Python::attach(|py| {
            dumps(self.object.bind(py)).map_err(|error| {
                let (what, reason) = self.failure(py, &error);
                DataError::Encode { what, reason }
            })
        })
    }

    fn decode(&self, bytes: &[u8]) -> Result<Arc<dyn Object>, DataError> {
        Python::attach(|py| match loads(py, bytes) {
            Ok(object) => Ok(Arc::new(PyValue {
                object: object.unbind(),
                nbytes: AtomicUsize::new(self.nbytes.load(Ordering::Relaxed)),
            }) as Arc<dyn Object>),
            Err(error) => {
                let (what, reason) = self.failure(py, &error);
                Err(DataError::Decode { what, reason })
            }
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Bytes that an object holds. Small scalars are answered here, the rest by `weft.sizeof`.
fn sizeof(object: &Bound<'_, PyAny>) -> usize {
    static SIZEOF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    const SCALAR: usize = 32;
    let py = object.py();
    if object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
    {
        return SCALAR;
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        return 56 + text.len().unwrap_or(0);
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return 40 + bytes.as_bytes().len();
    }
    // A size is an estimate: an object whose `__sizeof__` raises still has to be kept.
    SIZEOF
        .import(py, "weft.sizeof", "sizeof")
        .and_then(|sizeof| sizeof.call1((object,))?.extract())
        .unwrap_or(SCALAR)
}

/// Pickles with the fast pickler, and by value with cloudpickle what that cannot name.
pub(crate) fn dumps(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let py = object.py();
    let pickled = py
        .import("pickle")?
        .call_method1("dumps", (object, 5))
        .or_else(|_| py.import("cloudpickle")?.call_method1("dumps", (object, 5)))?;
    Ok(pickled.cast::<PyBytes>()?.as_bytes().to_vec())
}

pub(crate) fn loads<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    py.import("pickle")?.call_method1("loads", (PyBytes::new(py, bytes),))
}

/// The Python object that a value stands for.
pub(crate) fn value_to_py<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Object(object) => match object.as_any().downcast_ref::<PyValue>() {
            Some(value) => Ok(value.object.bind(py).clone()),
            None => Err(PyTypeError::new_err("this value belongs to another language than Python")),
        },
        Value::Bytes(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Value::Frame(_) => Err(PyTypeError::new_err("a frame partition has no Python form here")),
    }
}

/// The exception that a task's failure is: a Python task's own, untouched.
pub(crate) fn error_to_py(py: Python<'_>, error: &TaskError) -> PyErr {
    match error {
        TaskError::Host(payload) => match payload.downcast_ref::<PyErr>() {
            Some(error) => error.clone_ref(py),
            None => PyRuntimeError::new_err("a task failed in another language than Python"),
        },
        TaskError::Native { kind, message } => {
            let message = message.clone();
            match kind {
                ErrorKind::Value => PyValueError::new_err(message),
                ErrorKind::Type => PyTypeError::new_err(message),
                ErrorKind::Key => PyKeyError::new_err(message),
                ErrorKind::File => PyOSError::new_err(message),
                ErrorKind::NotFound => PyFileNotFoundError::new_err(message),
                ErrorKind::Memory => PyMemoryError::new_err(message),
                ErrorKind::Runtime => PyRuntimeError::new_err(message),
            }
        }
    }
}

pub(crate) fn host_error(error: PyErr) -> TaskError {
    TaskError::Host(Arc::new(error))
}

/// One Python task: the work of a `Rule::Single` layer.
pub(crate) struct PyTask {
    pub(crate) node: Node,
    /// What pictures and progress bars call it.
    pub(crate) label: Arc<str>,
    /// The `weft.annotate` in force when the task was made.
    pub(crate) annotations: Option<Py<PyAny>>,
}

/// Python tasks that came as one mapping: the work of a `Rule::Explicit` layer.
pub(crate) struct PyTasks {
    pub(crate) nodes: Vec<Node>,
    pub(crate) label: Arc<str>,
    pub(crate) annotations: Option<Py<PyAny>>,
}

fn run(node: &Node, inputs: &mut [Value]) -> Result<Value, TaskError> {
    if let Node::Input(position) = node {
        return Ok(inputs[*position as usize].clone());
    }
    Python::attach(|py| {
        node.eval(py, inputs).map(|object| PyValue::value(object.unbind())).map_err(host_error)
    })
}

impl Work for PyTask {
    fn lane(&self) -> Lane {
        Lane::Host
    }

    fn name(&self) -> &str {
        &self.label
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        run(&self.node, inputs)
    }

    fn is_alias(&self) -> bool {
        matches!(self.node, Node::Input(0))
    }
}

impl Work for PyTasks {
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
        run(&self.nodes[index as usize], inputs)
    }
}

impl fmt::Debug for PyTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PyTask({})", self.label)
    }
}

impl fmt::Debug for PyTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PyTasks({}, {} tasks)", self.label, self.nodes.len())
    }
}

pub(crate) fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
