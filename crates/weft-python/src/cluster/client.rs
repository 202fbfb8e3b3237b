//! Clients: calls and graphs become futures, futures become values.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use ahash::AHashMap;
use parking_lot::Mutex;
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use weft_cluster::{Answered, Client, ClusterError, Encoded, FutureRef, Status};
use weft_graph::{Key, Rule};
use weft_scheduler::message::{
    Answer, Blob, CoordinateAnswer, CoordinateOp, Digest, FromClient, Item, LayerSpec, LayerWork, Payloads,
    Question, RequestId, TaskOptions, Want,
};
use xxhash_rust::xxh3::xxh3_128;

use super::future::{Handle, PyWatch, deadline, failure_parts, future_ref, passed, slice};
use super::graph::{Builder, function_bytes};
use super::server::{Pem, address, credentials, os_error};
use super::{node, value};
use crate::graph::Graph;
use crate::key::{key_from_py, key_to_py};
use crate::spec::{Node, submitted_value};
use crate::tokenize::{hex, tokenize, tokenize_call};

/// Functions whose pickles are remembered.
const FUNCTIONS: usize = 256;

/// A function that was sent before.
struct Known {
    /// Keeps the address taken.
    _function: Py<PyAny>,
    token: String,
    blob: Blob,
}

/// A connection to a scheduler.
#[pyclass(frozen, module = "weft._weft", name = "ClusterClient", weakref)]
struct PyClient {
    client: Client,
    functions: Mutex<AHashMap<usize, Arc<Known>>>,
}

/// Options as Python gives them: priority, retries, workers, whether others will do, resources, actor.
type Options = (i32, u32, Vec<String>, bool, Vec<(String, f64)>, bool);

fn options_from_py(options: Option<Options>) -> TaskOptions {
    let Some((priority, retries, workers, allow_other_workers, resources, actor)) = options else {
        return TaskOptions::default();
    };
    TaskOptions {
        priority,
        retries,
        workers: workers.into_iter().map(Into::into).collect(),
        allow_other_workers,
        resources: resources.into_iter().map(|(name, amount)| (name.into(), amount)).collect(),
        actor,
        annotations: Default::default(),
    }
}

impl PyClient {
    fn known(&self, function: &Bound<'_, PyAny>) -> PyResult<Arc<Known>> {
        let address = function.as_ptr() as usize;
        if let Some(known) = self.functions.lock().get(&address) {
            return Ok(known.clone());
        }
        let bytes = function_bytes(function)?;
        let digest = Digest(xxh3_128(&bytes));
        let known = Arc::new(Known {
            _function: function.clone().unbind(),
            token: hex(tokenize(function.py(), function)?),
            blob: Blob { digest, bytes: bytes.into() },
        });
        let mut functions = self.functions.lock();
        let old =
            if functions.len() >= FUNCTIONS { std::mem::take(&mut *functions) } else { AHashMap::new() };
        functions.insert(address, known.clone());
        drop(functions);
        // Dropping functions may run their owners' code.
        drop(old);
        Ok(known)
    }

    /// The calls of one function that have no future yet, as a layer of a graph.
    fn send_calls(&self, py: Python<'_>, calls: Calls, options: TaskOptions) -> PyResult<()> {
        if calls.keys.is_empty() {
            return Ok(());
        }
        let mut builder = Builder::new(options);
        let blob = builder.adopt(&calls.function.blob);
        let mut inputs = Vec::new();
        if !calls.known.is_empty() {
            inputs.push(builder.known(calls.known));
        }
        let rule = Rule::Explicit {
            keys: calls.keys.into(),
            starts: calls.starts,
            reads: (0..calls.reads).map(|i| (0, i)).collect(),
        };
        let payloads = Payloads { bytes: calls.payloads.into(), ends: calls.ends };
        let work = LayerWork::Each { blobs: vec![blob], payloads };
        let layer = builder.push(LayerSpec { name: Key::from("calls"), inputs, rule, work, options: 0 });
        builder.graph.wants = calls
            .futures
            .iter()
            .enumerate()
            .map(|(index, future)| Want { future: future.id(), layer, index: index as u32 })
            .collect();
        builder.reads = calls.held;
        self.send(py, builder, &calls.futures)
    }

    fn send(&self, py: Python<'_>, builder: Builder, futures: &[Arc<FutureRef>]) -> PyResult<()> {
        let (graph, blobs) = (builder.graph, builder.blobs);
        // They must live until the graph is sent.
        let reads = builder.reads;
        py.detach(|| self.client.submit(graph, blobs, futures, &reads)).map_err(os_error)
    }

    fn ask(&self, py: Python<'_>, request: RequestId, timeout: Option<f64>) -> PyResult<Answered> {
        let until = deadline(timeout);
        loop {
            let answer = py.detach(|| self.client.answer(request, slice(until)));
            if let Some(answer) = answer.map_err(os_error)? {
                return Ok(answer);
            }
            py.check_signals()?;
            if passed(until) {
                return Err(pyo3::exceptions::PyTimeoutError::new_err(
                    "the scheduler did not answer in time",
                ));
            }
        }
    }

    fn question(&self, py: Python<'_>, question: Question) -> PyResult<Answer> {
        let request = self.client.ask(question, None).map_err(os_error)?;
        self.answer(py, request)
    }

    fn answer(&self, py: Python<'_>, request: RequestId) -> PyResult<Answer> {
        match self.ask(py, request, None)? {
            Answered::Answer(Answer::Failed { reason }) => Err(PyValueError::new_err(reason.to_string())),
            Answered::Answer(answer) => Ok(answer),
            Answered::Coordinate(_) => Err(unexpected()),
        }
    }
}

fn unexpected() -> PyErr {
    PyTypeError::new_err("the scheduler answered something else than it was asked")
}

fn texts(texts: Vec<String>) -> Vec<Arc<str>> {
    texts.into_iter().map(Into::into).collect()
}

fn keys_from_py(keys: &Bound<'_, PyAny>) -> PyResult<Vec<Key>> {
    keys.try_iter()?.map(|key| key_from_py(&key?)).collect()
}

fn keys_to_py<'py>(py: Python<'py>, keys: &[Key]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, keys.iter().map(|key| key_to_py(py, key)).collect::<PyResult<Vec<_>>>()?)
}

/// Calls of one function on their way.
struct Calls {
    function: Arc<Known>,
    keys: Vec<Key>,
    futures: Vec<Arc<FutureRef>>,
    /// Tasks that the calls read, in the order of reading.
    known: Vec<Key>,
    reads: u32,
    starts: Vec<u32>,
    payloads: Vec<u8>,
    ends: Vec<u32>,
    /// Futures among the arguments: they must live until the graph is sent.
    held: Vec<Arc<FutureRef>>,
}

impl Calls {
    fn new(function: Arc<Known>) -> Calls {
        Calls {
            function,
            keys: vec![],
            futures: vec![],
            known: vec![],
            reads: 0,
            starts: vec![0],
            payloads: vec![],
            ends: vec![],
            held: vec![],
        }
    }

    fn push<'py>(
        &mut self,
        py: Python<'py>,
        key: Key,
        future: Arc<FutureRef>,
        args: impl Iterator<Item = Bound<'py, PyAny>>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let mut position = 0;
        let (known, held) = (&mut self.known, &mut self.held);
        let mut find = |object: &Bound<'_, PyAny>| -> PyResult<Option<u32>> {
            let Some(future) = future_ref(object)? else { return Ok(None) };
            known.push(future.key().clone());
            held.push(future);
            position += 1;
            Ok(Some(position - 1))
        };
        let args: Vec<Node> = args.map(|arg| submitted_value(&arg, &mut find)).collect::<PyResult<_>>()?;
        let mut named = Vec::new();
        for (name, value) in kwargs.into_iter().flatten() {
            named.push((name.cast_into::<PyString>()?.unbind(), submitted_value(&value, &mut find)?));
        }
        node::write_arguments(py, &args, &named, &mut self.payloads)?;
        let too_large = |_| PyValueError::new_err("the arguments take more than 4 GB: scatter them first");
        self.ends.push(u32::try_from(self.payloads.len()).map_err(too_large)?);
        self.reads += position;
        self.starts.push(self.reads);
        self.keys.push(key);
        self.futures.push(future);
        Ok(())
    }
}

#[pymethods]
impl PyClient {
    #[new]
    #[pyo3(signature = (scheduler, token, name, timeout, tls=None))]
    fn new(
        py: Python<'_>,
        scheduler: &str,
        token: &str,
        name: &str,
        timeout: f64,
        tls: Option<Pem>,
    ) -> PyResult<Self> {
        let (to, token) = (address(scheduler)?, credentials(token, tls)?);
        let within =
            Duration::try_from_secs_f64(timeout).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let client = py.detach(|| Client::connect(&to, token, name, within)).map_err(os_error)?;
        Ok(PyClient { client, functions: Mutex::default() })
    }

    #[getter]
    fn name(&self) -> String {
        self.client.name().to_string()
    }

    /// Why the connection is gone; None: it stands.
    #[getter]
    fn closed(&self) -> Option<String> {
        self.client.closed().map(|reason| reason.to_string())
    }

    /// One call. `key` None: made of `name` and the token of the call (`pure`) or a random one.
    #[pyo3(signature = (function, args, kwargs, key, name, pure, options=None))]
    #[allow(clippy::too_many_arguments, reason = "one call from one place in Python")]
    fn submit(
        &self,
        py: Python<'_>,
        function: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
        key: Option<&Bound<'_, PyAny>>,
        name: &str,
        pure: bool,
        options: Option<Options>,
    ) -> PyResult<Handle> {
        let function = self.known(function)?;
        let kwargs = (!kwargs.is_empty()).then_some(kwargs);
        let key = match key {
            Some(key) => key_from_py(key)?,
            None => Key::from(format!("{name}-{}", call_token(py, &function, args, kwargs, pure)?)),
        };
        let (future, new) = self.client.future(key.clone());
        if new {
            let mut calls = Calls::new(function);
            calls.push(py, key, future.clone(), args.iter(), kwargs)?;
            self.send_calls(py, calls, options_from_py(options))?;
        }
        Ok(Handle(future))
    }

    /// A call for each row of `columns`.
    #[pyo3(signature = (function, columns, kwargs, keys, name, pure, options=None))]
    #[allow(clippy::too_many_arguments, reason = "one call from one place in Python")]
    fn map<'py>(
        &self,
        py: Python<'py>,
        function: &Bound<'py, PyAny>,
        columns: Vec<Bound<'py, PyList>>,
        kwargs: &Bound<'py, PyDict>,
        keys: Option<Bound<'py, PyList>>,
        name: &str,
        pure: bool,
        options: Option<Options>,
    ) -> PyResult<Vec<Handle>> {
        let function = self.known(function)?;
        let kwargs = (!kwargs.is_empty()).then_some(kwargs);
        let n = columns.iter().map(|column| column.len()).min().unwrap_or(0);
        let mut calls = Calls::new(function.clone());
        let mut handles = Vec::with_capacity(n);
        let batch = if pure { 0 } else { random()? };
        for i in 0..n {
            let row = columns.iter().map(|column| column.get_item(i)).collect::<PyResult<Vec<_>>>()?;
            let key = match &keys {
                Some(keys) => key_from_py(&keys.get_item(i)?)?,
                None if pure => {
                    let args = PyTuple::new(py, &row)?;
                    Key::from(format!("{name}-{}", call_token(py, &function, &args, kwargs, true)?))
                }
                None => Key::from(format!("{name}-{}", hex(batch.wrapping_add(i as u128)))),
            };
            let (future, new) = self.client.future(key.clone());
            if new {
                calls.push(py, key, future.clone(), row.into_iter(), kwargs)?;
            }
            handles.push(Handle(future));
        }
        self.send_calls(py, calls, options_from_py(options))?;
        Ok(handles)
    }

    /// Futures for keys of a graph.
    #[pyo3(signature = (graph, keys, options=None))]
    fn compute(
        &self,
        py: Python<'_>,
        graph: &Bound<'_, Graph>,
        keys: &Bound<'_, PyAny>,
        options: Option<Options>,
    ) -> PyResult<Vec<Handle>> {
        let graph = graph.get();
        let mut builder = Builder::new(options_from_py(options));
        let places = builder.layers(py, graph.layers())?;
        let mut handles = Vec::new();
        for key in keys_from_py(keys)? {
            let missing =
                || PyKeyError::new_err(key_to_py(py, &key).map_or_else(|_| py.None(), Bound::unbind));
            let (layer, index) = graph.find(&key).ok_or_else(missing)?;
            let (future, new) = self.client.future(key.clone());
            if new {
                let layer = places[&Arc::as_ptr(&layer)];
                builder.graph.wants.push(Want { future: future.id(), layer, index });
            }
            handles.push(Handle(future));
        }
        if !builder.graph.wants.is_empty() {
            let futures: Vec<Arc<FutureRef>> = handles.iter().map(|handle| handle.0.clone()).collect();
            self.send(py, builder, &futures)?;
        }
        Ok(handles)
    }

    /// Futures for objects, which travel to the workers.
    #[pyo3(signature = (objects, keys, options=None))]
    fn scatter(
        &self,
        py: Python<'_>,
        objects: Vec<Bound<'_, PyAny>>,
        keys: &Bound<'_, PyAny>,
        options: Option<Options>,
    ) -> PyResult<Vec<Handle>> {
        let mut builder = Builder::new(options_from_py(options));
        let mut handles = Vec::new();
        for (object, key) in objects.iter().zip(keys_from_py(keys)?) {
            let (future, new) = self.client.future(key.clone());
            if new {
                let mut payload = Vec::new();
                node::write_object(object, &mut payload)?;
                let work =
                    LayerWork::Each { blobs: vec![u32::MAX], payloads: Payloads::from_slices([payload]) };
                let rule = Rule::Single { reads: vec![] };
                let layer = builder.push(LayerSpec { name: key, inputs: vec![], rule, work, options: 0 });
                builder.graph.wants.push(Want { future: future.id(), layer, index: 0 });
            }
            handles.push(Handle(future));
        }
        if !builder.graph.wants.is_empty() {
            let futures: Vec<Arc<FutureRef>> = handles.iter().map(|handle| handle.0.clone()).collect();
            self.send(py, builder, &futures)?;
        }
        Ok(handles)
    }

    /// A future for a key that the scheduler knows.
    fn future(&self, key: &Bound<'_, PyAny>) -> PyResult<Handle> {
        let key = key_from_py(key)?;
        let (future, new) = self.client.future(key.clone());
        if new {
            self.client.send(FromClient::Want { futures: vec![(future.id(), key)] }).map_err(os_error)?;
        }
        Ok(Handle(future))
    }

    /// Waits until none (`first`: until one) of the futures is pending. False: not in time.
    #[pyo3(signature = (handles, timeout=None, first=false))]
    fn wait(
        &self,
        py: Python<'_>,
        handles: Vec<PyRef<'_, Handle>>,
        timeout: Option<f64>,
        first: bool,
    ) -> PyResult<bool> {
        let futures: Vec<Arc<FutureRef>> = handles.iter().map(|handle| handle.0.clone()).collect();
        drop(handles);
        let until = deadline(timeout);
        let mut next = 0;
        loop {
            let version = self.client.version();
            if first && (futures.is_empty() || futures.iter().any(|future| !future.is_pending())) {
                return Ok(true);
            }
            while !first && futures.get(next).is_some_and(|future| !future.is_pending()) {
                next += 1;
            }
            if next == futures.len() {
                return Ok(true);
            }
            if passed(until) {
                return Ok(false);
            }
            py.detach(|| self.client.wait_for_change(slice(until), version));
            py.check_signals()?;
        }
    }

    /// Starts fetching the results of futures that are done. `watch` hears `token` when they are here.
    #[pyo3(signature = (handles, watch=None, token=0))]
    fn gather(
        &self,
        handles: Vec<PyRef<'_, Handle>>,
        watch: Option<PyRef<'_, PyWatch>>,
        token: u64,
    ) -> Pending {
        let futures = handles.iter().map(|handle| handle.0.clone()).collect();
        let watch = watch.map(|watch| watch.0.clone());
        let (tx, rx) = mpsc::sync_channel(1);
        self.client.gather(futures, move |results| {
            // Whoever asked may have given up.
            let _ = tx.send(Arrived::Results(results));
            if let Some(watch) = watch {
                watch.push(token);
            }
        });
        Pending(Mutex::new(rx))
    }

    /// Calls a function without arguments on the worker at `worker`.
    #[pyo3(signature = (worker, function, watch=None, token=0, actor=false))]
    fn call(
        &self,
        worker: &str,
        function: &Bound<'_, PyAny>,
        watch: Option<PyRef<'_, PyWatch>>,
        token: u64,
        actor: bool,
    ) -> PyResult<Pending> {
        let function = value::encode_object(function)?;
        let watch = watch.map(|watch| watch.0.clone());
        let (tx, rx) = mpsc::sync_channel(1);
        self.client.call(worker.into(), function, actor, move |returned| {
            // As above.
            let _ = tx.send(Arrived::Returned(returned));
            if let Some(watch) = watch {
                watch.push(token);
            }
        });
        Ok(Pending(Mutex::new(rx)))
    }

    fn cancel(&self, handles: Vec<PyRef<'_, Handle>>, force: bool, reason: &str) -> PyResult<()> {
        let futures = handles.iter().map(|handle| handle.0.id()).collect();
        self.client.send(FromClient::Cancel { futures, force, reason: reason.into() }).map_err(os_error)?;
        for handle in &handles {
            handle.0.expect(Status::Cancelled { reason: reason.into() });
        }
        Ok(())
    }

    fn retry(&self, handles: Vec<PyRef<'_, Handle>>) -> PyResult<()> {
        let failed: Vec<_> =
            handles.iter().filter(|handle| matches!(handle.0.status(), Status::Erred { .. })).collect();
        for handle in &failed {
            handle.0.expect(Status::Pending);
        }
        let futures = failed.iter().map(|handle| handle.0.id()).collect();
        self.client.send(FromClient::Retry { futures }).map_err(os_error)
    }

    fn fire_and_forget(&self, handles: Vec<PyRef<'_, Handle>>) -> PyResult<()> {
        let futures = handles.iter().map(|handle| handle.0.id()).collect();
        self.client.send(FromClient::Detach { futures }).map_err(os_error)
    }

    /// Workers: dicts of what the scheduler knows about each.
    fn workers<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let Answer::Workers(workers) = self.question(py, Question::Workers)? else {
            return Err(unexpected());
        };
        workers
            .into_iter()
            .map(|info| {
                let dict = PyDict::new(py);
                dict.set_item("address", &*info.address)?;
                dict.set_item("name", &*info.name)?;
                dict.set_item("host", &*info.host)?;
                dict.set_item("nanny", (!info.nanny.is_empty()).then_some(&*info.nanny))?;
                dict.set_item("pid", info.pid)?;
                dict.set_item("nthreads", info.nthreads)?;
                dict.set_item("memory_limit", info.memory_limit)?;
                dict.set_item("status", format!("{:?}", info.status).to_lowercase())?;
                let resources = PyDict::new(py);
                for (name, amount) in &info.resources {
                    resources.set_item(&**name, amount)?;
                }
                dict.set_item("resources", resources)?;
                dict.set_item("processing", info.processing)?;
                dict.set_item("in_memory", info.in_memory)?;
                dict.set_item("nbytes", info.nbytes)?;
                dict.set_item("memory", info.memory.process)?;
                dict.set_item("managed", info.memory.managed)?;
                dict.set_item("spilled", info.memory.spilled)?;
                Ok(dict)
            })
            .collect()
    }

    /// Addresses of the workers that hold each key.
    fn who_has<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let question = Question::WhoHas { keys: keys_from_py(keys)? };
        let Answer::Holders(holders) = self.question(py, question)? else { return Err(unexpected()) };
        let dict = PyDict::new(py);
        for holder in &holders {
            let workers = PyTuple::new(py, holder.workers.iter().map(|peer| &*peer.address))?;
            dict.set_item(key_to_py(py, &holder.key)?, workers)?;
        }
        Ok(dict)
    }

    fn has_what<'py>(&self, py: Python<'py>, workers: Vec<String>) -> PyResult<Bound<'py, PyDict>> {
        match self.question(py, Question::HasWhat { workers: texts(workers) })? {
            Answer::HasWhat(found) => by_worker(py, &found),
            _ => Err(unexpected()),
        }
    }

    fn processing<'py>(&self, py: Python<'py>, workers: Vec<String>) -> PyResult<Bound<'py, PyDict>> {
        match self.question(py, Question::Processing { workers: texts(workers) })? {
            Answer::Processing(found) => by_worker(py, &found),
            _ => Err(unexpected()),
        }
    }

    fn nbytes<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let question = Question::Nbytes { keys: keys_from_py(keys)? };
        let Answer::Nbytes(found) = self.question(py, question)? else { return Err(unexpected()) };
        let dict = PyDict::new(py);
        for (key, nbytes) in &found {
            dict.set_item(key_to_py(py, key)?, nbytes)?;
        }
        Ok(dict)
    }

    /// What happened to keys: (key, from, to, cause, time in seconds since the scheduler's start).
    fn story<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(Bound<'py, PyAny>, String, String, String, f64)>> {
        let question = Question::Story { keys: keys_from_py(keys)? };
        let Answer::Story(lines) = self.question(py, question)? else { return Err(unexpected()) };
        lines
            .iter()
            .map(|line| {
                let at = line.at_ns as f64 / 1e9;
                let words = (line.from.to_string(), line.to.to_string(), line.cause.to_string());
                Ok((key_to_py(py, &line.key)?, words.0, words.1, words.2, at))
            })
            .collect()
    }

    fn replicate(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        copies: u32,
        workers: Vec<String>,
    ) -> PyResult<()> {
        let (keys, workers) = (keys_from_py(keys)?, texts(workers));
        let message = |request| FromClient::Replicate { request, keys, copies, workers };
        let request = self.client.request(None, message).map_err(os_error)?;
        self.answer(py, request).map(drop)
    }

    fn rebalance(&self, py: Python<'_>, keys: &Bound<'_, PyAny>, workers: Vec<String>) -> PyResult<()> {
        let (keys, workers) = (keys_from_py(keys)?, texts(workers));
        let message = |request| FromClient::Rebalance { request, keys, workers };
        let request = self.client.request(None, message).map_err(os_error)?;
        self.answer(py, request).map(drop)
    }

    fn retire_workers(&self, py: Python<'_>, workers: Vec<String>, close: bool) -> PyResult<Vec<String>> {
        let workers = texts(workers);
        let message = |request| FromClient::RetireWorkers { request, workers, close };
        let request = self.client.request(None, message).map_err(os_error)?;
        match self.answer(py, request)? {
            Answer::Ok { workers } => Ok(workers.iter().map(ToString::to_string).collect()),
            _ => Err(unexpected()),
        }
    }

    /// Forgets all tasks; workers are told to go.
    fn restart(&self, py: Python<'_>) -> PyResult<()> {
        let request =
            self.client.request(None, |request| FromClient::Restart { request }).map_err(os_error)?;
        self.answer(py, request).map(drop)
    }

    /// Locks, events, queues, variables: `op` names one, `fields` says with what.
    #[pyo3(signature = (op, fields, timeout=None))]
    fn coordinate<'py>(
        &self,
        py: Python<'py>,
        op: &str,
        fields: &Bound<'py, PyDict>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let op = operation(op, fields, timeout)?;
        let request = self.client.coordinate(op, None).map_err(os_error)?;
        // The scheduler says when time is up.
        match self.ask(py, request, None)? {
            Answered::Coordinate(answer) => coordinated(py, answer),
            Answered::Answer(Answer::Failed { reason }) => Err(PyValueError::new_err(reason.to_string())),
            Answered::Answer(_) => Err(unexpected()),
        }
    }

    /// Messages on a topic since the last call.
    fn topic<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let messages = self.client.topic(&name.into());
        messages.iter().map(|message| node_to_py(py, message)).collect()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.client.close());
    }
}

fn by_worker<'py>(py: Python<'py>, found: &[(Arc<str>, Vec<Key>)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (worker, keys) in found {
        dict.set_item(&**worker, PyTuple::new(py, keys_to_py(py, keys)?)?)?;
    }
    Ok(dict)
}

fn random() -> PyResult<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| pyo3::exceptions::PyOSError::new_err(e.to_string()))?;
    Ok(u128::from_le_bytes(bytes))
}

fn call_token(
    py: Python<'_>,
    function: &Known,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
    pure: bool,
) -> PyResult<String> {
    if !pure {
        return Ok(hex(random()?));
    }
    let mut all = Vec::with_capacity(args.len() + 1);
    all.push(PyString::new(py, &function.token).into_any());
    all.extend(args.iter());
    Ok(hex(tokenize_call(&PyTuple::new(py, all)?, kwargs)?))
}

enum Arrived {
    Results(Vec<Result<Encoded, ClusterError>>),
    Returned(Result<Result<Encoded, Encoded>, ClusterError>),
}

/// Something on its way here.
#[pyclass(frozen, module = "weft._weft", name = "Pending")]
struct Pending(Mutex<mpsc::Receiver<Arrived>>);

#[pymethods]
impl Pending {
    /// Waits; a list with, for each result, (True, value) or (False, (kind, text, pickled exception or None)). None: not in
    /// time.
    #[pyo3(signature = (timeout=None))]
    fn wait<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyList>>> {
        let until = deadline(timeout);
        loop {
            let arrived = py.detach(|| self.0.lock().recv_timeout(slice(until)));
            match arrived {
                Ok(Arrived::Results(results)) => return results_to_py(py, results).map(Some),
                Ok(Arrived::Returned(returned)) => {
                    let list = PyList::empty(py);
                    match returned {
                        Ok(Ok(value)) => list.append((true, value::to_py(py, &value)?))?,
                        Ok(Err(error)) => {
                            let exception = pyo3::types::PyBytes::new(py, &error.head);
                            list.append((false, ("raised", "the function raised", exception)))?;
                        }
                        Err(error) => list.append((false, ("lost", error.to_string(), py.None())))?,
                    }
                    return Ok(Some(list));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(os_error(ClusterError::Closed("the client was closed".into())));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => py.check_signals()?,
            }
            if passed(until) {
                return Ok(None);
            }
        }
    }
}

fn results_to_py(py: Python<'_>, results: Vec<Result<Encoded, ClusterError>>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for result in results {
        match result {
            Ok(encoded) => list.append((true, value::to_py(py, &encoded)?))?,
            Err(ClusterError::Failed { failure, .. }) => list.append((false, failure_parts(py, &failure)))?,
            Err(ClusterError::Cancelled { reason, .. }) => {
                list.append((false, ("cancelled", reason.to_string(), py.None())))?;
            }
            Err(error @ ClusterError::Fetch { .. }) => {
                list.append((false, ("unwritable", error.to_string(), py.None())))?;
            }
            Err(error) => list.append((false, ("lost", error.to_string(), py.None())))?,
        }
    }
    Ok(list)
}

fn node_to_py<'py>(py: Python<'py>, bytes: &bytes::Bytes) -> PyResult<Bound<'py, PyAny>> {
    node::read(py, &mut bytes.clone())?.eval(py, &[])
}

fn node_bytes(object: &Bound<'_, PyAny>) -> PyResult<bytes::Bytes> {
    let mut bytes = Vec::new();
    node::write_object(object, &mut bytes)?;
    Ok(bytes.into())
}

/// What queues and variables hold: a future, or any object.
fn item(object: &Bound<'_, PyAny>) -> PyResult<Item> {
    Ok(match future_ref(object)? {
        Some(future) => Item::Future(future.key().clone()),
        None => Item::Data(node_bytes(object)?),
    })
}

fn item_to_py<'py>(py: Python<'py>, item: &Item) -> PyResult<(bool, Bound<'py, PyAny>)> {
    Ok(match item {
        Item::Future(key) => (true, key_to_py(py, key)?),
        Item::Data(bytes) => (false, node_to_py(py, bytes)?),
    })
}

fn operation(op: &str, fields: &Bound<'_, PyDict>, timeout: Option<f64>) -> PyResult<CoordinateOp> {
    let get = |name: &str| -> PyResult<Bound<'_, PyAny>> {
        fields.get_item(name)?.ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    };
    let text = |name: &str| -> PyResult<Arc<str>> { Ok(get(name)?.extract::<String>()?.into()) };
    let all = |name: &str| -> PyResult<Vec<Arc<str>>> { Ok(texts(get(name)?.extract()?)) };
    let timeout_ns = timeout.map(|seconds| (seconds.max(0.0) * 1e9) as u64);
    Ok(match op {
        "lock" => CoordinateOp::Lock {
            names: all("names")?,
            at_least: get("at_least")?.extract()?,
            holder: text("holder")?,
            timeout_ns,
        },
        "unlock" => CoordinateOp::Unlock { names: all("names")?, holder: text("holder")? },
        "is-locked" => CoordinateOp::IsLocked { name: text("name")? },
        "semaphore-open" => {
            CoordinateOp::SemaphoreOpen { name: text("name")?, leases: get("leases")?.extract()? }
        }
        "semaphore-acquire" => {
            CoordinateOp::SemaphoreAcquire { name: text("name")?, lease: text("lease")?, timeout_ns }
        }
        "semaphore-renew" => CoordinateOp::SemaphoreRenew { name: text("name")?, leases: all("leases")? },
        "semaphore-release" => CoordinateOp::SemaphoreRelease { name: text("name")?, lease: text("lease")? },
        "semaphore-count" => CoordinateOp::SemaphoreCount { name: text("name")? },
        "semaphore-close" => CoordinateOp::SemaphoreClose { name: text("name")? },
        "event-wait" => CoordinateOp::EventWait { name: text("name")?, timeout_ns },
        "event-set" => CoordinateOp::EventSet { name: text("name")? },
        "event-clear" => CoordinateOp::EventClear { name: text("name")? },
        "event-is-set" => CoordinateOp::EventIsSet { name: text("name")? },
        "queue-open" => CoordinateOp::QueueOpen { name: text("name")?, max_len: get("maxsize")?.extract()? },
        "queue-put" => CoordinateOp::QueuePut { name: text("name")?, item: item(&get("item")?)?, timeout_ns },
        "queue-get" => {
            CoordinateOp::QueueGet { name: text("name")?, batch: get("batch")?.extract()?, timeout_ns }
        }
        "queue-len" => CoordinateOp::QueueLen { name: text("name")? },
        "queue-close" => CoordinateOp::QueueClose { name: text("name")? },
        "variable-set" => CoordinateOp::VariableSet { name: text("name")?, item: item(&get("item")?)? },
        "variable-get" => CoordinateOp::VariableGet { name: text("name")?, timeout_ns },
        "variable-delete" => CoordinateOp::VariableDelete { name: text("name")? },
        "publish" => CoordinateOp::Publish { topic: text("topic")?, message: node_bytes(&get("message")?)? },
        "subscribe" => CoordinateOp::Subscribe { topic: text("topic")? },
        "unsubscribe" => CoordinateOp::Unsubscribe { topic: text("topic")? },
        "dataset-publish" => CoordinateOp::DatasetPublish {
            name: node_bytes(&get("name")?)?,
            keys: keys_from_py(&get("keys")?)?,
            data: node_bytes(&get("data")?)?,
            overwrite: get("overwrite")?.extract()?,
        },
        "dataset-get" => CoordinateOp::DatasetGet { name: node_bytes(&get("name")?)? },
        "dataset-unpublish" => CoordinateOp::DatasetUnpublish { name: node_bytes(&get("name")?)? },
        "dataset-list" => CoordinateOp::DatasetList,
        other => return Err(PyValueError::new_err(format!("there is no operation {other:?}"))),
    })
}

/// Answers as Python objects. Raises `TimeoutError` and, for what makes no sense, `ValueError`.
fn coordinated(py: Python<'_>, answer: CoordinateAnswer) -> PyResult<Bound<'_, PyAny>> {
    Ok(match answer {
        CoordinateAnswer::Ok => py.None().into_bound(py),
        CoordinateAnswer::Is(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
        CoordinateAnswer::Count(n) => n.into_pyobject(py)?.into_any(),
        CoordinateAnswer::Locked(names) => PyList::new(py, names.iter().map(|name| &**name))?.into_any(),
        CoordinateAnswer::Items(items) => {
            PyList::new(py, items.iter().map(|i| item_to_py(py, i)).collect::<PyResult<Vec<_>>>()?)?
                .into_any()
        }
        CoordinateAnswer::Dataset { keys, data } => {
            (keys_to_py(py, &keys)?, node_to_py(py, &data)?).into_pyobject(py)?.into_any()
        }
        CoordinateAnswer::Names(names) => {
            PyList::new(py, names.iter().map(|name| node_to_py(py, name)).collect::<PyResult<Vec<_>>>()?)?
                .into_any()
        }
        CoordinateAnswer::TimedOut => {
            return Err(pyo3::exceptions::PyTimeoutError::new_err("not in time"));
        }
        CoordinateAnswer::Refused(reason) => return Err(PyValueError::new_err(reason.to_string())),
    })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyClient>()?;
    module.add_class::<Pending>()
}
