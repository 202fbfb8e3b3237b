//! Handles on futures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PyString};
use weft_cluster::{FutureRef, Status, Watch};
use weft_graph::Key;
use weft_scheduler::message::Failure;

use crate::key::key_to_py;

/// How often a waiting thread looks for signals.
pub(super) const SIGNALS_EVERY: Duration = Duration::from_millis(40);

/// A hold on a future: while one lives, the cluster keeps the result.
#[pyclass(frozen, module = "weft._weft", name = "FutureHandle", weakref)]
pub(super) struct Handle(pub(super) Arc<FutureRef>);

#[pymethods]
impl Handle {
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        key_to_py(py, self.0.key())
    }

    /// ``"pending"``, ``"finished"``, ``"error"`` or ``"cancelled"``.
    #[getter]
    fn status(&self) -> &'static str {
        match self.0.status() {
            Status::Pending => "pending",
            Status::Done { .. } => "finished",
            Status::Erred { .. } => "error",
            Status::Cancelled { .. } => "cancelled",
        }
    }

    #[getter]
    fn nbytes(&self) -> Option<u64> {
        match self.0.status() {
            Status::Done { nbytes, .. } => Some(nbytes),
            _ => None,
        }
    }

    /// Why there is no result: (kind, text, pickled exception or None); None if nothing has failed.
    fn failure<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(&'static str, String, Option<Bound<'py, PyBytes>>)>> {
        Ok(match self.0.status() {
            Status::Erred { failure } => Some(failure_parts(py, &failure)),
            Status::Cancelled { reason } => Some(("cancelled", reason.to_string(), None)),
            _ => None,
        })
    }

    /// Tells `watch` the `token` once the future is not pending.
    fn watch(&self, watch: &PyWatch, token: u64) {
        self.0.watch(&watch.0, token);
    }

    /// A second handle on the same future.
    fn copy(&self) -> Handle {
        Handle(self.0.clone())
    }
}

/// Kind, text and pickled exception of a failure.
pub(super) fn failure_parts<'py>(
    py: Python<'py>,
    failure: &Failure,
) -> (&'static str, String, Option<Bound<'py, PyBytes>>) {
    let text = weft_cluster::describe(failure);
    match failure {
        Failure::Raised { exception, .. } if exception.is_empty() => ("unreadable", text, None),
        Failure::Raised { exception, .. } => ("raised", text, Some(PyBytes::new(py, exception))),
        Failure::KilledWorker { .. } => ("killed", text, None),
        Failure::Cancelled { .. } => ("cancelled", text, None),
        Failure::Lost { .. } | Failure::UnknownInput { .. } | Failure::Unreachable { .. } => {
            ("lost", text, None)
        }
    }
}

/// A queue of tokens: what has happened since somebody looked.
#[pyclass(frozen, module = "weft._weft", name = "Watch")]
pub(super) struct PyWatch(pub(super) Arc<Watch>);

#[pymethods]
impl PyWatch {
    #[new]
    fn new() -> PyWatch {
        PyWatch(Watch::new())
    }

    /// Tokens since the last call; waits for the first, at most `timeout` seconds (None: as long as it takes). None if the
    /// watch is closed and nothing is left.
    #[pyo3(signature = (timeout=None))]
    fn pop(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Vec<u64>>> {
        let until = deadline(timeout);
        loop {
            match py.detach(|| self.0.pop(slice(until))) {
                None => return Ok(None),
                Some(tokens) if !tokens.is_empty() || passed(until) => return Ok(Some(tokens)),
                Some(_) => py.check_signals()?,
            }
        }
    }

    fn push(&self, token: u64) {
        self.0.push(token);
    }

    fn close(&self) {
        self.0.close();
    }
}

/// When a timeout in seconds is over; None: never.
pub(super) fn deadline(timeout: Option<f64>) -> Option<Instant> {
    let seconds = timeout?;
    Instant::now().checked_add(Duration::try_from_secs_f64(seconds.max(0.0)).ok()?)
}

pub(super) fn passed(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

/// How long to wait before the next look for signals.
pub(super) fn slice(until: Option<Instant>) -> Duration {
    match until {
        None => SIGNALS_EVERY,
        Some(until) => until.saturating_duration_since(Instant::now()).min(SIGNALS_EVERY),
    }
}

/// The key of a `weft.distributed.Future`; `None`: it is something else.
pub(super) fn future_key(object: &Bound<'_, PyAny>) -> PyResult<Option<Key>> {
    Ok(future_ref(object)?.map(|future| future.key().clone()))
}

pub(super) fn future_ref(object: &Bound<'_, PyAny>) -> PyResult<Option<Arc<FutureRef>>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyList>()
        || object.is_exact_instance_of::<PyBool>()
    {
        return Ok(None);
    }
    let py = object.py();
    let class = CLASS.import(py, "weft.distributed._future", "Future")?;
    if !object.is_instance(class)? {
        return Ok(None);
    }
    let handle = object.call_method0(pyo3::intern!(py, "_hold"))?;
    Ok(Some(handle.cast::<Handle>()?.get().0.clone()))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Handle>()?;
    module.add_class::<PyWatch>()
}
