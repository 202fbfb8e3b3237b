//! Schedulers and nannies, as Python starts and stops them.

use std::time::Duration;

use pyo3::exceptions::{PyConnectionAbortedError, PyOSError, PyValueError};
use pyo3::prelude::*;
use weft_cluster::{
    Bounds, ClusterError, DashboardOptions, Nanny, SchedulerOptions, SchedulerServer, Secret, bind_dashboard,
    report_exit as report,
};
use weft_net::{Address, Tls, Token};
use weft_scheduler::Config;
use weft_scheduler::message::Epoch;

use super::future::{deadline, passed, slice};

pub(super) fn os_error(error: ClusterError) -> PyErr {
    match error {
        ClusterError::Refused(reason) => PyValueError::new_err(reason),
        ClusterError::TimedOut => pyo3::exceptions::PyTimeoutError::new_err("not done in time"),
        error @ ClusterError::Closed(_) => PyConnectionAbortedError::new_err(error.to_string()),
        error => PyOSError::new_err(error.to_string()),
    }
}

pub(super) fn address(text: &str) -> PyResult<Address> {
    text.parse().map_err(|error: weft_net::NetError| PyValueError::new_err(error.to_string()))
}

/// A scheduler in this process, on a thread of its own that never needs Python.
#[pyclass(frozen, module = "weft._weft", name = "SchedulerServer")]
struct PyScheduler {
    server: SchedulerServer,
    dashboard: Option<(String, u16, bool)>,
}

#[pymethods]
impl PyScheduler {
    /// Listens on `addresses`; whoever calls must know `token`. `dashboard`: host and port of its page, which another
    /// port near it may take over.
    #[new]
    #[pyo3(signature = (addresses, token, *, allowed_failures=3, worker_saturation=1.1, work_stealing=true,
                        dashboard=None, worker_ttl=None, tls=None))]
    #[allow(clippy::too_many_arguments, reason = "one call from one place in Python, by keyword")]
    fn new(
        py: Python<'_>,
        addresses: Vec<String>,
        token: &str,
        allowed_failures: u32,
        worker_saturation: f64,
        work_stealing: bool,
        dashboard: Option<(String, u16)>,
        worker_ttl: Option<f64>,
        tls: Option<Pem>,
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
        let (mut shown, mut page) = (None, None);
        if let Some((host, port)) = dashboard {
            let (listener, first) = bind_dashboard(&host, port)?;
            shown = Some((host, listener.local_addr()?.port(), first));
            page = Some(DashboardOptions { listener, secret: Secret::new(token) });
        }
        let worker_ttl = worker_ttl
            .map(Duration::try_from_secs_f64)
            .transpose()
            .map_err(|e| PyValueError::new_err(e.to_string()))?;
        let token = credentials(token, tls)?;
        let options = SchedulerOptions { addresses, token, config, dashboard: page, worker_ttl };
        let server = py.detach(|| SchedulerServer::start(options)).map_err(os_error)?;
        Ok(PyScheduler { server, dashboard: shown })
    }

    #[getter]
    fn addresses(&self) -> Vec<String> {
        self.server.addresses().iter().map(Address::to_string).collect()
    }

    /// Tells why a worker's process has ended.
    fn worker_exited(&self, nanny: &str, pid: u32, cause: &str, expected: bool) {
        self.server.worker_exited(nanny, pid, cause, expected);
    }

    /// Host and port of the dashboard, and whether the port is the one that was asked for.
    #[getter]
    fn dashboard(&self) -> Option<(String, u16, bool)> {
        self.dashboard.clone()
    }

    /// Tasks that run or could run, the seconds that they will take on one thread, and the bytes of all results.
    fn load(&self, py: Python<'_>) -> (u64, f64, u64) {
        let (tasks, ns, nbytes) = py.detach(|| self.server.load());
        (tasks, ns as f64 / 1e9, nbytes)
    }

    /// Whether there are clients, or tasks of theirs.
    fn is_busy(&self, py: Python<'_>) -> bool {
        py.detach(|| self.server.is_busy())
    }

    /// What users should hear, once.
    fn warnings(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.server.warnings()).iter().map(ToString::to_string).collect()
    }

    /// Asks workers to exit and closes all connections.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.server.close());
    }
}

/// A child process that is explained when it ends.
#[pyclass(frozen, module = "weft._weft", name = "Nanny")]
struct PyNanny(Nanny);

#[pymethods]
impl PyNanny {
    /// `memory_limit` in bytes (0: none), and the part of it above which the process is killed; `stopped`: so many
    /// seconds after a SIGSTOP it is killed too (0: never). Both by whoever waits.
    #[new]
    #[pyo3(signature = (program, arguments, environment, memory_limit=0, terminate=0.95, stopped=0.0))]
    fn new(
        py: Python<'_>,
        program: &str,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
        memory_limit: u64,
        terminate: f64,
        stopped: f64,
    ) -> PyResult<Self> {
        let stopped =
            Duration::try_from_secs_f64(stopped).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let memory_bytes = (memory_limit as f64 * terminate.max(0.0)) as u64;
        let bounds = Bounds { memory_bytes, memory_limit, stopped };
        py.detach(|| Nanny::spawn(program, &arguments, &environment, bounds)).map(PyNanny).map_err(os_error)
    }

    #[getter]
    fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Its resident memory when it was last looked at.
    #[getter]
    fn memory(&self) -> u64 {
        self.0.memory()
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

/// Authorities, certificate and key as PEM texts.
pub(super) type Pem = (String, String, String);

pub(super) fn credentials(token: &str, tls: Option<Pem>) -> PyResult<Token> {
    let tls = tls
        .map(|(authorities, certificate, key)| {
            Tls::from_pem(authorities.as_bytes(), certificate.as_bytes(), key.as_bytes())
        })
        .transpose()
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(Token::from_secret(token).with_tls(tls))
}

/// A new authority's certificate, and a certificate by it with its key: PEM texts.
#[pyfunction]
fn temporary_certificates() -> PyResult<Pem> {
    weft_net::temporary_certificates().map_err(|error| PyOSError::new_err(error.to_string()))
}

/// Tells the scheduler at `scheduler` how a process of the nanny `nanny` has ended.
#[pyfunction]
#[pyo3(signature = (scheduler, token, nanny, exit, tls=None))]
fn report_exit(
    py: Python<'_>,
    scheduler: &str,
    token: &str,
    nanny: &str,
    exit: (u32, String, bool),
    tls: Option<Pem>,
) -> PyResult<()> {
    let (to, token) = (address(scheduler)?, credentials(token, tls)?);
    let (pid, cause, expected) = exit;
    let within = Duration::from_secs(5);
    py.detach(|| report(&to, &token, nanny, (pid, &cause, expected), within)).map_err(os_error)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyScheduler>()?;
    module.add_function(wrap_pyfunction!(report_exit, module)?)?;
    module.add_function(wrap_pyfunction!(temporary_certificates, module)?)?;
    module.add_class::<PyNanny>()
}
