//! Workers: servers whose tasks run on threads that Python made.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use weft_cluster::{MemoryThresholds, Place, WorkerOptions, WorkerServer};

use super::future::{deadline, passed, slice};
use super::program::PyHost;
use super::server::{Pem, address, credentials, os_error};
use crate::engine::PyGate;
use crate::key::key_to_py;

/// A worker in this process.
#[pyclass(frozen, module = "weft._weft", name = "WorkerServer", weakref)]
struct PyWorker(WorkerServer);

#[pymethods]
impl PyWorker {
    /// Connects to `scheduler` and listens on `listen`. Tasks run once threads call `serve`, results are written
    /// once one calls `serve_errands`.
    #[new]
    #[pyo3(signature = (scheduler, listen, token, *, name, nthreads, memory_limit, spill, nanny,
                        resources, thresholds=(0.6, 0.7, 0.8), reconnect=60.0, contact=None, tls=None))]
    #[allow(clippy::too_many_arguments, reason = "one call from one place in Python, by keyword")]
    fn new(
        py: Python<'_>,
        scheduler: &str,
        listen: &str,
        token: &str,
        name: String,
        nthreads: u32,
        memory_limit: u64,
        spill: PathBuf,
        nanny: String,
        resources: Vec<(String, f64)>,
        thresholds: (f64, f64, f64),
        reconnect: f64,
        contact: Option<&str>,
        tls: Option<Pem>,
    ) -> PyResult<Self> {
        let (target, spill_at, pause) = thresholds;
        let options = WorkerOptions {
            name,
            scheduler: address(scheduler)?,
            listen: address(listen)?,
            token: credentials(token, tls)?,
            nthreads,
            memory_limit,
            thresholds: MemoryThresholds { target, spill: spill_at, pause },
            contact: contact.map(address).transpose()?,
            reconnect: Duration::try_from_secs_f64(reconnect)
                .map_err(|e| PyValueError::new_err(e.to_string()))?,
            resources: resources.into_iter().map(|(name, amount)| (name.into(), amount)).collect(),
            nanny,
            spill,
            host: Arc::new(PyHost),
        };
        py.detach(|| WorkerServer::start(options)).map(PyWorker).map_err(os_error)
    }

    #[getter]
    fn address(&self) -> String {
        self.0.address().to_string()
    }

    #[getter]
    fn name(&self) -> String {
        self.0.name().to_string()
    }

    #[getter]
    fn nthreads(&self) -> u32 {
        self.0.nthreads()
    }

    /// Runs tasks on this thread until the worker closes.
    fn serve(&self, py: Python<'_>) -> PyResult<()> {
        let mut gate = PyGate::new(py, false)?;
        py.detach(|| self.0.serve(&mut gate));
        Ok(())
    }

    /// Does what clients and peers ask for on this thread until the worker closes.
    fn serve_errands(&self, py: Python<'_>) -> PyResult<()> {
        let mut gate = PyGate::new(py, false)?;
        py.detach(|| self.0.serve_errands(&mut gate));
        Ok(())
    }

    /// Runs calls to actors on this thread until the worker closes.
    fn serve_actors(&self, py: Python<'_>) -> PyResult<()> {
        let mut gate = PyGate::new(py, false)?;
        py.detach(|| self.0.serve_actors(&mut gate));
        Ok(())
    }

    /// Why the worker was told to go; None: it was not within `timeout` seconds.
    #[pyo3(signature = (timeout=None))]
    fn wait_closed(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<String>> {
        let until = deadline(timeout);
        loop {
            if let Some(reason) = py.detach(|| self.0.wait_closed(slice(until))) {
                return Ok(Some(reason.to_string()));
            }
            py.check_signals()?;
            if passed(until) {
                return Ok(None);
            }
        }
    }

    /// Ends this process when its standard input closes; removes the directories `cleanup`.
    fn exit_with_input(&self, cleanup: Vec<PathBuf>) {
        self.0.exit_with_input(cleanup);
    }

    fn close(&self, py: Python<'_>, reason: &str) {
        py.detach(|| self.0.close(reason));
    }

    /// Asks to be retired: results move elsewhere first.
    fn leave(&self, py: Python<'_>, reason: &str) {
        py.detach(|| self.0.leave(reason));
    }
}

/// The key of the task that this thread runs, and its worker's address; None: it runs none.
#[pyfunction]
fn current_task(py: Python<'_>) -> PyResult<Option<(Bound<'_, PyAny>, String)>> {
    let Some(place) = Place::current() else { return Ok(None) };
    Ok(Some((key_to_py(py, &place.task.key)?, place.worker().address().to_string())))
}

/// Takes the task of this thread out of the pool, and says whether it was in: then the caller starts a thread in
/// its place. None: this thread runs no task.
#[pyfunction]
fn secede_task(py: Python<'_>) -> Option<bool> {
    let place = Place::current()?;
    Some(py.detach(|| place.secede()))
}

/// Waits for a place in the pool again.
#[pyfunction]
fn rejoin_task(py: Python<'_>) -> bool {
    let Some(place) = Place::current() else { return false };
    py.detach(|| place.rejoin());
    true
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyWorker>()?;
    module.add_function(wrap_pyfunction!(current_task, module)?)?;
    module.add_function(wrap_pyfunction!(secede_task, module)?)?;
    module.add_function(wrap_pyfunction!(rejoin_task, module)?)
}
