//! Python values and Python calls as the engines see them.

use std::any::Any;
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{
    PyFileNotFoundError, PyKeyError, PyMemoryError, PyOSError, PyRuntimeError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};
use weft_data::{CodecError, Decode, ErrorKind, Lane, NdArray, Object, TaskError, Value, Work};

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

    pub(crate) fn object<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyAny> {
        self.object.bind(py)
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

    fn encode(&self, sink: &mut (dyn Write + Send)) -> Result<(), CodecError> {
        Python::attach(|py| {
            let object = self.object.bind(py);
            let pickle = Pickle::dumps(object).map_err(|error| codec_error(object, &error))?;
            pickle.write(sink)
        })
    }

    fn decoder(&self) -> Decode {
        |source| {
            Python::attach(|py| {
                let object =
                    Pickle::read(py, source)?.loads(py).map_err(|e| CodecError::Codec(e.to_string()))?;
                Ok(Arc::new(PyValue { object: object.unbind(), nbytes: AtomicUsize::new(usize::MAX) })
                    as Arc<dyn Object>)
            })
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn to_array(&self) -> Result<Arc<NdArray>, TaskError> {
        crate::array::to_array(&self.object)
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

fn codec_error(object: &Bound<'_, PyAny>, error: &PyErr) -> CodecError {
    let class = object.get_type().name().map_or("object".to_string(), |name| name.to_string());
    CodecError::Codec(format!("{class} cannot be pickled: {error}"))
}

/// An object's pickle: a small stream, and the buffers that the object holds, as they lie in memory.
struct Pickle<'py> {
    stream: Bound<'py, PyBytes>,
    buffers: Vec<Bound<'py, PyAny>>,
}

impl<'py> Pickle<'py> {
    /// Pickles by reference where that works, else functions and classes by value.
    fn dumps(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let dumps = |module: &str| -> PyResult<Self> {
            let buffers = PyList::empty(py);
            let options = PyDict::new(py);
            options.set_item("protocol", 5)?;
            options.set_item("buffer_callback", buffers.getattr("append")?)?;
            let stream = py.import(module)?.call_method("dumps", (object,), Some(&options))?;
            let buffers = buffers.iter().map(|b| b.call_method0("raw")).collect::<PyResult<_>>()?;
            Ok(Pickle { stream: stream.cast_into()?, buffers })
        };
        dumps("pickle").or_else(|_| dumps("cloudpickle"))
    }

    fn loads(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let options = PyDict::new(py);
        options.set_item("buffers", &self.buffers)?;
        py.import("pickle")?.call_method("loads", (&self.stream,), Some(&options))
    }

    fn write(&self, sink: &mut (dyn Write + Send)) -> Result<(), CodecError> {
        let mut put = |bytes: &[u8]| -> std::io::Result<()> {
            sink.write_all(&(bytes.len() as u64).to_le_bytes())?;
            sink.write_all(bytes)
        };
        put(self.stream.as_bytes())?;
        for buffer in &self.buffers {
            let buffer = PyBuffer::<u8>::get(buffer).map_err(|e| CodecError::Codec(e.to_string()))?;
            // SAFETY: `raw()` gives contiguous bytes, which the view keeps alive. Whoever writes to
            // a task's result while it is saved gets torn numbers, not torn memory.
            put(unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes()) })?;
        }
        sink.write_all(&u64::MAX.to_le_bytes())?;
        Ok(())
    }

    fn read(py: Python<'py>, source: &mut (dyn Read + Send)) -> Result<Self, CodecError> {
        let mut length = [0u8; 8];
        let mut buffers = Vec::new();
        let mut stream = None;
        loop {
            source.read_exact(&mut length)?;
            let length = match u64::from_le_bytes(length) {
                u64::MAX => break,
                length => length as usize,
            };
            let mut failure = None;
            let mut fill = |bytes: &mut [u8]| {
                failure = source.read_exact(bytes).err();
                Ok(())
            };
            // Arrays over a bytearray can be written to, as they could before.
            let read: PyResult<()> = match &stream {
                None => PyBytes::new_with(py, length, &mut fill).map(|bytes| stream = Some(bytes)),
                Some(_) => PyByteArray::new_with(py, length, &mut fill).map(|b| buffers.push(b.into_any())),
            };
            read.map_err(|e| CodecError::Codec(e.to_string()))?;
            if let Some(error) = failure {
                return Err(error.into());
            }
        }
        match stream {
            Some(stream) => Ok(Pickle { stream, buffers }),
            None => Err(CodecError::Codec("the pickle is empty".into())),
        }
    }
}

/// The Python object that a value stands for.
pub(crate) fn value_to_py<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Object(object) => match object.as_any().downcast_ref::<PyValue>() {
            Some(value) => Ok(value.object.bind(py).clone()),
            None => Err(PyTypeError::new_err("this value belongs to another language than Python")),
        },
        Value::Array(array) => crate::ndarray::to_numpy(py, array),
        Value::Bytes(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Value::Frame(frame) => crate::arrow::to_pandas(py, frame.clone(), crate::arrow::Lend::Writable),
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

    fn is_alias(&self, _index: u32) -> bool {
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

    fn is_alias(&self, index: u32) -> bool {
        matches!(self.nodes[index as usize], Node::Input(0))
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
