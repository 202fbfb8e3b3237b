//! The local engine's border with Python: threads, contexts, signals, forks, exceptions.
//!
//! The engine itself is `weft-exec`; `python/weft/_engine.py` decides who serves a run. Here is what only
//! PyO3 can do. All threads come from Python (`threading.Thread`), call [`serve_pool`] once and
//! stay; they wait and run kernels detached, and attach for a batch of Python tasks.

use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, Instant};
use std::{mem, ptr, sync::Arc};

use pyo3::exceptions::{PyIndexError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use weft_data::{Store, Value};
use weft_exec::{Event, Gate, Host, Inside, PlanError, Pool, Run, RunOptions, Stop};
use weft_graph::TaskId;

use crate::graph::Graph;
use crate::key::{key_from_py, key_to_py};
use crate::spec::Node;
use crate::task::{PyTask, PyTasks, PyValue, error_to_py, value_to_py};

/// How often a waiting thread looks for signals: Ctrl-C is noticed after at most this.
const SIGNALS_EVERY: Duration = Duration::from_millis(40);

/// What the whole process shares.
struct Engine {
    pool: Pool,
    store: Store,
}

/// The process's engine. Never freed: a fork leaves the parent's behind, with whatever locks other
/// threads held at that moment, and the child makes its own.
static ENGINE: AtomicPtr<Engine> = AtomicPtr::new(ptr::null_mut());

fn engine() -> &'static Engine {
    let current = ENGINE.load(Ordering::Acquire);
    // SAFETY: the pointer is null or came from `Box::into_raw` in `install`, and is never freed.
    if let Some(engine) = unsafe { current.as_ref() } {
        return engine;
    }
    install(current)
}

/// Puts a new engine in the place of `current`, unless another thread was faster.
fn install(current: *mut Engine) -> &'static Engine {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let store = Store::new(usize::MAX, std::env::temp_dir());
    let new = Box::into_raw(Box::new(Engine { pool: Pool::new(threads), store }));
    let installed = match ENGINE.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => new,
        Err(faster) => {
            // SAFETY: nobody else has seen `new`.
            drop(unsafe { Box::from_raw(new) });
            faster
        }
    };
    // SAFETY: not null, from `Box::into_raw`, never freed.
    unsafe { &*installed }
}

/// The interpreter's lock, for a thread that Python made.
pub(crate) struct PyGate {
    thread: u64,
    /// The caller's own thread: signals are its business.
    signals: Option<Instant>,
    error: Option<PyErr>,
}

impl PyGate {
    pub(crate) fn new(py: Python<'_>, signals: bool) -> PyResult<PyGate> {
        let thread = py.import("threading")?.call_method0("get_ident")?.extract()?;
        Ok(PyGate { thread, signals: signals.then(Instant::now), error: None })
    }
}

impl Gate for PyGate {
    fn inside(&mut self, host: &Host, batch: &mut dyn FnMut(&mut dyn Inside)) {
        Python::attach(|py| {
            let base = host.as_ref().and_then(|host| host.downcast_ref::<Py<PyAny>>());
            let Some(base) = base.map(|base| base.bind(py)) else {
                return batch(&mut PyInside { py, contexts: None });
            };
            // A copy, so that what tasks set is theirs alone.
            let outcome = base.call_method0(intern!(py, "copy")).and_then(|copy| {
                let contexts = Some((copy.clone(), base.clone()));
                let mut inside = PyInside { py, contexts };
                let mut run = || batch(&mut inside);
                call_within(&copy, &mut run)
            });
            if let Err(error) = outcome {
                // Entering a fresh copy of a context fails only when memory does.
                error.write_unraisable(py, Some(base));
                self.error = Some(PyRuntimeError::new_err("a task's context could not be entered"));
            }
        });
    }

    fn thread(&self) -> u64 {
        self.thread
    }

    fn interrupted(&mut self) -> bool {
        if let Some(last) = self.signals
            && last.elapsed() > SIGNALS_EVERY
        {
            self.signals = Some(Instant::now());
            self.error = Python::attach(|py| py.check_signals()).err();
        }
        self.error.is_some()
    }
}

/// Between `Gate::inside` and its end.
struct PyInside<'py> {
    py: Python<'py>,
    /// The context that is entered, and the one that it was copied from.
    contexts: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
}

impl Inside for PyInside<'_> {
    fn outside(&mut self, work: &mut (dyn FnMut() + Send)) {
        self.py.detach(work);
    }

    /// A task that has set a context variable must not pass it on to the next.
    fn proceed(&mut self) -> bool {
        match &self.contexts {
            // Quick if they are the same, because they then share their table of variables.
            Some((entered, base)) => entered.eq(base).unwrap_or(false),
            None => true,
        }
    }
}

/// Calls `run` inside a `contextvars.Context`, which only calls Python objects.
fn call_within(context: &Bound<'_, PyAny>, run: &mut dyn FnMut()) -> PyResult<()> {
    // SAFETY: only the lifetime changes. The pointer is used by `Trampoline::__call__` alone, which
    // takes it out first; it is taken out below at the latest, before `run` ends.
    let run: *mut (dyn FnMut() + 'static) = unsafe { mem::transmute(run as *mut dyn FnMut()) };
    let trampoline = Bound::new(context.py(), Trampoline(Mutex::new(Some(Borrowed(run)))))?;
    let outcome = context.call_method1(intern!(context.py(), "run"), (&trampoline,));
    let _ = trampoline.get().take();
    outcome.map(drop)
}

struct Borrowed(*mut (dyn FnMut() + 'static));

// SAFETY: it is called on the thread that made it (`Context.run` calls at once); a profiler that
// gets hold of the object from elsewhere finds it empty, or empties it, and never calls concurrently.
unsafe impl Send for Borrowed {}

/// A Python callable for a borrowed closure; callable once.
#[pyclass(frozen, module = "weft._weft", name = "_Batch")]
struct Trampoline(Mutex<Option<Borrowed>>);

impl Trampoline {
    fn take(&self) -> Option<Borrowed> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

#[pymethods]
impl Trampoline {
    fn __call__(&self) {
        if let Some(run) = self.take() {
            // SAFETY: see `call_within`: the closure lives until `Context.run` has returned, and is
            // called once because it was taken out.
            unsafe { (*run.0)() }
        }
    }
}

/// One computation: what `_engine.py` drives.
#[pyclass(frozen, module = "weft._weft", weakref)]
pub(crate) struct Execution {
    run: Run,
    pool: Pool,
    store: Store,
    /// Tasks in the static order, and each task's place among them.
    order: std::sync::OnceLock<(Vec<TaskId>, Vec<u32>)>,
}

impl Execution {
    fn order(&self) -> &(Vec<TaskId>, Vec<u32>) {
        self.order.get_or_init(|| {
            let tasks = self.run.in_order();
            let mut numbers = vec![u32::MAX; self.run.tasks().dag.len()];
            for (number, task) in tasks.iter().enumerate() {
                numbers[task.index()] = number as u32;
            }
            (tasks, numbers)
        })
    }

    fn number(&self, task: TaskId) -> u32 {
        self.order().1[task.index()]
    }

    /// The value of a task that only holds one.
    fn literal<'py>(&self, py: Python<'py>, task: TaskId) -> Option<Bound<'py, PyAny>> {
        let (work, index) = self.run.tasks().work(task);
        let work = work.as_any()?;
        let node = match work.downcast_ref::<PyTask>() {
            Some(task) => &task.node,
            None => &work.downcast_ref::<PyTasks>()?.nodes[index as usize],
        };
        match node {
            Node::Const(object) => Some(object.bind(py).clone()),
            _ => None,
        }
    }
}

#[pymethods]
impl Execution {
    /// Prepares to compute `keys` of `graph`, at most `concurrency` tasks at a time.
    ///
    /// `context` (a `contextvars.Context`) is what tasks see; `manual` makes tasks wait for
    /// `admit` and `start`. Raises `KeyError` for an unknown key, `RuntimeError` for a cycle.
    #[new]
    #[pyo3(signature = (graph, keys, concurrency, context=None, manual=false))]
    fn new(
        py: Python<'_>,
        graph: &Bound<'_, Graph>,
        keys: &Bound<'_, PyAny>,
        concurrency: usize,
        context: Option<Py<PyAny>>,
        manual: bool,
    ) -> PyResult<Self> {
        let keys = keys.try_iter()?.map(|key| key_from_py(&key?)).collect::<PyResult<Vec<_>>>()?;
        let expanded = Arc::new(graph.get().expand(&keys)?);
        let engine = engine();
        let options = RunOptions {
            events: manual,
            manual,
            store: engine.store.clone(),
            host: context.map(|context| Arc::new(context) as _),
            ..RunOptions::new(concurrency)
        };
        let run = py
            .detach(|| Run::new(expanded, options))
            .map_err(|error @ PlanError::Cycle(_)| PyRuntimeError::new_err(error.to_string()))?;
        Ok(Execution {
            run,
            pool: engine.pool.clone(),
            store: engine.store.clone(),
            order: Default::default(),
        })
    }

    /// Lets the process's pool serve the run; returns how many more threads must call `serve_pool`.
    fn submit(&self, py: Python<'_>, wanted: usize) -> usize {
        py.detach(|| self.pool.register(&self.run, wanted))
    }

    /// Threads promised by `submit` that could not be started.
    fn not_started(&self, count: usize) {
        self.pool.not_started(count);
    }

    /// Ends what `submit` began, whether the run is over or not.
    fn release(&self, py: Python<'_>) {
        py.detach(|| {
            self.run.cancel();
            self.pool.forget(&self.run);
        });
    }

    /// Serves the run from this thread until it is over; with `signals` as the one that Ctrl-C reaches.
    #[pyo3(signature = (signals=false))]
    fn serve(&self, py: Python<'_>, signals: bool) -> PyResult<()> {
        let mut gate = PyGate::new(py, signals)?;
        py.detach(|| self.run.serve(&mut gate));
        gate.error.map_or(Ok(()), Err)
    }

    /// Runs what is ready now from this thread.
    fn work(&self, py: Python<'_>) -> PyResult<()> {
        let mut gate = PyGate::new(py, true)?;
        py.detach(|| self.run.work_ready(&mut gate));
        gate.error.map_or(Ok(()), Err)
    }

    /// Waits until the run is over, or the pool is closed; signals raise from here.
    fn wait(&self, py: Python<'_>) -> PyResult<bool> {
        loop {
            if py.detach(|| self.run.wait(SIGNALS_EVERY)) {
                return Ok(true);
            }
            py.check_signals()?;
            if self.pool.is_closed() {
                return Ok(false);
            }
        }
    }

    /// Waits until there are events or the run is over, or a signal may have come.
    fn wait_for_events(&self, py: Python<'_>) -> PyResult<bool> {
        let over = py.detach(|| self.run.wait_for_events(SIGNALS_EVERY));
        py.check_signals()?;
        Ok(over)
    }

    fn cancel(&self, py: Python<'_>) {
        py.detach(|| self.run.cancel());
    }

    #[getter]
    fn is_over(&self) -> bool {
        self.run.is_over()
    }

    fn __len__(&self) -> usize {
        self.run.len()
    }

    /// Tasks that have ended, and tasks under way: for progress bars.
    fn counts(&self, py: Python<'_>) -> (usize, usize) {
        py.detach(|| (self.run.len() - self.run.left(), self.run.running()))
    }

    /// The values of the keys asked for. Raises what a task has raised.
    fn results<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let outputs = py.detach(|| self.run.outputs());
        for notice in self.store.take_notices() {
            py.import("logging")?
                .call_method1("getLogger", ("weft.store",))?
                .call_method1("warning", (notice,))?;
        }
        match outputs {
            Ok(values) => {
                let results = PyList::empty(py);
                for value in values {
                    results.append(value_to_py(py, &value)?)?;
                }
                Ok(results)
            }
            Err(Stop::Failed { error, .. }) => Err(error_to_py(py, &error)),
            Err(Stop::Cancelled) => Err(PyRuntimeError::new_err(
                "the computation was cancelled, because the one that it is a part of has ended",
            )),
        }
    }

    /// Keys of the tasks in the static order, and for each the numbers of the tasks that it reads.
    fn plan<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        let (keys, inputs) = (PyList::empty(py), PyList::empty(py));
        for &task in &self.order().0 {
            keys.append(key_to_py(py, &self.run.tasks().key(task))?)?;
            inputs
                .append(PyTuple::new(py, self.run.inputs(task).iter().map(|&input| self.number(input)))?)?;
        }
        Ok((keys, inputs))
    }

    /// Values of the tasks that only hold one, by the tasks' numbers.
    fn literals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let literals = PyDict::new(py);
        for (number, &task) in self.order().0.iter().enumerate() {
            if let Some(value) = self.literal(py, task) {
                literals.set_item(number, value)?;
            }
        }
        Ok(literals)
    }

    /// The number of the next ready task, which then waits for `start`.
    fn admit(&self) -> Option<u32> {
        self.run.admit().map(|task| self.number(task))
    }

    fn start(&self, py: Python<'_>, number: usize) -> PyResult<()> {
        let task = self.order().0.get(number).ok_or_else(|| PyIndexError::new_err("no such task"))?;
        py.detach(|| self.run.start(*task));
        Ok(())
    }

    /// Tasks that have ended since the last call: (number, value, thread).
    ///
    /// Without `values`, None stands for all of them: making Python objects of frames costs more
    /// than most tasks do.
    #[pyo3(signature = (values=true))]
    fn events<'py>(&self, py: Python<'py>, values: bool) -> PyResult<Vec<Ended<'py>>> {
        let value = |value: &Option<Value>| match value {
            Some(value) if values => seen_from_py(py, value).map(Some),
            _ => Ok(None),
        };
        self.run
            .events()
            .iter()
            .filter_map(|event| match event {
                Event::Finished { task, thread, value: v, .. } => {
                    Some(value(v).map(|v| (self.number(*task), v, *thread)))
                }
                Event::Started { .. } | Event::Failed { .. } => None,
            })
            .collect()
    }
}

/// A result that only native tasks read, such as a table of partial sums, as callbacks see it.
#[pyclass(frozen, module = "weft._weft")]
struct NativeValue {
    /// Its size in bytes.
    #[pyo3(get)]
    nbytes: usize,
}

#[pymethods]
impl NativeValue {
    fn __repr__(&self) -> String {
        format!("<native value of {} bytes>", self.nbytes)
    }

    fn __sizeof__(&self) -> usize {
        self.nbytes
    }
}

fn seen_from_py<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    if let Value::Object(object) = value
        && !object.as_any().is::<PyValue>()
    {
        return Ok(Bound::new(py, NativeValue { nbytes: object.nbytes() })?.into_any());
    }
    value_to_py(py, value)
}

type Ended<'py> = (u32, Option<Bound<'py, PyAny>>, u64);

/// Whether this thread is running a task: a computation that it starts is nested.
#[pyfunction]
fn in_task() -> bool {
    Run::current().is_some()
}

/// Serves the process's pool until there is nothing more to do for this thread.
#[pyfunction]
fn serve_pool(py: Python<'_>) -> PyResult<()> {
    let mut gate = PyGate::new(py, false)?;
    py.detach(|| engine().pool.serve(&mut gate));
    Ok(())
}

/// Sends the pool's threads away; the interpreter is about to end.
#[pyfunction]
fn close_pool(py: Python<'_>) {
    py.detach(|| engine().pool.close());
}

/// Removes spilled values; the process is about to end.
#[pyfunction]
fn close_store(py: Python<'_>) {
    py.detach(|| engine().store.close());
}

/// In the child of a fork: leaves everything behind that other threads may have locked.
#[pyfunction]
fn after_fork() {
    Run::forget_serving();
    install(ENGINE.load(Ordering::Acquire));
}

/// Sets the memory budget in bytes (`None`: no limit) and where spilled values go.
#[pyfunction]
fn configure_store(limit: Option<usize>, directory: std::path::PathBuf) {
    let store = &engine().store;
    store.set_limit(limit.unwrap_or(usize::MAX));
    store.set_base(directory);
}

/// Counters of the store: limit, used, on_disk, spilled, spilled_bytes, read_back.
#[pyfunction]
fn store_stats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let stats = engine().store.stats();
    let dict = PyDict::new(py);
    dict.set_item("limit", (stats.limit != usize::MAX).then_some(stats.limit))?;
    dict.set_item("used", stats.used)?;
    dict.set_item("on_disk", stats.on_disk)?;
    dict.set_item("spilled", stats.spilled)?;
    dict.set_item("spilled_bytes", stats.spilled_bytes)?;
    dict.set_item("read_back", stats.read_back)?;
    Ok(dict)
}

/// Threads of the process's pool, and how many of them hang in tasks of runs that have ended.
#[pyfunction]
fn pool_threads() -> (usize, usize) {
    let pool = &engine().pool;
    (pool.threads(), pool.lost())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Execution>()?;
    module.add_class::<NativeValue>()?;
    module.add_function(wrap_pyfunction!(in_task, module)?)?;
    module.add_function(wrap_pyfunction!(serve_pool, module)?)?;
    module.add_function(wrap_pyfunction!(close_pool, module)?)?;
    module.add_function(wrap_pyfunction!(close_store, module)?)?;
    module.add_function(wrap_pyfunction!(after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(configure_store, module)?)?;
    module.add_function(wrap_pyfunction!(store_stats, module)?)?;
    module.add_function(wrap_pyfunction!(pool_threads, module)?)
}
