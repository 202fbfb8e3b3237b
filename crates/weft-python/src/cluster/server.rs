//! Schedulers and nannies, as Python starts and stops them.

use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use weft_cluster::{ClusterError, Nanny, SchedulerOptions, SchedulerServer};
use weft_net::{Address, Token};
use weft_scheduler::Config;
use weft_scheduler::message::Epoch;

use super::future::{deadline, passed, slice};

pub(super) fn os_error(error: ClusterError) -> PyErr {
    match error {
        ClusterError::Refused(reason) => PyValueError::new_err(reason),
        ClusterError::TimedOut => pyo3::exceptions::PyTimeoutError::new_err("not done in time"),
        error => PyOSError::new_err(error.to_string()),
    }
}

pub(super) fn address(text: &str) -> PyResult<Address> {
    text.parse().map_err(|error: weft_net::NetError| PyValueError::new_err(error.to_string()))
}

/// A scheduler in this process, on a thread of its own that never needs Python.
#[pyclass(frozen, module = "weft._weft", name = "SchedulerServer")]
struct PyScheduler(SchedulerServer);

#[pymethods]
impl PyScheduler {
    /// Listens on `addresses`; whoever calls must know `token`.
    #[new]
    #[pyo3(signature = (addresses, token, *, allowed_failures=3, worker_saturation=1.1, work_stealing=true))]
    fn new(
        py: Python<'_>,
        addresses: Vec<String>,
        token: &str,
        allowed_failures: u32,
        worker_saturation: f64,
        work_stealing: bool,
    ) -> PyResult<Self> {
        let addresses = addresses.iter().map(|text| address(text)).collect::<PyResult<_>>()?;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let config = Config {
            epoch: Epoch(since.as_nanos() as u64),
            allowed_failures,
            worker_saturation,
            work_stealing,
            ..Config::default()
        };
        let options = SchedulerOptions { addresses, token: Token::from_secret(token), config };
        py.detach(|| SchedulerServer::start(options)).map(PyScheduler).map_err(os_error)
    }

    #[getter]
    fn addresses(&self) -> Vec<String> {
        self.0.addresses().iter().map(Address::to_string).collect()
    }

    /// Tells why a worker's process has ended.
    fn worker_exited(&self, pid: u32, cause: &str, expected: bool) {
        self.0.worker_exited(pid, cause, expected);
    }

    /// What users should hear, once.
    fn warnings(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.0.warnings()).iter().map(ToString::to_string).collect()
    }

    /// Asks workers to exit and closes all connections.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

/// A child process that is explained when it ends.
#[pyclass(frozen, module = "weft._weft", name = "Nanny")]
struct PyNanny(Nanny);

#[pymethods]
impl PyNanny {
    #[new]
    fn new(
        py: Python<'_>,
        program: &str,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
    ) -> PyResult<Self> {
        py.detach(|| Nanny::spawn(program, &arguments, &environment)).map(PyNanny).map_err(os_error)
    }

    #[getter]
    fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Waits until it has ended: (cause, whether the exit code was 0); None: not in time.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<(String, bool)>> {
        let until = deadline(timeout);
        loop {
            let pause: Duration = slice(until);
            if let Some(exit) = py.detach(|| self.0.wait(pause)) {
                return Ok(Some((exit.cause, exit.clean)));
            }
            py.check_signals()?;
            if passed(until) {
                return Ok(None);
            }
        }
    }

    /// Closes the pipe that keeps it alive.
    fn let_go(&self) {
        self.0.let_go();
    }

    fn kill(&self) {
        self.0.kill();
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyScheduler>()?;
    module.add_class::<PyNanny>()
}
