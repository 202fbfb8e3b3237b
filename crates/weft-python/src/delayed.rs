//! Delayed values: the hot path of `weft.delayed`.
//!
//! A call makes one layer with one task. Nothing is merged: the layer holds its inputs, so a
//! call costs what its own arguments cost, however large the graph below them is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use weft_data::LayerRef;
use weft_graph::{Key, Layer, Rule};

use crate::graph::{Graph, LayerView, graph_from_py};
use crate::key::{key_from_py, key_to_py};
use crate::spec::{Node, Reads, delayed_value};
use crate::task::PyTask;

/// A value that a task will compute.
#[pyclass(name = "DelayedCore", module = "weft._weft", subclass, frozen, weakref)]
pub(crate) struct Delayed {
    task: OnceLock<(LayerRef, u32)>,
    source: Source,
    length: Option<Py<PyAny>>,
    /// The layer's name, where the user gave another one than the key.
    layer: Option<Py<PyAny>>,
}

/// What the task is made of when it is first needed.
enum Source {
    /// The task is there.
    Task,
    /// `delayed(object)`: a constant, which most of the time is a function that gets called.
    Leaf { object: Py<PyAny>, key: Option<Py<PyAny>>, pure: Option<bool>, nout: Option<Py<PyAny>> },
    /// `of.name`.
    Attr { of: Py<Delayed>, name: Py<PyString> },
    /// The task `key` of a graph that the user gave.
    Graph { key: Py<PyAny>, graph: Py<PyAny> },
}

impl Delayed {
    /// The task that computes this value.
    pub(crate) fn task(&self, py: Python<'_>) -> PyResult<(LayerRef, u32)> {
        if let Some(task) = self.task.get() {
            return Ok(task.clone());
        }
        let task = match &self.source {
            Source::Task => return Err(not_made_so()),
            Source::Leaf { object, key, pure, nout } => {
                let key = match key {
                    Some(key) => key_from_py(key.bind(py))?,
                    None => {
                        let args = (object, nout.as_ref());
                        named(py, &type_label(object.bind(py))?, *pure, |tokenize| tokenize.call1(args))?
                    }
                };
                let label = label(object.bind(py))?;
                (single(py, key, Reads::default(), Node::Const(object.clone_ref(py)), label)?, 0)
            }
            Source::Attr { of, name } => {
                let token = tokenizer(py)?.call1((of, name))?;
                let key = Key::from(format!("getattr-{token}"));
                let mut reads = Reads::default();
                let (layer, index) = of.get().task(py)?;
                let object = reads.push(layer, index);
                let args = vec![object, Node::Const(name.clone_ref(py).into_any())];
                let getattr = py.import("builtins")?.getattr("getattr")?;
                let node = Node::call(Node::Const(getattr.unbind()), args, vec![]);
                (single(py, key, reads, node, "getattr".into())?, 0)
            }
            Source::Graph { key, graph } => {
                let key = key_from_py(key.bind(py))?;
                let found = match graph.bind(py).cast::<Graph>() {
                    Ok(graph) => graph.get().find(&key),
                    Err(_) => graph_from_py(graph.bind(py))?.find(&key),
                };
                found.ok_or_else(|| PyKeyError::new_err(format!("{key} is not in the graph")))?
            }
        };
        // Two threads may race here: one task wins, and both use that one.
        Ok(self.task.get_or_init(|| task).clone())
    }
}

/// A subclass that never called its base's `__new__`.
fn not_made_so() -> PyErr {
    PyRuntimeError::new_err("this Delayed was made without what its class needs")
}

/// Python classes and functions that the hot path calls.
macro_rules! imported {
    ($name:ident, $module:literal, $attr:literal) => {
        fn $name<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
            static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            CELL.import(py, $module, $attr)
        }
    };
}
imported!(tokenizer, "weft.tokenize", "tokenize");
imported!(funcname, "weft.utils", "funcname");
imported!(method_caller, "weft.utils", "methodcaller");
imported!(settings, "weft.config", "config");
imported!(get_annotations, "weft.base", "get_annotations");
imported!(function_type, "types", "FunctionType");

fn delayed_class<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CELL.import(py, "weft.delayed", "Delayed")
}

/// How many `weft.annotate` blocks are open in this process: calls look annotations up only then.
static ANNOTATING: AtomicUsize = AtomicUsize::new(0);

#[pyfunction]
fn annotating(entered: bool) {
    if entered {
        ANNOTATING.fetch_add(1, Ordering::Relaxed);
    } else {
        ANNOTATING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The `weft.annotate` in force.
pub(crate) fn current_annotations(py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
    if ANNOTATING.load(Ordering::Relaxed) == 0 {
        return Ok(None);
    }
    let current = get_annotations(py)?.call0()?;
    Ok(current.is_truthy()?.then(|| current.unbind()))
}

fn single(py: Python<'_>, name: Key, reads: Reads, node: Node, label: Arc<str>) -> PyResult<LayerRef> {
    let annotations = current_annotations(py)?;
    Ok(Arc::new(Layer {
        name,
        inputs: reads.inputs,
        rule: Rule::Single { reads: reads.reads },
        work: Arc::new(PyTask { node, label, annotations }),
    }))
}

/// `label` and a token: that of the call when it is pure, else one that never repeats.
fn named<'py>(
    py: Python<'py>,
    label: &str,
    pure: Option<bool>,
    token: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Key> {
    let pure = match pure {
        Some(pure) => pure,
        None => default_pure(py)?,
    };
    let mut name = String::with_capacity(label.len() + 33);
    name.push_str(label);
    name.push('-');
    if pure {
        name.push_str(token(tokenizer(py)?)?.cast::<PyString>()?.to_cow()?.as_ref());
    } else {
        push_unique(&mut name);
    }
    Ok(Key::from(name))
}

/// The setting `delayed_pure`. Every call asks for it, so it is looked up in the settings' own dict.
fn default_pure(py: Python<'_>) -> PyResult<bool> {
    let settings = settings(py)?.cast::<PyDict>()?;
    for name in [intern!(py, "delayed_pure"), intern!(py, "delayed-pure")] {
        if let Some(pure) = settings.get_item(name)? {
            return pure.is_truthy();
        }
    }
    Ok(false)
}

/// 32 hexadecimal digits that this process and its forks produce once.
fn push_unique(name: &mut String) {
    use std::hash::{BuildHasher, RandomState};
    static SEED: OnceLock<[u64; 2]> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let seed = SEED.get_or_init(|| {
        let random = RandomState::new();
        [random.hash_one(0), random.hash_one(1)]
    });
    let words = [seed[0], seed[1], std::process::id() as u64, COUNT.fetch_add(1, Ordering::Relaxed)];
    let mut bytes = [0u8; 32];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    for byte in xxhash_rust::xxh3::xxh3_128(&bytes).to_le_bytes() {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        name.push(DIGITS[(byte >> 4) as usize] as char);
        name.push(DIGITS[(byte & 15) as usize] as char);
    }
}

/// What a call of `object` is called.
fn label(object: &Bound<'_, PyAny>) -> PyResult<Arc<str>> {
    let py = object.py();
    if object.get_type().is(function_type(py)?) {
        let name = object.getattr(intern!(py, "__name__"))?.cast_into::<PyString>()?;
        let name = name.to_cow()?;
        if name != "<lambda>" && name.len() <= 50 {
            return Ok(name.as_ref().into());
        }
    }
    Ok(funcname(py)?.call1((object,))?.str()?.to_cow()?.as_ref().into())
}

/// What the constant `object` is called: a function by its own name, the rest by its type's.
fn type_label(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = object.py();
    let name = match object.getattr_opt(intern!(py, "__name__"))? {
        Some(name) if name.is_instance_of::<PyString>() => name,
        _ => object.get_type().getattr(intern!(py, "__name__"))?,
    };
    Ok(name.str()?.to_cow()?.into_owned())
}

/// A delayed call in the making.
struct Calling<'a, 'py> {
    py: Python<'py>,
    func: Node,
    label: Arc<str>,
    reads: Reads,
    args: Vec<Node>,
    pure: Option<bool>,
    nout: Option<&'a Py<PyAny>>,
}

impl<'py> Calling<'_, 'py> {
    /// Reads the arguments and makes the task. `token` gives what a pure call's name depends on
    /// beside the arguments.
    fn finish(
        mut self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        token: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        self.args.reserve(args.len());
        for arg in args.iter() {
            self.args.push(delayed_value(&arg, &mut self.reads)?);
        }
        let mut given_key = None;
        let mut named_args = Vec::new();
        if let Some(kwargs) = kwargs {
            for (name, value) in kwargs.iter() {
                let name = name.cast_into::<PyString>()?;
                match name.to_cow()?.as_ref() {
                    "dask_key_name" => {
                        if !value.is_none() {
                            given_key = Some(key_from_py(&value)?);
                        }
                    }
                    "pure" => {
                        if !value.is_none() {
                            self.pure = Some(value.is_truthy()?);
                        }
                    }
                    _ => named_args.push((name.clone().unbind(), delayed_value(&value, &mut self.reads)?)),
                }
            }
        }
        let key = match given_key {
            Some(key) => key,
            None => named(py, &self.label, self.pure, |tokenize| {
                let kwargs = match kwargs {
                    Some(kwargs) => kwargs.copy()?,
                    None => PyDict::new(py),
                };
                for option in ["dask_key_name", "pure"] {
                    if kwargs.contains(option)? {
                        kwargs.del_item(option)?;
                    }
                }
                tokenize.call1((token()?, args, kwargs))
            })?,
        };
        let node = Node::call(self.func, self.args, named_args);
        let layer = single(py, key, self.reads, node, self.label)?;
        wrap(py, layer, self.nout)
    }
}

/// The `weft.delayed.Delayed` for a layer of one task.
fn wrap<'py>(py: Python<'py>, layer: LayerRef, nout: Option<&Py<PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    delayed_class(py)?.call1((py.None(), LayerView { layer }, nout))
}

#[pymethods]
impl Delayed {
    #[new]
    #[pyo3(signature = (key, dsk, length=None, layer=None))]
    fn new(
        key: &Bound<'_, PyAny>,
        dsk: &Bound<'_, PyAny>,
        length: Option<Py<PyAny>>,
        layer: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        if let Ok(view) = dsk.cast_exact::<LayerView>() {
            let task = OnceLock::from((view.get().layer.clone(), 0));
            return Ok(Delayed { task, source: Source::Task, length, layer: None });
        }
        if !dsk.is_instance_of::<Graph>() && !dsk.is_instance_of::<PyDict>() {
            check_layer(layer.unwrap_or(key), dsk)?;
        }
        let source = Source::Graph { key: key.clone().unbind(), graph: dsk.clone().unbind() };
        let layer = layer.map(|layer| layer.clone().unbind());
        Ok(Delayed { task: OnceLock::new(), source, length, layer })
    }

    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Source::Graph { key, .. } = &self.source {
            return Ok(key.bind(py).clone());
        }
        let (layer, index) = self.task(py)?;
        key_to_py(py, &layer.key(index))
    }

    #[getter]
    fn _length(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.length.as_ref().map(|n| n.clone_ref(py))
    }

    #[getter]
    fn _graph(&self, py: Python<'_>) -> PyResult<Graph> {
        Ok(Graph::new(vec![self.task(py)?.0]))
    }

    /// The graph that this value was made with, in the form in which it was given.
    #[getter]
    fn _given_graph<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.source {
            Source::Graph { graph, .. } => Ok(graph.bind(py).clone()),
            _ => Ok(Bound::new(py, self._graph(py)?)?.into_any()),
        }
    }

    #[getter]
    fn _layer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.layer {
            Some(layer) => Ok(layer.bind(py).clone()),
            None => self.key(py),
        }
    }

    /// What this value's task reads, as values of the class `class`.
    fn _inputs<'py>(&self, py: Python<'py>, class: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let (layer, index) = self.task(py)?;
        let mut inputs = Vec::new();
        layer.reads(index, |input, task| {
            inputs.push(match input {
                u32::MAX => (layer.clone(), task),
                input => (layer.inputs[input as usize].clone(), task),
            });
        });
        let value = |(layer, task): (LayerRef, u32)| {
            let key = key_to_py(py, &layer.key(task))?;
            class.call1((key, Graph::new(vec![layer])))
        };
        inputs.into_iter().map(value).collect()
    }

    #[getter]
    fn _layer_view(&self, py: Python<'_>) -> PyResult<LayerView> {
        Ok(LayerView { layer: self.task(py)?.0 })
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let start = |func, label| Calling {
            py,
            func,
            label,
            reads: Reads::default(),
            args: Vec::new(),
            pure: None,
            nout: None,
        };
        match &slf.get().source {
            Source::Leaf { object, pure, nout, .. } => {
                let mut call = start(Node::Const(object.clone_ref(py)), label(object.bind(py))?);
                call.pure = *pure;
                call.nout = nout.as_ref();
                call.finish(args, kwargs, || slf.get().key(py))
            }
            Source::Attr { of, name } => {
                let func = method_caller(py)?.call1((name,))?;
                let mut call =
                    start(Node::Const(func.clone().unbind()), name.bind(py).to_cow()?.as_ref().into());
                let (layer, index) = of.get().task(py)?;
                let object = call.reads.push(layer, index);
                call.args.push(object);
                call.finish(args, kwargs, || {
                    Ok(PyTuple::new(py, [func.as_any(), of.bind(py).as_any()])?.into_any())
                })
            }
            Source::Task | Source::Graph { .. } => {
                let mut call = start(Node::Const(py.None()), "apply".into());
                let (layer, index) = slf.get().task(py)?;
                call.func = call.reads.push(layer, index);
                call.finish(args, kwargs, || Ok(slf.clone().into_any()))
            }
        }
    }
}

/// `delayed(object)`: see `weft.delayed.DelayedLeaf`.
#[pyclass(name = "LeafCore", module = "weft._weft", extends = Delayed, subclass, frozen)]
pub(crate) struct Leaf;

/// Raises `ValueError` unless `graph`, if it is a graph of layers, has the layer `name`.
fn check_layer(name: &Bound<'_, PyAny>, graph: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(layers) = graph.getattr_opt("layers")? else { return Ok(()) };
    if layers.contains(name)? {
        return Ok(());
    }
    let names = layers.try_iter()?.map(|name| Ok(name?.repr()?.to_string())).collect::<PyResult<Vec<_>>>()?;
    Err(PyValueError::new_err(format!(
        "Layer {name} not in the HighLevelGraph's layers: [{}]",
        names.join(", ")
    )))
}

#[pymethods]
impl Leaf {
    #[getter]
    fn _obj(slf: PyRef<'_, Self>) -> PyResult<Py<PyAny>> {
        match &slf.as_super().source {
            Source::Leaf { object, .. } => Ok(object.clone_ref(slf.py())),
            _ => Err(not_made_so()),
        }
    }

    #[getter]
    fn _pure(slf: PyRef<'_, Self>) -> PyResult<Option<bool>> {
        match &slf.as_super().source {
            Source::Leaf { pure, .. } => Ok(*pure),
            _ => Err(not_made_so()),
        }
    }

    #[getter]
    fn _nout(slf: PyRef<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        match &slf.as_super().source {
            Source::Leaf { nout, .. } => Ok(nout.as_ref().map(|n| n.clone_ref(slf.py()))),
            _ => Err(not_made_so()),
        }
    }

    #[new]
    #[pyo3(signature = (obj, key=None, pure=None, nout=None))]
    fn new(
        obj: Py<PyAny>,
        key: Option<Py<PyAny>>,
        pure: Option<bool>,
        nout: Option<Py<PyAny>>,
    ) -> PyClassInitializer<Self> {
        // The object itself, if it is no function, can be unpacked into as many.
        let length = nout.as_ref().map(|nout| Python::attach(|py| nout.clone_ref(py)));
        let source = Source::Leaf { object: obj, key, pure, nout };
        PyClassInitializer::from(Delayed { task: OnceLock::new(), source, length, layer: None })
            .add_subclass(Leaf)
    }
}

/// `value.attr`: see `weft.delayed.DelayedAttr`.
#[pyclass(name = "AttrCore", module = "weft._weft", extends = Delayed, subclass, frozen)]
pub(crate) struct Attr;

#[pymethods]
impl Attr {
    #[getter]
    fn _obj(slf: PyRef<'_, Self>) -> PyResult<Py<PyAny>> {
        match &slf.as_super().source {
            Source::Attr { of, .. } => Ok(of.clone_ref(slf.py()).into_any()),
            _ => Err(not_made_so()),
        }
    }

    #[getter]
    fn _attr(slf: PyRef<'_, Self>) -> PyResult<Py<PyAny>> {
        match &slf.as_super().source {
            Source::Attr { name, .. } => Ok(name.clone_ref(slf.py()).into_any()),
            _ => Err(not_made_so()),
        }
    }

    #[new]
    fn new(obj: Py<Delayed>, attr: Py<PyString>) -> PyClassInitializer<Self> {
        let source = Source::Attr { of: obj, name: attr };
        PyClassInitializer::from(Delayed { task: OnceLock::new(), source, length: None, layer: None })
            .add_subclass(Attr)
    }
}

/// A delayed call of a plain function on these arguments: what operators are.
#[pyfunction]
#[pyo3(signature = (func, args, pure=None, key=None))]
fn delayed_call<'py>(
    py: Python<'py>,
    func: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    pure: Option<bool>,
    key: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let call = Calling {
        py,
        func: Node::Const(func.clone().unbind()),
        label: label(func)?,
        reads: Reads::default(),
        args: Vec::new(),
        pure,
        nout: None,
    };
    let kwargs = match key {
        Some(key) => {
            let kwargs = PyDict::new(py);
            kwargs.set_item("dask_key_name", key)?;
            Some(kwargs)
        }
        None => None,
    };
    call.finish(args, kwargs.as_ref(), || Ok(func.clone()))
}

/// A delayed value that is `object`, in which collections are replaced by their results.
#[pyfunction]
#[pyo3(signature = (object, key, nout=None))]
fn delayed_object<'py>(
    py: Python<'py>,
    object: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    nout: Option<Py<PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut reads = Reads::default();
    let node = delayed_value(object, &mut reads)?;
    if node.is_const() {
        return Ok(None);
    }
    let label = type_label(object)?.as_str().into();
    wrap(py, single(py, key_from_py(key)?, reads, node, label)?, nout.as_ref()).map(Some)
}

/// One graph for many delayed values.
#[pyfunction]
fn delayed_graph(py: Python<'_>, values: Vec<PyRef<'_, Delayed>>) -> PyResult<Graph> {
    let layers = values.iter().map(|value| Ok(value.task(py)?.0)).collect::<PyResult<Vec<_>>>()?;
    Ok(Graph::new(layers))
}

/// 32 hexadecimal digits that no other call gets.
#[pyfunction]
fn unique_token() -> String {
    let mut token = String::with_capacity(32);
    push_unique(&mut token);
    token
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Delayed>()?;
    module.add_class::<Leaf>()?;
    module.add_class::<Attr>()?;
    module.add_function(wrap_pyfunction!(annotating, module)?)?;
    module.add_function(wrap_pyfunction!(delayed_call, module)?)?;
    module.add_function(wrap_pyfunction!(delayed_object, module)?)?;
    module.add_function(wrap_pyfunction!(delayed_graph, module)?)?;
    module.add_function(wrap_pyfunction!(unique_token, module)?)
}
